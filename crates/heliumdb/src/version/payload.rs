//! What a version says of its item, in one atomic word.
//!
//! Invariant: a payload that points to bytes owns them until it is replaced; the
//! replaced bytes are freed only after every reader that may have seen them is gone.

#![expect(
    unsafe_code,
    reason = "values hang off one tagged word, so that commit swaps them for a location"
)]

use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    ptr, slice,
    sync::atomic::{AtomicU64, Ordering},
};

use crossbeam_epoch::Guard;

use crate::location::{Location, Slot, Word};

/// The word of a [`Payload`]. Tags are those of [`Word`], and 3 for a reservation.
pub(crate) struct Payload(AtomicU64);

/// What a payload says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said<'g> {
    /// The item is removed.
    Tombstone,
    /// The item is as the version below says.
    Reserve,
    /// The item's value, not logged yet.
    Bytes(&'g [u8]),
    /// The item's value is in the log.
    At(Location),
}

const TOMBSTONE: u64 = 0;
const RESERVE: u64 = 3;

impl Payload {
    pub(crate) fn tombstone() -> Self {
        Self(AtomicU64::new(TOMBSTONE))
    }

    pub(crate) fn reserve() -> Self {
        Self(AtomicU64::new(RESERVE))
    }

    pub(crate) fn bytes(value: &[u8]) -> Self {
        Self(AtomicU64::new(Word::chain(allocate(value) as usize).0))
    }

    pub(crate) fn at(location: Location) -> Self {
        Self(AtomicU64::new(Word::at(location).0))
    }

    /// What the payload says now; bytes stay readable while `guard` lives.
    pub(crate) fn get<'g>(&self, _guard: &'g Guard) -> Said<'g> {
        let word = self.0.load(Ordering::Acquire);
        match Word(word).slot() {
            Slot::At(location) => Said::At(location),
            // SAFETY: the pointer came from `allocate`, and is freed only by an epoch later than `_guard`.
            Slot::Chain(address) => Said::Bytes(unsafe { view(address as *const u8) }),
            Slot::Empty if word == RESERVE => Said::Reserve,
            Slot::Empty => Said::Tombstone,
        }
    }

    /// Takes over what `new` says, and frees what was said before once no reader can hold it.
    /// Returns by how many bytes the memory held out of line changes.
    pub(crate) fn replace(&self, new: Self, guard: &Guard) -> isize {
        let added = new.heap_bytes();
        let word = new.0.load(Ordering::Relaxed);
        std::mem::forget(new);
        let old = self.0.swap(word, Ordering::AcqRel);
        added as isize - retire(old, guard) as isize
    }

    /// Says that the item is at `to`, if it was at `from` until now.
    pub(crate) fn relocate(&self, from: Location, to: Location) -> bool {
        let word = self.0.load(Ordering::Acquire);
        Word(word).slot() == Slot::At(from)
            && self
                .0
                .compare_exchange(word, Word::at(to).0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    }

    /// Bytes of memory held out of line.
    pub(crate) fn heap_bytes(&self) -> usize {
        match Word(self.0.load(Ordering::Acquire)).slot() {
            // SAFETY: `self` owns the bytes and is not being replaced: its owner is asking.
            Slot::Chain(address) => layout(unsafe { view(address as *const u8) }.len()).size(),
            _ => 0,
        }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        if let Slot::Chain(address) = Word(*self.0.get_mut()).slot() {
            // SAFETY: `self` owns the bytes, and whoever drops it has waited for the readers.
            unsafe { free(address as *mut u8) };
        }
    }
}

/// Frees a replaced word's bytes later; returns how many they are.
fn retire(word: u64, guard: &Guard) -> usize {
    let Slot::Chain(address) = Word(word).slot() else {
        return 0;
    };
    // SAFETY: the word was swapped out, so that no new reader finds it; readers from before hold guards.
    unsafe {
        let bytes = layout(view(address as *const u8).len()).size();
        guard.defer_unchecked(move || free(address as *mut u8));
        bytes
    }
}

/// A length, then the bytes: one allocation behind a thin pointer.
fn layout(len: usize) -> Layout {
    let size = size_of::<usize>() + len;
    // The length is below `VALUE_BYTES_MAX`, so this cannot overflow.
    Layout::from_size_align(size, align_of::<usize>()).unwrap_or(Layout::new::<usize>())
}

fn allocate(value: &[u8]) -> *mut u8 {
    let layout = layout(value.len());
    // SAFETY: the layout is never empty; the block is written in full before it is shared.
    unsafe {
        let block = alloc(layout);
        if block.is_null() {
            handle_alloc_error(layout);
        }
        block.cast::<usize>().write(value.len());
        ptr::copy_nonoverlapping(value.as_ptr(), block.add(size_of::<usize>()), value.len());
        block
    }
}

/// # Safety
/// `block` came from [`allocate`] and is not freed within `'a`.
unsafe fn view<'a>(block: *const u8) -> &'a [u8] {
    // SAFETY: as the caller promises.
    unsafe { slice::from_raw_parts(block.add(size_of::<usize>()), block.cast::<usize>().read()) }
}

/// # Safety
/// `block` came from [`allocate`] and nobody uses it any more.
unsafe fn free(block: *mut u8) {
    // SAFETY: as the caller promises.
    unsafe { dealloc(block, layout(block.cast::<usize>().read())) }
}
