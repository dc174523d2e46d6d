//! Passes over all chains, for versions in them that nobody needs.
//!
//! Whoever makes a chain longer trims it when it has twice as many versions as the last trim has left, and it settles
//! when everyone sees what founded it. Until then it may keep versions that came between two snapshots, or that only
//! snapshots needed that are gone. What they say is in the log, counts as live there, and would be moved by the
//! cleaner as if somebody needed it.
//!
//! Invariant: a pass is due when a snapshot has gone that the one before knew of, and that saw something else than is
//! seen now, or versions take a quarter more than it has left. So what nobody needs stays for a pass, and no pass is
//! without a reason. Who finds no room, and nothing else that makes any, asks for one as soon as the next could find
//! anything that the last did not: something was written since that began, such a snapshot has gone, or others, who knew
//! less of that, had chains in hand that they have put behind those that it has looked through. (A snapshot that came
//! since, and is gone, saw what is seen now, or something was written.) So nobody is refused for what nobody needs, and
//! nobody waits for a pass that finds nothing.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Unsettled;
use crate::{
    clock::Clock,
    log::Log,
    version::{Readers, TxnSnapshot},
};

/// Chunks of chains that are looked through in one step.
const STEP_CHUNKS: usize = 32;
/// Versions may come to take more by this part before all chains are looked through again.
const MORE_PART: u64 = 4;

/// How much time passes may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// Nobody needs room: a small part.
    None,
    /// It gets short: a larger part.
    Some,
    /// There is none: as much as they need.
    All,
}

impl Haste {
    /// After a pass that took so long.
    fn rest(self, took: Duration) -> Duration {
        match self {
            Self::None => took * 32,
            Self::Some => took * 4,
            Self::All => Duration::ZERO,
        }
    }
}

/// The pass that is under way, and what the last one has left.
#[derive(Default)]
pub(super) struct Passes(Mutex<State>);

#[derive(Default)]
struct State {
    now: Option<Pass>,
    /// The snapshots that were in use when the last one began.
    known: Vec<TxnSnapshot>,
    /// How much had been written by then.
    wrote: u64,
    /// It may have missed some chains: others had them, whom it has passed by.
    has_missed: bool,
    /// Somebody waits for the next one.
    is_wanted: bool,
    /// What versions took when it was over.
    bytes: u64,
    ended: Option<(Instant, Duration)>,
}

struct Pass {
    began: Instant,
    chunks: usize,
    /// How many chains had come back to the queue from others when it began.
    came_back: u64,
}

impl State {
    fn is_due(&self, readers: &Readers, bytes: u64) -> bool {
        self.is_wanted || bytes > self.bytes + self.bytes / MORE_PART || self.has_one_gone(readers)
    }

    /// Whether the next one could find what the last did not.
    fn may_find(&self, readers: &Readers) -> bool {
        self.wrote != readers.wrote || self.has_missed || self.has_one_gone(readers)
    }

    fn has_one_gone(&self, readers: &Readers) -> bool {
        let now = readers.snapshots.as_deref().unwrap_or_default();
        // One that saw what is seen now has needed nothing that does not stay.
        let is_gone = |known: &TxnSnapshot| !now.iter().any(|snapshot| **snapshot == *known);
        self.known.iter().any(is_gone)
    }
}

impl Unsettled {
    /// A step of a pass, if one is due; true if something was done. Where it is not known which snapshots there are
    /// nothing ever is.
    pub(crate) fn thin(&self, readers: &Readers, haste: Haste, clock: &Clock, log: &Log) -> bool {
        let mut state = self.passes.0.lock();
        let state = &mut *state;
        let mut pass = match state.now.take() {
            Some(pass) => pass,
            None => {
                let is_resting =
                    |(at, took): (Instant, Duration)| clock.since(at) < haste.rest(took);
                let (came_back, chunks) = (self.came_back(), self.chunks());
                let is_known = readers.snapshots.is_some() && chunks > 0;
                if !is_known
                    || !state.is_due(readers, self.bytes())
                    || !state.is_wanted && state.ended.is_some_and(is_resting)
                {
                    return false;
                }
                state.known = in_use(readers);
                state.wrote = readers.wrote;
                state.is_wanted = false;
                Pass {
                    began: clock.now(),
                    chunks,
                    came_back,
                }
            }
        };
        let chunks = pass.chunks.min(STEP_CHUNKS);
        pass.chunks -= self.thin_chunks(chunks, readers, log);
        if pass.chunks > 0 {
            state.now = Some(pass);
            return true;
        }
        state.has_missed = self.has_come_back_since(pass.came_back);
        state.bytes = self.bytes();
        state.ended = Some((clock.now(), clock.since(pass.began)));
        true
    }

    /// Somebody needs what a pass may find; false if there is none under way, and the next one would find nothing.
    pub(crate) fn want_pass(&self, readers: &Readers) -> bool {
        let mut state = self.passes.0.lock();
        state.is_wanted = self.has_any() && state.may_find(readers);
        state.now.is_some() || state.is_wanted
    }
}

/// The snapshots in use: the last one is of now. Copies, as others count who has one.
fn in_use(readers: &Readers) -> Vec<TxnSnapshot> {
    let snapshots = readers.snapshots.as_deref().unwrap_or_default();
    let in_use = snapshots.iter().rev().skip(1);
    in_use
        .map(|snapshot| TxnSnapshot::clone(snapshot))
        .collect()
}
