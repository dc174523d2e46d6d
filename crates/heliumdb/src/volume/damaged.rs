//! Removing what cannot be read any more.
//!
//! Invariant: only the newest committed state of a key is removed, only if its bytes are damaged, and
//! only as long as it still is what was read.

use crossbeam_epoch as epoch;

use super::{
    Datastore, VerifyReport,
    datastore::look,
    direct::Expect,
    items::{key_of_damaged, read_slot_at},
    tree::Tree,
};
use crate::{
    error::{Error, ErrorKind, Result},
    index::{Bound, Direction},
    location::Word,
    log::{Purpose, Ready, Spot},
    version::chain::Seen,
};

/// Items that are read under one epoch guard.
const STEP_ITEMS: usize = 512;

/// An item whose bytes are damaged.
struct Found {
    key: Vec<u8>,
    spot: Spot,
    why: Error,
}

impl Datastore {
    /// Reads every item past the read cache. `tell` is shown those whose bytes are damaged, with what
    /// is wrong, and they are removed; durable when it returns. Any other error ends it. The report
    /// counts what is readable, and as damaged what could not be removed: items of an unordered
    /// datastore whose key is lost with them.
    pub fn remove_damaged(&self, tell: &mut dyn FnMut(&[u8], &Error)) -> Result<VerifyReport> {
        self.shared.check_writable()?;
        let tree = self.tree()?;
        let mut report = VerifyReport::default();
        let mut last: Option<Vec<u8>> = None;
        loop {
            let mut damaged = Vec::new();
            last = self.find_damaged(&tree, last.as_deref(), &mut damaged, &mut report)?;
            for found in damaged {
                let same = Expect::Same(Some(found.spot));
                let remove = || self.shared.write_if(&tree, &found.key, None, same);
                let attempt = || self.shared.when_room(remove);
                if self.shared.when_resolved(attempt)? {
                    tell(&found.key, &found.why);
                }
            }
            if last.is_none() {
                self.shared.flush()?;
                return Ok(report);
            }
        }
    }

    /// Reads the next items after `last`; the key it came to, or `None` at the end.
    fn find_damaged(
        &self,
        tree: &Tree,
        last: Option<&[u8]>,
        damaged: &mut Vec<Found>,
        report: &mut VerifyReport,
    ) -> Result<Option<Vec<u8>>> {
        let guard = epoch::pin();
        let bound = last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut slots = tree.index.iter(bound, Direction::Forward, &guard);
        let mut value = Vec::new();
        for count in 1.. {
            let Some((key, word)) = slots.next() else {
                break;
            };
            if let Seen::At(at) = look(None, Word(word), &guard)? {
                value.clear();
                let how = (Purpose::Check, Ready::No);
                let read = read_slot_at(tree, key, at, how, &mut value, &guard);
                match read.and_then(|found| found.ok_or_else(|| self.misplaced(key))) {
                    Ok(key) => {
                        report.items += 1;
                        report.bytes += (key.len() + value.len()) as u64;
                    }
                    // A place that is not the key's any more may hold anything; its removal sees that.
                    Err(why) if why.kind() == ErrorKind::Damaged => {
                        let key = key_of_damaged(tree, key, at, &guard)?;
                        match key.zip(self.shared.log.spot(at, &guard)) {
                            Some((key, spot)) => damaged.push(Found { key, spot, why }),
                            None => report.damaged += 1,
                        }
                    }
                    Err(why) => return Err(why),
                }
            }
            if count == STEP_ITEMS {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    }
}
