"""When each job was submitted: an endless, fixed timeline that needs no list of jobs.

Job number `k` (any integer) is submitted at a moment fixed by the timeline alone, never by the
clock, so two servers at two moments hold the same jobs, further along. Both directions are
computations: `time(k)`, and `first_at(moment)`, the first job at or after a moment. All moments are
microseconds since 1970 (UTC).

Jobs follow the week: most are submitted in the evening, few in the morning, somewhat fewer at
weekends. A *night* is a day that begins at noon UTC; the n-th job of every night is the same piece
of routine work (see `world`), as it is where cron submits a batch every evening.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from itertools import accumulate

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
WEEK = 7 * DAY
WINDOW_WEEKS = 5
"""A server's jobs are spread over 35 days; with whole weeks, any 35 days hold as many."""

ORIGIN = 4 * DAY + 12 * HOUR
"""Monday 5 January 1970, noon: the first night of the timeline's first week."""

# Jobs submitted in each hour of a night, from noon on, in proportion.
_EVENING = (3, 3, 4, 4, 5, 6, 8, 10, 14, 18, 20, 18, 14, 10, 7, 5, 3, 2, 2, 1, 1, 2, 2, 3)
_WEEKDAYS = (30, 30, 30, 30, 29, 27, 27)
_WEIGHTS = tuple(day * hour for day in _WEEKDAYS for hour in _EVENING)
_BEFORE = (0, *accumulate(_WEIGHTS))
_TOTAL = _BEFORE[-1]

_SCATTER = 0x9E37_79B9_7F4A_7C15
_JITTER_BITS = 10


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of a moment; one without an offset counts as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    span = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds


def moment(instant: int) -> datetime:
    """The datetime (UTC) of an instant in microseconds."""
    seconds, fraction = divmod(instant, SECOND)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=fraction)


_days: dict[int, str] = {}


def iso(instant: int) -> str:
    """An instant as both real servers write it: `2026-11-23T17:11:43.638000+00:00`, and without a
    fraction when it is zero (backends habit 21). Never with a `Z`."""
    day, rest = divmod(instant, DAY)
    date = _days.get(day)
    if date is None:
        if len(_days) > 10_000:
            _days.clear()
        date = _days[day] = f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}T"
    seconds, fraction = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    if fraction:
        return f"{date}{hour:02}:{minute:02}:{second:02}.{fraction:06}+00:00"
    return f"{date}{hour:02}:{minute:02}:{second:02}+00:00"


def night_of(instant: int) -> int:
    """The number of the night (noon to noon, UTC) that an instant belongs to."""
    return (instant - ORIGIN) // DAY


class Timeline:
    """The submission times of all jobs, for a server that holds `jobs` of them.

    `step` is the resolution in microseconds. `same_second` > 1 presses that many neighbours into
    one second, to provoke the paging defect of dsub (backends habit 1).
    """

    def __init__(self, *, seed: int, jobs: int, step: int, same_second: int) -> None:
        self.jobs = jobs
        self._step = step
        self._together = max(1, same_second)
        self._mix = (seed * 0xD134_2543_DE82_EF95 + 0x2545_F491) & 0xFFFF_FFFF
        self._den = max(1, jobs) << _JITTER_BITS
        self._firsts: dict[int, int] = {}

    def time(self, k: int) -> int:
        """When job `k` was submitted; never earlier than job `k - 1`."""
        if self._together == 1:
            instant = self._spread(k)
        else:
            base = k - k % self._together
            instant = self._spread(base)
            # All of a group share the second of its first job, each a microsecond after the last.
            room = SECOND - self._together
            instant += min(0, room - instant % SECOND) + (k - base)
        return instant - instant % self._step

    def _spread(self, k: int) -> int:
        jitter = ((k * _SCATTER + self._mix) >> 20) & ((1 << _JITTER_BITS) - 1)
        den = self._den
        position = ((k << _JITTER_BITS) + jitter) * (WINDOW_WEEKS * _TOTAL)
        week, rest = divmod(position, _TOTAL * den)
        hour = bisect_right(_BEFORE, rest // den) - 1
        inside = rest - _BEFORE[hour] * den
        return ORIGIN + week * WEEK + hour * HOUR + inside * HOUR // (_WEIGHTS[hour] * den)

    def first_at(self, instant: int) -> int:
        """The number of the first job submitted at or after an instant."""
        week, rest = divmod(instant - ORIGIN, WEEK)
        hour, inside = divmod(rest, HOUR)
        units = (week * _TOTAL + _BEFORE[hour]) * HOUR + _WEIGHTS[hour] * inside
        about = units * max(1, self.jobs) // (WINDOW_WEEKS * _TOTAL * HOUR)
        # A job lies within one place of where its number alone would put it, or within its group,
        # or within the second that a group was pulled back by.
        slack = 12 + 2 * self._together
        while self.time(about - slack) >= instant or self.time(about + slack) < instant:
            slack *= 2
        window = range(about - slack, about + slack + 1)
        return window[0] + bisect_left(window, instant, key=self.time)

    def first_of_night(self, night: int) -> int:
        """The number of the first job of a night."""
        first = self._firsts.get(night)
        if first is None:
            if len(self._firsts) > 1_000:
                self._firsts.clear()
            first = self._firsts[night] = self.first_at(ORIGIN + night * DAY)
        return first

    def held(self, now: int) -> range:
        """The numbers of the jobs that a server holds at a moment, oldest first."""
        end = self.first_at(now + 1)
        return range(end - self.jobs, end)
