//! A disk that keeps unsynced writes apart, so that a test can cut its power.

use crate::device::Device;
use parking_lot::Mutex;
use rand::{Rng, rngs::SmallRng};
use std::{collections::HashMap, io, sync::Arc};

const SECTOR: usize = 512;
type Sectors = HashMap<u64, [u8; SECTOR]>;

#[derive(Default)]
struct State {
    durable: Sectors,
    current: Sectors,
    /// Every sector write since the last sync, in order.
    unsynced: Vec<(u64, [u8; SECTOR])>,
    len: u64,
    durable_len: u64,
    /// Operations until the device fails for ever; `None`: never.
    writes_left: Option<u64>,
    syncs_left: Option<u64>,
}

/// Clones share the disk.
#[derive(Clone)]
pub(super) struct Disk {
    name: String,
    grows: bool,
    most: u64,
    state: Arc<Mutex<State>>,
}

impl Disk {
    pub(super) fn new(name: &str, len: u64) -> Self {
        let state = State {
            len,
            durable_len: len,
            ..State::default()
        };
        Self {
            name: name.into(),
            grows: false,
            most: len,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn growing(name: &str, most: u64) -> Self {
        Self {
            grows: true,
            most,
            ..Self::new(name, 0)
        }
    }

    pub(super) fn device(&self) -> Box<dyn Device> {
        Box::new(self.clone())
    }

    /// The disk after a power cut: each unsynced sector write survives with `keep` in 100,
    /// some of them torn.
    pub(super) fn after_crash(&self, random: &mut SmallRng, keep: u32) -> Self {
        let state = self.state.lock();
        let mut durable = state.durable.clone();
        for (sector, bytes) in &state.unsynced {
            if random.random_range(0..100) < keep {
                let mut bytes = *bytes;
                if random.random_range(0..50) == 0 {
                    let torn_at = random.random_range(0..SECTOR);
                    random.fill(&mut bytes[torn_at..]);
                }
                durable.insert(*sector, bytes);
            }
        }
        let len = if random.random_bool(0.5) {
            state.len
        } else {
            state.durable_len
        };
        let state = State {
            current: durable.clone(),
            durable,
            len,
            durable_len: len,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            ..self.clone_shell()
        }
    }

    /// An independent disk with the same contents, all durable.
    pub(super) fn copy(&self) -> Self {
        let state = self.state.lock();
        let state = State {
            durable: state.current.clone(),
            current: state.current.clone(),
            len: state.len,
            durable_len: state.len,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            ..self.clone_shell()
        }
    }

    fn clone_shell(&self) -> Self {
        Self {
            name: self.name.clone(),
            grows: self.grows,
            most: self.most,
            state: Arc::default(),
        }
    }

    pub(super) fn fail_after(&self, writes: Option<u64>, syncs: Option<u64>) {
        let mut state = self.state.lock();
        state.writes_left = writes;
        state.syncs_left = syncs;
    }

    pub(super) fn cut_to(&self, len: u64) {
        self.state.lock().len = len;
    }

    pub(super) fn edit(&self, offset: u64, f: impl FnOnce(&mut u8)) {
        let mut byte = [0];
        self.read_at(&mut byte, offset).unwrap();
        f(&mut byte[0]);
        let mut state = self.state.lock();
        let sector = state
            .current
            .entry(offset / SECTOR as u64)
            .or_insert([0; SECTOR]);
        sector[offset as usize % SECTOR] = byte[0];
        let copy = *sector;
        state.durable.insert(offset / SECTOR as u64, copy);
    }
}

fn count_down(left: &mut Option<u64>) -> io::Result<()> {
    match left {
        Some(0) => Err(io::Error::other("the test broke the disk")),
        Some(n) => {
            *n -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl Device for Disk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state.lock();
        if offset + buffer.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            let within = at as usize % SECTOR;
            let n = (SECTOR - within).min(buffer.len() - done);
            match state.current.get(&(at / SECTOR as u64)) {
                Some(sector) => buffer[done..done + n].copy_from_slice(&sector[within..within + n]),
                None => buffer[done..done + n].fill(0),
            }
            done += n;
        }
        Ok(())
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        assert!(
            offset.is_multiple_of(4096) && buffer.len().is_multiple_of(4096),
            "whole blocks only"
        );
        let mut state = self.state.lock();
        count_down(&mut state.writes_left)?;
        assert!(
            offset + buffer.len() as u64 <= state.len,
            "a write behind the end"
        );
        for (i, bytes) in buffer.chunks_exact(SECTOR).enumerate() {
            let sector = offset / SECTOR as u64 + i as u64;
            let mut copy = [0; SECTOR];
            copy.copy_from_slice(bytes);
            state.current.insert(sector, copy);
            state.unsynced.push((sector, copy));
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        count_down(&mut state.syncs_left)?;
        let state = &mut *state;
        state.durable.extend(state.unsynced.drain(..));
        state.durable_len = state.len;
        Ok(())
    }

    fn len(&self) -> u64 {
        self.state.lock().len
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if bytes > state.len {
            if !self.grows || bytes > self.most {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.len = bytes;
        }
        Ok(())
    }

    fn can_grow(&self) -> bool {
        self.grows
    }

    fn name(&self) -> &str {
        &self.name
    }
}
