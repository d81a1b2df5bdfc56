"""What a server holds: its jobs, found by id or by question, with their labels and rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import msgspec

from . import asking, details, rows, workflows
from .answers import Refusal
from .asking import Asked
from .changes import Changes
from .ids import Path, Uuids, is_uuid
from .look import Look
from .plan import of_job
from .planted import PlantedWorld
from .timeline import DAY, Timeline, iso
from .world import Job, World

JSON = dict[str, Any]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a server was set up; see `Demo` for what each of them does. `born`: its first `now`."""

    seed: int
    jobs: int
    token: str | None
    archived: float
    same_second: int
    outside_auth: bool
    born: int
    shards: int = 0
    most_rows: int = 1_000_000
    bare_failures: float = 0.0
    odd_logs: float = 0.0
    nights: int = 0


class Holdings:
    """The jobs of a server, as the API's definition has them.

    The servers that exist hold theirs somewhat differently, and override what differs.
    """

    label_lag = 0
    step = 1_000

    def __init__(self, options: Options) -> None:
        self.options = options
        self.world = self.laboratory(options)
        self.ids = Uuids(options.seed)
        self.changes = Changes(lag=self.label_lag)
        self._matches: dict[Any, array[int]] = {}

    def laboratory(self, options: Options) -> World:
        """Whose jobs the server holds: the ordinary laboratory's, or those of planted nights."""
        if options.nights:
            first = options.born - (options.nights - 1) * DAY
            return PlantedWorld(seed=options.seed, first=first, nights=options.nights)
        return World(seed=options.seed, timeline=self.timeline(options), shards=options.shards)

    def timeline(self, options: Options) -> Timeline:
        """When this server's jobs were submitted."""
        return Timeline(
            seed=options.seed, jobs=options.jobs, step=self.step, same_second=options.same_second
        )

    def held(self, now: int) -> range:
        """The numbers of the jobs that the server holds."""
        return self.world.timeline.held(now)

    def job(self, k: int) -> Job:
        """Job `k` as it goes, aborts included."""
        return self.changes.apply(self.world.job(k))

    def find(self, job_id: str, now: int) -> tuple[int, Path, Job]:
        """The job, or the sub-workflow's place in it, that has an id. Raises Refusal 404."""
        found = self.ids.find(job_id) if is_uuid(job_id) else None
        if found is None or found[0] not in self.held(now):
            raise Refusal(404, f"Unrecognized workflow ID: {job_id:.80}")
        k, path = found
        return k, path, self.job(k)

    def look(self, job: Job, path: Path, now: int) -> Look:
        """A job or a sub-workflow at a moment. Raises Refusal 500 for an archived one (backends
        habit 19) and 404 for a sub-workflow that doesn't exist."""
        if self.options.archived and self.archived(job, now):
            raise Refusal(500)
        if self.world.withheld(job, now):
            raise Refusal(500)
        look = Look(of_job(job), ids=self.ids, now=now)
        below = look.at(path)
        if below is None:
            raise Refusal(404, f"Unrecognized workflow ID: {self.ids.of(job.k, path)}")
        return below

    def archived(self, job: Job, now: int) -> bool:
        """Whether a job's detail is gone while its row is still listed."""
        part = int.from_bytes(job.dice[20:24], "big") / (1 << 32)
        return part < self.options.archived and job.end <= now

    def detail(self, job: Job, look: Look) -> JSON:
        """The JSON of a job."""
        path = look.run.path
        status = look.status if path else job.status(look.now)
        extensions = details.extras(
            look,
            status=status,
            user=rows.user(job),
            source=workflows.source(look.run.workflow),
        )
        if path:
            extensions["parentJobId"] = self.ids.of(job.k, path[:-1])
        first = {} if path else self.first_labels(job, look.now)
        return details.job(
            look,
            status=status,
            labels=self.changes.labels((job.k, path), first),
            extensions=extensions,
            submitted=iso(look.run.submitted - look.run.submitted % 1_000),
        )

    def first_labels(self, job: Job, now: int) -> JSON:
        """A job's labels before anybody changed them."""
        return rows.labels(job, now)

    def labels(self, job: Job, now: int) -> JSON:
        """A job's labels as the list shows them."""
        return self.changes.listed(job.k, self.first_labels(job, now))

    def row(self, job: Job, now: int) -> JSON:
        """A job's row in the list."""
        return rows.row(
            job,
            job_id=self.ids.of(job.k),
            labels=self.labels(job, now),
            status=job.status(now),
            extensions={"userId": rows.user(job)},
            now=now,
        )

    def value(self, job: Job, key: str, known: JSON) -> Any:
        """What the aggregations count a job under; None: not at all."""
        if key == "userId":
            return rows.user(job)
        if key == "name":
            return job.routine.workflow.name
        return known.get(key.removeprefix("labels."))

    def select(self, asked: Asked, numbers: Iterator[int], now: int) -> Iterator[Job]:
        """The jobs that fit a question."""
        only = None
        if asked.id is not None:
            found = self.ids.find(asked.id) if is_uuid(asked.id) else None
            only = found[0] if found and not found[1] else -(1 << 62)
        labelled = bool(asked.labels) or asked.hide_archived or asked.project_id is not None
        for k in numbers:
            if only is not None and k != only:
                continue
            job = self.job(k)
            if not asking.fits(asked, job, job.status(now), now):
                continue
            if asked.user_id is not None and rows.user(job) != asked.user_id:
                continue
            if labelled:
                known = self.labels(job, now)
                if any(known.get(key) != value for key, value in asked.labels):
                    continue
                if asked.hide_archived and known.get("flag") == "archive":
                    continue
                if asked.project_id is not None and known["project"] != asked.project_id:
                    continue
            yield job

    def matches(self, asked: Asked, span: range, now: int) -> array[int]:
        """The numbers of all jobs that fit, in the server's order; remembered for the next page."""
        key = (asked.filters, span, now, self.changes.version)
        found = self._matches.get(key)
        if found is None:
            if len(self._matches) >= 8:
                self._matches.clear()
            found = array("q", (job.k for job in self.select(asked, self.order(span), now)))
            self._matches[key] = found
        return found

    def order(self, span: range) -> Iterator[int]:
        """Job numbers in the server's order: newest first."""
        return iter(reversed(span))
