//! WiredTiger's cursor around ours, where it treats a data source's otherwise than its own.
//!
//! Before it calls us it makes a copy of the key that our last operation left, so that we could
//! not tell it from one that the application has set; and after our operation it says
//! what key and value there are by rules of its own. So the methods of the wrapper that take a key
//! are replaced by ones that look before and put right behind. Invariant: WiredTiger's method does
//! the work; ours touch nothing but the flags that say which of key and value are set.

use super::{ALIVE, Handle, SLOT_IN_WRAPPER, late, range, reconfigure::reconfigure};
use crate::{
    boundary::inside::Inside,
    cursor::{Cursor, bulk_only_inserts},
    error::Error,
};
use std::{
    ffi::{CStr, c_char, c_int},
    mem, slice,
};
use wiredtiger_abi::v3_2::{
    Cursor as WtCursor, Modify as Change, WT_CURSTD_APPEND, WT_CURSTD_KEY_EXT, WT_CURSTD_KEY_INT,
    WT_CURSTD_KEY_SET, WT_CURSTD_VALUE_EXT, WT_CURSTD_VALUE_INT, WT_CURSTD_VALUE_SET, WT_NOTFOUND,
};

/// `ENOTSUP`.
const UNSUPPORTED: c_int = 95;

pub(super) type Operation = unsafe extern "C" fn(*mut WtCursor) -> c_int;
type Near = unsafe extern "C" fn(*mut WtCursor, *mut c_int) -> c_int;
pub(super) type Reconfigure = unsafe extern "C" fn(*mut WtCursor, *const c_char) -> c_int;
type Modify = unsafe extern "C" fn(*mut WtCursor, *mut Change, c_int) -> c_int;

/// WiredTiger's own methods of one wrapper.
#[derive(Clone, Copy, Default)]
pub(super) struct Theirs {
    search: Option<Operation>,
    search_near: Option<Near>,
    insert: Option<Operation>,
    update: Option<Operation>,
    remove: Option<Operation>,
    reserve: Option<Operation>,
    modify: Option<Modify>,
    pub(super) reset: Option<Operation>,
    pub(super) reconfigure: Option<Reconfigure>,
}

impl Theirs {
    /// Puts our methods in front of those of `wrapper`.
    ///
    /// # Safety
    ///
    /// `wrapper` is WiredTiger's cursor around one of ours that is being opened.
    pub(super) unsafe fn replace(wrapper: *mut WtCursor) -> Self {
        // SAFETY: the caller vouches for it.
        let methods = unsafe { &mut *wrapper };
        Self {
            search: methods.search.replace(search),
            search_near: methods.search_near.replace(search_near),
            insert: methods.insert.replace(insert),
            update: methods.update.replace(update),
            remove: methods.remove.replace(remove),
            reserve: methods.reserve.replace(reserve),
            reset: methods.reset,
            reconfigure: methods.reconfigure.replace(reconfigure),
            modify: match modifies(methods) {
                true => methods.modify.replace(modify),
                false => methods.modify,
            },
        }
    }
}

/// Whether values can be modified; those of other formats WiredTiger refuses before it looks at anything.
fn modifies(wrapper: &WtCursor) -> bool {
    let format = wrapper.value_format;
    // SAFETY: a cursor's formats are C strings, if they are there.
    let format = (!format.is_null()).then(|| unsafe { CStr::from_ptr(format) });
    format.is_some_and(|format| matches!(format.to_bytes(), b"S" | b"u"))
}

/// The handle of ours in `wrapper`.
///
/// # Safety
///
/// `wrapper` is a live cursor of WiredTiger's around one of ours.
pub(super) unsafe fn handle(wrapper: *mut WtCursor) -> Option<*mut Handle> {
    // SAFETY: the caller vouches for it.
    unsafe {
        let this = *wrapper
            .wrapping_byte_add(SLOT_IN_WRAPPER)
            .cast::<*mut Handle>();
        (!this.is_null() && (*this).alive == ALIVE).then_some(this)
    }
}

/// The handle of ours in `cursor`, if that is a wrapper of one.
///
/// # Safety
///
/// `cursor` is a live cursor of whatever kind.
pub(super) unsafe fn handle_if_ours(cursor: *mut WtCursor) -> Option<*mut Handle> {
    // SAFETY: the caller vouches for it; only wrappers of ours have this method.
    unsafe {
        let is_ours = (*cursor)
            .search
            .is_some_and(|method| method as usize == search as Operation as usize);
        if is_ours { handle(cursor) } else { None }
    }
}

/// Calls WiredTiger's method. If it finds nothing, the key stays set, and a value that was; unless
/// the whole session was reset, as it is after a failed write outside of a transaction.
///
/// # Safety
///
/// As for [`handle`].
unsafe fn call(wrapper: *mut WtCursor, method: impl FnOnce(&Theirs) -> Option<c_int>) -> c_int {
    // SAFETY: the caller vouches for it. The method finds its way to the handle by itself.
    unsafe {
        let Some(this) = handle(wrapper) else {
            return super::EINVAL;
        };
        let flags = (*wrapper).flags;
        (*this).is_on_key = flags & WT_CURSTD_KEY_SET == WT_CURSTD_KEY_INT;
        (*this).was_reset = false;
        let had_snapshot = Inside::of((*wrapper).session).is_some_and(Inside::has_snapshot);
        let theirs = (*this).theirs;
        let answer = method(&theirs).unwrap_or(super::EINVAL);
        (*this).is_on_key = false;
        if answer != 0 && flags & WT_CURSTD_KEY_SET == 0 && !had_snapshot {
            // A native cursor that has no key is refused before a view begins.
            Handle::end_view(this);
        }
        if answer == WT_NOTFOUND && flags & WT_CURSTD_KEY_SET != 0 && !(*this).was_reset {
            // WiredTiger has made a copy of what was ours.
            (*wrapper).flags |= WT_CURSTD_KEY_EXT | flags & WT_CURSTD_VALUE_EXT;
        }
        answer
    }
}

/// Whether ours in `wrapper` is a bulk cursor.
///
/// # Safety
///
/// As for [`handle`].
pub(super) unsafe fn is_bulk(wrapper: *mut WtCursor) -> bool {
    // SAFETY: the caller vouches for it.
    let this = unsafe { handle(wrapper) };
    // SAFETY: as above.
    this.is_some_and(|this| unsafe { (*this).cursor.as_ref().is_ok_and(Cursor::is_bulk) })
}

/// What a bulk cursor answers to anything but an insert, whatever is set.
///
/// # Safety
///
/// As for [`handle`].
#[cold]
unsafe fn refuse_bulk(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: the caller vouches for it.
    unsafe { handle(wrapper).map_or(super::EINVAL, |this| (*this).refuse(&bulk_only_inserts())) }
}

/// Calls WiredTiger's method of a write that needs what `needed` says. It would begin a transaction
/// before it sees that a key or value is missing, and so reset all the session's cursors.
///
/// # Safety
///
/// As for [`handle`].
unsafe fn write(
    wrapper: *mut WtCursor,
    needed: &[(u32, &'static str)],
    method: impl FnOnce(&Theirs) -> Option<c_int>,
) -> c_int {
    // SAFETY: the caller vouches for it.
    unsafe {
        late::bring_all((*wrapper).session);
        let flags = (*wrapper).flags;
        let writes_found =
            needed.contains(&VALUE) && flags & WT_CURSTD_VALUE_SET == WT_CURSTD_VALUE_INT;
        if writes_found
            && let Some(this) = handle(wrapper)
            && let Some(lost) = Handle::bring(this)
        {
            return lost;
        }
        let missing = needed.iter().find(|(what, _)| flags & what == 0);
        if let Some(&(_, why)) = missing
            && let Some(this) = handle(wrapper)
            && Inside::of((*wrapper).session).is_some_and(|inside| !inside.is_running())
        {
            return (*this).refuse(&Error::invalid(why));
        }
        let is_on_key = flags & WT_CURSTD_KEY_SET == WT_CURSTD_KEY_INT;
        let had_snapshot = Inside::of((*wrapper).session).is_some_and(Inside::has_snapshot);
        let answer = call(wrapper, method);
        if answer == WT_NOTFOUND && writes_found && (*wrapper).flags & WT_CURSTD_KEY_EXT != 0 {
            // As with the key: WiredTiger has made a copy of what it was to write.
            (*wrapper).flags |= WT_CURSTD_VALUE_EXT;
        }
        if is_on_key
            && !had_snapshot
            && answer == 0
            && let Some(this) = handle(wrapper)
        {
            // Writing where it stands, a native cursor needs none, and so begins no view.
            Handle::end_view(this);
        }
        answer
    }
}

/// Key and value are those of the row on which the cursor stands.
const HELD: u32 = WT_CURSTD_KEY_INT | WT_CURSTD_VALUE_INT;
const KEY: (u32, &str) = (WT_CURSTD_KEY_SET, "requires key be set");
const VALUE: (u32, &str) = (WT_CURSTD_VALUE_SET, "requires value be set");

unsafe extern "C" fn search(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: the application's pointer, handed on as it came.
    unsafe {
        if is_bulk(wrapper) {
            return refuse_bulk(wrapper);
        }
        if let Some(this) = handle(wrapper) {
            if mem::take(&mut (*this).is_found) {
                return 0;
            }
            if (*wrapper).flags & WT_CURSTD_KEY_SET != 0 {
                Handle::look_anew(this);
                let remove = (*this).theirs.remove;
                match remove.map_or(0, |remove| Handle::begin_write(this, remove)) {
                    0 => {}
                    failed => return failed,
                }
            }
        }
        call(wrapper, |theirs| Some(theirs.search?(wrapper)))
    }
}

unsafe extern "C" fn search_near(wrapper: *mut WtCursor, exact: *mut c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        if is_bulk(wrapper) {
            return refuse_bulk(wrapper);
        }
        call(wrapper, |theirs| Some(theirs.search_near?(wrapper, exact)))
    }
}

unsafe extern "C" fn update(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: as above.
    unsafe {
        if is_bulk(wrapper) {
            return refuse_bulk(wrapper);
        }
        write(wrapper, &[KEY, VALUE], |theirs| {
            Some(theirs.update?(wrapper))
        })
    }
}

/// Leaves neither key nor value set; of an appended item the key.
unsafe extern "C" fn insert(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: as above.
    unsafe {
        let appends = (*wrapper).flags & WT_CURSTD_APPEND != 0;
        let needed: &[_] = if appends { &[VALUE] } else { &[KEY, VALUE] };
        let answer = write(wrapper, needed, |theirs| Some(theirs.insert?(wrapper)));
        // A bulk cursor keeps both, to be set in part only.
        if answer == 0 && !is_bulk(wrapper) {
            (*wrapper).flags &= !(WT_CURSTD_KEY_SET | WT_CURSTD_VALUE_SET);
            if appends {
                (*wrapper).flags |= WT_CURSTD_KEY_EXT;
            }
        }
        answer
    }
}

/// Leaves no value set, and the key only if the cursor stands there or nothing was removed; where it
/// fails, only a key that the application has set.
unsafe extern "C" fn remove(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: as above.
    unsafe {
        if is_bulk(wrapper) {
            return refuse_bulk(wrapper);
        }
        if range::passes_over(wrapper) {
            return 0;
        }
        let is_on_key = (*wrapper).flags & WT_CURSTD_KEY_SET == WT_CURSTD_KEY_INT;
        let answer = write(wrapper, &[KEY], |theirs| Some(theirs.remove?(wrapper)));
        if answer != 0 && is_on_key {
            (*wrapper).flags &= !WT_CURSTD_KEY_SET;
        }
        if answer == 0 {
            (*wrapper).flags &= !WT_CURSTD_VALUE_SET;
            let cursor = handle(wrapper).and_then(|this| (*this).cursor.as_ref().ok());
            if !cursor.is_some_and(Cursor::is_positioned) {
                (*wrapper).flags &= !WT_CURSTD_KEY_SET;
            }
            if cursor.is_some_and(Cursor::has_missed) {
                (*wrapper).flags |= WT_CURSTD_KEY_EXT;
            }
        }
        answer
    }
}

/// Is for transactions only, and leaves the row's value; where it fails, the value that was there.
unsafe extern "C" fn reserve(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: as above.
    unsafe {
        if let Some(this) = handle(wrapper)
            && Inside::of((*wrapper).session).is_some_and(|inside| !inside.is_running())
        {
            let why = "reserve is only permitted in a running transaction";
            return (*this).refuse(&Error::invalid(why));
        }
        late::bring_all((*wrapper).session);
        let had = (*wrapper).flags & WT_CURSTD_VALUE_SET;
        let is_on_key = (*wrapper).flags & WT_CURSTD_KEY_SET == WT_CURSTD_KEY_INT;
        let answer = call(wrapper, |theirs| Some(theirs.reserve?(wrapper)));
        if answer == 0 {
            return search(wrapper);
        }
        if answer == WT_NOTFOUND && is_on_key {
            // The row is gone on which the cursor stands, and so is what it had of it.
            (*wrapper).flags &= !WT_CURSTD_VALUE_SET;
            return answer;
        }
        if had == WT_CURSTD_VALUE_INT {
            keep_value(wrapper);
        }
        if had != 0 {
            (*wrapper).flags |= WT_CURSTD_VALUE_EXT;
        }
        answer
    }
}

/// Has the value of the row that the wrapper had in memory that stays.
///
/// # Safety
///
/// As for [`handle`]; the value is still there.
unsafe fn keep_value(wrapper: *mut WtCursor) {
    // SAFETY: the caller vouches for it; WiredTiger says how long the value is.
    unsafe {
        let value = &mut (*wrapper).value;
        let Some(this) = handle(wrapper) else { return };
        let kept = &mut (*this).kept;
        kept.clear();
        if value.size > 0 {
            kept.extend_from_slice(slice::from_raw_parts(value.data.cast::<u8>(), value.size));
        }
        super::give(value, kept);
    }
}

/// Modifies what the cursor has, if it stands on its key, whatever the session has made of the row meanwhile; and where it
/// fails, leaves a value that the application has set. Where the isolation forbids it, a native cursor has looked for
/// its key before, and stands nowhere.
unsafe extern "C" fn modify(wrapper: *mut WtCursor, changes: *mut Change, count: c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        if is_bulk(wrapper) {
            return refuse_bulk(wrapper);
        }
        let Some(this) = handle(wrapper) else {
            return super::EINVAL;
        };
        let flags = (*wrapper).flags;
        if flags & WT_CURSTD_KEY_SET == 0 {
            return call(wrapper, |theirs| Some(theirs.search?(wrapper)));
        }
        let is_set = flags & WT_CURSTD_VALUE_SET == WT_CURSTD_VALUE_EXT && !owns_value(this);
        let set = ((*wrapper).value.data, (*wrapper).value.size);
        late::bring_all((*wrapper).session);
        (*this).is_found = flags & (WT_CURSTD_KEY_SET | WT_CURSTD_VALUE_SET) == HELD
            && Handle::bring(this).is_none();
        let theirs = (*this).theirs.modify;
        let answer = theirs.map_or(super::EINVAL, |modify| modify(wrapper, changes, count));
        (*this).is_found = false;
        if answer == UNSUPPORTED
            && let Some(reset) = (*wrapper).reset
        {
            reset(wrapper);
            (*wrapper).flags |= flags & (WT_CURSTD_KEY_EXT | WT_CURSTD_VALUE_EXT);
        } else if answer != 0 && is_set {
            ((*wrapper).value.data, (*wrapper).value.size) = set;
            (*wrapper).flags |= WT_CURSTD_VALUE_EXT;
        }
        answer
    }
}

/// Whether the value of the wrapper is in memory of its own, which a modification changes.
///
/// # Safety
///
/// `this` is a live handle.
unsafe fn owns_value(this: *mut Handle) -> bool {
    // SAFETY: the caller vouches for it; the wrapper is there while its cursor is.
    let (value, kept) = unsafe { (&(*(*this).wrapper).value, &(*this).kept) };
    let start = value.mem.addr();
    value.data == kept.as_ptr().cast()
        || (start..start + value.memsize).contains(&value.data.addr())
}
