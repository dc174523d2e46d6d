//! The log's own tests: what it promises, on a disk whose power can be cut.

mod cache;
mod chains;
mod crash;
mod create;
mod disk;
mod figures;
mod guards;
mod members;
mod opener;
mod removals;
mod resident;
mod sessions;
mod space;
mod store;

use super::{
    Appended, Asked, Batch, BatchKind, Live, Log, OpenLog, Purpose, Ready, Replay, ReplayBatch,
    ReplayItem, append_value,
};
use crate::{
    Result,
    format::name::GlobalTxn,
    location::{Location, Lsn},
    options::VolumeOptions,
};
use disk::Disk;
use std::{collections::BTreeMap, sync::Arc};

const MIB: u64 = 1 << 20;

/// Remembers what was delivered, and what is live of it.
#[derive(Default)]
struct Model {
    live: BTreeMap<(u32, Vec<u8>), (u64, Option<Location>)>,
    alive: Live,
    batches: Vec<u64>,
    items: u64,
    cancels: Vec<u64>,
    resolves: Vec<(GlobalTxn, bool)>,
    prepared: Vec<GlobalTxn>,
}

impl Replay for Model {
    fn whole_log(&mut self, _moved: bool) {}
    fn number_used(&mut self, _seq: u64) {}
    fn item(&mut self, _batch: &ReplayBatch, item: &ReplayItem<'_>) -> Result<()> {
        self.items += 1;
        let key = (item.tree, item.key.to_vec());
        let place = (!item.tombstone).then_some(item.location);
        if self.live.get(&key).is_none_or(|(seq, _)| *seq <= item.seq) {
            let old = self.live.insert(key, (item.seq, place));
            if let Some(old) = old.and_then(|(_, place)| place) {
                self.alive.remove(old);
            }
            if let Some(place) = place {
                self.alive.add(place, item.indirect);
            }
        }
        Ok(())
    }
    fn batch_end(&mut self, batch: &ReplayBatch) -> Result<()> {
        if let BatchKind::Prepare { global, .. } = &batch.kind {
            self.prepared.push(*global);
        }
        self.batches.push(batch.id);
        Ok(())
    }
    fn cancel(&mut self, batch_id: u64) -> Result<()> {
        self.cancels.push(batch_id);
        Ok(())
    }
    fn resolve(&mut self, global: GlobalTxn, committed: bool) -> Result<()> {
        self.resolves.push((global, committed));
        Ok(())
    }
}

impl Model {
    fn value(&self, log: &Log, tree: u32, key: &[u8]) -> Option<Vec<u8>> {
        let (_, place) = self.live.get(&(tree, key.to_vec()))?;
        let mut value = Vec::new();
        assert!(log.read((*place)?, tree, key, &mut value).unwrap());
        Some(value)
    }
}

/// The value of the item of a tree, with that key, at a place.
fn read(
    log: &Log,
    purpose: Purpose,
    (at, tree, key): (Location, u32, &[u8]),
) -> Result<Option<Vec<u8>>> {
    let guard = crossbeam_epoch::pin();
    let mut value = Vec::new();
    let asked = Asked {
        purpose,
        at,
        tree,
        key,
        ready: Ready::No,
    };
    let found = log.with_value(asked, &guard, &mut value, append_value);
    let found = found.inspect_err(|_| assert!(value.is_empty()))?;
    Ok(found.map(|()| value))
}

fn quiet() -> VolumeOptions {
    VolumeOptions {
        background_thread: false,
        write_cache_bytes: 2 * MIB,
        read_cache_bytes: MIB,
        ..VolumeOptions::default()
    }
}

fn create(disk: &Disk) -> OpenLog {
    OpenLog::create(vec![disk.device()], &quiet()).unwrap()
}

fn open(disk: &Disk) -> Result<(OpenLog, Model)> {
    let mut model = Model::default();
    let log = OpenLog::open(vec![disk.device()], &quiet(), &mut model)?;
    log.set_live(&model.alive).unwrap();
    Ok((log, model))
}

fn put(log: &Log, seq: u64, key: &[u8], value: &[u8]) -> Appended {
    let mut batch = Batch::new(BatchKind::Commit);
    batch.push(1, seq, false, key, Some(value));
    log.append(&mut batch, false).unwrap()
}

fn put_synced(log: &Log, seq: u64, key: &[u8], value: &[u8]) -> Lsn {
    let appended = put(log, seq, key, value);
    log.sync_to(appended.end).unwrap();
    appended.end
}

/// Leaves the disk as a power cut without any surviving write would.
fn abandon(log: OpenLog) {
    log.health
        .poison(crate::Error::new(crate::ErrorKind::Io, "power cut"));
}
