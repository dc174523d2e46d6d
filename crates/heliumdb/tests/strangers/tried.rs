//! All that is done with a volume, on one that a stranger gave.

use std::panic::{AssertUnwindSafe, catch_unwind};

use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{
    Result, Volume, VolumeOptions, device::Device, host::open_all_devices,
    limits::READING_BYTES_PER_BYTE, upkeep::Salvage,
};

use crate::{common::MIB, make, memory::most_of, volume};

/// What a volume is opened with, its caches among it.
const BESIDE_BYTES: u64 = 48 << 20;

/// How it went, where nothing went wrong.
pub(crate) enum Tried {
    /// It does not open.
    Refused,
    Opened,
}

/// Machines, so to speak: one disk after the other, those of the first volume first.
struct Disks {
    machine: Machine,
    /// Disks of each volume.
    volumes: Vec<Vec<DiskId>>,
}

impl Disks {
    fn new(volumes: &[volume::Volume]) -> Self {
        let images: Vec<Image> = volumes.iter().flat_map(|v| v.images.clone()).collect();
        let mut next = 0;
        let disks = volumes.iter().map(|volume| {
            let first = next;
            next += volume.images.len();
            (first..next).map(DiskId).collect()
        });
        Self {
            volumes: disks.collect(),
            machine: Machine::with_images(0, images),
        }
    }

    fn of(&self, machine: Machine) -> Self {
        let volumes = self.volumes.clone();
        Self { machine, volumes }
    }

    fn devices(&self) -> Vec<Vec<Box<dyn Device>>> {
        let volumes = self.volumes.iter();
        volumes.map(|disks| self.machine.devices(disks)).collect()
    }

    fn open(&self, options: &VolumeOptions) -> Result<Vec<Volume>> {
        let all = self.devices().into_iter();
        open_all_devices(all.map(|devices| (devices, options.clone())).collect())
    }

    fn bytes(&self) -> u64 {
        self.machine.images().iter().map(Image::len).sum()
    }
}

/// Opens, lists, reads, verifies, salvages, writes, closes and opens again; an error is what must not be.
pub(crate) fn all(
    volumes: &[volume::Volume],
    doubtful: bool,
) -> std::result::Result<Tried, String> {
    let disks = Disks::new(volumes);
    step("read-only", &disks, || read_only(&disks))?;
    for volume in 0..volumes.len() {
        step("salvage", &disks, || salvage(&disks, volume, doubtful))?;
    }
    let written = step("write", &disks, || write(&disks))?;
    let Some(acknowledged) = written else {
        return Ok(Tried::Refused);
    };
    step("open again", &disks, || check(&disks, &acknowledged))??;
    Ok(Tried::Opened)
}

/// Does it, without a panic and without too much memory.
fn step<R>(what: &str, disks: &Disks, work: impl FnOnce() -> R) -> std::result::Result<R, String> {
    let most = disks.bytes() * READING_BYTES_PER_BYTE + BESIDE_BYTES;
    let (taken, done) = most_of(|| catch_unwind(AssertUnwindSafe(work)));
    let done = done.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or(panic.downcast_ref::<&str>().map(|s| s.to_string()));
        format!("{what} panics: {}", text.unwrap_or_default())
    })?;
    if taken as u64 > most {
        return Err(format!(
            "{what} takes {taken} bytes of memory, above {most}"
        ));
    }
    Ok(done)
}

/// Reads all that can be read.
fn read_all(volume: &Volume) {
    for info in volume.datastores() {
        let Ok(store) = volume.datastore_by_id(info.id) else {
            continue;
        };
        let mut refused = 0;
        for item in store.items() {
            refused += u32::from(item.is_err());
            if refused > 20 {
                break;
            }
        }
        let _ = store.get(b"key 00001");
    }
}

fn read_only(disks: &Disks) {
    let mut options = make::options();
    options.read_only = true;
    let before = disks.machine.changes();
    if let Ok(volumes) = disks.open(&options) {
        for volume in &volumes {
            read_all(volume);
            let _ = volume.verify(&mut |_| true);
        }
    }
    assert_eq!(disks.machine.changes(), before, "something was written");
}

fn salvage(disks: &Disks, volume: usize, doubtful: bool) {
    let target = Machine::new(0, &[512 * MIB]);
    let target = Volume::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap();
    let mut devices = disks.devices();
    let mut source = Salvage::on_devices(devices.remove(volume))
        .doubtful_items(doubtful)
        .partial_batches(doubtful);
    for decider in devices {
        source = source.decider_devices(decider);
    }
    if source.run(&target, &mut |_| true).is_ok() {
        read_all(&target);
        target.close().unwrap();
    }
}

/// What was acknowledged: volume, datastore and key.
type Acknowledged = Vec<(usize, Vec<u8>, Vec<u8>)>;

/// Writes wherever it may; `None` if it may not even look.
fn write(disks: &Disks) -> Option<Acknowledged> {
    let volumes = disks.open(&make::options()).ok()?;
    let mut acknowledged = Acknowledged::new();
    for (number, volume) in volumes.iter().enumerate() {
        let _ = volume.create_datastore(b"a stranger's");
        for round in 0..3 {
            let mut put = Vec::new();
            for info in volume.datastores() {
                let store = volume.datastore_by_id(info.id).unwrap();
                for key in ["key 00001", "new", "long"] {
                    let key = format!("{key}, {round}").into_bytes();
                    let value = [
                        key.clone(),
                        vec![b'v'; 300_000 * usize::from(key[0] == b'l')],
                    ];
                    if store.put(&key, value.concat()).is_ok() {
                        put.push((number, info.name.clone(), key));
                    }
                }
                let _ = store.delete(b"key 00002");
            }
            if volume.flush().is_ok() {
                acknowledged.extend(put);
            }
            let _ = match round {
                0 => volume.checkpoint(),
                1 => volume.clean().and_then(|()| volume.free()),
                _ => Ok(()),
            };
        }
    }
    let killed = disks.of(Machine::with_images(0, disks.machine.images()));
    check(&killed, &acknowledged)
        .map_err(|why| panic!("after a kill: {why}"))
        .ok();
    for volume in &volumes {
        let _ = volume.close();
    }
    Some(acknowledged)
}

/// It opens, and what was acknowledged is there.
fn check(disks: &Disks, acknowledged: &Acknowledged) -> std::result::Result<(), String> {
    let volumes = disks
        .open(&make::options())
        .map_err(|why| format!("does not open again: {why}"))?;
    for (number, name, key) in acknowledged {
        let lost = || format!("{} of {} is lost", key.escape_ascii(), name.escape_ascii());
        let store = volumes[*number].datastore(name).map_err(|_| lost())?;
        let found = store.get(key).map_err(|why| format!("{}: {why}", lost()))?;
        if !found.is_some_and(|value| value.starts_with(key)) {
            return Err(lost());
        }
    }
    Ok(())
}
