//! A device of a volume, and the one road to its sync.
//!
//! The kernel tells the failure of a sync to one caller alone: of two syncs at once the other may
//! succeed though bytes that it was to cover are gone, and so may any that comes later. So whoever
//! syncs a device of a volume does it here, the log, its background work, checkpoints, superblocks
//! and recovery alike.
//!
//! Invariants: syncs of a device go one after another; after one that failed every other fails, for
//! as long as the device is open. Who comes while one is under way takes part in the next, which
//! begins after all that they have written.

use crate::device::{Device, Place};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

/// See the module.
pub(super) struct Disk {
    device: Box<dyn Device>,
    line: Mutex<Line>,
    ended: Condvar,
}

#[derive(Default)]
struct Line {
    is_syncing: bool,
    /// Syncs that began, and the last that ended well: they are numbered from 1.
    begun: u64,
    done: u64,
    /// What the one said that failed.
    failed: Option<(io::ErrorKind, String)>,
}

/// The devices, each behind its one road.
pub(super) fn serial(devices: Vec<Box<dyn Device>>) -> Vec<Box<dyn Device>> {
    let disks = devices.into_iter().map(Disk::new);
    disks.map(|disk| Box::new(disk) as _).collect()
}

impl Disk {
    fn new(device: Box<dyn Device>) -> Self {
        Self {
            device,
            line: Mutex::default(),
            ended: Condvar::new(),
        }
    }

    fn lead(&self, line: &mut MutexGuard<'_, Line>) -> io::Result<()> {
        line.is_syncing = true;
        line.begun += 1;
        let synced = MutexGuard::unlocked(line, || {
            catch_unwind(AssertUnwindSafe(|| self.device.sync()))
        });
        line.is_syncing = false;
        match &synced {
            Ok(Ok(())) => line.done = line.begun,
            Ok(Err(why)) => line.failed = Some((why.kind(), why.to_string())),
            Err(_) => line.failed = Some((io::ErrorKind::Other, "it panicked".to_owned())),
        }
        self.ended.notify_all();
        synced.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Device for Disk {
    /// Returns when everything written before is durable, or fails if any sync of the device has
    /// failed since it was opened.
    fn sync(&self) -> io::Result<()> {
        let mut line = self.line.lock();
        // One that is under way may have begun before the last of what the caller has written.
        let needed = line.begun + 1;
        loop {
            if let Some((kind, why)) = &line.failed {
                return Err(io::Error::new(
                    *kind,
                    format!("an earlier sync failed: {why}"),
                ));
            }
            if line.done >= needed {
                return Ok(());
            }
            if !line.is_syncing {
                return self.lead(&mut line);
            }
            self.ended.wait(&mut line);
        }
    }

    // All else is the device's own.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.device.read_at(buffer, offset)
    }

    fn read_now(&self, buffer: &mut [u8], offset: u64) -> io::Result<bool> {
        self.device.read_now(buffer, offset)
    }

    fn will_need(&self, offset: u64, len: usize) {
        self.device.will_need(offset, len);
    }

    fn read_at_uncached(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.device.read_at_uncached(buffer, offset)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.device.write_at(buffer, offset)
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.device.discard(offset, len)
    }

    fn may_be_hollow(&self) -> bool {
        self.device.may_be_hollow()
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.device.allocate(offset, len)
    }

    fn len(&self) -> u64 {
        self.device.len()
    }

    fn taken(&self) -> u64 {
        self.device.taken()
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.device.grow(bytes)
    }

    fn shrink(&self, bytes: u64) -> io::Result<()> {
        self.device.shrink(bytes)
    }

    fn can_grow(&self) -> bool {
        self.device.can_grow()
    }

    fn place(&self) -> Option<Place> {
        self.device.place()
    }

    fn release(&self) {
        self.device.release();
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::*},
            mpsc,
        },
        thread,
    };

    /// Each sync says that it has begun, and ends as it is told.
    struct Told {
        began: mpsc::SyncSender<()>,
        verdicts: Mutex<mpsc::Receiver<Result<(), &'static str>>>,
        busy: Arc<AtomicUsize>,
    }

    impl Device for Told {
        fn read_at(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<()> {
            Ok(())
        }
        fn write_at(&self, _buffer: &[u8], _offset: u64) -> io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            assert_eq!(self.busy.fetch_add(1, AcqRel), 0, "one at a time");
            self.began.send(()).unwrap();
            let verdict = self.verdicts.lock().recv().unwrap();
            self.busy.fetch_sub(1, AcqRel);
            match verdict {
                Ok(()) => Ok(()),
                Err("panic") => panic!("as the test asked for"),
                Err(why) => Err(io::Error::other(why)),
            }
        }
        fn len(&self) -> u64 {
            0
        }
        fn grow(&self, _bytes: u64) -> io::Result<()> {
            Ok(())
        }
        fn can_grow(&self) -> bool {
            false
        }
        fn name(&self) -> &str {
            "told"
        }
    }

    type Verdicts = mpsc::Sender<Result<(), &'static str>>;

    fn told() -> (Disk, mpsc::Receiver<()>, Verdicts) {
        let (began, begun) = mpsc::sync_channel(100);
        let (tell, verdicts) = mpsc::channel();
        let told = Told {
            began,
            verdicts: Mutex::new(verdicts),
            busy: Arc::default(),
        };
        (Disk::new(Box::new(told)), begun, tell)
    }

    #[test]
    fn who_comes_while_one_is_under_way_waits_for_the_next_and_shares_it() {
        let (disk, begun, tell) = told();
        thread::scope(|scope| {
            let first = scope.spawn(|| disk.sync().unwrap());
            begun.recv().unwrap();
            let later = [(); 4].map(|()| scope.spawn(|| disk.sync().unwrap()));
            (0..100).for_each(|_| thread::yield_now());
            assert!(later.iter().all(|waiting| !waiting.is_finished()));
            // Who comes only after the second has begun leads one of their own.
            (0..6).for_each(|_| tell.send(Ok(())).unwrap());
            first.join().unwrap();
            later
                .into_iter()
                .for_each(|waiting| waiting.join().unwrap());
            assert!(begun.try_iter().count() >= 1, "the first was not enough");
        });
    }

    #[test]
    fn after_one_that_failed_all_fail_those_that_wait_too() {
        for verdict in ["the disk is gone", "panic"] {
            let (disk, begun, tell) = told();
            thread::scope(|scope| {
                let first = scope.spawn(|| {
                    catch_unwind(AssertUnwindSafe(|| disk.sync()))
                        .map_or(true, |synced| synced.is_err())
                });
                begun.recv().unwrap();
                let second = scope.spawn(|| disk.sync());
                tell.send(Err(verdict)).unwrap();
                assert!(first.join().unwrap());
                assert!(second.join().unwrap().is_err(), "it did not begin before");
                // Nobody asks the device any more.
                let again = disk.sync().unwrap_err();
                assert!(again.to_string().contains("an earlier sync failed"));
                assert!(begun.try_recv().is_err());
            });
        }
    }
}
