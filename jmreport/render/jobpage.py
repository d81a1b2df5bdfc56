"""The page of a job: a flat view made of its record, and the files that come of it.

Only what belongs to the job is shown, so that its page changes when the job does and not when the
night does. Nothing a record holds makes this raise: what does not fit is named and shown raw.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from jmreport.models import (
    ExtendedFields,
    FailureMessage,
    JobMetadataResponse,
    Shard,
    TaskMetadata,
)
from jmreport.records import JobRow, Record, moment
from jmreport.render import (
    addresses,
    jobfailures,
    joboperations,
    jobtasks,
    jobverdict,
    reading,
    shardpages,
    values,
    words,
)
from jmreport.render.jobfacts import Link, Making, SiteFacts, site_facts
from jmreport.render.jobfailures import Failures
from jmreport.render.joboperations import OperationView
from jmreport.render.jobtasks import Tasks
from jmreport.render.jobverdict import Verdict
from jmreport.render.reading import Reading
from jmreport.render.shardpages import ShardsPage
from jmreport.render.theme import Theme
from jmreport.render.timing import MOST_BARS, TaskCalls, Timing, timing
from jmreport.render.values import Budget, Values
from jmreport.report import JobContext
from jmreport.settings import Settings

#: Bytes of a server's text on a page, as HTML; what is beyond is in the raw JSON.
PAGE_TEXT = 300_000
_RAW_CHARACTERS = 60_000
#: Bytes of raw JSON beyond which it is one line.
_LARGEST_INDENTED = 4_000_000
_MOST_CHILDREN = 300
#: Longer names are cut in the heading and stand whole among the details.
_LONG_NAME = 200


class Fact(Struct, frozen=True, kw_only=True):
    """A fact of the grid; `when` instead of `text` for a time, `note` beside it in grey."""

    name: str
    text: str = ""
    when: words.Moment | None = None
    note: str = ""
    mono: bool = False


class Label(Struct, frozen=True):
    """A label as a chip; linked where its key has a page."""

    key: str
    text: str
    href: str | None


class Child(Struct, frozen=True, kw_only=True):
    """A sub-job: `status` is None where it could not be read."""

    job: Link
    name: str
    status: words.StatusWord | None
    started: words.Moment | None
    took: str
    message: str


class EventLine(Struct, frozen=True):
    at: words.Moment | None
    text: str


class JobPage(Struct, frozen=True, kw_only=True):
    """What job.html prints, in its order."""

    address: str
    title: str
    name: str
    short_id: str
    status: words.StatusWord
    crumbs: tuple[Link, ...]
    verdict: Verdict
    notices: tuple[str, ...]
    gaps: tuple[str, ...]
    facts: tuple[Fact, ...]
    parent: Link | None
    labels: tuple[Label, ...]
    failures: Failures
    timing: Timing | None
    tasks: Tasks
    no_tasks: str
    children: tuple[Child, ...]
    children_left_out: int
    tables: tuple[Values, ...]
    operations: tuple[OperationView, ...]
    events: tuple[EventLine, ...]
    events_left_out: int
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
        html = theme.render("shards.html", shards, address=shards.address, as_of=page.as_of)
        yield shards.address, html.encode()
    yield (
        page.address,
        theme.render("job.html", page, address=page.address, as_of=page.as_of).encode(),
    )


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
    read_at = _read_at(context)
    failures = jobfailures.read(record, read, making)
    operations = joboperations.read(read.operations, making)
    children = _children(row, job_tasks, context, making)
    tables = tuple(_tables(record, read, making))
    misfits = _misfits(read, making)
    events = _events(read, making)
    tasks = jobtasks.read(job_tasks, read, making)
    anchors = {task.name: f"#task-{at}" for at, task in enumerate(job_tasks, 1) if task.name}
    name = words.cut_middle(row.name or row.id, _LONG_NAME)
    status = words.status(row.status)
    return JobPage(
        address=making.address,
        title=f"{status.text}: {words.cut_middle(row.name or 'job', 80)} {making.short_id}",
        name=name,
        short_id=making.short_id,
        status=status,
        crumbs=_crumbs(row, context, making),
        verdict=jobverdict.verdict(context, job_tasks, anchors, readable=detail is not None),
        notices=_notices(record, context, making),
        gaps=tuple(f"{gap.what}: {gap.why}" for gap in record.gaps[:50]),
        facts=_facts(record, context, read, making),
        parent=_parent(row, context, making),
        labels=_labels(read, making),
        failures=failures,
        timing=_timing(tasks, row, read_at, making),
        tasks=tasks,
        no_tasks=""
        if job_tasks or detail is None
        else "No tasks: this server does not report them.",
        children=children,
        children_left_out=max(0, len(context.children) - _MOST_CHILDREN),
        tables=tables,
        operations=operations,
        events=events,
        events_left_out=_event_count(read) - len(events),
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
    )


def _read_at(context: JobContext) -> datetime | None:
    """When the newest record was read: the now of its run, which is its run's name."""
    try:
        return datetime.strptime(context.entry.run, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _crumbs(row: JobRow, context: JobContext, making: Making) -> tuple[Link, ...]:
    crumbs = [Link("Overview", making.link(addresses.OVERVIEW))]
    if row.name in making.facts.workflows:
        crumbs.append(
            Link(words.cut_middle(row.name, 60), making.link(addresses.workflow(row.name)))
        )
    elif row.name:
        crumbs.append(Link("Jobs", making.link(addresses.JOBS)))
    if context.parent:
        name = words.cut_middle(context.parent.name or context.parent.id, 60)
        crumbs.append(Link(name, making.link(addresses.job(context.parent.id))))
    return tuple(crumbs)


def _parent(row: JobRow, context: JobContext, making: Making) -> Link | None:
    if context.parent:
        name = words.cut_middle(context.parent.name or context.parent.id, 80)
        return Link(name, making.link(addresses.job(context.parent.id)))
    return Link(words.cut_middle(row.parent, 80), None) if row.parent else None


def _notices(record: Record, context: JobContext, making: Making) -> tuple[str, ...]:
    said = []
    if record.detail is None:
        said.append("The job's detail could not be read; what is shown comes from the list.")
    if record.detail_from:
        said.append(
            "The job's detail could not be read again; tasks, inputs and outputs are those of an "
            "earlier reading, and the status is the list's."
        )
    if context.last_seen:
        seen = words.when(context.last_seen, making.facts.zone)
        said.append(
            f"The server no longer knows this job. Last seen {seen.text if seen else 'earlier'}."
        )
    return tuple(said)


def _facts(record: Record, context: JobContext, read: Reading, making: Making) -> tuple[Fact, ...]:
    row, zone = context.entry.row, making.facts.zone
    wait = row.start - row.submission if row.start and row.submission else None
    facts = [
        Fact(name="Submitted", when=words.when(row.submission, zone)),
        Fact(
            name="Started",
            when=words.when(row.start, zone),
            note=f"{words.duration(wait)} after submission" if wait else "",
        ),
        Fact(name="Ended", when=words.when(row.end, zone)),
        Fact(name="Took", text=words.duration(row.took), note=_usual(context)),
    ]
    source = read.detail or read.row
    extensions = source.extensions if source else ExtendedFields()
    user = row.user or extensions.user_id
    facts.append(Fact(name="User", text=words.cut_middle(user or "", 120)))
    facts.append(Fact(name="Job ID", text=words.cut_middle(row.id, 400), mono=True))
    if extensions.last_update:
        facts.append(
            Fact(name="Last update", when=words.when(moment(extensions.last_update), zone))
        )
    if record.taken_out:
        text = words.plural(record.taken_out, "secret")
        facts.append(Fact(name="Taken out", text=text, note="before anything was stored"))
    return tuple(facts)


def _usual(context: JobContext) -> str:
    usual, row = context.usual, context.entry.row
    if usual is None:
        return "no usual duration yet" if row.took and not row.parent else ""
    return f"usually {words.duration(usual.median)}, of {words.plural(usual.runs, 'run')}"


def _labels(read: Reading, making: Making) -> tuple[Label, ...]:
    source = read.detail or read.row
    held = source.labels if source else {}
    known = making.facts.labels
    return tuple(
        Label(
            words.cut_middle(key, 80),
            words.cut_middle(values.plain(content), 120),
            making.link(addresses.label(key)) if key in known else None,
        )
        for key, content in list(held.items())[:40]
    )


def _timing(tasks: Tasks, row: JobRow, read_at: datetime | None, making: Making) -> Timing | None:
    calls = [
        TaskCalls(
            name=task.name or "(no name)",
            href=f"#{anchor}",
            status=task.execution_status or "",
            calls=found,
            cached=task.call_cached,
        )
        for task, anchor, found in tasks.ordered
    ]
    return timing(
        calls,
        start=row.start,
        end=row.end,
        read_at=read_at,
        zone=making.facts.zone,
        most_spells=making.budget.rows(sum(len(task.calls) for task in calls), MOST_BARS),
    )


def _children(
    row: JobRow, tasks: Iterable[TaskMetadata], context: JobContext, making: Making
) -> tuple[Child, ...]:
    """Sub-jobs, failed ones first; those that could not be read at the end."""
    known = sorted(context.children, key=lambda child: child.status != "Failed")
    found = [
        Child(
            job=Link(child.id[:8], making.link(addresses.job(child.id))),
            name=words.cut_middle(child.name, 120),
            status=words.status(child.status),
            started=making.short(child.start),
            took=words.duration(child.took),
            message=words.cut_middle(child.failure.message, 200) if child.failure else "",
        )
        for child in known[:_MOST_CHILDREN]
    ]
    named = [task.job_id for task in tasks if task.job_id]
    named += [shard.job_id for task in tasks for shard in task.shards if shard.job_id]
    ids = {child.id for child in context.children}
    for job_id in dict.fromkeys((*row.children, *named)):
        if job_id not in ids and len(found) < _MOST_CHILDREN:
            link = Link(words.cut_middle(job_id, 80), None)
            found.append(
                Child(job=link, name="", status=None, started=None, took="", message="Not read.")
            )
    return tuple(found)


def _tables(record: Record, read: Reading, making: Making) -> Iterator[Values]:
    """The closed parts at the end: each property of the API has its own title."""
    source = read.detail or read.row
    if source is None:
        return
    extensions = source.extensions
    detail = read.detail
    held: list[tuple[str, Mapping[str, Any]]] = [
        ("Name", {"name": source.name} if len(source.name or "") > _LONG_NAME else {}),
        ("Inputs", detail.inputs if detail else {}),
        ("Outputs", detail.outputs if detail else {}),
        ("Labels", source.labels),
        ("Environment", extensions.envs),
        ("Logs", extensions.logs),
        ("Source file", {"sourceFile": extensions.source_file} if extensions.source_file else {}),
        (
            "Status detail",
            {"statusDetail": extensions.status_detail} if extensions.status_detail else {},
        ),
        ("Other fields of this server", _unknown(record, read)),
    ]
    for title, mapping in held:
        table = values.table(
            addresses.slug(title),
            title,
            mapping,
            links=making.facts.links,
            budget=making.budget,
        )
        if table:
            yield table


def _unknown(record: Record, read: Reading) -> dict[str, Any]:
    """What the server sent beyond the API, by its path."""
    tree = record.detail if read.detail else record.row
    found: dict[str, Any] = {}
    _beyond(tree, JobMetadataResponse, "", found)
    if isinstance(tree, dict):
        extensions = tree.get("extensions")
        _beyond(extensions, ExtendedFields, "extensions.", found)
        _each(tree.get("failures"), FailureMessage, "failures", found)
        tasks = extensions.get("tasks") if isinstance(extensions, dict) else None
        _each(tasks, TaskMetadata, "extensions.tasks", found)
        for at, task in enumerate(tasks if isinstance(tasks, list) else ()):
            shards = task.get("shards") if isinstance(task, dict) else None
            _each(shards, Shard, f"extensions.tasks[{at}].shards", found)
    return found


_KNOWN: dict[type[Struct], frozenset[str]] = {
    model: frozenset(field.encode_name for field in fields(model))
    for model in (JobMetadataResponse, ExtendedFields, FailureMessage, TaskMetadata, Shard)
}


def _beyond(tree: Any, model: type[Struct], path: str, found: dict[str, Any]) -> None:
    if isinstance(tree, dict) and not _KNOWN[model].issuperset(tree):
        for key in tree.keys() - _KNOWN[model]:
            found[f"{path}{key}"] = tree[key]


def _each(trees: Any, model: type[Struct], path: str, found: dict[str, Any]) -> None:
    for at, tree in enumerate(trees if isinstance(trees, list) else ()):
        if len(found) >= values.MOST_ROWS:
            return
        _beyond(tree, model, f"{path}[{at}].", found)


def _events(read: Reading, making: Making) -> tuple[EventLine, ...]:
    source = read.detail or read.row
    events = source.extensions.events if source else ()
    return tuple(
        EventLine(
            words.when(moment(event.time), making.facts.zone),
            making.budget.take(event.content or "", 2_000),
        )
        for event in events[: making.budget.rows(len(events), values.MOST_ROWS)]
    )


def _event_count(read: Reading) -> int:
    source = read.detail or read.row
    return len(source.extensions.events) if source else 0


def _misfits(read: Reading, making: Making) -> tuple[values.Value, ...]:
    return tuple(
        values.value(
            f"{misfit.path}: {misfit.why}",
            misfit.value,
            links=making.facts.links,
            budget=making.budget,
        )
        for misfit in read.misfits
    )


def _raw(record: Record, read: Reading) -> str:
    """The raw JSON on the page itself, where nothing else can be made of it."""
    if read.detail is not None or record.detail is None:
        return ""
    return Budget(_RAW_CHARACTERS).take(values.pretty(record.detail), _RAW_CHARACTERS)
