"""The server in front of dsub, with the habits that it has and the definition hasn't.

Each habit's number is that of the list of observed habits ("backends habit 1"). It has no tasks:
every attempt and every task of an array is a job of its own.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from . import asking, causes, details, display, dsub_texts, rows
from .answers import Answer, Call, Refusal
from .arrays import ArrayTimeline
from .asking import Asked
from .holdings import JSON, Options
from .ids import Path
from .plan import of_job
from .spec import Spec
from .timeline import SECOND, iso, micros, moment
from .world import NEVER, TERMINAL, Job

_LARGEST_PAGE = 256
_PROJECT = "demo-genomics"
#: The user that the local provider runs as; asking for anybody else's jobs is a 500 (habit 7).
USER = "ana"


class Dsub(Spec):
    """A server that takes after the dsub shim: on Google Cloud if it wants a token, else local."""

    default_page = 32
    slash_redirects = True
    step = 1
    aggregated = (
        ("userId", "User Id"),
        ("name", "Job Name"),
        ("labels.project", "project"),
        ("labels.attempt", "attempt"),
        ("labels.batch", "batch"),
    )

    def __init__(self, options: Options) -> None:
        self._groups = ArrayTimeline(
            seed=options.seed, jobs=options.jobs, step=self.step, same_second=options.same_second
        )
        super().__init__(options)
        self._named = lru_cache(maxsize=4_096)(self._name)

    def timeline(self, options: Options) -> ArrayTimeline:  # noqa: ARG002 - made before
        return self._groups

    @property
    def on_google(self) -> bool:
        """Whether jobs run on Google Cloud, which takes a token and a project."""
        return self.options.token is not None

    # How an answer looks.

    def encode(self, body: Any) -> bytes:
        """Indented and sorted."""
        raw = msgspec.json.encode(body, order="deterministic")
        return msgspec.json.format(raw, indent=2) + b"\n"

    def headers(self, kind: str | None, length: int) -> dict[str, str]:
        """Title case, and a connection for each request."""
        found = {"Server": "gunicorn/19.8.1", "Connection": "close"}
        if kind:
            found["Content-Type"] = kind
        found["Content-Length"] = str(length)
        return found

    # Who may ask.

    def authorize(self, operation: str, headers: Mapping[str, str]) -> None:
        """The local provider answers 400 to any token at all (habit 13)."""
        if operation in ("Health", "GetCapabilities"):
            return
        given = headers.get("authentication")
        if not self.on_google:
            if given is not None:
                raise Refusal(400, "The Local provider does not support the `authToken` field .")
        elif given != f"Bearer {self.options.token}":
            raise Refusal(401, "Missing or invalid `authToken`")

    def _check_project(self, project: str | None) -> None:
        if self.on_google and not project:
            raise Refusal(400, "The Google provider requires the `projectId` field .")
        if not self.on_google and project:
            raise Refusal(400, "The Local provider does not support the `projectId` field .")

    # The operations.

    def health(self, call: Call) -> Answer:  # noqa: ARG002 - it checks nothing
        return self.ok({"available": True})

    def get_capabilities(self, call: Call) -> Answer:  # noqa: ARG002 - all operations look alike
        """Without time frames, though the aggregations work."""
        found: JSON = {
            "commonLabels": ["job-id", "task-id", "attempt"],
            "displayFields": display.DSUB,
            "queryExtensions": ["userId", "projectId"] if self.on_google else ["userId"],
        }
        if self.on_google:
            found["authentication"] = {
                "isRequired": True,
                "scopes": ["https://www.googleapis.com/auth/genomics"],
            }
        return self.ok(found)

    def body(self, call: Call) -> Any:
        """A POST that doesn't say it is JSON is a 500 (habit 8)."""
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(500)
        return super().body(call)

    def query_jobs(self, call: Call) -> Answer:
        asked = asking.read(self.body(call), drop_offset=True, bad_date=500)
        self._check_project(asked.project_id)
        if asked.user_id is not None and not self.on_google and asked.user_id != USER:
            raise Refusal(500)
        # Ids and the archive flag are ignored without a word (habit 7).
        asked = replace(asked, id=None, hide_archived=False, project_id=None)
        size = self.default_page if asked.page_size is None else max(1, asked.page_size)
        size = min(size, _LARGEST_PAGE)  # without a word, too (habit 3)
        span = asking.candidates(asked, self.world, self.held(call.now), call.now)
        if asked.page_token is not None:
            newest = self._groups.first_at((_second(asked.page_token) + 1) * SECOND)
            span = range(span.start, max(span.start, min(span.stop, newest)))
        results: list[JSON] = []
        last, token = 0, None
        for job in self.select(asked, reversed(span), call.now):
            if len(results) == size:
                token = self._token(last, self._groups.seconds(job.k), size)
                break
            last = self._groups.seconds(job.k)
            results.append(self.row(job, call.now))
        answer: JSON = {"results": results}
        if token is not None:
            answer["nextPageToken"] = token
        return self.ok(answer)

    @staticmethod
    def _token(last: int, following: int, size: int) -> str:
        """The next page's token: only the second of its first job (habit 1).

        All jobs of that second come on the next page: those that were on this one come again, and
        a second with more jobs than a page has the same token for ever. In some seconds it goes
        wrong the other way round and the rest of the second is dropped; never on the largest page,
        so that a careful client gets everything.
        """
        if last == following and following % 4 == 1 and size < _LARGEST_PAGE:
            following -= 1
        return b64encode(json.dumps({"cb": following}).encode()).decode().rstrip("=")

    def get_job(self, call: Call) -> Answer:
        k, _, job = self.find(call.params["id"], call.now)
        if self.options.archived and self.archived(job, call.now):
            raise Refusal(500)
        self.changes.read(k, call.now)
        found = self.row(job, call.now)
        status = found["status"]
        run = of_job(job)
        # The list cuts the submission to seconds, the detail doesn't (habit 23).
        found["submission"] = iso(job.submitted)
        found["inputs"] = {
            key: value for key, value in details.inputs(run).items() if isinstance(value, str)
        }
        folder = f"/var/dsub/out/{self._job_id(k)}"
        found["outputs"] = (
            {"OUT": f"{folder}/{run.subject}.out.gz"} if status != "Submitted" else {}
        )
        if status == "Failed" and job.cause is not causes.SILENT:
            last = found["extensions"]["statusDetail"].rpartition("\n")[2]
            found["failures"] = [{"failure": last, "timestamp": found["extensions"]["lastUpdate"]}]
        return self.ok(found)

    def get_task_attempts(self, call: Call) -> Answer:  # noqa: ARG002 - there are none
        raise Refusal(500)

    def get_shard_attempts(self, call: Call) -> Answer:  # noqa: ARG002 - there are none
        raise Refusal(500)

    def get_operation_details(self, call: Call) -> Answer:  # noqa: ARG002 - not written
        raise Refusal(500)

    def tail_file(self, call: Call) -> Answer:  # noqa: ARG002 - not written
        raise Refusal(500)

    def get_job_aggregations(self, call: Call) -> Answer:
        project = call.argument("projectId")
        self._check_project(project)
        return super().get_job_aggregations(replace(call, query=f"timeFrame={_frame(call)}"))

    def abort_job(self, call: Call) -> Answer:
        """200 without a body; for a job that has ended 412 without a body or a content type."""
        k, _, job = self.find(call.params["id"], call.now)
        if job.status(call.now) in TERMINAL:
            return self.empty(412)
        self.changes.abort(k, call.now)
        return self.empty(200)

    def update_job_labels(self, call: Call) -> Answer:  # noqa: ARG002 - not written
        raise Refusal(500)

    # Jobs without tasks.

    def job(self, k: int) -> Job:
        """Job `k`: one task of an array, one of several attempts, or a job alone. Never held, and
        nobody sees it Aborting."""
        member = self._groups.member(k)
        job = self.changes.apply(self.world.job(k, lead=member.lead))
        start = job.start if self.on_google and not job.held else job.submitted
        stop = job.end if job.aborting == NEVER else job.aborting
        found = replace(job, start=start, end=max(start + SECOND, stop), held=0, aborting=NEVER)
        if member.following is not None:
            # It failed before the next attempt was submitted.
            following = self._groups.time(member.following)
            end = min(found.end, following - min(SECOND, (following - start) // 2))
            found = replace(
                found, end=max(start, end), fate="Failed", cause=causes.KILLED, task=None
            )
        return found

    def find(self, job_id: str, now: int) -> tuple[int, Path, Job]:
        parts = job_id.split("+")
        stamp = (
            re.fullmatch(r"[\w-]{1,10}--[\w-]+--(\d{6}-\d{6}-\d{6})", parts[1], re.ASCII)
            if (len(parts) == 4)
            else None
        )
        if stamp is None:
            raise Refusal(400, f"Failed to parse job-id: {job_id:.80}")
        missing = Refusal(404, f"Could not find any jobs with ID {job_id:.80}")
        try:
            submitted = datetime.strptime(stamp[1], "%y%m%d-%H%M%S-%f").replace(tzinfo=UTC)
        except ValueError:
            raise missing from None
        lead = self._groups.first_at(micros(submitted))
        held = self.held(now)
        found = []
        for k in range(lead, lead + 8):
            if k in held and self._groups.member(k).lead == lead:
                project, name, task, attempt = self._id(k).split("+")
                if (project, name) == (parts[0], parts[1]) and all(
                    given in ("", own) for given, own in ((parts[2], task), (parts[3], attempt))
                ):
                    found.append(k)
        if not found:
            raise missing
        if len(found) > 1:
            raise Refusal(400, f"Found more than one job with ID {job_id:.80}")
        return found[0], (), self.job(found[0])

    def _job_id(self, k: int) -> str:
        """What dsub calls a job: its name's beginning, its user, and when it was submitted."""
        return self._named(self._groups.member(k).lead)

    def _name(self, lead: int) -> str:
        job = self.world.job(lead, lead=lead)
        name = job.workflow.name[:10].replace("_", "-").strip("-")
        when = moment(self._groups.time(lead))
        return f"{name}--{job.routine.owner}--{when:%y%m%d-%H%M%S-%f}"

    def _id(self, k: int) -> str:
        member = self._groups.member(k)
        project = _PROJECT if self.on_google else ""
        return f"{project}+{self._job_id(k)}+{member.task or ''}+{member.attempt or ''}"

    def first_labels(self, job: Job, now: int) -> JSON:
        """Task and attempt are numbers (habit 25)."""
        found: JSON = dict(super().first_labels(job, now))
        for key in ("flag", "comment", "label"):
            found.pop(key, None)
        member = self._groups.member(job.k)
        found["job-id"] = self._job_id(job.k)
        if member.task is not None:
            found["task-id"] = member.task
        if member.attempt is not None:
            found["attempt"] = member.attempt
        return found

    def labels(self, job: Job, now: int) -> JSON:
        return self.first_labels(job, now)

    def value(self, job: Job, key: str, known: JSON) -> Any:
        return job.routine.owner if key == "userId" else super().value(job, key, known)

    def select(self, asked: Asked, numbers: Iterator[int], now: int) -> Iterator[Job]:
        owner = asked.user_id
        for job in super().select(replace(asked, user_id=None, labels=()), numbers, now):
            if owner is not None and job.routine.owner != owner:
                continue
            if asked.labels:
                known = self.labels(job, now)
                if any(str(known.get(key, "")) != str(value) for key, value in asked.labels):
                    continue
            yield job

    def row(self, job: Job, now: int) -> JSON:
        """A row that holds nearly all of the detail (habit 36)."""
        found = rows.row(
            job,
            job_id=self._id(job.k),
            labels=self.labels(job, now),
            status=job.status(now),
            extensions=self._extensions(job, now),
            now=now,
        )
        found["submission"] = iso(job.submitted - job.submitted % SECOND)
        return found

    def _extensions(self, job: Job, now: int) -> JSON:
        seen = dsub_texts.events(job, now)
        last = seen[-1]["time"] if seen else iso(job.submitted)
        folder = (
            "/var/dsub/dsub-logs" if not self.on_google else f"gs://demo-lab-{job.routine.owner}"
        )
        task = self._groups.member(job.k).task
        log = f"{folder}/{self._job_id(job.k)}" + (f".{task}" if task else "")
        return {
            "userId": job.routine.owner,
            "statusDetail": dsub_texts.status_detail(job, now),
            "lastUpdate": last,
            "logs": {
                "Controller Log": f"{log}.log",
                "Error Log": f"{log}-stderr.log",
                "Output Log": f"{log}-stdout.log",
            },
            "events": seen,
            "envs": {
                "SAMPLE": job.routine.subject,
                "THREADS": "8",
                # What a line of the tasks file gives each task.
                **({"CHROM": f"chr{task}"} if task else {}),
            },
            "sourceFile": dsub_texts.script(job.workflow),
        }


def _second(token: str) -> int:
    """The second that a page begins with. Anything but its own token is a 500 (habit 4)."""
    try:
        found = json.loads(b64decode(token + "=" * (-len(token) % 4), validate=True))
        second = found["cb"]
        if not isinstance(second, int) or not 0 <= second < 1 << 33:
            raise Refusal(500)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(500) from None
    return second


def _frame(call: Call) -> str:
    return call.argument("timeFrame") or ""
