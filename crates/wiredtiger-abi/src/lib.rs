//! Hand-written layouts of WiredTiger's public C structures.
//!
//! WiredTiger hands an extension pointers to tables of functions whose layout
//! changes from release to release, while every size an extension could test
//! stays the same. So there is one module of layouts per supported release
//! ([`v3_2`]), and [`running_version`] finds out which release is really
//! running before any of these tables is touched.
//!
//! [`recno`] is how WiredTiger packs the keys of column stores.
//!
//! Nothing here links against WiredTiger. The layouts are checked twice: by
//! constant assertions when this crate is compiled, and by a test that asks the
//! C compiler about the header that is installed.

pub mod recno;
mod running;
pub mod v3_2;

pub use running::{Version, running_version};
