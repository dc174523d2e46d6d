//! What people see in a terminal and scripts do not.

use std::{
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use crate::harness::{Place, Terminal, wait};

const ITEM: &[u8] = b"{\"key\":\"k\",\"value\":\"v\"}\n";

#[test]
fn long_work_shows_progress_in_a_terminal() {
    let place = Place::with_volume();
    let terminal = Terminal::new();
    let mut child = place.loading(ITEM, |load| {
        load.stderr(terminal.end());
    });
    terminal.wait_for("loading items: ");
    terminal.wait_for("/s");
    drop(child.stdin.take());
    assert_eq!(wait(&mut child), Some(0));
    // Nothing is left of it: the line is cleared last.
    let shown = terminal.shown();
    let end = shown.rfind("\u{1b}[2K").expect("it was cleared");
    assert!(!shown[end..].contains("loading"), "{shown:?}");
}

#[test]
fn no_progress_without_a_terminal_nor_in_the_first_second() {
    let place = Place::with_volume();
    let child = place.loading(ITEM, |_| ());
    thread::sleep(Duration::from_millis(1500));
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.stderr, b"");
    let terminal = Terminal::new();
    let start = Instant::now();
    let mut quick = place
        .command()
        .args(["verify", "v"])
        .stdout(Stdio::null())
        .stderr(terminal.end())
        .spawn()
        .expect("start");
    assert_eq!(wait(&mut quick), Some(0));
    // On a busy machine it may take longer, and then it shows.
    if start.elapsed() < Duration::from_secs(1) {
        assert_eq!(terminal.shown(), "");
    }
}

#[test]
fn what_cannot_be_undone_is_asked_in_a_terminal() {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "k", "v"]).ok();
    let ask = |arguments: &[&str], answer: &str| {
        let mut terminal = Terminal::new();
        let mut child = place
            .command()
            .args(arguments)
            .stdin(terminal.end())
            .stdout(Stdio::null())
            .stderr(terminal.end())
            .spawn()
            .expect("start");
        if !answer.is_empty() {
            terminal.wait_for("[y/N]");
            terminal.type_in(answer);
        }
        (wait(&mut child), terminal.shown())
    };
    let (code, shown) = ask(&["drop", "v", "d"], "n\n");
    assert_eq!(code, Some(1));
    assert!(shown.contains("Remove d with 1 item?"), "{shown}");
    assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"v");
    // An answer that is begun and not given is none either.
    assert_eq!(ask(&["drop", "v", "d"], "\u{4}").0, Some(1));
    assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"v");
    assert_eq!(ask(&["create", "--overwrite", "v"], "\n").0, Some(1));
    assert_eq!(ask(&["truncate", "v", "d"], "y\n").0, Some(0));
    assert_eq!(place.helium(["scan", "v", "d"]).ok(), b"");
    assert_eq!(ask(&["drop", "v", "d", "--yes"], "").0, Some(0));
}

#[test]
fn a_terminal_shows_no_control_characters() {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "k", "\u{1b}[2J"]).ok();
    let terminal = Terminal::new();
    let mut child = place
        .command()
        .args(["get", "v", "d", "k"])
        .stdout(terminal.end())
        .stderr(Stdio::null())
        .spawn()
        .expect("start");
    assert_eq!(wait(&mut child), Some(0));
    terminal.wait_for("\\x1b[2J");
    assert!(!terminal.shown().contains('\u{1b}'));
}
