"""The interface of the original's Python package: programs that were written for it run unchanged."""

from __future__ import annotations

import os
import pickle
import struct
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, Optional, Union

from . import _native
from .errors import HeliumError
from .volume import Volume

HE_O_CREATE = 1
HE_O_TRUNCATE = 2
HE_O_VOLUME_CREATE = 4
HE_O_VOLUME_TRUNCATE = 8
HE_O_VOLUME_NOTRIM = 16
HE_O_NOSORT = 32
HE_O_SCAN = 64
HE_O_CLEAN = 128
HE_O_COMPRESS = 256
HE_O_READONLY = 512
HE_O_ERR_EXISTS = 1024

#: What the original's package raised.
HeliumException = HeliumError

__all__ = [
    "HE_O_CLEAN",
    "HE_O_COMPRESS",
    "HE_O_CREATE",
    "HE_O_ERR_EXISTS",
    "HE_O_NOSORT",
    "HE_O_READONLY",
    "HE_O_SCAN",
    "HE_O_TRUNCATE",
    "HE_O_VOLUME_CREATE",
    "HE_O_VOLUME_NOTRIM",
    "HE_O_VOLUME_TRUNCATE",
    "HeliumException",
    "Heliumdb",
]

# Never another one: keys are found by their bytes.
_PICKLE_PROTOCOL = 2
_NO_DEFAULT = object()
# Of volumes that do not grow.
_VOLUME_BYTES_MIN = 1 << 30
# What an item takes at least, if there is none to go by.
_ITEM_BYTES_MIN = 64


def _pickled(value: Any) -> bytes:
    return pickle.dumps(value, _PICKLE_PROTOCOL)


def _pickled_key(key: Any) -> bytes:
    # Equal keys are to have equal bytes, whether parts of them are one object or two.
    buffer = BytesIO()
    pickler = pickle.Pickler(buffer, _PICKLE_PROTOCOL)
    pickler.fast = True
    pickler.dump(key)
    return buffer.getvalue()


def _checked(kind: Any, write: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """``kind`` is a type, or several of which the first is named."""

    def to_bytes(value: Any) -> bytes:
        if not isinstance(value, kind):
            named = kind[0] if isinstance(kind, tuple) else kind
            raise HeliumError(f"a {type(value).__name__}, where a {named.__name__} is declared", "invalid-argument")
        return write(value)

    return to_bytes


def _packed(form: str) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    packer = struct.Struct(form)

    def to_bytes(value: Any) -> bytes:
        try:
            return packer.pack(value)
        except struct.error as why:
            raise HeliumError(f"{value!r} does not fit in 8 bytes", "invalid-argument") from why

    def from_bytes(data: bytes) -> Any:
        try:
            return packer.unpack(data)[0]
        except struct.error as why:
            raise HeliumError(f"{len(data)} bytes where a number has 8", "invalid-argument") from why

    return to_bytes, from_bytes


_int_to, _int_from = _packed("=q")
_float_to, _float_from = _packed("=d")

# For each letter: a key to bytes, a value to bytes, and back.
_TYPES: dict[str, tuple[Callable[[Any], bytes], Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    "O": (_pickled_key, _pickled, pickle.loads),
    "b": (_checked(bytes, bytes), _checked(bytes, bytes), bytes),
    "i": (_checked(int, _int_to), _checked(int, _int_to), _int_from),
    "s": (_checked(str, str.encode), _checked(str, str.encode), bytes.decode),
    "f": (_checked((float, int), _float_to), _checked((float, int), _float_to), _float_from),
}


def _type(letter: str, what: str) -> tuple[Callable[[Any], bytes], Callable[[Any], bytes], Callable[[bytes], Any]]:
    try:
        return _TYPES[letter]
    except (KeyError, TypeError):
        known = ", ".join(_TYPES)
        raise HeliumError(f"{what} is one of {known}, not {letter!r}", "invalid-argument") from None


#: For each figure of the environment: by what it is multiplied, its least and its most.
_RANGES = {
    "write_cache_bytes": (1, 16 << 20, 4 << 30),
    "read_cache_bytes": (1, 0, 1 << 40),
    "auto_commit_period_ms": (1000, 0, 3_600_000),
    "auto_clean_period_ms": (1000, 0, 3_600_000),
    "clean_util_pct": (1, 1, 100),
    "clean_dirty_pct": (1, 1, 100),
    "retry_count": (1, 0, 100_000),
    "retry_delay_us": (1, 0, 1_000_000),
}


def _environment(**asked: int) -> dict[str, Any]:
    """Options of the volume: zero asks for nothing, 2^64-1 seconds are never, and what is out of range becomes the
    nearest that is not."""
    options: dict[str, Optional[int]] = {}
    for name, value in asked.items():
        times, least, most = _RANGES[name]
        if name == "auto_commit_period_ms" and value == 2**64 - 1:
            options[name] = None
        elif value:
            options[name] = min(max(value * times, least), most)
    return options


class _Shared:
    """The volumes that are open, each with the number of objects that have it. One lock for all: opening and closing
    a volume come one after the other. Whoever holds it may meet the end of an object, which takes it again."""

    lock = threading.RLock()
    volumes: dict[str, list[Any]] = {}

    @classmethod
    def renew(cls) -> None:
        """In a fork, where a thread that is not there may hold the lock. What was open is not the child's."""
        cls.lock = threading.RLock()
        cls.volumes = {}

    @classmethod
    def acquire(cls, url: str, flags: int, options: dict[str, Any]) -> Volume:
        with cls.lock:
            known = cls.volumes.get(url)
            if known is not None:
                # Counted before anything else: the last other object may end at any step.
                known[1] += 1
                shared: Volume = known[0]
                if not shared.closed and cls.volumes.get(url) is known:
                    if flags & HE_O_VOLUME_TRUNCATE:
                        cls.release(url, shared)
                        raise HeliumError(f"the volume {url} is open, and cannot be truncated", "volume-in-use")
                    return shared
            options["create"] = bool(flags & HE_O_VOLUME_CREATE)
            options["truncate"] = bool(flags & HE_O_VOLUME_TRUNCATE)
            options["no_trim"] = bool(flags & HE_O_VOLUME_NOTRIM)
            options["scan"] = bool(flags & HE_O_SCAN)
            volume = Volume(url, least_bytes=_VOLUME_BYTES_MIN, **options)
            cls.volumes[url] = [volume, 1]
            return volume

    @classmethod
    def release(cls, url: str, volume: Volume) -> None:
        with cls.lock:
            known = cls.volumes.get(url)
            if known is None or known[0] is not volume:
                return
            known[1] -= 1
            if known[1] == 0:
                del cls.volumes[url]
                volume.close()


os.register_at_fork(after_in_child=_Shared.renew)


class Heliumdb:
    """A datastore as a dictionary of typed or pickled keys and values.

    ``key_type`` and ``val_type`` are ``"O"`` (any object, pickled), ``"b"`` (bytes), ``"i"`` (an integer of 8 bytes),
    ``"s"`` (str) or ``"f"`` (float). Items are in order of their stored bytes.
    """

    __slots__ = ("_url", "_volume", "_store", "_key", "_key_back", "_value", "_value_back", "__weakref__")

    def __init__(
        self,
        url: Optional[str] = None,
        datastore: Union[str, bytes, None] = None,
        key_type: str = "O",
        val_type: str = "O",
        fanout: int = 0,
        flags: int = HE_O_CREATE | HE_O_VOLUME_CREATE,
        gc_fanout: int = 0,
        write_cache: int = 0,
        read_cache: int = 0,
        auto_commit_period: int = 0,
        auto_clean_period: int = 0,
        clean_util_pct: int = 0,
        clean_dirty_pct: int = 0,
        retry_count: int = 0,
        retry_delay: int = 0,
    ) -> None:
        self._volume: Optional[Volume] = None
        self._store: Optional[_native.Datastore] = None
        if not isinstance(url, str) or not isinstance(datastore, (str, bytes)):
            sentence = "url and datastore are needed: where the volume is, and what the datastore is called"
            raise HeliumError(sentence, "invalid-argument")
        if not url.lower().startswith("he://"):
            raise HeliumError(f"the volume URL {url!r} must start with he://, as in he://./path", "invalid-url")
        self._key, _, self._key_back = _type(key_type, "key_type")
        _, self._value, self._value_back = _type(val_type, "val_type")
        # Fanouts are accepted, and there is nothing that they change.
        options = _environment(
            write_cache_bytes=write_cache,
            read_cache_bytes=read_cache,
            auto_commit_period_ms=auto_commit_period,
            auto_clean_period_ms=auto_clean_period,
            clean_util_pct=clean_util_pct,
            clean_dirty_pct=clean_dirty_pct,
            retry_count=retry_count,
            retry_delay_us=retry_delay,
        )
        self._url = url
        volume = _Shared.acquire(url, flags, options)
        try:
            self._store = volume.datastore(
                datastore,
                create=bool(flags & HE_O_CREATE),
                error_if_exists=bool(flags & HE_O_ERR_EXISTS),
                truncate=bool(flags & HE_O_TRUNCATE),
                read_only=bool(flags & HE_O_READONLY),
                compress=bool(flags & HE_O_COMPRESS),
                unordered=bool(flags & HE_O_NOSORT),
            )
            if flags & HE_O_CLEAN:
                volume.clean()
        except BaseException:
            _Shared.release(url, volume)
            raise
        self._volume = volume

    def _alive(self) -> tuple[Volume, _native.Datastore]:
        if self._volume is None or self._store is None:
            raise HeliumError("the datastore was removed by cleanup", "closed")
        return self._volume, self._store

    def __getitem__(self, key: Any) -> Any:
        found = self._alive()[1].get(self._key(key))
        if found is None:
            raise KeyError(key)
        return self._value_back(found)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._alive()[1].put(self._key(key), self._value(value))

    def __delitem__(self, key: Any) -> None:
        if not self._alive()[1].delete(self._key(key)):
            raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        return self._key(key) in self._alive()[1]

    def __len__(self) -> int:
        return len(self._alive()[1])

    def __sizeof__(self) -> int:
        return len(self._alive()[1])

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return map(self._key_back, iter(self._alive()[1]))

    def contains(self, key: Any) -> bool:
        """Whether there is an item with that key."""
        return key in self

    def get(self, key: Any, default: Any = None) -> Any:
        """The value of ``key``, or ``default``."""
        found = self._alive()[1].get(self._key(key))
        return default if found is None else self._value_back(found)

    def pop(self, key: Any, default: Any = _NO_DEFAULT) -> Any:
        """Removes ``key`` and returns its value, in one."""
        taken = self._alive()[1].take(self._key(key))
        if taken is not None:
            return self._value_back(taken)
        if default is _NO_DEFAULT:
            raise KeyError(key)
        return default

    def keys(self) -> list[Any]:
        """All keys, as a list."""
        return list(self)

    def values(self) -> Iterator[Any]:
        """An iterator over all values."""
        return map(self._value_back, iter(self._alive()[1].values()))

    def items(self) -> Iterator[tuple[Any, Any]]:
        """An iterator over all items."""
        return ((self._key_back(key), self._value_back(value)) for key, value in self._alive()[1].items())

    def commit(self) -> None:
        """Makes everything that was written to the volume durable."""
        volume, _ = self._alive()
        volume.flush()

    def stats(self) -> dict[str, Any]:
        """Figures, by the names of ``struct he_stats``: those of the volume, but for the name and the items."""
        opened, store = self._alive()
        volume = opened.stats()
        items = len(store)
        item_bytes = max(volume["live_bytes"] // max(volume["items"], 1), _ITEM_BYTES_MIN)
        return {
            "name": store.name,
            "valid_items": items,
            "deleted_items": -(-volume["dead_bytes"] // item_bytes),
            "utilized": volume["live_bytes"],
            "capacity": volume["capacity_bytes"],
            "buffered_writes": volume["write_cache_bytes"],
            "buffered_reads": volume["read_cache_bytes"],
            "dirty_writes": volume["buffered_bytes"],
            "device_writes": volume["written_bytes"],
            "device_reads": volume["device_read_bytes"],
            "auto_commits": volume["auto_commits"],
            "auto_cleans": volume["cleaner_rounds"],
            "clean_bytes": volume["cleaner_bytes"],
            "cache_hits": volume["read_cache_hits"],
            "cache_misses": volume["read_cache_misses"],
        }

    def cleanup(self) -> None:
        """Removes the datastore: the object is dead then, and may be dropped."""
        volume, store = self._alive()
        volume.drop(store)
        self._let_go()

    def _let_go(self) -> None:
        volume, self._volume, self._store = self._volume, None, None
        if volume is not None:
            _Shared.release(self._url, volume)

    def __del__(self) -> None:
        try:
            self._let_go()
        except AttributeError:
            # The constructor failed, or the interpreter is on its way out: what is open is closed by then.
            pass
