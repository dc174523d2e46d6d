//! Time: the only module that asks the system's clock.
//!
//! Invariant: what a volume decides by time it decides by its own [`Clock`]. That of a simulation stands still unless it is
//! moved, so that the same seed does the same again. What is only measured, and whoever waits for another thread, goes by
//! [`now`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// The clock of a volume: the system's, unless it is a simulation's.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<Hand>>);

/// How far a simulation's clock was moved.
#[derive(Debug)]
struct Hand {
    start: Instant,
    moved_ns: AtomicU64,
}

impl Clock {
    /// One that stands still; clones are the same one.
    pub fn simulated() -> Self {
        Self(Some(Arc::new(Hand {
            start: now(),
            moved_ns: AtomicU64::new(0),
        })))
    }

    /// Moves a simulation's clock; the system's moves by itself.
    pub fn advance(&self, time: Duration) {
        if let Some(hand) = &self.0 {
            let ns = time.as_nanos().try_into().unwrap_or(u64::MAX);
            hand.moved_ns.fetch_add(ns, Relaxed);
        }
    }

    pub(crate) fn now(&self) -> Instant {
        match &self.0 {
            None => now(),
            Some(hand) => hand.start + Duration::from_nanos(hand.moved_ns.load(Relaxed)),
        }
    }

    pub(crate) fn since(&self, then: Instant) -> Duration {
        self.now().saturating_duration_since(then)
    }
}

/// The system's time, for measures and for those who wait.
#[expect(clippy::disallowed_methods, reason = "this is what others are to use")]
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How long ago it was `then`, by the system's time.
#[inline]
pub(crate) fn since(then: Instant) -> Duration {
    now().saturating_duration_since(then)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulations_clock_moves_only_when_it_is_moved() {
        let clock = Clock::simulated();
        let start = clock.now();
        let other = clock.clone();
        assert_eq!(other.since(start), Duration::ZERO);
        clock.advance(Duration::from_millis(7));
        assert_eq!(other.since(start), Duration::from_millis(7));
        assert_eq!(other.now(), start + Duration::from_millis(7));
    }

    #[test]
    fn the_systems_moves_by_itself() {
        let clock = Clock::default();
        let start = clock.now();
        clock.advance(Duration::from_secs(1 << 30));
        while clock.since(start).is_zero() {}
        assert!(clock.since(start) < Duration::from_secs(1 << 20));
    }
}
