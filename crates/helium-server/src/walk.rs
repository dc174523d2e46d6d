//! Walks over items in order: what the connection's transaction sees, or one moment's state.

use std::ops::Bound;

use heliumdb::{Datastore, Item, Readable};

use crate::{
    refusal::Outcome,
    session::{Session, moment},
};

/// From where to where, which way, and what of the items.
#[derive(Clone, Debug)]
pub struct Way {
    /// The lower end.
    pub low: Bound<Vec<u8>>,
    /// The upper end.
    pub high: Bound<Vec<u8>>,
    /// From the upper end to the lower.
    pub is_reversed: bool,
    /// Keys alone: values are not read, and shown as if they were empty.
    pub is_keys: bool,
}

impl Session {
    /// Shows `see` the items on the way, until it returns false or there are no more.
    pub fn walk(&mut self, way: Way, see: impl FnMut(Item) -> Outcome<bool>) -> Outcome {
        let Some(datastore) = self.place.walked(moment(&self.running))?.cloned() else {
            return Ok(());
        };
        match &self.running {
            Some(running) => walk(&running.txn, &datastore, way, see),
            None => walk(&self.place.served.volume.snapshot()?, &datastore, way, see),
        }
    }
}

fn walk(
    from: &impl Readable,
    datastore: &Datastore,
    way: Way,
    see: impl FnMut(Item) -> Outcome<bool>,
) -> Outcome {
    let items = from.range(datastore, (way.low, way.high));
    let bare = |key: heliumdb::Result<Vec<u8>>| key.map(|key| (key, Vec::new()));
    match (way.is_keys, way.is_reversed) {
        (false, false) => show(items, see),
        (false, true) => show(items.rev(), see),
        (true, false) => show(items.keys().map(bare), see),
        (true, true) => show(items.keys().rev().map(bare), see),
    }
}

fn show(
    items: impl Iterator<Item = heliumdb::Result<Item>>,
    mut see: impl FnMut(Item) -> Outcome<bool>,
) -> Outcome {
    for item in items {
        if !see(item?)? {
            break;
        }
    }
    Ok(())
}
