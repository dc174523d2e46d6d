//! A device on which someone can be held up, at a sync or at a write of the superblock, so that a
//! test sees to what happens meanwhile.

use std::{io, sync::Arc};

use heliumdb::device::Device;
use parking_lot::{Condvar, Mutex};

use crate::common::MIB;

/// Where to hold up whoever comes by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum At {
    Sync,
    Superblock,
}

/// Holds up, and lets go.
#[derive(Default)]
pub(crate) struct Latch {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    hold: Option<At>,
    is_somebody_held: bool,
}

impl Latch {
    /// Holds up whoever comes by there from now on.
    pub(crate) fn hold(&self, at: At) {
        self.state.lock().hold = Some(at);
    }

    /// Waits until somebody is held up.
    pub(crate) fn await_somebody(&self) {
        let mut state = self.state.lock();
        while !state.is_somebody_held {
            self.changed.wait(&mut state);
        }
    }

    /// Lets everybody go.
    pub(crate) fn release(&self) {
        *self.state.lock() = State::default();
        self.changed.notify_all();
    }

    fn pass(&self, at: At) {
        let mut state = self.state.lock();
        while state.hold == Some(at) {
            state.is_somebody_held = true;
            self.changed.notify_all();
            self.changed.wait(&mut state);
        }
    }
}

/// A device with a latch.
pub(crate) struct Held {
    pub(crate) device: Box<dyn Device>,
    pub(crate) latch: Arc<Latch>,
}

impl Device for Held {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.device.read_at(buffer, offset)
    }

    fn read_at_uncached(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.device.read_at_uncached(buffer, offset)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        if offset < MIB {
            self.latch.pass(At::Superblock);
        }
        self.device.write_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.latch.pass(At::Sync);
        self.device.sync()
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
        self.device.name()
    }
}
