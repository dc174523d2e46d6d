//! Checking every item of a datastore, or of a whole volume, against the log: past the read cache. At once, for who asks, and
//! slowly all the time ([`Scrub`]).

mod damage;
mod scrub;

pub use damage::Damage;
pub(crate) use damage::Damages;
pub(crate) use scrub::Scrub;

use std::sync::{Arc, atomic::AtomicU64};

use crossbeam_epoch::{self as epoch, Guard};

use crate::{
    access::Access,
    catalog::Catalog,
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    index::{Bound, Direction},
    location::{Location, Slot, Word},
    log::{Fetch, Purpose, Ready, append_value},
    read::{Look, Which},
    tree::Tree,
    version::chain::{self, Seen},
    write::Decisions,
};

/// Items that are read together, under one epoch guard.
const STEP_ITEMS: usize = 512;
/// Or fewer, if they have so many bytes.
const STEP_BYTES: u64 = 1 << 20;

/// A key, and what the index has for it.
type Entry<'a> = (&'a [u8], Word);

/// What is looked at together.
#[derive(Default)]
struct Step {
    entries: Vec<(Vec<u8>, Word)>,
    /// There is nothing behind it.
    is_last: bool,
}

/// What [`crate::Datastore::verify`] or [`crate::Volume::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Items whose place, order and checksum were checked.
    pub items: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
    /// Records of the store's own that were checked.
    pub records: u64,
    /// Items and records that are damaged ([`crate::Datastore::verify`] ends at the first).
    pub damaged: u64,
}

/// What there is to check, and where damage is entered.
#[derive(Clone, Copy)]
pub(crate) struct Checking<'a> {
    pub(crate) access: &'a Access,
    pub(crate) catalog: &'a Catalog,
    pub(crate) decisions: &'a Decisions,
    pub(crate) damages: &'a Damages,
    /// See [`Look`].
    pub(crate) passed: &'a AtomicU64,
}

/// Checks the items of one tree.
pub(crate) struct Check<'a> {
    of: Checking<'a>,
    tree: Arc<Tree>,
    /// `None` for one of the store's own trees.
    datastore: Option<DatastoreId>,
}

impl<'a> Check<'a> {
    /// Of the items that a datastore has now.
    pub(crate) fn new(of: Checking<'a>, tree: Arc<Tree>, id: DatastoreId) -> Self {
        Self {
            of,
            tree,
            datastore: Some(id),
        }
    }

    /// Of a datastore, if it is still there.
    pub(crate) fn of_datastore(of: Checking<'a>, id: DatastoreId) -> Result<Option<Self>> {
        let state = match of.catalog.find_by_id(id) {
            Ok(state) => state,
            Err(why) if why.kind() == ErrorKind::DatastoreNotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        let tree = state.tree();
        Ok(tree.map(|tree| Self::new(of, tree, id)))
    }

    /// Of what the store keeps for itself: the catalog, and decisions about transactions.
    pub(crate) fn of_records(of: Checking<'a>) -> [Self; 2] {
        [of.catalog.tree(), of.decisions.tree()].map(|tree| Self {
            of,
            tree: tree.clone(),
            datastore: None,
        })
    }

    /// Keys, at most.
    pub(crate) fn len(&self) -> u64 {
        self.tree.index.len()
    }

    /// Checks the next items after `last`, up to the first damaged one; the key it came to, or
    /// `None` at the end.
    pub(crate) fn step(
        &self,
        last: Option<&[u8]>,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        self.walk(last, u64::MAX, report, &mut |_, _, why| Err(why))
    }

    /// Checks the next items after `last`, no more than what may have `most_bytes`, but one at
    /// least; the key it came to, or `None` at the end. `on_damage` is told what is wrong.
    fn walk(
        &self,
        last: Option<&[u8]>,
        most_bytes: u64,
        report: &mut VerifyReport,
        on_damage: &mut dyn FnMut(Look<'_>, Entry<'_>, Error) -> Result<()>,
    ) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        let look = Look {
            tree: &self.tree,
            eyes: None,
            purpose: Purpose::Check,
            guard: &guard,
            passed: self.of.passed,
        };
        let mut step = self.step_after(last, most_bytes, &guard)?;
        let places = step.entries.iter().map(|(_, word)| match word.slot() {
            Slot::At(at) => Some(at),
            _ => None,
        });
        let mut fetch = Fetch::new();
        let log = self.of.access.log();
        log.fetch(look.purpose, places, &mut fetch, &guard);
        let mut value = Vec::new();
        for (i, (key, word)) in step.entries.iter().enumerate() {
            let entry = (&key[..], *word);
            match self.entry(look, entry, fetch.ready(i), &mut value, report) {
                Ok(()) => {}
                Err(why) if matches!(why.kind(), ErrorKind::Damaged | ErrorKind::Io) => {
                    on_damage(look, entry, why)?;
                }
                Err(why) => return Err(why),
            }
        }
        let reached = step.entries.pop().map(|(key, _)| key);
        Ok(reached.filter(|_| !step.is_last))
    }

    /// What is to be looked at after `last`.
    fn step_after(&self, last: Option<&[u8]>, most_bytes: u64, guard: &Guard) -> Result<Step> {
        let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = self.tree.index.iter(bound, Direction::Forward, guard);
        let mut step = Step::default();
        let mut bytes = 0;
        while step.entries.len() < STEP_ITEMS && bytes < most_bytes.min(STEP_BYTES) {
            let Some((key, word)) = slots.next() else {
                step.is_last = true;
                break;
            };
            let before = step.entries.last().map(|(key, _)| &key[..]).or(last);
            if before.is_some_and(|before| before >= key) {
                return Err(Error::new(
                    ErrorKind::Damaged,
                    format!("the index of tree {} is out of order", self.tree.id),
                ));
            }
            chain::locations(Word(word), guard, |at| bytes += at.class_bytes() as u64);
            step.entries.push((key.to_vec(), Word(word)));
        }
        Ok(step)
    }

    /// Checks what is in a slot, of which `ready` may be known; again, where a place that could not be read is not in it
    /// any more.
    fn entry(
        &self,
        look: Look<'_>,
        (slot, mut word): Entry<'_>,
        mut ready: Ready<'_>,
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
    ) -> Result<()> {
        loop {
            let failed = places(word, look.guard).into_iter().find_map(|place| {
                let ready = std::mem::replace(&mut ready, Ready::No);
                let checked = self.place(look, slot, (place, ready), value, report);
                Some((place, checked.err()?))
            });
            let Some((place, why)) = failed else {
                return Ok(());
            };
            word = look.word(Which::Slot(slot));
            // A place that nothing refers to any more may hold anything.
            if places(word, look.guard).contains(&place) {
                return Err(why);
            }
        }
    }

    fn place(
        &self,
        look: Look<'_>,
        slot: &[u8],
        (at, ready): (Location, Ready<'_>),
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
    ) -> Result<()> {
        value.clear();
        let which = Which::Slot(slot);
        let read = look.read_at(which, (at, ready), value, |shown, built| {
            append_value(shown.value, built);
            shown.key.len()
        })?;
        let key_len = read.ok_or_else(|| look.misplaced(which, at))?;
        match self.datastore {
            Some(_) => report.items += 1,
            None => report.records += 1,
        }
        report.bytes += (key_len + value.len()) as u64;
        Ok(())
    }

    /// Checks the next items after `last`, of no more than `most_bytes`, but one at least; the key it
    /// came to, or `None` at the end. Damage is entered in the volume's list, and the walk goes on.
    pub(crate) fn go_on(
        &self,
        last: Option<&[u8]>,
        most_bytes: u64,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        let mut damaged = 0;
        let reached = self.walk(last, most_bytes, report, &mut |look, (slot, word), why| {
            damaged += 1;
            self.of.damages.enter(Damage {
                datastore: self.datastore,
                key: shown_key(look, slot, word),
                error: why,
            });
            Ok(())
        });
        report.damaged += damaged;
        reached
    }
}

/// All places that a slot leads to.
fn places(word: Word, guard: &Guard) -> Vec<Location> {
    let mut places = Vec::new();
    chain::locations(word, guard, |place| places.push(place));
    places
}

/// The key of a damaged item, or nothing if it cannot be made out.
fn shown_key(look: Look<'_>, slot: &[u8], word: Word) -> Vec<u8> {
    match chain::read_committed(word, look.guard) {
        Seen::At(at) => look.key_of_damaged(slot, at),
        Seen::Absent | Seen::Bytes(_) if look.tree.is_unordered() => Ok(None),
        Seen::Absent | Seen::Bytes(_) => Ok(Some(slot.to_vec())),
    }
    .ok()
    .flatten()
    .unwrap_or_default()
}
