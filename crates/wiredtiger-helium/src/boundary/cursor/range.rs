//! The end of a range that is being truncated.
//!
//! WiredTiger truncates a data source's range by stepping from the first row and removing what
//! it comes to, until the cursor stands on the same key as another one at the range's end, and it
//! compares before it removes. So if the last row goes away meanwhile, the walk steps over the
//! end and takes rows that nobody named. Invariant: while a session truncates, a cursor that was
//! compared with another one steps no further than the other one's key of then: the walk ends
//! there as at the end of the table.
//!
//! That a session truncates is known because its method is replaced ([`super::super::session`]),
//! where the walk must end because the cursors' `compare` is.

use super::outer;
use crate::{
    boundary::host::Wired,
    cursor::Cursor,
    error::{Code, Result},
    recno,
};
use parking_lot::Mutex;
use std::{ffi::c_int, slice, sync::OnceLock};
use wiredtiger_abi::v3_2::{Cursor as WtCursor, Session, WT_CURSTD_KEY_SET};

type Compare = unsafe extern "C" fn(*mut WtCursor, *mut WtCursor, *mut c_int) -> c_int;

/// WiredTiger's own comparison of two data source cursors: one for all of them.
static COMPARE: OnceLock<Compare> = OnceLock::new();
/// The sessions that truncate a range now, by address.
static TRUNCATING: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// A session truncates a range while this is there.
pub struct Truncating(usize);

impl Truncating {
    /// From now on.
    pub fn begin(session: *mut Session) -> Self {
        TRUNCATING.lock().push(session.addr());
        Self(session.addr())
    }
}

impl Drop for Truncating {
    fn drop(&mut self) {
        let mut sessions = TRUNCATING.lock();
        if let Some(index) = sessions.iter().rposition(|&session| session == self.0) {
            sessions.swap_remove(index);
        }
    }
}

/// Has us hear of what WiredTiger compares `wrapper` with.
///
/// # Safety
///
/// `wrapper` is WiredTiger's cursor around one of ours that is being opened.
pub unsafe fn watch(wrapper: *mut WtCursor) {
    // SAFETY: the caller vouches for it.
    let slot = unsafe { &mut (*wrapper).compare };
    if let Some(theirs) = *slot
        && (*COMPARE.get_or_init(|| theirs) as usize) == theirs as usize
    {
        *slot = Some(compare);
    }
}

/// A step of a walk that must not pass `last`.
pub fn next(cursor: &mut Cursor<Wired>, last: Option<&[u8]>) -> Result<()> {
    cursor.next()?;
    if last.is_some_and(|last| cursor.key() > last) {
        cursor.leave_place();
        return Err(Code::NotFound.into());
    }
    Ok(())
}

/// Whether a truncation comes with `wrapper` to a bit field that it sees as zero. It leaves that alone, as it does in
/// WiredTiger's own tables: what others have set it to meanwhile stays, like a row that they have inserted.
///
/// # Safety
///
/// As for [`outer::handle`].
pub(super) unsafe fn passes_over(wrapper: *mut WtCursor) -> bool {
    // SAFETY: the caller vouches for it.
    unsafe {
        let cursor = outer::handle(wrapper).and_then(|this| (*this).cursor.as_ref().ok());
        cursor.is_some_and(Cursor::is_on_zero) && is_truncating((*wrapper).session)
    }
}

fn is_truncating(session: *mut Session) -> bool {
    TRUNCATING.lock().contains(&session.addr())
}

unsafe extern "C" fn compare(
    one: *mut WtCursor,
    other: *mut WtCursor,
    answer: *mut c_int,
) -> c_int {
    let Some(compare) = COMPARE.get() else {
        return super::EINVAL;
    };
    // SAFETY: WiredTiger's or the application's pointers, handed on as they came.
    unsafe {
        let flags = [(*one).flags, (*other).flags];
        let number = compare(one, other, answer);
        // WiredTiger has made copies of keys that were ours; the cursors stand on them all the same.
        for (wrapper, flags) in [(one, flags[0]), (other, flags[1])] {
            (*wrapper).flags = (*wrapper).flags & !WT_CURSTD_KEY_SET | flags & WT_CURSTD_KEY_SET;
        }
        if number == 0 && is_truncating((*one).session) {
            end_at(one, other);
        }
        number
    }
}

/// `one` is walked up to where `other` is.
///
/// # Safety
///
/// Both are cursors that were compared with each other.
unsafe fn end_at(one: *mut WtCursor, other: *mut WtCursor) {
    // SAFETY: they are of one object, and so wrappers of ours both, with a key each.
    unsafe {
        let this = outer::handle(one).filter(|&this| (*this).last.is_none());
        let Some(this) = this else { return };
        let has_recnos = (*this).cursor.as_ref().is_ok_and(Cursor::has_recnos);
        let mut key = Vec::new();
        if has_recnos {
            recno::pack((*other).recno, &mut key);
        } else if (*other).key.size > 0 {
            let start = (*other).key.data.cast::<u8>();
            key.extend_from_slice(slice::from_raw_parts(start, (*other).key.size));
        }
        (*this).last = Some(key);
    }
}
