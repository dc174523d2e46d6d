//! Version chains: the states of one item that someone may still need.
//!
//! A chain hangs off a slot of the index, newest version first; its end is the
//! *base*, a location or nothing. Invariants:
//!
//! - Links change only while the slot's leaf is latched; readers follow them
//!   without a lock, under an epoch guard that keeps unlinked versions alive.
//! - Sequence numbers fall strictly from the head down.
//! - An unresolved version is changed and resolved by its transaction alone, and
//!   is never unlinked by anyone else: its transaction holds a pointer to it.
//! - A version's state is read before its payload: what is committed when it is looked at says
//!   no bytes any more.
//! - The base, and every resolved version, say a location, a tombstone or nothing: no bytes.

#![expect(
    unsafe_code,
    reason = "a lock-free chain of versions that lives in tagged words"
)]

use std::{
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use crossbeam_epoch::{Guard, Shared};

use super::{
    Isolation, TxnId, View,
    payload::{Payload, Said},
    prune::Swept,
    state::{State, StateWord},
};
use crate::{
    error::{Error, ErrorKind, Result},
    location::{Location, Slot, Word},
};

/// One state of an item.
pub(crate) struct Version {
    /// The version below, or the base.
    next: AtomicU64,
    /// Given when it was linked; the highest wins.
    pub(crate) sequence: u64,
    /// The transaction that wrote it; zero for a write outside any.
    pub(super) owner: TxnId,
    pub(crate) payload: Payload,
    /// How many versions are below it, roughly: paces trimming.
    depth: u32,
    state: StateWord,
    /// Linked above an unresolved version: an item of a lower sequence may follow it in the log.
    pub(crate) overtakes: bool,
    /// A trim is due when the chain has two to this power of versions.
    due: u8,
    /// The newest committed state below was an item when this was linked.
    was_present: bool,
}

/// Shortest chain that is trimmed: two to this power.
const DUE_MIN: u8 = 2;

/// Memory that a version takes, allocator's share included.
pub(crate) const VERSION_BYTES: usize = size_of::<Version>() + 8;

impl Version {
    pub(crate) fn state(&self) -> State {
        self.state.get()
    }

    /// Commits the version, which is sealed, if it met no other unresolved one, below or above.
    /// Returns by how much that changes the number of items: what was below it at first is still
    /// the newest. `None`: see [`commit_among`].
    pub(crate) fn commit_alone(&self, guard: &Guard) -> Option<i64> {
        if self.overtakes {
            return None;
        }
        let present = match self.payload.get(guard) {
            Said::Reserve => self.was_present,
            Said::Tombstone => false,
            Said::Bytes(_) | Said::At(_) => true,
        };
        self.state
            .commit_unmarked()
            .then_some(i64::from(present) - i64::from(self.was_present))
    }

    /// Its transaction is about to be committed; false if an operation outside any transaction
    /// has decided past this version: then it must not be.
    pub(crate) fn seal(&self) -> bool {
        self.state.seal()
    }

    /// Its transaction is not committed after all; true if someone waits for that.
    pub(crate) fn unseal(&self) -> bool {
        self.state.unseal()
    }

    /// Resolves the version; readers decide anew from here on. True if someone waits for that.
    pub(crate) fn resolve(&self, state: State) -> bool {
        self.state.resolve(state)
    }

    /// Another version is being linked above; false if this one is resolved.
    pub(super) fn overtake(&self) -> bool {
        self.state.overtake()
    }

    pub(super) fn word(&self) -> &StateWord {
        &self.state
    }

    /// Bytes of memory that its value takes.
    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload.heap_bytes()
    }

    /// Whether it was written outside any transaction, or by one below `id`.
    pub(super) fn is_owned_below(&self, id: TxnId) -> bool {
        self.owner < id
    }

    pub(super) fn next(&self) -> Word {
        Word(self.next.load(Ordering::Acquire))
    }
}

/// A version in the hands of the transaction that wrote it. It stays alive until the
/// transaction has resolved it *and* the horizon has passed its owner: whoever holds one
/// drops it before that.
pub(crate) struct Held(NonNull<Version>);

// SAFETY: a version's fields are atomic or never change; nothing in it belongs to a thread.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

impl Held {
    pub(crate) fn version(&self) -> &Version {
        // SAFETY: unresolved versions are unlinked by their transaction alone, committed ones not
        // before the horizon has passed their owner: by then this handle is gone.
        unsafe { self.0.as_ref() }
    }

    fn is(&self, version: &Version) -> bool {
        ptr::eq(self.0.as_ptr(), version)
    }
}

/// What a reader finds in a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen<'g> {
    Absent,
    Bytes(&'g [u8]),
    At(Location),
}

impl Seen<'_> {
    pub(crate) fn is_present(self) -> bool {
        self != Seen::Absent
    }
}

/// The versions of a slot, newest first.
pub(super) struct Walk<'g> {
    word: Word,
    _guard: &'g Guard,
}

impl<'g> Walk<'g> {
    pub(super) fn new(word: Word, guard: &'g Guard) -> Self {
        Self {
            word,
            _guard: guard,
        }
    }

    /// The word that ended the walk: the base, once `next` has returned `None`.
    pub(super) fn base(&self) -> Word {
        self.word
    }
}

impl<'g> Iterator for Walk<'g> {
    type Item = &'g Version;

    fn next(&mut self) -> Option<&'g Version> {
        let version = deref(self.word, self._guard)?;
        self.word = version.next();
        Some(version)
    }
}

/// The version a word points to.
pub(super) fn deref(word: Word, _guard: &Guard) -> Option<&Version> {
    match word.slot() {
        // SAFETY: a chain word points to a version that is retired only through the epoch
        // after it was unlinked, and the word was read from a live slot under this guard.
        Slot::Chain(address) => Some(unsafe { &*(address as *const Version) }),
        _ => None,
    }
}

/// The state of the item that `view` sees: the newest visible version, else the base.
///
/// A foreign unresolved version that the keeper of transactions already calls visible
/// belongs to a prepared transaction: who would have to see it gets `PrepareConflict`.
pub(crate) fn read<'g>(word: Word, view: &dyn View, guard: &'g Guard) -> Result<Seen<'g>> {
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        let state = version.state();
        // A reservation changes nothing that anyone could see, whoever holds it.
        let said = version.payload.get(guard);
        if said == Said::Reserve || !sees(version, state, view)? {
            continue;
        }
        return Ok(seen(said));
    }
    Ok(base_seen(walk.base()))
}

/// The newest committed state of the item.
pub(crate) fn read_committed(word: Word, guard: &Guard) -> Seen<'_> {
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        if version.state() != State::Committed {
            continue;
        }
        let said = version.payload.get(guard);
        if said == Said::Reserve {
            continue;
        }
        return seen(said);
    }
    base_seen(walk.base())
}

/// The place in the log of an item that any later look of `view` finds as well, until a newer
/// version is resolved: the base of a slot without versions, or the newest version if it is
/// committed and seen; with its owner if not everyone is sure to see it.
pub(crate) fn stable(word: Word, view: &dyn View, guard: &Guard) -> Option<(Location, TxnId)> {
    let Some(version) = deref(word, guard) else {
        return match word.slot() {
            Slot::At(location) => Some((location, 0)),
            _ => None,
        };
    };
    let is_seen =
        version.state() == State::Committed && (version.owner == 0 || view.sees(version.owner));
    match version.payload.get(guard) {
        Said::At(location) if is_seen => Some((location, version.owner)),
        _ => None,
    }
}

fn seen(said: Said<'_>) -> Seen<'_> {
    match said {
        Said::Bytes(bytes) => Seen::Bytes(bytes),
        Said::At(location) => Seen::At(location),
        Said::Tombstone | Said::Reserve => Seen::Absent,
    }
}

pub(super) fn base_seen<'g>(base: Word) -> Seen<'g> {
    match base.slot() {
        Slot::At(location) => Seen::At(location),
        _ => Seen::Absent,
    }
}

/// Whether `view` sees a version that was in `state` when it was looked at.
fn sees(version: &Version, state: State, view: &dyn View) -> Result<bool> {
    let own = version.owner != 0 && version.owner == view.own();
    Ok(match state {
        State::Aborted => false,
        _ if own => true,
        State::Committed => {
            version.owner == 0
                || view.isolation() == Isolation::ReadUncommitted
                || view.sees(version.owner)
        }
        State::Unresolved if is_prepared(version.owner, view) => {
            if view.ignores_prepared() {
                return Ok(false);
            }
            return Err(Error::new(
                ErrorKind::PrepareConflict,
                "the item was written by a prepared transaction that is not resolved yet; retry when it is",
            ));
        }
        State::Unresolved => view.isolation() == Isolation::ReadUncommitted,
    })
}

/// Whether an unresolved transaction is prepared. Its keeper calls it visible then, but at
/// read-uncommitted every other one as well.
fn is_prepared(owner: TxnId, view: &dyn View) -> bool {
    match view.isolation() {
        Isolation::ReadUncommitted => view.is_prepared(owner),
        _ => view.sees(owner),
    }
}

/// Whether `view`'s transaction may write: at snapshot isolation the first updater wins.
pub(crate) fn check_conflict(word: Word, view: &dyn View, guard: &Guard) -> Result<()> {
    if view.isolation() != Isolation::Snapshot {
        return Ok(());
    }
    check_newest(word, view, guard)
}

/// Fails if the newest write of the item, resolved or not, is one that `view` does not see.
pub(crate) fn check_newest(word: Word, view: &dyn View, guard: &Guard) -> Result<()> {
    // A reservation holds until its transaction ends, and not beyond.
    let write = |v: &Version| {
        let state = v.state();
        let is_write = match state {
            State::Unresolved => true,
            State::Committed => v.payload.get(guard) != Said::Reserve,
            State::Aborted => false,
        };
        is_write.then_some((state, v.owner))
    };
    let Some((state, owner)) = Walk::new(word, guard).find_map(write) else {
        return Ok(());
    };
    let ours = owner == view.own() && owner != 0;
    let visible = state == State::Committed && (owner == 0 || view.sees(owner));
    if ours || visible {
        return Ok(());
    }
    Err(conflict())
}

/// Fails if a transaction other than `owner` has a version in the chain that is not resolved.
pub(crate) fn check_unresolved(word: Word, owner: TxnId, guard: &Guard) -> Result<()> {
    let foreign = |v: &Version| v.state() == State::Unresolved && v.owner != owner;
    if Walk::new(word, guard).any(foreign) {
        return Err(conflict());
    }
    Ok(())
}

fn conflict() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "another transaction updated the item first; roll back and retry",
    )
}

/// A version to be linked.
pub(crate) struct New {
    pub(crate) owner: TxnId,
    pub(crate) sequence: u64,
    pub(crate) payload: Payload,
    pub(crate) state: State,
    /// Its transaction does nothing but commit, so that nobody may decide past it.
    pub(crate) sealed: bool,
}

/// A new head for the chain under `word`; the caller stores the returned word in the slot.
/// `left` is how many versions a trim has just left there.
pub(crate) fn link(word: Word, new: New, left: Option<u32>, guard: &Guard) -> (Word, Held) {
    let below = deref(word, guard);
    let overtakes = overtake(word, guard);
    let due = match left {
        Some(left) => (2 * left).max(1).next_power_of_two().ilog2() as u8,
        None => below.map_or(0, |v| v.due),
    };
    let version = Box::leak(Box::new(Version {
        next: AtomicU64::new(word.0),
        sequence: new.sequence,
        owner: new.owner,
        payload: new.payload,
        depth: left.unwrap_or_else(|| below.map_or(0, |v| v.depth.saturating_add(1))),
        state: StateWord::new(new.state, new.sealed),
        overtakes,
        due: due.max(DUE_MIN),
        was_present: read_committed(word, guard).is_present(),
    }));
    let held = Held(NonNull::from(version));
    (Word::chain(held.0.as_ptr() as usize), held)
}

/// The versions of a chain that are not resolved, newest first. The walk ends at a version that
/// overtook none: what was below it then was resolved, and nothing is linked below. So it is
/// short, however long the chain is.
pub(super) fn unresolved(word: Word, guard: &Guard) -> impl Iterator<Item = &Version> {
    let mut ends = false;
    let walk = Walk::new(word, guard).take_while(move |version| {
        let goes_on = !ends;
        ends |= !version.overtakes;
        goes_on
    });
    walk.filter(|version| version.state() == State::Unresolved)
}

/// Marks the topmost version that is not resolved: from here on it is committed under the latch
/// only, which the caller holds, as are those below it. False if all are resolved.
pub(crate) fn overtake(word: Word, guard: &Guard) -> bool {
    unresolved(word, guard).any(Version::overtake)
}

/// Commits a version that met others in its chain; the caller holds the latch. Returns by how
/// much that changes the number of items, and whether someone waits for it.
pub(crate) fn commit_among(word: Word, version: &Held, guard: &Guard) -> (i64, bool) {
    let before = read_committed(word, guard).is_present();
    let is_awaited = version.version().resolve(State::Committed);
    let after = read_committed(word, guard).is_present();
    (i64::from(after) - i64::from(before), is_awaited)
}

/// The head of the chain, if `owner` wrote it and is not resolved: it may change its mind in place.
pub(crate) fn own_head(word: Word, owner: TxnId, guard: &Guard) -> Option<(&Version, Held)> {
    let own = deref(word, guard).filter(|v| v.owner == owner && v.state() == State::Unresolved)?;
    Some((own, Held(NonNull::from(own))))
}

/// Whether the chain is due for a trim: when it has become twice as long as the last one left
/// it, so that the walks of a chain that cannot be trimmed cost no more than a constant per version.
pub(crate) fn is_trim_due(word: Word, guard: &Guard) -> bool {
    deref(word, guard).is_some_and(|v| u64::from(v.depth) + 1 >= 1 << v.due)
}

/// Aborts `version` and takes it out of the chain under `word`; the caller holds the latch.
/// Returns the new word, and by how much that changes the number of items.
pub(crate) fn unlink(word: Word, version: &Held, guard: &Guard, swept: &mut Swept) -> (Word, i64) {
    if version.version().state() == State::Committed {
        // Those above stand on it, and count anew what they stand on. Marked before the look, so
        // that none of them is committed between the two.
        for above in Walk::new(word, guard).take_while(|v| !version.is(v)) {
            above.overtake();
        }
    }
    let before = read_committed(word, guard).is_present();
    let mut head = word;
    let mut above: Option<&Version> = None;
    let mut at = word;
    while let Some(found) = deref(at, guard) {
        if version.is(found) {
            swept.awaited |= found.resolve(State::Aborted);
            if let Said::At(location) = found.payload.get(guard) {
                swept.dead.push(location);
            }
            set_link(&mut head, above, found.next());
            retire(at, guard, swept);
            break;
        }
        above = Some(found);
        at = found.next();
    }
    swept.newest_left = Walk::new(head, guard).map(|v| v.owner).max();
    let after = read_committed(head, guard).is_present();
    (head, i64::from(after) - i64::from(before))
}

pub(super) fn set_link(head: &mut Word, above: Option<&Version>, below: Word) {
    match above {
        Some(version) => version.next.store(below.0, Ordering::Release),
        None => *head = below,
    }
}

pub(super) fn retire(word: Word, guard: &Guard, swept: &mut Swept) {
    if let Slot::Chain(address) = word.slot() {
        swept.versions += 1;
        // SAFETY: the version was unlinked under the latch; only readers with older guards hold it.
        unsafe { guard.defer_destroy(Shared::from(address as *const Version)) };
    }
}

/// Whether the item at `at` is in the slot and is sure to stay an item, whoever else writes: it is
/// the base, or a version that nobody can take back (its owner is below `oldest`). Then, the lowest
/// sequence number of a version above it. The caller holds the leaf's latch.
pub(crate) fn movable(word: Word, at: Location, oldest: TxnId, guard: &Guard) -> Option<u64> {
    let mut lowest = u64::MAX;
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        if version.payload.get(guard) == Said::At(at) {
            let is_sure = version.state() == State::Committed && version.owner < oldest;
            return is_sure.then_some(lowest);
        }
        lowest = lowest.min(version.sequence);
    }
    (walk.base().slot() == Slot::At(at)).then_some(lowest)
}

/// Makes what says that the item is at `from` say that it is at `to`; `None` if nothing does any
/// more. The caller holds the leaf's latch and stores the returned word.
pub(crate) fn relocate(word: Word, from: Location, to: Location, guard: &Guard) -> Option<Word> {
    let mut lowest: Option<&Version> = None;
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        if version.payload.relocate(from, to) {
            return Some(word);
        }
        lowest = Some(version);
    }
    if walk.base().slot() != Slot::At(from) {
        return None;
    }
    let mut head = word;
    set_link(&mut head, lowest, Word::at(to));
    Some(head)
}

/// A committed version that may be newer than the newest certain state of its item.
pub(crate) struct Uncertain {
    pub(crate) sequence: u64,
    pub(crate) owner: TxnId,
    pub(crate) overtakes: bool,
    /// `None` is a tombstone.
    pub(crate) location: Option<Location>,
}

/// The newest state of the item that is committed and cannot be taken back (`None`: it is not
/// there), as `uncertain` says of those above it that are committed: it is shown them from the
/// newest down until it answers that one stays.
pub(crate) fn census(
    word: Word,
    guard: &Guard,
    mut uncertain: impl FnMut(Uncertain) -> bool,
) -> Option<Location> {
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        let location = match version.payload.get(guard) {
            Said::At(location) => Some(location),
            Said::Tombstone => None,
            Said::Reserve | Said::Bytes(_) => continue,
        };
        if version.state() != State::Committed {
            continue;
        }
        let is_uncertain = uncertain(Uncertain {
            sequence: version.sequence,
            owner: version.owner,
            overtakes: version.overtakes,
            location,
        });
        // Its owner may have cancelled it, and let go of it, since it was looked at.
        if !is_uncertain && version.state() == State::Committed {
            return location;
        }
    }
    match walk.base().slot() {
        Slot::At(location) => Some(location),
        _ => None,
    }
}

/// Every place in the log that the slot refers to, for a tree that goes as a whole.
pub(crate) fn locations(word: Word, guard: &Guard, mut visit: impl FnMut(Location)) {
    let mut walk = Walk::new(word, guard);
    for version in walk.by_ref() {
        if let Said::At(location) = version.payload.get(guard) {
            visit(location);
        }
    }
    if let Slot::At(location) = walk.base().slot() {
        visit(location);
    }
}

/// Frees the chain under a slot of a tree that is being dropped, once no reader can hold it.
pub(crate) fn free_later(word: Word, guard: &Guard) {
    let mut at = word;
    while let Some(version) = deref(at, guard) {
        let below = version.next();
        retire(at, guard, &mut Swept::default());
        at = below;
    }
}
