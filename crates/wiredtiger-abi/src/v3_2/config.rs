//! Configuration: `WT_CONFIG_ITEM`, `WT_CONFIG_PARSER` and the opaque `WT_CONFIG_ARG`.

use std::ffi::{c_char, c_int};
use std::marker::{PhantomData, PhantomPinned};
use std::mem::{offset_of, size_of};

/// `WT_CONFIG_ARG`: a stack of configuration strings, only ever seen by pointer.
#[repr(C)]
#[derive(Debug)]
pub struct ConfigArg {
    opaque: [u8; 0],
    not_ours: PhantomData<(*mut u8, PhantomPinned)>,
}

/// `WT_CONFIG_ITEM`: a key or a value inside a configuration string.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ConfigItem {
    /// The text, inside the configuration string: not ended by a zero.
    pub str: *const c_char,
    /// The length of the text.
    pub len: usize,
    /// The number that the text stands for, or 0 and 1 for booleans.
    pub val: i64,
    /// What the text is (`type` in C).
    pub kind: ConfigItemType,
}

/// What a [`ConfigItem`] is: a C `enum`, so any number can come.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigItemType(
    /// The number.
    pub u32,
);

impl ConfigItemType {
    /// `WT_CONFIG_ITEM_STRING`: a string in quotes.
    pub const STRING: Self = Self(0);
    /// `WT_CONFIG_ITEM_BOOL`: `true` or `false`.
    pub const BOOL: Self = Self(1);
    /// `WT_CONFIG_ITEM_ID`: a word without quotes.
    pub const ID: Self = Self(2);
    /// `WT_CONFIG_ITEM_NUM`: a number, perhaps with a unit.
    pub const NUM: Self = Self(3);
    /// `WT_CONFIG_ITEM_STRUCT`: a nested configuration, its brackets included.
    pub const STRUCT: Self = Self(4);
}

/// `WT_CONFIG_PARSER`: walks through a configuration string.
#[repr(C)]
#[derive(Debug)]
pub struct ConfigParser {
    /// Frees the parser.
    pub close: method!(fn(*mut ConfigParser) -> c_int),
    /// The next key and value, or `WT_NOTFOUND`.
    pub next: method!(fn(*mut ConfigParser, *mut ConfigItem, *mut ConfigItem) -> c_int),
    /// The value of a key, or `WT_NOTFOUND`.
    pub get: method!(fn(*mut ConfigParser, *const c_char, *mut ConfigItem) -> c_int),
}

const _: () = {
    assert!(size_of::<ConfigItem>() == 32);
    assert!(offset_of!(ConfigItem, val) == 16);
    assert!(offset_of!(ConfigItem, kind) == 24);
    assert!(size_of::<ConfigParser>() == 24);
};
