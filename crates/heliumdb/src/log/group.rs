//! Who leads a sync, who waits for it, and how long a leader waits for company.
//!
//! Those whom a sync releases often commit again at once. A leader that starts the next sync
//! before they are back splits them in two crowds, and each commit waits out the other crowd's
//! sync before its own. So a leader first waits for as many as the last sync released or left
//! waiting.
//!
//! Invariant: a leader waits at most a third of what a sync takes and never long, and not at all
//! where the line was its own last time; a crowd that does not come is waited for ever more seldom.

use crate::{Result, clock};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{mem, time::Duration};

/// Part of a sync's time that a leader waits at most: more gains little where a crowd comes back,
/// and costs more where each thread has other things to do first.
const PATIENCE_DIVISOR: u32 = 3;
/// A sleep shorter than this costs more than it may bring.
const LEAST_PATIENCE: Duration = Duration::from_micros(10);
/// A device that stalled once makes its syncs look slow for a while; nobody waits for that.
const MOST_PATIENCE: Duration = Duration::from_millis(5);
/// After a crowd that did not come, at most so many syncs go ahead without waiting.
const MOST_REFUSALS: u32 = 255;

#[derive(Default)]
pub(super) struct Group {
    line: Mutex<Line>,
    /// A sync has ended.
    synced: Condvar,
    /// All whom the leader waits for have come.
    gathered: Condvar,
}

#[derive(Default)]
struct Line {
    leading: bool,
    /// Threads that came since the last sync began, and so wait for the next one.
    waiting: usize,
    company: Company,
}

/// What the leader knows of those who may come.
#[derive(Default)]
struct Company {
    /// How many waited for the last sync, or for the next one when it ended.
    expected: usize,
    /// What a sync takes, lately.
    sync_time: Duration,
    /// Syncs that are still to go ahead without waiting.
    refusals: u32,
    /// How many the next crowd that does not come costs.
    penalty: u32,
}

impl Group {
    /// Returns when `done`. Of the threads that wait, one at a time calls `sync`.
    pub(super) fn join(
        &self,
        done: impl Fn() -> Result<bool>,
        sync: impl Fn() -> Result<()>,
    ) -> Result<()> {
        let mut line = self.line.lock();
        // Who was served on the way here is nobody's company.
        if done()? {
            return Ok(());
        }
        line.waiting += 1;
        if line.waiting == line.company.expected {
            self.gathered.notify_one();
        }
        while !done()? {
            if line.leading {
                self.synced.wait(&mut line);
                continue;
            }
            line.leading = true;
            let waiting = line.waiting;
            if let Some(patience) = line.company.patience(waiting) {
                self.gather(&mut line, patience);
            }
            let crowd = mem::take(&mut line.waiting);
            let start = clock::now();
            let result = MutexGuard::unlocked(&mut line, &sync);
            let crowd = crowd + line.waiting;
            line.company.synced(crowd, clock::since(start));
            line.leading = false;
            self.synced.notify_all();
            result?;
        }
        Ok(())
    }

    /// Waits until all who are expected have come, or `patience` is over.
    fn gather(&self, line: &mut MutexGuard<'_, Line>, patience: Duration) {
        let deadline = clock::now() + patience;
        while line.waiting < line.company.expected {
            if self.gathered.wait_until(line, deadline).timed_out() {
                break;
            }
        }
        let waiting = line.waiting;
        line.company.came(waiting);
    }

    pub(super) fn wake_all(&self) {
        self.synced.notify_all();
    }
}

impl Company {
    /// How long to wait for more than the `waiting`, if at all.
    fn patience(&mut self, waiting: usize) -> Option<Duration> {
        let patience = (self.sync_time / PATIENCE_DIVISOR).min(MOST_PATIENCE);
        if waiting >= self.expected || patience < LEAST_PATIENCE {
            return None;
        }
        if self.refusals > 0 {
            self.refusals -= 1;
            return None;
        }
        Some(patience)
    }

    /// Learns from having waited until there were `waiting`.
    fn came(&mut self, waiting: usize) {
        if waiting >= self.expected {
            self.penalty = 0;
        } else {
            self.penalty = (self.penalty * 2 + 1).min(MOST_REFUSALS);
            self.refusals = self.penalty;
        }
    }

    fn synced(&mut self, crowd: usize, took: Duration) {
        self.expected = crowd;
        self.sync_time = (self.sync_time * 3 + took) / 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

    const SYNC: Duration = Duration::from_millis(3);

    fn company(crowd: usize) -> Company {
        Company {
            expected: crowd,
            sync_time: SYNC,
            ..Company::default()
        }
    }

    #[test]
    fn who_was_alone_does_not_wait() {
        let mut company = company(1);
        assert_eq!(company.patience(1), None);
        company.synced(1, SYNC);
        assert_eq!(company.patience(1), None);
    }

    #[test]
    fn a_crowd_is_waited_for_a_third_of_a_sync_and_only_until_it_is_there() {
        let mut company = company(8);
        assert_eq!(company.patience(7), Some(SYNC / 3));
        assert_eq!(company.patience(8), None);
        company.synced(2, SYNC * 5);
        assert_eq!(company.patience(2), None);
        assert_eq!(company.patience(1), Some(SYNC * 2 / 3));
    }

    #[test]
    fn a_sync_that_costs_next_to_nothing_is_not_waited_for() {
        let mut company = company(8);
        company.sync_time = LEAST_PATIENCE * 3 - Duration::from_nanos(3);
        assert_eq!(company.patience(1), None);
        company.sync_time = LEAST_PATIENCE * 3;
        assert_eq!(company.patience(1), Some(LEAST_PATIENCE));
    }

    #[test]
    fn a_device_that_stalls_does_not_make_leaders_wait_long() {
        let mut company = company(8);
        company.synced(8, Duration::from_secs(60));
        assert_eq!(company.patience(7), Some(MOST_PATIENCE));
    }

    #[test]
    fn a_crowd_that_does_not_come_is_waited_for_ever_more_seldom() {
        let mut company = company(8);
        let mut refused = Vec::new();
        for _ in 0..10 {
            company.came(7);
            let refusals = std::iter::repeat_with(|| company.patience(7));
            refused.push(refusals.take_while(Option::is_none).count());
        }
        assert_eq!(refused, [1, 3, 7, 15, 31, 63, 127, 255, 255, 255]);
        company.came(8);
        company.came(7);
        assert_eq!(company.refusals, 1);
    }

    #[test]
    fn a_leader_gathers_before_it_syncs() {
        let group = Group::default();
        group.line.lock().company = company(2);
        let durable = AtomicBool::new(false);
        let sync = || {
            // Nobody came, and the leader knows it.
            assert_eq!(group.line.lock().company.penalty, 1);
            durable.store(true, Release);
            Ok(())
        };
        group.join(|| Ok(durable.load(Acquire)), sync).unwrap();
        assert!(durable.into_inner());
    }

    #[test]
    fn who_completes_the_crowd_wakes_the_leader() {
        const LONG: Duration = Duration::from_secs(60);
        let group = Group::default();
        let durable = AtomicBool::new(false);
        let start = clock::now();
        let mut line = group.line.lock();
        line.company = company(2);
        line.leading = true;
        line.waiting = 1;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let done = || Ok(durable.load(Acquire));
                group.join(done, || panic!("somebody leads already"))
            });
            group.gather(&mut line, LONG);
            assert_eq!(line.waiting, 2);
            durable.store(true, Release);
            drop(line);
            group.wake_all();
        });
        assert!(clock::since(start) < LONG);
    }

    #[test]
    fn one_at_a_time_syncs_and_all_return_behind_their_own() {
        let (threads, rounds) = if cfg!(miri) { (4, 25) } else { (8, 500) };
        let group = Group::default();
        let (end, durable, syncs) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let busy = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let own = end.fetch_add(1, AcqRel) + 1;
                        let done = || Ok(durable.load(Acquire) >= own);
                        let sync = || {
                            assert!(!busy.swap(true, AcqRel));
                            let target = end.load(Acquire);
                            std::thread::sleep(Duration::from_micros(50));
                            durable.store(target, Release);
                            syncs.fetch_add(1, Relaxed);
                            busy.store(false, Release);
                            Ok(())
                        };
                        group.join(done, sync).unwrap();
                        assert!(durable.load(Acquire) >= own);
                    }
                });
            }
        });
        assert!(syncs.into_inner() < threads * rounds);
    }

    #[test]
    fn a_sync_that_fails_is_told_to_all_who_waited_for_it() {
        let group = Group::default();
        let failed = AtomicBool::new(false);
        let error = || Error::new(ErrorKind::Io, "the device is gone");
        std::thread::scope(|scope| {
            let join = || {
                let done = || {
                    if failed.load(Acquire) {
                        Err(error())
                    } else {
                        Ok(false)
                    }
                };
                let sync = || {
                    std::thread::sleep(SYNC);
                    failed.store(true, Release);
                    Err(error())
                };
                group.join(done, sync)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(join)).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap().unwrap_err().kind(), ErrorKind::Io);
            }
        });
    }
}
