//! What the store must answer: per key all versions, newest first, in a plain map.
//!
//! It says in the simplest words what section "versions" of the design promises, shares no code
//! with the store, and knows nothing of logs, settling or space.

use std::{collections::BTreeMap, sync::Arc};

use heliumdb::{
    ErrorKind, Isolation, Position,
    host::{Change, Mode, TxnId, View},
};

use crate::history::{Item, LogEvent};

/// What an operation of the store must come to.
pub type Outcome<T> = Result<T, ErrorKind>;

/// A value, shared.
pub type Value = Arc<[u8]>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Resolution {
    Unresolved,
    Committed,
}

#[derive(Clone, Debug)]
enum Said {
    Reserve,
    Tombstone,
    Value(Value),
}

#[derive(Clone, Debug)]
struct Version {
    sequence: u64,
    owner: TxnId,
    resolution: Resolution,
    said: Said,
}

type Key = Vec<u8>;

/// Datastores of several volumes, by a number each, with the versions of every key.
#[derive(Default)]
pub struct Model {
    places: Vec<BTreeMap<Key, Vec<Version>>>,
    sequence: u64,
}

impl Model {
    /// A model of so many empty datastores.
    pub fn new(places: usize) -> Self {
        Self {
            places: vec![BTreeMap::new(); places],
            sequence: 0,
        }
    }

    /// The value of `key` that `view` sees; `None` for the newest committed one.
    pub fn read(
        &self,
        place: usize,
        view: Option<&dyn View>,
        key: &[u8],
    ) -> Outcome<Option<Value>> {
        match self.places[place].get(key) {
            Some(versions) => seen(versions, view),
            None => Ok(None),
        }
    }

    /// The nearest item that `view` sees.
    pub fn seek(
        &self,
        place: usize,
        view: Option<&dyn View>,
        position: Position<'_>,
    ) -> Outcome<Option<(Key, Value)>> {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let (low, high, forward) = match position {
            Position::First => (Unbounded, Unbounded, true),
            Position::Last => (Unbounded, Unbounded, false),
            Position::AtOrAfter(key) => (Included(key), Unbounded, true),
            Position::After(key) => (Excluded(key), Unbounded, true),
            Position::AtOrBefore(key) => (Unbounded, Included(key), false),
            Position::Before(key) => (Unbounded, Excluded(key), false),
        };
        let mut slots = self.places[place].range::<[u8], _>((low, high));
        loop {
            let slot = if forward {
                slots.next()
            } else {
                slots.next_back()
            };
            let Some((key, versions)) = slot else {
                return Ok(None);
            };
            if let Some(value) = seen(versions, view)? {
                return Ok(Some((key.clone(), value)));
            }
        }
    }

    /// A transaction's write.
    pub fn write(
        &mut self,
        place: usize,
        view: &dyn View,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Outcome<()> {
        let nothing = Vec::new();
        let versions = self.places[place].get(key).unwrap_or(&nothing);
        let is_present = || Ok(seen(versions, Some(view))?.is_some());
        if mode == Mode::Absent {
            // A duplicate is told before a conflict, as WiredTiger's own tables do it.
            check_mode(mode, is_present)?;
        }
        check_conflict(versions, view)?;
        check_mode(mode, is_present)?;
        let versions = self.places[place].entry(key.to_vec()).or_default();
        if let Some(head) = versions.first_mut()
            && head.owner == view.own()
            && head.resolution == Resolution::Unresolved
        {
            if !matches!(change, Change::Reserve) {
                head.said = said(change);
            }
            return Ok(());
        }
        self.sequence += 1;
        let version = Version {
            sequence: self.sequence,
            owner: view.own(),
            resolution: Resolution::Unresolved,
            said: said(change),
        };
        versions.insert(0, version);
        Ok(())
    }

    /// A write outside any transaction, and what it puts in the log.
    pub fn write_direct(
        &mut self,
        place: usize,
        key: &[u8],
        value: Option<&[u8]>,
        mode: Mode,
    ) -> Outcome<LogEvent> {
        check_mode(mode, || Ok(self.read(place, None, key)?.is_some()))?;
        self.sequence += 1;
        let value: Option<Value> = value.map(Into::into);
        let version = Version {
            sequence: self.sequence,
            owner: 0,
            resolution: Resolution::Committed,
            said: value.clone().map_or(Said::Tombstone, Said::Value),
        };
        let versions = self.places[place].entry(key.to_vec()).or_default();
        versions.insert(0, version);
        let item = Item {
            place,
            key: key.to_vec(),
            sequence: self.sequence,
            value,
        };
        Ok(LogEvent::Batch(vec![item]))
    }

    /// An item that is there from the start.
    pub fn load(&mut self, place: usize, key: &[u8], value: &Value) {
        let version = Version {
            sequence: 0,
            owner: 0,
            resolution: Resolution::Committed,
            said: Said::Value(value.clone()),
        };
        self.places[place].insert(key.to_vec(), vec![version]);
    }

    /// Whether a write outside any transaction came above one of `owner`'s: it must not commit.
    pub fn is_overruled(&self, owner: TxnId) -> bool {
        let chains = self.places.iter().flat_map(BTreeMap::values);
        chains.into_iter().any(|versions| {
            let lowest = versions.iter().rposition(|v| v.owner == owner);
            lowest.is_some_and(|lowest| versions[..lowest].iter().any(|v| v.owner == 0))
        })
    }

    /// What `owner` has written on some places, as the log gets it.
    pub fn items(&self, owner: TxnId, on: impl Fn(usize) -> bool) -> Vec<Item> {
        let mut items = Vec::new();
        for (place, keys) in self.places.iter().enumerate().filter(|(p, _)| on(*p)) {
            for (key, versions) in keys {
                for version in versions.iter().filter(|v| v.owner == owner) {
                    let value = match &version.said {
                        Said::Reserve => continue,
                        Said::Tombstone => None,
                        Said::Value(value) => Some(value.clone()),
                    };
                    items.push(Item {
                        place,
                        key: key.clone(),
                        sequence: version.sequence,
                        value,
                    });
                }
            }
        }
        items
    }

    /// `owner` committed. A reservation ends with its transaction.
    pub fn commit(&mut self, owner: TxnId) {
        self.retain(|v| v.owner != owner || !matches!(v.said, Said::Reserve));
        for versions in self.places.iter_mut().flat_map(BTreeMap::values_mut) {
            for version in versions.iter_mut().filter(|v| v.owner == owner) {
                version.resolution = Resolution::Committed;
            }
        }
    }

    /// `owner` rolled back, or its commit was taken back.
    pub fn abort(&mut self, owner: TxnId) {
        self.retain(|v| v.owner != owner);
    }

    /// All items of a datastore are gone; no transaction is in it.
    pub fn truncate(&mut self, place: usize) {
        self.places[place].clear();
    }

    /// Forgets what no reader can ask for any more: it keeps the model small and changes nothing.
    pub fn trim(&mut self, oldest: TxnId) {
        for keys in &mut self.places {
            keys.retain(|_, versions| {
                let settled = versions
                    .iter()
                    .position(|v| v.resolution == Resolution::Committed && v.owner < oldest);
                // What lies below stays while any of it may still be resolved or taken back.
                let done = |v: &Version| v.resolution == Resolution::Committed && v.owner < oldest;
                if let Some(settled) = settled
                    && versions[settled..].iter().all(done)
                {
                    versions.truncate(settled + 1);
                }
                let gone = matches!(&versions[..], [only] if only.owner < oldest
                    && only.resolution == Resolution::Committed
                    && matches!(only.said, Said::Tombstone));
                !gone && !versions.is_empty()
            });
        }
    }

    /// The store was closed and opened again: what was not committed is gone, and ids start anew.
    pub fn reopen(&mut self) {
        self.retain(|v| v.resolution == Resolution::Committed);
        for versions in self.places.iter_mut().flat_map(BTreeMap::values_mut) {
            versions.truncate(1);
            versions.iter_mut().for_each(|v| v.owner = 0);
        }
        self.trim(TxnId::MAX);
    }

    /// All newest committed items of a datastore.
    pub fn committed(&self, place: usize) -> BTreeMap<Key, Value> {
        let keys = self.places[place].iter();
        keys.filter_map(|(key, versions)| Some((key.clone(), seen(versions, None).ok()??)))
            .collect()
    }

    fn retain(&mut self, keep: impl Fn(&Version) -> bool) {
        for keys in &mut self.places {
            keys.retain(|_, versions| {
                versions.retain(&keep);
                !versions.is_empty()
            });
        }
    }
}

fn said(change: Change<'_>) -> Said {
    match change {
        Change::Put(value) => Said::Value(value.into()),
        Change::Remove => Said::Tombstone,
        Change::Reserve => Said::Reserve,
    }
}

fn seen(versions: &[Version], view: Option<&dyn View>) -> Outcome<Option<Value>> {
    for version in versions {
        let visible = match view {
            None => version.resolution == Resolution::Committed,
            Some(view) => sees(version, view),
        };
        match &version.said {
            Said::Reserve => {}
            _ if !visible => {}
            _ if is_in_doubt(version, view) => return Err(ErrorKind::PrepareConflict),
            Said::Tombstone => return Ok(None),
            Said::Value(value) => return Ok(Some(value.clone())),
        }
    }
    Ok(None)
}

fn sees(version: &Version, view: &dyn View) -> bool {
    let always = version.owner == 0 || version.owner == view.own();
    always || view.isolation() == Isolation::ReadUncommitted || view.sees(version.owner)
}

/// Visible, says the keeper, but not resolved: its transaction is prepared.
fn is_in_doubt(version: &Version, view: Option<&dyn View>) -> bool {
    version.resolution == Resolution::Unresolved
        && view.is_some_and(|view| {
            view.isolation() != Isolation::ReadUncommitted && view.own() != version.owner
        })
}

fn check_conflict(versions: &[Version], view: &dyn View) -> Outcome<()> {
    if view.isolation() != Isolation::Snapshot {
        return Ok(());
    }
    match versions.first() {
        Some(newest) if newest.owner == view.own() => Ok(()),
        Some(newest) if newest.resolution == Resolution::Unresolved => Err(ErrorKind::Conflict),
        Some(newest) if newest.owner != 0 && !view.sees(newest.owner) => Err(ErrorKind::Conflict),
        _ => Ok(()),
    }
}

fn check_mode(mode: Mode, present: impl Fn() -> Outcome<bool>) -> Outcome<()> {
    match mode {
        Mode::Any => Ok(()),
        Mode::Absent if present()? => Err(ErrorKind::ItemExists),
        Mode::Present if !present()? => Err(ErrorKind::ItemNotFound),
        _ => Ok(()),
    }
}
