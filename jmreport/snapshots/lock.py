"""The one lock of those who write to a store: freed by the system when its holder dies."""

import os
from datetime import datetime
from pathlib import Path

import msgspec

from jmreport.errors import LockedError
from jmreport.snapshots.files import failed

#: {"pid": 4711, "since": "2026-11-23T02:14:00Z"}: only for the message; the lock is the system's.
NAME = "lock"


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, for the message to others."""

    pid: int
    since: datetime


class WritersLock:
    """Held from its making to `release`, or until the process ends. Raises LockedError."""

    def __init__(self, root: Path, since: datetime) -> None:
        # Only writers need it, and systems without it can still read a store.
        import fcntl

        path = root / NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise failed(path, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            told = _told(self._descriptor)
            os.close(self._descriptor)
            raise LockedError(
                f"another run is writing to {root}{told}",
                hint="wait until it has ended, then run again; if it was killed, the lock is free",
            ) from error
        except OSError as error:
            os.close(self._descriptor)
            raise failed(path, error) from error
        self._sign(path, since)

    def _sign(self, path: Path, since: datetime) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, msgspec.json.encode(Holder(os.getpid(), since)), 0)
        except OSError as error:
            self.release()
            raise failed(path, error) from error

    def release(self) -> None:
        """Let others write. Explicit, since a forked child would keep the lock alive."""
        import fcntl

        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


def _told(descriptor: int) -> str:
    try:
        holder = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except (OSError, msgspec.DecodeError):
        return ""
    return f" (process {holder.pid}, since {holder.since:%Y-%m-%d %H:%M} UTC)"
