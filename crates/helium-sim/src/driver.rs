//! A driver: random operations of several transactions at once on a store and its model, which
//! must agree on every answer.
//!
//! Invariant: a volume's [`History`] has every event before the store is asked for it, so that
//! whatever a crash leaves behind is a prefix of the history.

mod opening;
mod ranges;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use heliumdb::host::DatastoreExt;
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, DatastoreOptions, Durability, Error, ErrorKind, Isolation, Position, Volume,
    host::{Change, Horizon, Mode, View, WriteSet},
};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

pub use opening::dump;
use opening::{open, stores};

use crate::{
    agree::{agree, difference},
    history::{History, Item, LogEvent, State},
    keeper::{Keeper, KeptView},
    machine::Machine,
    model::Model,
    options::DriverOptions,
    seed,
};

/// The number of a datastore, over all volumes.
pub type Place = usize;
/// What a look finds: key and value.
type Found = (Vec<u8>, Arc<[u8]>);

/// How long a step takes by the machine's clock.
const STEP: Duration = Duration::from_millis(10);
/// Datastores of each volume: an ordered one and an unordered one.
const STORES: usize = 2;

fn is_unordered(place: Place) -> bool {
    place % STORES == 1
}

/// What a step did, for those who count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A transaction committed.
    Committed,
    /// Something else happened.
    Other,
}

struct Slot {
    view: KeptView,
    txn: Option<WriteSet>,
    prepared: bool,
    failed: Option<ErrorKind>,
    touched: BTreeSet<Place>,
}

/// See the module.
pub struct Driver {
    machine: Machine,
    options: DriverOptions,
    volumes: Vec<Volume>,
    stores: Vec<Datastore>,
    keeper: Arc<Keeper>,
    slots: Vec<Option<Slot>>,
    model: Model,
    histories: Vec<History>,
    /// Events of each history that were acknowledged as durable.
    acknowledged: Vec<usize>,
    rng: SmallRng,
    values: u64,
    shared: u64,
}

impl Driver {
    /// Makes the volumes.
    pub fn create(machine: &Machine, options: DriverOptions, seed: u64) -> Result<Self, Error> {
        let volumes = open(machine, &options)?;
        for volume in &volumes {
            for store in 0..STORES {
                let mut how = DatastoreOptions::default();
                (how.create, how.unordered) = (true, is_unordered(store));
                volume.open_datastore(format!("store{store}").as_bytes(), &how)?;
            }
        }
        Ok(Self {
            stores: stores(&volumes)?,
            keeper: Keeper::new(),
            slots: (0..options.transactions).map(|_| None).collect(),
            model: Model::new(volumes.len() * STORES),
            histories: vec![History::default(); volumes.len()],
            acknowledged: vec![0; volumes.len()],
            rng: seed::rng(seed),
            values: 0,
            shared: 0,
            machine: machine.clone(),
            options,
            volumes,
        })
    }

    /// Goes on with the volumes that `machine` has.
    pub fn open(machine: &Machine, options: DriverOptions, seed: u64) -> Result<Self, Error> {
        let volumes = open(machine, &options)?;
        let stores = stores(&volumes)?;
        let mut model = Model::new(stores.len());
        let found = dump(&stores)?;
        for ((place, key), value) in found.iter().flatten() {
            model.load(*place, key, value);
        }
        Ok(Self {
            keeper: Keeper::new(),
            slots: (0..options.transactions).map(|_| None).collect(),
            model,
            acknowledged: vec![0; volumes.len()],
            histories: found.into_iter().map(History::new).collect(),
            rng: seed::rng(seed),
            // Values stay different from those of all earlier drivers.
            values: seed << 32,
            shared: 0,
            machine: machine.clone(),
            options,
            volumes,
            stores,
        })
    }

    /// Opens the volumes on another machine and returns what is in them.
    pub fn recover(machine: &Machine, options: &DriverOptions) -> Result<Vec<State>, Error> {
        let volumes = open(machine, options)?;
        let stores = stores(&volumes)?;
        let found = dump(&stores)?;
        for store in &stores {
            store.verify(&mut |_| {})?;
        }
        Ok(found)
    }

    /// The volumes' histories.
    pub fn histories(&self) -> &[History] {
        &self.histories
    }

    /// The datastores, in order of their places.
    pub fn stores(&self) -> &[Datastore] {
        &self.stores
    }

    /// The volumes.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// The note that the driver leaves with the machine's records: events acknowledged as durable
    /// for each volume, then events begun for each.
    pub fn note(&self) -> Vec<u64> {
        let begun = self.histories.iter().map(History::len);
        let counts = self.acknowledged.iter().copied().chain(begun);
        counts.map(|count| count as u64).collect()
    }

    fn leave_note(&self) {
        self.machine.note(&self.note());
    }

    /// Does one random thing. An error is one that only a faulty machine explains.
    pub fn step(&mut self) -> Result<Event, Error> {
        self.machine.clock().advance(STEP);
        if self.options.busy && self.rng.random_bool(0.7) {
            self.background()?;
        }
        if self.rng.random_bool(self.options.reopen) {
            self.reopen()?;
            return Ok(Event::Other);
        }
        match self.rng.random_range(0..1000) {
            0..17 => self.settle(),
            17..20 => self.checkpoint()?,
            20..25 => self.flush()?,
            25..27 => self.truncate()?,
            27..40 => self.background()?,
            40..153 => self.direct()?,
            153..160 => self.delete_range()?,
            160..220 => self.read_committed()?,
            _ => return self.in_transaction(),
        }
        Ok(Event::Other)
    }

    fn settle(&mut self) {
        for volume in &self.volumes {
            volume.settle(&*self.keeper);
        }
        self.model.trim(self.keeper.oldest());
    }

    fn flush(&mut self) -> Result<(), Error> {
        let volume = self.rng.random_range(0..self.volumes.len());
        self.volumes[volume].flush()?;
        self.acknowledge(volume);
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), Error> {
        if self.options.checkpoint_log_bytes < u64::MAX {
            let volume = self.rng.random_range(0..self.volumes.len());
            self.volumes[volume].checkpoint_as_of(&*self.keeper)?;
            // What it synced is durable, all that is in the history.
            self.acknowledge(volume);
        }
        Ok(())
    }

    fn background(&mut self) -> Result<(), Error> {
        let volume = self.rng.random_range(0..self.volumes.len());
        self.volumes[volume].background_step()?;
        Ok(())
    }

    fn acknowledge(&mut self, volume: usize) {
        self.acknowledged[volume] = self.histories[volume].len();
        self.leave_note();
    }

    fn begin_event(&mut self, volume: usize, event: LogEvent) -> usize {
        let index = self.histories[volume].push(event);
        self.leave_note();
        index
    }

    fn truncate(&mut self) -> Result<(), Error> {
        let place = self.place();
        let busy = self
            .slots
            .iter()
            .flatten()
            .any(|s| s.touched.contains(&place));
        let store = &self.stores[place];
        if busy {
            let refused = store.volume().truncate_datastore(store.id());
            let refused = refused.expect_err("truncate with an unresolved transaction in there");
            assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
            return Ok(());
        }
        let (volume, id) = (store.volume(), store.id());
        self.begin_event(place / STORES, LogEvent::Truncate(place));
        volume.truncate_datastore(id)?;
        self.model.truncate(place);
        self.acknowledge(place / STORES);
        Ok(())
    }

    fn place(&mut self) -> Place {
        self.rng.random_range(0..self.stores.len())
    }

    fn key(&mut self) -> Vec<u8> {
        // Some keys are hot, one is empty, and some share long prefixes.
        let keys = self.options.keys;
        let number = if self.rng.random_bool(0.2) {
            self.rng.random_range(0..keys.min(4))
        } else {
            self.rng.random_range(0..keys)
        };
        match number % 3 {
            _ if number == 0 => Vec::new(),
            0 => format!("a rather long prefix that many keys share/{number:05}").into_bytes(),
            1 => (number as u32).to_be_bytes().to_vec(),
            _ => format!("k{number}").into_bytes(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        self.values += 1;
        let bytes = if self.rng.random_bool(self.options.huge_values) {
            self.rng.random_range(200 << 10..600 << 10)
        } else {
            match self.rng.random_range(0..20) {
                0 => return Vec::new(),
                1 => self.rng.random_range(0..self.options.value_bytes.max(9)),
                _ => self.rng.random_range(8..80),
            }
        };
        let mut value = vec![(self.values % 251) as u8; bytes.max(8)];
        value[..8].copy_from_slice(&self.values.to_le_bytes());
        value
    }

    fn direct(&mut self) -> Result<(), Error> {
        let (place, key) = (self.place(), self.key());
        let kind = self.rng.random_range(0..4);
        let value = (kind != 3).then(|| self.value());
        let mode = [Mode::Any, Mode::Absent, Mode::Present, Mode::Present][kind];
        let wanted = self.model.write_direct(place, &key, value.as_deref(), mode);
        let event = match wanted {
            Ok(event) => {
                self.begin_event(place / STORES, event);
                Ok(())
            }
            Err(kind) => Err(kind),
        };
        let store = &self.stores[place];
        let done = match (kind, &value) {
            (0, Some(value)) => store.put(&key, value),
            (1, Some(value)) => store.try_insert(&key, value),
            (2, Some(value)) => store.replace(&key, value),
            _ => store.delete(&key).and_then(Error::item_not_found_unless),
        };
        agree("a write outside transactions", done, event)
    }

    fn read_committed(&mut self) -> Result<(), Error> {
        let (place, key) = (self.place(), self.key());
        let store = &self.stores[place];
        let wanted = self.model.read(place, None, &key);
        agree("a get", store.get(&key).map(|v| v.map(Arc::from)), wanted)?;
        let position = position(&mut self.rng, &key);
        let wanted = self.sought(place, None, position);
        let found = store.nearest(position);
        agree(
            "a nearest",
            found.map(|item| item.map(|(k, v)| (k, Arc::from(v)))),
            wanted,
        )
    }

    fn in_transaction(&mut self) -> Result<Event, Error> {
        let index = self.rng.random_range(0..self.slots.len());
        let Some(mut slot) = self.slots[index].take() else {
            self.slots[index] = Some(self.begin());
            return Ok(Event::Other);
        };
        let action = self.rng.random_range(0..100);
        let ends = slot.prepared || slot.failed.is_some();
        match action {
            0..8 => return self.commit(slot),
            8..12 => self.abort(slot),
            12..15 if !ends => {
                slot.view.prepare();
                slot.prepared = true;
                self.slots[index] = Some(slot);
            }
            _ if ends => self.slots[index] = Some(slot),
            15..40 => {
                let done = self.read(&mut slot);
                self.slots[index] = Some(slot);
                done?;
            }
            40..60 => {
                let done = self.seek(&mut slot);
                self.slots[index] = Some(slot);
                done?;
            }
            _ => {
                let done = self.write(&mut slot);
                self.slots[index] = Some(slot);
                done?;
            }
        }
        Ok(Event::Other)
    }

    fn begin(&mut self) -> Slot {
        let levels = [
            Isolation::Snapshot,
            Isolation::Snapshot,
            Isolation::ReadCommitted,
            Isolation::ReadUncommitted,
        ];
        let level = levels.choose(&mut self.rng).copied();
        Slot {
            view: self.keeper.begin(level.unwrap_or(Isolation::Snapshot)),
            txn: None,
            prepared: false,
            failed: None,
            touched: BTreeSet::new(),
        }
    }

    fn read(&mut self, slot: &mut Slot) -> Result<(), Error> {
        slot.view.operation();
        let (place, key) = (self.place(), self.key());
        let wanted = self.model.read(place, Some(&slot.view), &key);
        let mut value = Vec::new();
        let found = self.stores[place].read(&slot.view, &key, &mut value);
        let found = found.map(|found| found.then(|| Arc::from(value)));
        agree("a read", found, wanted)
    }

    fn seek(&mut self, slot: &mut Slot) -> Result<(), Error> {
        slot.view.operation();
        let (place, key) = (self.place(), self.key());
        let position = position(&mut self.rng, &key);
        let wanted = self.sought(place, Some(&slot.view), position);
        let (mut found_key, mut value) = (Vec::new(), Vec::new());
        let found = self.stores[place].seek(&slot.view, position, &mut found_key, &mut value);
        let found = found.map(|found| found.then(|| (found_key, Arc::from(value))));
        agree("a seek", found, wanted)
    }

    /// What a seek has to find.
    fn sought(
        &self,
        place: Place,
        view: Option<&dyn View>,
        position: Position<'_>,
    ) -> Result<Option<Found>, ErrorKind> {
        if is_unordered(place) {
            return Err(ErrorKind::Unsupported);
        }
        self.model.seek(place, view, position)
    }

    fn write(&mut self, slot: &mut Slot) -> Result<(), Error> {
        slot.view.operation();
        let id = slot.view.allocate();
        let (place, key) = (self.place(), self.key());
        let value = self.value();
        let change = match self.rng.random_range(0..10) {
            0..6 => Change::Put(&value),
            6..9 => Change::Remove,
            _ => Change::Reserve,
        };
        let mode = [Mode::Any, Mode::Any, Mode::Absent, Mode::Present];
        let mode = mode.choose(&mut self.rng).copied().unwrap_or(Mode::Any);
        let wanted = self.model.write(place, &slot.view, &key, change, mode);
        let txn = slot.txn.get_or_insert_with(|| WriteSet::new(id));
        slot.touched.insert(place);
        if let Err(kind) = wanted
            && !matches!(kind, ErrorKind::ItemNotFound | ErrorKind::ItemExists)
        {
            slot.failed = Some(kind);
        }
        let done = txn.write(&self.stores[place], &slot.view, &key, change, mode);
        agree("a write", done, wanted)
    }

    fn abort(&mut self, mut slot: Slot) {
        if let Some(mut txn) = slot.txn.take() {
            txn.abort();
            self.model.abort(txn.id());
        }
        slot.view.end();
    }

    fn commit(&mut self, mut slot: Slot) -> Result<Event, Error> {
        let Some(mut txn) = slot.txn.take() else {
            slot.view.end();
            return Ok(Event::Other);
        };
        let id = txn.id();
        let overruled = self.model.is_overruled(id).then_some(ErrorKind::Conflict);
        if let Some(kind) = slot.failed.or(overruled) {
            let refused = txn.commit(Durability::Synced);
            agree("a commit that must fail", refused, Err(kind))?;
            slot.txn = Some(txn);
            self.abort(slot);
            return Ok(Event::Other);
        }
        let durability = if self.rng.random_bool(0.5) {
            Durability::Synced
        } else {
            Durability::Buffered
        };
        let logged = self.log(id, &slot.touched);
        txn.commit(durability)?;
        self.model.commit(id);
        let volumes: BTreeSet<usize> = slot.touched.iter().map(|p| p / STORES).collect();
        if durability == Durability::Synced || volumes.len() > 1 {
            self.acknowledge_logged(&logged);
        }
        // The horizon has passed who was prepared: that stays.
        if !slot.prepared && self.rng.random_bool(0.06) {
            for &(volume, index) in &logged {
                self.begin_event(volume, LogEvent::Cancel(index));
            }
            txn.cancel()?;
            self.model.abort(id);
            self.acknowledge_logged(&logged);
        }
        slot.view.end();
        Ok(Event::Committed)
    }

    fn acknowledge_logged(&mut self, logged: &[(usize, usize)]) {
        for &(volume, _) in logged {
            self.acknowledge(volume);
        }
    }

    /// Enters what a transaction commits into the histories; where.
    fn log(&mut self, owner: u64, touched: &BTreeSet<Place>) -> Vec<(usize, usize)> {
        let volumes: BTreeSet<usize> = touched.iter().map(|p| p / STORES).collect();
        let mut parts: Vec<(usize, Vec<Item>)> = volumes
            .into_iter()
            .map(|volume| (volume, self.model.items(owner, |p| p / STORES == volume)))
            .collect();
        parts.retain(|(_, items)| !items.is_empty());
        self.shared += 1;
        let several = parts.len() > 1;
        let parts = parts.into_iter().map(|(volume, items)| {
            let event = if several {
                LogEvent::Shared(self.shared, items)
            } else {
                LogEvent::Batch(items)
            };
            (volume, self.histories[volume].push(event))
        });
        let logged = parts.collect();
        self.leave_note();
        logged
    }

    /// Rolls back what is open, closes the volumes, opens them again and compares everything.
    pub fn reopen(&mut self) -> Result<(), Error> {
        self.roll_back();
        for volume in &self.volumes {
            volume.close()?;
        }
        self.stores.clear();
        self.volumes.clear();
        self.volumes = open(&self.machine, &self.options)?;
        self.stores = stores(&self.volumes)?;
        self.keeper = Keeper::new();
        self.model.reopen();
        let found = dump(&self.stores)?;
        for (volume, found) in found.into_iter().enumerate() {
            let wanted = self.state(volume);
            assert!(
                found == wanted,
                "volume {volume} changed when it was opened again: {}",
                difference(&wanted, &found)
            );
            self.histories[volume] = History::new(found);
            self.acknowledged[volume] = 0;
        }
        self.leave_note();
        Ok(())
    }

    /// Rolls back all open transactions.
    pub fn roll_back(&mut self) {
        for index in 0..self.slots.len() {
            if let Some(slot) = self.slots[index].take() {
                self.abort(slot);
            }
        }
    }

    fn state(&self, volume: usize) -> State {
        let places = volume * STORES..(volume + 1) * STORES;
        let items = places.flat_map(|place| {
            let committed = self.model.committed(place);
            committed
                .into_iter()
                .map(move |(key, value)| ((place, key), value))
        });
        items.collect()
    }
}

fn position<'a>(rng: &mut SmallRng, key: &'a [u8]) -> Position<'a> {
    match rng.random_range(0..10) {
        0 => Position::First,
        1 => Position::Last,
        2 | 3 => Position::AtOrAfter(key),
        4 | 5 => Position::After(key),
        6 | 7 => Position::AtOrBefore(key),
        _ => Position::Before(key),
    }
}
