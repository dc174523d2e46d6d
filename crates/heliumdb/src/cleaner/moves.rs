//! Moving: items are appended anew, and the index is told, if it still has them at the old place.
//!
//! Invariants:
//! - What is looked for in the index, and moved there, is the item that was read, not a newer one of
//!   the same key that has come to lie in its place: nothing is held while items are in memory, and
//!   their segments can be freed and used again at any step.
//! - The number below which nothing can supersede a moved item any more is read before the item is
//!   seen to be live, under its leaf's latch; whoever removes it later has a higher one, or stands
//!   above it in its chain already.
//! - Whether its tree is over is asked in the gate, which is left when the item was appended: nothing
//!   of a tree is appended behind the mark that it is over.

use std::{collections::HashMap, sync::Arc};

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Cleaner,
    gather::{Gathered, Moving},
};
use crate::{
    error::Result,
    format::{
        item::{self, INDIRECT, ItemHeader, TOMBSTONE},
        trees::{DECISIONS_TREE, INTERNAL_TREES_END},
    },
    limits::MOVES_PER_BATCH_MAX,
    location::Word,
    log::{Appended, Batch, BatchKind, Spot},
    tree::Tree,
    version::{
        TxnId, chain,
        standing::{self, Standing},
    },
};

/// Whether an item may move.
enum Movable {
    /// It may; with the lowest number that may yet supersede it, of those given already.
    Above(u64),
    /// It is not known whether it will stay.
    Unsure,
    /// It is not needed, or not now.
    Dead,
}

impl Cleaner {
    /// Moves items from `next` on, one batch of them; returns where to go on.
    pub(super) fn move_some(
        &self,
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &mut Gathered,
        next: usize,
    ) -> Result<usize> {
        let mut unsure = Vec::new();
        let none = || Batch::new(BatchKind::Checkpoint);
        let mut batch = gathered.batch.take().unwrap_or_else(none);
        let done = self.move_batch(trees, gathered, next, &mut batch, &mut unsure);
        gathered.batch = Some(batch);
        gathered.unsure.extend(unsure);
        done
    }

    fn move_batch(
        &self,
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &Gathered,
        next: usize,
        batch: &mut Batch,
        unsure: &mut Vec<u64>,
    ) -> Result<usize> {
        let Some(first) = gathered.item(next) else {
            return Ok(next);
        };
        if first.header.has(INDIRECT) {
            let is_over = self.move_long(trees, gathered, first)?;
            return Ok(next + usize::from(is_over));
        }
        // Removals in the store's own trees are not numbered under a latch, but under this lock.
        let is_internal = first.header.tree < INTERNAL_TREES_END;
        let _internal = is_internal.then(|| self.on.records.alone());
        let _inside = self.on.writing.gate.enter();
        let most_bytes = self.on.log.move_bytes();
        let mut placed = self.on.writing.sequence();
        let first = next;
        let (mut items, mut bytes, mut next) = (Vec::new(), 0, next);
        let guard = epoch::pin();
        let mut tree = None;
        while let Some(item) = gathered.item(next) {
            let alike = !item.header.has(INDIRECT)
                && (item.header.tree < INTERNAL_TREES_END) == is_internal;
            let fits = bytes + item.header.padded_len() <= most_bytes || items.is_empty();
            if !alike || !fits || items.len() == MOVES_PER_BATCH_MAX {
                break;
            }
            next += 1;
            match self.may_move(find(trees, &mut tree, item), gathered, item, &guard) {
                Movable::Above(lowest) => {
                    placed = placed.min(lowest);
                    bytes += item.header.padded_len();
                    items.push(item);
                }
                Movable::Unsure => unsure.push(self.on.log.medium().segment_of(item.from.at())),
                Movable::Dead => {}
            }
        }
        // Nobody is to wait for it while room is being found.
        drop(guard);
        if !items.is_empty() {
            let from = items.iter().map(|item| item.from.at()).collect();
            batch.clear(BatchKind::Move { placed, from });
            for item in &items {
                batch.push_logged(&item.header, gathered.bytes(item));
            }
            if !self.append_moves(trees, gathered, &items, batch)? {
                // Those that are not in their places any more are not alive the next time.
                return Ok(first);
            }
        }
        Ok(next)
    }

    /// Moves one long value, with all its pieces; false if that has to be tried again.
    fn move_long(
        &self,
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &Gathered,
        item: &Moving,
    ) -> Result<bool> {
        let _inside = self.on.writing.gate.enter();
        // The guard keeps the pieces where they are until they are read.
        let guard = epoch::pin();
        let mut placed = self.on.writing.sequence();
        let tree = trees.get(&item.header.tree);
        let Movable::Above(lowest) = self.may_move(tree, gathered, item, &guard) else {
            return Ok(true);
        };
        placed = placed.min(lowest);
        let bytes = gathered.bytes(item);
        let Some(list) = item::decode_chunk_list(item.header.value(bytes)) else {
            return Ok(true);
        };
        let from = vec![item.from.at()];
        let mut batch = Batch::new(BatchKind::Move { placed, from });
        for (at, len) in list.chunks {
            let piece = self
                .on
                .log
                .read_logged(at.address(), item::HEADER_BYTES + len)?;
            let Some((header, piece)) =
                piece.and_then(|bytes| Some((ItemHeader::decode(&bytes)?, bytes)))
            else {
                return Ok(true);
            };
            batch.push_logged(&header, &piece[..header.len()]);
        }
        batch.push_logged(&item.header, bytes);
        drop(guard);
        self.append_moves(trees, gathered, &[item], &mut batch)
    }

    /// Whether the item may move now.
    fn may_move(
        &self,
        tree: Option<&Arc<Tree>>,
        gathered: &Gathered,
        item: &Moving,
        guard: &Guard,
    ) -> Movable {
        let oldest = self.on.writing.final_below();
        let Some(tree) = tree.filter(|tree| !tree.is_retired()) else {
            return Movable::Dead;
        };
        if tree.is_leaving() {
            // It may be kept after all: what it has stays where it is for now.
            return match item.header.has(TOMBSTONE) {
                true => Movable::Unsure,
                false => Movable::Dead,
            };
        }
        // A copy would stand for itself, and not go with the batch.
        if self.is_decision_open(item.header.tree, gathered.key(item)) {
            return Movable::Dead;
        }
        tree.update_unseen(gathered.key(item), guard, |word| {
            let movable = match item.header.has(TOMBSTONE) {
                // What is at the place now may be newer, and of the same key.
                _ if !self.on.log.is_in_place(item.from) => Movable::Dead,
                true => tombstone(Word(word), item, oldest, guard),
                false => chain::movable(Word(word), item.from.at(), oldest, guard)
                    .map_or(Movable::Dead, Movable::Above),
            };
            (word, movable)
        })
    }

    /// Whether the item is a decision that goes if the batch is taken back that it was logged in.
    fn is_decision_open(&self, tree: u32, key: &[u8]) -> bool {
        tree == DECISIONS_TREE
            && <[u8; 8]>::try_from(key).is_ok_and(|number| {
                !self
                    .on
                    .writing
                    .certainty
                    .is_final(u64::from_be_bytes(number))
            })
    }

    /// The caller is in the gate. False if one of the items is not in its place any more: then
    /// nothing was done.
    fn append_moves(
        &self,
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &Gathered,
        items: &[&Moving],
        batch: &mut Batch,
    ) -> Result<bool> {
        let from: Vec<Spot> = items.iter().map(|item| item.from).collect();
        let Some(appended) = self.on.log.append_moves(batch, &from, gathered.room)? else {
            return Ok(false);
        };
        // CRASH: old and new place hold the same item; replay takes the new one if it would find
        // the old one. The old one's segment is not freed before this is durable.
        self.show_moves(trees, gathered, items, &appended);
        Ok(true)
    }

    /// Tells the index where the items are now.
    fn show_moves(
        &self,
        trees: &HashMap<u32, Arc<Tree>>,
        gathered: &Gathered,
        items: &[&Moving],
        appended: &Appended,
    ) {
        let guard = epoch::pin();
        let mut tree = None;
        for (item, &to) in items.iter().zip(&appended.locations) {
            let from = item.from.at();
            self.on.log.note_moved(from, appended.end);
            if item.header.has(TOMBSTONE) {
                continue;
            }
            let is_there = find(trees, &mut tree, item).is_some_and(|tree| {
                tree.update_unseen(gathered.key(item), &guard, |word| {
                    if !self.on.log.is_in_place(item.from) {
                        return (word, false);
                    }
                    match chain::relocate(Word(word), from, to, &guard) {
                        Some(new) => (new.0, true),
                        None => (word, false),
                    }
                })
            });
            // Who removed or replaced it meanwhile has marked the old place as dead.
            self.on.log.mark_left(if is_there { from } else { to });
        }
    }
}

/// Whether a tombstone may move, as far as it is needed at all.
fn tombstone(word: Word, item: &Moving, final_below: TxnId, guard: &Guard) -> Movable {
    match standing::of_tombstone(word, item.header.seq, final_below, guard) {
        Standing::Needed | Standing::NeededByOlder => Movable::Above(u64::MAX),
        Standing::Superseded => Movable::Dead,
        Standing::Unsure => Movable::Unsure,
    }
}

/// The item's tree: mostly that of the item before.
fn find<'a>(
    trees: &'a HashMap<u32, Arc<Tree>>,
    last: &mut Option<(u32, &'a Arc<Tree>)>,
    item: &Moving,
) -> Option<&'a Arc<Tree>> {
    let id = item.header.tree;
    match *last {
        Some((known, tree)) if known == id => Some(tree),
        _ => {
            let tree = trees.get(&id)?;
            *last = Some((id, tree));
            Some(tree)
        }
    }
}

#[cfg(test)]
mod tests;
