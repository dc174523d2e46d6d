//! The README is true: its C program compiles and runs, its limits are the store's.
//!
//! Its Rust program is run by rustdoc.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use heliumdb::limits;
use std::{fs, os::unix::fs::symlink, process::Command};
use wiredtiger_testkit::helium;

const README: &str = include_str!("../../../README.md");

/// The first block of the README in a language.
fn block(language: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap()
}

#[test]
fn the_c_program_works() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("fruit.c"), block("c")).unwrap();
    symlink(
        helium::extension_path().unwrap(),
        folder.path().join(helium::FILE_NAME),
    )
    .unwrap();
    let compiler = Command::new("cc")
        .args(["-Wall", "-Werror", "-o", "fruit", "fruit.c", "-lwiredtiger"])
        .current_dir(folder.path())
        .status()
        .unwrap();
    assert!(compiler.success());
    // Twice: the second time it finds the table there.
    for _ in 0..2 {
        let output = Command::new("./fruit")
            .current_dir(folder.path())
            .output()
            .unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complained}");
        assert_eq!(output.stdout, b"apple: red\n");
    }
    assert!(folder.path().join("fruit.he").is_file());
}

#[test]
fn the_limits_are_those_of_the_store() {
    let mib = limits::VOLUME_BYTES_MIN >> 20;
    let tib = limits::VOLUME_BYTES_MAX >> 40;
    for (what, limit) in [
        (
            "key",
            format!("{} bytes", thousands(limits::KEY_BYTES_MAX as u64)),
        ),
        (
            "value",
            format!("{} bytes", thousands(limits::VALUE_BYTES_MAX as u64)),
        ),
        (
            "datastores (tables and indices) in a volume",
            thousands(limits::DATASTORES_MAX as u64),
        ),
        ("devices in a volume", limits::DEVICES_MAX.to_string()),
        ("size of a volume", format!("{mib} MiB to {tib} TiB")),
        (
            "volumes in a transaction",
            limits::VOLUMES_PER_TRANSACTION_MAX.to_string(),
        ),
        (
            "deletes that a full volume still accepts",
            thousands(limits::DELETES_WHEN_FULL),
        ),
    ] {
        let row = format!("| {what} | {limit} |");
        assert!(README.contains(&row), "the README does not say: {row}");
    }
}

/// A number with commas between thousands.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
