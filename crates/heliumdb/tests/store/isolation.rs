//! Hermitage's anomalies as fixed schedules, what each isolation level makes of them, and the
//! rules about prepared transactions, order and writes outside transactions.

use std::sync::Arc;

use helium_sim::Keeper;
use heliumdb::host::VolumeExt;
use heliumdb::{
    Datastore, ErrorKind, Isolation,
    Isolation::{ReadCommitted, ReadUncommitted, Snapshot},
    Result,
};

use crate::common::{Session, after_power_loss, open_one, store};

const ALL: [Isolation; 3] = [ReadUncommitted, ReadCommitted, Snapshot];

/// Two items, as Hermitage has them, and a keeper that has forgotten who wrote them.
struct Test {
    machine: helium_sim::Machine,
    volume: heliumdb::Volume,
    store: Datastore,
    keeper: Arc<Keeper>,
}

impl Test {
    fn new() -> Self {
        let (machine, volume, store) = store();
        let test = Self {
            machine,
            volume,
            store,
            keeper: Keeper::new(),
        };
        let mut setup = test.begin(Snapshot);
        setup.put(&test.store, "1", "10").unwrap();
        setup.put(&test.store, "2", "20").unwrap();
        setup.commit().unwrap();
        test
    }

    fn begin(&self, isolation: Isolation) -> Session {
        Session::begin(&self.keeper, isolation)
    }

    fn final_values(&self) -> (String, String) {
        let mut reader = self.begin(Snapshot);
        (
            reader.get(&self.store, "1").unwrap().unwrap_or_default(),
            reader.get(&self.store, "2").unwrap().unwrap_or_default(),
        )
    }

    /// The power goes, and comes back; everything below the caller's handles is new.
    fn crash(&mut self) {
        self.machine = after_power_loss(&self.machine, 1);
        self.volume = open_one(&self.machine).unwrap();
        self.store = self.volume.datastore(b"store").unwrap();
        self.keeper = Keeper::new();
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn g0_write_cycles_are_ordered_by_who_came_first_or_refused() {
    for level in ALL {
        let test = Test::new();
        let (mut a, mut b) = (test.begin(level), test.begin(level));
        a.put(&test.store, "1", "11").unwrap();
        let second = b.put(&test.store, "1", "12");
        if level == Snapshot {
            refused(second, ErrorKind::Conflict);
            refused(b.commit_unpublished(), ErrorKind::Conflict);
            b.abort();
            a.put(&test.store, "2", "21").unwrap();
            a.commit().unwrap();
            assert_eq!(test.final_values(), ("11".into(), "21".into()));
            continue;
        }
        second.unwrap();
        a.put(&test.store, "2", "21").unwrap();
        a.commit().unwrap();
        b.put(&test.store, "2", "22").unwrap();
        b.commit().unwrap();
        assert_eq!(test.final_values(), ("12".into(), "22".into()), "{level:?}");
    }
}

#[test]
fn g1a_aborted_writes_are_read_by_read_uncommitted_alone() {
    for level in ALL {
        let test = Test::new();
        let (mut writer, mut reader) = (test.begin(level), test.begin(level));
        writer.put(&test.store, "1", "101").unwrap();
        let dirty = if level == ReadUncommitted {
            "101"
        } else {
            "10"
        };
        assert_eq!(reader.get(&test.store, "1").unwrap(), some(dirty));
        writer.abort();
        assert_eq!(reader.get(&test.store, "1").unwrap(), some("10"));
    }
}

#[test]
fn g1b_intermediate_writes_are_read_by_read_uncommitted_alone() {
    for level in ALL {
        let test = Test::new();
        let (mut writer, mut reader) = (test.begin(level), test.begin(level));
        writer.put(&test.store, "1", "101").unwrap();
        let dirty = if level == ReadUncommitted {
            "101"
        } else {
            "10"
        };
        assert_eq!(reader.get(&test.store, "1").unwrap(), some(dirty));
        writer.put(&test.store, "1", "11").unwrap();
        writer.commit().unwrap();
        let then = if level == Snapshot { "10" } else { "11" };
        assert_eq!(
            reader.get(&test.store, "1").unwrap(),
            some(then),
            "{level:?}"
        );
    }
}

#[test]
fn g1c_no_circle_of_information_unless_uncommitted_reads_are_asked_for() {
    for level in ALL {
        let test = Test::new();
        let (mut a, mut b) = (test.begin(level), test.begin(level));
        a.put(&test.store, "1", "11").unwrap();
        b.put(&test.store, "2", "22").unwrap();
        let dirty = level == ReadUncommitted;
        let (two, one) = if dirty { ("22", "11") } else { ("20", "10") };
        assert_eq!(a.get(&test.store, "2").unwrap(), some(two), "{level:?}");
        assert_eq!(b.get(&test.store, "1").unwrap(), some(one), "{level:?}");
        a.commit().unwrap();
        b.commit().unwrap();
    }
}

#[test]
fn otv_an_observed_transaction_does_not_vanish() {
    for level in [ReadCommitted, Snapshot] {
        let test = Test::new();
        let (mut a, mut b) = (test.begin(level), test.begin(level));
        let mut reader = test.begin(level);
        a.put(&test.store, "1", "11").unwrap();
        a.put(&test.store, "2", "19").unwrap();
        let second = b.put(&test.store, "1", "12");
        a.commit().unwrap();
        if level == Snapshot {
            refused(second, ErrorKind::Conflict);
            b.abort();
            assert_eq!(reader.get(&test.store, "1").unwrap(), some("10"));
            assert_eq!(reader.get(&test.store, "2").unwrap(), some("20"));
            continue;
        }
        assert_eq!(reader.get(&test.store, "1").unwrap(), some("11"));
        b.put(&test.store, "2", "18").unwrap();
        assert_eq!(reader.get(&test.store, "2").unwrap(), some("19"));
        b.commit().unwrap();
        assert_eq!(reader.get(&test.store, "2").unwrap(), some("18"));
        assert_eq!(reader.get(&test.store, "1").unwrap(), some("12"));
    }
}

#[test]
fn pmp_a_snapshot_finds_no_phantoms() {
    for level in ALL {
        let test = Test::new();
        let mut reader = test.begin(level);
        let before = reader.scan(&test.store).unwrap();
        let mut writer = test.begin(level);
        writer.put(&test.store, "15", "30").unwrap();
        writer.remove(&test.store, "2").unwrap();
        writer.commit().unwrap();
        let after = reader.scan(&test.store).unwrap();
        if level == Snapshot {
            assert_eq!(before, after);
        } else {
            let keys: Vec<&str> = after.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(keys, ["1", "15"]);
        }
    }
}

#[test]
fn p4_a_snapshot_loses_no_update() {
    for level in ALL {
        let test = Test::new();
        let (mut a, mut b) = (test.begin(level), test.begin(level));
        assert_eq!(a.get(&test.store, "1").unwrap(), some("10"));
        assert_eq!(b.get(&test.store, "1").unwrap(), some("10"));
        a.put(&test.store, "1", "11").unwrap();
        a.commit().unwrap();
        let second = b.put(&test.store, "1", "11");
        if level == Snapshot {
            refused(second, ErrorKind::Conflict);
        } else {
            second.unwrap();
            b.commit().unwrap();
        }
    }
}

#[test]
fn g_single_a_snapshot_has_no_read_skew() {
    for level in ALL {
        let test = Test::new();
        let mut reader = test.begin(level);
        assert_eq!(reader.get(&test.store, "1").unwrap(), some("10"));
        let mut writer = test.begin(level);
        writer.put(&test.store, "1", "12").unwrap();
        writer.put(&test.store, "2", "18").unwrap();
        writer.commit().unwrap();
        let seen = if level == Snapshot { "20" } else { "18" };
        assert_eq!(
            reader.get(&test.store, "2").unwrap(),
            some(seen),
            "{level:?}"
        );
        if level == Snapshot {
            refused(reader.remove(&test.store, "2"), ErrorKind::Conflict);
        }
    }
}

#[test]
fn what_a_prepared_transaction_wrote_is_refused_to_who_would_have_to_see_it() {
    let test = Test::new();
    let mut prepared = test.begin(Snapshot);
    prepared.put(&test.store, "1", "11").unwrap();
    let mut earlier = test.begin(Snapshot);
    prepared.view.prepare();
    let mut snapshot = test.begin(Snapshot);
    let mut committed = test.begin(ReadCommitted);
    let mut uncommitted = test.begin(ReadUncommitted);
    refused(snapshot.get(&test.store, "1"), ErrorKind::PrepareConflict);
    refused(snapshot.scan(&test.store), ErrorKind::PrepareConflict);
    refused(committed.get(&test.store, "1"), ErrorKind::PrepareConflict);
    assert_eq!(uncommitted.get(&test.store, "1").unwrap(), some("11"));
    assert_eq!(earlier.get(&test.store, "1").unwrap(), some("10"));
    assert_eq!(test.store.get(b"1").unwrap(), Some(b"10".to_vec()));
    refused(snapshot.put(&test.store, "1", "12"), ErrorKind::Conflict);
    snapshot.abort();
    // Even below the oldest id nothing unresolved is settled.
    earlier.abort();
    drop((committed, uncommitted));
    let mut later = test.begin(Snapshot);
    later.put(&test.store, "9", "9").unwrap();
    later.commit().unwrap();
    test.volume.settle(&*test.keeper);
    let mut reader = test.begin(Snapshot);
    refused(reader.get(&test.store, "1"), ErrorKind::PrepareConflict);
    prepared.commit().unwrap();
    assert_eq!(reader.get(&test.store, "1").unwrap(), some("11"));
}

#[test]
fn a_prepared_transaction_that_rolls_back_was_never_there() {
    let mut test = Test::new();
    let mut prepared = test.begin(Snapshot);
    prepared.put(&test.store, "1", "11").unwrap();
    prepared.view.prepare();
    prepared.abort();
    assert_eq!(test.final_values(), ("10".into(), "20".into()));
    test.crash();
    assert_eq!(test.final_values(), ("10".into(), "20".into()));
}

#[test]
fn a_reservation_conflicts_until_its_transaction_ends_and_shows_nothing() {
    for commits in [true, false] {
        let test = Test::new();
        let mut holder = test.begin(Snapshot);
        let mut other = test.begin(Snapshot);
        let mut third = test.begin(Snapshot);
        holder.reserve(&test.store, "1").unwrap();
        refused(holder.reserve(&test.store, "7"), ErrorKind::ItemNotFound);
        let mut dirty = test.begin(ReadUncommitted);
        assert_eq!(dirty.get(&test.store, "1").unwrap(), some("10"));
        refused(other.put(&test.store, "1", "11"), ErrorKind::Conflict);
        other.abort();
        if commits {
            holder.commit().unwrap();
        } else {
            holder.abort();
        }
        third.put(&test.store, "1", "12").unwrap();
        third.commit().unwrap();
        assert_eq!(test.final_values().0, "12");
    }
}

#[test]
fn who_linked_last_wins_whatever_the_order_of_commits() {
    let mut test = Test::new();
    let (mut first, mut second) = (test.begin(ReadCommitted), test.begin(ReadCommitted));
    first.put(&test.store, "1", "first").unwrap();
    second.put(&test.store, "1", "second").unwrap();
    second.put(&test.store, "2", "second").unwrap();
    first.put(&test.store, "2", "first").unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    let wanted = ("second".to_owned(), "first".to_owned());
    assert_eq!(test.final_values(), wanted);
    test.crash();
    assert_eq!(test.final_values(), wanted, "after a power loss");
    test.volume.close().unwrap();
    test.crash();
    assert_eq!(test.final_values(), wanted, "after closing");
}

#[test]
fn who_linked_last_wins_with_a_removal_and_a_second_thought() {
    let mut test = Test::new();
    let (mut first, mut second) = (test.begin(ReadCommitted), test.begin(ReadCommitted));
    first.put(&test.store, "1", "a").unwrap();
    second.remove(&test.store, "1").unwrap();
    first.put(&test.store, "2", "a").unwrap();
    second.remove(&test.store, "2").unwrap();
    first.put(&test.store, "2", "b").unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    test.crash();
    let mut reader = test.begin(Snapshot);
    assert_eq!(
        reader.scan(&test.store).unwrap(),
        [("2".into(), "b".into())]
    );
}

#[test]
fn a_write_outside_transactions_overrules_one_that_is_not_committed() {
    let mut test = Test::new();
    let mut writer = test.begin(Snapshot);
    writer.put(&test.store, "1", "inside").unwrap();
    test.store.put(b"1", b"outside").unwrap();
    assert_eq!(test.store.get(b"1").unwrap(), Some(b"outside".to_vec()));
    refused(writer.commit_unpublished(), ErrorKind::Conflict);
    writer.abort();
    assert_eq!(test.final_values().0, "outside");
    test.volume.flush().unwrap();
    test.crash();
    assert_eq!(test.final_values().0, "outside");
}

#[test]
fn a_commit_that_was_taken_back_is_absent_for_ever() {
    let mut test = Test::new();
    let mut writer = test.begin(Snapshot);
    writer.put(&test.store, "1", "11").unwrap();
    writer.remove(&test.store, "2").unwrap();
    writer.put(&test.store, "3", "31").unwrap();
    writer.commit_unpublished().unwrap();
    writer.cancel().unwrap();
    let wanted = [("1".to_owned(), "10".to_owned()), ("2".into(), "20".into())];
    for crashes in 0..3 {
        let mut reader = test.begin(Snapshot);
        assert_eq!(
            reader.scan(&test.store).unwrap(),
            wanted,
            "{crashes} crashes"
        );
        reader.abort();
        test.crash();
    }
}

/// The versions below one that everybody sees may still be taken back by their transaction.
#[test]
fn settling_leaves_what_can_still_be_taken_back() {
    let test = Test::new();
    let (mut low, mut high) = (test.begin(ReadCommitted), test.begin(ReadCommitted));
    low.view.allocate();
    high.put(&test.store, "1", "high").unwrap();
    low.put(&test.store, "1", "low").unwrap();
    high.commit_unpublished().unwrap();
    low.commit().unwrap();
    test.volume.settle(&*test.keeper);
    high.cancel().unwrap();
    test.volume.settle(&*test.keeper);
    assert_eq!(test.final_values().0, "low");
}
