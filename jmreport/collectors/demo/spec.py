"""The server as the API's definition has it: every operation, every filter, every type.

The servers that exist are variations of it (`cromwell`, `dsub`), each overriding what it does
differently.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from . import asking, calls, display, logs, places
from .answers import Answer, Call, Refusal
from .asking import Asked
from .holdings import JSON, Holdings, Options
from .look import Look
from .timeline import DAY, HOUR
from .world import STATUSES, TERMINAL

FRAMES = {
    "HOURS_1": HOUR,
    "HOURS_8": 8 * HOUR,
    "HOURS_24": DAY,
    "DAYS_7": 7 * DAY,
    "DAYS_30": 30 * DAY,
    "ALL_TIME": None,
}

#: Up to so many jobs are looked at only to say how many fit; a larger total is left out, which the
#: definition allows.
_COUNTED = 20_000
_PAGE, _LARGEST_PAGE = 64, 1_000


class Spec(Holdings):
    """A server that obeys the definition. One method an operation, named by its operationId."""

    default_page = _PAGE
    slash_redirects = False
    aggregated: tuple[tuple[str, str], ...] = (
        ("userId", "User"),
        ("name", "Workflow"),
        ("labels.owner", "Owner"),
        ("labels.project", "Project"),
        ("labels.batch", "Batch"),
    )

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.operations: dict[str, Callable[[Call], Answer]] = {
            "Health": self.health,
            "GetCapabilities": self.get_capabilities,
            "QueryJobs": self.query_jobs,
            "GetJob": self.get_job,
            "GetTaskAttempts": self.get_task_attempts,
            "GetShardAttempts": self.get_shard_attempts,
            "GetOperationDetails": self.get_operation_details,
            "TailFileContents": self.tail_file,
            "GetJobAggregations": self.get_job_aggregations,
            "AbortJob": self.abort_job,
            "UpdateJobLabels": self.update_job_labels,
        }

    # How an answer looks.

    def encode(self, body: Any) -> bytes:
        """A body as bytes."""
        return msgspec.json.encode(body)

    def headers(self, kind: str | None, length: int) -> dict[str, str]:
        """The headers of an answer."""
        found = {"Content-Length": str(length)}
        return {"Content-Type": kind, **found} if kind else found

    def ok(self, body: Any) -> Answer:
        """A JSON answer of status 200."""
        raw = self.encode(body)
        return 200, self.headers("application/json", len(raw)), raw

    def refuse(self, refusal: Refusal) -> Answer:
        """An answer that says no."""
        raw = self.encode(refusal.problem)
        return refusal.status, self.headers("application/problem+json", len(raw)), raw

    def empty(self, status: int, kind: str | None = None) -> Answer:
        """An answer without a body."""
        return status, self.headers(kind, 0), b""

    def redirect(self, location: str) -> Answer:
        """Sends the client elsewhere."""
        return 307, {"Location": location, **self.headers(None, 0)}, b""

    # Who may ask.

    def authorize(self, operation: str, headers: Mapping[str, str]) -> None:
        """Raises Refusal unless the request may be answered. Headers are in lower case."""
        token = self.options.token
        if token is None or operation in ("Health", "GetCapabilities"):
            return
        wanted = f"bearer {token}"
        for name in ("authorization", "authentication"):
            scheme, _, given = headers.get(name, "").partition(" ")
            if f"{scheme.lower()} {given.strip()}" == wanted:
                return
        raise Refusal(401, "A bearer token is needed")

    # The operations.

    def health(self, call: Call) -> Answer:
        if call.healthy:
            return self.ok({"available": True})
        raw = self.encode({"available": False})
        return 503, self.headers("application/json", len(raw)), raw

    def get_capabilities(self, call: Call) -> Answer:  # noqa: ARG002 - all operations look alike
        found: JSON = {}
        if self.options.token is not None:
            found["authentication"] = {
                "isRequired": True,
                "scopes": ["openid", "email"],
                "forcedLogoutDomains": [],
                "forcedLogoutTime": 1_200_000,
                "outsideAuth": self.options.outside_auth,
            }
        found["displayFields"] = display.SPEC
        found["commonLabels"] = ["owner", "batch", "project", "flag"]
        found["queryExtensions"] = ["projectId", "userId", "hideArchived"]
        found["aggregationTimeFrames"] = list(FRAMES)
        return self.ok(found)

    def body(self, call: Call) -> Any:
        """The decoded body of a POST."""
        try:
            return msgspec.json.decode(call.body)
        except (msgspec.DecodeError, RecursionError):
            raise Refusal(400, "Request body is not valid JSON") from None

    def query_jobs(self, call: Call) -> Answer:
        asked = asking.read(self.body(call), drop_offset=False, bad_date=400)
        size = self.default_page if asked.page_size is None else asked.page_size
        if size < 1:
            raise Refusal(400, "pageSize must be at least 1")
        size = min(size, _LARGEST_PAGE)
        span = asking.candidates(asked, self.world, self.held(call.now), call.now)
        total = len(span) if asked.plain else None
        if total is None and len(span) <= _COUNTED:
            total = len(self.matches(asked, span, call.now))
        if asked.page_token is not None:
            span = range(span.start, max(span.start, min(span.stop, _before(asked.page_token))))
        results: list[JSON] = []
        token = None
        for job in self.select(asked, reversed(span), call.now):
            if len(results) == size:
                token = urlsafe_b64encode(b"before:%d" % (job.k + 1)).decode()
                break
            results.append(self.row(job, call.now))
        self.changes.count_query()
        answer: JSON = {"results": results}
        if total is not None:
            answer["totalSize"] = total
        if token is not None:
            answer["nextPageToken"] = token
        return self.ok(answer)

    def get_job(self, call: Call) -> Answer:
        k, path, job = self.find(call.params["id"], call.now)
        look = self.look(job, path, call.now)
        if not path:
            self.changes.read(k, call.now)
        return self.ok(self.detail(job, look))

    def get_task_attempts(self, call: Call) -> Answer:
        look = self._look_up(call)
        for task in look.tasks:
            if task.task.name == call.params["task"]:
                return self.ok({"attempts": calls.attempts(look, task)})
        raise Refusal(404, f"Job {look.id} has no task {call.params['task']!r:.80}")

    def get_shard_attempts(self, call: Call) -> Answer:
        look = self._look_up(call)
        index = call.params["index"]
        shard = int(index) if re.fullmatch(r"-?\d{1,6}", index, re.ASCII) else None
        for task in look.tasks:
            if task.task.name == call.params["task"] and shard is not None:
                found = calls.attempts(look, task, shard)
                if found:
                    return self.ok({"attempts": found})
        raise Refusal(404, f"Job {look.id} has no shard {index!r:.80} of that task")

    def get_operation_details(self, call: Call) -> Answer:
        text, operation, _ = self._operation(call)
        return self.ok({"details": text, "id": operation})

    def tail_file(self, call: Call) -> Answer:
        contents, truncated = self._tail(call)
        return self.ok({"contents": contents, "truncated": "true" if truncated else "false"})

    def get_job_aggregations(self, call: Call) -> Answer:
        frame = call.argument("timeFrame")
        if frame not in FRAMES:
            raise Refusal(400, f"timeFrame must be one of {', '.join(FRAMES)}")
        project = call.argument("projectId")
        summary: Counter[str] = Counter()
        groups: list[dict[Any, Counter[str]]] = [{} for _ in self.aggregated]
        length = FRAMES[frame]
        asked = Asked(
            submission=None if length is None else call.now - length, project_id=project or None
        )
        span = asking.candidates(asked, self.world, self.held(call.now), call.now)
        for job in self.select(asked, reversed(span), call.now):
            status = job.status(call.now)
            summary[status] += 1
            known = self.labels(job, call.now)
            for (key, _), group in zip(self.aggregated, groups, strict=True):
                value = self.value(job, key, known)
                if value is not None:
                    if value not in group:
                        group[value] = Counter()
                    group[value][status] += 1
        return self.ok(
            {
                "summary": _counts(summary),
                "aggregations": [
                    {
                        "name": name,
                        "key": key.removeprefix("labels."),
                        "entries": [
                            {"label": label, "statusCounts": _counts(counts)}
                            for label, counts in group.items()
                        ],
                    }
                    for (key, name), group in zip(self.aggregated, groups, strict=True)
                    if group
                ],
            }
        )

    def abort_job(self, call: Call) -> Answer:
        k, path, job = self.find(call.params["id"], call.now)
        status = self.look(job, path, call.now).status
        if status in TERMINAL:
            raise Refusal(412, f"Job is already {status}")
        # Stopping a sub-workflow stops the job that it is part of.
        self.changes.abort(k, call.now)
        return self.empty(200)

    def update_job_labels(self, call: Call) -> Answer:
        k, path, job = self.find(call.params["id"], call.now)
        body = self.body(call)
        new = body.get("labels", {}) if isinstance(body, dict) else None
        if not isinstance(new, dict):
            raise Refusal(400, "labels must be an object")
        self.check_labels(new)
        before = self.first_labels(job, call.now) if not path else {}
        return self.ok({"labels": self.changes.set_labels((k, path), before, new)})

    def _look_up(self, call: Call) -> Look:
        _, path, job = self.find(call.params["id"], call.now)
        return self.look(job, path, call.now)

    def check_labels(self, new: Mapping[str, Any]) -> None:
        """Raises Refusal 400 for labels that nobody can have."""
        for key, value in new.items():
            if not isinstance(value, str) or len(value) > 255 or not 0 < len(key) <= 255:
                raise Refusal(400, f"Invalid label: {key!r:.80} has value {value!r:.80}")

    def _operation(self, call: Call) -> tuple[str, str, str]:
        """The details of an operation, its id, and its job's id."""
        job_id, operation = call.argument("job"), call.argument("operation")
        if not job_id:
            raise Refusal(400, "Missing query parameter 'job'")
        _, path, job = self.find(job_id, call.now)
        look = self.look(job, path, call.now)
        found = logs.find_operation(look, operation) if operation else None
        if found is None or not operation:
            raise Refusal(404, f"Job {look.id} has no operation {operation!r:.120}")
        return logs.operation_details(look, found, operation), operation, look.id

    def _tail(self, call: Call) -> tuple[str, bool]:
        """The end of a file, and whether there is more before it."""
        bucket, name = call.argument("bucket"), call.argument("object")
        if not bucket or not name:
            raise Refusal(400, "Missing query parameter 'bucket' or 'object'")
        missing = Refusal(404, f"gs://{bucket:.80}/{name:.200} does not exist")
        engine = logs.WORKFLOW_LOG.search(name)
        place = places.read(name)
        job_id = engine["job"] if engine else place.job if place else ""
        try:
            _, path, job = self.find(job_id, call.now)
        except Refusal:
            raise missing from None
        look = self.look(job, path, call.now)
        if not f"gs://{bucket}/{name}".startswith(f"{look.root}/"):
            raise missing
        if oddity := logs.oddity(name, self.options.odd_logs):
            return self.odd_log(oddity), False
        if place is None:
            return logs.workflow_log(look), False
        found = logs.find_attempt(look, place.task, place.shard, place.attempt)
        if found is None or place.file not in (
            places.log_name(place.task, place.shard), "stderr", "stdout", "rc", "script",
        ):  # fmt: skip
            raise missing
        return logs.tail(look, *found, place.file)

    def odd_log(self, oddity: logs.Oddity) -> str:
        """What is answered for a log that is empty or no text."""
        return "" if oddity == "empty" else "\N{REPLACEMENT CHARACTER}" * 12 + "\n"


def _before(token: str) -> int:
    """The number of the job that a page begins below."""
    try:
        text = urlsafe_b64decode(token.encode("ascii")).decode("ascii")
        if not text.startswith("before:"):
            raise ValueError(text)
        return int(text[7:])
    except ValueError:
        raise Refusal(400, "Invalid pageToken") from None


def _counts(counts: Mapping[str, int]) -> JSON:
    return {
        "counts": [
            {"status": status, "count": counts[status]} for status in STATUSES if counts.get(status)
        ]
    }
