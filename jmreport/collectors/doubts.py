"""Gaps that may turn out to be none: the first failures of what a server then proves not to offer.

A server that lacks an optional operation answers 500 or 404, as it does for one bad thing; only
three in a row with no success tell (backends habit 20). So records whose gaps are in doubt wait.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec.structs import replace

from jmreport.client.offers import DOUBTFUL
from jmreport.gaps import ATTEMPTS, LOGS, OPERATIONS, Gap, not_offered
from jmreport.records import Offer, Operation, Record

#: Records that wait, at most: operations that are neither refused nor proven are rare.
MOST_HELD = 64
#: What a record calls that which an operation brings.
_BRINGS = {
    "TailFileContents": LOGS,
    "GetOperationDetails": OPERATIONS,
    "GetTaskAttempts": ATTEMPTS,
    "GetShardAttempts": ATTEMPTS,
}


class Offering(Protocol):
    """Who knows what a server offers: a session with it, or what several sessions came to."""

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation, and how it fared."""

    def offer(self, operation: str) -> Offer:
        """Whether an operation is offered; "not asked" also while in doubt."""


class Settling:
    """Lets records pass when it is known which of their gaps are gaps."""

    def __init__(self, client: Offering) -> None:
        self._client = client
        self._held: list[Record] = []

    def records(self, records: Iterable[Record]) -> Iterator[Record]:
        """Each record once; those in doubt later than they came."""
        for record in records:
            if not self._in_doubt(record):
                yield self._settled(record)
                continue
            self._held.append(record)
            if len(self._held) > MOST_HELD or not any(map(self._in_doubt, self._held)):
                yield from self.rest()
        yield from self.rest()

    def rest(self) -> Iterator[Record]:
        """What still waits: what is in doubt at the end is a gap."""
        while self._held:
            yield self._settled(self._held.pop(0))

    def _in_doubt(self, record: Record) -> bool:
        return any(
            gap.status in DOUBTFUL and self._client.offer(gap.operation) == "not asked"
            for gap in record.gaps
            if gap.operation in _BRINGS
        )

    def _settled(self, record: Record) -> Record:
        lacking = [gap for gap in record.gaps if self.lacks(gap)]
        if not lacking:
            return record
        said = {note.what for note in record.notes}
        notes = {
            what: Gap(what=what, why=not_offered(self._why(gap.operation)), job=record.id)
            for gap in lacking
            if (what := _BRINGS[gap.operation]) not in said
        }
        return replace(
            record,
            gaps=tuple(gap for gap in record.gaps if gap not in lacking),
            notes=(*record.notes, *notes.values()),
        )

    def lacks(self, gap: Gap) -> bool:
        """Whether a gap is none, since the server does not offer what would fill it."""
        return (
            gap.operation in _BRINGS
            and gap.status in DOUBTFUL
            and self._client.offer(gap.operation) == "not offered"
        )

    def _why(self, operation: str) -> str:
        return next(one.why for one in self._client.operations if one.name == operation)
