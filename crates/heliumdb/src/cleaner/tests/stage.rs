//! A small volume on which nothing happens but what a test does.

use std::sync::Arc;

use super::super::{Asked, LAST_RESORTS};
use crate::{
    Datastore, Volume,
    error::ErrorKind,
    log::{Batch, BatchKind},
    options::VolumeOptions,
    shared::Shared,
};

/// Bytes of an ordinary value: twenty of them make a segment.
pub(in crate::cleaner) const VALUE_BYTES: usize = 50_000;

/// The volume, and how many items were put to fill it.
pub(in crate::cleaner) struct Stage {
    _folder: tempfile::TempDir,
    pub(in crate::cleaner) volume: Volume,
    pub(in crate::cleaner) store: Datastore,
    pub(in crate::cleaner) items: u32,
}

fn key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

impl Stage {
    /// What comes next is put into a segment that holds nothing but what stays.
    pub(in crate::cleaner) fn new() -> Self {
        Self::with_checkpoints(u64::MAX)
    }

    /// The same, of a volume that takes a checkpoint after so much log.
    pub(in crate::cleaner) fn with_checkpoints(log_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("he://{}", folder.path().join("volume").display());
        let options = VolumeOptions {
            background_thread: false,
            limit_bytes: Some(64 << 20),
            checkpoint_log_bytes: Some(log_bytes),
            auto_clean_period_ms: 0,
            clean_dirty_pct: 20,
            // Who is refused does not wait for the readers that a test has.
            retry_delay_us: 0,
            ..VolumeOptions::default()
        };
        let volume = Volume::open(&url, &options).unwrap();
        let store = volume.create_datastore(b"store").unwrap();
        let stage = Self {
            _folder: folder,
            volume,
            store,
            items: 0,
        };
        stage.end_segment();
        stage
    }

    /// Fills the segment that was begun with what stays.
    pub(in crate::cleaner) fn end_segment(&self) {
        let stays = self.volume.datastores().len();
        let name = format!("stays{stays}");
        let stays = self.volume.create_datastore(name).unwrap();
        let log = &self.shared().log;
        let segment = log.next_segment_sequence();
        for number in 0u32.. {
            stays.put(key(number), [1; 10_000]).unwrap();
            if log.next_segment_sequence() > segment {
                return;
            }
        }
    }

    /// Until it is full of what is alive, and no checkpoint helps.
    pub(in crate::cleaner) fn filled(mut self) -> Self {
        while self.put(self.items, VALUE_BYTES) {
            self.items += 1;
        }
        self.without_resort()
    }

    /// False if there is no room for it.
    pub(in crate::cleaner) fn put(&self, number: u32, value_bytes: usize) -> bool {
        match self.store.put(key(number), vec![1; value_bytes]) {
            Ok(()) => true,
            Err(why) if why.kind() == ErrorKind::VolumeFull => false,
            Err(why) => panic!("{why}"),
        }
    }

    pub(in crate::cleaner) fn delete(&self, numbers: impl Iterator<Item = u32>) {
        numbers.for_each(|number| assert!(self.store.delete(key(number)).unwrap()));
    }

    /// Snapshots of then and of now are not the same, though they see the same.
    pub(in crate::cleaner) fn write_in_vain(&self) {
        let mut txn = self.volume.begin().unwrap();
        txn.delete(&self.store, key(0)).unwrap();
        txn.rollback();
    }

    pub(in crate::cleaner) fn shared(&self) -> &Arc<Shared> {
        self.volume.shared()
    }

    /// What a writer does who has found no room; whether there is hope.
    pub(in crate::cleaner) fn await_room(&self) -> bool {
        let cleaner = &self.shared().cleaner;
        cleaner
            .await_room(&|| self.shared().background_step())
            .unwrap()
    }

    /// As if checkpoints had been asked for in vain.
    pub(in crate::cleaner) fn without_resort(self) -> Self {
        *self.shared().cleaner.asked.lock() = Asked::now(&self.shared().log, LAST_RESORTS);
        self
    }

    /// Takes all that deletes may take: a checkpoint has what it may need, and the cleaner what is its own.
    pub(in crate::cleaner) fn use_up_reserve(&self) {
        let mut batch = Batch::new(BatchKind::Commit);
        for value_bytes in [200_000, 2_000] {
            loop {
                batch.clear(BatchKind::Commit);
                batch.push(1_000, 1 << 40, false, b"key", Some(&vec![1; value_bytes]));
                let Ok(appended) = self.shared().log.append(&mut batch, true) else {
                    break;
                };
                let dead = appended.locations.into_iter();
                dead.for_each(|at| self.shared().log.mark_dead(at));
            }
        }
    }

    pub(in crate::cleaner) fn step(&self) -> bool {
        self.volume.background_step().unwrap()
    }
}
