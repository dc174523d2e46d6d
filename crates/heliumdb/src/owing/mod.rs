//! What a volume owes to those that took part in transactions that it decided, and what it is owed.
//!
//! Invariant: a question is answered only by what is known to be durable and cannot be taken back; as
//! long as it may go either way there is no answer. A volume that closes settles first what can be.

mod lost;
mod owed;

pub(crate) use lost::check_none;
pub(crate) use owed::{Owed, Participant};

use std::{
    collections::HashSet,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use crate::{
    error::{Error, ErrorKind, Result},
    format::name::GlobalTxn,
    ground::Ground,
    id::VolumeId,
    log::Log,
    version::TxnId,
    write::{decisions::has_decided, read_all},
};

/// Finds the volumes of this process with an id, copies among them.
pub(crate) type FindOpen = fn(VolumeId) -> Vec<Arc<Owing>>;

/// See the module.
pub(crate) struct Owing {
    on: Ground,
    find_open: FindOpen,
    /// How many transactions over several volumes this one was to decide since it was opened.
    names_given: AtomicU64,
    /// Those that this volume is deciding.
    deciding: Mutex<HashSet<GlobalTxn>>,
    owed: Mutex<Vec<Owed>>,
    /// The volumes that owe this one.
    deciders: Mutex<Vec<Weak<Owing>>>,
    /// Since it was opened it was made for a copy, or got one, of the volume that its id is of.
    is_new_copy: AtomicBool,
}

/// A transaction that a volume is deciding, until this is dropped.
pub(crate) struct Deciding {
    decider: Arc<Owing>,
    name: GlobalTxn,
}

impl Deciding {
    /// Gives a transaction its name.
    pub(crate) fn begin(decider: &Arc<Owing>) -> Result<Self> {
        let epoch = decider.on.log.begin_epoch()?;
        let count = decider.names_given.fetch_add(1, Ordering::Relaxed);
        let name = GlobalTxn::new(decider.on.access.id(), epoch, count)?;
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

/// Lets deciders settle what they owe to a volume that closes, or has closed.
pub(crate) fn settle_with(deciders: &[Weak<Owing>]) {
    for decider in deciders.iter().filter_map(Weak::upgrade) {
        if decider.on.access.check_writable().is_ok() {
            decider.step(0);
        }
    }
}

impl Owing {
    pub(crate) fn new(on: Ground, find_open: FindOpen) -> Arc<Self> {
        Arc::new(Self {
            is_new_copy: AtomicBool::new(on.log.is_unfinished_copy()),
            on,
            find_open,
            names_given: AtomicU64::new(0),
            deciding: Mutex::default(),
            owed: Mutex::new(Vec::new()),
            deciders: Mutex::default(),
        })
    }

    /// Whether the volume `id` was opened anew, for writing, since it had the log `before`, if any: what was
    /// in doubt there has been settled, durably.
    fn opened_since(&self, id: VolumeId, before: Option<&Arc<Log>>) -> bool {
        if before.is_some_and(|before| !before.health().is_closed()) {
            return false;
        }
        // A copy that is being made, or was just made, says nothing of the volume that it is a copy of.
        let counts = |now: &Arc<Self>| !now.is_read_only() && !now.is_new_copy();
        let now = only((self.find_open)(id)).filter(counts);
        now.is_some_and(|now| before.is_none_or(|before| !Arc::ptr_eq(before, &now.on.log)))
    }

    /// Whether the volume was opened read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.on.access.options().read_only
    }

    /// Remembers a decision, logged as a part of `batch`, until its participants have durably resolved
    /// their parts.
    pub(crate) fn owe(&self, owed: Owed, batch: u64) {
        if !self.on.writing.is_native() {
            // It is not certain before the transaction was published and let go.
            self.on
                .writing
                .certainty
                .committed(owed.owner(), batch, None);
        }
        self.owed.lock().push(owed);
    }

    /// The transaction of `owner` that is owed.
    pub(crate) fn find(&self, owner: TxnId) -> Option<GlobalTxn> {
        let owed = self.owed.lock();
        let found = owed.iter().find(|owed| owed.owner() == owner);
        found.map(Owed::name)
    }

    pub(crate) fn forget(&self, owner: TxnId) {
        self.owed.lock().retain(|owed| owed.owner() != owner);
    }

    /// Settles what can be, given that nobody below `below` can be taken back.
    pub(crate) fn step(&self, below: TxnId) {
        self.owed.lock().retain_mut(|owed| !owed.step(below, self));
    }

    /// No one can cancel any more: resolves what was decided, and forgets it.
    pub(crate) fn close(&self) {
        // But for who is cancelling now: they find the log closed, and their volumes poisoned.
        let below = self.on.writing.certainty.forget_below(TxnId::MAX);
        self.step(below);
        for owed in self.owed.lock().iter() {
            // A participant that is closed already has its question answered at the next open.
            let _ = owed.flush();
        }
        self.step(below);
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
    pub(crate) fn adopt_decisions(
        self: &Arc<Self>,
        fresh: &[VolumeId],
        open: impl Fn(VolumeId) -> Option<Arc<Self>>,
    ) -> Result<()> {
        for (key, participants) in read_all(self.on.decisions.tree(), &self.on.log)? {
            let Some(name) = GlobalTxn::of_decision(self.on.access.id(), &key) else {
                continue;
            };
            let participant = |id: &[u8; 16]| {
                let id = VolumeId(*id);
                if fresh.contains(&id) {
                    return Participant::settled(id);
                }
                let open = open(id).filter(|volume| !volume.is_read_only());
                if let Some(volume) = &open {
                    volume.note_decider(self);
                }
                Participant::new(id, open.map(|volume| volume.on.log.clone()))
            };
            let participants = participants.as_chunks().0.iter().map(participant);
            let owed = Owed::new(0, name, participants.collect());
            self.owed.lock().push(owed);
        }
        self.step(0);
        Ok(())
    }

    /// Takes those who owe this volume, which is about to close.
    pub(crate) fn take_deciders(&self) -> Vec<Weak<Self>> {
        std::mem::take(&mut *self.deciders.lock())
    }

    /// Holds up who settles, or closes.
    #[cfg(test)]
    pub(crate) fn hold(&self) -> parking_lot::MutexGuard<'_, Vec<Owed>> {
        self.owed.lock()
    }

    /// The volume is closed.
    pub(crate) fn clear(&self) {
        self.owed.lock().clear();
    }

    /// A copy is put into it, which may be one of the volume that its id is of.
    pub(crate) fn set_new_copy(&self, keeps_id: bool) {
        self.is_new_copy.store(keeps_id, Ordering::Release);
    }

    /// What became of a transaction that this volume decides and `asker` prepared for; an error if
    /// that is not certain, or not known to be durable.
    pub(crate) fn answer(&self, name: GlobalTxn, asker: VolumeId) -> Result<bool> {
        self.on.access.check_open()?;
        if self.is_new_copy() {
            return Err(new_copy(self.on.access.url()));
        }
        self.on
            .log
            .medium()
            .assure()
            .map_err(|why| not_durable(self.on.access.url(), why))?;
        if self.is_read_only() {
            return has_decided(&self.on.decisions.tree().index, &self.on.log, name, asker);
        }
        let answer = self.answer_now(name, asker);
        // Looked at last: a decision whose sync has failed is not being made any more, and unknown.
        match self.on.log.health().poisoned() {
            Some(why) => Err(not_durable(self.on.access.url(), why)),
            None => match answer.ok_or_else(|| self.not_final())? {
                // It may have been decided, and lost.
                false => has_decided(&self.on.decisions.tree().index, &self.on.log, name, asker),
                true => Ok(true),
            },
        }
    }

    /// Whether a copy was put into it since it was opened: the decisions in it are not its own before
    /// it is opened as a volume.
    pub(crate) fn is_new_copy(&self) -> bool {
        self.is_new_copy.load(Ordering::Acquire)
    }

    /// Whether it keeps decisions that others may still ask for, or is to.
    pub(crate) fn owes(&self) -> bool {
        self.on.decisions.has_any() || !self.owed.lock().is_empty()
    }

    /// `None` as long as it may go either way.
    fn answer_now(&self, name: GlobalTxn, asker: VolumeId) -> Option<bool> {
        if self.deciding.lock().contains(&name) {
            return None;
        }
        let owed = self.owed.lock();
        match owed.iter().find(|owed| owed.name() == name) {
            Some(owed) => owed
                .is_final(0, &self.on.decisions)
                .then(|| owed.is_for(asker)),
            // One that is there and not owed is being taken back, or deleted.
            None => (!self.on.decisions.has(name)).then_some(false),
        }
    }

    fn not_final(&self) -> Error {
        Error::new(
            ErrorKind::InDoubt,
            format!(
                "a transaction that volume {} decides can still be taken back: open the volume again when the \
                 transaction is over",
                self.on.access.url()
            ),
        )
    }
}

/// The volume, if it is the only one: of two copies nobody knows which one is meant.
pub(crate) fn only(mut found: Vec<Arc<Owing>>) -> Option<Arc<Owing>> {
    found.pop().filter(|_| found.is_empty())
}

/// Why a copy does not answer yet.
pub(crate) fn new_copy(url: &str) -> Error {
    Error::new(
        ErrorKind::InDoubt,
        format!(
            "whether a transaction over several volumes committed is not known to {url} before the copy that is made there is finished, closed, and opened again"
        ),
    )
}

/// Why a volume's answer is worth nothing.
pub(crate) fn not_durable(url: &str, why: Error) -> Error {
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
        let owed = volumes[0].shared().owing.owed.lock();
        owed.last().unwrap().name()
    }

    #[test]
    fn what_is_being_decided_has_no_answer() {
        let (_, volumes) = two([68 << 20, 69 << 20]);
        let decider = &volumes[0].shared().owing;
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
        assert!(!decider.answer(name, volumes[0].id()).unwrap());
        decider
            .on
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
        decider.owing.step(TxnId::MAX);
        participant.flush().unwrap();
        participant
            .log
            .health()
            .poison(Error::new(ErrorKind::Io, "a test"));
        for _ in 0..2 {
            decider.owing.step(TxnId::MAX);
            open_all(&urls).unwrap();
            assert!(decider.decisions.has(name));
        }
        // Nor when the decider is opened anew beside it.
        participant.close().unwrap_err();
        decider.owing.step(TxnId::MAX);
        assert!(decider.decisions.has(name));
    }
}
