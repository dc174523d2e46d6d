//! The structures of `he.h`, one for each layout.

use std::ffi::{c_char, c_int, c_void};

use crate::{
    env::Env,
    stats::{Figures3, Figures28},
};

/// A handle of a datastore or transaction.
pub type HeT = *mut c_void;
/// A handle of an iterator.
pub type HeIterT = *mut c_void;

/// `struct he_item`.
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

/// `struct he_item` of version 2.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeItem22 {
    /// What every version has.
    pub common: HeItem,
    /// `HE_I_COMPRESS`, or nothing.
    pub flags: u32,
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
    /// Accepted.
    pub compress_threshold: u64,
}

/// `struct he_stats` of version 2.2.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeStats22 {
    /// The datastore's name.
    pub name: *const c_char,
    /// Dead items that still take space, in all datastores.
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
    /// The figures.
    pub figures: Figures28,
}

/// `struct he_stats` of versions 3.x.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HeStats3 {
    /// What version 2.8 has.
    pub common: HeStats28,
    /// More figures.
    pub figures: Figures3,
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
    fn of(name: *const c_char, figures: (Figures28, Figures3)) -> Self;
}

impl Stats for HeStats22 {
    fn of(name: *const c_char, (figures, _): (Figures28, Figures3)) -> Self {
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
    fn of(name: *const c_char, (figures, _): (Figures28, Figures3)) -> Self {
        Self { name, figures }
    }
}

impl Stats for HeStats3 {
    fn of(name: *const c_char, figures: (Figures28, Figures3)) -> Self {
        Self {
            common: HeStats28::of(name, figures),
            figures: figures.1,
        }
    }
}
