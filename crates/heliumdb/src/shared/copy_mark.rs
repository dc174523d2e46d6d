//! Whether a copy of another volume is being put into this one.
//!
//! Invariant: one at a time; of one that is not whole nobody says that it is.

use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
#[derive(Default)]
pub(crate) struct CopyMark {
    /// A copy is being put into it.
    is_under_way: AtomicBool,
    /// One that was is not whole, and never will be.
    has_failed: AtomicBool,
}

impl CopyMark {
    /// False if another one is under way.
    pub(crate) fn begin(&self) -> bool {
        !self.is_under_way.swap(true, Ordering::AcqRel)
    }

    /// It is over, for now; if it `has_failed`, for good.
    pub(crate) fn end(&self, has_failed: bool) {
        if has_failed {
            self.has_failed.store(true, Ordering::Release);
        }
        self.is_under_way.store(false, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }
}
