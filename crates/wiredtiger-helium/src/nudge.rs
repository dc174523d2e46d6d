//! Keeping versions few: WiredTiger's oldest id is moved along, then everything that is
//! visible to all settles.
//!
//! WiredTiger moves its oldest id when it does work of its own, not when only a data
//! source does. So a thread updates one row of a small native table, a few dozen times
//! per some thousands of writes, and has the store settle.
//!
//! Invariant: the thread sleeps while nothing is committed, no writer ever waits for it
//! (beyond the moment that [`Pulse::relieve`] states), and it is joined before the
//! connection's close starts.

use crate::{host::Host, source::Source};
use heliumdb::host::TxnId;
use parking_lot::{Condvar, Mutex};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Writes after which the thread goes to work at once.
const WRITES_PER_ROUND: u64 = 4096;
/// What is committed is settled after this long even if little was.
const LINGER: Duration = Duration::from_millis(200);
/// After this long another try is made to settle what a reader keeps from settling.
const RETRY: Duration = Duration::from_secs(2);
/// Updates of the native row in one round; twenty-odd move the oldest id.
const STEPS_PER_ROUND: u32 = 64;
/// How long a writer that the store has no memory for is held up.
const RELIEF: Duration = Duration::from_millis(1);
/// Refusals per message about them.
const REFUSALS_PER_MESSAGE: u64 = 1000;

/// What moves WiredTiger's oldest id.
pub trait Mover {
    /// Does one piece of work inside WiredTiger; an error ends the nudging.
    fn step(&mut self) -> Result<(), String>;
}

/// What tells the thread that there is something to do.
#[derive(Default)]
pub struct Pulse {
    /// Highest id that has committed.
    newest: AtomicU64,
    /// Writes committed since the thread last started a round.
    writes: AtomicU64,
    refusals: AtomicU64,
    stopped: AtomicBool,
    asleep: Mutex<()>,
    wake: Condvar,
}

impl Pulse {
    /// Notes a commit.
    pub fn committed(&self, id: TxnId, writes: u64) {
        self.newest.fetch_max(id, Ordering::Relaxed);
        let before = self.writes.fetch_add(writes, Ordering::Relaxed);
        // The first wakes the thread to linger, the one that fills the round to work.
        if before == 0 || (before < WRITES_PER_ROUND && before + writes >= WRITES_PER_ROUND) {
            self.notify();
        }
    }

    /// Holds a refused writer up for a moment in which versions may settle; says whether
    /// the application should hear of it.
    pub fn relieve(&self) -> bool {
        self.writes.fetch_add(WRITES_PER_ROUND, Ordering::Relaxed);
        self.notify();
        std::thread::sleep(RELIEF);
        self.refusals
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(REFUSALS_PER_MESSAGE)
    }

    /// Has the thread go to work at once, for someone who waits until what was committed before has
    /// settled; the id that must be below the oldest one then.
    pub fn hurry(&self) -> TxnId {
        self.writes.fetch_add(WRITES_PER_ROUND, Ordering::Relaxed);
        self.notify();
        self.newest.load(Ordering::Relaxed)
    }

    /// Ends [`run`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.notify();
    }

    fn notify(&self) {
        let _asleep = self.asleep.lock();
        self.wake.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Waits until there is work; false when it is time to go. `unsettled` says that the
    /// last round left something.
    fn wait(&self, unsettled: bool) -> bool {
        let mut asleep = self.asleep.lock();
        let mut timed_out = false;
        while !self.is_stopped() {
            let writes = self.writes.load(Ordering::Relaxed);
            if writes >= WRITES_PER_ROUND || (timed_out && (writes > 0 || unsettled)) {
                return true;
            }
            timed_out = match (writes > 0, unsettled) {
                (true, _) => self.wake.wait_for(&mut asleep, LINGER).timed_out(),
                (false, true) => self.wake.wait_for(&mut asleep, RETRY).timed_out(),
                (false, false) => {
                    self.wake.wait(&mut asleep);
                    false
                }
            };
        }
        false
    }
}

/// The thread's work: until [`Pulse::stop`], moves the oldest id and settles.
pub fn run<H: Host>(source: &Source<H>, mover: &mut dyn Mover) {
    let pulse = source.pulse();
    let mut moves = true;
    let mut unsettled = false;
    while pulse.wait(unsettled) {
        pulse.writes.store(0, Ordering::Relaxed);
        let newest = pulse.newest.load(Ordering::Relaxed);
        let is_behind = || source.host().oldest() <= newest;
        let mut steps = 0;
        while moves && is_behind() && steps < STEPS_PER_ROUND && !pulse.is_stopped() {
            if let Err(why) = mover.step() {
                // Versions then settle whenever WiredTiger moves its oldest id by itself.
                moves = false;
                source
                    .host()
                    .error(None, &format!("versions settle slowly: {why}"));
            }
            steps += 1;
        }
        unsettled = is_behind();
        source.settle();
    }
}
