//! Work that nobody waits for: writing what filled up, writing ahead, freeing what is dead.
//!
//! Invariant: a segment is free only after a slot that says so is durable, after what
//! superseded its items is durable, and after every reader that might hold a place in it is gone.

use super::{
    core::Log,
    table::{FREE, LEAVING, SEALED},
};
use crate::{
    Error, ErrorKind, Result,
    format::{
        SEGMENT_HEADER_BYTES,
        segment::{SegmentHeader, State},
    },
    threads,
};
use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering::*},
    thread::JoinHandle,
    time::Duration,
};

const ZEROS: usize = 1 << 20;
/// A lost wake-up costs no more than this.
const PAUSE: Duration = Duration::from_millis(100);
/// Readers of freed segments are soon gone, and somebody may be waiting for the room.
const PAUSE_WHILE_LEAVING: Duration = Duration::from_millis(1);

impl Log {
    /// One step of background work; true if something was done.
    pub(crate) fn background_step(self: &Arc<Self>) -> Result<bool> {
        self.health.check_writable()?;
        self.medium.check_opener(false)?;
        let mut worked = false;
        if !self.appender.lock().opened.is_empty() {
            self.flush(false)?;
            worked = true;
        }
        worked |= self.keep_blocks()?;
        worked |= self.write_ahead()?;
        worked |= self.free_dead()?;
        worked |= self.trim()?;
        // Lets readers' epochs pass, so that what was freed can be used.
        crossbeam_epoch::pin().flush();
        Ok(worked)
    }

    pub(super) fn nudge(&self) {
        self.helpers.nudge();
    }

    /// Keeps one segment ready whose use changes no metadata of the file, while commits are synced.
    fn write_ahead(&self) -> Result<bool> {
        if !self.flusher.has_synced_lately() || self.is_young(0) {
            return Ok(false);
        }
        let next = {
            let mut space = self.space.lock();
            match space.ready.is_empty() {
                true => space.take_unwritten(),
                false => None,
            }
        };
        let Some((id, is_solid)) = next else {
            return Ok(false);
        };
        self.flusher.forget_syncs();
        self.make_ready(id, is_solid)?;
        Ok(true)
    }

    /// Writes zeros over a free segment and syncs them.
    pub(super) fn make_ready(&self, id: u64, is_solid: bool) -> Result<()> {
        let written = self.table.get(id).is_some_and(|s| s.written.load(Relaxed));
        if !written {
            let result = self.head(id).and_then(|()| self.write_zeros(id));
            if let Err(e) = result {
                let mut space = self.space.lock();
                match is_solid {
                    true => space.raw.insert(id),
                    false => space.hollow.insert(id),
                };
                // No room for it now: it stays what it is, and whoever needs it hears of it.
                return if e.kind() == ErrorKind::VolumeFull {
                    Ok(())
                } else {
                    Err(e)
                };
            }
            self.medium.sync_device(self.medium.segment_place(id).0)?;
        }
        self.space.lock().ready.insert(id);
        Ok(())
    }

    /// Writes zeros over all of a free segment but its header.
    pub(super) fn write_zeros(&self, id: u64) -> Result<()> {
        self.write_zeros_from(id, SEGMENT_HEADER_BYTES)
    }

    /// Writes zeros from byte `at` of a segment to its end.
    pub(super) fn write_zeros_from(&self, id: u64, at: usize) -> Result<()> {
        let (device, start) = self.medium.segment_place(id);
        let zeros = vec![0; ZEROS];
        let mut at = at as u64;
        while at < self.medium.segment_bytes() {
            let n = (self.medium.segment_bytes() - at).min(ZEROS as u64);
            // CRASH: a segment with some zeros where no log is: its header says what it is.
            let zeros = &zeros[..n as usize];
            self.medium
                .write("write ahead on", device, start + at, zeros)?;
            at += n;
        }
        if let Some(segment) = self.table.get(id) {
            segment.punched.store(false, Relaxed);
            segment.written.store(true, Relaxed);
        }
        Ok(())
    }

    /// Frees all that can be freed now.
    pub(crate) fn free_now(self: &Arc<Self>) -> Result<()> {
        while self.free_dead()? {}
        Ok(())
    }

    fn free_dead(self: &Arc<Self>) -> Result<bool> {
        let Some(_alone) = self.freeing.alone() else {
            return Ok(false);
        };
        let dead = self.dead_segments();
        if dead.is_empty() {
            return Ok(false);
        }
        // What superseded the items in them must not be lost when they are gone.
        self.sync_to(self.reach.end())?;
        // Once more for the copies of headers, which follow the first sync.
        for _ in 0..2 {
            if dead.iter().any(|(_, id)| !self.flusher.is_written(*id)) {
                self.flush(true)?;
            }
        }
        let written = dead
            .into_iter()
            .filter(|(_, id)| self.flusher.is_written(*id));
        let written: Vec<_> = written.collect();
        self.free(&written)?;
        Ok(!written.is_empty())
    }

    /// Whether a segment can go as things are.
    pub(crate) fn has_dead(&self) -> bool {
        !self.dead_segments().is_empty()
    }

    /// Sealed segments that nothing needs: sequence and id.
    fn dead_segments(&self) -> Vec<(u64, u64)> {
        if !self.freeing.is_live_known() {
            return Vec::new();
        }
        let ledger = self.ledger.lock();
        let entries: Vec<_> = ledger
            .in_use
            .iter()
            .filter_map(|(&sequence, &id)| Some((sequence, id, self.table.get(id)?)))
            .collect();
        // The two oldest items: of a segment's others, one of them is the oldest.
        let mut oldest = [(u64::MAX, u64::MAX); 2];
        for (_, id, segment) in &entries {
            let entry = (segment.min_placed.load(Acquire), *id);
            if entry < oldest[0] {
                oldest = [entry, oldest[0]];
            } else if entry < oldest[1] {
                oldest[1] = entry;
            }
        }
        let mut dead = Vec::new();
        for (sequence, id, segment) in entries {
            let others = if oldest[0].1 == id {
                oldest[1].0
            } else {
                oldest[0].0
            };
            if segment.state.load(Acquire) == SEALED
                && segment.live.load(Acquire) == 0
                && !self.needs_tombstones(segment, others)
                && !self.awaits_checkpoint(segment, sequence)
                && !ledger.is_pinned(id, sequence, self.medium.segment_bytes())
            {
                dead.push((sequence, id));
            }
        }
        dead
    }

    /// Frees segments: sequence and id.
    fn free(self: &Arc<Self>, dead: &[(u64, u64)]) -> Result<()> {
        let headers = dead.iter().filter_map(|&(sequence, id)| {
            let segment = self.table.get(id)?;
            let generation = segment.generation.fetch_add(2, Relaxed) + 1;
            Some(self.free_header(id, sequence, segment.epoch.load(Relaxed), generation))
        });
        self.write_free(&headers.collect::<Vec<_>>())?;
        dead.iter()
            .for_each(|&(sequence, id)| self.let_leave(id, sequence));
        Ok(())
    }

    /// The segment is free as soon as its readers are gone.
    fn let_leave(self: &Arc<Self>, id: u64, sequence: u64) {
        let Some(segment) = self.table.get(id) else {
            return;
        };
        // First: who looks for room to come finds it as one that is in use, or that leaves, or sees
        // `readmitted` change.
        self.freeing.begins_to_leave();
        self.ledger.lock().freed(id, sequence);
        segment.state.store(LEAVING, Release);
        self.residency.no_more(id, &self.table);
        let core = Arc::downgrade(self);
        let guard = crossbeam_epoch::pin();
        guard.defer(move || {
            if let Some(core) = core.upgrade() {
                core.readmit(id);
            }
        });
        guard.flush();
    }

    /// Every reader that might have held a place in it is gone.
    fn readmit(&self, id: u64) {
        let Some(segment) = self.table.get(id) else {
            return;
        };
        segment.state.store(FREE, Release);
        let written = segment.written.load(Relaxed);
        self.space.lock().admit(id, written);
        self.freeing.has_left();
        self.space.is_roomier();
    }

    /// What says that a segment holds nothing.
    pub(super) fn free_header(
        &self,
        id: u64,
        sequence: u64,
        epoch: u64,
        generation: u64,
    ) -> SegmentHeader {
        SegmentHeader {
            state: State::Free,
            generation,
            volume: self.medium.volume_id(),
            segment: id,
            sequence,
            epoch,
            chain: 0,
            end: 0,
            horizon: self.reach.durable(),
            written: self.table.get(id).is_some_and(|s| s.written.load(Relaxed)),
        }
    }

    /// Makes it durable that these segments hold nothing.
    pub(super) fn write_free(&self, headers: &[SegmentHeader]) -> Result<()> {
        let devices: BTreeSet<usize> = headers
            .iter()
            .map(|header| self.medium.segment_place(header.segment).0)
            .collect();
        let sync = || {
            devices
                .iter()
                .try_for_each(|&device| self.medium.sync_device(device))
        };
        // CRASH: in use in both slots, or free in the newer: either is right for each of them, as nothing
        // in these segments is live. None is written to before the sync.
        headers
            .iter()
            .try_for_each(|header| self.write_header(header))?;
        sync()?;
        // CRASH: this slot torn, the other one free and durable. Synced as well, because whoever
        // uses the segment next writes the other one.
        headers.iter().try_for_each(|header| {
            self.write_header(&SegmentHeader {
                generation: header.generation + 1,
                ..*header
            })
        })?;
        sync()
    }
}

/// The thread that takes background steps.
pub(super) fn spawn(core: &Arc<Log>) -> Result<Option<JoinHandle<()>>> {
    if !core.helpers.has_thread() {
        return Ok(None);
    }
    let core = Arc::clone(core);
    let work = move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&core)));
        if result.is_err() {
            core.health.poison(Error::new(
                ErrorKind::Poisoned,
                "the log's background thread panicked",
            ));
        }
    };
    threads::start("helium-log", work)
        .map(Some)
        .map_err(|e| Error::io("start the log's background thread", e))
}

thread_local! {
    /// Whose thread this is: where that log is.
    static WORKER_OF: Cell<usize> = const { Cell::new(0) };
}

/// Whether this is the thread of that log.
pub(super) fn is_worker_of(core: &Arc<Log>) -> bool {
    let working_for = WORKER_OF.try_with(Cell::get).unwrap_or(0);
    working_for == Arc::as_ptr(core).addr()
}

fn run(core: &Arc<Log>) {
    WORKER_OF.set(Arc::as_ptr(core).addr());
    loop {
        let worked = match core.background_step() {
            Ok(worked) => worked,
            // The volume is poisoned, or full: appends say so.
            Err(e) if e.kind() == ErrorKind::VolumeFull => false,
            Err(_) => return,
        };
        let leaving = core.freeing.leaving() > 0;
        let pause = if leaving { PAUSE_WHILE_LEAVING } else { PAUSE };
        if !core.helpers.rest((!worked).then_some(pause)) {
            return;
        }
    }
}
