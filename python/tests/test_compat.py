"""The interface of the original's Python package, as programs that were written for it use it."""

import gc
import os
import signal
import threading

import pytest

import heliumdb
from heliumdb import (
    HE_O_COMPRESS,
    HE_O_CREATE,
    HE_O_ERR_EXISTS,
    HE_O_NOSORT,
    HE_O_READONLY,
    HE_O_TRUNCATE,
    HE_O_VOLUME_CREATE,
    HE_O_VOLUME_TRUNCATE,
    Heliumdb,
    HeliumException,
)


@pytest.fixture
def url(path):
    """A file of a fixed size, which the program has made before."""
    with open(path, "wb") as file:
        file.truncate(2 << 30)
    return f"he://./{path}"


@pytest.fixture
def objects(url):
    store = Heliumdb(url=url, datastore="helium")
    yield store
    if store._store is not None:
        store.cleanup()


def test_objects_are_pickled(objects):
    objects[1] = "a"
    objects["x"] = {"y": [1, None, 2.5]}
    objects[("t", "t")] = b"bytes"
    assert objects[1] == "a" and objects.get("x") == {"y": [1, None, 2.5]}
    # Equal, though its parts are not one object.
    assert objects["".join("t"), "".join(["", "t"])] == b"bytes"
    assert 1 in objects and 2 not in objects and objects.contains("x") and not objects.contains("z")
    assert len(objects) == objects.__sizeof__() == 3
    assert sorted(map(str, objects)) == sorted(map(str, objects.keys())) and isinstance(objects.keys(), list)
    assert objects.pop("x") == {"y": [1, None, 2.5]} and objects.get("x", 7) == 7 and objects.get("x") is None
    del objects[1]
    for missing in (lambda: objects[1], lambda: objects.pop(1), lambda: objects.__delitem__(1)):
        with pytest.raises(KeyError):
            missing()
    assert objects.pop(1, None) is None
    assert list(objects.items()) == [(("t", "t"), b"bytes")] and list(objects.values()) == [b"bytes"]


def test_keys_come_in_the_order_of_their_bytes(objects):
    objects[2], objects["345"], objects[1] = "b", "c", "a"
    assert Heliumdb.keys(objects) == [1, 2, "345"]


@pytest.mark.parametrize(
    "letter, good, bad",
    [
        ("i", [0, 1, -1, 2**63 - 1, -(2**63)], ["1", 2**63, 1.5, None]),
        ("f", [0.0, -1.5, 1e300, float("inf"), 7], ["1.5", None]),
        ("s", ["", "a", "ä", "\U0001f34e"], [b"a", 1]),
        ("b", [b"", b"\x00\xff"], ["a", bytearray(b"a")]),
        ("O", [None, [], (1, 2)], [lambda: None]),
    ],
)
def test_types(url, letter, good, bad):
    values = Heliumdb(url=url, datastore="values", key_type="i", val_type=letter)
    keys = Heliumdb(url=url, datastore="keys", key_type=letter, val_type="i")
    for number, value in enumerate(good):
        values[number] = value
        assert values[number] == value
        keys[value] = number
        assert keys[value] == number and value in keys.keys()
    for value in bad:
        with pytest.raises(Exception) as why:
            values[0] = value
        assert letter == "O" or isinstance(why.value, HeliumException)
    values.cleanup()
    keys.cleanup()


def test_wrong_arguments(url):
    for wrong in ({"key_type": "C"}, {"val_type": "x"}, {"key_type": 7}):
        with pytest.raises(HeliumException):
            Heliumdb(url=url, datastore="a", **wrong)
    for wrong in ({}, {"url": url}, {"datastore": "a"}, {"url": "nonsense", "datastore": "a"}):
        with pytest.raises(HeliumException):
            Heliumdb(**wrong)
    with pytest.raises(TypeError):
        Heliumdb(url=url, datastore="a", colour=1)


def test_all_arguments_by_their_order_and_garbage_in_numbers(url):
    full = 2**64 - 1
    flags = HE_O_CREATE | HE_O_VOLUME_CREATE
    store = Heliumdb(url, "a", "i", "s", 33, flags, 1, full, full, full, full, full, full, full, full)
    store[1] = "one"
    assert store[1] == "one"
    store.cleanup()


def test_flags(url):
    with pytest.raises(HeliumException):
        Heliumdb(url=url, datastore="a", flags=HE_O_CREATE)
    with pytest.raises(HeliumException):
        Heliumdb(url=url, datastore="a", flags=HE_O_VOLUME_CREATE)
    first = Heliumdb(url=url, datastore="a", flags=HE_O_CREATE | HE_O_VOLUME_CREATE | HE_O_COMPRESS)
    first[1] = "x"
    second = Heliumdb(url=url, datastore="a", flags=HE_O_CREATE)
    assert second[1] == "x"
    for flags in (HE_O_CREATE | HE_O_ERR_EXISTS, HE_O_CREATE | HE_O_VOLUME_CREATE | HE_O_VOLUME_TRUNCATE):
        with pytest.raises(HeliumException):
            Heliumdb(url=url, datastore="a", flags=flags)
    reader = Heliumdb(url=url, datastore="a", flags=HE_O_READONLY)
    with pytest.raises(heliumdb.ReadOnly):
        reader[1] = "y"
    del second, reader
    emptied = Heliumdb(url=url, datastore="a", flags=HE_O_CREATE | HE_O_TRUNCATE)
    assert len(emptied) == 0
    unordered = Heliumdb(url=url, datastore="b", flags=HE_O_CREATE | HE_O_NOSORT)
    unordered.__setitem__(1, "x")
    assert unordered.keys() == [1]


def test_what_is_committed_is_there_again(url):
    store = Heliumdb(url=url, datastore="a", key_type="s", val_type="i")
    store["a"] = 1
    store.commit()
    stats = store.stats()
    assert stats["name"] == "a" and stats["valid_items"] == 1 and stats["dirty_writes"] == 0
    assert set(stats) == {
        "name", "valid_items", "deleted_items", "utilized", "capacity", "buffered_writes", "buffered_reads",
        "dirty_writes", "device_writes", "device_reads", "auto_commits", "auto_cleans", "clean_bytes", "cache_hits",
        "cache_misses",
    }  # fmt: skip
    del store
    gc.collect()
    store = Heliumdb(url=url, datastore="a", key_type="s", val_type="i")
    assert store["a"] == 1


def test_objects_end_anywhere(url):
    """Threads make and drop objects on one volume; it is closed by the last, and opened again."""
    failed = []

    def work(number):
        try:
            for i in range(30):
                store = Heliumdb(url=url, datastore=f"store {number}", key_type="i", val_type="i")
                store[i] = i
                assert store.keys() == list(range(i + 1))
                del store
        except BaseException as why:
            failed.append(why)

    working = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    [thread.start() for thread in working]
    [thread.join() for thread in working]
    assert failed == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_has_nothing_of_it(url):
    store = Heliumdb(url=url, datastore="a")
    store[1] = "x"
    held, let_go = threading.Event(), threading.Event()

    def hold():
        # In the child nobody lets it go: the thread is not there.
        with heliumdb.compat._Shared.lock:
            held.set()
            assert let_go.wait(120)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(60)
    child = os.fork()
    if child == 0:
        code = 1
        # Who waits for a lock that nobody gives back is ended.
        signal.alarm(60)
        try:
            with pytest.raises(HeliumException):
                store[1]
            with pytest.raises(HeliumException):
                Heliumdb(url=url, datastore="a")
            del store
            gc.collect()
            code = 0
        finally:
            os._exit(code)
    ended = os.waitpid(child, 0)[1]
    let_go.set()
    holder.join()
    assert ended == 0 and store[1] == "x"


def test_after_cleanup_the_object_is_dead_and_the_file_free(url, path):
    for _ in range(2):
        store = Heliumdb(url=url, datastore="a")
        store[1] = "x"
        walk = iter(store)
        store.cleanup()
        for dead in (lambda: store[1], lambda: len(store), store.commit, store.stats, store.cleanup, lambda: next(walk)):
            with pytest.raises(HeliumException):
                dead()
        os.remove(path)
        with open(path, "wb") as file:
            file.truncate(2 << 30)
