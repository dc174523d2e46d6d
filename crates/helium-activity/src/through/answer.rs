//! What is answered to a request: out of what one view sees.
//!
//! Invariant: an answer has one chunk of items at most, and the one that fills it.

use std::ops::{Bound, RangeBounds};

use heliumdb::host::DatastoreExt;
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, DatastoreInfo, Position, Result, Volume,
    host::{Items, ReadAhead, View},
};

use super::frame::Frame;
use super::wire::{
    About, Answer, CHUNK_BYTES, Hello, MORE_AT, Range, Request, VERSION, Wanted, push_entry,
};

/// Slots without an item that a step may pass are passed by the store; items that are looked at for one answer are
/// no more than this.
const ITEMS_MAX: usize = 4096;

/// What a reader sees.
pub(super) struct Shown<'a> {
    volume: &'a Volume,
    view: &'a dyn View,
    /// In order of their names.
    datastores: Vec<(DatastoreInfo, Datastore)>,
    /// A walk through a datastore without order, and what it found that had no room.
    walk: Option<Items<'a>>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(volume: &'a Volume, view: &'a dyn View) -> Self {
        let mut datastores = volume.datastores_of(view);
        datastores.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        Self {
            volume,
            view,
            datastores,
            walk: None,
        }
    }

    pub(super) fn hello(&self) -> Vec<u8> {
        let hello = Hello {
            version: VERSION,
            id: self.volume.id().0,
            url: self.volume.url().as_bytes().to_vec(),
            process: u64::from(std::process::id()),
            next_id: self.volume.next_datastore_id(),
            datastores: self.datastores.len() as u32,
        };
        Answer::Hello(hello).encode()
    }

    /// The answer, as a frame.
    pub(super) fn to(&mut self, request: Request) -> Result<Vec<u8>> {
        match request {
            Request::Hello { .. } => Ok(self.hello()),
            Request::Datastores { from } => Ok(self.list(from)),
            Request::Figures => {
                let named = figures(self.volume).into_iter();
                let named = named.map(|(name, figure)| (name.into_bytes(), figure));
                Ok(Answer::Figures(named.collect()).encode())
            }
            Request::Get { datastore, key } => {
                let mut value = Vec::new();
                let store = self.datastore(datastore)?;
                let found = store.read(self.view, &key, &mut value)?;
                Ok(Answer::Value(found.then_some(value)).encode())
            }
            Request::Range(range) => self.range(&range),
            Request::Walk { datastore } => {
                self.walk = Some(self.datastore(datastore)?.items_of(self.view));
                self.more()
            }
            Request::More => self.more(),
        }
    }

    fn datastore(&self, id: u32) -> Result<&Datastore> {
        let found = self.datastores.iter().find(|(info, _)| info.id.0 == id);
        found.map(|(_, datastore)| datastore).ok_or_else(|| {
            heliumdb::Error::new(
                heliumdb::ErrorKind::DatastoreNotFound,
                format!("the volume had no datastore {id} when the reader came"),
            )
        })
    }

    fn list(&self, from: u32) -> Vec<u8> {
        let mut frame = Frame::new(102);
        frame.byte(0);
        for (info, _) in self.datastores.iter().skip(from as usize) {
            if frame.len() >= CHUNK_BYTES {
                frame.set_byte(MORE_AT, 1);
                break;
            }
            let now = self.volume.datastore_by_id(info.id);
            let about = About {
                id: info.id.0,
                name: info.name.clone(),
                attributes: info.attributes.clone(),
                compress: info.compress,
                unordered: info.unordered,
                items: now.map_or(0, |datastore| datastore.len()),
            };
            about.encode(&mut frame);
        }
        frame.finish()
    }

    fn range(&self, range: &Range) -> Result<Vec<u8>> {
        let store = self.datastore(range.datastore)?;
        let mut frame = chunk();
        let wanted = match range.wanted {
            Wanted::Items => heliumdb::host::Wanted::Items,
            Wanted::Keys => heliumdb::host::Wanted::Keys,
            Wanted::Lengths => heliumdb::host::Wanted::Lengths,
        };
        let mut ahead = ReadAhead::default();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut last: Option<Vec<u8>> = None;
        let [low, high] = [&range.low, &range.high].map(|end| end.as_ref().map(Vec::as_slice));
        let within = (low, high);
        let most = usize::try_from(range.most).unwrap_or(usize::MAX);
        for items in 0..most.min(ITEMS_MAX).saturating_add(1) {
            let position = match (&last, range.backward) {
                (Some(last), false) => Position::After(last),
                (Some(last), true) => Position::Before(last),
                (None, false) => first(&range.low),
                (None, true) => last_of(&range.high),
            };
            let from = (position, wanted);
            let found = store.seek_ahead(self.view, from, &mut ahead, &mut key, &mut value)?;
            if !found || !within.contains(key.as_slice()) {
                break;
            }
            if items == most {
                break;
            }
            if items == ITEMS_MAX || frame.len() >= CHUNK_BYTES {
                frame.set_byte(MORE_AT, 1);
                break;
            }
            match range.wanted {
                Wanted::Lengths => {
                    // It stands for the value.
                    let len = value
                        .first_chunk()
                        .map_or(0, |len| u64::from_le_bytes(*len));
                    push_entry(&mut frame, &key, len as usize, &[]);
                }
                Wanted::Items | Wanted::Keys => push_entry(&mut frame, &key, value.len(), &value),
            }
            last.get_or_insert_default().clone_from(&key);
        }
        Ok(frame.finish())
    }

    /// The next chunk of the walk that is under way.
    fn more(&mut self) -> Result<Vec<u8>> {
        let mut frame = chunk();
        let Some(walk) = &mut self.walk else {
            return Ok(frame.finish());
        };
        loop {
            if frame.len() >= CHUNK_BYTES {
                frame.set_byte(MORE_AT, 1);
                break;
            }
            let Some(item) = walk.next() else {
                self.walk = None;
                break;
            };
            let (key, value) = item?;
            push_entry(&mut frame, &key, value.len(), &value);
        }
        Ok(frame.finish())
    }
}

fn chunk() -> Frame {
    let mut frame = Frame::new(105);
    frame.byte(0);
    frame
}

fn first(low: &Bound<Vec<u8>>) -> Position<'_> {
    match low {
        Bound::Included(key) => Position::AtOrAfter(key),
        Bound::Excluded(key) => Position::After(key),
        Bound::Unbounded => Position::First,
    }
}

fn last_of(high: &Bound<Vec<u8>>) -> Position<'_> {
    match high {
        Bound::Included(key) => Position::AtOrBefore(key),
        Bound::Excluded(key) => Position::Before(key),
        Bound::Unbounded => Position::Last,
    }
}

/// The names, in [`heliumdb::upkeep::Stats`], of the figures that say what is in a volume.
const FIGURES: [&str; 14] = [
    "datastores",
    "items",
    "capacity_bytes",
    "device_bytes",
    "used_bytes",
    "taken_bytes",
    "live_bytes",
    "dead_bytes",
    "tombstone_bytes",
    "framing_bytes",
    "index_bytes",
    "checkpoint_bytes",
    "recovered_items",
    "discarded_bytes",
];

/// Figures of a volume that say what is in it, by their names in [`heliumdb::upkeep::Stats`].
pub fn figures(volume: &Volume) -> Vec<(String, u64)> {
    let stats = volume.stats();
    let all: Vec<_> = stats.metrics().collect();
    let all = all.iter().map(|metric| (metric.name, metric.value));
    of_what_is_in_it(all)
}

/// Those of all figures of a volume that say what is in it, in their order.
pub fn of_what_is_in_it<'a>(
    all: impl Iterator<Item = (&'a str, u64)> + Clone,
) -> Vec<(String, u64)> {
    let figure = |name: &str| all.clone().find(|(known, _)| *known == name);
    let found = FIGURES.iter().filter_map(|name| figure(name));
    found
        .map(|(name, figure)| (name.to_owned(), figure))
        .collect()
}
