//! `helium top` shows a volume that another process has open, in a terminal and to programs.

use std::process::{Child, Command};

use crate::harness::{Place, Terminal, run, wait, wait_until};

/// A load that waits for more, and tells of itself.
fn loading(place: &Place) -> Child {
    place.helium(["create", "v", "colors"]).ok();
    let child = place.loading(b"{\"key\":\"k\",\"value\":\"v\"}\n", |load| {
        load.env("XDG_RUNTIME_DIR", place.path(""));
    });
    let folder = place.path("helium");
    let is_told = |name: &std::path::Path| name.extension().is_some_and(|end| end == "sock");
    let told = || {
        std::fs::read_dir(&folder)
            .is_ok_and(|mut sockets| sockets.any(|one| is_told(&one.expect("a name").path())))
    };
    wait_until(told, || "it tells nothing".to_owned());
    child
}

/// `helium top` with these words, that looks where the load tells.
fn top(place: &Place, words: &[&str]) -> Command {
    let mut command = place.command();
    command
        .env("XDG_RUNTIME_DIR", place.path(""))
        .arg("top")
        .args(words);
    command
}

/// The same in a terminal, with a look every fifth of a second.
fn in_terminal(place: &Place, terminal: &Terminal) -> Child {
    let mut command = top(place, &["-i", "0.2"]);
    command
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end());
    command.spawn().expect("start")
}

#[test]
fn programs_get_figures_and_rates() {
    let place = Place::with_volume();
    let mut child = loading(&place);
    for volume in [Some("v"), Some("./v"), None] {
        let mut command = top(&place, &["-n", "1", "-i", "0.1", "--json"]);
        command.args(volume);
        let json = run(command, b"").json();
        assert_eq!(json["process"], child.id());
        assert_eq!(json["command"], "helium load");
        assert!(
            json["figures"]["capacity_bytes"].as_u64() >= Some(64 << 20),
            "{json}"
        );
        assert!(
            json["rates"]["written_bytes_per_second"].is_number(),
            "{json}"
        );
        assert!(json["datastores"].to_string().contains("colors"), "{json}");
        for waited in ["commits", "syncs", "device_reads"] {
            assert!(json["waits"][waited]["per_second"].is_number(), "{json}");
        }
        assert!(json["rates"]["writes_per_second"].is_number(), "{json}");
    }
    let text = top(&place, &["-n", "2", "-i", "0.1"]);
    assert_eq!(run(text, b"").text().lines().count(), 2);
    drop(child.stdin.take());
    assert_eq!(wait(&mut child), Some(0));
    run(top(&place, &["v"]), b"").fails(3, &["no process of this user tells of v"]);
}

#[test]
fn a_terminal_gets_a_screen_and_is_given_back() {
    let place = Place::with_volume();
    let mut loading = loading(&place);
    let mut terminal = Terminal::new();
    let mut child = in_terminal(&place, &terminal);
    // Words, because the cursor jumps over the space between them.
    for part in ["he://./v", "colors", "cleaning", "memory", "quits"] {
        terminal.wait_for(part);
    }
    terminal.type_in("q");
    assert_eq!(wait(&mut child), Some(0));
    // Back from the other screen, and the cursor is seen again.
    terminal.wait_for("\u{1b}[?1049l");
    terminal.wait_for("\u{1b}[?25h");
    // It ends by itself when the volume is closed.
    let terminal = Terminal::new();
    let mut child = in_terminal(&place, &terminal);
    terminal.wait_for("colors");
    drop(loading.stdin.take());
    assert_eq!(wait(&mut loading), Some(0));
    assert_eq!(wait(&mut child), Some(0));
    terminal.wait_for("is not open any more");
}

#[test]
fn a_small_terminal_gets_all_that_matters() {
    let place = Place::with_volume();
    let mut loading = loading(&place);
    let mut terminal = Terminal::sized(50, 12);
    let mut child = in_terminal(&place, &terminal);
    for part in [
        "he://./v", "process", "used", "writes", "durable", "syncs", "cleaning", "quits",
    ] {
        terminal.wait_for(part);
    }
    terminal.type_in("q");
    assert_eq!(wait(&mut child), Some(0));
    drop(loading.stdin.take());
    assert_eq!(wait(&mut loading), Some(0));
}
