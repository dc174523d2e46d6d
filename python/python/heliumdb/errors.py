"""The package's exceptions. Each says what was wrong, where, and what to do about it."""

from typing import Any, Optional

__all__ = [
    "Busy",
    "Cancelled",
    "Closed",
    "Conflict",
    "Damaged",
    "DeviceError",
    "Exists",
    "Forked",
    "HeliumError",
    "InDoubt",
    "Invalid",
    "NotAVolume",
    "NotFound",
    "OutOfMemory",
    "OutcomeUnknown",
    "ReadOnly",
    "Unsupported",
    "VolumeFull",
    "VolumeInUse",
]


class HeliumError(Exception):
    """Whatever the store refuses, or fails in.

    ``kind`` is a word for what it was, the finest there is; ``errno`` the system's number, if it was the system.
    """

    kind: str
    errno: Optional[int]

    def __init__(self, sentence: str = "", kind: str = "other", errno: Optional[int] = None) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.errno = errno

    def __str__(self) -> str:
        # KeyError would quote it.
        return str(self.args[0]) if self.args else ""

    def __reduce__(self) -> Any:
        return type(self), (*self.args[:1], self.kind, self.errno)

    @property
    def retryable(self) -> bool:
        """Whether rolling back and running the transaction again may succeed."""
        return isinstance(self, (Conflict, Busy))


class NotFound(HeliumError, KeyError):
    """No item with that key, or no datastore of that name."""


class Exists(HeliumError):
    """An item with that key, or a datastore of that name, is there already."""


class Conflict(HeliumError):
    """Another transaction wrote the item first: roll back and retry (``Volume.run`` does)."""


class Busy(HeliumError):
    """Something else uses it now: retry when it is done."""


class Invalid(HeliumError, ValueError):
    """An argument is not acceptable; nothing was done."""


class NotAVolume(HeliumError):
    """No volume, too small for one, or one of a newer version; and not blank either."""


class VolumeInUse(HeliumError):
    """Another process, or this one, has the volume open."""


class VolumeFull(HeliumError):
    """The volume has no room for this; deletes still work."""


class Damaged(HeliumError):
    """Bytes on the device are not what was written."""


class DeviceError(HeliumError):
    """The system refused a read, write or sync. After a failed write the volume is read-only until it is opened again."""


class OutcomeUnknown(HeliumError):
    """The device failed in the middle of a commit: whether it took effect shows when the volume is opened again."""


class OutOfMemory(HeliumError, MemoryError):
    """The system gives this process no more memory: writes are refused until it has some."""


class InDoubt(HeliumError):
    """A transaction over several volumes awaits the decision of one that is not open."""


class Forked(HeliumError):
    """A fork of the process that opened the volume tried to use it."""


class ReadOnly(HeliumError):
    """The volume, the datastore's handle or the snapshot takes no writes."""


class Closed(HeliumError):
    """The volume, the transaction or the snapshot is closed."""


class Unsupported(HeliumError):
    """Not supported."""


class Cancelled(HeliumError):
    """Long work was stopped before it was done, as asked."""
