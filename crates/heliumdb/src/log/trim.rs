//! Giving freed segments back to the device (TRIM).
//!
//! Invariants: a segment is given back only while it is free and no reader can hold a place in
//! it, and only after it is durable that its blocks may be gone; its header stays. As many segments
//! as the reserve has, and some more, are never given back: they are written already, so that
//! commits on them change no metadata and need no room of the file system.

use super::core::Core;
use crate::{
    Result,
    format::{
        SEGMENT_HEADER_BYTES,
        segment::{SegmentHeader, State},
    },
};
use std::{io, sync::atomic::Ordering::*};

/// Part of the volume's segments that is kept written.
const KEPT_PART: u64 = 16;

impl Core {
    /// Gives one free segment back, if there are more than enough.
    pub(super) fn trim(&self) -> Result<bool> {
        let trims = self.trims.load(Relaxed);
        let members = self.superblock.lock().members.clone();
        let total: u64 = members.iter().map(|m| m.bytes).sum();
        let kept = self.reserve_bytes().div_ceil(self.usable())
            + total / self.segment_bytes / KEPT_PART
            + 1;
        let spare = {
            let mut space = self.space.lock();
            let is_trimmed = |id: &u64| trims >> self.segment_place(*id).0 & 1 == 1;
            if space.ready.len() as u64 <= kept || !space.ready.back().is_some_and(is_trimmed) {
                return Ok(false);
            }
            // Nobody else can have it meanwhile.
            space.ready.pop_back()
        };
        let Some(id) = spare else { return Ok(false) };
        let result = self.give_back(id);
        self.space.lock().raw.push_back(id);
        result.map(|()| true)
    }

    fn give_back(&self, id: u64) -> Result<()> {
        let Some(segment) = self.table.get(id) else {
            return Ok(());
        };
        segment.punched.store(true, Relaxed);
        segment.written.store(false, Relaxed);
        let generation = segment.generation.fetch_add(1, Relaxed) + 1;
        let (device, offset) = self.segment_place(id);
        // CRASH: the slot before, which says that the segment is free too; it has all its blocks
        // until the sync.
        self.write_header(&SegmentHeader {
            state: State::Free,
            generation,
            volume: self.volume,
            segment: id,
            sequence: segment.sequence.load(Relaxed),
            epoch: segment.epoch.load(Relaxed),
            chain: 0,
            end: 0,
            horizon: self.durable(),
            written: false,
        })?;
        self.sync_device(device)?;
        let (start, len) = (SEGMENT_HEADER_BYTES as u64, self.segment_bytes);
        match self.devices[device].discard(offset + start, len - start) {
            Ok(()) => {
                self.written.trimmed.fetch_add(len - start, Relaxed);
            }
            Err(why) => {
                // It is a hint, and nothing depends on it.
                self.trims.fetch_and(!(1 << device), Relaxed);
                if why.kind() != io::ErrorKind::Unsupported {
                    let name = self.devices[device].name();
                    tracing::warn!(device = name, %why, "freed space is not given back any more");
                }
            }
        }
        Ok(())
    }
}
