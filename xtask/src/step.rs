//! One step of a task: announced, run, timed. A step either succeeds or ends the task.

use anyhow::{Context, Result, bail};
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// Runs `work` between a line that says what begins and one that says how long it took.
pub fn step(title: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("==> {title}");
    let start = Instant::now();
    let outcome = work();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(()) => eprintln!("==> {title}: ok, {seconds:.1} s"),
        Err(_) => eprintln!("==> {title}: FAILED after {seconds:.1} s"),
    }
    outcome.with_context(|| title.to_owned())
}

/// A step that is one command.
pub fn command(title: &str, command: &mut Command) -> Result<()> {
    step(title, || run(command))
}

/// Runs a command to its end; anything but success is an error that names it.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", words(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", words(command));
    }
    Ok(())
}

/// A cargo command in the root of the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(arguments);
    command
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it builds: two levels above this program (`<target>/debug/xtask`).
pub fn target() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find out where xtask was built")?;
    own.ancestors()
        .nth(2)
        .map(Path::to_owned)
        .with_context(|| format!("{} is not in a target folder", own.display()))
}

fn words(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
