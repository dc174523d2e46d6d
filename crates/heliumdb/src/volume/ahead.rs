//! Reading ahead: the items that a cursor will ask for next, fetched a few at a time.
//!
//! Invariant: an item is handed out from here only where a new look would find the very same
//! one. No epoch guard, lock or pointer is held from call to call; instead each call checks what
//! was true when the items were fetched:
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
//!
//! So read-committed cursors see each step anew, as promised, and snapshots theirs.

use std::ops::Range;

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Datastore, Position, Wanted,
    datastore::{purpose, start},
    seeing::Seeing,
    tree::Tree,
};
use crate::{
    error::Result,
    index::{Direction, Iter},
    location::{Location, Word},
    log::{Expected, Fetch, Purpose, append_value},
    version::{
        Isolation, TxnId, View,
        chain::{self, Seen},
    },
};

/// Items of a batch at most. The first look of a walk fetches one item, each further one four
/// times as many as were used of the one before.
const ITEMS_MAX: usize = 128;
const GROWTH: usize = 4;
/// What is in memory is fetched in smaller batches, lest much is fetched in vain where the walk
/// ends: so many items, or this part of those that the walk has passed.
const ITEMS_IN_MEMORY: usize = 32;
const PART_OF_WALKED: usize = 4;
/// A batch that has grown to so many bytes ends.
const BYTES_MAX: usize = 64 << 10;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 1 << 20;

/// What a cursor has read ahead: see [`Datastore::seek_ahead`].
#[derive(Default)]
pub struct ReadAhead {
    when: Option<When>,
    direction: Option<Direction>,
    keys: Vec<u8>,
    values: Vec<u8>,
    /// The first is the item that was handed out when the batch was fetched: its key alone.
    items: Vec<Ahead>,
    /// How many have been handed out.
    used: usize,
    /// How many the walk has passed in the batches before.
    walked: usize,
    /// The last batch had to ask a device, or would have had to.
    is_cold: bool,
    /// The item that was found last came with its value.
    has_value: bool,
}

/// One item of a batch: where its key is among the keys, and its value among the values, if it is there.
struct Ahead {
    key: Range<usize>,
    value: Option<Range<usize>>,
    /// Who wrote the version, if it was one that not everyone sees.
    owner: TxnId,
}

/// What must not have changed for a batch to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
struct When {
    tree: u32,
    changes: u64,
    isolation: Isolation,
    own: TxnId,
    /// Not that it could change what there is, but what of it was fetched.
    wanted: Wanted,
    /// The volume's next sequence number, while the transaction that asks has written.
    sequence: u64,
}

impl ReadAhead {
    /// Whether the item that was found last came with its value.
    pub fn has_value(&self) -> bool {
        self.has_value
    }

    /// The next item, if it was read ahead and still holds.
    fn take(&mut self, now: When, view: &dyn View, walk: Walk<'_>, into: Into<'_>) -> bool {
        let holds = self.when == Some(now) && self.follows(walk);
        let Some(item) = self.items.get(self.used).filter(|_| holds) else {
            return false;
        };
        if item.owner != 0 && !view.sees(item.owner) {
            return false;
        }
        into.key.clear();
        into.key.extend_from_slice(&self.keys[item.key.clone()]);
        into.value.clear();
        self.has_value = item.value.is_some();
        if let Some(value) = &item.value {
            into.value.extend_from_slice(&self.values[value.clone()]);
        }
        self.used += 1;
        true
    }

    /// Whether the walk goes on from the item that was handed out last.
    fn follows(&self, walk: Walk<'_>) -> bool {
        let last = self.used.checked_sub(1).and_then(|i| self.items.get(i));
        self.direction == Some(walk.direction)
            && last.is_some_and(|last| walk.after == Some(&self.keys[last.key.clone()]))
    }

    /// Begins a batch; says how many items it may have.
    fn begin(&mut self, now: When, walk: Walk<'_>) -> usize {
        self.walked = if self.follows(walk) {
            self.walked + self.used
        } else {
            0
        };
        let limit = match self.is_cold {
            true => ITEMS_MAX,
            false => (self.walked / PART_OF_WALKED).clamp(ITEMS_IN_MEMORY, ITEMS_MAX),
        };
        let most = match self.walked {
            0 => 1,
            _ => (GROWTH * self.used).min(limit),
        };
        self.when = (now.isolation != Isolation::ReadUncommitted).then_some(now);
        self.direction = Some(walk.direction);
        self.items.clear();
        self.used = 0;
        for bytes in [&mut self.keys, &mut self.values] {
            if bytes.capacity() > KEPT_BYTES {
                *bytes = Vec::new();
            }
            bytes.clear();
        }
        if self.when.is_some() { most } else { 1 }
    }

    /// Notes the item that is handed out at once.
    fn begin_with(&mut self, key: &[u8], has_value: bool) {
        self.has_value = has_value;
        self.keys.extend_from_slice(key);
        self.items.push(Ahead {
            key: 0..key.len(),
            value: None,
            owner: 0,
        });
        self.used = 1;
    }
}

/// Where a walk is, and where it goes.
#[derive(Clone, Copy)]
struct Walk<'a> {
    direction: Direction,
    /// The key that it has come to.
    after: Option<&'a [u8]>,
}

impl<'a> Walk<'a> {
    fn of(position: Position<'a>) -> Self {
        Self {
            direction: start(position).1,
            after: match position {
                Position::After(key) | Position::Before(key) => Some(key),
                _ => None,
            },
        }
    }
}

/// Where an item goes.
struct Into<'a> {
    key: &'a mut Vec<u8>,
    value: &'a mut Vec<u8>,
}

impl Datastore {
    /// As [`Datastore::seek`], for a cursor that walks: where `position` goes on from the item
    /// that was found last with the same `ahead`, the next ones are fetched too, and later calls
    /// answered from there, as long as a new look would find the same.
    pub fn seek_ahead(
        &self,
        view: &dyn View,
        position: Position<'_>,
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.seek_ahead_for(view, (position, Wanted::Items), ahead, key, value)
    }

    /// As [`Datastore::seek_ahead`]; where only keys are wanted, `value` is empty afterwards, and no device is asked. Nor
    /// is one where what is at hand is wanted: [`ReadAhead::has_value`] says whether the value was.
    pub fn seek_ahead_for(
        &self,
        view: &dyn View,
        (position, wanted): (Position<'_>, Wanted),
        ahead: &mut ReadAhead,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool> {
        self.shared.check_open()?;
        self.with_tree_of(Some(view), |tree| {
            tree.check_ordered()?;
            let own = view.own();
            let now = When {
                tree: tree.id,
                // Before the look: what changes meanwhile then ends the batch.
                changes: tree.changes(),
                isolation: view.isolation(),
                own,
                wanted,
                sequence: match own {
                    0 => 0,
                    _ => self.shared.sequence(),
                },
            };
            let walk = Walk::of(position);
            let into = Into { key, value };
            if ahead.take(now, view, walk, into) {
                return Ok(true);
            }
            let most = ahead.begin(now, walk);
            let guard = epoch::pin();
            let eyes = Some(view);
            let mut items = Seeing::new(&self.shared, tree, eyes, start(position), &guard);
            while let Some(found) = items.next(|_| true)? {
                let slot = (items.key(), found.word);
                value.clear();
                let (is_there, has_value) = match (wanted, found.seen) {
                    (Wanted::Items, _) => {
                        let purpose = purpose(position);
                        let read = self.read_slot(tree, slot, value, &guard, eyes, purpose)?;
                        (read, true)
                    }
                    (Wanted::Keys, _) => (true, false),
                    (Wanted::AtHand, seen) => {
                        (true, self.read_at_hand(tree, slot.0, seen, value, &guard)?)
                    }
                };
                if is_there {
                    key.clear();
                    key.extend_from_slice(items.key());
                    ahead.begin_with(key, has_value);
                    self.fetch(tree, view, ahead, (most, wanted), &mut items.slots, &guard);
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Appends the value of an item that was `seen` if that lies in memory; else false.
    fn read_at_hand(
        &self,
        tree: &Tree,
        key: &[u8],
        seen: Seen<'_>,
        value: &mut Vec<u8>,
        guard: &Guard,
    ) -> Result<bool> {
        match seen {
            Seen::Absent => Ok(false),
            Seen::Bytes(bytes) => {
                value.extend_from_slice(bytes);
                Ok(true)
            }
            Seen::At(at) => {
                let expected = Expected { tree: tree.id, key };
                let log = &self.shared.log;
                log.read_at_hand(Purpose::Walk, at, expected, value, guard)
            }
        }
    }

    /// Fetches items that do not depend on who looks, up to the first one that does. What cannot
    /// be read ends the batch too: the look that it is the turn of says why.
    fn fetch(
        &self,
        tree: &Tree,
        view: &dyn View,
        ahead: &mut ReadAhead,
        (most, wanted): (usize, Wanted),
        slots: &mut Iter<'_>,
        guard: &Guard,
    ) {
        let mut places = Vec::with_capacity(most);
        let mut expected_bytes = 0;
        // The first item was handed out already.
        while 1 + places.len() < most && expected_bytes < BYTES_MAX {
            let Some((key, word)) = slots.next() else {
                break;
            };
            let Some((location, owner)) = chain::stable(Word(word), view, guard) else {
                break;
            };
            let start = ahead.keys.len();
            ahead.keys.extend_from_slice(key);
            ahead.items.push(Ahead {
                key: start..ahead.keys.len(),
                value: None,
                owner,
            });
            expected_bytes += key.len();
            if wanted != Wanted::Keys {
                expected_bytes += location.class_bytes();
            }
            places.push(location);
        }
        if wanted != Wanted::Keys && !places.is_empty() {
            self.fetch_values(tree, ahead, (&places, wanted), guard);
        }
    }

    /// Fetches the values of all items of the batch but the first, or of those that are at hand.
    fn fetch_values(
        &self,
        tree: &Tree,
        ahead: &mut ReadAhead,
        (places, wanted): (&[Location], Wanted),
        guard: &Guard,
    ) {
        let log = &self.shared.log;
        let mut fetch = Fetch::take();
        let mut here = Vec::with_capacity(places.len());
        let all = places.iter().copied().map(Some);
        match wanted {
            Wanted::AtHand => log.find(Purpose::Walk, all, &mut fetch, &mut here, guard),
            _ => log.fetch(Purpose::Walk, all, &mut fetch, &mut here, guard),
        }
        let ReadAhead {
            keys,
            values,
            items,
            is_cold,
            ..
        } = ahead;
        *is_cold = fetch.is_cold();
        let mut whole = 1;
        for (i, (item, &at)) in items[1..].iter_mut().zip(places).enumerate() {
            // Values may be much longer than what their items' places say.
            if values.len() >= BYTES_MAX {
                break;
            }
            let start = values.len();
            let expected = Expected {
                tree: tree.id,
                key: &keys[item.key.clone()],
            };
            let ready = fetch.ready(i, &here);
            if wanted == Wanted::AtHand && !ready.is_at_hand() {
                whole += 1;
                continue;
            }
            let found = log.with_value(
                Purpose::Walk,
                at,
                expected,
                ready,
                values,
                guard,
                append_value,
            );
            if !matches!(found, Ok(Some(()))) {
                values.truncate(start);
                break;
            }
            item.value = Some(start..values.len());
            whole += 1;
        }
        items.truncate(whole);
        fetch.keep();
    }
}
