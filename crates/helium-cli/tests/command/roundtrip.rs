//! Dumps give back the same items, whatever the bytes, through every format.

use std::process::Command;

use proptest::prelude::*;

use crate::harness::{Place, Ran, has, run};

const FORMATS: [&str; 7] = [
    "jsonl",
    "json",
    "csv",
    "tsv",
    "mdb",
    "wiredtiger",
    "wiredtiger-hex",
];

/// What a test compares: a hexadecimal listing.
fn listed(place: &Place, volume: &str, datastore: &str) -> String {
    place.helium(["scan", volume, datastore, "--hex"]).text()
}

proptest! {
    // Each case starts the command a dozen times.
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn every_format_gives_back_the_same_items(
        items in prop::collection::btree_map(
            prop::collection::vec(any::<u8>(), 0..20),
            prop::collection::vec(any::<u8>(), 0..50),
            0..30,
        )
    ) {
        let place = Place::with_volume();
        let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let mut lines = String::from("WiredTiger Dump (ours)\nFormat=hex\nHeader\nfile:d\nkey_format=u\nData\n");
        let mut expected = String::new();
        for (key, value) in &items {
            lines += &format!("{}\n{}\n", hex(key), hex(value));
            expected += &format!("{}\t{}\n", hex(key), hex(value));
        }
        place.helium_with(["load", "v"], lines.as_bytes()).ok();
        prop_assert_eq!(listed(&place, "v", "d"), expected.clone());
        for format in FORMATS {
            let dump = place.helium(["dump", "v", "d", "--format", format]).ok();
            place.helium(["dump", "v", "d", "--format", format, "-o", "file"]).ok();
            prop_assert_eq!(&std::fs::read(place.path("file")).expect("the dump"), &dump);
            place.helium_with(["load", "v", "-", "-f", format, "-d", format], &dump).ok();
            prop_assert_eq!(listed(&place, "v", format), expected.clone(), "{}", format);
        }
    }
}

#[test]
fn a_whole_volume_goes_through_json_lines() {
    let place = Place::new();
    place.helium(["create", "v", "a", "empty", "c"]).ok();
    place.helium(["put", "v", "a", "k", "1"]).ok();
    place.helium(["put", "v", "c", "k", "2"]).ok();
    let dump = place.helium(["dump", "v"]).ok();
    place.helium(["create", "w"]).ok();
    let loaded = place.helium_with(["load", "w", "--json"], &dump).json();
    assert_eq!(
        (loaded["items"].as_u64(), loaded["datastores"].as_u64()),
        (Some(2), Some(3))
    );
    assert_eq!(place.helium(["dump", "w"]).ok(), dump);
    place
        .helium(["dump", "v", "--format", "csv"])
        .fails(2, &["one datastore only", "--format jsonl"]);
}

#[test]
fn what_scan_prints_loads_again() {
    let place = Place::with_volume();
    let key = "a\tb\\\n\u{202e}";
    place
        .helium_with(["put", "v", "d", key], b"red, \0mostly\n\xff")
        .ok();
    place.helium(["put", "v", "d", "k", ""]).ok();
    for options in [
        &[][..],
        &["--hex"],
        &["--delimiter", ";"],
        &["--delimiter", "|"],
    ] {
        let scan = ["scan", "v", "d"].iter().chain(options);
        let lines = place.helium(scan).ok();
        let load = ["load", "v", "-d", "copy"].iter().chain(options);
        let load = load.chain(if options.is_empty() {
            &[][..]
        } else {
            &["-f", "tsv"]
        });
        place.helium_with(load, &lines).ok();
        assert_eq!(
            listed(&place, "v", "copy"),
            listed(&place, "v", "d"),
            "{options:?}"
        );
        place.helium(["drop", "v", "copy"]).ok();
    }
    let ran = place.helium(["dump", "v", "d", "--delimiter", ";"]);
    ran.fails(
        2,
        &["--delimiter means nothing to this format", "--format csv"],
    );
}

/// Each write alone would take more in the log beside its item than the item has.
#[test]
fn small_items_go_in_together_and_the_last_of_a_key_counts() {
    const ITEMS: u64 = 200_000;
    let place = Place::with_volume();
    let mut lines: String = (0..ITEMS)
        .map(|number| format!("{number:016x}\t{number:030x}\n"))
        .collect();
    lines += "0000000000000000\tlast\n";
    let load = ["load", "v", "-d", "d", "-f", "tsv"];
    place.helium_with(load, lines.as_bytes()).ok();
    let value = place.helium(["get", "v", "d", "0000000000000000"]).ok();
    assert_eq!(value, b"last");
    let stat = place.helium(["stat", "v", "--json"]).json();
    let figure = |name: &str| stat[name].as_u64().unwrap_or_default();
    assert_eq!(figure("items"), ITEMS);
    // Each alone they would take five segments.
    assert!(figure("used_bytes") <= 4 << 23, "{stat}");
}

/// What others have: several databases, and one that has no name.
#[test]
fn dumps_of_lmdb_load() {
    let place = Place::new();
    place.helium(["create", "v"]).ok();
    let one = |name: &str| {
        format!(
            "VERSION=3\nformat=print\n{name}type=btree\nmapsize=1048576\nHEADER=END\n k\\0a\n v\\5c\nDATA=END\n"
        )
    };
    let two = one("database=a b\n") + &one("database=c\n");
    place.helium_with(["load", "v"], two.as_bytes()).ok();
    for name in ["a b", "c"] {
        assert_eq!(place.helium(["get", "v", name, "k\n"]).ok(), b"v\\");
    }
    let nameless = one("");
    let ran = place.helium_with(["load", "v"], nameless.as_bytes());
    ran.fails(2, &["--datastore NAME", "Nothing of it was loaded"]);
    place
        .helium_with(["load", "v", "-d", "e"], nameless.as_bytes())
        .ok();
    let dump = place.helium(["dump", "v", "-f", "mdb"]).ok();
    place.helium(["create", "w"]).ok();
    place.helium_with(["load", "w"], &dump).ok();
    assert_eq!(
        place.helium(["dump", "w"]).ok(),
        place.helium(["dump", "v"]).ok()
    );
    if has("mdb_load") {
        std::fs::create_dir(place.path("lmdb")).expect("the test's own");
        let mut load = Command::new("mdb_load");
        load.args(["-s", "c", "lmdb"]).current_dir(place.path(""));
        let dump = place.helium(["dump", "v", "c", "-f", "mdb"]).ok();
        assert_eq!(run(load, &dump).code, Some(0));
        let mut theirs = Command::new("mdb_dump");
        theirs.args(["-s", "c", "lmdb"]).current_dir(place.path(""));
        place
            .helium_with(["load", "v", "-d", "again"], &run(theirs, b"").out)
            .ok();
        assert_eq!(listed(&place, "v", "again"), listed(&place, "v", "c"));
    }
}

#[test]
fn csv_of_others_loads() {
    let place = Place::with_volume();
    place.write(
        "colors.csv",
        "fruit,weight,color\r\napple,1,\"red, mostly\"\r\npear,2,C:\\new\r\n",
    );
    place
        .helium([
            "load",
            "v",
            "colors.csv",
            "-d",
            "d",
            "--key-column",
            "fruit",
            "--value-column",
            "color",
        ])
        .ok();
    assert_eq!(
        place.helium(["get", "v", "d", "apple"]).ok(),
        b"red, mostly"
    );
    assert_eq!(place.helium(["get", "v", "d", "pear"]).ok(), b"C:\\new");
}

/// Runs WiredTiger's own command on the database in the folder `db`.
fn wt(place: &Place, arguments: &[&str]) -> Ran {
    let mut command = Command::new("wt");
    command
        .args(["-h", "db"])
        .args(arguments)
        .current_dir(place.path(""));
    run(command, b"")
}

/// Keys of WiredTiger's column stores, and formats of its tables, come back.
#[test]
fn tables_with_record_numbers_go_both_ways() {
    if !has("wt") {
        return;
    }
    let place = Place::with_volume();
    std::fs::create_dir(place.path("db")).expect("the test's own folder");
    let wt = |arguments: &[&str]| wt(&place, arguments);
    let head = "WiredTiger Dump (WiredTiger Version 3.2.1)\nFormat=print\nHeader\ntable:rows\nkey_format=r,value_format=S\nData\n";
    let numbers = [1, 2, 63, 64, 8255, 8256, 70_000, 1_u64 << 40];
    let items: String = numbers
        .iter()
        .map(|number| format!("{number}\nvalue \\\\ \\0a of {number}\\00\n"))
        .collect();
    place.write("rows", format!("{head}{items}"));
    assert_eq!(wt(&["load", "-f", "rows"]).code, Some(0));
    for (format, switch) in [("wiredtiger", None), ("wiredtiger-hex", Some("-x"))] {
        let mut dump = vec!["dump"];
        dump.extend(switch);
        dump.push("table:rows");
        let theirs = wt(&dump).ok();
        place.write("theirs", &theirs);
        place.helium(["load", "v", "theirs", "-d", format]).ok();
        let listed = place.helium(["scan", "v", format, "-k"]).text();
        assert_eq!(listed.lines().count(), numbers.len());
        place
            .helium(["dump", "v", format, "-f", format, "-o", "ours"])
            .ok();
        // The same, but for the head, which says more there.
        let ours = std::fs::read(place.path("ours")).expect("the dump");
        let data = |dump: &[u8]| {
            let text = String::from_utf8(dump.to_vec()).expect("text");
            text.split_once("\nData\n").expect("a head").1.to_owned()
        };
        assert_eq!(data(&ours), data(&theirs));
        assert_eq!(wt(&["drop", "table:rows"]).code, Some(0));
        assert_eq!(wt(&["load", "-f", "ours", "-r", "rows"]).code, Some(0));
        assert_eq!(data(&wt(&dump).ok()), data(&theirs));
        // And through our own format, with the formats.
        place.helium(["dump", "v", format, "-o", "lines"]).ok();
        place.helium(["drop", "v", format]).ok();
        place
            .helium(["load", "v", "lines", "-f", "jsonl", "-d", format])
            .ok();
        let again = place.helium(["dump", "v", format, "-f", format]).ok();
        assert_eq!(again, ours);
    }
    place.write("bad", format!("{head}one\nvalue\n"));
    place
        .helium(["load", "v", "bad"])
        .fails(9, &["bad: line 7", "is no record number"]);
    place.helium_with(["load", "v"], head.as_bytes()).ok();
    place
        .helium(["create", "v", "rows"])
        .fails(4, &["'rows' exists"]);
    place.helium(["put", "v", "rows", "key", "value"]).ok();
    place
        .helium(["dump", "v", "rows", "-f", "wiredtiger"])
        .fails(1, &["key is none", "--format jsonl"]);
}

#[test]
fn wiredtiger_reads_our_dumps_and_we_read_its() {
    if !has("wt") {
        return;
    }
    let place = Place::with_volume();
    for (key, value) in [("00", ""), ("61", "ff5c0a"), ("5c5c", "20"), ("c3a9", "00")] {
        place.helium(["put", "v", "d", "-x", key, value]).ok();
    }
    std::fs::create_dir(place.path("db")).expect("the test's own folder");
    let wt = |arguments: &[&str]| wt(&place, arguments);
    // What WiredTiger keeps to itself is no name of a table.
    place.helium(["create", "v", "WiredTiger.t"]).ok();
    let reserved = ["dump", "v", "WiredTiger.t", "-f", "wiredtiger"];
    place.write("reserved", place.helium(reserved).ok());
    assert_eq!(wt(&["load", "-f", "reserved"]).code, Some(0));
    assert!(wt(&["list"]).text().contains("table:helium_WiredTiger.t"));
    for (format, switch) in [("wiredtiger", None), ("wiredtiger-hex", Some("-x"))] {
        place
            .helium(["dump", "v", "d", "-f", format, "-o", "ours"])
            .ok();
        assert_eq!(wt(&["load", "-f", "ours"]).code, Some(0));
        let mut dump = vec!["dump"];
        dump.extend(switch);
        dump.push("table:d");
        let theirs = wt(&dump).ok();
        place.write("theirs", theirs);
        place.helium(["load", "v", "theirs", "-d", format]).ok();
        assert_eq!(listed(&place, "v", format), listed(&place, "v", "d"));
        assert_eq!(wt(&["drop", "table:d"]).code, Some(0));
    }
}
