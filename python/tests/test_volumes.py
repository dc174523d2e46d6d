"""Volumes: where they are, how they are opened, their datastores and what keeps them well."""

import collections.abc
import os
import pathlib
import pickle
import subprocess
import sys

import pytest

import heliumdb


@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
@pytest.mark.parametrize("name", ["plain", "with, comma", "back\\slash", "_123", "ä", "he:", "\udcff"])
def test_paths_of_all_kinds(tmp_path, monkeypatch, kind, name):
    monkeypatch.chdir(tmp_path)
    for place in (name, str(tmp_path / ("absolute " + name))):
        with heliumdb.open(kind(place)) as volume:
            volume.datastore("a")
        assert os.path.exists(place)


def test_several_devices_and_folders(tmp_path):
    paths = [tmp_path / "a,b", str(tmp_path / "c")]
    with heliumdb.open(paths) as volume:
        volume.datastore("a")[b"k"] = b"v"
    with heliumdb.open(tuple(reversed(paths)), create=False) as volume:
        assert volume["a"][b"k"] == b"v"
    with pytest.raises(heliumdb.Damaged) as why:
        heliumdb.open(paths[:1], create=False)
    assert why.value.kind == "device-mismatch"
    with heliumdb.open(tmp_path) as volume:
        assert (tmp_path / "helium.volume").exists() and len(volume) == 0


@pytest.mark.parametrize(
    "place, error",
    [
        (7, TypeError),
        (None, TypeError),
        ([], heliumdb.Invalid),
        ("", heliumdb.Invalid),
        ("a\0b", heliumdb.HeliumError),
        ("he://host/volume", heliumdb.Unsupported),
        ("he://", heliumdb.Invalid),
        ("/nowhere/at/all", heliumdb.DeviceError),
        ("/proc/version", heliumdb.HeliumError),
    ],
)
def test_places_that_are_none(place, error):
    with pytest.raises(error) as why:
        heliumdb.open(place)
    assert str(why.value)


def test_options(path):
    for wrong in ({"colour": 1}, {"create": "x"}, {"read_cache_bytes": -1}, {"clean_util_pct": 2**40}):
        with pytest.raises((TypeError, OverflowError), match=next(iter(wrong))):
            heliumdb.open(path, **wrong)
    with pytest.raises(heliumdb.HeliumError):
        heliumdb.open(path, create=False)
    with heliumdb.open(path, limit_bytes=128 << 20, auto_commit_period_ms=None, write_cache_bytes=4 << 20) as volume:
        assert volume.stats()["capacity_bytes"] <= 128 << 20 and not volume.read_only
        volume.datastore("a")[b"k"] = b"v"
    with heliumdb.open(path, read_only=True) as volume:
        assert volume.read_only and volume["a"][b"k"] == b"v" and len(volume["a"]) == 1
        with volume.snapshot() as snapshot:
            assert dict(snapshot["a"]) == {b"k": b"v"}
        with pytest.raises(heliumdb.ReadOnly):
            volume["a"][b"k"] = b""
        with pytest.raises(heliumdb.NotFound):
            volume.datastore("b")
    with heliumdb.open(path, truncate=True) as volume:
        assert list(volume) == []


def test_datastores_of_a_volume(volume):
    a = volume.datastore("a", attributes=b"mine")
    assert volume.datastore(b"a").id == a.id and a.name == "a" and a.attributes == b"mine"
    volume.datastore(b"\xff\xfe")
    assert list(volume) == volume.datastores() == ["a", "\udcff\udcfe"] and len(volume) == 2
    assert "a" in volume and b"a" in volume and "b" not in volume and bool(volume)
    assert volume["\udcff\udcfe"].id == volume[b"\xff\xfe"].id
    with pytest.raises(KeyError):
        volume["b"]
    with pytest.raises(heliumdb.NotFound):
        volume.datastore("b", create=False)
    with pytest.raises(heliumdb.Exists):
        volume.datastore("a", error_if_exists=True)
    with pytest.raises(TypeError):
        volume.datastore(7)
    a[b"k"] = b"v"
    volume.rename("a", "b")
    assert a.name == "b" and volume["b"][b"k"] == b"v"
    with pytest.raises(heliumdb.Exists):
        volume.rename(a, b"\xff\xfe")
    volume.set_attributes(a, b"more")
    volume.set_compress(a, True)
    assert a.attributes == b"more" and a.compressed and a.ordered
    volume.truncate(a)
    assert len(a) == 0
    reader = volume.datastore("b", read_only=True)
    for fails in (lambda: reader.put(b"k", b""), reader.clear, lambda: reader.take(b"k"), lambda: reader.delete(b"k")):
        with pytest.raises(heliumdb.ReadOnly):
            fails()
    del volume["b"]
    volume.drop(b"\xff\xfe")
    assert volume.datastores() == []
    with pytest.raises(heliumdb.HeliumError):
        a[b"k"] = b"v"
    with pytest.raises(heliumdb.NotFound):
        len(a)


def test_what_a_transaction_has_written_to_is_busy(volume, store):
    txn = volume.transaction()
    txn[store][b"a"] = b"1"
    with pytest.raises(heliumdb.Busy) as why:
        volume.drop(store)
    assert why.value.retryable
    txn.rollback()
    volume.drop(store)


def test_durability(path):
    volume = heliumdb.open(path, auto_commit_period_ms=None)
    store = volume.datastore("store")
    store[b"a"] = b"1"
    assert volume.stats()["buffered_bytes"] > 0
    volume.flush()
    assert volume.stats()["buffered_bytes"] == 0
    with volume.transaction(durability="buffered") as txn:
        txn[store][b"b"] = b"1"
    assert volume.stats()["buffered_bytes"] > 0
    for synced in (
        lambda: store.put(b"c", b"1", sync=True),
        lambda: store.delete(b"c", sync=True),
        lambda: volume.run(lambda txn: txn[store].put(b"d", b"1")),
        lambda: volume.batch(durability="synced").__exit__(None, None, None),
    ):
        synced()
    assert volume.stats()["buffered_bytes"] == 0
    volume.close()


def test_a_full_volume(path):
    with heliumdb.open(path, limit_bytes=64 << 20, retry_count=0) as volume:
        store = volume.datastore("store")
        with pytest.raises(heliumdb.VolumeFull) as why:
            for i in range(1000):
                store[b"%d" % i] = os.urandom(200_000)
        assert not why.value.retryable
        assert store.delete(b"0")


def test_backup_verify_and_salvage(path, tmp_path):
    heard = []
    with heliumdb.open(path) as volume:
        store = volume.datastore("store", attributes=b"mine")
        store.update((b"%05d" % i, bytes(200)) for i in range(5000))
        snapshot = volume.snapshot()
        del store[b"00000"]
        report = volume.backup(tmp_path / "newest", progress=lambda *step: heard.append(step))
        assert report == {"datastores": 1, "items": 4999, "bytes": 4999 * 205}
        assert heard and {word for word, _, _ in heard} <= {"records", "items", "copying"}
        assert volume.backup(tmp_path / "old", snapshot=snapshot)["items"] == 5000
        with pytest.raises(heliumdb.HeliumError):
            volume.backup(tmp_path / "old")
        with pytest.raises(heliumdb.Cancelled):
            volume.backup(tmp_path / "stopped", progress=lambda *step: False)
        with pytest.raises(LookupError):
            volume.verify(progress=lambda *step: {}["mine"])
        # What was cut short is made again.
        assert volume.backup(tmp_path / "stopped")["items"] == 4999
        volume.checkpoint()
        volume.compact()
        volume.compact("store")
        volume.clean()
        found = volume.verify()
        # What only the snapshot sees is checked, too.
        assert found["items"] >= 4999 and found["damaged"] == 0 and volume.damage() == []
    for name, items in (("newest", 4999), ("old", 5000)):
        with heliumdb.open(tmp_path / name, create=False) as copy:
            assert len(copy["store"]) == items and copy["store"].attributes == b"mine"
    report = heliumdb.salvage(path, tmp_path / "salvaged")
    assert report["lossless"] and report["items"] == 4999 and report["datastores"][0]["name"] == "store"
    with pytest.raises(ValueError):
        heliumdb.salvage(path, tmp_path / "x", unresolved="perhaps")
    heliumdb.destroy(path)
    with pytest.raises(heliumdb.HeliumError):
        heliumdb.open(path, create=False)


def test_damage_is_told(path):
    with heliumdb.open(path, read_cache_bytes=0) as volume:
        store = volume.datastore("store")
        store.update((b"%03d" % i, b"mark%03d" % i + bytes(5000)) for i in range(100))
    data = path.read_bytes()
    at = data.index(b"mark050")
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(b"MARK")
    with pytest.raises(heliumdb.HeliumError) as why:
        with heliumdb.open(path, write_cache_bytes=2 << 20, read_cache_bytes=0) as volume:
            report = volume.verify()
            assert report["damaged"] == 1 and volume.damage()[0]["key"] == b"050"
            volume["store"][b"050"]
    assert isinstance(why.value, heliumdb.Damaged), repr(why.value)
    report = heliumdb.salvage(path, str(path) + ".salvaged")
    assert not report["lossless"]


def test_figures(volume, store):
    store[b"a"] = b"1"
    figures = volume.stats()
    assert figures["items"] == 1 and figures["datastores"] == 1 and figures["write_amplification"] >= 0
    assert all(isinstance(value, (int, float)) for value in figures.values())
    assert store.stats()["name"] == "store" and store.stats()["items"] == 1
    assert isinstance(volume.id, str) and len(volume.id) == 32 and volume.url.startswith("he://")


def test_errors_are_a_small_hierarchy():
    for name in heliumdb.errors.__all__:
        kind = getattr(heliumdb, name)
        assert issubclass(kind, heliumdb.HeliumError)
        why = pickle.loads(pickle.dumps(kind("a sentence", "a-kind", 5)))
        assert (type(why), str(why), why.kind, why.errno) == (kind, "a sentence", "a-kind", 5)
    assert issubclass(heliumdb.NotFound, KeyError) and issubclass(heliumdb.Invalid, ValueError)
    assert isinstance(heliumdb.open, collections.abc.Callable)
    with pytest.raises(heliumdb.DeviceError) as why:
        heliumdb.open("/nowhere/at/all")
    assert why.value.errno == 2 and "/nowhere/at/all" in str(why.value)


def test_another_process_is_refused(path):
    with heliumdb.open(path) as volume:
        volume.datastore("store")
        other = "import sys, heliumdb; heliumdb.open(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", other, str(path)], capture_output=True, text=True)
        assert "VolumeInUse" in done.stderr
