//! What WiredTiger notes of a session behind its public structure: the transaction's flags, where its snapshot begins, and
//! how many of the session's cursors are positioned.
//!
//! None of that can be asked for, and it has to be known: a session keeps its snapshot, and resets
//! cursors at a rollback, only while one is positioned; and a transaction in which a call failed
//! must not commit, whoever's call it was. Invariant: nothing is read or written here before an
//! experiment has shown, in this process, that the counter is where it is looked for: it must
//! go up by one for the length of one of WiredTiger's own cursor operations ([`Candidates`]).
#![expect(unsafe_code, reason = "reads WiredTiger's own structure")]

use heliumdb::host::TxnId;
use std::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};
use wiredtiger_abi::v3_2::{
    ISO_READ_UNCOMMITTED, ISO_SNAPSHOT, SESSION_TXN_OFFSETS, Session, SessionTxn, TxnNotify,
    WT_TXN_AUTOCOMMIT, WT_TXN_ERROR, WT_TXN_FLAGS, WT_TXN_HAS_SNAPSHOT, WT_TXN_IGNORE_PREPARE,
    WT_TXN_PREPARE, WT_TXN_READONLY, WT_TXN_RUNNING,
};

/// Where in a session its transaction is; zero until that is proven.
static PROVEN: AtomicUsize = AtomicUsize::new(0);
/// A counter beyond this is none.
const POSITIONED_MAX: u32 = 1 << 20;

/// A session's own notes. Valid while the session is, for the thread that uses it.
#[derive(Clone, Copy)]
pub struct Inside(NonNull<SessionTxn>);

impl Inside {
    /// The notes of `session`, once it is proven where they are.
    ///
    /// # Safety
    ///
    /// `session` is null, or a session of release 3.2.1 in which WiredTiger is calling us.
    pub unsafe fn of(session: *mut Session) -> Option<Self> {
        match PROVEN.load(Ordering::Relaxed) {
            0 => None,
            // SAFETY: the caller vouches for the session.
            at => unsafe { Self::at(session, at) },
        }
    }

    /// # Safety
    ///
    /// As for [`Self::of`]; `at` is one of [`SESSION_TXN_OFFSETS`].
    unsafe fn at(session: *mut Session, at: usize) -> Option<Self> {
        NonNull::new(session.wrapping_byte_add(at).cast())
            .filter(|_| !session.is_null())
            .map(Self)
    }

    /// How many cursors of the session are positioned, or at work.
    pub fn positioned(self) -> u32 {
        // SAFETY: see `of`; only the session's thread touches the counter.
        unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).ncursors) }
    }

    /// Says how many are.
    pub fn set_positioned(self, count: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*self.0.as_ptr()).ncursors, count) }
    }

    fn flags(self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).flags) }
    }

    fn isolation(self) -> u32 {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).isolation) }
    }

    /// Whether the session is in a transaction.
    pub fn is_running(self) -> bool {
        self.flags() & WT_TXN_RUNNING != 0
    }

    /// Whether the session is in a write outside of a transaction that has yet to begin its own.
    pub fn is_about_to_begin(self) -> bool {
        self.flags() & WT_TXN_AUTOCOMMIT != 0
    }

    /// Whether the session's transaction is prepared.
    pub fn is_prepared(self) -> bool {
        self.flags() & WT_TXN_PREPARE != 0
    }

    /// Whether it passes over what prepared transactions wrote.
    pub fn ignores_prepared(self) -> bool {
        self.flags() & WT_TXN_IGNORE_PREPARE != 0
    }

    /// Whether the transaction must not write.
    pub fn is_read_only(self) -> bool {
        self.flags() & WT_TXN_READONLY != 0
    }

    /// Whether a call in the running transaction failed, so that it can only be rolled back.
    pub fn has_failed(self) -> bool {
        let failed = WT_TXN_RUNNING | WT_TXN_ERROR;
        self.flags() & failed == failed
    }

    /// Whether the transaction, or the next one, is at snapshot isolation.
    pub fn is_snapshot(self) -> bool {
        self.isolation() == ISO_SNAPSHOT
    }

    /// Whether the transaction, or the next one, reads what is not committed: it needs no snapshot, and keeps
    /// WiredTiger from forgetting what it reads all the same.
    pub fn is_uncommitted(self) -> bool {
        self.isolation() == ISO_READ_UNCOMMITTED
    }

    /// Whether the session has a snapshot.
    pub fn has_snapshot(self) -> bool {
        self.flags() & WT_TXN_HAS_SNAPSHOT != 0
    }

    /// The id below which its snapshot has all transactions that have committed, if it has a snapshot.
    pub fn sees_all_below(self) -> Option<TxnId> {
        // SAFETY: as above.
        let lowest = unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).snap_min) };
        self.has_snapshot().then_some(lowest)
    }

    /// Has WiredTiger take a new snapshot when it next needs one, which must be before anything is
    /// read: a transaction's begin, or a search, is about to.
    pub fn forget_snapshot(self) {
        let flags = self.flags() & !WT_TXN_HAS_SNAPSHOT;
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*self.0.as_ptr()).flags, flags) }
    }

    /// Whether it keeps its snapshot though no cursor is positioned.
    pub fn keeps_snapshot(self) -> bool {
        self.is_running() && self.is_snapshot()
    }

    /// Whether WiredTiger counted changes of its own in the transaction.
    pub fn has_own_changes(self) -> bool {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).mod_count) != 0 }
    }

    /// Who is told of the transaction's end.
    pub fn notify(self) -> *mut TxnNotify {
        // SAFETY: as above.
        unsafe { ptr::read_volatile(&raw const (*self.0.as_ptr()).notify) }
    }

    fn is_plausible(self) -> bool {
        self.flags() & !WT_TXN_FLAGS == 0 && self.isolation() <= ISO_SNAPSHOT
    }
}

/// The counters at the places where they may be, at one moment.
#[derive(Clone, Copy, Default)]
pub struct Candidates([u32; SESSION_TXN_OFFSETS.len()]);

impl Candidates {
    /// Reads them.
    ///
    /// # Safety
    ///
    /// As for [`Inside::of`].
    pub unsafe fn read(session: *mut Session) -> Self {
        // SAFETY: a session is longer than any of the places, however WiredTiger was built.
        let count = |at| unsafe { Inside::at(session, at) }.map_or(0, Inside::positioned);
        Self(SESSION_TXN_OFFSETS.map(count))
    }

    /// Takes the place as proven at which the counter was one more `during` an operation of
    /// WiredTiger's than before it and `after` it; false if that holds of no place or
    /// of several.
    ///
    /// # Safety
    ///
    /// As for [`Inside::of`].
    pub unsafe fn prove(self, during: Self, after: Self, session: *mut Session) -> bool {
        let counts = self.0.iter().zip(during.0).zip(after.0);
        let mut places =
            SESSION_TXN_OFFSETS
                .iter()
                .zip(counts)
                .filter(|&(&at, ((&before, during), after))| {
                    // SAFETY: the caller vouches for the session.
                    let inside = unsafe { Inside::at(session, at) };
                    before < POSITIONED_MAX
                        && during == before + 1
                        && after == before
                        && inside.is_some_and(Inside::is_plausible)
                });
        match (places.next(), places.next()) {
            (Some((&at, _)), None) => {
                PROVEN.store(at, Ordering::Relaxed);
                true
            }
            _ => false,
        }
    }
}
