//! The gate: who is between appending to the log and showing that in the index.
//!
//! A checkpoint that takes the log's end as its start has to know when everything below it
//! is in the index. Invariant: whoever appends something that the index will show enters
//! before the append and leaves after the index shows it, or after it is certain that it
//! never will. [`Gate::drain`] returns when all are gone who were in when it was called;
//! who comes later does not hold it up. So whoever forbids something, and then drains, knows that
//! nobody does it any more who asked inside whether it is allowed. Nobody waits for room in the log while inside: room
//! may come from a checkpoint only.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::threads;

pub(super) const SHARDS: usize = 16;
/// How often a drain looks again, once it has to wait for more than a moment.
const PAUSE: Duration = Duration::from_micros(100);

/// Counts those inside, by phase: see the module.
#[derive(Default)]
pub(crate) struct Gate {
    /// Its lowest bit says which counters take in who enters now.
    phase: CachePadded<AtomicU64>,
    shards: [CachePadded<[AtomicU64; 2]>; SHARDS],
    /// Held by the drain that goes on.
    draining: Mutex<()>,
    /// Items of those inside that have more than one.
    more: AtomicU64,
}

/// Where someone inside was counted: to be given back to [`Gate::leave`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ticket {
    shard: u8,
    phase: u8,
}

/// Inside until dropped.
pub(crate) struct Inside<'a> {
    gate: &'a Gate,
    ticket: Ticket,
    more: u64,
}

impl Gate {
    /// Enters until the returned value is dropped.
    pub(crate) fn enter(&self) -> Inside<'_> {
        Inside {
            gate: self,
            ticket: self.take_ticket(),
            more: 0,
        }
    }

    /// The same for somebody who appends so many items before the index shows any of them.
    pub(crate) fn enter_with(&self, items: u64) -> Inside<'_> {
        let more = items.saturating_sub(1);
        if more > 0 {
            self.more.fetch_add(more, Ordering::SeqCst);
        }
        Inside {
            gate: self,
            ticket: self.take_ticket(),
            more,
        }
    }

    /// So many items, at most, have been appended and are not in the index yet. (Transactions have theirs in the index
    /// before they append them.)
    pub(crate) fn items_between(&self) -> u64 {
        let counters = self.shards.iter().flat_map(|shard| &**shard);
        let inside: u64 = counters.map(|c| c.load(Ordering::SeqCst)).sum();
        inside + self.more.load(Ordering::SeqCst)
    }

    /// Enters; [`Gate::leave`] ends that.
    pub(crate) fn take_ticket(&self) -> Ticket {
        let shard = threads::number() % SHARDS;
        loop {
            let phase = self.phase.load(Ordering::SeqCst);
            let counter = &self.shards[shard][(phase & 1) as usize];
            counter.fetch_add(1, Ordering::SeqCst);
            // The drain announces itself before it looks: if it has, this one is too late
            // for the counter, which may be the one that is being waited for.
            if self.phase.load(Ordering::SeqCst) == phase {
                return Ticket {
                    shard: shard as u8,
                    phase: (phase & 1) as u8,
                };
            }
            counter.fetch_sub(1, Ordering::SeqCst);
        }
    }

    pub(crate) fn leave(&self, ticket: Ticket) {
        let counter = &self.shards[usize::from(ticket.shard)][usize::from(ticket.phase)];
        counter.fetch_sub(1, Ordering::SeqCst);
    }

    /// Waits until everybody has left who is in now, the caller not among them. False if `give_up`
    /// said so before.
    pub(crate) fn drain(&self, give_up: impl Fn() -> bool) -> bool {
        let _one_at_a_time = self.draining.lock();
        let now = (self.phase.load(Ordering::SeqCst) & 1) as usize;
        // Those that an earlier drain gave up on: nobody new is counted with them.
        if !self.wait(1 - now, &give_up) {
            return false;
        }
        self.phase.fetch_add(1, Ordering::SeqCst);
        self.wait(now, &give_up)
    }

    fn wait(&self, phase: usize, give_up: &impl Fn() -> bool) -> bool {
        let mut turn = 0;
        loop {
            let shards = self.shards.iter();
            let inside: u64 = shards.map(|s| s[phase].load(Ordering::SeqCst)).sum();
            if inside == 0 {
                return true;
            }
            if give_up() {
                return false;
            }
            turn += 1;
            if turn < 16 {
                std::thread::yield_now();
            } else {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // Single writes leave what all threads share alone.
        if self.more > 0 {
            self.gate.more.fetch_sub(self.more, Ordering::SeqCst);
        }
        self.gate.leave(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_drain_waits_for_those_inside_and_for_nobody_else() {
        let gate = Gate::default();
        assert!(gate.drain(|| false), "nobody is in");
        let inside = gate.enter();
        assert!(!gate.drain(|| true), "one is in");
        // The one who was given up on is waited for by the next drain.
        assert!(!gate.drain(|| true), "one is still in");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(gate.drain(|| false));
                done.store(true, Ordering::SeqCst);
            });
            // Entering again and again does not hold it up, nor lets it pass too early.
            for _ in 0..1000 {
                drop(gate.enter());
            }
            assert!(!done.load(Ordering::SeqCst), "the first is still in");
            drop(inside);
        });
        let later = gate.take_ticket();
        gate.leave(later);
        assert!(gate.drain(|| true));
    }
}
