//! Memory that the system does not give: what opens or writes is refused with a sentence, what reads and deletes goes on,
//! and once there is memory again all does. Each in a process of its own, as it is the process that has the limit.

use std::fs;

use heliumdb::{
    Datastore, Durability, Error, ErrorKind, Result, TransactionOptions, Volume, VolumeOptions,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{alone, in_child, url};

/// So much more than it has the process gets: what the store wants to see free, and a little.
const MORE_BYTES: u64 = 96 << 20;
const ROUNDS: u64 = 1_000_000;

/// Says how it failed.
type Said<T> = Result<T, String>;

fn said(why: Error) -> String {
    format!("{why} ({:?})", why.kind())
}

/// Address space that the process has.
fn taken_bytes() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("the kernel says so");
    let pages = statm.split(' ').next().expect("a number");
    pages.parse::<u64>().expect("a number") * 4096
}

/// From now on the process may have so much more than it has.
fn allow(more: Option<u64>) {
    let maximum = getrlimit(Resource::As).maximum;
    let current = more.map(|more| taken_bytes() + more).or(maximum);
    setrlimit(Resource::As, Rlimit { current, maximum }).expect("less than before");
}

fn options() -> VolumeOptions {
    VolumeOptions::new()
        .limit_bytes(400 << 20)
        .read_cache_bytes(0)
        .write_cache_bytes(2 << 20)
        .version_budget_bytes(u64::MAX)
}

fn key(number: u64) -> [u8; 100] {
    let mut key = [b'k'; 100];
    key[..8].copy_from_slice(&number.to_be_bytes());
    key
}

/// Writes until there is no memory for more, and says how much was written.
fn until_refused(mut write: impl FnMut(u64) -> Result<()>) -> Said<u64> {
    allow(Some(MORE_BYTES));
    for number in 0..ROUNDS {
        match write(number) {
            Ok(()) => {}
            Err(why) if why.kind() == ErrorKind::OutOfMemory => {
                return match why.to_string().contains("ulimit -v") {
                    true => Ok(number),
                    false => Err(said(why)),
                };
            }
            Err(why) => return Err(said(why)),
        }
    }
    Err("memory has no end".to_owned())
}

/// What goes on without memory, and all that does with it.
fn goes_on(volume: &Volume, store: &Datastore, items: u64) -> Said<()> {
    let work = || -> Result<()> {
        for number in (0..items).step_by(1 + items as usize / 50) {
            assert!(store.get(key(number))?.is_some(), "{number}");
        }
        if items > 0 {
            assert!(store.delete(key(0))?);
        }
        let mut transaction = volume.begin()?;
        if items > 1 {
            assert!(transaction.delete(store, key(1))?);
        }
        transaction.commit()?;
        volume.flush()?;
        allow(None);
        store.put(key(0), b"again")?;
        store.put(key(1), b"again")?;
        let mut transaction = volume.begin()?;
        transaction.put(store, key(2), b"again")?;
        transaction.commit()
    };
    work().map_err(said)?;
    assert_eq!(store.len(), items.max(3));
    let report = volume.verify(&mut |_| true).map_err(said)?;
    assert_eq!(report.damaged, 0);
    Ok(())
}

fn in_process(work: impl Fn(&Volume, &Datastore) -> Said<u64>) {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a folder");
    in_child(&folder.path().join("complaint"), || {
        let volume = Volume::open(&url(&folder), &options()).map_err(said)?;
        let store = volume.create_datastore(b"items").map_err(said)?;
        let items = work(&volume, &store)?;
        goes_on(&volume, &store, items)
    });
    Volume::open(&url(&folder), &VolumeOptions::default()).expect("a sound volume");
}

#[test]
fn a_write_is_refused_where_the_index_would_get_no_memory() {
    in_process(|_, store| until_refused(|number| store.put(key(number), b"")));
}

#[test]
fn a_transaction_is_refused_and_may_be_committed_or_rolled_back() {
    for commits in [true, false] {
        in_process(|volume, store| {
            let budget = TransactionOptions::new().memory_budget_bytes(usize::MAX);
            let mut transaction = volume.begin_with(budget).map_err(said)?;
            let value = vec![7; 10_000];
            let written = until_refused(|number| transaction.put(store, key(number), &value))?;
            match commits {
                true => transaction.commit().map(|()| written).or_else(|why| {
                    // Its values are once more in the batch: then it is all or nothing.
                    (why.kind() == ErrorKind::OutOfMemory)
                        .then_some(0)
                        .ok_or(said(why))
                }),
                false => {
                    transaction.rollback();
                    Ok(0)
                }
            }
        });
    }
}

#[test]
fn a_transaction_of_removals_is_refused_too() {
    in_process(|volume, store| {
        let items = 400_000;
        for number in 0..items {
            store.put(key(number), b"").map_err(said)?;
        }
        let mut transaction = volume.begin().map_err(said)?;
        let removed = until_refused(|number| transaction.delete(store, key(number)).map(drop))?;
        assert!(removed < items);
        transaction.rollback();
        Ok(items)
    });
}

#[test]
fn a_batch_is_refused_before_any_of_it_is_written() {
    in_process(|volume, store| {
        let mut batch = volume.batch();
        let value = vec![7; 10_000];
        let written = until_refused(|number| batch.put(store, key(number), &value).map(drop))?;
        assert_eq!(batch.len() as u64, written);
        match batch.commit(Durability::Buffered) {
            Ok(()) => Ok(written),
            Err(why) if why.kind() == ErrorKind::OutOfMemory => Ok(0),
            Err(why) => Err(said(why)),
        }
    });
}

#[test]
fn one_value_that_has_no_memory_is_refused() {
    in_process(|_, store| {
        let value = vec![7; 15 << 20];
        allow(Some(80 << 20));
        let why = store.put(key(0), &value).err().ok_or("it was put")?;
        assert_eq!(why.kind(), ErrorKind::OutOfMemory, "{why}");
        Ok(0)
    });
}

/// However little memory there is, an open says so, and the program goes on.
#[test]
fn an_open_without_memory_says_so() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let volume = Volume::open(&url(&folder), &options()).unwrap();
    volume.create_datastore(b"items").unwrap();
    drop(volume);
    // Caches of any size leave what is looked for.
    let kinds = [options(), VolumeOptions::default().limit_bytes(400 << 20)];
    let sizes = [0, 1, 5, 20, 50, 70, 80, 100, 150, 300];
    for (megabytes, options) in sizes
        .into_iter()
        .flat_map(|m| kinds.iter().map(move |k| (m, k)))
    {
        in_child(&folder.path().join("complaint"), || {
            allow(Some(megabytes << 20));
            match Volume::open(&url(&folder), options) {
                Ok(_) => Ok(()),
                Err(why) if why.kind() == ErrorKind::OutOfMemory && megabytes < 100 => {
                    match why.to_string().contains("ulimit -v") {
                        true => Ok(()),
                        false => Err(said(why)),
                    }
                }
                Err(why) => Err(format!("{megabytes}: {}", said(why))),
            }
        });
    }
}
