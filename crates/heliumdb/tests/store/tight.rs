//! Small full volumes at random: of whatever size, with checkpoints as often as it may be, beside snapshots that are held
//! for a while. A write is refused only if what is alive, and what is stated to be set aside, leave no room for it;
//! deletes never are; and what is written for room is in proportion to what users write.

use std::collections::BTreeMap;

use helium_sim::{DiskId, Machine, seed, sim_options};
use heliumdb::{Datastore, ErrorKind, Readable, Result, Snapshot, Volume, limits};
use rand::{Rng, rngs::SmallRng};

use crate::common::{MIB, after_power_loss};

const OPERATIONS: u64 = 2_000;
/// Of items that a seed puts at first.
const ITEMS: u64 = 6_000;
/// Bytes of values that fill what is left.
const LARGE: usize = 300_000;
/// What a write takes that is synced alone.
const BLOCK: u64 = 4_096;

/// Lengths and contents of values.
type Model = BTreeMap<u64, (usize, u8)>;

/// What a seed has drawn.
#[derive(Debug)]
struct Setting {
    seed: u64,
    /// A file that grows on a file system of so much, or a device.
    grows: bool,
    bytes: u64,
    checkpoint_log_bytes: Option<u64>,
    value_bytes: usize,
    syncs: bool,
}

impl Setting {
    fn draw(seed: u64, rng: &mut SmallRng) -> Self {
        let grows = rng.random();
        let (low, high) = if grows { (33, 90) } else { (64, 90) };
        let logs = [None, Some(u64::MAX), Some(MIB), Some(4 * MIB)];
        Self {
            seed,
            grows,
            bytes: rng.random_range(low..high) * MIB,
            checkpoint_log_bytes: logs[rng.random_range(0..logs.len())],
            value_bytes: [400, 2_000, 10_000, 60_000, 300_000][rng.random_range(0..5)],
            syncs: rng.random(),
        }
    }

    fn segment_bytes(&self) -> u64 {
        limits::SEGMENT_BYTES[usize::from(self.grows)]
    }
}

struct Tight<'a> {
    setting: &'a Setting,
    volume: Volume,
    store: Datastore,
    model: Model,
    snapshots: Vec<(Snapshot, Model)>,
    written: u64,
    largest_checkpoint: u64,
    /// Checkpoints that were asked for.
    asked: u64,
}

fn key(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

impl Tight<'_> {
    fn what(&self) -> String {
        let (setting, stats) = (self.setting, self.volume.stats());
        format!(
            "replay with HELIUM_SEED={}: {setting:?}: {} items, {} snapshots, written {}: {stats:?}",
            setting.seed,
            self.model.len(),
            self.snapshots.len(),
            self.written
        )
    }

    /// True if it was done.
    fn is_done(&mut self, done: Result<()>, bytes: u64) -> bool {
        match done {
            Ok(()) => {
                // More than it took, at most a block if it is synced alone.
                self.written += bytes + BLOCK;
                true
            }
            Err(why) if why.kind() == ErrorKind::VolumeFull => false,
            Err(why) => panic!("{why}: {}", self.what()),
        }
    }

    fn put(&mut self, number: u64, rng: &mut SmallRng) -> bool {
        let value_bytes = self.setting.value_bytes;
        let len = value_bytes - rng.random_range(0..value_bytes / 4);
        self.put_one(number, len, rng)
    }

    fn put_one(&mut self, number: u64, len: usize, rng: &mut SmallRng) -> bool {
        let content = rng.random();
        let put = self.store.put(key(number), vec![content; len]);
        let is_done = self.is_done(put, len as u64 + 64);
        if is_done {
            self.model.insert(number, (len, content));
        } else {
            self.check_full(len as u64);
        }
        is_done
    }

    /// A write was refused: there is no more room than is stated.
    fn check_full(&self, len: u64) {
        if !self.snapshots.is_empty() {
            return;
        }
        let stats = self.volume.stats();
        let segment = self.setting.segment_bytes();
        // With frames, and what is lost at the ends of segments by values of that length; a twentieth is not worth to be
        // gained.
        let item = LARGE as u64 + 80;
        let live = stats.live_bytes + self.model.len() as u64 * 48;
        let lost = live / (segment - item) * item + live / 16;
        let deletes = limits::DELETES_WHEN_FULL.min(self.model.len() as u64 + 64) * BLOCK;
        let kept = deletes + (limits::CLEANER_SEGMENTS + 3) * segment;
        let checkpoints = 3 * self.largest_checkpoint.max(stats.checkpoint_bytes);
        let index = 2 * stats.index_bytes + MIB;
        let all = live + lost + kept + checkpoints + index + len;
        assert!(all >= self.setting.bytes, "{all}: {}", self.what());
    }

    fn delete(&mut self, number: u64) {
        if self.model.remove(&number).is_none() {
            let deleted = self.store.delete(key(number)).map_err(|why| why.kind());
            return assert_eq!(deleted, Ok(false), "{}", self.what());
        }
        loop {
            let deleted = self.store.delete(key(number));
            let deleted = deleted.and_then(|_| match self.setting.syncs {
                true => self.volume.flush(),
                false => Ok(()),
            });
            if self.is_done(deleted, 64) {
                break;
            }
            // What a snapshot needs is not dead.
            assert!(!self.snapshots.is_empty(), "{}", self.what());
            self.snapshots.clear();
        }
    }

    fn transaction(&mut self, rng: &mut SmallRng) {
        let mut txn = self.volume.begin().expect("a transaction");
        let (mut model, mut bytes) = (self.model.clone(), 0);
        let mut is_refused = false;
        for _ in 0..rng.random_range(1..6) {
            let number = self.number(rng);
            let len = rng.random_range(1..self.setting.value_bytes);
            let content = rng.random();
            match txn.put(&self.store, key(number), vec![content; len]) {
                Ok(()) => drop(model.insert(number, (len, content))),
                Err(why) if why.kind() == ErrorKind::VolumeFull => is_refused = true,
                Err(why) => panic!("{why}: {}", self.what()),
            }
            bytes += len as u64 + 64 + BLOCK;
        }
        if is_refused || rng.random() {
            return txn.rollback();
        }
        // It has its room.
        let committed = txn.commit();
        committed.unwrap_or_else(|why| panic!("{why}: {}", self.what()));
        self.model = model;
        self.written += bytes;
    }

    /// One that is there, or not.
    fn number(&self, rng: &mut SmallRng) -> u64 {
        rng.random_range(0..self.model.len() as u64 + 10)
    }

    fn snapshot(&mut self) {
        if self.snapshots.len() == 2 {
            let (snapshot, model) = self.snapshots.remove(0);
            let items = model.iter().step_by(17);
            for (number, (len, content)) in items {
                let found = snapshot.get(&self.store, key(*number)).expect("an item");
                assert!(found == Some(vec![*content; *len]), "{}", self.what());
            }
        }
        let snapshot = self.volume.snapshot().expect("a snapshot");
        self.snapshots.push((snapshot, self.model.clone()));
    }

    fn work(&mut self, rng: &mut SmallRng) {
        for operation in 0..OPERATIONS {
            match rng.random_range(0..200) {
                0 => self.snapshot(),
                1 => drop(self.snapshots.pop()),
                2 => {
                    // Where a round is under way there may be no room for it.
                    let _ = self.volume.checkpoint();
                    self.asked += 1;
                }
                3..20 => drop(self.volume.background_step().expect("a step")),
                20..24 => self.transaction(rng),
                24..110 => {
                    let number = self.number(rng);
                    self.put(number, rng);
                }
                _ => {
                    let number = self.number(rng);
                    self.delete(number);
                }
            }
            if operation % 8 == 0 {
                self.check_written();
            }
        }
    }

    /// What checkpoints and cleaning write is in proportion to what users write.
    fn check_written(&mut self) {
        let stats = self.volume.stats();
        self.largest_checkpoint = self.largest_checkpoint.max(stats.checkpoint_bytes);
        let log = self.setting.checkpoint_log_bytes.unwrap_or(8 * MIB);
        let segment = self.setting.segment_bytes();
        let times =
            4 + self.asked + 3 * self.written.div_ceil(segment / 2) + 2 * (self.written / log);
        let most = times * (self.largest_checkpoint + 2 * BLOCK) + stats.cleaner_bytes / 2;
        assert!(
            stats.checkpoint_written_bytes <= most,
            "{most}: {}",
            self.what()
        );
        let most = 8 * self.written + 2 * self.setting.bytes;
        assert!(stats.cleaner_bytes <= most, "{most}: {}", self.what());
    }

    fn check(&self, store: &Datastore) {
        let wanted = self.model.iter();
        let mut wanted: Vec<_> = wanted.map(|(number, v)| (key(*number), *v)).collect();
        wanted.sort_unstable();
        let mut found = store.iter().map(|item| item.expect("an item"));
        for (key, (len, content)) in wanted {
            let item = found.next();
            assert!(
                item == Some((key.to_vec(), vec![content; len])),
                "{}",
                self.what()
            );
        }
        assert!(found.next().is_none(), "{}", self.what());
    }
}

fn round(seed: u64) {
    let rng = &mut seed::rng(seed);
    let setting = Setting::draw(seed, rng);
    let machine = Machine::new(seed, &[if setting.grows { 0 } else { setting.bytes }]);
    if setting.grows {
        machine.allow_growth(DiskId(0), 1 << 40);
        machine.keep_in_file(DiskId(0), setting.bytes);
    }
    let mut options = sim_options();
    options.checkpoint_log_bytes = setting.checkpoint_log_bytes;
    let open = |machine: &Machine| {
        Volume::open_devices(machine.devices(&[DiskId(0)]), &options).expect("it opens")
    };
    let volume = open(&machine);
    let store = volume.create_datastore(b"store").expect("create");
    let mut tight = Tight {
        setting: &setting,
        volume,
        store,
        model: BTreeMap::new(),
        snapshots: Vec::new(),
        written: BLOCK,
        largest_checkpoint: 0,
        asked: 0,
    };
    let is_full = (0..ITEMS).any(|number| !tight.put(number, rng));
    // What stays.
    let mut large = ITEMS..;
    let _ = is_full || large.any(|number| !tight.put_one(number, LARGE, rng));
    tight.work(rng);
    tight.snapshots.clear();
    tight.check(&tight.store);
    let numbers: Vec<u64> = tight.model.keys().copied().collect();
    let third = numbers.len() / 3;
    numbers[third..]
        .iter()
        .for_each(|number| tight.delete(*number));
    tight.check_written();
    tight.volume.flush().expect("a flush");
    let reopened = open(&after_power_loss(&machine, seed));
    tight.check(&reopened.datastore(b"store").expect("the datastore"));
}

#[test]
fn small_full_volumes_refuse_only_what_has_no_room() {
    for seed in seed::seeds(seed::count("HELIUM_TIGHT", 6)) {
        round(seed);
    }
}
