//! Values that nobody has asked for yet.
//!
//! A walk that is after keys alone should ask no device; but a step has to answer with key and value, before anybody can
//! know which of them are wanted. So a step of a cursor that the application itself calls brings the value only
//! where it lies in memory; elsewhere the wrapper's method `get_value` is replaced by one that reads it first
//! ([`trampoline`]). Who asks once gets values with rows from then on.
//!
//! Invariant: a value that was left out is read through the eyes that found its row. So all such values of a session are
//! read before these eyes change: before it writes, begins, commits or prepares a transaction, or changes what objects
//! there are ([`bring_all`]). In a session with cursors of others, whose writes outside of transactions we do not hear of, none
//! is left out but in a transaction; at read-uncommitted, where eyes never rest, none at all.

use super::{Handle, outer, trampoline};
use crate::{
    boundary::{guard::answer, host::SessionHandle, inside::Inside},
    cursor::Cursor,
};
use heliumdb::host::Wanted;
use parking_lot::Mutex;
use std::{
    ffi::c_int,
    sync::atomic::{AtomicUsize, Ordering::*},
};
use wiredtiger_abi::v3_2::{
    Cursor as WtCursor, Session, WT_CURSTD_DUMP_HEX, WT_CURSTD_DUMP_JSON, WT_CURSTD_DUMP_PRINT,
    WT_CURSTD_VALUE_INT, WT_CURSTD_VALUE_SET,
};

/// After so many steps that brought values it is looked whether anybody asks for them still.
const STEPS: u32 = 1024;

/// A cursor's own.
pub(super) struct Late {
    value: Value,
    /// What steps bring: all, or what is at hand.
    brings: Wanted,
    /// Steps since it was looked whether anybody asks for values.
    steps: u32,
    /// Somebody has asked since.
    was_asked: bool,
    /// It is among those that [`bring_all`] goes through.
    is_listed: bool,
}

/// Where the value of the row is on which a cursor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Here,
    /// It was left out.
    Missing,
    /// It was left out, and could not be read when it had to be.
    Lost(c_int),
}

impl Default for Late {
    fn default() -> Self {
        Self {
            value: Value::Here,
            brings: match trampoline::IS_THERE {
                true => Wanted::AtHand,
                false => Wanted::Items,
            },
            steps: 0,
            was_asked: false,
            is_listed: false,
        }
    }
}

/// Cursors that may stand on a row without its value, each with its session.
struct Shard {
    listed: Mutex<Vec<(usize, usize)>>,
    /// How many there are, for those that look without the lock.
    count: AtomicUsize,
}

/// Most sessions have none, and do not wait for each other to learn that.
static SHARDS: [Shard; 16] = [const {
    Shard {
        listed: Mutex::new(Vec::new()),
        count: AtomicUsize::new(0),
    }
}; 16];

impl Shard {
    fn of(session: *mut Session) -> &'static Self {
        let hash = (session.addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &SHARDS[(hash >> 60) as usize]
    }

    fn change<R>(&self, change: impl FnOnce(&mut Vec<(usize, usize)>) -> R) -> R {
        let mut listed = self.listed.lock();
        let changed = change(&mut listed);
        self.count.store(listed.len(), Relaxed);
        changed
    }
}

/// Sessions with cursors of others, by address.
static MIXED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// The session has a cursor, or may have, that writes without our hearing of it.
///
/// # Safety
///
/// As for [`bring_all`].
pub unsafe fn mark_mixed(session: *mut Session) {
    // SAFETY: the caller vouches for it.
    unsafe { bring_all(session) };
    let mut mixed = MIXED.lock();
    if !mixed.contains(&session.addr()) {
        mixed.push(session.addr());
    }
}

/// The session is a new one.
pub fn forget(session: *mut Session) {
    MIXED.lock().retain(|&mixed| mixed != session.addr());
}

/// Reads all values that cursors of the session have left out: what they would be read through is about to change.
///
/// # Safety
///
/// `session` is a live session of release 3.2.1, and the calling thread's.
pub unsafe fn bring_all(session: *mut Session) {
    let shard = Shard::of(session);
    if shard.count.load(Relaxed) == 0 {
        return;
    }
    let its_own: Vec<_> = shard.change(|listed| {
        listed
            .extract_if(.., |&mut (of, _)| of == session.addr())
            .collect()
    });
    for (_, handle) in its_own {
        let this = std::ptr::with_exposed_provenance_mut::<Handle>(handle);
        // SAFETY: a cursor leaves the list before it is closed, and the session's are used by this thread alone.
        unsafe {
            (*this).late.is_listed = false;
            if let Some(number) = Handle::bring(this).filter(|&number| number != 0) {
                (*this).late.value = Value::Lost(number);
            }
        }
    }
}

impl Late {
    /// The cursor stands on no row any more.
    pub(super) fn forget(&mut self) {
        self.value = Value::Here;
    }
}

impl Handle {
    /// What a step has to bring.
    ///
    /// # Safety
    ///
    /// `this` is a live handle, and WiredTiger is calling an operation of it; no reference to it or into it is.
    pub(super) unsafe fn brings(this: *mut Self, flags: Option<u32>) -> Wanted {
        const DUMPS: u32 = WT_CURSTD_DUMP_HEX | WT_CURSTD_DUMP_JSON | WT_CURSTD_DUMP_PRINT;
        // SAFETY: the caller vouches for it.
        unsafe {
            (*this).late.forget();
            let is_asked_directly =
                (*this).is_direct && flags.is_some_and(|flags| flags & DUMPS == 0);
            if !is_asked_directly || (*this).late.brings == Wanted::Items {
                return Wanted::Items;
            }
            match Inside::of((*this).head.session) {
                Some(inside) if !inside.is_uncommitted() => Wanted::AtHand,
                _ => Wanted::Items,
            }
        }
    }

    /// After a step, or a search nearby, that was to bring what `brought` says; answers for it.
    ///
    /// # Safety
    ///
    /// As for [`Self::brings`].
    pub(super) unsafe fn has_brought(this: *mut Self, brought: Wanted) -> c_int {
        // SAFETY: the caller vouches for it.
        unsafe {
            if brought == Wanted::Items {
                (*this).late.steps += 1;
                if (*this).late.steps >= STEPS && (*this).is_direct {
                    Self::look_who_asks(this);
                }
                return 0;
            }
            let lacks = (*this).cursor.as_mut().is_ok_and(Cursor::take_lack);
            if !lacks {
                return 0;
            }
            (*this).late.value = Value::Missing;
            let session = (*this).head.session;
            let rests = Inside::of(session).is_some_and(|inside| {
                inside.has_snapshot()
                    && (inside.is_running() || !MIXED.lock().contains(&session.addr()))
            });
            if !rests || !trampoline::put(&mut *(*this).wrapper) {
                (*this).late.brings = Wanted::Items;
                let number = Self::bring(this).unwrap_or(0);
                if number != 0
                    && let Ok(cursor) = &mut (*this).cursor
                {
                    cursor.leave_place();
                }
                return number;
            }
            if !(*this).late.is_listed {
                (*this).late.is_listed = true;
                let entry = (session.addr(), this.expose_provenance());
                Shard::of(session).change(|listed| listed.push(entry));
            }
            0
        }
    }

    /// Whether values are asked for still shows until the next time.
    unsafe fn look_who_asks(this: *mut Self) {
        // SAFETY: as for the caller.
        unsafe {
            let late = &mut (*this).late;
            late.steps = 0;
            if trampoline::IS_THERE && !late.was_asked {
                late.brings = Wanted::AtHand;
            }
            late.was_asked = !trampoline::put(&mut *(*this).wrapper);
        }
    }

    /// Reads the value that was left out, if it was; what came of that.
    ///
    /// # Safety
    ///
    /// As for [`Self::brings`], but that WiredTiger is in no operation of the cursor, or at its end.
    pub(super) unsafe fn bring(this: *mut Self) -> Option<c_int> {
        // SAFETY: the caller vouches for it.
        unsafe {
            match (*this).late.value {
                Value::Here => return None,
                Value::Lost(number) => return Some(number),
                Value::Missing => {}
            }
            let is_unpacked = (*this).is_unpacked(Some((*(*this).wrapper).flags));
            let Self {
                head,
                source: Some(source),
                cursor: Ok(cursor),
                ..
            } = &mut *this
            else {
                return None;
            };
            let number = answer(source, SessionHandle::new(head.session), || {
                cursor.bring_value()?;
                super::give(&mut head.value, cursor.value());
                if is_unpacked {
                    cursor.check_formats()
                } else {
                    Ok(())
                }
            });
            if number == 0 {
                (*this).late.value = Value::Here;
                let wrapper = (*this).wrapper;
                if (*wrapper).flags & WT_CURSTD_VALUE_SET == WT_CURSTD_VALUE_INT {
                    (*wrapper).value.data = (*this).head.value.data;
                    (*wrapper).value.size = (*this).head.value.size;
                }
            }
            Some(number)
        }
    }

    /// Before the cursor is closed.
    pub(super) fn leave_list(&self) {
        if self.late.is_listed {
            let handle = std::ptr::from_ref(self).addr();
            Shard::of(self.head.session)
                .change(|listed| listed.retain(|&(_, listed)| listed != handle));
        }
    }
}

/// The application asks a cursor for the value: reads it if it was left out. Not zero: what it is answered.
///
/// # Safety
///
/// `wrapper` is a live cursor of WiredTiger's around one of ours.
pub(super) unsafe extern "C" fn before_value(wrapper: *mut WtCursor) -> c_int {
    // SAFETY: the caller vouches for it.
    unsafe {
        let Some(this) = outer::handle(wrapper) else {
            return 0;
        };
        (*this).late.was_asked = true;
        (*this).late.brings = Wanted::Items;
        // One that the application has set meanwhile is its own.
        let is_of_row = (*wrapper).flags & WT_CURSTD_VALUE_SET == WT_CURSTD_VALUE_INT;
        match Handle::bring(this).filter(|_| is_of_row) {
            Some(number) if number != 0 => number,
            _ => {
                trampoline::take_away(&mut *wrapper);
                0
            }
        }
    }
}
