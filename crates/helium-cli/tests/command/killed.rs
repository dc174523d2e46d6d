//! `helium create`, `backup` and `salvage` that are killed at any moment: what they leave is made again, or is a volume.

use std::{os::unix::fs::FileExt, path::Path, process::Stdio, thread, time::Duration};

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::harness::Place;

/// Kills of each kind, unless `HELIUM_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 20;

fn setting(name: &str, default: u64) -> u64 {
    let said = std::env::var(name).ok().and_then(|text| text.parse().ok());
    said.unwrap_or(default)
}

/// Moments at which something is killed that takes so long: any of them will do.
fn moments(test: &str, longest: Duration) -> impl Iterator<Item = Duration> {
    let seed = setting("HELIUM_SEED", rand::random::<u32>().into());
    println!("{test}: HELIUM_SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let rounds = setting("HELIUM_CRASH_ROUNDS", ROUNDS);
    (0..rounds).map(move |_| longest.mul_f64(rng.random_range(0.0..1.0)))
}

fn killed_after(place: &Place, arguments: &[&str], moment: Duration) {
    let mut command = place.command();
    command.args(arguments).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().expect("start");
    thread::sleep(moment);
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
}

fn creators_are_killed(place: &Place, volume: &str) {
    for moment in moments("creators_are_killed", Duration::from_millis(60)) {
        killed_after(place, &["create", volume, "d"], moment);
        place.helium(["create", volume, "e"]).ok();
        place.helium(["put", volume, "e", "key", "value"]).ok();
        place.helium(["verify", volume]).ok();
        std::fs::remove_file(place.path(volume)).expect("it was made");
    }
}

#[test]
fn a_volume_whose_maker_was_killed_is_made_again() {
    creators_are_killed(&Place::new(), "v");
}

#[test]
fn so_is_one_in_memory() {
    let Ok(folder) = tempfile::tempdir_in(Path::new("/dev/shm")) else {
        eprintln!("skipped: there is no /dev/shm");
        return;
    };
    let volume = folder.path().join("v");
    creators_are_killed(&Place::new(), volume.to_str().expect("text"));
}

const ITEMS: u32 = 20_000;

fn filled() -> Place {
    let place = Place::with_volume();
    let line = |number| format!("{{\"key\":\"{number}\",\"value\":\"{number:0900}\"}}\n");
    let items: String = (0..ITEMS).map(line).collect();
    place
        .helium_with(["load", "v", "-d", "d"], items.as_bytes())
        .ok();
    place
}

/// Whether `w` is whole; if not, it is no volume.
fn is_whole(place: &Place) -> bool {
    let verified = place.helium(["verify", "w", "--json"]);
    if verified.code != Some(0) {
        verified.fails(10, &["w"]);
        return false;
    }
    assert_eq!(verified.json()["items"], ITEMS);
    true
}

#[test]
fn what_a_killed_copy_leaves_is_whole_or_made_again() {
    let place = filled();
    for (round, moment) in moments("copies_are_killed", Duration::from_millis(400)).enumerate() {
        let copy = [["backup", "v", "w"], ["salvage", "v", "w"]][round % 2];
        killed_after(&place, &copy, moment);
        if !place.path("w").exists() {
            continue;
        }
        if round % 5 == 0 {
            // Whoever makes a volume of it may.
            place.helium(["create", "w", "another"]).ok();
            place.helium(["verify", "w"]).ok();
        } else if is_whole(&place) {
            place
                .helium(copy)
                .fails(4, &["has datastores in it already"]);
        } else {
            place.helium(copy).ok();
            assert!(is_whole(&place));
        }
        std::fs::remove_file(place.path("w")).expect("it was made");
    }
}

/// Bytes in front of a volume's file, with both superblocks.
const SUPERBLOCKS: usize = 8192;

/// Killed as soon as a superblock has changed, which says first of all that the copy is not finished. A part of the
/// items is never there; and of many copies some are caught with the mark.
#[test]
fn a_copy_that_is_killed_in_the_middle_does_not_open() {
    const TRIES: u32 = 20;
    let place = filled();
    place.helium(["create", "w"]).ok();
    let empty = std::fs::read(place.path("w")).expect("it was made");
    for copy in [["backup", "v", "w"], ["salvage", "v", "w"]] {
        let mut caught = 0;
        for _ in 0..TRIES {
            place.write("w", &empty);
            kill_when_marked(&place, &copy, &empty[..SUPERBLOCKS]);
            let verified = place.helium(["verify", "w", "--json"]);
            if verified.code == Some(0) {
                let items = verified.json()["items"].clone();
                assert!(items == 0 || items == ITEMS, "{items} of {ITEMS}");
                continue;
            }
            caught += 1;
            verified.fails(10, &["was not finished"]);
            place.helium(["ls", "w"]).fails(10, &["was not finished"]);
            place.helium(copy).ok();
            assert!(is_whole(&place));
            if caught == 3 {
                break;
            }
        }
        assert!(caught > 0, "{copy:?} was never caught in the middle");
    }
}

/// Starts the command, and kills it when the superblocks of `w` are others than `before`, if it lives so long.
fn kill_when_marked(place: &Place, copy: &[&str], before: &[u8]) {
    let file = std::fs::File::open(place.path("w")).expect("it was made");
    let is_as_before = || {
        let mut now = [0; SUPERBLOCKS];
        file.read_exact_at(&mut now, 0).expect("it is longer");
        now == before
    };
    let mut command = place.command();
    command.args(copy).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().expect("start");
    while is_as_before() && child.try_wait().expect("a child of ours").is_none() {
        thread::yield_now();
    }
    child.kill().expect("a child of ours");
    child.wait().expect("a child of ours");
}
