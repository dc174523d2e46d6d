//! Every limit, at the limit and one past it.

use helium_sim::{DiskId, Keeper, Machine, sim_options};
use heliumdb::{
    Datastore, ErrorKind, Isolation, Result, Volume,
    host::{Change, Mode, open_all_devices},
    limits::*,
};

use crate::common::{MIB, Session, after_power_loss, make_with, open_one, store};

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

fn reopened(machine: &Machine) -> Datastore {
    let volume = open_one(&after_power_loss(machine, 0)).unwrap();
    volume.datastore(b"store").unwrap()
}

#[test]
fn keys() {
    let (machine, volume, store) = store();
    let longest = vec![b'k'; KEY_BYTES_MAX];
    let longer = vec![b'k'; KEY_BYTES_MAX + 1];
    store.put(&longest, b"v").unwrap();
    store.put(b"", b"empty").unwrap();
    refused(store.put(&longer, b"v"), ErrorKind::KeyTooLong);
    refused(store.delete(&longer), ErrorKind::KeyTooLong);
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    let change = Change::Put(b"w");
    session
        .write(&store, &longest, change, Mode::Present)
        .unwrap();
    refused(
        session.write(&store, &longer, change, Mode::Any),
        ErrorKind::KeyTooLong,
    );
    session.abort();
    volume.flush().unwrap();
    let store = reopened(&machine);
    assert_eq!(store.get(&longest).unwrap(), Some(b"v".to_vec()));
    assert_eq!(store.get(b"").unwrap(), Some(b"empty".to_vec()));
    assert_eq!(store.get(&longer).unwrap(), None);
}

#[test]
fn values() {
    // Reservations for values of this size are generous: give them room.
    let machine = Machine::new(0, &[256 * MIB]);
    let volume = open_one(&machine).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let longest = vec![7; VALUE_BYTES_MAX];
    let longer = vec![7; VALUE_BYTES_MAX + 1];
    store.put(b"longest", &longest).unwrap();
    store.put(b"empty", b"").unwrap();
    refused(store.put(b"longer", &longer), ErrorKind::ValueTooLong);
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session
        .write(&store, b"inside", Change::Put(&longest), Mode::Any)
        .unwrap();
    refused(
        session.write(&store, b"longer", Change::Put(&longer), Mode::Any),
        ErrorKind::ValueTooLong,
    );
    session.abort();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    session
        .write(&store, b"inside", Change::Put(&longest), Mode::Any)
        .unwrap();
    session.commit().unwrap();
    for bytes in [
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        2 * CHUNK_BYTES,
    ] {
        store.put(bytes.to_le_bytes(), vec![9; bytes]).unwrap();
    }
    volume.flush().unwrap();
    let store = reopened(&machine);
    assert!(store.get(b"longest").unwrap() == Some(longest.clone()));
    assert!(store.get(b"inside").unwrap() == Some(longest));
    assert_eq!(store.get(b"empty").unwrap(), Some(Vec::new()));
    for bytes in [
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        2 * CHUNK_BYTES,
    ] {
        assert!(store.get(bytes.to_le_bytes()).unwrap() == Some(vec![9; bytes]));
    }
}

#[test]
fn the_longest_key_with_the_longest_value() {
    let (machine, volume, store) = store();
    let (key, value) = (vec![1; KEY_BYTES_MAX], vec![2; VALUE_BYTES_MAX]);
    store.put(&key, &value).unwrap();
    volume.flush().unwrap();
    assert!(reopened(&machine).get(&key).unwrap() == Some(value));
}

#[test]
fn names_and_attributes() {
    let (machine, volume, _store) = store();
    let name = vec![b'n'; NAME_BYTES_MAX];
    let attributes = vec![b'a'; ATTRIBUTES_BYTES_MAX];
    let id = make_with(&volume, &name, &attributes).unwrap().id();
    let longer = vec![b'n'; NAME_BYTES_MAX + 1];
    refused(volume.create_datastore(&longer), ErrorKind::InvalidArgument);
    refused(volume.create_datastore(b""), ErrorKind::InvalidArgument);
    refused(
        volume.rename_datastore(id, &longer),
        ErrorKind::InvalidArgument,
    );
    let more = vec![b'a'; ATTRIBUTES_BYTES_MAX + 1];
    refused(make_with(&volume, "x", &more), ErrorKind::InvalidArgument);
    refused(volume.set_attributes(id, &more), ErrorKind::InvalidArgument);
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    let info = volume.datastore(&name).unwrap().info().unwrap();
    assert_eq!((info.id, info.attributes), (id, attributes));
}

#[test]
#[ignore = "takes a minute and half a gigabyte"]
fn datastores() {
    let machine = Machine::new(0, &[1 << 30]);
    let volume = open_one(&machine).unwrap();
    for number in 0..DATASTORES_MAX as u32 {
        volume.create_datastore(number.to_be_bytes()).unwrap();
        while volume.background_step().unwrap() {}
    }
    refused(
        volume.create_datastore(b"more"),
        ErrorKind::TooManyDatastores,
    );
    let volume = open_one(&after_power_loss(&machine, 0)).unwrap();
    assert_eq!(volume.datastores().len(), DATASTORES_MAX);
    refused(
        volume.create_datastore(b"more"),
        ErrorKind::TooManyDatastores,
    );
}

#[test]
fn volume_bytes() {
    let open = |disks: &[u64]| {
        let machine = Machine::new(0, disks);
        let ids: Vec<DiskId> = (0..disks.len()).map(DiskId).collect();
        Volume::open_devices(machine.devices(&ids), &sim_options())
    };
    open(&[VOLUME_BYTES_MIN]).unwrap();
    refused(open(&[VOLUME_BYTES_MIN - 1]), ErrorKind::VolumeTooSmall);
    open(&[VOLUME_BYTES_MIN / 2; 2]).unwrap();
    refused(
        open(&[VOLUME_BYTES_MIN / 2, VOLUME_BYTES_MIN / 2 - 1]),
        ErrorKind::VolumeTooSmall,
    );
    // What stands before the segments, and one of the larger segments.
    open(&[VOLUME_BYTES_MIN, 9 * MIB]).unwrap();
    refused(
        open(&[VOLUME_BYTES_MIN, 9 * MIB - 1]),
        ErrorKind::VolumeTooSmall,
    );
    open(&[16 * MIB; DEVICES_MAX]).unwrap();
    refused(
        open(&[16 * MIB; DEVICES_MAX + 1]),
        ErrorKind::InvalidArgument,
    );
}

#[test]
fn volumes_in_a_transaction() {
    let machine = Machine::new(0, &[64 * MIB; VOLUMES_PER_TRANSACTION_MAX + 1]);
    let open = |machine: &Machine| {
        let disks = 0..=VOLUMES_PER_TRANSACTION_MAX;
        let devices = disks.map(|disk| (machine.devices(&[DiskId(disk)]), sim_options()));
        open_all_devices(devices.collect()).unwrap()
    };
    let volumes = open(&machine);
    let create = |volume: &Volume| volume.create_datastore(b"store").unwrap();
    let stores: Vec<Datastore> = volumes.iter().map(create).collect();
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    let (last, rest) = stores.split_last().unwrap();
    for store in rest {
        session.put(store, "k", "v").unwrap();
    }
    session.commit().unwrap();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    for store in rest {
        session.put(store, "k", "w").unwrap();
    }
    refused(session.put(last, "k", "w"), ErrorKind::InvalidArgument);
    session.abort();
    let volumes = open(&after_power_loss(&machine, 0));
    let values = volumes
        .iter()
        .map(|v| v.datastore(b"store").unwrap().get(b"k").unwrap());
    let found = values
        .filter(|value| value.as_deref() == Some(b"v"))
        .count();
    assert_eq!(found, VOLUMES_PER_TRANSACTION_MAX);
}
