//! Options: brought into their ranges, and doing what they say; and the figures.

use helium_sim::{DiskId, Keeper, Machine, sim_options};
use heliumdb::{DatastoreOptions, ErrorKind, Isolation, Volume, VolumeOptions, limits::*};

use crate::common::{MIB, Session, after_power_loss, machine, open_one, store};

#[test]
fn numbers_are_clamped_and_never_refused() {
    type Set = fn(&mut VolumeOptions, u64);
    type Get = fn(&VolumeOptions) -> u64;
    let numbers: [(&str, Set, Get, [u64; 2]); 4] = [
        (
            "write cache",
            |o, n| o.write_cache_bytes = n,
            |o| o.write_cache_bytes,
            WRITE_CACHE_BYTES,
        ),
        (
            "read cache",
            |o, n| o.read_cache_bytes = n,
            |o| o.read_cache_bytes,
            READ_CACHE_BYTES,
        ),
        (
            "version budget",
            |o, n| o.version_budget_bytes = n,
            |o| o.version_budget_bytes,
            VERSION_BUDGET_BYTES_RANGE,
        ),
        (
            "auto-commit period",
            |o, n| o.auto_commit_period_ms = n,
            |o| o.auto_commit_period_ms,
            [AUTO_COMMIT_PERIOD_MS_MIN, u64::MAX],
        ),
    ];
    for (name, set, get, [least, most]) in numbers {
        let given = [
            0,
            least.saturating_sub(1),
            least,
            least + 1,
            most,
            most.saturating_add(1),
            u64::MAX,
        ];
        for number in given {
            let mut options = sim_options();
            set(&mut options, number);
            let machine = machine(0, 1);
            let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
            let has = get(volume.options());
            assert_eq!(has, number.clamp(least, most), "{name} = {number}");
        }
    }
}

#[test]
fn what_is_buffered_is_made_durable_in_time() {
    let mut options = sim_options();
    options.background_thread = true;
    options.auto_commit_period_ms = 50;
    let machine = machine(0, 1);
    let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    store.put(b"k", b"v").unwrap();
    let start = std::time::Instant::now();
    while volume.stats().auto_commits == 0 {
        assert!(start.elapsed().as_secs() < 20, "nothing was made durable");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let volume = open_one(&after_power_loss(&machine, 1)).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.get(b"k").unwrap(), Some(b"v".to_vec()));
}

#[test]
fn datastores_are_opened_as_asked() {
    let (_machine, volume, store) = store();
    store.put(b"k", b"v").unwrap();
    let mut options = DatastoreOptions::default();
    let kind = |options: &DatastoreOptions, name: &[u8]| {
        volume
            .open_datastore(name, options)
            .err()
            .map(|why| why.kind())
    };
    assert_eq!(kind(&options, b"none"), Some(ErrorKind::DatastoreNotFound));
    options.error_if_exists = true;
    assert_eq!(kind(&options, b"store"), Some(ErrorKind::DatastoreExists));
    options.create = true;
    options.attributes = b"mine".to_vec();
    let made = volume.open_datastore(b"made", &options).unwrap();
    assert_eq!(made.info().unwrap().attributes, b"mine");
    options.error_if_exists = false;
    options.read_only = true;
    let reader = volume.open_datastore(b"store", &options).unwrap();
    assert!(reader.is_read_only());
    assert_eq!(reader.get(b"k").unwrap(), Some(b"v".to_vec()));
    let keeper = Keeper::new();
    let mut session = Session::begin(&keeper, Isolation::Snapshot);
    for refused in [
        reader.put(b"k", b"w"),
        reader.try_insert(b"l", b"w"),
        reader.replace(b"k", b"w"),
        reader.delete(b"k").map(drop),
        session.put(&reader, "k", "w"),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ReadOnly);
    }
    session.abort();
    options.truncate = true;
    assert_eq!(kind(&options, b"store"), Some(ErrorKind::InvalidArgument));
    options.read_only = false;
    let emptied = volume.open_datastore(b"store", &options).unwrap();
    assert_eq!(emptied.get(b"k").unwrap(), None);
    assert_eq!(emptied.id(), store.id());
}

/// All of the devices is used, whatever their sizes.
#[test]
fn devices_of_different_sizes_are_all_used_up() {
    let sizes = [24 * MIB, 80 * MIB, 9 * MIB, 40 * MIB];
    let machine = Machine::new(0, &sizes);
    let disks: Vec<DiskId> = (0..sizes.len()).map(DiskId).collect();
    let volume = Volume::open_devices(machine.devices(&disks), &sim_options()).unwrap();
    let store = volume.create_datastore(b"store").unwrap();
    let value = vec![5; 100_000];
    let mut number = 0u32;
    let full = loop {
        match store.put(number.to_be_bytes(), &value) {
            Ok(()) => number += 1,
            Err(why) => break why,
        }
    };
    assert_eq!(full.kind(), ErrorKind::VolumeFull);
    volume.flush().unwrap();
    let all: u64 = sizes.iter().sum();
    // What deletes may need is kept, and each device has a head.
    let usable = all - 4 * MIB - DELETES_WHEN_FULL * BLOCK_BYTES as u64;
    let stored = u64::from(number) * 100_000;
    assert!(stored > usable / 100 * 90, "{stored} of {usable}");
    // They take turns, as long as each has room.
    let images = machine.images();
    for (image, size) in images.iter().zip(sizes) {
        let used = image.pages().len() as u64 * 4096;
        assert!(used > size / 2, "{used} of {size}");
    }
    let again = Machine::with_images(0, images);
    let volume = Volume::open_devices(again.devices(&disks), &sim_options()).unwrap();
    let store = volume.datastore(b"store").unwrap();
    assert_eq!(store.approximate_len(), u64::from(number));
    assert!(store.get((number - 1).to_be_bytes()).unwrap() == Some(value));
}

#[test]
fn figures_are_there_as_metrics() {
    let (_machine, volume, store) = store();
    for number in 0..100u32 {
        store.put(number.to_be_bytes(), [1; 1000]).unwrap();
    }
    volume.flush().unwrap();
    store.get(7u32.to_be_bytes()).unwrap();
    let stats = volume.stats();
    assert_eq!(stats.datastores, 1);
    assert!(
        stats.written_bytes > 100_000 && stats.device_writes > 0,
        "{stats:?}"
    );
    assert_eq!(stats.device_reads, 0, "{stats:?}");
    assert_eq!(store.stats().unwrap().items, 100);
    let names: std::collections::BTreeSet<_> = stats.metrics().map(|m| m.name).collect();
    assert_eq!(
        names.len(),
        stats.metrics().count(),
        "a name is there twice"
    );
    let text = stats.open_metrics(&[("volume", "a \"b\"")]);
    let line = format!(
        "helium_live_bytes{{volume=\"a \\\"b\\\"\"}} {}",
        stats.live_bytes
    );
    assert!(text.lines().any(|l| l == line), "{text}");
    assert!(text.contains("# TYPE helium_syncs counter"), "{text}");
    assert!(text.contains("helium_syncs_total{"), "{text}");
}

/// Every number that only paces something: whatever is asked for, the volume opens and works.
#[test]
fn numbers_that_pace_the_background_are_taken_as_they_come() {
    for number in [0, 1, 100, 101, u64::from(u32::MAX), u64::MAX] {
        let small = u32::try_from(number).unwrap_or(u32::MAX);
        let mut options = sim_options();
        options.clean_util_pct = small;
        options.clean_dirty_pct = small;
        options.retry_count = small;
        options.retry_delay_us = number;
        options.auto_clean_period_ms = number;
        options.scrub_bytes_per_second = number;
        options.checkpoint_log_bytes = Some(number);
        let machine = machine(0, 1);
        let volume = Volume::open_devices(machine.devices(&[DiskId(0)]), &options).unwrap();
        let has = volume.options();
        assert_eq!(has.clean_util_pct, small.clamp(1, 100));
        assert_eq!(has.clean_dirty_pct, small.clamp(1, 100));
        assert_eq!(has.retry_count, small.min(RETRIES_MAX));
        assert_eq!(has.retry_delay_us, number.min(RETRY_DELAY_US_MAX));
        let store = volume.create_datastore(b"store").unwrap();
        for round in 0..20u32 {
            store.put(round.to_be_bytes(), [1; 50_000]).unwrap();
            store.put(b"over and over", [2; 50_000]).unwrap();
            volume.background_step().unwrap();
        }
        volume.close().unwrap();
        let volume = open_one(&machine).unwrap();
        assert_eq!(volume.datastore(b"store").unwrap().len(), 21);
    }
}

/// `truncate` of a volume: all of it is gone, and it has another id; refused while it is open.
#[test]
fn a_truncated_volume_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://{}", folder.path().join("volume").display());
    let mut options = VolumeOptions::default();
    let volume = Volume::open(&url, &options).unwrap();
    let id = volume.id();
    volume.create_datastore(b"store").unwrap();
    options.truncate = true;
    options.exclusive = true;
    let refused = Volume::open(&url, &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::VolumeInUse);
    volume.close().unwrap();
    drop(volume);
    let volume = Volume::open(&url, &options).unwrap();
    assert!(volume.datastores().is_empty());
    assert_ne!(volume.id(), id);
    drop(volume);
    options.truncate = true;
    options.read_only = true;
    let refused = Volume::open(&url, &options).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
}
