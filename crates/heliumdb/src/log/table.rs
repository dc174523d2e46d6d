//! What is known of each segment: counters that many threads update without a lock, and
//! the way to its bytes while they are in memory.

use super::buffer::SegmentBuffer;
use crate::{format::frame, limits::ITEM_ALIGN, location::Location};
use crossbeam_epoch::{Atomic, Guard, Owned, Shared};
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering::*},
};

const CHUNK: usize = 1024;

pub(super) const FREE: u8 = 0;
pub(super) const FILLING: u8 = 1;
pub(super) const SEALED: u8 = 2;
/// Freed on the device, waiting for readers.
pub(super) const LEAVING: u8 = 3;

/// Bytes that a moved item takes beside itself: the place that it came from.
const MOVED_FROM_BYTES: u64 = 8;
/// Moved items have a byte of frame header for so many of theirs, at worst.
const MOVES_PER_HEADER_BYTE: u64 = 128;

/// Items of one frame.
#[derive(Clone, Copy, Default)]
pub(super) struct Items {
    pub(super) number: u64,
    pub(super) padded_bytes: u64,
    pub(super) class_bytes: u64,
}

impl Items {
    pub(super) fn add(&mut self, at: Location, len: usize) {
        self.number += 1;
        self.padded_bytes += len.next_multiple_of(ITEM_ALIGN) as u64;
        self.class_bytes += at.class_bytes() as u64;
    }
}

/// One segment.
pub(super) struct Segment {
    buffer: Atomic<Arc<SegmentBuffer>>,
    pub(super) state: AtomicU8,
    pub(super) sequence: AtomicU64,
    /// Generation of the newest header slot.
    pub(super) generation: AtomicU64,
    pub(super) epoch: AtomicU64,
    /// Bytes of live items, by their size class.
    pub(super) live: AtomicI64,
    /// Bytes of all items that were put into it, by their size class: what is not live of these has died.
    pub(super) filled: AtomicU64,
    /// Bytes that these would take if they were moved, all of them: with their padding, and each with
    /// the place that it came from.
    pub(super) again: AtomicU64,
    /// Bytes of frame headers that moving saves, because it puts many items into one frame.
    pub(super) spare: AtomicU64,
    pub(super) tombstones: AtomicU64,
    pub(super) max_tombstone: AtomicU64,
    pub(super) max_overtaking: AtomicU64,
    /// Anything that supersedes one of its items has this sequence number or a higher one: the
    /// lowest of its items, with those of moved ones when they were moved.
    pub(super) min_placed: AtomicU64,
    pub(super) indirect: AtomicBool,
    /// Where the log ended when the last item was moved away from here: the segment is needed until
    /// a checkpoint from there or later is durable.
    pub(super) cleaned_at: AtomicU64,
    /// Its blocks were given back to the device, or may have been: they have to be written before
    /// they are relied on, even in a file that had them allocated.
    pub(super) punched: AtomicBool,
    /// Holds records that say what became of a batch.
    pub(super) outcomes: AtomicBool,
    /// All of its blocks exist on the medium: a write changes no metadata.
    pub(super) written: AtomicBool,
}

impl Segment {
    fn new() -> Self {
        Self {
            buffer: Atomic::null(),
            state: AtomicU8::new(FREE),
            sequence: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            live: AtomicI64::new(0),
            filled: AtomicU64::new(0),
            again: AtomicU64::new(0),
            spare: AtomicU64::new(0),
            tombstones: AtomicU64::new(0),
            max_tombstone: AtomicU64::new(0),
            max_overtaking: AtomicU64::new(0),
            min_placed: AtomicU64::new(u64::MAX),
            indirect: AtomicBool::new(false),
            cleaned_at: AtomicU64::new(0),
            punched: AtomicBool::new(false),
            outcomes: AtomicBool::new(false),
            written: AtomicBool::new(false),
        }
    }

    /// Starts a new use.
    pub(super) fn begin(&self, sequence: u64, epoch: u64, state: u8) {
        self.live.store(0, Relaxed);
        self.filled.store(0, Relaxed);
        self.again.store(0, Relaxed);
        self.spare.store(0, Relaxed);
        self.tombstones.store(0, Relaxed);
        self.max_tombstone.store(0, Relaxed);
        self.max_overtaking.store(0, Relaxed);
        self.min_placed.store(u64::MAX, Relaxed);
        self.indirect.store(false, Relaxed);
        self.cleaned_at.store(0, Relaxed);
        self.outcomes.store(false, Relaxed);
        self.epoch.store(epoch, Relaxed);
        self.sequence.store(sequence, Release);
        self.state.store(state, Release);
    }

    /// Whether replay on top of a checkpoint from before it would miss the segment, though no item
    /// in it is alive: what the checkpoint holds may be removed or taken back by it alone.
    pub(super) fn says_more_than_its_items(&self) -> bool {
        self.tombstones.load(Acquire) > 0 || self.outcomes.load(Acquire)
    }

    pub(super) fn buffer<'g>(&self, guard: &'g Guard) -> Option<&'g SegmentBuffer> {
        let shared = self.buffer.load(Acquire, guard);
        super::pointer::deref(shared).map(|arc| &**arc)
    }

    /// Gives the segment a buffer, or takes it away: readers that hold it keep it.
    pub(super) fn set_buffer(&self, buffer: Option<Arc<SegmentBuffer>>) {
        let guard = crossbeam_epoch::pin();
        let new = match buffer {
            Some(buffer) => Owned::new(buffer).into_shared(&guard),
            None => Shared::null(),
        };
        let old = self.buffer.swap(new, AcqRel, &guard);
        super::pointer::retire(old, &guard);
        // It is large: it is not to wait until this thread has more to retire.
        guard.flush();
    }

    /// Counts items, tombstones apart, that came in one frame.
    pub(super) fn add_frame(&self, items: Items, is_move: bool) {
        self.filled.fetch_add(items.class_bytes, Relaxed);
        let places = items.number * MOVED_FROM_BYTES;
        self.again.fetch_add(items.padded_bytes + places, Relaxed);
        // Nothing is saved by moving what was moved, whatever it counts as: that would have no end.
        let needed = places + items.padded_bytes / MOVES_PER_HEADER_BYTE;
        if !is_move && needed < frame::HEADER_BYTES as u64 {
            let saved = frame::HEADER_BYTES as u64 - needed;
            self.spare.fetch_add(saved, Relaxed);
        }
    }

    pub(super) fn add_item(&self, seq: u64, tombstone: bool, overtakes: bool, class_bytes: u64) {
        if !tombstone {
            self.min_placed.fetch_min(seq, Relaxed);
            return;
        }
        self.tombstones.fetch_add(class_bytes, Relaxed);
        self.max_tombstone.fetch_max(seq, Relaxed);
        if overtakes {
            self.max_overtaking.fetch_max(seq, Relaxed);
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        self.set_buffer(None);
    }
}

/// All segments that a volume may come to have; made a thousand at a time.
pub(super) struct Table(Box<[OnceLock<Box<[Segment]>>]>);

impl Table {
    pub(super) fn new(segments_max: u64) -> Self {
        Self(
            (0..segments_max.div_ceil(CHUNK as u64))
                .map(|_| OnceLock::new())
                .collect(),
        )
    }

    /// How many segments the volume can have, at most.
    pub(super) fn len(&self) -> u64 {
        (self.0.len() * CHUNK) as u64
    }

    /// The entry of a segment that there is, or a neighbour of one; nothing is made for others.
    pub(super) fn known(&self, segment: u64) -> Option<&Segment> {
        let chunk = self.0.get(segment as usize / CHUNK)?;
        chunk.get()?.get(segment as usize % CHUNK)
    }

    /// The segment's entry; `None` if the volume can have no such segment.
    pub(super) fn get(&self, segment: u64) -> Option<&Segment> {
        let chunk = self.0.get(segment as usize / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| Segment::new()).collect());
        chunk.get(segment as usize % CHUNK)
    }
}
