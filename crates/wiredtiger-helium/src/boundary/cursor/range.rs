//! The end of a range that is being truncated.
//!
//! WiredTiger truncates a data source's range by stepping from the first row and removing what
//! it comes to, until the cursor stands on the same key as another one at the range's end, and it
//! compares before it removes. So if the last row goes away meanwhile, the walk steps over the
//! end and takes rows that nobody named. Invariant: while a session truncates, a cursor that was
//! compared with another one steps no further than the other one's key of then: the walk ends
//! there as at the end of the table.
//!
//! A truncation asks for no values, so that its walk reads none.
//!
//! That a session truncates is known because its method is replaced ([`super::super::session`]),
//! where the walk must end because the cursors' `compare` is.

use super::{Handle, outer};
use crate::{
    boundary::host::Wired,
    cursor::Cursor,
    error::{Code, Result},
    recno,
};
use heliumdb::host::Wanted;
use parking_lot::Mutex;
use std::{ffi::c_int, ptr, slice, sync::OnceLock};
use wiredtiger_abi::v3_2::{Cursor as WtCursor, Session, WT_CURSTD_KEY_SET};

type Compare = unsafe extern "C" fn(*mut WtCursor, *mut WtCursor, *mut c_int) -> c_int;

/// WiredTiger's own comparison of two data source cursors: one for all of them.
static COMPARE: OnceLock<Compare> = OnceLock::new();
/// The sessions that truncate now, by address.
static TRUNCATING: Mutex<Vec<(usize, Extent)>> = Mutex::new(Vec::new());

/// What a session truncates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// A whole object, with a cursor that WiredTiger opens for it.
    Whole,
    /// A range between cursors on one object of ours.
    OfObject,
    /// A range between cursors on a table, of whose rows it asks the values to take them out of indices.
    OfTable,
}

/// A session truncates while this is there.
pub struct Truncating {
    session: usize,
    marked: [*mut Handle; 2],
}

impl Truncating {
    /// From now on. The cursors between which it does so, if any, walk for it alone.
    ///
    /// # Safety
    ///
    /// The cursors are null or live ones of the session, and stay so as long as the answer.
    pub unsafe fn begin(session: *mut Session, extent: Extent, ends: [*mut WtCursor; 2]) -> Self {
        TRUNCATING.lock().push((session.addr(), extent));
        let marked = ends.map(|end| match extent {
            // SAFETY: the caller vouches for it; the cursors are wrappers of ours.
            Extent::OfObject if !end.is_null() => unsafe { outer::handle(end) }.unwrap_or_default(),
            _ => ptr::null_mut(),
        });
        let this = Self {
            session: session.addr(),
            marked,
        };
        this.mark(true);
        this
    }

    fn mark(&self, walks_for_it: bool) {
        for this in self.marked.into_iter().filter(|this| !this.is_null()) {
            // SAFETY: see `begin`.
            unsafe { (*this).truncates = walks_for_it };
        }
    }
}

impl Drop for Truncating {
    fn drop(&mut self) {
        self.mark(false);
        let mut sessions = TRUNCATING.lock();
        let last = sessions
            .iter()
            .rposition(|&(session, _)| session == self.session);
        if let Some(index) = last {
            sessions.swap_remove(index);
        }
    }
}

/// Whether a cursor that is being opened in `session` is for a truncation: keys are all that it is asked for.
pub fn opens_for_truncation(session: *mut Session) -> bool {
    let extent = extent(session);
    matches!(extent, Some(Extent::Whole | Extent::OfObject))
}

/// What the session truncates, if it does.
fn extent(session: *mut Session) -> Option<Extent> {
    let sessions = TRUNCATING.lock();
    let mut its_own = sessions.iter().rev().filter(|(s, _)| *s == session.addr());
    its_own.next().map(|&(_, extent)| extent)
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
pub fn next(cursor: &mut Cursor<Wired>, last: Option<&[u8]>, wanted: Wanted) -> Result<()> {
    cursor.next(wanted)?;
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

/// Whether the session truncates a range.
fn is_truncating(session: *mut Session) -> bool {
    matches!(extent(session), Some(Extent::OfObject | Extent::OfTable))
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
