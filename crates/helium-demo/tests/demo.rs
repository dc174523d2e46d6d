//! The demo as a user runs it: as a program, judged by its exit and its words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    process::{Command, Output},
};

fn demo(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_helium-demo"))
        .args(["--home".as_ref(), home.as_os_str()])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Two kills, all there, nothing left behind.
fn succeeds(arguments: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let short = ["--rounds", "2", "--seconds", "1"];
    let output = demo(home.path(), &[&short, arguments].concat());
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("is there, none by half; kills: 2"), "{said}");
    assert_eq!(complained, "", "no display when nobody looks");
    assert_eq!(home.path().read_dir().unwrap().count(), 0, "cleaned up");
}

#[test]
fn tables_on_two_volumes_survive_kills() {
    succeeds(&[]);
}

#[test]
fn the_demo_itself_is_right_about_wiredtigers_own_tables() {
    succeeds(&["--native"]);
}

#[test]
fn a_missing_extension_gets_a_sentence_that_says_how_to_build_it() {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_helium-demo"))
        .arg("--home")
        .arg(home.path())
        .env("HELIUM_EXTENSION", home.path().join("gone.so"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let complained = text(&output.stderr);
    assert!(
        complained.contains("cargo build --release -p wiredtiger-helium"),
        "{complained}"
    );
}

#[test]
fn bad_options_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for bad in [
        ["--rounds", "0"],
        ["--threads", "0"],
        ["--seconds", "0"],
        ["--seconds", "nan"],
    ] {
        assert_eq!(demo(home.path(), &bad).status.code(), Some(2), "{bad:?}");
    }
}
