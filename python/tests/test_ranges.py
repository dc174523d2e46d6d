"""Ranges: both ways, with bounds and prefixes, through everybody's eyes, a transaction's and a snapshot's."""

import random

import pytest

import heliumdb

KEYS = [b"", b"a", b"a\x00", b"a\xff", b"b", b"ba", b"bb", b"c", b"\xff", b"\xff\xff"]


@pytest.fixture(params=["newest", "transaction", "snapshot"])
def seen(request, volume, store):
    store.update((key, key.hex().encode()) for key in KEYS)
    if request.param == "transaction":
        with volume.transaction() as txn:
            yield txn[store]
    elif request.param == "snapshot":
        with volume.snapshot() as snapshot:
            store.clear()
            yield snapshot[store]
    else:
        yield store


def test_every_range(seen):
    """All bounds against a list that is filtered."""
    ends = [None, *KEYS, b"a\x01", b"zz"]
    for start in ends:
        for stop in ends:
            for include_start in (True, False):
                for include_stop in (True, False):
                    wanted = [
                        key
                        for key in KEYS
                        if (start is None or key > start or (include_start and key == start))
                        and (stop is None or key < stop or (include_stop and key == stop))
                    ]
                    bounds = {"include_start": include_start, "include_stop": include_stop}
                    found = seen.range(start, stop, **bounds)
                    keys = seen.range(start, stop, include_value=False, **bounds)
                    values = seen.range(start, stop, include_key=False, **bounds)
                    assert list(keys) == wanted, (start, stop, bounds)
                    assert list(values) == [key.hex().encode() for key in wanted]
                    assert dict(seen.range(start, stop, reverse=True, **bounds)) == dict(found)
                    assert list(reversed(keys)) == wanted[::-1]
                    assert [key for key, _ in reversed(found)] == wanted[::-1]
                    assert found.count() == len(wanted)
            assert list(seen[start:stop]) == list(seen.range(start, stop))


def test_prefixes(seen):
    for prefix in (b"", b"a", b"b", b"ba", b"\xff", b"\xff\xff", b"x"):
        wanted = [key for key in KEYS if key.startswith(prefix)]
        assert list(seen.range(prefix=prefix, include_value=False)) == wanted
        assert list(seen.range(prefix=prefix, reverse=True, include_value=False)) == wanted[::-1]
        for start in KEYS:
            for stop in KEYS:
                narrowed = [key for key in wanted if start <= key < stop]
                assert list(seen.range(start, stop, prefix=prefix, include_value=False)) == narrowed, (start, stop, prefix)


def test_neighbours(seen):
    for key in [*KEYS, b"a\x01", b"aa", b"\xff\xff\xff"]:
        after = [k for k in KEYS if k > key]
        before = [k for k in KEYS if k < key]
        here = [key] if key in KEYS else []

        def key_of(item):
            return item and item[0]

        assert key_of(seen.after(key)) == next(iter(after), None)
        assert key_of(seen.before(key)) == next(iter(before[::-1]), None)
        assert key_of(seen.at_or_after(key)) == next(iter(here + after), None)
        assert key_of(seen.at_or_before(key)) == next(iter(here + before[::-1]), None)
    assert seen.first() == (b"", b"") and seen.last() == (b"\xff\xff", b"ffff")


def test_what_is_in_a_range(seen):
    some = seen.range(b"a", b"c")
    keys, values = seen.range(b"a", b"c", include_value=False), seen.range(b"a", b"c", include_key=False)
    assert b"b" in keys and b"c" not in keys and b"aa" not in keys
    assert (b"b", b"62") in some and (b"b", b"63") not in some and (b"c", b"63") not in some
    assert b"62" in values and b"63" not in values
    assert b"c" in seen.keys() and (b"c", b"63") in seen.items()


def test_cursors_are_moved(seen):
    cursor = iter(seen.range(b"a", b"c", include_value=False))
    assert next(cursor) == b"a"
    cursor.seek(b"b")
    assert list(cursor) == [b"b", b"ba", b"bb"]
    cursor.seek(b"")
    assert next(cursor) == b"a"
    cursor.seek(b"c")
    assert list(cursor) == []
    cursor = iter(seen.range(b"a", b"c", reverse=True, include_value=False))
    cursor.seek(b"b")
    assert list(cursor) == [b"b", b"a\xff", b"a\x00", b"a"]
    cursor.seek(b"zz")
    assert next(cursor) == b"bb"
    cursor.seek(b"")
    assert list(cursor) == []
    cursor.seek(b"bb")
    assert next(cursor) == b"bb"


def test_walks_of_many_steps(volume, store):
    """Longer than any step, with values that end steps by their bytes."""
    chance = random.Random(7)
    model = {b"%06d" % i: bytes(chance.choice((1, 1, 1, 300_000))) for i in range(0, 500)}
    store.update(model)
    with volume.snapshot() as snapshot, volume.transaction() as txn:
        for seen in (store, snapshot[store], txn[store]):
            assert list(seen.items()) == sorted(model.items())
            assert list(reversed(seen.items())) == sorted(model.items(), reverse=True)
            assert list(seen.keys()) == sorted(model)
            assert seen.keys().count() == len(seen) == 500


def test_a_step_of_a_slice_is_refused(store):
    with pytest.raises(heliumdb.Invalid):
        store[b"a":b"b":2]
    with pytest.raises(TypeError):
        store["a":"b"]
    with pytest.raises(heliumdb.Invalid):
        store.range(include_key=False, include_value=False)


def test_ranges_are_deleted(store):
    store.update((b"%06d" % i, b"") for i in range(70_000))
    assert store.delete_range(b"000001", b"069999") == 69_998
    assert list(store) == [b"000000", b"069999"]
    del store[b"1":]
    del store[:b"000001"]
    assert list(store) == [b"069999"]
    assert store.delete_range(prefix=b"06") == 1


def test_a_walk_goes_on_beside_writers(store):
    store.update((b"%04d" % i, b"") for i in range(1000))
    walk = iter(store)
    assert next(walk) == b"0000"
    for i in range(1000):
        del store[b"%04d" % i]
    store.clear()
    rest = list(walk)
    assert rest == sorted(rest)
    assert list(store) == []


def test_unordered_datastores(volume):
    store = volume.datastore("unordered", unordered=True)
    assert not store.ordered
    model = {b"%d" % i: b"v%d" % i for i in range(1000)}
    store.update(model)
    assert dict(store.items()) == model and set(store) == set(model) and len(store) == 1000
    assert sorted(store.values()) == sorted(model.values())
    for fails in (
        lambda: store.first(),
        lambda: list(store.range(b"1")),
        lambda: list(reversed(store)),
        lambda: store.delete_range(b"1"),
    ):
        with pytest.raises(heliumdb.Unsupported):
            fails()
    with volume.snapshot() as snapshot:
        assert snapshot[store][b"7"] == b"v7"
        with pytest.raises(heliumdb.Unsupported):
            list(snapshot[store])
