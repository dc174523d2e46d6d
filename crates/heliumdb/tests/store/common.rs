//! What the tests share: machines, volumes, and sessions that keep a transaction and its view.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use helium_sim::{
    DiskId, DriverOptions, Image, Keeper, KeptView, Latch, Machine, Verdict, seed, sim_options,
};
use heliumdb::host::DatastoreExt;
use heliumdb::{
    Datastore, DatastoreOptions, Durability, Isolation, Result, Transaction, TransactionOptions,
    Volume, VolumeOptions,
    host::{Change, Mode, WriteSet, open_all_devices},
};
use rand::Rng;

pub(crate) const MIB: u64 = 1 << 20;

/// Nothing that a file system could make smaller.
pub(crate) fn noise(number: u64, len: usize) -> Vec<u8> {
    let mut rng = seed::rng(number);
    let mut bytes = vec![0; len];
    rng.fill(&mut bytes[..]);
    bytes
}

/// No version is left of a volume that nobody uses. Its own thread may have some of their chains in hand: then it
/// is done with them soon.
pub(crate) fn assert_settles(volume: &Volume) {
    let started = Instant::now();
    while volume.version_bytes() != 0 && started.elapsed() < Duration::from_secs(60) {
        volume.background_step().expect("a step");
        thread::yield_now();
    }
    assert_eq!(volume.version_bytes(), 0);
}

/// A machine with one disk of the smallest size for each volume.
pub(crate) fn machine(seed: u64, volumes: usize) -> Machine {
    Machine::new(seed, &vec![64 * MIB; volumes])
}

/// The volumes of a machine that has one disk for each.
pub(crate) fn open(machine: &Machine, disks: &[usize]) -> Result<Vec<Volume>> {
    open_all_devices(
        disks
            .iter()
            .map(|&disk| (machine.devices(&[DiskId(disk)]), sim_options()))
            .collect(),
    )
}

/// The only volume of a machine with one disk.
pub(crate) fn open_one(machine: &Machine) -> Result<Volume> {
    Volume::open_devices(machine.devices(&[DiskId(0)]), &sim_options())
}

/// A new datastore with these attributes.
pub(crate) fn make_with(
    volume: &Volume,
    name: impl AsRef<[u8]>,
    attributes: impl AsRef<[u8]>,
) -> Result<Datastore> {
    let options = DatastoreOptions::new().create(true).error_if_exists(true);
    volume.open_datastore(name, &options.attributes(attributes.as_ref()))
}

/// A machine with a volume and a datastore.
pub(crate) fn store() -> (Machine, Volume, Datastore) {
    let machine = machine(0, 1);
    let volume = open_one(&machine).expect("open a blank disk");
    let store = volume.create_datastore(b"store").expect("create");
    (machine, volume, store)
}

/// A volume of so many bytes with a datastore, that takes checkpoints after so many bytes of log.
pub(crate) fn sized_store(checkpoint_log_bytes: u64, bytes: u64) -> (Volume, Datastore) {
    let machine = Machine::new(1, &[bytes]);
    let options = sim_options().checkpoint_log_bytes(checkpoint_log_bytes);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).expect("open");
    let store = volume.create_datastore(b"store").expect("create");
    (volume, store)
}

/// A transaction that spills when its values take so much, and whose commit is not synced.
pub(crate) fn begin_spilling(
    volume: &Volume,
    isolation: Isolation,
    memory_budget_bytes: usize,
) -> Transaction {
    let options = TransactionOptions::new()
        .isolation(isolation)
        .durability(Durability::Buffered)
        .memory_budget_bytes(memory_budget_bytes);
    volume.begin_with(options).expect("begin")
}

/// A volume on a device with a latch, and a datastore.
pub(crate) fn held_store(options: &VolumeOptions) -> (Machine, Arc<Latch>, Volume, Datastore) {
    let machine = machine(0, 1);
    let latch = Latch::new();
    let device = latch.guard(machine.device(DiskId(0)));
    let volume = Volume::open_devices(vec![device], options).expect("open a blank disk");
    let store = volume.create_datastore(b"store").expect("create");
    (machine, latch, volume, store)
}

/// The same with an ordered, and with an unordered datastore.
pub(crate) fn both_kinds() -> [(Machine, Volume, Datastore); 2] {
    let (machine, volume, unordered) = store();
    let mut how = DatastoreOptions::default();
    (how.truncate, how.unordered) = (true, true);
    volume.open_datastore(b"store", &how).expect("truncate");
    [store(), (machine, volume, unordered)]
}

/// The machine after the power went, with nothing unsynced left.
pub(crate) fn after_power_loss(machine: &Machine, seed: u64) -> Machine {
    Machine::with_images(seed, machine.crash(&mut helium_sim::seed::rng(seed)))
}

/// The machine after the process was killed: what was written is there, synced or not.
pub(crate) fn after_kill(machine: &Machine, seed: u64) -> Machine {
    Machine::with_images(seed, machine.images())
}

/// Two volumes, one of them of two disks; with no, many or some checkpoints.
pub(crate) fn driver_options(seed: u64) -> (Vec<u64>, DriverOptions) {
    let disks = vec![64 * MIB, 32 * MIB, 32 * MIB];
    let options = DriverOptions {
        volumes: vec![vec![DiskId(0)], vec![DiskId(1), DiskId(2)]],
        keys: 60,
        transactions: 4,
        value_bytes: 3000,
        huge_values: 0.001,
        reopen: 0.0,
        busy: false,
        checkpoint_log_bytes: [u64::MAX, 30 << 10, 300 << 10][seed as usize % 3],
    };
    (disks, options)
}

/// The same, with values that fill segments quickly and a cleaner that never rests.
pub(crate) fn busy_options(seed: u64) -> (Vec<u64>, DriverOptions) {
    let (disks, mut options) = driver_options(seed);
    options.checkpoint_log_bytes = [u64::MAX, 3 << 20, 30 << 20][seed as usize % 3];
    options.huge_values = 0.25;
    options.value_bytes = 200_000;
    options.busy = true;
    (disks, options)
}

/// Runs `round` for every seed, on all cores, in threads that have the test's name.
pub(crate) fn in_parallel(seeds: impl Iterator<Item = u64> + Send, round: impl Fn(u64) + Sync) {
    let seeds = std::sync::Mutex::new(seeds);
    let next = || seeds.lock().expect("no panic holds it").next();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let test = thread::current().name().unwrap_or_default().to_owned();
    thread::scope(|scope| {
        for _ in 0..cores {
            let thread = thread::Builder::new().name(test.clone());
            let work = || {
                while let Some(seed) = next() {
                    round(seed);
                }
            };
            thread.spawn_scoped(scope, work).expect("a thread");
        }
    });
}

/// Lets go of whoever a latch holds up when it is dropped, so that a test that fails ends.
pub(crate) struct Released<'a>(pub(crate) &'a Latch);

impl Drop for Released<'_> {
    fn drop(&mut self) {
        self.0.release(Verdict::Fail);
    }
}

/// One byte of `images` changed by `change`.
pub(crate) fn changed(images: &[Image], disk: usize, offset: u64, bytes: &[u8]) -> Vec<Image> {
    let mut images = images.to_vec();
    images[disk].write(bytes, offset);
    images
}

/// Destroys the root of every checkpoint that the superblocks of a volume of one disk name; false
/// if there is none. What an older superblock names may be gone, and something else in its place
/// that has to stay: a root is known by its key.
pub(crate) fn destroy_checkpoint(image: &mut Image) -> bool {
    let mut is_any = false;
    for block in 0..2 {
        let mut superblock = [0; 4096];
        image.read(&mut superblock, block * 4096);
        // Where docs/format.md has the number of the checkpoint and the address of its root item.
        let (number, root) = (&superblock[80..88], &superblock[88..96]);
        let address = u64::from_le_bytes(root.try_into().expect("eight bytes"));
        if address == 0 || address >= image.len() - 2 * MIB {
            continue;
        }
        let mut key = [0; 12];
        image.read(&mut key, MIB + address + 24);
        if key == *[b"root", number].concat() {
            image.write(&[0xff; 4], MIB + address + 2);
            is_any = true;
        }
    }
    is_any
}

/// A transaction with its view. Dropped in this order, as a keeper has to do it: the writes go
/// before the id looks ended, or else readers take them for a prepared transaction's.
pub(crate) struct Session {
    pub(crate) txn: Option<WriteSet>,
    pub(crate) view: KeptView,
}

impl Session {
    pub(crate) fn begin(keeper: &Arc<Keeper>, isolation: Isolation) -> Self {
        Self {
            txn: None,
            view: keeper.begin(isolation),
        }
    }

    pub(crate) fn get(&mut self, store: &Datastore, key: &str) -> Result<Option<String>> {
        self.view.operation();
        let mut value = Vec::new();
        let found = store.read(&self.view, key.as_bytes(), &mut value)?;
        Ok(found.then(|| String::from_utf8_lossy(&value).into_owned()))
    }

    /// All items that the session sees, in order, found by seeking.
    pub(crate) fn scan(&mut self, store: &Datastore) -> Result<Vec<(String, String)>> {
        use heliumdb::Position;
        self.view.operation();
        let mut items = Vec::new();
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut position = Position::First;
        let mut last;
        while store.seek(&self.view, position, &mut key, &mut value)? {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            items.push((text(&key), text(&value)));
            last = key.clone();
            position = Position::After(&last);
        }
        Ok(items)
    }

    pub(crate) fn write(
        &mut self,
        store: &Datastore,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Result<()> {
        self.view.operation();
        let id = self.view.allocate();
        let txn = self.txn.get_or_insert_with(|| WriteSet::new(id));
        txn.write(store, &self.view, key, change, mode)
    }

    pub(crate) fn put(&mut self, store: &Datastore, key: &str, value: &str) -> Result<()> {
        let change = Change::Put(value.as_bytes());
        self.write(store, key.as_bytes(), change, Mode::Any)
    }

    pub(crate) fn remove(&mut self, store: &Datastore, key: &str) -> Result<()> {
        self.write(store, key.as_bytes(), Change::Remove, Mode::Any)
    }

    pub(crate) fn reserve(&mut self, store: &Datastore, key: &str) -> Result<()> {
        self.write(store, key.as_bytes(), Change::Reserve, Mode::Present)
    }

    /// Commits in the store; the keeper does not know yet.
    pub(crate) fn commit_unpublished(&mut self) -> Result<()> {
        match &mut self.txn {
            Some(txn) => txn.commit(Durability::Synced),
            None => Ok(()),
        }
    }

    pub(crate) fn commit(mut self) -> Result<()> {
        self.commit_unpublished()?;
        self.view.end();
        Ok(())
    }

    pub(crate) fn cancel(mut self) -> Result<()> {
        let cancelled = self.txn.as_mut().map_or(Ok(()), WriteSet::cancel);
        self.view.end();
        cancelled
    }

    pub(crate) fn abort(mut self) {
        self.txn.take();
        self.view.end();
    }
}
