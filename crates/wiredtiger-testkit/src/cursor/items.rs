//! Keys and values of a cursor, in and out.
//!
//! Invariant: `set_key`, `get_key` and their like take whatever the format says,
//! so every use looks at the format first.
#![expect(unsafe_code, reason = "calls WiredTiger's variadic methods")]

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use wiredtiger_abi::v3_2 as wt;

use super::Cursor;
use crate::connection::method;
use crate::error::check;
use crate::{Code, Error, Result};

/// A C item over bytes that the caller keeps alive.
pub(super) fn item(bytes: &[u8]) -> wt::Item {
    wt::Item {
        data: bytes.as_ptr().cast(),
        size: bytes.len(),
        mem: ptr::null_mut(),
        memsize: 0,
        flags: 0,
    }
}

impl Cursor<'_> {
    /// Sets the key of a raw cursor, or of one with `key_format=u`.
    pub fn set_key(&self, key: &[u8]) -> Result<()> {
        self.expect_bytes(self.methods().key_format)?;
        let key = keep(&self.key, key, false);
        let item = item(&key);
        // SAFETY: this format takes a pointer to an item; the bytes are kept by the cursor.
        unsafe { method(self.methods().set_key)?(self.as_ptr(), &raw const item) };
        Ok(())
    }

    /// Sets the value of a raw cursor, or of one with `value_format=u`.
    pub fn set_value(&self, value: &[u8]) -> Result<()> {
        self.expect_bytes(self.methods().value_format)?;
        let value = keep(&self.value, value, false);
        let item = item(&value);
        // SAFETY: as for keys.
        unsafe { method(self.methods().set_value)?(self.as_ptr(), &raw const item) };
        Ok(())
    }

    /// Sets the key of a cursor with `key_format=S`.
    pub fn set_key_str(&self, key: &str) -> Result<()> {
        self.expect_format(&self.key_format(), "S", false)?;
        let key = keep(&self.key, text(key)?, true);
        // SAFETY: this format takes a C string; the bytes are kept by the cursor.
        unsafe { method(self.methods().set_key)?(self.as_ptr(), key.as_ptr().cast::<c_char>()) };
        Ok(())
    }

    /// Sets the value of a cursor with `value_format=S`.
    pub fn set_value_str(&self, value: &str) -> Result<()> {
        self.expect_format(&self.value_format(), "S", false)?;
        let value = keep(&self.value, text(value)?, true);
        // SAFETY: as for keys.
        unsafe {
            method(self.methods().set_value)?(self.as_ptr(), value.as_ptr().cast::<c_char>());
        };
        Ok(())
    }

    /// Sets the key of a cursor with `key_format=r`.
    pub fn set_key_recno(&self, recno: u64) -> Result<()> {
        self.expect_format(&self.key_format(), "r", false)?;
        // SAFETY: this format takes a 64-bit number.
        unsafe { method(self.methods().set_key)?(self.as_ptr(), recno) };
        Ok(())
    }

    /// Sets the value of a cursor with a bit field for a value, such as `value_format=8t`.
    pub fn set_value_bits(&self, bits: u8) -> Result<()> {
        self.expect_bits()?;
        // SAFETY: this format takes a byte, which C passes as an `int`.
        unsafe { method(self.methods().set_value)?(self.as_ptr(), c_int::from(bits)) };
        Ok(())
    }

    /// The key of a raw cursor, or of one with `key_format=u`, `S` (without its end) or `r`
    /// (packed).
    pub fn key(&self) -> Result<Vec<u8>> {
        self.key_with(<[u8]>::to_vec)
    }

    /// The same, shown to `look` where it lies.
    pub fn key_with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        self.expect_bytes(self.methods().key_format)?;
        self.get(self.methods().get_key, "get_key", look)
    }

    /// The value of a raw cursor, or of one with `value_format=u`.
    pub fn value(&self) -> Result<Vec<u8>> {
        self.value_with(<[u8]>::to_vec)
    }

    /// The same, shown to `look` where it lies.
    pub fn value_with<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        self.expect_bytes(self.methods().value_format)?;
        self.get(self.methods().get_value, "get_value", look)
    }

    /// The key of a cursor with `key_format=S`.
    pub fn key_str(&self) -> Result<String> {
        self.expect_format(&self.key_format(), "S", false)?;
        self.get_str(self.methods().get_key, "get_key")
    }

    /// The value of a cursor with `value_format=S`.
    pub fn value_str(&self) -> Result<String> {
        self.expect_format(&self.value_format(), "S", false)?;
        self.get_str(self.methods().get_value, "get_value")
    }

    /// The key of a cursor with `key_format=r`.
    pub fn key_recno(&self) -> Result<u64> {
        self.expect_format(&self.key_format(), "r", false)?;
        let mut recno = 0_u64;
        // SAFETY: this format stores a 64-bit number.
        let answer = unsafe { method(self.methods().get_key)?(self.as_ptr(), &raw mut recno) };
        check(answer, || "get_key".to_owned())?;
        Ok(recno)
    }

    /// The value of a cursor with a bit field for a value.
    pub fn value_bits(&self) -> Result<u8> {
        self.expect_bits()?;
        let mut bits = 0_u8;
        // SAFETY: this format stores a byte.
        let answer = unsafe { method(self.methods().get_value)?(self.as_ptr(), &raw mut bits) };
        check(answer, || "get_value".to_owned())?;
        Ok(bits)
    }

    /// The key as bytes, whatever the format of a cursor that this crate can read.
    pub(super) fn key_bytes(&self) -> Result<Vec<u8>> {
        match (self.is_raw(), self.key_format().as_str()) {
            (false, "S") => self.key_str().map(String::into_bytes),
            (false, "r") => self.key_recno().map(|recno| recno.to_be_bytes().to_vec()),
            _ => self.key(),
        }
    }

    /// The value as bytes, whatever the format of a cursor that this crate can read.
    pub(super) fn value_bytes(&self) -> Result<Vec<u8>> {
        match (self.is_raw(), self.value_format().as_str()) {
            (false, "S") => self.value_str().map(String::into_bytes),
            (false, format) if is_bits(format) => self.value_bits().map(|bits| vec![bits]),
            _ => self.value(),
        }
    }

    fn get<R>(&self, call: Getter, name: &str, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        let mut item = item(&[]);
        // SAFETY: this format fills an item.
        let answer = unsafe { method(call)?(self.as_ptr(), &raw mut item) };
        check(answer, || name.to_owned())?;
        if item.size == 0 {
            return Ok(look(&[]));
        }
        // SAFETY: WiredTiger filled the item with this many bytes at this place, good until the
        // next operation of the cursor.
        let bytes = unsafe { std::slice::from_raw_parts(item.data.cast::<u8>(), item.size) };
        Ok(look(bytes))
    }

    fn get_str(&self, call: Getter, name: &str) -> Result<String> {
        let mut text: *const c_char = ptr::null();
        // SAFETY: this format stores a pointer to a C string.
        let answer = unsafe { method(call)?(self.as_ptr(), &raw mut text) };
        check(answer, || name.to_owned())?;
        // SAFETY: the string is good until the next operation, which is not before the copy.
        let text = unsafe { CStr::from_ptr(text) };
        Ok(text.to_string_lossy().into_owned())
    }

    fn expect_format(&self, found: &str, wanted: &str, raw: bool) -> Result<()> {
        if self.is_raw() == raw && raw || (found == wanted && !self.is_raw()) {
            return Ok(());
        }
        Err(Error::new(
            Code::EINVAL,
            format!(
                "a cursor on {} has format {found}, not {wanted}",
                self.uri()
            ),
        ))
    }

    /// As [`Self::expect_format`] for raw bytes, without an allocation.
    fn expect_bytes(&self, format: *const c_char) -> Result<()> {
        // SAFETY: the cursor's strings live as long as the cursor.
        if self.is_raw() || (!format.is_null() && unsafe { CStr::from_ptr(format) } == c"u") {
            return Ok(());
        }
        self.expect_format(&self.text(format), "u", true)
    }

    fn expect_bits(&self) -> Result<()> {
        let format = self.value_format();
        if !self.is_raw() && is_bits(&format) {
            return Ok(());
        }
        Err(Error::new(
            Code::EINVAL,
            format!("value format {format} is no bit field"),
        ))
    }

    fn is_raw(&self) -> bool {
        self.methods().flags & wt::WT_CURSTD_RAW != 0
    }
}

type Getter = Option<unsafe extern "C" fn(*mut wt::Cursor, ...) -> c_int>;

/// A bit field of one to eight bits: `t`, `1t` to `8t`.
fn is_bits(format: &str) -> bool {
    format
        .strip_suffix('t')
        .is_some_and(|width| width.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Puts bytes where WiredTiger may point at them until the next time.
fn keep<'a>(
    place: &'a std::cell::RefCell<Vec<u8>>,
    bytes: &[u8],
    zero_at_end: bool,
) -> std::cell::Ref<'a, Vec<u8>> {
    {
        let mut kept = place.borrow_mut();
        kept.clear();
        kept.extend_from_slice(bytes);
        if zero_at_end {
            kept.push(0);
        }
    }
    place.borrow()
}

/// The bytes of a text, or the error that it has a zero inside.
fn text(text: &str) -> Result<&[u8]> {
    match text.as_bytes() {
        bytes if bytes.contains(&0) => Err(Error::new(Code::EINVAL, "a string with a zero inside")),
        bytes => Ok(bytes),
    }
}
