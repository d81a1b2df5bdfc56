"""The planted world: the same sixty jobs every night, but for what `planted_stories` tells.

Night `n` ends at the first night's end and `n - 1` days. Its jobs are submitted ten hours before,
and have ended three hours before, so that each belongs to the night in which it was submitted. The
server holds some weeks of good nights from before the first.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

from msgspec import Struct

from . import planted_stories as stories
from .planted_work import SAMPLES, WORKFLOWS, routine
from .timeline import DAY, HOUR, MINUTE, SECOND, Timeline
from .workflows import reached
from .world import NEVER, Fate, Job, World, failing_end

#: Good nights before the first, and nights after the last that a server may live to see.
_BEFORE, _AFTER = 34, 14
_PLACES = len(WORKFLOWS) * SAMPLES


class _Place(Struct, frozen=True):
    """Where a job stands: the n-th of the pieces of work of a night."""

    submitted: int
    night: int
    number: int

    @property
    def workflow(self) -> str:
        return WORKFLOWS[self.number // SAMPLES].name

    @property
    def sample(self) -> int:
        return self.number % SAMPLES


def _laid_out(first: int, nights: int) -> list[_Place]:
    """Every job from before the first night until after the last, as it was submitted."""
    return [
        place
        for night in range(1 - _BEFORE, nights + _AFTER + 1)
        for number in range(_PLACES)
        if stories.runs(
            (
                place := _Place(
                    first + (night - 1) * DAY - 10 * HOUR + number * 2 * MINUTE, night, number
                )
            ).workflow,
            place.sample,
            night,
        )
    ]


class _Planted(Timeline):
    """A timeline that is a list: job `k` is its k-th."""

    def __init__(self, *, seed: int, places: list[_Place]) -> None:
        super().__init__(seed=seed, jobs=len(places), step=1_000, same_second=1)
        self._moments = [place.submitted for place in places]

    def time(self, k: int) -> int:
        return self._moments[k]

    def first_at(self, instant: int) -> int:
        return bisect_left(self._moments, instant)

    def held(self, now: int) -> range:
        return range(self.first_at(now + 1))


class PlantedWorld(World):
    """All jobs of the planted nights of one seed, the first of which ends at `first`."""

    def __init__(self, *, seed: int, first: int, nights: int) -> None:
        self._first = first
        self._places = _laid_out(first, nights)
        super().__init__(seed=seed, timeline=_Planted(seed=seed, places=self._places))
        self.routine = lru_cache(maxsize=_PLACES)(
            lambda number: routine(number, self.roll(b"planted", number, 8))
        )
        # Each count of all jobs asks for each of them: there are a few thousand.
        self._job = lru_cache(maxsize=len(self._places))(self._made)

    def night(self, now: int) -> int:
        """The night that a moment belongs to: from half a day before its end until after it."""
        return (now - self._first + DAY // 2) // DAY + 1

    def withheld(self, job: Job, now: int) -> bool:
        return stories.withheld(job.workflow.name, job.night, tonight=self.night(now))

    def job(self, k: int, *, lead: int | None = None) -> Job:  # noqa: ARG002 - there are no arrays
        """Job `k`."""
        return self._job(k)

    def _made(self, k: int) -> Job:
        place = self._places[k]
        night, sample = place.night, place.sample
        work = self.routine(place.number)
        workflow = work.workflow
        dice = self.roll(b"planted job", k, 24) + b"\xff\xc8\0\0"  # nothing cached, nothing flagged
        start = place.submitted + (60 + dice[0] % 120) * SECOND
        span = int(workflow.minutes * MINUTE * work.speed * (0.97 + dice[1] / 4_250))
        factor = stories.slow(workflow.name, night)
        if factor:
            span = int(span * (1 + (_share(workflow.name, factor[0])) * (factor[1] - 1)))
        lost = stories.lost_attempts(workflow.name, sample, night)
        if lost:
            span = int(span * stories.WAVE_TIMES)
        end, fate, cause, task = start + span, _SUCCEEDED, None, None
        failure = stories.failure(workflow.name, sample, zone=work.zone, night=night)
        if failure is not None:
            cause, name = failure
            task = next((t for t in workflow.tasks if t.name == name), workflow.tasks[0])
            fate, end = "Failed", failing_end(workflow, start, span, cause, task, dice[2])
        elif stories.hangs(workflow.name, sample, night):
            factor, end = (workflow.stages - 1, 60.0), start + 60 * HOUR
            span = end - start
        return Job(
            k=k,
            night=night,
            place=place.number,
            dice=dice,
            routine=work,
            submitted=place.submitted,
            held=0,
            start=start - start % 1_000,
            due=end - end % 1_000,
            end=end - end % 1_000,
            fate=fate,
            cause=cause,
            task=task,
            aborting=NEVER,
            span=span,
            stage_factor=factor,
            shards=0,
            lost=lost,
        )


_SUCCEEDED: Fate = "Succeeded"


def _share(workflow: str, stage: int) -> float:
    """The part of a workflow's time that one of its stages takes."""
    whole = reached(next(each for each in WORKFLOWS if each.name == workflow))
    return whole[stage] - (whole[stage - 1] if stage else 0.0)
