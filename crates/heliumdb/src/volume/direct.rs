//! Writes outside any transaction: each is one batch of its own, buffered.
//!
//! They never wait and never report a conflict: on a chain they become a committed version
//! above all others, and an uncommitted transaction below then fails at its commit.

use std::{cell::RefCell, sync::Arc};

use crossbeam_epoch::{self as epoch, Guard};

use super::{Shared, tree::Tree};
use crate::{
    error::{Error, ErrorKind, Result},
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    location::{Location, Slot, Word},
    log::{Appended, Batch, BatchKind},
    transaction::{key_too_long, value_too_long},
    version::{
        Mode, Payload,
        chain::{self, State, VERSION_BYTES},
    },
};

thread_local! {
    static BATCH: RefCell<Batch> = RefCell::new(Batch::new(BatchKind::Commit));
}

impl Shared {
    /// Sets the item of `key` in `tree`, or removes it, if `mode` holds of its newest
    /// committed state.
    pub(super) fn write(
        self: &Arc<Self>,
        tree: &Arc<Tree>,
        key: &[u8],
        value: Option<&[u8]>,
        mode: Mode,
    ) -> Result<()> {
        check_lengths(key, value)?;
        self.check_writable()?;
        self.when_room(|| self.try_write(tree, key, value, mode))
    }

    fn try_write(
        &self,
        tree: &Arc<Tree>,
        key: &[u8],
        value: Option<&[u8]>,
        mode: Mode,
    ) -> Result<()> {
        let _inside = self.gate.enter();
        let guard = epoch::pin();
        let mut dead = None;
        tree.index.update(key, &guard, |word| {
            match self.link(tree, Word(word), key, value, mode, &guard, &mut dead) {
                Ok(word) => (word.0, Ok(())),
                Err(why) => (word, Err(why)),
            }
        })?;
        tree.note_change();
        if let Some(location) = dead {
            self.log.mark_dead(location);
        }
        Ok(())
    }

    /// Does a write under the leaf's latch, and returns the slot's new word.
    #[expect(
        clippy::too_many_arguments,
        reason = "the operands of one write, handed through one closure"
    )]
    fn link(
        &self,
        tree: &Arc<Tree>,
        word: Word,
        key: &[u8],
        value: Option<&[u8]>,
        mode: Mode,
        guard: &Guard,
        dead: &mut Option<Location>,
    ) -> Result<Word> {
        check_mode(word, mode, guard)?;
        let Slot::Chain(_) = word.slot() else {
            let sequence = self.next_sequence();
            let location = self.append_one(tree.id, sequence, false, key, value)?;
            if let Slot::At(old) = word.slot() {
                *dead = Some(old);
            }
            return Ok(location.map_or(Word::EMPTY, Word::at));
        };
        let sequence = self.next_sequence();
        let overtakes = chain::has_unresolved(word, guard);
        let location = self.append_one(tree.id, sequence, overtakes, key, value)?;
        let payload = location.map_or_else(Payload::tombstone, Payload::at);
        let word = self.unsettled.trim(word, &self.log, guard);
        let (head, _) = chain::link(word, 0, sequence, payload, State::Committed, guard);
        self.unsettled.add_bytes(VERSION_BYTES as isize);
        if overtakes {
            tree.set_overruled();
        }
        Ok(head)
    }

    /// Appends a batch of one item; its place, or `None` for a tombstone.
    fn append_one(
        &self,
        tree: u32,
        sequence: u64,
        overtakes: bool,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<Location>> {
        BATCH.with_borrow_mut(|batch| {
            batch.clear(BatchKind::Commit);
            batch.push(tree, sequence, overtakes, key, value);
            let appended = self.log.append(batch, value.is_none())?;
            Ok(value.and(appended.locations.first().copied()))
        })
    }

    /// Writes items of the store's own tree `tree` as one durable batch: all or none.
    pub(super) fn write_internal(
        &self,
        tree: &Tree,
        items: &[(&[u8], Option<&[u8]>)],
    ) -> Result<()> {
        self.check_writable()?;
        let mut batch = Batch::new(BatchKind::Commit);
        let internal = self.internal.lock();
        for (key, value) in items {
            batch.push(tree.id, self.next_sequence(), false, key, *value);
        }
        let inside = self.gate.enter();
        let appended = self
            .log
            .append(&mut batch, items.iter().all(|item| item.1.is_none()))?;
        self.index_internal(tree, items, &appended);
        drop((internal, inside));
        // CRASH: the batch is buffered; after recovery all of its items are there, or none.
        self.log.sync_to(appended.end)
    }

    fn index_internal(&self, tree: &Tree, items: &[(&[u8], Option<&[u8]>)], appended: &Appended) {
        for ((key, value), &location) in items.iter().zip(&appended.locations) {
            self.set_internal(tree, key, value.map(|_| location));
        }
    }

    fn set_internal(&self, tree: &Tree, key: &[u8], location: Option<Location>) {
        let guard = epoch::pin();
        let new = location.map_or(Word::EMPTY, Word::at);
        let old = tree.index.update(key, &guard, |old| (new.0, old));
        if let Slot::At(old) = Word(old).slot() {
            self.log.mark_dead(old);
        }
    }

    pub(crate) fn insert_decision(&self, number: u64, location: Location) {
        self.set_internal(&self.decisions, &number.to_be_bytes(), Some(location));
    }

    /// Takes a decision whose batch was cancelled out of the index.
    pub(crate) fn erase_decision(&self, number: u64) {
        self.set_internal(&self.decisions, &number.to_be_bytes(), None);
    }

    /// Forgets a decision, buffered.
    pub(crate) fn delete_decision(&self, number: u64) -> Result<()> {
        self.check_poison()?;
        let key = number.to_be_bytes();
        let _internal = self.internal.lock();
        let _inside = self.gate.enter();
        self.append_one(self.decisions.id, self.next_sequence(), false, &key, None)?;
        self.erase_decision(number);
        Ok(())
    }

    fn check_poison(&self) -> Result<()> {
        self.log.poisoned().map_or(Ok(()), Err)
    }
}

fn check_lengths(key: &[u8], value: Option<&[u8]>) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(key_too_long(key.len()));
    }
    match value {
        Some(value) if value.len() > VALUE_BYTES_MAX => Err(value_too_long(value.len())),
        _ => Ok(()),
    }
}

fn check_mode(word: Word, mode: Mode, guard: &Guard) -> Result<()> {
    let wanted = match mode {
        Mode::Any => return Ok(()),
        Mode::Absent => false,
        Mode::Present => true,
    };
    match (chain::read_committed(word, guard).is_present(), wanted) {
        (true, false) => Err(item_exists()),
        (false, true) => Err(item_not_found()),
        _ => Ok(()),
    }
}

pub(crate) fn item_exists() -> Error {
    Error::new(
        ErrorKind::ItemExists,
        "an item with that key exists already",
    )
}

pub(crate) fn item_not_found() -> Error {
    Error::new(ErrorKind::ItemNotFound, "no item with that key")
}
