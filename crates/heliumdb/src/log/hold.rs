//! Reading the log of a volume that goes on being written: what is in it now stays.
//!
//! Invariant: while a [`Hold`] lives, no segment is freed.

use super::core::Log;
use crate::{Result, device::Device, id::VolumeId, location::Lsn};
use std::{io, sync::Arc};

/// Keeps the log's segments from being freed.
pub(crate) struct Hold {
    log: Arc<Log>,
}

impl Log {
    /// Keeps all segments from being freed while the returned value lives.
    pub(crate) fn hold(self: &Arc<Self>) -> Hold {
        Hold::new(self)
    }
}

impl Hold {
    fn new(log: &Arc<Log>) -> Self {
        // Waits for a free that is under way.
        log.freeing.hold();
        Self {
            log: Arc::clone(log),
        }
    }

    /// A position that is the log's end now or later, and durable.
    pub(crate) fn end(&self) -> Result<Lsn> {
        if self.log.health.is_read_only() {
            return Ok(self.log.reach.end());
        }
        // The end of a batch, and padded, so that nothing else can be below it.
        self.log.flush(true)?;
        Ok(self.log.reach.durable())
    }

    pub(crate) fn volume(&self) -> VolumeId {
        self.log.medium.volume_id()
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.log.medium.segment_bytes()
    }

    /// The volume's devices, to be read.
    pub(crate) fn devices(&self) -> Vec<Box<dyn Device>> {
        let devices = 0..self.log.medium.devices().len();
        devices
            .map(|device| {
                let log = Arc::clone(&self.log);
                Box::new(Lent { log, device }) as Box<dyn Device>
            })
            .collect()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.log.health.is_elsewhere() {
            return;
        }
        self.log.freeing.let_go();
        self.log.nudge();
    }
}

/// A device of an open volume, for reading alone.
struct Lent {
    log: Arc<Log>,
    device: usize,
}

impl Lent {
    fn device(&self) -> &dyn Device {
        self.log.medium.device(self.device)
    }
}

impl Device for Lent {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.device().read_at(buffer, offset)
    }

    fn write_at(&self, _buffer: &[u8], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> u64 {
        self.device().len()
    }

    fn grow(&self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn can_grow(&self) -> bool {
        false
    }

    fn name(&self) -> &str {
        self.device().name()
    }
}
