"""The server in front of Cromwell, with the habits that it has and the definition hasn't.

Each habit's number is that of the list of observed habits ("backends habit 22").
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import msgspec

from . import asking, calls, causes, details, display
from .answers import Answer, Call, Refusal
from .asking import Asked
from .holdings import JSON, Options
from .ids import is_uuid
from .logs import Oddity
from .look import Look
from .spec import Spec
from .timeline import HOUR, iso
from .world import TERMINAL, Job

#: Names with `-` are refused although the definition allows them (habit 11).
_NAME = re.compile(r"^[a-zA-Z][a-zA-Z0-9_]*$")

#: When each of its workers was started; each fills in its own start where a time is missing.
_WORKERS = (0, 31_242_336, 31_242_666, 94_018_771)


class Cromwell(Spec):
    """A server that takes after the Cromwell shim."""

    default_page = 64
    slash_redirects = True
    # New labels show late in the list (habit 27).
    label_lag = 1

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._turns = count()

    # How an answer looks.

    def encode(self, body: Any) -> bytes:
        """As Python's json module writes it: one line, spaces after commas, pure ASCII."""
        raw = msgspec.json.format(msgspec.json.encode(body), indent=0)
        return raw if raw.isascii() else json.dumps(body).encode()

    def headers(self, kind: str | None, length: int) -> dict[str, str]:
        """Lower case, and nothing about caching, encoding or other origins (habit 14)."""
        found = {"server": "uvicorn"}
        if kind:
            found["content-type"] = kind
        found["content-length"] = str(length)
        return found

    def redirect(self, location: str) -> Answer:
        return 307, {**self.headers(None, 0), "location": location}, b""

    def nothing(self) -> Answer:
        """204. The content type is named nevertheless, and there is no length."""
        return 204, {"server": "uvicorn", "content-type": "application/json"}, b""

    # Who may ask.

    def authorize(self, operation: str, headers: Mapping[str, str]) -> None:
        """Only the header `Authentication` counts (habit 12), and the reason given for a refusal is
        the text of somebody's object (habit 18)."""
        token = self.options.token
        if token is None or operation in ("Health", "GetCapabilities"):
            return
        if headers.get("authentication", "") != f"Bearer {token}":
            raise Refusal(401, "<Response [401]>")

    # The operations.

    def health(self, call: Call) -> Answer:
        if call.healthy:
            return self.ok({"available": True})
        raw = b"Internal Server Error"
        return 500, self.headers("text/plain; charset=utf-8", len(raw)), raw

    def get_capabilities(self, call: Call) -> Answer:  # noqa: ARG002 - all operations look alike
        """Without time frames, and without `authentication` when none is needed."""
        found: JSON = {}
        if self.options.token is not None:
            found["authentication"] = {
                "isRequired": True,
                "scopes": ["openid", "email", "profile"],
                "outsideAuth": self.options.outside_auth,
            }
        found["displayFields"] = display.CROMWELL
        found["commonLabels"] = ["id", "name", "label", "flag"]
        found["queryExtensions"] = ["hideArchived"]
        return self.ok(found)

    def body(self, call: Call) -> Any:
        """A POST that doesn't say it is JSON is a 500 (habit 8)."""
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(500)
        return super().body(call)

    def query_jobs(self, call: Call) -> Answer:
        asked = asking.read(self.body(call), drop_offset=True, bad_date=500, name=_NAME)
        if asked.labels:
            raise Refusal(500)  # habit 6
        # The project and the user are ignored without a word (habit 7).
        asked = msgspec.structs.replace(asked, project_id=None, user_id=None)
        size = self.default_page if asked.page_size is None else asked.page_size
        if size < 1:
            raise Refusal(500)
        offset = 0 if asked.page_token is None else _offset(asked.page_token)
        span = asking.candidates(asked, self.world, self.held(call.now), call.now)
        if asked.plain:
            total = len(span)
            numbers = [self._at(span, place) for place in range(offset, min(offset + size, total))]
        else:
            matches = self.matches(asked, span, call.now)
            total = len(matches)
            numbers = list(matches[offset : offset + size])
        answer: JSON = {
            "results": [self.row(self.job(k), call.now) for k in numbers],
            "totalSize": total,
        }
        # One extra, empty page follows unless the total is a multiple of the size (habit 2).
        if numbers and offset + size != total:
            token = json.dumps({"of": offset + size}).encode()
            answer["nextPageToken"] = b64encode(token).decode().rstrip("=")
        self.changes.count_query()
        return self.ok(answer)

    def order(self, span: range) -> Iterator[int]:
        """By row id, which is nearly the order of submission, but not quite (habit 5)."""
        return (self._at(span, place) for place in range(len(span)))

    @staticmethod
    def _at(span: range, place: int) -> int:
        k = span[-1 - place]
        other = k ^ 1
        return other if (k >> 1) % 5 == 0 and other in span else k

    def row(self, job: Job, now: int) -> JSON:
        found = super().row(job, now)
        found["extensions"] = {}
        if _unnamed(job):
            del found["name"]
        if "start" not in found:
            found["start"] = self._invented()  # habit 22
        return found

    def get_job(self, call: Call) -> Answer:
        asked_id = call.params["id"]
        if not is_uuid(asked_id):
            raise Refusal(400, f"Invalid workflow ID: '{asked_id:.80}'.")
        k, path, job = self.find(asked_id, call.now)
        detail = self.detail(job, self._readable(job, self.look(job, path, call.now)))
        # Ids are accepted in any case, and come back as they were sent (habit 26).
        detail["id"] = asked_id
        if not path:
            self.changes.read(k, call.now)
        return self.ok(detail)

    def detail(self, job: Job, look: Look) -> JSON:
        path = look.run.path
        extensions = {"parentJobId": self.ids.of(job.k, path[:-1])} if path else {}
        status = look.status if path else job.status(look.now)
        first = {} if path else self.first_labels(job, look.now)
        found = details.job(
            look,
            status=status,
            labels=self.changes.labels((job.k, path), first),
            extensions=extensions,
            submitted=iso(look.run.submitted - look.run.submitted % 1_000),
        )
        if _unnamed(job):
            found.pop("name", None)
        for failure in found["failures"]:
            if failure["taskName"] == "Workflow Error":
                del failure["timestamp"]
        for task in found["extensions"]["tasks"]:
            self._invent_start(task)
            for shard in task.get("shards", ()):
                self._invent_start(shard)
                if look.run.dice % 3 == 0 and shard["executionStatus"] == "Submitted":
                    # A word that no enum names (habit 34).
                    shard["executionStatus"] = "QueuedInCromwell"
        self._bypass(look, found["extensions"]["tasks"])
        return found

    def _bypass(self, look: Look, tasks: list[JSON]) -> None:
        """Now and then a task was passed over: it arrives as Submitted, with an end (habit 34)."""
        if look.run.dice % 41 or look.run.fate != "Succeeded" or look.now < look.run.end:
            return
        task = tasks[-1]
        if "shards" not in task and "returnCode" in task:
            for key in ("returnCode", "operationId", "backendLog"):
                task.pop(key, None)
            task |= {"executionStatus": "Submitted", "outputs": {}, "executionEvents": []}
            task["end"] = task["start"]

    def _invented(self) -> str:
        """The start of whichever worker happens to answer (habit 22)."""
        return iso(self.options.born - 3 * HOUR + _WORKERS[next(self._turns) % len(_WORKERS)])

    def _invent_start(self, part: JSON) -> None:
        part.setdefault("start", self._invented())

    def get_task_attempts(self, call: Call) -> Answer:
        """Names are matched by their end (habit 32); all shards come flattened (habit 31)."""
        look = self._looked_up(call)
        for task in look.tasks:
            if task.task.name.endswith(call.params["task"]):
                return self.ok({"attempts": self._attempts(calls.attempts(look, task))})
        raise Refusal(500)

    def get_shard_attempts(self, call: Call) -> Answer:
        """An index that isn't there has no attempts; -1 is that of tasks that are not scattered."""
        look = self._looked_up(call)
        index = call.params["index"]
        shard = int(index) if re.fullmatch(r"-?\d{1,6}", index, re.ASCII) else None
        for task in look.tasks:
            if task.task.name.endswith(call.params["task"]):
                found = [] if shard is None else calls.attempts(look, task, shard)
                return self.ok({"attempts": self._attempts(found)})
        raise Refusal(500)

    def _looked_up(self, call: Call) -> Look:
        if not is_uuid(call.params["id"]):
            raise Refusal(400, f"Invalid workflow ID: '{call.params['id']:.80}'.")
        _, path, job = self.find(call.params["id"], call.now)
        return self._readable(job, self.look(job, path, call.now))

    def _readable(self, job: Job, look: Look) -> Look:
        """The same, unless the engine refuses to load so much (habit 19) or the shim stumbles over
        a failure that names no cause (table of endpoints): Refusal 500."""
        if _rows(look) > self.options.most_rows:
            raise Refusal(500)
        whole = look.run.fate == "Failed" and look.now >= look.run.end and _refused(job)
        if whole and job.dice[26] < self.options.bare_failures * 256:
            raise Refusal(500)
        return look

    def odd_log(self, oddity: Oddity) -> str:  # noqa: ARG002 - it stumbles over both alike
        raise Refusal(500)

    def _attempts(self, found: list[JSON]) -> list[JSON]:
        """A missing start is invented, and so is the end of one that is still running, which can
        lie before its start (habit 22)."""
        for attempt in found:
            attempt.setdefault("start", self._invented())
            attempt.setdefault("end", self._invented())
        return found

    def get_operation_details(self, call: Call) -> Answer:
        """Nothing without the service for it, and the id is the job's (table of endpoints)."""
        if not self.options.outside_auth:
            return self.nothing()
        if not call.argument("operation"):
            raise Refusal(500)
        text, _, job_id = self._operation(call)
        return self.ok({"details": text, "id": job_id})

    def tail_file(self, call: Call) -> Answer:
        """Nothing without the service for it; `truncated` is a boolean (habit 25)."""
        if not self.options.outside_auth:
            return self.nothing()
        contents, truncated = self._tail(call)
        return self.ok({"contents": contents, "truncated": truncated})

    def get_job_aggregations(self, call: Call) -> Answer:  # noqa: ARG002 - all look alike
        raise Refusal(501, "function not implemented yet.")

    def abort_job(self, call: Call) -> Answer:
        """204, once more while it is Aborting; a job that has ended is as unknown as one that never
        was, never 412."""
        asked_id = call.params["id"]
        if not is_uuid(asked_id):
            raise Refusal(400, f"Invalid workflow ID: '{asked_id:.80}'.")
        over = Refusal(
            404, f"Couldn't abort {asked_id} because no workflow with that ID is in progress"
        )
        try:
            k, path, job = self.find(asked_id, call.now)
            status = self.look(job, path, call.now).status
        except Refusal:
            raise over from None
        if status in TERMINAL:
            raise over
        self.changes.abort(k, call.now)
        return self.nothing()

    def update_job_labels(self, call: Call) -> Answer:
        if not is_uuid(call.params["id"]):
            raise Refusal(500)
        return super().update_job_labels(call)

    def first_labels(self, job: Job, now: int) -> JSON:
        mark = f"cromwell-{self.ids.of(job.k)}"
        return {"cromwell-workflow-id": mark, **super().first_labels(job, now)}

    def select(self, asked: Asked, numbers: Iterator[int], now: int) -> Iterator[Job]:
        jobs = super().select(asked, numbers, now)
        # A workflow that was refused before it was read has no name to be found by (habit 25).
        return jobs if asked.name is None else (job for job in jobs if not _unnamed(job))


def _unnamed(job: Job) -> bool:
    return _refused(job) and job.dice[27] < 128


def _refused(job: Job) -> bool:
    """Whether a workflow was refused as a whole, before any task was started."""
    return job.cause is causes.INPUTS


def _rows(look: Look) -> int:
    """About how many rows of metadata the engine holds of a job: each attempt has some forty."""
    return 60 + 40 * sum(len(look.shown(call)) for task in look.tasks for call in task.calls)


def _offset(token: str) -> int:
    """How many rows were read. Anything but its own token is a 500 (habit 4)."""
    try:
        found = json.loads(b64decode(token + "=" * (-len(token) % 4), validate=True))
        offset = found["of"]
        if not isinstance(offset, int) or offset < 0:
            raise Refusal(500)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(500) from None
    return offset
