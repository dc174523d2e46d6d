//! What a change must pass: the tests, and before them everything that is quick to say no.

use crate::{build, step, tidy};
use anyhow::Result;

/// Formatting, clippy, documentation, tidy, and then exactly what `test` does.
pub fn ci() -> Result<()> {
    step::command("formatting", &mut step::cargo(&["fmt", "--all", "--check"]))?;
    tidy::tidy()?;
    step::command(
        "clippy",
        &mut step::cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    step::command(
        "documentation",
        step::cargo(&[
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ])
        .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    build::test()
}
