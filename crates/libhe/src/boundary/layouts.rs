//! The structures of `he.h`, one for each layout.

use std::ffi::{c_char, c_int, c_void};

use crate::{env::Env, stats::Figures};

/// A handle of a datastore or transaction.
pub type HeT = *mut c_void;
/// A handle of an iterator.
pub type HeIterT = *mut c_void;

/// `struct he_item`; that of version 2.2 has a word of flags behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeItem {
    /// The key.
    pub key: *mut c_void,
    /// The value.
    pub val: *mut c_void,
    /// Bytes of the key.
    pub key_len: usize,
    /// Bytes of the value.
    pub val_len: usize,
}

/// `struct he_env` of version 2.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeEnv22 {
    /// Bytes of memory for what was read.
    pub read_cache_size: u64,
    /// Bytes of memory for what is written.
    pub write_cache_size: u64,
}

/// `struct he_env` of version 2.8.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeEnv28 {
    /// Accepted.
    pub fanout: u64,
    /// Bytes of memory for what is written.
    pub write_cache: u64,
    /// Bytes of memory for what was read.
    pub read_cache: u64,
    /// Seconds.
    pub auto_commit_period: u64,
    /// Seconds.
    pub auto_clean_period: u64,
    /// Percent.
    pub clean_util_pct: u64,
    /// Percent.
    pub clean_dirty_pct: u64,
    /// How often a write on a full volume is tried again.
    pub retry_count: u64,
    /// Microseconds between.
    pub retry_delay: u64,
}

/// `struct he_env` of versions 3.x.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeEnv3 {
    /// What version 2.8 has.
    pub common: HeEnv28,
    /// Accepted.
    pub gc_fanout: u64,
    /// Values shorter than this are not compressed.
    pub compress_threshold: u64,
}

/// `struct he_stats` of version 2.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeStats22 {
    /// The datastore's name.
    pub name: *const c_char,
    /// Dead items that still take space.
    pub deleted_items: u64,
    /// Always zero.
    pub locked_items: u64,
    /// Items.
    pub valid_items: u64,
    /// Bytes of the volume.
    pub capacity: u64,
    /// Bytes that all datastores of the volume use.
    pub size: u64,
}

/// `struct he_stats` of version 2.8.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeStats28 {
    /// The datastore's name.
    pub name: *const c_char,
    /// Items.
    pub valid_items: u64,
    /// Dead items that still take space.
    pub deleted_items: u64,
    /// Bytes that all datastores of the volume use.
    pub utilized: u64,
    /// Bytes of the volume.
    pub capacity: u64,
    /// Bytes of memory for what was written last.
    pub buffered_writes: u64,
    /// Bytes of memory for what was read.
    pub buffered_reads: u64,
    /// Bytes written to the devices.
    pub device_writes: u64,
    /// Bytes read from the devices.
    pub device_reads: u64,
    /// Commits that nobody asked for.
    pub auto_commits: u64,
    /// Rounds of cleaning.
    pub auto_cleans: u64,
}

/// `struct he_stats` of versions 3.x.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeStats3 {
    /// What version 2.8 has.
    pub common: HeStats28,
    /// Bytes written and not yet durable.
    pub dirty_writes: u64,
    /// Bytes that cleaning has moved.
    pub clean_bytes: u64,
    /// Reads that needed no device.
    pub cache_hits: u64,
    /// Reads that did.
    pub cache_misses: u64,
}

/// Called with each name by `he_enumerate`; anything but zero ends it.
pub type EnumerateFn = unsafe extern "C" fn(*mut c_void, *const c_char) -> c_int;
/// Called with each item by `he_iterate`; anything but zero ends it.
pub type IterateFn = unsafe extern "C" fn(*mut c_void, *const HeItem) -> c_int;
/// Called with the old item by `he_merge`, and leaves the new value there.
pub type MergeFn = unsafe extern "C" fn(*mut c_void, *mut HeItem) -> c_int;

impl From<HeEnv22> for Env {
    fn from(env: HeEnv22) -> Self {
        Self {
            read_cache_bytes: env.read_cache_size,
            write_cache_bytes: env.write_cache_size,
            ..Self::default()
        }
    }
}

impl From<HeEnv28> for Env {
    fn from(env: HeEnv28) -> Self {
        Self {
            fanout: env.fanout,
            write_cache_bytes: env.write_cache,
            read_cache_bytes: env.read_cache,
            auto_commit_period_s: env.auto_commit_period,
            auto_clean_period_s: env.auto_clean_period,
            clean_util_pct: env.clean_util_pct,
            clean_dirty_pct: env.clean_dirty_pct,
            retry_count: env.retry_count,
            retry_delay_us: env.retry_delay,
            ..Self::default()
        }
    }
}

impl From<HeEnv3> for Env {
    fn from(env: HeEnv3) -> Self {
        Self {
            gc_fanout: env.gc_fanout,
            compress_threshold: env.compress_threshold,
            ..env.common.into()
        }
    }
}

/// A structure that the figures of a datastore are told in.
pub trait Stats {
    /// The structure for a name and figures.
    fn of(name: *const c_char, figures: &Figures) -> Self;
}

impl Stats for HeStats22 {
    fn of(name: *const c_char, figures: &Figures) -> Self {
        Self {
            name,
            deleted_items: figures.deleted_items,
            locked_items: 0,
            valid_items: figures.valid_items,
            capacity: figures.capacity,
            size: figures.utilized,
        }
    }
}

impl Stats for HeStats28 {
    fn of(name: *const c_char, figures: &Figures) -> Self {
        Self {
            name,
            valid_items: figures.valid_items,
            deleted_items: figures.deleted_items,
            utilized: figures.utilized,
            capacity: figures.capacity,
            buffered_writes: figures.buffered_writes,
            buffered_reads: figures.buffered_reads,
            device_writes: figures.device_writes,
            device_reads: figures.device_reads,
            auto_commits: figures.auto_commits,
            auto_cleans: figures.auto_cleans,
        }
    }
}

impl Stats for HeStats3 {
    fn of(name: *const c_char, figures: &Figures) -> Self {
        Self {
            common: HeStats28::of(name, figures),
            dirty_writes: figures.dirty_writes,
            clean_bytes: figures.clean_bytes,
            cache_hits: figures.cache_hits,
            cache_misses: figures.cache_misses,
        }
    }
}
