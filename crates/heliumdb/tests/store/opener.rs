//! The mark of who has a volume in files open for writing.

use std::{fs, os::unix::fs::FileExt, path::Path};

use heliumdb::{Volume, VolumeOptions};

/// Whether anything stands where docs/format.md has the mark.
fn is_marked(path: &Path) -> bool {
    let mut block = [0; 4096];
    let file = fs::File::open(path).unwrap();
    file.read_exact_at(&mut block, 12_288).unwrap();
    block != [0; 4096]
}

#[test]
fn a_volume_is_marked_while_it_is_open_for_writing_and_copies_of_it_open() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("v.he"), folder.path().join("copy.he"));
    let open = |path: &Path, options: &VolumeOptions| {
        Volume::open(&format!("he://./{}", path.display()), options).unwrap()
    };
    let mut read_only = VolumeOptions::default();
    read_only.read_only = true;
    for round in 0..3u8 {
        let volume = open(&path, &VolumeOptions::default());
        assert!(is_marked(&path));
        let store = match round {
            0 => volume.create_datastore(b"store").unwrap(),
            _ => volume.datastore(b"store").unwrap(),
        };
        store.put([round], b"value").unwrap();
        volume.flush().unwrap();
        // What a snapshot has.
        fs::copy(&path, &copy).unwrap();
        let copied = open(&copy, &VolumeOptions::default());
        assert_eq!(
            copied.datastore(b"store").unwrap().len(),
            u64::from(round) + 1
        );
        copied.close().unwrap();
        drop(store);
        volume.close().unwrap();
        assert!(!is_marked(&path) && !is_marked(&copy));
        let volume = open(&path, &read_only);
        assert!(!is_marked(&path));
        volume.close().unwrap();
    }
}
