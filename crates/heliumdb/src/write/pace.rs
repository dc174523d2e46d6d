//! Writers are slowed as room sinks, so that they need not be stopped.
//!
//! While there is less room than is wanted, all writers together may write what the cleaner makes room
//! for at that time, in the proportion of the room to half of what is wanted: more while there is
//! much, ever less the less there is. So the room settles where writers are as fast as the cleaner.
//!
//! Invariant: a single write is held up for [`PAUSE_MAX`] at most, and by nothing but time: who is
//! slowed holds no latch, no epoch guard and no place in the gate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{
    access::Access,
    clock,
    log::{Log, Room},
};

/// Room is short when there is less of it than this part of the volume, or so many segments.
const SHORT_PART: u64 = 32;
const SHORT_SEGMENTS: u64 = 4;
/// A writer is slowed for so long at once, at least: shorter sleeps are not worth their cost.
const PAUSE_MIN: Duration = Duration::from_micros(200);
/// And at most.
const PAUSE_MAX: Duration = Duration::from_millis(20);
/// Bytes a second that writers always get, as long as there is room at all.
const LEAST_RATE: f64 = 65_536.0;

/// Less room than this is short.
pub(crate) fn short_bytes(room: &Room) -> u64 {
    (room.segments / SHORT_PART).max(SHORT_SEGMENTS) * room.segment_bytes
}

/// How fast the writers of a volume may be.
pub(crate) struct Pace {
    log: Arc<Log>,
    /// Without a thread of the volume's own, writers do its work themselves, and are not slowed.
    is_set: bool,
    price: Price,
    /// Bytes of dead items in what was cleaned.
    gained: AtomicU64,
}

impl Pace {
    pub(crate) fn new(access: &Access) -> Arc<Self> {
        Arc::new(Self {
            log: access.log().clone(),
            is_set: access.options().background_thread,
            price: Price::default(),
            gained: AtomicU64::new(0),
        })
    }

    /// Called by whoever is about to write.
    #[inline]
    pub(crate) fn keep(&self) {
        if let Some(pause) = self.price.owed(|| self.log.written().user_bytes()) {
            thread::sleep(pause);
        }
    }

    /// Goes by the room that there is now.
    pub(crate) fn set(&self) {
        if self.is_set {
            let room = self.log.room();
            let open = room.open_bytes.saturating_add(room.growth_bytes);
            let wanted = short_bytes(&room) / 4 * 3;
            self.price
                .set(open, wanted, self.log.written().user_bytes());
        }
    }

    /// Cleaning has made so much room in so much time, out of segments with so many bytes of dead items.
    pub(crate) fn gained(&self, room: u64, dead: u64, time: Duration) {
        self.gained.fetch_add(dead, Relaxed);
        self.price.gained(room, time);
    }

    /// Bytes of dead items in what was cleaned since the volume was opened.
    pub(crate) fn gained_bytes(&self) -> u64 {
        self.gained.load(Relaxed)
    }
}

/// What a write costs, in time.
#[derive(Default)]
struct Price {
    /// Time for each 1,024 bytes; zero while nobody is slowed.
    ns_per_kib: AtomicU64,
    /// Bytes of users that this was applied to, or that came before.
    paid: AtomicU64,
    /// When all that was paid for will have been waited for.
    until: Mutex<Option<Instant>>,
    /// Bytes a second of room that the cleaner makes, as f64, roughly.
    gain: AtomicU64,
}

impl Price {
    /// So much room was made in so much time.
    fn gained(&self, bytes: u64, time: Duration) {
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
    #[inline]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_room_is_not_slowed_and_nobody_for_long() {
        let price = Price::default();
        price.set(0, 100, 0);
        assert_eq!(
            price.owed(|| 1 << 40),
            None,
            "nothing is known of the cleaner"
        );
        price.gained(1 << 20, Duration::from_secs(1));
        price.set(100, 100, 0);
        assert_eq!(price.owed(|| 1 << 40), None, "there is room");
        price.set(0, 100, 5 << 20);
        assert_eq!(
            price.owed(|| 5 << 20),
            None,
            "what came before costs nothing"
        );
        for more in 1..100 {
            let pause = price.owed(|| (5 << 20) + (more << 20));
            assert!(pause.is_some_and(|pause| pause <= PAUSE_MAX));
        }
    }

    #[test]
    fn the_less_room_the_slower() {
        let price = Price::default();
        price.gained(100 << 20, Duration::from_secs(1));
        let mut before = 0;
        for room in (0..100).rev() {
            price.set(room, 100, 0);
            let price = price.ns_per_kib.load(Relaxed);
            assert!(price > before, "{room}");
            before = price;
        }
        // As fast as the cleaner, where there is half of what is wanted.
        price.set(50, 100, 0);
        assert_eq!(price.ns_per_kib.load(Relaxed), 1_000_000_000 / (100 << 10));
    }
}
