//! Cursors as WiredTiger sees them.
//!
//! WiredTiger wraps ours in one of its own, copies key, value and record number into ours
//! before a call and back after it, by pointer. So on success ours point into our
//! buffers, never at the application's memory. While ours is positioned it counts among the
//! session's cursors ([`hold`]), a truncation's walk ends where the truncation does ([`range`]),
//! a value that takes a device to read is read when somebody asks for it ([`late`]), and what the wrapper says of its key and value is what WiredTiger's own cursors say
//! ([`outer`]).
#![expect(unsafe_code, reason = "called by WiredTiger")]

mod hold;
pub mod late;
pub mod opening;
mod outer;
pub mod range;
mod reconfigure;
mod trampoline;

use super::{
    guard::{EINVAL, answer, memory, report},
    host::{SessionHandle, Wired},
};
use crate::{
    cursor::{Cursor, Input, Key},
    error::{Code, Error, Result},
    source::Source,
};
use heliumdb::host::Wanted;
use hold::Hold;
use late::Late;
use outer::Theirs;
use std::{
    cmp::Ordering,
    ffi::{c_int, c_void},
    mem::{MaybeUninit, size_of},
    ptr, slice,
    sync::Arc,
};
use wiredtiger_abi::v3_2::{
    Cursor as WtCursor, Item, Session, WT_CURSTD_DUMP_HEX, WT_CURSTD_DUMP_PRINT,
    WT_CURSTD_OVERWRITE, WT_CURSTD_RAW, WT_PREPARE_CONFLICT,
};

/// Marks a cursor that was not closed yet.
const ALIVE: u64 = u64::from_le_bytes(*b"He.cursr");
/// Where in WiredTiger's wrapper the pointer to our cursor is: behind its own cursor, a
/// collator and a flag.
const SLOT_IN_WRAPPER: usize = size_of::<WtCursor>() + 16;

/// WiredTiger is of the right release, but was built in a way that is not known.
const UNKNOWN_BUILD: &str = "this WiredTiger was built in a way that is not known: how many \
    cursors of a session are positioned cannot be told; use the library that Debian packages";

/// Our cursor, with what WiredTiger expects in front.
#[repr(C)]
struct Handle {
    head: WtCursor,
    alive: u64,
    /// WiredTiger's wrapper, and where in it the pointer to this handle is.
    wrapper: *mut WtCursor,
    slot: *const *mut WtCursor,
    /// The cursor's own, to be used beside it: counting one more user for every operation would
    /// have all threads write to one place.
    source: Option<Arc<Source<Wired>>>,
    /// The cursor, or what every operation answers instead.
    cursor: Result<Cursor<Wired>, c_int>,
    /// A key or value that lies in the cursor's buffers where it cannot stay.
    copies: [Vec<u8>; 2],
    /// A row's value that the wrapper has kept over a reservation that failed.
    kept: Vec<u8>,
    hold: Hold,
    late: Late,
    theirs: Theirs,
    /// WiredTiger is in an operation before which no other key was set than our last one.
    is_on_key: bool,
    /// The search that a modification of WiredTiger's begins with has nothing to do: the cursor stands there.
    is_found: bool,
    /// It has come where it stands by a step, or gone on from there.
    is_walking: bool,
    /// It walks for a truncation, which asks for keys alone.
    truncates: bool,
    /// The application's own calls come to its wrapper: nothing of WiredTiger's own is in between.
    is_direct: bool,
    /// The last key of the range that is being truncated by walking this cursor.
    last: Option<Vec<u8>>,
    /// What the reset that follows is for, if it is WiredTiger's own after a failed operation.
    failure: Option<Failure>,
    /// Somebody else has reset the cursor since: its key is gone.
    was_reset: bool,
}

/// How a failed operation leaves the cursor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Nowhere.
    LosesPlace,
    /// Where it was: the operation may be tried again.
    KeepsPlace,
}

/// Hands a cursor over to WiredTiger through `slot`; it closes it with `close`.
///
/// In place of a cursor there may be an error number: WiredTiger 3.2.1 crashes at the
/// session's end if opening a cursor with `dump=` fails, so that one is opened ([`opening`]).
///
/// # Safety
///
/// `session` and `slot` are those of WiredTiger's call to open a cursor.
pub unsafe fn into_wiredtiger(
    cursor: Result<Cursor<Wired>, c_int>,
    session: *mut Session,
    slot: *mut *mut WtCursor,
) -> Result<()> {
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
    let wrapper: *mut WtCursor = slot.wrapping_byte_sub(SLOT_IN_WRAPPER).cast();
    // SAFETY: the slot is in the wrapper, which is made already.
    let theirs = unsafe {
        range::watch(wrapper);
        Theirs::replace(wrapper)
    };
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
        kept: Vec::new(),
        hold: Hold::default(),
        late: Late::default(),
        theirs,
        is_on_key: false,
        is_found: false,
        is_walking: false,
        truncates: range::opens_for_truncation(session),
        is_direct: false,
        last: None,
        failure: None,
        was_reset: false,
    });
    let this = Box::into_raw(handle);
    // SAFETY: WiredTiger may call the cursor from here on, and does if it is to show where it
    // counts; one that it never got is taken back.
    unsafe {
        *slot = this.cast();
        if Handle::knows_session(this) {
            opening::note(session, this, (*this).cursor.as_ref().err().copied());
            return Ok(());
        }
        *slot = ptr::null_mut();
        std::mem::drop(Box::from_raw(this));
    }
    Err(Error::new(Code::Unsupported, UNKNOWN_BUILD))
}

/// What an operation is given.
struct Given<'a> {
    key: Key<'a>,
    value: Input<'a>,
    ways: Ways,
    /// The last key that a truncation's walk may come to.
    last: Option<&'a [u8]>,
    /// What a step has to bring.
    wanted: Wanted,
}

/// In which ways an operation is done.
#[derive(Clone, Copy)]
struct Ways {
    overwrite: bool,
    /// Whether a removal may find nothing: not in the middle of a walk.
    may_miss: bool,
    /// Whether key and value are unpacked afterwards.
    is_unpacked: bool,
}

/// Which of the wrapper's fields an operation reads, and whether it goes on from where the
/// cursor stands: always, never, or if no other key was set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A step: nothing; always.
    Step,
    /// A search: the key; never.
    Search,
    /// A search nearby, a removal or a reservation: the key; if no other was set.
    OnKey,
    /// An insertion: key and value; never.
    Insert,
    /// An update: key and value; if no other key was set.
    Update,
}

/// Runs one operation and, if it succeeds, hands key and value back.
///
/// # Safety
///
/// `cursor` is what WiredTiger called the method with.
unsafe fn operate(
    cursor: *mut WtCursor,
    kind: Kind,
    work: impl FnOnce(&mut Cursor<Wired>, Given<'_>) -> Result<()>,
) -> c_int {
    // SAFETY: WiredTiger passes what `into_wiredtiger` gave it, until it is closed, and lets
    // one thread at a time use it. What calls WiredTiger works on the pointer, so that no
    // reference is there when it calls us again.
    unsafe {
        let Some(this) = Handle::live(cursor) else {
            return EINVAL;
        };
        if let Some(answer) = Handle::aside(this) {
            return answer;
        }
        if let Err(refusal) = (*this).cursor {
            return refusal;
        }
        let goes_on = match kind {
            Kind::Step => true,
            Kind::Search | Kind::Insert => false,
            Kind::OnKey | Kind::Update => (*this).is_on_key,
        };
        let is_walking = (*this).is_walking;
        Handle::enter(this, goes_on);
        let flags = (*this).wrapper_flags(cursor);
        let overwrite = match flags {
            Some(flags) => flags & WT_CURSTD_OVERWRITE != 0,
            None => (*this).cursor.as_ref().is_ok_and(Cursor::overwrites),
        };
        let brings = Handle::brings(this, flags);
        let ways = Ways {
            overwrite,
            may_miss: overwrite && !is_walking,
            is_unpacked: (*this).is_unpacked(flags),
        };
        let number = match (*this).run(kind, ways, brings, work) {
            0 => Handle::has_brought(this, brings),
            failed => failed,
        };
        let is_positioned = (*this).is_positioned();
        (*this).is_walking = is_positioned && (kind == Kind::Step || (is_walking && goes_on));
        (*this).failure = match number {
            0 => None,
            WT_PREPARE_CONFLICT if kind == Kind::Step => Some(Failure::KeepsPlace),
            _ => Some(Failure::LosesPlace),
        };
        Handle::leave(this, is_positioned);
        number
    }
}

impl Handle {
    /// The handle that WiredTiger passed, if it was not closed yet.
    ///
    /// # Safety
    ///
    /// `cursor` is null or what WiredTiger called a method with.
    unsafe fn live(cursor: *mut WtCursor) -> Option<*mut Self> {
        let this = cursor.cast::<Self>();
        // SAFETY: the caller vouches for it.
        (!this.is_null() && unsafe { (*this).alive } == ALIVE).then_some(this)
    }

    /// Does the work of an operation.
    fn run(
        &mut self,
        kind: Kind,
        ways: Ways,
        brings: Wanted,
        work: impl FnOnce(&mut Cursor<Wired>, Given<'_>) -> Result<()>,
    ) -> c_int {
        let Self {
            head,
            source: Some(source),
            cursor: Ok(cursor),
            copies: [key_copy, value_copy],
            truncates,
            last,
            ..
        } = self
        else {
            return EINVAL;
        };
        answer(source, SessionHandle::new(head.session), || {
            source.check()?;
            if matches!(kind, Kind::Insert | Kind::Update) {
                memory()?;
            }
            if kind != Kind::Insert {
                cursor.check_not_bulk()?;
            }
            let none = Input::Bytes(&[]);
            let key = match kind {
                Kind::Step => none,
                _ if cursor.has_recnos() => none,
                // SAFETY: WiredTiger says how long the key is.
                _ => unsafe { input(&head.key, cursor, cursor.key(), key_copy)? },
            };
            let value = match kind {
                // SAFETY: WiredTiger says how long the value is.
                Kind::Insert | Kind::Update => unsafe {
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
                ways,
                last: last.as_deref(),
                wanted: match cursor.has_no_values() || (*truncates && !cursor.has_bit_fields()) {
                    true => Wanted::Keys,
                    false => brings,
                },
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

    fn is_positioned(&self) -> bool {
        self.cursor.as_ref().is_ok_and(Cursor::is_positioned)
    }

    /// Answers with an error.
    fn refuse(&self, error: &Error) -> c_int {
        let session = SessionHandle::new(self.head.session);
        let source = self.source.as_ref();
        source.map_or(EINVAL, |source| report(source.host(), session, error))
    }

    /// What WiredTiger says of the cursor in its wrapper, if it is there yet. It changes its mind there while it
    /// keeps indices up to date.
    ///
    /// # Safety
    ///
    /// The wrapper that opened this cursor is alive.
    unsafe fn wrapper_flags(&self, own: *mut WtCursor) -> Option<u32> {
        // SAFETY: the slot is part of the wrapper.
        unsafe { (*self.slot == own).then(|| (*self.wrapper).flags) }
    }

    /// Whether somebody unpacks what an operation finds. A raw cursor in the application's hands is given bytes, and
    /// a dump of bytes is one; but WiredTiger's own cursors on a table's parts unpack what they get from raw ones.
    fn is_unpacked(&self, flags: Option<u32>) -> bool {
        const OF_BYTES: u32 = WT_CURSTD_RAW | WT_CURSTD_DUMP_HEX | WT_CURSTD_DUMP_PRINT;
        let gives_bytes = flags.is_some_and(|flags| flags & OF_BYTES != 0);
        !(self.truncates || self.is_direct && gives_bytes)
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

/// Nothing has an address too, at which a text is empty: an application may look there.
fn give(item: &mut Item, bytes: &[u8]) {
    let start = if bytes.is_empty() {
        c"".as_ptr().cast()
    } else {
        bytes.as_ptr()
    };
    item.data = start.cast::<c_void>();
    item.size = bytes.len();
}

/// Has a cursor stand on no row that the application cannot unpack.
fn look(cursor: &mut Cursor<Wired>, given: &Given<'_>) -> Result<()> {
    if given.ways.is_unpacked {
        cursor
            .check_formats()
            .inspect_err(|_| cursor.leave_place())?;
    }
    Ok(())
}

/// Declares the operations that take the cursor alone.
macro_rules! operations {
    ($($name:ident, $kind:ident => |$cursor:ident, $given:ident| $work:expr;)*) => {$(
        unsafe extern "C" fn $name(cursor: *mut WtCursor) -> c_int {
            // SAFETY: WiredTiger's pointer, handed on as it came.
            unsafe { operate(cursor, Kind::$kind, |$cursor, $given| $work) }
        }
    )*};
}

operations! {
    next, Step => |cursor, given| {
        range::next(cursor, given.last, given.wanted)?;
        look(cursor, &given)
    };
    previous, Step => |cursor, given| {
        cursor.previous(given.wanted)?;
        look(cursor, &given)
    };
    search, Search => |cursor, given| {
        cursor.search(given.key)?;
        look(cursor, &given)
    };
    insert, Insert => |cursor, given| cursor.insert(given.key, given.value, given.ways.overwrite);
    update, Update => |cursor, given| cursor.update(given.key, given.value, given.ways.overwrite);
    remove, OnKey => |cursor, given| cursor.remove(given.key, given.ways.may_miss);
    reserve, OnKey => |cursor, given| cursor.reserve(given.key);
}

unsafe extern "C" fn search_near(cursor: *mut WtCursor, exact: *mut c_int) -> c_int {
    let mut which = Ordering::Equal;
    // SAFETY: WiredTiger's pointer, handed on as it came.
    let answer = unsafe {
        operate(cursor, Kind::OnKey, |cursor, given| {
            which = cursor.search_near(given.key, given.wanted)?;
            look(cursor, &given)
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
    unsafe {
        let Some(this) = Handle::live(cursor) else {
            return EINVAL;
        };
        if Handle::is_aside(this) {
            return 0;
        }
        match (*this).failure.take() {
            Some(Failure::KeepsPlace) => return 0,
            Some(Failure::LosesPlace) => {}
            None => (*this).was_reset = true,
        }
        (*this).last = None;
        (*this).is_walking = false;
        (*this).late.forget();
        if let Ok(cursor) = &mut (*this).cursor {
            cursor.reset();
        }
        Handle::release(this);
        0
    }
}

unsafe extern "C" fn close(cursor: *mut WtCursor) -> c_int {
    // SAFETY: see `operate`. WiredTiger forgets the pointer now, and it was made by
    // `Box::into_raw`.
    let handle = unsafe {
        let Some(this) = Handle::live(cursor) else {
            return EINVAL;
        };
        Handle::release(this);
        (*this).leave_list();
        (*this).alive = 0;
        Box::from_raw(this)
    };
    let session = SessionHandle::new(handle.head.session);
    let Ok(cursor) = handle.cursor else {
        return 0;
    };
    let source = cursor.source().clone();
    answer(&source, session, || cursor.close())
}
