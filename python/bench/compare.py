"""The same work on heliumdb, lmdb and rocksdict, in turns: ratios of rates, medians of paired rounds.

    python -m venv bench && bench/bin/pip install ./python lmdb rocksdict
    bench/bin/python python/bench/compare.py --items 100000 --rounds 7 --folder FOLDER

A figure above 1 says that heliumdb is faster. All three keep the data in FOLDER, which is to be on the disk that is meant.
"""

import argparse
import pathlib
import random
import shutil
import statistics
import tempfile
import time

KEY, VALUE = 16, 100
TOGETHER = 1000


class Helium:
    def __init__(self, folder):
        import heliumdb

        self.volume = heliumdb.open(folder / "volume")
        self.store = self.volume.datastore("bench")

    def load(self, items):
        for some in chunks(items):
            with self.volume.batch() as batch:
                batch[self.store].update(some)
        self.volume.flush()

    def put(self, items):
        for key, value in items:
            self.store.put(key, value)
        self.volume.flush()

    def get(self, keys):
        get = self.store.get
        for key in keys:
            assert get(key) is not None

    def get_many(self, keys):
        for some in chunks(keys):
            assert None not in self.store.get_many(some)

    def scan(self):
        return sum(1 for _ in self.store.items())

    def commit(self, items):
        for key, value in items:
            self.store.put(key, value, sync=True)

    def close(self):
        self.volume.close()


class Lmdb:
    def __init__(self, folder):
        import lmdb

        self.env = lmdb.open(str(folder / "lmdb"), map_size=4 << 30, sync=False)
        self.durable = lmdb.open(str(folder / "durable"), map_size=1 << 30)

    def load(self, items):
        for some in chunks(items):
            with self.env.begin(write=True) as txn, txn.cursor() as cursor:
                cursor.putmulti(some)
        self.env.sync(True)

    def put(self, items):
        # One transaction: its puts are no transactions of their own.
        with self.env.begin(write=True) as txn:
            for key, value in items:
                txn.put(key, value)
        self.env.sync(True)

    def get(self, keys):
        with self.env.begin() as txn:
            get = txn.get
            for key in keys:
                assert get(key) is not None

    def get_many(self, keys):
        with self.env.begin() as txn, txn.cursor() as cursor:
            for some in chunks(keys):
                assert len(cursor.getmulti(some)) == len(some)

    def scan(self):
        with self.env.begin() as txn:
            return sum(1 for _ in txn.cursor())

    def commit(self, items):
        for key, value in items:
            with self.durable.begin(write=True) as txn:
                txn.put(key, value)

    def close(self):
        self.env.close()
        self.durable.close()


class Rocksdict:
    def __init__(self, folder):
        from rocksdict import Options, Rdict, WriteBatch, WriteOptions

        self.batch = WriteBatch
        self.db = Rdict(str(folder / "rocks"), Options(raw_mode=True))
        self.synced = WriteOptions()
        self.synced.sync = True

    def load(self, items):
        for some in chunks(items):
            batch = self.batch(raw_mode=True)
            for key, value in some:
                batch.put(key, value)
            self.db.write(batch)
        self.db.flush_wal(True)

    def put(self, items):
        for key, value in items:
            self.db[key] = value
        self.db.flush_wal(True)

    def get(self, keys):
        db = self.db
        for key in keys:
            assert db[key] is not None

    def get_many(self, keys):
        for some in chunks(keys):
            assert None not in self.db[some]

    def scan(self):
        return sum(1 for _ in self.db.items())

    def commit(self, items):
        self.db.set_write_options(self.synced)
        for key, value in items:
            self.db[key] = value

    def close(self):
        self.db.close()


STORES = [Helium, Lmdb, Rocksdict]


def chunks(items):
    return [items[at : at + TOGETHER] for at in range(0, len(items), TOGETHER)]


def one_round(store, folder, items, keys, commits):
    """Seconds of each kind of work, on a store that is new."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    store = store(folder)
    seconds = {}

    def timed(name, work, *arguments):
        start = time.perf_counter()
        done = work(*arguments)
        seconds[name] = time.perf_counter() - start
        return done

    half = len(items) // 2
    timed(f"put in batches of {TOGETHER}", store.load, items[:half])
    timed("put one by one", store.put, items[half:])
    timed("get", store.get, keys)
    timed(f"get {TOGETHER} together", store.get_many, keys)
    assert timed("scan", store.scan) == len(items)
    timed("durable put", store.commit, commits)
    store.close()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--commits", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=pathlib.Path, default=None)
    asked = parser.parse_args()
    chance = random.Random(1)
    items = list({chance.randbytes(KEY): chance.randbytes(VALUE) for _ in range(asked.items)}.items())
    keys = [key for key, _ in items]
    chance.shuffle(keys)
    commits = [(chance.randbytes(KEY), chance.randbytes(VALUE)) for _ in range(asked.commits)]
    folder = pathlib.Path(tempfile.mkdtemp(dir=asked.folder))
    rounds = []
    try:
        for number in range(asked.rounds):
            # Whoever begins is another one each time.
            order = STORES[number % 3 :] + STORES[: number % 3]
            rounds.append({store: one_round(store, folder / "store", items, keys, commits) for store in order})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("| work | heliumdb, µs each | beside lmdb | beside rocksdict |\n|---|---|---|---|")
    for work in rounds[0][Helium]:
        each = asked.commits if work == "durable put" else len(items) // (2 if work.startswith("put") else 1)
        own = statistics.median(seconds[Helium][work] for seconds in rounds) / each * 1e6
        ratios = [[seconds[other][work] / seconds[Helium][work] for seconds in rounds] for other in STORES[1:]]
        shown = [f"{statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in ratios]
        print(f"| {work} | {own:.2f} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
