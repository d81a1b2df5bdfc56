"""Ways past a jam: the same question in slices that are small enough for a server's paging.

The dsub shim's tokens hold whole seconds, so a second with more jobs than a page jams it, and all
jobs that were submitted earlier are out of reach. Smaller questions reach them: one status, one
name, one user, and windows of time. The API bounds jobs by an earliest start and a latest end
only, so a window holds the jobs that both started and ended in it; what began before a window and
ended after it needs a wider one. Where even the narrowest window that holds a job jams, the job is
out of reach.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from jmreport.collectors import filters
from jmreport.collectors.paging import End
from jmreport.models import JOB_STATUSES, TERMINAL_STATUSES, QueryJobsRequest
from jmreport.records import moment, utc_text

#: Slices of one list, at most: a server whose every slice jams is left after them.
MOST_SLICES = 120
#: Windows of time for one status, at most.
MOST_WINDOWS = 24
_SECOND = timedelta(seconds=1)

#: Walks a question: its rows, and whether the walk jammed.
Walk = Callable[[QueryJobsRequest], Generator[dict[str, Any], None, End]]


class Slicer:
    """Reads past a jam. After `rows()`: `stuck`, the questions that stayed jammed, and `slices`."""

    def __init__(self, walk: Walk, *, refused: set[str]) -> None:
        self._walk = walk
        #: Filters that the server refuses, kept by the caller while it walks.
        self._refused = refused
        self.slices = 0
        #: Question -> where it jammed: the second of the last row that came.
        self.stuck: list[tuple[QueryJobsRequest, str]] = []
        self._names: dict[str, dict[str, None]] = {}
        self._span: tuple[datetime, datetime] | None = None

    def rows(self, request: QueryJobsRequest) -> Iterator[dict[str, Any]]:
        """The rows of each slice of a question that jammed."""
        statuses = request.status or JOB_STATUSES
        if "status" in self._refused:
            self.stuck = [(replace(request, status=(status,)), "") for status in statuses]
            return
        for status in statuses:
            one = replace(request, status=(status,))
            end = yield from self._slice(one)
            if end is None or end.how == "jammed":
                self.stuck.append((one, end.second if end else ""))
                yield from self._by_name(one)
                if status in TERMINAL_STATUSES:
                    yield from self._by_time(one, end)

    def _slice(self, request: QueryJobsRequest) -> Generator[dict[str, Any], None, End | None]:
        """A walk, if there is one left; its rows' names and times are kept in mind."""
        if self.slices >= MOST_SLICES:
            return None
        self.slices += 1
        walk = self._walk(request)
        while True:
            try:
                row = next(walk)
            except StopIteration as stop:
                end: End = stop.value
                return end
            self._learn(row)
            yield row

    def _learn(self, row: dict[str, Any]) -> None:
        name, status = row.get("name"), row.get("status")
        if isinstance(name, str) and isinstance(status, str):
            self._names.setdefault(status, {})[name] = None
        for at in (moment(row.get("submission")), moment(row.get("end"))):
            if at:
                first, last = self._span or (at, at)
                self._span = (min(first, at), max(last, at))

    def _by_name(self, request: QueryJobsRequest) -> Iterator[dict[str, Any]]:
        """One slice for each name that came, where the name was not asked for."""
        if request.name is not None or not request.status:
            return
        for name in tuple(self._names.get(request.status[0], ())):
            if "name" not in self._refused and filters.takes_name(name):
                yield from self._slice(replace(request, name=name))

    def _by_time(self, request: QueryJobsRequest, end: End | None) -> Iterator[dict[str, Any]]:
        """Windows, halved until they don't jam or are a second wide.

        First what had ended before the jammed second: that is nearly all that lies behind it.
        """
        jam = moment(end.second) if end else None
        if jam is None or self._span is None or request.start or request.end:
            return
        if self._refused & {"start", "end"}:
            return
        most = min(MOST_SLICES, self.slices + MOST_WINDOWS)
        early = yield from self._slice(replace(request, end=utc_text(jam)))
        low = jam if early is not None and early.how != "jammed" else self._span[0]
        boxes = deque([Box(low, self._span[1], low, self._span[1])])
        while boxes and self.slices < most:
            box = boxes.popleft()
            start, until = (
                _middle(box.start_low, box.start_high),
                _middle(box.end_low, box.end_high),
            )
            jammed = False
            if start <= until:
                window = replace(request, start=utc_text(start), end=utc_text(until))
                found = yield from self._slice(window)
                jammed = found is None or found.how == "jammed"
            boxes.extend(box.rest(start, until, jammed=jammed))


class Box(Struct, frozen=True):
    """Jobs that started between two moments and ended between two others."""

    start_low: datetime
    start_high: datetime
    end_low: datetime
    end_high: datetime

    def rest(self, start: datetime, until: datetime, *, jammed: bool) -> list["Box"]:
        """What is left after the window from `start` to `until` was read.

        Jobs that started before and ended after a window that jammed are out of reach: each
        question that holds them holds all of that window too.
        """
        found = [
            Box(start, self.start_high, until, self.end_high),
            Box(self.start_low, start, self.end_low, until),
        ]
        if jammed:
            found.append(Box(start, self.start_high, self.end_low, until))
        else:
            found.append(Box(self.start_low, start, until, self.end_high))
        return [box for box in found if box != self and box.wide and box.start_low <= box.end_high]

    @property
    def wide(self) -> bool:
        """Whether there is anything left to halve."""
        return self.start_high - self.start_low > _SECOND and self.end_high - self.end_low > _SECOND


def _middle(low: datetime, high: datetime) -> datetime:
    return (low + (high - low) / 2).replace(microsecond=0)
