//! Memory for nodes and blocks.
//!
//! A random access to a large index misses the processor's cache; with small pages it
//! misses the page tables too, which costs as much again. So this comes from chunks
//! that the kernel is asked to back by huge pages. And nodes, which each descent goes
//! through, lie side by side, where from a general allocator each would be on a page of
//! its own among the blocks.
//!
//! A chunk is cut into spans, a span into slots of one size class; classes are at most
//! 1/16 apart. What is larger than the largest class comes from the system.
//!
//! Invariants:
//! - A span is in exactly one of: the list of free spans; its class's list, if it has a
//!   free slot; none, if all are used.
//! - A span without a used slot is free, but for the last in its class's list. A chunk
//!   all of whose spans are free is given back, but for one.
//! - A span's fields belong to the mutex of its class, or of the chunks if it is free.
#![expect(
    unsafe_code,
    reason = "an allocator: spans and slots are raw memory, all of it handled in this file"
)]

use parking_lot::Mutex;
use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error},
    mem::size_of,
    ptr::{self, NonNull},
};

const CHUNK_BYTES: usize = 2 << 20;
const SPAN_BYTES: usize = 64 << 10;
const SPANS: usize = CHUNK_BYTES / SPAN_BYTES;
const CHUNK: Layout = aligned(CHUNK_BYTES, CHUNK_BYTES);
/// Slots are multiples of this, and aligned to it.
const UNIT_BYTES: usize = 16;
/// Size classes in an octave.
const STEPS: usize = 16;
/// Largest slot.
const SLOT_BYTES_MAX: usize = 16 << 10;
/// Miri watches each allocation by itself, and better so.
const IS_SLOTTED: bool = !cfg!(miri);
const CLASSES: usize = class_of(SLOT_BYTES_MAX) + 1;

static PARTLY_USED: [Mutex<Spans>; CLASSES] = [const { Mutex::new(Spans::NONE) }; CLASSES];
static FREE: Mutex<Spans> = Mutex::new(Spans::NONE);

/// A list of spans.
struct Spans {
    first: *mut Span,
    len: usize,
}

// SAFETY: the spans that a list points to are used under its mutex only.
unsafe impl Send for Spans {}

/// What is known of a span.
struct Span {
    previous: *mut Span,
    next: *mut Span,
    /// The first of the slots that were given back.
    free: *mut FreeSlot,
    /// Slots that have never been given out start here, as an offset in the chunk.
    fresh: usize,
    /// Slots in use.
    used: usize,
}

struct FreeSlot {
    next: *mut FreeSlot,
}

/// The start of a chunk, in its first span.
#[repr(C)]
struct Chunk {
    spans: [Span; SPANS],
    free_spans: usize,
}

/// Room for `bytes`, aligned to 16.
pub(super) fn allocate(bytes: usize) -> NonNull<u8> {
    if IS_SLOTTED && bytes <= SLOT_BYTES_MAX {
        let class = class_of(bytes);
        return PARTLY_USED[class].lock().take_slot(class_bytes(class));
    }
    let layout = large(bytes);
    // SAFETY: not of size zero.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
/// `at` came from [`allocate`] for as many `bytes`, and is not used any more.
pub(super) unsafe fn free(at: NonNull<u8>, bytes: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if IS_SLOTTED && bytes <= SLOT_BYTES_MAX {
            let mut spans = PARTLY_USED[class_of(bytes)].lock();
            spans.give_slot_back(at, footprint(bytes));
        } else {
            dealloc(at.as_ptr(), large(bytes));
        }
    }
}

/// What [`allocate`] takes for `bytes`.
pub(super) const fn footprint(bytes: usize) -> usize {
    if bytes <= SLOT_BYTES_MAX {
        class_bytes(class_of(bytes))
    } else {
        // As glibc rounds.
        (bytes + 8).next_multiple_of(UNIT_BYTES)
    }
}

/// Exact below 16 units, then 16 steps an octave.
const fn class_of(bytes: usize) -> usize {
    let units = bytes.div_ceil(UNIT_BYTES);
    if units < STEPS {
        return units;
    }
    let exponent = (units / STEPS).ilog2() as usize;
    // Rounded up to 32 it is the next octave's first step.
    (exponent + 1) * STEPS + units.div_ceil(1 << exponent) - STEPS
}

const fn class_bytes(class: usize) -> usize {
    if class < STEPS {
        return class * UNIT_BYTES;
    }
    ((STEPS + class % STEPS) * UNIT_BYTES) << (class / STEPS - 1)
}

const fn aligned(bytes: usize, align: usize) -> Layout {
    match Layout::from_size_align(bytes, align) {
        Ok(layout) => layout,
        Err(_) => panic!("alignments are powers of two, and sizes moderate"),
    }
}

const fn large(bytes: usize) -> Layout {
    aligned(bytes, UNIT_BYTES)
}

impl Spans {
    const NONE: Self = Self {
        first: ptr::null_mut(),
        len: 0,
    };

    /// A slot of a class with slots of `bytes`, whose spans these are.
    fn take_slot(&mut self, bytes: usize) -> NonNull<u8> {
        // SAFETY: the span is in our list, so it is ours by the mutex and has a slot:
        // one that was given back, or a fresh one, which lies within the span.
        unsafe {
            if self.first.is_null() {
                self.link(FREE.lock().take_span());
            }
            let span = self.first;
            let slot = (*span).free;
            let slot = if slot.is_null() {
                let fresh = Chunk::of(span.addr()).byte_add((*span).fresh);
                (*span).fresh += bytes;
                fresh.cast::<u8>()
            } else {
                (*span).free = (*slot).next;
                slot.cast::<u8>()
            };
            (*span).used += 1;
            if !Span::has_slot(span, bytes) {
                self.unlink(span);
            }
            NonNull::new_unchecked(slot)
        }
    }

    /// # Safety
    /// The slot is from a span of this class and not used any more.
    unsafe fn give_slot_back(&mut self, slot: NonNull<u8>, bytes: usize) {
        let address = slot.as_ptr().addr();
        let chunk = Chunk::of(address);
        let index = address % CHUNK_BYTES / SPAN_BYTES;
        // SAFETY: the slot is within the chunk. Its span is of this class, because the
        // slot was in use: so the mutex makes it ours.
        unsafe {
            let span = (&raw mut (*chunk).spans).cast::<Span>().add(index);
            if !Span::has_slot(span, bytes) {
                self.link(span);
            }
            let slot = chunk.with_addr(address).cast::<FreeSlot>();
            slot.write(FreeSlot { next: (*span).free });
            (*span).free = slot;
            (*span).used -= 1;
            if (*span).used == 0 && self.len > 1 {
                self.unlink(span);
                FREE.lock().give_span_back(span);
            }
        }
    }

    /// A span from the free ones, which these are, fresh.
    fn take_span(&mut self) -> *mut Span {
        // SAFETY: free spans are ours by the mutex, as are their chunks' counts.
        unsafe {
            if self.first.is_null() {
                let chunk = Chunk::create();
                for index in (0..SPANS).rev() {
                    self.link((&raw mut (*chunk).spans).cast::<Span>().add(index));
                }
            }
            let span = self.first;
            self.unlink(span);
            (*Chunk::of(span.addr())).free_spans -= 1;
            span
        }
    }

    /// # Safety
    /// No slot of the span is in use, and it is in no list.
    unsafe fn give_span_back(&mut self, span: *mut Span) {
        let chunk = Chunk::of(span.addr());
        // SAFETY: as the caller promises, the span is ours now; so are all of a chunk
        // whose spans are all free, and nothing points into it but our list.
        unsafe {
            span.write(Span::fresh(Span::index(span)));
            self.link(span);
            (*chunk).free_spans += 1;
            if (*chunk).free_spans == SPANS && self.len >= 2 * SPANS {
                for index in 0..SPANS {
                    self.unlink((&raw mut (*chunk).spans).cast::<Span>().add(index));
                }
                dealloc(chunk.cast::<u8>(), CHUNK);
            }
        }
    }

    /// # Safety
    /// The span is ours and in no list.
    unsafe fn link(&mut self, span: *mut Span) {
        // SAFETY: as the caller promises; the first span is in our list.
        unsafe {
            (*span).previous = ptr::null_mut();
            (*span).next = self.first;
            if !self.first.is_null() {
                (*self.first).previous = span;
            }
        }
        self.first = span;
        self.len += 1;
    }

    /// # Safety
    /// The span is in this list.
    unsafe fn unlink(&mut self, span: *mut Span) {
        // SAFETY: as the caller promises; its neighbours are in the list too.
        unsafe {
            let (previous, next) = ((*span).previous, (*span).next);
            if previous.is_null() {
                self.first = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
        self.len -= 1;
    }
}

impl Span {
    /// The span of that index in its chunk, all of whose slots are fresh.
    const fn fresh(index: usize) -> Self {
        let start = if index == 0 {
            size_of::<Chunk>().next_multiple_of(64)
        } else {
            index * SPAN_BYTES
        };
        Self {
            previous: ptr::null_mut(),
            next: ptr::null_mut(),
            free: ptr::null_mut(),
            fresh: start,
            used: 0,
        }
    }

    /// # Safety
    /// The span is ours.
    unsafe fn has_slot(span: *mut Self, bytes: usize) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            let end = (Self::index(span) + 1) * SPAN_BYTES;
            !(*span).free.is_null() || (*span).fresh + bytes <= end
        }
    }

    fn index(span: *mut Self) -> usize {
        (span.addr() % CHUNK_BYTES) / size_of::<Self>()
    }
}

impl Chunk {
    /// The chunk that an address is in.
    fn of(address: usize) -> *mut Self {
        ptr::with_exposed_provenance_mut(address & !(CHUNK_BYTES - 1))
    }

    fn create() -> *mut Self {
        // SAFETY: not of size zero.
        let memory = unsafe { alloc(CHUNK) };
        let Some(memory) = NonNull::new(memory) else {
            handle_alloc_error(CHUNK)
        };
        crate::memory::ask_for_huge_pages(memory, CHUNK_BYTES);
        let chunk = memory.as_ptr().cast::<Self>();
        let _ = chunk.expose_provenance();
        // SAFETY: fresh memory, aligned and large enough. The spans are first in it,
        // which `Span::index` relies on.
        unsafe {
            let spans = (&raw mut (*chunk).spans).cast::<Span>();
            for index in 0..SPANS {
                spans.add(index).write(Span::fresh(index));
            }
            (&raw mut (*chunk).free_spans).write(SPANS);
        }
        chunk
    }
}
