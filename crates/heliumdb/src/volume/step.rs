//! One step of a walk: some slots of the index looked at, their items fetched together, and
//! shown in order.
//!
//! Invariant: what is shown of an item is what the walk's eyes saw of it when its slot was
//! looked at, or, where its place in the log was reused meanwhile, what they see now.

use crossbeam_epoch::Guard;

use super::{Datastore, Wanted, datastore::Eyes, seeing::Seeing, tree::Tree};
use crate::{
    error::{Error, Result},
    location::Word,
    log::{Expected, Fetch, Purpose, Ready, Value},
    version::chain::Seen,
};

/// Keys and places of a step take no more memory than this, roughly.
const KEYS_BYTES_MAX: usize = 64 << 10;

pub(super) struct Step<'a> {
    datastore: &'a Datastore,
    tree: &'a Tree,
    guard: &'a Guard,
    eyes: Eyes<'a>,
    wanted: Wanted,
    /// Keys, end to end.
    keys: Vec<u8>,
    /// Where each key ends, and what its slot says.
    found: Vec<(usize, Seen<'a>)>,
    fetch: Option<Fetch>,
    /// The bytes of those whose items are in memory.
    here: Vec<Option<&'a [u8]>>,
    value: Vec<u8>,
    /// What an item could not be looked at for: said after those before it are shown.
    failed: Option<Error>,
}

impl<'a> Step<'a> {
    pub(super) fn new(
        datastore: &'a Datastore,
        tree: &'a Tree,
        guard: &'a Guard,
        eyes: Eyes<'a>,
        wanted: Wanted,
    ) -> Self {
        Self {
            datastore,
            tree,
            guard,
            eyes,
            wanted,
            keys: Vec::new(),
            found: Vec::new(),
            fetch: Some(Fetch::take()),
            here: Vec::new(),
            value: Vec::new(),
            failed: None,
        }
    }

    /// Looks up the next items, `most` of them at most, as long as keys are `within`; false if
    /// there are no more.
    pub(super) fn look_up(
        &mut self,
        slots: &mut Seeing<'a>,
        most: usize,
        within: impl Fn(&[u8]) -> bool,
    ) -> bool {
        self.keys.clear();
        self.found.clear();
        let mut goes_on = true;
        while self.found.len() < most && self.keys.len() < KEYS_BYTES_MAX {
            match slots.next(&within) {
                Ok(Some(found)) => {
                    self.keys.extend_from_slice(slots.key());
                    self.found.push((self.keys.len(), found.seen));
                }
                Ok(None) => {
                    goes_on = false;
                    break;
                }
                Err(why) => {
                    self.failed = Some(why);
                    break;
                }
            }
        }
        if self.wanted == Wanted::Keys {
            return goes_on;
        }
        let places = self.found.iter().map(|(_, seen)| match seen {
            Seen::At(location) => Some(*location),
            _ => None,
        });
        let fetch = self.fetch.get_or_insert_default();
        let log = &self.datastore.shared.log;
        log.fetch(Purpose::Walk, places, fetch, &mut self.here, self.guard);
        goes_on
    }

    /// Shows what was looked up, until `visit` returns false: then so does this.
    pub(super) fn show(&mut self, visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let log = &self.datastore.shared.log;
        let mut start = 0;
        for (i, &(end, seen)) in self.found.iter().enumerate() {
            let key = &self.keys[start..end];
            start = end;
            self.value.clear();
            let goes_on = match seen {
                _ if self.wanted == Wanted::Keys => Some(visit(key, &[])),
                Seen::Absent => Some(true),
                Seen::Bytes(bytes) => Some(visit(key, bytes)),
                Seen::At(at) => {
                    let expected = Expected {
                        tree: self.tree.id,
                        key,
                    };
                    let fetch = self.fetch.as_ref();
                    let ready = fetch.map_or(Ready::No, |fetch| fetch.ready(i, &self.here));
                    let show = |value: Value<'_>, built: &mut Vec<u8>| match value {
                        Value::Here(value) => visit(key, value),
                        Value::Built => visit(key, built),
                    };
                    let value = &mut self.value;
                    log.with_value(Purpose::Walk, at, expected, ready, value, self.guard, show)?
                }
            };
            let goes_on = match goes_on {
                Some(goes_on) => goes_on,
                None => self.show_again(key, visit)?,
            };
            if !goes_on {
                return Ok(false);
            }
        }
        self.failed.take().map_or(Ok(true), Err)
    }

    /// The place was reused since the slot was looked at.
    #[cold]
    fn show_again(&self, key: &[u8], visit: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<bool> {
        let mut value = Vec::new();
        let slot = (key, Word(self.tree.index.get(key, self.guard)));
        let purpose = Purpose::Walk;
        let datastore = self.datastore;
        if !datastore.read_slot(self.tree, slot, &mut value, self.guard, self.eyes, purpose)? {
            return Ok(true);
        }
        Ok(visit(key, &value))
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        if let Some(fetch) = self.fetch.take() {
            fetch.keep();
        }
    }
}
