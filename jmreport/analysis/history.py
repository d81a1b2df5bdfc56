"""What the same work did before each job: failures in a row, the last success, the run before."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from jmreport.analysis.flaky import RUNS, flakiness
from jmreport.analysis.nights import Nights, digest_of, key_of, verdict
from jmreport.records import Entry
from jmreport.remembered import microseconds
from jmreport.report import JobHistory
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


def of_key(told: Iterable[Told]) -> Iterator[tuple[str, JobHistory]]:
    """The history of each job that did one piece of work, told in the order of their ends.

    What comes before a success and the last 20 jobs before one says nothing of it.
    """
    failures, since = 0, None
    success, before = None, ""
    last: deque[str] = deque(maxlen=RUNS)
    for one in told:
        mended = 0 if one.failed else failures
        failures = failures + 1 if one.failed else 0
        since = (since or one.ended) if one.failed else None
        last.append("Failed" if one.failed else "Succeeded")
        flaky = flakiness(tuple(last))
        yield (
            one.id,
            JobHistory(
                failures=failures,
                since=since,
                mended=mended,
                last_success=success.id if success else "",
                last_success_at=success.ended if success else None,
                before=before,
                flips=flaky.flips if flaky else 0,
                runs=flaky.runs if flaky else 0,
            ),
        )
        before = one.id
        success = success if one.failed else one
