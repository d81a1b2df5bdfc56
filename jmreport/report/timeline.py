"""Jobs over time: how many ran and waited at once."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct


class Slot(Struct, frozen=True, kw_only=True):
    """A step of a timeline: the most jobs at once, and what began in it.

    `wait` and `wait_p90` are of the jobs that started in it, in seconds; None where none did.
    """

    start: datetime
    running: int = 0
    waiting: int = 0
    submitted: int = 0
    started: int = 0
    wait: float | None = None
    wait_p90: float | None = None


class TimelineDay(Struct, frozen=True, kw_only=True):
    """A calendar day (2026-11-23) of a timeline, with the ids of the jobs that it counts.

    `running` are those that ran at `peak`, the first instant with the most of them; waits are in
    seconds, of the jobs that started on it.
    """

    day: str
    submitted: tuple[str, ...] = ()
    peak: datetime | None = None
    running: tuple[str, ...] = ()
    wait: float | None = None
    wait_p90: float | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """The report's jobs over time: slots of `step` up to `until`, and the days, oldest first.

    `most` jobs ran at once at `peak`: `at_peak`. `longest` are the longest waits: a job, and
    seconds. `unplaced` are jobs that ran until nobody knows when. `whole` is False where jobs
    submitted before `since` may have run in it and were not read.
    """

    since: datetime
    until: datetime
    step: timedelta
    slots: tuple[Slot, ...]
    days: tuple[TimelineDay, ...] = ()
    peak: datetime | None = None
    most: int = 0
    at_peak: tuple[str, ...] = ()
    longest: tuple[tuple[str, float], ...] = ()
    unplaced: tuple[str, ...] = ()
    whole: bool = True

    def jobs(self) -> Iterator[str]:
        """Ids of all jobs that it names, some of them more than once."""
        yield from (*self.at_peak, *self.unplaced, *(job for job, _ in self.longest))
        for day in self.days:
            yield from (*day.submitted, *day.running)
