"""Causes as they were seen: every failed job ever known by its cause, and what they share."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from jmreport.analysis.causes import Cause, cause_of
from jmreport.analysis.nights import Nights
from jmreport.records import Entry, JobRow
from jmreport.report import CauseGroup, CauseReport, Shared

#: What its jobs share is looked for in so many nights up to the last that it was seen in.
NIGHTS = 7
#: What is shared is told where so many of the others lack it.
_HALF = 0.5


class _Seen(NamedTuple):
    """A job that ended, and the night that it belongs to."""

    ended: datetime
    night: int
    row: JobRow


def causes(
    listed: Iterable[Entry],
    window: Sequence[Entry],
    nights: Nights,
    attention: Iterable[CauseGroup],
) -> tuple[CauseReport, ...]:
    """Every cause of a listed job that failed: those failing now first, then the newest seen.

    `window` are the report's jobs.
    """
    listed = tuple(listed)
    seen: defaultdict[str, list[_Seen]] = defaultdict(list)
    known: dict[str, Cause] = {}
    for entry in listed:
        if cause := cause_of(entry.row):
            ended = nights.ended(entry)
            if ended is not None:
                known[cause.id] = cause
                seen[cause.id].append(_Seen(ended, nights.index(ended), entry.row))
    for jobs in seen.values():
        jobs.sort(key=lambda one: (one.ended, one.row.id), reverse=True)
    recent = {cause: _recent(jobs) for cause, jobs in seen.items()}
    others = _Others(listed, nights, recent.values())
    now: defaultdict[str, list[CauseGroup]] = defaultdict(list)
    for group in attention:
        now[group.id].append(group)
    ids = {entry.row.id for entry in window}
    made = [
        _report(known[cause], seen[cause], recent[cause], now[cause], others, ids, nights)
        for cause in seen
    ]
    return tuple(sorted(made, key=_order))


def _order(cause: CauseReport) -> tuple[int, float, str]:
    return -len(cause.failing), -cause.last_seen.timestamp(), cause.id


def _recent(seen: Sequence[_Seen]) -> list[_Seen]:
    """Those of the week up to the last, newest first."""
    return [one for one in seen if one.night > seen[0].night - NIGHTS]


def _report(
    cause: Cause,
    seen: Sequence[_Seen],
    recent: Sequence[_Seen],
    groups: Sequence[CauseGroup],
    others: "_Others",
    window: set[str],
    nights: Nights,
) -> CauseReport:
    rows = [one.row for one in seen]
    return CauseReport(
        id=cause.id,
        cause_class=cause.cause_class,
        title=cause.title,
        rule=cause.rule,
        example=next((row.failure.message for row in rows if row.failure), ""),
        jobs=tuple(row.id for row in rows),
        window=tuple(row.id for row in rows if row.id in window),
        tonight=tuple(one.row.id for one in seen if one.night == nights.tonight),
        failing=tuple(job for group in groups for job in group.jobs),
        new=tuple(job for group in groups for job in group.new_jobs),
        workflows=_counted(row.name for row in rows),
        tasks=_counted(row.failure.task for row in rows if row.failure and row.failure.task),
        recent=tuple(one.row.id for one in recent),
        shared=others.shared(recent),
        first_seen=seen[-1].ended,
        last_seen=seen[0].ended,
    )


def _counted(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Names by how often they come, the most first."""
    return tuple(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


class _Others:
    """Jobs by workflow and night: the others that a cause's jobs are compared with.

    Only of places where a cause was seen in its last week, and not of all that ever ended.
    """

    def __init__(
        self, listed: Iterable[Entry], nights: Nights, recent: Iterable[Sequence[_Seen]]
    ) -> None:
        self._rows: dict[tuple[str, int], list[JobRow]] = {
            (one.row.name, one.night): [] for jobs in recent if len(jobs) > 1 for one in jobs
        }
        workflows = {name for name, _ in self._rows}
        for entry in listed:
            if entry.row.name in workflows and (ended := nights.ended(entry)) is not None:
                place = self._rows.get((entry.row.name, nights.index(ended)))
                if place is not None:
                    place.append(entry.row)

    def shared(self, jobs: Sequence[_Seen]) -> tuple[Shared, ...]:
        """What all of some jobs have, and fewer than half of their workflows' others those nights.

        Nothing for a single job, all of whose labels would be.
        """
        if len(jobs) < 2:
            return ()
        own = {one.row.id for one in jobs}
        places = sorted({(one.row.name, one.night) for one in jobs})
        others = [row for place in places for row in self._rows[place] if row.id not in own]
        rows = [one.row for one in jobs]
        return (*_labels(rows, others), *_place(rows))


def _labels(rows: Sequence[JobRow], others: Sequence[JobRow]) -> Iterable[Shared]:
    first, *rest = (row.labels.items() for row in rows)
    for key, value in sorted(frozenset(first).intersection(*rest)):
        having = sum(row.labels.get(key) == value for row in others)
        if having < _HALF * len(others):
            yield Shared(key=key, value=value, others=having, of=len(others), kind="label")


def _place(rows: Sequence[JobRow]) -> Iterable[Shared]:
    """The task that all failed in, and the range of shards."""
    tasks = {row.failure.task if row.failure else None for row in rows}
    if len(tasks) == 1 and (task := tasks.pop()):
        yield Shared(key="task", value=task, kind="task")
    shards = [row.failure.shard for row in rows if row.failure]
    known = [shard for shard in shards if shard is not None and shard >= 0]
    if len(known) == len(rows):
        low, high = min(known), max(known)
        yield Shared(
            key="shard", value=str(low) if low == high else f"{low} to {high}", kind="shard"
        )
