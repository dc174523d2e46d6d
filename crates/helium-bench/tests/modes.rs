//! Every mode that needs nothing but the store works, at a size at which its figures say nothing.

use std::process::Command;

/// What a mode prints, at a thousandth of its size.
fn small(mode: &str) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_helium-figures"))
        .args([
            "--scale",
            "0.001",
            "--folder",
            env!("CARGO_TARGET_TMPDIR"),
            mode,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{mode}: {said}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn modes_that_measure_memory() {
    assert!(small("index").contains("16 random bytes"));
    assert!(small("caches").contains("after a scan of all items"));
}

#[test]
fn modes_that_read() {
    assert!(small("scans").contains("compacted, backward"));
    assert!(small("compression").contains("random bytes, 4000 bytes | yes"));
    assert!(small("services").contains("scrub without limit"));
}

#[test]
fn modes_that_open_and_write() {
    assert!(small("reopening").contains("a kill in the middle"));
    assert!(small("checkpoints").contains("each durable | nothing"));
}
