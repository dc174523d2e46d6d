//! Limits that the system sets a C program: each is a code of he.h, nothing ends the program, and the volume is sound.

use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use heliumdb::{Volume, VolumeOptions};

use crate::build::program;

/// Runs the program for so many items behind what sets a limit.
fn limited(folder: &Path, limit: &str, items: u64, value_bytes: usize) -> Output {
    let program = program("3.x", "limited", folder);
    let script = format!(
        "{limit} {} {} {items} {value_bytes}",
        program.display(),
        folder.display()
    );
    Command::new("sh").args(["-c", &script]).output().unwrap()
}

/// What it printed, having ended by itself.
#[track_caller]
fn said(output: &Output) -> String {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {err}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that was accepted, and not removed since, is in the volume.
fn check(folder: &Path, said: &str) {
    let line = said.lines().next().unwrap();
    let accepted = line.strip_prefix("update ").unwrap();
    let accepted: u64 = accepted.split(':').next().unwrap().parse().unwrap();
    let url = format!("he://./{}", folder.join("grown").display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    let store = volume.datastore(b"d").unwrap();
    let report = volume.verify(&mut |_| true).unwrap();
    assert_eq!(report.damaged, 0, "{report:?}");
    // One was removed; of the one that was refused nothing is there.
    assert_eq!(store.len(), accepted.saturating_sub(1), "{said}");
}

#[test]
fn a_file_that_may_not_grow_is_a_full_volume() {
    let folder = tempfile::tempdir().unwrap();
    // The shell counts in 512 bytes.
    let output = limited(folder.path(), "ulimit -f 100; exec", 1, 10);
    let refused = said(&output);
    assert!(refused.starts_with("open: HE_ERR_"), "{refused}");
    let limit = format!("ulimit -f {}; exec", (96 << 20) / 512);
    let found = said(&limited(folder.path(), &limit, 100_000, 100_000));
    assert!(found.contains(": HE_ERR_VOLUME_FULL\nclosed\n"), "{found}");
    check(folder.path(), &found);
    // A limit that is below what the file has by now.
    let limit = format!("ulimit -f {}; exec", (32 << 20) / 512);
    let output = limited(folder.path(), &limit, 100_000, 100_000);
    assert!(
        output.status.code().is_some(),
        "a signal ended it: {output:?}"
    );
    let url = format!("he://./{}", folder.path().join("grown").display());
    Volume::open(&url, &VolumeOptions::default()).unwrap();
}

#[test]
fn memory_that_may_not_be_had_is_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let output = limited(folder.path(), "ulimit -v 600000; exec", 20_000_000, 0);
    let found = said(&output);
    assert!(found.contains(": HE_ERR_MEMORY\nclosed\n"), "{found}");
    check(folder.path(), &found);
    // Not even enough to open it.
    let output = limited(folder.path(), "ulimit -v 60000; exec", 1, 0);
    let refused = said(&output);
    assert!(refused.starts_with("open: HE_ERR_MEMORY"), "{refused}");
}

/// Nobody can start a thread then; the superuser can all the same, and becomes somebody else.
#[test]
fn a_user_who_may_have_no_thread_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let limit = match is_root {
        true => "ulimit -u 1; exec setpriv --reuid 64011 --regid 64011 --clear-groups",
        false => "ulimit -u 1; exec",
    };
    let output = limited(folder.path(), limit, 10, 10);
    if matches!(output.status.code(), Some(126 | 127)) {
        eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let found = said(&output);
    // Some systems count otherwise.
    let is_there = found == "update 10: 0\nclosed\n";
    assert!(
        is_there || found.starts_with("open: HE_ERR_MEMORY"),
        "{found}"
    );
}
