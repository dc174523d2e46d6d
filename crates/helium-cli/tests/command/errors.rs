//! Failures are sentences with advice, and each kind has its exit code.

use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::unix::{fs::FileExt, fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use crate::harness::{HELIUM, Place, has, run, wait_until};

#[test]
fn a_wrong_path_says_how_to_make_a_volume() {
    let place = Place::new();
    for command in ["ls", "stat", "verify", "dump"] {
        place.helium([command, "gone"]).fails(
            3,
            &[
                "open gone",
                "There is no volume there",
                "helium create gone",
            ],
        );
    }
    place
        .helium(["create", "no/such/folder"])
        .fails(3, &["no/such/folder", "folder"]);
    place
        .helium(["ls", "he://host.invalid/v"])
        .fails(11, &["its name is not known"]);
    place.helium(["ls", "file:///v"]).fails(
        2,
        &["must start with he://", "A volume is named by its path"],
    );
    // A directory stands for a volume in it.
    place
        .helium(["ls", "."])
        .fails(3, &["open ./helium.volume", "There is no volume there"]);
    let ran = place.helium(["ls", "gone", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
    assert_eq!(
        (ran.code, json["error"]["code"].as_u64()),
        (Some(3), Some(3))
    );
    assert!(
        json["error"]["advice"]
            .as_str()
            .is_some_and(|text| text.contains("helium create"))
    );
}

#[test]
fn wrong_arguments_are_named() {
    let place = Place::with_volume();
    place.helium(["nonsense"]).fails(2, &["nonsense"]);
    place.helium(["get", "v", "d"]).fails(2, &["<KEY>"]);
    place
        .helium(["get", "v", "d", "-x", "0g"])
        .fails(2, &["the key \"0g\" is not hexadecimal"]);
    place
        .helium(["--server"])
        .fails(2, &["`helium server VOLUME`"]);
    place
        .helium(["bench", "-v", "1X"])
        .fails(2, &["units are K, M, G and T"]);
}

#[test]
fn wrong_arguments_are_json_too() {
    let place = Place::with_volume();
    for arguments in [&["get", "v", "d", "--json"][..], &["--json", "nonsense"]] {
        let ran = place.helium(arguments);
        let json: serde_json::Value = serde_json::from_str(&ran.err).expect("JSON");
        assert_eq!(
            (ran.code, json["error"]["code"].as_u64()),
            (Some(2), Some(2))
        );
        assert_eq!(json["error"]["kind"], "Usage");
    }
    place
        .helium(["dump", "v", "d", "--format", "csv", "--json"])
        .fails(2, &["--output FILE"]);
}

#[test]
fn an_unknown_datastore_is_guessed() {
    let place = Place::new();
    place.helium(["create", "v", "colors", "fruit"]).ok();
    for (name, meant) in [
        ("color", "colors"),
        ("friut", "fruit"),
        ("COLORS", "colors"),
    ] {
        let ran = place.helium(["scan", "v", name]);
        ran.fails(
            3,
            &[
                &format!("Did you mean {meant}?"),
                "The volume has: colors, fruit.",
            ],
        );
    }
    let ran = place.helium(["scan", "v", "nothing"]);
    assert!(!ran.err.contains("mean"), "{}", ran.err);
}

#[test]
fn output_that_cannot_be_written_is_said() {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "k", "v"]).ok();
    for arguments in [
        &["dump", "v"][..],
        &["scan", "v", "d"],
        &["ls", "v"],
        &["stat", "v", "--json"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full");
        let mut command = place.command();
        command.args(arguments).stdout(full.expect("a device"));
        let output = command.output().expect("start");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(8), "{arguments:?}: {said}");
        assert!(said.contains("cannot write the output"), "{said}");
    }
    place
        .helium(["dump", "v", "-o", "/dev/full"])
        .fails(8, &["No space left"]);
}

#[test]
fn no_permission_is_said() {
    let place = Place::with_volume();
    let mut command = place.command();
    command.args(["ls", "v"]);
    if fs::metadata("/root").is_ok_and(|_| fs::read_dir("/root").is_ok()) {
        // The system lets root do anything: be someone else.
        fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o755)).expect("ours");
        command.uid(65_534);
    } else {
        fs::set_permissions(place.path("v"), fs::Permissions::from_mode(0o000)).expect("ours");
    }
    run(command, b"").fails(6, &["open v", "Permission denied", "Ask for access"]);
}

#[test]
fn a_volume_in_use_says_by_whom() {
    let place = Place::with_volume();
    let mut child = place.loading(b"{\"key\":\"k\",\"value\":\"v\"}\n", |_| ());
    // A look at the volume before it is locked would itself be in the way.
    let open_files = format!("/proc/{}/fd", child.id());
    let is_open = || {
        let files = fs::read_dir(&open_files).into_iter().flatten().flatten();
        let mut places = files.filter_map(|file| fs::read_link(file.path()).ok());
        places.any(|file| file.ends_with("v"))
    };
    wait_until(is_open, || "it is never opened".to_owned());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let ran = place.helium(["ls", "--no-through", "v"]);
    ran.fails(
        5,
        &[
            &format!("in use by process {} (helium)", child.id()),
            "A process writes to it",
        ],
    );
    place.helium(["create", "v"]).fails(5, &["in use"]);
    place
        .helium(["create", "--overwrite", "v"])
        .fails(5, &["in use"]);
    drop(child.stdin.take());
    child.wait().expect("a child of ours");
    place.helium(["ls", "v"]).ok();
}

/// The lock was taken by a process that is over, and another one has what it left.
#[test]
fn whoever_has_inherited_a_volume_is_named() {
    if !has("flock") {
        return;
    }
    let place = Place::with_volume();
    let mut shell = Command::new("sh")
        .args(["-c", "exec 9<>v; flock -x 9; exec cat"])
        .current_dir(place.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    let mut stdin = shell.stdin.take().expect("piped");
    stdin.write_all(b"ready\n").expect("it reads");
    let mut ready = [0; 6];
    let answer = shell.stdout.as_mut().expect("piped");
    answer.read_exact(&mut ready).expect("it has the lock");
    let ran = place.helium(["put", "v", "d", "k", "v"]);
    ran.fails(5, &[&format!("in use by process {} (cat)", shell.id())]);
    drop(stdin);
    shell.wait().expect("a child of ours");
}

#[test]
fn what_is_no_volume_is_left_alone() {
    let place = Place::new();
    place.write("text", "important");
    for command in ["create", "ls"] {
        let ran = place.helium([command, "text"]);
        ran.fails(10, &["not a Helium volume", "--overwrite text"]);
    }
    let ran = place.helium(["create", "--overwrite", "text"]);
    ran.fails(1, &["text has 9 bytes", "64 MiB"]);
    assert_eq!(
        fs::read(place.path("text")).expect("still there"),
        b"important"
    );
    let file = OpenOptions::new().write(true).open(place.path("text"));
    file.and_then(|file| file.set_len(70 << 20))
        .expect("a hole");
    place.helium(["create", "--overwrite", "text", "d"]).ok();
    let ran = place.helium(["create", "text"]);
    ran.fails(4, &["there is a volume already"]);
    place
        .helium(["create", "text", "d"])
        .fails(4, &["'d' exists already"]);
}

#[test]
fn a_volume_that_was_not_made_leaves_no_files() {
    let place = Place::new();
    place
        .helium(["create", "small", "--size", "1M"])
        .fails(1, &["small has 1048576 bytes", "64 MiB"]);
    let twice = place.helium(["create", "twice,twice"]);
    assert_eq!(twice.err.matches("he://").count(), 1, "{}", twice.err);
    twice.fails(2, &["names one device twice"]);
    // What was there stays, whatever it holds.
    place.write("text", "important");
    place.helium(["create", "text,more", "d"]).fails(10, &[]);
    assert_eq!(
        fs::read(place.path("text")).expect("still there"),
        b"important"
    );
    let left = fs::read_dir(place.path("")).expect("the folder");
    let left: Vec<_> = left.flatten().map(|file| file.file_name()).collect();
    assert_eq!(left, ["text"]);
}

#[test]
fn damage_is_found_and_named() {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "good", "value"]).ok();
    place
        .helium(["put", "v", "d", "bad", "a value to be found again"])
        .ok();
    place.helium(["put", "v", "d", "later", "value"]).ok();
    place.helium(["create", "v", "other"]).ok();
    let bytes = fs::read(place.path("v")).expect("the volume");
    let wanted = b"a value to be found again";
    let at = bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .expect("it is in there");
    let file = OpenOptions::new()
        .write(true)
        .open(place.path("v"))
        .expect("the volume");
    file.write_all_at(b"X", at as u64).expect("the volume");
    place
        .helium(["verify", "v"])
        .fails(7, &["v: 1 item damaged", "restore", "helium salvage v NEW"]);
}

/// What is damaged behind a checkpoint's back does not keep the volume from opening.
#[test]
fn damaged_items_are_listed_one_by_one() {
    let place = Place::with_volume();
    place.helium(["create", "v", "other"]).ok();
    let filler = "f".repeat(1000);
    let lines: String = (0..8000)
        .map(|n| format!("{{\"key\":\"{n:04}\",\"value\":\"value of {n:04} {filler}\"}}\n"))
        .collect();
    place
        .helium_with(["load", "v", "-d", "d"], lines.as_bytes())
        .ok();
    place.helium(["put", "v", "other", "k", "v"]).ok();
    place.helium(["compact", "v"]).ok();
    let bytes = fs::read(place.path("v")).expect("the volume");
    let file = OpenOptions::new().write(true).open(place.path("v"));
    let file = file.expect("the volume");
    for number in [5, 77] {
        let wanted = format!("value of {number:04}");
        let places = bytes.windows(wanted.len()).enumerate();
        for (at, _) in places.filter(|(_, window)| *window == wanted.as_bytes()) {
            file.write_all_at(b"X", at as u64).expect("the volume");
        }
    }
    let ran = place.helium(["verify", "v", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&ran.out).expect("JSON");
    assert_eq!(
        (&json["damaged"], &json["items"]),
        (&2.into(), &7999.into())
    );
    let keys: Vec<_> = (0..2).map(|n| json["damage"][n]["key"].clone()).collect();
    assert_eq!(keys, ["0005", "0077"]);
    assert_eq!(json["damage"][0]["datastore"], "d");
    ran.fails(7, &["v: 2 items damaged", "helium salvage v NEW"]);
    let ran = place.helium(["verify", "v", "d"]);
    let text = String::from_utf8_lossy(&ran.out).into_owned();
    assert!(
        text.contains("0077") && text.contains("v is damaged at offset"),
        "{text}"
    );
    place.helium(["verify", "v", "other"]).ok();
    place
        .helium(["get", "v", "d", "0005"])
        .fails(7, &["v is damaged at offset"]);
    place.helium(["get", "v", "d", "0006"]).ok();
}

#[test]
fn a_newer_format_is_not_touched() {
    let place = Place::with_volume();
    let path = place.path("v");
    let mut bytes = fs::read(&path).expect("the volume");
    helium_sim::change_superblocks(&mut bytes, |block| block[8] += 1);
    fs::write(&path, &bytes).expect("the volume");
    for command in ["ls", "create"] {
        place.helium([command, "v"]).fails(10, &["newer"]);
    }
    assert_eq!(fs::read(&path).expect("the volume"), bytes);
}

#[test]
fn a_full_disk_is_said() {
    if !has("unshare") {
        return;
    }
    let place = Place::new();
    let folder = place.path("");
    let folder = folder.display();
    let script = format!(
        "mount -t tmpfs -o size=100m none {folder} && cd {folder} && \
         {HELIUM} create v d </dev/null && {{ {HELIUM} load v -d d -f jsonl; code=$?; \
         {HELIUM} backup v w </dev/null; test ! -e w || exit 99; exit $code; }}"
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script]);
    let value = "x".repeat(100_000);
    let lines: String = (0..2000)
        .map(|n| format!("{{\"key\":\"{n}\",\"value\":\"{value}\"}}\n"))
        .collect();
    let ran = run(command, lines.as_bytes());
    if ran.err.contains("unshare") || ran.err.contains("mount") {
        eprintln!("skipped: {}", ran.err);
        return;
    }
    ran.fails(
        8,
        &[
            "no room for a new volume",
            "Name a place with more room",
            "standard input: line ",
            "Deleting still works",
        ],
    );
}

#[test]
fn bad_input_is_named_by_file_and_line() {
    let place = Place::with_volume();
    place.write("bad.csv", "key,value\na,1\nb,2\nc\n");
    let bad = &["load", "v", "bad.csv", "-d", "d"];
    let sentence = "bad.csv: line 4: has 1 field, and the header has 2";
    place
        .helium(bad)
        .fails(9, &[sentence, "Nothing of it was loaded."]);
    assert_eq!(place.helium(["scan", "v", "d", "-k"]).text(), "");
    place
        .helium(bad.iter().chain(&["--as-it-comes"]))
        .fails(9, &[sentence, "The 2 items before it are in the volume"]);
    assert_eq!(place.helium(["scan", "v", "d", "-k"]).text(), "a\nb\n");
    place
        .helium_with(["load", "v", "-d", "d"], b"{\"key\":\"a\"}\n")
        .fails(
            9,
            &[
                "standard input: line 1",
                "no \"value\"",
                "Nothing of it was loaded.",
            ],
        );
    place
        .helium_with(["load", "v"], b"{\"key\":\"a\",\"value\":\"\"}\n")
        .fails(2, &["line 1", "--datastore NAME"]);
    place
        .helium(["load", "v", "gone.csv"])
        .fails(3, &["cannot read gone.csv"]);
    place
        .helium_with(
            ["load", "v", "-d", "d", "--insert"],
            b"{\"key\":\"z\",\"value\":\"\"}\n{\"key\":\"a\",\"value\":\"\"}\n",
        )
        .fails(4, &["line 2", "The item before it is in the volume"]);
    let long = "x".repeat(131_073);
    let line = format!("{{\"key\":\"{long}\",\"value\":\"\"}}\n");
    place
        .helium_with(["load", "v", "-d", "d"], line.as_bytes())
        .fails(9, &["line 1: the key has 131,073 bytes", "Nothing of it"]);
}

/// Neither its items nor its datastore are there, whichever way the input came.
#[test]
fn of_input_that_was_cut_off_nothing_stays() {
    let place = Place::with_volume();
    let dump = "WiredTiger Dump (x)\nFormat=print\nHeader\ntable:t\nkey_format=u\nData\n";
    for (name, text, sentence) in [
        (
            "cut.csv",
            "key,value\ncut,1\nd,\"begun".to_owned(),
            "line 3: a double quote is opened",
        ),
        (
            "cut.csv",
            "key,value\ncut,1\nd,\"begun\nmore,\n".to_owned(),
            "line 3: a double quote is opened",
        ),
        (
            "cut.csv",
            "key,value\ncut,1\nd,begu".to_owned(),
            "line 3: the last line has no end",
        ),
        (
            "cut.wt",
            format!("{dump}cut\nvalue\nkey\nval"),
            "line 10: the line has no end",
        ),
        (
            "cut.wt",
            format!("{dump}cut\nvalue\nkey\n"),
            "line 9: the input ends with a key",
        ),
        (
            "cut.jsonl",
            "{\"key\":\"cut\",\"value\":\"\"}\n{\"key\":\"k\",\"val".to_owned(),
            "line 2: not a JSON object: EOF",
        ),
    ] {
        place.write(name, &text);
        let parts = &[sentence, "Nothing of it was loaded."];
        let format = match name.rsplit_once('.') {
            Some((_, "wt")) => "wiredtiger",
            Some((_, ending)) => ending,
            None => unreachable!("all of them have endings"),
        };
        let piped = ["load", "v", "-d", "new", "-f", format];
        place.helium_with(piped, text.as_bytes()).fails(9, parts);
        place
            .helium(["load", "v", name, "-d", "new"])
            .fails(9, parts);
        assert_eq!(place.helium(["ls", "v"]).text().lines().count(), 2);
    }
}

/// What does not fit into memory comes from a file, and is as whole as what does.
#[test]
fn a_long_input_through_a_pipe_is_loaded_whole() {
    let place = Place::with_volume();
    let value = "x".repeat(1 << 20);
    let lines: String = (0..20)
        .map(|number| format!("{{\"key\":\"{number:02}\",\"value\":\"{value}\"}}\n"))
        .collect();
    let loaded = place.helium_with(["load", "v", "-d", "d", "--json"], lines.as_bytes());
    assert_eq!(loaded.json()["items"], 20);
    place
        .helium_with(
            ["load", "v", "-d", "new"],
            &lines.as_bytes()[..lines.len() - 2],
        )
        .fails(9, &["line 20", "Nothing of it was loaded."]);
    assert_eq!(place.helium(["ls", "v"]).text().lines().count(), 2);
}
