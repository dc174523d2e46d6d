//! Damage below the durable horizon: the right answer or a named error, never a wrong value.

use std::collections::BTreeMap;

use helium_sim::{DiskId, Image, Machine, Replay, seed};
use heliumdb::{Datastore, ErrorKind, Volume};
use rand::Rng;

use crate::common::{changed, in_parallel, machine, open_one};
use helium_sim::sim_options;

type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// A volume with history, what is in it, and an older image of it.
struct Reference {
    now: Vec<Image>,
    older: Vec<Image>,
    items: Items,
}

impl Reference {
    fn new() -> Self {
        let machine = machine(1, 1);
        let volume = open_one(&machine).expect("create");
        let store = volume.create_datastore(b"store").expect("create");
        let other = volume.create_datastore(b"later").expect("create");
        let mut items = Items::new();
        let mut older = Vec::new();
        for round in 0..3u32 {
            for number in 0..150u32 {
                let key = format!("key{:04}", number * 7 % 150).into_bytes();
                let bytes = 20 + (number * 37 % 900) as usize;
                let value = format!("{round}:{number}:{:x>1$}", "", bytes).into_bytes();
                if number % 11 == round && items.remove(&key).is_some() {
                    store.delete(&key).expect("delete");
                    continue;
                }
                store.put(&key, &value).expect("put");
                items.insert(key, value);
                if number % 10 == 0 {
                    volume.flush().expect("flush");
                }
            }
            store.put(b"long", vec![round as u8; 300_000]).expect("put");
            items.insert(b"long".to_vec(), vec![round as u8; 300_000]);
            volume.flush().expect("flush");
            if round == 1 {
                older = machine.images();
            }
        }
        // So that everything above is below the horizon of frames that follow.
        for number in 0..4u8 {
            other.put([number], b"later").expect("put");
            volume.flush().expect("flush");
        }
        let now = machine.images();
        Self { now, older, items }
    }

    /// Opens the volume on damaged disks and judges every answer.
    fn judge(&self, what: &str, images: Vec<Image>) -> Verdict {
        let machine = Machine::with_images(0, images);
        let options = sim_options();
        let opened = Volume::open_devices(machine.devices(&[DiskId(0)]), &options);
        let store = match opened.and_then(|volume| volume.datastore(b"store")) {
            Ok(store) => store,
            Err(why) => {
                check_named(what, &why);
                return Verdict::Refused;
            }
        };
        let answers = self.items.iter().map(|(key, value)| match store.get(key) {
            Ok(found) => assert!(
                found.as_ref() == Some(value),
                "{what}: {} has a wrong value",
                key.escape_ascii()
            ),
            Err(why) => check_named(what, &why),
        });
        answers.for_each(drop);
        self.judge_scan(what, &store);
        Verdict::Answered
    }

    fn judge_scan(&self, what: &str, store: &Datastore) {
        let mut wanted = self.items.iter();
        for item in store.iter() {
            let found = match item {
                Ok(found) => found,
                Err(why) => return check_named(what, &why),
            };
            let wanted = wanted.next().map(|(k, v)| (k.clone(), v.clone()));
            assert!(wanted == Some(found), "{what}: a scan found something else");
        }
        assert!(wanted.next().is_none(), "{what}: a scan ended early");
    }
}

#[derive(PartialEq)]
enum Verdict {
    Refused,
    Answered,
}

fn check_named(what: &str, why: &heliumdb::Error) {
    let named = matches!(
        why.kind(),
        ErrorKind::Damaged
            | ErrorKind::NotAVolume
            | ErrorKind::DeviceMismatch
            | ErrorKind::UnsupportedFormat
    );
    assert!(named, "{what}: {:?}: {why}", why.kind());
    assert!(
        why.to_string().contains("disk0"),
        "{what}: names no device: {why}"
    );
}

fn sample(variable: &str, default: u64) -> impl Iterator<Item = u64> + Send {
    let count = seed::count(variable, default);
    seed::seeds(count).collect::<Vec<_>>().into_iter()
}

#[test]
fn a_flipped_bit_is_never_a_wrong_value() {
    let reference = Reference::new();
    let pages = reference.now[0].pages();
    in_parallel(sample("HELIUM_FLIPS", 300), |seed| {
        let _replay = Replay::new(seed);
        let mut rng = seed::rng(seed);
        // Superblocks and segment headers are few: give them their share.
        let few = rng.random_bool(0.3);
        let page = pages[rng.random_range(0..if few { 6.min(pages.len()) } else { pages.len() })];
        let bit = rng.random_range(0..if few { 100 * 8 } else { 4096 * 8 });
        let mut byte = [0];
        reference.now[0].read(&mut byte, page + bit / 8);
        let images = changed(
            &reference.now,
            0,
            page + bit / 8,
            &[byte[0] ^ 1 << (bit % 8)],
        );
        reference.judge(&format!("bit {bit} of block {page}"), images);
    });
}

#[test]
fn blocks_zeroed_swapped_or_older_are_never_a_wrong_value() {
    let reference = Reference::new();
    let pages = reference.now[0].pages();
    let block = |image: &Image, at: u64| {
        let mut bytes = vec![0; 4096];
        image.read(&mut bytes, at);
        bytes
    };
    in_parallel(sample("HELIUM_BLOCKS", 300), |seed| {
        let _replay = Replay::new(seed);
        let mut rng = seed::rng(seed);
        let one = pages[rng.random_range(0..pages.len())];
        let two = pages[rng.random_range(0..pages.len())];
        let now = &reference.now;
        let (what, images) = match seed % 4 {
            0 => ("zeroed", changed(now, 0, one, &[0; 4096])),
            1 => ("garbage", {
                let mut garbage = [0; 4096];
                rng.fill(&mut garbage[..]);
                changed(now, 0, one, &garbage)
            }),
            2 => ("swapped", {
                let images = changed(now, 0, one, &block(&now[0], two));
                changed(&images, 0, two, &block(&now[0], one))
            }),
            _ => (
                "older",
                changed(now, 0, one, &block(&reference.older[0], one)),
            ),
        };
        reference.judge(&format!("block {one} (or {two}) {what}"), images);
    });
}

#[test]
fn an_undamaged_volume_answers_everything() {
    let reference = Reference::new();
    assert!(reference.judge("nothing", reference.now.clone()) == Verdict::Answered);
}

/// Damage to a place that is read after the volume was opened fails the key alone.
#[test]
fn damage_that_comes_later_fails_its_keys_alone() {
    let reference = Reference::new();
    let machine = Machine::with_images(0, reference.now.clone());
    let volume = open_one(&machine).expect("open");
    let store = volume.datastore(b"store").expect("there");
    machine.plan(helium_sim::Fault {
        on: helium_sim::On::Read,
        nth: 3,
        for_ever: false,
        kind: helium_sim::FaultKind::FlippedBit,
    });
    let mut failed = 0;
    for (key, value) in &reference.items {
        match store.get(key) {
            Ok(found) => assert!(found.as_ref() == Some(value)),
            Err(why) => {
                check_named("a flipped bit", &why);
                failed += 1;
            }
        }
    }
    assert!(failed <= 1);
    store
        .put(b"still", b"writable")
        .expect("reads poison nothing");
}
