//! Taking over what was found to be well-formed.
//!
//! Invariant: see [`super`]; for each key, what becomes of it is written to the primary store, and then
//! the record is removed from the cache.

use super::{
    Place, record,
    record::{Change, Outcome, Update},
    stores::{Cache, shown},
};
use crate::error::{Code, Error, Result};
use heliumdb::{Datastore, Position};

/// After so many keys a word is said about how far it is.
const KEYS_PER_MESSAGE: u64 = 100_000;

/// Takes over the caches of a volume; all of it is durable when it returns.
pub fn volume(
    place: &Place<'_>,
    caches: &[Cache],
    outcomes: &Datastore,
    tell: &mut dyn FnMut(&str),
) -> Result<()> {
    for cache in caches {
        let taken = take_over(place, cache, outcomes, tell);
        let done = taken.map_err(|error| {
            error.context(format!("volume {}, store {}", place.name, cache.name()))
        })?;
        tell(&format!("volume {}: {done}", place.name));
    }
    Ok(place.volume.flush()?)
}

/// Takes over one cache; what there is to say about it.
fn take_over(
    place: &Place<'_>,
    cache: &Cache,
    outcomes: &Datastore,
    tell: &mut dyn FnMut(&str),
) -> Result<String> {
    let keys = cache.store.len();
    let name = shown(&cache.primary);
    let Some(primary) = cache.primary_store(place.volume)? else {
        place.volume.drop_datastore(cache.store.id())?;
        return Ok(format!(
            "the C connector was killed while it dropped {name}: updates of {keys} keys are gone with it"
        ));
    };
    let mut work = Work {
        primary,
        cache: cache.store.clone(),
        outcomes: outcomes.clone(),
        tally: Tally::default(),
    };
    let (mut key, mut record) = (Vec::new(), Vec::new());
    let mut position = Vec::new();
    let mut found = work
        .cache
        .nearest_into(Position::First, &mut key, &mut record)?;
    while found {
        work.settle(&key, &record)?;
        if work.tally.keys.is_multiple_of(KEYS_PER_MESSAGE) {
            let so_far = work.tally.keys;
            tell(&format!(
                "volume {}: {so_far} of {keys} keys of {name} are taken over",
                place.name
            ));
        }
        std::mem::swap(&mut position, &mut key);
        let next = Position::After(&position);
        found = work.cache.nearest_into(next, &mut key, &mut record)?;
    }
    Ok(work.tally.sentence(&name))
}

/// One cache that is being taken over.
struct Work {
    primary: Datastore,
    cache: Datastore,
    outcomes: Datastore,
    tally: Tally,
}

impl Work {
    /// Takes over one key.
    fn settle(&mut self, key: &[u8], record: &[u8]) -> Result<()> {
        let updates = record::updates(record).map_err(|why| Error::new(Code::Io, why))?;
        self.tally.keys += 1;
        match self.newest_committed(&updates)? {
            Some(Change::Set(value)) => {
                self.tally.set += 1;
                self.primary.put(key, value)?;
            }
            Some(Change::Remove) => {
                self.tally.removed += 1;
                // It may have been inserted and removed before either was settled.
                self.primary.delete(key)?;
            }
            None => {}
        }
        // CRASH: the two writes are in one log, in this order.
        self.cache.delete(key)?;
        Ok(())
    }

    /// The newest of a key's updates that counts; they are in the order in which they were made.
    fn newest_committed<'u>(&mut self, updates: &[Update<'u>]) -> Result<Option<Change<'u>>> {
        let mut outcome = Vec::new();
        for update in updates.iter().rev() {
            if !self.outcomes.get_into(update.transaction, &mut outcome)? {
                self.tally.unresolved += 1;
                continue;
            }
            let outcome = record::outcome(&outcome).map_err(|why| Error::new(Code::Io, why))?;
            if outcome == Outcome::Committed {
                return Ok(Some(update.change));
            }
        }
        Ok(None)
    }
}

/// What was done.
#[derive(Default)]
struct Tally {
    keys: u64,
    set: u64,
    removed: u64,
    unresolved: u64,
}

impl Tally {
    fn sentence(&self, name: &str) -> String {
        let Self {
            keys,
            set,
            removed,
            unresolved,
        } = self;
        format!(
            "took over what the C connector had not settled of {name}: {keys} keys, of which {set} have \
             a new value and {removed} are removed; {unresolved} updates of transactions without an \
             outcome are dropped"
        )
    }
}
