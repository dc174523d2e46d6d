//! Writes outside any transaction: each is one batch of its own, buffered.
//!
//! They never report a conflict: on a chain they become a committed version above all others. A
//! transaction below that is not sealed then fails at its commit. What depends on what was there
//! is not decided past a sealed one: the caller tries again when that is resolved. Whatever looks
//! marks the chain first, so that what it looks at stays until it is done.
//!
//! While a snapshot is in use each of them leaves a version, for which there has to be room in the budget of
//! versions, as for those of transactions.

use std::{cell::RefCell, sync::Arc};

use crossbeam_epoch::{self as epoch, Guard};

use super::{Writing, check};
use crate::{
    enough,
    error::Result,
    location::{Location, Slot, Word},
    log::{Batch, BatchKind, Spot},
    scratch,
    tree::Tree,
    version::{
        Attempt, Mode, Payload, State, Turn, TxnId,
        chain::{self, New, Seen, VERSION_BYTES},
        outside,
    },
};

thread_local! {
    static BATCH: RefCell<Batch> = RefCell::new(new_batch());
}

fn new_batch() -> Batch {
    Batch::new(BatchKind::Commit)
}

/// What must hold of the newest committed state of an item for a write to go ahead.
#[derive(Clone, Copy)]
pub(crate) enum Expect {
    Mode(Mode),
    /// It is this one; else nothing is done.
    Same(Option<Spot>),
}

impl Expect {
    /// Whether what is done depends on what was there.
    fn looks(self) -> bool {
        !matches!(self, Self::Mode(Mode::Any))
    }
}

/// What came of a write under the latch.
enum Linked {
    /// The slot's new word.
    Done(Word),
    /// The item is another one than was expected.
    Other,
    /// A commit is under way on which it depends.
    After(Turn),
}

/// One write, and what comes of it.
struct Write<'a> {
    tree: &'a Tree,
    key: &'a [u8],
    value: Option<&'a [u8]>,
    expect: Expect,
    /// The id of the version that it leaves; zero if it leaves none, or one that all see.
    owner: TxnId,
    dead: Option<Location>,
    /// By how much the number of items changes.
    more: i64,
    /// A chain was made of a plain slot.
    founded: bool,
}

impl Writing {
    /// Sets the item of `key` in `tree`, or removes it, if `expect` holds of its newest
    /// committed state; false if the item is not the same.
    pub(crate) fn write_if(
        &self,
        tree: &Arc<Tree>,
        key: &[u8],
        value: Option<&[u8]>,
        expect: Expect,
    ) -> Result<Attempt<bool>> {
        check::lengths(key, value)?;
        self.access.check_writable()?;
        // A deletion gives memory.
        if let Some(value) = value {
            enough::for_item(key.len() + value.len())?;
        }
        let _inside = self.gate.enter();
        tree.check_accepts()?;
        let guard = epoch::pin();
        let mut direct = self.native.begin_direct();
        let mut write = Write {
            tree,
            key,
            value,
            expect,
            owner: direct.owner(),
            dead: None,
            more: 0,
            founded: false,
        };
        let linked = tree.update(key, &guard, |word| {
            match self.link(&mut write, Word(word), &guard) {
                Ok(Linked::Done(word)) => (word.0, Ok(None)),
                Ok(other) => (word, Ok(Some(other))),
                Err(why) => (word, Err(why)),
            }
        })?;
        match linked {
            Some(Linked::Other) => return Ok(Attempt::Done(false)),
            Some(Linked::After(turn)) => return Ok(Attempt::After(turn)),
            Some(Linked::Done(_)) | None => {}
        }
        direct.has_written();
        tree.live.add(write.more);
        tree.note_change();
        if let Some(location) = write.dead {
            self.log.mark_dead(location);
        }
        if write.founded {
            self.unsettled
                .push(write.owner, std::iter::once((tree, key)));
        }
        Ok(Attempt::Done(true))
    }

    /// Does a write under the leaf's latch.
    #[inline]
    fn link(&self, write: &mut Write<'_>, word: Word, guard: &Guard) -> Result<Linked> {
        // Before the look: what is seen is then what the write comes to stand on.
        let overtakes = chain::overtake(word, guard);
        let seen = match chain::read_committed(word, guard) {
            Seen::At(location) => Some(location),
            Seen::Absent | Seen::Bytes(_) => None,
        };
        match write.expect {
            Expect::Mode(mode) => check::mode(seen.is_some(), mode)?,
            Expect::Same(expected) => {
                let spot = seen.and_then(|at| self.log.spot(at, guard));
                if expected != spot {
                    return Ok(Linked::Other);
                }
            }
        }
        let is_chain = matches!(word.slot(), Slot::Chain(_));
        if write.owner != 0 || is_chain {
            // Before anything is decided.
            self.unsettled.check_budget(VERSION_BYTES)?;
        }
        if overtakes && write.expect.looks() {
            if let Some(turn) = outside::overrule_or_wait(word, &self.waiting, guard) {
                return Ok(Linked::After(turn));
            }
        } else if overtakes {
            outside::overrule(word, guard);
        }
        let (tree, key, value) = (write.tree, write.key, write.value);
        write.more = i64::from(value.is_some()) - i64::from(seen.is_some());
        let sequence = self.next_sequence();
        let location = self.append_one(tree, sequence, overtakes, key, value)?;
        if write.owner == 0 && !is_chain {
            write.dead = seen;
            return Ok(Linked::Done(location.map_or(Word::EMPTY, Word::at)));
        }
        let payload = location.map_or_else(Payload::tombstone, Payload::at);
        let new = New {
            owner: write.owner,
            sequence,
            payload,
            state: State::Committed,
            sealed: false,
        };
        let unsettled = &self.unsettled;
        let head = unsettled.link(word, new, &self.log, guard);
        write.founded = head.founded;
        if overtakes {
            let key = tree.index_key(key);
            self.certainty.overtakes(tree.id, &key, sequence, 0);
        }
        Ok(Linked::Done(head.word))
    }

    /// Appends a batch of one item; its place, or `None` for a tombstone.
    #[inline]
    fn append_one(
        &self,
        tree: &Tree,
        sequence: u64,
        overtakes: bool,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Option<Location>> {
        scratch::lend(&BATCH, new_batch, |batch| {
            batch.clear(BatchKind::Commit);
            batch.set_compress(tree.compresses());
            batch.push(tree.id, sequence, overtakes, key, value);
            let appended = self.log.append(batch, value.is_none())?;
            Ok(value.and(appended.locations.first().copied()))
        })
    }
}
