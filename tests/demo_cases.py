"""What the tests of the built-in server share: asking it in process, and walking its pages."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from jmreport.collectors.demo import Demo

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
NOBODY = "11111111-1111-4111-8111-111111111111"


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


def get(demo: Demo, path: str, **headers: str) -> Reply:
    return Reply(*demo.respond("GET", f"/api/v1{path}", headers, b""))


def post(demo: Demo, path: str, body: Any = None, **headers: str) -> Reply:
    kind = {"Content-Type": "application/json"} if body is not None else {}
    raw = json.dumps(body).encode() if body is not None else b""
    return Reply(*demo.respond("POST", f"/api/v1{path}", {**kind, **headers}, raw))


def query(demo: Demo, **body: Any) -> Any:
    """The decoded answer to a query that must succeed."""
    answer = post(demo, "/jobs/query", body)
    assert answer.status == 200, answer.raw
    return answer.json


def rows(demo: Demo, **body: Any) -> list[dict[str, Any]]:
    """All rows, over all pages; stops where a token repeats."""
    found: list[dict[str, Any]] = []
    for page in pages(demo, **body):
        found += page["results"]
    return found


def pages(demo: Demo, **body: Any) -> Iterator[Any]:
    tokens: set[str] = set()
    while True:
        page = query(demo, **body)
        yield page
        token = page.get("nextPageToken")
        if token is None or token in tokens:
            return
        tokens.add(token)
        body["pageToken"] = token


def detail(demo: Demo, job_id: str) -> Any:
    answer = get(demo, f"/jobs/{quote(job_id, safe='')}")
    assert answer.status == 200, answer.raw
    return answer.json


def in_status(demo: Demo, status: str) -> str:
    """The id of a job in a status."""
    return str(query(demo, status=[status])["results"][0]["id"])


def tasks_of(demo: Demo, **body: Any) -> Iterator[tuple[str, Any]]:
    """The id of each job and each of its tasks."""
    for row in rows(demo, pageSize=256, **body):
        answer = get(demo, f"/jobs/{row['id']}")
        if answer.status == 200:
            for task in answer.json["extensions"]["tasks"]:
                yield row["id"], task


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)
