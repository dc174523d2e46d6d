//! One shard: what stays, and what makes room.
//!
//! New items go through *probation*; those that are used there go on to *main*. Both are queues
//! of blocks, emptied from the oldest: in main, too, an item that was used since it came is
//! given a second chance, as far as three quarters of a block. Probation may have all the room
//! that main does not use, and a tenth of it at least; so one pass over many items displaces
//! no more than that. An item that a walk brought is used when another walk comes to it; one that was
//! asked for by itself is not used by walks that pass it.

use super::arena::{Arena, BUCKET, By, Entry, Writer};
use crossbeam_epoch::Guard;
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc};

/// Blocks that are kept free, or are getting free, so that an insertion seldom finds none.
const AHEAD: usize = 3;

pub(super) struct Shard {
    arena: Arena,
    /// Changes are skipped rather than waited for, where one item is what would be kept.
    queues: Mutex<Queues>,
}

struct Queues {
    writer: Writer,
    probation: Queue,
    main: Queue,
}

/// Blocks, oldest first: the last is being filled.
#[derive(Default)]
struct Queue(VecDeque<usize>);

impl AsRef<Arena> for Shard {
    fn as_ref(&self) -> &Arena {
        &self.arena
    }
}

impl Shard {
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let (arena, writer) = Arena::new(bytes)?;
        Some(Self {
            arena,
            queues: Mutex::new(Queues {
                writer,
                probation: Queue::default(),
                main: Queue::default(),
            }),
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.arena.memory_bytes()
    }

    /// Memory that is taken once the next block is.
    pub(super) fn bytes_soon(&self) -> usize {
        self.arena.memory_bytes() + self.arena.block_bytes()
    }

    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        self.arena.prefetch(hash);
    }

    #[inline]
    pub(super) fn find<'g>(
        &'g self,
        hash: u64,
        position: u64,
        by: Option<By>,
        guard: &'g Guard,
    ) -> Option<&'g [u8]> {
        for (slot, word) in self.arena.words(hash, guard) {
            if !word.matches(hash) {
                continue;
            }
            let Some(entry) = self.arena.entry(word) else {
                continue;
            };
            if entry.position == position {
                let counts = by == Some(By::Point) || by == Some(entry.by);
                if counts && !word.is_visited() {
                    self.arena.visit(hash, slot, word);
                }
                return Some(entry.item);
            }
        }
        None
    }

    /// Keeps an item, if there is room for it now; true if memory was taken for it.
    pub(super) fn insert(
        self: &Arc<Self>,
        hash: u64,
        entry: Entry<'_>,
        may_grow: &dyn Fn() -> bool,
        guard: &Guard,
    ) -> bool {
        let Entry { position, item, .. } = entry;
        if Writer::entry_bytes(item.len()) > self.arena.block_bytes() / 2 {
            return false;
        }
        // An item is soon read again; what has a name took time to make.
        let queues = match super::is_named(position) {
            true => Some(self.queues.lock()),
            false => self.queues.try_lock(),
        };
        let Some(mut queues) = queues else {
            return false;
        };
        // Another thread may have read it too.
        if self.find(hash, position, None, guard).is_some() {
            return false;
        }
        let queues = &mut *queues;
        let before = self.arena.blocks_taken();
        self.make_room(queues, guard);
        let Queues {
            writer, probation, ..
        } = queues;
        if let Some(block) = probation.room(&self.arena, writer, item.len(), may_grow) {
            let slot = self.slot_for(writer, hash, guard);
            writer.put(&self.arena, block, (hash, slot), entry);
        }
        self.arena.blocks_taken() > before
    }

    /// Lets go of an item that nobody will look for again, and of its block once most of that is such.
    pub(super) fn remove(self: &Arc<Self>, hash: u64, position: u64, guard: &Guard) {
        let queues = &mut *self.queues.lock();
        let at = (hash, position);
        let Some(block) = queues.writer.remove(&self.arena, at, guard) else {
            return;
        };
        let is_being_filled = |queue: &Queue| queue.0.back() == Some(&block);
        if is_being_filled(&queues.probation) || is_being_filled(&queues.main) {
            return;
        }
        queues.probation.0.retain(|&other| other != block);
        queues.main.0.retain(|&other| other != block);
        self.empty(queues, block, true, guard);
    }

    #[cfg(test)]
    pub(super) fn blocks_in_use(&self) -> usize {
        self.queues.lock().blocks()
    }

    /// A slot of the bucket for a new item: an empty one, or that of an item nobody used.
    fn slot_for(&self, writer: &mut Writer, hash: u64, guard: &Guard) -> usize {
        writer.empty_slot(&self.arena, hash).unwrap_or_else(|| {
            let mut words = self.arena.words(hash, guard);
            let idle = words.find(|(_, word)| !word.is_visited());
            idle.map_or(hash as usize / 7 % BUCKET, |(slot, _)| slot)
        })
    }

    /// Lets go of the oldest blocks until some are free, or will be when readers are gone.
    fn make_room(self: &Arc<Self>, queues: &mut Queues, guard: &Guard) {
        let all = self.arena.blocks();
        while queues.blocks() + AHEAD > all {
            let for_probation = (all / 10).max(2);
            let is_probation_due =
                queues.probation.0.len() > for_probation || queues.main.0.len() < 2;
            let queue = if is_probation_due {
                &mut queues.probation
            } else {
                &mut queues.main
            };
            let Some(oldest) = queue.0.pop_front() else {
                return;
            };
            self.empty(queues, oldest, false, guard);
        }
    }

    /// Empties a block; items in it that were used go on to main, the others to probation once more if it `keeps` them.
    fn empty(self: &Arc<Self>, queues: &mut Queues, oldest: usize, keeps: bool, guard: &Guard) {
        let Queues {
            writer,
            main,
            probation,
        } = queues;
        let mut chances = self.arena.block_bytes() / 4 * 3;
        for left in writer.empty(self, oldest, super::mix, guard) {
            let item = left.entry.item;
            let bytes = Writer::entry_bytes(item.len());
            let queue = match left.was_visited {
                true => &mut *main,
                false if keeps => &mut *probation,
                false => continue,
            };
            if bytes > chances {
                continue;
            }
            let Some(block) = queue.room(&self.arena, writer, item.len(), &|| true) else {
                return;
            };
            chances -= bytes;
            let at = (super::mix(left.entry.position), left.slot);
            writer.put(&self.arena, block, at, left.entry);
        }
    }
}

impl Queues {
    fn blocks(&self) -> usize {
        self.probation.0.len() + self.main.0.len()
    }
}

impl Queue {
    /// A block with room for an item of `len` bytes: the one being filled, or a free one.
    fn room(
        &mut self,
        arena: &Arena,
        writer: &mut Writer,
        len: usize,
        may_grow: &dyn Fn() -> bool,
    ) -> Option<usize> {
        match self.0.back() {
            Some(&block) if writer.has_room(arena, block, len) => Some(block),
            _ => {
                let block = writer.take_block(arena, may_grow)?;
                self.0.push_back(block);
                Some(block)
            }
        }
    }
}
