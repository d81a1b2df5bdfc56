"""Causes as they were seen: every failed job ever known by its cause, and what they share."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple

from jmreport.analysis.causes import Cause, cause_of
from jmreport.analysis.nights import Nights
from jmreport.history import History
from jmreport.records import Entry, JobRow
from jmreport.report.causes import CauseGroup, CauseReport, Shared
from jmreport.report.nights import NightSummary

#: What its jobs share is looked for in so many nights up to the last that it was seen in.
NIGHTS = 7
#: What is shared is told where so many of the others lack it.
_HALF = 0.5


class Failed(NamedTuple):
    """A job that failed, sortable by its end."""

    ended: datetime
    id: str
    night: int
    workflow: str
    task: str | None
    shard: int | None
    told: bool


class Compared(NamedTuple):
    """A cause's `jobs`, and how many `others` were told of, (label, value, number of them)."""

    jobs: list[str]
    others: int
    having: list[tuple[str, str, int]]


class Failures:
    """Every failed job by its cause and by its night, told while jobs stream by."""

    def __init__(self, nights: Nights) -> None:
        self._nights = nights
        self.known: dict[str, Cause] = {}
        self.seen: defaultdict[str, list[Failed]] = defaultdict(list)

    def take(self, row: JobRow, ended: datetime | None) -> None:
        """One more listed job; `ended` is None for one that has not."""
        cause = cause_of(row)
        if cause is None or ended is None:
            return
        self.known[cause.id] = cause
        failure = row.failure
        self.seen[cause.id].append(
            Failed(
                ended,
                row.id,
                self._nights.index(ended),
                row.name,
                failure.task if failure else None,
                failure.shard if failure else None,
                failure is not None,
            )
        )

    def since(self, causes: Iterable[str]) -> dict[str, datetime]:
        """When the first job of each of these causes failed, as far as is known."""
        seen = self.seen
        return {cause: min(seen[cause]).ended for cause in causes if cause in seen}

    def by_night(self, most: int) -> dict[str, dict[str, tuple[str, ...]]]:
        """Run -> workflow -> ids of jobs that failed in the last nights, by id."""
        nights = self._nights
        found: defaultdict[str, defaultdict[str, list[str]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for one in chain.from_iterable(self.seen.values()):
            if nights.tonight - most < one.night <= nights.tonight:
                found[nights.runs[one.night].id][one.workflow].append(one.id)
        return {
            run: {name: tuple(sorted(jobs)) for name, jobs in sorted(flows.items())}
            for run, flows in sorted(found.items())
        }

    def causes(self, history: History) -> "Causes":
        """What is to be told of each cause; the jobs that it is compared with have to be shown."""
        return Causes(self.known, self.seen, self._nights, history)


def first_told(past: Iterable[NightSummary]) -> dict[str, datetime]:
    """When the first of these nights, the oldest first, told of each cause."""
    first: dict[str, datetime] = {}
    for one in past:
        for cause in one.causes:
            first.setdefault(cause.id, one.now)
    return first


class Causes:
    """Every cause that is known, and what its jobs share and others do not."""

    def __init__(
        self,
        known: Mapping[str, Cause],
        seen: Mapping[str, list[Failed]],
        nights: Nights,
        history: History,
    ) -> None:
        self._known, self._seen, self._nights = known, seen, nights
        for jobs in seen.values():
            jobs.sort(key=lambda one: (one.ended, one.id), reverse=True)
        self._recent = {cause: _recent(jobs) for cause, jobs in seen.items()}
        self._examples = {cause: _example(jobs, history) for cause, jobs in seen.items()}
        self._beside = {
            cause: _Beside(jobs, history) for cause, jobs in self._recent.items() if len(jobs) > 1
        }
        self._places: defaultdict[tuple[str, int], list[_Beside]] = defaultdict(list)
        for one in self._beside.values():
            for place in one.places:
                self._places[place].append(one)
        self._workflows = {name for name, _ in self._places}

    def take(self, row: JobRow, ended: datetime | None) -> None:
        """One more listed job, with which causes are compared."""
        if ended is not None and row.name in self._workflows:
            for one in self._places.get((row.name, self._nights.index(ended)), ()):
                one.take(row)

    def restore(self, compared: Mapping[str, "Compared"], night: int) -> bool:
        """Goes on with what the jobs of nights up to this one said; False where nobody knows."""
        for cause, one in self._beside.items():
            known, own = compared.get(cause), [each.id for each in self._recent[cause]]
            if known is not None and known.jobs == own and one.restore(known):
                continue
            if min(at for _, at in one.places) <= night:
                return False
        return True

    def reaches(self, night: int) -> bool:
        """Whether any cause is compared with jobs of a night up to this one."""
        return any(at <= night for _, at in self._places)

    def kept(self, night: int) -> dict[str, "Compared"]:
        """What was told so far of causes that are compared with jobs of nights up to this one."""
        return {
            cause: one.kept([each.id for each in self._recent[cause]])
            for cause, one in self._beside.items()
            if min(at for _, at in one.places) <= night
        }

    def reports(
        self, window: Sequence[Entry], attention: Iterable[CauseGroup]
    ) -> tuple[CauseReport, ...]:
        """Every cause of a listed job that failed: new ones first, then failing ones, then others.

        `window` are the report's jobs.
        """
        now: defaultdict[str, list[CauseGroup]] = defaultdict(list)
        for group in attention:
            now[group.id].append(group)
        ids = {entry.row.id for entry in window}
        return tuple(
            sorted((self._report(cause, now[cause], ids) for cause in self._seen), key=_order)
        )

    def _report(self, name: str, groups: Sequence[CauseGroup], window: set[str]) -> CauseReport:
        cause, seen, recent = self._known[name], self._seen[name], self._recent[name]
        beside = self._beside.get(name)
        return CauseReport(
            id=cause.id,
            cause_class=cause.cause_class,
            title=cause.title,
            rule=cause.rule,
            example=self._examples[name],
            jobs=tuple(one.id for one in seen),
            window=tuple(one.id for one in seen if one.id in window),
            tonight=tuple(one.id for one in seen if one.night == self._nights.tonight),
            failing=tuple(job for group in groups for job in group.jobs),
            new=tuple(job for group in groups for job in group.new_jobs),
            workflows=_counted(one.workflow for one in seen),
            tasks=_counted(one.task for one in seen if one.task),
            recent=tuple(one.id for one in recent),
            shared=(*beside.labels(), *_place(recent)) if beside else (),
            first_seen=seen[-1].ended,
            last_seen=seen[0].ended,
        )


def _order(cause: CauseReport) -> tuple[int, int, float, str]:
    """As on the overview, those with the most new jobs first."""
    return -len(cause.new), -len(cause.failing), -cause.last_seen.timestamp(), cause.id


def _recent(seen: Sequence[Failed]) -> list[Failed]:
    """Those of the week up to the last, newest first."""
    return [one for one in seen if one.night > seen[0].night - NIGHTS]


def _example(seen: Iterable[Failed], history: History) -> str:
    """The newest message."""
    newest = next((one.id for one in seen if one.told), None)
    entry = history.of([newest]).get(newest) if newest else None
    return entry.row.failure.message if entry and entry.row.failure else ""


def _counted(names: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Names by how often they come, the most first."""
    return tuple(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


class _Beside:
    """What all of a cause's jobs have, and how many others of their workflows and nights have it.

    Only of places where the cause was seen in its last week, and not of all that ever ended.
    """

    def __init__(self, jobs: Sequence[Failed], history: History) -> None:
        self.places = {(one.workflow, one.night) for one in jobs}
        self._own = {one.id for one in jobs}
        labels = (entry.row.labels.items() for entry in history.of(sorted(self._own)).values())
        first, *rest = labels
        self._having = dict.fromkeys(sorted(frozenset(first).intersection(*rest)), 0)
        self._others = 0

    def take(self, row: JobRow) -> None:
        if row.id in self._own:
            return
        self._others += 1
        for key, value in self._having:
            if row.labels.get(key) == value:
                self._having[key, value] += 1

    def kept(self, jobs: list[str]) -> "Compared":
        """What was told so far, to go on with."""
        having = [(key, value, count) for (key, value), count in self._having.items()]
        return Compared(jobs, self._others, having)

    def restore(self, known: "Compared") -> bool:
        """Goes on with what was told; False where its jobs have other labels in common by now."""
        having = {(key, value): count for key, value, count in known.having}
        if [*having] != [*self._having]:
            return False
        self._having, self._others = having, known.others
        return True

    def labels(self) -> Iterator[Shared]:
        """Labels that fewer than half of the others have."""
        for (key, value), having in self._having.items():
            if having < _HALF * self._others:
                yield Shared(key=key, value=value, others=having, of=self._others, kind="label")


def _place(seen: Sequence[Failed]) -> Iterator[Shared]:
    """The task that all failed in, and the range of shards."""
    tasks = {one.task for one in seen}
    if len(tasks) == 1 and (task := tasks.pop()):
        yield Shared(key="task", value=task, kind="task")
    known = [one.shard for one in seen if one.shard is not None and one.shard >= 0]
    if len(known) == len(seen):
        low, high = min(known), max(known)
        yield Shared(
            key="shard", value=str(low) if low == high else f"{low} to {high}", kind="shard"
        )
