//! Limits that the system sets the process: each is a sentence and an exit code, and the volume stays sound.

use std::{io::Write, process::Command};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{HELIUM, Place, Ran, has, run, wait};

/// Runs `helium` with these words behind a command of the shell that sets a limit.
fn limited(place: &Place, limit: &str, words: &str, input: &[u8]) -> Ran {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limit} && exec {HELIUM} {words}")])
        .current_dir(place.path(""));
    run(command, input)
}

fn lines(items: usize, value_bytes: usize) -> String {
    let value = "x".repeat(value_bytes);
    (0..items)
        .map(|number| format!("{{\"key\":\"{number:08}\",\"value\":\"{value}\"}}\n"))
        .collect()
}

#[test]
fn a_file_that_may_not_grow_is_a_full_volume() {
    let place = Place::with_volume();
    let there = std::fs::metadata(place.path("v"))
        .expect("the volume")
        .len();
    // The shell counts in 512 bytes.
    let limit = format!("ulimit -f {}", there / 512 + 2048);
    let load = "load v -d d -f jsonl --as-it-comes";
    limited(&place, &limit, load, lines(1000, 100_000).as_bytes()).fails(
        8,
        &[
            "is full",
            "Deleting still works",
            "items before it are in the volume",
        ],
    );
    place.helium(["verify", "v"]).ok();
    assert!(place.helium(["stat", "v", "d", "--json"]).json()["items"].as_u64() > Some(0));
    limited(&place, "ulimit -f 100", "create w", b"").fails(8, &["Name a place with more room"]);
    assert!(!place.path("w").exists());
    place.write("old", "old");
    limited(&place, "ulimit -f 1", "dump v -o old", b"").fails(8, &["ulimit -f"]);
    assert_eq!(std::fs::read(place.path("old")).expect("a file"), b"old");
}

#[test]
fn memory_that_may_not_be_had_is_a_sentence() {
    let place = Place::with_volume();
    let load = "load v -d d -f jsonl --as-it-comes --read-cache 2M --write-cache 4M";
    let input = lines(1, 10) + "{\"key\":\"k\",\"value\":[" + &"0,".repeat(20_000_000) + "0]}\n";
    // The line fits, and what it would be in memory does not.
    limited(&place, "ulimit -v 400000", load, input.as_bytes())
        .fails(9, &["line 2: invalid type: sequence"]);
    let input = lines(1, 10) + "{\"key\":\"k\",\"value\":\"" + &"0".repeat(90_000_000) + "\"}\n";
    for json in ["", " --json"] {
        let ran = limited(
            &place,
            "ulimit -v 220000",
            &format!("{load}{json}"),
            input.as_bytes(),
        );
        ran.fails(1, &["out of memory", "The volume is sound"]);
    }
    // The process starts, and that is all.
    limited(&place, "ulimit -v 60000", load, lines(1, 10).as_bytes()).fails(
        1,
        &["this process may have too little memory for any volume"],
    );
    place.helium(["verify", "v"]).ok();
}

/// What is longer than an item can be is refused where it is not much more than that which there is memory for,
/// whatever it is made of.
#[test]
fn no_input_takes_more_memory_than_an_item_can_need() {
    let place = Place::with_volume();
    let wt = "WiredTiger Dump\nFormat=print\nHeader\ntable:d\nkey_format=u\nData\n";
    let mdb = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n";
    let longer = 110_000_000;
    for (words, text, then, sentence) in [
        (
            "load v -d d -f jsonl",
            "{\"key\":\"",
            "k",
            "line 1: is longer than any",
        ),
        (
            "load v -d d -f json",
            "[{\"key\":\"",
            "k",
            "line 1: is longer than any",
        ),
        (
            "load v -d d -f csv",
            "key,value\n",
            "k",
            "line 2: is longer than any",
        ),
        (
            "load v -d d -f tsv",
            "k\t",
            "v",
            "line 1: is longer than any",
        ),
        (
            "load v -d d -f mdb",
            mdb,
            " 0",
            "line 5: is longer than any",
        ),
        (
            "load v -d d -f wiredtiger",
            wt,
            "k",
            "line 7: is longer than any",
        ),
        ("batch v", "put d k ", "v", "line 1: is longer than any"),
        ("shell v", "put d k ", "v", "line 1: is longer than any"),
        // As long as an item may be, and many small things.
        ("batch v", "put d ", "k ", "line 1: has more words than"),
        ("shell v", "rm d ", "k ", "line 1: has more words than"),
        ("load v -d d -f tsv", "", "\t", "line 1: has"),
        (
            "load v -d d -f csv",
            "",
            ",",
            "line 1: has more than 4,096 fields",
        ),
        ("load v -d d -f jsonl", "{\"key\":", "[", "line 1: "),
        (
            "load v -d d -f json",
            "[{\"key\":",
            "[",
            "the array is not closed",
        ),
    ] {
        let bytes = if sentence.contains("longer") {
            longer
        } else {
            90_000_000
        };
        let input = text.to_owned() + &then.repeat(bytes / then.len()) + "\n";
        let caches = "--read-cache 2M --write-cache 4M";
        let comes = if words.starts_with("load") {
            "--as-it-comes"
        } else {
            ""
        };
        let words = format!("{words} {comes} {caches}");
        let ran = limited(&place, "ulimit -v 500000", &words, input.as_bytes());
        let code = if words.starts_with("shell") && !sentence.contains("longer") {
            2
        } else {
            9
        };
        ran.fails(code, &[sentence]);
    }
    place.helium(["verify", "v"]).ok();
}

/// The first limit at which it can be done is not followed by one at which it cannot.
#[test]
fn what_fits_into_memory_fits_into_more() {
    let place = Place::with_volume();
    let load = "load v -d d -f jsonl --as-it-comes";
    let kibibytes = (60_000..=400_000).step_by(10_000);
    let refused: Vec<_> = kibibytes
        .filter(|kibibytes| {
            let limit = format!("ulimit -v {kibibytes}");
            !limited(&place, &limit, load, lines(1, 10).as_bytes()).has_worked()
        })
        .collect();
    assert!(
        refused.first().is_some_and(|&first| first == 60_000),
        "{refused:?}"
    );
    assert!(
        refused.last().is_some_and(|&last| last < 200_000),
        "{refused:?}"
    );
    assert!(
        refused.windows(2).all(|pair| pair[1] - pair[0] == 10_000),
        "{refused:?}"
    );
    place.helium(["verify", "v"]).ok();
}

/// Nobody can start a thread then; the superuser can all the same.
#[test]
fn a_user_who_may_have_one_process_only_is_told() {
    let is_superuser = rustix::process::getuid().is_root();
    if is_superuser && !has("setpriv") {
        return;
    }
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "k", "value"]).ok();
    let open = |path: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(place.path(path), std::fs::Permissions::from_mode(mode))
            .expect("the test's own");
    };
    open("", 0o777);
    open("v", 0o666);
    let become_somebody = match is_superuser {
        true => "setpriv --reuid 64007 --regid 64007 --clear-groups",
        false => "",
    };
    for words in ["get v d k", "put v d k value", "create w"] {
        let script = format!("ulimit -u 1; exec {become_somebody} {HELIUM} {words}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).current_dir(place.path(""));
        let ran = run(command, b"");
        if ran.code == Some(126) || ran.code == Some(127) {
            eprintln!("skipped: {}", ran.err);
            return;
        }
        assert!(!ran.err.contains("panicked"), "{words}: {}", ran.err);
        assert!(
            ran.code == Some(0) || ran.code == Some(1) && !ran.err.is_empty(),
            "{words}: {ran:?}"
        );
    }
    assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"value");
    place.helium(["verify", "v"]).ok();
}

#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let place = Place::with_volume();
    let mut nohup = Command::new("nohup");
    nohup.arg(HELIUM);
    // More than a pipe holds: it has begun by then.
    let mut child = place.loading_by(nohup, lines(20_000, 1).as_bytes(), |_| ());
    let mut stdin = child.stdin.take().expect("piped");
    kill_process(Pid::from_child(&child), Signal::HUP).expect("a child of ours");
    stdin
        .write_all(lines(30_000, 1).as_bytes())
        .expect("it reads");
    drop(stdin);
    assert_eq!(wait(&mut child), Some(0));
    assert_eq!(
        place.helium(["stat", "v", "d", "--json"]).json()["items"],
        30_000
    );
}
