//! What a checkpoint keeps of the log, so that recovery need not read it all again.
//!
//! Invariant: a state that was taken at some time and then told of everything in the log from an
//! earlier position on, again where it knows of it, is the state of now. Segments are named by
//! sequence, so that what is said of an earlier use is dropped.

use super::{core::Log, segments::Appender};
use crate::{
    Result,
    format::{
        name::GlobalTxn,
        superblock::{Checkpoint, Start, Superblock},
    },
    location::{Location, Lsn},
};
use std::sync::atomic::{AtomicU64, Ordering::*};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct LogState {
    pub(crate) segments: Vec<SegmentState>,
    /// Pairs of sequences: of a segment, and of one with records that speak of it.
    pub(crate) homes: Vec<(u64, u64)>,
    /// Batches in several segments, with their sequences.
    pub(crate) spans: Vec<(u64, Vec<u64>)>,
    /// Prepared batches without a resolve record.
    pub(crate) prepared: Vec<(GlobalTxn, u64)>,
    /// Long values: address of the item, places of the pieces.
    pub(crate) chunks: Vec<(u64, Vec<Location>)>,
}

/// Figures of one segment that only its items tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentState {
    pub(crate) sequence: u64,
    pub(crate) filled: u64,
    pub(crate) again: u64,
    pub(crate) spare: u64,
    pub(crate) tombstones: u64,
    pub(crate) max_tombstone: u64,
    pub(crate) max_overtaking: u64,
    pub(crate) min_placed: u64,
    pub(crate) indirect: bool,
    pub(crate) outcomes: bool,
}

/// Where replay would start now.
pub(super) struct ReplayStart(AtomicU64);

impl ReplayStart {
    /// As this superblock says; `u64::MAX` without a checkpoint.
    pub(super) fn of(superblock: &Superblock) -> Self {
        let start = superblock.checkpoint.map_or(u64::MAX, |c| c.start.at);
        Self(AtomicU64::new(start))
    }

    pub(super) fn start(&self) -> Lsn {
        self.0.load(Acquire)
    }

    /// A checkpoint that starts here is begun: if there is none so far, nothing was kept for one.
    fn keep_from(&self, start: Lsn) {
        let _ = (self.0).compare_exchange(u64::MAX, start, AcqRel, Acquire);
    }

    /// A checkpoint that starts here is durable.
    fn begins_at(&self, start: Lsn) {
        self.0.store(start, Release);
    }
}

impl Log {
    /// The log's end, where a batch ends: [`Reach::end`](super::reach::Reach::end) may be read within one.
    pub(crate) fn end_of_batch(&self) -> Start {
        self.start_at(&self.appender.lock())
    }

    fn start_at(&self, appender: &Appender) -> Start {
        let resting = appender.resting.and_then(|resting| resting.last);
        let at = self.position(appender);
        let chain = match (&appender.current, resting) {
            // The segment is full: the next one's header says what its first frame follows.
            _ if at.is_multiple_of(self.medium.segment_bytes()) => 0,
            (Some(_), _) => appender.chain,
            (None, Some(last)) => last.chain,
            (None, None) => 0,
        };
        Start {
            at,
            chain,
            epoch: self.reach.epoch(),
        }
    }

    /// Where replay on top of a checkpoint that begins now has to start: at the log's end, or where
    /// something lies that was spilled and is not committed, because its commit only names it.
    /// From here on segments are kept as that checkpoint will need them.
    pub(crate) fn begin_checkpoint(&self) -> Start {
        let start = {
            let appender = self.appender.lock();
            let spilled = self.ledger.lock().oldest_spill();
            let end = self.start_at(&appender);
            match spilled.map(|sequence| sequence * self.medium.segment_bytes()) {
                Some(at) if at < end.at => Start {
                    at,
                    ..Start::default()
                },
                _ => end,
            }
        };
        self.replay.keep_from(start.at);
        start
    }

    /// Up to where replay would be spared by a checkpoint that began now.
    pub(crate) fn replay_spared(&self) -> Lsn {
        let spilled = self.ledger.lock().oldest_spill();
        let spilled = spilled.map_or(u64::MAX, |sequence| sequence * self.medium.segment_bytes());
        self.reach.written_end().min(spilled)
    }

    /// How many threads may work on recovery at once.
    pub(crate) fn helpers(&self) -> usize {
        self.helpers.count()
    }

    /// Where replay would start now; `u64::MAX` if there is no checkpoint.
    pub(crate) fn checkpointed(&self) -> Lsn {
        self.replay.start()
    }

    /// The checkpoint that the superblock names.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        self.superblocks.checkpoint()
    }

    /// Makes a checkpoint, all of which is durable, the one that recovery starts from.
    pub(crate) fn note_checkpoint(&self, checkpoint: Checkpoint) -> Result<()> {
        // Twice, for both copies: a copy that is destroyed later must not lead to a checkpoint
        // some of whose pages are gone, or of whose log some segments are.
        // CRASH: the one before or this one; nothing of either has been freed yet.
        self.superblocks.update_twice(&self.medium, |next| {
            next.checkpoint = Some(checkpoint);
        })?;
        self.replay.begins_at(checkpoint.start.at);
        self.nudge();
        Ok(())
    }

    /// The state of now.
    pub(crate) fn state(&self) -> LogState {
        let ledger = self.ledger.lock();
        let segments = ledger.in_use.iter().filter_map(|(&sequence, &id)| {
            let segment = self.table.get(id)?;
            Some(SegmentState {
                sequence,
                filled: segment.filled.load(Acquire),
                again: segment.again.load(Acquire),
                spare: segment.spare.load(Acquire),
                tombstones: segment.tombstones.load(Acquire),
                max_tombstone: segment.max_tombstone.load(Acquire),
                max_overtaking: segment.max_overtaking.load(Acquire),
                min_placed: segment.min_placed.load(Acquire),
                indirect: segment.indirect.load(Acquire),
                outcomes: segment.outcomes.load(Acquire),
            })
        });
        let mut state = LogState {
            segments: segments.collect(),
            ..LogState::default()
        };
        ledger.save(&mut state);
        state
    }

    /// Takes over a state, once the segments in use have been entered.
    pub(super) fn restore(&self, state: &LogState) {
        let mut ledger = self.ledger.lock();
        for saved in &state.segments {
            let id = ledger.in_use.get(&saved.sequence);
            let Some(segment) = id.and_then(|&id| self.table.get(id)) else {
                continue;
            };
            segment.filled.store(saved.filled, Relaxed);
            segment.again.store(saved.again, Relaxed);
            segment.spare.store(saved.spare, Relaxed);
            segment.tombstones.store(saved.tombstones, Relaxed);
            segment.max_tombstone.store(saved.max_tombstone, Relaxed);
            segment.max_overtaking.store(saved.max_overtaking, Relaxed);
            segment.min_placed.store(saved.min_placed, Relaxed);
            segment.indirect.store(saved.indirect, Relaxed);
            segment.outcomes.store(saved.outcomes, Relaxed);
        }
        ledger.load(state);
    }
}
