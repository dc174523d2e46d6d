//! Stretches of keys without an item: what a walk has passed need not be passed again, however much of it piles up
//! behind a snapshot that is held, or in a transaction that removes one item after the other.
//!
//! A *stretch* says that nobody whom it concerns sees an item between two keys. It concerns whoever sees every
//! removal in it: who looks at what is newest, and snapshots that were taken when all of these were over; and the
//! transaction that made them, of its own.
//!
//! Invariants:
//! - What was said holds until a slot between the two keys is about to change: who changes one says so under the latch
//!   of its leaf, before anything of it can be seen ([`Stretches::changing`]).
//! - A walk notes only what did not change while it looked. It says that it notes, and then looks at leaves that
//!   nobody has latched ([`crate::index::Iter::is_steady`]): whoever latches one later finds that the walk notes, and
//!   has the change listed for it.
//!
//! Bound: of slots without an item that an earlier walk has passed, another one looks at [`UNNOTED`] twice at most, and
//! at one for each stretch, which has [`SLOTS_MAX`] slots where nothing else ends it.

use std::{
    collections::BTreeMap,
    ops::{
        Bound::{Excluded, Included, Unbounded},
        Range,
    },
    sync::atomic::{AtomicUsize, Ordering, fence},
};

use parking_lot::Mutex;

use crate::version::{Death, Eyes, TxnId};

/// Slots without an item, one after the other, from which on a walk looks for what was noted, and notes.
pub(crate) const UNNOTED: usize = 16;
/// Most slots of a stretch. The fewer there are the more often a walk has to go on; the more, the more is passed
/// anew when another reader needs another stretch, or one of them changes.
pub(crate) const SLOTS_MAX: usize = 16 << 10;
/// Most stretches of a tree: then all are forgotten.
const STRETCHES_MAX: usize = 1024;
/// Longest key at which one may end.
const KEY_BYTES_MAX: usize = 1024;
/// Changes that are listed while somebody walks; if there are more, the walk notes nothing.
const LISTED_MAX: usize = 256;
/// Changes that nobody walked between, after which the stretches are not worth their keeping.
const UNUSED_MAX: usize = 4096;

/// The stretches of a tree.
#[derive(Default)]
pub(crate) struct Stretches {
    /// Walks that note, and one more if there are stretches: then changes are asked for.
    active: AtomicUsize,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// By their first keys; they do not overlap.
    stretches: BTreeMap<Vec<u8>, Stretch>,
    walks: usize,
    /// Keys that have changed since the first of these walks began.
    changed: Vec<Vec<u8>>,
    /// Changes since a stretch was of use.
    unused: usize,
}

struct Stretch {
    /// The key behind it.
    end: Vec<u8>,
    whom: Whom,
    slots: usize,
}

/// Whom a stretch concerns.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Whom {
    /// Who sees all that was committed under lower ids.
    below: TxnId,
    /// If not zero: this transaction alone.
    own: TxnId,
}

impl Whom {
    fn includes(self, eyes: Eyes<'_>) -> bool {
        match eyes {
            None => self.own == 0,
            Some(view) => {
                (self.own == 0 || self.own == view.own()) && view.sees_all_below(self.below)
            }
        }
    }

    fn and(self, death: Death, own: TxnId) -> Self {
        Self {
            below: self.below.max(death.below),
            own: if death.is_own { own } else { self.own },
        }
    }
}

/// What a walk has passed while it notes.
pub(crate) struct Passed {
    since: usize,
    whom: Whom,
    /// From where, and up to where, there is nothing but what was passed, if more is known than its keys.
    bounds: (Option<Vec<u8>>, Option<Vec<u8>>),
    first: Vec<u8>,
    last: Vec<u8>,
    pub(crate) slots: usize,
}

/// The first key behind `key`.
fn behind(key: &[u8]) -> Vec<u8> {
    let mut behind = Vec::with_capacity(key.len() + 1);
    behind.extend_from_slice(key);
    behind.push(0);
    behind
}

impl Stretches {
    /// A slot is about to change, whose leaf the caller has latched: there may be an item then.
    #[inline]
    pub(crate) fn changing(&self, key: &[u8]) {
        // Between the latching and the look whether anybody walks.
        fence(Ordering::SeqCst);
        if self.active.load(Ordering::Relaxed) > 0 {
            self.note_change(key);
        }
    }

    #[cold]
    fn note_change(&self, key: &[u8]) {
        let mut noted = self.noted.lock();
        if noted.walks > 0 && noted.changed.len() <= LISTED_MAX {
            noted.changed.push(key.to_vec());
        }
        noted.cut_at(key);
        noted.unused += 1;
        if noted.unused > UNUSED_MAX {
            noted.stretches.clear();
            noted.unused = 0;
        }
        self.count(&noted);
    }

    /// A transaction is over, or goes back: what concerned it alone is forgotten.
    pub(crate) fn forget_own(&self, own: TxnId) {
        if self.active.load(Ordering::Relaxed) > 0 {
            let mut noted = self.noted.lock();
            noted.stretches.retain(|_, stretch| stretch.whom.own != own);
            self.count(&noted);
        }
    }

    /// Whether any are noted, as far as a look without the lock shows.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.active.load(Ordering::Relaxed) > 0
    }

    /// The stretch that `key` is in, if it concerns `eyes`.
    pub(crate) fn find(&self, key: &[u8], eyes: Eyes<'_>) -> Option<Range<Vec<u8>>> {
        let mut noted = self.noted.lock();
        let (start, stretch) = noted.stretch_at(key)?;
        let found = stretch.whom.includes(eyes);
        let range = start.clone()..stretch.end.clone();
        if found {
            noted.unused = 0;
        }
        found.then_some(range)
    }

    /// A walk begins to note what it passes.
    /// Between `bounds`, as far as they are known, there is nothing but what it is going to pass.
    pub(crate) fn begin(&self, bounds: (Option<Vec<u8>>, Option<Vec<u8>>)) -> Passed {
        let mut noted = self.noted.lock();
        noted.walks += 1;
        self.count(&noted);
        let since = noted.changed.len();
        drop(noted);
        // Between this and the first look.
        fence(Ordering::SeqCst);
        Passed {
            since,
            whom: Whom::default(),
            bounds,
            first: Vec::new(),
            last: Vec::new(),
            slots: 0,
        }
    }

    /// Nothing of it is kept.
    pub(crate) fn give_up(&self, mut passed: Passed) {
        passed.slots = 0;
        self.end(passed);
    }

    /// The walk is over, or has come to an item: keeps what it passed, if that did not change.
    pub(crate) fn end(&self, passed: Passed) {
        let mut noted = self.noted.lock();
        if passed.slots > 0 {
            noted.keep(passed);
        }
        noted.walks -= 1;
        if noted.walks == 0 {
            noted.changed.clear();
        }
        self.count(&noted);
    }

    /// Under the lock, so that the number is that of the last one who changed something.
    fn count(&self, noted: &Noted) {
        let active = noted.walks + usize::from(!noted.stretches.is_empty());
        self.active.store(active, Ordering::SeqCst);
    }
}

impl Passed {
    /// Adds a slot whose item `own` does not see.
    pub(crate) fn add(&mut self, key: &[u8], death: Death, own: TxnId) {
        if self.slots == 0 || key < self.first.as_slice() {
            self.first.clear();
            self.first.extend_from_slice(key);
        }
        if self.slots == 0 || key > self.last.as_slice() {
            self.last.clear();
            self.last.extend_from_slice(key);
        }
        self.slots += 1;
        self.whom = self.whom.and(death, own);
    }
}

impl Noted {
    fn stretch_at(&self, key: &[u8]) -> Option<(&Vec<u8>, &Stretch)> {
        let (start, stretch) = self
            .stretches
            .range::<[u8], _>((Unbounded, Included(key)))
            .next_back()?;
        (key < stretch.end.as_slice()).then_some((start, stretch))
    }

    /// Takes `key` out of the stretch that it is in: what is before it and behind it stays.
    fn cut_at(&mut self, key: &[u8]) {
        let Some(start) = self.stretch_at(key).map(|(start, _)| start.clone()) else {
            return;
        };
        let Some(whole) = self.stretches.remove(&start) else {
            return;
        };
        // How many slots each of the two has nobody knows: as many as both, which ends them sooner.
        let (whom, slots) = (whole.whom, whole.slots);
        let after = behind(key);
        if after < whole.end {
            let end = whole.end;
            self.stretches.insert(after, Stretch { end, whom, slots });
        }
        if start.as_slice() < key {
            let end = key.to_vec();
            self.stretches.insert(start, Stretch { end, whom, slots });
        }
    }

    fn keep(&mut self, passed: Passed) {
        let Passed {
            since,
            whom,
            bounds: (start, end),
            first,
            last,
            slots,
        } = passed;
        let mut new = start.unwrap_or(first)..end.unwrap_or_else(|| behind(&last));
        let is_within = |key: &Vec<u8>| new.contains(key);
        let is_known = self.changed.len() <= LISTED_MAX;
        let has_changed = self.changed.iter().skip(since).any(is_within);
        if !is_known || has_changed || new.start.len().max(new.end.len()) > KEY_BYTES_MAX {
            return;
        }
        if self.stretches.len() >= STRETCHES_MAX {
            self.stretches.clear();
        }
        self.make_way(&new);
        let mut kept = Stretch {
            end: Vec::new(),
            whom,
            slots,
        };
        // What lies next to it becomes one with it, as long as that does not get too long.
        let before = self
            .stretches
            .range::<[u8], _>((Unbounded, Excluded(new.start.as_slice())))
            .next_back();
        let before = before.filter(|(_, one)| one.joins(&kept) && one.end == new.start);
        if let Some(start) = before.map(|(start, _)| start.clone())
            && let Some(before) = self.stretches.remove(&start)
        {
            kept.join(&before);
            new.start = start;
        }
        let after = self.stretches.get(&new.end).filter(|one| one.joins(&kept));
        if after.is_some()
            && let Some(after) = self.stretches.remove(&new.end)
        {
            kept.join(&after);
            new.end = after.end;
        }
        kept.end = new.end;
        self.stretches.insert(new.start, kept);
    }

    /// Shortens or removes what overlaps with `new`.
    fn make_way(&mut self, new: &Range<Vec<u8>>) {
        let before = self
            .stretches
            .range_mut::<[u8], _>((Unbounded, Excluded(new.start.as_slice())))
            .next_back();
        if let Some((_, stretch)) = before
            && stretch.end > new.start
        {
            stretch.end.clone_from(&new.start);
        }
        let inside = self.stretches.range(new.start.clone()..new.end.clone());
        let inside: Vec<_> = inside.map(|(start, _)| start.clone()).collect();
        for start in inside {
            if let Some(stretch) = self.stretches.remove(&start)
                && stretch.end > new.end
            {
                self.stretches.insert(new.end.clone(), stretch);
            }
        }
    }
}

impl Stretch {
    fn joins(&self, other: &Self) -> bool {
        self.whom.own == other.whom.own && self.slots + other.slots <= SLOTS_MAX
    }

    fn join(&mut self, other: &Self) {
        self.slots += other.slots;
        self.whom.below = self.whom.below.max(other.whom.below);
    }
}
