//! Building and running: the demo and the tests.
//!
//! The extension is a library that a running WiredTiger loads, so cargo does not
//! know that a test needs it: it is built before anything that loads it, and named
//! to it through the environment, so that nothing ever runs with a stale one.

use crate::{setup, step};
use anyhow::Result;
use std::path::PathBuf;

/// The file that WiredTiger loads.
const EXTENSION: &str = "libwiredtiger_helium.so";
/// Where tests and demo look for it first.
const EXTENSION_VARIABLE: &str = "HELIUM_EXTENSION";
/// How much the long tests do, unless the environment says so already.
const SCALE: [(&str, &str); 5] = [
    ("HELIUM_CRASH_ROUNDS", "200"),
    ("HELIUM_LOCKSTEP_STEPS", "100000"),
    ("HELIUM_MEMORY_UPDATES", "5000000"),
    ("HELIUM_MEMORY_KEYS", "1000000"),
    ("HELIUM_BANK_SECONDS", "10"),
];

/// Sets up, builds everything in release and runs the demo.
pub fn demo(arguments: &[String]) -> Result<()> {
    setup::setup()?;
    step::command(
        "build (release)",
        &mut step::cargo(&[
            "build",
            "--release",
            "-p",
            "wiredtiger-helium",
            "-p",
            "helium-demo",
        ]),
    )?;
    let mut demo = step::cargo(&["run", "--quiet", "--release", "-p", "helium-demo", "--"]);
    demo.env(EXTENSION_VARIABLE, extension("release")?);
    step::command("demo", demo.args(arguments))
}

/// Sets up, builds everything and runs all tests.
pub fn test() -> Result<()> {
    setup::setup()?;
    step::command(
        "build the extension",
        &mut step::cargo(&["build", "-p", "wiredtiger-helium"]),
    )?;
    let extension = extension("debug")?;
    for (title, arguments) in [
        (
            "build the tests",
            &["test", "--workspace", "--all-targets", "--no-run"][..],
        ),
        (
            "tests",
            &["test", "--workspace", "--all-targets", "--no-fail-fast"][..],
        ),
        (
            "examples in the documents",
            &["test", "--workspace", "--doc"][..],
        ),
    ] {
        let mut tests = step::cargo(arguments);
        tests.env(EXTENSION_VARIABLE, &extension);
        for (name, value) in SCALE {
            if std::env::var_os(name).is_none() {
                tests.env(name, value);
            }
        }
        step::command(title, &mut tests)?;
    }
    Ok(())
}

fn extension(profile: &str) -> Result<PathBuf> {
    Ok(step::target()?.join(profile).join(EXTENSION))
}
