//! What a session holds behind its public structure, as in the sources of 3.2.1.
//!
//! Nothing of it is in a header that is installed, and where it lies in the session depends on
//! how WiredTiger was built. So whoever uses it first proves by experiment that it is there.

use std::ffi::{c_char, c_uint, c_void};
use std::mem::{offset_of, size_of};

use super::TxnNotify;

/// `WT_TXN`: a session's transaction, and from [`Self::bg_sync_lsn`] on what follows it there.
#[repr(C)]
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are WiredTiger's own")]
pub struct SessionTxn {
    pub id: u64,
    /// `WT_TXN_ISOLATION`: see [`ISO_SNAPSHOT`].
    pub isolation: c_uint,
    pub forced_iso: u32,
    pub snap_min: u64,
    pub snap_max: u64,
    pub snapshot: *mut u64,
    pub snapshot_count: u32,
    pub txn_logsync: u32,
    pub commit_timestamp: u64,
    pub durable_timestamp: u64,
    pub first_commit_timestamp: u64,
    pub prepare_timestamp: u64,
    pub read_timestamp: u64,
    pub durable_timestampq: [*mut c_void; 2],
    pub read_timestampq: [*mut c_void; 2],
    pub clear_durable_q: bool,
    pub clear_read_q: bool,
    pub modifications: *mut c_void,
    pub mod_alloc: usize,
    pub mod_count: c_uint,
    pub logrec: *mut c_void,
    pub notify: *mut TxnNotify,
    pub ckpt_lsn: u64,
    pub ckpt_nsnapshot: u32,
    pub ckpt_snapshot: *mut c_void,
    pub full_ckpt: bool,
    pub rollback_reason: *const c_char,
    /// `WT_TXN_` flags.
    pub flags: u32,
    pub bg_sync_lsn: u64,
    /// How many cursors of the session are positioned. While there are any, the session keeps
    /// its snapshot, and a rollback resets them.
    pub ncursors: c_uint,
}

/// Where the transaction may lie in a session: as Debian builds it, and with diagnostics.
pub const SESSION_TXN_OFFSETS: [usize; 2] = [552, 576];

/// `WT_ISO_READ_COMMITTED`, as a transaction notes it.
pub const ISO_READ_COMMITTED: c_uint = 0;
/// `WT_ISO_READ_UNCOMMITTED`, as a transaction notes it.
pub const ISO_READ_UNCOMMITTED: c_uint = 1;
/// `WT_ISO_SNAPSHOT`, as a transaction notes it.
pub const ISO_SNAPSHOT: c_uint = 2;

/// `WT_TXN_AUTOCOMMIT`: a write is under way outside of a transaction, and has not begun its own yet.
pub const WT_TXN_AUTOCOMMIT: u32 = 0x0000_0001;
/// `WT_TXN_ERROR`: an operation failed; what was written can only be rolled back.
pub const WT_TXN_ERROR: u32 = 0x0000_0002;
/// `WT_TXN_HAS_SNAPSHOT`.
pub const WT_TXN_HAS_SNAPSHOT: u32 = 0x0000_0008;
/// `WT_TXN_IGNORE_PREPARE`: what prepared transactions wrote is passed over.
pub const WT_TXN_IGNORE_PREPARE: u32 = 0x0000_0100;
/// `WT_TXN_PREPARE`: the transaction is prepared.
pub const WT_TXN_PREPARE: u32 = 0x0000_0400;
/// `WT_TXN_READONLY`: it must not write.
pub const WT_TXN_READONLY: u32 = 0x0000_1000;
/// `WT_TXN_RUNNING`: the session is in a transaction.
pub const WT_TXN_RUNNING: u32 = 0x0000_2000;
/// All flags that there are.
pub const WT_TXN_FLAGS: u32 = 0x01ff_ffff;

const _: () = {
    assert!(size_of::<SessionTxn>() == 232);
    assert!(offset_of!(SessionTxn, snapshot_count) == 40);
    assert!(offset_of!(SessionTxn, modifications) == 128);
    assert!(offset_of!(SessionTxn, mod_count) == 144);
    assert!(offset_of!(SessionTxn, notify) == 160);
    assert!(offset_of!(SessionTxn, rollback_reason) == 200);
    assert!(offset_of!(SessionTxn, flags) == 208);
    assert!(offset_of!(SessionTxn, ncursors) == 224);
};
