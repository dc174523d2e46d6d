//! Reading an item: from the segment's buffer while it has one, else by one device read.
//!
//! Invariant: no lock is taken, and bytes that came from a device are never handed out
//! before their checksum was compared.

use super::core::Core;
use crate::{
    Error, ErrorKind, Result,
    format::item::{self, CHUNK, INDIRECT, ItemHeader, TOMBSTONE},
    location::Location,
};
use crossbeam_epoch::Guard;
use std::{cell::RefCell, sync::atomic::Ordering::*};

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Core {
    /// Appends the value of the item at `at` to `value`. Ok(false): another item is there now.
    /// The caller holds an epoch guard since before it learned of `at`.
    pub(crate) fn read(
        &self,
        at: Location,
        tree: u32,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        let guard = crossbeam_epoch::pin();
        let mut list = None;
        let found = self.with_item(at, &guard, |header, bytes| {
            if header.tree != tree || header.has(CHUNK | TOMBSTONE) || header.key(bytes) != key {
                return false;
            }
            if header.has(INDIRECT) {
                list = Some((header.seq, item::decode_chunk_list(header.value(bytes))));
            } else {
                value.extend_from_slice(header.value(bytes));
            }
            true
        })?;
        match list {
            None => Ok(found),
            Some((_, None)) => {
                Err(self.damaged(at, "a list of a long value's pieces", "impossible lengths"))
            }
            Some((seq, Some(list))) => {
                value.reserve(list.total);
                for (place, len) in list.chunks {
                    self.read_chunk(place, &guard, (tree, seq, len), value)?;
                }
                Ok(true)
            }
        }
    }

    fn read_chunk(
        &self,
        at: Location,
        guard: &Guard,
        expected: (u32, u64, usize),
        value: &mut Vec<u8>,
    ) -> Result<()> {
        let ours = self.with_item(at, guard, |header, bytes| {
            let ours = header.has(CHUNK) && (header.tree, header.seq, header.value_len) == expected;
            if ours {
                value.extend_from_slice(header.value(bytes));
            }
            ours
        })?;
        if ours {
            return Ok(());
        }
        Err(self.damaged(at, "a piece of a long value", "another item"))
    }

    /// Calls `f` with the checked item at `at`.
    pub(super) fn with_item(
        &self,
        at: Location,
        guard: &Guard,
        f: impl FnOnce(&ItemHeader, &[u8]) -> bool,
    ) -> Result<bool> {
        let (id, within) = (
            at.address() / self.segment_bytes,
            (at.address() % self.segment_bytes) as usize,
        );
        let Some(segment) = self.table.get(id) else {
            return Ok(false);
        };
        if let Some(buffer) = segment.buffer(guard).filter(|b| b.holds(within)) {
            let bytes = buffer.published();
            self.traffic.buffered();
            // These bytes were never on a device: they need no checksum.
            return match bytes
                .get(within..)
                .and_then(|b| Some((ItemHeader::decode(b)?, b)))
            {
                Some((header, bytes)) => Ok(f(&header, bytes)),
                None => Ok(false),
            };
        }
        let len = at.class_bytes().min(self.segment_bytes as usize - within);
        SCRATCH.with_borrow_mut(|scratch| {
            if scratch.len() < len {
                scratch.resize(len, 0);
            }
            let scratch = &mut scratch[..len];
            let (device, offset) = self.place(at.address());
            self.traffic.read(len);
            self.devices[device]
                .read_at(scratch, offset)
                .map_err(|e| self.io_error("read", device, offset, e))?;
            match item::decode(scratch, self.salt, at.address()) {
                Some((header, _)) => Ok(f(&header, scratch)),
                None => Err(self.damaged_item(at, scratch)),
            }
        })
    }

    fn damaged_item(&self, at: Location, bytes: &[u8]) -> Error {
        let Some(header) = ItemHeader::decode(bytes) else {
            return self.damaged(at, "an item", "a header with impossible lengths");
        };
        let sum = item::checksum(item::hash(&bytes[..header.len()]), self.salt, at.address());
        self.damaged(
            at,
            &format!("an item with checksum {:08x}", header.checksum),
            &format!("bytes with checksum {sum:08x}"),
        )
    }

    pub(super) fn damaged(&self, at: Location, expected: &str, found: &str) -> Error {
        let (device, offset) = self.place(at.address());
        Error::new(
            ErrorKind::Damaged,
            format!(
                "{} is damaged at offset {offset}: expected {expected}, found {found}",
                self.devices[device].name()
            ),
        )
    }

    /// The item at `at` (never a tombstone's place) is dead.
    pub(crate) fn mark_dead(&self, at: Location) {
        let Some(segment) = self.table.get(at.address() / self.segment_bytes) else {
            return;
        };
        if segment.indirect.load(Acquire) {
            let chunks = self.ledger.lock().chunks.remove(&at.address());
            for chunk in chunks.iter().flatten() {
                self.subtract(*chunk);
            }
        }
        self.subtract(at);
    }

    fn subtract(&self, at: Location) {
        let Some(segment) = self.table.get(at.address() / self.segment_bytes) else {
            return;
        };
        let bytes = at.class_bytes() as i64;
        let before = segment.live.fetch_sub(bytes, AcqRel);
        debug_assert!(before >= bytes, "an item died twice");
        if before == bytes {
            self.nudge();
        }
    }
}
