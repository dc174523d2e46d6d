//! Numbers of the 3.2.1 interface: error codes, isolation levels, cursor flags.

use std::ffi::c_int;

/// `WT_ROLLBACK`: a conflict; the transaction has to be rolled back.
pub const WT_ROLLBACK: c_int = -31_800;
/// `WT_DUPLICATE_KEY`: the key was to be new and is there.
pub const WT_DUPLICATE_KEY: c_int = -31_801;
/// `WT_ERROR`: an error without a number of its own.
pub const WT_ERROR: c_int = -31_802;
/// `WT_NOTFOUND`: no such item.
pub const WT_NOTFOUND: c_int = -31_803;
/// `WT_PANIC`: the connection is unusable from now on.
pub const WT_PANIC: c_int = -31_804;
/// `WT_RESTART`: internal to WiredTiger.
pub const WT_RESTART: c_int = -31_805;
/// `WT_RUN_RECOVERY`: recovery has to run first.
pub const WT_RUN_RECOVERY: c_int = -31_806;
/// `WT_CACHE_FULL`: an in-memory database is full.
pub const WT_CACHE_FULL: c_int = -31_807;
/// `WT_PREPARE_CONFLICT`: the item was changed by a prepared transaction.
pub const WT_PREPARE_CONFLICT: c_int = -31_808;
/// `WT_TRY_SALVAGE`: the database is damaged.
pub const WT_TRY_SALVAGE: c_int = -31_809;

/// The lowest and highest number of the range that WiredTiger reserves for itself.
pub const RESERVED_ERRORS: std::ops::RangeInclusive<c_int> = -31_999..=-31_800;

/// `WT_TXN_ISO_READ_COMMITTED`.
pub const WT_TXN_ISO_READ_COMMITTED: c_int = 1;
/// `WT_TXN_ISO_READ_UNCOMMITTED`.
pub const WT_TXN_ISO_READ_UNCOMMITTED: c_int = 2;
/// `WT_TXN_ISO_SNAPSHOT`.
pub const WT_TXN_ISO_SNAPSHOT: c_int = 3;

/// `WT_CURSTD_APPEND`: record numbers are given by the table.
pub const WT_CURSTD_APPEND: u32 = 0x0_0001;
/// `WT_CURSTD_BULK`: opened for bulk loading.
pub const WT_CURSTD_BULK: u32 = 0x0_0002;
/// `WT_CURSTD_CACHEABLE`.
pub const WT_CURSTD_CACHEABLE: u32 = 0x0_0004;
/// `WT_CURSTD_CACHED`.
pub const WT_CURSTD_CACHED: u32 = 0x0_0008;
/// `WT_CURSTD_DEAD`.
pub const WT_CURSTD_DEAD: u32 = 0x0_0010;
/// `WT_CURSTD_DUMP_HEX`.
pub const WT_CURSTD_DUMP_HEX: u32 = 0x0_0020;
/// `WT_CURSTD_DUMP_JSON`.
pub const WT_CURSTD_DUMP_JSON: u32 = 0x0_0040;
/// `WT_CURSTD_DUMP_PRINT`.
pub const WT_CURSTD_DUMP_PRINT: u32 = 0x0_0080;
/// `WT_CURSTD_JOINED`.
pub const WT_CURSTD_JOINED: u32 = 0x0_0100;
/// `WT_CURSTD_KEY_EXT`: the key points at the application's memory.
pub const WT_CURSTD_KEY_EXT: u32 = 0x0_0200;
/// `WT_CURSTD_KEY_INT`: the key points at the data source's memory.
pub const WT_CURSTD_KEY_INT: u32 = 0x0_0400;
/// `WT_CURSTD_META_INUSE`.
pub const WT_CURSTD_META_INUSE: u32 = 0x0_0800;
/// `WT_CURSTD_OPEN`.
pub const WT_CURSTD_OPEN: u32 = 0x0_1000;
/// `WT_CURSTD_OVERWRITE`: inserts replace, updates create.
pub const WT_CURSTD_OVERWRITE: u32 = 0x0_2000;
/// `WT_CURSTD_RAW`: keys and values are given as packed bytes.
pub const WT_CURSTD_RAW: u32 = 0x0_4000;
/// `WT_CURSTD_RAW_SEARCH`.
pub const WT_CURSTD_RAW_SEARCH: u32 = 0x0_8000;
/// `WT_CURSTD_VALUE_EXT`: the value points at the application's memory.
pub const WT_CURSTD_VALUE_EXT: u32 = 0x1_0000;
/// `WT_CURSTD_VALUE_INT`: the value points at the data source's memory.
pub const WT_CURSTD_VALUE_INT: u32 = 0x2_0000;
/// `WT_CURSTD_KEY_SET`: there is a key.
pub const WT_CURSTD_KEY_SET: u32 = WT_CURSTD_KEY_EXT | WT_CURSTD_KEY_INT;
/// `WT_CURSTD_VALUE_SET`: there is a value.
pub const WT_CURSTD_VALUE_SET: u32 = WT_CURSTD_VALUE_EXT | WT_CURSTD_VALUE_INT;
