"""Helium: an ordered, transactional, log-structured key/value store for flash.

>>> import heliumdb
>>> with heliumdb.open("he://./_134217728") as volume:  # 128 MiB of memory; a path is a file or a device
...     fruit = volume.datastore("fruit")
...     fruit[b"apple"] = b"red"
...     fruit[b"apple"]
b'red'
"""

import atexit
import collections.abc
from typing import Any

from . import aio, compat, errors
from ._native import (
    Batch,
    BatchDatastore,
    Cursor,
    Datastore,
    Range,
    Savepoint,
    Snapshot,
    Transaction,
    __version__,
    close_all,
    destroy,
    salvage,
)
from .compat import *  # noqa: F403
from .errors import *  # noqa: F403
from .volume import Volume


def open(path: Any, **options: Any) -> Volume:
    """Opens the volume at ``path``, or makes it: a file, a block device, a folder, several of them, or a URL."""
    return Volume(path, **options)


# A datastore is used like a dictionary, and whoever asks is told that it can be.
collections.abc.MutableMapping.register(Datastore)

# What is only buffered is not lost when a program ends without closing.
atexit.register(close_all)

__all__ = [
    "Batch",
    "BatchDatastore",
    "Cursor",
    "Datastore",
    "Range",
    "Savepoint",
    "Snapshot",
    "Transaction",
    "Volume",
    "__version__",
    "aio",
    "close_all",
    "destroy",
    "errors",
    "open",
    "salvage",
]
__all__ += errors.__all__
__all__ += compat.__all__
