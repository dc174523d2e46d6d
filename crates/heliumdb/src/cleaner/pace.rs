//! Writers are slowed as room sinks, so that they need not be stopped.
//!
//! While there is less room than is wanted, all writers together may write what the cleaner makes room
//! for at that time, in the proportion of the room to half of what is wanted: more while there is
//! much, ever less the less there is. So the room settles where writers are as fast as the cleaner.
//!
//! Invariant: a single write is held up for [`PAUSE_MAX`] at most, and by nothing but time: who is
//! slowed holds no latch, no epoch guard and no place in the gate.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{clock, volume::Shared};

/// A writer is slowed for so long at once, at least: shorter sleeps are not worth their cost.
const PAUSE_MIN: Duration = Duration::from_micros(200);
/// And at most.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// Bytes a second that writers always get, as long as there is room at all.
const LEAST_RATE: f64 = 65_536.0;

/// How fast writers may be.
#[derive(Default)]
pub(super) struct Pace {
    /// Time for each 1,024 bytes; zero while nobody is slowed.
    ns_per_kib: AtomicU64,
    /// Bytes of users that this was applied to, or that came before.
    paid: AtomicU64,
    /// When all that was paid for will have been waited for.
    until: Mutex<Option<Instant>>,
    /// Bytes a second of room that the cleaner makes, as f64, roughly.
    gain: AtomicU64,
}

impl Pace {
    /// So much room was made in so much time.
    pub(super) fn gained(&self, bytes: u64, time: Duration) {
        let rate = bytes as f64 / time.as_secs_f64().max(0.001);
        let before = f64::from_bits(self.gain.load(Relaxed));
        let now = match before {
            0.0 => rate,
            before => (3.0 * before + rate) / 4.0,
        };
        self.gain.store(now.to_bits(), Relaxed);
    }

    /// There are so many bytes of room, and so many are wanted.
    fn set(&self, room: u64, wanted: u64, written: u64) {
        let gain = f64::from_bits(self.gain.load(Relaxed));
        if room >= wanted || gain == 0.0 {
            self.ns_per_kib.store(0, Relaxed);
            return;
        }
        let rate = (gain * 2.0 * room as f64 / wanted as f64).max(LEAST_RATE);
        let price = (1024e9 / rate) as u64;
        if self.ns_per_kib.load(Relaxed) == 0 {
            // What was written before costs nothing.
            self.paid.store(written, Relaxed);
        }
        self.ns_per_kib.store(price.max(1), Relaxed);
    }

    /// How long whoever comes now is to wait, after so many bytes were written in all.
    fn owed(&self, written: impl Fn() -> u64) -> Option<Duration> {
        let price = self.ns_per_kib.load(Relaxed);
        if price == 0 {
            return None;
        }
        let (written, paid) = (written(), self.paid.load(Relaxed));
        let owed = Duration::from_nanos(written.saturating_sub(paid).saturating_mul(price) / 1024);
        if owed < PAUSE_MIN {
            return None;
        }
        let taken = self.paid.compare_exchange(paid, written, Relaxed, Relaxed);
        taken.ok()?;
        let now = clock::now();
        let mut until = self.until.lock();
        let from = until.map_or(now, |until| until.max(now));
        let then = (from + owed).min(now + PAUSE_MAX);
        *until = Some(then);
        Some(then - now)
    }
}

impl Shared {
    /// Called by whoever is about to write.
    #[inline]
    pub(super) fn keep_pace(&self) {
        if let Some(pause) = self.cleaner.pace.owed(|| self.log.written().user_bytes()) {
            thread::sleep(pause);
        }
    }

    /// Sets the pace by the room that there is now.
    pub(crate) fn set_pace(&self) {
        // Without a thread of the volume's own, writers do its work themselves.
        if self.options.background_thread {
            let room = self.log.room();
            let open = room.open_bytes.saturating_add(room.growth_bytes);
            let wanted = super::policy::short_bytes(&room) / 4 * 3;
            self.cleaner
                .pace
                .set(open, wanted, self.log.written().user_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_room_is_not_slowed_and_nobody_for_long() {
        let pace = Pace::default();
        pace.set(0, 100, 0);
        assert_eq!(
            pace.owed(|| 1 << 40),
            None,
            "nothing is known of the cleaner"
        );
        pace.gained(1 << 20, Duration::from_secs(1));
        pace.set(100, 100, 0);
        assert_eq!(pace.owed(|| 1 << 40), None, "there is room");
        pace.set(0, 100, 5 << 20);
        assert_eq!(
            pace.owed(|| 5 << 20),
            None,
            "what came before costs nothing"
        );
        for more in 1..100 {
            let pause = pace.owed(|| (5 << 20) + (more << 20));
            assert!(pause.is_some_and(|pause| pause <= PAUSE_MAX));
        }
    }

    #[test]
    fn the_less_room_the_slower() {
        let pace = Pace::default();
        pace.gained(100 << 20, Duration::from_secs(1));
        let mut before = 0;
        for room in (0..100).rev() {
            pace.set(room, 100, 0);
            let price = pace.ns_per_kib.load(Relaxed);
            assert!(price > before, "{room}");
            before = price;
        }
        // As fast as the cleaner, where there is half of what is wanted.
        pace.set(50, 100, 0);
        assert_eq!(pace.ns_per_kib.load(Relaxed), 1_000_000_000 / (100 << 10));
    }
}
