"""Locks of those who work on a store: freed by the system when their holders die."""

import os
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from jmreport.errors import LockedError
from jmreport.snapshots.files import failed

#: That of whoever writes. {"pid": 4711, "since": "2026-11-23T02:14:00Z"} in it is only for the
#: message; the lock is the system's.
NAME = "lock"


#: Seconds that the processes of a killed run may take to die.
_DYING = 10.0


class Holder(msgspec.Struct, frozen=True):
    """Who holds the lock, for the message to others."""

    pid: int
    since: datetime


class WritersLock:
    """Held from its making to `release`, or until the process ends. Raises LockedError.

    `doing` are the words for what somebody else is at, before the folder's name.
    """

    def __init__(
        self,
        root: Path,
        since: datetime,
        *,
        name: str = NAME,
        doing: str = "another run is writing to",
    ) -> None:
        path = root / name
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise failed(path, error) from error
        try:
            _take(self._descriptor, _exclusive())
        except BlockingIOError as error:
            told = _told(self._descriptor)
            os.close(self._descriptor)
            raise LockedError(
                f"{doing} {root}{told}",
                hint="wait until it has ended, then run again; if it was killed, the lock is free",
            ) from error
        except OSError as error:
            os.close(self._descriptor)
            raise failed(path, error) from error
        self._sign(since)

    def _sign(self, since: datetime) -> None:
        # The lock holds without it, and what a full disk keeps from being done says so itself.
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, msgspec.json.encode(Holder(os.getpid(), since)), 0)

    def release(self) -> None:
        """Let others write. Explicit, since a forked child would keep the lock alive."""
        import fcntl

        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


def is_held(root: Path) -> bool:
    """Whether somebody writes at this moment, or nobody can say. Writes nothing, for folders that
    nobody may write."""
    try:
        import fcntl
    except ImportError:  # as below
        return True
    try:
        descriptor = os.open(root / NAME, os.O_RDONLY)
    except OSError:  # nobody ever wrote in this place
        return False
    try:
        _take(descriptor, fcntl.LOCK_SH)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _exclusive() -> int:
    # Only writers need it, and systems without it can still read a store.
    import fcntl

    return fcntl.LOCK_EX


def _take(descriptor: int, how: int) -> None:
    """Take the lock, or raise BlockingIOError.

    A run that was killed may have processes of its own that are still dying, and share its lock:
    those are waited for.
    """
    import fcntl

    until = time.monotonic() + _DYING
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            if holder is None or _lives(holder.pid) or time.monotonic() >= until:
                raise
            time.sleep(0.05)
        else:
            return


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def _holder(descriptor: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    except (OSError, msgspec.DecodeError):
        return None


def _told(descriptor: int) -> str:
    holder = _holder(descriptor)
    if holder is None:
        return ""
    return f" (process {holder.pid}, since {holder.since:%Y-%m-%d %H:%M} UTC)"
