//! How large the system lets a file of this process become (`ulimit -f`).
//!
//! Invariant: no file is written or made larger behind that limit. The kernel would not just refuse it: it would send a
//! signal that ends every program which does not expect it, and most do not.

use std::io;

use rustix::process::{Resource, getrlimit};

/// Refuses what ends behind the limit, as the kernel would refuse it.
pub(super) fn check(end: u64) -> io::Result<()> {
    match getrlimit(Resource::Fsize).current {
        Some(limit) if end > limit => Err(rustix::io::Errno::FBIG.into()),
        _ => Ok(()),
    }
}
