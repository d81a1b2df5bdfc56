"""What a POST to /jobs/query asks for: the body as read, and the jobs that fit it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from .answers import Refusal
from .timeline import DAY, micros
from .world import STATUSES, TERMINAL, Job, World

_NAME = re.compile(r"^[a-zA-Z][a-zA-Z0-9_-]*$")
_ID = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_-]+$")

#: No job is active for longer than this after its submission, not even a stuck one.
_LONGEST = 10 * DAY

_TYPES: dict[str, type | tuple[type, ...]] = {
    "start": str,
    "end": str,
    "submission": str,
    "status": list,
    "labels": dict,
    "id": str,
    "name": str,
    "pageSize": int,
    "pageToken": str,
    "extensions": dict,
}
_EXTENSIONS: dict[str, type] = {"projectId": str, "userId": str, "hideArchived": bool}


class Asked(Struct, frozen=True, kw_only=True):
    """A QueryJobsRequest. Dates are microseconds since 1970."""

    start: int | None = None
    end: int | None = None
    submission: int | None = None
    status: frozenset[str] = frozenset()
    labels: tuple[tuple[str, Any], ...] = ()
    id: str | None = None
    name: str | None = None
    page_size: int | None = None
    page_token: str | None = None
    project_id: str | None = None
    user_id: str | None = None
    hide_archived: bool = False

    @property
    def plain(self) -> bool:
        """Whether nothing but the submission is asked about, so that the answer can be counted
        without looking at any job."""
        return not (
            self.start is not None
            or self.end is not None
            or self.status
            or self.labels
            or self.id is not None
            or self.name is not None
            or self.project_id
            or self.user_id
            or self.hide_archived
        )

    @property
    def filters(self) -> Asked:
        """The same question without its page: what a count of all that fit depends on."""
        return replace(self, page_size=None, page_token=None)


def read(body: Any, *, drop_offset: bool, bad_date: int, name: re.Pattern[str] = _NAME) -> Asked:
    """The question in a decoded body.

    Raises Refusal: 400 for what the definition rules out, among it null for an optional key
    (backends habit 8); `bad_date` is the status for a date that is none (habit 9), and
    `drop_offset` says that a date's UTC offset is lost.
    """
    if not isinstance(body, dict):
        raise Refusal(400, f"{body!r:.60} is not of type 'object'")
    for key, value in body.items():
        _check(key, value, _TYPES.get(key))
    extensions = body.get("extensions", {})
    for key, value in extensions.items():
        _check(f"extensions.{key}", value, _EXTENSIONS.get(key))
    for status in body.get("status", ()):
        if status not in STATUSES:
            raise Refusal(400, f"{status!r:.60} is not one of {list(STATUSES)}")
    for key, pattern in (("id", _ID), ("name", name)):
        if key in body and not pattern.match(body[key]):
            raise Refusal(400, f"{body[key]!r:.60} does not match {pattern.pattern!r}")
    for key, value in body.get("labels", {}).items():
        _check(f"labels.{key}", value, (str, int, float))
    dates: dict[str, int | None] = {}
    for key in ("start", "end", "submission"):
        dates[key] = _date(body[key], drop_offset, bad_date) if key in body else None
    start, end, submission = dates["start"], dates["end"], dates["submission"]
    # Backends habit 10.
    if start is not None and end is not None and start > end:
        raise Refusal(400, "start must be before or equal to end")
    if start is not None and submission is not None and submission > start:
        raise Refusal(400, "submission must be before or equal to start")
    return Asked(
        start=start,
        end=end,
        submission=submission,
        status=frozenset(body.get("status", ())),
        labels=tuple(body.get("labels", {}).items()),
        id=body.get("id"),
        name=body.get("name"),
        page_size=body.get("pageSize"),
        page_token=body.get("pageToken"),
        project_id=extensions.get("projectId"),
        user_id=extensions.get("userId"),
        hide_archived=extensions.get("hideArchived", False),
    )


def _check(key: str, value: Any, wanted: type | tuple[type, ...] | None) -> None:
    if wanted is None:
        return
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise Refusal(400, f"{value!r:.60} is not of type {wanted!r} - {key!r}")


def _date(text: str, drop_offset: bool, bad_date: int) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        if bad_date == 500:
            raise Refusal(500) from None
        raise Refusal(bad_date, f"{text!r:.60} is not a 'date-time'") from None
    if drop_offset or found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return micros(found)


def candidates(asked: Asked, world: World, held: range, now: int) -> range:
    """The numbers of the jobs that can fit, oldest first: a computation, no search."""
    low, high = held.start, held.stop
    first_at = world.timeline.first_at
    if asked.submission is not None:
        low = max(low, first_at(_near(asked.submission, held, world)))
    if asked.start is not None:
        low = max(low, first_at(_near(asked.start - _LONGEST, held, world)))
    if asked.status and not asked.status & TERMINAL:
        low = max(low, first_at(_near(now - _LONGEST, held, world)))
    if asked.end is not None:
        high = min(high, first_at(_near(asked.end + 1, held, world)))
    return range(low, max(low, high))


def _near(instant: int, held: range, world: World) -> int:
    """An instant no farther than a day from the jobs that are held: year 1 and year 9999 are."""
    if not held:
        return instant
    time = world.timeline.time
    return min(max(instant, time(held.start) - DAY), time(held.stop - 1) + DAY)


def fits(asked: Asked, job: Job, status: str, now: int) -> bool:
    """Whether a job fits, its labels and its id aside."""
    if asked.name is not None and job.routine.workflow.name != asked.name:
        return False
    if asked.submission is not None and job.submitted < asked.submission:
        return False
    if asked.status and status not in asked.status:
        return False
    if asked.start is not None and not (job.started(now) and job.start >= asked.start):
        return False
    return asked.end is None or (job.end <= now and job.end <= asked.end)
