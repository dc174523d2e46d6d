//! Checking every item of a datastore, or of a whole volume, against the log: past the read cache.

use std::sync::Arc;

use crossbeam_epoch::{self as epoch, Guard};

use super::{
    Datastore, Shared, Volume,
    damage::Damage,
    datastore::{READ_ATTEMPTS, misplaced},
    items::{key_of_damaged, read_slot_at},
    tree::Tree,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::DatastoreId,
    index::{Bound, Direction},
    location::{Location, Slot, Word},
    log::{Fetch, Purpose, Ready},
    progress::{Phase, Progress, Reporter},
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
        self.shared.check_open()?;
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
        let state = match shared.datastore_by_id(id) {
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
        [&shared.catalog.tree, &shared.decisions].map(|tree| Self {
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
        self.walk(last, u64::MAX, report, &mut |_, why, _| Err(why))
    }

    /// Checks the next items after `last`, no more than what may have `most_bytes`, but one at
    /// least; the key it came to, or `None` at the end. `on_damage` is told what is wrong.
    fn walk(
        &self,
        last: Option<&[u8]>,
        most_bytes: u64,
        report: &mut VerifyReport,
        on_damage: &mut dyn FnMut(Entry<'_>, Error, &Guard) -> Result<()>,
    ) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        let mut step = self.step_after(last, most_bytes, &guard)?;
        let places = step.entries.iter().map(|(_, word)| match word.slot() {
            Slot::At(at) => Some(at),
            _ => None,
        });
        let mut fetch = Fetch::take();
        let mut here = Vec::with_capacity(step.entries.len());
        let log = &self.shared.log;
        log.fetch(Purpose::Check, places, &mut fetch, &mut here, &guard);
        let mut value = Vec::new();
        for (i, (key, word)) in step.entries.iter().enumerate() {
            let entry = (&key[..], *word);
            match self.entry(entry, fetch.ready(i, &here), &mut value, report, &guard) {
                Ok(()) => {}
                Err(why) if matches!(why.kind(), ErrorKind::Damaged | ErrorKind::Io) => {
                    on_damage(entry, why, &guard)?;
                }
                Err(why) => return Err(why),
            }
        }
        fetch.keep();
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

    /// Checks what is in a slot, of which `ready` may be known; looks again where its places were
    /// reused meanwhile.
    fn entry(
        &self,
        (key, mut word): Entry<'_>,
        mut ready: Ready<'_>,
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
        guard: &Guard,
    ) -> Result<()> {
        for _ in 0..READ_ATTEMPTS {
            let mut places: Vec<Location> = Vec::new();
            chain::locations(word, guard, |location| places.push(location));
            let failed = places.into_iter().find_map(|place| {
                let how = (Purpose::Check, std::mem::replace(&mut ready, Ready::No));
                self.place(key, place, how, value, report, guard).err()
            });
            let Some(why) = failed else { return Ok(()) };
            let now = Word(self.tree.index.get(key, guard));
            // A place that nothing refers to any more may hold anything.
            if now == word {
                return Err(why);
            }
            word = now;
        }
        Err(self.misplaced(key))
    }

    fn place(
        &self,
        key: &[u8],
        place: Location,
        how: (Purpose, Ready<'_>),
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
        guard: &Guard,
    ) -> Result<()> {
        value.clear();
        let Some(key) = read_slot_at(&self.tree, key, place, how, value, guard)? else {
            return Err(self.misplaced(key));
        };
        match self.datastore {
            Some(_) => report.items += 1,
            None => report.records += 1,
        }
        report.bytes += (key.len() + value.len()) as u64;
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
        let reached = self.walk(last, most_bytes, report, &mut |(key, word), why, guard| {
            damaged += 1;
            self.shared.damages.enter(Damage {
                datastore: self.datastore,
                key: self.shown_key(key, word, guard),
                error: why,
            });
            Ok(())
        });
        report.damaged += damaged;
        reached
    }

    /// The key of a damaged item, or nothing if it cannot be made out.
    fn shown_key(&self, slot: &[u8], word: Word, guard: &Guard) -> Vec<u8> {
        match chain::read_committed(word, guard) {
            Seen::At(at) => key_of_damaged(&self.tree, slot, at, guard),
            Seen::Absent | Seen::Bytes(_) if self.tree.is_unordered() => Ok(None),
            Seen::Absent | Seen::Bytes(_) => Ok(Some(slot.to_vec())),
        }
        .ok()
        .flatten()
        .unwrap_or_default()
    }

    fn misplaced(&self, key: &[u8]) -> Error {
        let id = self.datastore.map_or(self.tree.id, |id| id.0);
        misplaced(&self.shared, id, key)
    }
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
                check.shared.check_open()?;
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
