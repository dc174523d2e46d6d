//! Cursors as WiredTiger sees them.
//!
//! WiredTiger wraps ours in one of its own, copies key, value and record number into ours
//! before a call and back after it, by pointer. So on success ours point into our
//! buffers, never at the application's memory.
#![expect(unsafe_code, reason = "called by WiredTiger")]

use super::{
    guard::{EINVAL, answer},
    host::{SessionHandle, Wired},
};
use crate::{
    cursor::{Cursor, Input, Key},
    error::{Error, Result},
    source::Source,
};
use std::{
    cmp::Ordering,
    ffi::{c_int, c_void},
    mem::{MaybeUninit, size_of},
    slice,
    sync::Arc,
};
use wiredtiger_abi::v3_2::{Cursor as WtCursor, Item, Session, WT_CURSTD_OVERWRITE};

/// Marks a cursor that was not closed yet.
const ALIVE: u64 = u64::from_le_bytes(*b"He.cursr");
/// Where in WiredTiger's wrapper the pointer to our cursor is: behind its own cursor, a
/// collator and a flag.
const SLOT_IN_WRAPPER: usize = size_of::<WtCursor>() + 16;

/// Our cursor, with what WiredTiger expects in front.
#[repr(C)]
struct Handle {
    head: WtCursor,
    alive: u64,
    /// WiredTiger's wrapper, and where in it the pointer to this handle is.
    wrapper: *const WtCursor,
    slot: *const *mut WtCursor,
    /// The cursor's own, to be used beside it: counting one more user for every operation would
    /// have all threads write to one place.
    source: Option<Arc<Source<Wired>>>,
    /// The cursor, or what every operation answers instead.
    cursor: Result<Cursor<Wired>, c_int>,
    /// A key or value that lies in the cursor's buffers where it cannot stay.
    copies: [Vec<u8>; 2],
}

/// Hands a cursor over to WiredTiger, which closes it with `close`.
///
/// In place of a cursor there may be an error number: WiredTiger 3.2.1 crashes at the
/// session's end if opening a cursor with `dump=` fails, so that one is opened, and fails
/// at its first use.
///
/// # Safety
///
/// `session` and `slot` are those of WiredTiger's call to open a cursor.
pub unsafe fn into_wiredtiger(
    cursor: Result<Cursor<Wired>, c_int>,
    session: *mut Session,
    slot: *mut *mut WtCursor,
) -> *mut WtCursor {
    // SAFETY: a cursor's fields are pointers that may be null, optional functions and numbers.
    let mut head: WtCursor = unsafe { MaybeUninit::zeroed().assume_init() };
    head.session = session;
    head.next = Some(next);
    head.prev = Some(previous);
    head.reset = Some(reset);
    head.search = Some(search);
    head.search_near = Some(search_near);
    head.insert = Some(insert);
    head.update = Some(update);
    head.remove = Some(remove);
    head.reserve = Some(reserve);
    head.close = Some(close);
    let wrapper: *const WtCursor = slot.wrapping_byte_sub(SLOT_IN_WRAPPER).cast();
    let handle = Box::new(Handle {
        head,
        alive: ALIVE,
        wrapper,
        slot,
        source: cursor
            .as_ref()
            .ok()
            .map(|cursor| Arc::clone(cursor.source())),
        cursor,
        copies: Default::default(),
    });
    Box::into_raw(handle).cast()
}

/// What an operation is given.
struct Given<'a> {
    key: Key<'a>,
    value: Input<'a>,
    overwrite: bool,
}

/// Which of the wrapper's fields an operation reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Nothing,
    Key,
    KeyAndValue,
}

/// Runs one operation and, if it succeeds, hands key and value back.
///
/// # Safety
///
/// `cursor` is what WiredTiger called the method with.
unsafe fn operate(
    cursor: *mut WtCursor,
    reads: Reads,
    work: impl FnOnce(&mut Cursor<Wired>, Given<'_>) -> Result<()>,
) -> c_int {
    // SAFETY: WiredTiger passes what `into_wiredtiger` gave it, until it is closed, and lets
    // one thread at a time use it.
    let Some(handle) = (unsafe { cursor.cast::<Handle>().as_mut() }) else {
        return EINVAL;
    };
    if handle.alive != ALIVE {
        return EINVAL;
    }
    // SAFETY: WiredTiger's wrapper is there while its cursor is.
    let overwrite = unsafe { handle.overwrites(cursor) };
    let Handle {
        head,
        source,
        cursor,
        copies: [key_copy, value_copy],
        ..
    } = handle;
    let (source, cursor) = match (source, cursor) {
        (Some(source), Ok(cursor)) => (&*source, cursor),
        (_, Err(refusal)) => return *refusal,
        (None, Ok(_)) => return EINVAL,
    };
    answer(source, SessionHandle::new(head.session), || {
        source.check()?;
        let none = Input::Bytes(&[]);
        let key = match reads {
            Reads::Nothing => none,
            _ if cursor.has_recnos() => none,
            // SAFETY: WiredTiger says how long the key is.
            _ => unsafe { input(&head.key, cursor, cursor.key(), key_copy)? },
        };
        let value = match reads {
            // SAFETY: WiredTiger says how long the value is.
            Reads::KeyAndValue => unsafe {
                input(&head.value, cursor, cursor.value(), value_copy)?
            },
            _ => none,
        };
        let given = Given {
            key: Key {
                bytes: key,
                recno: head.recno,
            },
            value,
            overwrite,
        };
        work(cursor, given)?;
        if cursor.has_recnos() {
            head.recno = cursor.recno();
        } else {
            give(&mut head.key, cursor.key());
        }
        give(&mut head.value, cursor.value());
        Ok(())
    })
}

impl Handle {
    /// Whether writes overwrite. WiredTiger says so in its wrapper, and changes its mind
    /// there while it keeps indices up to date.
    ///
    /// # Safety
    ///
    /// The wrapper that opened this cursor is alive.
    unsafe fn overwrites(&self, own: *mut WtCursor) -> bool {
        // SAFETY: the slot is part of the wrapper.
        if unsafe { *self.slot } != own {
            return self.cursor.as_ref().is_ok_and(Cursor::overwrites);
        }
        // SAFETY: as above.
        unsafe { (*self.wrapper).flags & WT_CURSTD_OVERWRITE != 0 }
    }
}

/// What WiredTiger's `item` is to the cursor, whose own buffer for it is `held`.
///
/// # Safety
///
/// The item is as long as it says, and lives and stays as it is while the answer is used,
/// unless it is in one of the cursor's buffers.
unsafe fn input<'a>(
    item: &Item,
    cursor: &Cursor<Wired>,
    held: &[u8],
    copy: &'a mut Vec<u8>,
) -> Result<Input<'a>> {
    let data = item.data.cast::<u8>();
    if data == held.as_ptr() && item.size == held.len() {
        return Ok(Input::Held);
    }
    if item.size == 0 {
        return Ok(Input::Bytes(&[]));
    }
    if data.is_null() {
        return Err(Error::invalid("WiredTiger passed a null key or value"));
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { slice::from_raw_parts(data, item.size) };
    if !cursor.owns(data) {
        return Ok(Input::Bytes(bytes));
    }
    copy.clear();
    copy.extend_from_slice(bytes);
    Ok(Input::Bytes(copy))
}

fn give(item: &mut Item, bytes: &[u8]) {
    item.data = bytes.as_ptr().cast::<c_void>();
    item.size = bytes.len();
}

/// Declares the operations that take the cursor alone.
macro_rules! operations {
    ($($name:ident, $reads:ident => |$cursor:ident, $given:ident| $work:expr;)*) => {$(
        unsafe extern "C" fn $name(cursor: *mut WtCursor) -> c_int {
            // SAFETY: WiredTiger's pointer, handed on as it came.
            unsafe { operate(cursor, Reads::$reads, |$cursor, $given| $work) }
        }
    )*};
}

operations! {
    next, Nothing => |cursor, _given| cursor.next();
    previous, Nothing => |cursor, _given| cursor.previous();
    search, Key => |cursor, given| cursor.search(given.key);
    insert, KeyAndValue => |cursor, given| cursor.insert(given.key, given.value, given.overwrite);
    update, KeyAndValue => |cursor, given| cursor.update(given.key, given.value, given.overwrite);
    remove, Key => |cursor, given| cursor.remove(given.key, given.overwrite);
    reserve, Key => |cursor, given| cursor.reserve(given.key);
}

unsafe extern "C" fn search_near(cursor: *mut WtCursor, exact: *mut c_int) -> c_int {
    let mut which = Ordering::Equal;
    // SAFETY: WiredTiger's pointer, handed on as it came.
    let answer = unsafe {
        operate(cursor, Reads::Key, |cursor, given| {
            which = cursor.search_near(given.key)?;
            Ok(())
        })
    };
    if answer == 0 && !exact.is_null() {
        // SAFETY: WiredTiger passes a place for the answer.
        unsafe { *exact = which as c_int };
    }
    answer
}

unsafe extern "C" fn reset(cursor: *mut WtCursor) -> c_int {
    // SAFETY: see `operate`. A reset hands nothing back.
    let Some(handle) = (unsafe { cursor.cast::<Handle>().as_mut() }) else {
        return EINVAL;
    };
    if handle.alive != ALIVE {
        return EINVAL;
    }
    if let Ok(cursor) = &mut handle.cursor {
        cursor.reset();
    }
    0
}

unsafe extern "C" fn close(cursor: *mut WtCursor) -> c_int {
    // SAFETY: see `operate`.
    let Some(handle) = (unsafe { cursor.cast::<Handle>().as_mut() }) else {
        return EINVAL;
    };
    if handle.alive != ALIVE {
        return EINVAL;
    }
    handle.alive = 0;
    let session = SessionHandle::new(handle.head.session);
    // SAFETY: WiredTiger forgets the pointer now, and it was made by `Box::into_raw`.
    let handle = unsafe { Box::from_raw(cursor.cast::<Handle>()) };
    let Ok(cursor) = handle.cursor else {
        return 0;
    };
    let source = cursor.source().clone();
    answer(&source, session, || {
        drop(cursor);
        Ok(())
    })
}
