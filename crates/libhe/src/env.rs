//! What a program asks of caches and background work: `struct he_env`.
//!
//! Invariant: nothing a program asks for is refused. Zero means the default, and what is out
//! of range becomes the nearest that is not: there are programs that pass garbage.

use heliumdb::VolumeOptions;

/// `struct he_env`, as its widest version has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Env {
    pub fanout: u64,
    pub write_cache_bytes: u64,
    pub read_cache_bytes: u64,
    pub auto_commit_period_s: u64,
    pub auto_clean_period_s: u64,
    pub clean_util_pct: u64,
    pub clean_dirty_pct: u64,
    pub retry_count: u64,
    pub retry_delay_us: u64,
    pub gc_fanout: u64,
    pub compress_threshold: u64,
}

/// Longest period of background work, in milliseconds.
const PERIOD_MS_MAX: u64 = 3_600_000;
/// Most attempts of a write on a full volume, and longest pause between two, in microseconds.
const RETRY_COUNT_MAX: u64 = 100_000;
const RETRY_DELAY_US_MAX: u64 = 1_000_000;
/// Least and most memory for what is written, in bytes.
const WRITE_CACHE_BYTES: [u64; 2] = [16 << 20, 4 << 30];

impl Env {
    /// Sets what the store has an option for. How much memory the machine has for what is read
    /// the store finds out itself.
    pub fn apply(&self, options: &mut VolumeOptions) {
        if let Some(bytes) = asked(self.write_cache_bytes) {
            let [least, most] = WRITE_CACHE_BYTES;
            options.write_cache_bytes = bytes.clamp(least, most);
        }
        if let Some(bytes) = asked(self.read_cache_bytes) {
            options.read_cache_bytes = bytes;
        }
        if let Some(seconds) = asked(self.auto_commit_period_s) {
            options.auto_commit_period_ms = match seconds {
                u64::MAX => u64::MAX,
                seconds => seconds.saturating_mul(1000).min(PERIOD_MS_MAX),
            };
        }
        if let Some(seconds) = asked(self.auto_clean_period_s) {
            options.auto_clean_period_ms = seconds.saturating_mul(1000).min(PERIOD_MS_MAX);
        }
        if let Some(percent) = asked(self.clean_util_pct) {
            options.clean_util_pct = percent.min(100) as u32;
        }
        if let Some(percent) = asked(self.clean_dirty_pct) {
            options.clean_dirty_pct = percent.min(100) as u32;
        }
        if let Some(count) = asked(self.retry_count) {
            options.retry_count = count.min(RETRY_COUNT_MAX) as u32;
        }
        if let Some(delay) = asked(self.retry_delay_us) {
            options.retry_delay_us = delay.min(RETRY_DELAY_US_MAX);
        }
    }
}

/// Zero asks for nothing.
fn asked(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_brought_into_its_range_and_zero_is_the_default() {
        let mut options = VolumeOptions::default();
        Env::default().apply(&mut options);
        let default = VolumeOptions::default();
        assert_eq!(options.write_cache_bytes, default.write_cache_bytes);
        assert_eq!(options.retry_count, default.retry_count);
        let garbage = u64::from_ne_bytes([0xa5; 8]);
        Env {
            write_cache_bytes: garbage,
            clean_util_pct: garbage,
            retry_count: garbage,
            retry_delay_us: garbage,
            auto_clean_period_s: garbage,
            auto_commit_period_s: garbage,
            ..Env::default()
        }
        .apply(&mut options);
        assert_eq!(options.write_cache_bytes, WRITE_CACHE_BYTES[1]);
        assert_eq!(options.clean_util_pct, 100);
        assert_eq!(u64::from(options.retry_count), RETRY_COUNT_MAX);
        assert_eq!(options.retry_delay_us, RETRY_DELAY_US_MAX);
        assert_eq!(options.auto_clean_period_ms, PERIOD_MS_MAX);
        assert_eq!(options.auto_commit_period_ms, PERIOD_MS_MAX);
    }

    #[test]
    fn the_highest_commit_period_is_never() {
        let mut options = VolumeOptions::default();
        for (seconds, ms) in [(3, 3_000), (u64::MAX, u64::MAX)] {
            let env = Env {
                auto_commit_period_s: seconds,
                ..Env::default()
            };
            env.apply(&mut options);
            assert_eq!(options.auto_commit_period_ms, ms);
        }
    }
}
