//! What a transaction has written on one volume.
//!
//! Invariant: each entry of `writes` holds an unresolved version of this transaction, whose
//! slot is under the same key, until the part is committed or undone.

use std::{ops::Range, sync::Arc};

use crossbeam_epoch::{self as epoch, Guard};

use crate::{
    error::{Error, ErrorKind, Result},
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    location::{Slot, Word},
    log::{Appended, Batch, Reservation},
    version::{
        Change, Mode, Payload, Said, TxnId, View,
        chain::{self, Held, State, Swept, VERSION_BYTES},
    },
    volume::{Datastore, Shared, gate::Ticket, tree::Tree},
};

/// Log space is reserved in steps of this size.
const RESERVE_STEP_BYTES: u64 = 64 << 10;
/// What an item takes in the log beyond key and value, at most, with its share of a frame.
const ITEM_OVERHEAD_BYTES: u64 = 160;

/// A part whose keys took more memory than this is not used again.
const KEPT_BYTES: usize = 64 << 10;

pub(super) struct Part {
    pub(super) volume: Arc<Shared>,
    trees: Vec<Arc<Tree>>,
    writes: Vec<Write>,
    /// The keys of `writes`, end to end.
    keys: Vec<u8>,
    /// Space in the log that the commit will need for other things than removals.
    needed_bytes: u64,
    reserved_bytes: u64,
    reservation: Option<Reservation>,
    /// Not yet resolved: counted in its trees and in the volume.
    entered: bool,
    /// The batch that the part was logged as.
    pub(super) batch_id: Option<u64>,
    /// Held while what is in the log and what is in the index may differ.
    inside: Option<Ticket>,
}

struct Write {
    tree: usize,
    key: Range<usize>,
    held: Held,
    /// The write turned a plain slot into a chain, and so sees to its settling.
    founded: bool,
}

impl Part {
    pub(super) fn new(volume: Arc<Shared>) -> Self {
        volume.enter();
        Self {
            volume,
            trees: Vec::new(),
            writes: Vec::new(),
            keys: Vec::new(),
            needed_bytes: 0,
            reserved_bytes: 0,
            reservation: None,
            entered: true,
            batch_id: None,
            inside: None,
        }
    }

    /// A commit, or taking one back, begins: a checkpoint does not start between its parts.
    pub(super) fn enter_gate(&mut self) {
        if self.inside.is_none() {
            self.inside = Some(self.volume.gate.take_ticket());
        }
    }

    /// The index says what the log says, or the commit has failed.
    pub(super) fn leave_gate(&mut self) {
        if let Some(ticket) = self.inside.take() {
            self.volume.gate.leave(ticket);
        }
    }

    /// Forgets what became of a part that is over, and keeps its memory for another; `None` if
    /// that is too much to keep.
    pub(super) fn emptied(mut self) -> Option<Self> {
        if self.entered || self.keys.capacity() > KEPT_BYTES {
            return None;
        }
        self.trees.clear();
        self.writes.clear();
        self.keys.clear();
        self.needed_bytes = 0;
        self.reserved_bytes = 0;
        self.reservation = None;
        self.batch_id = None;
        Some(self)
    }

    /// Takes an emptied part into use again.
    pub(super) fn reused(mut self) -> Self {
        self.volume.enter();
        self.entered = true;
        self
    }

    pub(super) fn is_on(&self, volume: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.volume, volume)
    }

    /// Links a version for `change`, or changes the one that is there.
    pub(super) fn write(
        &mut self,
        owner: TxnId,
        datastore: &Datastore,
        view: &dyn View,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Result<()> {
        check_lengths(key, change)?;
        datastore.check_handle()?;
        self.volume.check_writable()?;
        let needed_bytes = self.needed_bytes;
        self.reserve(key, change)?;
        let tree = self.enter(datastore)?;
        let payload_bytes = match change {
            Change::Put(value) => value.len(),
            _ => 0,
        };
        self.volume
            .unsettled
            .check_budget(VERSION_BYTES + payload_bytes)?;
        let guard = epoch::pin();
        let volume = &self.volume;
        let linked = self.trees[tree].index.update(key, &guard, |word| {
            match link(volume, Word(word), owner, view, change, mode, &guard) {
                Ok((word, linked)) => (word.0, Ok(linked)),
                Err(why) => (word, Err(why)),
            }
        })?;
        if let Linked::New { held, founded } = linked {
            let start = self.keys.len();
            self.keys.extend_from_slice(key);
            self.writes.push(Write {
                tree,
                key: start..start + key.len(),
                held,
                founded,
            });
        } else if let Linked::Changed { grown } = linked {
            // The item is counted already; only a longer value takes more room.
            self.needed_bytes = needed_bytes.saturating_add_signed(grown.max(0) as i64);
        }
        Ok(())
    }

    /// Enters the datastore's tree of now; returns its place in `trees`.
    fn enter(&mut self, datastore: &Datastore) -> Result<usize> {
        datastore.with_tree(|tree| {
            if let Some(index) = self.trees.iter().position(|t| Arc::ptr_eq(t, tree)) {
                return Ok(index);
            }
            tree.enter()?;
            self.trees.push(tree.clone());
            Ok(self.trees.len() - 1)
        })
    }

    /// Makes sure that the log has room for what the commit will append. Removals are let
    /// through on a full volume: the log keeps a reserve for them.
    fn reserve(&mut self, key: &[u8], change: Change<'_>) -> Result<()> {
        let value = match change {
            Change::Put(value) => value.len(),
            Change::Remove | Change::Reserve => return Ok(()),
        };
        self.needed_bytes += ITEM_OVERHEAD_BYTES + (key.len() + value) as u64;
        if self.needed_bytes <= self.reserved_bytes {
            return Ok(());
        }
        let log = &self.volume.log;
        let wanted = RESERVE_STEP_BYTES.max(2 * self.needed_bytes);
        (self.reserved_bytes, self.reservation) = match log.reserve(wanted) {
            Ok(reservation) => (wanted, Some(reservation)),
            Err(_) => {
                // Not on top of what is reserved already: on a nearly full volume that counts.
                self.reservation = None;
                self.reserved_bytes = 0;
                let needed_bytes = self.needed_bytes;
                let reservation = self.volume.when_room(|| log.reserve(needed_bytes))?;
                (needed_bytes, Some(reservation))
            }
        };
        Ok(())
    }

    /// Appends the part's batch in the space reserved for it; one that only removes may use
    /// what the log keeps in reserve.
    pub(super) fn append(&mut self, batch: &mut Batch) -> Result<Appended> {
        match &mut self.reservation {
            Some(promise) => self.volume.log.append_promised(batch, promise),
            None => self.volume.log.append(batch, true),
        }
    }

    /// Fails if a write outside any transaction came on top of one of ours.
    pub(super) fn check_overruled(&self) -> Result<()> {
        if !self.trees.iter().any(|tree| tree.is_overruled()) {
            return Ok(());
        }
        let guard = epoch::pin();
        for write in &self.writes {
            let key = &self.keys[write.key.clone()];
            let word = Word(self.trees[write.tree].index.get(key, &guard));
            if chain::is_overruled(word, &write.held, &guard) {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "a write outside any transaction replaced an item that this transaction wrote; roll back and retry",
                ));
            }
        }
        Ok(())
    }

    /// Adds the part's items to `batch`, in the order in which they were written.
    pub(super) fn encode(&self, batch: &mut Batch) {
        let guard = epoch::pin();
        for write in &self.writes {
            let version = write.held.version();
            let value = match version.payload.get(&guard) {
                Said::Bytes(bytes) => Some(bytes),
                Said::Tombstone => None,
                Said::Reserve | Said::At(_) => continue,
            };
            let key = &self.keys[write.key.clone()];
            batch.push(
                self.trees[write.tree].id,
                version.sequence,
                version.overtakes,
                key,
                value,
            );
        }
    }

    /// The part is in the log: values give way to their places there.
    pub(super) fn logged(&mut self, appended: &Appended) {
        let guard = epoch::pin();
        let mut bytes = 0;
        let mut places = appended.locations.iter();
        for write in &self.writes {
            let payload = &write.held.version().payload;
            match payload.get(&guard) {
                Said::Bytes(_) => {
                    if let Some(&location) = places.next() {
                        bytes += payload.replace(Payload::at(location), &guard);
                    }
                }
                Said::Tombstone => drop(places.next()),
                Said::Reserve | Said::At(_) => {}
            }
        }
        self.volume.unsettled.add_bytes(bytes);
        self.batch_id = Some(appended.batch_id);
        self.reservation = None;
    }

    /// Resolves the part's versions as committed, and queues the chains it founded.
    pub(super) fn publish(&mut self, owner: TxnId) {
        for write in &self.writes {
            write.held.version().resolve(State::Committed);
        }
        self.queue_founded(owner);
        self.leave();
    }

    fn queue_founded(&self, owner: TxnId) {
        let founded = self.writes.iter().filter(|write| write.founded);
        self.volume.unsettled.push(
            owner,
            founded.map(|write| (&self.trees[write.tree], &self.keys[write.key.clone()])),
        );
    }

    /// Takes the part's versions out again, committed or not: nobody has seen them.
    pub(super) fn undo(&mut self, owner: TxnId) {
        let guard = epoch::pin();
        for write in self.writes.drain(..) {
            let key = &self.keys[write.key.clone()];
            let tree = &self.trees[write.tree];
            let mut swept = Swept::default();
            let bytes = write.held.version().payload_bytes();
            tree.index.update(key, &guard, |word| {
                (
                    chain::unlink(Word(word), &write.held, &guard, &mut swept).0,
                    (),
                )
            });
            self.volume.unsettled.sweep(&swept, &self.volume.log);
            self.volume.unsettled.add_bytes(-(bytes as isize));
            // Others' versions on a chain that this transaction founded still have to settle.
            if write.founded
                && let Some(newest) = swept.newest_left
            {
                let chain = (tree, key);
                self.volume
                    .unsettled
                    .push(newest.max(owner), std::iter::once(chain));
            }
        }
        self.keys.clear();
        self.leave();
    }

    fn leave(&mut self) {
        self.reservation = None;
        if std::mem::take(&mut self.entered) {
            self.trees.iter().for_each(|tree| tree.leave());
            self.volume.leave();
        } else {
            // Taken back after it was published: nobody should have seen it, and nobody goes on to.
            self.trees.iter().for_each(|tree| tree.note_change());
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.leave_gate();
    }
}

fn check_lengths(key: &[u8], change: Change<'_>) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(key_too_long(key.len()));
    }
    match change {
        Change::Put(value) if value.len() > VALUE_BYTES_MAX => Err(value_too_long(value.len())),
        _ => Ok(()),
    }
}

pub(crate) fn key_too_long(bytes: usize) -> Error {
    Error::new(
        ErrorKind::KeyTooLong,
        format!("the key has {bytes} bytes; the longest that fits has {KEY_BYTES_MAX}"),
    )
}

pub(crate) fn value_too_long(bytes: usize) -> Error {
    Error::new(
        ErrorKind::ValueTooLong,
        format!("the value has {bytes} bytes; the longest that fits has {VALUE_BYTES_MAX}"),
    )
}

/// What a write did to its slot.
enum Linked {
    /// It linked a version; `founded` if that made a chain of a plain slot.
    New { held: Held, founded: bool },
    /// It changed the transaction's own version, whose value grew by so many bytes.
    Changed { grown: isize },
}

/// Does a write under the leaf's latch: conflict, existence, then the new head. Returns the
/// slot's new word.
fn link(
    volume: &Shared,
    word: Word,
    owner: TxnId,
    view: &dyn View,
    change: Change<'_>,
    mode: Mode,
    guard: &Guard,
) -> Result<(Word, Linked)> {
    // As WiredTiger's own tables do it: a duplicate is told before a conflict, but that an item is
    // missing only after one, so that an item which someone else has just made is not missed.
    if mode == Mode::Absent {
        check_mode(word, view, mode, guard)?;
        chain::check_conflict(word, view, guard)?;
    } else {
        chain::check_conflict(word, view, guard)?;
        check_mode(word, view, mode, guard)?;
    }
    if let Some(own) = chain::own_head(word, owner, guard) {
        // A reservation of what the transaction has written already says nothing new.
        let grown = match change {
            Change::Reserve => 0,
            _ => own.payload.replace(payload(change), guard),
        };
        volume.unsettled.add_bytes(grown);
        return Ok((word, Linked::Changed { grown }));
    }
    let word = volume.unsettled.trim(word, &volume.log, guard);
    let founded = !matches!(word.slot(), Slot::Chain(_));
    let (head, held) = chain::link(
        word,
        owner,
        volume.next_sequence(),
        payload(change),
        State::Unresolved,
        guard,
    );
    let bytes = VERSION_BYTES + held.version().payload_bytes();
    volume.unsettled.add_bytes(bytes as isize);
    Ok((head, Linked::New { held, founded }))
}

fn check_mode(word: Word, view: &dyn View, mode: Mode, guard: &Guard) -> Result<()> {
    let wanted = match mode {
        Mode::Any => return Ok(()),
        Mode::Absent => false,
        Mode::Present => true,
    };
    match (chain::read(word, view, guard)?.is_present(), wanted) {
        (true, false) => Err(Error::new(
            ErrorKind::ItemExists,
            "an item with that key exists already",
        )),
        (false, true) => Err(Error::new(ErrorKind::ItemNotFound, "no item with that key")),
        _ => Ok(()),
    }
}

fn payload(change: Change<'_>) -> Payload {
    match change {
        Change::Put(value) => Payload::bytes(value),
        Change::Remove => Payload::tombstone(),
        Change::Reserve => Payload::reserve(),
    }
}
