"""What needs attention: failing keys by cause, and jobs that are stuck."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.analysis.causes import Cause, cause_of
from jmreport.analysis.keys import Key, KeyState, Verdicts
from jmreport.analysis.seen import first_told
from jmreport.analysis.timing import WAITING_STATUSES
from jmreport.models import ACTIVE_STATUSES, JOB_STATUSES
from jmreport.records import Entry, JobRow
from jmreport.report.causes import CauseGroup, FlakyKey, State
from jmreport.report.jobs import StuckJob
from jmreport.report.nights import NightSummary
from jmreport.report.usual import Usual

#: Waiting longer than this is stuck, whatever is usual.
LONGEST_WAIT = timedelta(hours=12)
#: Running longer than the P95 by this factor, and by this much, is stuck.
STUCK_FACTOR = 1.5
STUCK_MARGIN = timedelta(hours=1)
#: Running longer than this is told of where nobody can say whether it is stuck.
LONGEST_UNJUDGED = timedelta(hours=12)

_ORDER: dict[State, int] = {"new": 0, "failing": 1, "still failing": 2, "fixed": 3}
Label = tuple[str, str]


def state_of(key: Key, verdicts: Verdicts, *, first: bool) -> State:
    """How a failing key stands; on a first run there is nothing to compare with."""
    if first:
        return "failing"
    return "new" if key in verdicts.new else "still failing"


class _Failing(NamedTuple):
    state: KeyState
    cause: Cause
    not_run: bool


def groups(
    failing: Iterable[KeyState], verdicts: Verdicts, window: Sequence[Entry], *, first: bool
) -> tuple[CauseGroup, ...]:
    """Failing keys by cause and state: new first, then the biggest.

    `window` are the jobs among which a group's labels must stand out to be named.
    """
    by_cause: defaultdict[tuple[State, str], list[_Failing]] = defaultdict(list)
    for one in failing:
        if cause := cause_of(one.entry.row):
            state = state_of(one.key, verdicts, first=first)
            by_cause[state, cause.id].append(_Failing(one, cause, one.key in verdicts.not_run))
    common = {group: _common_labels(members) for group, members in by_cause.items()}
    others = _Others(window, common.values(), by_cause.values())
    made = [
        _group(state, members, others.stand_out(common[state, cause], members))
        for (state, cause), members in by_cause.items()
    ]
    return tuple(sorted(made, key=lambda made: (_ORDER[made.state], -len(made.jobs), made.id)))


def _group(state: State, members: Sequence[_Failing], shared: Sequence[Label]) -> CauseGroup:
    cause = members[0].cause
    rows = [member.state.entry.row for member in members]
    jobs = tuple(row.id for row in rows)
    tasks = Counter(row.failure.task for row in rows if row.failure and row.failure.task)
    oldest = min(
        (member.state for member in members), key=lambda one: (one.since, one.entry.row.id)
    )
    return CauseGroup(
        id=cause.id,
        state=state,
        cause_class=cause.cause_class,
        title=cause.title,
        rule=cause.rule,
        jobs=jobs,
        new_jobs=jobs if state == "new" else (),
        workflows=tuple(sorted({row.name for row in rows})),
        tasks=tuple(sorted(tasks, key=lambda task: (-tasks[task], task))),
        since=oldest.since,
        nights=oldest.nights,
        last_success=oldest.last_success,
        flaky=tuple(member.state.entry.row.id for member in members if member.state.flaky),
        not_run=tuple(member.state.entry.row.id for member in members if member.not_run),
        shared=tuple(shared),
        example=next((row.failure.message for row in rows if row.failure), ""),
        first_seen=oldest.since,
        last_seen=max((row.end for row in rows if row.end), default=None),
    )


def told_before(
    groups: Iterable[CauseGroup], past: Iterable[NightSummary], failed: Mapping[str, datetime]
) -> tuple[CauseGroup, ...]:
    """The same groups, seen first when the first job of their cause failed.

    `failed` says when, as far as is known. Or by the night that told of the cause first, of which
    that job may be told otherwise by now; `past` are those that are known, the oldest first.
    """
    first = first_told(past)
    return tuple(
        replace(
            group,
            first_seen=_earlier(group.since, first.get(group.id), failed.get(group.id)),
        )
        for group in groups
    )


def _earlier(*instants: datetime | None) -> datetime | None:
    return min((at for at in instants if at), default=None)


def _common_labels(members: Sequence[_Failing]) -> frozenset[Label]:
    """Labels that all jobs of a group have; none for a single job, all of whose labels would be."""
    if len(members) < 2:
        return frozenset()
    first, *rest = (member.state.entry.row.labels.items() for member in members)
    return frozenset(first).intersection(*rest)


class _Others:
    """How common labels are in a workflow's window, counted only for labels that groups share."""

    def __init__(
        self,
        window: Sequence[Entry],
        common: Iterable[frozenset[Label]],
        members: Iterable[Sequence[_Failing]],
    ) -> None:
        self._in_window = {entry.row.id for entry in window}
        wanted = frozenset[Label]().union(*common)
        workflows = {one.state.entry.row.name for group in members for one in group}
        self._with: Counter[tuple[str, Label]] = Counter()
        self._jobs: Counter[str] = Counter()
        for row in (entry.row for entry in window):
            if wanted and row.name in workflows:
                self._jobs[row.name] += 1
                for label in wanted.intersection(row.labels.items()):
                    self._with[row.name, label] += 1

    def stand_out(self, common: frozenset[Label], members: Sequence[_Failing]) -> tuple[Label, ...]:
        """Those of a group's common labels that fewer than half of the other jobs have."""
        rows = [member.state.entry.row for member in members]
        own = sum(row.id in self._in_window for row in rows)
        workflows = {row.name for row in rows}
        others = sum(self._jobs[name] for name in workflows) - own
        if others <= 0:
            return ()
        return tuple(
            label
            for label in sorted(common)
            if 2 * (sum(self._with[name, label] for name in workflows) - own) < others
        )


def flaky(states: Iterable[KeyState], identity: Sequence[str]) -> tuple[FlakyKey, ...]:
    """Flaky keys as reports name them, in the order given."""
    return tuple(
        FlakyKey(
            workflow=state.entry.row.name,
            jobs=tuple(row.id for row in state.runs),
            outcomes=tuple(row.status for row in state.runs),
            flips=state.flaky.flips,
            labels=tuple(
                (label, state.entry.row.labels[label])
                for label in identity
                if label in state.entry.row.labels
            ),
            last_failed=max(_failed_at(state.runs), default=None),
        )
        for state in states
        if state.flaky
    )


def _failed_at(rows: Iterable[JobRow]) -> list[datetime]:
    return [row.end for row in rows if row.status == "Failed" and row.end is not None]


def stuck(active: Iterable[JobRow], usual: dict[str, Usual], now: datetime) -> tuple[StuckJob, ...]:
    """Jobs active for longer than their workflow explains, the longest first."""
    found = (_stuck(row, usual.get(row.name), now) for row in active)
    return tuple(sorted((one for one in found if one), key=lambda one: (-one.active_for, one.job)))


def unjudged(
    active: Iterable[JobRow], usual: dict[str, Usual], now: datetime
) -> tuple[JobRow, ...]:
    """Jobs that run for long and of which no baseline says whether they are stuck, the longest
    first."""
    found = [
        (active_for, row)
        for row in active
        if (active_for := time_active(row, now)) is not None
        and lacks_baseline(row, active_for, usual.get(row.name))
    ]
    return tuple(row for _, row in sorted(found, key=lambda one: (-one[0], one[1].id)))


def lacks_baseline(row: JobRow, active_for: timedelta, usual: Usual | None) -> bool:
    """Whether nobody can say if a job is stuck, after so long. One that waits needs no baseline."""
    runs = row.status in ACTIVE_STATUSES and row.status not in WAITING_STATUSES
    return runs and usual is None and active_for > LONGEST_UNJUDGED


def _stuck(row: JobRow, usual: Usual | None, now: datetime) -> StuckJob | None:
    active_for = time_active(row, now)
    if active_for is None or not too_long(row, active_for, usual):
        return None
    waiting = row.status in WAITING_STATUSES
    return StuckJob(
        job=row.id, active_for=active_for, waiting=waiting, usual=usual, where=row.where
    )


def time_active(row: JobRow, now: datetime) -> timedelta | None:
    """How long a job that has not ended waits, or runs if it has started; None if unknown."""
    since = row.submission if row.status in WAITING_STATUSES else row.start
    return None if since is None or not row.active else max(now - since, timedelta(0))


def too_long(row: JobRow, active_for: timedelta, usual: Usual | None) -> bool:
    """Whether an active job is stuck, after so long."""
    waiting = row.status in WAITING_STATUSES
    limit = LONGEST_WAIT if waiting else longest_expected(usual)
    return row.status in ACTIVE_STATUSES and limit is not None and active_for > limit


def longest_expected(usual: Usual | None) -> timedelta | None:
    """How long a run may take before it counts as stuck; None without a baseline."""
    if usual is None:
        return None
    return max(usual.p95 * STUCK_FACTOR, usual.p95 + STUCK_MARGIN)


def is_unknown(row: JobRow, *, lost: bool) -> bool:
    """Whether nobody can say how a job stands. One that is listed as Failed did fail."""
    if row.status not in JOB_STATUSES or (lost and row.active):
        return True
    return not row.readable and row.status != "Failed"
