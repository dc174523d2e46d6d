//! Taking over hand-made volumes, on simulated machines.

mod cases;
mod crashes;
mod refusals;

use super::{Place, migrate};
use crate::error::{Code, Error};
use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{Datastore, DatastoreOptions, Volume};
use std::collections::BTreeMap;

/// Sets a value or removes the item, by a transaction.
type Update<'a> = (u64, Option<&'a [u8]>);

/// A record of a cache as the C connector writes it.
pub fn record(updates: &[Update<'_>]) -> Vec<u8> {
    let mut bytes = (updates.len() as u32).to_le_bytes().to_vec();
    for (transaction, value) in updates {
        bytes.extend(transaction.to_le_bytes());
        match value {
            Some(value) => {
                bytes.push(b' ');
                bytes.extend((value.len() as u32).to_le_bytes());
                bytes.extend(*value);
            }
            None => bytes.push(b'R'),
        }
    }
    bytes
}

/// What a volume holds: stores, without those that are empty.
type Contents = BTreeMap<String, BTreeMap<String, String>>;

/// Volumes that are opened together, on one machine.
struct Volumes {
    machine: Machine,
    volumes: Vec<Volume>,
    /// What is not written to.
    read_only: Option<usize>,
    messages: Vec<String>,
}

const DISK_BYTES: u64 = 64 << 20;
const NAMES: [&str; 3] = ["dev1", "dev2", "dev3"];
const TXN: &str = "WiredTiger.WiredTigerTxn";

impl Volumes {
    fn new(count: usize) -> Self {
        Self::on(Machine::new(1, &vec![DISK_BYTES; count]), count)
    }

    /// What a crash left.
    fn after(images: Vec<Image>) -> Self {
        let count = images.len();
        Self::on(Machine::with_images(2, images), count)
    }

    fn on(machine: Machine, count: usize) -> Self {
        let devices = (0..count).map(|disk| (vec![machine.device(DiskId(disk))], sim_options()));
        let volumes = heliumdb::host::open_all_devices(devices.collect()).expect("opens");
        Self {
            machine,
            volumes,
            read_only: None,
            messages: Vec::new(),
        }
    }

    fn store(&self, volume: usize, name: &str) -> Datastore {
        let volume = &self.volumes[volume];
        let found = volume.datastore(name.as_bytes());
        found.unwrap_or_else(|_| {
            volume
                .open_datastore(
                    name,
                    &DatastoreOptions::new()
                        .create(true)
                        .attributes(b"he.h 1 00"),
                )
                .expect("made")
        })
    }

    fn put(&self, volume: usize, store: &str, key: &str, value: &[u8]) {
        self.store(volume, store)
            .put(key.as_bytes(), value)
            .expect("put");
    }

    /// An object as the C connector makes it.
    fn object(&self, volume: usize, name: &str) {
        for store in [
            format!("WiredTiger.{name}"),
            format!("WiredTiger.{name}.cache"),
        ] {
            self.store(volume, &store);
        }
    }

    fn settled(&self, volume: usize, object: &str, key: &str, value: &str) {
        self.put(
            volume,
            &format!("WiredTiger.{object}"),
            key,
            value.as_bytes(),
        );
    }

    fn cached(&self, volume: usize, object: &str, key: &str, updates: &[Update<'_>]) {
        self.put(
            volume,
            &format!("WiredTiger.{object}.cache"),
            key,
            &record(updates),
        );
    }

    fn outcome(&self, volume: usize, transaction: u64, outcome: &[u8]) {
        let store = self.store(volume, TXN);
        store.put(transaction.to_le_bytes(), outcome).expect("put");
    }

    fn migrate(&mut self) -> Result<(), Error> {
        let places: Vec<_> = self
            .volumes
            .iter()
            .enumerate()
            .map(|(number, volume)| Place {
                name: NAMES[number],
                volume,
                is_read_only: self.read_only == Some(number),
            })
            .collect();
        migrate(&places, &mut |text| self.messages.push(text.to_owned()))
    }

    #[track_caller]
    fn refuse(&mut self, code: Code, words: &[&str]) {
        let before: Vec<_> = (0..self.volumes.len())
            .map(|volume| self.contents(volume))
            .collect();
        let changes = self.machine.changes();
        let error = self.migrate().expect_err("should be refused");
        assert_eq!(error.code(), code, "{error}");
        for word in words {
            assert!(error.message().contains(word), "{word}: {error}");
        }
        for (volume, before) in before.iter().enumerate() {
            assert_eq!(self.contents(volume), *before, "something was changed");
        }
        assert_eq!(self.machine.changes(), changes, "something was written");
        assert!(self.messages.is_empty(), "{:?}", self.messages);
    }

    fn contents(&self, volume: usize) -> Contents {
        let volume = &self.volumes[volume];
        let stores = volume.datastores().into_iter().map(|info| {
            let store = volume.datastore_by_id(info.id).expect("there");
            let items = store.iter().map(|item| {
                let (key, value) = item.expect("readable");
                (text(&key), text(&value))
            });
            (text(&info.name), items.collect::<BTreeMap<_, _>>())
        });
        stores.filter(|(_, items)| !items.is_empty()).collect()
    }

    /// The items of an object, which must be all that there is on its volume in one.
    #[track_caller]
    fn only(&self, volume: usize, object: &str) -> String {
        let mut contents = self.contents(volume);
        let items = contents
            .remove(&format!("WiredTiger.{object}"))
            .unwrap_or_default();
        assert!(contents.is_empty(), "{contents:?}");
        let items: Vec<_> = items
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        items.join(" ")
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
