//! A place in a table.
//!
//! Invariant: WiredTiger keeps pointers to the key and value it was given until
//! the next operation, so the cursor keeps the bytes; and a variadic method is
//! called only with the type that the cursor's format asks for.
#![expect(unsafe_code, reason = "calls WiredTiger's methods")]

mod interrupt;
mod items;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;

use wiredtiger_abi::v3_2 as wt;

use crate::connection::{c_string, method};
use crate::error::check;
use crate::{Code, Error, Outcome, Result, Session};

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One piece of a [`Cursor::modify`]: `size` bytes at `offset` become `data`.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The new bytes.
    pub data: &'a [u8],
    /// Where they go.
    pub offset: usize,
    /// How many bytes they replace.
    pub size: usize,
}

/// A place in a table, and what can be done there.
pub struct Cursor<'session> {
    raw: NonNull<wt::Cursor>,
    key: RefCell<Vec<u8>>,
    value: RefCell<Vec<u8>>,
    session: PhantomData<&'session Session<'session>>,
}

type OnCursor = Option<unsafe extern "C" fn(*mut wt::Cursor) -> c_int>;

impl Cursor<'_> {
    /// # Safety
    ///
    /// `raw` is null or a fresh cursor of a session that outlives the answer.
    pub(crate) unsafe fn from_raw<'session>(raw: *mut wt::Cursor) -> Result<Cursor<'session>> {
        let raw = NonNull::new(raw).ok_or_else(|| Error::new(Code::ERROR, "a null cursor"))?;
        Ok(Cursor {
            raw,
            key: RefCell::default(),
            value: RefCell::default(),
            session: PhantomData,
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut wt::Cursor {
        self.raw.as_ptr()
    }

    pub(crate) fn belongs_to(&self, session: NonNull<wt::Session>) -> bool {
        self.methods().session == session.as_ptr()
    }

    /// Goes to the key.
    pub fn search(&self) -> Result<()> {
        self.on_cursor(self.methods().search, "search")
    }

    /// Goes to the key or a neighbour: how the key found compares with the key asked for.
    pub fn search_near(&self) -> Result<Ordering> {
        let mut exact = 0;
        // SAFETY: the cursor is live.
        let answer = unsafe { method(self.methods().search_near)?(self.raw.as_ptr(), &mut exact) };
        check(answer, || format!("search_near in {}", self.uri()))?;
        Ok(exact.cmp(&0))
    }

    /// Goes to the next item, the first one if there is no place.
    pub fn next(&self) -> Result<()> {
        self.on_cursor(self.methods().next, "next")
    }

    /// Goes to the previous item, the last one if there is no place.
    pub fn prev(&self) -> Result<()> {
        self.on_cursor(self.methods().prev, "prev")
    }

    /// Gives up the place.
    pub fn reset(&self) -> Result<()> {
        self.on_cursor(self.methods().reset, "reset")
    }

    /// Inserts the key and value.
    pub fn insert(&self) -> Result<()> {
        self.on_cursor(self.methods().insert, "insert")
    }

    /// Gives the key a new value.
    pub fn update(&self) -> Result<()> {
        self.on_cursor(self.methods().update, "update")
    }

    /// Removes the key.
    pub fn remove(&self) -> Result<()> {
        self.on_cursor(self.methods().remove, "remove")
    }

    /// Takes the key for this transaction without changing it.
    pub fn reserve(&self) -> Result<()> {
        self.on_cursor(self.methods().reserve, "reserve")
    }

    /// Changes parts of the key's value.
    pub fn modify(&self, changes: &[Change<'_>]) -> Result<()> {
        let mut entries: Vec<wt::Modify> = changes
            .iter()
            .map(|change| wt::Modify {
                data: items::item(change.data),
                offset: change.offset,
                size: change.size,
            })
            .collect();
        let count = c_int::try_from(entries.len())
            .map_err(|_| Error::new(Code::EINVAL, "too many changes"))?;
        // SAFETY: the cursor is live, and the changes for the whole call.
        let answer = unsafe {
            method(self.methods().modify)?(self.raw.as_ptr(), entries.as_mut_ptr(), count)
        };
        check(answer, || format!("modify in {}", self.uri()))
    }

    /// Compares the places of two cursors.
    pub fn compare(&self, other: &Cursor<'_>) -> Result<Ordering> {
        let mut answer = 0;
        // SAFETY: both cursors are live.
        let code = unsafe {
            method(self.methods().compare)?(self.raw.as_ptr(), other.raw.as_ptr(), &mut answer)
        };
        check(code, || format!("compare in {}", self.uri()))?;
        Ok(answer.cmp(&0))
    }

    /// Whether two cursors stand on the same key.
    pub fn equals(&self, other: &Cursor<'_>) -> Result<bool> {
        let mut answer = 0;
        // SAFETY: both cursors are live.
        let code = unsafe {
            method(self.methods().equals)?(self.raw.as_ptr(), other.raw.as_ptr(), &mut answer)
        };
        check(code, || format!("equals in {}", self.uri()))?;
        Ok(answer != 0)
    }

    /// Changes the cursor's configuration.
    pub fn reconfigure(&self, config: &str) -> Result<()> {
        let config_c = c_string(config)?;
        // SAFETY: the cursor is live, the string too.
        let answer =
            unsafe { method(self.methods().reconfigure)?(self.raw.as_ptr(), config_c.as_ptr()) };
        check(answer, || format!("cursor reconfigure {config}"))
    }

    /// Closes the cursor.
    pub fn close(self) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        let answer = this.on_cursor(this.methods().close, "close");
        // Dropping would close again: only the buffers are left to free.
        drop((this.key.take(), this.value.take()));
        answer
    }

    /// Every item from the first to the last, as bytes. The cursor ends without a place.
    pub fn rows(&self) -> Result<Vec<Row>> {
        self.walk(Self::next)
    }

    /// Every item from the last to the first, as bytes. The cursor ends without a place.
    pub fn rows_back(&self) -> Result<Vec<Row>> {
        self.walk(Self::prev)
    }

    fn walk(&self, step: impl Fn(&Self) -> Result<()>) -> Result<Vec<Row>> {
        self.reset()?;
        let mut rows = Vec::new();
        while step(self).found()? {
            rows.push((self.key_bytes()?, self.value_bytes()?));
        }
        Ok(rows)
    }

    /// What the cursor was opened on.
    pub fn uri(&self) -> String {
        self.text(self.methods().uri)
    }

    /// The format of keys.
    pub fn key_format(&self) -> String {
        self.text(self.methods().key_format)
    }

    /// The format of values.
    pub fn value_format(&self) -> String {
        self.text(self.methods().value_format)
    }

    fn text(&self, text: *const c_char) -> String {
        if text.is_null() {
            return String::new();
        }
        // SAFETY: the cursor's strings live as long as the cursor.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    }

    fn on_cursor(&self, call: OnCursor, name: &str) -> Result<()> {
        // SAFETY: the cursor is live.
        let answer = unsafe { method(call)?(self.raw.as_ptr()) };
        // Not the URI: after `close` there is none to ask.
        check(answer, || format!("cursor {name}"))
    }

    fn methods(&self) -> &wt::Cursor {
        // SAFETY: live until drop; the reference is not kept over a call.
        unsafe { self.raw.as_ref() }
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.on_cursor(self.methods().close, "close") {
            eprintln!("{error}");
        }
    }
}
