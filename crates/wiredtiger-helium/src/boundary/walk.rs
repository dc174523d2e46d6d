//! A walk of WiredTiger's metadata, whose entries the extension interface only gives by name.
//!
//! Invariant: the cursor is closed when the walk is dropped.
#![expect(unsafe_code, reason = "calls WiredTiger")]

use std::{
    ffi::{CStr, c_char, c_int},
    ptr::{self, NonNull},
};
use wiredtiger_abi::v3_2::{Cursor, Session, WT_NOTFOUND};

const METADATA: &CStr = c"metadata:";
/// `ENOTSUP`: WiredTiger lacks a method.
const UNSUPPORTED: c_int = 95;

/// See the module.
pub struct Walk {
    cursor: NonNull<Cursor>,
    /// The cursor stands before the entry that comes next, not on it.
    is_before: bool,
}

impl Walk {
    /// A walk of the entries from the name `first` on.
    ///
    /// # Safety
    ///
    /// `session` is one of release 3.2.1 in which WiredTiger is calling us, for longer than the walk.
    pub unsafe fn of_metadata(session: *mut Session, first: &CStr) -> Result<Self, c_int> {
        let mut cursor = ptr::null_mut();
        // SAFETY: the caller vouches for the session; on success there is a cursor, with names for keys.
        unsafe {
            let open = (*session).open_cursor.ok_or(UNSUPPORTED)?;
            let uri = METADATA.as_ptr();
            check(open(
                session,
                uri,
                ptr::null_mut(),
                ptr::null(),
                &mut cursor,
            ))?;
            let mut walk = Self {
                cursor: NonNull::new(cursor).ok_or(UNSUPPORTED)?,
                is_before: true,
            };
            let mut exact = -1;
            (walk.table().set_key.ok_or(UNSUPPORTED)?)(cursor, first.as_ptr());
            match (walk.table().search_near.ok_or(UNSUPPORTED)?)(cursor, &mut exact) {
                WT_NOTFOUND => {}
                number => {
                    check(number)?;
                    walk.is_before = exact < 0;
                }
            }
            Ok(walk)
        }
    }

    /// The name and the text of the next entry.
    pub fn next(&mut self) -> Result<Option<(String, String)>, c_int> {
        let cursor = self.cursor.as_ptr();
        let (mut name, mut entry): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
        // SAFETY: the cursor is open; key and value are C strings, which are copied before it moves.
        unsafe {
            if self.is_before {
                match (self.table().next.ok_or(UNSUPPORTED)?)(cursor) {
                    WT_NOTFOUND => return Ok(None),
                    number => check(number)?,
                }
            }
            self.is_before = true;
            check((self.table().get_key.ok_or(UNSUPPORTED)?)(
                cursor, &mut name,
            ))?;
            check((self.table().get_value.ok_or(UNSUPPORTED)?)(
                cursor, &mut entry,
            ))?;
            let text = |text| CStr::from_ptr(text).to_string_lossy().into_owned();
            Ok(Some((text(name), text(entry))))
        }
    }

    fn table(&self) -> &Cursor {
        // SAFETY: the cursor is open until the walk is dropped.
        unsafe { self.cursor.as_ref() }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        // SAFETY: the cursor is open, and not used any more.
        unsafe {
            if let Some(close) = self.cursor.as_ref().close {
                close(self.cursor.as_ptr());
            }
        }
    }
}

fn check(number: c_int) -> Result<(), c_int> {
    match number {
        0 => Ok(()),
        number => Err(number),
    }
}
