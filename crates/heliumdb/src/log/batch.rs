//! A batch: items encoded and hashed before anybody holds a lock for them.
//!
//! Invariant: an item's chunks stand before it, so that their places are known when it is placed.

use super::{BatchKind, frame_overhead};
use crate::{
    format::{fold, frame, item},
    limits::CHUNK_BYTES,
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
        };
        self.kind = kind;
        self.sum = frame::prefix_hash(&self.prefix);
        self.bytes.clear();
        self.items.clear();
        self.largest = 0;
        self.has_indirect = false;
        self.pushed = 0;
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
            Some(value) if value.len() <= CHUNK_BYTES => self.encode(tree, seq, flags, key, value),
            Some(value) => self.push_long(tree, seq, flags, key, value),
        }
        self.pushed += 1;
        self.pushed - 1
    }

    fn push_long(&mut self, tree: u32, seq: u64, flags: u8, key: &[u8], value: &[u8]) {
        let mut chunks = 0;
        for piece in value.chunks(CHUNK_BYTES) {
            self.encode(tree, seq, item::CHUNK, &[], piece);
            chunks += 1;
        }
        // The places are filled in when they are known.
        let list = vec![0; item::chunk_list_bytes(chunks)];
        self.encode(tree, seq, flags | item::INDIRECT, key, &list);
        self.has_indirect = true;
    }

    fn encode(&mut self, tree: u32, seq: u64, flags: u8, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        let hash = item::encode(&mut self.bytes, tree, seq, flags, key, value);
        let len = item::HEADER_BYTES + key.len() + value.len();
        self.items.push(Encoded {
            start,
            len,
            hash,
            seq,
            flags,
        });
        self.sum = fold(self.sum, hash);
        self.largest = self.largest.max(self.bytes.len() - start);
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
