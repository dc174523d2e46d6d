//! A failure can be had again: its line replays one image of a power loss, and that has the same bytes each time.

use std::{path::Path, process::Command};

use heliumdb::{VolumeOptions, host::open_all};

const KILLED: &str = "crash_images::a_killed_process_leaves_a_prefix";
const LOST: &str = "crash_images::a_power_loss_leaves_a_prefix_with_all_that_was_acknowledged";
const CLEANED: &str =
    "crash_images::a_power_loss_while_cleaning_leaves_a_prefix_with_all_that_was_acknowledged";

/// Replays one case, in a process of its own, and keeps its disks.
fn replay(test: &str, seed: u64, case: u64, folder: &Path) {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program)
        .args(["--exact", test])
        .env("HELIUM_SEED", seed.to_string())
        .env("HELIUM_CASE", case.to_string())
        .env("HELIUM_KEEP_IMAGES", folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn a_case_has_the_same_disks_each_time() {
    // Of a later generation: all that came before is done again, too.
    for (test, seed, case) in [(KILLED, 2, 11), (LOST, 5, 150), (CLEANED, 1, 130)] {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        for folder in &folders {
            replay(test, seed, case, folder.path());
        }
        for disk in ["disk0", "disk1", "disk2"] {
            let [one, other] = folders.each_ref().map(|folder| {
                let bytes = std::fs::read(folder.path().join(disk)).unwrap();
                assert!(bytes.len() >= 32 << 20);
                bytes
            });
            let differs = one.iter().zip(&other).position(|(a, b)| a != b);
            assert_eq!(differs, None, "{test}: {disk}");
            assert_eq!(one.len(), other.len());
        }
    }
}

#[test]
fn kept_disks_open_as_files() {
    let folder = tempfile::tempdir().unwrap();
    replay(KILLED, 1, 40, folder.path());
    let mut options = VolumeOptions::default();
    options.create = false;
    // Together: one of them may have to say what became of a transaction over both.
    let volumes = [&["disk0"][..], &["disk1", "disk2"]].map(|disks| {
        let paths = disks.iter().map(|disk| folder.path().join(disk));
        let paths: Vec<String> = paths.map(|path| path.display().to_string()).collect();
        (format!("he://./{}", paths.join(",")), options.clone())
    });
    for volume in open_all(&volumes).unwrap() {
        for name in [b"store0", b"store1"] {
            volume.datastore(name).unwrap().verify(&mut |_| {}).unwrap();
        }
        volume.close().unwrap();
    }
}
