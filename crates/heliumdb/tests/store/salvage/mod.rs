//! Salvage: all that is readable and counts is there, nothing else is, and the source is not
//! touched.

mod copied;
mod damaged;
mod oracle;
mod outcomes;
mod spilled;
mod superblocks;

use std::collections::BTreeMap;

use helium_sim::{DiskId, Image, Machine, sim_options};
use heliumdb::{
    Volume,
    upkeep::{Salvage, SalvageReport},
};
pub(crate) use oracle::Datastores;
use oracle::{BLOCK, Damage};

use crate::common::MIB;

/// Salvages disks to a new volume: what is in it then.
pub(crate) fn salvage(
    images: &[Image],
    options: impl FnOnce(Salvage) -> Salvage,
) -> (SalvageReport, Datastores) {
    let machine = Machine::with_images(0, images.to_vec());
    let disks: Vec<DiskId> = (0..images.len()).map(DiskId).collect();
    let before = machine.changes();
    let target = Machine::new(0, &[256 * MIB]);
    let volume = Volume::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap();
    let source = options(Salvage::on_devices(machine.devices(&disks)));
    let report = source.run(&volume, &mut |_| true).unwrap();
    assert_eq!(machine.changes(), before, "the source was written to");
    volume.close().unwrap();
    let volume = Volume::open_devices(target.devices(&[DiskId(0)]), &sim_options()).unwrap();
    (report, contents(&volume))
}

/// All datastores of a volume.
pub(crate) fn contents(volume: &Volume) -> Datastores {
    let stores = volume.datastores().into_iter();
    let read = |id| -> BTreeMap<Vec<u8>, Vec<u8>> {
        let store = volume.datastore_by_id(id).unwrap();
        store.items().map(Result::unwrap).collect()
    };
    stores
        .map(|info| (info.id.0, (info.name.clone(), read(info.id))))
        .collect()
}

/// The disks with some blocks overwritten.
fn damaged(images: &[Image], damage: &Damage, with: &mut dyn FnMut(&mut [u8])) -> Vec<Image> {
    let mut images = images.to_vec();
    for &(disk, offset) in damage {
        let mut block = vec![0; BLOCK as usize];
        images[disk].read(&mut block, offset);
        with(&mut block);
        images[disk].write(&block, offset);
    }
    images
}

#[track_caller]
fn same(found: &Datastores, wanted: &Datastores) {
    for (id, (name, items)) in wanted {
        let Some((found_name, found_items)) = found.get(id) else {
            panic!("datastore {id} ({}) is missing", name.escape_ascii());
        };
        assert_eq!(found_name, name, "the name of datastore {id}");
        for (key, value) in items {
            let found = found_items.get(key);
            assert!(
                found.is_some(),
                "datastore {id}: {} is lost",
                key.escape_ascii()
            );
            assert!(
                found == Some(value),
                "datastore {id}: {} is wrong",
                key.escape_ascii()
            );
        }
        for key in found_items.keys() {
            assert!(
                items.contains_key(key),
                "datastore {id}: {} is back",
                key.escape_ascii()
            );
        }
    }
}
