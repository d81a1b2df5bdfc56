"""Causes in words: a sentence on the largest, how long it lasts, what its jobs have in common."""

from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime, tzinfo

from jmreport.night import NightJob
from jmreport.render import words
from jmreport.report.causes import NO_MESSAGE, NOT_READ, CauseGroup
from jmreport.report.counts import ReportCounts
from jmreport.report.usual import Usual

#: Tasks and labels that are named.
NAMED = 3

CLASS_VERBS = {
    "preempted": "were preempted",
    "out of memory": "ran out of memory",
    "disk full": "ran out of disk space",
    "quota": "met a quota",
    "permission": "were refused permission",
    "missing input": "lacked an input",
    "image": "could not get their image",
    "return code": "ended with an error code",
    "aborted": "were aborted",
    "unknown": "failed with one message",
}
#: The same of one job, where it differs.
_VERBS_OF_ONE = {
    "preempted": "was preempted",
    "permission": "was refused permission",
    "image": "could not get its image",
    "aborted": "was aborted",
    "unknown": "failed with a message of its own",
}
#: What is said where the cause has no title, by the rule that names it: nobody read a message.
WITHOUT_REASON = {
    NO_MESSAGE: "the server gave no reason",
    NOT_READ: "why could not be read",
}


def largest(attention: Sequence[CauseGroup], counts: ReportCounts) -> tuple[str, str, str] | None:
    """A sentence on the largest cause: its beginning, the one workflow ("" for several), its end.

    None where nothing is new, on a first run where nothing fails, and where no cause stands out.
    """
    news = [group for group in attention if group.state in ("new", "failing")]
    if not news:
        return None
    group = max(news, key=lambda group: len(group.new_jobs or group.jobs))
    count = len(group.new_jobs if group.state == "new" else group.jobs)
    total = counts.new if group.state == "new" else counts.failing
    if count == 1 < total:  # no cause stands out where each has one job
        return None
    flow = group.workflows[0] if len(group.workflows) == 1 else ""
    why = "" if group.title else WITHOUT_REASON.get(group.rule, "")
    start = f"{_share(count, total)} {'failed' if why else _verb(group, total)}"
    if not flow and len(group.workflows) > 1:
        start += f" in {words.plural(len(group.workflows), 'workflow')}"
    shared = shared_words(group)
    end = f", all with {shared}" if shared and count > 1 else ""
    return start, flow, f"{end}, and {why}." if why else f"{end}."


def _verb(group: CauseGroup, total: int) -> str:
    verb = CLASS_VERBS[group.cause_class]
    return _VERBS_OF_ONE.get(group.cause_class, verb) if total == 1 else verb


def _share(count: int, total: int) -> str:
    if count == total:
        return "All of them" if total > 1 else "It"
    if count * 2 > total:
        return f"Most of them ({words.number(count)})"
    return f"The most with one cause: {words.number(count)}"


def lasting(group: CauseGroup, now: datetime, zone: tzinfo) -> Iterator[str]:
    """For how many nights the oldest of a group fails, when it succeeded last, and since when its
    cause is known where that is a day before: what is new of the work may be old of the cause."""
    if group.state == "still failing" and group.nights:
        yield words.plural(group.nights, "night")
    success = words.short_when(group.last_success, zone, near=now)
    yield f"last success {success.text}" if success else "no success known"
    first, since = group.first_seen, group.since
    if first and since and first.astimezone(zone).date() < since.astimezone(zone).date():
        seen = words.short_when(first, zone, near=now)
        yield f"cause first seen {seen.text if seen else ''}"


def count(groups: Iterable[CauseGroup]) -> int:
    """How many causes these are: one with new and with old jobs is one, in two groups."""
    return len({group.id for group in groups})


def left_out(shown: Iterable[CauseGroup], rest: Sequence[CauseGroup]) -> str:
    """What is said of causes that are not shown: "3 more causes with 5 jobs, 2 of them new".

    Of a cause that is `shown`, only the jobs that are not: "1 more job of these causes". "" for
    none.
    """
    ids = {group.id for group in shown}
    others = [group for group in rest if group.id not in ids]
    same = [group for group in rest if group.id in ids]
    said = []
    if others:
        said.append(f"{words.plural(count(others), 'more cause')} with {_jobs(others, 'job')}")
    if same:
        of = "of those above" if others else "of these causes"
        said.append(_jobs(same, "more job", of))
    return ", and ".join(said)


def _jobs(groups: Sequence[CauseGroup], noun: str, of: str = "") -> str:
    said = words.plural(sum(len(group.jobs) for group in groups), noun)
    new = sum(len(group.new_jobs) for group in groups)
    told = f"{said} {of}".rstrip()
    return f"{told}, {words.number(new)} of them new" if new else told


def not_run(group: CauseGroup) -> str:
    """How many of a group failed before and did not run in this night; "" where all ran."""
    if not group.not_run:
        return ""
    number = f"{words.number(len(group.not_run))} " if len(group.not_run) < len(group.jobs) else ""
    return f"{number}not run tonight"


def usual_duration(usual: Usual | None) -> str:
    """What a workflow's runs usually take, in a sentence."""
    return "no usual duration yet" if usual is None else f"usually {usual_range(usual)}"


def usual_range(usual: Usual | None) -> str:
    """The same below a heading that says so; "" where nobody knows."""
    if usual is None:
        return ""
    return f"{words.duration(usual.median)} (longest {words.duration(usual.longest)})"


def class_words(of: str) -> str:
    """What kind of cause it is; "" for one of which nobody can say, which is no news."""
    return "" if of == "unknown" else of


def shared_words(group: CauseGroup) -> str:
    """Labels that all jobs of a cause have and others don't: "batch b17"."""
    return words.listed(_pairs(group.shared[:NAMED]))


def whose_words(job: NightJob | None, without: Container[tuple[str, str]] = ()) -> str:
    """Whose a job is, by its labels: "owner li, sample NA12829"; "" where none says.

    `without` are labels with their values, as nights keep them.
    """
    pairs = job.whose if job else ()
    return ", ".join(_pairs([pair for pair in pairs if pair not in without]))


def _pairs(labels: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{words.cut_middle(key, 40)} {words.cut_middle(value, 40)}" for key, value in labels]


def task_words(tasks: Sequence[str]) -> str:
    """Tasks that a cause hits: "task Align"."""
    if not tasks:
        return ""
    shown = ", ".join(words.cut_middle(task, 40) for task in tasks[:NAMED])
    left = len(tasks) - NAMED
    more = f" and {words.number(left)} more task{'' if left == 1 else 's'}" if left > 0 else ""
    return f"{'task' if len(tasks) == 1 else 'tasks'} {shown}{more}"
