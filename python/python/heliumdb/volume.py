"""Volumes: the native ones, with what is simpler in Python."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import Any, Literal, Optional, TypeVar

from . import _native
from .errors import HeliumError

_T = TypeVar("_T")

#: How often ``Volume.run`` runs a transaction at most.
ATTEMPTS_MAX = 128
#: The longest pause between two attempts, in seconds.
PAUSE_MAX = 0.01


class Volume(_native.Volume):
    """An open volume: see ``heliumdb.open``."""

    __slots__ = ("__weakref__",)

    def run(
        self,
        work: Callable[..., _T],
        /,
        *args: Any,
        isolation: Literal["snapshot", "read-committed"] = "snapshot",
        durability: Literal["synced", "buffered"] = "synced",
        memory_budget_bytes: Optional[int] = None,
        **kwargs: Any,
    ) -> _T:
        """Calls ``work(txn, *args, **kwargs)`` in a transaction, commits it and returns what ``work`` did; again, from
        the start, if either fails for what others did meanwhile. Other exceptions roll it back."""
        attempt = 0
        while True:
            attempt += 1
            try:
                with self.transaction(
                    isolation=isolation, durability=durability, memory_budget_bytes=memory_budget_bytes
                ) as txn:
                    result = work(txn, *args, **kwargs)
                return result
            except HeliumError as why:
                if not why.retryable or attempt == ATTEMPTS_MAX:
                    raise
            # Ever longer, and different for everyone.
            time.sleep(random.uniform(0.5, 1.0) * min(1e-5 * 2 ** min(attempt, 16), PAUSE_MAX))

    def transactional(self, work: Callable[..., _T]) -> Callable[..., _T]:
        """A decorator: calls of the function run in a transaction, which is its first argument, as by ``run``."""

        @functools.wraps(work)
        def run(*args: Any, **kwargs: Any) -> _T:
            return self.run(lambda txn: work(txn, *args, **kwargs))

        return run
