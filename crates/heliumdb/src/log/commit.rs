//! Group commit: many threads' commits share one write and one sync.
//!
//! Invariant: `durable` only passes a position after everything below it was written and
//! the devices it lies on were synced. A block is written again only while nothing in it
//! was acknowledged.

use super::{buffer::SegmentBuffer, core::Core};
use crate::{
    Error, ErrorKind, Result,
    format::{SEGMENT_HEADER_BYTES, segment::SegmentHeader},
    limits::BLOCK_BYTES,
    location::Lsn,
};
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::*},
};

/// A segment that is not wholly written.
pub(super) struct Active {
    header: SegmentHeader,
    /// Until all of it is written.
    buffer: Option<Arc<SegmentBuffer>>,
    flushed: usize,
    stage: Stage,
}

/// How far a segment's header got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Unwritten,
    Written,
    /// Durable in one slot: the other may be written.
    Durable,
    Copied,
}

impl Active {
    pub(super) fn new(header: SegmentHeader, buffer: Arc<SegmentBuffer>) -> Self {
        Self {
            header,
            buffer: Some(buffer),
            flushed: SEGMENT_HEADER_BYTES,
            stage: Stage::Unwritten,
        }
    }

    /// A segment that an earlier session filled up to `flushed`; its header is durable.
    pub(super) fn resumed(
        header: SegmentHeader,
        buffer: Arc<SegmentBuffer>,
        flushed: usize,
    ) -> Self {
        Self {
            flushed,
            stage: Stage::Copied,
            ..Self::new(header, buffer)
        }
    }

    fn is_written(&self) -> bool {
        self.buffer
            .as_ref()
            .is_none_or(|b| b.sealed() && self.flushed == b.published().len())
    }
}

/// What the flusher knows.
#[derive(Default)]
pub(super) struct Flush {
    active: VecDeque<Active>,
    /// Bit per device written since its last sync.
    dirty: u64,
}

impl Core {
    /// Returns when everything appended before `lsn` is durable.
    pub(crate) fn sync_to(&self, lsn: Lsn) -> Result<()> {
        // Nothing behind the end could ever become durable by waiting.
        let lsn = lsn.min(self.end());
        if self.durable() >= lsn {
            return Ok(());
        }
        let done = || {
            if self.durable() >= lsn {
                return Ok(true);
            }
            self.health.check_writable().map(|()| false)
        };
        let joined = || self.group.join(done, || self.flush(true));
        self.medium.commits().of(joined)
    }

    /// Keeps the memory of unwritten segments bounded: wakes the background thread early,
    /// and writes here when that does not keep up.
    pub(super) fn relieve(&self, waiting: usize) -> Result<()> {
        let most = if self.background {
            (self.write_cache_bytes / self.medium.segment_bytes() as usize / 2).max(2)
        } else {
            2
        };
        if waiting >= most {
            self.flush(false)?;
        }
        Ok(())
    }

    /// Writes what was appended; with `sync`, all of it, and makes it durable.
    pub(super) fn flush(&self, sync: bool) -> Result<()> {
        let mut flush = self.flush.lock();
        self.health.check_writable()?;
        self.medium.check_opener(false)?;
        let (target, opened) = self.cut(sync);
        flush.active.extend(opened);
        let mut dirty = flush.dirty;
        let result = flush.active.iter_mut().try_for_each(|active| {
            dirty |= 1 << self.medium.segment_place(active.header.segment).0;
            self.write_active(active)
        });
        flush.dirty |= dirty;
        let is_full = |why: &Error| why.kind() == ErrorKind::VolumeFull;
        let is_blocked = result.as_ref().is_err_and(is_full);
        self.is_blocked.store(is_blocked, Relaxed);
        result?;
        if sync {
            self.sync_dirty(&mut flush)?;
            self.durable.fetch_max(target, AcqRel);
            self.syncs_lately.fetch_add(1, Relaxed);
        }
        self.retire_written(&mut flush);
        Ok(())
    }

    fn write_active(&self, active: &mut Active) -> Result<()> {
        if active.stage == Stage::Unwritten {
            self.write_header(&active.header)?;
            active.stage = Stage::Written;
        } else if active.stage == Stage::Durable {
            let copy = SegmentHeader {
                generation: active.header.generation + 1,
                ..active.header
            };
            self.write_header(&copy)?;
            active.stage = Stage::Copied;
        }
        let Some(buffer) = &active.buffer else {
            return Ok(());
        };
        let bytes = buffer.published();
        // Whole blocks only: what is cut off is still being filled.
        let end = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
        if end > active.flushed {
            let (device, start) = self.medium.segment_place(active.header.segment);
            let offset = start + active.flushed as u64;
            // CRASH: any of these sectors may be old, new or torn. Nothing in these blocks was
            // acknowledged; recovery ends the log at the first frame that is not whole.
            let bytes = &bytes[active.flushed..end];
            self.medium.write_log(device, offset, bytes)?;
            active.flushed = end;
        }
        Ok(())
    }

    fn sync_dirty(&self, flush: &mut Flush) -> Result<()> {
        for device in (0..self.medium.devices().len()).filter(|d| flush.dirty >> d & 1 == 1) {
            self.medium.sync_device(device)?;
        }
        flush.dirty = 0;
        for active in flush
            .active
            .iter_mut()
            .filter(|a| a.stage == Stage::Written)
        {
            active.stage = Stage::Durable;
        }
        Ok(())
    }

    /// Says in the header of the segment being filled how far the log goes: from then on, all
    /// below is known to have been durable, and nothing was written behind it.
    pub(super) fn mark_end(&self) -> Result<()> {
        let flush = self.flush.lock();
        let end = self.durable();
        let Some(active) = flush.active.back().filter(|a| a.stage == Stage::Copied) else {
            return Ok(());
        };
        let Some(segment) = self.table.get(active.header.segment) else {
            return Ok(());
        };
        // CRASH: old, new or torn slot. With the old one the end is found by reading, as
        // after a crash; all of the log is durable either way.
        self.write_header(&SegmentHeader {
            generation: segment.generation.fetch_add(1, Relaxed) + 1,
            horizon: end,
            ..active.header
        })?;
        self.medium
            .sync_device(self.medium.segment_place(active.header.segment).0)
    }

    /// Whether nothing of the segment's present use remains to be written.
    pub(super) fn is_written(&self, segment: u64) -> bool {
        self.flush
            .lock()
            .active
            .iter()
            .all(|a| a.header.segment != segment)
    }

    /// Forgets segments that are on the device, and lets go of those there is no room for.
    fn retire_written(&self, flush: &mut Flush) {
        let mut resident = self.resident.lock();
        for active in &mut flush.active {
            if active.is_written()
                && let Some(buffer) = active.buffer.take()
            {
                resident.now_written(active.header.segment, &buffer);
            }
        }
        // What is left of the others is only the copy of a header.
        flush
            .active
            .retain(|a| a.buffer.is_some() || a.stage != Stage::Copied);
        self.let_go(&mut resident);
    }
}
