"""How far a step is, how fast it goes, and how long it may still take.

done 1 200 of 4 000, 45 a second of late  ->  about 2 min left
"""

from collections import deque

#: The rate is that of the last so many seconds: a run that is taken up again passes quickly over
#: what it knows, and slowly over the rest.
WINDOW = 60.0
#: Nothing is said before so many seconds, or so many things: it would jump about.
FIRST_SECONDS = 5.0
FIRST_DONE = 10


class Estimate:
    """A step's course. Times are seconds of any one clock; a total may be unknown, or grow."""

    def __init__(self, now: float, total: int | None = None) -> None:
        self.done = 0
        self.total = total
        self._began = now
        self._course: deque[tuple[float, int]] = deque([(now, 0)])

    def advance(self, n: int, now: float) -> None:
        """So many more things are done."""
        self.done += n
        if now - self._course[-1][0] >= 1:
            self._course.append((now, self.done))
        while len(self._course) > 2 and self._course[1][0] <= now - WINDOW:
            self._course.popleft()

    def rate(self, now: float) -> float:
        """Things a second, of late."""
        since, before = self._course[0]
        return (self.done - before) / (now - since) if now > since else 0.0

    def seconds_left(self, now: float) -> float | None:
        """None where nobody knows: no total, or too little done to tell."""
        rate = self.rate(now)
        if not self.total or now - self._began < FIRST_SECONDS or self.done < FIRST_DONE:
            return None
        return max(self.total - self.done, 0) / rate if rate else None

    def percent(self) -> int | None:
        """Whole ones, and 100 only when all is done; None where no total is known."""
        return None if not self.total else min(100 * self.done // self.total, 100)


def left(seconds: float | None) -> str:
    """An estimate in words; "" where there is none.

    >>> left(700), left(41), left(3), left(9000), left(400_000)
    ('about 12 min left', 'about 50 s left', 'a few seconds left', 'about 3 h left', \
'about 5 days left')
    """
    if seconds is None:
        return ""
    if seconds < 10:
        return "a few seconds left"
    if seconds <= 55:
        return f"about {_up(seconds, 10) * 10} s left"
    if seconds <= 90 * 60:
        return f"about {_up(seconds, 60)} min left"
    if seconds <= 72 * 3600:
        return f"about {_up(seconds, 3600)} h left"
    return f"about {_up(seconds, 86400)} days left"


def _up(seconds: float, unit: int) -> int:
    return int(-(-seconds // unit))
