//! Commands on a volume that stays open: typed in a terminal, or out of a pipe.

use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;

use crate::harness::{Place, Terminal, wait, wait_until};

#[test]
fn a_script_is_done_line_by_line() {
    let place = Place::with_volume();
    let script = "put d apple \"dark red\"\n# a remark\n\nput d 'a pear' green\r\ncreate e\nput e k v\nscan d\n\
        count d --prefix a\nls --json\n";
    let ran = place.helium_with(
        ["shell", "v"],
        (script.to_owned() + "exit\nnonsense\n").as_bytes(),
    );
    let text = String::from_utf8_lossy(&ran.out).into_owned();
    for part in [
        "a pear\tgreen\napple\tdark red\n",
        "\n2\n",
        "\"name\":\"e\"",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}{}", ran.err);
    }
    let done = place
        .helium_with(["shell", "v"], b"get d apple\nexit\nnonsense\n")
        .text();
    assert_eq!(done, "dark red");
}

#[test]
fn the_first_line_that_fails_ends_a_script() {
    let place = Place::with_volume();
    for (line, code, sentence) in [
        ("get d gone", 3, "has no item with the key gone"),
        ("get d", 2, "<KEY>"),
        ("nonsense", 2, "`help` lists"),
        ("shell v", 2, "is no command here"),
        ("put 'd k v", 2, "a quote is opened"),
        ("create --overwrite", 5, "cannot be made anew"),
        ("help nonsense", 2, "is no command here"),
        ("put d k", 2, "standard input has the commands"),
        ("batch", 2, "standard input has the commands"),
        ("load -d d", 2, "standard input has the commands"),
        ("backup v", 2, "that is the volume itself"),
    ] {
        let script = format!("put d k v\n{line}\nput d later v\n");
        let ran = place.helium_with(["shell", "v"], script.as_bytes());
        ran.fails(code, &["line 2: ", sentence]);
        assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"v");
        place.helium(["get", "v", "d", "later"]).fails(3, &[]);
    }
    let ran = place.helium_with(["shell", "v", "--read-only"], b"get d k\nput d k w\n");
    ran.fails(6, &["line 2", "open for reading only"]);
    let help = place
        .helium_with(["shell", "v"], b"help\nhelp scan\nscan --help\n")
        .text();
    for part in ["truncate", "Usage: helium scan", "--prefix"] {
        assert!(help.contains(part), "no {part:?} in {help}");
    }
}

/// Waits for the next prompt behind `text`: what is typed earlier may be lost, and Ctrl-C is a signal then.
#[track_caller]
fn is_prompted_behind(terminal: &Terminal, text: &str) {
    let is_prompted = || {
        let shown = terminal.shown();
        let at = shown.rfind(text);
        at.is_some_and(|at| shown[at..].contains("helium> "))
    };
    wait_until(is_prompted, || terminal.shown());
}

fn start(place: &Place, terminal: &Terminal) -> Child {
    place
        .command()
        .args(["shell", "v"])
        .env("XDG_STATE_HOME", place.path("state"))
        .env("XDG_RUNTIME_DIR", place.path(""))
        .env("TERM", "xterm")
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end())
        .spawn()
        .expect("start")
}

#[test]
fn lines_are_edited_completed_and_kept() {
    let place = Place::with_volume();
    place.helium(["create", "v", "many colors"]).ok();
    let mut terminal = Terminal::new();
    let mut child = start(&place, &terminal);
    terminal.wait_for("helium> ");
    // A command, and a name that needs quotes.
    terminal.type_in("pu\t\"man\tapple red\r");
    is_prompted_behind(&terminal, "apple red");
    terminal.type_in("get \"many colors\" apple\r");
    terminal.wait_for("\nred\r\n");
    is_prompted_behind(&terminal, "\nred\r\n");
    // What fails is said, and what was begun is given up.
    terminal.type_in("get d gone\r");
    is_prompted_behind(&terminal, "no item with the key gone");
    terminal.type_in("drop d\u{3}");
    is_prompted_behind(&terminal, "drop d");
    terminal.type_in(" put d secret x\r");
    is_prompted_behind(&terminal, "secret x");
    terminal.type_in("exit\r");
    assert_eq!(wait(&mut child), Some(0));
    let kept = place.path("state/helium/history");
    let text = std::fs::read_to_string(&kept).expect("the history");
    assert!(
        text.contains("apple red") && !text.contains("secret"),
        "{text}"
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &kept.metadata().expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.helium(["get", "v", "d", "secret"]).ok(), b"x");
    let mut terminal = Terminal::new();
    let mut child = start(&place, &terminal);
    terminal.wait_for("helium> ");
    // The line before, and the one before that.
    terminal.type_in("\u{1b}[A\u{1b}[A");
    terminal.wait_for("get d gone");
    terminal.type_in("\u{3}");
    is_prompted_behind(&terminal, "get d gone");
    terminal.type_in("\u{4}");
    assert_eq!(wait(&mut child), Some(0));
}

/// A signal stops the command, and not the shell.
#[test]
fn a_command_is_stopped_and_the_shell_goes_on() {
    let place = Place::with_volume();
    let mut terminal = Terminal::new();
    let mut child = start(&place, &terminal);
    terminal.wait_for("helium> ");
    // The shell tells of itself, and the load does when it has begun, with the first item.
    let folder = place.path("helium");
    let tell = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    let before = tell();
    terminal.type_in("load -d d -f tsv --as-it-comes\r");
    let is_left = || {
        let shown = terminal.shown();
        let said = shown.rfind("as-it-comes");
        said.is_some_and(|at| shown[at..].contains("\u{1b}[?2004l"))
    };
    wait_until(is_left, || terminal.shown());
    terminal.type_in("a\tb\n");
    wait_until(|| tell() > before, || "it does not load".to_owned());
    kill_process(Pid::from_child(&child), Signal::INT).expect("a child of ours");
    is_prompted_behind(&terminal, "stopped as asked");
    terminal.type_in("ls\r");
    terminal.wait_for("ordered");
    terminal.type_in("exit\r");
    assert_eq!(wait(&mut child), Some(0));
}
