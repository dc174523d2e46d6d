//! Removing what cannot be read any more.
//!
//! Invariant: only the newest committed state of a key is removed, only if its bytes are damaged, and
//! only as long as it still is what was read.

use crossbeam_epoch as epoch;

use super::Datastore;
use crate::{
    checking::VerifyReport,
    error::{Error, ErrorKind, Result},
    index::{Bound, Direction},
    log::{Purpose, Ready, Spot, append_value},
    read::{Seeing, Shown, Which},
    tree::Tree,
    version::chain::Seen,
    write::Expect,
};

/// Items that are read under one epoch guard.
const STEP_ITEMS: usize = 512;

/// An item whose bytes are damaged.
struct Found {
    key: Vec<u8>,
    spot: Spot,
    why: Error,
}

impl Datastore {
    /// Reads every item past the read cache. `tell` is shown those whose bytes are damaged, with what
    /// is wrong, and they are removed; durable when it returns. Any other error ends it. The report
    /// counts what is readable, and as damaged what could not be removed: items of an unordered
    /// datastore whose key is lost with them.
    pub fn remove_damaged(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<VerifyReport> {
        self.check_handle()?;
        self.shared.access.check_writable()?;
        let tree = self.tree()?;
        let mut report = VerifyReport::default();
        let mut last: Option<Vec<u8>> = None;
        loop {
            let mut damaged = Vec::new();
            last = self.find_damaged(&tree, last.as_deref(), &mut damaged, &mut report)?;
            for found in damaged {
                let same = Expect::Same(Some(found.spot));
                if self.write_when_resolved(&found.key, None, same)? {
                    tell(&found.key, &found.why);
                }
            }
            if last.is_none() {
                self.shared.flush()?;
                return Ok(report);
            }
        }
    }

    /// Reads the next items after `last`; the key it came to, or `None` at the end.
    fn find_damaged(
        &self,
        tree: &Tree,
        last: Option<&[u8]>,
        damaged: &mut Vec<Found>,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        let look = self.look_at(tree, None, Purpose::Check, &guard);
        let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = Seeing::new(look, (bound, Direction::Forward));
        let mut value = Vec::new();
        for _ in 0..STEP_ITEMS {
            let Some(seen) = slots.next(|_| true)? else {
                return Ok(None);
            };
            // Nothing committed is elsewhere.
            let Seen::At(at) = seen else { continue };
            value.clear();
            let which = Which::Slot(slots.slot());
            let show = |shown: Shown<'_>, built: &mut Vec<u8>| {
                append_value(shown.value, built);
                shown.key.len()
            };
            let read = look.read_at(which, (at, Ready::No), &mut value, show);
            match read.and_then(|key_len| key_len.ok_or_else(|| look.misplaced(which, at))) {
                Ok(key_len) => {
                    report.items += 1;
                    report.bytes += (key_len + value.len()) as u64;
                }
                // A place that is not the key's any more may hold anything; its removal sees that.
                Err(why) if why.kind() == ErrorKind::Damaged => {
                    let key = look.key_of_damaged(slots.slot(), at)?;
                    match key.zip(self.shared.log.spot(at, &guard)) {
                        Some((key, spot)) => damaged.push(Found { key, spot, why }),
                        None => report.damaged += 1,
                    }
                }
                Err(why) => return Err(why),
            }
        }
        Ok(Some(slots.slot().to_vec()))
    }
}
