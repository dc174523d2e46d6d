//! The volumes and datastores that a driver works on, and what is in them.

use heliumdb::{Datastore, Error, Volume, host::open_all_devices};

use super::STORES;
use crate::{history::State, machine::Machine, options::DriverOptions};

/// All items of some volumes' datastores, by volume.
pub fn dump(stores: &[Datastore]) -> Result<Vec<State>, Error> {
    let mut all = vec![State::new(); stores.len() / STORES];
    for (place, store) in stores.iter().enumerate() {
        for item in store.items() {
            let (key, value) = item?;
            all[place / STORES].insert((place, key), value.into());
        }
    }
    Ok(all)
}

pub(super) fn open(machine: &Machine, options: &DriverOptions) -> Result<Vec<Volume>, Error> {
    let volumes = options.volumes.iter().enumerate();
    open_all_devices(
        volumes
            .map(|(number, disks)| {
                let how = options.volume_options(machine, number);
                (machine.devices(disks), how)
            })
            .collect(),
    )
}

pub(super) fn stores(volumes: &[Volume]) -> Result<Vec<Datastore>, Error> {
    let mut stores = Vec::new();
    for volume in volumes {
        for store in 0..STORES {
            stores.push(volume.datastore(format!("store{store}").as_bytes())?);
        }
    }
    Ok(stores)
}
