//! Items that programs of other interfaces made, met by C programs.

use std::process::Command;

use heliumdb::{Volume, VolumeOptions};

use crate::build::{done, program};

#[test]
fn keys_that_are_too_long_are_an_error_that_can_be_stepped_past() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://./{}", folder.path().join("long").display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    for (name, longest) in [("mixed", None), ("twins", Some(65_535))] {
        let store = volume.create_datastore(name.as_bytes()).unwrap();
        for key in [b"".as_slice(), b"a", &[b'm'; 65_536], b"z"] {
            store.put(key, b"value").unwrap();
        }
        if let Some(bytes) = longest {
            store.put(vec![b'm'; bytes], b"value").unwrap();
        }
    }
    volume.close().unwrap();
    let program = program("3.x", "long_keys", folder.path());
    done(Command::new(program).arg(folder.path()));
}
