//! A disk: what is durable, what was written since, and what the page cache claims.

use std::io;

use heliumdb::device::Device;
use rand::{Rng, rngs::SmallRng};

use crate::{
    blocks::Blocks,
    fault::{FaultKind, On},
    image::Image,
    machine::{DiskId, Fate, Inner, Machine},
    torn::{self, Pending},
};

/// The state of one disk.
///
/// `medium` is `durable` with `pending` applied; `cache` differs from it only after a failed sync.
#[derive(Clone)]
pub(crate) struct DiskState {
    durable: Image,
    medium: Image,
    cache: Option<Image>,
    pending: Vec<Pending>,
    /// Cuts that no sync has covered: behind how many of the pending writes, and to which length.
    cuts: Vec<(usize, u64)>,
    pub(crate) grows_to: Option<u64>,
    /// Of a file: which of its blocks there are.
    pub(crate) blocks: Option<Blocks>,
}

impl DiskState {
    pub(crate) fn new(image: Image) -> Self {
        Self {
            durable: image.clone(),
            medium: image,
            cache: None,
            pending: Vec::new(),
            cuts: Vec::new(),
            grows_to: None,
            blocks: None,
        }
    }

    pub(crate) fn cached(&self) -> &Image {
        self.cache.as_ref().unwrap_or(&self.medium)
    }

    /// What is on the disk after the power went: any subset of what was not synced.
    pub(crate) fn crash(&self, rng: &mut SmallRng) -> Image {
        if !self.cuts.is_empty() {
            return self.crash_after_cuts(rng);
        }
        // Growth that was not synced may be gone, with all that was written there.
        if self.medium.len() > self.durable.len() && rng.random_bool(0.5) {
            let inside = self
                .pending
                .iter()
                .filter(|p| p.offset + p.bytes.len() as u64 <= self.durable.len());
            let inside: Vec<Pending> = inside.cloned().collect();
            return torn::crash(&self.durable, &inside, rng);
        }
        let mut base = self.durable.clone();
        base.set_len(self.medium.len());
        torn::crash(&base, &self.pending, rng)
    }

    /// The first of the cuts may have happened, and those behind them not: what was written before one goes with it.
    fn crash_after_cuts(&self, rng: &mut SmallRng) -> Image {
        let inside = |image: &Image, writes: &[Pending]| -> Vec<Pending> {
            let fits = |p: &&Pending| p.offset + p.bytes.len() as u64 <= image.len();
            writes.iter().filter(fits).cloned().collect()
        };
        let happened = rng.random_range(0..=self.cuts.len());
        let mut image = self.durable.clone();
        let mut from = 0;
        for (index, &(until, len)) in self.cuts.iter().enumerate() {
            let writes = inside(&image, &self.pending[from..until]);
            image = torn::crash(&image, &writes, rng);
            from = until;
            if index < happened {
                image.set_len(len.min(image.len()));
            }
        }
        if rng.random_bool(0.5) {
            image.set_len(self.medium.len().max(image.len()));
        }
        let writes = inside(&image, &self.pending[from..]);
        torn::crash(&image, &writes, rng)
    }

    /// Sees to blocks for the range, where that takes any.
    fn take_blocks(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let blocks = self.blocks.as_mut();
        blocks.map_or(Ok(()), |blocks| blocks.take(offset, len))
    }

    fn write(&mut self, bytes: &[u8], offset: u64) {
        self.medium.write(bytes, offset);
        if let Some(cache) = &mut self.cache {
            cache.write(bytes, offset);
        }
        self.pending.push(Pending {
            offset,
            bytes: bytes.into(),
        });
    }

    fn sync(&mut self) {
        self.durable = self.medium.clone();
        self.pending.clear();
        self.cuts.clear();
    }

    /// A sync that failed: some of what was pending arrived, the rest never will.
    fn lose(&mut self, cache_keeps: bool, rng: &mut SmallRng) {
        let claimed = self.cached().clone();
        let mut arrived = self.crash(rng);
        arrived.set_len(self.medium.len());
        self.durable = arrived.clone();
        self.medium = arrived;
        self.pending.clear();
        self.cuts.clear();
        self.cache = cache_keeps.then_some(claimed);
    }

    fn shrink(&mut self, bytes: u64) {
        let len = self.medium.len();
        self.cuts.push((self.pending.len(), bytes));
        self.set_len(bytes);
        if let Some(blocks) = &mut self.blocks {
            blocks.give_back(bytes, len - bytes);
        }
    }

    /// Makes it so long, or so short.
    fn set_len(&mut self, bytes: u64) {
        self.medium.set_len(bytes);
        if let Some(cache) = &mut self.cache {
            cache.set_len(bytes);
        }
    }
}

/// A handle on a disk of a machine.
pub(crate) struct SimDevice {
    machine: Machine,
    disk: DiskId,
    name: String,
}

impl SimDevice {
    pub(crate) fn new(machine: Machine, disk: DiskId) -> Self {
        Self {
            machine,
            disk,
            name: format!("disk{}", disk.0),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner, usize) -> T) -> T {
        act(&mut self.machine.inner.lock(), self.disk.0)
    }

    fn read(&self, buffer: &mut [u8], offset: u64, cached: bool) -> io::Result<()> {
        self.with(|inner, disk| {
            let fate = inner.fate(On::Read);
            let state = &inner.disks[disk];
            let image = if cached {
                state.cached()
            } else {
                &state.medium
            };
            check(image, buffer.len(), offset)?;
            match fate {
                Fate::Done => image.read(buffer, offset),
                Fate::Fault(FaultKind::FlippedBit) => {
                    image.read(buffer, offset);
                    let bit = inner.rng.random_range(0..buffer.len() * 8);
                    buffer[bit / 8] ^= 1 << (bit % 8);
                }
                Fate::Fault(FaultKind::Short) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Fate::Fault(_) => return Err(eio()),
                Fate::Cut | Fate::Dead => return Err(no_power()),
            }
            Ok(())
        })
    }
}

impl Device for SimDevice {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read(buffer, offset, true)
    }

    fn read_at_uncached(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        assert!(
            offset.is_multiple_of(4096) && buffer.len().is_multiple_of(4096),
            "an uncached read of {} bytes at {offset} is not aligned",
            buffer.len()
        );
        self.read(buffer, offset, false)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<()> {
        self.with(|inner, disk| {
            check(&inner.disks[disk].medium, buffer.len(), offset)?;
            let fate = inner.fate(On::Write);
            let state = &mut inner.disks[disk];
            let result = match fate {
                Fate::Done => {
                    let taken = state.take_blocks(offset, buffer.len() as u64);
                    taken.map(|()| state.write(buffer, offset))
                }
                Fate::Fault(FaultKind::Lie) => Ok(()),
                Fate::Fault(FaultKind::Short) => {
                    state.write(&buffer[..buffer.len() / 2], offset);
                    Err(eio())
                }
                Fate::Fault(FaultKind::Late) => {
                    state.write(buffer, offset);
                    Err(eio())
                }
                Fate::Fault(FaultKind::Enospc) => Err(io::ErrorKind::StorageFull.into()),
                Fate::Fault(_) => Err(eio()),
                Fate::Cut => {
                    state.write(buffer, offset);
                    Err(no_power())
                }
                Fate::Dead => return Err(no_power()),
            };
            inner.keep_record();
            result
        })
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.with(|inner, disk| {
            check(&inner.disks[disk].medium, len as usize, offset)?;
            let fate = inner.fate(On::Write);
            // What is there afterwards is up to the disk.
            let filler = [0, 0, 0xd5][inner.rng.random_range(0..3)];
            let bytes = vec![filler; len as usize];
            let state = &mut inner.disks[disk];
            let result = match fate {
                Fate::Done => {
                    state.write(&bytes, offset);
                    if let Some(blocks) = &mut state.blocks {
                        blocks.give_back(offset, len);
                    }
                    Ok(())
                }
                Fate::Fault(FaultKind::Lie) => Ok(()),
                Fate::Fault(_) => Err(eio()),
                Fate::Cut => {
                    state.write(&bytes, offset);
                    Err(no_power())
                }
                Fate::Dead => return Err(no_power()),
            };
            inner.keep_record();
            result
        })
    }

    fn may_be_hollow(&self) -> bool {
        self.with(|inner, disk| inner.disks[disk].blocks.is_some())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.with(|inner, disk| inner.disks[disk].take_blocks(offset, len))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|inner, disk| {
            let fate = inner.fate(On::Sync);
            let Inner { disks, rng, .. } = inner;
            let state = &mut disks[disk];
            let result = match fate {
                Fate::Done => {
                    state.sync();
                    Ok(())
                }
                Fate::Fault(FaultKind::Lie) => Ok(()),
                Fate::Fault(FaultKind::Late) => {
                    state.sync();
                    Err(eio())
                }
                Fate::Fault(FaultKind::SyncKeepsCache | FaultKind::Short) => {
                    state.lose(true, rng);
                    Err(eio())
                }
                Fate::Fault(FaultKind::SyncRevertsCache) => {
                    state.lose(false, rng);
                    Err(eio())
                }
                Fate::Fault(FaultKind::Enospc) => Err(io::ErrorKind::StorageFull.into()),
                Fate::Fault(_) => Err(eio()),
                Fate::Cut | Fate::Dead => return Err(no_power()),
            };
            inner.keep_record();
            result
        })
    }

    fn len(&self) -> u64 {
        self.with(|inner, disk| inner.disks[disk].medium.len())
    }

    fn grow(&self, bytes: u64) -> io::Result<()> {
        self.with(|inner, disk| {
            if bytes <= inner.disks[disk].medium.len() {
                return Ok(());
            }
            let fate = inner.fate(On::Grow);
            let state = &mut inner.disks[disk];
            let room = state.grows_to.is_some_and(|most| bytes <= most);
            let result = match fate {
                Fate::Done if room => {
                    state.set_len(bytes);
                    Ok(())
                }
                Fate::Done | Fate::Fault(FaultKind::Enospc) => {
                    Err(io::ErrorKind::StorageFull.into())
                }
                Fate::Fault(_) => Err(eio()),
                Fate::Cut | Fate::Dead => return Err(no_power()),
            };
            inner.keep_record();
            result
        })
    }

    fn shrink(&self, bytes: u64) -> io::Result<()> {
        self.with(|inner, disk| {
            let state = &inner.disks[disk];
            if bytes >= state.medium.len() {
                return Ok(());
            }
            if state.grows_to.is_none() {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let fate = inner.fate(On::Grow);
            let state = &mut inner.disks[disk];
            let result = match fate {
                Fate::Done => {
                    state.shrink(bytes);
                    Ok(())
                }
                Fate::Fault(FaultKind::Lie) => Ok(()),
                Fate::Fault(FaultKind::Late) => {
                    state.shrink(bytes);
                    Err(eio())
                }
                Fate::Fault(_) => Err(eio()),
                Fate::Cut => {
                    state.shrink(bytes);
                    Err(no_power())
                }
                Fate::Dead => return Err(no_power()),
            };
            inner.keep_record();
            result
        })
    }

    fn can_grow(&self) -> bool {
        self.with(|inner, disk| inner.disks[disk].grows_to.is_some())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

fn check(image: &Image, bytes: usize, offset: u64) -> io::Result<()> {
    match offset.checked_add(bytes as u64) {
        Some(end) if end <= image.len() => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn eio() -> io::Error {
    io::Error::other("simulated I/O error")
}

fn no_power() -> io::Error {
    io::Error::other("the simulated machine has no power")
}
