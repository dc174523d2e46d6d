//! Scrubbing: reading all items again and again, slowly, so that damage is found while there is
//! still a copy elsewhere.
//!
//! Invariant: over any stretch of time no more bytes are read than the rate allows, but for one
//! item.

use std::time::{Duration, Instant};

use super::{Datastore, DatastoreId, Shared, VerifyReport};
use crate::error::{ErrorKind, Result};

/// Rate that an idle while saves up for, at most.
const SAVED: Duration = Duration::from_secs(1);

/// How far it is.
#[derive(Default)]
pub(super) struct Scrub {
    when: Option<Instant>,
    /// Bytes that may be read now.
    allowance: f64,
    /// The datastore, and the key in it that was checked last.
    at: (u32, Option<Vec<u8>>),
    pub(super) rounds: u64,
    pub(super) items: u64,
    pub(super) bytes: u64,
}

/// Reads as much as the rate allows now; true if anything was read.
pub(super) fn step(shared: &std::sync::Arc<Shared>) -> Result<bool> {
    let rate = shared.options.scrub_bytes_per_second;
    if rate == 0 {
        return Ok(false);
    }
    let Some(mut scrub) = shared.scrub.try_lock() else {
        return Ok(false);
    };
    let now = Instant::now();
    let since = scrub.when.replace(now).map_or(SAVED, |then| now - then);
    let most = rate as f64 * SAVED.as_secs_f64();
    scrub.allowance = (scrub.allowance + rate as f64 * since.as_secs_f64()).min(most);
    if scrub.allowance < 1.0 {
        return Ok(false);
    }
    let mut report = VerifyReport::default();
    let (id, last) = std::mem::take(&mut scrub.at);
    let next = shared.catalog.list();
    let mut ids: Vec<u32> = next.iter().map(|info| info.id.0).collect();
    ids.sort_unstable();
    let Some(&current) = ids.iter().find(|other| **other >= id) else {
        scrub.rounds += u64::from(!ids.is_empty());
        return Ok(false);
    };
    // A datastore that is gone leaves its place to the next.
    let last = last.filter(|_| current == id);
    let store: Datastore = match shared.datastore_by_id(DatastoreId(current)) {
        Ok(store) => store,
        Err(why) if why.kind() == ErrorKind::DatastoreNotFound => return Ok(false),
        Err(why) => return Err(why),
    };
    let reached = store.check_on(last.as_deref(), scrub.allowance as u64, &mut report)?;
    scrub.at = match reached {
        Some(key) => (current, Some(key)),
        None => (current + 1, None),
    };
    scrub.items += report.items;
    scrub.bytes += report.bytes;
    scrub.allowance -= report.bytes as f64;
    Ok(report.items > 0)
}
