//! A machine: its disks, its power, and the faults it will meet.
//!
//! It has a time and ids of its own, too, which depend on its seed alone. Invariant: all disks of a machine lose their power at the same moment, and their operations
//! stand in one order, by which faults, crashes and records are counted.

use std::sync::Arc;

use heliumdb::{
    device::Device,
    host::{Chance, Clock},
};
use parking_lot::Mutex;
use rand::{SeedableRng, rngs::SmallRng};

use crate::{
    blocks::Blocks,
    disk::{DiskState, SimDevice},
    fault::{Fault, FaultKind, On, Planned},
    image::Image,
};

/// One of a machine's disks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskId(pub usize);

/// A simulated machine; clones are the same one.
#[derive(Clone)]
pub struct Machine {
    seed: u64,
    clock: Clock,
    pub(crate) inner: Arc<Mutex<Inner>>,
}

pub(crate) struct Inner {
    pub(crate) disks: Vec<DiskState>,
    pub(crate) powered: bool,
    pub(crate) rng: SmallRng,
    faults: Vec<Planned>,
    changes: u64,
    reads: u64,
    power_off_at: Option<u64>,
    recording: Option<Recording>,
}

struct Recording {
    note: Arc<[u64]>,
    records: Vec<Recorded>,
}

/// The disks after some operation, and the note that the program under test had left by then.
#[derive(Clone)]
pub struct Recorded {
    /// What [`Machine::note`] was last given.
    pub note: Arc<[u64]>,
    disks: Vec<DiskState>,
}

impl Recorded {
    /// What the disks hold if the power goes now.
    pub fn crash(&self, rng: &mut SmallRng) -> Vec<Image> {
        self.disks.iter().map(|disk| disk.crash(rng)).collect()
    }
}

impl Machine {
    /// A machine with blank disks of the given sizes.
    pub fn new(seed: u64, disk_bytes: &[u64]) -> Self {
        Self::with_images(seed, disk_bytes.iter().map(|&len| Image::new(len)))
    }

    /// A machine whose disks hold `images`, durably.
    pub fn with_images(seed: u64, images: impl IntoIterator<Item = Image>) -> Self {
        let disks = images.into_iter().map(DiskState::new).collect();
        let inner = Inner {
            disks,
            powered: true,
            rng: SmallRng::seed_from_u64(seed),
            faults: Vec::new(),
            changes: 0,
            reads: 0,
            power_off_at: None,
            recording: None,
        };
        Self {
            seed,
            clock: Clock::simulated(),
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Its clock, which stands still unless it is moved.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where the ids of the volume with this number come from.
    pub(crate) fn chance(&self, volume: usize) -> Chance {
        Chance::seeded(self.seed.rotate_left(32) ^ volume as u64)
    }

    /// A device on one of the disks.
    pub fn device(&self, disk: DiskId) -> Box<dyn Device> {
        Box::new(SimDevice::new(self.clone(), disk))
    }

    /// Devices on several of the disks.
    pub fn devices(&self, disks: &[DiskId]) -> Vec<Box<dyn Device>> {
        disks.iter().map(|&disk| self.device(disk)).collect()
    }

    /// Lets a disk grow up to `bytes`.
    pub fn allow_growth(&self, disk: DiskId, bytes: u64) {
        self.inner.lock().disks[disk.0].grows_to = Some(bytes);
    }

    /// Makes a disk a file on a file system of so many bytes: it has those of its blocks that are written from now on,
    /// or asked for.
    pub fn keep_in_file(&self, disk: DiskId, bytes: u64) {
        self.inner.lock().disks[disk.0].blocks = Some(Blocks::new(bytes));
    }

    /// Something else fills the file system that a disk is a file on.
    pub fn fill_file_system(&self, disk: DiskId) {
        if let Some(blocks) = &mut self.inner.lock().disks[disk.0].blocks {
            blocks.fill();
        }
    }

    /// What a disk that is a file takes of its file system.
    pub fn block_bytes(&self, disk: DiskId) -> u64 {
        let inner = self.inner.lock();
        inner.disks[disk.0].blocks.as_ref().map_or(0, Blocks::bytes)
    }

    /// Plans a fault, counted from now.
    pub fn plan(&self, fault: Fault) {
        self.inner.lock().faults.push(Planned::new(fault));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.inner.lock().faults.clear();
    }

    /// Takes the power away with the write, sync or growth that has this number, from now; a
    /// write is under way at that moment.
    pub fn power_off_at(&self, change: u64) {
        let mut inner = self.inner.lock();
        inner.power_off_at = Some(inner.changes + change);
    }

    /// Takes the power away now.
    pub fn power_off(&self) {
        self.inner.lock().powered = false;
    }

    /// Whether it still has power.
    pub fn is_powered(&self) -> bool {
        self.inner.lock().powered
    }

    /// Writes, syncs and growths so far.
    pub fn changes(&self) -> u64 {
        self.inner.lock().changes
    }

    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.inner.lock().reads
    }

    /// What the disks hold if the power goes now: see [`Recorded::crash`].
    pub fn crash(&self, rng: &mut SmallRng) -> Vec<Image> {
        self.inner
            .lock()
            .disks
            .iter()
            .map(|disk| disk.crash(rng))
            .collect()
    }

    /// What programs on the machine read from the disks now.
    pub fn images(&self) -> Vec<Image> {
        let inner = self.inner.lock();
        inner
            .disks
            .iter()
            .map(|disk| disk.cached().clone())
            .collect()
    }

    /// Records the disks as they are and after every change from now on.
    pub fn record(&self, note: &[u64]) {
        let mut inner = self.inner.lock();
        inner.recording = Some(Recording {
            note: note.into(),
            records: Vec::new(),
        });
        inner.keep_record();
    }

    /// Leaves a note with the records to come.
    pub fn note(&self, note: &[u64]) {
        if let Some(recording) = &mut self.inner.lock().recording {
            recording.note = note.into();
        }
    }

    /// Ends recording and returns the records.
    pub fn records(&self) -> Vec<Recorded> {
        let recording = self.inner.lock().recording.take();
        recording.map_or_else(Vec::new, |recording| recording.records)
    }
}

/// What becomes of an operation.
pub(crate) enum Fate {
    Done,
    /// The power goes while it is under way.
    Cut,
    Fault(FaultKind),
    /// There is no power any more.
    Dead,
}

impl Inner {
    /// Counts an operation and says what becomes of it.
    pub(crate) fn fate(&mut self, operation: On) -> Fate {
        if !self.powered {
            return Fate::Dead;
        }
        if operation == On::Read {
            self.reads += 1;
        } else {
            let index = self.changes;
            self.changes += 1;
            if self.power_off_at == Some(index) {
                self.powered = false;
                return Fate::Cut;
            }
        }
        let mut struck = None;
        for planned in &mut self.faults {
            struck = planned.strikes(operation).or(struck);
        }
        struck.map_or(Fate::Done, Fate::Fault)
    }

    pub(crate) fn keep_record(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.records.push(Recorded {
                note: recording.note.clone(),
                disks: self.disks.clone(),
            });
        }
    }
}
