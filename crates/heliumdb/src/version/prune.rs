//! Taking out of chains what nobody needs any more: from their ends, and from their middles.
//!
//! Invariant: a version goes only if every reader, those to come included, finds another one
//! above it, or finds the same state in the base that takes its place. An unresolved version
//! never goes, nor one whose transaction is not over: somebody holds a pointer to it.

use crossbeam_epoch::Guard;

use super::{
    TxnId,
    chain::{Version, Walk, deref, retire, set_link},
    payload::Said,
    snapshot::{Readers, TxnSnapshot},
    state::State,
};
use crate::location::{Location, Slot, Word};

/// What a pass over a chain took away.
#[derive(Default)]
pub(crate) struct Swept {
    /// Places in the log that no one needs any more.
    pub(crate) dead: Vec<Location>,
    /// Versions unlinked, freed once no reader can hold them.
    pub(crate) versions: usize,
    /// The highest owner left in the chain: when it is settled, the chain is due again.
    pub(crate) newest_left: Option<TxnId>,
    /// How many versions are left.
    pub(crate) left: u32,
    /// Someone waits for one of those that went.
    pub(crate) awaited: bool,
}

/// Settles the chain under `word`: the newest committed version that everyone sees becomes the
/// base and all below it goes; above it, where the running snapshots are known, goes what none of
/// them needs. The caller holds the leaf's latch and stores the returned word.
///
/// Nothing goes below the settled version while one is down there whose transaction is not
/// resolved, or may still be taken back: it holds a pointer to its version.
pub(crate) fn settle(word: Word, readers: &Readers, guard: &Guard, swept: &mut Swept) -> Word {
    let mut head = word;
    let mut above: Option<&Version> = None;
    let mut at = word;
    let mut looking = Looking::new(word, readers, guard);
    while let Some(version) = deref(at, guard) {
        let next = version.next();
        let gone = match version.state() {
            State::Committed if readers.all_see(version.owner) => {
                settled_base(version, next, readers, guard, swept)
                    .or_else(|| looking.passes(version, next, guard, swept))
            }
            State::Committed => looking.passes(version, next, guard, swept),
            _ => None,
        };
        match gone {
            Some(below) => {
                set_link(&mut head, above, below);
                retire(at, guard, swept);
                at = below;
            }
            None => {
                swept.newest_left = swept.newest_left.max(Some(version.owner));
                swept.left += 1;
                above = Some(version);
                at = next;
            }
        }
    }
    head
}

/// What `version`, visible to everyone, leaves in its place: the base it becomes, with all below
/// it gone; or, a mere reservation, what is below it. `None` if it has to stay.
fn settled_base(
    version: &Version,
    next: Word,
    readers: &Readers,
    guard: &Guard,
    swept: &mut Swept,
) -> Option<Word> {
    let base = match version.payload.get(guard) {
        Said::Reserve => return Some(next),
        Said::Tombstone => Word::EMPTY,
        Said::At(location) => Word::at(location),
        Said::Bytes(_) => return None,
    };
    let held = |v: &Version| v.state() == State::Unresolved || !readers.is_over(v.owner);
    if Walk::new(next, guard).any(held) {
        return None;
    }
    let mut at = next;
    while let Some(old) = deref(at, guard) {
        if let Said::At(location) = old.payload.get(guard) {
            swept.dead.push(location);
        }
        let below = old.next();
        retire(at, guard, swept);
        at = below;
    }
    if let Slot::At(location) = at.slot() {
        swept.dead.push(location);
    }
    Some(base)
}

/// The running snapshots that have not found their version of the item yet, on a walk down.
struct Looking<'a> {
    snapshots: Vec<&'a TxnSnapshot>,
    now: Option<&'a TxnSnapshot>,
    final_below: TxnId,
}

impl<'a> Looking<'a> {
    fn new(word: Word, readers: &'a Readers, guard: &Guard) -> Self {
        // With a single version there is no middle.
        let known = readers.snapshots.as_deref().unwrap_or_default();
        let known = match deref(word, guard).and_then(|v| deref(v.next(), guard)) {
            Some(_) => known,
            None => &[],
        };
        Self {
            snapshots: known.iter().map(|snapshot| &**snapshot).collect(),
            now: known.last().map(|snapshot| &**snapshot),
            final_below: readers.final_below,
        }
    }

    /// Passes a committed version: `next` if no one who is still looking stops here.
    fn passes(
        &mut self,
        version: &Version,
        next: Word,
        guard: &Guard,
        swept: &mut Swept,
    ) -> Option<Word> {
        // Were it taken back, who stops here would go on to what is below.
        if version.owner >= self.final_below || !self.now?.sees(version.owner) {
            return None;
        }
        let said = version.payload.get(guard);
        if let Said::Bytes(_) = said {
            return None;
        }
        if said != Said::Reserve {
            let before = self.snapshots.len();
            self.snapshots.retain(|s| !s.sees(version.owner));
            if self.snapshots.len() < before {
                return None;
            }
            if let Said::At(location) = said {
                swept.dead.push(location);
            }
        }
        Some(next)
    }
}
