//! A volume that keeps decisions for one that is lost forgets them when it is told to.

use std::fs;

use helium_sim::Keeper;
use heliumdb::{
    Durability, Isolation, Volume, VolumeOptions,
    host::{Change, Mode, WriteSet, open_all},
};

use crate::harness::Place;

/// A volume `v` that decided a transaction with one that is gone, whose id is returned.
fn decider() -> (Place, String) {
    let place = Place::new();
    let url = |name: &str| format!("he://{}", place.path(name).display());
    let urls = ["a", "b"].map(|name| (url(name), VolumeOptions::default()));
    let mut volumes = open_all(&urls).expect("two volumes");
    // The volume with the smaller id decides.
    volumes.sort_by_key(Volume::id);
    let view = Keeper::new().begin(Isolation::Snapshot);
    let mut txn = WriteSet::new(1);
    for volume in &volumes {
        let store = volume.create_datastore(b"d").expect("a datastore");
        txn.write(&store, &view, b"k", Change::Put(b"v"), Mode::Any)
            .expect("a write");
    }
    txn.commit(Durability::Synced).expect("a commit");
    // What a killed process leaves.
    let name = if volumes[0].url().ends_with('a') {
        "a"
    } else {
        "b"
    };
    fs::copy(place.path(name), place.path("v")).expect("a copy");
    (place, volumes[1].id().to_string())
}

#[test]
fn what_is_kept_for_a_lost_volume_is_forgotten() {
    let (place, lost) = decider();
    place
        .helium(["create", "--overwrite", "v"])
        .fails(5, &["is not truncated", &lost, "--lost"]);
    let unknown = "0".repeat(32);
    let text = place.helium(["salvage", "v", "--lost", &unknown]).text();
    assert!(text.contains("0 decisions forgotten"), "{text}");
    let json = place
        .helium([
            "salvage", "v", "--lost", &unknown, "--lost", &lost, "--json",
        ])
        .json();
    assert_eq!(json, serde_json::json!({"forgotten": 1}));
    assert_eq!(place.helium(["get", "v", "d", "k"]).ok(), b"v");
    place.helium(["create", "--overwrite", "v"]).ok();
}

#[test]
fn what_makes_no_sense_is_named() {
    let place = Place::with_volume();
    place
        .helium(["salvage", "v", "--lost", "b.he"])
        .fails(2, &["--lost", "b.he", "32 hexadecimal digits"]);
    let id = "0".repeat(32);
    place
        .helium(["salvage", "v", "w", "--lost", &id])
        .fails(2, &["--lost", "TARGET"]);
    place.helium(["salvage", "v"]).fails(2, &["TARGET"]);
    let own = place.helium(["stat", "v", "--json"]).json();
    let own = own["id"].as_str().expect("an id").to_owned();
    place
        .helium(["salvage", "v", "--lost", &own])
        .fails(2, &["which is not lost"]);
    place
        .helium(["salvage", "gone", "--lost", &id])
        .fails(3, &["There is no volume there"]);
}
