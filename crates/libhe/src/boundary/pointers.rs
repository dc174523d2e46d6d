//! Reading what C passes, and writing where C asks for it.
#![expect(unsafe_code, reason = "reads and writes memory of C")]

use std::{
    ffi::{c_char, c_void},
    ptr, slice,
};

use super::layouts::HeItem;
use crate::{
    code::{Code, Result},
    datastore::Told,
    limits::KEY_BYTES_MAX,
    store::Wanted,
};

/// A text of C, without its zero; one that is longer than any may be ends one byte past that.
///
/// # Safety
///
/// `text` is null, or ends with a zero byte and does not change while the answer is used.
pub unsafe fn text<'a>(text: *const c_char) -> Result<&'a [u8]> {
    if text.is_null() {
        return Err(Code::ARGUMENTS);
    }
    let mut len = 0;
    // SAFETY: every byte up to the zero may be read, says the caller.
    while len <= KEY_BYTES_MAX && unsafe { text.add(len).read() } != 0 {
        len += 1;
    }
    // SAFETY: these bytes were just read.
    Ok(unsafe { slice::from_raw_parts(text.cast(), len) })
}

/// What C left at an address.
///
/// # Safety
///
/// `address` is null or may be read.
pub unsafe fn read<T: Copy>(address: *const T) -> Result<T> {
    if address.is_null() {
        return Err(Code::ARGUMENTS);
    }
    // SAFETY: it may be read, says the caller; where it lies does not matter.
    Ok(unsafe { address.read_unaligned() })
}

/// Leaves something at an address, if there is one.
///
/// # Safety
///
/// `address` is null or may be written.
pub unsafe fn write<T>(address: *mut T, what: T) {
    if !address.is_null() {
        // SAFETY: it may be written, says the caller; where it lies does not matter.
        unsafe { address.write_unaligned(what) };
    }
}

/// Bytes of C.
///
/// # Safety
///
/// `address` is null, or `len` bytes there may be read and do not change while the answer is
/// used.
pub unsafe fn bytes<'a>(address: *const c_void, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if address.is_null() || len > isize::MAX as usize {
        return Err(Code::ARGUMENTS);
    }
    // SAFETY: they may be read, says the caller.
    Ok(unsafe { slice::from_raw_parts(address.cast(), len) })
}

/// A copy that a function of C is lent: it may write there, and leave it as its answer.
pub struct Lent {
    copy: Vec<u8>,
    start: *mut c_void,
}

impl Lent {
    /// A copy of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        // One byte more: even nothing has an address that nothing else has.
        let mut copy = Vec::with_capacity(bytes.len() + 1);
        copy.extend_from_slice(bytes);
        let start = copy.as_mut_ptr().cast();
        Self { copy, start }
    }

    /// Where the copy is.
    pub fn start(&self) -> *mut c_void {
        self.start
    }

    /// Refuses an answer that begins in the copy and goes on behind its end.
    pub fn check(&self, address: *const c_void, len: usize) -> Result<()> {
        let within = address.addr().wrapping_sub(self.start.addr());
        if within < self.copy.capacity() && len > self.copy.len().saturating_sub(within) {
            return Err(Code::ARGUMENTS);
        }
        Ok(())
    }
}

/// The key of an item, which has 1 to 65,535 bytes.
///
/// # Safety
///
/// As for [`bytes`], of the item's key.
pub unsafe fn key<'a>(item: &HeItem) -> Result<&'a [u8]> {
    if item.key_len == 0 || item.key_len > KEY_BYTES_MAX {
        return Err(Code::ARGUMENTS);
    }
    // SAFETY: as the caller says.
    unsafe { bytes(item.key, item.key_len) }
}

/// Where the value of an item is to be written: a part of it.
#[derive(Clone, Copy)]
pub struct ValueBuffer {
    item: *mut HeItem,
    value: *mut c_void,
    offset: usize,
    len: usize,
}

impl ValueBuffer {
    /// `len` bytes at the item's value, for the value's bytes from `offset` on.
    ///
    /// # Safety
    ///
    /// The item may be written, and `len` bytes at its value too, as long as this lives.
    pub unsafe fn new(
        address: *mut HeItem,
        item: &HeItem,
        offset: usize,
        len: usize,
    ) -> Result<Self> {
        if item.val.is_null() && len != 0 {
            return Err(Code::ARGUMENTS);
        }
        Ok(Self {
            item: address,
            value: item.val,
            offset,
            len,
        })
    }

    /// What is wanted of a value: its length is always told.
    pub fn wanted(&self) -> Wanted {
        match self.len {
            0 => Wanted::Lengths,
            _ => Wanted::Items,
        }
    }

    /// Writes the part of `value` that was asked for, and how long all of it is.
    pub fn fill(self, value: Told<'_>) {
        let rest = value.bytes.get(self.offset..).unwrap_or_default();
        let part = &rest[..rest.len().min(self.len)];
        // SAFETY: `new` was promised room for `len` bytes, and that the item may be written. The
        // source is memory of ours.
        unsafe {
            if !part.is_empty() {
                ptr::copy_nonoverlapping(part.as_ptr(), self.value.cast(), part.len());
            }
            (&raw mut (*self.item).val_len).write_unaligned(value.len);
        }
    }

    /// Writes a key to where the item's key is.
    ///
    /// # Safety
    ///
    /// The item's key has room for [`KEY_BYTES_MAX`] bytes, of which `key` has no more.
    pub unsafe fn set_key(self, at: *mut c_void, key: &[u8]) {
        // SAFETY: as the caller says. The source is memory of ours.
        unsafe {
            ptr::copy_nonoverlapping(key.as_ptr(), at.cast(), key.len());
            (&raw mut (*self.item).key_len).write_unaligned(key.len());
        }
    }
}
