//! Stretches of bytes: `WT_ITEM` and `WT_MODIFY`.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};

/// `WT_ITEM`: bytes that someone else owns, plus WiredTiger's own buffer for them.
#[repr(C)]
#[derive(Debug)]
pub struct Item {
    /// The bytes.
    pub data: *const c_void,
    /// How many.
    pub size: usize,
    /// WiredTiger's own buffer: not for applications.
    pub mem: *mut c_void,
    /// The size of that buffer.
    pub memsize: usize,
    /// WiredTiger's own flags.
    pub flags: u32,
}

/// `WT_MODIFY`: replace `size` bytes at `offset` by `data`.
#[repr(C)]
#[derive(Debug)]
pub struct Modify {
    /// The new bytes.
    pub data: Item,
    /// Where they go.
    pub offset: usize,
    /// How many bytes they replace.
    pub size: usize,
}

const _: () = {
    assert!(size_of::<Item>() == 40);
    assert!(offset_of!(Item, size) == 8);
    assert!(offset_of!(Item, flags) == 32);
    assert!(size_of::<Modify>() == 56);
    assert!(offset_of!(Modify, offset) == 40);
};
