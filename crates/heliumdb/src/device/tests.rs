//! Devices keep their promises: growth, privacy, locks, and refusing what is no volume.

use super::*;
use crate::{ErrorKind, options::VolumeOptions};
use std::os::unix::fs::PermissionsExt;

fn url(dir: &tempfile::TempDir, names: &str) -> String {
    let paths: Vec<String> = names
        .split(',')
        .map(|n| format!("{}/{n}", dir.path().display()))
        .collect();
    format!("he://./{}", paths.join(","))
}

#[test]
fn a_new_file_is_private_empty_and_grows() {
    let dir = tempfile::tempdir().unwrap();
    let devices = open_url(&url(&dir, "v"), &VolumeOptions::default()).unwrap();
    let mode = std::fs::metadata(dir.path().join("v"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let device = &devices[0];
    assert!(device.is_empty() && device.can_grow());
    device.grow(1 << 20).unwrap();
    device.write_at(&[7; 8192], 4096).unwrap();
    device.sync().unwrap();
    let mut back = vec![0; 8192];
    device.read_at_uncached(&mut back, 4096).unwrap();
    assert_eq!(back, vec![7; 8192]);
    device.read_at(&mut back, 4096).unwrap();
    assert!(back[4096..].iter().all(|&b| b == 7));
    assert_eq!(device.len(), 1 << 20);
    assert!(device.read_at(&mut back, (1 << 20) - 4096).is_err());
}

#[test]
fn a_second_opener_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let url = url(&dir, "v");
    let first = open_url(&url, &VolumeOptions::default()).unwrap();
    let error = open_url(&url, &VolumeOptions::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::VolumeInUse);
    assert!(error.to_string().contains("by this process"), "{error}");
    drop(first);
    let read_only = VolumeOptions {
        read_only: true,
        ..VolumeOptions::default()
    };
    let _a = open_url(&url, &read_only).unwrap();
    let _b = open_url(&url, &read_only).unwrap();
    assert!(open_url(&url, &VolumeOptions::default()).is_err());
}

#[test]
fn a_directory_stands_for_a_file_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let directory = format!("he://./{}", dir.path().display());
    let devices = open_url(&directory, &VolumeOptions::default()).unwrap();
    assert!(devices[0].can_grow());
    assert!(dir.path().join("helium.volume").is_file());
    let same = url(&dir, "helium.volume");
    assert_eq!(
        super::paths(&directory).unwrap(),
        super::paths(&same).unwrap()
    );
}

#[test]
fn missing_files_and_double_names_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let kind = |url: &str, options: &VolumeOptions| open_url(url, options).err().map(|e| e.kind());
    let options = VolumeOptions::default();
    let directory = format!("he://./{}", dir.path().display());
    let read_only = VolumeOptions {
        read_only: true,
        ..VolumeOptions::default()
    };
    assert_eq!(kind(&directory, &read_only), Some(ErrorKind::Io));
    assert_eq!(kind(&url(&dir, "none"), &read_only), Some(ErrorKind::Io));
    assert_eq!(
        kind(&url(&dir, "a,a"), &options),
        Some(ErrorKind::InvalidArgument)
    );
    assert_eq!(
        kind("he://.//dev/null", &options),
        Some(ErrorKind::Unsupported)
    );
}

#[test]
fn memory_keeps_to_its_size() {
    let devices = open_url("he://./_8192", &VolumeOptions::default()).unwrap();
    let device = &devices[0];
    device.write_at(&[1; 8192], 0).unwrap();
    assert!(device.write_at(&[1; 2], 8191).is_err());
    assert!(device.grow(8193).is_err() && !device.can_grow());
}
