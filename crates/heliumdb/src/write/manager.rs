//! The keeper of a volume's own transactions: ids, and who may still look at what.
//!
//! Invariant: an id is running from before its first version is linked until after its last one
//! is stamped or gone; so whoever takes a snapshot sees all of a transaction or nothing. While any
//! snapshot is in use no write outside a transaction replaces an item without leaving a version. A
//! change of the catalog has an id too: what it replaced is kept until every snapshot in use sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::{
    process::Owner,
    threads,
    version::{Horizon, Readers, TxnId, TxnSnapshot},
};

/// Counters of writes that go on outside transactions: each thread uses one of them.
const SHARDS: usize = 8;
/// Looks at them before a begin gives way to other threads, and before it sleeps.
const SPINS: u32 = 64;
const YIELDS: u32 = 256;
const NAP: Duration = Duration::from_micros(50);

/// A volume's own transactions.
pub(crate) struct Manager {
    state: Mutex<State>,
    /// Snapshots in use, clones counted.
    in_use: CachePadded<AtomicUsize>,
    /// Writes under way, outside transactions, that leave no version of what they replace.
    plain: [CachePadded<AtomicUsize>; SHARDS],
    /// Something is kept for snapshots.
    keeps: AtomicBool,
    /// In a fork of this process nobody asks for the lock.
    owner: Owner,
}

/// What a change of the catalog replaced: dropping it forgets it.
type Past = Box<dyn Send + Sync>;

struct State {
    next: TxnId,
    /// How many snapshots were taken.
    moments: u64,
    /// In rising order.
    running: Vec<TxnId>,
    /// A snapshot of now, if one was taken since a transaction began or ended.
    current: Option<Arc<TxnSnapshot>>,
    /// Snapshots taken, in order; in use as long as somebody else has one.
    taken: Vec<Arc<TxnSnapshot>>,
    /// What changes of the catalog replaced, by their ids, for snapshots that do not see them.
    kept: Vec<(TxnId, Past)>,
    /// How many ids have ended that may have left versions, or kept others from going.
    wrote: u64,
}

impl State {
    fn current(&mut self) -> Arc<TxnSnapshot> {
        if let Some(current) = &self.current {
            return current.clone();
        }
        let snapshot = Arc::new(TxnSnapshot::new(&self.running, self.next));
        self.current = Some(snapshot.clone());
        snapshot
    }

    /// Forgets snapshots that are not in use: one reference is the list's, one that of `current`.
    fn forget_unused(&mut self) {
        let current = self.current.as_ref();
        self.taken.retain(|snapshot| {
            let is_current = current.is_some_and(|c| Arc::ptr_eq(c, snapshot));
            Arc::strong_count(snapshot) > 1 + usize::from(is_current)
        });
    }

    fn end(&mut self, id: TxnId, wrote: bool) {
        self.wrote += u64::from(wrote);
        if let Ok(index) = self.running.binary_search(&id) {
            self.running.remove(index);
            self.current = None;
        }
    }

    /// Takes out what no snapshot in use needs: they were taken in order, so that the first one
    /// says what all of them see.
    fn take_unneeded(&mut self) -> Vec<(TxnId, Past)> {
        self.forget_unused();
        let first = self.taken.first();
        let is_needed = |id| first.is_some_and(|first| !first.sees(id));
        let unneeded = self
            .kept
            .iter()
            .take_while(|kept| !is_needed(kept.0))
            .count();
        self.kept.drain(..unneeded).collect()
    }

    fn oldest(&self) -> TxnId {
        let running = self.running.first().copied().unwrap_or(self.next);
        // They were taken in order, so the lowest is the first.
        let low = self.taken.first().map_or(running, |first| first.low());
        running.min(low)
    }
}

impl Manager {
    pub(crate) fn new(owner: Owner) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                next: 1,
                moments: 0,
                running: Vec::new(),
                current: None,
                taken: Vec::new(),
                kept: Vec::new(),
                wrote: 0,
            }),
            in_use: CachePadded::default(),
            plain: Default::default(),
            keeps: AtomicBool::new(false),
            owner,
        })
    }

    /// A snapshot of now.
    pub(crate) fn take(self: &Arc<Self>) -> Hold {
        // In this order: a writer outside transactions that does not see this is seen below.
        self.in_use.fetch_add(1, Ordering::SeqCst);
        self.wait_for_plain();
        let mut state = self.state.lock();
        let ids = state.current();
        if !state
            .taken
            .last()
            .is_some_and(|last| Arc::ptr_eq(last, &ids))
        {
            state.forget_unused();
            state.taken.push(ids.clone());
        }
        state.moments += 1;
        let moment = state.moments;
        drop(state);
        Hold {
            moment,
            ids,
            _leaving: Leaving(self.clone()),
        }
    }

    /// Waits for the writes that began when no snapshot was in use: each is short.
    fn wait_for_plain(&self) {
        for shard in &self.plain {
            let mut looks = 0;
            while shard.load(Ordering::SeqCst) > 0 {
                looks += 1;
                match looks {
                    ..SPINS => std::hint::spin_loop(),
                    SPINS..YIELDS => thread::yield_now(),
                    _ => thread::sleep(NAP),
                }
            }
        }
    }

    /// An id for a transaction that is about to write.
    pub(crate) fn start(&self) -> TxnId {
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.running.push(id);
        state.current = None;
        id
    }

    /// The transaction is over: its versions are stamped, or gone. Returns the oldest id that
    /// someone may still need.
    pub(crate) fn end(&self, id: TxnId) -> TxnId {
        self.end_with(id, true)
    }

    fn end_with(&self, id: TxnId, wrote: bool) -> TxnId {
        let mut state = self.state.lock();
        state.end(id, wrote);
        state.forget_unused();
        state.oldest()
    }

    /// A change of the catalog begins: snapshots that are taken before [`Changing::finish`] do not
    /// see it.
    pub(crate) fn begin_change(&self) -> Changing<'_> {
        Changing {
            manager: self,
            id: self.start(),
        }
    }

    /// Lets go of what is kept for snapshots that are gone.
    fn let_go(&self) {
        let mut state = self.state.lock();
        let unneeded = state.take_unneeded();
        self.keeps.store(!state.kept.is_empty(), Ordering::SeqCst);
        drop(state);
        // Trees may go with it: not under the lock.
        drop(unneeded);
    }

    /// A write outside any transaction begins.
    pub(crate) fn begin_direct(&self) -> Direct<'_> {
        if self.in_use.load(Ordering::Relaxed) == 0 {
            let shard = &*self.plain[threads::number() % SHARDS];
            shard.fetch_add(1, Ordering::SeqCst);
            if self.in_use.load(Ordering::SeqCst) == 0 {
                return Direct::Plain(shard);
            }
            shard.fetch_sub(1, Ordering::SeqCst);
        }
        Direct::Versioned {
            manager: self,
            id: self.start(),
            wrote: false,
        }
    }

    /// Who may still look.
    pub(crate) fn readers(&self) -> Readers {
        if self.keeps.load(Ordering::Relaxed) {
            self.let_go();
        }
        let mut state = self.state.lock();
        state.forget_unused();
        let now = state.current();
        let mut snapshots = state.taken.clone();
        snapshots.push(now);
        Readers {
            oldest: state.oldest(),
            // The volume's own transactions are never taken back.
            final_below: TxnId::MAX,
            snapshots: Some(snapshots),
            wrote: state.wrote,
        }
    }
}

impl Horizon for Manager {
    fn oldest(&self) -> TxnId {
        let mut state = self.state.lock();
        state.forget_unused();
        state.oldest()
    }

    fn snapshots(&self) -> Option<Vec<Arc<TxnSnapshot>>> {
        self.readers().snapshots
    }
}

/// A change of the catalog, while it goes on; dropping it says that it did not happen.
pub(crate) struct Changing<'a> {
    manager: &'a Manager,
    id: TxnId,
}

impl Changing<'_> {
    /// The id of the change.
    pub(crate) fn id(&self) -> TxnId {
        self.id
    }

    /// The change happens in `install`, which is short, at one moment: snapshots taken before it
    /// do not see the change, those taken after it do. `past`, what it replaced, is dropped when
    /// all snapshots in use see it.
    pub(crate) fn finish(self, past: impl Send + Sync + 'static, install: impl FnOnce()) {
        let manager = self.manager;
        let mut state = manager.state.lock();
        install();
        state.end(self.id, false);
        state.kept.push((self.id, Box::new(past)));
        // Before the look at who is left: whoever leaves afterwards sees it.
        manager.keeps.store(true, Ordering::SeqCst);
        drop(state);
        drop(self);
        manager.let_go();
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.manager.end_with(self.id, false);
    }
}

/// A snapshot in use.
#[derive(Clone)]
pub(crate) struct Hold {
    /// Another one for each that is taken.
    moment: u64,
    // Goes first: what is kept for it can be let go of when the other field goes.
    ids: Arc<TxnSnapshot>,
    _leaving: Leaving,
}

/// Counts a snapshot in use, until it is dropped.
struct Leaving(Arc<Manager>);

impl Hold {
    /// See [`crate::host::View::moment`].
    pub(crate) fn moment(&self) -> u64 {
        self.moment
    }

    pub(crate) fn sees_all_below(&self, id: TxnId) -> bool {
        id <= self.ids.low()
    }

    pub(crate) fn sees(&self, id: TxnId) -> bool {
        self.ids.sees(id)
    }
}

impl Clone for Leaving {
    fn clone(&self) -> Self {
        self.0.in_use.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.in_use.fetch_sub(1, Ordering::SeqCst);
        if self.0.keeps.load(Ordering::SeqCst) && !self.0.owner.is_elsewhere() {
            self.0.let_go();
        }
    }
}

/// A write outside any transaction, while it goes on.
pub(crate) enum Direct<'a> {
    /// No snapshot is in use: what it replaces can go.
    Plain(&'a AtomicUsize),
    /// It has an id of its own, which the snapshots in use do not see.
    Versioned {
        /// Who gave it.
        manager: &'a Manager,
        /// The id.
        id: TxnId,
        /// It has left one.
        wrote: bool,
    },
}

impl Direct<'_> {
    /// The id that the version it leaves has; zero if it leaves none, or one that all see.
    pub(crate) fn owner(&self) -> TxnId {
        match self {
            Self::Plain(_) => 0,
            Self::Versioned { id, .. } => *id,
        }
    }

    /// The write was done.
    pub(crate) fn has_written(&mut self) {
        if let Self::Versioned { wrote, .. } = self {
            *wrote = true;
        }
    }
}

impl Drop for Direct<'_> {
    fn drop(&mut self) {
        match self {
            Self::Plain(shard) => {
                shard.fetch_sub(1, Ordering::SeqCst);
            }
            Self::Versioned { manager, id, wrote } => {
                manager.end_with(*id, *wrote);
            }
        }
    }
}
