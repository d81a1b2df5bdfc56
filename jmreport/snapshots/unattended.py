"""What an unattended night has done, and the one lock of all its steps.

    nightly.lock    held by the system for as long as `jmreport nightly` works
    nightly.json    {"begun": "2026-11-23T02:14:00Z", "done": ["collect"]}

A night that was killed, or could make no mail, leaves its account, so that the next one delivers
what it had built before it asks for anything new: otherwise what changed in that night would be in
no mail. An account without a `format` is of the first; one of a newer jmreport is left as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from jmreport.errors import JmreportError, SnapshotError
from jmreport.snapshots import files
from jmreport.snapshots.lock import WritersLock

LOCK = "nightly.lock"
ACCOUNT = "nightly.json"
#: Raised when an account changes its meaning, so that an older jmreport leaves it alone.
FORMAT = 1


class Night(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One night: when it began, and the steps that are done."""

    begun: datetime
    done: tuple[str, ...] = ()
    ended: bool = False
    format: int = 1


class _Head(msgspec.Struct, frozen=True):
    format: int = 1


class Account:
    """The account of the nights of one store, while the lock is held."""

    def __init__(self, root: Path) -> None:
        self._path = root / ACCOUNT
        self.before = left_by(root)
        self._night = self.before
        #: Why it could not be written: then a night that is killed is not told of by the next.
        self.trouble: JmreportError | None = None

    @property
    def left(self) -> Night | None:
        """The night before, where it did not come to its end."""
        night = self.before
        return night if night and not night.ended else None

    def begin(self, now: datetime) -> None:
        """A new night."""
        self._write(Night(begun=now))

    def did(self, step: str) -> None:
        """A step is done."""
        if self._night is not None:
            self._write(replace(self._night, done=(*self._night.done, step)))

    def end(self) -> None:
        """The night came to its end, whatever it brought."""
        if self._night is not None:
            self._write(replace(self._night, ended=True))

    def _write(self, night: Night) -> None:
        self._night = night
        try:
            files.write(self._path, msgspec.json.encode(replace(night, format=FORMAT)) + b"\n")
        except JmreportError as error:
            # A full disk is no reason to tell nobody of the night.
            self.trouble = self.trouble or error


def left_by(root: Path) -> Night | None:
    """The account as it was left; one that cannot be read tells of nothing that was left over.

    Raises SnapshotError for one of a newer jmreport.
    """
    path = root / ACCOUNT
    if not path.exists():
        return None
    try:
        body = files.read(path)
        number = msgspec.json.decode(body, type=_Head).format
        if number <= FORMAT:
            return msgspec.json.decode(body, type=Night)
    except (SnapshotError, msgspec.DecodeError):
        return None
    raise SnapshotError(
        f"{path} was written by a newer jmreport (format {number}, this one reads {FORMAT})",
        hint="update jmreport and run again",
    )


@contextmanager
def account(root: Path, now: datetime) -> Iterator[Account]:
    """The account, under the lock.

    Raises LockedError while another night is at work, and SnapshotError where the account is of a
    newer jmreport.
    """
    lock = WritersLock(root, now, name=LOCK, doing="another night is at work on")
    try:
        yield Account(root)
    finally:
        lock.release()
