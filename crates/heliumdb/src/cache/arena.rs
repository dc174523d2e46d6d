//! A shard's memory: a table of words, and blocks of entries that the words lead to.
//!
//! An entry is a head (position, length, and whether a walk brought it) and an item's bytes. Invariants:
//! - Only the one [`Writer`] writes to a block, behind its last entry; entries never change.
//! - A word leads to an entry, and is taken out of the table before the entry's block is
//!   retired. A retired block is filled again only when no guard that was there then is left.
#![expect(
    unsafe_code,
    reason = "readers follow words into memory that one writer fills and, through the epoch, uses again"
)]

use crate::memory::{Memory, prefetch_line};
use crossbeam_epoch::Guard;
use std::{
    marker::PhantomData,
    slice,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::*},
    },
};

/// Entries start at multiples of this, and their heads have so many bytes.
const UNIT: usize = 16;
/// Words of a bucket: a line of the processor's cache.
pub(super) const BUCKET: usize = 8;

/// A word of the table that leads to an entry for as long as the guard lives.
#[derive(Clone, Copy)]
pub(super) struct Word<'g>(u64, PhantomData<&'g Guard>);

const VISITED: u64 = 1 << 47;
const PLACE_MASK: u64 = (1 << 40) - 1;
/// In the length of an entry: a walk brought it.
const WALKED: u64 = 1 << 63;

impl Word<'_> {
    /// Whether it may be of an item with this hash.
    pub(super) fn matches(self, hash: u64) -> bool {
        self.0 >> 48 == tag(hash)
    }

    /// Where its entry is, counted in bytes through all blocks.
    fn at(self) -> usize {
        ((self.0 & PLACE_MASK) - 1) as usize * UNIT
    }

    pub(super) fn is_visited(self) -> bool {
        self.0 & VISITED != 0
    }
}

fn tag(hash: u64) -> u64 {
    hash >> 32 & 0xffff
}

pub(super) struct Arena {
    table: Memory,
    buckets: usize,
    blocks: Box<[Block]>,
    block_bytes: usize,
    /// Blocks that have memory.
    taken: AtomicUsize,
}

struct Block {
    memory: OnceLock<Memory>,
    /// Not in use, and no reader in it.
    is_free: AtomicBool,
}

/// Whoever has it is the only one who changes the arena that it was made with.
pub(super) struct Writer {
    /// Bytes of entries in each block.
    filled: Box<[usize]>,
    /// Of these, how many were removed.
    removed: Box<[usize]>,
}

/// Who wants an item.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// Somebody who asked for it.
    Point,
    /// A walk that comes to it.
    Walk,
}

/// An item that is kept.
#[derive(Clone, Copy)]
pub(super) struct Entry<'g> {
    pub(super) position: u64,
    /// Who brought it.
    pub(super) by: By,
    pub(super) item: &'g [u8],
}

/// What a block held that is emptied: an item, and how it was found.
pub(super) struct Left<'g> {
    pub(super) entry: Entry<'g>,
    pub(super) was_visited: bool,
    /// The slot of its bucket that is free now.
    pub(super) slot: usize,
}

impl Arena {
    /// An arena of `bytes` at most, and the one hand that fills it; `None` if there is no memory for its table.
    pub(super) fn new(bytes: usize) -> Option<(Self, Writer)> {
        // A word for each 128 bytes.
        let buckets = (bytes / 128 / BUCKET).max(1);
        let rest = bytes - buckets * BUCKET * size_of::<u64>();
        let block_bytes = (1 << (rest / 14).max(1).ilog2()).clamp(32 << 10, 2 << 20);
        let block = || Block {
            memory: OnceLock::new(),
            is_free: AtomicBool::new(true),
        };
        let blocks: Box<[Block]> = (0..rest / block_bytes).map(|_| block()).collect();
        let writer = Writer {
            filled: blocks.iter().map(|_| 0).collect(),
            removed: blocks.iter().map(|_| 0).collect(),
        };
        let arena = Self {
            table: Memory::try_zeroed(buckets * BUCKET * size_of::<u64>())?,
            buckets,
            blocks,
            block_bytes,
            taken: AtomicUsize::new(0),
        };
        Some((arena, writer))
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Memory taken from the system, the table included, though the kernel gives it by and by.
    pub(super) fn memory_bytes(&self) -> usize {
        self.table.len() + self.blocks_taken() * self.block_bytes
    }

    /// How many blocks have memory.
    pub(super) fn blocks_taken(&self) -> usize {
        self.taken.load(Relaxed)
    }

    #[inline]
    fn bucket(&self, hash: u64) -> &[AtomicU64] {
        let bucket = ((hash & 0xffff_ffff) as usize * self.buckets) >> 32;
        let table = self.table.as_ptr().cast::<AtomicU64>();
        // SAFETY: `bucket` is below `buckets`, the table has `buckets * BUCKET` aligned words,
        // all of them initialised (to zero), and used as atomics only.
        unsafe { slice::from_raw_parts(table.add(bucket * BUCKET), BUCKET) }
    }

    /// Asks the processor for the bucket of this hash.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        prefetch_line(self.bucket(hash).as_ptr().cast());
    }

    /// The words of a bucket, in which an item with this hash is if it is here.
    #[inline]
    pub(super) fn words<'g>(
        &self,
        hash: u64,
        _guard: &'g Guard,
    ) -> impl Iterator<Item = (usize, Word<'g>)> {
        let words = self.bucket(hash).iter().enumerate();
        words
            .map(|(i, word)| (i, Word(word.load(Acquire), PhantomData)))
            .filter(|(_, word)| word.0 != 0)
    }

    /// The entry that a word leads to.
    #[inline]
    pub(super) fn entry<'g>(&'g self, word: Word<'g>) -> Option<Entry<'g>> {
        let at = word.at();
        let memory = self.blocks.get(at / self.block_bytes)?.memory.get()?;
        // SAFETY: the word comes from the table (nobody else makes one), led to a whole entry
        // when it was read under a guard that still lives, and so the entry stays as it is.
        unsafe {
            let head = memory.as_ptr().add(at % self.block_bytes);
            let position = head.cast::<u64>().read();
            let len = head.add(8).cast::<u64>().read();
            Some(Entry {
                position,
                by: if len & WALKED == 0 {
                    By::Point
                } else {
                    By::Walk
                },
                item: slice::from_raw_parts(head.add(UNIT), (len & !WALKED) as usize),
            })
        }
    }

    fn block_of(&self, word: Word<'_>) -> usize {
        word.at() / self.block_bytes
    }

    fn word_of(&self, block: usize, offset: usize) -> u64 {
        ((block * self.block_bytes + offset) / UNIT) as u64 + 1
    }

    /// Notes that an item was used. If its word has changed meanwhile, that is no loss.
    pub(super) fn visit(&self, hash: u64, slot: usize, word: Word<'_>) {
        let cell = &self.bucket(hash)[slot];
        let _ = cell.compare_exchange(word.0, word.0 | VISITED, Relaxed, Relaxed);
    }
}

impl Writer {
    /// Takes a block that nobody is in; one that has no memory yet only if it `may_grow`, and there is some.
    pub(super) fn take_block(
        &mut self,
        arena: &Arena,
        may_grow: &dyn Fn() -> bool,
    ) -> Option<usize> {
        let is_free = |block: &&Block| block.is_free.load(Acquire);
        let has_memory = |block: &Block| block.memory.get().is_some();
        let mut all = arena.blocks.iter();
        let free = match all.position(|b| is_free(&b) && has_memory(b)) {
            Some(free) => free,
            None => {
                // One that has come free since has memory: that is not taken twice.
                let is_new = |block: &Block| is_free(&block) && !has_memory(block);
                let new = arena.blocks.iter().position(is_new)?;
                let memory = may_grow().then(|| Memory::try_zeroed(arena.block_bytes))??;
                // There is one writer: nobody else has given it any.
                let _ = arena.blocks[new].memory.set(memory);
                arena.taken.fetch_add(1, Relaxed);
                new
            }
        };
        arena.blocks[free].is_free.store(false, Relaxed);
        (self.filled[free], self.removed[free]) = (0, 0);
        Some(free)
    }

    /// Bytes that an entry for an item of `len` bytes takes.
    pub(super) fn entry_bytes(len: usize) -> usize {
        UNIT + len.next_multiple_of(UNIT)
    }

    /// Whether a block has room for an item of `len` bytes.
    pub(super) fn has_room(&self, arena: &Arena, block: usize, len: usize) -> bool {
        self.filled[block] + Self::entry_bytes(len) <= arena.block_bytes
    }

    /// Puts an item into a block that was taken and has room for it, and lets readers find it
    /// in this slot of its bucket.
    pub(super) fn put(
        &mut self,
        arena: &Arena,
        block: usize,
        (hash, slot): (u64, usize),
        entry: Entry<'_>,
    ) {
        let Entry { position, by, item } = entry;
        let offset = self.filled[block];
        let memory = arena.blocks[block].memory.get();
        let Some(memory) = memory.filter(|_| self.has_room(arena, block, item.len())) else {
            unreachable!("the block was taken and has room")
        };
        // SAFETY: within the block, behind what any word leads to, and `&mut self` is the only
        // writer. Nobody reads here, because no word led here since the block was taken.
        unsafe {
            let head = memory.as_ptr().add(offset);
            head.cast::<u64>().write(position);
            let walked = if by == By::Walk { WALKED } else { 0 };
            head.add(8).cast::<u64>().write(item.len() as u64 | walked);
            head.add(UNIT)
                .copy_from_nonoverlapping(item.as_ptr(), item.len());
        }
        self.filled[block] = offset + Self::entry_bytes(item.len());
        let word = tag(hash) << 48 | arena.word_of(block, offset);
        arena.bucket(hash)[slot].store(word, Release);
    }

    /// Takes an entry out of the table; the block that it is in, if most of that was removed by now.
    pub(super) fn remove(
        &mut self,
        arena: &Arena,
        (hash, position): (u64, u64),
        guard: &Guard,
    ) -> Option<usize> {
        let (slot, word, entry) = arena.words(hash, guard).find_map(|(slot, word)| {
            let entry = arena.entry(word).filter(|_| word.matches(hash))?;
            (entry.position == position).then_some((slot, word, entry))
        })?;
        arena.bucket(hash)[slot].store(0, Release);
        let block = arena.block_of(word);
        self.removed[block] += Self::entry_bytes(entry.item.len());
        (self.removed[block] > arena.block_bytes / 2).then_some(block)
    }

    /// The slot without a word in the bucket of `hash`.
    pub(super) fn empty_slot(&mut self, arena: &Arena, hash: u64) -> Option<usize> {
        let mut words = arena.bucket(hash).iter();
        words.position(|word| word.load(Relaxed) == 0)
    }

    /// Takes all items of a taken block out of the table and returns those that were in it. The
    /// block is free once no reader can be in it any more.
    pub(super) fn empty<'g, T: AsRef<Arena> + Send + Sync + 'static>(
        &mut self,
        owner: &'g Arc<T>,
        block: usize,
        hash_of: fn(u64) -> u64,
        guard: &'g Guard,
    ) -> Vec<Left<'g>> {
        let arena: &'g Arena = (**owner).as_ref();
        let mut left = Vec::new();
        let mut offset = 0;
        while offset < self.filled[block] {
            let here = arena.word_of(block, offset);
            // An entry starts here, and the block is not free before this guard is gone.
            let Some(entry) = arena.entry(Word(here, PhantomData)) else {
                break;
            };
            offset += Self::entry_bytes(entry.item.len());
            let hash = hash_of(entry.position);
            for (slot, cell) in arena.bucket(hash).iter().enumerate() {
                // Readers only ever add that it was visited.
                let word = cell.load(Relaxed);
                if word & PLACE_MASK == here {
                    cell.store(0, Release);
                    left.push(Left {
                        entry,
                        was_visited: word & VISITED != 0,
                        slot,
                    });
                }
            }
        }
        let owner = Arc::downgrade(owner);
        guard.defer(move || {
            if let Some(owner) = owner.upgrade() {
                (*owner).as_ref().blocks[block].is_free.store(true, Release);
            }
        });
        guard.flush();
        left
    }
}
