//! Volumes that the C connector wrote: what it had not settled is settled when they are opened.
//!
//! The C connector keeps an object `x` in a primary store `WiredTiger.x`, and the updates that not
//! everyone could see yet in a cache `WiredTiger.x.cache`. One store for all volumes of a connection,
//! `WiredTiger.WiredTigerTxn`, says which transactions committed. Its commit makes that word durable,
//! and with it everything before it in the same volume. A clean close leaves caches and outcomes
//! empty; after a kill its own recovery is to take over, for each key, the newest update whose
//! transaction is known to have committed, and to forget all others. So does this.
//!
//! Invariant: an update leaves its cache only behind what it leads to in the primary store, in the
//! same log, of which a crash leaves a prefix. Outcomes go when all caches of all volumes are durably
//! empty, at once. What has been taken over is not written by others before that. So whatever a kill
//! leaves, the same work again comes to the same.
//!
//! Nothing is changed before every record of every volume was found to be well-formed and it is clear
//! where its outcome is kept.

mod check;
mod record;
mod settle;
mod stores;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use heliumdb::{Datastore, Volume};
use stores::Stores;

/// A volume that is being opened.
pub struct Place<'a> {
    /// What URIs call it.
    pub name: &'a str,
    /// The volume.
    pub volume: &'a Volume,
    /// Nothing can be written to it.
    pub is_read_only: bool,
}

/// Takes over what the C connector left on volumes that are opened together. Nobody else uses them
/// yet.
pub fn migrate(places: &[Place<'_>], tell: &mut dyn FnMut(&str)) -> Result<()> {
    let found = places.iter().map(Stores::find);
    let found = found.collect::<Result<Vec<_>>>()?;
    let all = || places.iter().zip(&found);
    // All of it is looked at before any of it is changed.
    let mut work = Vec::new();
    for (place, stores) in all().filter(|(_, stores)| !stores.caches.is_empty()) {
        work.push((place, stores, check::volume(place, stores, places, &found)?));
    }
    for (place, stores, outcomes) in work {
        settle::volume(place, &stores.caches, &outcomes, tell)?;
    }
    for (place, stores) in all() {
        forget(place, stores.outcomes.as_ref())?;
    }
    Ok(())
}

/// Removes outcomes, of which none is needed any more. The C connector makes the store again.
fn forget(place: &Place<'_>, outcomes: Option<&Datastore>) -> Result<()> {
    match outcomes {
        // Its own recovery empties it, and writes to no volume that we may not write to.
        _ if place.is_read_only => Ok(()),
        Some(outcomes) if !outcomes.is_empty() => {
            let removed = place.volume.drop_datastore(outcomes.id());
            removed.map_err(|error| Error::from(error).context(format!("volume {}", place.name)))
        }
        _ => Ok(()),
    }
}
