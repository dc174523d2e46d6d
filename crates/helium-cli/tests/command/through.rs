//! Reading a volume that another process has open, through that process.

use std::{
    fs::DirBuilder,
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::{
        fs::DirBuilderExt,
        net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use crate::harness::{Place, Ran, run, wait, wait_until};

/// A load of `items` items that waits for more, and tells of itself.
fn loading(place: &Place, items: u32) -> Child {
    let mut input = Vec::new();
    for number in 0..items {
        writeln!(
            input,
            "{{\"key\":\"{number:05}\",\"value\":\"{}\"}}",
            "v".repeat(200)
        )
        .expect("memory");
    }
    let child = place.loading(&input, |load| {
        load.env("XDG_RUNTIME_DIR", place.path(""));
    });
    let last = format!("{:05}", items - 1);
    wait_until(
        || helium(place, &["get", "v", "d", &last]).code == Some(0),
        || "its items cannot be read".to_owned(),
    );
    child
}

fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.command();
    command
        .env("XDG_RUNTIME_DIR", place.path(""))
        .args(arguments);
    command
}

fn helium(place: &Place, arguments: &[&str]) -> Ran {
    run(command(place, arguments), b"")
}

/// What it printed; on standard error it has said, once, through whom it reads.
#[track_caller]
fn through(child: &Child, ran: Ran) -> String {
    let said = format!(
        "helium: process {} (helium load) has the volume open: this reads through it\n",
        child.id()
    );
    assert_eq!((ran.code, ran.err), (Some(0), said));
    String::from_utf8(ran.out).expect("text")
}

#[test]
fn what_others_have_open_reads_as_if_it_were_not() {
    let place = Place::with_volume();
    place
        .helium([
            "create",
            "v",
            "hashed",
            "--unordered",
            "--attributes",
            "about",
        ])
        .ok();
    place.helium(["put", "v", "hashed", "a", "1"]).ok();
    place.helium(["create", "v", "empty", "--compress"]).ok();
    let mut child = loading(&place, 3_000);
    let there = |arguments: &[&str]| through(&child, helium(&place, arguments));
    let asked: &[&[&str]] = &[
        &["get", "v", "d", "00007"],
        &["ls", "v"],
        &["stat", "v", "hashed"],
        &["scan", "v", "d", "--prefix", "0299"],
        &[
            "scan", "v", "d", "--from", "00010", "--to", "02500", "--keys",
        ],
        &["scan", "v", "d", "--reverse", "-n", "2000"],
        &["count", "v", "d"],
        &["count", "v", "hashed"],
        &["count", "v", "empty"],
        &["count", "v", "d", "--prefix", "0299"],
        &["count", "v", "d", "--from", "00010", "--to", "02500"],
        &["count", "v", "empty", "--prefix", "0"],
        &["scan", "v", "hashed"],
        &["dump", "v"],
        &["dump", "v", "hashed", "-f", "csv"],
        &["dump", "v", "d", "-f", "wiredtiger-hex"],
    ];
    let found: Vec<String> = asked.iter().map(|asked| there(asked)).collect();
    assert!(there(&["stat", "v"]).contains("3,001"));
    for (asked, found) in asked.iter().zip(&found) {
        let counted = match asked {
            ["count", "v", "d"] => "3000\n",
            ["count", "v", "d", "--prefix", ..] => "10\n",
            ["count", "v", "d", "--from", ..] => "2490\n",
            _ => continue,
        };
        assert_eq!(found, counted, "{asked:?}");
    }
    let sizes = |text: &str| {
        let mut all: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let all = all.as_array_mut().expect("datastores").iter_mut();
        all.map(|one| (one["name"].take(), one["keys"].take(), one["values"].take()))
            .collect::<Vec<_>>()
    };
    let sized = helium(&place, &["--json", "stat", "v", "--sizes"]);
    let sized = String::from_utf8(sized.out).expect("text");
    there(&["backup", "v", "copy"]);
    there(&["dump", "v", "-o", "file"]);
    // What is not there is not there.
    helium(&place, &["get", "v", "d", "nothing"]).fails(3, &["no item with the key nothing"]);
    helium(&place, &["scan", "v", "hashd"]).fails(3, &["Did you mean hashed?"]);
    helium(&place, &["scan", "v", "hashed", "--reverse"]).fails(2, &["in no order"]);
    helium(&place, &["count", "v", "hashed", "--prefix", "a"]).fails(2, &["Without a range"]);
    helium(&place, &["count", "v", "hashd"]).fails(3, &["Did you mean hashed?"]);
    // Who writes, or does not want it, is refused.
    for refused in [
        &["put", "v", "d", "k", "v"][..],
        &["get", "--no-through", "v", "d", "00007"],
    ] {
        helium(&place, refused).fails(5, &["in use by process", "read through that process"]);
    }
    let json = helium(&place, &["--json", "get", "v", "d", "00007"]);
    let said: serde_json::Value = serde_json::from_str(&json.err).expect("JSON");
    assert_eq!(said["through"]["process"], child.id());
    drop(child.stdin.take());
    assert_eq!(wait(&mut child), Some(0));
    let direct = |arguments: &[&str]| helium(&place, arguments).text();
    assert_eq!(
        sizes(&sized),
        sizes(&direct(&["--json", "stat", "v", "--sizes"]))
    );
    for (asked, found) in asked.iter().zip(&found) {
        assert_eq!(found, &direct(asked), "{asked:?}");
    }
    let dump = direct(&["dump", "v"]);
    assert_eq!(dump, direct(&["dump", "copy"]));
    assert_eq!(direct(&["ls", "v"]), direct(&["ls", "copy"]));
    assert_eq!(
        std::fs::read_to_string(place.path("file")).expect("written"),
        dump
    );
}

/// The process is killed in the middle: whoever reads says so, and leaves nothing that looks whole.
#[test]
fn a_reader_says_that_the_other_process_was_killed() {
    let place = Place::with_volume();
    let mut child = loading(&place, 20_000);
    // Its output goes to a pipe that is full before long: so it is in the middle until the pipe is read.
    let mut dump = command(&place, &["dump", "v", "d"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start");
    let mut out = BufReader::new(dump.stdout.take().expect("piped"));
    let mut first = String::new();
    out.read_line(&mut first).expect("it has begun");
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert!(rest.lines().count() < 19_999, "it was all there already");
    let mut err = String::new();
    let mut errors = dump.stderr.take().expect("piped");
    errors.read_to_string(&mut err).expect("text");
    assert_eq!(wait(&mut dump), Some(1), "{err}");
    let who = format!(
        "process {}, which has the volume open, has ended",
        child.id()
    );
    assert!(err.contains(&who), "{err}");
    // And the volume is there as the kill left it.
    helium(&place, &["verify", "v"]).ok();
}

/// What comes from the other process ends after so many bytes, wherever that is: nothing is left that looks whole.
#[test]
fn nothing_half_stays_of_what_was_cut() {
    let place = Place::with_volume();
    let mut child = loading(&place, 3_000);
    for cut in [0, 3, 4, 60, 150, 100_000, 400_000] {
        let cutting = Cutting::new(&place, cut);
        for (arguments, left) in [
            (["backup", "v", "copy"], "copy"),
            (["dump", "v", "--output=file"], "file"),
        ] {
            let mut command = place.command();
            command
                .env("XDG_RUNTIME_DIR", cutting.folder.path())
                .args(arguments);
            let ran = run(command, b"");
            assert_eq!(ran.code, Some(1), "{cut}: {}", ran.err);
            assert!(ran.err.contains("has ended, or broken off"), "{}", ran.err);
            assert!(!place.path(left).exists(), "{cut}: {}", ran.err);
        }
    }
    drop(child.stdin.take());
    assert_eq!(wait(&mut child), Some(0));
}

/// Stands between readers and the process that has the volume open, and breaks off after so many bytes of answers.
struct Cutting {
    folder: tempfile::TempDir,
}

impl Cutting {
    fn new(place: &Place, cut: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sockets = folder.path().join("helium");
        DirBuilder::new()
            .mode(0o700)
            .create(&sockets)
            .expect("made");
        for (ending, cut) in [("sock", u64::MAX), ("read", cut)] {
            let listener = UnixListener::bind(sockets.join("x").with_extension(ending));
            let (listener, to) = (listener.expect("bound"), socket(place, ending));
            thread::spawn(move || {
                for reader in listener.incoming() {
                    let there = UnixStream::connect(&to).expect("it listens");
                    pass(reader.expect("a reader"), there, cut);
                }
            });
        }
        Self { folder }
    }
}

/// Passes requests on as they come, and so many bytes of answers.
fn pass(reader: UnixStream, there: UnixStream, cut: u64) {
    let (mut asks, mut asked) = (&reader, &there);
    thread::scope(|scope| {
        // Whoever breaks off first ends both.
        scope.spawn(move || {
            let _ = std::io::copy(&mut asks, &mut asked);
        });
        let _ = std::io::copy(&mut (&there).take(cut), &mut &reader);
        let _ = (
            reader.shutdown(Shutdown::Both),
            there.shutdown(Shutdown::Both),
        );
    });
}

fn socket(place: &Place, ending: &str) -> PathBuf {
    let mut sockets = std::fs::read_dir(place.path("helium")).expect("its folder");
    let found = sockets.find_map(|one| {
        let path = one.expect("a name").path();
        path.extension()
            .is_some_and(|end| end == ending)
            .then_some(path)
    });
    found.expect("a socket")
}
