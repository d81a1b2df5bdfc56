"""What the server offers, as its answers show, and how each operation fared.

Neither shim says what it lacks. 204, 405 and 501 mean that an optional operation is not offered;
404 and 500 may be about one thing, until three in a row with no success ever.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from jmreport.client.answers import Trouble
from jmreport.errors import NotOfferedError, UnreadableError
from jmreport.records import Offer, Operation

Name = Literal[
    "GetCapabilities",
    "Health",
    "QueryJobs",
    "GetJob",
    "GetTaskAttempts",
    "GetShardAttempts",
    "GetOperationDetails",
    "TailFileContents",
    "GetJobAggregations",
    "AbortJob",
    "UpdateJobLabels",
]
#: In the order of the quality page.
NAMES: tuple[Name, ...] = Name.__args__  # type: ignore[attr-defined] # a Literal's own words
#: What a Job Manager may do without.
OPTIONAL = frozenset[Name](
    (
        "GetTaskAttempts",
        "GetShardAttempts",
        "GetOperationDetails",
        "TailFileContents",
        "GetJobAggregations",
    )
)
_NOT_HERE = (204, 205, 405, 501)
#: Statuses that may be about one thing, and may be about all.
DOUBTFUL = (404, 500)
_IN_A_ROW = 3


def joined(
    sessions: Sequence[Sequence[Operation]], doubtful: Mapping[str, int]
) -> tuple[Operation, ...]:
    """What several sessions with one server came to, as if it had been one.

    `doubtful` counts, by operation, the answers that may be about one thing and may be about all,
    of sessions that did not learn which. What one session saw offered is offered.
    """
    by_name = [{one.name: one for one in session} for session in sessions]
    return tuple(
        _joined(name, [found[name] for found in by_name if name in found], doubtful.get(name, 0))
        for name in NAMES
    )


def _joined(name: Name, seen: Sequence[Operation], doubtful: int) -> Operation:
    offers = [one.offer for one in seen]
    offer: Offer = next((o for o in ("offered", "not offered") if o in offers), "not asked")
    why = next((one.why for one in seen if one.offer == offer and one.why), "")
    if offer == "not asked" and name in OPTIONAL and doubtful >= _IN_A_ROW:
        offer, why = "not offered", _never(why)
    return Operation(
        name=name,
        offer=offer,
        why=why,
        requests=sum(one.requests for one in seen),
        failed=sum(one.failed for one in seen),
        seconds=round(sum(one.seconds for one in seen), 3),
    )


def _never(short: str) -> str:
    """What is said of an operation that failed again and again."""
    return f"{short} ({_IN_A_ROW} times in a row, and never a success)"


@dataclass
class _Tally:
    """How one operation fared so far."""

    offer: Offer = "not asked"
    why: str = ""
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    doubtful: int = 0


class Offers:
    """The session's memory of every operation. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tallies: dict[Name, _Tally] = {name: _Tally() for name in NAMES}

    @property
    def requests(self) -> int:
        """Requests sent so far, repeated ones included."""
        with self._lock:
            return sum(tally.requests for tally in self._tallies.values())

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation of the API: offered or not, why, and what it cost."""
        with self._lock:
            return tuple(
                Operation(
                    name=name,
                    offer=tally.offer,
                    why=tally.why,
                    requests=tally.requests,
                    failed=tally.failed,
                    seconds=round(tally.seconds, 3),
                )
                for name, tally in self._tallies.items()
            )

    def offer(self, name: str) -> Offer:
        """Whether an operation is offered, as far as is known; "not asked" also while in doubt."""
        with self._lock:
            tally = self._tallies.get(name)  # type: ignore[call-overload] # any text may be asked
            return tally.offer if tally else "not asked"

    def require(self, name: Name) -> None:
        """Raise NotOfferedError at once for what is known not to be offered."""
        with self._lock:
            tally = self._tallies[name]
            if tally.offer == "not offered":
                raise NotOfferedError(tally.why)

    def sent(self, name: Name, *, seconds: float, usable: bool) -> None:
        """Count one request, and note what its answer proves."""
        with self._lock:
            tally = self._tallies[name]
            tally.requests += 1
            tally.seconds += seconds
            if usable:
                tally.offer, tally.why, tally.doubtful = "offered", "", 0
            else:
                tally.failed += 1

    def failure(self, name: Name, trouble: Trouble) -> UnreadableError:
        """What to raise for an operation that failed for good: a NotOfferedError once it shows."""
        with self._lock:
            tally = self._tallies[name]
            if name in OPTIONAL and tally.offer != "offered":
                self._doubt(tally, trouble)
            if tally.offer == "not offered":
                return NotOfferedError(tally.why, status=trouble.status)
            tally.why = tally.why if tally.offer == "offered" else trouble.short
            return UnreadableError(trouble.why, status=trouble.status)

    def _doubt(self, tally: _Tally, trouble: Trouble) -> None:
        if trouble.status in _NOT_HERE:
            tally.offer, tally.why = "not offered", trouble.short
        elif trouble.status in DOUBTFUL:
            tally.doubtful += 1
            if tally.doubtful >= _IN_A_ROW:
                tally.offer = "not offered"
                tally.why = _never(trouble.short)
        elif trouble.status is not None:
            tally.doubtful = 0
