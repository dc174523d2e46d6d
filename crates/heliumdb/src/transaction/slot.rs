//! One write to a slot of the index: conflict, existence, then a version on top.
//!
//! Invariant: all of it happens under the leaf's latch, so that nobody's write comes in between;
//! what is refused leaves the slot as it was.

use crossbeam_epoch::Guard;

use super::part::{Manners, Writer};
use crate::{
    error::Result,
    location::Word,
    log::Log,
    version::{
        Change, Isolation, Mode, Payload, State, View,
        chain::{self, Held, New},
        outside,
    },
    write::{Writing, check},
};

/// What a write did to its slot.
pub(super) enum Linked {
    /// It linked a version; `founded` if that made a chain of a plain slot.
    New {
        held: Held,
        founded: bool,
        shadowed: Option<Held>,
    },
    /// It changed the transaction's own version, whose value grew by so many bytes.
    Changed { grown: isize },
}

/// What a write needs beside its operands.
pub(super) struct Slotted<'a> {
    pub(super) writing: &'a Writing,
    pub(super) log: &'a Log,
    pub(super) in_place_from: u64,
}

impl Slotted<'_> {
    /// Does a write under the leaf's latch: conflict, existence, then the new head. Returns the
    /// slot's new word.
    pub(super) fn link(
        &self,
        word: Word,
        writer: Writer<'_>,
        change: Change<'_>,
        mode: Mode,
        guard: &Guard,
    ) -> Result<(Word, Linked)> {
        let Writer {
            owner,
            view,
            manners,
            ..
        } = writer;
        // As WiredTiger's own tables do it: a duplicate is told before a conflict, but that an item
        // is missing only after one, so that an item which someone else has just made is not missed.
        if mode == Mode::Absent {
            check_mode(word, view, mode, guard)?;
            check_conflict(word, writer, mode, guard)?;
        } else {
            check_conflict(word, writer, mode, guard)?;
            check_mode(word, view, mode, guard)?;
        }
        let is_blind = manners == Manners::Blind;
        if is_blind {
            outside::overrule(word, guard);
        }
        let own = chain::own_head(word, owner, guard);
        if let Some((own, _)) = own {
            // A reservation of what the transaction has written already says nothing new.
            if change == Change::Reserve {
                return Ok((word, Linked::Changed { grown: 0 }));
            }
            if own.sequence >= self.in_place_from {
                let grown = own.payload.replace(payload(change), guard);
                self.writing.unsettled.add_bytes(grown);
                return Ok((word, Linked::Changed { grown }));
            }
        }
        let (writing, log) = (self.writing, self.log);
        let new = New {
            owner,
            sequence: writing.next_sequence(),
            payload: payload(change),
            state: State::Unresolved,
            sealed: is_blind,
        };
        let head = writing.unsettled.link(word, new, log, guard);
        let shadowed = own.map(|(_, held)| held);
        let linked = Linked::New {
            held: head.held,
            founded: head.founded,
            shadowed,
        };
        Ok((head.word, linked))
    }
}

fn check_conflict(word: Word, writer: Writer<'_>, mode: Mode, guard: &Guard) -> Result<()> {
    match writer.manners {
        Manners::Blind => Ok(()),
        Manners::Native if writer.view.isolation() != Isolation::Snapshot => {
            chain::check_unresolved(word, writer.owner, guard)?;
            // A version says that it is committed before everyone sees its transaction. What was
            // looked at must be what is there now.
            if writer.looks || mode != Mode::Any {
                chain::check_newest(word, writer.view, guard)?;
            }
            Ok(())
        }
        Manners::External | Manners::Native => chain::check_conflict(word, writer.view, guard),
    }
}

fn check_mode(word: Word, view: &dyn View, mode: Mode, guard: &Guard) -> Result<()> {
    if mode == Mode::Any {
        return Ok(());
    }
    check::mode(chain::read(word, view, guard)?.is_present(), mode)
}

fn payload(change: Change<'_>) -> Payload {
    match change {
        Change::Put(value) => Payload::bytes(value),
        Change::Remove => Payload::tombstone(),
        Change::Reserve => Payload::reserve(),
    }
}
