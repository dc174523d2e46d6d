//! Some items of a walk that are taken together: looked up, then fetched side by side, then shown in order.
//!
//! Invariant: what is shown of an item is what the walk's eyes saw of it when its slot was looked at or, where its place
//! in the log was used again meanwhile, what they see now. Of an item that is [stable](Batch::look_up_stable) it is the
//! first, or nothing.

use std::{mem, ops::Range};

use super::{Look, Seeing, Shown, Taken, Wanted, Which, pack::Pack};
use crate::{
    error::{Error, Result},
    index::{Direction, Leaf},
    location::Word,
    log::{Fetch, Ready, Value},
    memory::prefetch,
    version::{
        TxnId, View,
        chain::{self, Seen},
    },
};

/// Bytes that a key may well have: memory for so many is there at once.
const KEY_BYTES: usize = 16;
/// With the first item of a walk, which may be all that is wanted, so many neighbours are taken if they are in memory.
const FIRST_ITEMS: usize = 4;
/// As many are taken from a copy of them, where they cost next to nothing.
pub(super) const FIRST_PACKED_ITEMS: usize = 16;
/// Of a value that will be copied so much is asked of the processor.
const PREFETCH_BYTES: usize = 256;
/// Keys of a batch take no more memory than this, roughly.
const KEYS_BYTES_MAX: usize = 64 << 10;

pub(crate) struct Batch<'a> {
    look: Look<'a>,
    slots: Seeing<'a>,
    wanted: Wanted,
    /// It ends where its items may have so many bytes.
    bytes_max: usize,
    /// How many they may have.
    bytes: usize,
    /// What the index has for the items, end to end, behind so many bytes that were there before.
    keys: Vec<u8>,
    base: usize,
    found: Vec<Found<'a>>,
    /// The leaves that they are in.
    leaves: Vec<Stay<'a>>,
    /// The last leaf of which there was a copy.
    pack: Option<(Leaf<'a>, Pack<'a>)>,
    fetch: Fetch<'a>,
    is_stable: bool,
    /// What an item could not be looked at for: its turn comes after those before it.
    failed: Option<Error>,
}

/// One of what was looked up.
pub(super) struct One<'a> {
    index: usize,
    /// Where what the index has for it is among the keys.
    pub(super) slot: Range<usize>,
    seen: Seen<'a>,
    /// Who wrote it, if not everyone sees that.
    pub(super) owner: TxnId,
    packed: Option<&'a [u8]>,
}

/// Items of one leaf.
#[derive(Clone, Copy)]
struct Stay<'a> {
    leaf: Leaf<'a>,
    /// The first of them, and its rank there.
    first: usize,
    rank: usize,
}

struct Found<'a> {
    /// Where its key ends.
    end: usize,
    seen: Seen<'a>,
    /// Who wrote it, if not everyone sees that.
    owner: TxnId,
    /// Its value, if a copy of neighbours has it.
    packed: Option<&'a [u8]>,
}

impl<'a> Batch<'a> {
    /// Of the items that come next.
    pub(crate) fn new(look: Look<'a>, slots: Seeing<'a>, wanted: Wanted) -> Self {
        Self {
            look,
            slots,
            wanted,
            bytes_max: usize::MAX,
            bytes: 0,
            keys: Vec::new(),
            base: 0,
            found: Vec::new(),
            leaves: Vec::new(),
            pack: None,
            fetch: Fetch::new(),
            is_stable: false,
            failed: None,
        }
    }

    /// Ends where the items may have so many bytes, and puts their keys behind `keys`.
    pub(super) fn within(self, bytes_max: usize, keys: Vec<u8>) -> Self {
        Self {
            bytes_max,
            base: keys.len(),
            keys,
            ..self
        }
    }

    /// Looks up the next items, `most` of them at most, as long as keys are `within`, and fetches them; false if there
    /// are no more.
    pub(crate) fn look_up(&mut self, most: usize, within: impl Fn(&[u8]) -> bool) -> bool {
        self.begin(most);
        let goes_on = self.gather(most, within);
        self.fetch();
        goes_on
    }

    /// As [`Batch::look_up`], of the first item of a walk that may end there, and of the neighbours that come with it
    /// without asking a device.
    pub(super) fn look_up_first(&mut self, within: impl Fn(&[u8]) -> bool) -> bool {
        let leaf = self.slots.slots.leaf();
        self.look.prepare(leaf);
        self.begin(FIRST_ITEMS);
        let mut goes_on = self.gather(1, &within);
        if goes_on {
            let leaf = self.slots.slots.leaf();
            let is_packed =
                self.slots.is_packed() && self.pack_of(leaf, FIRST_PACKED_ITEMS).is_some();
            let most = match is_packed {
                true => FIRST_PACKED_ITEMS,
                false => FIRST_ITEMS,
            };
            goes_on = self.gather(most, within);
        }
        if !self.fetch_at_hand() {
            let is_here = |(i, found): (usize, &Found<'_>)| {
                found.packed.is_some()
                    || self.look.missing(self.wanted, found.seen).is_none()
                    || !matches!(self.fetch.ready(i), Ready::No)
            };
            let here = self
                .found
                .iter()
                .enumerate()
                .take_while(|one| is_here(*one));
            let (here, kept) = match here.count() {
                0 => (0, 1),
                here => (here, here),
            };
            self.found.truncate(kept);
            self.leaves.retain(|stay| stay.first < kept);
            self.failed = None;
            goes_on = true;
            if here == 0 {
                self.fetch();
            }
        }
        goes_on
    }

    /// Goes on to the next items, until there are `most`; false if there are no more.
    fn gather(&mut self, most: usize, within: impl Fn(&[u8]) -> bool) -> bool {
        while self.has_room(most) {
            match self.slots.next(&within) {
                Ok(Some(seen)) => self.push(seen, 0),
                Ok(None) => return false,
                Err(why) => {
                    self.failed = Some(why);
                    break;
                }
            }
        }
        true
    }

    /// As [`Batch::look_up`], of items that do not depend on who looks, up to the first that does: what a new look of
    /// `view` finds as well, until something of the tree is resolved.
    pub(super) fn look_up_stable(&mut self, most: usize, view: &dyn View) {
        self.begin(most);
        self.is_stable = true;
        while self.has_room(most) {
            let next = self.slots.slots.next();
            let stable =
                next.and_then(|(_, word)| chain::stable(Word(word), view, self.look.guard));
            let Some((at, owner)) = stable else { break };
            self.push(Seen::At(at), owner);
        }
        self.fetch();
    }

    fn begin(&mut self, most: usize) {
        self.keys.truncate(self.base);
        self.keys.reserve(most * KEY_BYTES);
        self.found.clear();
        self.found.reserve(most);
        self.leaves.clear();
        self.bytes = 0;
    }

    #[inline]
    fn has_room(&self, most: usize) -> bool {
        self.found.len() < most
            && self.bytes < self.bytes_max
            && self.keys.len() - self.base < KEYS_BYTES_MAX
    }

    /// Adds the item that the walk has come to.
    #[inline]
    fn push(&mut self, seen: Seen<'a>, owner: TxnId) {
        let key = self.slots.slot();
        self.keys.extend_from_slice(key);
        let end = self.keys.len();
        let (leaf, first) = (self.slots.slots.leaf(), self.found.len());
        if self.leaves.last().is_none_or(|last| last.leaf != leaf) {
            let rank = self.slots.slots.rank();
            self.leaves.push(Stay { leaf, first, rank });
        }
        self.found.push(Found {
            end,
            seen,
            owner,
            packed: None,
        });
        self.bytes += match seen {
            Seen::At(at) if self.wanted != Wanted::Keys => key.len() + at.class_bytes(),
            _ => key.len(),
        };
    }

    fn fetch(&mut self) {
        if !self.fetch_at_hand() && self.wanted != Wanted::AtHand {
            self.look.tree.log().fetch_cold(&mut self.fetch);
        }
    }

    /// Fetches what is in memory; whether that was all.
    fn fetch_at_hand(&mut self) -> bool {
        let is_all = match self.wanted {
            Wanted::Keys => true,
            Wanted::Lengths => false,
            Wanted::Items | Wanted::AtHand => self.take_packed(),
        };
        if is_all {
            self.fetch.clear();
            return true;
        }
        let (look, wanted) = (self.look, self.wanted);
        let places = self.found.iter().map(|found| match found.packed {
            Some(_) => None,
            None => look.missing(wanted, found.seen),
        });
        let log = look.tree.log();
        log.find(look.purpose, places, &mut self.fetch, look.guard);
        !self.fetch.is_cold()
    }

    /// Takes what copies of neighbours have; whether that was all.
    fn take_packed(&mut self) -> bool {
        let look = self.look;
        let (tree, log) = (look.tree, look.tree.log());
        if !log.has_packs(look.purpose) || tree.is_unordered() {
            return false;
        }
        let copies = self.bytes_max < usize::MAX;
        let mut is_all = true;
        let mut hits = 0;
        for i in 0..self.leaves.len() {
            let Stay { leaf, first, rank } = self.leaves[i];
            let end = self
                .leaves
                .get(i + 1)
                .map_or(self.found.len(), |next| next.first);
            let direction = self.slots.direction();
            let pack = pack_of(&mut self.pack, look, leaf, end - first, direction);
            let Some(pack) = pack else {
                is_all = false;
                continue;
            };
            pack.expect(rank);
            let found = &mut self.found[first..end];
            let mut missed = 0;
            for one in found {
                let Seen::At(at) = one.seen else { continue };
                let position = log.position_of(at, look.guard);
                one.packed = position.and_then(|position| pack.find(position));
                if let Some(value) = one.packed.filter(|_| copies) {
                    prefetch(value, PREFETCH_BYTES);
                }
                missed += usize::from(one.packed.is_none());
                hits += usize::from(one.packed.is_some());
            }
            if missed > 0 {
                look.fetched(leaf, missed);
                is_all = false;
            }
        }
        if hits > 0 {
            log.count_packed(hits);
        }
        is_all
    }

    /// The copy of a leaf's items, of which so many are wanted.
    fn pack_of(&mut self, leaf: Leaf<'a>, items: usize) -> Option<&mut Pack<'a>> {
        let direction = self.slots.direction();
        pack_of(&mut self.pack, self.look, leaf, items, direction)
    }

    /// Shows what was looked up, until `visit` returns false: then so does this.
    pub(crate) fn show(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let mut value = Vec::new();
        let mut start = self.base;
        for (i, found) in self.found.iter().enumerate() {
            let key = &self.keys[mem::replace(&mut start, found.end)..found.end];
            if let Some(value) = found.packed {
                match visit(key, value) {
                    true => continue,
                    false => return Ok(false),
                }
            }
            value.clear();
            let which = Which::Slot(key);
            let known = (found.seen, self.fetch.ready(i));
            let show = |shown: Shown<'_>, built: &mut Vec<u8>| match shown.value {
                Value::Here(value) => visit(shown.key, value),
                Value::Built => visit(shown.key, built),
            };
            let goes_on = self.look.read(which, known, &mut value, show)?;
            if goes_on == Some(false) {
                return Ok(false);
            }
        }
        self.failed.take().map_or(Ok(true), Err)
    }

    /// What was looked up.
    pub(super) fn items(&self) -> impl Iterator<Item = One<'a>> {
        let mut start = self.base;
        self.found.iter().enumerate().map(move |(index, found)| {
            let slot = mem::replace(&mut start, found.end)..found.end;
            let Found {
                seen,
                owner,
                packed,
                ..
            } = *found;
            One {
                index,
                slot,
                seen,
                owner,
                packed,
            }
        })
    }

    /// Appends what is wanted of an item to `to`, and shows its key.
    #[inline]
    pub(super) fn take(
        &self,
        one: &One<'a>,
        to: &mut Vec<u8>,
        mut key: impl FnMut(&[u8]),
    ) -> Result<Taken> {
        let slot = &self.keys[one.slot.clone()];
        if let Some(value) = one.packed {
            key(slot);
            to.extend_from_slice(value);
            return Ok(Taken::Value);
        }
        let which = Which::Slot(slot);
        let known = (one.seen, self.fetch.ready(one.index));
        self.look
            .take(which, known, (self.wanted, self.is_stable), to, key)
    }

    /// How many bytes [`Batch::take`] may come to append for all of them.
    pub(super) fn bytes(&self) -> usize {
        match self.wanted {
            Wanted::Items | Wanted::AtHand => self.bytes,
            Wanted::Keys | Wanted::Lengths => 0,
        }
    }

    /// How many items were looked up.
    pub(super) fn len(&self) -> usize {
        self.found.len()
    }

    /// What the index has for an item.
    pub(super) fn slot(&self, i: usize) -> &[u8] {
        let start = i.checked_sub(1).map_or(self.base, |i| self.found[i].end);
        &self.keys[start..self.found[i].end]
    }

    /// What an item could not be looked at for, behind those that were.
    pub(super) fn failed(&mut self) -> Option<Error> {
        self.failed.take()
    }

    /// Whether its items do not depend on who looks.
    pub(super) fn is_stable(&self) -> bool {
        self.is_stable
    }

    /// Whether a device had to be asked for any of the items, or would have had to.
    pub(super) fn is_cold(&self) -> bool {
        self.fetch.is_cold()
    }

    pub(super) fn into_keys(self) -> Vec<u8> {
        self.keys
    }
}

/// The copy of a leaf's items, of which so many are wanted: the one `at_hand`, or another one that is at hand then.
fn pack_of<'p, 'a>(
    at_hand: &'p mut Option<(Leaf<'a>, Pack<'a>)>,
    look: Look<'a>,
    leaf: Leaf<'a>,
    items: usize,
    direction: Direction,
) -> Option<&'p mut Pack<'a>> {
    if at_hand.as_ref().is_none_or(|(of, _)| *of != leaf) {
        *at_hand = look.pack(leaf, items, direction).map(|pack| (leaf, pack));
    }
    at_hand.as_mut().map(|(_, pack)| pack)
}
