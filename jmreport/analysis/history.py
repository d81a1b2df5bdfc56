"""What the same work did before each job: failures in a row, the last success, the run before."""

import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import msgspec

from jmreport.analysis.flaky import RUNS, flakiness
from jmreport.analysis.nights import Nights, key_of, verdict
from jmreport.records import Entry
from jmreport.report import JobHistory
from jmreport.spill import Spill


class _Told(NamedTuple):
    """A job that tells how its key stands; `work` is a digest of the key."""

    work: bytes
    ended: datetime
    id: str
    failed: bool


_encode = msgspec.msgpack.Encoder().encode
_decode_told = msgspec.msgpack.Decoder(_Told).decode
_decode = msgspec.msgpack.Decoder(JobHistory).decode


class Histories:
    """The history of each listed job that Succeeded or Failed, kept on the disk.

    Only of work that can be recognised: not of a job whose inputs and labels say nothing.
    """

    def __init__(self, spill: Spill, nights: Nights, identity: Sequence[str]) -> None:
        self._spill, self._nights, self._identity = spill, nights, identity

    def tell(self, entry: Entry) -> None:
        """One more job, in any order."""
        row = entry.row
        if not row.listed or not verdict(row) or (ended := self._nights.ended(entry)) is None:
            return
        key = key_of(row, self._identity)
        if key != (row.name, "", row.id):
            work = hashlib.blake2b(_encode(key), digest_size=12).digest()
            told = _Told(work, ended, row.id, row.status == "Failed")
            self._spill.add("told", (work.hex(), ended.timestamp(), row.id), _encode(told))

    def work_out(self) -> None:
        """All were told: from here on `of` answers."""
        told = (_decode_told(body) for body in self._spill.ordered("told"))
        for _, of_key in groupby(told, key=lambda one: one.work):
            for job, found in _of_key(of_key):
                self._spill.put("history", job, _encode(found))

    def of(self, jobs: Sequence[str]) -> dict[str, JobHistory]:
        """The histories of some hundred jobs; of those of which there is one to be told."""
        found = self._spill.get("history", jobs)
        return {job: _decode(body) for job, body in found.items()}


def _of_key(told: Iterable[_Told]) -> Iterable[tuple[str, JobHistory]]:
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
