//! Whoever looks through a snapshot, a transaction, an iterator or a backup sees the datastores of
//! its moment, whatever becomes of them; and what was kept for it is free when it is gone.

use helium_sim::{Keeper, sim_options};
use heliumdb::{
    Datastore, DatastoreOptions, ErrorKind, Isolation, Position, Readable, Snapshot,
    TransactionOptions, Volume, upkeep::BackupFrom,
};

use crate::common::{MIB, after_power_loss, make_with, open_one, store};

const ITEMS: u32 = 300;

type Items = Vec<(Vec<u8>, Vec<u8>)>;

fn key(number: u32) -> Vec<u8> {
    format!("key {number:06}").into_bytes()
}

fn fill(store: &Datastore, value: &[u8]) -> Items {
    for number in 0..ITEMS {
        store.put(key(number), value).unwrap();
    }
    (0..ITEMS).map(|n| (key(n), value.to_vec())).collect()
}

/// What can become of a datastore.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Truncate,
    TruncateAtOpen,
    Unordered,
    Remove,
    Rename,
    TruncateTwice,
    TruncateAndFill,
    RemoveAndMakeAgain,
}

const DEEDS: [Deed; 8] = [
    Deed::Truncate,
    Deed::TruncateAtOpen,
    Deed::Unordered,
    Deed::Remove,
    Deed::Rename,
    Deed::TruncateTwice,
    Deed::TruncateAndFill,
    Deed::RemoveAndMakeAgain,
];

fn act(deed: Deed, volume: &Volume, store: &Datastore) {
    let id = store.id();
    let mut how = DatastoreOptions::default();
    how.truncate = true;
    match deed {
        Deed::Truncate => volume.truncate_datastore(id).unwrap(),
        Deed::TruncateAtOpen => drop(volume.open_datastore(b"store", &how).unwrap()),
        Deed::Unordered => {
            how.unordered = true;
            let store = volume.open_datastore(b"store", &how).unwrap();
            store.put(b"unordered", b"").unwrap();
        }
        Deed::Remove => volume.drop_datastore(id).unwrap(),
        Deed::Rename => {
            volume.rename_datastore(id, b"another name").unwrap();
            store.put(key(1), b"after").unwrap();
        }
        Deed::TruncateTwice => {
            volume.truncate_datastore(id).unwrap();
            store.put(key(1), b"between").unwrap();
            volume.truncate_datastore(id).unwrap();
            store.put(key(2), b"after").unwrap();
        }
        Deed::TruncateAndFill => {
            volume.truncate_datastore(id).unwrap();
            fill(store, b"after");
        }
        Deed::RemoveAndMakeAgain => {
            volume.drop_datastore(id).unwrap();
            let again = volume.create_datastore(b"store").unwrap();
            fill(&again, b"after");
        }
    }
}

/// Reads the datastore in every way that there is.
#[track_caller]
fn sees(view: &impl Readable, store: &Datastore, wanted: &Items) {
    let found: Items = view.iter(store).map(Result::unwrap).collect();
    assert_eq!(found.len(), wanted.len());
    assert!(&found == wanted);
    let back: Items = view.iter(store).rev().map(Result::unwrap).collect();
    assert!(back.into_iter().rev().eq(found));
    let first = wanted.first().cloned();
    assert_eq!(view.nearest(store, Position::First).unwrap(), first);
    let keys: Vec<Vec<u8>> = (0..ITEMS).map(key).collect();
    let values = view.multi_get(store, &keys).unwrap();
    for (key, value) in keys.iter().zip(values) {
        let known = wanted.iter().find(|item| item.0 == *key);
        assert_eq!(value, known.map(|item| item.1.clone()));
        assert_eq!(view.get(store, key).unwrap(), value);
        assert_eq!(view.contains_key(store, key).unwrap(), value.is_some());
    }
}

#[test]
fn a_view_sees_the_items_of_its_moment() {
    for deed in DEEDS {
        let (_machine, volume, store) = store();
        let wanted = fill(&store, b"before");
        let snapshot = volume.snapshot().unwrap();
        let txn = volume.begin().unwrap();
        // Iterators that have begun, in both directions, through views and without one.
        let mut walks = [
            Box::new(snapshot.iter(&store)) as Box<dyn Iterator<Item = _>>,
            Box::new(store.iter()),
            Box::new(store.items()),
        ];
        let starts: Vec<_> = walks
            .iter_mut()
            .map(|w| w.next().unwrap().unwrap())
            .collect();
        let mut back = txn.iter(&store).rev();
        let last = back.next().unwrap().unwrap();
        act(deed, &volume, &store);
        sees(&snapshot, &store, &wanted);
        sees(&txn, &store, &wanted);
        for (walk, start) in walks.into_iter().zip(starts) {
            let rest = walk.map(|item| item.unwrap().0);
            let keys: Vec<_> = std::iter::once(start.0).chain(rest).collect();
            assert!(
                keys.iter().eq(wanted.iter().map(|item| &item.0)),
                "{deed:?}"
            );
        }
        let rest: Items = back.map(Result::unwrap).collect();
        let mut all: Items = std::iter::once(last).chain(rest).collect();
        all.reverse();
        assert!(all == wanted, "{deed:?}");
        // Who comes now sees what there is now.
        let later = volume.snapshot().unwrap();
        let now: u64 = later.iter(&store).filter(Result::is_ok).count() as u64;
        let is_ordered = !matches!(deed, Deed::Unordered);
        assert!(!is_ordered || now == store.len(), "{deed:?}");
        sees(&snapshot, &store, &wanted);
    }
}

#[test]
fn each_of_several_views_sees_its_own_moment() {
    let (_machine, volume, store) = store();
    let mut seen: Vec<(Snapshot, Items)> = Vec::new();
    for round in 0..6u8 {
        let items = fill(&store, &[round]);
        seen.push((volume.snapshot().unwrap(), items));
        volume.truncate_datastore(store.id()).unwrap();
        seen.push((volume.snapshot().unwrap(), Items::new()));
    }
    let last = fill(&store, b"last");
    seen.push((volume.snapshot().unwrap(), last));
    volume.drop_datastore(store.id()).unwrap();
    while !seen.is_empty() {
        for (snapshot, items) in &seen {
            sees(snapshot, &store, items);
        }
        seen.remove(seen.len() / 2);
    }
    assert_eq!(
        store.get(key(0)).unwrap_err().kind(),
        ErrorKind::DatastoreNotFound
    );
}

#[test]
fn a_read_committed_reader_sees_what_there_is_when_it_looks() {
    let (_machine, volume, store) = store();
    fill(&store, b"before");
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        fill(&store, b"before");
        let options = TransactionOptions::new().isolation(isolation);
        let txn = volume.begin_with(options).unwrap();
        assert!(txn.contains_key(&store, key(1)).unwrap());
        volume.truncate_datastore(store.id()).unwrap();
        sees(&txn, &store, &Items::new());
    }
}

/// What a transaction would write among items that it does not see is refused, and nothing of it
/// is lost in silence.
#[test]
fn a_transaction_that_began_before_cannot_write_to_what_it_does_not_see() {
    let (_machine, volume, store) = store();
    fill(&store, b"before");
    let other = volume.create_datastore(b"other").unwrap();
    for change in 0..5 {
        let mut txn = volume.begin().unwrap();
        txn.put(&other, b"k", b"v").unwrap();
        volume.truncate_datastore(store.id()).unwrap();
        let why = match change {
            0 => txn.put(&store, b"k", b"v"),
            1 => txn.try_insert(&store, b"k", b"v"),
            2 => txn.remove(&store, key(1)).map(drop),
            3 => txn.reserve(&store, b"k"),
            _ => txn
                .update_fetch(&store, b"k", |_| Some(Vec::new()))
                .map(drop),
        };
        fill(&store, b"before");
        let why = why.unwrap_err();
        assert_eq!(why.kind(), ErrorKind::Conflict, "{why}");
        assert!(why.is_retryable(), "{why}");
        assert!(txn.commit().is_err());
    }
    let mut txn = volume.begin().unwrap();
    txn.put(&store, b"k", b"v").unwrap();
    let busy = volume.truncate_datastore(store.id()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    txn.commit().unwrap();
    let mut txn = volume.begin().unwrap();
    volume.drop_datastore(store.id()).unwrap();
    assert_eq!(txn.get(&store, b"k").unwrap(), Some(b"v".to_vec()));
    let gone = txn.put(&store, b"k", b"v").unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::DatastoreNotFound, "{gone}");
}

/// The old items stay where they are while somebody sees them, however much is written, cleaned and
/// checkpointed meanwhile; a crash does not bring them back; and they are free at the end.
#[test]
fn what_a_view_sees_stays_and_is_free_when_it_is_gone() {
    for deed in [Deed::Truncate, Deed::Remove, Deed::TruncateTwice] {
        let (machine, volume, store) = store();
        let other = volume.create_datastore(b"other").unwrap();
        let value = vec![7; 20_000];
        let wanted = fill(&store, &value);
        volume.flush().unwrap();
        let snapshot = volume.snapshot().unwrap();
        act(deed, &volume, &store);
        let held = volume.stats().live_bytes;
        assert!(held > 6_000_000, "{deed:?}: {held} bytes are alive");
        for round in 0..120u32 {
            // Some of them long ones.
            let bytes = [100_000, 1_100_000][usize::from(round % 10 == 0)];
            other
                .put([round as u8 % 8], vec![round as u8; bytes])
                .unwrap();
            while volume.background_step().unwrap() {}
            if round % 20 == 0 {
                volume.clean().unwrap();
                volume.free().unwrap();
            }
        }
        sees(&snapshot, &store, &wanted);
        let before = volume.stats().live_bytes;
        drop(snapshot);
        while volume.background_step().unwrap() {}
        let after = volume.stats().live_bytes;
        assert!(before - after > 6_000_000, "{deed:?}: {before} to {after}");
        volume.flush().unwrap();
        let volume = open_one(&after_power_loss(&machine, 1)).unwrap();
        let stats = volume.stats();
        assert!(stats.live_bytes < after + 100_000, "{deed:?}");
        let names: Vec<_> = volume.datastores().into_iter().map(|i| i.name).collect();
        assert_eq!(names.len(), 1 + usize::from(!matches!(deed, Deed::Remove)));
    }
}

/// The same if the process ends while the view is there.
#[test]
fn a_crash_under_a_view_leaves_nothing_of_what_it_saw() {
    let (machine, volume, store) = store();
    fill(&store, &[7; 20_000]);
    let snapshot = volume.snapshot().unwrap();
    volume.truncate_datastore(store.id()).unwrap();
    for with_checkpoint in [false, true] {
        if with_checkpoint {
            volume.checkpoint().unwrap();
        }
        let again = open_one(&after_power_loss(&machine, 2)).unwrap();
        assert!(again.datastore(b"store").unwrap().is_empty());
        let live = again.stats().live_bytes;
        assert!(live < 100_000, "{live} bytes are alive");
    }
    assert!(snapshot.contains_key(&store, key(0)).unwrap());
}

fn memory() -> Volume {
    let mut options = sim_options();
    options.exclusive = true;
    Volume::open(&format!("he://./_{}", 64 * MIB), &options).unwrap()
}

fn contents(volume: &Volume) -> Vec<(Vec<u8>, Items)> {
    let stores = volume.datastores().into_iter();
    let read = |name: &[u8]| {
        let store = volume.datastore(name).unwrap();
        let mut items: Items = store.items().map(Result::unwrap).collect();
        items.sort();
        items
    };
    stores.map(|i| (i.name.clone(), read(&i.name))).collect()
}

/// Three datastores, and one that comes later; each meets one of the deeds.
#[test]
fn a_backup_of_a_view_has_the_datastores_of_its_moment() {
    for deed in DEEDS {
        let (_machine, volume, store) = store();
        make_with(&volume, "a", "first").unwrap();
        make_with(&volume, "z", "last").unwrap();
        for name in [b"a", b"z"] {
            fill(&volume.datastore(name).unwrap(), b"neighbour");
        }
        fill(&store, b"before");
        let wanted = contents(&volume);
        let snapshot = volume.snapshot().unwrap();
        volume.create_datastore(b"later").unwrap();
        act(deed, &volume, &store);
        for _ in 0..2 {
            let target = memory();
            // What becomes of the others while the copying goes on does not matter either.
            let mut others = ["a", "z"].iter();
            let from = BackupFrom::Snapshot(&snapshot);
            let report = volume.backup(from, &target, &mut |_| {
                if let Some(name) = others.next()
                    && let Ok(store) = volume.datastore(name.as_bytes())
                {
                    volume.drop_datastore(store.id()).unwrap();
                }
                true
            });
            assert_eq!(report.unwrap().items, 3 * u64::from(ITEMS), "{deed:?}");
            assert!(contents(&target) == wanted, "{deed:?}");
        }
    }
}

/// A view of somebody else's, of which the volume does not know: it sees what there is when the
/// copying begins, to its end.
#[test]
fn a_backup_through_a_view_from_outside_goes_on_with_what_it_began_with() {
    for deed in DEEDS {
        let (_machine, volume, store) = store();
        fill(&store, b"before");
        let wanted = contents(&volume);
        let keeper = Keeper::new();
        let view = keeper.begin(Isolation::Snapshot);
        let target = memory();
        let mut deeds = 0;
        let from = BackupFrom::View(&view);
        let report = volume.backup(from, &target, &mut |_| {
            if deeds == 0 {
                act(deed, &volume, &store);
            }
            deeds += 1;
            true
        });
        assert_eq!(report.unwrap().items, u64::from(ITEMS), "{deed:?}");
        assert!(deeds > 0, "nothing was done meanwhile");
        // A write outside transactions is seen as it comes: see [`BackupFrom::View`].
        let names = |all: &[(Vec<u8>, Items)]| -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
            let keys = |items: &Items| items.iter().map(|item| item.0.clone()).collect();
            all.iter().map(|s| (s.0.clone(), keys(&s.1))).collect()
        };
        assert!(names(&contents(&target)) == names(&wanted), "{deed:?}");
        view.end();
    }
}

/// Schema changes and views from several threads: no walk ever sees part of a generation.
#[test]
fn views_beside_truncations_in_other_threads_see_whole_generations() {
    let (_machine, volume, store) = store();
    fill(&store, &[0]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..40u8 {
                volume.truncate_datastore(store.id()).unwrap();
                let mut batch = volume.batch();
                for number in 0..ITEMS {
                    batch.put(&store, key(number), [round]).unwrap();
                }
                batch.commit(heliumdb::Durability::Buffered).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    let snapshot = volume.snapshot().unwrap();
                    let first: Items = snapshot.iter(&store).map(Result::unwrap).collect();
                    let again: Items = snapshot.iter(&store).map(Result::unwrap).collect();
                    assert_eq!(first, again);
                    let is_alike = first.iter().all(|item| item.1 == first[0].1);
                    assert!(is_alike && [0, ITEMS as usize].contains(&first.len()));
                }
            });
        }
    });
}
