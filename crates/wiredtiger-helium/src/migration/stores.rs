//! Which stores of the C connector a volume has.
//!
//! Invariant: a cache with updates in it belongs to one primary store, or to none because a drop
//! was cut short. Where that is not certain the volume is refused; nothing is changed here.

use super::Place;
use crate::{
    error::{Error, Result},
    source::names::{CACHE_ENDING, INIT_STORE, OUTCOMES_STORE, PREFIX},
};
use heliumdb::{Datastore, DatastoreId, Volume};
use std::collections::BTreeMap;

/// Whose updates a cache holds.
pub enum Owner {
    /// Those of this primary store.
    Primary(DatastoreId),
    /// A rename was cut short: those of this primary store, which has its new name already.
    Renamed(DatastoreId),
    /// A drop was cut short: nobody's any more.
    Dropped,
}

/// A cache with updates in it.
pub struct Cache {
    /// What its primary store is called.
    pub primary: Vec<u8>,
    /// The cache.
    pub store: Datastore,
    /// Whose updates it holds.
    pub owner: Owner,
}

/// The stores of one volume that matter.
pub struct Stores {
    /// Its caches with updates in them.
    pub caches: Vec<Cache>,
    /// Its store of outcomes.
    pub outcomes: Option<Datastore>,
}

impl Stores {
    /// Looks for them.
    pub fn find(place: &Place<'_>) -> Result<Self> {
        let volume = place.volume;
        let listed = volume.datastores().into_iter();
        let names: Names = listed
            .filter(|info| info.name.starts_with(PREFIX.as_bytes()))
            .map(|info| (info.name, info.id))
            .collect();
        let outcomes = names.get(OUTCOMES_STORE.as_bytes());
        let outcomes = outcomes.map(|&id| volume.datastore_by_id(id)).transpose()?;
        let mut caches = Vec::new();
        for (name, &id) in &names {
            let Some(primary) = name.strip_suffix(CACHE_ENDING.as_bytes()) else {
                continue;
            };
            let store = volume.datastore_by_id(id)?;
            check_is_cache_only(place, &names, name, &store)?;
            if store.is_empty() {
                continue;
            }
            let owner = names.get(primary).copied();
            caches.push(Cache {
                primary: primary.to_vec(),
                store,
                owner: owner.map_or(Owner::Dropped, Owner::Primary),
            });
        }
        give_orphans_back(place, &names, &mut caches)?;
        Ok(Self { caches, outcomes })
    }
}

type Names = BTreeMap<Vec<u8>, DatastoreId>;

/// An object called `x.cache` has its items where the object `x` has its updates.
fn check_is_cache_only(
    place: &Place<'_>,
    names: &Names,
    name: &[u8],
    store: &Datastore,
) -> Result<()> {
    let Some(&second) = names.get(&[name, CACHE_ENDING.as_bytes()].concat()) else {
        return Ok(());
    };
    if store.is_empty() && place.volume.datastore_by_id(second)?.is_empty() {
        return Ok(());
    }
    let object = shown(name.strip_prefix(PREFIX.as_bytes()).unwrap_or(name));
    Err(Error::invalid(format!(
        "volume {}: the C connector kept the object {object} in the store {}, which by its name is \
         the cache of another object; rename the object with the C connector first. \
         Nothing was changed",
        place.name,
        shown(name)
    )))
}

/// Caches without a primary store of their name: the C connector renames the primary store first,
/// then the cache, and drops them in that order too. After a kill between the two renames there is
/// one primary store that has no cache, while at any other time each has one, if only an empty one.
fn give_orphans_back(place: &Place<'_>, names: &Names, caches: &mut [Cache]) -> Result<()> {
    let mut orphans: Vec<_> = caches
        .iter_mut()
        .filter(|cache| matches!(cache.owner, Owner::Dropped))
        .collect();
    if orphans.is_empty() {
        return Ok(());
    }
    let bare: Vec<_> = names
        .iter()
        .filter(|(name, _)| is_primary(name))
        .filter(|(name, _)| !names.contains_key(&[name, CACHE_ENDING.as_bytes()].concat()))
        .collect();
    match (&mut orphans[..], &bare[..]) {
        (_, []) => Ok(()),
        ([orphan], [(_, id)]) => {
            orphan.owner = Owner::Renamed(**id);
            Ok(())
        }
        _ => {
            let orphans = orphans.iter().map(|cache| shown(&cache.primary));
            let orphans: Vec<_> = orphans
                .map(|name| format!("{name}{CACHE_ENDING}"))
                .collect();
            let bare: Vec<_> = bare.iter().map(|(name, _)| shown(name)).collect();
            Err(Error::invalid(format!(
                "volume {}: the C connector was renaming or dropping objects when it ended: it is not \
                 certain to which of the stores {} the updates in {} belong; rename each to the name \
                 of its store and {CACHE_ENDING}, or remove it, with the helium command. \
                 Nothing was changed",
                place.name,
                bare.join(", "),
                orphans.join(", ")
            )))
        }
    }
}

fn is_primary(name: &[u8]) -> bool {
    !name.ends_with(CACHE_ENDING.as_bytes())
        && name != OUTCOMES_STORE.as_bytes()
        && name != INIT_STORE.as_bytes()
}

impl Cache {
    /// Its primary store, which gets its old name back first if a rename was cut short: as
    /// WiredTiger's metadata, which the C connector changes last, still has it.
    pub fn primary_store(&self, volume: &Volume) -> Result<Option<Datastore>> {
        let id = match self.owner {
            Owner::Dropped => return Ok(None),
            Owner::Primary(id) => id,
            Owner::Renamed(id) => {
                volume.rename_datastore(id, &self.primary)?;
                id
            }
        };
        Ok(Some(volume.datastore_by_id(id)?))
    }

    /// The cache's own name.
    pub fn name(&self) -> String {
        format!("{}{CACHE_ENDING}", shown(&self.primary))
    }
}

/// A name or key as a person can read it.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
