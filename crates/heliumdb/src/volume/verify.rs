//! Checking every item of a datastore against the log.

use crossbeam_epoch::{self as epoch, Guard};

use super::{Datastore, tree::Tree};
use crate::{
    error::{Error, ErrorKind, Result},
    index::{Bound, Direction},
    location::{Location, Word},
    version::chain,
};

/// Items that are read under one epoch guard.
const STEP_ITEMS: usize = 512;

/// What [`Datastore::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Items whose place, order and checksum were checked.
    pub items: u64,
    /// Bytes of keys and values in them.
    pub bytes: u64,
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

    fn verify_slot(
        &self,
        tree: &Tree,
        key: &[u8],
        word: Word,
        value: &mut Vec<u8>,
        report: &mut VerifyReport,
        guard: &Guard,
    ) -> Result<()> {
        let mut places: Vec<Location> = Vec::new();
        chain::locations(word, guard, |location| places.push(location));
        for location in places {
            value.clear();
            if !self.shared.log.read(location, tree.id, key, value)? {
                return Err(self.misplaced(key));
            }
            report.items += 1;
            report.bytes += (key.len() + value.len()) as u64;
        }
        Ok(())
    }
}
