"""The page of a job: a flat view made of its record, and the files that come of it.

Only what belongs to the job is shown, so that its page changes when the job does and not when the
night does. Nothing a record holds makes this raise: what does not fit is named and shown raw.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import Struct

from jmreport.calltimes import WAITING_STATUSES
from jmreport.models import JOB_STATUSES
from jmreport.records import Record, is_terminal
from jmreport.render import (
    addresses,
    below,
    jobacts,
    jobattempts,
    jobdetails,
    jobfailures,
    jobhead,
    jobhistory,
    joblogs,
    joboperations,
    jobtasks,
    jobverdict,
    reading,
    shardpages,
    subjobs,
    values,
    words,
)
from jmreport.render.below import FailureBelow
from jmreport.render.jobacts import Acts
from jmreport.render.jobdetails import Events
from jmreport.render.jobfacts import Link, Making, SiteFacts, site_facts
from jmreport.render.jobfailures import Failures
from jmreport.render.jobhead import Fact, Gaps, Labels
from jmreport.render.jobhistory import History
from jmreport.render.joboperations import OperationView
from jmreport.render.jobtasks import Tasks
from jmreport.render.jobverdict import Verdict
from jmreport.render.reading import Reading
from jmreport.render.shardpages import ShardsPage
from jmreport.render.subjobs import SubJobs
from jmreport.render.theme import Theme
from jmreport.render.timing import MOST_BARS, Timing, timing
from jmreport.render.values import Budget, Values
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings

#: What a job's page is printed with.
TEMPLATES = (
    "job.html", "base.html", "top.html", "macros.html", "jobparts.html", "timing.html",
    "below.html", "jobfailures.html", "joboperations.html", "icons.svg",
)  # fmt: skip
#: Bytes of a server's text on a page, as HTML; what is beyond is in the raw JSON.
PAGE_TEXT = 290_000
_RAW_CHARACTERS = 60_000
#: Bytes of raw JSON beyond which it is one line.
_LARGEST_INDENTED = 4_000_000


class JobPage(Struct, frozen=True, kw_only=True):
    """What job.html prints, in its order."""

    address: str
    title: str
    name: str
    short_id: str
    status: words.StatusWord
    crumbs: tuple[Link, ...]
    verdict: Verdict
    attempts: jobattempts.Attempts | None
    history: History | None
    cause_href: str
    cause_said: str
    notices: tuple[str, ...]
    gaps: Gaps
    facts: tuple[Fact, ...]
    parent: Link | None
    labels: Labels
    acts: Acts | None
    failed_below: tuple[FailureBelow, ...]
    failures: Failures
    timing: Timing | None
    tasks: Tasks
    no_tasks: str
    array: jobattempts.Tasks | None
    children: SubJobs
    tables: tuple[Values, ...]
    operations: tuple[OperationView, ...]
    operations_not_asked: str
    events: Events
    misfits: tuple[values.Value, ...]
    raw: str
    raw_href: str
    as_of: words.Moment | None
    #: Made one at a time, and only once.
    shards: Iterator[ShardsPage]


def pages(
    record: Record,
    context: JobContext,
    *,
    theme: Theme,
    settings: Settings,
    facts: SiteFacts | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Addresses and bytes of a job: its raw JSON, pages of its large scatters, then its page.

    `facts` say which labels and workflows have pages; without them none is linked.
    """
    page = view(record, context, facts or site_facts(settings))
    yield addresses.job_raw(record.id), raw_json(record)
    for shards in page.shards:
        made = theme.file("shards.html", shards, address=shards.address, as_of=page.as_of)
        yield shards.address, made
    yield page.address, theme.file("job.html", page, address=page.address, as_of=page.as_of)


def raw_json(record: Record) -> bytes:
    """The record as it is stored, one value a line unless it is huge; same record, same bytes."""
    encoded = msgspec.json.encode(record)
    if len(encoded) > _LARGEST_INDENTED:  # it would be three times as large in memory, and on disk
        return encoded
    return msgspec.json.format(encoded, indent=1) + b"\n"


def view(record: Record, context: JobContext, facts: SiteFacts) -> JobPage:
    """The page of a job, also of one whose detail could not be read."""
    read = reading.read(record)
    making = _making(record, context, facts, read)
    row, detail = context.entry.row, read.detail
    job_tasks = detail.extensions.tasks if detail else ()
    # The page's room is given in this order: what matters most is cut last.
    read_at = _read_at(context.entry.run)
    failed_below = below.failures(job_tasks, context, making)
    failures = jobfailures.read(record, read, making)
    operations = joboperations.read(read.operations, making)
    children = subjobs.read(row, job_tasks, context, making)
    tables = jobdetails.tables(record, read, making)
    misfits = jobdetails.misfits(read, making)
    events = jobdetails.events(read, making)
    tasks = jobtasks.read(job_tasks, read, making)
    parts = jobtasks.parts(job_tasks)
    own = {
        task.name: f"#task-{at}"
        for at, task in enumerate(job_tasks, 1)
        if task.name and at in parts
    }
    anchors = below.began(context, making) | own
    name = words.cut_middle(row.name or row.id, jobdetails.LONG_NAME)
    status = words.status(row.counts_as)
    return JobPage(
        address=making.address,
        title=f"{status.text}: {words.cut_middle(row.name or 'job', 80)} {making.short_id}",
        name=name,
        short_id=making.short_id,
        status=status,
        crumbs=jobhead.crumbs(context, making),
        verdict=jobverdict.verdict(
            context,
            tasks.ordered,
            anchors,
            readable=detail is not None,
            status_detail=bool(failures.status_detail),
        ),
        attempts=jobattempts.attempts(context, making),
        history=jobhistory.history(context, making),
        cause_href=making.link(addresses.cause(context.cause))
        if context.cause and row.listed
        else "",
        cause_said=jobverdict.same_cause(row),
        notices=jobhead.notices(record, context, making),
        gaps=jobhead.gaps(record),
        facts=jobhead.facts(record, context, read, making),
        parent=jobhead.parent(context, making),
        labels=jobhead.labels(read, making),
        acts=jobacts.acts(context, facts.actions, facts.commands_need),
        failed_below=failed_below,
        failures=failures,
        timing=_timing(tasks, context, read_at, making),
        tasks=tasks,
        no_tasks="" if job_tasks or detail is None or context.array else _no_tasks(record),
        array=jobattempts.tasks(context, making),
        children=children,
        tables=tables,
        operations=operations,
        operations_not_asked=joblogs.operations_not_asked(record.notes),
        events=events,
        misfits=misfits,
        raw=_raw(record, read),
        raw_href=making.link(addresses.job_raw(record.id)),
        as_of=words.when(read_at, facts.zone),
        shards=shardpages.pages(tasks.scatters, making),
    )


def _making(record: Record, context: JobContext, facts: SiteFacts, read: Reading) -> Making:
    row = context.entry.row
    jobs = {child.id: child.name for child in context.children}
    if context.parent:
        jobs[context.parent.id] = context.parent.name
    return Making(
        id=record.id,
        short_id=words.cut_end(context.short_id or record.id[:8], 60),
        address=addresses.job(record.id),
        facts=facts,
        budget=Budget(PAGE_TEXT),
        near=row.submission or row.start,
        jobs=jobs,
        operations={name: f"operation-{at}" for at, name in enumerate(read.operations, 1)},
        unread=frozenset(subjobs.unread(row, read.detail, context)),
        until=_until(record, context),
        over=is_terminal(row.status),
        sure=row.status in JOB_STATUSES and not context.last_seen and not record.detail_from,
    )


def _no_tasks(record: Record) -> str:
    """Why there are no tasks: a server that has them may know of none for this job."""
    extensions = record.detail.get("extensions") if isinstance(record.detail, dict) else None
    if isinstance(extensions, dict) and "tasks" in extensions:
        return "No tasks: the server knows of none for this job."
    return "No tasks: the server's answer names none."


@lru_cache(maxsize=64)
def _read_at(run: str) -> datetime | None:
    """When the newest record was read: the now of its run, which is its run's name."""
    try:
        return datetime.strptime(run, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _until(record: Record, context: JobContext) -> datetime | None:
    """When a job that goes on was last seen, as its own duration is told; None of tasks of an
    earlier reading, of which nobody knows whether they go on."""
    row = context.entry.row
    since = row.submission if row.status in WAITING_STATUSES else row.start
    if record.detail_from or context.active_for is None or since is None:
        return None
    return since + context.active_for


def _timing(
    tasks: Tasks, context: JobContext, read_at: datetime | None, making: Making
) -> Timing | None:
    row = context.entry.row
    calls = below.drawn(tasks.ordered, context, making)
    return timing(
        calls,
        start=row.start,
        end=None if making.until else row.end,
        read_at=making.until or read_at,
        going=making.until is not None,
        zone=making.facts.zone,
        most_spells=making.budget.rows(sum(len(task.calls) for task in calls), MOST_BARS),
    )


def _raw(record: Record, read: Reading) -> str:
    """The raw JSON on the page itself, where nothing else can be made of it."""
    if read.detail is not None or record.detail is None:
        return ""
    return Budget(_RAW_CHARACTERS).take(values.pretty(record.detail), _RAW_CHARACTERS)
