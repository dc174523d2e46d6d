//! Reading segments that are to be cleaned: what in them may be live, in memory, in key order.
//!
//! Invariant: nothing that is live is left out but what stays because it has to; what is gathered
//! may be dead, and is looked up when it is moved.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crossbeam_epoch as epoch;

use super::Cleaner;
use crate::{
    error::Result,
    format::item::{CHUNK, INDIRECT, ITEM_BYTES_MAX, ItemHeader, TOMBSTONE},
    location::{Location, Slot, Word},
    log::{Batch, Candidate, MoveRoom, Spot},
    tree::Tree,
    version::{
        chain,
        standing::{self, Standing},
    },
};

/// For so many more items room is made at a time. Twice as much as there was would be too much.
const GROW_ITEMS: usize = 1 << 15;

/// An item that is to be moved.
#[derive(Clone, Copy)]
pub(super) struct Moving {
    pub(super) header: ItemHeader,
    /// Where it was found, and that it was this item.
    pub(super) from: Spot,
    start: usize,
    /// The first bytes of the key, to compare.
    prefix: u64,
}

/// The items of a round.
#[derive(Default)]
pub(super) struct Gathered {
    items: Vec<Moving>,
    bytes: Vec<u8>,
    /// Segments with tombstones that have to stay where they are for now.
    pub(super) unsure: HashSet<u64>,
    /// The room that they may take.
    pub(super) room: MoveRoom,
    /// What they are appended with, one batch after the other.
    pub(super) batch: Option<Batch>,
}

impl Gathered {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// What is taken for them, used or not.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.items.capacity() * size_of::<Moving>()
    }

    pub(super) fn item(&self, i: usize) -> Option<&Moving> {
        self.items.get(i)
    }

    /// The item's header, key and value.
    pub(super) fn bytes(&self, item: &Moving) -> &[u8] {
        &self.bytes[item.start..item.start + item.header.len()]
    }

    pub(super) fn key(&self, item: &Moving) -> &[u8] {
        item.header.key(self.bytes(item))
    }

    pub(super) fn in_open_room() -> Self {
        Self {
            room: MoveRoom::Open,
            ..Self::default()
        }
    }

    /// Empty again, with its memory.
    pub(super) fn emptied(mut self) -> Self {
        self.items.clear();
        self.bytes.clear();
        self.unsure.clear();
        self
    }

    /// Makes room for so many bytes of items, and no more: there are megabytes of them.
    pub(super) fn reserve(&mut self, bytes: u64) {
        let more = usize::try_from(bytes).unwrap_or(0);
        self.bytes.reserve_exact(more);
    }

    pub(super) fn push(&mut self, header: &ItemHeader, bytes: &[u8], from: Spot) {
        if self.items.len() == self.items.capacity() {
            self.items.reserve_exact(GROW_ITEMS);
        }
        let mut prefix = [0; 8];
        let key = header.key(bytes);
        let len = key.len().min(8);
        prefix[..len].copy_from_slice(&key[..len]);
        self.items.push(Moving {
            header: *header,
            from,
            start: self.bytes.len(),
            prefix: u64::from_be_bytes(prefix),
        });
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn sort(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        items.sort_unstable_by(|a, b| {
            let first = (a.header.tree, a.prefix).cmp(&(b.header.tree, b.prefix));
            first.then_with(|| self.key(a).cmp(self.key(b)))
        });
        self.items = items;
    }
}

impl Cleaner {
    /// Adds what may be live in `victim`, long values excepted. Whether it is, is asked in key order
    /// when it is moved: that costs a part of what it would cost here.
    pub(super) fn gather(
        &self,
        victim: &Candidate,
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &mut Gathered,
    ) -> Result<()> {
        let needed_from = self.on.log.oldest_placed(victim.segment);
        self.on
            .log
            .visit_segment(victim, &mut |header, bytes, at| {
                if header.has(CHUNK | INDIRECT) {
                    return;
                }
                let Some(tree) = trees.get(&header.tree) else {
                    return;
                };
                if !header.has(TOMBSTONE) {
                    gathered.push(header, bytes, at);
                    return;
                }
                match self.standing(tree, header.key(bytes), header.seq) {
                    Standing::Needed => gathered.push(header, bytes, at),
                    Standing::NeededByOlder if header.seq >= needed_from => {
                        gathered.push(header, bytes, at);
                    }
                    Standing::NeededByOlder | Standing::Superseded => {}
                    Standing::Unsure => {
                        gathered.unsure.insert(victim.segment);
                    }
                }
            })?;
        Ok(())
    }

    /// How a tombstone stands that was found in the log.
    pub(super) fn standing(&self, tree: &Tree, key: &[u8], sequence: u64) -> Standing {
        let guard = epoch::pin();
        let word = Word(tree.get(key, &guard));
        match word.slot() {
            Slot::Empty => Standing::NeededByOlder,
            Slot::At(_) => Standing::Superseded,
            // Links of chains change under the leaf's latch only.
            Slot::Chain(_) => tree.update_unseen(key, &guard, |word| {
                let below = self.on.writing.final_below();
                (
                    word,
                    standing::of_tombstone(Word(word), sequence, below, &guard),
                )
            }),
        }
    }

    /// Adds the long values of which something is in `victims`.
    pub(super) fn gather_long(
        &self,
        victims: &[Candidate],
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &mut Gathered,
    ) -> Result<()> {
        let segments: Vec<u64> = victims.iter().map(|v| v.segment).collect();
        for owner in self.on.log.owners_of_chunks(&segments) {
            let guard = epoch::pin();
            let segment = self
                .on
                .log
                .medium()
                .segment_of(Location::new(owner, ITEM_BYTES_MAX));
            if self.on.log.use_of(segment, &guard).is_none() {
                continue;
            }
            let Some(bytes) = self.on.log.read_logged(owner, ITEM_BYTES_MAX)? else {
                continue;
            };
            let Some(header) = ItemHeader::decode(&bytes).filter(|h| h.has(INDIRECT)) else {
                continue;
            };
            let at = header.place(owner);
            let word = trees
                .get(&header.tree)
                .map_or(0, |tree| tree.get(header.key(&bytes), &guard));
            if chain::movable(Word(word), at, self.on.writing.final_below(), &guard).is_some()
                && let Some(spot) = self.on.log.spot(at, &guard)
            {
                gathered.push(&header, &bytes[..header.len()], spot);
            }
        }
        Ok(())
    }
}
