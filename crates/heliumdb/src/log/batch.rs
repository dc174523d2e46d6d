//! A batch: items encoded and hashed before anybody holds a lock for them.
//!
//! Invariant: an item's chunks stand before it, so that their places are known when it is placed.

use super::{BatchKind, frame_overhead};
use crate::{
    codec,
    format::{
        fold, frame,
        item::{self, ItemHeader},
    },
    limits::{CHUNK_BYTES, ITEM_ALIGN},
    location::Location,
};

/// One encoded item of a batch.
#[derive(Clone, Copy)]
pub(super) struct Encoded {
    pub start: usize,
    /// Length without padding.
    pub len: usize,
    pub hash: u64,
    pub seq: u64,
    pub flags: u8,
    pub codec: u8,
}

impl Encoded {
    /// The place of the item at `address`.
    pub(super) fn place(&self, address: u64) -> Location {
        item::place(address, self.len, (self.flags, self.codec))
    }
}

/// Items encoded and hashed outside any lock; reusable.
pub(crate) struct Batch {
    pub(super) kind: BatchKind,
    pub(super) prefix: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    pub(super) items: Vec<Encoded>,
    /// Payload hash if it all goes into one frame.
    pub(super) sum: u64,
    pub(super) largest: usize,
    pub(super) has_indirect: bool,
    pushed: usize,
    compress: bool,
    /// Bytes of values that were to be compressed, as given and as kept.
    pub(super) given_bytes: u64,
    pub(super) kept_bytes: u64,
    /// Where values are compressed.
    stored: Vec<u8>,
}

impl Batch {
    pub(crate) fn new(kind: BatchKind) -> Self {
        let mut batch = Self {
            kind: BatchKind::Commit,
            prefix: Vec::new(),
            bytes: Vec::new(),
            items: Vec::new(),
            sum: 0,
            largest: 0,
            has_indirect: false,
            pushed: 0,
            compress: false,
            given_bytes: 0,
            kept_bytes: 0,
            stored: Vec::new(),
        };
        batch.clear(kind);
        batch
    }

    pub(crate) fn clear(&mut self, kind: BatchKind) {
        self.prefix = match &kind {
            BatchKind::Commit | BatchKind::Checkpoint => Vec::new(),
            BatchKind::Prepare {
                global,
                participants,
            } => frame::encode_prepare(*global, participants),
            BatchKind::Spill { id, number } => frame::encode_spill(*id, *number),
            BatchKind::CommitSpilled(spilled) => frame::encode_spilled(spilled),
            BatchKind::Move { placed, from } => {
                let units = from.iter().map(|at| at.address() / ITEM_ALIGN as u64);
                frame::encode_move(*placed, units)
            }
        };
        self.kind = kind;
        self.sum = frame::prefix_hash(&self.prefix);
        self.bytes.clear();
        self.items.clear();
        self.largest = 0;
        self.has_indirect = false;
        self.pushed = 0;
        self.compress = false;
        self.given_bytes = 0;
        self.kept_bytes = 0;
    }

    /// `value` None is a tombstone. Returns the item's index in the batch.
    pub(crate) fn push(
        &mut self,
        tree: u32,
        seq: u64,
        overtakes: bool,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> usize {
        let flags = if overtakes { item::OVERTAKES } else { 0 };
        match value {
            None => self.encode(tree, seq, flags | item::TOMBSTONE, key, &[]),
            Some(value) if value.len() <= CHUNK_BYTES => {
                self.encode_value(tree, seq, flags, key, value);
            }
            Some(value) => self.push_long(tree, seq, flags, key, value),
        }
        self.pushed += 1;
        self.pushed - 1
    }

    /// Whether values pushed from now on are compressed, until the batch is cleared.
    pub(crate) fn set_compress(&mut self, compress: bool) {
        self.compress = compress;
    }

    /// Adds an item as it was logged before: its header, key and value, without padding. What
    /// it says of the places of a long value's pieces is filled in anew; they were pushed before.
    pub(crate) fn push_logged(&mut self, header: &ItemHeader, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(ITEM_ALIGN), 0);
        self.enter(Encoded {
            start,
            len: bytes.len(),
            hash: item::hash(bytes),
            seq: header.seq,
            flags: header.flags,
            codec: header.codec,
        });
        self.has_indirect |= header.has(item::INDIRECT);
        self.pushed += usize::from(!header.has(item::CHUNK));
    }

    fn push_long(&mut self, tree: u32, seq: u64, flags: u8, key: &[u8], value: &[u8]) {
        let mut chunks = 0;
        for piece in value.chunks(CHUNK_BYTES) {
            self.encode_value(tree, seq, item::CHUNK, &[], piece);
            chunks += 1;
        }
        // The places are filled in when they are known.
        let mut list = vec![0; item::chunk_list_bytes(chunks)];
        list[..4].copy_from_slice(&(value.len() as u32).to_le_bytes());
        self.encode(tree, seq, flags | item::INDIRECT, key, &list);
        self.has_indirect = true;
    }

    fn encode_value(&mut self, tree: u32, seq: u64, flags: u8, key: &[u8], value: &[u8]) {
        if !self.compress {
            return self.encode(tree, seq, flags, key, value);
        }
        let mut stored = std::mem::take(&mut self.stored);
        let (codec, kept) = if codec::compress(value, &mut stored) {
            (codec::LZ4, &stored[..])
        } else {
            (codec::PLAIN, value)
        };
        self.given_bytes += value.len() as u64;
        self.kept_bytes += kept.len() as u64;
        self.encode_as(codec, (tree, seq, flags), key, kept);
        self.stored = stored;
    }

    fn encode(&mut self, tree: u32, seq: u64, flags: u8, key: &[u8], value: &[u8]) {
        self.encode_as(codec::PLAIN, (tree, seq, flags), key, value);
    }

    fn encode_as(
        &mut self,
        codec: u8,
        (tree, seq, flags): (u32, u64, u8),
        key: &[u8],
        value: &[u8],
    ) {
        let start = self.bytes.len();
        let hash = item::encode_as(codec, &mut self.bytes, (tree, seq, flags), key, value);
        self.enter(Encoded {
            start,
            len: item::HEADER_BYTES + key.len() + value.len(),
            hash,
            seq,
            flags,
            codec,
        });
    }

    fn enter(&mut self, item: Encoded) {
        self.items.push(item);
        self.sum = fold(self.sum, item.hash);
        self.largest = self.largest.max(self.bytes.len() - item.start);
        if self.is_one_frame() {
            self.largest = self.bytes.len() + self.prefix.len();
        }
    }

    /// Whether it has to go into one frame: what stands before its items speaks of all of them.
    /// A long value moves alone, and its last frame is the one with the item.
    pub(super) fn is_one_frame(&self) -> bool {
        matches!(&self.kind, BatchKind::Move { from, .. } if from.len() > 1)
    }

    /// The number by which an item's segment is judged when tombstones are in question.
    pub(super) fn placed(&self, item: &Encoded) -> u64 {
        match &self.kind {
            BatchKind::Move { placed, .. } if item.flags & item::TOMBSTONE == 0 => *placed,
            _ => item.seq,
        }
    }

    pub(crate) fn kind(&self) -> &BatchKind {
        &self.kind
    }

    /// Items pushed.
    pub(crate) fn len(&self) -> usize {
        self.pushed
    }

    /// Bytes it takes in the log, frame headers included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + frame_overhead(self.prefix.len(), self.bytes.len())
    }

    /// Where item `i` starts; for the one past the last, where the batch ends.
    pub(super) fn start(&self, i: usize) -> usize {
        self.items
            .get(i)
            .map_or(self.bytes.len(), |item| item.start)
    }
}
