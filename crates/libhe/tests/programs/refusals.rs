//! What the system, the devices and the limits refuse, seen from C; and damage, done here.

use std::{fs, os::unix::fs::FileExt, path::Path, process::Command};

use heliumdb::{
    ErrorKind, Volume, VolumeOptions,
    upkeep::{BackupFrom, Phase, Progress},
};

use crate::build::{done, folder, program};

#[test]
fn what_is_refused_has_its_code_and_loses_nothing() {
    let folder = folder();
    item(folder.path());
    log(folder.path());
    half(folder.path());
    newer(folder.path());
    cut(folder.path());
    unfinished(folder.path());
    let program = program("3.x", "refusals", folder.path());
    done(Command::new(program).arg(folder.path()));
}

/// A volume whose item `0005` is damaged, behind a checkpoint's back.
fn item(folder: &Path) {
    let volume = open(folder, "item", 1 << 30);
    fill(&volume);
    volume.checkpoint().unwrap();
    volume.close().unwrap();
    damage(folder, "item", b"value of 0005");
}

/// A volume that was not closed, with damage where its log is read.
fn log(folder: &Path) {
    let volume = open(folder, "written", 1 << 30);
    fill(&volume);
    fs::copy(folder.join("written"), folder.join("log")).unwrap();
    drop(volume);
    damage(folder, "log", b"value of 0005");
}

/// One of a volume's two devices.
fn half(folder: &Path) {
    for name in ["half", "other"] {
        sized(folder, name, 1 << 30);
    }
    let url = format!("he://./{0}/half,{0}/other", folder.display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    volume.create_datastore(b"d").unwrap();
    volume.close().unwrap();
}

/// A volume of a format that is not known yet.
fn newer(folder: &Path) {
    open(folder, "newer", 1 << 30).close().unwrap();
    let mut start = [0; 8192];
    let file = writable(folder, "newer");
    file.read_exact_at(&mut start, 0).unwrap();
    helium_sim::change_superblocks(&mut start, |block| block[8] += 1);
    file.write_all_at(&start, 0).unwrap();
}

/// A volume whose device was cut short.
fn cut(folder: &Path) {
    open(folder, "cut", 1 << 30).close().unwrap();
    writable(folder, "cut").set_len(1 << 29).unwrap();
}

/// A copy that was given up in the middle.
fn unfinished(folder: &Path) {
    let source = open(folder, "source", 1 << 30);
    fill(&source);
    let mut options = VolumeOptions::default();
    options.receive_copy = true;
    let url = format!("he://./{}", folder.join("unfinished").display());
    let target = Volume::open(&url, &options).unwrap();
    let mut gives_up = |step: &Progress| step.phase != Phase::Copying;
    let stopped = source.backup(BackupFrom::Newest, &target, &mut gives_up);
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Cancelled);
    target.close().unwrap();
}

fn open(folder: &Path, name: &str, bytes: u64) -> Volume {
    sized(folder, name, bytes);
    let url = format!("he://./{}", folder.join(name).display());
    Volume::open(&url, &VolumeOptions::default()).unwrap()
}

fn writable(folder: &Path, name: &str) -> fs::File {
    let mut options = fs::File::options();
    options
        .read(true)
        .write(true)
        .open(folder.join(name))
        .unwrap()
}

fn sized(folder: &Path, name: &str, bytes: u64) {
    let file = fs::File::create(folder.join(name)).unwrap();
    file.set_len(bytes).unwrap();
}

/// Some hundred items on several segments, all of it durable.
fn fill(volume: &Volume) {
    let store = volume.create_datastore(b"d").unwrap();
    for number in 0..300 {
        let mut value = format!("value of {number:04}").into_bytes();
        value.resize(100_000, b'f');
        let key = format!("{number:04}");
        store.put(key.as_bytes(), &value).unwrap();
        volume.flush().unwrap();
    }
}

/// Changes a byte wherever these are.
fn damage(folder: &Path, name: &str, wanted: &[u8]) {
    let bytes = fs::read(folder.join(name)).unwrap();
    let file = writable(folder, name);
    let places = bytes.windows(wanted.len()).enumerate();
    let mut places = places.filter(|(_, window)| *window == wanted).peekable();
    assert!(places.peek().is_some(), "nothing to damage in {name}");
    for (at, _) in places {
        file.write_all_at(b"X", at as u64).unwrap();
    }
}
