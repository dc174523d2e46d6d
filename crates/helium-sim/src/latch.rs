//! A device on which a test holds up whoever comes by, and lets them go on or fail, so that it
//! decides what happens between two steps of the store. No test needs to sleep.
//!
//! Invariant: who is held up stays so until the test says what becomes of them; who is not
//! meant passes at once.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use heliumdb::device::Device;
use parking_lot::{Condvar, Mutex};

/// A store that has not come to the device after so long is not on its way there, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An operation on a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// A read, past the page cache or not.
    Read {
        /// Where it starts.
        offset: u64,
        /// Its length in bytes.
        len: usize,
    },
    /// A write.
    Write {
        /// Where it starts.
        offset: u64,
        /// Its length in bytes.
        len: usize,
    },
    /// A sync.
    Sync,
    /// A discard.
    Discard {
        /// Where it starts.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// Growing to so many bytes.
    Grow {
        /// The new length.
        bytes: u64,
    },
    /// Becoming as short as that.
    Shrink {
        /// The new length.
        bytes: u64,
    },
}

impl Operation {
    /// A write to the superblocks, which stand before the first segment.
    pub fn is_superblock(&self) -> bool {
        matches!(self, Self::Write { offset, .. } if *offset < 1 << 20)
    }

    /// A write to a segment, its header included.
    pub fn is_log_write(&self) -> bool {
        matches!(self, Self::Write { offset, .. } if *offset >= 1 << 20)
    }
}

/// What becomes of an operation that was held up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is done, and returns what the device says.
    Go,
    /// EIO; nothing is done.
    Fail,
    /// It is done, and EIO is returned all the same.
    FailLate,
}

type Which = Box<dyn Fn(&Operation) -> bool + Send>;

/// Holds up, and lets go. One latch may serve several devices.
#[derive(Default)]
pub struct Latch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    which: Option<Which>,
    arrivals: u64,
    /// Who is held up, in the order of coming, with the verdict once there is one.
    held: BTreeMap<u64, (Operation, Option<Verdict>)>,
}

impl Latch {
    /// A latch that holds up nobody.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A device that this latch watches over.
    pub fn guard(self: &Arc<Self>, device: Box<dyn Device>) -> Box<dyn Device> {
        Box::new(Latched {
            device,
            latch: self.clone(),
        })
    }

    /// Holds up, from now on, operations for which `which` says so.
    pub fn hold(&self, which: impl Fn(&Operation) -> bool + Send + 'static) {
        self.state.lock().which = Some(Box::new(which));
    }

    /// Waits until `count` operations are held up at the same time, and returns them in the order
    /// in which they came. Panics, and lets all go, if that does not come within two minutes: whoever was to ask the
    /// device has not.
    pub fn await_held(&self, count: usize) -> Vec<Operation> {
        let mut state = self.state.lock();
        loop {
            let waiting = state.held.values().filter(|(_, verdict)| verdict.is_none());
            let waiting: Vec<Operation> = waiting.map(|(operation, _)| *operation).collect();
            if waiting.len() >= count {
                return waiting;
            }
            if self.changed.wait_for(&mut state, PATIENCE).timed_out() {
                drop(state);
                // Or else the threads of a scope that this ends would be waited for.
                self.release(Verdict::Go);
                panic!("{count} operations were to be held up at once, and these are: {waiting:?}");
            }
        }
    }

    /// Decides about the operation that has been held up longest; others stay, and come. False
    /// if nobody is held up.
    pub fn release_one(&self, verdict: Verdict) -> bool {
        let mut state = self.state.lock();
        let first = state.held.values_mut().find(|(_, told)| told.is_none());
        let found = first.is_some();
        if let Some((_, told)) = first {
            *told = Some(verdict);
        }
        self.changed.notify_all();
        found
    }

    /// Decides about all that are held up, and holds up nobody from now on.
    pub fn release(&self, verdict: Verdict) {
        let mut state = self.state.lock();
        state.which = None;
        for (_, told) in state.held.values_mut() {
            told.get_or_insert(verdict);
        }
        self.changed.notify_all();
    }

    fn pass(&self, operation: Operation) -> Verdict {
        let mut state = self.state.lock();
        if !state.which.as_ref().is_some_and(|which| which(&operation)) {
            return Verdict::Go;
        }
        let me = state.arrivals;
        state.arrivals += 1;
        state.held.insert(me, (operation, None));
        self.changed.notify_all();
        loop {
            if let Some((_, Some(verdict))) = state.held.get(&me) {
                let verdict = *verdict;
                state.held.remove(&me);
                return verdict;
            }
            self.changed.wait(&mut state);
        }
    }

    fn through<T>(
        &self,
        operation: Operation,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let failed = || io::Error::other("an I/O error that the test asked for");
        match self.pass(operation) {
            Verdict::Go => act(),
            Verdict::Fail => Err(failed()),
            Verdict::FailLate => act().and_then(|_| Err(failed())),
        }
    }
}

struct Latched {
    device: Box<dyn Device>,
    latch: Arc<Latch>,
}

impl Device for Latched {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let len = buffer.len();
        let operation = Operation::Read { offset, len };
        self.latch
            .through(operation, || self.device.read_at(buffer, offset))
    }

    fn read_at_uncached(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let len = buffer.len();
        let operation = Operation::Read { offset, len };
        self.latch
            .through(operation, || self.device.read_at_uncached(buffer, offset))
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        let len = buffer.len();
        let operation = Operation::Write { offset, len };
        self.latch
            .through(operation, || self.device.write_at(buffer, offset))
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let operation = Operation::Discard { offset, len };
        self.latch
            .through(operation, || self.device.discard(offset, len))
    }

    fn sync(&self) -> io::Result<()> {
        self.latch.through(Operation::Sync, || self.device.sync())
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

    fn grow(&self, bytes: u64) -> io::Result<()> {
        let operation = Operation::Grow { bytes };
        self.latch.through(operation, || self.device.grow(bytes))
    }

    fn shrink(&self, bytes: u64) -> io::Result<()> {
        let operation = Operation::Shrink { bytes };
        self.latch.through(operation, || self.device.shrink(bytes))
    }

    fn can_grow(&self) -> bool {
        self.device.can_grow()
    }

    fn release(&self) {
        self.device.release();
    }

    fn name(&self) -> &str {
        self.device.name()
    }
}
