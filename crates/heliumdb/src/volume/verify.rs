//! Checking every item of a datastore, or of a whole volume, against the log.

use crossbeam_epoch::{self as epoch, Guard};

use super::{Datastore, Volume, damage::Damage, datastore::READ_ATTEMPTS, tree::Tree};
use crate::{
    error::{Error, ErrorKind, Result},
    index::{Bound, Direction},
    location::{Location, Word},
    progress::{Phase, Progress, Reporter},
    version::chain,
};

/// Items that are read under one epoch guard.
const STEP_ITEMS: usize = 512;

/// What [`Datastore::verify`] or [`Volume::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Items whose place, order and checksum were checked.
    pub items: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
    /// Items that are damaged ([`Datastore::verify`] ends at the first).
    pub damaged: u64,
}

impl Datastore {
    /// Reads every item and checks its order, place, checksum, datastore and key. `progress` is
    /// called now and then with the number of items checked so far.
    pub fn verify(&self, progress: &mut dyn FnMut(u64)) -> Result<VerifyReport> {
        self.shared.check_open()?;
        let tree = self.tree()?;
        let mut report = VerifyReport::default();
        let mut value = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        while let Some(key) = self.verify_step(&tree, last.as_deref(), &mut value, &mut report)? {
            last = Some(key);
            progress(report.items);
        }
        progress(report.items);
        Ok(report)
    }

    /// Checks the next items after `last`; the key it came to, or `None` at the end.
    fn verify_step(
        &self,
        tree: &Tree,
        last: Option<&[u8]>,
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = tree.index.iter(bound, Direction::Forward, &guard);
        let mut at: Option<Vec<u8>> = None;
        for _ in 0..STEP_ITEMS {
            let Some((key, word)) = slots.next() else {
                return Ok(None);
            };
            if at.as_deref().or(last).is_some_and(|before| before >= key) {
                return Err(Error::new(
                    ErrorKind::Damaged,
                    format!("the index of datastore {} is out of order", self.state.id.0),
                ));
            }
            self.verify_slot(tree, key, Word(word), value, report, &guard)?;
            let at = at.get_or_insert_default();
            at.clear();
            at.extend_from_slice(key);
        }
        Ok(at)
    }

    /// Checks what is in a slot; looks again where its places were reused meanwhile.
    fn verify_slot(
        &self,
        tree: &Tree,
        key: &[u8],
        mut word: Word,
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
        guard: &Guard,
    ) -> Result<()> {
        for _ in 0..READ_ATTEMPTS {
            let mut places: Vec<Location> = Vec::new();
            chain::locations(word, guard, |location| places.push(location));
            let failed = places
                .into_iter()
                .find_map(|place| self.verify_place(tree, key, place, value, report).err());
            let Some(why) = failed else { return Ok(()) };
            let now = Word(tree.index.get(key, guard));
            // A place that nothing refers to any more may hold anything.
            if now == word {
                return Err(why);
            }
            word = now;
        }
        Err(self.misplaced(key))
    }

    fn verify_place(
        &self,
        tree: &Tree,
        key: &[u8],
        place: Location,
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
    ) -> Result<()> {
        value.clear();
        if !self.shared.log.read(place, tree.id, key, value)? {
            return Err(self.misplaced(key));
        }
        report.items += 1;
        report.bytes += (key.len() + value.len()) as u64;
        Ok(())
    }

    /// Checks items after `last` until `most_bytes` were read; the key it came to, or `None` at
    /// the end. Damage is entered in the volume's list, and the walk goes on.
    pub(super) fn check_on(
        &self,
        last: Option<&[u8]>,
        most_bytes: u64,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        let Some(tree) = self.state.tree.load_full() else {
            return Ok(None);
        };
        let guard = epoch::pin();
        let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = tree.index.iter(bound, Direction::Forward, &guard);
        let start = report.bytes;
        let mut value = Vec::new();
        let mut at: Option<Vec<u8>> = None;
        for _ in 0..STEP_ITEMS {
            let Some((key, word)) = slots.next() else {
                return Ok(None);
            };
            match self.verify_slot(&tree, key, Word(word), &mut value, report, &guard) {
                Ok(()) => {}
                Err(why) if matches!(why.kind(), ErrorKind::Damaged | ErrorKind::Io) => {
                    report.damaged += 1;
                    self.shared.damages.enter(Damage {
                        datastore: Some(self.id()),
                        key: key.to_vec(),
                        error: why,
                    });
                }
                Err(why) => return Err(why),
            }
            let at = at.get_or_insert_default();
            at.clear();
            at.extend_from_slice(key);
            if report.bytes - start >= most_bytes {
                break;
            }
        }
        Ok(at)
    }
}

impl Volume {
    /// Reads every item of all datastores and checks its place, checksum, datastore and key,
    /// while others read and write. Damage does not end it: [`VerifyReport::damaged`] counts, and
    /// [`Volume::damage`] lists what was found. `progress` ends it by returning false.
    pub fn verify(&self, progress: &mut dyn FnMut(&Progress) -> bool) -> Result<VerifyReport> {
        let _span = tracing::info_span!("verify", url = self.url()).entered();
        let mut reporter = Reporter::new(progress);
        let mut report = VerifyReport::default();
        let mut total = 0;
        let mut stores = Vec::new();
        for info in self.datastores() {
            let store = match self.datastore_by_id(info.id) {
                Ok(store) => store,
                // Removed meanwhile.
                Err(why) if why.kind() == ErrorKind::DatastoreNotFound => continue,
                Err(why) => return Err(why),
            };
            total += store.approximate_len();
            stores.push(store);
        }
        for store in stores {
            let mut last: Option<Vec<u8>> = None;
            loop {
                reporter.at(Phase::Checking, report.items, total)?;
                store.shared.check_open()?;
                last = store.check_on(last.as_deref(), u64::MAX, &mut report)?;
                if last.is_none() {
                    break;
                }
            }
        }
        reporter.at(Phase::Checking, report.items, total)?;
        Ok(report)
    }
}
