"""The claim: whoever made `.jmreport/claim.json` publishes, and nobody else.

    {"token": "5b1f…", "machine": "0c4e…", "host": "reports-1", "pid": 4711,
     "since": "2026-11-23T02:20:00Z", "renewed": "2026-11-23T02:21:00Z", "left": false,
     "format": 1}

It is made on the condition that there is none, renewed each minute on the condition that it still
is the one that was written, and taken away at the end. One whose holder died is taken over: at once
where the holder is known to be dead, else when it was not renewed for ten minutes. Whoever finds
its own taken over stops, and leaves `.jmreport/mixed.json`: the next run looks at every object.
One without a `format` is of the first; one of a newer jmreport is never taken over.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jmreport.bucket import Bucket, Headers
from jmreport.errors import ChangedError, DeliveryError, LockedError, UsageError
from jmreport.publish.manifest import CLAIM, MIXED

#: Raised when a claim changes its meaning, so that an older jmreport leaves it alone.
FORMAT = 1
RENEW = 60.0
#: Seconds after which a claim that could not be renewed must be, before anything else is written.
SURE = 180.0
STALE = timedelta(minutes=10)
#: Seconds to say that a claim is left, where the network may be what failed.
_LEAVING = 5.0
_HEADERS = Headers(content_type="application/json", cache="private, no-store")
#: Claims that this process holds: whatever else has its number is of another run, which is over.
_mine: set[str] = set()


class Me(Struct, frozen=True, kw_only=True):
    """Who publishes. `machine` tells where process numbers mean the same; "" is nowhere else."""

    host: str
    machine: str
    pid: int


class _Head(Struct, frozen=True):
    format: int = 1


class Holder(Struct, frozen=True, kw_only=True):
    """Who holds a claim, as others read it."""

    token: str
    machine: str
    host: str
    pid: int
    since: datetime
    renewed: datetime
    #: Whether its holder stopped before it was done, and said so.
    left: bool = False
    format: int = 1


class Claim:
    """A claim that is held, and renewed until the context is left.

    Left in order, or by a UsageError that comes before anything is written, it is taken away; left
    by another exception it stays, and says that the next run must look at what is there. So does a
    mark where another has taken it over, who knows nothing of what was written since.
    """

    def __init__(
        self,
        bucket: Bucket,
        holder: Holder,
        generation: int,
        *,
        elapsed: Callable[[], float],
        took_over: bool,
    ) -> None:
        self._bucket, self._holder, self._generation = bucket, holder, generation
        self._elapsed = elapsed
        self._began = self._renewed = elapsed()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._lost: LockedError | None = None
        #: Whether it was a dead run's, so that there may be objects that no manifest names.
        self.took_over = took_over

    def __enter__(self) -> Self:
        threading.Thread(target=self._keep, name="claim", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        try:
            if kind is None or issubclass(kind, UsageError):
                with self._lock, suppress(DeliveryError):
                    self._bucket.delete(CLAIM, generation=self._generation)
            else:
                leaving = threading.Thread(target=self._leave, name="leaving", daemon=True)
                leaving.start()
                leaving.join(_LEAVING)
        finally:
            _mine.discard(self._holder.token)

    def check(self) -> None:
        """Raises LockedError where the claim is lost; for before each write."""
        if self._lost is not None:
            raise self._lost
        if self._elapsed() - self._renewed > SURE:
            # This process may have been asleep for so long that another took over.
            self._renew()

    def confirm(self) -> None:
        """Raises LockedError where the claim is lost, by looking at it.

        For after a look at what somebody wrote meanwhile, and before that is changed: where the
        claim is still ours then, nobody had taken over who could have written it.
        """
        with self._lock:
            if self._lost is None:
                held = self._bucket.look(CLAIM)
                if held is None or held.generation != self._generation:
                    self._lost = self._taken_over()
            if self._lost is not None:
                raise self._lost

    def _keep(self) -> None:
        while not self._over.wait(RENEW):
            with suppress(DeliveryError, LockedError):  # a lost one is remembered
                self._renew()

    def _renew(self) -> None:
        with self._lock:
            if self._over.is_set():
                return
            self._write(left=False)

    def _leave(self) -> None:
        with self._lock, suppress(DeliveryError):
            try:
                if self._lost is None:
                    self._write(left=True)
                    return
            except LockedError:
                pass
            self._bucket.write(MIXED, b"{}\n", generation=None, headers=_HEADERS)

    def _write(self, *, left: bool) -> None:
        passed = self._elapsed() - self._began
        holder = replace(
            self._holder, renewed=self._holder.since + timedelta(seconds=passed), left=left
        )
        try:
            self._generation = _written(self._bucket, holder, self._generation)
        except ChangedError as error:
            self._lost = self._taken_over()
            raise self._lost from error
        self._renewed = self._elapsed()

    def _taken_over(self) -> LockedError:
        return LockedError(
            f"another run has taken over publishing to {self._bucket.place}",
            hint="this one was silent for too long, or the two clocks differ by ten minutes; what "
            "that one publishes stands, and the next run looks at every object",
        )


def refuse_newer(bucket: Bucket) -> None:
    """Raises UsageError where a newer jmreport made the claim that is there. Writes nothing."""
    if (found := bucket.read(CLAIM)) is not None:
        _check_format(bucket, found.data)


def take(bucket: Bucket, me: Me, *, now: datetime, elapsed: Callable[[], float]) -> Claim:
    """The claim to publish there, now ours. `elapsed` counts seconds, also while a machine sleeps.

    Raises LockedError while another run that is not known to be dead holds it, and UsageError where
    a newer jmreport made it.
    """
    holder = Holder(
        token=uuid4().hex,
        machine=me.machine,
        host=me.host,
        pid=me.pid,
        since=now,
        renewed=now,
        format=FORMAT,
    )
    generation, took_over = 0, False
    found = bucket.read(CLAIM)
    if found is not None:
        _check_format(bucket, found.data)
        before = _read(found.data)
        if before is not None and not _is_dead(before, me, now):
            raise _held(bucket, before)
        generation, took_over = found.generation, True
    try:
        generation = _written(bucket, holder, generation)
    except ChangedError as error:
        now_there = bucket.read(CLAIM)
        raise _held(bucket, _read(now_there.data) if now_there else None) from error
    _mine.add(holder.token)
    return Claim(bucket, holder, generation, elapsed=elapsed, took_over=took_over)


def _written(bucket: Bucket, holder: Holder, generation: int) -> int:
    return bucket.write(CLAIM, msgspec.json.encode(holder), generation=generation, headers=_HEADERS)


def _check_format(bucket: Bucket, data: bytes) -> None:
    try:
        number = msgspec.json.decode(data, type=_Head).format
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if number > FORMAT:
        raise UsageError(
            f"{bucket.place}/{CLAIM} was written by a newer jmreport (format {number}, this one "
            f"reads {FORMAT})",
            hint="publish with that version, or to another place",
        )


def _read(data: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(data, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_dead(holder: Holder, me: Me, now: datetime) -> bool:
    if holder.left:
        return True
    if holder.machine and holder.machine == me.machine:
        if holder.pid == me.pid:
            return holder.token not in _mine
        if not _lives(holder.pid):
            return True
    try:
        # A date far ahead was written by a clock that is wrong, and would never pass.
        return abs(now - holder.renewed) >= STALE
    except TypeError:  # a date without an offset, which we never write
        return True


def _lives(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _held(bucket: Bucket, holder: Holder | None) -> LockedError:
    who = ""
    if holder is not None:
        since = f"{holder.since:%Y-%m-%d %H:%M} UTC"
        who = f" (process {holder.pid} on {holder.host}, since {since})"
    return LockedError(
        f"another run publishes to {bucket.place}{who}",
        hint="wait until it has ended, then run again; one that died is taken over, after ten "
        "minutes where nobody can tell",
    )
