//! Checking every item of a datastore, or of a whole volume, against the log: past the read cache.

use std::sync::Arc;

use crossbeam_epoch::{self as epoch, Guard};

use super::{Datastore, Shared, Volume, damage::Damage};
use crate::{
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    index::{Bound, Direction},
    location::{Location, Slot, Word},
    log::{Fetch, Purpose, Ready, append_value},
    progress::{Phase, Progress, Reporter},
    read::{Look, Which},
    tree::Tree,
    version::chain::{self, Seen},
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

/// What [`Datastore::verify`] or [`Volume::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Items whose place, order and checksum were checked.
    pub items: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
    /// Records of the store's own that were checked.
    pub records: u64,
    /// Items and records that are damaged ([`Datastore::verify`] ends at the first).
    pub damaged: u64,
}

/// Checks the items of one tree.
pub(super) struct Check {
    shared: Arc<Shared>,
    tree: Arc<Tree>,
    /// `None` for one of the store's own trees.
    datastore: Option<DatastoreId>,
}

impl Datastore {
    /// Reads every item and checks its order, place, checksum, datastore and key. `progress` is
    /// called now and then with the number of items checked so far.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport> {
        self.shared.access.check_open()?;
        let check = Check {
            shared: Arc::clone(&**self.shared),
            tree: self.tree()?,
            datastore: Some(self.id()),
        };
        let mut report = VerifyReport::default();
        let mut last: Option<Vec<u8>> = None;
        while let Some(key) = check.step(last.as_deref(), &mut report)? {
            last = Some(key);
            progress(report.items);
        }
        progress(report.items);
        Ok(report)
    }
}

impl Check {
    /// Of a datastore, if it is still there.
    pub(super) fn of_datastore(shared: &Arc<Shared>, id: DatastoreId) -> Result<Option<Self>> {
        let state = match shared.catalog.find_by_id(id) {
            Ok(state) => state,
            Err(why) if why.kind() == ErrorKind::DatastoreNotFound => return Ok(None),
            Err(why) => return Err(why),
        };
        let tree = state.tree();
        Ok(tree.map(|tree| Self {
            shared: shared.clone(),
            tree,
            datastore: Some(id),
        }))
    }

    /// Of what the store keeps for itself: the catalog, and decisions about transactions.
    pub(super) fn of_records(shared: &Arc<Shared>) -> [Self; 2] {
        [shared.catalog.tree(), shared.decisions.tree()].map(|tree| Self {
            shared: shared.clone(),
            tree: tree.clone(),
            datastore: None,
        })
    }

    /// Keys, at most.
    fn len(&self) -> u64 {
        self.tree.index.len()
    }

    /// Checks the next items after `last`, up to the first damaged one; the key it came to, or
    /// `None` at the end.
    fn step(&self, last: Option<&[u8]>, report: &mut VerifyReport) -> Result<Option<Vec<u8>>> {
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
            passed: self.shared.passed(),
        };
        let mut step = self.step_after(last, most_bytes, &guard)?;
        let places = step.entries.iter().map(|(_, word)| match word.slot() {
            Slot::At(at) => Some(at),
            _ => None,
        });
        let mut fetch = Fetch::new();
        let log = &self.shared.log;
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
    pub(super) fn go_on(
        &self,
        last: Option<&[u8]>,
        most_bytes: u64,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        let mut damaged = 0;
        let reached = self.walk(last, most_bytes, report, &mut |look, (slot, word), why| {
            damaged += 1;
            self.shared.damages.enter(Damage {
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

impl Volume {
    /// Reads every item of all datastores, and the records that the volume keeps of them, and checks its
    /// place, checksum, datastore and key, and whether segments have their headers,
    /// while others read and write. Damage does not end it: [`VerifyReport::damaged`] counts, and
    /// [`Volume::damage`] lists what was found. `progress` ends it by returning false.
    pub fn verify(&self, progress: &mut dyn FnMut(&Progress) -> bool) -> Result<VerifyReport> {
        let mut checks = Vec::from(Check::of_records(self.shared()));
        for info in self.datastores() {
            // It may have been removed meanwhile.
            checks.extend(Check::of_datastore(self.shared(), info.id)?);
        }
        let mut report = self.verify_all_of(checks, progress)?;
        for (segment, error) in self.shared().log.lost_headers()? {
            report.damaged += 1;
            self.shared().damages.enter(Damage {
                datastore: None,
                key: format!("segment {segment}").into_bytes(),
                error,
            });
        }
        Ok(report)
    }

    /// As [`Volume::verify`], of some datastores only.
    pub fn verify_datastores(
        &self,
        ids: &[DatastoreId],
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<VerifyReport> {
        let mut checks = Vec::new();
        for id in ids {
            checks.extend(Check::of_datastore(self.shared(), *id)?);
        }
        self.verify_all_of(checks, progress)
    }

    fn verify_all_of(
        &self,
        checks: Vec<Check>,
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<VerifyReport> {
        let _span = tracing::info_span!("verify", url = self.url()).entered();
        let mut reporter = Reporter::new(progress);
        let mut report = VerifyReport::default();
        let total = checks.iter().map(Check::len).sum();
        for check in checks {
            let mut last: Option<Vec<u8>> = None;
            loop {
                reporter.at(Phase::Checking, report.items + report.records, total)?;
                check.shared.access.check_open()?;
                last = check.go_on(last.as_deref(), u64::MAX, &mut report)?;
                if last.is_none() {
                    break;
                }
            }
        }
        reporter.at(Phase::Checking, report.items + report.records, total)?;
        Ok(report)
    }
}
