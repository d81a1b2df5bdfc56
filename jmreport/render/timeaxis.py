"""The axis of a timing diagram: where an instant lies across, and the round times that mark it."""

from datetime import UTC, datetime, timedelta, tzinfo

from msgspec import Struct

from jmreport.render import words

_NONE = timedelta(0)
#: Seconds between ticks that read well.
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
          86400, 172800, 432000, 864000, 2592000, 7776000, 31536000)  # fmt: skip


class Tick(Struct, frozen=True, gc=False):
    """A line across all rows with the time that it marks."""

    x: str
    text: str
    anchor: str


class Scale:
    """Percent across for an instant between two."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.end = end
        self._seconds = (end - start).total_seconds()

    def at(self, instant: datetime) -> float:
        across = (instant - self.start).total_seconds() / self._seconds * 100
        return 0.0 if across < 0.0 else 100.0 if across > 100.0 else across


def caption(scale: Scale, zone: tzinfo) -> str:
    """The days that it spans, and the zone of its times."""
    first, last = words.day(scale.start, zone), words.day(scale.end, zone)
    named = words.zone_at(scale.start, zone)
    if words.zone_at(scale.end, zone) != named:  # clocks were changed meanwhile
        named = words.zone_name(scale.start, zone)
    if first is None or last is None or first.text == last.text:
        return f"{first.text if first else ''}, times in {named}."
    return f"{first.text} to {last.text}, times in {named}."


def ticks(scale: Scale, zone: tzinfo) -> tuple[Tick, ...]:
    """At most five round times, as the zone's clocks show them."""
    seconds = (scale.end - scale.start).total_seconds()
    step = next((s for s in _STEPS if seconds / s <= 5), _STEPS[-1])
    try:
        first, last = scale.start.astimezone(zone), scale.end.astimezone(zone)
        # Where clocks are set back in between, they show times from before the first to behind the
        # last: those of the hour that comes twice.
        back = max((first.utcoffset() or _NONE) - (last.utcoffset() or _NONE), _NONE)
        first, last = first.replace(tzinfo=None) - back, last.replace(tzinfo=None) + back
        midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
        each = timedelta(seconds=step)
        at = midnight + ((first - midnight) // each + 1) * each
        at = at.replace(tzinfo=zone)
        found: list[tuple[datetime, datetime]] = []
        while at.replace(tzinfo=None) <= last and len(found) < 8:
            found += ((when, at) for when in _moments(at, scale, step))
            at += each
    except OverflowError:  # a date at the edge of what a calendar holds
        return ()
    return tuple(_tick(scale.at(when), at, step) for when, at in sorted(found))


def _moments(at: datetime, scale: Scale, step: int) -> list[datetime]:
    """When clocks show this time inside the window: twice, or never, where they are changed."""
    found = []
    for fold in (0, 1):
        when = at.replace(fold=fold).astimezone(UTC)
        shown = when.astimezone(at.tzinfo)
        # A day begins once, be it that clocks go from 24:00 to 01:00.
        is_so = shown.replace(tzinfo=None) == at.replace(tzinfo=None)
        if scale.start < when <= scale.end and when not in found and (is_so or step >= 86400):
            found.append(when)
    return found[:1] if step >= 86400 else found


def _tick(x: float, at: datetime, step: int) -> Tick:
    anchor = "start" if x < 6 else "end" if x > 94 else "middle"
    if step >= 31536000:
        text = str(at.year)
    elif step >= 86400 or (at.hour, at.minute, at.second) == (0, 0, 0):
        text = words.short_when(at, at.tzinfo, near=at).text[:-6]  # type: ignore[union-attr,arg-type]  # a time that is there has words
    else:
        text = f"{words.clock(at)}:{at.second:02}" if step < 60 else words.clock(at)
    return Tick(f"{x:.2f}%", text, anchor)
