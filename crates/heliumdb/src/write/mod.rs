//! Writing: what all writes go through, in transactions and outside them.
//!
//! [`Writing`] gives the numbers of versions, and knows who may still log one ([`pending`]), who looks ([`manager`]), what may
//! be taken back ([`certainty`]) and who is between the log and the index ([`gate`]). A version is linked in one place
//! ([`link`]), with what must hold of it ([`check`]); what nobody needs of it any more goes by [`settle`] and [`thin`]. Items of
//! the store's own trees are [`records`], and [`decisions`] those about transactions over several volumes. Writers are slowed
//! as room sinks ([`pace`]).
//!
//! Invariant: nothing here knows of volumes, of transactions or of who cleans. Whoever takes a number says before, by
//! [`Writing::enter`] or under a lock of his own, that something with one may come.

mod cancelling;
pub(crate) mod certainty;
pub(crate) mod check;
pub(crate) mod decisions;
mod direct;
pub(crate) mod gate;
mod link;
pub(crate) mod lost_decisions;
mod manager;
mod pace;
mod pending;
mod records;
mod settle;
mod thin;

pub(crate) use cancelling::Cancelling;
pub(crate) use certainty::Certainty;
pub(crate) use decisions::Decisions;
pub(crate) use direct::Expect;
pub(crate) use gate::{Gate, Ticket};
pub(crate) use manager::{Hold, Manager};
pub(crate) use pace::{Pace, short_bytes};
pub(crate) use pending::Open;
pub(crate) use records::{OwnRecords, read_all};
pub(crate) use settle::Unsettled;
pub(crate) use thin::Haste;

use std::sync::{
    Arc,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::{
    access::Access,
    error::{Error, ErrorKind, Result},
    log::Log,
    version::{Attempt, Horizon, Readers, TxnId, Waiting},
};
use pending::Writers;

/// Who gives the ids of the transactions that write to a volume, and knows their snapshots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Keeper {
    /// The store itself.
    Native = 1,
    /// Somebody else, through [`crate::host::WriteSet`].
    External = 2,
}

/// See the module.
pub(crate) struct Writing {
    access: Arc<Access>,
    log: Arc<Log>,
    pub(crate) gate: Gate,
    pub(crate) unsettled: Unsettled,
    /// Operations outside transactions that wait for commits.
    pub(crate) waiting: Waiting,
    /// The volume's own transactions, unless somebody else keeps them.
    pub(crate) native: Arc<Manager>,
    pub(crate) certainty: Certainty,
    /// Held while a batch links its versions, so that no two of them mix.
    pub(crate) batching: Mutex<()>,
    /// A [`Keeper`], or zero while nobody has asked.
    keeper: AtomicU8,
    /// Written by every write: not on a line that readers look at.
    next_sequence: CachePadded<AtomicU64>,
    /// What it was when the volume was opened.
    first_sequence: u64,
    /// Transactions that may have versions here which are not resolved.
    writers: Writers,
}

impl Writing {
    pub(crate) fn new(access: &Arc<Access>, next_sequence: u64) -> Arc<Self> {
        Arc::new(Self {
            gate: Gate::default(),
            unsettled: Unsettled::new(access.options().version_budget_bytes),
            waiting: Waiting::default(),
            native: Manager::new(access.owner()),
            certainty: Certainty::default(),
            batching: Mutex::new(()),
            keeper: AtomicU8::new(0),
            next_sequence: AtomicU64::new(next_sequence).into(),
            first_sequence: next_sequence,
            writers: Writers::default(),
            log: access.log().clone(),
            access: access.clone(),
        })
    }

    /// A sequence number above all given before.
    #[inline]
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence.fetch_add(1, Ordering::SeqCst)
    }

    /// The sequence number that is given next.
    #[inline]
    pub(crate) fn sequence(&self) -> u64 {
        self.next_sequence.load(Ordering::SeqCst)
    }

    /// How many numbers were given since the volume was opened.
    pub(crate) fn writes(&self) -> u64 {
        self.sequence() - self.first_sequence
    }

    /// Does `attempt`, again after each commit that it depends on: by then who waits must hold
    /// nothing, not even the tree that it looked at.
    #[inline]
    pub(crate) fn when_resolved<T>(
        &self,
        attempt: impl FnMut() -> Result<Attempt<T>>,
    ) -> Result<T> {
        self.waiting
            .attempt(|| self.access.check_writable(), attempt)
    }

    /// Claims the volume for one keeper of transactions: ids of two would be taken for each other's.
    pub(crate) fn claim(&self, keeper: Keeper) -> Result<()> {
        let (free, mine) = (0, keeper as u8);
        let claimed = self
            .keeper
            .compare_exchange(free, mine, Ordering::AcqRel, Ordering::Acquire);
        match claimed {
            Ok(_) if keeper == Keeper::Native => self.unsettled.set_keeper(&self.native),
            Err(holder) if holder != mine => {
                let (holder, other) = match keeper {
                    Keeper::Native => ("the program that embeds it", "the volume itself"),
                    Keeper::External => ("the volume itself", "the program that embeds it"),
                };
                return Err(Error::new(
                    ErrorKind::InvalidArgument,
                    format!(
                        "transactions of the volume {} are kept by {holder} since it was opened; they cannot be kept by \
                         {other} at the same time",
                        self.access.url()
                    ),
                ));
            }
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn is_native(&self) -> bool {
        self.keeper.load(Ordering::Acquire) == Keeper::Native as u8
    }

    /// Who may still look, if the volume keeps its transactions itself.
    pub(crate) fn own_readers(&self) -> Option<Readers> {
        self.is_native().then(|| self.native.readers())
    }

    /// Who may still look, as `horizon` says it, unless the volume knows better: of its own transactions.
    pub(crate) fn readers(&self, horizon: &dyn Horizon) -> Readers {
        self.own_readers().unwrap_or_else(|| {
            // What may be taken back is needed as long as what somebody may look at.
            let said = horizon.oldest().min(horizon.final_below());
            // Before anything is said of them in the log. Whoever is being cancelled now stays, too.
            let oldest = self.certainty.forget_below(said).min(said);
            Readers {
                oldest,
                final_below: oldest,
                snapshots: horizon.snapshots(),
                wrote: 0,
            }
        })
    }

    /// Settles what no one of `readers` needs, of so many chunks of chains; returns how many became plain slots.
    pub(crate) fn settle(&self, readers: &Readers, most: usize) -> usize {
        self.unsettled.settle(readers, most, &self.log)
    }

    /// A transaction is about to write here; [`Writing::leave`] ends that.
    pub(crate) fn enter(&self) -> Open {
        self.writers.open(self.sequence())
    }

    /// Nothing more of it is logged.
    pub(crate) fn leave(&self, open: Open) {
        self.writers.close(open);
    }

    /// How many transactions that wrote here have come to their end.
    pub(crate) fn writers_ended(&self) -> u64 {
        self.writers.ended()
    }

    /// Tells the log that no item with a lower sequence number than this will come any more: than the
    /// lowest that an open transaction may still log, or than the next one that is given. What depends on
    /// that, which segments can go and what checkpoints say of overtakers, is background work: so is this.
    pub(crate) fn report_pending(&self) {
        let next = self.sequence();
        let lowest = self.writers.lowest(next);
        self.log.set_oldest_pending(lowest);
        self.certainty.forget_overtakers(lowest);
    }

    /// Who owns less than this has committed for good, or not at all.
    pub(crate) fn final_below(&self) -> TxnId {
        match self.is_native() {
            // What the volume's own transactions committed is never taken back.
            true => TxnId::MAX,
            false => self.unsettled.oldest(),
        }
    }

    /// Asks for a look through all versions for what nobody needs; false if that would find nothing.
    pub(crate) fn want_pass(&self) -> bool {
        self.own_readers()
            .is_some_and(|readers| self.unsettled.want_pass(&readers))
    }

    /// A step of looking through versions for what nobody needs, if that is due.
    pub(crate) fn thin(&self, haste: Haste) -> bool {
        self.is_native() && self.unsettled.has_any() && {
            let readers = self.native.readers();
            let clock = &self.access.options().clock;
            self.unsettled.thin(&readers, haste, clock, &self.log)
        }
    }
}
