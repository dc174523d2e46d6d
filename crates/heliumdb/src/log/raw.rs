//! An item's bytes as they lie there, for who does not know its key yet.
//!
//! Invariant: they are not checked, and never a value: the caller makes of them what it expects to
//! find, and [`Log::with_value`] then checks both.

use super::{
    core::Log,
    reader::{Purpose, Resident},
};
use crate::{Result, format::item::ItemHeader, location::Location};
use crossbeam_epoch::Guard;

impl Log {
    /// Puts the bytes at `at` into `bytes`; false if no item can be there.
    pub(crate) fn read_raw(
        &self,
        purpose: Purpose,
        at: Location,
        bytes: &mut Vec<u8>,
        guard: &Guard,
    ) -> Result<bool> {
        bytes.clear();
        match self.resident(purpose, at, guard) {
            None => return Ok(false),
            Some(Resident::Memory(found)) => {
                let Some(header) = ItemHeader::decode(found) else {
                    return Ok(false);
                };
                bytes.extend_from_slice(&found[..header.padded_len()]);
            }
            Some(Resident::Device(_)) => {
                let len = self.read_bytes(at);
                bytes.resize(len, 0);
                let (device, offset) = self.medium.place(at.address());
                self.medium
                    .device(device)
                    .read_at(bytes, offset)
                    .map_err(|e| self.medium.io_error("read", device, offset, e))?;
                self.medium.count_read(len);
            }
        }
        Ok(true)
    }
}
