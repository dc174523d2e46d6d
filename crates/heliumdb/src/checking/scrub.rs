//! Scrubbing: reading all items again and again, slowly, so that damage is found while there is
//! still a copy elsewhere.
//!
//! Invariant: over any stretch of time no more bytes are read than the rate allows, but for one
//! item.

use crate::id::DatastoreId;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Check, Checking, VerifyReport};
use crate::error::Result;

/// Rate that an idle while saves up for, at most.
const SAVED: Duration = Duration::from_secs(1);

/// What has been scrubbed. Whoever asks does not wait for a step, and no step for them.
#[derive(Default)]
pub(crate) struct Scrub {
    progress: Mutex<Progress>,
    pub(crate) rounds: AtomicU64,
    pub(crate) items: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// How far it is.
#[derive(Default)]
struct Progress {
    when: Option<Instant>,
    /// Bytes that may be read now.
    allowance: f64,
    /// The datastore (or tree of the store's own), and the key in it that was checked last.
    at: (u32, Option<Vec<u8>>),
    /// Something was read in this round.
    any: bool,
}

impl Scrub {
    /// Reads as much as the rate allows now; true if anything was read.
    pub(crate) fn step(&self, of: Checking<'_>) -> Result<bool> {
        let options = of.access.options();
        let rate = options.scrub_bytes_per_second;
        if rate == 0 {
            return Ok(false);
        }
        let Some(mut scrub) = self.progress.try_lock() else {
            return Ok(false);
        };
        let now = options.clock.now();
        let since = scrub.when.replace(now).map_or(SAVED, |then| now - then);
        let most = rate as f64 * SAVED.as_secs_f64();
        scrub.allowance = (scrub.allowance + rate as f64 * since.as_secs_f64()).min(most);
        if scrub.allowance < 1.0 {
            return Ok(false);
        }
        let mut report = VerifyReport::default();
        let (id, last) = std::mem::take(&mut scrub.at);
        // The store's own trees, whose ids no datastore has, come first.
        let records = Check::of_records(of);
        let mut ids: Vec<u32> = (0..records.len() as u32).collect();
        ids.extend(of.catalog.list().iter().map(|info| info.id.0));
        ids.sort_unstable();
        let Some(&current) = ids.iter().find(|other| **other >= id) else {
            let any = std::mem::take(&mut scrub.any);
            self.rounds.fetch_add(u64::from(any), Relaxed);
            return Ok(false);
        };
        // A datastore that is gone leaves its place to the next.
        let last = last.filter(|_| current == id);
        let own = records.into_iter().nth(current as usize);
        let check = match own {
            Some(own) => Some(own),
            None => Check::of_datastore(of, DatastoreId(current))?,
        };
        let reached = match check {
            Some(check) => check.go_on(last.as_deref(), scrub.allowance as u64, &mut report)?,
            None => None,
        };
        scrub.at = match reached {
            Some(key) => (current, Some(key)),
            None => (current + 1, None),
        };
        let read = report.items + report.records;
        self.items.fetch_add(read, Relaxed);
        scrub.any |= read > 0;
        self.bytes.fetch_add(report.bytes, Relaxed);
        scrub.allowance -= report.bytes as f64;
        Ok(read > 0)
    }
}
