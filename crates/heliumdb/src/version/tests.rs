//! Chains on their own: no log, no index; the slot is a local word.

use crossbeam_epoch as epoch;

use super::{
    Isolation, Readers, State, Swept, TxnId, TxnSnapshot, View, Waiting,
    chain::{self, Held, New, Seen},
    outside,
    payload::Payload,
    prune,
    state::look,
};
use crate::{
    ErrorKind,
    location::{Location, Slot, Word},
};

/// A reader to whom transactions below `below` are visible, as are those in `also`.
struct Eyes {
    own: TxnId,
    isolation: Isolation,
    below: TxnId,
    also: &'static [TxnId],
}

impl View for Eyes {
    fn own(&self) -> TxnId {
        self.own
    }
    fn isolation(&self) -> Isolation {
        self.isolation
    }
    fn sees(&self, id: TxnId) -> bool {
        id < self.below || self.also.contains(&id)
    }
}

fn snapshot(own: TxnId, below: TxnId) -> Eyes {
    Eyes {
        own,
        isolation: Isolation::Snapshot,
        below,
        also: &[],
    }
}

fn place(n: u64) -> Location {
    Location::new(n * 16, 32)
}

/// A slot with the base `place(1)`, to which tests link versions with rising sequences.
struct Slotted {
    word: Word,
    sequence: u64,
}

impl Slotted {
    fn new() -> Self {
        Self {
            word: Word::at(place(1)),
            sequence: 0,
        }
    }

    fn link(&mut self, owner: TxnId, payload: Payload) -> Held {
        self.sequence += 1;
        let new = New {
            owner,
            sequence: self.sequence,
            payload,
            state: State::Unresolved,
            sealed: false,
        };
        let (word, held) = chain::link(self.word, new, None, &epoch::pin());
        self.word = word;
        held
    }

    /// Links a version that is logged at `place(at)` and committed.
    fn commit(&mut self, owner: TxnId, at: u64) {
        self.link(owner, Payload::at(place(at)))
            .version()
            .resolve(State::Committed);
    }

    fn seen(&self, view: &Eyes) -> Result<String, ErrorKind> {
        let guard = epoch::pin();
        match chain::read(self.word, view, &guard) {
            Ok(Seen::Absent) => Ok("absent".into()),
            Ok(Seen::Bytes(bytes)) => Ok(String::from_utf8_lossy(bytes).into()),
            Ok(Seen::At(location)) => Ok((location.address() / 16).to_string()),
            Err(why) => Err(why.kind()),
        }
    }

    fn settle(&mut self, oldest: TxnId) -> Swept {
        let mut swept = Swept::default();
        self.word = prune::settle(
            self.word,
            &Readers::below(oldest),
            &epoch::pin(),
            &mut swept,
        );
        swept
    }
}

impl Drop for Slotted {
    fn drop(&mut self) {
        chain::free_later(self.word, &epoch::pin());
    }
}

#[test]
fn each_reader_finds_its_own_state() {
    let mut slot = Slotted::new();
    slot.commit(5, 2);
    slot.commit(7, 3);
    let _mine = slot.link(9, Payload::bytes(b"mine"));
    assert_eq!(slot.seen(&snapshot(0, 5)).unwrap(), "1");
    assert_eq!(slot.seen(&snapshot(0, 6)).unwrap(), "2");
    assert_eq!(slot.seen(&snapshot(0, 8)).unwrap(), "3");
    assert_eq!(slot.seen(&snapshot(9, 5)).unwrap(), "mine");
    let dirty = Eyes {
        isolation: Isolation::ReadUncommitted,
        ..snapshot(0, 0)
    };
    assert_eq!(slot.seen(&dirty).unwrap(), "mine");
}

#[test]
fn a_prepared_version_stops_readers_who_would_have_to_see_it() {
    let mut slot = Slotted::new();
    let _prepared = slot.link(5, Payload::tombstone());
    assert_eq!(slot.seen(&snapshot(0, 5)).unwrap(), "1");
    assert_eq!(
        slot.seen(&snapshot(0, 6)).unwrap_err(),
        ErrorKind::PrepareConflict
    );
    let guard = epoch::pin();
    let refused = chain::check_conflict(slot.word, &snapshot(8, 8), &guard).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[test]
fn a_reservation_conflicts_but_changes_nothing() {
    let mut slot = Slotted::new();
    let _reserved = slot.link(5, Payload::reserve());
    assert_eq!(slot.seen(&snapshot(5, 5)).unwrap(), "1");
    assert_eq!(slot.seen(&snapshot(0, 9)).unwrap(), "1");
    let guard = epoch::pin();
    assert!(chain::check_conflict(slot.word, &snapshot(6, 5), &guard).is_err());
    assert!(chain::check_conflict(slot.word, &snapshot(5, 5), &guard).is_ok());
}

#[test]
fn the_first_updater_wins_at_snapshot_isolation_only() {
    let mut slot = Slotted::new();
    slot.commit(5, 2);
    let guard = epoch::pin();
    assert!(chain::check_conflict(slot.word, &snapshot(9, 5), &guard).is_err());
    assert!(chain::check_conflict(slot.word, &snapshot(9, 6), &guard).is_ok());
    let committed = Eyes {
        isolation: Isolation::ReadCommitted,
        ..snapshot(9, 5)
    };
    assert!(chain::check_conflict(slot.word, &committed, &guard).is_ok());
}

#[test]
fn settling_keeps_what_someone_may_need() {
    let mut slot = Slotted::new();
    slot.commit(5, 2);
    slot.commit(7, 3);
    slot.commit(9, 4);
    let swept = slot.settle(8);
    assert_eq!(swept.dead, [place(2), place(1)]);
    assert_eq!(swept.versions, 2);
    assert_eq!(swept.newest_left, Some(9));
    assert_eq!(slot.seen(&snapshot(0, 8)).unwrap(), "3");
    let swept = slot.settle(10);
    assert_eq!(swept.dead, [place(3)]);
    assert_eq!(slot.word.slot(), Slot::At(place(4)));
}

#[test]
fn a_settled_tombstone_leaves_an_empty_slot() {
    let mut slot = Slotted::new();
    slot.link(5, Payload::tombstone())
        .version()
        .resolve(State::Committed);
    assert_eq!(slot.settle(6).dead, [place(1)]);
    assert_eq!(slot.word.slot(), Slot::Empty);
}

#[test]
fn nothing_settles_above_an_unresolved_version() {
    let mut slot = Slotted::new();
    let below = slot.link(5, Payload::bytes(b"late"));
    slot.commit(6, 2);
    assert_eq!(slot.settle(100).versions, 0);
    below
        .version()
        .payload
        .replace(Payload::at(place(3)), &epoch::pin());
    below.version().resolve(State::Committed);
    let swept = slot.settle(100);
    assert_eq!(swept.dead, [place(3), place(1)]);
    assert_eq!(slot.word.slot(), Slot::At(place(2)));
}

#[test]
fn an_aborted_version_leaves_no_trace() {
    let mut slot = Slotted::new();
    slot.commit(5, 2);
    let mine = slot.link(7, Payload::bytes(b"mine"));
    slot.commit(8, 3);
    let mut swept = Swept::default();
    let (word, more) = chain::unlink(slot.word, &mine, &epoch::pin(), &mut swept);
    slot.word = word;
    assert_eq!((swept.versions, more), (1, 0));
    assert_eq!(slot.seen(&snapshot(7, 6)).unwrap(), "2");
    assert_eq!(slot.seen(&snapshot(0, 9)).unwrap(), "3");
}

#[test]
fn a_version_linked_above_an_unresolved_one_overtakes_it() {
    let mut slot = Slotted::new();
    let first = slot.link(5, Payload::tombstone());
    let second = slot.link(6, Payload::tombstone());
    assert!(!first.version().overtakes && second.version().overtakes);
}

#[test]
fn values_change_place_under_readers() {
    let guard = epoch::pin();
    let mut slot = Slotted::new();
    let held = slot.link(5, Payload::bytes(b"value"));
    let dirty = Eyes {
        isolation: Isolation::ReadUncommitted,
        ..snapshot(0, 0)
    };
    let Seen::Bytes(before) = chain::read(slot.word, &dirty, &guard).unwrap() else {
        panic!("no bytes");
    };
    let freed = held
        .version()
        .payload
        .replace(Payload::at(place(9)), &guard);
    assert_eq!(freed, -(8 + 5));
    assert_eq!(before, b"value");
    assert_eq!(slot.seen(&dirty).unwrap(), "9");
}

#[test]
fn the_middle_of_a_chain_goes_when_no_snapshot_needs_it() {
    let mut slot = Slotted::new();
    for owner in 1..=9 {
        slot.commit(owner, 10 + owner);
    }
    // In use: one that sees 1 to 3, and one that sees 1 to 6 without 5.
    let early = TxnSnapshot::new(&[], 4);
    let late = TxnSnapshot::new(&[5], 7);
    let now = TxnSnapshot::new(&[9], 10);
    let readers = Readers {
        oldest: 4,
        final_below: 10,
        snapshots: Some([&early, &late, &now].map(|s| s.clone().into()).into()),
        ..Readers::default()
    };
    let mut swept = Swept::default();
    slot.word = prune::settle(slot.word, &readers, &epoch::pin(), &mut swept);
    // Left: 9, which has not ended; 8 for now, 6 for the late one, and 3 as the base.
    assert_eq!(swept.left, 3);
    let mut dead: Vec<u64> = swept.dead.iter().map(|at| at.address() / 16).collect();
    dead.sort_unstable();
    assert_eq!(dead, [1, 11, 12, 14, 15, 17]);
    let seen = |ids: &TxnSnapshot| {
        let eyes = Listed(ids.clone());
        match chain::read(slot.word, &eyes, &epoch::pin()) {
            Ok(Seen::At(location)) => location.address() / 16,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((seen(&early), seen(&late), seen(&now)), (13, 16, 18));
}

/// Looks through a snapshot.
struct Listed(TxnSnapshot);

impl View for Listed {
    fn own(&self) -> TxnId {
        0
    }
    fn isolation(&self) -> Isolation {
        Isolation::Snapshot
    }
    fn sees(&self, id: TxnId) -> bool {
        self.0.sees(id)
    }
}

#[test]
fn a_census_passes_what_is_cancelled_while_it_asks() {
    let mut slot = Slotted::new();
    slot.commit(5, 2);
    let held = slot.link(6, Payload::at(place(3)));
    held.version().resolve(State::Committed);
    let guard = epoch::pin();
    let mut shown = Vec::new();
    let found = chain::census(slot.word, &guard, |version| {
        shown.push(version.owner);
        if version.owner == 6 {
            held.version().resolve(State::Aborted);
        }
        false
    });
    assert_eq!(found, Some(place(2)));
    assert_eq!(shown, [6, 5]);
    assert_eq!(chain::census(slot.word, &guard, |_| true), Some(place(1)));
}

/// What a write outside any transaction, which depends on what is there, does to the chain.
fn write_outside(slot: &mut Slotted, waiting: &Waiting) -> bool {
    let guard = epoch::pin();
    chain::overtake(slot.word, &guard);
    if outside::overrule_or_wait(slot.word, waiting, &guard).is_some() {
        return false;
    }
    slot.commit(0, 40 + slot.sequence);
    true
}

#[test]
fn all_unresolved_versions_are_overruled_whatever_becomes_of_what_overruled_them() {
    let (mut slot, waiting) = (Slotted::new(), Waiting::default());
    let versions = [5, 5, 6].map(|owner| slot.link(owner, Payload::bytes(b"late")));
    assert!(write_outside(&mut slot, &waiting));
    // The write outside goes when later ones are there: a trim, with the snapshots known.
    (10..20).for_each(|owner| slot.commit(owner, owner));
    let readers = Readers {
        oldest: 5,
        final_below: TxnId::MAX,
        snapshots: Some(vec![TxnSnapshot::new(&[5, 6], 20).into()]),
        ..Readers::default()
    };
    let mut swept = Swept::default();
    slot.word = prune::settle(slot.word, &readers, &epoch::pin(), &mut swept);
    assert_eq!(swept.versions, 10);
    assert!(versions.iter().all(|held| !held.version().seal()));
}

#[test]
fn who_depends_on_what_is_there_waits_for_sealed_versions_above_it_and_overrules_nobody() {
    let (mut slot, waiting) = (Slotted::new(), Waiting::default());
    let sealed = slot.link(5, Payload::bytes(b"sealed"));
    let free = slot.link(6, Payload::bytes(b"free"));
    assert!(sealed.version().seal());
    assert!(!write_outside(&mut slot, &waiting));
    assert!(free.version().seal() && !free.version().unseal());
    assert!(sealed.version().unseal(), "someone waits");
    assert!(write_outside(&mut slot, &waiting));
    assert!(!sealed.version().seal() && !free.version().seal());
}

#[test]
fn a_sealed_version_below_what_is_committed_holds_nobody_up() {
    let (mut slot, waiting) = (Slotted::new(), Waiting::default());
    let sealed = slot.link(5, Payload::bytes(b"sealed"));
    assert!(sealed.version().seal());
    slot.commit(0, 2);
    assert!(write_outside(&mut slot, &waiting));
    // But a reservation is not a state that it could decide by.
    let mut slot = Slotted::new();
    let sealed = slot.link(5, Payload::bytes(b"sealed"));
    assert!(sealed.version().seal());
    slot.link(6, Payload::reserve())
        .version()
        .resolve(State::Committed);
    assert!(!write_outside(&mut slot, &waiting));
}

#[test]
fn what_is_marked_is_counted_under_the_latch_when_it_is_committed() {
    let mut slot = Slotted::new();
    let guard = epoch::pin();
    let mine = slot.link(5, Payload::tombstone());
    assert!(mine.version().seal());
    assert!(chain::overtake(slot.word, &guard));
    assert_eq!(mine.version().commit_alone(&guard), None);
    assert_eq!(chain::commit_among(slot.word, &mine, &guard), (-1, false));
}

#[test]
fn a_committed_version_that_is_taken_out_marks_those_above_before_it_counts() {
    let mut slot = Slotted::new();
    let guard = epoch::pin();
    let taken_back = slot.link(5, Payload::tombstone());
    taken_back.version().resolve(State::Committed);
    let above = slot.link(6, Payload::at(place(7)));
    assert!(above.version().seal());
    let (word, more) = chain::unlink(slot.word, &taken_back, &guard, &mut Swept::default());
    slot.word = word;
    assert_eq!(more, 1, "what was below counts again");
    assert_eq!(above.version().commit_alone(&guard), None);
    assert_eq!(chain::commit_among(slot.word, &above, &guard), (0, false));
}

/// A reader comes to a version just when it is logged and committed.
#[test]
fn what_is_committed_when_it_is_looked_at_says_no_bytes() {
    let views = [
        Isolation::ReadUncommitted,
        Isolation::ReadCommitted,
        Isolation::Snapshot,
    ]
    .map(|isolation| Eyes {
        own: 0,
        isolation,
        below: 6,
        also: &[],
    });
    for view in views.iter().map(Some).chain([None]) {
        let mut slot = Slotted::new();
        let held = slot.link(5, Payload::bytes(b"value"));
        look::before_next(move || {
            let version = held.version();
            let logged = Payload::at(place(9));
            version.payload.replace(logged, &epoch::pin());
            version.resolve(State::Committed);
        });
        let guard = epoch::pin();
        let seen = match view {
            Some(view) => chain::read(slot.word, view, &guard).unwrap(),
            None => chain::read_committed(slot.word, &guard),
        };
        assert!(look::has_happened());
        assert_eq!(seen, Seen::At(place(9)));
    }
}
