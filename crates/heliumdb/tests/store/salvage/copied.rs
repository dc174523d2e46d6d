//! Files that were copied while someone wrote: what ends below what it calls durable has lost its end.

use helium_sim::Image;

use super::salvage;
use crate::common::{MIB, store};

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
