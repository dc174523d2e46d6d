//! What an error says is true, wherever in an operation it strikes: an error that names an unknown
//! outcome may be either way, any other means that nothing happened; and once nobody knows, none of
//! the volumes that took part acknowledges anything more.

use std::sync::{Arc, OnceLock};

use helium_sim::{Fault, FaultKind, Keeper, Machine, On};
use heliumdb::{
    Datastore, Durability, Error, ErrorKind, Isolation, Result, TransactionOptions, Volume,
    host::{Change, Mode},
};

use crate::{
    common::{Session, after_kill, after_power_loss, open},
    several_volumes::{commit_on, ordered, stores},
};

const KINDS: [FaultKind; 4] = [
    FaultKind::Eio,
    FaultKind::Late,
    FaultKind::SyncKeepsCache,
    FaultKind::SyncRevertsCache,
];

/// Longer than two segments, so that it is written while it is appended.
const LONG: usize = 2_300_000;
/// What a decision for two volumes takes in the log.
const DECISION_BYTES: usize = 24 + 8 + 16;

/// A fault at one change of what is tried.
#[derive(Clone, Copy, Debug)]
struct Strike {
    kind: FaultKind,
    nth: u64,
}

impl Strike {
    /// Does `act`, with the fault; true if it did not get as far as that.
    fn at<T>(self, machine: &Machine, act: impl FnOnce() -> T) -> (T, bool) {
        machine.plan(Fault {
            on: On::Change,
            nth: self.nth,
            for_ever: false,
            kind: self.kind,
        });
        let before = machine.changes();
        let done = act();
        machine.heal();
        (done, machine.changes() - before <= self.nth)
    }
}

/// Every kind of fault at every change, until `round` says that it made no more of them.
fn everywhere(round: impl Fn(Strike) -> bool) {
    for kind in KINDS {
        let mut nth = 0;
        while !round(Strike { kind, nth }) {
            nth += 1;
        }
    }
}

/// Whether the new value is there, on all volumes, after a kill and after a power loss.
fn outcomes(machine: &Machine, count: usize, strike: Strike) -> [bool; 2] {
    let disks: Vec<usize> = (0..count).collect();
    let all = [
        after_kill(machine, strike.nth),
        after_power_loss(machine, strike.nth),
    ];
    all.map(|after| {
        let found = stores(&open(&after, &disks).unwrap());
        let first = |store: &Datastore| store.get(b"k").unwrap().map(|value| value[0]);
        let found: Vec<_> = found.iter().map(first).collect();
        assert!(
            found.iter().all(|value| *value == found[0]),
            "{strike:?}: {found:?}"
        );
        found[0] == Some(b'n')
    })
}

fn all_refuse(all: &[Datastore], strike: Strike) {
    for store in all {
        let refused = store.put(b"more", b"v").map_err(|why| why.kind());
        assert_eq!(refused, Err(ErrorKind::Poisoned), "{strike:?}");
    }
}

/// Sets `k` to something that begins with an n on `count` volumes, and holds what that says against
/// what is there afterwards.
fn judge(count: usize, act: impl Fn(&[Volume], &[Datastore]) -> Result<()>) {
    let unknown = std::cell::Cell::new(0);
    everywhere(|strike| {
        let (machine, volumes, all) = ordered(count);
        let (done, is_over) = strike.at(&machine, || act(&volumes, &all));
        let said = done.map_err(|why| why.kind());
        if said == Err(ErrorKind::OutcomeUnknown) {
            unknown.set(unknown.get() + 1);
            all_refuse(&all, strike);
        }
        for is_there in outcomes(&machine, count, strike) {
            match said {
                Ok(()) => assert!(is_there, "{strike:?}: acknowledged and gone"),
                Err(ErrorKind::OutcomeUnknown) => {}
                Err(said) => assert!(!is_there, "{strike:?}: {said:?}, and it is there"),
            }
        }
        is_over
    });
    assert!(unknown.get() > 0);
}

/// A value so long that the batch with it, and `beside`, ends at a block: the last of its frames is
/// written with the others then, before anybody syncs.
fn long(beside: usize) -> Vec<u8> {
    static ALONE: OnceLock<usize> = OnceLock::new();
    let buffered = |bytes: usize| {
        let (_machine, volumes, all) = ordered(1);
        all[0].put(b"k", vec![0; bytes]).unwrap();
        volumes[0].stats().buffered_bytes as usize
    };
    let alone = *ALONE.get_or_init(|| LONG + 4096 - buffered(LONG) % 4096);
    assert_eq!(buffered(alone) % 4096, 0);
    vec![b'n'; alone - beside]
}

/// A transaction of a keeper outside that has set `k` everywhere and is not committed.
fn session(all: &[Datastore], keeper: &Arc<Keeper>, value: &[u8]) -> Session {
    let mut session = Session::begin(keeper, Isolation::Snapshot);
    for store in all {
        let change = Change::Put(value);
        session.write(store, b"k", change, Mode::Any).unwrap();
    }
    session
}

/// What was only buffered is not acknowledged before that.
fn flush(volume: &Volume) -> Result<()> {
    let flushed = volume.flush();
    flushed.map_err(|why| why.with_kind(ErrorKind::OutcomeUnknown))
}

#[test]
fn a_commit_longer_than_a_segment() {
    judge(1, |_, all| {
        session(all, &Keeper::new(), &long(0)).commit_unpublished()
    });
}

#[test]
fn a_long_commit_that_need_not_be_synced() {
    judge(1, |volumes, all| {
        let mut txn = volumes[0].begin()?;
        txn.put(&all[0], b"k", long(0))?;
        txn.commit_with(Durability::Buffered)?;
        flush(&volumes[0])
    });
}

#[test]
fn a_long_batch() {
    judge(1, |volumes, all| {
        let mut batch = volumes[0].batch();
        batch.put(&all[0], b"k", long(0))?;
        batch.commit(Durability::Synced)
    });
}

#[test]
fn a_transaction_that_spills() {
    judge(1, |volumes, all| {
        let options = TransactionOptions::new().memory_budget_bytes(1 << 20);
        let mut txn = volumes[0].begin_with(options)?;
        for n in 0..12 {
            txn.put(&all[0], [n], [n; 200_000])?;
        }
        txn.put(&all[0], b"k", b"new")?;
        txn.commit()
    });
}

#[test]
fn a_long_write_outside_transactions() {
    judge(1, |volumes, all| {
        all[0].put(b"k", long(0))?;
        flush(&volumes[0])
    });
}

/// Creating a datastore is a write of the store's own.
#[test]
fn a_change_of_the_catalog() {
    everywhere(|strike| {
        let (machine, volumes, _) = ordered(1);
        let create = || volumes[0].create_datastore(b"new").map(drop);
        let (created, is_over) = strike.at(&machine, create);
        for after in [after_kill(&machine, 1), after_power_loss(&machine, 1)] {
            let again = open(&after, &[0]).unwrap();
            let is_there = again[0].datastore(b"new").is_ok();
            match created.as_ref().map_err(Error::kind) {
                Ok(()) => assert!(is_there, "{strike:?}"),
                Err(ErrorKind::OutcomeUnknown) => {}
                Err(said) => assert!(!is_there, "{strike:?}: {said:?}"),
            }
        }
        is_over
    });
}

/// Among the faults is a sync of the decision that says late that it failed: the participants must
/// not go on as if nothing had been decided.
#[test]
fn a_commit_over_volumes() {
    judge(3, |_, all| {
        session(all, &Keeper::new(), b"new").commit_unpublished()
    });
}

#[test]
fn a_long_commit_over_volumes() {
    judge(2, |_, all| {
        session(all, &Keeper::new(), &long(DECISION_BYTES)).commit_unpublished()
    });
}

/// A cancel that fails, or the notice that cancels will come.
#[test]
fn a_cancel() {
    for count in [1, 2] {
        everywhere(|strike| {
            let (machine, _volumes, all) = ordered(count);
            let keeper = Keeper::new();
            let each: Vec<&Datastore> = all.iter().collect();
            commit_on(&keeper, &each, "k", "old").unwrap();
            let mut session = session(&all, &keeper, b"new");
            session.commit_unpublished().unwrap();
            let (cancelled, is_over) = strike.at(&machine, || session.cancel());
            let said = cancelled.map_err(|why| why.kind());
            if said.is_err() {
                assert_eq!(said, Err(ErrorKind::OutcomeUnknown));
                all_refuse(&all, strike);
            }
            for is_there in outcomes(&machine, count, strike) {
                assert!(said.is_err() || !is_there, "{strike:?}: it is back");
            }
            is_over
        });
    }
}
