//! Writers that find no room do not wait for what cannot come.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use helium_sim::{DiskId, Fault, FaultKind, Latch, Machine, On, Operation, sim_options};
use heliumdb::{Datastore, DatastoreOptions, ErrorKind, Result, Volume, VolumeOptions};

use crate::common::{MIB, Released, machine};

/// Much longer than anything here takes, and much shorter than a wait in vain.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writers wait for hours, if there is any hope; and cleaning begins only when room is short.
fn patient() -> VolumeOptions {
    let mut options = sim_options();
    options.background_thread = true;
    options.retry_count = 1_000_000;
    options.clean_dirty_pct = 100;
    options
}

fn open(options: &VolumeOptions) -> (Machine, Volume, Datastore) {
    let machine = machine(0, 1);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    (machine, volume, store)
}

/// What comes of `work`, if that does not wait.
#[track_caller]
fn at_once<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, told) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    told.recv_timeout(PATIENCE).expect("it waits in vain")
}

fn put_large(store: &Datastore, number: u32) -> Result<()> {
    store.put(number.to_be_bytes(), [1; 50_000])
}

#[test]
fn a_volume_that_nothing_makes_room_in_refuses_at_once() {
    let (_machine, volume, store) = open(&patient());
    let filled = store.clone();
    let refused = at_once(move || (0..).find_map(|number| put_large(&filled, number).err()));
    assert_eq!(refused.map(|why| why.kind()), Some(ErrorKind::VolumeFull));
    assert!(store.len() > 500, "{}", store.len());
    volume.close().unwrap();
}

/// There is much to clean, which would make room in the log, and none on the device.
#[test]
fn a_device_without_room_refuses_at_once_whatever_could_be_cleaned() {
    for background_thread in [true, false] {
        let mut options = patient();
        options.background_thread = background_thread;
        let (machine, volume, store) = open(&options);
        (0..200).for_each(|number| put_large(&store, number).unwrap());
        (0..100).for_each(|number| put_large(&store, 2 * number).unwrap());
        volume.flush().unwrap();
        machine.plan(Fault {
            on: On::Write,
            nth: 0,
            for_ever: true,
            kind: FaultKind::Enospc,
        });
        store.put(b"buffered", b"v").unwrap();
        let full = volume.flush().unwrap_err();
        assert_eq!(full.kind(), ErrorKind::VolumeFull, "{full}");
        let writer = store.clone();
        let refused = at_once(move || put_large(&writer, 1_000).unwrap_err());
        assert_eq!(refused.kind(), ErrorKind::VolumeFull, "{refused}");
        machine.heal();
        at_once(move || put_large(&store, 1_000)).unwrap();
        volume.close().unwrap();
    }
}

/// A device may hold up the cleaner for ever: who waits for room waits as long as the options say, and no longer.
#[test]
fn a_cleaner_that_is_held_up_holds_up_no_writer() {
    for unordered in [false, true] {
        let mut options = patient();
        (options.retry_count, options.retry_delay_us) = (20, 10_000);
        let machine = machine(0, 1);
        let latch = Latch::new();
        let device = latch.guard(machine.device(DiskId(0)));
        let volume = Volume::open_devices(vec![device], &options).unwrap();
        let mut how = DatastoreOptions::default();
        (how.create, how.unordered) = (true, unordered);
        let store = volume.open_datastore(b"store", &how).unwrap();
        let released = Released(&latch);
        // Whole segments are read by the cleaner alone.
        latch.hold(
            |operation| matches!(operation, Operation::Read { len, .. } if *len as u64 == MIB),
        );
        let writer = store.clone();
        let refused = at_once(move || {
            (1..).find_map(|number| {
                let hot = put_large(&writer, 0);
                hot.and_then(|()| put_large(&writer, number)).err()
            })
        });
        assert_eq!(refused.map(|why| why.kind()), Some(ErrorKind::VolumeFull));
        assert_eq!(latch.await_held(1).len(), 1);
        // Half of what is asked for: some of it may be known to be in vain at once.
        let (writer, started) = (store.clone(), Instant::now());
        at_once(move || put_large(&writer, 0).unwrap_err());
        let waited = started.elapsed();
        assert!(waited >= Duration::from_millis(100), "{waited:?}");
        drop(released);
        latch.hold(|_| false);
        drop(store);
        let _ = volume.close();
    }
}

/// As long as the one above waits, but with the numbers that nobody has changed: ten seconds.
#[test]
fn the_wait_by_default_is_the_one_that_is_documented() {
    let options = VolumeOptions::default();
    let (count, delay) = (options.retry_count, options.retry_delay_us);
    assert_eq!(u64::from(count) * delay, 10_000_000);
    for (page, said) in [
        (
            include_str!("../../../../docs/durability.md"),
            format!("({count} times {} milliseconds)", delay / 1_000),
        ),
        (
            include_str!("../../../../docs/wiredtiger.md"),
            format!("({count}, {delay})"),
        ),
    ] {
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(page.contains(&said), "{said}");
    }
}
