"""asyncio: calls run in threads, and the loop goes on."""

import asyncio
import threading

import pytest

import heliumdb
from heliumdb import aio

MEMORY = "he://./_67108864"


def test_all_of_it():
    async def main():
        async with await aio.open(MEMORY) as volume:
            store = await volume.datastore("store")
            await store.put(b"a", b"1")
            assert await store.get(b"a") == b"1" and await store.contains(b"a") and await store.count() == 1
            await store.update((b"%04d" % i, b"") for i in range(1000))
            assert len([key async for key in store]) == 1001
            assert [item async for item in store.range(prefix=b"099")] == [(b"099%d" % i, b"") for i in range(10)]
            assert [key async for key in store.range(include_value=False, reverse=True)][0] == b"a"
            async with await volume.transaction() as txn:
                seen = txn[store]
                await seen.put(b"b", b"2")
                async with await txn.savepoint():
                    await seen.delete(b"a")
                assert await store.get(b"b") is None
            assert await store.get(b"b") == b"2" and await store.get(b"a") is None
            with pytest.raises(ZeroDivisionError):
                async with await volume.transaction() as txn:
                    await txn["store"].put(b"b", b"3")
                    1 / 0
            assert await store.get(b"b") == b"2"
            async with await volume.batch() as batch:
                batch[store][b"c"] = b"3"
            async with await volume.snapshot() as snapshot:
                await store.clear()
                assert await snapshot[store].get(b"c") == b"3"
            assert await volume.run(lambda txn, key: txn["store"].put(key, b"4") or key, b"d") == b"d"
            assert await store.get(b"d") == b"4" and store.name == "store" and not volume.closed
            with pytest.raises(heliumdb.NotFound):
                await store.replace(b"x", b"")
            await volume.drop(store)
        with pytest.raises(heliumdb.Closed):
            await store.get(b"d")

    asyncio.run(main())


def test_the_loop_goes_on_while_a_call_waits():
    """A call is held by its own function until the loop has come to let it go."""

    async def main():
        async with await aio.open(MEMORY) as volume:
            store = await volume.datastore("store")
            inside, go_on = threading.Event(), threading.Event()

            def change(old):
                inside.set()
                assert go_on.wait(60)
                return b"done"

            merging = asyncio.ensure_future(store.merge(b"k", change))
            while not inside.is_set():
                await asyncio.sleep(0)
            assert await store.get(b"k") is None and not merging.done()
            go_on.set()
            assert await merging == b"done"

    asyncio.run(main())
