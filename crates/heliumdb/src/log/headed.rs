//! Headers for segments before their first use, so that one without a header is one that has lost it.
//!
//! Invariant: each segment of the volume below the number that its superblock has as `headed` has a whole
//! header slot on the medium, and none from there on is used; both copies of a superblock say so. (In a volume
//! that is not headed at all, one of an earlier version, segments without a header count as never used.)

use super::{core::Log, create::is_full};
use crate::{
    Error, ErrorKind, Result,
    device::aligned::AlignedBuffer,
    format::{
        Look, SEGMENT_HEADER_BYTES,
        frame::{self, FrameHeader},
        segment::SegmentHeader,
    },
    limits::{BLOCK_BYTES, ITEM_ALIGN},
    location::Location,
};
use std::sync::atomic::Ordering::*;

/// Segments of a new volume that get their headers at once. Later ones follow in steps of a part of all that
/// have theirs, so that few appends wait for the syncs, and a large volume is made quickly.
pub(super) const FIRST_STEP: u64 = 16;
const LAST_STEP: u64 = 1024;
const STEP_PART: u64 = 4;

/// How often a header is read that is not whole: a slot, if never both, may be written to this moment.
const READ_ATTEMPTS: usize = 3;

impl Log {
    /// Sees to it that a segment about to be used has a header, durably, and that the superblocks count on it.
    pub(super) fn head(&self, id: u64) -> Result<()> {
        if id < self.headed() {
            return Ok(());
        }
        let _one = self.growth.alone();
        let headed = self.headed();
        if id < headed || self.growth.is_unheaded() {
            return Ok(());
        }
        let until = id + 1 + (headed / STEP_PART).clamp(FIRST_STEP, LAST_STEP);
        let mut ids = self.superblocks.segments_from(&self.medium, headed);
        ids.retain(|id| self.generation(*id) == 0);
        if headed == 0 && self.any_begins_with_a_frame(&ids)? {
            // A header would say that nothing of it counts, which nobody knows.
            self.growth.stay_unheaded();
            return Ok(());
        }
        ids.retain(|id| *id < until);
        self.write_first_headers(&ids)?;
        self.medium.sync_all()?;
        self.are_headed(&ids);
        // CRASH: fewer are counted on than have a header. Twice, for both copies: one that is destroyed later
        // must not lead to one that knows of less.
        self.superblocks.update_twice(&self.medium, |next| {
            next.headed = next.headed.max(until);
        })
    }

    fn headed(&self) -> u64 {
        self.superblocks.headed()
    }

    fn generation(&self, id: u64) -> u64 {
        self.table
            .get(id)
            .map_or(0, |segment| segment.generation.load(Relaxed))
    }

    /// Headed segments that have no header on the medium now, and what is wrong.
    pub(crate) fn lost_headers(&self) -> Result<Vec<(u64, Error)>> {
        let mut found = Vec::new();
        let headed = self.headed();
        for id in self
            .superblocks
            .all_segments(&self.medium)
            .into_iter()
            .filter(|id| *id < headed)
        {
            let has = self.has_header(id);
            // It may have been cut off meanwhile.
            if !self.bounds().has_segment(id) {
                continue;
            }
            if !has? {
                found.push((id, lost(self, id)));
            }
        }
        Ok(found)
    }

    fn has_header(&self, id: u64) -> Result<bool> {
        let mut slots = AlignedBuffer::new(SEGMENT_HEADER_BYTES);
        let (device, offset) = self.medium.segment_place(id);
        for _ in 0..READ_ATTEMPTS {
            self.medium
                .device(device)
                .read_at_uncached(&mut slots, offset)
                .map_err(|e| {
                    self.medium
                        .io_error("read segment header of", device, offset, e)
                })?;
            let is_whole = |(slot, bytes)| {
                matches!(
                    SegmentHeader::decode(bytes, self.medium.salt(), id, slot),
                    Look::Good(_)
                )
            };
            if slots.chunks(BLOCK_BYTES).enumerate().any(is_whole) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes headers of segments that were never used. Not synced.
    pub(super) fn write_first_headers(&self, ids: &[u64]) -> Result<()> {
        let version = self.superblocks.version();
        let mut slot = [0; BLOCK_BYTES];
        for &id in ids {
            let header = SegmentHeader::never_used(self.medium.volume_id(), id);
            header.encode(&mut slot, self.medium.salt(), version);
            let (device, offset) = self.medium.segment_place(id);
            let offset = offset + (header.slot() * BLOCK_BYTES) as u64;
            // CRASH: a torn slot of a segment that nothing counts on yet.
            match self.medium.device(device).write_at(&slot, offset) {
                Ok(()) => self.medium.count_written(BLOCK_BYTES as u64),
                Err(why) if is_full(&why) => {
                    let error =
                        self.medium
                            .io_error("write segment header of", device, offset, why);
                    return Err(error.with_kind(ErrorKind::VolumeFull));
                }
                Err(why) => {
                    return self.medium.or_poison(
                        "write segment header of",
                        device,
                        offset,
                        Err(why),
                    );
                }
            };
        }
        Ok(())
    }

    /// The first headers of these segments are durable.
    pub(super) fn are_headed(&self, ids: &[u64]) {
        for segment in ids.iter().filter_map(|id| self.table.get(*id)) {
            segment
                .generation
                .store(SegmentHeader::FIRST_GENERATION, Relaxed);
        }
    }

    /// Up to where all segments have headers, with these that are not counted yet.
    pub(super) fn headed_with(&self, new: &[u64]) -> u64 {
        let headed = self.headed();
        if headed == 0 {
            return 0;
        }
        let old = self.superblocks.segments_from(&self.medium, headed);
        let mut without = old.into_iter().filter(|id| self.generation(*id) == 0);
        let end = new.iter().map(|id| id + 1).max().unwrap_or(0);
        without.next().unwrap_or(end).max(headed)
    }

    /// Whether a frame of this volume stands where the first one would, in any of these.
    fn any_begins_with_a_frame(&self, ids: &[u64]) -> Result<bool> {
        let mut block = AlignedBuffer::new(BLOCK_BYTES);
        for &id in ids {
            let (device, offset) = self.medium.segment_place(id);
            let offset = offset + SEGMENT_HEADER_BYTES as u64;
            self.medium
                .device(device)
                .read_at_uncached(&mut block, offset)
                .map_err(|e| self.medium.io_error("read log from", device, offset, e))?;
            let mut places = (0..=BLOCK_BYTES - frame::HEADER_BYTES).step_by(ITEM_ALIGN);
            let is_frame = |at: usize| {
                matches!(
                    FrameHeader::decode(&block[at..], self.medium.salt()),
                    Look::Good(_)
                )
            };
            if places.any(is_frame) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A segment that has lost its header, of a volume all of whose segments have one.
pub(super) fn lost(log: &Log, id: u64) -> Error {
    let at = Location::new(id * log.medium.segment_bytes(), 0);
    let expected = "a segment header, which every segment of this volume was given";
    log.medium.damaged(at, expected, "neither copy of it")
}
