//! Names that a terminal would obey, and files that are no files.

use std::{fs, os::unix::fs::symlink};

use crate::harness::Place;

/// Clears a screen, turns text around, and moves a cursor up in one character.
const NAME: &str = "a\u{1b}[2J\u{202e}\u{9b}1A\u{7f}\n";

#[track_caller]
fn assert_printable(out: &[u8], what: &[&str]) {
    let text = String::from_utf8(out.to_vec()).expect("text");
    let bad = |char: &char| match char {
        '\n' | '\t' | '\r' => false,
        char => char.is_control() || ('\u{202a}'..='\u{202e}').contains(char),
    };
    let found: Vec<char> = text.chars().filter(bad).collect();
    assert!(found.is_empty(), "{what:?} prints {found:?}: {text:?}");
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let place = Place::new();
    place.helium(["create", "v"]).ok();
    let create = ["create", "v", NAME, "--attributes", NAME];
    assert_printable(&place.helium(create).ok(), &create);
    place.helium(["put", "v", NAME, NAME, NAME]).ok();
    place.write("csv", format!("{NAME},value\n"));
    place.write("jsonl", format!("{{\"{}\":1}}\n", "\\u009b".repeat(3)));
    place.write("wt", format!("WiredTiger Dump\nFormat=x{NAME}\n"));
    place.write("json", format!("[{{\"{}\":1}}]\n", "\\u202e".repeat(3)));
    place.write("tsv", format!("{}\n", "\u{9b}\t".repeat(3)));
    place.write("mdb", format!("VERSION=3\nformat={}\n", "\u{9b}\u{202e}"));
    place.write("batch", format!("put '{}' k v\n", "\u{9b}gone"));
    place.write("batch words", format!("{} k v\n", "\u{9b}\u{202e}"));
    place.write(
        "batch twice",
        "insert d k v\ninsert d k\u{9b} v\ninsert d k\u{9b} v\n",
    );
    place.helium(["create", "v", "d", "k"]).ok();
    place.helium(["put", "v", "k", NAME, NAME]).ok();
    fs::copy(place.path("csv"), place.path(NAME)).expect("the test's own folder");
    let commands: &[&[&str]] = &[
        &["ls", "v"],
        &["stat", "v"],
        &["stat", "v", NAME],
        &["scan", "v", NAME],
        &["scan", "v", NAME, "--keys"],
        &["get", "v", NAME, NAME, "--hex"],
        &["get", "v", NAME, "a\u{1b}"],
        &["get", "v", "a\u{1b}", "k"],
        &["get", "v", "k", NAME, NAME],
        &["rm", "v", NAME, "gone\u{9b}"],
        &["put", "v", NAME, "k", "--file", NAME, "--insert"],
        &["put", "v", NAME, "k", "--file", "\u{9b}gone"],
        &["dump", "v", NAME],
        &["dump", "v", NAME, "-f", "csv"],
        &["dump", "v", NAME, "-f", "wiredtiger"],
        &["dump", "v", NAME, "-f", "wiredtiger-hex"],
        &["dump", "v", NAME, "-f", "json"],
        &["dump", "v", NAME, "-f", "tsv"],
        &["dump", "v", NAME, "-f", "tsv", "--delimiter", ";"],
        &["dump", "v", NAME, "-f", "mdb"],
        &["dump", "v", "k", "-f", "mdb"],
        &["stat", "v", "--sizes"],
        &["stat", "v", NAME, "--sizes"],
        &["stat", "v", "\u{9b}gone", "--sizes"],
        &["count", "v", NAME],
        &["count", "v", NAME, "--prefix", NAME],
        &["count", "v", "\u{9b}gone"],
        &["rm", "v", NAME, "--prefix", "gone\u{9b}"],
        &["batch", "v", "batch"],
        &["batch", "v", "batch words"],
        &["batch", "v", "batch twice"],
        &["batch", "v", NAME],
        &["load", "v", "json", "-d", NAME],
        &["load", "v", "tsv", "-f", "tsv", "-d", NAME],
        &["load", "v", "mdb"],
        &["load", "v", "csv", "-f", "csv", "-d", NAME],
        &["load", "v", "jsonl", "-d", NAME],
        &["load", "v", "wt"],
        &["load", "v", NAME, "-f", "csv"],
        &["load", "v", "\u{9b}gone"],
        &["verify", "v", NAME],
        &["rename", "v", NAME, NAME],
        &["backup", "v", NAME],
        &["create", "v", NAME],
        &["ls", NAME],
        &["ls", "\u{9b}gone"],
        &["ls", "he://host/\u{9b}"],
        &["nothing\u{9b}"],
        &["ls", "v", "\u{202e}"],
        &["top", "\u{9b}gone"],
        &["truncate", "v", NAME],
        &["drop", "v", NAME],
    ];
    for command in commands {
        for json in [&[][..], &["--json"]] {
            let ran = place.helium(command.iter().chain(json));
            assert!(!ran.err.is_empty() || !ran.out.is_empty() || ran.code == Some(0));
            assert_printable(&ran.out, command);
            assert_printable(ran.err.as_bytes(), command);
        }
    }
}

/// Neither in answers, nor in sentences about what was typed.
#[test]
fn nor_by_the_shell() {
    let place = Place::with_volume();
    place.helium(["create", "v", NAME]).ok();
    place.helium(["put", "v", NAME, NAME, NAME]).ok();
    let name = "\"a\\x1b[2J\\xe2\\x80\\xae\\xc2\\x9b1A\\x7f\\n\"";
    let lines = [
        "ls".to_owned(),
        "ls --json".to_owned(),
        "stat --sizes".to_owned(),
        format!("scan {name}"),
        format!("scan {name} --json"),
        format!("count {name}"),
        format!("get {name} {name} --hex"),
        format!("get {name} gone{name}"),
        format!("count gone{name}"),
        format!("dump {name} -f tsv"),
        format!("help {name}"),
        format!("nonsense{name}"),
        "\u{9b}\u{202e}".to_owned(),
        format!("rm {name} {name}"),
        format!("drop {name}"),
    ];
    for line in &lines {
        for json in [&[][..], &["--json"]] {
            let arguments = ["shell", "v"].iter().chain(json);
            let ran = place.helium_with(arguments, format!("{line}\n").as_bytes());
            let is_silent = line.starts_with(['r', 'd']) && json.is_empty();
            assert!(
                is_silent || !ran.err.is_empty() || !ran.out.is_empty(),
                "{line}"
            );
            assert_printable(&ran.out, &[line]);
            assert_printable(ran.err.as_bytes(), &[line]);
        }
    }
}

#[test]
fn what_comes_out_escaped_goes_in_again() {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", NAME, NAME]).ok();
    for format in [
        "jsonl",
        "json",
        "csv",
        "tsv",
        "mdb",
        "wiredtiger",
        "wiredtiger-hex",
    ] {
        let dump = place.helium(["dump", "v", "d", "-f", format]).ok();
        let load = ["load", "v", "-f", format, "-d", format];
        place.helium_with(load, &dump).ok();
        assert_eq!(
            place.helium(["get", "v", format, NAME]).ok(),
            NAME.as_bytes()
        );
    }
}

/// Without waiting for somebody at its other end.
#[test]
fn no_volume_is_on_a_pipe_or_a_character_device() {
    let place = Place::new();
    let fifo = place.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).expect("the test's own folder");
    for path in ["fifo", "/dev/null", "/dev/zero"] {
        for command in [
            &["ls", path][..],
            &["create", path, "d"],
            &["create", path, "--size", "64M"],
            &["create", "--overwrite", path],
            &["verify", path],
            &["salvage", path, "new"],
        ] {
            let ran = place.helium(command);
            assert!(ran.code != Some(0) && !ran.err.is_empty(), "{command:?}");
        }
        place
            .helium(["ls", path])
            .fails(2, &["neither a regular file nor a block device"]);
    }
    assert!(!place.path("new").exists());
}

#[test]
fn no_file_is_made_behind_a_link() {
    let place = Place::new();
    symlink(place.path("target"), place.path("link")).expect("the test's own folder");
    for command in [
        &["create", "link", "--size", "64M"][..],
        &["create", "link"],
        &["create", "link", "d"],
    ] {
        place.helium(command).fails(4, &["link", "File exists"]);
        assert!(!place.path("target").exists(), "{command:?}");
        assert!(place.path("link").is_symlink(), "{command:?}");
    }
}

#[test]
fn memory_that_no_machine_has_is_said() {
    let place = Place::new();
    for bytes in ["17592186044416", "1099511627776000"] {
        let url = format!("he://./_{bytes}");
        place.helium(["create", &url]).fails(2, &[bytes, "memory"]);
    }
}
