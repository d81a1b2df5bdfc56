"""Failures that the success of other work hides, where identity labels make one piece of both.

    sample s1   |-------x            failed at 1:00
    sample s2     |----------+       was submitted before that, and succeeded at 2:00

By `owner` the two are one piece of work, and its newest job tells that all is well. Whoever mends a
failure submits its work again when it has failed. So a success that was submitted before is none of
a later run of the same, unless it has the same inputs: somebody may have asked twice. Where jobs
have no inputs, or none came, their other labels tell whether they are alike.

Hourly runs that overlap, each with its hour as input, look the same, and are told of too: nobody
has run again what failed then. So is work that was run again with other inputs before it ended.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import NamedTuple

from jmreport import attempts
from jmreport.analysis.nights import KEPT, Nights
from jmreport.analysis.rows import NO_INPUTS
from jmreport.analysis.siblings import array_of
from jmreport.records import Entry, JobRow


class _Ran(NamedTuple):
    """A job that succeeded or failed, in the order in which jobs tell. `told` is a night.

    `work` is a hash of its inputs, or of what it says of itself where it has none: of all jobs of
    the nights whose states are kept there is one of these, so they are small.
    """

    ended: datetime
    id: str
    failed: bool
    began: datetime
    work: int
    told: int


class Hiding:
    """Jobs whose states are kept by what they are one piece of, told while they stream by."""

    def __init__(
        self, nights: Nights, identity: Sequence[str], *, since: int | None = None
    ) -> None:
        """`since` is the first night that is told of; the newest unless given."""
        self._nights, self._identity = nights, identity
        self._since = nights.tonight if since is None else since
        self._ran: defaultdict[tuple[object, bool], list[_Ran]] = defaultdict(list)

    def take(self, key: object, entry: Entry, ended: datetime, *, failed: bool) -> None:
        """One more listed job that tells how its piece of work stands."""
        row, nights = entry.row, self._nights
        # Only labels put other work together; and when a failure ended has to be known.
        if not any(label in row.labels for label in self._identity) or (failed and not row.end):
            return
        # What failed in any night may be hidden now, while its state is kept.
        if not nights.may_keep(entry):
            return
        told = nights.told_in(entry, ended)
        # The first night is all that was before it.
        if told == 0 and nights.now - ended > KEPT:
            return
        began = row.submission or row.start or ended
        by_inputs = row.key not in ("", NO_INPUTS)
        work = hash(row.key if by_inputs else tuple(sorted(_others(row, self._identity))))
        one = _Ran(ended, row.id, failed, began, work, told)
        # What has no inputs is compared with what has none.
        self._ran[key, by_inputs].append(one)

    def jobs(self) -> list[str]:
        """Those that failed and are hidden, since a night that is told of."""
        return [
            one.id
            for ran in self._ran.values()
            if len(ran) > 1 and any(one.failed for one in ran)
            for one in _hidden(ran, self._since)
        ]


def _others(row: JobRow, identity: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A job's labels that may say what work it is: not what each job has for itself."""
    labels: Mapping[str, str] = row.labels
    for label, value in labels.items():
        if label not in identity and label not in attempts.LABELS and row.id not in value:
            yield label, value


def _hidden(ran: Sequence[_Ran], since: int) -> Iterator[_Ran]:
    newest: dict[int, tuple[datetime, str]] = {}
    for one in ran:
        newest[one.work] = max(newest.get(one.work, one[:2]), one[:2])
    # Of an array that failed the successes say nothing.
    failed = {array for one in ran if one.failed and (array := array_of(one.id))}
    succeeded = [one for one in ran if not one.failed and array_of(one.id) not in failed]
    every = _Successes(succeeded)
    # A pair is told of once, by the night that knows both.
    lately = _Successes(one for one in succeeded if one.told >= since)
    for one in ran:
        if one.failed and newest[one.work] == one[:2]:
            others = every if one.told >= since else lately
            if others.hide(one):
                yield one


class _Successes:
    """Successes of one key, to be asked many times."""

    def __init__(self, succeeded: Iterable[_Ran]) -> None:
        by_begin = sorted(succeeded, key=lambda one: one.began)
        self._began = [one.began for one in by_begin]
        self._last = list(accumulate((one[:2] for one in by_begin), max))

    def hide(self, one: _Ran) -> bool:
        """Whether any had been submitted when this one failed, and ended behind it."""
        before = bisect_right(self._began, one.ended)
        return before > 0 and self._last[before - 1] > one[:2]
