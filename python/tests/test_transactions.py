"""Transactions, savepoints, batches and snapshots."""

import threading

import pytest

import heliumdb


def test_commits_on_success_and_rolls_back_on_an_exception(volume, store):
    with volume.transaction() as txn:
        txn[store][b"a"] = b"1"
        assert txn["store"][b"a"] == b"1" and b"a" not in store and txn.active
    assert store[b"a"] == b"1" and not txn.active
    with pytest.raises(ZeroDivisionError), volume.transaction() as txn:
        txn[store][b"a"] = b"2"
        1 / 0
    assert store[b"a"] == b"1" and not txn.active
    with volume.transaction() as txn:
        txn[store][b"a"] = b"3"
        txn.rollback()
    assert store[b"a"] == b"1"
    with volume.transaction() as txn:
        txn[store][b"a"] = b"4"
        txn.commit()
    assert store[b"a"] == b"4"
    txn.rollback()


def test_what_is_over_says_so(volume, store):
    txn = volume.transaction()
    seen = txn[store]
    txn.commit()
    for fails in (lambda: seen.get(b"a"), lambda: seen.put(b"a", b""), txn.commit, txn.savepoint, lambda: list(seen)):
        with pytest.raises(heliumdb.Closed, match="over"):
            fails()


def test_of_two_updaters_the_first_wins(volume, store):
    store[b"a"] = b"0"
    first, second = volume.transaction(), volume.transaction()
    first[store][b"a"] = b"1"
    with pytest.raises(heliumdb.Conflict) as why:
        second[store][b"a"] = b"2"
    assert why.value.retryable and why.value.kind == "conflict"
    assert "conflict" in second.failure or second.failure
    first.commit()
    with pytest.raises(heliumdb.HeliumError):
        second.commit()
    assert store[b"a"] == b"1"


def test_a_read_can_be_reserved(volume, store):
    first, second = volume.transaction(), volume.transaction()
    first[store].reserve(b"a")
    with pytest.raises(heliumdb.Conflict):
        second[store][b"a"] = b"2"
    with pytest.raises(heliumdb.Unsupported):
        store.reserve(b"a")


def test_run_tries_again(volume, store):
    """Threads count up together; nothing is lost, however they meet."""
    threads, rounds = 4, 50

    def more(txn, by):
        counter = txn[store]
        counter[b"n"] = b"%d" % (int(counter.get(b"n", b"0")) + by)
        return int(counter[b"n"])

    def work():
        for _ in range(rounds):
            volume.run(more, by=2, durability="buffered")

    working = [threading.Thread(target=work) for _ in range(threads)]
    [thread.start() for thread in working]
    [thread.join() for thread in working]
    assert store[b"n"] == b"%d" % (2 * threads * rounds)


def test_run_ends_with_other_exceptions_and_with_too_many_conflicts(volume, store):
    calls = []

    def fails(txn):
        calls.append(txn)
        txn[store][b"a"] = b"1"
        raise LookupError("mine")

    with pytest.raises(LookupError):
        volume.run(fails)
    assert len(calls) == 1 and b"a" not in store

    other = volume.transaction()
    other[store][b"a"] = b"1"

    def conflicts(txn):
        calls.append(txn)
        txn[store][b"a"] = b"2"

    with pytest.raises(heliumdb.Conflict):
        volume.run(conflicts)
    assert len(calls) == 1 + 128


def test_transactional_functions(volume, store):
    @volume.transactional
    def swap(txn, a, *, b):
        """Swaps."""
        seen = txn[store]
        seen[a], seen[b] = seen[b], seen[a]
        return seen[a]

    store.update({b"x": b"1", b"y": b"2"})
    assert swap(b"x", b=b"y") == b"2" and swap.__doc__ == "Swaps."
    assert dict(store) == {b"x": b"2", b"y": b"1"}


def test_savepoints(volume, store):
    with volume.transaction() as txn:
        seen = txn[store]
        seen[b"a"] = b"1"
        with pytest.raises(ZeroDivisionError), txn.savepoint():
            seen[b"a"] = b"2"
            seen[b"b"] = b"2"
            1 / 0
        assert dict(seen) == {b"a": b"1"}
        outer = txn.savepoint()
        with txn.savepoint():
            seen[b"c"] = b"3"
        assert b"c" in seen
        txn.rollback_to(outer)
        assert b"c" not in seen
        # It stays.
        seen[b"d"] = b"4"
        outer.rollback()
    assert dict(store) == {b"a": b"1"}
    other = volume.transaction()
    with pytest.raises(heliumdb.HeliumError):
        other.rollback_to(outer)


def test_merge_in_a_transaction(volume, store):
    store[b"n"] = b"1"
    with volume.transaction() as txn:
        seen = txn[store]
        # The function may use the transaction itself.
        assert seen.merge(b"n", lambda old: old + seen[b"n"]) == b"11"
        assert seen.merge(b"m", lambda old: b"new") == b"new"
        assert seen.merge(b"m", lambda old: None) is None
        assert seen.merge(b"m", lambda old: None) is None
        other = volume.transaction()
        with pytest.raises(heliumdb.Conflict):
            other[store].put(b"n", b"")
    assert dict(store) == {b"n": b"11"}


def test_isolation(volume, store):
    store[b"a"] = b"1"
    snapshot, committed = volume.transaction(), volume.transaction(isolation="read-committed")
    assert (snapshot[store][b"a"], committed[store][b"a"]) == (b"1", b"1")
    store[b"a"] = b"2"
    assert (snapshot[store][b"a"], committed[store][b"a"]) == (b"1", b"2")
    for wrong in ({"isolation": "serializable"}, {"durability": "never"}, {"memory_budget_bytes": "x"}):
        with pytest.raises((ValueError, TypeError)):
            volume.transaction(**wrong)


def test_a_transaction_that_is_dropped_is_rolled_back(volume, store):
    txn = volume.transaction()
    txn[store][b"a"] = b"1"
    del txn
    store.insert(b"a", b"2")
    with volume.transaction() as txn:
        txn[store][b"a"] = b"3"


def test_over_several_datastores(volume):
    names, ages = volume.datastore("names"), volume.datastore("ages")
    with volume.transaction() as txn:
        txn[names][b"1"], txn[ages][b"1"] = b"Ada", b"36"
    assert names[b"1"] == b"Ada" and ages[b"1"] == b"36"


def test_batches(volume):
    names, ages = volume.datastore("names"), volume.datastore("ages")
    with volume.batch() as batch:
        batch[names][b"1"] = b"Ada"
        batch["ages"].put(b"1", b"36")
        batch[ages].update({b"2": b"5", b"3": b"6"})
        del batch[ages][b"2"]
        batch[ages].delete(b"9")
        assert len(batch) == 6 and len(names) == 0
    assert dict(names) == {b"1": b"Ada"} and dict(ages) == {b"1": b"36", b"3": b"6"}
    assert len(batch) == 0
    with pytest.raises(ZeroDivisionError), volume.batch() as batch:
        batch[names].delete(b"1")
        1 / 0
    assert b"1" in names and len(batch) == 0
    batch[names].delete(b"1")
    batch.commit(durability="synced")
    assert b"1" not in names


def test_snapshots(volume, store):
    store.update({b"a": b"1", b"b": b"2"})
    with volume.snapshot() as snapshot:
        old = snapshot[store]
        store[b"a"] = b"9"
        del store[b"b"]
        assert dict(old) == dict(snapshot["store"]) == {b"a": b"1", b"b": b"2"}
        assert len(old) == 2 and bool(old) and b"b" in old and old.get_many([b"a", b"x"]) == [b"1", None]
        for fails in (
            lambda: old.put(b"a", b""),
            lambda: old.pop(b"a"),
            lambda: old.delete(b"a"),
            lambda: old.merge(b"a", lambda old: b""),
            lambda: old.delete_range(),
            lambda: old.clear(),
            lambda: old.update({b"a": b""}),
        ):
            with pytest.raises(heliumdb.ReadOnly):
                fails()
        volume.drop(store)
        assert snapshot.datastores() == ["store"] and volume.datastores() == []
        assert dict(snapshot["store"]) == {b"a": b"1", b"b": b"2"}
        with pytest.raises(heliumdb.NotFound):
            snapshot["other"]
    with pytest.raises(heliumdb.Closed):
        old.get(b"a")
    snapshot.close()


def test_things_of_another_volume_are_refused(volume, store):
    with heliumdb.open("he://./_67108864") as other:
        theirs = other.datastore("store")
        for fails in (
            lambda: volume.transaction()[theirs].get(b"a"),
            lambda: volume.snapshot()[theirs].get(b"a"),
            lambda: volume.batch()[theirs].put(b"a", b""),
            lambda: volume.drop(theirs),
            lambda: volume.rename(theirs, "x"),
        ):
            with pytest.raises(heliumdb.Invalid, match="another volume"):
                fails()
