//! Reading ahead for somebody who may see something else at each step.
//!
//! Invariant: an item is handed out from here only where a new look would find the very same
//! one. Each call checks what was true when the items were fetched:
//!
//! - The tree is the same, and no transaction that wrote to it was resolved since, and nothing
//!   was written outside transactions: [`Tree::changes`] counts both, before anybody can see
//!   their writes. So no newer version of these items, nor an item between them, has become
//!   visible.
//! - What was fetched did not depend on who looks: the slot was a plain place in the log, or its
//!   newest version was committed and visible to the view, which is asked again whether it still
//!   is. Anything else ends the batch, and is looked at when its turn comes.
//! - The transaction that asks has not written since; the volume's sequence number would show it.
//! - The isolation level is the same, and not read-uncommitted: that sees versions come and go
//!   that are not counted.
//! - Or nothing of that: the view is the same, and all that it sees stays as it is ([`View::moment`]).
//!
//! So read-committed cursors see each step anew, as promised, and snapshots theirs.

use super::{
    Cursor, Look, Position, Seeing, Taken, Wanted, Which, batch::FIRST_PACKED_ITEMS, start,
};
use crate::{
    error::Result,
    index::Direction,
    log::{Purpose, Ready},
    tree::Tree,
    version::{Isolation, TxnId, View, chain::Seen},
};
use std::ops::Bound;

/// What a cursor has read ahead: see [`crate::host::DatastoreExt::seek_ahead`].
pub struct ReadAhead {
    cursor: Cursor,
    when: Option<When>,
    direction: Direction,
    /// The item that was found last came with its value.
    has_value: bool,
}

/// What must not have changed for a batch to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct When {
    tree: u32,
    isolation: Isolation,
    own: TxnId,
    moment: u64,
    changes: u64,
    /// The volume's next sequence number, while the transaction that asks has written.
    sequence: u64,
    /// Not that it could change what there is, but what of it was fetched.
    wanted: Wanted,
}

impl When {
    /// Before the look: what changes meanwhile then ends the batch.
    pub(crate) fn now(
        tree: &Tree,
        view: &dyn View,
        wanted: Wanted,
        sequence: impl FnOnce() -> u64,
    ) -> Self {
        let (own, moment) = (view.own(), view.moment());
        Self {
            tree: tree.id,
            isolation: match moment {
                0 => view.isolation(),
                _ => Isolation::Snapshot,
            },
            own,
            moment,
            changes: if moment == 0 { tree.changes() } else { 0 },
            sequence: if own == 0 { 0 } else { sequence() },
            wanted,
        }
    }
}

impl Default for ReadAhead {
    fn default() -> Self {
        Self {
            cursor: Cursor::new(Bound::Unbounded, Direction::Forward),
            when: None,
            direction: Direction::Forward,
            has_value: false,
        }
    }
}

impl ReadAhead {
    /// Whether the item that was found last came with its value.
    pub fn has_value(&self) -> bool {
        self.has_value
    }

    /// The next item, if it was read ahead and still holds.
    pub(crate) fn take(
        &mut self,
        now: When,
        view: &dyn View,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> bool {
        let (Some(item), _) = self.cursor.around() else {
            return false;
        };
        let holds = self.when == Some(now) && self.follows(position);
        if !holds || (item.owner != 0 && !view.sees(item.owner)) {
            return false;
        }
        key.clear();
        key.extend_from_slice(self.cursor.key(item));
        value.clear();
        let found = self.cursor.value(item);
        value.extend_from_slice(found.unwrap_or_default());
        self.has_value = found.is_some();
        self.cursor.pass();
        true
    }

    /// Whether a walk that goes on at `position` does so from the item that was handed out last.
    fn follows(&self, position: Position<'_>) -> bool {
        let (after, direction) = match position {
            Position::After(key) => (key, Direction::Forward),
            Position::Before(key) => (key, Direction::Backward),
            _ => return false,
        };
        let (_, last) = self.cursor.around();
        self.direction == direction && last.is_some_and(|last| after == self.cursor.key(last))
    }

    /// Looks for the item at `position`, and reads those behind it ahead that will be there `now` or at the same moment.
    pub(crate) fn look(
        &mut self,
        look: Look<'_>,
        view: &dyn View,
        now: When,
        position: Position<'_>,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        let mut most = self.cursor.begin(self.follows(position));
        let is_uncommitted = now.isolation == Isolation::ReadUncommitted;
        self.when = (!is_uncommitted).then_some(now);
        self.direction = start(position).1;
        let mut slots = Seeing::new(look, start(position));
        let Some(taken) = slots.take_next(now.wanted, value)? else {
            return Ok(false);
        };
        key.clear();
        key.extend_from_slice(slots.slot());
        self.has_value = taken == Taken::Value;
        self.cursor.hand_out(key);
        if most == 1 && slots.is_packed() {
            most = FIRST_PACKED_ITEMS;
        }
        if is_uncommitted || most == 1 {
            return Ok(true);
        }
        most -= 1;
        let look = Look {
            purpose: Purpose::Walk,
            ..look
        };
        let mut batch = self.cursor.batch(look, slots, now.wanted);
        match now.moment {
            0 => batch.look_up_stable(most, view),
            _ => {
                batch.look_up(most, |_| true);
            }
        }
        // What cannot be read is said when its turn comes.
        self.cursor.take_over(look, batch);
        Ok(true)
    }
}

impl Seeing<'_> {
    /// Goes to the next item, and puts what is `wanted` of it into `value`; `None` if there are no more.
    pub(crate) fn take_next(
        &mut self,
        wanted: Wanted,
        value: &mut Vec<u8>,
    ) -> Result<Option<Taken>> {
        while let Some(seen) = self.next(|_| true)? {
            value.clear();
            let look = self.look;
            let ready = match seen {
                Seen::At(at) if wanted == Wanted::AtHand => {
                    look.tree.log().here(look.purpose, at, look.guard)
                }
                _ => Ready::No,
            };
            let which = Which::Slot(self.slot());
            let taken = look.take(which, (seen, ready), (wanted, false), value, |_| {})?;
            if taken != Taken::Gone {
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }
}
