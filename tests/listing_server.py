"""A server of just the jobs that a test names: it lists and filters as Cromwell's shim does."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlsplit

_JSON = {"Content-Type": "application/json"}


class Jobs:
    """Its jobs by id; `serve` answers with it on a socket."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        #: Sub-workflows, which no list names.
        self.unlisted: set[str] = set()
        #: Jobs whose detail it answers with another status, and pages of the list that it refuses.
        self.refused: dict[str, int] = {}
        self.broken_from: int | None = None
        #: Jobs of which a detail was asked for, in turn, and what was asked of the list.
        self.details: list[str] = []
        self.asked: list[dict[str, Any]] = []

    def put(
        self, job: str, status: str, submission: str, end: str | None = None, **more: Any
    ) -> None:
        """A job, or what has become of it."""
        row = {"id": job, "name": "wgs", "status": status, "submission": submission}
        ended = {"end": end} if end else {}
        self.rows[job] = {**row, "start": submission, **ended, "labels": {"sample": job}, **more}

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """An answer, as `jmreport.collectors.demo.serve` wants it."""
        del headers
        path = unquote(urlsplit(target).path).removeprefix("/api/v1")
        if path == "/jobs/query" and method == "POST":
            return self._page(json.loads(body))
        if path in ("/health", "/capabilities"):
            known: dict[str, Any] = (
                {"available": True} if path == "/health" else {"displayFields": []}
            )
            return 200, _JSON, json.dumps(known).encode()
        job = path.removeprefix("/jobs/")
        if job not in self.rows:
            return (404 if path.startswith("/jobs/") and "/" not in job else 501), _JSON, b"{}"
        self.details.append(job)
        if job in self.refused:
            return self.refused[job], _JSON, b"{}"
        row = self.rows[job]
        failed = [{"failure": "disk full", "taskName": "wgs.align"}]
        told: dict[str, Any] = {"inputs": {"sample": job}, "outputs": {}}
        if row["status"] == "Failed":
            told["failures"] = failed
        return 200, _JSON, json.dumps({**row, **told}).encode()

    def _page(self, query: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(query)
        listed = (row for job, row in self.rows.items() if job not in self.unlisted)
        rows = [row for row in listed if _passes(row, query)]
        rows.sort(key=lambda row: _at(row["submission"]), reverse=True)
        first = int(query.get("pageToken", 0))
        if self.broken_from is not None and first >= self.broken_from:
            return 500, _JSON, b"{}"
        last = first + int(query.get("pageSize", 64))
        page: dict[str, Any] = {"results": rows[first:last], "totalSize": len(rows)}
        if last < len(rows):
            page["nextPageToken"] = str(last)
        return 200, _JSON, json.dumps(page).encode()


def _passes(row: dict[str, Any], query: dict[str, Any]) -> bool:
    if query.get("status") and row["status"] not in query["status"]:
        return False
    since = query.get("submission")
    return since is None or _at(row["submission"]) >= _at(since)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
