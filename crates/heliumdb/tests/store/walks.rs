//! What walks do at errors, beside commits, and with large items: all of them stand on one cursor.

use helium_sim::{DiskId, Keeper, Machine};
use heliumdb::host::DatastoreExt;
use heliumdb::{
    ErrorKind, Isolation, Position, Volume, VolumeOptions,
    host::{ReadAhead, View, Wanted},
};

use crate::common::{Session, both_kinds, store};

const MIB: u64 = 1 << 20;

fn key(number: u32) -> Vec<u8> {
    format!("{number:04}").into_bytes()
}

/// A volume whose items are on its device only, and in no cache.
fn cold(items: u32, value: &[u8]) -> (Machine, Volume) {
    let machine = Machine::new(0, &[64 * MIB]);
    let mut options: VolumeOptions = helium_sim::sim_options();
    options.read_cache_bytes = 0;
    let open = || Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let volume = open();
    let store = volume.create_datastore(b"store").unwrap();
    for number in 0..items {
        store.put(key(number), value).unwrap();
    }
    volume.close().unwrap();
    let volume = open();
    (machine, volume)
}

/// An item that cannot be looked at is said when it is its turn, once, and ends the walk.
#[test]
fn what_is_before_an_error_comes_before_it() {
    let (_machine, _volume, store) = store();
    let keeper = Keeper::new();
    let mut writer = Session::begin(&keeper, Isolation::Snapshot);
    for number in 0..40 {
        writer.put(&store, &format!("{number:04}"), "old").unwrap();
    }
    writer.commit().unwrap();
    for broken in 0..40 {
        let mut prepared = Session::begin(&keeper, Isolation::Snapshot);
        let name = format!("{broken:04}");
        prepared.put(&store, &name, "new").unwrap();
        prepared.view.prepare();
        let reader = Session::begin(&keeper, Isolation::Snapshot);
        let mut items = store.items_of(&reader.view);
        for number in 0..broken {
            assert_eq!(items.next().unwrap().unwrap().0, key(number));
        }
        let why = items.next().unwrap().unwrap_err();
        assert_eq!(why.kind(), ErrorKind::PrepareConflict);
        assert!(items.next().is_none());
        // A cursor goes on from where it stood, once it can.
        let (mut ahead, mut found, mut value) = (ReadAhead::default(), Vec::new(), Vec::new());
        let mut last = Vec::new();
        let mut met = 0;
        let mut prepared = Some(prepared);
        for number in 0..40 {
            let position = match number {
                0 => Position::First,
                _ => Position::After(&last),
            };
            let mut step = || {
                store.seek_ahead(
                    &reader.view,
                    (position, Wanted::Items),
                    &mut ahead,
                    &mut found,
                    &mut value,
                )
            };
            if number == broken {
                assert_eq!(step().unwrap_err().kind(), ErrorKind::PrepareConflict);
                assert_eq!(step().unwrap_err().kind(), ErrorKind::PrepareConflict);
                prepared.take().unwrap().abort();
                met += 1;
            }
            assert!(step().unwrap());
            assert_eq!((&found, &value[..]), (&key(number), &b"old"[..]));
            last.clone_from(&found);
        }
        assert_eq!(met, 1);
    }
}

/// What a transaction has not committed yet has a key where the index has keys.
#[test]
fn a_walk_through_all_items_shows_what_is_not_committed_where_it_knows_the_keys() {
    for (_machine, volume, store) in both_kinds() {
        let unordered = volume.datastore_by_id(store.id()).unwrap();
        let is_unordered = unordered.info().unwrap().unordered;
        let keeper = Keeper::new();
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        session.put(&store, "mine", "1").unwrap();
        let view: &dyn View = &session.view;
        let found: Vec<_> = store.items_of(view).collect();
        match is_unordered {
            true => {
                let why = found.into_iter().next().unwrap().unwrap_err();
                assert_eq!(why.kind(), ErrorKind::Unsupported);
            }
            false => assert_eq!(found[0].as_ref().unwrap().0, b"mine"),
        }
    }
}

/// Beside commits, and over items that are overwritten ahead of it, a snapshot's cursor reads each item once.
#[test]
fn what_is_read_ahead_for_a_snapshot_holds_beside_commits() {
    const ITEMS: u32 = 400;
    const VALUE: [u8; 2000] = [7; 2000];
    let (_machine, volume) = cold(ITEMS, &VALUE);
    let store = volume.datastore(b"store").unwrap();
    let snapshot = volume.snapshot().unwrap();
    let (mut ahead, mut found, mut value) = (ReadAhead::default(), Vec::new(), Vec::new());
    let before = volume.stats().device_read_bytes;
    let mut last: Option<Vec<u8>> = None;
    for number in 0..ITEMS {
        // Few of those ahead, which nobody who checks could read ahead anyway; and always something.
        let other = match number % 50 {
            0 => (number + 7) % ITEMS,
            _ => ITEMS,
        };
        store.put(key(other), b"new").unwrap();
        let position = last.as_deref().map_or(Position::First, Position::After);
        let step = (position, Wanted::Items);
        assert!(
            store
                .seek_ahead(&snapshot, step, &mut ahead, &mut found, &mut value)
                .unwrap()
        );
        assert_eq!((&found, &value[..]), (&key(number), &VALUE[..]));
        last = Some(found.clone());
    }
    let read = volume.stats().device_read_bytes - before;
    let all = u64::from(ITEMS) * VALUE.len() as u64;
    assert!(read < 2 * all, "{read} bytes for {all}");
    // Another snapshot sees another moment, with the same cursor.
    let snapshot = volume.snapshot().unwrap();
    let position = Position::AtOrAfter(b"0007");
    store
        .seek(&snapshot, position, &mut found, &mut value)
        .unwrap();
    let mut again = Vec::new();
    assert!(
        store
            .seek_ahead(
                &snapshot,
                (position, Wanted::Items),
                &mut ahead,
                &mut again,
                &mut value
            )
            .unwrap()
    );
    assert_eq!((again, &value[..]), (found, &b"new"[..]));
}

/// However few items a walk has taken, it has read little more than these.
#[test]
fn large_items_are_not_read_ahead_by_the_dozen() {
    const ITEMS: u32 = 200;
    let value = vec![7; 100_000];
    let (_machine, volume) = cold(ITEMS, &value);
    let store = volume.datastore(b"store").unwrap();
    let snapshot = volume.snapshot().unwrap();
    let walks: [&dyn Fn() -> usize; 3] = [
        &|| store.iter().take(35).count(),
        &|| store.items().take(35).count(),
        &|| {
            heliumdb::Readable::iter(&snapshot, &store)
                .rev()
                .take(35)
                .count()
        },
    ];
    for walk in walks {
        let before = volume.stats().device_read_bytes;
        assert_eq!(walk(), 35);
        let read = (volume.stats().device_read_bytes - before) / value.len() as u64;
        assert!((34..48).contains(&read), "{read} items");
    }
}
