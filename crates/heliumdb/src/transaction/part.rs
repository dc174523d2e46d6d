//! What a transaction has written on one volume.
//!
//! Invariant: each entry of `writes` holds an unresolved version of this transaction, whose
//! slot is under the same key, until the part is committed or undone.

use std::{ops::Range, sync::Arc};

use crossbeam_epoch as epoch;

use crate::{
    Isolation,
    datastore::Datastore,
    enough,
    error::{Error, ErrorKind, Result},
    format::name::GlobalTxn,
    location::Word,
    log::{Appended, Batch, Reservation},
    shared::Lease,
    tree::Tree,
    version::{
        Change, Mode, Payload, Readers, Said, Swept, TxnId, View,
        chain::{self, Held, VERSION_BYTES},
    },
    write::{Cancelling, Open, Ticket, check},
};

use super::{
    savepoint::Mark,
    slot::{Linked, Slotted},
    spill::Spill,
};

/// A part whose keys took more memory than this is not used again.
const KEPT_BYTES: usize = 64 << 10;

pub(super) struct Part {
    pub(super) volume: Arc<Lease>,
    pub(super) trees: Vec<Arc<Tree>>,
    pub(super) writes: Vec<Write>,
    /// The keys of `writes`, end to end.
    pub(super) keys: Vec<u8>,
    /// Space in the log that the commit will need for other things than removals.
    pub(super) needed_bytes: u64,
    /// For so much there is room: as much at least, and little more.
    pub(super) reserved_bytes: u64,
    pub(super) reservation: Option<Reservation>,
    /// Of that, what is for writes that are still to come.
    pub(super) ahead_bytes: u64,
    /// Not yet resolved: counted in its trees and in the volume.
    entered: Option<Open>,
    /// The batch that the part was logged as.
    pub(super) batch_id: Option<u64>,
    /// A version with a lower sequence number is not changed any more: another one goes on top.
    pub(super) in_place_from: u64,
    /// Bytes of values that are not in the log yet.
    pub(super) value_bytes: usize,
    /// What went to the log before the commit.
    pub(super) spill: Spill,
    /// Held while what is in the log and what is in the index may differ.
    inside: Option<Ticket>,
    /// The part was logged as a prepared batch of this transaction.
    pub(super) prepared: Option<GlobalTxn>,
    /// Under which id the part is committed, as long as it may be cancelled.
    taken_back_by: Option<TxnId>,
}

pub(super) struct Write {
    pub(super) tree: usize,
    pub(super) key: Range<usize>,
    pub(super) held: Held,
    /// The write turned a plain slot into a chain, and so sees to its settling.
    founded: bool,
    /// The transaction's own version below.
    shadowed: Option<Held>,
}

/// Who writes, and how.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub(super) owner: TxnId,
    pub(super) view: &'a dyn View,
    pub(super) manners: Manners,
    /// What is written was made of what `view` sees.
    pub(super) looks: bool,
}

/// What a writer does about others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Manners {
    /// As the keeper outside has it: at snapshot isolation the first updater wins.
    External,
    /// As above; and at any isolation nobody writes above what is not committed.
    Native,
    /// A batch: it never fails for others, who then fail at their commit.
    Blind,
}

impl Part {
    /// Whether this is a copy in a fork of the process that opened the volume.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.volume.access.is_elsewhere()
    }

    pub(super) fn new(volume: Arc<Lease>) -> Self {
        let entered = Some(volume.writing.enter());
        Self {
            volume,
            trees: Vec::new(),
            writes: Vec::new(),
            keys: Vec::new(),
            needed_bytes: 0,
            reserved_bytes: 0,
            reservation: None,
            ahead_bytes: 0,
            entered,
            batch_id: None,
            in_place_from: 0,
            value_bytes: 0,
            spill: Spill::default(),
            inside: None,
            prepared: None,
            taken_back_by: None,
        }
    }

    /// A commit, or taking one back, begins: a checkpoint does not start between its parts.
    pub(super) fn enter_gate(&mut self) {
        if self.inside.is_none() {
            self.inside = Some(self.volume.writing.gate.take_ticket());
        }
    }

    /// The index says what the log says, or the commit has failed.
    pub(super) fn leave_gate(&mut self) {
        if let Some(ticket) = self.inside.take() {
            self.volume.writing.gate.leave(ticket);
        }
    }

    /// Forgets what became of a part that is over, and keeps its memory for another; `None` if
    /// that is too much to keep.
    pub(super) fn emptied(mut self) -> Option<Self> {
        self.let_go();
        if self.entered.is_some() || self.keys.capacity() > KEPT_BYTES {
            return None;
        }
        self.trees.clear();
        self.writes.clear();
        self.keys.clear();
        self.needed_bytes = 0;
        self.reserved_bytes = 0;
        self.reservation = None;
        self.ahead_bytes = 0;
        self.batch_id = None;
        self.in_place_from = 0;
        self.value_bytes = 0;
        self.spill = Spill::default();
        self.prepared = None;
        Some(self)
    }

    /// Takes an emptied part into use again.
    pub(super) fn reused(mut self) -> Self {
        self.entered = Some(self.volume.writing.enter());
        self
    }

    pub(super) fn is_on(&self, volume: &Arc<Lease>) -> bool {
        Arc::ptr_eq(&self.volume, volume)
    }

    /// Links a version for `change`, or changes the one that is there. What is refused keeps no
    /// room, and takes none from what was accepted before.
    pub(super) fn write(
        &mut self,
        writer: Writer<'_>,
        datastore: &Datastore,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Result<()> {
        check::lengths(key, put_value(change))?;
        datastore.check_handle()?;
        self.volume.access.check_writable()?;
        self.check_memory(key, change)?;
        self.show_what_is_seen(writer);
        let needed_bytes = self.needed_bytes;
        self.reserve(key, change)?;
        let linked = self.link(writer, datastore, key, change, mode);
        match linked {
            Ok(None) => {}
            // The item is counted already; only a longer value takes more room.
            Ok(Some(grown)) => {
                self.needed_bytes = needed_bytes.saturating_add_signed(grown.max(0) as i64);
            }
            Err(_) => self.need_only(needed_bytes),
        }
        linked.map(drop)
    }

    /// Refuses what the system has no memory for, before anything is linked. A few removals go on without.
    fn check_memory(&mut self, key: &[u8], change: Change<'_>) -> Result<()> {
        let bytes = match change {
            Change::Put(value) => value.len(),
            Change::Reserve => 0,
            Change::Remove if self.keys.len() < KEPT_BYTES => return Ok(()),
            Change::Remove => 0,
        };
        enough::for_item(VERSION_BYTES + key.len() + bytes)?;
        enough::in_buffer(self.keys.try_reserve(key.len()))?;
        enough::in_buffer(self.writes.try_reserve(1))
    }

    /// What is written may be built on whatever the writer sees; what that is changes in a snapshot no more.
    fn show_what_is_seen(&self, writer: Writer<'_>) {
        let is_outside = writer.manners == Manners::External;
        if is_outside && (self.writes.is_empty() || writer.view.isolation() != Isolation::Snapshot)
        {
            self.volume.writing.certainty.show(writer.view);
        }
    }

    /// By how much the value of the version that was there grew, if there was one.
    fn link(
        &mut self,
        writer: Writer<'_>,
        datastore: &Datastore,
        key: &[u8],
        change: Change<'_>,
        mode: Mode,
    ) -> Result<Option<isize>> {
        let tree = self.enter(datastore, writer.view)?;
        let payload_bytes = put_value(change).map_or(0, <[u8]>::len);
        self.volume
            .writing
            .unsettled
            .check_budget(VERSION_BYTES + payload_bytes)?;
        let guard = epoch::pin();
        let slot = Slotted {
            writing: &self.volume.writing,
            log: &self.volume.log,
            in_place_from: self.in_place_from,
        };
        let linked = self.trees[tree].update(key, &guard, |word| {
            match slot.link(Word(word), writer, change, mode, &guard) {
                Ok((word, linked)) => (word.0, Ok(linked)),
                Err(why) => (word, Err(why)),
            }
        })?;
        match linked {
            Linked::New {
                held,
                founded,
                shadowed,
            } => {
                self.value_bytes += payload_bytes;
                let start = self.keys.len();
                self.keys.extend_from_slice(key);
                self.writes.push(Write {
                    tree,
                    key: start..start + key.len(),
                    held,
                    founded,
                    shadowed,
                });
                Ok(None)
            }
            Linked::Changed { grown } => {
                self.value_bytes = self.value_bytes.saturating_add_signed(grown);
                Ok(Some(grown))
            }
        }
    }

    /// Enters the datastore's tree of now; returns its place in `trees`.
    fn enter(&mut self, datastore: &Datastore, view: &dyn View) -> Result<usize> {
        datastore.with_tree(|tree| {
            if let Some(index) = self.trees.iter().position(|t| Arc::ptr_eq(t, tree)) {
                return Ok(index);
            }
            tree.enter()?;
            datastore
                .check_seen_by(view)
                .inspect_err(|_| tree.leave())?;
            self.trees.push(tree.clone());
            Ok(self.trees.len() - 1)
        })
    }

    /// Appends the part's batch in the space reserved for it; one that only removes may use
    /// what the log keeps in reserve.
    pub(super) fn append(&mut self, batch: &mut Batch) -> Result<Appended> {
        match &mut self.reservation {
            Some(promise) => self.volume.log.append_promised(batch, promise),
            None => self.volume.log.append(batch, true),
        }
    }

    /// Takes what the transaction itself has overwritten out of what it commits: nothing of it
    /// will be looked for any more.
    pub(super) fn drop_shadowed(&mut self) {
        let guard = epoch::pin();
        let shadowed = self.writes.iter_mut().filter_map(|w| w.shadowed.take());
        for held in shadowed {
            let payload = &held.version().payload;
            if let Said::At(location) = payload.get(&guard) {
                self.volume.log.mark_dead(location);
            }
            let freed = payload.replace(Payload::reserve(), &guard);
            self.volume.writing.unsettled.add_bytes(freed);
        }
    }

    /// From here on nobody decides past the part's versions; fails if someone has.
    pub(super) fn seal(&self) -> Result<()> {
        if self.writes.iter().all(|write| write.held.version().seal()) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "a write outside any transaction replaced an item that this transaction wrote; roll back and retry",
        ))
    }

    /// The part is not committed, at least not now.
    pub(super) fn unseal(&self) {
        let mut is_awaited = false;
        for write in &self.writes {
            is_awaited |= write.held.version().unseal();
        }
        if is_awaited {
            self.volume.writing.waiting.end_turn();
        }
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
            let tree = &self.trees[write.tree];
            batch.set_compress(tree.compresses());
            batch.push(tree.id, version.sequence, version.overtakes, key, value);
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
        self.volume.writing.unsettled.add_bytes(bytes);
        self.batch_id = Some(appended.batch_id);
        self.reservation = None;
    }

    /// Resolves the part's versions as committed.
    pub(super) fn publish(&mut self, owner: TxnId) {
        let guard = epoch::pin();
        // What the volume's own transactions committed is never taken back.
        let taken_back_by = if self.volume.writing.is_native() {
            0
        } else {
            owner
        };
        if let Some(batch) = self.batch_id.filter(|_| taken_back_by != 0) {
            self.volume
                .writing
                .certainty
                .committed(owner, batch, self.prepared);
            self.taken_back_by = Some(owner);
        }
        if let Some(name) = self.prepared {
            self.volume.log.note_committed(name);
        }
        let mut is_awaited = false;
        for write in &self.writes {
            let tree = &self.trees[write.tree];
            let version = write.held.version();
            // A reservation is not in the log, and changes nothing: it overtakes nobody either.
            if version.overtakes && version.payload.get(&guard) != Said::Reserve {
                let key = tree.index_key(&self.keys[write.key.clone()]);
                let certainty = &self.volume.writing.certainty;
                certainty.overtakes(tree.id, &key, version.sequence, taken_back_by);
            }
            let more = version.commit_alone(&guard).unwrap_or_else(|| {
                let key = &self.keys[write.key.clone()];
                let (more, is_awaited_here) = tree.update(key, &guard, |word| {
                    (word, chain::commit_among(Word(word), &write.held, &guard))
                });
                is_awaited |= is_awaited_here;
                more
            });
            tree.live.add(more);
        }
        if is_awaited {
            self.volume.writing.waiting.end_turn();
        }
        self.forget_own(owner);
        self.leave();
    }

    /// From here until what is returned is dropped the horizon does not pass the transaction.
    pub(super) fn begin_cancel(&self, owner: TxnId) -> Result<Cancelling> {
        Cancelling::begin(&self.volume.access, &self.volume.writing, owner)
    }

    /// Nobody can take the part back any more.
    fn let_go(&mut self) {
        if let Some(owner) = self.taken_back_by.take() {
            self.volume.writing.certainty.forget(owner);
        }
    }

    /// Queues the chains that the part founded: they settle when the horizon has passed `owner`.
    pub(super) fn queue_founded(&self, owner: TxnId) {
        let founded = self.writes.iter().filter(|write| write.founded);
        self.volume.writing.unsettled.push(
            owner,
            founded.map(|write| (&self.trees[write.tree], &self.keys[write.key.clone()])),
        );
    }

    /// Settles the chains that the part founded at once, where nobody needs what was before:
    /// everyone sees what was committed below `oldest`.
    pub(super) fn settle_founded(&self, owner: TxnId, oldest: TxnId) {
        if owner >= oldest {
            return self.queue_founded(owner);
        }
        let guard = epoch::pin();
        let readers = Readers::below(oldest);
        let (unsettled, log) = (&self.volume.writing.unsettled, &self.volume.log);
        for write in self.writes.iter().filter(|write| write.founded) {
            let (tree, key) = (&self.trees[write.tree], &self.keys[write.key.clone()]);
            if let Some(due) = unsettled.settle_one(tree, key, &readers, log, &guard) {
                unsettled.push(due, std::iter::once((tree, key)));
            }
        }
    }

    /// Takes the part's versions out again, committed or not: nobody has seen them.
    pub(super) fn undo(&mut self, owner: TxnId) {
        self.undo_to(owner, 0);
        self.spill.forget(&self.volume.log);
        self.leave();
    }

    /// Takes out all but the first `keep` versions, the last one first.
    fn undo_to(&mut self, owner: TxnId, keep: usize) {
        self.forget_own(owner);
        let guard = epoch::pin();
        let mut is_awaited = false;
        let keys_kept = self
            .writes
            .get(keep)
            .map_or(self.keys.len(), |w| w.key.start);
        for write in self.writes.drain(keep..).rev() {
            let key = &self.keys[write.key.clone()];
            let tree = &self.trees[write.tree];
            let mut swept = Swept::default();
            let version = write.held.version();
            let bytes = version.payload_bytes();
            if version.overtakes {
                let certainty = &self.volume.writing.certainty;
                let key = tree.index_key(key);
                certainty.forget_overtaker(tree.id, &key, version.sequence);
            }
            self.value_bytes = self.value_bytes.saturating_sub(bytes);
            let more = tree.update(key, &guard, |word| {
                let (word, more) = chain::unlink(Word(word), &write.held, &guard, &mut swept);
                (word.0, more)
            });
            tree.live.add(more);
            is_awaited |= swept.awaited;
            self.volume
                .writing
                .unsettled
                .sweep(&swept, &self.volume.log);
            self.volume.writing.unsettled.add_bytes(-(bytes as isize));
            // Others' versions on a chain that this transaction founded still have to settle.
            if write.founded
                && let Some(newest) = swept.newest_left
            {
                let chain = (tree, key);
                self.volume
                    .writing
                    .unsettled
                    .push(newest.max(owner), std::iter::once(chain));
            }
        }
        if is_awaited {
            self.volume.writing.waiting.end_turn();
        }
        self.keys.truncate(keys_kept);
        self.spill.keep(keep);
    }

    /// Where the part is now, to go back to.
    pub(super) fn mark(&mut self) -> Mark {
        self.in_place_from = self.volume.writing.next_sequence();
        Mark {
            writes: self.writes.len(),
            sequence: self.in_place_from,
            needed_bytes: self.needed_bytes,
            spilled_batches: self.spill.batches(),
        }
    }

    /// Goes back to a mark; on error nothing was undone.
    pub(super) fn undo_to_mark(&mut self, owner: TxnId, mark: &Mark) -> Result<()> {
        let is_logged = self.is_logged_from(mark.writes);
        if is_logged {
            self.spill.check_skip(mark.sequence)?;
        }
        self.undo_to(owner, mark.writes);
        self.in_place_from = self.in_place_from.max(mark.sequence);
        if is_logged {
            let next = self.volume.writing.next_sequence();
            self.spill.skip(mark.sequence, next);
        }
        if self.spill.batches() == mark.spilled_batches {
            self.need_only(mark.needed_bytes);
        } else {
            // What was spilled has used some of what was reserved.
            let needed_bytes = self.count_needed();
            self.need_only(needed_bytes);
        }
        Ok(())
    }

    /// Whether one of the writes from `first` on was spilled.
    fn is_logged_from(&self, first: usize) -> bool {
        let guard = epoch::pin();
        let said = |write: &Write| write.held.version().payload.get(&guard);
        let writes = self.writes.get(first..).unwrap_or_default();
        writes
            .iter()
            .any(|write| matches!(said(write), Said::At(_)))
    }

    /// What the transaction alone did not see any more others do, or it does again.
    fn forget_own(&self, owner: TxnId) {
        for tree in &self.trees {
            tree.stretches.forget_own(owner);
        }
    }

    fn leave(&mut self) {
        self.reservation = None;
        if let Some(open) = self.entered.take() {
            self.trees.iter().for_each(|tree| tree.leave());
            self.volume.writing.leave(open);
        } else {
            // Taken back after it was published: nobody should have seen it, and nobody goes on to.
            self.trees.iter().for_each(|tree| tree.note_change());
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.leave_gate();
        self.let_go();
    }
}

/// The value that it sets.
fn put_value(change: Change<'_>) -> Option<&[u8]> {
    match change {
        Change::Put(value) => Some(value),
        Change::Remove | Change::Reserve => None,
    }
}
