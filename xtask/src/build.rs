//! Building and running: the demo and the tests.
//!
//! The extension is a library that a running WiredTiger loads, so cargo does not
//! know that a test needs it: it is built before anything that loads it, and named
//! to it through the environment, so that nothing ever runs with a stale one.

use crate::{python, setup, step};
use anyhow::Result;
use std::path::PathBuf;

/// The file that WiredTiger loads.
const EXTENSION: &str = "libwiredtiger_helium.so";
/// Where tests and demo look for it first.
const EXTENSION_VARIABLE: &str = "HELIUM_EXTENSION";
/// How much the long tests do, unless the environment says so already: the table of `docs/testing.md` has them all.
pub const SCALE: [(&str, &str); 16] = [
    // Inside WiredTiger.
    ("HELIUM_BANK_SECONDS", "10"),
    ("HELIUM_CRASH_ROUNDS", "200"),
    ("HELIUM_C_CRASH_ROUNDS", "40"),
    ("HELIUM_CREATE_DROP_ROUNDS", "1000"),
    ("HELIUM_LOCKSTEP_STEPS", "50000"),
    ("HELIUM_MEMORY_KEYS", "1000000"),
    ("HELIUM_MEMORY_UPDATES", "5000000"),
    // The store on simulated machines.
    ("HELIUM_BANKS", "60"),
    ("HELIUM_TIGHT", "40"),
    ("HELIUM_CRASH_IMAGES", "20000"),
    ("HELIUM_NESTED_CRASH_IMAGES", "2000"),
    ("HELIUM_MODEL_OPS", "1000000"),
    ("HELIUM_CLEAN_CRASH_IMAGES", "5000"),
    ("HELIUM_CLEAN_MODEL_OPS", "50000"),
    ("HELIUM_SPILL_IMAGES", "1000"),
    ("HELIUM_MUTATED_IMAGES", "600"),
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
///
/// What WiredTiger loads is tested twice: with all assertions at the tests' own scale, and
/// as it is released at full scale.
pub fn test() -> Result<()> {
    setup::setup()?;
    step::command(
        "build the extension (release)",
        &mut step::cargo(&["build", "--release", "-p", "wiredtiger-helium"]),
    )?;
    // In one go, and all of the workspace ever after: packages by themselves would have other
    // features, and be built again.
    step::command(
        "build the tests, and the extension with assertions",
        &mut step::cargo(&["build", "--workspace", "--all-targets"]),
    )?;
    let mut asserting = step::cargo(&["test", "--workspace", "--test", "contract"]);
    asserting.env(EXTENSION_VARIABLE, extension("debug")?);
    step::command("contract with WiredTiger, with assertions", &mut asserting)?;

    let release = extension("release")?;
    for (title, what) in [
        ("tests", "--all-targets"),
        ("examples in the documents", "--doc"),
    ] {
        let mut tests = step::cargo(&["test", "--workspace", "--no-fail-fast", what]);
        tests.env(EXTENSION_VARIABLE, &release);
        for (name, value) in SCALE {
            if std::env::var_os(name).is_none() {
                tests.env(name, value);
            }
        }
        step::command(title, &mut tests)?;
    }
    python::test()
}

fn extension(profile: &str) -> Result<PathBuf> {
    Ok(step::target()?.join(profile).join(EXTENSION))
}
