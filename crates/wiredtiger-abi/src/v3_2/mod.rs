//! The layouts of WiredTiger 3.2.1, as in its `wiredtiger.h` and `wiredtiger_ext.h`,
//! and, for what a session holds behind them, in its sources.
//!
//! Invariant: every structure has exactly the C size, and every field the C
//! name and offset. Rust's type names leave the `WT_` out; a field that would
//! be a Rust keyword says so.

/// A C function pointer as it stands in WiredTiger's tables, where any may be null.
macro_rules! method {
    (fn($($argument:tt)*) -> $answer:ty) => {
        Option<unsafe extern "C" fn($($argument)*) -> $answer>
    };
    (fn($($argument:tt)*)) => {
        Option<unsafe extern "C" fn($($argument)*)>
    };
}

mod config;
mod connection;
mod constants;
mod cursor;
mod data_source;
mod extension;
mod internals;
mod item;
mod session;

pub use config::{ConfigArg, ConfigItem, ConfigItemType, ConfigParser};
pub use connection::{Connection, EventHandler, WiredtigerOpen};
pub use constants::*;
pub use cursor::{Cursor, CursorQueue};
pub use data_source::DataSource;
pub use extension::{ExtensionApi, TxnNotify};
pub use internals::*;
pub use item::{Item, Modify};
pub use session::Session;

/// The release that these layouts were taken from.
///
/// Releases 3.2.0 and 3.2.1 differ in the session's table; only 3.2.1 is described here.
pub const RELEASE: crate::Version = crate::Version {
    major: 3,
    minor: 2,
    patch: 1,
};
