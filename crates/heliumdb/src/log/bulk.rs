//! Reading many items at once, in as few reads as their places allow.
//!
//! Invariant: an item is shown only after its checksum was compared.

use super::core::Log;
use crate::{
    Result,
    format::item::{self, ItemHeader},
    location::Location,
};

/// Longest read.
const READ_BYTES: u64 = 1 << 20;
/// A gap that is read along.
const GAP_BYTES: u64 = 16 << 10;

impl Log {
    /// Shows `item` each of the items at `places` with its number there, until that says no;
    /// false then, and if one of them is not whole. For recovery: nothing is in memory yet.
    pub(crate) fn read_items(
        &self,
        places: &[Location],
        buffer: &mut Vec<u8>,
        mut item: impl FnMut(usize, &ItemHeader, &[u8]) -> bool,
    ) -> Result<bool> {
        let mut from = 0;
        while from < places.len() {
            let start = places[from].address();
            let mut end = self.end_of(places[from]);
            let mut until = from + 1;
            while let Some(next) = places.get(until)
                && next.address() >= end
                && next.address() - end <= GAP_BYTES
                && next.address() / self.medium.segment_bytes()
                    == start / self.medium.segment_bytes()
                && self.end_of(*next) - start <= READ_BYTES
            {
                end = self.end_of(*next);
                until += 1;
            }
            if start / self.medium.segment_bytes() >= self.table.len() {
                return Ok(false);
            }
            let (device, offset) = self.medium.place(start);
            buffer.resize((end - start) as usize, 0);
            self.medium
                .device(device)
                .read_at(buffer, offset)
                .map_err(|e| {
                    self.medium
                        .io_error("read a checkpoint from", device, offset, e)
                })?;
            for (i, place) in places.iter().enumerate().take(until).skip(from) {
                let bytes = &buffer[(place.address() - start) as usize..];
                let whole = item::decode(bytes, self.medium.salt(), place.address());
                if !whole.is_some_and(|(header, _)| item(i, &header, bytes)) {
                    return Ok(false);
                }
            }
            from = until;
        }
        Ok(true)
    }

    /// Where the item at `at` ends at the latest.
    fn end_of(&self, at: Location) -> u64 {
        let segment_end =
            (at.address() / self.medium.segment_bytes() + 1) * self.medium.segment_bytes();
        (at.address() + at.class_bytes() as u64).min(segment_end)
    }
}
