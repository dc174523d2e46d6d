//! `WT_SESSION.salvage`: what is damaged beyond reading goes, so that the rest can be used.
//!
//! Invariant: nothing is removed that can be read, nothing is removed silently, and nothing at all
//! for an error of the device that another attempt may not meet.

use super::{
    HostHorizon, Name, Source,
    find::{Creates, without_datastore},
};
use crate::{
    error::{Code, Error, Result},
    host::Host,
};
use heliumdb::host::VolumeExt;

/// Longest part of a key that is shown, in bytes.
const KEY_SHOWN_BYTES: usize = 64;

impl<H: Host> Source<H> {
    /// Reads every item of the object `uri`, and removes those whose bytes are damaged, each with a
    /// message. Nobody may use the object meanwhile.
    pub fn salvage(&self, session: H::Session, uri: &str) -> Result<()> {
        self.check()?;
        let name = Name::parse(uri)?;
        let mounted = self.mounted(&name)?;
        // Nobody opens it before this is over: that takes the lock as well.
        let _schema = self.schema.lock();
        let entry = self
            .entry(session, uri)?
            .ok_or_else(|| Error::from(Code::NoEntry))?;
        if self.is_stale(session, mounted, &name, &entry)? {
            return Err(Code::NoEntry.into());
        }
        self.retire(uri)?;
        let datastore = self
            .find(session, mounted, &name, &entry, Creates::UnderWay)?
            .ok_or_else(|| without_datastore(uri, mounted, &entry))?;
        self.settle();
        let mut removed = 0_u64;
        let report = datastore
            .remove_damaged(&mut |key, why| {
                removed += 1;
                let shown = &key[..key.len().min(KEY_SHOWN_BYTES)];
                self.host.error(
                    Some(session),
                    &format!(
                        "salvage: {uri}: the item of key \"{}\" is removed: {why}",
                        shown.escape_ascii()
                    ),
                );
            })
            .map_err(|error| Error::from(error).context(uri))?;
        if removed > 0 {
            // Before the log is read again, which the damage is still in.
            mounted.volume.checkpoint_as_of(&HostHorizon(&self.host))?;
        }
        let items = report.items;
        match removed {
            0 => self.tell(Some(session), || {
                format!("salvage: all {items} items of {uri} are readable, nothing was changed")
            }),
            _ => self.host.error(
                Some(session),
                &format!(
                    "salvage: {items} items of {uri} are readable, {removed} were damaged and are removed"
                ),
            ),
        }
        Ok(())
    }
}
