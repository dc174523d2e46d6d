//! The catalog: each operation is atomic and durable when it returns; ids are never used twice.

use std::collections::BTreeMap;

use helium_sim::{Keeper, Machine, seed};
use heliumdb::{DatastoreId, DatastoreOptions, ErrorKind, Isolation, Volume};

use crate::common::{Session, after_power_loss, machine, make_with, open_one, store};

type Names = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

fn names(volume: &Volume) -> Names {
    let infos = volume.datastores().into_iter();
    infos
        .map(|info| (info.name, (info.id.0, info.attributes)))
        .collect()
}

fn kind<T: std::fmt::Debug>(result: heliumdb::Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn operations_do_what_they_say_and_are_there_after_a_power_loss() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let one = make_with(&volume, "one", "attributes").unwrap();
    let two = volume.create_datastore(b"two").unwrap();
    assert_eq!(
        kind(volume.create_datastore(b"one")),
        ErrorKind::DatastoreExists
    );
    assert_eq!(
        kind(volume.datastore(b"three")),
        ErrorKind::DatastoreNotFound
    );
    assert_eq!(
        kind(volume.rename_datastore(two.id(), b"one")),
        ErrorKind::DatastoreExists
    );
    assert_eq!(
        kind(volume.drop_datastore(DatastoreId(999))),
        ErrorKind::DatastoreNotFound
    );
    one.put(b"k", b"v").unwrap();
    volume.rename_datastore(one.id(), b"uno").unwrap();
    volume.set_attributes(one.id(), b"others").unwrap();
    two.put(b"k", b"v").unwrap();
    volume.truncate_datastore(two.id()).unwrap();
    assert_eq!(two.get(b"k").unwrap(), None);
    two.put(b"after", b"v").unwrap();
    volume.flush().unwrap();
    let (one, two) = (one.id(), two.id());
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let wanted: Vec<(&[u8], DatastoreId, &[u8])> =
        vec![(b"two", two, b""), (b"uno", one, b"others")];
    let found = volume.datastores();
    let found: Vec<_> = found
        .iter()
        .map(|i| (&i.name[..], i.id, &i.attributes[..]))
        .collect();
    assert_eq!(found, wanted);
    let uno = volume.datastore(b"uno").unwrap();
    assert_eq!(uno.get(b"k").unwrap(), Some(b"v".to_vec()));
    let keys: Vec<_> = volume
        .datastore_by_id(two)
        .unwrap()
        .iter()
        .map(|i| i.unwrap().0)
        .collect();
    assert_eq!(keys, [b"after".to_vec()]);
}

#[test]
fn a_handle_of_a_removed_datastore_says_so() {
    let (_machine, volume, store) = store();
    store.put(b"k", b"v").unwrap();
    volume.drop_datastore(store.id()).unwrap();
    assert_eq!(kind(store.get(b"k")), ErrorKind::DatastoreNotFound);
    assert_eq!(kind(store.put(b"k", b"v")), ErrorKind::DatastoreNotFound);
    assert_eq!(kind(store.info()), ErrorKind::DatastoreNotFound);
    let again = volume.create_datastore(b"store").unwrap();
    assert!(again.id() > store.id());
    assert_eq!(again.get(b"k").unwrap(), None);
}

#[test]
fn what_was_removed_never_comes_back() {
    let (mut machine, mut volume, mut store) = store();
    for round in 0..5u8 {
        store.put(b"k", [round]).unwrap();
        store.put([round], b"only in this round").unwrap();
        volume.flush().unwrap();
        if round % 2 == 0 {
            volume.truncate_datastore(store.id()).unwrap();
        } else {
            volume.drop_datastore(store.id()).unwrap();
            volume.create_datastore(b"store").unwrap();
        }
        machine = after_power_loss(&machine, 0);
        volume = open_one(&machine).unwrap();
        store = volume.datastore(b"store").unwrap();
        assert_eq!(store.iter().count(), 0, "round {round}");
    }
}

#[test]
fn names_may_be_any_bytes() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    let names: [&[u8]; 8] = [
        b"\0",
        b"\xff\xff",
        b"a/b",
        b"WiredTiger.foo",
        b".cache",
        b" ",
        b"\0\0\0\x10",
        "ünï".as_bytes(),
    ];
    for (index, name) in names.into_iter().enumerate() {
        volume
            .create_datastore(name)
            .unwrap()
            .put(b"k", [index as u8])
            .unwrap();
    }
    volume.close().unwrap();
    let volume = open_one(&machine).unwrap();
    for (index, name) in names.into_iter().enumerate() {
        let store = volume.datastore(name).unwrap();
        assert_eq!(store.get(b"k").unwrap(), Some(vec![index as u8]));
    }
    assert_eq!(volume.datastores().len(), names.len());
}

#[test]
fn there_is_room_for_4095_datastores() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    for number in 0..4_095u32 {
        let store = volume
            .create_datastore(format!("{number}").as_bytes())
            .unwrap();
        store.put(b"number", number.to_le_bytes()).unwrap();
        while volume.background_step().unwrap() {}
    }
    volume.flush().unwrap();
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    assert_eq!(volume.datastores().len(), 4_095);
    for number in (0..4_095u32).step_by(97) {
        let store = volume.datastore(format!("{number}").as_bytes()).unwrap();
        assert_eq!(
            store.get(b"number").unwrap(),
            Some(number.to_le_bytes().to_vec())
        );
    }
}

#[test]
fn changes_are_refused_while_a_transaction_has_written_there() {
    let (_machine, volume, store) = store();
    let other = volume.create_datastore(b"other").unwrap();
    let keeper = Keeper::new();
    for commits in [true, false] {
        let mut session = Session::begin(&keeper, Isolation::Snapshot);
        session.put(&store, "k", "v").unwrap();
        assert_eq!(kind(volume.truncate_datastore(store.id())), ErrorKind::Busy);
        assert_eq!(kind(volume.drop_datastore(store.id())), ErrorKind::Busy);
        assert_eq!(
            kind(volume.rename_datastore(store.id(), b"x")),
            ErrorKind::Busy
        );
        volume.truncate_datastore(other.id()).unwrap();
        // Readers and writers outside transactions are no reason.
        let mut reader = Session::begin(&keeper, Isolation::Snapshot);
        reader.get(&store, "k").unwrap();
        if commits {
            session.commit().unwrap();
        } else {
            session.abort();
        }
        volume.truncate_datastore(store.id()).unwrap();
        assert_eq!(reader.get(&store, "k").unwrap(), None);
    }
}

/// A power loss at any write of a list of operations.
#[test]
fn a_power_loss_leaves_each_operation_done_or_not() {
    let machine = machine(0, 1);
    let volume = open_one(&machine).unwrap();
    volume.create_datastore(b"first").unwrap();
    let mut states = vec![names(&volume)];
    machine.record(&[0]);
    let mut highest = 0;
    for step in 0..40u32 {
        let all = volume.datastores();
        let some = &all[step as usize * 7 % all.len()];
        match step % 5 {
            0 | 1 => drop(
                volume
                    .open_datastore(
                        format!("s{step}"),
                        &DatastoreOptions::new()
                            .create(true)
                            .error_if_exists(true)
                            .attributes("a"),
                    )
                    .unwrap(),
            ),
            2 => volume
                .rename_datastore(some.id, format!("r{step}").as_bytes())
                .unwrap(),
            3 => volume.set_attributes(some.id, step.to_le_bytes()).unwrap(),
            _ if step % 2 == 0 => volume.drop_datastore(some.id).unwrap(),
            _ => volume.truncate_datastore(some.id).unwrap(),
        }
        states.push(names(&volume));
        machine.note(&[u64::from(step) + 1]);
        highest = volume
            .datastores()
            .iter()
            .map(|i| i.id.0)
            .max()
            .unwrap_or(highest)
            .max(highest);
    }
    for (index, record) in machine.records().iter().enumerate() {
        for round in 0..5 {
            let mut rng = seed::rng(index as u64 * 5 + round);
            let after = Machine::with_images(0, record.crash(&mut rng));
            let volume = open_one(&after).unwrap();
            let done = record.note[0] as usize;
            let found = names(&volume);
            let begun = states.get(done + 1).unwrap_or(&states[done]);
            assert!(
                found == states[done] || found == *begun,
                "after operation {done}: {found:?}"
            );
        }
    }
    // Every id that was ever given is below the next one, whatever was removed.
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    assert!(volume.create_datastore(b"last").unwrap().id().0 > highest);
}

#[test]
fn ids_are_not_used_twice_though_the_newest_was_removed() {
    let (machine, volume, store) = store();
    let newest = volume.create_datastore(b"newest").unwrap().id();
    assert!(newest > store.id());
    volume.drop_datastore(newest).unwrap();
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    assert!(volume.create_datastore(b"newest").unwrap().id() > newest);
}
