"""The sentence that says how a job stands and why: only from facts that are there."""

import re
from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from jmreport.models import Shard, TaskMetadata, is_failure
from jmreport.records import JobRow
from jmreport.render import words
from jmreport.render.calls import Call
from jmreport.render.causewords import WITHOUT_REASON
from jmreport.report.causes import NO_MESSAGE, NOT_READ
from jmreport.report.jobs import JobContext

_CAUSES = {
    "preempted": "its machine was preempted",
    "out of memory": "ran out of memory",
    "disk full": "ran out of disk space",
    "quota": "hit a quota",
    "permission": "was refused permission",
    "missing input": "did not find an input",
    "image": "could not get its container image",
}
#: Characters of a message that a sentence still holds.
_QUOTE = 220


_DIGIT = re.compile(r"\d")
#: A task, where it is told of, and its runs.
Task = tuple[TaskMetadata, str, tuple[Call, ...]]


class Verdict(Struct, frozen=True, kw_only=True):
    """`before`, then `task` (linked to `href`), then `after`, then `quote` verbatim in mono."""

    before: str
    task: str = ""
    href: str = ""
    after: str = ""
    quote: str = ""


def verdict(
    context: JobContext,
    tasks: Sequence[Task],
    anchors: dict[str, str],
    *,
    readable: bool,
    status_detail: bool = False,
) -> Verdict:
    """How the job stands; `anchors` maps a task's name to where it is told of.

    `status_detail` says that the page shows a word of the server's on a job without a failure.
    """
    row = context.entry.row
    if row.status == "Failed":
        return _failed(context, tasks, anchors, status_detail=status_detail)
    if not row.readable and row.status in ("Succeeded", "Aborted"):
        return Verdict(before=_listed(row))
    done = f"{_tasks(row)}." if readable and row.tasks else ""
    if row.status == "Succeeded":
        return Verdict(before=f"Succeeded{_after(row.took, 'in')}. {done}".rstrip())
    if row.status == "Aborted":
        return Verdict(before=f"Aborted{_after(row.took, 'after')}. {done}".rstrip())
    if row.status in ("Running", "Aborting"):
        state = "running" if row.status == "Running" else "being aborted"
        where = f", in {words.cut_middle(row.where, 120)}" if row.where else ""
        said = f"{state}{_so_long(context)} when last read{where}{_usually(context)}."
        return Verdict(
            before=f"{_stuck(context, said)}{_unjudged(context)} {_progress(tasks)}".rstrip()
        )
    if row.status == "Submitted":
        said = f"submitted, and not started{_so_long(context)} when last read."
        return Verdict(before=_stuck(context, said))
    if row.status == "OnHold":
        said = f"on hold{_so_long(context)}: the server starts it when it is released."
        return Verdict(before=_stuck(context, said))
    if row.status == "Unknown":
        return Verdict(before="Nobody can say how it stands: the server gave no status.")
    return Verdict(before="The server gave a status that this report does not know.")


def _listed(row: JobRow) -> str:
    """How a job ended by the list alone: it counts as unknown."""
    ended = {"Succeeded": "succeeded", "Aborted": "was aborted"}[row.status]
    after = _after(row.took, "in" if row.status == "Succeeded" else "after")
    why = "could not be read" if row.unread else "do not fit the API"
    return f"By the list it {ended}{after}; its details {why}."


def same_cause(row: JobRow) -> str:
    """What a failed job calls the page of its cause: no cause is the same where none was told."""
    if row.failure:
        return "Jobs with the same cause"
    return "Others that could not be read" if row.unread else "Others without a reason"


def _stuck(context: JobContext, said: str) -> str:
    return f"Stuck: {said}" if context.stuck else said[:1].upper() + said[1:]


def _unjudged(context: JobContext) -> str:
    if not context.unjudged:
        return ""
    return (
        " Nobody can say whether that is long: its workflow has too few successful runs for a "
        "baseline."
    )


def _so_long(context: JobContext) -> str:
    return f" for {words.duration(context.active_for)}" if context.active_for else ""


def _usually(context: JobContext) -> str:
    if not context.stuck or context.usual is None:
        return ""
    return f"; such jobs usually take {words.duration(context.usual.median)}"


def _failed(
    context: JobContext, tasks: Sequence[Task], anchors: dict[str, str], *, status_detail: bool
) -> Verdict:
    row, failure = context.entry.row, context.entry.row.failure
    lead = f"Failed{_after(row.took, 'after')}"
    if failure is None:
        why = "" if status_detail else f": {WITHOUT_REASON[NOT_READ if row.unread else NO_MESSAGE]}"
        return Verdict(before=f"{lead}{why}.")
    name = failure.task or ""
    where = f", shard {failure.shard}," if failure.shard is not None and failure.shard >= 0 else ""
    tries = _tries(name, failure.shard, tasks)
    did = _CAUSES.get(context.cause_class or "")
    message = words.cut_middle(" ".join(failure.message.split()), _QUOTE)
    if did and name:
        return Verdict(
            before=f"{lead}: ",
            task=words.cut_middle(name, 120),
            href=anchors.get(name, ""),
            after=f"{where} {did}{tries}.",
            quote=message,
        )
    if name:
        after = f"{where.rstrip(',')}{',' if where and tries else ''}{tries}:"
        return Verdict(
            before=f"{lead} in ",
            task=words.cut_middle(name, 120),
            href=anchors.get(name, ""),
            after=after,
            quote=message,
        )
    return Verdict(before=f"{lead}:", quote=message)


def _after(took: timedelta | None, word: str) -> str:
    return f" {word} {words.duration(took)}" if took is not None else ""


def _tries(name: str, shard: int | None, tasks: Sequence[Task]) -> str:
    """On which of its attempts the failed task or shard failed so; "" where it ran once, or the
    server does not say how often.

    The failure is that of the last one: those before it may have been preempted.
    """
    for task, _, calls in tasks:
        if task.name != name or not is_failure(task.execution_status):
            continue
        scattered = bool(task.shards)
        own = next((one for one in task.shards if one.shard_index == shard), None)
        row = own if scattered else task
        if row is None or (row.attempts or 0) < 2:
            return ""
        found = [call for call in calls if not scattered or call.shard == shard]
        which = "all" if _alike(row, found) else "the last of"
        return f" on {which} {words.number(row.attempts or 0)} attempts"
    return ""


def _alike(row: TaskMetadata | Shard, calls: Sequence[Call]) -> bool:
    """Whether every attempt is known, and failed with the same message."""
    said = {_gist(row, call) for call in calls}
    return (
        len({call.attempt for call in calls}) == row.attempts and len(said) == 1 and "" not in said
    )


def _gist(row: TaskMetadata | Shard, call: Call) -> str:
    """An attempt's message without names that hold a number, as places and its own do; "" where it
    did not fail, or says nothing."""
    last = call.attempt == row.attempts
    told = call.data.failure_messages if call.data else row.failure_messages if last else ()
    parts = told[0].split() if told and is_failure(call.status) else []
    return " ".join(p for p in parts if p.strip(".,:;()").isdigit() or not _DIGIT.search(p))


def _tasks(row: JobRow) -> str:
    said = [words.plural(row.tasks, "task")]
    if row.shards:
        said.append(words.plural(row.shards, "shard"))
    if row.cached:
        said.append(f"{words.number(row.cached)} from the call cache")
    if row.retries:
        said.append(words.plural(row.retries, "retry", "retries"))
    if row.preempted:
        said.append(words.plural(row.preempted, "preemption"))
    return ", ".join(said)


def _progress(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    done = sum(1 for task, _, _ in tasks if task.execution_status == "Succeeded")
    return f"{words.number(done)} of {words.plural(len(tasks), 'task')} succeeded."
