//! What a volume owes to those that took part in transactions that it decided, and what it is owed.
//!
//! Invariant: a question is answered only by what is known to be durable and cannot be taken back; as
//! long as it may go either way there is no answer. A volume that closes settles first what can be.

use std::sync::{Arc, Weak, atomic::Ordering};

use super::{Shared, registry};
use crate::{
    error::{Error, ErrorKind, Result},
    format::name::GlobalTxn,
    id::VolumeId,
    log::Log,
    transaction::owed::{Owed, Participant},
    version::TxnId,
    write::{decisions::has_decided, read_all},
};

/// A transaction that a volume is deciding, until this is dropped.
pub(crate) struct Deciding {
    decider: Arc<Shared>,
    name: GlobalTxn,
}

impl Deciding {
    /// Gives a transaction its name.
    pub(crate) fn begin(decider: &Arc<Shared>) -> Result<Self> {
        let epoch = decider.log.begin_epoch()?;
        let count = decider.names_given.fetch_add(1, Ordering::Relaxed);
        let name = GlobalTxn::new(decider.id(), epoch, count)?;
        decider.deciding.lock().insert(name);
        Ok(Self {
            decider: decider.clone(),
            name,
        })
    }

    pub(crate) fn name(&self) -> GlobalTxn {
        self.name
    }
}

impl Drop for Deciding {
    fn drop(&mut self) {
        self.decider.deciding.lock().remove(&self.name);
    }
}

/// Whether the volume `id` was opened anew, for writing, since it had the log `before`, if any: what was
/// in doubt there has been settled, durably.
pub(crate) fn opened_since(id: VolumeId, before: Option<&Arc<Log>>) -> bool {
    if before.is_some_and(|before| !before.health().is_closed()) {
        return false;
    }
    // A copy that is being made, or was just made, says nothing of the volume that it is a copy of.
    let counts = |now: &Arc<Shared>| !now.access.options().read_only && !now.is_new_copy();
    let now = registry::with_id(id).filter(counts);
    now.is_some_and(|now| before.is_none_or(|before| !Arc::ptr_eq(before, &now.log)))
}

/// Lets deciders settle what they owe to a volume that closes, or has closed.
pub(super) fn settle_with(deciders: &[Weak<Shared>]) {
    for decider in deciders.iter().filter_map(Weak::upgrade) {
        if decider.access.check_writable().is_ok() {
            decider.step_owed(0);
        }
    }
}

impl Shared {
    /// Remembers a decision, logged as a part of `batch`, until its participants have durably resolved
    /// their parts.
    pub(crate) fn owe(&self, owed: Owed, batch: u64) {
        if !self.writing.is_native() {
            // It is not certain before the transaction was published and let go.
            self.writing.certainty.committed(owed.owner(), batch, None);
        }
        self.owed.lock().push(owed);
    }

    /// The transaction of `owner` that is owed.
    pub(crate) fn owed_by(&self, owner: TxnId) -> Option<GlobalTxn> {
        let owed = self.owed.lock();
        let found = owed.iter().find(|owed| owed.owner() == owner);
        found.map(Owed::name)
    }

    pub(crate) fn forget_owed(&self, owner: TxnId) {
        self.owed.lock().retain(|owed| owed.owner() != owner);
    }

    /// Settles what can be, given that nobody below `below` can be taken back.
    pub(super) fn step_owed(&self, below: TxnId) {
        self.owed
            .lock()
            .retain_mut(|owed| !owed.step(below, &self.decisions));
    }

    /// No one can cancel any more: resolves what was decided, and forgets it.
    pub(super) fn close_owed(&self) {
        // But for who is cancelling now: they find the log closed, and their volumes poisoned.
        let below = self.writing.certainty.forget_below(TxnId::MAX);
        self.step_owed(below);
        for owed in self.owed.lock().iter() {
            // A participant that is closed already has its question answered at the next open.
            let _ = owed.flush();
        }
        self.step_owed(below);
    }

    /// Remembers who decided about a part of this volume: who is asked before it closes.
    pub(crate) fn note_decider(&self, decider: &Arc<Self>) {
        let mut deciders = self.deciders.lock();
        deciders.retain(|known| known.strong_count() > 0);
        if deciders
            .iter()
            .all(|known| known.as_ptr() != Arc::as_ptr(decider))
        {
            deciders.push(Arc::downgrade(decider));
        }
    }

    /// Takes over the decisions that recovery found. `fresh` are the volumes that were opened for
    /// writing together with this one; `open` finds those that were open before.
    pub(super) fn adopt_decisions(
        self: &Arc<Self>,
        fresh: &[VolumeId],
        open: impl Fn(VolumeId) -> Option<Arc<Self>>,
    ) -> Result<()> {
        for (key, participants) in read_all(self.decisions.tree(), &self.log)? {
            let Some(name) = GlobalTxn::of_decision(self.id(), &key) else {
                continue;
            };
            let participant = |id: &[u8; 16]| {
                let id = VolumeId(*id);
                if fresh.contains(&id) {
                    return Participant::settled(id);
                }
                let open = open(id).filter(|volume| !volume.access.options().read_only);
                if let Some(volume) = &open {
                    volume.note_decider(self);
                }
                Participant::new(id, open.map(|volume| volume.log.clone()))
            };
            let participants = participants.as_chunks().0.iter().map(participant);
            let owed = Owed::new(0, name, participants.collect());
            self.owed.lock().push(owed);
        }
        self.step_owed(0);
        Ok(())
    }

    /// Whether others of this process find it by its path.
    pub(super) fn is_registered(&self) -> bool {
        self.registration.lock().is_some()
    }

    /// What became of a transaction that this volume decides and `asker` prepared for; an error if
    /// that is not certain, or not known to be durable.
    pub(super) fn answer(&self, name: GlobalTxn, asker: VolumeId) -> Result<bool> {
        self.access.check_open()?;
        if self.is_new_copy() {
            return Err(new_copy(self.access.url()));
        }
        self.log
            .medium()
            .assure()
            .map_err(|why| not_durable(self.access.url(), why))?;
        if self.access.options().read_only {
            return has_decided(&self.decisions.tree().index, &self.log, name, asker);
        }
        let answer = self.answer_now(name, asker);
        // Looked at last: a decision whose sync has failed is not being made any more, and unknown.
        match self.log.health().poisoned() {
            Some(why) => Err(not_durable(self.access.url(), why)),
            None => match answer.ok_or_else(|| self.not_final())? {
                // It may have been decided, and lost.
                false => has_decided(&self.decisions.tree().index, &self.log, name, asker),
                true => Ok(true),
            },
        }
    }

    /// Whether a copy was put into it since it was opened: the decisions in it are not its own before
    /// it is opened as a volume.
    pub(super) fn is_new_copy(&self) -> bool {
        self.is_new_copy.load(Ordering::Acquire)
    }

    /// Whether it keeps decisions that others may still ask for, or is to.
    pub(crate) fn owes(&self) -> bool {
        self.decisions.has_any() || !self.owed.lock().is_empty()
    }

    /// `None` as long as it may go either way.
    fn answer_now(&self, name: GlobalTxn, asker: VolumeId) -> Option<bool> {
        if self.deciding.lock().contains(&name) {
            return None;
        }
        let owed = self.owed.lock();
        match owed.iter().find(|owed| owed.name() == name) {
            Some(owed) => owed
                .is_final(0, &self.decisions)
                .then(|| owed.is_for(asker)),
            // One that is there and not owed is being taken back, or deleted.
            None => (!self.decisions.has(name)).then_some(false),
        }
    }

    fn not_final(&self) -> Error {
        Error::new(
            ErrorKind::InDoubt,
            format!(
                "a transaction that volume {} decides can still be taken back: open the volume again when the \
                 transaction is over",
                self.access.url()
            ),
        )
    }
}

/// Why a copy does not answer yet.
pub(super) fn new_copy(url: &str) -> Error {
    Error::new(
        ErrorKind::InDoubt,
        format!(
            "whether a transaction over several volumes committed is not known to {url} before the copy that is made there is finished, closed, and opened again"
        ),
    )
}

/// Why a volume's answer is worth nothing.
pub(super) fn not_durable(url: &str, why: Error) -> Error {
    why.context(format!(
        "whether a transaction over several volumes committed is known to volume {url} alone, and what it says may not \
         be on the medium; close it and open it again for writing"
    ))
    .with_kind(ErrorKind::InDoubt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Datastore, Isolation, Volume,
        host::{Change, Mode, View, WriteSet, open_all},
    };

    struct Everything(TxnId);

    impl View for Everything {
        fn own(&self) -> TxnId {
            self.0
        }

        fn isolation(&self) -> Isolation {
            Isolation::ReadCommitted
        }

        fn sees(&self, _id: TxnId) -> bool {
            true
        }
    }

    /// Two volumes of this process, the first of which decides.
    fn two(names: [u64; 2]) -> (Vec<(String, crate::VolumeOptions)>, Vec<Volume>) {
        let url = |bytes| (format!("he://./_{bytes}"), crate::VolumeOptions::default());
        let mut urls = names.map(url).to_vec();
        let volumes = open_all(&urls).unwrap();
        if volumes[0].id() > volumes[1].id() {
            urls.reverse();
        }
        let volumes = open_all(&urls).unwrap();
        (urls, volumes)
    }

    fn commit(volumes: &[Volume], id: TxnId) -> GlobalTxn {
        let create = |volume: &Volume| volume.create_datastore(b"store");
        let open = |volume: &Volume| volume.datastore(b"store").or_else(|_| create(volume));
        let stores: Vec<Datastore> = volumes.iter().map(|volume| open(volume).unwrap()).collect();
        let mut txn = WriteSet::new(id);
        for store in &stores {
            let (view, change) = (Everything(id), Change::Put(b"v"));
            txn.write(store, &view, b"k", change, Mode::Any).unwrap();
        }
        txn.commit(crate::Durability::Synced).unwrap();
        let owed = volumes[0].shared().owed.lock();
        owed.last().unwrap().name()
    }

    #[test]
    fn what_is_being_decided_has_no_answer() {
        let (_, volumes) = two([68 << 20, 69 << 20]);
        let decider = volumes[0].shared();
        let deciding = Deciding::begin(decider).unwrap();
        let (name, asker) = (deciding.name(), volumes[1].id());
        let refused = decider.answer(name, asker).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
        drop(deciding);
        assert!(!decider.answer(name, asker).unwrap());
        let name = commit(&volumes, 1);
        assert!(decider.answer(name, asker).unwrap());
        // Of another opening, though the count is the same.
        let other = GlobalTxn {
            number: name.number ^ 1 << 41,
            ..name
        };
        assert!(!decider.answer(other, asker).unwrap());
        assert!(!decider.answer(name, decider.id()).unwrap());
        decider
            .log
            .health()
            .poison(Error::new(ErrorKind::Io, "a test"));
        let refused = decider.answer(name, asker).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InDoubt, "{refused}");
    }

    #[test]
    fn a_participant_that_has_failed_proves_nothing_while_it_is_open() {
        let (urls, volumes) = two([70 << 20, 71 << 20]);
        let name = commit(&volumes, 1);
        let [decider, participant] = [0, 1].map(|i| volumes[i].shared());
        // Its record is written, but who knows what the medium has of it?
        decider.step_owed(TxnId::MAX);
        participant.flush().unwrap();
        participant
            .log
            .health()
            .poison(Error::new(ErrorKind::Io, "a test"));
        for _ in 0..2 {
            decider.step_owed(TxnId::MAX);
            open_all(&urls).unwrap();
            assert!(decider.decisions.has(name));
        }
        // Nor when the decider is opened anew beside it.
        participant.close().unwrap_err();
        decider.step_owed(TxnId::MAX);
        assert!(decider.decisions.has(name));
    }
}
