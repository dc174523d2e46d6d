//! What keeps a volume open: all handles of users share it, and it closes the volume when it goes.
//!
//! Invariant: nothing of the store's own has it, no thread and no queue; so it goes with the last
//! handle, in the thread that drops that, and all that was written is in the files when that returns.

use std::{ops::Deref, sync::Arc};

use super::Shared;

/// See the module.
pub(crate) struct Lease {
    shared: Arc<Shared>,
}

impl Lease {
    pub(crate) fn new(shared: Shared) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Deref for Lease {
    type Target = Arc<Shared>;

    #[inline]
    fn deref(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.shared.access.is_elsewhere() {
            return;
        }
        if let Err(why) = self.shared.close() {
            tracing::error!(url = self.shared.access.url(), %why, "closing a volume failed");
        }
    }
}
