//! Changing the configuration of an open cursor, which WiredTiger does for its own alone.
//!
//! Invariant: what is not named in the new configuration stays as it was, and a bulk cursor's stays altogether.

use super::{EINVAL, outer};
use crate::{
    boundary::inside::Inside,
    config::{Item, Lookup},
    error::Error,
};
use std::ffi::{CStr, c_char, c_int};
use wiredtiger_abi::v3_2::{Cursor as WtCursor, WT_CURSTD_APPEND, WT_CURSTD_OVERWRITE};

/// `ENOTSUP`.
const UNSUPPORTED: c_int = 95;

/// Resets the cursor and changes what is named of `append` (where keys are record numbers) and `overwrite`, as native
/// cursors do; WiredTiger refuses a data source's.
pub(super) unsafe extern "C" fn reconfigure(
    wrapper: *mut WtCursor,
    config: *const c_char,
) -> c_int {
    // SAFETY: the application's pointers: a live cursor, and null or a C string.
    unsafe {
        let Some(this) = outer::handle(wrapper) else {
            return EINVAL;
        };
        let theirs = (*this).theirs;
        let (false, Ok(_)) = (outer::is_bulk(wrapper), &(*this).cursor) else {
            return theirs
                .reconfigure
                .map_or(UNSUPPORTED, |reconfigure| reconfigure(wrapper, config));
        };
        if Inside::of((*wrapper).session).is_some_and(Inside::is_prepared) {
            return (*this).refuse(&Error::invalid("not permitted in a prepared transaction"));
        }
        let answer = theirs.reset.map_or(EINVAL, |reset| reset(wrapper));
        if answer != 0 || config.is_null() {
            return answer;
        }
        let config = CStr::from_ptr(config).to_string_lossy();
        let asked = |key| {
            Ok(config
                .as_ref()
                .value(key)?
                .map(|value| is_set(value.item())))
        };
        let (append, overwrite) = match (asked("append"), asked("overwrite")) {
            (Ok(append), Ok(overwrite)) => (append, overwrite),
            (Err(why), _) | (_, Err(why)) => return (*this).refuse(&why),
        };
        if let (Some(append), Ok(cursor)) = (append, &mut (*this).cursor)
            && cursor.has_recnos()
        {
            cursor.set_appends(append);
            set_flag(wrapper, WT_CURSTD_APPEND, append);
        }
        if let Some(overwrite) = overwrite {
            set_flag(wrapper, WT_CURSTD_OVERWRITE, overwrite);
        }
        0
    }
}

/// As WiredTiger takes it: any number but zero is true, and what is no boolean is false.
fn is_set(item: Item<'_>) -> bool {
    match item.as_number() {
        Some(number) => number != 0,
        None => item.as_bool() == Some(true),
    }
}

/// # Safety
///
/// `wrapper` is a live cursor.
unsafe fn set_flag(wrapper: *mut WtCursor, flag: u32, is_set: bool) {
    // SAFETY: the caller vouches for it.
    unsafe {
        match is_set {
            true => (*wrapper).flags |= flag,
            false => (*wrapper).flags &= !flag,
        }
    }
}
