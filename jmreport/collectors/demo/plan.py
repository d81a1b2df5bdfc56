"""What the tasks of one job do, and when: calls, shards, attempts, and the jobs below.

A plan knows no clock: it says how the whole job goes, and a page that looks at it at some moment
shows the part before that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from msgspec import Struct

from . import causes, stories
from .causes import Cause
from .ids import Path
from .timeline import SECOND
from .workflows import SUB, Task, Workflow, reached, shares
from .world import NEVER, Fate, Job, Routine

#: A scatter of more shards than this is very wide.
_WIDE = 500


class Attempt(Struct, frozen=True, eq=False, gc=False):
    """One try of a call. `cause` is why it failed; preempted ones have none of their own."""

    number: int
    start: int
    end: int
    cause: Cause | None
    preempted: bool


class Call(Struct, frozen=True, eq=False):
    """A task, or one shard of it (-1: not scattered), with all its attempts."""

    shard: int
    attempts: tuple[Attempt, ...]
    cached: bool = False


class TaskRun(Struct, frozen=True, eq=False):
    """A task of a job with its calls. `place` is its number within the workflow."""

    task: Task
    place: int
    calls: tuple[Call, ...]


class Run(Struct, frozen=True, kw_only=True, eq=False):
    """A job or a sub-workflow, as `plan` needs it.

    `due` is when it would end by itself, `end` when it does; they differ when it was aborted at
    `aborting`.
    """

    k: int
    path: Path
    workflow: Workflow
    routine: Routine
    subject: str
    submitted: int
    start: int
    due: int
    end: int
    fate: Fate
    aborting: int
    cause: Cause | None
    task: Task | None
    span: int
    stage_factor: tuple[int, float] | None
    shards: int
    dice: int
    fresh: int  # the first stage that isn't taken from the call cache
    lost: int | None  # see Job

    def cut(self, now: int) -> int:
        """The last moment that can be seen: now, or when the job was told to stop."""
        return min(now, self.aborting)


def of_job(job: Job) -> Run:
    """A listed job's run."""
    dice = int.from_bytes(job.dice[16:24], "big")
    # Now and then somebody runs a job again, and its first stages are already there.
    fresh = job.workflow.stages // 2 if job.dice[24] < 14 else 0
    if job.task is not None:
        fresh = min(fresh, job.task.stage)
    return Run(
        k=job.k,
        path=(),
        workflow=job.workflow,
        routine=job.routine,
        subject=job.routine.subject,
        submitted=job.submitted,
        start=job.start,
        due=job.due,
        end=job.end,
        fate=job.fate,
        aborting=job.aborting,
        cause=job.cause,
        task=job.task,
        span=job.span,
        stage_factor=job.stage_factor,
        shards=job.shards,
        dice=dice,
        fresh=fresh,
        lost=job.lost,
    )


def of_child(parent: Run, task: Task, call: Call) -> Run:
    """The run of the sub-workflow that one call of a job stands for."""
    workflow = SUB[task.sub or ""]
    attempt = call.attempts[-1]
    place = max(call.shard, 0) + 1
    dice = (parent.dice * 0x9E37_79B9_7F4A_7C15 + place * 0x1_0001) & 0xFFFF_FFFF_FFFF_FFFF
    cause, failing = attempt.cause, None
    span = attempt.end - attempt.start
    if cause is not None:
        failing, cause = stories.culprit(workflow, cause, dice >> 13)
        before = reached(workflow)[failing.stage - 1] if failing.stage else 0.0
        within = reached(workflow)[failing.stage] - before
        span = int(span / (before + 0.7 * within))
    stopped = attempt.end > parent.aborting
    start, due = attempt.start - attempt.start % 1_000, attempt.end - attempt.end % 1_000
    return Run(
        k=parent.k,
        path=(*parent.path, place),
        workflow=workflow,
        routine=parent.routine,
        subject=f"{parent.subject}-{'SL'[len(parent.path) > 0]}{place}",
        submitted=start,
        start=start,
        due=due,
        end=parent.end if stopped else due,
        fate="Aborted" if stopped else "Failed" if cause else "Succeeded",
        aborting=parent.aborting if stopped else NEVER,
        cause=cause,
        task=failing,
        span=span,
        stage_factor=None,
        shards=0,
        dice=dice,
        fresh=0,
        lost=parent.lost,
    )


def tasks(run: Run) -> list[TaskRun]:
    """All tasks that the run gets to, in the order of the workflow."""
    if run.cause is not None and run.task is None:
        return []
    rng = Random(run.dice).random  # noqa: S311 - a repeatable world, not a secret
    bounds = _bounds(run, rng)
    planned = []
    for place, task in enumerate(run.workflow.tasks):
        if task.stage >= len(bounds):
            break
        begin, end = bounds[task.stage]
        planned.append(TaskRun(task, place, _calls(run, task, begin, end, rng)))
    return planned


def _bounds(run: Run, rng: Callable[[], float]) -> list[tuple[int, int]]:
    """When each stage begins and ends."""
    weights = [share * (0.9 + 0.2 * rng()) for share in shares(run.workflow)]
    for stage in range(run.fresh):
        weights[stage] = 0.004
    if run.stage_factor is not None:
        stage, factor = run.stage_factor
        weights[stage] *= factor
    first = run.start + 2 * SECOND
    if run.task is None:
        ends = _fill(first, run.due - SECOND, weights)
    else:
        stage = run.task.stage
        before = reached(run.workflow)[stage - 1] if stage else 0.0
        began = min(first + int(run.span * before), run.due - 20 * SECOND)
        ends = [*_fill(first, max(first, began), weights[:stage]), run.due - SECOND]
    starts = [first, *(end + SECOND for end in ends[:-1])]
    return [(begin, max(begin, end)) for begin, end in zip(starts, ends, strict=True)]


def _fill(start: int, end: int, weights: list[float]) -> list[int]:
    whole = sum(weights) or 1.0
    ends, done = [], 0.0
    for weight in weights:
        done += weight
        ends.append(start + int((end - start) * (done / whole)))
    return ends


def _calls(
    run: Run, task: Task, begin: int, end: int, rng: Callable[[], float]
) -> tuple[Call, ...]:
    """The calls of one task: one, or one a shard."""
    cause = run.cause if task is run.task else None
    cached = task.stage < run.fresh
    if task.scatter is None:
        if cause is None and end - begin > 60 * SECOND:
            # Tasks beside the longest of their stage are done before it.
            part = task.share / max(t.share for t in run.workflow.tasks if t.stage == task.stage)
            end = begin + int((end - begin) * part)
            if not cached and task.sub is None and run.lost is None and rng() < 0.05:
                return (Call(-1, (Attempt(1, begin, begin + 9 * SECOND, None, False),), True),)
        return (Call(-1, _attempts(run, task, begin, end, cause, rng), cached),)
    low, high = task.scatter
    count = low + int(rng() * rng() * (high - low + 1))
    if run.shards and (high >= 100 or task.sub is not None):
        count = run.shards
    failing: set[int] = set()
    slowest = int(rng() * count)
    if cause is not None:
        more = int(rng() * 3.4) if rng() < 0.3 else 0
        failing = {slowest, *(int(rng() * count) for _ in range(more))}
        if count > _WIDE:
            # In a very wide scatter some fail everywhere, the first and the last one among them.
            failing |= {0, count - 1, *range(0, count, count // 40)}
    stuck = run.stage_factor is not None and run.stage_factor[1] > 10
    room = (end - begin) // 15 if stuck else end - begin
    calls = []
    for shard in range(count):
        first = begin + int(room * 0.18 * (shard + rng()) / count)
        last = end
        if shard != slowest:
            last = first + int((begin + room - first) * (0.45 + 0.54 * rng()))
        why = cause if shard in failing else None
        calls.append(Call(shard, _attempts(run, task, first, last, why, rng), cached))
    return tuple(calls)


def _attempts(
    run: Run, task: Task, begin: int, end: int, cause: Cause | None, rng: Callable[[], float]
) -> tuple[Attempt, ...]:
    """The attempts of one call between two moments."""
    tries = 1
    lost = 0
    if task.sub is None:
        if cause is not None:
            tries = cause.tries
            lost = tries if cause is causes.PREEMPTED else 0
        elif _preemptible(run, task) and end - begin > 120 * SECOND:
            luck = rng()
            lost = (luck < 0.055) + (luck < 0.012) if run.lost is None else run.lost
            tries = 1 + lost
    if tries == 1:
        return (Attempt(1, begin, end, cause, False),)
    weights = [0.35 + rng() for _ in range(tries - 1)] + [1.2]
    ends = _fill(begin, end, weights)
    gap = min(SECOND, (end - begin) // (8 * tries))
    found = []
    start = begin
    for number, stop in enumerate(ends, 1):
        taken = number <= lost
        found.append(Attempt(number, start, stop, None if taken else cause, taken))
        start = stop + gap
    if lost == tries:
        last = found[-1]
        found[-1] = Attempt(last.number, last.start, last.end, cause, True)
    return tuple(found)


def _preemptible(run: Run, task: Task) -> bool:
    """Whether machines can be taken away: not the server's own, nor where nothing runs."""
    return task.preemptible and not run.workflow.local and task.stage >= run.fresh
