//! Several items at once, for walks: what is in memory is asked of the processor ahead of time,
//! what is not is fetched from the devices by requests that run side by side.
//!
//! Invariant: nothing that was fetched is handed out unchecked; it only takes the place of a
//! device read in [`Log::with_value`], which checks it.

use super::{
    Purpose, Ready,
    core::Log,
    reader::{PREFETCH_BYTES, Resident},
    streak::Streak,
};
use crate::{location::Location, memory::prefetch, scratch};
use crossbeam_epoch::Guard;
use std::cell::Cell;

/// Places that are no further apart are read together.
const GAP_BYTES: u64 = 4096;
/// Longest read made of several.
const RUN_BYTES_MAX: usize = 256 << 10;
/// What the device is asked for ahead of a walk is asked for in pieces that the kernel does not
/// cut short.
const HINT_BYTES: u64 = 128 << 10;
/// Memory for what is read; what does not fit is read when its turn comes.
const BYTES_MAX: usize = 1 << 20;

/// Items that were fetched together; reusable.
pub(crate) struct Fetch<'g> {
    /// The bytes of those that are in memory.
    here: Vec<Option<&'g [u8]>>,
    memory: Memory,
}

/// What was read from devices, and what for.
#[derive(Default)]
struct Memory {
    /// Where each item's bytes are in `bytes`, if they were read.
    read: Vec<Option<(usize, usize)>>,
    wanted: Vec<Wanted>,
    runs: Vec<Run>,
    bytes: Vec<u8>,
    streak: Streak,
}

/// An item that is on a device only.
struct Wanted {
    device: usize,
    offset: u64,
    len: usize,
    item: usize,
}

/// Wanted places next to each other.
struct Run {
    device: usize,
    offset: u64,
    len: usize,
    /// Where in `bytes` it goes.
    at: usize,
    wanted: std::ops::Range<usize>,
    is_here: bool,
}

/// What a thread keeps for its next walk.
const KEPT_BYTES: usize = 256 << 10;

thread_local! {
    static KEPT: Cell<Memory> = Cell::default();
}

impl Fetch<'_> {
    /// With the thread's own memory, used again.
    pub(crate) fn new() -> Self {
        Self {
            here: Vec::new(),
            memory: scratch::take(&KEPT),
        }
    }

    /// Nothing was fetched.
    pub(crate) fn clear(&mut self) {
        self.here.clear();
        self.memory.clear();
    }

    /// What is known of an item.
    #[inline]
    pub(crate) fn ready(&self, item: usize) -> Ready<'_> {
        if let Some(&Some(bytes)) = self.here.get(item) {
            return Ready::Here(bytes);
        }
        let memory = &self.memory;
        match memory.read.get(item) {
            Some(&Some((at, len))) => memory
                .bytes
                .get(at..at + len)
                .map_or(Ready::No, Ready::Read),
            _ => Ready::No,
        }
    }

    /// Whether a device has to be asked for any of the items.
    pub(crate) fn is_cold(&self) -> bool {
        !self.memory.wanted.is_empty()
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        if self.memory.bytes.len() <= KEPT_BYTES {
            scratch::keep(&KEPT, std::mem::take(&mut self.memory));
        }
    }
}

impl Memory {
    fn clear(&mut self) {
        self.read.clear();
        self.wanted.clear();
        self.runs.clear();
    }

    /// Puts places that are close to each other into one run.
    fn plan(&mut self) {
        self.wanted.sort_unstable_by_key(|w| (w.device, w.offset));
        let mut total = 0;
        for (i, wanted) in self.wanted.iter().enumerate() {
            let end = wanted.offset + wanted.len as u64;
            if let Some(run) = self.runs.last_mut()
                && run.device == wanted.device
                && wanted.offset <= run.offset + run.len as u64 + GAP_BYTES
                && (end - run.offset) as usize <= RUN_BYTES_MAX
                && total + wanted.len + GAP_BYTES as usize <= BYTES_MAX
            {
                let len = run.len.max((end - run.offset) as usize);
                total += len - run.len;
                run.len = len;
                run.wanted.end = i + 1;
                continue;
            }
            if total + wanted.len > BYTES_MAX {
                break;
            }
            self.runs.push(Run {
                device: wanted.device,
                offset: wanted.offset,
                len: wanted.len,
                at: total,
                wanted: i..i + 1,
                is_here: false,
            });
            total += wanted.len;
        }
        // A run that grew moves those behind it.
        let mut at = 0;
        for run in &mut self.runs {
            run.at = at;
            at += run.len;
        }
        if self.bytes.len() < at {
            self.bytes.resize(at, 0);
        }
    }
}

impl Log {
    /// Fetches the items at `places` (`None` for what needs no reading), to be handed out through [`Log::with_value`].
    pub(crate) fn fetch<'g>(
        &'g self,
        purpose: Purpose,
        places: impl Iterator<Item = Option<Location>>,
        fetch: &mut Fetch<'g>,
        guard: &'g Guard,
    ) {
        self.find(purpose, places, fetch, guard);
        if fetch.is_cold() {
            self.fetch_cold(fetch);
        }
    }

    /// As [`Log::fetch`], of what is in memory.
    pub(crate) fn find<'g>(
        &'g self,
        purpose: Purpose,
        places: impl Iterator<Item = Option<Location>>,
        fetch: &mut Fetch<'g>,
        guard: &'g Guard,
    ) {
        fetch.clear();
        let Fetch { here, memory } = fetch;
        let (least, _) = places.size_hint();
        here.reserve(least);
        memory.read.reserve(least);
        for (item, place) in places.enumerate() {
            memory.read.push(None);
            here.push(None);
            let Some(at) = place else { continue };
            match self.resident(purpose, at, guard) {
                None => {}
                Some(Resident::Memory(bytes)) => {
                    prefetch(bytes, at.class_bytes().min(PREFETCH_BYTES));
                    here[item] = Some(bytes);
                }
                Some(Resident::Device(_)) => {
                    let (device, offset) = self.medium.place(at.address());
                    let len = self.read_bytes(at);
                    memory.wanted.push(Wanted {
                        device,
                        offset,
                        len,
                        item,
                    });
                }
            }
        }
    }

    /// Fetches from the devices what [`Log::find`] has not found in memory. What cannot be read shows when its turn comes.
    pub(crate) fn fetch_cold(&self, fetch: &mut Fetch<'_>) {
        let fetch = &mut fetch.memory;
        fetch.plan();
        self.read_ahead(fetch);
        let Memory {
            read,
            wanted,
            runs,
            bytes,
            ..
        } = fetch;
        let is_alone = runs.len() == 1;
        for run in &mut *runs {
            let device = &self.medium.device(run.device);
            let to = &mut bytes[run.at..run.at + run.len];
            self.medium.count_read(run.len);
            run.is_here = device.read_now(to, run.offset).unwrap_or(false);
            if !run.is_here && !is_alone {
                device.will_need(run.offset, run.len);
            }
        }
        for run in runs {
            if !run.is_here {
                let to = &mut bytes[run.at..run.at + run.len];
                // Read again, item by item, when their turns come: that says what failed.
                run.is_here = self
                    .medium
                    .device(run.device)
                    .read_at(to, run.offset)
                    .is_ok();
            }
            for wanted in wanted[run.wanted.clone()].iter().filter(|_| run.is_here) {
                let at = run.at + (wanted.offset - run.offset) as usize;
                read[wanted.item] = Some((at, wanted.len));
            }
        }
    }

    /// Where the items lie next to each other, and next to those before: asks for what is next.
    fn read_ahead(&self, fetch: &mut Memory) {
        let (Some(first), Some(last)) = (fetch.runs.first(), fetch.runs.last()) else {
            return;
        };
        let now = first.offset..last.offset + last.len as u64;
        let read: u64 = fetch.runs.iter().map(|run| run.len as u64).sum();
        let is_dense = first.device == last.device && now.end - now.start <= 2 * read;
        if !is_dense {
            return;
        }
        let device = first.device;
        let Some(next) = fetch.streak.goes_on(device, now, GAP_BYTES) else {
            return;
        };
        let end = next.end.min(self.medium.device(device).len());
        let mut at = next.start;
        while at < end {
            let len = HINT_BYTES.min(end - at);
            self.medium.device(device).will_need(at, len as usize);
            at += len;
        }
    }
}
