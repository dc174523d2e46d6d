//! A positioned cursor counts among its session's, as WiredTiger's own do.
//!
//! WiredTiger counts the positioned cursors of a session. While there are any, the session
//! keeps its snapshot (below snapshot isolation too), so that a walk sees one state, and its
//! steps and what is read through other cursors, WiredTiger's own included, agree; and a
//! rollback, a failed write outside a transaction and the session's reset reset them all. For a
//! data source's cursor it counts up for the length of a call only. Invariant: a cursor of ours
//! that is positioned counts once more, from the call that positioned it to the one that does
//! not go on from there.
//!
//! When the count falls to nothing outside of a call, or an operation needs a new snapshot
//! within one, WiredTiger has to hear of it. It lets go of a snapshot, and takes one, at the
//! end and at the beginning of its own cursor operations; so one is made that does nothing
//! ([`Aside`]).

use super::{Handle, late, outer::Operation};
use crate::boundary::inside::{Candidates, Inside};
use std::ffi::c_int;
use wiredtiger_abi::v3_2::{Cursor as WtCursor, WT_NOTFOUND};

/// An operation of WiredTiger's that comes to us and does nothing there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// Its end lets go of the snapshot, if no cursor of the session is positioned.
    Nothing,
    /// Its beginning takes a snapshot, and its end keeps it.
    Keep,
    /// It notes what the counters are.
    Note,
}

/// What is kept of it.
#[derive(Default)]
pub(super) struct Hold {
    /// The cursor counts.
    is_held: bool,
    aside: Option<Aside>,
    noted: Candidates,
}

impl Handle {
    /// What an operation answers that was made for its own sake; none if it is a real one.
    ///
    /// # Safety
    ///
    /// `this` is a live handle; no reference to it or into it is.
    pub(super) unsafe fn aside(this: *mut Self) -> Option<c_int> {
        // SAFETY: the caller vouches for it.
        unsafe {
            let aside = (*this).hold.aside?;
            let session = (*this).head.session;
            match aside {
                Aside::Nothing => {}
                Aside::Keep => {
                    if let Some(inside) = Inside::of(session) {
                        inside.set_positioned(inside.positioned() + 1);
                    }
                }
                Aside::Note => (*this).hold.noted = Candidates::read(session),
            }
            Some(WT_NOTFOUND)
        }
    }

    /// Whether WiredTiger is in an operation that was made for its own sake.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`].
    pub(super) unsafe fn is_aside(this: *mut Self) -> bool {
        // SAFETY: the caller vouches for it.
        unsafe { (*this).hold.aside.is_some() }
    }

    /// Before an operation: one that does not go on from where the cursor stands gives up the
    /// place, and with it the session's snapshot if no other cursor needs it.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`]; WiredTiger is calling an operation of the cursor.
    pub(super) unsafe fn enter(this: *mut Self, goes_on: bool) {
        // SAFETY: the caller vouches for it.
        unsafe {
            let Some(inside) = Inside::of((*this).head.session) else {
                return;
            };
            let count = inside.positioned();
            if count == 0 || count > i32::MAX as u32 {
                // In a prepared transaction WiredTiger refuses the call before it counts it, and
                // counts it down all the same.
                inside.set_positioned(1 + u32::from((*this).hold.is_held));
            }
            if !(*this).hold.is_held || goes_on {
                return;
            }
            if let Ok(cursor) = &mut (*this).cursor {
                cursor.leave_place();
            }
            Self::let_go(this, inside);
            if inside.positioned() == 1 && inside.has_snapshot() && !inside.keeps_snapshot() {
                inside.set_positioned(0);
                Self::step_aside(this, Aside::Nothing);
                Self::step_aside(this, Aside::Keep);
                inside.set_positioned(1);
            }
        }
    }

    /// Before WiredTiger begins a search with a key that is set: the place is given up here already, so that the
    /// search takes a snapshot of its own where it needs one, as [`Self::enter`] would have it do at more cost.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`]; WiredTiger is in no operation of the cursor.
    pub(super) unsafe fn look_anew(this: *mut Self) {
        // SAFETY: the caller vouches for it.
        unsafe {
            let inside = Inside::of((*this).head.session).filter(|_| (*this).hold.is_held);
            // In a prepared transaction WiredTiger refuses the search before it takes anything.
            let Some(inside) = inside.filter(|inside| !inside.is_prepared()) else {
                return;
            };
            if let Ok(cursor) = &mut (*this).cursor {
                cursor.leave_place();
            }
            Self::let_go(this, inside);
            if inside.positioned() == 0 && inside.has_snapshot() && !inside.keeps_snapshot() {
                inside.forget_snapshot();
            }
        }
    }

    /// Before a search by which a write on a table, outside of a transaction, learns what its indices have of the row: begins
    /// the transaction that the write is done in, as a native cursor's search does there. It would begin with
    /// the first write that comes to us, and miss who changed the row since the search. Not zero: what the search answers.
    ///
    /// # Safety
    ///
    /// As for [`Self::look_anew`]; the wrapper has a key, and `remove` is WiredTiger's method.
    pub(super) unsafe fn begin_write(this: *mut Self, remove: Operation) -> c_int {
        // SAFETY: the caller vouches for it.
        unsafe {
            let session = (*this).head.session;
            if !Inside::of(session).is_some_and(Inside::is_about_to_begin) {
                return 0;
            }
            late::bring_all(session);
            let wrapper = (*this).wrapper;
            match Self::do_aside(this, Aside::Nothing, || remove(wrapper)) {
                WT_NOTFOUND => 0,
                failed => failed,
            }
        }
    }

    /// After an operation: the cursor counts if it is positioned.
    ///
    /// # Safety
    ///
    /// As for [`Self::enter`].
    pub(super) unsafe fn leave(this: *mut Self, is_positioned: bool) {
        // SAFETY: the caller vouches for it.
        unsafe {
            let Some(inside) = Inside::of((*this).head.session) else {
                return;
            };
            match ((*this).hold.is_held, is_positioned) {
                (false, true) => {
                    inside.set_positioned(inside.positioned() + 1);
                    (*this).hold.is_held = true;
                }
                (true, false) => Self::let_go(this, inside),
                _ => {}
            }
        }
    }

    /// The cursor has lost its place, in an operation or outside of one.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`].
    pub(super) unsafe fn release(this: *mut Self) {
        // SAFETY: the caller vouches for it.
        unsafe {
            let inside = Inside::of((*this).head.session).filter(|_| (*this).hold.is_held);
            let Some(inside) = inside else { return };
            Self::let_go(this, inside);
            // The end of a transaction has let go of its snapshot, and so has a prepare, which allows no operation.
            let pins = inside.has_snapshot() || inside.is_uncommitted();
            if inside.positioned() == 0 && pins && !inside.keeps_snapshot() && !inside.is_prepared()
            {
                Self::step_aside(this, Aside::Nothing);
            }
        }
    }

    /// Has WiredTiger let go of the session's snapshot, though cursors are positioned.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`]; WiredTiger is in no operation of the cursor.
    pub(super) unsafe fn end_view(this: *mut Self) {
        // SAFETY: the caller vouches for it.
        unsafe {
            let inside = Inside::of((*this).head.session);
            let Some(inside) = inside.filter(|i| i.has_snapshot() && !i.keeps_snapshot()) else {
                return;
            };
            let positioned = inside.positioned();
            inside.set_positioned(0);
            Self::step_aside(this, Aside::Nothing);
            inside.set_positioned(positioned);
        }
    }

    /// # Safety
    ///
    /// As for [`Self::aside`].
    unsafe fn let_go(this: *mut Self, inside: Inside) {
        // SAFETY: the caller vouches for it.
        unsafe { (*this).hold.is_held = false };
        inside.set_positioned(inside.positioned().saturating_sub(1));
    }

    /// Whether it is known where the session counts: found by an experiment when the first cursor
    /// of a process is opened.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`]; WiredTiger is opening the cursor.
    pub(super) unsafe fn knows_session(this: *mut Self) -> bool {
        // SAFETY: the caller vouches for it.
        unsafe {
            let session = (*this).head.session;
            if Inside::of(session).is_some() {
                return true;
            }
            let before = Candidates::read(session);
            Self::step_aside(this, Aside::Note);
            let after = Candidates::read(session);
            before.prove((*this).hold.noted, after, session)
        }
    }

    /// Has WiredTiger do an operation that does nothing. Its wrapper is as it was afterwards.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`].
    unsafe fn step_aside(this: *mut Self, aside: Aside) {
        // SAFETY: the caller vouches for the handle; the wrapper is WiredTiger's, and its flags
        // are what they were when the operation is over.
        unsafe {
            let Some(wrapper) = Self::wrapper(this) else {
                return;
            };
            let Some(next) = (*wrapper).next else { return };
            Self::do_aside(this, aside, || next(wrapper));
        }
    }

    /// Does an operation of WiredTiger's on the wrapper for the sake of its beginning or its end.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`]; the operation comes to this cursor.
    unsafe fn do_aside(this: *mut Self, aside: Aside, operation: impl FnOnce() -> c_int) -> c_int {
        // SAFETY: the caller vouches for it; the wrapper is there while its cursor is.
        unsafe {
            let wrapper = (*this).wrapper;
            let flags = (*wrapper).flags;
            (*this).hold.aside = Some(aside);
            let answer = operation();
            (*this).hold.aside = None;
            (*wrapper).flags = flags;
            answer
        }
    }

    /// WiredTiger's cursor around this one, if it is where it is expected.
    ///
    /// # Safety
    ///
    /// As for [`Self::aside`].
    pub(super) unsafe fn wrapper(this: *mut Self) -> Option<*mut WtCursor> {
        // SAFETY: the caller vouches for the handle; the slot is part of the wrapper, which is
        // there while its cursor is.
        unsafe {
            let is_known = *(*this).slot == this.cast();
            is_known.then_some((*this).wrapper)
        }
    }
}
