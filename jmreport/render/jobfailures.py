"""A job's failures: each with its message, where it happened, and the end of its log."""

import re
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from jmreport.models import FailureMessage, FileContents, Shard, TaskMetadata
from jmreport.records import Gap, moment
from jmreport.render import addresses, words
from jmreport.render.jobfacts import Link, Making

MOST_FAILURES = 30
#: Characters of a message that stand open, and of the whole one in its box.
OPEN_MESSAGE = 2_000
WHOLE_MESSAGE = 60_000
#: Lines of a log that stand open, and characters of it that a page holds.
LOG_LINES = 12
LOG_CHARACTERS = 20_000
_TELLING = re.compile(
    r"\berror\b|exception|fatal|\bkilled\b|out of memory|no space left|denied|traceback", re.I
)


class LogLine(Struct, frozen=True):
    """Lines of a log; `marked` for one that tells of an error."""

    text: str
    marked: bool


class LogTail(Struct, frozen=True, kw_only=True):
    """The end of a log, the lines before it (closed), or why there is none."""

    said: str
    lines: tuple[LogLine, ...]
    earlier: str = ""
    earlier_said: str = ""
    why_not: str = ""


class FailureView(Struct, frozen=True, kw_only=True):
    """A failure; `whole` is its message where that is longer than what stands open."""

    anchor: str
    task: Link | None
    where: str
    at: words.Moment | None
    facts: str
    message: str
    whole: str
    log: LogTail | None
    links: tuple[Link, ...]
    job: Link | None


class Failures(Struct, frozen=True, kw_only=True):
    rows: tuple[FailureView, ...]
    count: int


def read(
    failures: Sequence[FailureMessage],
    tasks: Sequence[TaskMetadata],
    logs: Mapping[str, FileContents],
    gaps: Sequence[Gap],
    making: Making,
) -> Failures:
    """The failures of a job: as it reports them, else those its failed tasks tell of."""
    told = list(failures) or list(_of_tasks(tasks))
    names = {task.name: at for at, task in enumerate(tasks, 1) if task.name}
    missing = {gap.what.removeprefix("log "): gap.why for gap in gaps if gap.what[:4] == "log "}
    seen: set[str] = set()
    rows = []
    for at, failure in enumerate(told[:MOST_FAILURES], 1):
        task = _task(failure.task_name, names)
        log = None
        if failure.backend_log and failure.backend_log not in seen:
            seen.add(failure.backend_log)
            log = _log(logs.get(failure.backend_log), missing.get(failure.backend_log), making)
        row = tasks[task - 1] if task else None
        rows.append(_failure(at, failure, task, row, log, making))
    return Failures(rows=tuple(rows), count=len(told))


def _of_tasks(tasks: Iterable[TaskMetadata]) -> Iterable[FailureMessage]:
    for task in tasks:
        parts: tuple[TaskMetadata | Shard, ...] = (task, *task.shards)
        for part in parts:
            if part.execution_status != "Failed":
                continue
            shard = getattr(part, "shard_index", None)
            for message in part.failure_messages[:1]:
                yield FailureMessage(
                    failure=message,
                    task_name=task.name,
                    timestamp=part.end,
                    backend_log=part.backend_log,
                    call_root=part.call_root,
                    operation_id=part.operation_id,
                    shard_index=shard,
                    job_id=part.job_id,
                )


def _task(name: str | None, names: Mapping[str, int]) -> int | None:
    """The task a failure names, whole or by its last part; servers match by suffix too."""
    if not name:
        return None
    if name in names:
        return names[name]
    return names.get(name.rpartition(".")[2])


def _failure(
    at: int,
    failure: FailureMessage,
    task: int | None,
    row: TaskMetadata | None,
    log: LogTail | None,
    making: Making,
) -> FailureView:
    message = making.budget.take(failure.failure, OPEN_MESSAGE)
    long = len(message) < len(failure.failure)
    name = making.budget.name(failure.task_name or "", 200)
    sharded = failure.shard_index is not None and failure.shard_index >= 0
    return FailureView(
        anchor=addresses.anchor("failure", at),
        task=Link(name, f"#task-{task}" if task else None) if name else None,
        where=f"shard {failure.shard_index}" if sharded else "",
        at=words.when(moment(failure.timestamp), making.facts.zone),
        facts=_facts(failure, row),
        message=message,
        whole=making.budget.take(failure.failure, WHOLE_MESSAGE) if long else "",
        log=log,
        links=making.places(failure.backend_log, failure.call_root, failure.operation_id),
        job=making.job(failure.job_id),
    )


def _facts(failure: FailureMessage, task: TaskMetadata | None) -> str:
    """Attempts and return code, of the shard where one is named."""
    if task is None:
        return ""
    said = []
    shard = next((s for s in task.shards if s.shard_index == failure.shard_index), None)
    attempts = shard.attempts if shard else None if task.shards else task.attempts
    if attempts and attempts > 1:
        said.append(words.plural(attempts, "attempt"))
    if task.return_code is not None:
        said.append(f"return code {task.return_code}")
    return " · ".join(said)


def _log(body: FileContents | None, why_not: str | None, making: Making) -> LogTail | None:
    if body is None:
        said = f"Log could not be read ({why_not})." if why_not else ""
        return LogTail(said="", lines=(), why_not=said) if said else None
    lines = body.contents[-LOG_CHARACTERS:].rstrip("\n").splitlines()
    shown = lines[-LOG_LINES:]
    if not any(line.strip() for line in shown):
        return LogTail(said="", lines=(), why_not="The log is empty.")
    whole = body.truncated in (False, "false", "False") and len(body.contents) <= LOG_CHARACTERS
    if len(shown) == len(lines) and whole:
        said = f"whole log, {words.plural(len(lines), 'line')}"
    elif whole:
        said = f"last {words.number(len(shown))} of {words.number(len(lines))} lines"
    else:
        said = f"last {words.plural(len(shown), 'line')}"
    earlier = lines[:-LOG_LINES]
    return LogTail(
        said=said,
        lines=tuple(_lines(shown, making)),
        earlier=making.budget.take("\n".join(earlier), LOG_CHARACTERS) if earlier else "",
        earlier_said=words.plural(len(earlier), "earlier line"),
    )


def _lines(lines: Iterable[str], making: Making) -> Iterable[LogLine]:
    """Neighbouring lines of one kind together, so that a log is a handful of pieces."""
    pieces: list[tuple[bool, list[str]]] = []
    for line in lines:
        marked = _TELLING.search(line[:2_000]) is not None
        if not pieces or pieces[-1][0] != marked:
            pieces.append((marked, []))
        pieces[-1][1].append(making.budget.take(line, 2_000))
    for marked, piece in pieces:
        yield LogLine("\n".join(piece), marked)
