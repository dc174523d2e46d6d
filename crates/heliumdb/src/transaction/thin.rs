//! Passes over all chains, for versions in them that nobody needs.
//!
//! Whoever makes a chain longer trims it when it has twice as many versions as the last trim has left, and it settles
//! when everyone sees what founded it. Until then it may keep versions that came between two snapshots, or that only
//! snapshots needed that are gone. What they say is in the log, counts as live there, and would be moved by the
//! cleaner as if somebody needed it.
//!
//! Invariant: a pass is due when a snapshot has gone that the one before knew of, and that saw something else than is
//! seen now, or versions take a quarter more than it has left. So what nobody needs stays for a pass, and no pass is
//! without a reason.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::settle::Unsettled;
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
    /// What versions took when it was over.
    bytes: u64,
    ended: Option<(Instant, Duration)>,
}

struct Pass {
    began: Instant,
    chunks: usize,
}

impl State {
    fn is_due(&self, readers: &Readers, bytes: u64) -> bool {
        let now = readers.snapshots.as_deref().unwrap_or_default();
        // One that saw what is seen now has needed nothing that does not stay.
        let is_gone = |known: &TxnSnapshot| !now.iter().any(|snapshot| **snapshot == *known);
        bytes > self.bytes + self.bytes / MORE_PART || self.known.iter().any(is_gone)
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
                let chunks = self.chunks();
                let is_known = readers.snapshots.is_some() && chunks > 0;
                if !is_known
                    || !state.is_due(readers, self.bytes())
                    || state.ended.is_some_and(is_resting)
                {
                    return false;
                }
                state.known = in_use(readers);
                Pass {
                    began: clock.now(),
                    chunks,
                }
            }
        };
        let chunks = pass.chunks.min(STEP_CHUNKS);
        pass.chunks -= chunks;
        self.thin_chunks(chunks, readers, log);
        if pass.chunks > 0 {
            state.now = Some(pass);
            return true;
        }
        state.bytes = self.bytes();
        state.ended = Some((clock.now(), clock.since(pass.began)));
        true
    }

    /// Whether a pass, under way or due, may find something.
    pub(crate) fn may_thin(&self, readers: &Readers) -> bool {
        let state = self.passes.0.lock();
        let is_due = || self.chunks() > 0 && state.is_due(readers, self.bytes());
        state.now.is_some() || is_due()
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
