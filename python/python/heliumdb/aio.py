"""The same interface for asyncio: calls run in threads, so that the loop goes on.

What waits for nothing (``txn[store]`` of a datastore, ``range``) is called as it is; all else is awaited. A task that is
cancelled stops waiting; the call that it waited for goes on to its end.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, Optional

from . import _native
from .volume import Volume as _Volume

__all__ = ["Batch", "Cursor", "Datastore", "Range", "Snapshot", "Transaction", "Volume", "open"]

#: Items that a walk fetches in one go.
STEP_ITEMS = 256


async def open(path: Any, **options: Any) -> Volume:
    """As ``heliumdb.open``."""
    return Volume(await asyncio.to_thread(_Volume, path, **options))


def _wrapped(value: Any) -> Any:
    kind = _WRAPPERS.get(type(value))
    return value if kind is None else kind(value)


def _bare(value: Any) -> Any:
    return value._inner if isinstance(value, _Wrapper) else value


class _Wrapper:
    """One object of the package; its methods are awaited."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name.startswith("_") or not callable(found):
            return found

        @functools.wraps(found)
        async def call(*args: Any, **kwargs: Any) -> Any:
            args = tuple(map(_bare, args))
            kwargs = {name: _bare(value) for name, value in kwargs.items()}
            return _wrapped(await asyncio.to_thread(found, *args, **kwargs))

        return call

    def __repr__(self) -> str:
        return f"<aio {self._inner!r}>"


class _Block(_Wrapper):
    """Something that a block is for."""

    __slots__ = ()

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *failure: Any) -> bool:
        # A commit that was begun is waited for, whatever becomes of the task.
        ending = asyncio.ensure_future(asyncio.to_thread(self._inner.__exit__, *failure))
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait([ending])
            raise


class Volume(_Block):
    """As ``heliumdb.Volume``."""

    __slots__ = ()

    async def run(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Runs ``work(txn, *args, **kwargs)``, a plain function on a plain transaction, in a thread, as
        ``heliumdb.Volume.run``. Datastores are told by name or by what ``datastore`` gave."""
        args = tuple(map(_bare, args))
        return await asyncio.to_thread(self._inner.run, work, *args, **kwargs)


class _Seen(_Block):
    """What shows datastores in its own way."""

    __slots__ = ()

    def __getitem__(self, store: Any) -> Any:
        return _wrapped(self._inner[_bare(store)])


class Transaction(_Seen):
    """As ``heliumdb.Transaction``."""

    __slots__ = ()


class Snapshot(_Seen):
    """As ``heliumdb.Snapshot``."""

    __slots__ = ()


class Batch(_Seen):
    """As ``heliumdb.Batch``. What it will write is said at once: ``batch[store][key] = value``."""

    __slots__ = ()

    def __getitem__(self, store: Any) -> Any:
        return self._inner[_bare(store)]


class Savepoint(_Block):
    """As ``heliumdb.Savepoint``."""

    __slots__ = ()


class Datastore(_Wrapper):
    """As ``heliumdb.Datastore``, with methods for what has signs there: ``get``, ``put``, ``contains``, ``count``."""

    __slots__ = ()

    def range(self, *args: Any, **kwargs: Any) -> Range:
        return Range(self._inner.range(*args, **kwargs))

    def keys(self) -> Range:
        return Range(self._inner.keys())

    def values(self) -> Range:
        return Range(self._inner.values())

    def items(self) -> Range:
        return Range(self._inner.items())

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.keys().__aiter__()

    async def contains(self, key: Any) -> bool:
        """Whether there is an item with that key."""
        return await asyncio.to_thread(self._inner.__contains__, key)

    async def count(self) -> int:
        """How many items there are."""
        return await asyncio.to_thread(len, self._inner)


class Range(_Wrapper):
    """As ``heliumdb.Range``: walked through with ``async for``."""

    __slots__ = ()

    def __aiter__(self) -> Cursor:
        return Cursor(self._inner)


class Cursor:
    """A walk that is under way."""

    __slots__ = ("_range", "_walk", "_ready")

    def __init__(self, range: _native.Range[Any]) -> None:
        self._range = range
        self._walk: Optional[_native.Cursor[Any]] = None
        self._ready: list[Any] = []

    def __aiter__(self) -> Cursor:
        return self

    async def __anext__(self) -> Any:
        if not self._ready:
            self._ready = await asyncio.to_thread(self._fetch)
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.pop()

    def _fetch(self) -> list[Any]:
        if self._walk is None:
            self._walk = iter(self._range)
        some = list(itertools.islice(self._walk, STEP_ITEMS))
        some.reverse()
        return some


_WRAPPERS: dict[type, type] = {
    _Volume: Volume,
    _native.Datastore: Datastore,
    _native.Transaction: Transaction,
    _native.Snapshot: Snapshot,
    _native.Batch: Batch,
    _native.Savepoint: Savepoint,
    _native.Range: Range,
}
