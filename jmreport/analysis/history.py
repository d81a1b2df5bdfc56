"""What the same work did before each job: failures in a row, the last success, the run before."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import reduce
from itertools import groupby
from typing import NamedTuple

import msgspec

from jmreport.analysis.flaky import RUNS, flakiness
from jmreport.analysis.keys import digest_of, key_of, verdict
from jmreport.analysis.nights import Nights
from jmreport.analysis.siblings import Together, array_of
from jmreport.records import Entry
from jmreport.remembered import microseconds
from jmreport.report.jobs import JobHistory
from jmreport.spill import Spill


class Told(NamedTuple):
    """A job that tells how its key stands; `work` is a digest of the key."""

    work: bytes
    ended: datetime
    id: str
    failed: bool


_encode = msgspec.msgpack.Encoder().encode
_decode_told = msgspec.msgpack.Decoder(Told).decode
_decode = msgspec.msgpack.Decoder(JobHistory).decode


class Histories:
    """The history of each listed job that Succeeded or Failed, kept on the disk.

    Only of work that can be recognised: not of a job whose inputs and labels say nothing.
    """

    def __init__(self, spill: Spill, nights: Nights, identity: Sequence[str]) -> None:
        self._spill, self._nights, self._identity = spill, nights, identity

    def tell(self, entry: Entry) -> None:
        """One more job, in any order."""
        if told := told_by(entry, self._nights, self._identity):
            place = (told.work.hex(), microseconds(told.ended), told.id)
            self._spill.add("told", place, _encode(told))

    def work_out(self) -> None:
        """All were told: from here on `of` answers."""
        told = (_decode_told(body) for body in self._spill.ordered("told"))
        for _, of_work in groupby(told, key=lambda one: one.work):
            for job, found in of_key(of_work):
                self._spill.put("history", job, _encode(found))

    def of(self, jobs: Sequence[str]) -> dict[str, JobHistory]:
        """The histories of some hundred jobs; of those of which there is one to be told."""
        found = self._spill.get("history", jobs)
        return {job: _decode(body) for job, body in found.items()}


def told_by(entry: Entry, nights: Nights, identity: Sequence[str]) -> Told | None:
    """What a job tells of how its key stands; None where it tells nothing."""
    row = entry.row
    if not row.listed or not verdict(row) or (ended := nights.ended(entry)) is None:
        return None
    key = key_of(row, identity)
    if key == (row.name, "", row.id):
        return None
    return Told(digest_of(key), ended, row.id, row.status == "Failed")


class _Before(NamedTuple):
    """What was submitted before a job says of its work: as JobHistory does, of the last of it."""

    failures: int = 0
    since: datetime | None = None
    success: Told | None = None
    before: str = ""
    #: How the last 20 ended.
    last: tuple[str, ...] = ()

    def and_then(self, one: Together[Told]) -> "_Before":
        """The same of what comes behind one more."""
        newest, last = one.newest, (*self.last, _word(one.failed))[-RUNS:]
        if not one.failed:
            return _Before(0, None, newest, newest.id, last)
        return _Before(self.failures + 1, self._since(one), self.success, newest.id, last)

    def _since(self, one: Together[Told]) -> datetime:
        first = one.failures[0].ended
        return min(self.since or first, first)

    def of(self, one: Told, own: Together[Told]) -> JobHistory:
        """The history of a job, which was submitted with these."""
        flaky = flakiness((*self.last, _word(own.failed)))
        return JobHistory(
            failures=self.failures + 1 if one.failed else 0,
            since=self._since(own) if one.failed else None,
            mended=0 if own.failed else self.failures,
            last_success=self.success.id if self.success else "",
            last_success_at=self.success.ended if self.success else None,
            before=self.before,
            flips=flaky.flips if flaky else 0,
            runs=flaky.runs if flaky else 0,
        )


#: Submissions that an array's tasks are told among: of one that ended before them, nothing more is
#: expected.
_MOST_OPEN = 64


def of_key(told: Iterable[Told]) -> Iterator[tuple[str, JobHistory]]:
    """The history of each job that did one piece of work, told in the order of their ends.

    What comes before a success and the last 20 jobs before one says nothing of it. An array's
    tasks are told of what was submitted otherwise, and of each other as far as they had ended.
    """
    ended, behind = _Before(), None
    #: What was submitted since the first array, the last to end behind the others.
    among: dict[str, Together[Told]] = {}
    newest = ""
    for one in told:
        array = array_of(one.id)
        if array is None and not among:
            alone = Together(one)
            yield one.id, ended.of(one, alone)
            ended = ended.and_then(alone)
            continue
        name = array or one.id
        own = among.pop(name, None)
        if own is None:
            own = Together(one)
        else:
            own.add(one)
        if behind is None or name != newest:
            if len(among) >= _MOST_OPEN:
                ended = ended.and_then(among.pop(next(iter(among))))
            behind = reduce(_Before.and_then, among.values(), ended)
        newest, among[name] = name, own
        yield one.id, behind.of(one, own)


def _word(failed: bool) -> str:
    return "Failed" if failed else "Succeeded"
