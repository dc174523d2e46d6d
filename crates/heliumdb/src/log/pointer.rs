//! The two steps of epoch reclamation that the compiler cannot check, for segment buffers.
#![expect(
    unsafe_code,
    reason = "crossbeam-epoch's shared pointers are followed and retired here only"
)]

use super::buffer::SegmentBuffer;
use crossbeam_epoch::{Guard, Shared};
use std::sync::Arc;

/// What a pointer loaded under a guard leads to.
pub(super) fn deref(shared: Shared<'_, Arc<SegmentBuffer>>) -> Option<&Arc<SegmentBuffer>> {
    // SAFETY: pointers in the table are null or come from `Owned`, and are retired
    // through `retire` only, which waits for guards like the one that `shared` borrows.
    unsafe { shared.as_ref() }
}

/// Drops what an unlinked pointer leads to, once no guard can see it.
pub(super) fn retire(old: Shared<'_, Arc<SegmentBuffer>>, guard: &Guard) {
    if !old.is_null() {
        // SAFETY: the caller swapped it out of the table, so no later guard can load it.
        unsafe { guard.defer_destroy(old) }
    }
}
