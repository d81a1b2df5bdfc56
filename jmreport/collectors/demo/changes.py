"""What clients did to the world: aborts and labels. All that a server has to remember."""

from __future__ import annotations

from threading import Lock

from msgspec import Struct
from msgspec.structs import replace

from .ids import Path
from .timeline import MINUTE
from .world import Job

#: An aborted job is Aborting for a minute of the server's time, or until its detail has been read
#: this often: a server whose time stands still must come to an end with it, too.
_READS = 3

Key = tuple[int, Path]


class _Abort(Struct):
    at: int
    end: int
    reads: int = 0


class _Labels(Struct):
    labels: dict[str, str]
    listed: dict[str, str]  # what the list still shows
    queries: int  # how many lists still show that


class Changes:
    """Aborts and label updates, kept in memory. Safe to use from several threads."""

    def __init__(self, *, lag: int) -> None:
        """`lag`: how many lists go by before new labels show in one (backends habit 27)."""
        self._lag = lag
        self.version = 0  # another number whenever the list may look different
        self._lock = Lock()
        self._aborts: dict[int, _Abort] = {}
        self._labels: dict[Key, _Labels] = {}

    def apply(self, job: Job) -> Job:
        """A job as it goes now that somebody may have stopped it."""
        if not self._aborts:
            return job
        abort = self._aborts.get(job.k)
        if abort is None:
            return job
        return replace(job, aborting=abort.at, end=abort.end, fate="Aborted")

    def abort(self, k: int, now: int) -> None:
        """Stops a job; stopping it once more changes nothing."""
        with self._lock:
            self._aborts.setdefault(k, _Abort(now, now + MINUTE))
            self.version += 1

    def read(self, k: int, now: int) -> None:
        """Takes note that a job's detail was read."""
        if k not in self._aborts:
            return
        with self._lock:
            abort = self._aborts[k]
            abort.reads += 1
            if abort.reads >= _READS:
                abort.end = min(abort.end, now)
                self.version += 1

    def set_labels(self, key: Key, before: dict[str, str], new: dict[str, str]) -> dict[str, str]:
        """Merges labels into a job's and answers all of them."""
        with self._lock:
            old = self._labels.get(key)
            self.version += 1
            merged = {**(old.labels if old else before), **new}
            self._labels[key] = _Labels(merged, old.listed if old else before, self._lag)
            return dict(merged)

    def labels(self, key: Key, before: dict[str, str]) -> dict[str, str]:
        """A job's labels."""
        changed = self._labels.get(key) if self._labels else None
        return before if changed is None else changed.labels

    def listed(self, k: int, before: dict[str, str]) -> dict[str, str]:
        """A job's labels as the list shows them."""
        changed = self._labels.get((k, ())) if self._labels else None
        if changed is None:
            return before
        return changed.listed if changed.queries > 0 else changed.labels

    def count_query(self) -> None:
        """Takes note that a list was answered."""
        if not self._labels:
            return
        with self._lock:
            for changed in self._labels.values():
                changed.queries -= 1
                self.version += changed.queries == 0
