"""A record's row: what lists, counts and charts need of a job, from any tree a server may send.

The newer of detail and list row speaks first and the other where it is silent, value by value, and
only where a value has the type the API gives it. So one wrong value costs that value and nothing
else; the detail as a whole counts as unreadable when it does not fit the API's model.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from jmreport import attempts, calltimes
from jmreport.analysis import causes, fields, measures, timing
from jmreport.analysis.trees import LARGEST, Tree
from jmreport.analysis.trees import attempts as _attempts
from jmreport.analysis.trees import messages as _messages
from jmreport.analysis.trees import preempted as _preempted
from jmreport.analysis.trees import shard as _shard
from jmreport.analysis.trees import text as _text
from jmreport.analysis.trees import tree as _tree
from jmreport.analysis.trees import trees as _trees
from jmreport.calltimes import JobSpan
from jmreport.gaps import JOB, Gap, does_not_fit, tell_of_a_detail
from jmreport.models import ACTIVE_STATUSES, JobMetadataResponse, is_failure
from jmreport.records import (
    LONGEST_NAME,
    Failure,
    JobRow,
    Record,
    TaskSpan,
    is_terminal,
    moment,
)

#: Tasks of a sub-workflow that the job above it can draw.
MOST_SPANS = 12
#: Sub-workflows of a failed job that are asked why it failed.
MOST_BLAMED = 3
#: Longest text of a column that no other field of a row holds.
COLUMN_LENGTH = 500
#: Extensions that a row holds elsewhere, or that are whole files.
_NOT_COLUMNS = {"userId", "parentJobId", "sourceFile"}

_sorted = msgspec.json.Encoder(order="sorted").encode
_LAST = datetime.max.replace(tzinfo=UTC)


#: The key of all that has no inputs: it tells nothing apart.
NO_INPUTS = hashlib.sha256(_sorted({})).hexdigest()[:16]


def summarise(record: Record) -> JobRow:
    """The row of a job. Never raises: what does not fit becomes a Gap that names its path."""
    detail, listed = _tree(record.detail), _tree(record.row)
    # A detail that an older run read is older than the list row that this run brought.
    newest, other = (listed, detail) if record.detail_from else (detail, listed)
    own, row_extensions = _tree(detail.get("extensions")), _tree(listed.get("extensions"))
    status = _text(newest, "status") or _text(other, "status") or "Unknown"
    misfit = _misfit(record.detail)
    calls = _Calls(own, record)
    odd = fields.oddities(record.detail, record.row, record)
    failure = _failure(status, detail, listed, calls)
    return JobRow(
        id=record.id,
        name=_text(newest, "name") or _text(other, "name") or "",
        status=status,
        submission=moment(detail.get("submission")) or moment(listed.get("submission")),
        start=_start(record, status, detail, listed),
        end=timing.believed_end(status, newest.get("end"))
        or timing.believed_end(status, other.get("end")),
        labels=_labels(newest, other),
        user=_text(own, "userId") or _text(row_extensions, "userId"),
        parent=record.parent or _text(own, "parentJobId"),
        children=tuple(child for child in calls.children if child != record.id),
        key=_work(record.id, detail, own),
        failure=failure,
        failed_tasks=_failed_tasks(detail, calls),
        blames=tuple(_blames(record.id, failure, detail, calls)) if status == "Failed" else (),
        tasks=len(calls.tasks),
        shards=calls.shards,
        retries=min(calls.retried, LARGEST),
        preempted=calls.preempted,
        cached=calls.cached,
        readable=not misfit and _tells(record, status),
        listed=record.row is not None or record.parent is None,
        extra=_columns(listed, row_extensions) | _columns(detail, own),
        unknown_fields=odd.unknown_fields,
        unknown_words=odd.words,
        odd_dates=odd.dates,
        where=_where(status, own, row_extensions, calls),
        gaps=record.gaps + _gap(record, misfit),
        spans=_spans(detail, calls) if record.parent or _text(own, "parentJobId") else (),
    )


def _start(record: Record, status: str, detail: Tree, listed: Tree) -> datetime | None:
    """When a job started; None where it did not, as a detail of now tells that has no start,
    whatever the list says."""
    # An older detail may tell the start of a job that waited then.
    told = None
    if not record.detail_from or _text(detail, "status") == status:
        told = timing.believed_start(status, detail.get("start"))
    if told is None and (not detail or record.detail_from or detail.get("start") is not None):
        told = calltimes.listed_start(status, listed.get("start"), listed.get("submission"))
    return told


def _spans(detail: Tree, calls: "_Calls") -> tuple[TaskSpan, ...]:
    """A sub-workflow's tasks by their start; the failed ones first where not all are kept."""
    status = _text(detail, "status") or ""
    job = JobSpan(
        timing.believed_start(status, detail.get("start")),
        timing.believed_end(status, detail.get("end")),
    )
    kept = sorted(calls.tasks, key=lambda task: not is_failure(task.get("executionStatus")))[
        :MOST_SPANS
    ]
    found = [_span(task, job) for task in kept]
    return tuple(sorted(found, key=lambda span: span.start or _LAST))


def _span(task: Tree, job: JobSpan) -> TaskSpan:
    """A task's own time; where it has none, from its first shard's start to its last one's end."""
    status = _text(task, "executionStatus") or ""
    start, end = _believed(task, job)
    if start is None or end is None:
        shards = [_believed(shard, job) for shard in _trees(task.get("shards"))]
        ends = [ended for _, ended in shards if ended]
        start = start or min((began for began, _ in shards if began), default=None)
        if end is None and status not in ACTIVE_STATUSES and len(ends) == len(shards):
            end = max(ends, default=None)
    return TaskSpan((_text(task, "name") or "")[:LONGEST_NAME], status, start, end)


def _believed(call: Tree, job: JobSpan) -> calltimes.Span:
    ran = any(call.get(key) for key in ("executionEvents", "operationId", "backendLog", "jobId"))
    return calltimes.believed(
        _text(call, "executionStatus") or "",
        moment(call.get("start")),
        moment(call.get("end")),
        job=job,
        ran=ran,
    )


def _tells(record: Record, status: str) -> bool:
    """Whether the detail is there and tells of the job as it stands.

    One that an older run read still does when the job had ended by then: only its labels change.
    """
    if not record.detail_from:
        return record.detail is not None
    return is_terminal(status) and _tree(record.detail).get("status") == status


def label_text(value: object) -> str:
    """A label's value as text: JSON's own words for what isn't text.

    >>> label_text(2), label_text(True), label_text("a"), label_text(["a", 1])
    ('2', 'true', 'a', '["a",1]')
    """
    return value if isinstance(value, str) else canonical(value)


def canonical(value: object) -> str:
    """A JSON tree as compact text with sorted keys; "" for one that is nested beyond reading."""
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        return ""


def _misfit(detail: Any) -> str:
    """Where and how a detail differs from the API's model, "" where it fits."""
    if detail is None:
        return ""
    try:
        msgspec.convert(detail, JobMetadataResponse)
    except (msgspec.ValidationError, RecursionError, OverflowError, TypeError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def _gap(record: Record, misfit: str) -> tuple[Gap, ...]:
    if not misfit or tell_of_a_detail(record.gaps):
        return ()
    return (Gap(what=JOB, why=does_not_fit(misfit), job=record.id),)


def _labels(newest: Tree, other: Tree) -> dict[str, str]:
    """The detail's labels before the list's of the same run, which learns of changes late."""
    found = labels_of(newest)
    return (labels_of(other) or {}) if found is None else found


def labels_of(tree: Tree) -> dict[str, str] | None:
    """The labels of a detail or a list row as text; None where it has none to tell of."""
    labels = tree.get("labels")
    if not isinstance(labels, dict):
        return None
    return {str(key): label_text(value) for key, value in labels.items()}


def _work(job: str, detail: Tree, own: Tree) -> str:
    """A digest of the inputs, and of what else tells jobs of dsub apart; "" where none came.

    dsub's are files alone: what an array's tasks differ by may be in their environments. Where
    both are empty there is still the task's number, lest one task's success hide the failure of
    another.
    """
    inputs, envs = detail.get("inputs"), own.get("envs")
    if not isinstance(inputs, dict):
        return ""
    told: list[Any] = [inputs]
    if isinstance(envs, dict) and envs:
        told.append(envs)
    elif not inputs and (where := attempts.place(job)) is not None and where.task:
        told.append(where.task)
    whole = told if len(told) > 1 else inputs
    try:
        body = _sorted(whole)
    except (RecursionError, TypeError, ValueError, OverflowError):
        body = canonical(whole).encode("utf-8", "replace")
    return hashlib.sha256(body).hexdigest()[:16] if body else ""


def _columns(tree: Tree, extensions: Tree) -> dict[str, str]:
    """Scalars for columns that a server may name: `extensions.lastUpdate`, and its own words."""
    columns = {
        f"extensions.{key}": label_text(value)[:COLUMN_LENGTH]
        for key, value in extensions.items()
        if isinstance(value, str | int | float) and key not in _NOT_COLUMNS
    }
    for key in tree.keys() - fields.JOB_FIELDS:
        if isinstance(value := tree[key], str | int | float):
            columns[key] = label_text(value)[:COLUMN_LENGTH]
    return columns


class _Started(NamedTuple):
    """A sub-workflow, and the call that started it."""

    job: str
    task: str | None
    shard: int | None
    failed: bool


class _Calls:
    """What a job's tasks and shards add up to."""

    def __init__(self, extensions: Tree, record: Record) -> None:
        self.tasks = _trees(extensions.get("tasks"))
        self.shards = self.retried = self.preempted = self.cached = 0
        self.failed: dict[str, None] = {}
        self.running: str = ""
        self.failures: list[tuple[str, str | None, int | None]] = []
        self.started: dict[str, _Started] = {}
        for task in self.tasks:
            self._add(task, record)
        self.children = tuple(self.started)

    def _add(self, task: Tree, record: Record) -> None:
        name = _text(task, "name")
        shards = _trees(task.get("shards"))
        self.shards += len(shards)
        for call in (task, *shards):
            if child := _text(call, "jobId"):
                failed = is_failure(call.get("executionStatus"))
                self.started.setdefault(child, _Started(child, name, _shard(call), failed))
            self._judge(call, name)
        self.retried += measures.retried(task, record)
        attempts = list(_attempts(task, shards, name, record))
        preempted = sum(1 for attempt in attempts if _preempted(attempt))
        # Without the attempts, a call's own messages tell at least of its last one.
        self.preempted += preempted or sum(1 for call in (task, *shards) if _preempted(call))
        if task.get("callCached") is True:
            self.cached += 1
        elif shards:
            self.cached += measures.reused(task, record)

    def _judge(self, call: Tree, name: str | None) -> None:
        status = call.get("executionStatus")
        if is_failure(status):
            if name:
                self.failed[name] = None
            for message in _messages(call):
                self.failures.append((message, name, _shard(call)))
        elif status in ("Running", "Aborting") and name and not self.running:
            self.running = name


def _task(failure: Tree) -> str | None:
    name = _text(failure, "taskName")
    return None if name == "Workflow Error" else name


def _failure(status: str, detail: Tree, listed: Tree, calls: _Calls) -> Failure | None:
    """The failure that says most: of a task before one of the workflow; dsub's last error line."""
    if (best := _best(detail)) is not None:
        return causes.failure(str(best["failure"]), task=_task(best), shard=_shard(best))
    if status != "Failed":
        return None
    for message, task, shard in calls.failures:
        if message.strip():
            return causes.failure(message, task=task, shard=shard)
    for tree in (detail, listed):
        detail_text = _text(_tree(tree.get("extensions")), "statusDetail") or ""
        if line := causes.last_error_line(detail_text):
            return causes.failure(line)
    return None


def _best(detail: Tree) -> Tree | None:
    """The failure of the answer's own that says most."""
    told = [item for item in _trees(detail.get("failures")) if _text(item, "failure")]
    return next((item for item in told if _task(item)), told[0] if told else None)


def _blames(job: str, failure: Failure | None, detail: Tree, calls: _Calls) -> Iterator[str]:
    """The sub-workflows that may say more than a job's own failure, the likeliest first.

    None where it failed in a task of its own, which says all there is to say.
    """
    started = [each for each in calls.started.values() if each.job != job]
    task, shard = (failure.task, failure.shard) if failure else (None, None)
    named = _text(_best(detail) or {}, "jobId")
    if task and named not in calls.started and not any(_is_of(task, each) for each in started):
        return iter(())
    started.sort(
        key=lambda each: (
            each.job != named,
            not (task and _is_of(task, each)),
            not each.failed,
            each.shard != shard,
        )
    )
    return (each.job for each in started[:MOST_BLAMED])


def _is_of(task: str, started: _Started) -> bool:
    """Whether the task that a failure names, whole or by a part of it, started a sub-workflow.

    Some name the workflow before it (wf.Aligning), some the task below it (Aligning.Sort).
    """
    return started.task in (task, *task.split("."))


def _failed_tasks(detail: Tree, calls: _Calls) -> tuple[str, ...]:
    told = (_task(item) for item in _trees(detail.get("failures")))
    return tuple(dict.fromkeys((*calls.failed, *(name for name in told if name))))


def _where(status: str, own: Tree, row_extensions: Tree, calls: _Calls) -> str:
    """What a job that has started is doing: its first running task, or dsub's last event."""
    if status not in ("Running", "Aborting"):
        return ""
    events = _trees(own.get("events")) or _trees(row_extensions.get("events"))
    return calls.running or (_text(events[-1], "content") or "" if events else "")
