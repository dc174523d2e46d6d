//! Several changes in one step: all of them or none, whatever is wrong and whatever ends the command.

use std::{io::Write, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Place, wait, wait_until};

fn filled() -> Place {
    let place = Place::with_volume();
    place.helium(["create", "v", "e"]).ok();
    place.helium(["put", "v", "d", "old", "1"]).ok();
    place
}

#[test]
fn changes_of_all_kinds_are_done_together() {
    let place = filled();
    let text = "# a remark\nput d k v\n  put e 'a b' \"c\\x00\\\"d\"\r\n\ninsert d new 1\nreplace d old 2\n\
        rm d new\nrm -f d gone\n{\"datastore\":\"e\",\"key\":{\"base64\":\"/w==\"},\"value\":\"x\"}\n\
        {\"datastore\":\"d\",\"key\":\"j\",\"value\":\"1\",\"change\":\"insert\"}\n\
        {\"datastore\":\"d\",\"key\":\"j\",\"change\":\"rm\"}\n";
    place.write("changes", text);
    let json = place.helium(["batch", "v", "changes", "--json"]).json();
    assert_eq!((&json["put"], &json["removed"]), (&6.into(), &3.into()));
    let text = place.helium(["scan", "v", "d"]).text();
    assert_eq!(text, "k\tv\nold\t2\n");
    let text = place.helium(["scan", "v", "e", "--hex"]).text();
    assert_eq!(text, "612062\t63002264\nff\t78\n");
    let said = place.helium_with(["batch", "v", "-"], b"rm d k\n").text();
    assert_eq!(said, "0 items put, 1 removed\n");
    // A dump is one.
    let dump = place.helium(["dump", "v"]).ok();
    let items: Vec<u8> = dump
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.windows(6).any(|part| part == b"\"key\":"))
        .flatten()
        .copied()
        .collect();
    place.helium(["truncate", "v", "d", "e"]).ok();
    place.helium_with(["batch", "v"], &items).ok();
    assert_eq!(place.helium(["dump", "v"]).ok(), dump);
}

#[test]
fn nothing_is_done_if_anything_is_wrong() {
    let place = filled();
    let before = place.helium(["dump", "v"]).ok();
    for (line, code, sentence) in [
        ("insert d old 2", 4, "the key old"),
        ("replace d gone 2", 3, "the key gone"),
        ("rm d gone", 3, "rm -f"),
        ("put nothing k v", 3, "The volume has: d, e."),
        ("put d k", 9, "has 2 words behind \"put\""),
        ("put d k 'v", 9, "a quote is opened"),
        ("put d k \\q", 9, "behind a backslash"),
        ("del d k", 9, "\"del\" is no change"),
        ("{\"key\":\"k\",\"value\":\"v\"}", 9, "has no \"datastore\""),
        ("{\"datastore\":\"d\",\"key\":\"k\"}", 9, "has no \"value\""),
        (
            "{\"datastore\":\"d\",\"key\":\"k\",\"value\":\"v\",\"change\":\"rm\"}",
            9,
            "removes the item",
        ),
        (
            "{\"datastore\":\"d\",\"key\":\"k\",\"change\":\"x\"}",
            9,
            "the change \"x\" is none",
        ),
        (
            "{\"datastore\":\"d\",\"unordered\":true}",
            9,
            "makes no datastores",
        ),
        ("{", 9, "not a JSON object"),
    ] {
        let input = format!("put d k v\nput e k v\n{line}\nput d l v\n");
        let ran = place.helium_with(["batch", "v"], input.as_bytes());
        ran.fails(code, &["line 3: ", sentence, "Nothing of it was done."]);
        assert_eq!(place.helium(["dump", "v"]).ok(), before, "{line}");
    }
    let cut = place.helium_with(["batch", "v"], b"put d k v\nput d l val");
    cut.fails(9, &["line 2: the line has no end", "cut off"]);
    let key = "k".repeat(140_000);
    let ran = place.helium_with(
        ["batch", "v"],
        format!("put d k v\nput d {key} v\n").as_bytes(),
    );
    ran.fails(9, &["line 2: "]);
    assert_eq!(place.helium(["dump", "v"]).ok(), before);
}

/// More than the memory of a transaction, and then a signal: what waited in the log is not there.
#[test]
fn a_batch_that_is_stopped_has_done_nothing() {
    let place = filled();
    let before = place.helium(["dump", "v"]).ok();
    for signal in [Signal::INT, Signal::KILL] {
        let mut child = place
            .command()
            .args(["batch", "v"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        let mut stdin = child.stdin.take().expect("piped");
        let value = "v".repeat(1 << 20);
        for number in 0..80 {
            writeln!(stdin, "put d {number} {value}").expect("it reads");
        }
        // All but what the pipe holds was read: it is in the middle of it.
        kill_process(Pid::from_child(&child), signal).expect("a child of ours");
        let code = wait(&mut child);
        assert_eq!(code, (signal == Signal::INT).then_some(130));
        drop(stdin);
        wait_until(
            || place.helium(["ls", "v"]).code == Some(0),
            || "it is still in use".to_owned(),
        );
        assert_eq!(place.helium(["dump", "v"]).ok(), before);
    }
}

#[test]
fn more_than_a_transaction_has_memory_for_goes_in_whole() {
    let place = filled();
    let value = "v".repeat(1 << 20);
    let lines: String = (0..80).map(|n| format!("put d {n:03} {value}\n")).collect();
    place.helium_with(["batch", "v"], lines.as_bytes()).ok();
    assert_eq!(place.helium(["count", "v", "d"]).text(), "81\n");
    assert_eq!(
        place.helium(["get", "v", "d", "079"]).ok(),
        value.as_bytes()
    );
}
