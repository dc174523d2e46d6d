//! Verify, salvage, compact, checkpoint, terminate.

use super::{Object, Source};
use crate::{
    error::{Code, Error, Result},
    host::Host,
    recno,
};
use heliumdb::VerifyReport;
use std::sync::Arc;

impl<H: Host> Source<H> {
    /// Reads every item of the object `uri` and checks order, checksum and owner.
    pub fn verify(&self, session: H::Session, uri: &str) -> Result<()> {
        let report = self.read_everything(session, uri)?;
        self.tell(Some(session), || {
            format!(
                "verified {uri}: {} items, {} bytes",
                report.items, report.bytes
            )
        });
        Ok(())
    }

    /// Says whether anything of the object `uri` needs saving. Recovery at open has already
    /// brought back what the log holds; nothing more can be won from it here.
    pub fn salvage(&self, session: H::Session, uri: &str) -> Result<()> {
        let report = self.read_everything(session, uri).map_err(|error| {
            error.context("salvage changed nothing: this version cannot rebuild a damaged object")
        })?;
        self.host.message(
            Some(session),
            &format!(
                "salvage: all {} items of {uri} are readable, there is nothing to rebuild",
                report.items
            ),
        );
        Ok(())
    }

    /// Makes everything durable and settles versions, so that segments without live items
    /// are free again.
    pub fn compact(&self, session: H::Session, uri: &str) -> Result<()> {
        self.check()?;
        let object = self.enter(session, uri, true)?;
        let volume = object.datastore.volume();
        let before = volume.stats().used_bytes;
        self.settle();
        let flushed = volume.flush();
        let after = volume.stats().used_bytes;
        object.leave();
        flushed?;
        self.host.message(
            Some(session),
            &format!(
                "compact: the volume of {uri} uses {after} bytes of segments, {before} before; \
                 segments are freed when all their items are dead, live items are not moved"
            ),
        );
        Ok(())
    }

    /// Makes everything on all volumes durable.
    pub fn checkpoint(&self, session: H::Session) -> Result<()> {
        self.check()?;
        self.finish(session)?;
        self.flush()
    }

    /// Closes the volumes. Nothing is left to be done with this data source.
    pub fn terminate(&self) -> Result<()> {
        self.objects.lock().clear();
        let mut result = Ok(());
        for mounted in &self.volumes {
            let closed = mounted
                .volume
                .close()
                .map_err(|error| Error::from(error).context(&mounted.name));
            // The others are closed whatever becomes of one.
            result = result.and(closed);
        }
        result
    }

    fn flush(&self) -> Result<()> {
        let mut result = Ok(());
        for mounted in &self.volumes {
            let flushed = mounted
                .volume
                .flush()
                .map_err(|error| Error::from(error).context(&mounted.name));
            result = result.and(flushed);
        }
        result
    }

    fn read_everything(&self, session: H::Session, uri: &str) -> Result<VerifyReport> {
        self.check()?;
        let object = self.enter(session, uri, true)?;
        let report = verify_object(&object);
        object.leave();
        report.map_err(|error| error.context(uri))
    }
}

fn verify_object(object: &Arc<Object>) -> Result<VerifyReport> {
    let datastore = &object.datastore;
    if object.has_recnos {
        let mut key = Vec::new();
        let mut value = Vec::new();
        for end in [heliumdb::Position::First, heliumdb::Position::Last] {
            let everything = super::append::Everything;
            let found = datastore.seek(&everything, end, &mut key, &mut value)?;
            if found && recno::unpack(&key).is_none() {
                return Err(Error::new(Code::Io, "a key is not a record number"));
            }
        }
    }
    Ok(datastore.verify(&mut |_| ())?)
}
