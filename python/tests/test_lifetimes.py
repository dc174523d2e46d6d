"""What becomes of volumes and of what was opened through them: closes, forks, kills, threads, interrupts."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import heliumdb

MEMORY = "he://./_67108864"


def run(program, *arguments, **more):
    """A Python program of its own."""
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


def everything_of(volume):
    """Each kind of thing that a volume gives, and a call on it."""
    store = volume.datastore("store")
    store.update((b"%04d" % i, b"v") for i in range(1000))
    txn, snapshot, batch = volume.transaction(), volume.snapshot(), volume.batch()
    in_txn, old, writer = txn[store], snapshot[store], batch[store]
    savepoint, walk, walk_in_txn = txn.savepoint(), iter(store), iter(in_txn.items())
    next(walk), next(walk), next(walk_in_txn)
    return [
        volume.datastores,
        volume.flush,
        volume.stats,
        volume.transaction,
        volume.snapshot,
        volume.batch,
        volume.verify,
        volume.compact,
        volume.clean,
        lambda: volume["store"],
        lambda: volume.run(lambda txn: None),
        lambda: store[b"0001"],
        lambda: store.put(b"0001", b""),
        lambda: store.merge(b"0001", lambda old: old),
        lambda: len(store),
        lambda: list(store),
        lambda: store.name,
        store.clear,
        lambda: in_txn.get(b"0001"),
        lambda: in_txn.put(b"0001", b""),
        txn.commit,
        savepoint.rollback,
        txn.savepoint,
        lambda: old.get(b"0001"),
        lambda: len(old),
        lambda: old.range().count(),
        lambda: snapshot["store"],
        snapshot.datastores,
        lambda: writer.put(b"0001", b""),
        batch.commit,
        lambda: len(batch),
        lambda: next(walk),
        lambda: walk.seek(b"0001"),
        lambda: next(walk_in_txn),
    ]


def test_everything_is_refused_after_a_close():
    volume = heliumdb.open(MEMORY)
    calls = everything_of(volume)
    txn = volume.transaction()
    volume.close()
    assert volume.closed and not txn.active
    for call in calls:
        with pytest.raises(heliumdb.Closed):
            call()
    # These end what is over.
    volume.close()
    txn.rollback()
    with pytest.raises(heliumdb.Closed), txn:
        pass
    del calls, txn
    gc.collect()
    assert "closed" in repr(volume)


def test_what_is_open_keeps_its_volume(path):
    store = heliumdb.open(path).datastore("store")
    gc.collect()
    store[b"a"] = b"1"
    with pytest.raises(heliumdb.VolumeInUse, match="this process"):
        heliumdb.open(path)
    del store
    gc.collect()
    with heliumdb.open(path) as volume:
        assert volume["store"][b"a"] == b"1"


def test_a_close_waits_for_calls_of_other_threads():
    """A call is held by its own function while another thread closes."""
    volume = heliumdb.open(MEMORY)
    store = volume.datastore("store")
    inside, go_on, closing = threading.Event(), threading.Event(), threading.Event()

    def change(old):
        inside.set()
        assert go_on.wait(60)
        return b"done"

    def close():
        closing.set()
        volume.close()

    results = []
    call = threading.Thread(target=lambda: results.append(store.merge(b"k", change)))
    call.start()
    assert inside.wait(60)
    closer = threading.Thread(target=close)
    closer.start()
    assert closing.wait(60)
    while not volume.closed:
        pass
    with pytest.raises(heliumdb.Closed):
        store.get(b"k")
    assert closer.is_alive()
    go_on.set()
    call.join()
    closer.join()
    assert results == [b"done"]


def test_a_function_cannot_close_the_volume_that_calls_it():
    with heliumdb.open(MEMORY) as volume, heliumdb.open(MEMORY) as other:
        store = volume.datastore("store")
        with pytest.raises(heliumdb.Busy):
            store.merge(b"k", lambda old: volume.close())
        assert store.merge(b"k", lambda old: other.close() or b"fine") == b"fine"
        assert other.closed and not volume.closed


@pytest.mark.parametrize("work", ["put", "commit", "scan", "open"])
def test_waiting_lets_other_threads_run(path, work):
    """A thread that counts gets on in the middle of calls: it is never given its turn, but when one lets it."""
    volume = heliumdb.open(path)
    store = volume.datastore("store")
    store.update((b"%06d" % i, bytes(50)) for i in range(10_000))
    counted, stop, calls = [0], threading.Event(), 0

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0)

    def call():
        nonlocal volume
        if work == "put":
            store.put(b"key", b"", sync=True)
        elif work == "scan":
            store.keys().count()
        elif work == "commit":
            txn = volume.transaction()
            txn[store].put(b"key", b"")
            txn.commit()
        else:
            volume.close()
            volume = heliumdb.open(path)

    turns = sys.getswitchinterval()
    counter = threading.Thread(target=count)
    counter.start()
    try:
        sys.setswitchinterval(1000)
        before, most = counted[0], 10_000 if work == "scan" else 300
        while counted[0] == before and calls < most:
            call()
            calls += 1
        assert counted[0] > before
    finally:
        sys.setswitchinterval(turns)
        stop.set()
        counter.join()
        volume.close()


def test_threads_share_a_datastore_a_cursor_and_a_transaction(volume, store):
    threads, each = 4, 500
    txn = volume.transaction(durability="buffered")
    cursor = iter(store.items())
    failed, handed_out = [], []

    def work(number):
        try:
            for i in range(each):
                store[b"%d/%d" % (number, i)] = b"%d" % i
                txn[store][b"txn/%d/%d" % (number, i)] = b""
                if i % 50 == 0:
                    assert dict(store.range(prefix=b"%d/" % number))
            handed_out.extend(cursor)
        except BaseException as why:
            failed.append(why)

    working = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    [thread.start() for thread in working]
    [thread.join() for thread in working]
    assert failed == []
    txn.commit()
    assert len(store) == 2 * threads * each
    assert len(handed_out) == len(set(handed_out))


@pytest.mark.parametrize("how", ["returns", "sys.exit(3)", "raise SystemExit", "1/0"])
def test_the_end_of_a_program_loses_nothing(path, how):
    program = f"""
        import sys, threading, heliumdb
        volume = heliumdb.open(sys.argv[1], auto_commit_period_ms=None)
        store = volume.datastore("store")
        txn = volume.transaction()
        txn[store][b"uncommitted"] = b""
        walk = iter(store)
        cycle = [volume, walk]
        cycle.append(cycle)
        store[b"a"] = b"1"
        def work():
            while True:
                store[b"b"] = b"2"
        threading.Thread(target=work, daemon=True).start()
        {how if how != "returns" else "pass"}
    """
    done = run(program, path)
    assert ("ZeroDivisionError" in done.stderr) == (how == "1/0") and "panick" not in done.stderr, done.stderr
    with heliumdb.open(path) as volume:
        assert volume["store"][b"a"] == b"1" and b"uncommitted" not in volume["store"]
        # It was closed, and not only flushed.
        assert volume.stats()["discarded_bytes"] == 0


def test_a_kill_loses_nothing_that_was_acknowledged(path):
    """Killed at a moment of its own choosing; a transaction is there as a whole, or not at all."""
    program = """
        import os, signal, sys, heliumdb
        volume = heliumdb.open(sys.argv[1])
        a, b = volume.datastore("a"), volume.datastore("b")
        for i in range(1000):
            with volume.transaction() as txn:
                txn[a][b"%04d" % i] = txn[b][b"%04d" % i] = b"x" * 1000
            print(i, flush=True)
            if i == int(sys.argv[2]):
                txn = volume.transaction(memory_budget_bytes=4096)
                txn[a].update((b"never/%d" % k, b"y" * 1000) for k in range(100))
                a[b"buffered"] = b""
                os.kill(os.getpid(), signal.SIGKILL)
    """
    last = -1
    for at in (0, 7, 60):
        done = run(program, path, at)
        assert done.returncode == -signal.SIGKILL, done.stderr
        last = max(last, int(done.stdout.split()[-1]))
        with heliumdb.open(path) as volume:
            a, b = volume["a"], volume["b"]
            keys = [key for key in a if key != b"buffered"]
            assert keys == list(b) == [b"%04d" % i for i in range(last + 1)]
            assert volume.verify()["damaged"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_is_refused(path):
    volume = heliumdb.open(path)
    calls = everything_of(volume)
    child = os.fork()
    if child == 0:
        # Whatever happens, the child goes no further.
        code = 1
        try:
            for call in calls:
                with pytest.raises(heliumdb.Forked, match="fork"):
                    call()
            with pytest.raises(heliumdb.HeliumError):
                heliumdb.open(path)
            volume.close()
            heliumdb.close_all()
            del calls, call, volume
            gc.collect()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    volume["store"][b"after"] = b"1"
    volume.close()
    with heliumdb.open(path) as volume:
        assert volume["store"][b"after"] == b"1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_that_ends_like_a_program_leaves_its_parent_alone(path):
    program = """
        import os, sys, heliumdb
        volume = heliumdb.open(sys.argv[1])
        store = volume.datastore("store")
        store[b"a"] = b"1"
        if os.fork() == 0:
            sys.exit(0)
        assert os.wait()[1] == 0
        store[b"b"] = b"2"
    """
    done = run(program, path)
    assert done.returncode == 0, done.stderr
    with heliumdb.open(path) as volume:
        assert len(volume["store"]) == 2


INTERRUPTED = """
    import os, signal, sys, threading, heliumdb
    volume, target = heliumdb.open(sys.argv[1]), sys.argv[2]
    store = volume.datastore("store")
    store.update((b"%05d" % i, bytes(300)) for i in range(10_000))
    gate = threading.Lock()
    gate.acquire()
    def send():
        with gate:
            os.kill(os.getpid(), signal.SIGINT)
    sender = threading.Thread(target=send)
    sender.start()
    # From here on the other thread runs when this one lets it: in the middle of the work.
    sys.setswitchinterval(1000)
    try:
        gate.release()
        while True:
            {work}
    except KeyboardInterrupt:
        pass
    assert store[b"00007"] == bytes(300)
    volume.close()
    print("whole")
"""


@pytest.mark.parametrize(
    "work",
    [
        "volume.verify()",
        "volume.backup(target)",
        "volume.compact()",
        "volume.clean()",
        "store.keys().count()",
        "store.get_many([b'00007'] * 10_000)",
        "store.delete_range(b'00008')",
    ],
)
def test_long_work_is_interrupted(path, tmp_path, work):
    done = run(textwrap.dedent(INTERRUPTED).format(work=work), path, tmp_path / "copy")
    assert done.stdout == "whole\n", done.stderr


def test_a_backup_that_is_interrupted_stops(path, tmp_path):
    """The signal comes in the middle; that it is heard there shows in what is not finished."""
    done = run(textwrap.dedent(INTERRUPTED).format(work="volume.backup(target)"), path, tmp_path / "copy")
    assert done.stdout == "whole\n", done.stderr
    with pytest.raises(heliumdb.HeliumError):
        heliumdb.open(tmp_path / "copy", create=False)["store"]


def test_nothing_leaks(volume, store):
    """References and memory after many rounds are those after a few."""
    store.update((b"%04d" % i, bytes(2000)) for i in range(100))
    key, value = b"key" * 50, bytes(5000)

    def round():
        store[key] = value
        assert store[key] == value
        list(store.items())
        next(iter(store.range()))
        store.get_many([key, b"none"])
        store.merge(key, lambda old: old)
        with pytest.raises(KeyError):
            store[b"none"]
        with volume.snapshot() as snapshot:
            snapshot[store].get(key)
        with volume.transaction(durability="buffered") as txn:
            txn[store].update([(key, value)])
            iter(txn[store])
        with volume.batch() as batch:
            batch[store][key] = value

    for _ in range(50):
        round()
    gc.collect()
    references = sys.getrefcount(key), sys.getrefcount(value), len(gc.get_objects())
    before = memory()
    for _ in range(500):
        round()
    gc.collect()
    assert (sys.getrefcount(key), sys.getrefcount(value)) == references[:2]
    assert len(gc.get_objects()) < references[2] + 50
    # One value kept in each round would be 2.5 MB, a whole walk 100 MB; the log of the rounds, in memory, is not counted.
    assert memory() - before < 30 << 20


def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
