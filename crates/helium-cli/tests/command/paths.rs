//! Names of volumes and files that are no text, and that have commas in them.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use crate::harness::Place;

/// Every byte that a name may have, but for those that other tests have.
fn name() -> Vec<u8> {
    let mut bytes: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    bytes.retain(|byte| !b",\\_".contains(byte));
    bytes.truncate(200);
    bytes.extend_from_slice(b"\xff\xfe\xc3");
    bytes
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

#[test]
fn paths_that_are_no_text_work_everywhere() {
    let place = Place::new();
    let (volume, file) = (name(), [&name()[..150], b".csv"].concat());
    let (volume, file) = (os(&volume), os(&file));
    let helium = |arguments: &[&OsStr]| place.helium(arguments);
    let [create, put, get, dump, load, d] =
        ["create", "put", "get", "dump", "load", "d"].map(OsStr::new);
    helium(&[create, volume, d]).ok();
    assert!(place.path("").join(volume).exists());
    helium(&[put, volume, d, os(b"k\xff"), os(b"v\xff")]).ok();
    assert_eq!(helium(&[get, volume, d, os(b"k\xff")]).ok(), b"v\xff");
    helium(&[
        dump,
        volume,
        d,
        OsStr::new("-f"),
        OsStr::new("csv"),
        OsStr::new("-o"),
        file,
    ])
    .ok();
    helium(&[load, volume, file, OsStr::new("-d"), OsStr::new("e")]).ok();
    for command in ["ls", "stat", "verify", "compact", "create"] {
        let ran = helium(&[OsStr::new(command), volume]);
        assert!(
            ran.code == Some(0) || command == "create" && ran.code == Some(4),
            "{ran:?}"
        );
        // The sentence has a name that can be typed again.
        assert!(
            command != "create" || ran.err.contains("\\xff\\xfe\\xc3"),
            "{ran:?}"
        );
    }
    let copy = os(b"copy\xff");
    helium(&[OsStr::new("backup"), volume, copy]).ok();
    helium(&[OsStr::new("salvage"), volume, os(b"saved\xff")]).ok();
    assert_eq!(
        helium(&[get, os(b"saved\xff"), d, os(b"k\xff")]).ok(),
        b"v\xff"
    );
    helium(&[dump, copy, OsStr::new("-o"), copy])
        .fails(2, &["is a device of the volume copy\\xff"]);
    // By its escapes, as it stands in messages.
    assert_eq!(place.helium(["count", "copy\\xff", "d"]).text(), "1\n");
    let json = helium(&[OsStr::new("ls"), os(b"gone\xff"), OsStr::new("--json")]);
    json.fails(3, &["gone"]);
    fs::create_dir(place.path("").join(os(b"folder\xff"))).expect("the test's own");
    helium(&[create, os(b"folder\xff"), d]).ok();
    assert!(
        place
            .path("")
            .join(os(b"folder\xff/helium.volume"))
            .exists()
    );
    helium(&[OsStr::new("man"), os(b"pages\xff")]).ok();
    let plot = os(b"plot\xff.svg");
    let bench = ["bench", "-o", "10", "-w", "c", "--plot"].map(OsStr::new);
    helium(&[&bench[..], &[plot]].concat()).ok();
    assert!(place.path("").join(plot).exists());
}

#[test]
fn a_comma_in_a_name_has_an_escape() {
    let place = Place::new();
    place.helium(["create", "a\\,b", "d"]).ok();
    assert!(place.path("a,b").exists());
    place.helium(["ls", "a\\,b"]).ok();
    place.helium(["ls", "he://./a\\,b"]).ok();
    place.helium(["ls", "a,b"]).fails(
        3,
        &["A comma in a name is written with a backslash: 'a\\,b'"],
    );
    place.helium(["create", "e\\,,c\\\\,_d", "d"]).ok();
    for file in ["e,", "c\\", "_d"] {
        assert!(place.path(file).exists(), "{file}");
    }
    place.helium(["verify", "_d,e\\,,c\\\\"]).ok();
    place
        .helium(["create", "x\\,y,x\\x2cy"])
        .fails(2, &["names one device twice"]);
    // A backslash before anything else is one.
    place.helium(["create", "f\\g"]).ok();
    assert!(place.path("f\\g").exists());
}
