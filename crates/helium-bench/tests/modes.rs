//! Every mode that needs nothing but the store works, at a size at which its figures say nothing.

use std::process::Command;

use anyhow::{Result, ensure};

/// What a mode prints, at a thousandth of its size.
fn small(mode: &str) -> Result<String> {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let done = Command::new(env!("CARGO_BIN_EXE_helium-figures"))
        .args(["--scale", "0.001", "--folder", folder, mode])
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{mode}: {said}");
    Ok(String::from_utf8(done.stdout)?)
}

#[test]
fn modes_that_measure_memory() -> Result<()> {
    assert!(small("index")?.contains("unordered"));
    assert!(small("caches")?.contains("after a scan of all items"));
    Ok(())
}

#[test]
fn modes_that_read() -> Result<()> {
    assert!(small("scans")?.contains("compacted, backward"));
    let hot = small("hot")?;
    assert!(hot.contains("opened anew, second 5") && hot.contains("after a pass backward"));
    assert!(small("compression")?.contains("random bytes, 4000 bytes | yes"));
    assert!(small("services")?.contains("scrub without limit"));
    Ok(())
}

#[test]
fn modes_that_open_and_write() -> Result<()> {
    assert!(small("reopening")?.contains("a kill in the middle"));
    assert!(small("checkpoints")?.contains("each durable | nothing"));
    Ok(())
}
