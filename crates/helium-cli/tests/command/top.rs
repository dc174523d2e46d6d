//! `helium top` shows a volume that another process has open, in a terminal and to programs.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
};

use crate::harness::{Place, Terminal, run, wait, wait_until};

/// A load that waits for more, and tells of itself.
fn loading(place: &Place) -> Child {
    place.helium(["create", "v", "colors"]).ok();
    loading_into(place, "v", "d")
}

/// The same into any volume.
fn loading_into(place: &Place, volume: &str, datastore: &str) -> Child {
    let mut load = place.command();
    load.args([
        "load",
        volume,
        "-d",
        datastore,
        "-f",
        "jsonl",
        "--as-it-comes",
    ])
    .env("XDG_RUNTIME_DIR", place.path(""))
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped());
    let mut child = load.spawn().expect("start");
    let stdin = child.stdin.as_mut().expect("piped");
    stdin
        .write_all(b"{\"key\":\"k\",\"value\":\"v\"}\n")
        .expect("it reads");
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

/// Gives a window another title, turns text around, and moves a cursor up in one character.
const NAME: &str = "owned\u{1b}]0;title\u{7}\u{202e}\u{9b}1A";

/// Nothing of it reaches a terminal as it is. What the screen itself sends has none of it.
#[track_caller]
fn is_harmless(shown: &str) {
    for obeyed in ["\u{1b}]", "\u{7}", "\u{202e}", "\u{9b}"] {
        assert!(!shown.contains(obeyed), "{obeyed:?} in {shown:?}");
    }
}

#[test]
fn names_of_a_volume_and_in_it_are_not_obeyed() {
    let place = Place::new();
    place.helium(["create", NAME, NAME]).ok();
    let mut loading = loading_into(&place, NAME, NAME);
    for (columns, rows) in [(80, 24), (50, 12)] {
        let mut terminal = Terminal::sized(columns, rows);
        let mut child = in_terminal(&place, &terminal);
        terminal.wait_for("owned");
        terminal.type_in("q");
        assert_eq!(wait(&mut child), Some(0));
        is_harmless(&terminal.shown());
    }
    for json in [&[][..], &["--json"]] {
        let words = [&["-n", "2", "-i", "0.1"], json].concat();
        is_harmless(&run(top(&place, &words), b"").text());
    }
    drop(loading.stdin.take());
    assert_eq!(wait(&mut loading), Some(0));
}

/// Something that answers as a server does, with names of its own, until the test is over.
fn answering(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("a port");
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a client");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let told = serde_json::json!({
                "uptime_seconds": number, "clients": 1, "durability": name, "bounds_seconds": [1.0],
                "commands": [{"name": name, "calls": number, "seconds": number, "buckets": [number]}],
                "volumes": [{"name": name, "used_bytes": 1, "capacity_bytes": 2}],
                "slowest": [{"command": name, "seconds": 1, "ago_seconds": 1}],
            });
            // Whoever asked may be gone.
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n{told}");
        }
    });
    address
}

#[test]
fn what_a_server_says_is_not_obeyed() {
    let place = Place::new();
    let address = answering(NAME).to_string();
    let mut terminal = Terminal::sized(150, 40);
    let mut screen = place.command();
    screen.args(["top", "--server", &address, "-i", "0.1"]);
    screen
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end());
    let mut child = screen.spawn().expect("start");
    terminal.wait_for("owned");
    terminal.wait_for("slowest");
    terminal.type_in("q");
    assert_eq!(wait(&mut child), Some(0));
    is_harmless(&terminal.shown());
    for json in [&[][..], &["--json"]] {
        let ask = ["top", "--server", &address, "-i", "0.1", "-n", "2"];
        let said = place.helium(ask.iter().chain(json)).text();
        assert!(said.contains("owned"), "{said}");
        is_harmless(&said);
    }
}
