//! Each command does what its help says.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Place, has, run};

#[test]
fn items_go_in_and_come_out() {
    let place = Place::new();
    place.helium(["create", "v", "d"]).ok();
    place.helium(["put", "v", "d", "apple", "red"]).ok();
    place
        .helium_with(["put", "v", "d", "pear"], b"a\0\xff")
        .ok();
    place.write("file", "yellow");
    place
        .helium(["put", "v", "d", "banana", "--file", "file"])
        .ok();
    assert_eq!(place.helium(["get", "v", "d", "apple"]).ok(), b"red");
    assert_eq!(place.helium(["get", "v", "d", "pear"]).ok(), b"a\0\xff");
    assert_eq!(
        place.helium(["get", "v", "d", "70656172", "-x"]).ok(),
        b"6100ff\n"
    );
    assert_eq!(
        place.helium(["get", "v", "d", "62616e616e61", "-x"]).ok(),
        b"79656c6c6f77\n"
    );
    let json = place.helium(["get", "v", "d", "pear", "--json"]).json();
    assert_eq!(json["value"]["base64"], "YQD/");
    place
        .helium(["put", "v", "d", "apple", "green", "--insert"])
        .fails(4, &["exists"]);
    place
        .helium(["put", "v", "d", "kiwi", "green", "--replace"])
        .fails(3, &["kiwi"]);
    place
        .helium(["put", "v", "d", "apple", "green", "--replace"])
        .ok();
    place.helium(["rm", "v", "d", "pear"]).ok();
    place
        .helium(["rm", "v", "d", "pear", "apple"])
        .fails(3, &["pear"]);
    assert_eq!(
        place
            .helium(["rm", "v", "d", "pear", "apple", "-f", "--json"])
            .json()["removed"],
        1
    );
    assert_eq!(place.helium(["scan", "v", "d"]).text(), "banana\tyellow\n");
}

#[test]
fn scans_have_bounds() {
    let place = Place::with_volume();
    for key in ["a", "b1", "b2", "b\u{ff}", "c", "tab\there"] {
        place.helium(["put", "v", "d", key, "x\ny"]).ok();
    }
    let keys = |arguments: &[&str]| {
        let all = [&["scan", "v", "d", "--keys"], arguments].concat();
        place.helium(all).text().replace('\n', " ")
    };
    assert_eq!(keys(&[]), "a b1 b2 b\u{ff} c tab\\there ");
    assert_eq!(keys(&["--reverse", "-n", "2"]), "tab\\there c ");
    assert_eq!(keys(&["--prefix", "b"]), "b1 b2 b\u{ff} ");
    assert_eq!(keys(&["--prefix", "b", "--reverse"]), "b\u{ff} b2 b1 ");
    assert_eq!(keys(&["--from", "b2", "--to", "c"]), "b2 b\u{ff} ");
    assert_eq!(keys(&["--from", "x"]), "");
    assert_eq!(
        place.helium(["scan", "v", "d", "-n", "1"]).text(),
        "a\tx\\ny\n"
    );
    let json = place.helium(["scan", "v", "d", "-n", "1", "--json"]).json();
    assert_eq!(json, serde_json::json!({"key": "a", "value": "x\ny"}));
}

#[test]
fn datastores_come_and_go() {
    let place = Place::new();
    let created = place.helium(["create", "v", "a", "b", "--json"]).json();
    assert_eq!(created["datastores"], serde_json::json!(["a", "b"]));
    place.helium(["create", "v", "c"]).ok();
    place.helium(["put", "v", "b", "k", "v"]).ok();
    place.helium(["rename", "v", "b", "z"]).ok();
    place
        .helium(["rename", "v", "a", "z"])
        .fails(4, &["'z'", "nothing was renamed"]);
    let names = |place: &Place| -> Vec<String> {
        let all = place.helium(["ls", "v", "--json"]).json();
        let all = all.as_array().expect("a list");
        all.iter()
            .map(|one| format!("{}={}", one["name"].as_str().expect("text"), one["items"]))
            .collect()
    };
    assert_eq!(names(&place), ["a=0", "c=0", "z=1"]);
    place.helium(["truncate", "v", "z"]).ok();
    // Nothing happens unless all are there.
    place
        .helium(["drop", "v", "c", "nothing"])
        .fails(3, &["'nothing'", "a, c, z"]);
    place.helium(["drop", "v", "c"]).ok();
    assert_eq!(names(&place), ["a=0", "z=0"]);
    let table = place.helium(["ls", "v"]).text();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("NAME  ITEMS"), "{table}");
    // Figures end where their heading ends.
    assert_eq!(
        lines[1].find(" 0 ").map(|at| at + 2),
        lines[0].find("ITEMS").map(|at| at + 5)
    );
}

#[test]
fn a_datastore_without_order_is_scanned_whole() {
    let place = Place::new();
    place.helium(["create", "v", "d", "--unordered"]).ok();
    for key in ["a", "b", "c"] {
        place.helium(["put", "v", "d", key, "x"]).ok();
    }
    assert_eq!(place.helium(["get", "v", "d", "b"]).ok(), b"x");
    assert_eq!(place.helium(["scan", "v", "d"]).text().lines().count(), 3);
    let ran = place.helium(["scan", "v", "d", "--from", "b"]);
    ran.fails(2, &["unordered", "Without --from"]);
    place.helium(["verify", "v"]).ok();
    assert!(place.helium(["ls", "v"]).text().contains("unordered"));
    // It comes back as one.
    let dump = place.helium(["dump", "v"]).ok();
    place.helium(["create", "w"]).ok();
    place.helium_with(["load", "w"], &dump).ok();
    let listed = place.helium(["ls", "w", "--json"]).json();
    assert_eq!(
        (&listed[0]["unordered"], &listed[0]["items"]),
        (&true.into(), &3.into())
    );
}

#[test]
fn datastores_are_made_as_asked() {
    let place = Place::new();
    let made = ["create", "v", "z", "--compress", "--attributes", "of=fruit"];
    place.helium(made).ok();
    place.helium(["create", "v", "plain"]).ok();
    let listed = |volume: &str| {
        let all = place.helium(["ls", volume, "--json"]).json();
        ["compress", "attributes"].map(|field| [all[0][field].clone(), all[1][field].clone()])
    };
    let expected: [[Value; 2]; 2] = [[false.into(), true.into()], ["".into(), "of=fruit".into()]];
    assert_eq!(listed("v"), expected);
    let value = "x".repeat(100_000);
    let load = |datastore: &str| {
        let line = format!("{{\"key\":\"k\",\"value\":\"{value}\"}}\n");
        place
            .helium_with(["load", "v", "-d", datastore], line.as_bytes())
            .ok();
        let stat = place.helium(["stat", "v", "--json"]).json();
        stat["live_bytes"].as_u64().expect("a figure")
    };
    assert!(load("z") < 50_000 && load("plain") > 100_000);
    // A dump of it is one of a datastore that compresses.
    let dump = place.helium(["dump", "v"]).ok();
    place
        .helium_with(["load", "w", "-"], &dump)
        .fails(3, &["helium create w"]);
    place.helium(["create", "w"]).ok();
    place.helium_with(["load", "w", "-"], &dump).ok();
    assert_eq!(listed("w"), expected);
    assert_eq!(place.helium(["dump", "w"]).ok(), dump);
    // Files of one size, for good.
    place.helium(["create", "a,b", "--size", "64M"]).ok();
    let stat = place.helium(["stat", "a,b", "--json"]).json();
    assert_eq!(stat["capacity_bytes"], 128 << 20);
    place
        .helium(["create", "a,b", "d", "--size", "64M"])
        .fails(4, &["a has a size already"]);
}

#[test]
fn figures_have_units_and_json_has_none() {
    let place = Place::with_volume();
    place.helium(["put", "v", "d", "k", "v"]).ok();
    for stat in ["stat", "--stat"] {
        let text = place.helium([stat, "v"]).text();
        assert!(text.contains("MiB") && text.contains("items"), "{text}");
    }
    let json = place.helium(["stat", "v", "--json"]).json();
    assert_eq!(
        (json["datastores"].as_u64(), json["items"].as_u64()),
        (Some(1), Some(1))
    );
    assert!(json["capacity_bytes"].as_u64() >= Some(64 << 20));
    assert_eq!(
        place.helium(["stat", "v", "d", "--json"]).json()["items"],
        1
    );
    for verify in ["verify", "--test"] {
        let text = place.helium([verify, "v"]).text();
        assert!(text.contains("sound"), "{text}");
    }
    let json = place.helium(["verify", "v", "d", "--json"]).json();
    assert_eq!(
        json,
        serde_json::json!({"items": 1, "records": 0, "bytes": 2, "damaged": 0, "damage": []})
    );
}

#[test]
fn a_volume_may_be_several_files_or_a_url() {
    let place = Place::new();
    place.helium(["create", "a,_b", "d"]).ok();
    place
        .helium(["put", "he://./_b,a", "d", "k", "v"])
        .fails(2, &["memory"]);
    place.helium(["put", "he://././_b,a", "d", "k", "v"]).ok();
    assert_eq!(place.helium(["get", "a,_b", "d", "k"]).ok(), b"v");
    place
        .helium(["get", "a", "d", "k"])
        .fails(7, &["Name exactly the devices"]);
}

#[test]
fn readers_share_and_output_may_end_early() {
    let place = Place::with_volume();
    let lines: String = (0..20_000)
        .map(|n| format!("{{\"key\":\"{n}\",\"value\":\"some value\"}}\n"))
        .collect();
    place
        .helium_with(["load", "v", "-d", "d"], lines.as_bytes())
        .ok();
    let mut child = place
        .command()
        .args(["scan", "v", "d"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("start");
    let mut first = [0; 2];
    std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut first).expect("output");
    // It is stuck writing: the volume is open, and others may read it.
    assert_eq!(place.helium(["get", "v", "d", "7"]).ok(), b"some value");
    drop(child.stdout.take());
    let ended = child.wait_with_output().expect("its end");
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), Vec::new()));
}

#[test]
fn shells_and_manuals_are_served() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.helium(["completions", shell]).text();
        assert!(script.contains("truncate"), "{shell}");
    }
    place.helium(["man", "pages"]).ok();
    let title = |page: &str| {
        let (name, _) = page.split_once('.').expect("a section");
        format!("\n.TH {name} 1 2026-11-30 \"helium 0")
    };
    for page in ["helium.1", "helium-load.1", "helium-bench.1"] {
        let text = std::fs::read_to_string(place.path("pages").join(page)).expect(page);
        assert!(
            text.starts_with(".ie") && text.contains(".SH SYNOPSIS") && text.contains(&title(page)),
            "{page}"
        );
    }
    let version = place.helium(["--version"]).text();
    assert!(version.starts_with("helium "), "{version}");
    for arguments in [["--version", "--json"], ["--json", "-V"]] {
        let json = place.helium(arguments).json();
        assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    }
    let help = place.helium(["--help"]).text();
    assert!(help.contains("130  stopped by Ctrl-C"), "{help}");
}

/// As bash calls the function when someone presses Tab.
#[test]
fn bash_completes_commands_options_and_values() {
    if !has("bash") {
        return;
    }
    let place = Place::new();
    place.write("script", place.helium(["completions", "bash"]).ok());
    for (typed, expected) in [
        ("helium b", "batch backup bench"),
        ("helium --json tr", "truncate"),
        ("helium load --fo", "--format"),
        (
            "helium load --format ",
            "jsonl json csv tsv mdb wiredtiger wiredtiger-hex",
        ),
        ("helium bench --work h", "helium"),
        // Files are the shell's own business.
        ("helium ls vol", ""),
    ] {
        let words: Vec<_> = typed.split(' ').map(|word| format!("'{word}'")).collect();
        let press = format!(
            ". ./script; complete -p helium | grep -q -- '-o default' || exit 1; \
             COMP_WORDS=({}); COMP_CWORD={}; _helium helium \
             \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo ${{COMPREPLY[*]}}",
            words.join(" "),
            words.len() - 1
        );
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", &press])
            .current_dir(place.path(""));
        assert_eq!(run(bash, b"").text().trim_end(), expected, "{typed:?}");
    }
}

#[test]
fn compacting_frees_what_is_dead() {
    let place = Place::with_volume();
    let value = "x".repeat(1000);
    for round in 0..3 {
        let lines: String = (0..15_000)
            .map(|n| format!("{{\"key\":\"{n}\",\"value\":\"{round} {value}\"}}\n"))
            .collect();
        place
            .helium_with(["load", "v", "-d", "d"], lines.as_bytes())
            .ok();
    }
    let dump = place.helium(["dump", "v"]).ok();
    // 45 MB were written, a third of it lives: what comes free is counted when the command returns.
    let compact = place.helium(["compact", "v", "--json"]).json();
    let figure = |name: &str| compact[name].as_u64().expect("a figure");
    assert!(figure("used_bytes") <= 24 << 20, "{compact}");
    assert!(figure("used_bytes") <= figure("used_bytes_before"));
    assert!(figure("live_bytes") >= 15 << 20, "{compact}");
    assert_eq!(place.helium(["dump", "v"]).ok(), dump);
    place.helium(["verify", "v"]).ok();
    let text = place.helium(["compact", "v"]).text();
    assert!(
        text.contains("used before") && text.contains("MiB"),
        "{text}"
    );
}

#[test]
fn a_datastore_that_is_named_twice_is_dropped_once() {
    let place = Place::new();
    place.helium(["create", "v", "a", "b"]).ok();
    let dropped = place.helium(["drop", "v", "a", "b", "a", "--json"]).json();
    assert_eq!(dropped["dropped"], serde_json::json!(["a", "b"]));
    place.helium(["create", "v", "a"]).ok();
    let emptied = place.helium(["truncate", "v", "a", "a", "--json"]).json();
    assert_eq!(emptied["truncated"], serde_json::json!(["a"]));
}

#[test]
fn the_command_alone_says_how_to_begin() {
    let place = Place::new();
    let ran = place.helium::<&str>([]);
    let said = String::from_utf8_lossy(&ran.out).into_owned() + &ran.err;
    for part in ["helium create fruit.he colors", "helium load", "Usage"] {
        assert!(said.contains(part), "{said}");
    }
}
