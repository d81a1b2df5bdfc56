"""What differs between any two runs, each as it was known then: key by key, cause by cause."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.analysis.keys import Key, Keys, KeyState, Standings
from jmreport.analysis.matching import may_match
from jmreport.analysis.measures import median as median_of
from jmreport.analysis.nights import Nights
from jmreport.analysis.slower import is_slower
from jmreport.analysis.workflows import split
from jmreport.compared import (
    CauseDifference,
    Difference,
    DiffJob,
    FlowDifference,
    Side,
    TaskDifference,
)
from jmreport.history import History
from jmreport.night import Night
from jmreport.records import Filters, JobRow, Run, Sketch, run_order
from jmreport.report.causes import CauseGroup
from jmreport.report.nights import NightSummary


class Known(NamedTuple):
    """A side: its night as it was told, how keys stood, and the jobs that ended in it.

    `rows` are jobs that it could not tell, `short_ids` of all that it names.
    """

    night: Night
    standings: Standings
    ended: tuple[JobRow, ...]
    rows: dict[str, JobRow]
    short_ids: dict[str, str]


def known(
    night: Night,
    history: History,
    runs: Sequence[Run],
    identity: Sequence[str],
    *,
    earlier: Iterable[str] = (),
) -> Known:
    """What a run knew: `night` is the one that it ended, `history` and `runs` those up to it.

    `earlier` are ids that a run before it names: their short forms may have become longer since.
    """
    nights = Nights(runs)
    keys = Keys(nights, identity, every=True)
    rows = []
    for entry in history.by_run():
        if entry.row.listed:
            ended = nights.ended(entry)
            keys.take(entry, ended)
            if ended is not None and nights.index(ended) == nights.tonight:
                rows.append(entry.row)
    told = keys.standings(history)
    unknown = {job: entry.row for job, entry in history.of(night.unknown).items()}
    named = {
        *earlier,
        *unknown,
        *(state.entry.row.id for state in told.states.values()),
        *(entry.row.id for entry in told.ran.values()),
    }
    return Known(night, told, tuple(rows), unknown, history.short_ids(sorted(named)))


def difference(before: Known, after: Known) -> Difference:
    """What is otherwise in `after`; nothing where both are the same run.

    A key that failed before is fixed only where it is known to have succeeded. What a run could not
    read is unknown.
    """
    was, now = before.standings, after.standings
    failed, failing = _failing(was), _failing(now)
    jobs = _Jobs(before, after)
    return Difference(
        before=_side(before),
        after=_side(after),
        new=jobs.states(failing[key] for key in failing.keys() - failed.keys()),
        fixed=jobs.states(
            now.states[key]
            for key in failed.keys() & now.states.keys()
            if now.states[key].state == "Succeeded"
        ),
        still_failing=jobs.states(failing[key] for key in failing.keys() & failed.keys()),
        lapsed=jobs.states(failed[key] for key in failed.keys() - now.states.keys()),
        not_run=jobs.rows(_asked_for(_not_run(was, now), after)),
        first_seen=jobs.rows(_asked_for(_first_seen(was, now), before)),
        unknown=jobs.rows(after.rows[job] for job in after.night.unknown if job in after.rows),
        causes=_causes(before.night.attention, after.night.attention),
        flows=_flows(before.ended, after.ended),
        tasks=_tasks(before.night.summary, after.night.summary),
    )


def _failing(of: Standings) -> dict[Key, KeyState]:
    return {key: state for key, state in of.states.items() if state.state == "Failed"}


def _first_seen(was: Standings, now: Standings) -> list[JobRow]:
    """The newest jobs of keys that only the second side knows.

    Where the first could not read a job of a workflow, that may have been any key's.
    """
    newest = {key: state.entry.row for key, state in now.states.items()}
    newest |= {key: entry.row for key, entry in now.ran.items()}
    return [
        row
        for key, row in newest.items()
        if key not in was.known and key[0] not in was.unkeyed and not _is_own(key, row)
    ]


def _not_run(was: Standings, now: Standings) -> list[JobRow]:
    """The newest jobs of keys that ran in the first night and, as far as is known, not since."""
    return [
        entry.row
        for key, entry in was.ran.items()
        if key not in now.ran and key[0] not in now.unkeyed and not _is_own(key, entry.row)
    ]


def _asked_for(rows: Iterable[JobRow], side: Known) -> Iterator[JobRow]:
    """Those whose work a side would have told of. Behind a filter by status nobody knows: it may
    have run and ended otherwise."""
    filters = side.night.summary.filters or Filters()
    return (row for row in rows if not filters.status and may_match(row, filters))


def _is_own(key: Key, row: JobRow) -> bool:
    """Whether a job is a key by itself, since nobody knows what makes it the same as others."""
    return key == (row.name, "", row.id)


class _Jobs:
    """Rows as the difference names them."""

    def __init__(self, before: Known, after: Known) -> None:
        # The later run knows more ids, from which each is to be told apart; clocks can go back.
        first, then = sorted((before, after), key=lambda side: run_order(side.night.summary.run))
        self._short = first.short_ids | then.short_ids

    def states(self, states: Iterable[KeyState]) -> tuple[DiffJob, ...]:
        return _sorted(
            replace(
                self._job(state.entry.row),
                since=state.since if state.state == "Failed" else None,
                last_success=state.last_success,
            )
            for state in states
        )

    def rows(self, rows: Iterable[JobRow]) -> tuple[DiffJob, ...]:
        return _sorted(self._job(row) for row in rows)

    def _job(self, row: JobRow) -> DiffJob:
        return DiffJob(
            id=row.id,
            workflow=row.name,
            short_id=self._short.get(row.id, row.id[:8]),
            status=row.counts_as,
        )


def _sorted(jobs: Iterable[DiffJob]) -> tuple[DiffJob, ...]:
    return tuple(sorted(jobs, key=lambda job: (job.workflow, job.id)))


def _side(of: Known) -> Side:
    summary = of.night.summary
    return Side(
        run=summary.run,
        now=summary.now,
        since=summary.since,
        complete=summary.complete,
        failing=summary.counts.failing,
        unknown=summary.counts.unknown,
        ended=summary.split,
        filters=summary.filters if summary.filters and summary.filters.narrows else None,
    )


def _causes(
    before: Iterable[CauseGroup], after: Iterable[CauseGroup]
) -> tuple[CauseDifference, ...]:
    """Causes of either side: those of most keys now first, then those that went."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    titles: dict[str, CauseGroup] = {}
    for side, groups in enumerate((before, after)):
        for group in groups:
            counts[group.id][side] += len(group.jobs)
            titles[group.id] = group
    made = (
        CauseDifference(
            id=cause,
            title=titles[cause].title or titles[cause].rule,
            cause_class=titles[cause].cause_class,
            before=old,
            after=new,
        )
        for cause, (old, new) in counts.items()
    )
    return tuple(sorted(made, key=lambda each: (-each.after, -each.before, each.id)))


def _flows(before: Iterable[JobRow], after: Iterable[JobRow]) -> tuple[FlowDifference, ...]:
    was, now = _by_name(before), _by_name(after)
    return tuple(
        FlowDifference(
            name=name,
            before=split(was.get(name, ())),
            after=split(now.get(name, ())),
            took_before=_median(was.get(name, ())),
            took_after=_median(now.get(name, ())),
        )
        for name in sorted({*was, *now})
    )


def _by_name(rows: Iterable[JobRow]) -> dict[str, list[JobRow]]:
    found: defaultdict[str, list[JobRow]] = defaultdict(list)
    for row in rows:
        found[row.name].append(row)
    return found


def _median(rows: Iterable[JobRow]) -> float | None:
    took = [
        row.took.total_seconds()
        for row in rows
        if row.status == "Succeeded" and row.took is not None
    ]
    return median(took) if took else None


def _tasks(before: NightSummary, after: NightSummary) -> tuple[TaskDifference, ...]:
    """Tasks that are slower or faster, night against night, by the rule of slower tasks."""
    was, now = _sketches(before), _sketches(after)
    found = [
        TaskDifference(
            workflow=task[0],
            task=task[1],
            before=median_of(was[task]),
            after=median_of(now[task]),
            attempts_before=was[task].count,
            attempts_after=now[task].count,
        )
        for task in sorted(was.keys() & now.keys())
        if is_slower(now[task], was[task]) or is_slower(was[task], now[task])
    ]
    return tuple(sorted(found, key=lambda one: (not one.slower, -_ratio(one))))


def _ratio(one: TaskDifference) -> float:
    """How many times the shorter median the longer one is."""
    short, long = sorted((one.before, one.after))
    return long / short if short else float("inf")


def _sketches(night: NightSummary) -> dict[tuple[str, str], Sketch]:
    return {(one.workflow, one.measure.task): one.measure.took for one in night.tasks}
