"""A Job Manager in which every value of every property of the API is another one.

Made from the table of the API itself, so that a property that is added there is sent too.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jmreport.collectors.demo.serve import Responder

TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "fields.json").read_text())
DEFINITIONS: dict[str, dict[str, Any]] = TABLE["definitions"]
JOB = "11112222-3333-4444-8555-666677778888"
#: Before which all of its dates lie.
NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
#: An answer's part, by its path from the definition that is answered: `Job.failures.failure`.
Values = dict[str, str]

#: What must be so that the parts belong together.
GIVEN: dict[str, Any] = {
    "QueryJobsResult.id": JOB,
    "JobMetadataResponse.id": JOB,
    "QueryJobsResult.submission": "2026-11-20T01:02:03+00:00",
    "JobMetadataResponse.status": "Failed",
    "JobMetadataResponse.end": "2026-11-22T20:20:20+00:00",
    "JobMetadataResponse.failures.taskName": "Align",
    "CapabilitiesResponse.aggregationTimeFrames": ["DAYS_30"],
    "CapabilitiesResponse.displayFields.field": "labels.squad",
    "QueryJobsResponse.totalSize": 1,
    "AggregationResponse.aggregations.key": "team",
    "HealthResponse.available": True,
    "FileContents.truncated": "true",
}
#: How a page says what has words of its own there.
SAID = {
    "JobMetadataResponse.end": "2026-11-22T20:20:20Z",
    "CapabilitiesResponse.aggregationTimeFrames": "DAYS_30",
    "HealthResponse.available": "available",
    "FileContents.truncated": "last 1 line",
}


def parts(definition: str) -> list[tuple[str, str]]:
    """The properties of a definition with their types."""
    return [(name, facts["type"]) for name, facts in DEFINITIONS[definition].items()]


def inner(kind: str) -> str | None:
    """The definition of a property that is an object, or a list of them."""
    name = kind.removeprefix("array<").removesuffix(">")
    known = name in DEFINITIONS and "enum" not in DEFINITIONS[name]
    return name if known else None


class Unique(Responder):
    """Answers with values of which each is there once; `sent` has them by their path."""

    def __init__(self, *, beyond: bool = False) -> None:
        self.beyond = beyond
        self.sent: Values = {}
        self._count = 0
        self.bodies = {
            name: self._fill(name, name)
            for name in ("CapabilitiesResponse", "QueryJobsResponse", "JobMetadataResponse",
                         "JobAttemptsResponse", "JobOperationResponse", "FileContents",
                         "AggregationResponse", "HealthResponse")
        }  # fmt: skip
        self._belong_together()

    def _fill(self, definition: str, path: str) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for name, kind in parts(definition):
            below = inner(kind)
            here = f"{path}.{name}"
            if below:
                # A row of the list is a definition of its own, wherever it stands.
                filled = self._fill(below, below if below == "QueryJobsResult" else here)
                tree[name] = [filled] if kind.startswith("array") else filled
            else:
                tree[name] = self._value(here, kind)
        if self.beyond:
            tree["ownField"] = f"own{self._next()}x{path.rpartition('.')[2]}"
            self.sent[f"{path}.ownField"] = tree["ownField"]
        return tree

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _value(self, path: str, kind: str) -> Any:
        n = self._next()
        text = f"u{n}x{path.rpartition('.')[2]}"
        value: Any = text
        listed = path.startswith("QueryJobsResult.")
        if path in GIVEN:
            value = GIVEN[path]
            text = SAID.get(path, str(value))
        elif path.endswith(("backendLog", "callRoot")):
            value = f"gs://bucket/{text}"
        elif kind.endswith("date-time"):
            value = (NOW - timedelta(days=2) + timedelta(seconds=61 * n)).isoformat()
            text = value if listed else value.replace("+00:00", "Z")
        elif kind.startswith(("integer", "number")):
            value = 7000 + n
            text = str(value)
        elif kind == "boolean":
            value, text = (
                (False, "false") if listed else (True, "cached" if "ached" in path else "yes")
            )
        elif kind == "object":
            value = {f"key{n}": text}
        elif kind.startswith("array<"):
            value = [text]
        self.sent[path] = text
        return value

    def _belong_together(self) -> None:
        """A failed task and a scattered one, so that a task's own row and its shards both show."""
        detail = self.bodies["JobMetadataResponse"]
        extensions = detail["extensions"]
        whole = extensions["tasks"][0]
        single = {**whole, "shards": [], "attemptsData": whole["attemptsData"]}
        kept = ("shards", "ownField")
        scatter = {key: whole[key] for key in kept if key in whole}
        # A shard's own times are its latest attempt's where that is told, so one tells of none.
        shard = whole["shards"][0]
        own = {key: shard[key] for key in shard if key != "attemptsData"}
        scatter["shards"] = [own, {"shardIndex": 1, "attemptsData": shard["attemptsData"]}]
        scatter |= {"name": "Scattered", "executionStatus": "Failed"}
        asked = {"name": "Asked", "executionStatus": "Failed", "attempts": 2}
        extensions["tasks"] = [single, scatter, asked]
        detail["failures"][0]["taskName"] = single["name"]
        self.sent["JobMetadataResponse.failures.taskName"] = single["name"]
        # An operation's details are JSON inside a string.
        details = self.bodies["JobOperationResponse"]
        details["details"] = json.dumps({"state": self.sent["JobOperationResponse.details"]})
        result = self.bodies["QueryJobsResponse"]["results"][0]
        self.bodies["QueryJobsResponse"].pop("nextPageToken")
        result["status"] = "Succeeded"
        self.sent["QueryJobsResult.status"] = "Succeeded"

    def respond(
        self,
        method: str,  # noqa: ARG002  # what a server can be asked; only the address counts here
        target: str,
        headers: Mapping[str, str],  # noqa: ARG002  # as above
        body: bytes,  # noqa: ARG002  # as above
        /,
    ) -> tuple[int, dict[str, str], bytes]:
        path = unquote(target.partition("?")[0]).removeprefix("/api/v1")
        name = {
            "/health": "HealthResponse",
            "/capabilities": "CapabilitiesResponse",
            "/jobs/query": "QueryJobsResponse",
            "/jobs/operationDetails": "JobOperationResponse",
            "/jobs/tailFile": "FileContents",
            "/aggregations": "AggregationResponse",
            f"/jobs/{JOB}": "JobMetadataResponse",
        }.get(path, "JobAttemptsResponse" if path == f"/jobs/{JOB}/Asked/attempts" else "")
        if not name:
            return 404, {"Content-Type": "text/plain"}, b"no such thing"
        return (
            200,
            {"Content-Type": "application/json"},
            json.dumps(self.bodies[name]).encode(),
        )
