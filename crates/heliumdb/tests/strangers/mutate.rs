//! Numbers changed at random, in all structures of volumes that have everything.

use helium_sim::{Image, Machine, seed};
use rand::{Rng, rngs::SmallRng, seq::IndexedRandom};

use crate::{
    ONE, make,
    tried::{self, Tried},
    volume::{Field, Volume},
};

/// Volumes that are mutated: one alone, or two of which the second asks the first.
fn references() -> Vec<Vec<Volume>> {
    let made = make::make();
    let all = split(&made.images);
    // Settled, so that the second can be opened alone.
    let machine = Machine::with_images(0, made.images);
    let volumes = make::open(&machine).unwrap();
    volumes.iter().for_each(|volume| volume.close().unwrap());
    drop(volumes);
    let settled = split(&machine.images());
    let mut references = vec![all];
    references.extend(settled.into_iter().map(|volume| vec![volume]));
    references.push(vec![Volume::new(without_checkpoint().images())]);
    references
}

fn split(images: &[Image]) -> Vec<Volume> {
    let volumes = make::DISKS.iter();
    volumes
        .map(|disks| Volume::new(disks.iter().map(|&disk| images[disk].clone()).collect()))
        .collect()
}

/// Nothing but commits, as a kill leaves them.
fn without_checkpoint() -> Machine {
    let (machine, volume, store) = crate::common::store();
    for number in 0..200u32 {
        store.put(number.to_be_bytes(), [7; 100]).unwrap();
    }
    let mut txn = volume.begin().unwrap();
    for number in 0..50u32 {
        txn.put(
            &store,
            number.to_be_bytes(),
            vec![8; 300_000 * (number as usize % 2)],
        )
        .unwrap();
    }
    txn.commit().unwrap();
    volume.flush().unwrap();
    machine
}

/// A number in place of another.
fn other(number: u64, rng: &mut SmallRng) -> u64 {
    match rng.random_range(0..12) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => u64::MAX - rng.random_range(0..20),
        4 => 1 << rng.random_range(0..64),
        5 => (1 << rng.random_range(1..64)) - 1,
        6 => number.wrapping_add(1),
        7 => number.wrapping_sub(1),
        8 => number ^ 1 << rng.random_range(0..64),
        9 => number.wrapping_mul(2),
        10 => number.wrapping_add(rng.random_range(0..1 << 21)),
        _ => rng.random(),
    }
}

fn change(volume: &mut Volume, field: &Field, fields: &[Field], rng: &mut SmallRng) {
    let old = volume.bytes(field.place);
    let mut new = old.clone();
    let alike: Vec<&Field> = fields.iter().filter(|f| f.name == field.name).collect();
    match alike.choose(rng) {
        // What stands in the same field somewhere else.
        Some(like) if rng.random_bool(0.3) => {
            let bytes = volume.bytes(like.place);
            let len = bytes.len().min(new.len());
            new[..len].copy_from_slice(&bytes[..len]);
        }
        _ => {
            let at = rng.random_range(0..new.len());
            let from = if new.len() <= 8 { 0 } else { at };
            let len = (new.len() - from).min(8);
            let mut number = [0; 8];
            number[..len].copy_from_slice(&new[from..from + len]);
            let number = other(u64::from_le_bytes(number), rng);
            new[from..from + len].copy_from_slice(&number.to_le_bytes()[..len]);
        }
    }
    volume.write(field.place, &new);
}

/// What is changed, seldom and frequent fields alike.
fn choose<'a>(fields: &'a [Field], rng: &mut SmallRng) -> &'a Field {
    let mut names: Vec<&str> = fields.iter().map(|field| field.name).collect();
    names.sort_unstable();
    names.dedup();
    let name = *names.choose(rng).unwrap();
    let named: Vec<&Field> = fields.iter().filter(|field| field.name == name).collect();
    named.choose(rng).unwrap()
}

/// The volumes with some fields changed, and what was.
fn mutated(references: &[Vec<Volume>], rng: &mut SmallRng) -> (Vec<Volume>, String) {
    let mut volumes = references.choose(rng).unwrap().clone();
    let which = rng.random_range(0..volumes.len());
    let volume = &mut volumes[which];
    let fields = volume.fields();
    let mut what = format!("volume {which} of {}:", references.len());
    for _ in 0..[1, 1, 1, 2, 5].choose(rng).copied().unwrap() {
        let field = choose(&fields, rng);
        let before = volume.bytes(field.place);
        change(volume, field, &fields, rng);
        let after = volume.bytes(field.place);
        let shown = |bytes: &[u8]| bytes[..bytes.len().min(16)].to_vec();
        what += &format!(
            " {} at {}: {:x?} to {:x?};",
            field.name,
            field.place.at,
            shown(&before),
            shown(&after)
        );
    }
    volume.repair();
    (volumes, what)
}

#[test]
fn whatever_a_volume_says_nothing_is_lost_by_it() {
    let _one = ONE.lock();
    let references = references();
    let set = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let first = set("HELIUM_MUTATED_FROM").unwrap_or(0);
    let count = set("HELIUM_MUTATED_IMAGES").unwrap_or(60);
    let mut refused = 0;
    let mut failed = Vec::new();
    for number in first..first + count {
        let mut rng = seed::rng(number);
        let (volumes, what) = mutated(&references, &mut rng);
        match tried::all(&volumes, rng.random_bool(0.3)) {
            Ok(Tried::Refused) => refused += 1,
            Ok(Tried::Opened) => {}
            Err(why) => failed.push(format!("seed {number}: {what} {why}")),
        }
    }
    eprintln!("{refused} of {count} were refused");
    assert!(
        failed.is_empty(),
        "{} of {count}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(refused > 0 || count < 60, "nothing was refused");
}

/// The structures are understood: what is repaired without a change is as it was.
#[test]
fn repairing_what_is_whole_changes_nothing() {
    let _one = ONE.lock();
    for volume in references().into_iter().flatten() {
        let mut again = volume.clone();
        again.repair();
        for (before, after) in volume.images.iter().zip(&again.images) {
            assert_eq!(before.pages(), after.pages());
            for page in before.pages() {
                let (mut one, mut other) = ([0; 4096], [0; 4096]);
                before.read(&mut one, page);
                after.read(&mut other, page);
                assert!(one == other, "page {page}");
            }
        }
    }
}
