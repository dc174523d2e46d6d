//! Making durable what has been buffered for as long as it may be.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{access::Access, error::Result};

/// See the module.
pub(crate) struct AutoCommit {
    /// When nothing was buffered, last.
    clean_at: Mutex<Instant>,
    count: AtomicU64,
}

impl AutoCommit {
    pub(super) fn new(access: &Access) -> Self {
        Self {
            clean_at: Mutex::new(access.options().clock.now()),
            count: AtomicU64::new(0),
        }
    }

    /// How often it was done since the volume was opened.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// Does it if it is due; true if it was.
    pub(super) fn step(&self, access: &Access) -> Result<bool> {
        let (options, log) = (access.options(), access.log());
        let period = options.auto_commit_period_ms;
        if period == u64::MAX || !options.background_thread {
            return Ok(false);
        }
        let mut clean = self.clean_at.lock();
        let now = options.clock.now();
        if log.reach().durable() >= log.reach().end() {
            *clean = now;
            return Ok(false);
        }
        if now.duration_since(*clean) < Duration::from_millis(period) {
            return Ok(false);
        }
        log.sync_to(log.reach().end())?;
        self.count.fetch_add(1, Relaxed);
        *clean = now;
        Ok(true)
    }
}
