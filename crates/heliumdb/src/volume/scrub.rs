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

use super::{Shared, VerifyReport, verify::Check};
use crate::error::Result;

/// Rate that an idle while saves up for, at most.
const SAVED: Duration = Duration::from_secs(1);

/// What has been scrubbed. Whoever asks does not wait for a step, and no step for them.
#[derive(Default)]
pub(super) struct Scrub {
    progress: Mutex<Progress>,
    pub(super) rounds: AtomicU64,
    pub(super) items: AtomicU64,
    pub(super) bytes: AtomicU64,
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

/// Reads as much as the rate allows now; true if anything was read.
pub(super) fn step(shared: &std::sync::Arc<Shared>) -> Result<bool> {
    let rate = shared.access.options().scrub_bytes_per_second;
    if rate == 0 {
        return Ok(false);
    }
    let counts = &shared.scrub;
    let Some(mut scrub) = counts.progress.try_lock() else {
        return Ok(false);
    };
    let now = shared.access.options().clock.now();
    let since = scrub.when.replace(now).map_or(SAVED, |then| now - then);
    let most = rate as f64 * SAVED.as_secs_f64();
    scrub.allowance = (scrub.allowance + rate as f64 * since.as_secs_f64()).min(most);
    if scrub.allowance < 1.0 {
        return Ok(false);
    }
    let mut report = VerifyReport::default();
    let (id, last) = std::mem::take(&mut scrub.at);
    // The store's own trees, whose ids no datastore has, come first.
    let records = Check::of_records(shared);
    let mut ids: Vec<u32> = (0..records.len() as u32).collect();
    ids.extend(shared.catalog.list().iter().map(|info| info.id.0));
    ids.sort_unstable();
    let Some(&current) = ids.iter().find(|other| **other >= id) else {
        let any = std::mem::take(&mut scrub.any);
        counts.rounds.fetch_add(u64::from(any), Relaxed);
        return Ok(false);
    };
    // A datastore that is gone leaves its place to the next.
    let last = last.filter(|_| current == id);
    let own = records.into_iter().nth(current as usize);
    let check = match own {
        Some(own) => Some(own),
        None => Check::of_datastore(shared, DatastoreId(current))?,
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
    counts.items.fetch_add(read, Relaxed);
    scrub.any |= read > 0;
    counts.bytes.fetch_add(report.bytes, Relaxed);
    scrub.allowance -= report.bytes as f64;
    Ok(read > 0)
}
