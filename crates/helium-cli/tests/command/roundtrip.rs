//! Dumps give back the same items, whatever the bytes, through every format.

use std::process::Command;

use proptest::prelude::*;

use crate::harness::{Place, has, run};

const FORMATS: [&str; 4] = ["jsonl", "csv", "wiredtiger", "wiredtiger-hex"];

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
    let wt = |arguments: &[&str]| {
        let mut command = Command::new("wt");
        command
            .args(["-h", "db"])
            .args(arguments)
            .current_dir(place.path(""));
        run(command, b"")
    };
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
