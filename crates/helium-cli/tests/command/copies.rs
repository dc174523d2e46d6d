//! Backups and salvages hold what their source holds, as far as it is readable.

use std::{fs, os::unix::fs::FileExt};

use crate::harness::Place;

fn filled() -> Place {
    let place = Place::new();
    place.helium(["create", "v", "a", "empty", "c"]).ok();
    let items: String = (0..5000)
        .map(|n| format!("{{\"key\":\"{n:05}\",\"value\":\"value {n}\"}}\n"))
        .collect();
    place
        .helium_with(["load", "v", "-d", "a"], items.as_bytes())
        .ok();
    place.helium(["put", "v", "c", "k", "v"]).ok();
    place
}

#[test]
fn a_backup_dumps_the_same() {
    let place = filled();
    let json = place.helium(["backup", "v", "w", "--json"]).json();
    assert_eq!(
        (json["items"].as_u64(), json["datastores"].as_u64()),
        (Some(5001), Some(3))
    );
    assert_eq!(
        place.helium(["dump", "w"]).ok(),
        place.helium(["dump", "v"]).ok()
    );
    place.helium(["verify", "w"]).ok();
    place
        .helium(["backup", "v", "w"])
        .fails(4, &["w has datastores in it already"]);
    place
        .helium(["backup", "v", "v"])
        .fails(2, &["that is the volume itself"]);
    place
        .helium(["salvage", "v", "./v"])
        .fails(2, &["that is the volume itself"]);
    place
        .helium(["backup", "gone", "x"])
        .fails(3, &["There is no volume there"]);
    assert!(!place.path("x").exists());
}

/// Nobody is to take it for a whole one; but what was there before stays.
#[test]
fn a_backup_that_fails_leaves_no_half_of_one() {
    let place = filled();
    damage(&place, b"value 2500");
    place
        .helium(["backup", "v", "w"])
        .fails(7, &["the log is damaged"]);
    assert!(!place.path("w").exists());
    place.helium(["create", "w"]).ok();
    place
        .helium(["backup", "v", "w"])
        .fails(7, &["the log is damaged"]);
    assert!(place.path("w").exists());
    // The copy had begun: it is no volume any more, until it is made again.
    for command in ["ls", "verify", "stat"] {
        place
            .helium([command, "w"])
            .fails(10, &["was not finished", "make the copy again"]);
    }
    place
        .helium(["put", "w", "a", "k", "v"])
        .fails(10, &["was not finished"]);
    let json = place.helium(["salvage", "w", "x", "--json"]).json();
    assert_eq!(
        (&json["unfinished_copy"], &json["lossless"]),
        (&true.into(), &false.into())
    );
    let text = place.helium(["salvage", "w", "y"]).text();
    assert!(text.contains("a copy that was not finished"), "{text}");
    place.helium(["create", "w", "new"]).ok();
    assert_eq!(place.helium(["ls", "w", "--json"]).json()[0]["name"], "new");
}

/// A salvage keeps what it has got: for another salvage, as it is no volume.
#[test]
fn a_copy_that_was_not_finished_is_made_again_by_another_one() {
    let place = filled();
    let dump = place.helium(["dump", "v"]).ok();
    let sound = fs::read(place.path("v")).expect("the volume");
    place.helium(["create", "w"]).ok();
    damage(&place, b"value 2500");
    place
        .helium(["backup", "v", "w"])
        .fails(7, &["the log is damaged"]);
    place.write("v", &sound);
    place.helium(["backup", "v", "w"]).ok();
    assert_eq!(place.helium(["dump", "w"]).ok(), dump);
}

fn damage(place: &Place, wanted: &[u8]) {
    let bytes = fs::read(place.path("v")).expect("the volume");
    let at = bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .expect("it is in there");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.path("v"))
        .expect("the volume");
    file.write_all_at(b"X", at as u64).expect("the volume");
}

#[test]
fn a_damaged_volume_is_salvaged_but_for_what_is_damaged() {
    let place = filled();
    damage(&place, b"value 2500");
    place.helium(["verify", "v"]).fails(7, &["helium salvage"]);
    let json = place
        .helium(["salvage", "v", "w", "--partial", "--json"])
        .json();
    assert_eq!(json["lossless"], false);
    assert_eq!(json["items"], 5000);
    place
        .helium(["get", "w", "a", "02500"])
        .fails(3, &["02500"]);
    assert_eq!(place.helium(["get", "w", "a", "02501"]).ok(), b"value 2501");
    place.helium(["verify", "w"]).ok();
    let text = place.helium(["salvage", "v", "x"]).text();
    assert!(text.contains("damaged frames"), "{text}");
}

#[test]
fn a_volume_without_superblocks_is_salvaged_whole() {
    let place = filled();
    let dump = place.helium(["dump", "v"]).ok();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.path("v"))
        .expect("the volume");
    file.write_all_at(&[0x55; 8192], 0).expect("the volume");
    place.helium(["ls", "v"]).fails(10, &["v"]);
    let text = place.helium(["salvage", "v", "w"]).text();
    assert!(text.contains("Nothing is lost"), "{text}");
    assert_eq!(place.helium(["dump", "w"]).ok(), dump);
    place.helium(["salvage", "gone", "y"]).fails(3, &["gone"]);
}
