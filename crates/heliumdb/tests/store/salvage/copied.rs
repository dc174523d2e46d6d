//! Files that were copied while someone wrote: what ends below what it calls durable has lost its end.

use std::{fs, path::Path};

use helium_sim::Image;
use heliumdb::{
    Volume, VolumeOptions,
    upkeep::{Salvage, SalvageReport},
};

use super::salvage;
use crate::common::{MIB, store};

const SUPERBLOCKS: usize = 2 * 4096;

fn open(path: &Path) -> Volume {
    let url = format!("he://{}", path.display());
    Volume::open(&url, &VolumeOptions::default()).unwrap()
}

fn salvaged(path: &Path) -> SalvageReport {
    let target = path.with_extension("salvaged");
    let source = Salvage::open(&format!("he://{}", path.display())).unwrap();
    source.run(&open(&target), &mut |_| true).unwrap()
}

/// It may lack segments that were freed and used again while it was made, and nothing in it would tell.
#[test]
fn a_copy_that_was_made_while_somebody_wrote_is_not_called_lossless() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let volume = open(&at("volume"));
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"first", b"value").unwrap();
    volume.flush().unwrap();
    fs::copy(at("volume"), at("beside")).unwrap();
    drop(store);
    volume.close().unwrap();
    let before = fs::read(at("volume")).unwrap();
    let volume = open(&at("volume"));
    let store = volume.datastore(b"store").unwrap();
    store.put(b"second", b"value").unwrap();
    drop(store);
    volume.close().unwrap();
    fs::copy(at("volume"), at("closed")).unwrap();
    // One that was begun before the second opening, and ended after it.
    let mut across = fs::read(at("volume")).unwrap();
    across[..SUPERBLOCKS].copy_from_slice(&before[..SUPERBLOCKS]);
    fs::write(at("across"), across).unwrap();
    for (name, items, is_lossless) in [
        ("beside", 1, false),
        ("across", 2, false),
        ("closed", 2, true),
        ("volume", 2, true),
    ] {
        let report = salvaged(&at(name));
        assert_eq!(report.is_lossless(), is_lossless, "{name}: {report:?}");
        assert_eq!(report.copied_while_open, !is_lossless, "{name}");
        assert_eq!(report.items, items, "{name}");
    }
}

/// The first segment's header as it was later.
fn copied(earlier: &Image, later: &Image) -> Image {
    let mut copy = earlier.clone();
    for page in [MIB, MIB + 4096] {
        let mut bytes = [0; 4096];
        later.read(&mut bytes, page);
        copy.write(&bytes, page);
    }
    copy
}

/// What a segment held before it was used again may have no frame header any more, only the end of a long value.
#[test]
fn what_stands_behind_an_end_that_a_close_has_marked_is_no_gap() {
    let (machine, volume, store) = store();
    store.put(b"key", b"value").unwrap();
    drop(store);
    volume.close().unwrap();
    let mut image = machine.images().remove(0);
    let horizons = [MIB, MIB + 4096].map(|slot| {
        let mut bytes = [0; 8];
        image.read(&mut bytes, slot + 72);
        u64::from_le_bytes(bytes)
    });
    let end = MIB + horizons[0].max(horizons[1]) % MIB;
    image.write(&[0x5a; 70_000], end);
    let (report, found) = salvage(std::slice::from_ref(&image), |s| s);
    assert!(report.is_lossless(), "{report:?}");
    assert_eq!(found.values().next().unwrap().1.len(), 1);
    // Without the mark it may have been a frame.
    image.write(
        &[0; 4096],
        if horizons[0] > horizons[1] {
            MIB
        } else {
            MIB + 4096
        },
    );
    let (report, _) = salvage(&[image], |s| s);
    assert!(!report.is_lossless(), "{report:?}");
}

#[test]
fn a_copy_that_ends_below_what_it_calls_durable_is_not_lossless() {
    let (machine, volume, store) = store();
    store.put(b"before", b"value").unwrap();
    volume.flush().unwrap();
    let earlier = machine.images();
    store.put(b"after", b"value").unwrap();
    // A close says how far the log goes.
    drop(store);
    volume.close().unwrap();
    let later = machine.images();
    for images in [&earlier, &later] {
        let (report, _) = salvage(images, |s| s);
        assert!(report.is_lossless(), "{report:?}");
    }
    let (report, found) = salvage(&[copied(&earlier[0], &later[0])], |s| s);
    assert!(!report.is_lossless() && report.gaps == 1, "{report:?}");
    let (_, items) = found.values().next().unwrap();
    assert_eq!(items.len(), 1);
}
