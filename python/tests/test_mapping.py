"""A datastore is a mapping of bytes to bytes, in order."""

import array
import collections.abc
import random

import pytest

import heliumdb


def test_is_used_like_a_dictionary(store):
    store[b"apple"] = b"red"
    store[b"banana"] = b"yellow"
    assert store[b"apple"] == b"red"
    assert b"apple" in store and b"cherry" not in store
    assert len(store) == 2 and bool(store)
    assert list(store) == [b"apple", b"banana"]
    assert list(reversed(store)) == [b"banana", b"apple"]
    assert list(store.keys()) == [b"apple", b"banana"]
    assert list(store.values()) == [b"red", b"yellow"]
    assert dict(store.items()) == dict(store) == {b"apple": b"red", b"banana": b"yellow"}
    assert isinstance(store, collections.abc.MutableMapping)
    del store[b"apple"]
    assert store.get(b"apple") is None and store.get(b"apple", 7) == 7
    store.clear()
    assert len(store) == 0 and not store


def test_what_is_missing_is_a_key_error(store):
    for fails in (lambda: store[b"a"], lambda: store.pop(b"a"), lambda: store.__delitem__(b"a"), store.popitem):
        with pytest.raises(KeyError) as why:
            fails()
        assert isinstance(why.value, heliumdb.NotFound) and why.value.kind == "item-not-found"
    assert store.pop(b"a", None) is None
    assert store.delete(b"a") is False
    assert store.take(b"a") is None
    with pytest.raises(TypeError):
        store.pop(b"a", 1, 2)
    assert str(pytest.raises(KeyError, lambda: store[b"\xff'"]).value) == (
        "there is no item with the key b'\\xff\\''"
    )


def test_looks_and_writes_in_one(store):
    store.insert(b"a", b"1")
    with pytest.raises(heliumdb.Exists):
        store.insert(b"a", b"2")
    store.replace(b"a", b"3")
    with pytest.raises(heliumdb.NotFound):
        store.replace(b"b", b"3")
    assert store.setdefault(b"a", b"4") == b"3"
    assert store.setdefault(b"b", b"4") == b"4"
    assert store.take(b"b") == b"4"
    assert store.pop(b"a") == b"3"
    store.update({b"x": b"1"})
    store.update([(b"y", b"2"), (b"z", b"3")])
    store.update((b"%03d" % i, b"") for i in range(600))
    assert len(store) == 603
    assert store.popitem() == (b"000", b"")


def test_merge_changes_an_item_in_one(store):
    def more(old):
        return str(int(old or b"0") + 1).encode()

    assert store.merge(b"count", more) == b"1"
    assert store.merge(b"count", more) == b"2"
    assert store.merge(b"count", lambda old: None) is None
    assert b"count" not in store
    assert store.merge(b"count", lambda old: None) is None

    def fails(old):
        raise LookupError("mine")

    store[b"count"] = b"5"
    with pytest.raises(LookupError, match="mine"):
        store.merge(b"count", fails)
    with pytest.raises(TypeError):
        store.merge(b"count", lambda old: 7)
    assert store[b"count"] == b"5"


def test_merge_is_called_again_when_somebody_was_faster(store):
    seen = []

    def change(old):
        seen.append(old)
        if len(seen) == 1:
            store[b"k"] = b"other"
        return (old or b"") + b"!"

    assert store.merge(b"k", change) == b"other!"
    assert seen == [None, b"other"]
    with pytest.raises(heliumdb.Conflict):
        store.merge(b"k", lambda old: store.put(b"k", b"again") or b"mine")


def test_anything_with_bytes_is_a_key_or_a_value(store):
    for key in (b"key", bytearray(b"key"), memoryview(b"key"), memoryview(b"_k_e_y")[1::2], array.array("b", b"key")):
        store.clear()
        store[key] = key
        assert list(store.items()) == [(b"key", b"key")]
        assert store[key] == b"key" and key in store
    values = array.array("i", [1, -2])
    store[b""] = values
    assert store[b""] == values.tobytes()
    for wrong in ("key", 7, None, [1], 1.5):
        with pytest.raises(TypeError):
            store[wrong]
        with pytest.raises(TypeError):
            store[b"k"] = wrong


def test_get_many(store):
    store.update((b"%d" % i, b"v%d" % i) for i in range(1000))
    keys = [b"%d" % i for i in range(-10, 1010)]
    random.Random(1).shuffle(keys)
    assert store.get_many(keys) == [store.get(key) for key in keys]
    assert store.get_many([]) == []


def test_values_of_many_megabytes(store):
    value = bytes(range(256)) * (3 << 12)
    store[b"large"] = value
    assert store[b"large"] == value
    assert store.get(b"small") is None
    assert list(store.values()) == [value]


def test_limits_are_told(store):
    store[b"k" * 131_072] = b""
    with pytest.raises(heliumdb.Invalid) as why:
        store[b"k" * 131_073] = b""
    assert why.value.kind == "key-too-long" and isinstance(why.value, ValueError)
    with pytest.raises(heliumdb.Invalid, match="16,?777,?215"):
        store[b"k"] = bytes(16_777_216)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("through", ["newest", "transaction"])
def test_does_what_a_dictionary_does(volume, seed, through):
    """A thousand operations on both, chosen at random."""
    chance = random.Random(seed)
    store, model = volume.datastore("store"), {}
    txn = volume.transaction() if through == "transaction" else None
    store = txn[store] if txn else store
    keys = [bytes(chance.choices(b"ab\x00\xff", k=chance.randrange(4))) for _ in range(40)]
    for _ in range(1000):
        key, value = chance.choice(keys), bytes([chance.randrange(256)])
        match = chance.randrange(9)
        if match < 3:
            store[key] = model[key] = value
        elif match == 3:
            assert store.pop(key, None) == model.pop(key, None)
        elif match == 4:
            assert store.setdefault(key, value) == model.setdefault(key, value)
        elif match == 5:
            low, high = sorted(chance.choices(keys, k=2))
            gone = [k for k in model if low <= k < high]
            if chance.randrange(8) == 0:
                assert store.delete_range(low, high) == len(gone)
                for k in gone:
                    del model[k]
            else:
                assert [k for k, _ in store[low:high]] == sorted(gone)
        elif match == 6:
            assert store.merge(key, lambda old: (old or b"")[-2:] + value) == (model.get(key, b"")[-2:] + value)
            model[key] = model.get(key, b"")[-2:] + value
        elif match == 7:
            assert store.get(key) == model.get(key) and (key in store) == (key in model)
        else:
            assert len(store) == len(model)
        if chance.randrange(20) == 0:
            assert list(store.items()) == sorted(model.items())
            assert list(reversed(store)) == sorted(model, reverse=True)
    if txn:
        txn.commit()
        assert dict(volume["store"]) == model
