"""A server that stands before another and spoils its answers, and remembers what it sent."""

import json
from collections import Counter
from collections.abc import Mapping
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote

import mutated
from mutated import Sent
from spec_bodies import Asked, asked_for

from jmreport.collectors.demo.serve import Responder

#: How much of an operation's answers is spoilt. A list's rows have a share of their own.
SHARES = {
    "GetCapabilities": 0.12,
    "Health": 0.7,
    "QueryJobs": 0.04,
    "GetJob": 0.85,
    "GetTaskAttempts": 0.9,
    "GetShardAttempts": 0.9,
    "GetOperationDetails": 0.9,
    "TailFileContents": 0.9,
    "GetJobAggregations": 0.9,
}
ROWS = 0.45
#: How the program asks whether an address answers at all, before it reads the list.
PROBE = b'{"pageSize":1}'
#: What spoils a whole page when it is done to one row.
_WHOLE_PAGE = {"nested 5,000 deep", "lone surrogate", "nested 60 deep"}
_GENTLE = {name: change for name, change in mutated.TREES.items() if name not in _WHOLE_PAGE}


class Page(NamedTuple):
    """A page of the list as it was sent: what it holds by the letter, None for nothing.

    `question` is what was asked for, without the page's token.
    """

    question: str
    sent: Sent
    tree: Any

    @property
    def rows(self) -> list[Any]:
        found = self.tree.get("results") if self.tree is not None else None
        return found if isinstance(found, list) else []

    @property
    def ids(self) -> list[str]:
        found = (row.get("id") for row in self.rows if isinstance(row, dict))
        return [job for job in found if isinstance(job, str) and job]


class Spoiling(Responder):
    """Spoils what `upstream` answers; the same number and request make the same answer."""

    def __init__(
        self, upstream: Responder, number: int, *, shares: Mapping[str, float] = SHARES,
        rows: float = ROWS,
    ) -> None:  # fmt: skip
        self.upstream = upstream
        self.number = number
        self.shares = shares
        self.rows = rows
        self.counts: Counter[str] = Counter()
        self.spoilt_rows = 0
        #: Every answer by its request, and what it was for.
        self.sent: dict[tuple[str, str, bytes], tuple[Asked, Sent, bytes]] = {}
        self._others = self._bodies()

    def _bodies(self) -> tuple[bytes, ...]:
        """Bodies of other operations, to be answered in the wrong place."""
        page = self._ask("POST", "/api/v1/jobs/query", b'{"pageSize": 3}')
        jobs = [row["id"] for row in json.loads(page)["results"]]
        paths = ["capabilities", "health", "aggregations?timeFrame=DAYS_7", *map(_job, jobs)]
        found = [page, *(self._ask("GET", f"/api/v1/{path}") for path in paths)]
        return tuple(body for body in found if body.startswith(b"{"))

    def _ask(self, method: str, target: str, body: bytes = b"") -> bytes:
        headers = {"content-type": "application/json"} if body else {}
        return self.upstream.respond(method, target, headers, body)[2]

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        key = (method, target, body)
        if key not in self.sent:
            status, answered, raw = self.upstream.respond(method, target, headers, body)
            asked = asked_for(method, target)
            sent = self._spoilt(asked, Sent(status, answered, raw), key)
            self.counts[sent.how] += 1
            self.sent[key] = (asked, sent, raw)
        sent = self.sent[key][1]
        # A length is that of what is sent: cut answers are cut in their JSON.
        others = {name: at for name, at in sent.headers.items() if name.lower() != "content-length"}
        return sent.status, others | {"Content-Length": str(len(sent.body))}, sent.body

    def _spoilt(self, asked: Asked, sent: Sent, key: tuple[str, str, bytes]) -> Sent:
        chance = Random(f"{self.number} {key}")  # noqa: S311 - to be repeated, not secret
        if sent.status != 200 or asked.operation not in self.shares:
            return sent
        if asked.operation == "QueryJobs":
            sent = self._rows(sent, chance)
        if chance.random() >= self.shares[asked.operation]:
            return sent
        return mutated.spoilt(sent.body, chance, others=self._others)

    def _rows(self, sent: Sent, chance: Random) -> Sent:
        """A page that is whole, with some of its rows spoilt."""
        page = json.loads(sent.body)
        rows = page["results"]
        for at, row in enumerate(rows):
            if chance.random() < self.rows:
                self.spoilt_rows += 1
                rows[at] = self._row(row, rows, chance)
        return Sent(sent.status, sent.headers, mutated.encoded(page), "rows")

    def _row(self, row: Any, rows: list[Any], chance: Random) -> Any:
        way = chance.random()
        if way < 0.05:
            return chance.choice((None, 7, "row", [], [row], {}))
        if way < 0.12:
            return chance.choice(rows)
        return mutated.changed(row, chance, changes=_GENTLE)[0]

    # What was sent

    @property
    def spoilt(self) -> int:
        """How many answers were spoilt; pages with spoilt rows only count by their rows."""
        return sum(n for how, n in self.counts.items() if how not in ("", "rows"))

    @property
    def pages(self) -> list[Page]:
        return [
            Page(_question(key[2]), sent, mutated.read(sent))
            for key, (asked, sent, _) in self.sent.items()
            if asked.operation == "QueryJobs" and key[2] != PROBE
        ]

    def details(self) -> dict[str, tuple[Sent, bytes]]:
        """The answer for each job that was asked for, and what it was before."""
        return {
            asked.job: (sent, raw)
            for asked, sent, raw in self.sent.values()
            if asked.operation == "GetJob"
        }


def _job(job: str) -> str:
    return "jobs/" + quote(job, safe="")


def _question(body: bytes) -> str:
    """What a question asks for, whichever page."""
    asked = json.loads(body)
    return json.dumps({key: asked[key] for key in sorted(asked) if key != "pageToken"})
