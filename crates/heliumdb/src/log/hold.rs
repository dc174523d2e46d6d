//! Reading the log of a volume that goes on being written: what is in it now stays.
//!
//! Invariant: while a [`Hold`] lives, no segment is freed.

use super::core::Core;
use crate::{Result, device::Device, id::VolumeId, location::Lsn};
use std::{io, sync::Arc};

/// Keeps the log's segments from being freed.
pub(crate) struct Hold {
    core: Arc<Core>,
}

impl Hold {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        // Waits for a free that is under way.
        *core.holds.lock() += 1;
        Self {
            core: Arc::clone(core),
        }
    }

    /// A position that is the log's end now or later, and durable.
    pub(crate) fn end(&self) -> Result<Lsn> {
        if self.core.health.is_read_only() {
            return Ok(self.core.end());
        }
        // The end of a batch, and padded, so that nothing else can be below it.
        self.core.flush(true)?;
        Ok(self.core.durable())
    }

    pub(crate) fn volume(&self) -> VolumeId {
        self.core.medium.volume_id()
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.core.medium.segment_bytes()
    }

    /// The volume's devices, to be read.
    pub(crate) fn devices(&self) -> Vec<Box<dyn Device>> {
        let devices = 0..self.core.medium.devices().len();
        devices
            .map(|device| {
                let core = Arc::clone(&self.core);
                Box::new(Lent { core, device }) as Box<dyn Device>
            })
            .collect()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.core.health.is_elsewhere() {
            return;
        }
        *self.core.holds.lock() -= 1;
        self.core.nudge();
    }
}

/// A device of an open volume, for reading alone.
struct Lent {
    core: Arc<Core>,
    device: usize,
}

impl Lent {
    fn device(&self) -> &dyn Device {
        self.core.medium.device(self.device)
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
