//! Looking at everything that is to be taken over before anything is changed.
//!
//! Invariant: after this nothing but the volume itself, its devices and its room, can be in the way.

use super::{
    Place, record,
    stores::{Stores, shown},
};
use crate::{
    error::{Code, Error, Result},
    metadata::Hex,
    source::names::OUTCOMES_STORE,
};
use heliumdb::Datastore;

/// Checks the caches of one of `places`; the store with the outcomes of its transactions.
pub fn volume(
    place: &Place<'_>,
    stores: &Stores,
    places: &[Place<'_>],
    found: &[Stores],
) -> Result<Datastore> {
    if place.is_read_only {
        let keys: u64 = stores.caches.iter().map(|cache| cache.store.len()).sum();
        return Err(Error::new(
            Code::ReadOnly,
            format!(
                "volume {}: the C connector left updates of {keys} keys that have to be taken over; \
                 open it once for writing",
                place.name
            ),
        ));
    }
    let (holder, outcomes) = outcomes(place, stores, places, found)?;
    check(&outcomes, |key, value| {
        record::check_transaction(key).and_then(|()| record::outcome(value).map(drop))
    })
    .map_err(|bad| bad.into_error(holder, OUTCOMES_STORE))?;
    for cache in &stores.caches {
        check(&cache.store, |_, value| record::updates(value).map(drop))
            .map_err(|bad| bad.into_error(place, &cache.name()))?;
    }
    Ok(outcomes)
}

/// The store with the outcomes of the transactions of one volume, and the volume that it is on: its
/// own, as the C connector never ran with two, or the only one that there is.
fn outcomes<'p, 'a>(
    place: &'p Place<'a>,
    stores: &Stores,
    places: &'p [Place<'a>],
    found: &[Stores],
) -> Result<(&'p Place<'a>, Datastore)> {
    if let Some(own) = &stores.outcomes {
        return Ok((place, own.clone()));
    }
    let all = places.iter().zip(found);
    let mut all = all.filter_map(|(place, stores)| Some((place, stores.outcomes.clone()?)));
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        (first, _) => {
            let how_many = first.map_or("none", |_| "more than one");
            Err(Error::invalid(format!(
                "volume {}: the C connector left updates to be taken over; whether they were committed \
                 is said in a store {OUTCOMES_STORE} on another volume, and {how_many} of the \
                 volumes that are opened has one. Open the volumes that it had open together, and \
                 only those. Nothing was changed",
                place.name
            )))
        }
    }
}

/// Why a store cannot be taken over.
enum Bad {
    Store(heliumdb::Error),
    Record { key: Vec<u8>, why: String },
}

impl Bad {
    fn into_error(self, place: &Place<'_>, store: &str) -> Error {
        match self {
            Self::Store(error) => {
                Error::from(error).context(format!("volume {}, store {store}", place.name))
            }
            Self::Record { key, why } => {
                let hex = Hex(&key);
                let url = place.volume.url();
                Error::new(
                    Code::Io,
                    format!(
                        "volume {}: in the C connector's store {store} the record with the key {} \
                         cannot be understood: {why}. Nothing was changed. Without that record, and \
                         what it says, the volume can be opened: helium rm --hex {url} {store} {hex}",
                        place.name,
                        shown(&key)
                    ),
                )
            }
        }
    }
}

/// Shows all records of a store to `look`, up to the first that it finds fault with.
fn check(store: &Datastore, look: impl Fn(&[u8], &[u8]) -> Result<(), String>) -> Result<(), Bad> {
    for item in store.iter() {
        let (key, value) = item.map_err(Bad::Store)?;
        look(&key, &value).map_err(|why| Bad::Record { key, why })?;
    }
    Ok(())
}
