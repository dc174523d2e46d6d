//! Whatever ends the command, the volume is sound, and holds a prefix of what was loaded.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{HELIUM, Place, Terminal, has, wait, wait_until};

fn item(number: u64) -> String {
    format!("{{\"key\":\"{number:08}\",\"value\":\"of {number}\"}}\n")
}

/// Items in the volume; they must be the first ones, with their values.
fn sound_items(place: &Place) -> u64 {
    place.helium(["verify", "v"]).ok();
    let text = place.helium(["scan", "v", "d"]).text();
    for (number, line) in text.lines().enumerate() {
        assert_eq!(line, format!("{number:08}\tof {number}"));
    }
    text.lines().count() as u64
}

/// A load that has taken `items` and waits for more.
fn loading(place: &Place, items: u64) -> Child {
    let input: String = (0..items).map(item).collect();
    place.loading(input.as_bytes(), |_| ())
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).expect("a child of ours");
}

#[test]
fn ctrl_c_in_the_middle_of_a_load_keeps_what_was_loaded() {
    let place = Place::with_volume();
    for stop in [Signal::INT, Signal::TERM] {
        // More than a pipe holds: some are certainly taken.
        let items = 20_000;
        let mut child = loading(&place, items);
        signal(&child, stop);
        assert_eq!(wait(&mut child), Some(130));
        let output = child.wait_with_output().expect("its output");
        let err = String::from_utf8(output.stderr).expect("text");
        assert!(err.contains("stopped as asked"), "{err}");
        let there = sound_items(&place);
        assert!(there > 0 && there <= items);
        let said = err.replace(',', "");
        assert!(
            said.contains(&format!("The {there} items before it are in the volume")),
            "{err}: {there}"
        );
        // It goes on where it stopped.
        let all: String = (0..items).map(item).collect();
        place
            .helium_with(["load", "v", "-d", "d"], all.as_bytes())
            .ok();
        assert_eq!(sound_items(&place), items);
        place.helium(["truncate", "v", "d"]).ok();
    }
}

#[test]
fn a_killed_load_leaves_a_prefix() {
    let place = Place::with_volume();
    let mut child = loading(&place, 20_000);
    signal(&child, Signal::KILL);
    assert_eq!(wait(&mut child), None);
    assert!(sound_items(&place) <= 20_000);
}

#[test]
fn ctrl_c_typed_into_a_terminal_ends_a_wait_for_input() {
    if !has("setsid") {
        return;
    }
    let place = Place::with_volume();
    let mut terminal = Terminal::new();
    let mut child = Command::new("setsid")
        .args([
            "--ctty", "--wait", HELIUM, "load", "v", "-d", "d", "-f", "jsonl",
        ])
        .arg("--as-it-comes")
        .current_dir(place.path(""))
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end())
        .spawn()
        .expect("start");
    terminal.type_in(&item(0));
    terminal.type_in(&item(1));
    // Drawn after a second: the items are taken by then.
    terminal.wait_for("loading items: 2");
    terminal.type_in("\u{3}");
    assert_eq!(wait(&mut child), Some(130));
    wait_until(
        || terminal.shown().contains("stopped as asked"),
        || terminal.shown(),
    );
    assert_eq!(sound_items(&place), 2);
}

#[test]
fn ctrl_c_typed_instead_of_an_answer_ends_the_command() {
    if !has("setsid") {
        return;
    }
    let place = Place::with_volume();
    let mut terminal = Terminal::new();
    let mut child = Command::new("setsid")
        .args(["--ctty", "--wait", HELIUM, "drop", "v", "d"])
        .current_dir(place.path(""))
        .stdin(terminal.end())
        .stdout(terminal.end())
        .stderr(terminal.end())
        .spawn()
        .expect("start");
    terminal.wait_for("[y/N]");
    terminal.type_in("\u{3}");
    assert_eq!(wait(&mut child), Some(130));
    place.helium(["stat", "v", "d"]).ok();
}

/// Whether it has a handler for SIGINT, so that the signal does not simply end it.
fn listens(child: &Child) -> bool {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    caught.is_some_and(|mask| mask & (1 << 1) != 0)
}

/// Nobody can ask the store to stop opening: the process ends, and says so.
#[test]
fn ctrl_c_ends_an_opening() {
    let place = Place::with_volume();
    let mut killed = loading(&place, 100_000);
    signal(&killed, Signal::KILL);
    wait(&mut killed);
    let copy = std::fs::read(place.path("v")).expect("the volume");
    let mut stopped = 0;
    for json in [false, true].repeat(20) {
        // Of what was killed all of the log is read.
        place.write("v", &copy);
        let mut child = place
            .command()
            .args(["truncate", "v", "d"])
            .args(json.then_some("--json"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start");
        wait_until(|| listens(&child), || "it does not listen".to_owned());
        signal(&child, Signal::INT);
        let code = wait(&mut child);
        let said = child.wait_with_output().expect("its output").stderr;
        let said = String::from_utf8_lossy(&said);
        assert!(code == Some(130) || code == Some(0), "{code:?}: {said}");
        let is_json = serde_json::from_str::<serde_json::Value>(&said).is_ok();
        assert_eq!(is_json, json && code == Some(130), "{said}");
        if said.contains("The volume was not open yet") {
            assert!(sound_items(&place) > 0, "nothing was truncated");
            stopped += 1;
        }
        if stopped > 3 {
            return;
        }
    }
    panic!("{stopped} openings were stopped");
}

#[test]
fn an_interrupted_measurement_leaves_nothing_behind() {
    let place = Place::with_volume();
    let bench = |volume: &[&str]| {
        place
            .command()
            .args([
                "bench",
                "-o",
                "1000000000",
                "-t",
                "1",
                "-w",
                "helium",
                "-v",
                "1",
            ])
            .args(volume)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start")
    };
    for volume in [&[][..], &["v"]] {
        let mut child = bench(volume);
        wait_until(|| listens(&child), || "it does not listen".to_owned());
        thread::sleep(Duration::from_millis(300));
        signal(&child, Signal::INT);
        assert_eq!(wait(&mut child), Some(130));
    }
    assert_eq!(place.helium(["ls", "v"]).text().lines().count(), 2);
    let left = std::fs::read_dir(place.path("")).expect("the folder");
    assert_eq!(left.count(), 1, "only the volume is left");
}

#[test]
fn a_dump_that_is_cut_short_leaves_the_file_as_it_was() {
    let place = Place::with_volume();
    let items: String = (0..100_000).map(item).collect();
    place
        .helium_with(["load", "v", "-d", "d"], items.as_bytes())
        .ok();
    place.write("dump", "old");
    let mut cut = 0;
    for pause in [5, 10, 20, 40, 80, 160] {
        let mut child = place
            .command()
            .args(["dump", "v", "-o", "dump"])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("start");
        thread::sleep(Duration::from_millis(pause));
        signal(&child, Signal::INT);
        let code = wait(&mut child);
        let dump = std::fs::read(place.path("dump")).expect("a file");
        let lines = dump.split(|byte| *byte == b'\n').count();
        assert!(dump == b"old" || lines == 100_002, "{lines} lines");
        assert!(code == Some(0) || dump == b"old");
        cut += u32::from(code == Some(130));
        place.write("dump", "old");
    }
    eprintln!("{cut} dumps were cut short");
}

/// Whenever Ctrl-C comes, whatever it was doing: it ends soon, and the volume is as it was.
#[test]
fn every_long_command_can_be_stopped() {
    let place = Place::with_volume();
    let items: String = (0..50_000).map(item).collect();
    place
        .helium_with(["load", "v", "-d", "d"], items.as_bytes())
        .ok();
    let dump = place.helium(["dump", "v"]).ok();
    let mut stopped = Vec::new();
    for command in ["verify", "compact", "scan", "backup", "salvage", "top"] {
        for pause in [1, 20] {
            let _ = std::fs::remove_file(place.path("copy"));
            let mut arguments = vec![command, "v"];
            match command {
                "scan" => arguments.push("d"),
                "backup" | "salvage" => arguments.push("copy"),
                _ => {}
            }
            let mut child = place
                .command()
                .args(&arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("start");
            wait_until(
                || listens(&child) || matches!(child.try_wait(), Ok(Some(_))),
                || "it does not listen".to_owned(),
            );
            thread::sleep(Duration::from_millis(pause));
            signal(&child, Signal::INT);
            let code = wait(&mut child);
            let output = child.wait_with_output().expect("its output");
            let said = String::from_utf8_lossy(&output.stderr);
            // There is nothing to look at for top.
            let ended = if command == "top" { Some(3) } else { Some(0) };
            assert!(
                code == Some(130) || code == ended,
                "{command}: {code:?} {said}"
            );
            if code == Some(130) {
                assert!(said.contains("stopped"), "{command}: {said}");
                stopped.push(command);
            }
        }
        place.helium(["verify", "v"]).ok();
        assert_eq!(place.helium(["dump", "v"]).ok(), dump, "{command}");
    }
    eprintln!("stopped: {stopped:?}");
}
