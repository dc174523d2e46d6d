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

impl Env {
    /// Sets what the store has an option for.
    pub fn apply(&self, options: &mut VolumeOptions) {
        set(&mut options.write_cache_bytes, self.write_cache_bytes);
        set(&mut options.read_cache_bytes, self.read_cache_bytes);
    }
}

fn set(option: &mut u64, asked: u64) {
    if asked != 0 {
        *option = asked;
    }
}
