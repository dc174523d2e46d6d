//! Moves of items whose segments are freed and used again while they are in memory.

use std::collections::HashSet;

use super::*;
use crate::{
    Datastore, Volume,
    format::{SEGMENT_HEADER_BYTES, frame},
    location::{Location, Slot},
    log::{Candidate, MoveRoom},
    options::VolumeOptions,
};

/// Where the first item of a segment lies.
const FIRST: u64 = (SEGMENT_HEADER_BYTES + frame::HEADER_BYTES) as u64;
const KEY: &[u8] = b"key";
/// Bytes of a frame with the item, and of its value.
const FRAME_BYTES: usize = 1024;
const VALUE_BYTES: usize = 916;
/// A value that takes most of a segment.
static FILLS: [u8; 900 << 10] = [1; 900 << 10];

/// A volume on which nothing happens but what the test does, in a folder of its own.
struct Stage {
    folder: tempfile::TempDir,
    volume: Volume,
    store: Datastore,
    others: Datastore,
    /// How often the item was written: its value.
    writes: u64,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let volume = open(&folder, "volume");
        let store = volume.create_datastore(b"store").unwrap();
        let others = volume.create_datastore(b"others").unwrap();
        others.put(KEY, b"").unwrap();
        Self {
            folder,
            volume,
            store,
            others,
            writes: 0,
        }
    }

    fn shared(&self) -> &crate::shared::Shared {
        self.volume.shared()
    }

    /// Writes the item, at a distance of whole frames from where the first one of a segment lies: so
    /// that items come to lie where others lay, whatever is padded or written between them.
    fn write(&mut self) {
        loop {
            self.writes += 1;
            self.store.put(KEY, value(self.writes)).unwrap();
            let shift = (self.place().address() - FIRST) as usize % FRAME_BYTES;
            if shift == 0 {
                return;
            }
            self.put_other(FRAME_BYTES - shift);
        }
    }

    /// Writes another item, in a frame of so many bytes; or a little longer, by whole frames.
    fn put_other(&self, frame_bytes: usize) {
        let least = FRAME_BYTES - VALUE_BYTES;
        let value = match frame_bytes.checked_sub(least) {
            Some(bytes) => bytes,
            None => frame_bytes + FRAME_BYTES - least,
        };
        self.others.put(KEY, vec![0; value]).unwrap();
    }

    fn place(&self) -> Location {
        place(&self.store)
    }

    /// Writes until a segment is full that has nothing but writes of the item.
    fn fill_one(&mut self) -> Candidate {
        let last = self.next_sequence() + 1;
        loop {
            self.write();
            let full = self.shared().log.candidates();
            if let Some(full) = full.into_iter().find(|c| c.sequence == last) {
                return full;
            }
        }
    }

    /// As above, but the item is still the last one in it; with what is gathered from it.
    fn fill_one_with_it(&mut self) -> (Candidate, HashMap<u32, Arc<Tree>>, Gathered) {
        self.fill_one();
        loop {
            let before = self.shared().log.medium().segment_of(place(&self.others));
            self.write();
            let its = self.shared().log.medium().segment_of(self.place());
            if its != before {
                // One more of the others, so that it is not the first one of every segment.
                self.put_other(FRAME_BYTES);
            }
            self.put_other(FRAME_BYTES);
            if its == before && self.shared().log.medium().segment_of(place(&self.others)) != its {
                let full = self.shared().log.candidates();
                let victim = full.into_iter().find(|c| c.segment == its).unwrap();
                let (trees, gathered) = self.gather(&victim);
                return (victim, trees, gathered);
            }
        }
    }

    /// Of the segment behind the one that is being filled.
    fn next_sequence(&self) -> u64 {
        self.shared().log.next_segment_sequence()
    }

    fn gather(&self, victim: &Candidate) -> (HashMap<u32, Arc<Tree>>, Gathered) {
        let (trees, mut gathered) = (self.shared().cleaner.on.trees(), Gathered::default());
        self.shared()
            .cleaner
            .gather(victim, &trees, &mut gathered)
            .unwrap();
        assert!(gathered.len() > 500);
        (trees, gathered)
    }

    /// Has the segment freed, and used again until the item lies at one of `places`.
    fn come_to_lie_at(&mut self, victim: &Candidate, places: &HashSet<Location>) {
        self.write();
        let is_used = |stage: &Self| {
            let used = stage.shared().log.use_of(victim.segment, &epoch::pin());
            used == Some(victim.sequence)
        };
        for _ in 0..1000 {
            if is_used(self) {
                self.volume.background_step().unwrap();
            }
        }
        assert!(!is_used(self), "something in it is alive");
        // Of the free segments the first one is used: those before it hold what stays.
        for turn in 0u32..1 << 18 {
            if places.contains(&self.place()) {
                return;
            }
            if turn.is_multiple_of(1000) {
                self.volume.background_step().unwrap();
            }
            let log = &self.shared().log;
            let is_free = log.use_of(victim.segment, &epoch::pin()).is_none();
            if is_free && log.free_segments_before(victim.segment) > 0 {
                self.others.put(turn.to_be_bytes(), FILLS).unwrap();
            }
            self.write();
        }
        panic!("the segment is not used again");
    }

    /// The item is the last one written, here and after a crash.
    fn check(self) {
        let wanted = value(self.writes);
        assert_eq!(self.store.get(KEY).unwrap().unwrap(), wanted);
        self.volume.flush().unwrap();
        std::fs::copy(
            self.folder.path().join("volume"),
            self.folder.path().join("copy"),
        )
        .unwrap();
        let volume = open(&self.folder, "copy");
        let store = volume.datastore(b"store").unwrap();
        assert_eq!(store.get(KEY).unwrap().unwrap(), wanted);
        assert_eq!(store.len(), 1);
    }
}

fn value(write: u64) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    value[..8].copy_from_slice(&write.to_le_bytes());
    value
}

fn open(folder: &tempfile::TempDir, name: &str) -> Volume {
    let url = format!("he://{}", folder.path().join(name).display());
    let options = VolumeOptions {
        background_thread: false,
        auto_clean_period_ms: u64::MAX,
        checkpoint_log_bytes: Some(u64::MAX),
        limit_bytes: Some(64 << 20),
        ..VolumeOptions::default()
    };
    Volume::open(&url, &options).unwrap()
}

fn place(store: &Datastore) -> Location {
    let tree = store.tree().unwrap();
    match Word(tree.get(KEY, &epoch::pin())).slot() {
        Slot::At(at) => at,
        _ => panic!("the item is not there"),
    }
}

fn places(gathered: &Gathered) -> HashSet<Location> {
    let items = (0..gathered.len()).filter_map(|i| gathered.item(i));
    items.map(|item| item.from.at()).collect()
}

#[test]
fn what_has_come_to_lie_in_its_place_is_not_moved() {
    let mut stage = Stage::new();
    let victim = stage.fill_one();
    let (trees, mut gathered) = stage.gather(&victim);
    stage.come_to_lie_at(&victim, &places(&gathered));
    let mut next = 0;
    while next < gathered.len() {
        next = stage
            .shared()
            .cleaner
            .move_some(&trees, &mut gathered, next)
            .unwrap();
    }
    stage.check();
}

/// Nothing is held between the look at an item and its move, nor until the index is told.
#[test]
fn an_item_whose_place_is_used_again_before_its_move_is_seen_stays() {
    for is_appended in [false, true] {
        let mut stage = Stage::new();
        let (victim, trees, gathered) = stage.fill_one_with_it();
        let mut items = (0..gathered.len()).filter_map(|i| gathered.item(i));
        let item = items.find(|item| item.from.at() == stage.place()).unwrap();
        let mut batch = Batch::new(BatchKind::Move {
            placed: stage.shared().writing.sequence(),
            from: vec![item.from.at()],
        });
        batch.push_logged(&item.header, gathered.bytes(item));
        let log = &stage.volume.shared().log.clone();
        let appended = is_appended.then(|| {
            let appended = log
                .append_moves(&mut batch, &[item.from], MoveRoom::Kept)
                .unwrap();
            appended.expect("it is where it was")
        });
        stage.come_to_lie_at(&victim, &HashSet::from([item.from.at()]));
        match appended {
            Some(appended) => {
                let shared = stage.shared();
                shared
                    .cleaner
                    .show_moves(&trees, &gathered, &[item], &appended);
            }
            None => {
                let moved =
                    stage
                        .shared()
                        .cleaner
                        .append_moves(&trees, &gathered, &[item], &mut batch);
                assert!(!moved.unwrap(), "another item lies there");
            }
        }
        stage.check();
    }
}

#[test]
fn compaction_moves_only_what_lies_where_it_was_seen() {
    let mut stage = Stage::new();
    stage.fill_one();
    let tree = stage.store.tree().unwrap();
    let (seen, _) = stage.shared().cleaner.run_of_items(&tree, None);
    let at = HashSet::from([stage.place()]);
    let victim = loop {
        stage.write();
        let full = stage.shared().log.candidates();
        let segment = stage.shared().log.medium().segment_of(seen[0].at());
        if let Some(victim) = full.into_iter().find(|c| c.segment == segment) {
            break victim;
        }
    };
    stage.come_to_lie_at(&victim, &at);
    let gathered = stage.shared().cleaner.gather_places(&tree, &seen).unwrap();
    assert_eq!(gathered.len(), 0);
    stage.check();
}

#[test]
fn a_segment_in_another_use_is_not_visited() {
    let mut stage = Stage::new();
    let victim = stage.fill_one();
    let (_, gathered) = stage.gather(&victim);
    stage.come_to_lie_at(&victim, &places(&gathered));
    stage.volume.flush().unwrap();
    let visited = stage
        .shared()
        .log
        .visit_segment(&victim, &mut |_, _, _| panic!("of another use"));
    assert!(!visited.unwrap());
}
