"""Which jobs are wanted: what is sent of it, what a server made of it, and what is applied here.

Every filter is applied here, since each server ignores some without a word: Cromwell projectId and
userId, dsub id and hideArchived. Labels are never sent: a label filter is a 500 on the Cromwell
shim that is in use, and nothing in a server's capabilities tells it from one that works.
"""

import re
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from jmreport import calltimes
from jmreport.models import ACTIVE_STATUSES, JOB_STATUSES, ExtendedQueryFields, QueryJobsRequest
from jmreport.records import Asked, Filters, is_terminal, moment, utc_text
from jmreport.sizes import counted

#: Names the Cromwell shim takes; it refuses the hyphen that the API allows.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]+")
#: The filters as the API names them, in the order in which servers are likely to trip over them.
NAMES = (
    "projectId", "userId", "hideArchived", "name", "id", "labels",
    "start", "end", "status", "submission",
)  # fmt: skip
_EXTENSIONS = {"projectId": "project_id", "userId": "user_id", "hideArchived": "hide_archived"}


def used(filters: Filters) -> dict[str, Any]:
    """The filters somebody asked for: the API's name -> value."""
    every = {
        "projectId": filters.project_id,
        "userId": filters.user_id,
        "hideArchived": filters.hide_archived or None,
        "name": filters.name,
        "id": filters.job_id,
        "labels": filters.labels or None,
        "start": filters.start,
        "end": filters.end,
        "status": filters.status or None,
        "submission": filters.submission,
    }
    return {name: value for name, value in every.items() if value is not None}


def unsendable(
    filters: Filters, since: datetime | None, extensions: tuple[str, ...]
) -> dict[str, str]:
    """Filters in use that are not sent -> why."""
    why: dict[str, str] = {}
    for name in used(filters):
        if name in _EXTENSIONS and name not in extensions:
            why[name] = "the server does not offer it"
    if filters.labels:
        why["labels"] = "servers break on it"
    if filters.name is not None and not takes_name(filters.name):
        why["name"] = "some servers refuse all but letters, digits and underscores"
    if filters.job_id is not None and not _ID.fullmatch(filters.job_id):
        why["id"] = "the API takes no such id"
    if any(word not in JOB_STATUSES for word in filters.status):
        why["status"] = "the API has no such status"
    if filters.start and since and since > filters.start:
        why["start"] = "it lies before the window, which says it already"
    if filters.start and filters.end and filters.start > filters.end:
        why["start"] = "it lies after the end"
    return why


def request(
    filters: Filters, since: datetime | None, extensions: tuple[str, ...], *, page_size: int
) -> QueryJobsRequest:
    """The question for page one, with every filter that can be sent."""
    left_out = unsendable(filters, since, extensions)
    sent = {key: value for key, value in used(filters).items() if key not in left_out}
    extended = ExtendedQueryFields(
        **{_EXTENSIONS[key]: value for key, value in sent.items() if key in _EXTENSIONS}
    )
    return QueryJobsRequest(
        start=utc_text(filters.start) if "start" in sent and filters.start else None,
        end=utc_text(filters.end) if filters.end else None,
        submission=utc_text(since) if since else None,
        status=sent.get("status"),
        id=sent.get("id"),
        name=sent.get("name"),
        page_size=page_size,
        extensions=extended if extended != ExtendedQueryFields() else None,
    )


def takes_name(name: str) -> bool:
    """Whether every known server takes a name in a question."""
    return _NAME.fullmatch(name) is not None


def holds(asking: QueryJobsRequest) -> tuple[str, ...]:
    """The filters that a question sends."""
    extended = asking.extensions or ExtendedQueryFields()
    return tuple(
        name
        for name in NAMES
        if (getattr(extended, _EXTENSIONS[name]) if name in _EXTENSIONS else getattr(asking, name))
        is not None
    )


def without(asking: QueryJobsRequest, *names: str) -> QueryJobsRequest:
    """The question without some of its filters."""
    extended = asking.extensions or ExtendedQueryFields()
    extended = replace(extended, **{_EXTENSIONS[n]: None for n in names if n in _EXTENSIONS})
    plain: dict[str, Any] = {name: None for name in names if name not in _EXTENSIONS}
    plain["extensions"] = extended if extended != ExtendedQueryFields() else None
    return replace(asking, **plain)


def wanted(row: dict[str, Any], asked: Asked) -> bool:
    """Whether a row is in the window (or active) and no filter keeps it out."""
    return in_window(row, asked) and not failing(row, asked.filters)


def in_window(row: dict[str, Any], asked: Asked) -> bool:
    """Whether a row was submitted in the window, or may still change.

    A row whose submission cannot be read is kept.
    """
    status, submission = row.get("status"), moment(row.get("submission"))
    since = asked.since
    if since is None or submission is None or submission >= since:
        return True
    ended = isinstance(status, str) and is_terminal(status)
    return not ended and asked.filters.submission is None


def failing(row: dict[str, Any], filters: Filters) -> tuple[str, ...]:
    """The filters that keep a row out, by the API's names.

    A row that lacks what a filter asks about is kept out, as the API has it: `end` hides what still
    runs. A start or an end that cannot be, as the Cromwell shim invents them, is none. Three
    filters keep such a row, since a server need not say these things of a job, or says them
    wrongly: projectId, userId (the Cromwell shim's rows hold neither) and submission.
    """
    labels, extensions = _map(row, "labels"), _map(row, "extensions")
    status = row.get("status")
    start = calltimes.listed_start(str(status), row.get("start"), row.get("submission"))
    end = None if status in ACTIVE_STATUSES else moment(row.get("end"))
    submission = moment(row.get("submission"))
    passes = {
        "projectId": _agrees(extensions.get("projectId"), filters.project_id),
        "userId": _agrees(extensions.get("userId"), filters.user_id),
        "hideArchived": not (filters.hide_archived and labels.get("flag") == "archive"),
        "name": filters.name in (None, row.get("name")),
        "id": filters.job_id in (None, row.get("id")),
        "labels": all(label_text(labels.get(k)) == v for k, v in filters.labels.items()),
        "start": filters.start is None or (start is not None and start >= filters.start),
        "end": filters.end is None or (end is not None and end <= filters.end),
        "status": not filters.status or row.get("status") in filters.status,
        "submission": not (filters.submission and submission and submission < filters.submission),
    }
    return tuple(name for name in NAMES if not passes[name])


def unjudged(row: dict[str, Any], filters: Filters) -> tuple[str, ...]:
    """The filters in use that a row says nothing about, so that it was kept."""
    extensions = _map(row, "extensions")
    found = [
        name
        for name, value in (("projectId", filters.project_id), ("userId", filters.user_id))
        if value is not None and extensions.get(name) is None
    ]
    if filters.submission and moment(row.get("submission")) is None:
        found.append("submission")
    return tuple(found)


class Account:
    """What became of every filter in use, over all rows of a run: `notes()` at the end."""

    def __init__(self, asked: Asked, extensions: tuple[str, ...]) -> None:
        self._filters = asked.filters
        self._used = used(asked.filters)
        self._not_sent = unsendable(asked.filters, asked.since, extensions)
        self._dropped = dict.fromkeys(NAMES, 0)
        self._broken = dict.fromkeys(NAMES, 0)
        self._unjudged = dict.fromkeys(NAMES, 0)
        self._refused: dict[str, str] = {}
        self._rows = 0
        self._asked = asked
        #: Rows of the window that a filter kept out, and whether the server may have kept others.
        self._left_out = 0
        self._unseen = False
        #: Rows from before the window that came though the window was sent.
        self._early = 0

    def refuse(self, name: str, why: str) -> None:
        """A server refused a question for this filter."""
        self._refused.setdefault(name, why)

    def answered(self, sent: tuple[str, ...]) -> None:
        """A question that sends these was answered."""
        self._unseen = self._unseen or not self._used.keys().isdisjoint(sent)

    @property
    def left_out(self) -> int | None:
        """How many jobs the filters left out; None where no filter is in use, or nobody can know.

        What a server that was sent a filter did not list may be any number of jobs.
        """
        return self._left_out if self._used and not self._unseen else None

    def row(self, row: dict[str, Any], sent: tuple[str, ...]) -> bool:
        """Count a row that came in answer to a question that sent these; whether it passes."""
        self._rows += 1
        out = failing(row, self._filters)
        for name in out:
            self._dropped[name] += 1
            self._broken[name] += name in sent
        if not out:
            for name in unjudged(row, self._filters):
                self._unjudged[name] += 1
        inside = in_window(row, self._asked)
        self._early += not inside
        self._left_out += inside and bool(out)
        return inside and not out

    def notes(self) -> list[str]:
        """A line for each filter in use, and one for a window that a server ignored."""
        lines = [f"Filter {name}: {self._fate(name)}." for name in NAMES if name in self._used]
        if self._early and "submission" not in self._used:
            lines.append(
                f"The server sent {counted(self._early, 'job')} that ended and were submitted "
                "before the window; left out here."
            )
        return lines

    def _fate(self, name: str) -> str:
        dropped, unjudged = self._dropped[name], self._unjudged[name]
        if name in self._not_sent:
            said = f"not sent ({self._not_sent[name]})"
        elif name in self._refused:
            said = f"refused by the server ({self._refused[name]})"
        elif self._broken[name]:
            said = "sent, and ignored by the server"
        elif unjudged:
            said = "sent"
        else:
            said = "sent, and honoured by the server" if self._rows else "sent, and no job came"
        if dropped:
            said += f"; applied here, which left out {counted(dropped, 'job')}"
        elif name in self._not_sent or name in self._refused:
            said += "; applied here, which left out none"
        if unjudged:
            jobs = counted(unjudged, "job")
            said += f"; {jobs} could not be judged, as their rows do not tell it: kept"
        return said


def label_text(value: Any) -> str | None:
    """A label's value as text: dsub's are integers too."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def _agrees(told: Any, asked: str | None) -> bool:
    return asked is None or told is None or told == asked


def _map(row: dict[str, Any], key: str) -> dict[str, Any]:
    found = row.get(key)
    return found if isinstance(found, dict) else {}
