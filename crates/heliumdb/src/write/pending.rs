//! Who may still log something, and the lowest sequence number that any of them may give it.
//!
//! Invariant: a writer says that it is open before it takes its first sequence number, with one that is
//! not above it, until nothing of it can be logged any more. So what is lower than [`Writers::lowest`]
//! says is in the log, or never comes: whenever that is asked, and whoever is open meanwhile.
//!
//! Threads use lines of memory of their own: a writer that opens touches none that others write.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::*},
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::gate::SHARDS;
use crate::threads;

/// Writers that a line has room for, beside its counter.
const PLACES: usize = 15;

/// The open writers of a volume.
#[derive(Default)]
pub(crate) struct Writers {
    lines: [CachePadded<Line>; SHARDS],
    /// Those there was no place for, by what they said.
    more: Mutex<BTreeMap<u64, usize>>,
    more_ended: AtomicU64,
}

#[derive(Default)]
struct Line {
    /// What each of them said, and one; zero if the place is free.
    open: [AtomicU64; PLACES],
    ended: AtomicU64,
}

/// Where a writer is noted: to be given back to [`Writers::close`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Open {
    At(u8, u8),
    More(u64),
}

impl Writers {
    /// A writer opens; it has no number below `next`.
    pub(crate) fn open(&self, next: u64) -> Open {
        let line = threads::number() % SHARDS;
        for (place, open) in self.lines[line].open.iter().enumerate() {
            let is_free = open.load(Relaxed) == 0;
            if is_free && open.compare_exchange(0, next + 1, SeqCst, Relaxed).is_ok() {
                return Open::At(line as u8, place as u8);
            }
        }
        *self.more.lock().entry(next).or_default() += 1;
        Open::More(next)
    }

    /// Nothing more of it is logged.
    pub(crate) fn close(&self, open: Open) {
        match open {
            Open::At(line, place) => {
                let line = &self.lines[usize::from(line)];
                line.open[usize::from(place)].store(0, Release);
                line.ended.fetch_add(1, Release);
            }
            Open::More(next) => {
                let mut more = self.more.lock();
                if let Some(count) = more.get_mut(&next) {
                    *count -= 1;
                    if *count == 0 {
                        more.remove(&next);
                    }
                }
                self.more_ended.fetch_add(1, Release);
            }
        }
    }

    /// No number below this is logged any more; `next` is the one that is given next, and was read
    /// before this is called: who opens later has none below it.
    pub(crate) fn lowest(&self, next: u64) -> u64 {
        let places = self.lines.iter().flat_map(|line| &line.open);
        let said = places.filter_map(|open| open.load(SeqCst).checked_sub(1));
        let more = self.more.lock().keys().next().copied();
        said.chain(more).fold(next, u64::min)
    }

    /// How many have closed, so far.
    pub(crate) fn ended(&self) -> u64 {
        let lines = self.lines.iter().map(|line| line.ended.load(Acquire));
        lines.sum::<u64>() + self.more_ended.load(Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_of_those_that_are_open_counts() {
        let writers = Writers::default();
        assert_eq!(writers.lowest(7), 7);
        // More than there are places for, of one thread.
        let open: Vec<Open> = (10..60).map(|next| writers.open(next)).collect();
        for (closed, open) in open.iter().enumerate() {
            assert_eq!(writers.lowest(100), 10 + closed as u64);
            assert_eq!(writers.ended(), closed as u64);
            writers.close(*open);
        }
        assert_eq!(writers.lowest(100), 100);
        // The first to open is the last to close.
        let first = writers.open(0);
        for next in 1..200 {
            let other = writers.open(next);
            writers.close(other);
            assert_eq!(writers.lowest(next + 1), 0);
        }
        writers.close(first);
        assert_eq!(writers.lowest(200), 200);
    }

    #[test]
    fn nobody_takes_a_number_that_was_said_to_be_over() {
        let (writers, numbers) = (Writers::default(), AtomicU64::new(1));
        let below = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let open = writers.open(numbers.load(SeqCst));
                        let own = numbers.fetch_add(1, SeqCst);
                        let over = below.load(SeqCst);
                        writers.close(open);
                        assert!(own >= over, "{own} is over, below {over}");
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let lowest = writers.lowest(numbers.load(SeqCst));
                    below.fetch_max(lowest, SeqCst);
                }
            });
        });
    }
}
