//! Reading an item: from the segment's buffer while it has one, from the read cache, or by one
//! device read.
//!
//! Invariant: no lock is taken, and bytes that came from a device are never handed out, nor
//! kept in the cache, before their checksum was compared.

use super::{buffer::SegmentBuffer, core::Log, table::Segment};
use crate::{
    Error, Result,
    cache::By,
    codec,
    format::item::{self, CHUNK, INDIRECT, ItemHeader, TOMBSTONE},
    location::Location,
    memory::prefetch,
    scratch,
};
use crossbeam_epoch::Guard;
use std::{cell::Cell, sync::atomic::Ordering::*};

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a thread keeps of its scratch memory from read to read.
const KEPT_BYTES: usize = item::ITEM_BYTES_MAX;

/// Bytes of an item that are asked of the processor: the rest follows by itself.
pub(super) const PREFETCH_BYTES: usize = 1024;

const BROKEN_BLOCK: &str = "a block that cannot be decompressed";

/// What an item is read for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Somebody wants this item: it is looked for in the read cache, and kept there.
    Point,
    /// It is on the way of a walk: taken from the cache if it is there, and kept for the next one.
    Walk,
    /// To know what is on the device: memory is only asked for what is not written yet.
    Check,
}

impl Purpose {
    /// Who it is for the read cache, if it is to be asked.
    fn by(self) -> Option<By> {
        match self {
            Self::Point => Some(By::Point),
            Self::Walk => Some(By::Walk),
            Self::Check => None,
        }
    }
}

/// Where an item's bytes are.
pub(super) enum Resident<'g> {
    /// Here, checked or never on a device: they start with the item.
    Memory(&'g [u8]),
    /// On a device only; with the item's position in the log.
    Device(u64),
}

/// A value: where it lies in memory, or put together in the vector that was given for that.
pub(crate) enum Value<'a> {
    Here(&'a [u8]),
    Built,
}

/// What is known of an item's bytes before it is read.
#[derive(Clone, Copy)]
pub(crate) enum Ready<'a> {
    /// Nothing.
    No,
    /// They are in memory, checked or never on a device.
    Here(&'a [u8]),
    /// They were read from the device, and not checked.
    Read(&'a [u8]),
}

impl Ready<'_> {
    /// Whether the value lies in memory in one piece.
    pub(crate) fn is_at_hand(self) -> bool {
        match self {
            Self::Here(bytes) => ItemHeader::decode(bytes).is_some_and(|item| !item.has(INDIRECT)),
            Self::No | Self::Read(_) => false,
        }
    }
}

/// An item that is to be read, and what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) purpose: Purpose,
    pub(crate) at: Location,
    /// Of this tree it is expected to be,
    pub(crate) tree: u32,
    /// with this key.
    pub(crate) key: &'a [u8],
    pub(crate) ready: Ready<'a>,
}

impl Asked<'_> {
    #[inline]
    fn is(&self, header: &ItemHeader, bytes: &[u8]) -> bool {
        header.tree == self.tree && !header.has(CHUNK | TOMBSTONE) && header.key(bytes) == self.key
    }
}

/// What [`Log::with_value`] does to have the value in `built`, wherever it lies.
pub(crate) fn append_value(found: Value<'_>, built: &mut Vec<u8>) {
    if let Value::Here(bytes) = found {
        built.extend_from_slice(bytes);
    }
}

impl Log {
    /// Appends the value of the item at `at` to `value`, past the cache. Ok(false): another item is there.
    pub(crate) fn read(
        &self,
        at: Location,
        tree: u32,
        key: &[u8],
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        let asked = Asked {
            purpose: Purpose::Check,
            at,
            tree,
            key,
            ready: Ready::No,
        };
        let guard = crossbeam_epoch::pin();
        let found = self.with_value(asked, &guard, value, append_value)?;
        Ok(found.is_some())
    }

    /// The bytes of the item at `at`, if they are in memory: no device is asked.
    pub(crate) fn here<'g>(
        &'g self,
        purpose: Purpose,
        at: Location,
        guard: &'g Guard,
    ) -> Ready<'g> {
        match self.resident(purpose, at, guard) {
            Some(Resident::Memory(bytes)) => Ready::Here(bytes),
            _ => Ready::No,
        }
    }

    /// Calls `f` with the value of the item that is asked for, and with `built`, to which it was appended if it does
    /// not lie anywhere in one piece. `None`: another item is there now. The guard is there since before the caller
    /// learned of the place.
    pub(crate) fn with_value<R>(
        &self,
        asked: Asked<'_>,
        guard: &Guard,
        built: &mut Vec<u8>,
        f: impl FnOnce(Value<'_>, &mut Vec<u8>) -> R,
    ) -> Result<Option<R>> {
        enum Look<R> {
            Done(R),
            Other,
            /// A block that gives no value.
            Broken,
            List(u64, Option<item::ChunkList>),
        }
        let mut f = Some(f);
        let Asked {
            purpose, at, ready, ..
        } = asked;
        let looked = self.with_item(purpose, at, ready, guard, |header, bytes| {
            if !asked.is(header, bytes) {
                return Look::Other;
            }
            if header.has(INDIRECT) {
                return Look::List(header.seq, item::decode_chunk_list(header.value(bytes)));
            }
            let value = header.value(bytes);
            let value = match header.codec {
                codec::PLAIN => Value::Here(value),
                _ => match codec::decompress(value, built) {
                    Some(()) => Value::Built,
                    None => return Look::Broken,
                },
            };
            match f.take() {
                Some(f) => Look::Done(f(value, built)),
                None => Look::Other,
            }
        })?;
        match (looked, f) {
            (Some(Look::Done(done)), _) => Ok(Some(done)),
            (Some(Look::List(seq, Some(list))), Some(f)) => {
                let start = built.len();
                built.reserve(list.total);
                for (place, len) in list.chunks {
                    let expected = (asked.tree, seq, len);
                    self.read_chunk(purpose, place, guard, expected, built)?;
                }
                if built.len() - start != list.total {
                    let found = format!("{} bytes in its pieces", built.len() - start);
                    return Err(self.medium.damaged(at, "a long value", &found));
                }
                Ok(Some(f(Value::Built, built)))
            }
            (Some(Look::List(_, None)), _) => Err(self.medium.damaged(
                at,
                "a list of a long value's pieces",
                "impossible lengths",
            )),
            (Some(Look::Broken), _) => {
                Err(self.medium.damaged(at, "a compressed value", BROKEN_BLOCK))
            }
            _ => Ok(None),
        }
    }

    /// How long the value of the item is that is asked for: read is only what the index leads to, of a long value
    /// the list of its pieces. `None`: another item is there now.
    pub(crate) fn value_len(&self, asked: Asked<'_>, guard: &Guard) -> Result<Option<u64>> {
        let Asked {
            purpose, at, ready, ..
        } = asked;
        let looked = self.with_item(purpose, at, ready, guard, |header, bytes| {
            if !asked.is(header, bytes) {
                return Ok(None);
            }
            let value = header.value(bytes);
            let len = match (header.has(INDIRECT), header.codec) {
                (true, _) => item::decode_chunk_list(value).map(|list| list.total),
                (false, codec::PLAIN) => Some(value.len()),
                (false, _) => codec::given_len(value),
            };
            len.map(|len| Some(len as u64)).ok_or(BROKEN_BLOCK)
        })?;
        looked
            .unwrap_or(Ok(None))
            .map_err(|found| self.medium.damaged(at, "a value with a length", found))
    }

    fn read_chunk(
        &self,
        purpose: Purpose,
        at: Location,
        guard: &Guard,
        expected: (u32, u64, usize),
        value: &mut Vec<u8>,
    ) -> Result<()> {
        let ours = self.with_item(purpose, at, Ready::No, guard, |header, bytes| {
            let ours = header.has(CHUNK) && (header.tree, header.seq, header.value_len) == expected;
            if ours && header.codec != codec::PLAIN {
                return codec::decompress(header.value(bytes), value).ok_or(BROKEN_BLOCK);
            }
            if ours {
                value.extend_from_slice(header.value(bytes));
            }
            ours.then_some(()).ok_or("another item")
        })?;
        match ours {
            Some(Ok(())) => Ok(()),
            Some(Err(found)) => Err(self.medium.damaged(at, "a piece of a long value", found)),
            None => Err(self
                .medium
                .damaged(at, "a piece of a long value", "no item")),
        }
    }

    /// Calls `f` with the checked item at `at`; `None` if no item can be there.
    pub(super) fn with_item<R>(
        &self,
        purpose: Purpose,
        at: Location,
        ready: Ready<'_>,
        guard: &Guard,
        f: impl FnOnce(&ItemHeader, &[u8]) -> R,
    ) -> Result<Option<R>> {
        let resident = match ready {
            Ready::Here(bytes) => Some(Resident::Memory(bytes)),
            _ => self.resident(purpose, at, guard),
        };
        let position = match resident {
            None => return Ok(None),
            Some(Resident::Memory(bytes)) => {
                if purpose == Purpose::Point {
                    // All lines at once: the first says how many of the others are needed.
                    prefetch(bytes, at.class_bytes().min(PREFETCH_BYTES));
                }
                return Ok(ItemHeader::decode(bytes).map(|header| f(&header, bytes)));
            }
            Some(Resident::Device(position)) => position,
        };
        let keep = |header: &ItemHeader, bytes: &[u8]| {
            if let Some(by) = purpose.by() {
                self.keep(position, &bytes[..header.padded_len()], by, guard);
            }
            f(header, bytes)
        };
        if let Ready::Read(bytes) = ready {
            return self.check(at, bytes, keep).map(Some);
        }
        let len = self.read_bytes(at);
        // Taken, not borrowed: `f` may read another item.
        let mut taken = scratch::take(&SCRATCH);
        if taken.len() < len {
            taken.resize(len, 0);
        }
        let (device, offset) = self.medium.place(at.address());
        let read = self.medium.read(device, offset, &mut taken[..len]);
        let result = read.and_then(|()| self.check(at, &taken[..len], keep));
        if taken.len() <= KEPT_BYTES {
            scratch::keep(&SCRATCH, taken);
        }
        result.map(Some)
    }

    /// Bytes that are read to have all of the item at `at`.
    pub(super) fn read_bytes(&self, at: Location) -> usize {
        let within = at.address() % self.medium.segment_bytes();
        at.class_bytes()
            .min((self.medium.segment_bytes() - within) as usize)
    }

    /// Where the item at `at` is; `None` if the volume has no such place.
    #[inline]
    pub(super) fn resident<'g>(
        &'g self,
        purpose: Purpose,
        at: Location,
        guard: &'g Guard,
    ) -> Option<Resident<'g>> {
        let (segment, within) = self.entry_of(at)?;
        let is_wanted =
            |b: &&SegmentBuffer| b.holds(within) && (purpose != Purpose::Check || !b.is_written());
        if let Some(buffer) = segment.buffer(guard).filter(is_wanted) {
            // These bytes do not come from a device: they need no checksum.
            return buffer.published().get(within..).map(Resident::Memory);
        }
        // No place is used again for as long as the guard lives: so neither is the position.
        let position = segment.sequence.load(Acquire) * self.medium.segment_bytes() + within as u64;
        if let Some(by) = purpose.by()
            && let Some(cache) = self.residency.cache()
            && let Some(item) = cache.find(position, by, guard)
        {
            return Some(Resident::Memory(item));
        }
        Some(Resident::Device(position))
    }

    #[inline]
    pub(super) fn entry_of(&self, at: Location) -> Option<(&Segment, usize)> {
        let (id, within) = (
            at.address() / self.medium.segment_bytes(),
            at.address() % self.medium.segment_bytes(),
        );
        Some((self.table.get(id)?, within as usize))
    }

    /// Calls `f` with the item at `at`, which was read from a device, if it is whole.
    fn check<R>(
        &self,
        at: Location,
        bytes: &[u8],
        f: impl FnOnce(&ItemHeader, &[u8]) -> R,
    ) -> Result<R> {
        match item::decode(bytes, self.medium.salt(), at.address()) {
            Some((header, _)) => Ok(f(&header, bytes)),
            None => Err(self.damaged_item(at, bytes)),
        }
    }

    fn damaged_item(&self, at: Location, bytes: &[u8]) -> Error {
        let Some(header) = ItemHeader::decode(bytes) else {
            return self
                .medium
                .damaged(at, "an item", "a header with impossible lengths");
        };
        let sum = item::checksum(
            item::hash(&bytes[..header.len()]),
            self.medium.salt(),
            at.address(),
        );
        self.medium.damaged(
            at,
            &format!("an item with checksum {:08x}", header.checksum),
            &format!("bytes with checksum {sum:08x}"),
        )
    }

    /// The item at `at` (never a tombstone's place) is dead: users have replaced or deleted it.
    pub(crate) fn mark_dead(&self, at: Location) {
        self.written.count_died(self.leave(at));
    }

    /// As [`Log::mark_dead`], of what is elsewhere now, or was written for the store's own sake.
    pub(crate) fn mark_left(&self, at: Location) {
        self.leave(at);
    }

    /// The bytes of what was there, with its pieces.
    fn leave(&self, at: Location) -> u64 {
        let Some(segment) = self.table.get(at.address() / self.medium.segment_bytes()) else {
            return 0;
        };
        let mut bytes = at.class_bytes();
        if segment.indirect.load(Acquire) {
            let chunks = self.ledger.lock().chunks.remove(&at.address());
            for chunk in chunks.iter().flatten() {
                self.subtract(*chunk);
                bytes += chunk.class_bytes();
            }
        }
        self.subtract(at);
        bytes as u64
    }

    fn subtract(&self, at: Location) {
        let Some(segment) = self.table.get(at.address() / self.medium.segment_bytes()) else {
            return;
        };
        let bytes = at.class_bytes() as i64;
        let before = segment.live.fetch_sub(bytes, AcqRel);
        debug_assert!(before >= bytes, "an item died twice");
        if before == bytes {
            self.nudge();
        }
    }
}
