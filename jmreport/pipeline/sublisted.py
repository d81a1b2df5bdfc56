"""Rows of a list that are of sub-workflows: some servers list them beside the jobs they run in.

    list     a, b in a, c in b, d in x        x: nobody knows it
    jobs     a, d                             b and c are read below a, as where no list names them

Counted as jobs of their own, a scatter of fifty that fails would be fifty-one failures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import msgspec

from jmreport.spill import Spill

_HEAP = "rows"
_encode = msgspec.msgpack.Encoder().encode


class Kept(NamedTuple):
    """A row that was kept: its place in the list, and the job above it where it is below one."""

    at: int
    job: str
    row: Any
    parent: str | None


class Sublisted:
    """Rows that name a job above theirs, on the disk until the whole list has come.

    After `rows()` `below` holds those whose job above is in the list.
    """

    def __init__(self) -> None:
        self.below: set[str] = set()
        self._parents: dict[str, str] = {}
        self._open = ExitStack()
        self._spill: Spill | None = None

    def close(self) -> None:
        """Lets go of the rows."""
        self._open.close()

    def take(self, at: int, job: str, row: Any, parent: str) -> None:
        """One more row, at its place in the list."""
        self._parents[job] = parent
        self._spill = self._spill or self._open.enter_context(Spill())
        self._spill.add(_HEAP, (at,), _encode((at, job, row)))

    def rows(
        self, is_listed: Callable[[str], bool], is_known: Callable[[str], bool]
    ) -> Iterator[Kept]:
        """Those that are to be read by themselves, in the list's order.

        Asked are whether the list has a job, but for these, and whether the store does.
        """
        if self._spill is None:
            return
        for body in self._spill.ordered(_HEAP):
            at, job, row = msgspec.msgpack.decode(body)
            parent = self._parents[job]
            among = parent in self._parents
            if not self._goes_round(job) if among else is_listed(parent):
                self.below.add(job)
            else:
                yield Kept(at, job, row, parent if not among and is_known(parent) else None)

    def unnamed(
        self, has_met: Callable[[str], bool], is_cut: Callable[[str], bool]
    ) -> Iterator[Kept]:
        """Those of which the job above theirs was read and does not name them.

        Asked are which jobs the crawl met, and of which a limit left out what lies below.
        """
        if self._spill is None:
            return
        for body in self._spill.ordered(_HEAP):
            at, job, row = msgspec.msgpack.decode(body)
            parent = self._parents[job]
            # One whose parent is lacking itself may be named by it, when that has been read.
            if job in self.below and not has_met(job) and has_met(parent) and not is_cut(parent):
                yield Kept(at, job, row, None)

    def _goes_round(self, job: str) -> bool:
        """Whether jobs name one another, so that none of them would be read."""
        met = {job}
        while (parent := self._parents.get(job)) is not None:
            if parent in met:
                return True
            met.add(parent)
            job = parent
        return False

    def notes(self) -> list[str]:
        """What is to be said of them."""
        if not self.below:
            return []
        return [
            "The list names sub-workflows too. Those that a job of it names as its own are told of "
            "below that job."
        ]
