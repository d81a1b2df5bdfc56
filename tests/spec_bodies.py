"""Bodies as the API's own table has them: made by hypothesis, and the server that holds them.

corpus(seed, 40)     answers of every definition, each legal by the table
Held(jobs, …)        a Job Manager that lists these jobs and answers with these bodies
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import unquote
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from jmreport.collectors.demo.serve import Responder

DEFINITIONS: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "fields.json").read_text()
)["definitions"]
NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
#: Answers of the servers that exist, where they are here.
RECORDED = Path(__file__).parents[2] / "shared" / "recorded"
ANSWERS = (
    "JobMetadataResponse", "JobAttemptsResponse", "JobOperationResponse", "FileContents",
    "AggregationResponse", "CapabilitiesResponse", "HealthResponse",
)  # fmt: skip
LISTED = ("id", "name", "status", "submission", "start", "end", "labels")
Bodies = dict[str, list[dict[str, Any]]]

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_dates = st.integers(0, 45 * 86_400).map(lambda s: (NOW - timedelta(seconds=s)).isoformat())
_places = st.sampled_from(
    ["gs://bucket/wf/call-A/shard-1/stderr", "gs://b/x", "/local/path", "gs://bucket/a b/attempt-2"]
)
_any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | _texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_texts, inner, max_size=2),
    max_leaves=4,
)
_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": _texts,
    "string:date-time": _dates,
    "boolean": st.booleans(),
    "integer": st.integers(-1, 400),
    "number": st.integers(0, 400),
    "object": st.dictionaries(_texts, _any, max_size=3),
}
#: Words that mean something, where the table says no more than "string".
_NAMED = {
    "executionStatus": st.sampled_from(["Failed", "Succeeded", "Running", "Submitted", "Aborted"]),
    "backendLog": _places,
    "callRoot": _places,
    "name": st.sampled_from(["Align", "CallVariants", "wf.Merge", "x"]) | _texts,
    "labels": st.dictionaries(_texts, _texts | st.integers(0, 9), max_size=3),
}


def of_type(kind: str) -> st.SearchStrategy[Any]:
    """Values of a type of the table."""
    if kind.startswith("array<"):
        return st.lists(of_type(kind.removeprefix("array<").removesuffix(">")), max_size=3)
    if kind in DEFINITIONS:
        facts = DEFINITIONS[kind]
        return st.sampled_from(facts["enum"]) if "enum" in facts else objects(kind)
    return _SCALARS[kind]


def objects(definition: str) -> st.SearchStrategy[dict[str, Any]]:
    """Objects of a definition: what it requires, and any of what it allows."""
    facts = DEFINITIONS[definition]
    values = {
        name: _NAMED[name] if name in _NAMED else of_type(fact["type"])
        for name, fact in facts.items()
    }
    required = {name for name, fact in facts.items() if fact.get("required")}
    return st.fixed_dictionaries(
        {name: values[name] for name in values if name in required},
        optional={name: values[name] for name in values if name not in required},
    )


def corpus(number: int, count: int) -> Bodies:
    """`count` bodies of each answer of the API; the same number makes the same."""
    found: Bodies = {}
    for definition in ANSWERS:
        found[definition] = _made(objects(definition), number, count)
    return found


def _made(strategy: st.SearchStrategy[Any], number: int, count: int) -> list[Any]:
    made: list[Any] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def keep(tree: Any) -> None:
        made.append(tree)

    keep()
    return made


def recorded() -> Bodies:
    """What was recorded of the servers that exist; nothing where that is not here."""
    found: Bodies = {definition: [] for definition in ANSWERS}
    for path in sorted(RECORDED.glob("*.txt")) if RECORDED.exists() else ():
        head, _, body = path.read_bytes().partition(b"\r\n\r\n")
        if b" 200" not in head.partition(b"\r\n")[0]:
            continue
        try:
            tree = json.loads(body)
        except ValueError:
            continue
        if definition := _definition(path.stem, tree):
            found[definition].append(tree)
    return found


def _definition(name: str, tree: Any) -> str:
    parts = {
        "-job_": "JobMetadataResponse", "-att_": "JobAttemptsResponse",
        "-agg": "AggregationResponse",
        "-op_": "JobOperationResponse", "-capabilities": "CapabilitiesResponse",
    }  # fmt: skip
    found = next((kind for part, kind in parts.items() if part in name), "")
    return found if isinstance(tree, dict) else ""


class Asked(NamedTuple):
    """Which operation a request is for, and of which job."""

    operation: str
    job: str = ""


def asked_for(method: str, target: str) -> Asked:
    """By the address alone, as every server of the API has it."""
    parts = [unquote(part) for part in target.partition("?")[0].partition("/api/v1/")[2].split("/")]
    match method, parts:
        case "GET", ["capabilities"]:
            return Asked("GetCapabilities")
        case "GET", ["health"]:
            return Asked("Health")
        case "GET", ["aggregations"]:
            return Asked("GetJobAggregations")
        case "POST", ["jobs", "query"]:
            return Asked("QueryJobs")
        case "GET", ["jobs", "operationDetails"]:
            return Asked("GetOperationDetails")
        case "GET", ["jobs", "tailFile"]:
            return Asked("TailFileContents")
        case "GET", ["jobs", job]:
            return Asked("GetJob", job)
        case "GET", ["jobs", job, _, "attempts"]:
            return Asked("GetTaskAttempts", job)
        case "GET", ["jobs", job, _, _, "attempts"]:
            return Asked("GetShardAttempts", job)
    return Asked("")


_BRINGS = {
    "GetTaskAttempts": "JobAttemptsResponse",
    "GetShardAttempts": "JobAttemptsResponse",
    "GetOperationDetails": "JobOperationResponse",
    "TailFileContents": "FileContents",
    "GetJobAggregations": "AggregationResponse",
    "Health": "HealthResponse",
    "GetCapabilities": "CapabilitiesResponse",
}


class Held(Responder):
    """A server that lists `jobs` jobs and answers with the bodies it was given, page by page."""

    def __init__(self, bodies: Mapping[str, Sequence[dict[str, Any]]], *, jobs: int) -> None:
        chance = Random(jobs)  # noqa: S311 - to be repeated, not secret
        self.bodies = bodies
        ids = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(jobs)]
        details = bodies["JobMetadataResponse"]
        self.jobs = {job: {**details[n % len(details)], "id": job} for n, job in enumerate(ids)}

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        del headers
        asked = asked_for(method, target)
        tree = self._tree(asked, target, body)
        if tree is None:
            return 404, {"Content-Type": "application/problem+json"}, b'{"status": 404}'
        return 200, {"Content-Type": "application/json"}, json.dumps(tree).encode()

    def _tree(self, asked: Asked, target: str, body: bytes) -> Any:
        if asked.operation == "QueryJobs":
            return self._page(json.loads(body))
        if asked.operation == "GetJob":
            return self.jobs.get(asked.job)
        kind = _BRINGS.get(asked.operation)
        found = self.bodies.get(kind, ()) if kind else ()
        return Random(target).choice(found) if found else None  # noqa: S311 - as above

    def _page(self, wish: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {key: job[key] for key in LISTED if key in job}
            for job in self.jobs.values()
            if job.get("status") in wish.get("status", [job.get("status")])
        ]
        first, size = int(wish.get("pageToken", 0)), wish.get("pageSize", 64)
        page: dict[str, Any] = {"results": rows[first : first + size], "totalSize": len(rows)}
        if first + size < len(rows):
            page["nextPageToken"] = str(first + size)
        return page
