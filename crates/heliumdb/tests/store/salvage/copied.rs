//! Files that were copied while someone wrote: of many moments, and never called lossless unless they
//! come to one.

use helium_sim::{Image, seed};
use heliumdb::{Datastore, Volume};
use rand::{Rng, rngs::SmallRng};

use super::salvage;
use crate::common::store;

const ACCOUNTS: u32 = 40;
const EACH: u64 = 1000;
/// Moments at which a part of the copy is made.
const MOMENTS: usize = 8;

fn balance(items: impl Iterator<Item = Vec<u8>>) -> u64 {
    items
        .map(|value| u64::from_be_bytes(value.try_into().unwrap()))
        .sum()
}

/// Moves money between two accounts, and fills the log.
fn transfer(volume: &Volume, store: &Datastore, rng: &mut SmallRng) {
    let mut txn = volume.begin().unwrap();
    let (from, to) = (rng.random_range(0..ACCOUNTS), rng.random_range(0..ACCOUNTS));
    for (account, sign) in [(from, -1i64), (to, 1)] {
        let key = account.to_be_bytes();
        let old = heliumdb::Readable::get(&txn, store, &key).unwrap().unwrap();
        let new = u64::from_be_bytes(old.try_into().unwrap()).wrapping_add_signed(sign);
        txn.put(store, &key, &new.to_be_bytes()).unwrap();
    }
    txn.commit().unwrap();
}

fn copied(machine: &helium_sim::Machine, moments: &[Image]) -> Image {
    let len = machine.images()[0].len();
    let mut copy = Image::new(len);
    for (number, image) in moments.iter().enumerate() {
        let number = number as u64;
        let part = |number: u64| len * number / moments.len() as u64 / 4096 * 4096;
        for page in image.pages() {
            if (part(number)..part(number + 1)).contains(&page) {
                let mut bytes = [0; 4096];
                image.read(&mut bytes, page);
                copy.write(&bytes, page);
            }
        }
    }
    copy
}

#[test]
fn a_copy_made_beside_a_writer_is_lossless_only_if_it_comes_to_one_moment() {
    for round in 0..12 {
        let mut rng = seed::rng(round);
        let (machine, volume, store) = store();
        let filler = volume.create_datastore(b"filler", b"").unwrap();
        for account in 0..ACCOUNTS {
            store
                .put(&account.to_be_bytes(), &EACH.to_be_bytes())
                .unwrap();
        }
        let mut moments = Vec::new();
        for moment in 0..MOMENTS {
            for step in 0..rng.random_range(1..60) {
                transfer(&volume, &store, &mut rng);
                let key = rng.random_range(0..20u32).to_be_bytes();
                filler
                    .put(&key, &vec![7; rng.random_range(1..200_000)])
                    .unwrap();
                if step % 20 == 19 {
                    volume.flush().unwrap();
                    volume.clean_now().unwrap();
                    volume.checkpoint_now().unwrap();
                    volume.free_now().unwrap();
                }
            }
            if moment % 2 == 0 {
                volume.flush().unwrap();
            }
            moments.extend(machine.images());
        }
        let (report, found) = salvage(&[copied(&machine, &moments)], |s| s);
        let accounts = found.values().find(|(name, _)| name == b"store");
        let all = accounts.map(|(_, items)| (items.len(), balance(items.values().cloned())));
        if report.is_lossless() {
            let wanted = (ACCOUNTS as usize, u64::from(ACCOUNTS) * EACH);
            assert_eq!(all, Some(wanted), "{round}: {report:?}");
        }
    }
}
