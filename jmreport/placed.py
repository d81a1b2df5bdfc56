"""Jobs by their places among all that are listed, counted from the oldest submission on.

    Order       0: "5f0c-…", 1: "31aa-…", 2: "9e41-…" …
    Placed      2, 0 of them, the newest first: the failed jobs of ana
    ByValue     the same for each value of a label, by status

A list of all time grows as the history does, and a job stands in some twenty of them. So a list
keeps 4 bytes of each of its jobs, and tells ids of those alone that somebody reads.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TypeAlias, overload

from jmreport.records import JobRow

#: Places in rising order. Many a label has a value for each job, and one is not worth an array.
Places: TypeAlias = "int | array[int]"
#: When a job was submitted that says nothing of it: before all others.
NEVER = float("-inf")
#: Jobs that are brought together at least where some of a list are asked for.
_FEW = 500


class Order:
    """All listed jobs, told one after the other, the oldest submission first."""

    def __init__(self) -> None:
        #: The place of the first of them.
        self._base = 0
        self.ids: list[str] = []
        #: Seconds since 1970, rising.
        self.submitted = array("d")
        #: Places of those that somebody has put aside, rising.
        self.archived = array("I")
        #: For each place whether its job is one of the report's.
        self.reported = bytearray()

    def add(self, row: JobRow, *, reported: bool) -> int:
        """The place of one more job."""
        place = self.keep(row)
        if row.archived:
            self.archived.append(place)
        self.reported[-1] = reported
        return place

    def keep(self, row: JobRow) -> int:
        """The place of one more job that is told of later."""
        place, at = self._base + len(self.ids), row.submission
        self.ids.append(row.id)
        self.submitted.append(NEVER if at is None else at.timestamp())
        self.reported.append(False)
        return place

    def tell(self, place: int, row: JobRow, *, reported: bool) -> None:
        """A job whose place was kept."""
        if row.archived:
            insort(self.archived, place)
        self.reported[place] = reported

    def begin(self, place: int) -> None:
        """Places are counted on from this one: those before are another order's."""
        self._base = place

    def extend(self, ids: list[str], submitted: array[float], archived: array[int]) -> None:
        """Some more, told of by another order that went on behind this one."""
        self.ids += ids
        self.submitted += submitted
        self.reported += bytes(len(ids))
        self.archived += archived

    def since(self, at: float) -> int:
        """The place of the first job that was submitted then or later, in seconds since 1970."""
        return bisect_left(self.submitted, at)


def added(known: Places | None, place: int) -> Places | None:
    """Places with one more behind them; None where they are an array, which has it now."""
    if known is None:
        return place
    if isinstance(known, int):
        return array("I", (known, place))
    known.append(place)
    return None


def inserted(known: Places | None, place: int) -> Places:
    """Places with one more among them."""
    if known is None:
        return place
    if isinstance(known, int):
        return array("I", sorted((known, place)))
    insort(known, place)
    return known


def joined(places: Places, more: Places) -> Places:
    """Places with those behind them."""
    if isinstance(places, int):
        return array("I", (places, *several(more)))
    places.extend(several(more))
    return places


def several(places: Places) -> Sequence[int]:
    """Places as a sequence, be it of one."""
    return (places,) if isinstance(places, int) else places


def _last(places: Places, most: int) -> Places:
    if isinstance(places, int) or len(places) <= most:
        return places
    return places[-most:]


class Placed(Sequence[str]):
    """Ids of some of an order's jobs, the newest first."""

    __slots__ = ("_last", "_order", "_parts")

    def __init__(self, order: Order, *parts: Places) -> None:
        self._order, self._parts = order, tuple(map(several, parts))
        #: The last of all places, as many as were asked for, rising.
        self._last: Sequence[int] = self._parts[0] if len(parts) == 1 else ()

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __iter__(self) -> Iterator[str]:
        return map(self._order.ids.__getitem__, reversed(self._whole()))

    @overload
    def __getitem__(self, which: int) -> str: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[str, ...]: ...

    def __getitem__(self, which: int | slice) -> str | tuple[str, ...]:
        ids = self._order.ids
        if isinstance(which, int):
            return ids[self._whole()[-1 - which]]
        start, stop, step = which.indices(len(self))
        found = self._newest(stop)
        some = found[len(found) - stop : len(found) - start] if stop > start else ()
        return tuple(map(ids.__getitem__, some[::-1][::step]))

    def older(self, at: float) -> int:
        """How many of them were submitted before then, in seconds since 1970."""
        first = self._order.since(at)
        return sum(bisect_left(part, first) for part in self._parts)

    @property
    def beyond(self) -> bool:
        """Whether any of them is none of the report's."""
        reported = self._order.reported
        return not all(reported[place] for part in self._parts for place in part)

    def parted(self) -> tuple[Sequence[str], Sequence[str]]:
        """Those that nobody has put aside, and those that somebody has."""
        order = self._order
        aside = sorted(place for part in self._parts for place in _among(order.archived, part))
        if not aside:
            return self, ()
        archived = frozenset(aside)
        kept = array("I", [place for place in self._whole() if place not in archived])
        return Placed(order, kept), Placed(order, array("I", aside))

    def _newest(self, number: int) -> Sequence[int]:
        """Places of so many jobs at least, the newest of all, rising."""
        if len(self._last) < min(number, len(self)):
            # Of a list's first pages a few more are asked for than of the page before.
            most = max(2 * number, _FEW)
            some = sorted(chain.from_iterable(part[-most:] for part in self._parts))
            self._last = array("I", some[-most:])
        return self._last

    def _whole(self) -> Sequence[int]:
        return self._newest(len(self))


def _among(some: Sequence[int], part: Sequence[int]) -> Iterator[int]:
    """Those of some rising places that are in others."""
    few, many = (some, part) if len(some) < len(part) else (part, some)
    for place in few:
        at = bisect_left(many, place)
        if at < len(many) and many[at] == place:
            yield place


class ByValue:
    """The jobs of a label by its values (None: without it), by status."""

    def __init__(self, order: Order, by_status: Mapping[str, Mapping[str | None, Places]]) -> None:
        self._order, self._by_status = order, by_status

    def jobs(self, value: str | None, counts: Mapping[str, int]) -> Placed:
        """The newest jobs with a value: of each of these statuses so many, the newest first."""
        found = ((self._by_status.get(each, {}).get(value), most) for each, most in counts.items())
        cut = (_last(places, most) for places, most in found if places is not None)
        return Placed(self._order, *cut)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByValue) and self.told() == other.told()

    __hash__ = None  # type: ignore[assignment]  # as of whatever compares what it holds

    def told(self) -> dict[str, dict[str | None, list[str]]]:
        """All of them: status -> value -> ids, in order."""
        ids = self._order.ids
        return {
            status: {
                value: [ids[each] for each in several(found[value])]
                for value in sorted(found, key=lambda value: (value is not None, value or ""))
            }
            for status, found in sorted(self._by_status.items())
            if found
        }

    def values(self) -> Iterator[tuple[str | None, str, Sequence[int]]]:
        """(value, status, places) of all."""
        for status, of_value in self._by_status.items():
            for value, places in of_value.items():
                yield value, status, several(places)


def nobody() -> ByValue:
    """No jobs of any value."""
    return ByValue(Order(), {})
