//! The drop of the last handle joins the maintenance thread: whatever that is doing, nothing of the volume's is done
//! beside the close, nor after it.

use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use helium_sim::{DiskId, Machine, sim_options};
use heliumdb::{Volume, device::Device};

use crate::common::{open_one, store};

const DROPPER: &str = "dropper";

/// What goes on on a device, of which a read of the maintenance thread is held up.
#[derive(Default)]
struct Watch {
    /// The next such read is.
    is_armed: AtomicBool,
    /// One is.
    is_held: AtomicBool,
    /// Where the kernel says what the thread does that drops the last handle, once it begins to.
    dropper: OnceLock<String>,
    is_dropped: AtomicBool,
    /// What that thread has done on the device while the read was held up.
    beside: AtomicU64,
    /// What anybody has done there after the drop.
    after: AtomicU64,
}

impl Watch {
    fn operation(&self) {
        self.after
            .fetch_add(u64::from(self.is_dropped.load(SeqCst)), SeqCst);
        if thread::current().name() == Some(DROPPER) && self.is_held.load(SeqCst) {
            self.beside.fetch_add(1, SeqCst);
        }
    }

    fn read(&self) {
        self.operation();
        let is_upkeep = thread::current().name() == Some("helium-upkeep");
        if !is_upkeep || !self.is_armed.swap(false, SeqCst) {
            return;
        }
        self.is_held.store(true, SeqCst);
        // Until the dropper waits, or has not waited.
        while !self.is_dropper_asleep()
            && self.beside.load(SeqCst) == 0
            && !self.is_dropped.load(SeqCst)
        {
            thread::yield_now();
        }
        self.is_held.store(false, SeqCst);
    }

    fn is_dropper_asleep(&self) -> bool {
        let status = self.dropper.get().map(std::fs::read_to_string);
        let status = status.and_then(io::Result::ok).unwrap_or_default();
        // Behind the thread's name, which is in brackets.
        status
            .rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('S'))
    }
}

struct Watched {
    device: Box<dyn Device>,
    watch: Arc<Watch>,
}

impl Device for Watched {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.watch.read();
        self.device.read_at(buffer, offset)
    }
    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.watch.operation();
        self.device.write_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.watch.operation();
        self.device.sync()
    }
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.watch.operation();
        self.device.discard(offset, len)
    }
    fn len(&self) -> u64 {
        self.device.len()
    }
    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.device.grow(bytes)
    }
    fn can_grow(&self) -> bool {
        self.device.can_grow()
    }
    fn name(&self) -> &str {
        "watched"
    }
}

#[test]
fn the_drop_of_the_last_handle_joins_the_maintenance_thread() {
    let (machine, volume, items) = store();
    (0..100u32).for_each(|n| items.put(n.to_be_bytes(), [1; 5_000]).unwrap());
    drop((volume, items));
    let machine = Machine::with_images(0, machine.images());
    let watch = Arc::new(Watch::default());
    let device = Watched {
        device: machine.device(DiskId(0)),
        watch: watch.clone(),
    };
    // It reads, to find damage, as long as the volume is open.
    let mut options = sim_options();
    options.background_thread = true;
    options.scrub_bytes_per_second = 1 << 30;
    options.auto_commit_period_ms = u64::MAX;
    let volume = Volume::open_devices(vec![Box::new(device)], &options).unwrap();
    let last = volume.datastore(b"store").unwrap();
    drop(volume);
    watch.is_armed.store(true, SeqCst);
    while !watch.is_held.load(SeqCst) {
        thread::yield_now();
    }
    last.put(b"buffered", b"v").unwrap();
    let dropping = watch.clone();
    let dropper = thread::Builder::new()
        .name(DROPPER.to_owned())
        .spawn(move || {
            let task = std::fs::read_link("/proc/thread-self").unwrap();
            let status = format!("/proc/{}/stat", task.display());
            dropping.dropper.set(status).unwrap();
            drop(last);
            dropping.is_dropped.store(true, SeqCst);
            // The file is copied at once.
            (dropping.is_held.load(SeqCst), machine.images())
        });
    let (was_held, copied) = dropper.unwrap().join().unwrap();
    assert!(
        !was_held,
        "the maintenance thread is at work after the drop"
    );
    assert_eq!(
        watch.beside.load(SeqCst),
        0,
        "it was closed beside the maintenance thread"
    );
    let copy = open_one(&Machine::with_images(0, copied)).unwrap();
    assert_eq!(copy.datastore(b"store").unwrap().len(), 101);
    assert_eq!(
        watch.after.load(SeqCst),
        0,
        "something was done after the drop"
    );
}
