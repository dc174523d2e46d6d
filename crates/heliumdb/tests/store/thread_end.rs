//! Calls from a thread key's destructor, which runs after all thread-locals of the thread are gone.
#![expect(unsafe_code, reason = "makes a thread key of the C library's")]

use std::{
    ffi::{c_int, c_uint, c_void},
    sync::mpsc::{Sender, channel},
};

use heliumdb::{
    Datastore, DatastoreOptions, Durability, Position, Readable, Result, Volume, VolumeOptions,
};

type Destructor = unsafe extern "C" fn(*mut c_void);

unsafe extern "C" {
    fn pthread_key_create(key: *mut c_uint, destructor: Option<Destructor>) -> c_int;
    fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int;
}

/// What is done when the thread is at its very end.
struct Late {
    work: Box<dyn FnOnce() -> Result<()> + Send>,
    done: Sender<Result<()>>,
}

unsafe extern "C" fn at_the_end(late: *mut c_void) {
    // SAFETY: what was put there, once.
    let late = unsafe { Box::from_raw(late.cast::<Late>()) };
    // A panic would end the process: nothing is above this.
    let _ = late.done.send((late.work)());
}

/// Runs `first` in a thread, and `work` when its thread-locals are gone.
fn at_the_end_of_a_thread(
    first: impl FnOnce() + Send + 'static,
    work: impl FnOnce() -> Result<()> + Send + 'static,
) {
    let (done, told) = channel();
    let thread = std::thread::spawn(move || {
        let late = Late {
            work: Box::new(work),
            done,
        };
        let mut key = 0;
        // SAFETY: the key is ours, and what it is given is for the destructor alone.
        unsafe {
            assert_eq!(pthread_key_create(&mut key, Some(at_the_end)), 0);
            let late = Box::into_raw(Box::new(late));
            assert_eq!(pthread_setspecific(key, late.cast()), 0);
        }
        // So that the thread has everything that it could lose.
        first();
    });
    thread.join().unwrap();
    told.recv().expect("it was done").unwrap();
}

/// Everything that keeps something in a thread.
fn use_all(volume: &Volume, items: &[Datastore], round: u8) -> Result<()> {
    let long = vec![round; 600_000];
    for items in items {
        items.put([round], b"value")?;
        items.put([round, 1], &long)?;
        assert_eq!(items.get([round])?.as_deref(), Some(&b"value"[..]));
        assert_eq!(items.get([round, 1])?, Some(long.clone()));
        assert!(items.contains_key([round])?);
        items.multi_get(&[[round], [round + 1]])?;
        items.update_fetch([round, 2], |_| Some(b"merged".to_vec()))?;
        let mut txn = volume.begin()?;
        txn.put(items, [round, 3], [round; 5000])?;
        assert!(txn.get(items, [round, 3])?.is_some());
        txn.commit()?;
        let mut batch = volume.batch();
        batch.put(items, [round, 4], b"value")?;
        batch.commit(Durability::Synced)?;
        let snapshot = volume.snapshot()?;
        assert!(snapshot.get(items, [round, 4])?.is_some());
        assert!(items.items().count() >= 5);
        items.remove([round, 4])?;
        if !items.info()?.unordered {
            assert!(items.nearest(Position::Last)?.is_some());
        }
    }
    volume.flush()?;
    volume.verify(&mut |_| true)?;
    volume.stats();
    Ok(())
}

fn stores(volume: &Volume) -> Result<Vec<Datastore>> {
    let mut options = DatastoreOptions::default();
    options.create = true;
    let mut all = vec![volume.open_datastore(b"plain", &options)?];
    options.compress = true;
    all.push(volume.open_datastore(b"compressed", &options)?);
    options.unordered = true;
    all.push(volume.open_datastore(b"unordered", &options)?);
    Ok(all)
}

#[test]
fn a_thread_key_s_destructor_may_use_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://./{}/v", folder.path().display());
    let volume = Volume::open(&url, &VolumeOptions::default()).unwrap();
    let items = stores(&volume).unwrap();
    // Of a thread that has used everything before, and of one that has used nothing.
    for (round, is_used) in [(1, true), (2, false)] {
        let (volume, items) = (volume.clone(), items.clone());
        let (before, stores) = (volume.clone(), items.clone());
        at_the_end_of_a_thread(
            move || {
                if is_used {
                    use_all(&before, &stores, 9).unwrap();
                }
            },
            move || use_all(&volume, &items, round),
        );
    }
    volume.close().unwrap();
}

#[test]
fn a_thread_key_s_destructor_may_open_and_close_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("he://./{}/v", folder.path().display());
    for round in 1..3 {
        let url = url.clone();
        at_the_end_of_a_thread(
            || (),
            move || {
                let volume = Volume::open(&url, &VolumeOptions::default())?;
                use_all(&volume, &stores(&volume)?, round)?;
                volume.checkpoint()?;
                volume.close()
            },
        );
    }
}
