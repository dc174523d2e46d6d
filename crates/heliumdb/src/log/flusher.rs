//! The flusher: what was appended is written and synced here. Group commit: many threads' commits share one write
//! and one sync.
//!
//! Invariant: `durable` only passes a position after everything below it was written and
//! the devices it lies on were synced. A block is written again only while nothing in it
//! was acknowledged.

use super::{buffer::SegmentBuffer, core::Log, group::Group};
use crate::{
    Error, ErrorKind, Result,
    format::{SEGMENT_HEADER_BYTES, segment::SegmentHeader},
    limits::BLOCK_BYTES,
    location::Lsn,
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::*},
    },
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

/// Who writes what was appended, and makes it durable: one thread at a time, for all that wait.
pub(crate) struct Flusher {
    /// Held for as long as it writes: the appender's lock is taken under it, and not the other way round.
    work: Mutex<Work>,
    group: Arc<Group>,
    /// Segments that may wait to be written before whoever appends writes them.
    waiting_most: usize,
    /// A device had no room for what was to be written last: it is in memory, and there is to be no more of it.
    is_blocked: AtomicBool,
    /// Syncs asked for since the last segment was written ahead: whether that pays.
    syncs_lately: AtomicU64,
}

/// What there is to do.
#[derive(Default)]
struct Work {
    active: VecDeque<Active>,
    /// Bit per device written since its last sync.
    dirty: u64,
}

impl Flusher {
    /// With a thread that writes in the background there may be as many segments waiting as half of the memory for
    /// them holds.
    pub(super) fn new(group: Arc<Group>, segments_in_memory: Option<usize>) -> Self {
        Self {
            work: Mutex::default(),
            group,
            waiting_most: segments_in_memory.map_or(2, |segments| (segments / 2).max(2)),
            is_blocked: AtomicBool::new(false),
            syncs_lately: AtomicU64::new(0),
        }
    }

    /// Whether what is in memory waits for room on a device.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Relaxed)
    }

    /// Whether commits have been synced since a segment was last written ahead.
    pub(super) fn has_synced_lately(&self) -> bool {
        self.syncs_lately.load(Relaxed) > 0
    }

    /// A segment is written ahead.
    pub(super) fn forget_syncs(&self) {
        self.syncs_lately.store(0, Relaxed);
    }

    /// Whether nothing of the segment's present use remains to be written.
    pub(super) fn is_written(&self, segment: u64) -> bool {
        let work = self.work.lock();
        work.active.iter().all(|a| a.header.segment != segment)
    }
}

impl Log {
    /// Returns when everything appended before `lsn` is durable.
    pub(crate) fn sync_to(&self, lsn: Lsn) -> Result<()> {
        // Nothing behind the end could ever become durable by waiting.
        let lsn = lsn.min(self.reach.end());
        if self.reach.durable() >= lsn {
            return Ok(());
        }
        let done = || {
            if self.reach.durable() >= lsn {
                return Ok(true);
            }
            self.health.check_writable().map(|()| false)
        };
        let joined = || self.flusher.group.join(done, || self.flush(true));
        self.medium.commits().of(joined)
    }

    /// Keeps the memory of unwritten segments bounded: wakes the background thread early,
    /// and writes here when that does not keep up.
    pub(super) fn relieve(&self, waiting: usize) -> Result<()> {
        if waiting >= self.flusher.waiting_most {
            self.flush(false)?;
        }
        Ok(())
    }

    /// Writes what was appended; with `sync`, all of it, and makes it durable.
    pub(super) fn flush(&self, sync: bool) -> Result<()> {
        let mut work = self.flusher.work.lock();
        self.health.check_writable()?;
        self.medium.check_opener(false)?;
        let (target, opened) = self.cut(sync);
        work.active.extend(opened);
        let mut dirty = work.dirty;
        let result = work.active.iter_mut().try_for_each(|active| {
            dirty |= 1 << self.medium.segment_place(active.header.segment).0;
            self.write_active(active)
        });
        work.dirty |= dirty;
        let is_full = |why: &Error| why.kind() == ErrorKind::VolumeFull;
        let is_blocked = result.as_ref().is_err_and(is_full);
        self.flusher.is_blocked.store(is_blocked, Relaxed);
        result?;
        if sync {
            self.sync_dirty(&mut work)?;
            self.reach.durable_to(target);
            self.flusher.syncs_lately.fetch_add(1, Relaxed);
        }
        self.retire_written(&mut work);
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

    fn sync_dirty(&self, work: &mut Work) -> Result<()> {
        for device in (0..self.medium.devices().len()).filter(|d| work.dirty >> d & 1 == 1) {
            self.medium.sync_device(device)?;
        }
        work.dirty = 0;
        for active in work.active.iter_mut().filter(|a| a.stage == Stage::Written) {
            active.stage = Stage::Durable;
        }
        Ok(())
    }

    /// Says in the header of the segment being filled how far the log goes: from then on, all
    /// below is known to have been durable, and nothing was written behind it.
    pub(super) fn mark_end(&self) -> Result<()> {
        let work = self.flusher.work.lock();
        let end = self.reach.durable();
        let Some(active) = work.active.back().filter(|a| a.stage == Stage::Copied) else {
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

    /// Forgets segments that are on the device, and lets go of those there is no room for.
    fn retire_written(&self, work: &mut Work) {
        let written = work.active.iter_mut().filter(|active| active.is_written());
        let written =
            written.filter_map(|active| Some((active.header.segment, active.buffer.take()?)));
        self.residency.now_written(written, &self.table);
        // What is left of the others is only the copy of a header.
        work.active
            .retain(|a| a.buffer.is_some() || a.stage != Stage::Copied);
    }
}
