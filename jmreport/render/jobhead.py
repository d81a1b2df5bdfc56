"""The head of a job's page: where it belongs, what could not be read, and its facts."""

from msgspec import Struct

from jmreport.models import ExtendedFields
from jmreport.records import Record, moment
from jmreport.render import addresses, lacks, values, words
from jmreport.render.jobfacts import Link, Making
from jmreport.render.lacks import Lacks
from jmreport.render.reading import Reading
from jmreport.report.jobs import JobContext

#: Chips at the head, and gaps that stand open; the others are one click away.
MOST_LABELS = 40
MOST_GAPS = 10
_EVERY_GAP = 500


class Fact(Struct, frozen=True, kw_only=True, gc=False):
    """A fact of the grid; `when` instead of `text` for a time, `note` beside it in grey.

    Without either a dash is seen, and `lacks` is heard.
    """

    name: str
    text: str = ""
    when: words.Moment | None = None
    note: str = ""
    mono: bool = False
    lacks: str = lacks.NOT_KNOWN


class Label(Struct, frozen=True, gc=False):
    """A label as a chip; linked where its key has a page."""

    key: str
    text: str
    href: str | None


class Labels(Struct, frozen=True, kw_only=True):
    """The chips; `left_out` are in the table of labels below."""

    chips: tuple[Label, ...]
    left_out: int


class Gaps(Struct, frozen=True, kw_only=True):
    """What could not be read of the job: `rows` open, `more` closed, `left_out` not shown."""

    rows: tuple[str, ...]
    more: tuple[str, ...]
    left_out: int


def crumbs(context: JobContext, making: Making) -> tuple[Link, ...]:
    """The way here: the overview, the workflow or the jobs, the parent job."""
    row = context.entry.row
    way = [Link("Overview", making.link(addresses.OVERVIEW))]
    if row.name in making.facts.workflows:
        way.append(Link(words.cut_middle(row.name, 60), making.link(addresses.workflow(row.name))))
    elif row.name:
        way.append(Link("Jobs", making.link(addresses.JOBS)))
    if context.parent:
        name = words.cut_middle(context.parent.name or context.parent.id, 60)
        way.append(Link(name, making.link(addresses.job(context.parent.id))))
    return tuple(way)


def parent(context: JobContext, making: Making) -> Link | None:
    """The job that started this one, linked where it is known."""
    row = context.entry.row
    if context.parent:
        name = words.cut_middle(context.parent.name or context.parent.id, 80)
        return Link(name, making.link(addresses.job(context.parent.id)))
    return Link(words.cut_middle(row.parent, 80), None) if row.parent else None


def notices(record: Record, context: JobContext, making: Making) -> tuple[str, ...]:
    """What a reader must know before believing the page."""
    said = []
    if record.detail is None and record.row is None:
        said.append("Nothing is known of it but that its parent job names it.")
    elif record.detail is None:
        said.append("The job's detail could not be read; what is shown comes from the list.")
    if making.unread:
        said.append(_not_read(making.unread, context))
    if lacking := len({each.id for each in context.blamed_below}):
        were = "was" if lacking == 1 else "were"
        said.append(
            f"{words.plural(lacking, 'sub-job')} of its failed sub-workflows {were} not read."
        )
    if record.detail_from:
        said.append(
            "The job's detail could not be read again; tasks, inputs and outputs are those of an "
            "earlier reading, and the status is the list's."
        )
    if context.last_seen:
        seen = words.when(context.last_seen, making.facts.zone)
        what = "The server no longer knows this job."
        if context.silent:
            what = "The server no longer lists this job as active, and could not tell how it ended."
        said.append(f"{what} Last seen {seen.text if seen else 'earlier'}.")
    return tuple(said)


def _not_read(unread: frozenset[str], context: JobContext) -> str:
    every = unread.union(context.entry.row.children, (child.id for child in context.children))
    if len(every) == 1:
        return "Its sub-job was not read."
    were = "was" if len(unread) == 1 else "were"
    return (
        f"{words.number(len(unread))} of its {words.number(len(every))} sub-jobs {were} not read."
    )


def gaps(record: Record) -> Gaps:
    """Every gap of the job with its reason; the first ones open."""
    said = tuple(
        f"{words.cut_middle(gap.what, 300)}: {words.cut_middle(gap.why, 600)}"
        for gap in record.gaps[:_EVERY_GAP]
    )
    return Gaps(
        rows=said[:MOST_GAPS],
        more=said[MOST_GAPS:],
        left_out=max(0, len(record.gaps) - _EVERY_GAP),
    )


def facts(record: Record, context: JobContext, read: Reading, making: Making) -> tuple[Fact, ...]:
    """Times, user and id; how long such jobs usually take; how many dates are odd, secrets gone."""
    row, zone = context.entry.row, making.facts.zone
    wait = row.start - row.submission if row.start and row.submission else None
    source = read.detail or read.row
    extensions = source.extensions if source else ExtendedFields()
    found = [
        Fact(name="Submitted", when=words.when(row.submission, zone)),
        Fact(
            name="Started",
            when=words.when(row.start, zone),
            note=f"{words.duration(wait)} after submission" if wait else "",
            lacks=_lacks(context).start,
        ),
        Fact(name="Ended", when=words.when(row.end, zone), lacks=_lacks(context).end),
        _took(context),
        Fact(name="User", text=words.cut_middle(row.user or extensions.user_id or "", 120)),
        Fact(name="Job ID", text=words.cut_middle(row.id, 400), mono=True),
    ]
    if extensions.last_update:
        updated = words.when(moment(extensions.last_update), zone)
        found.append(Fact(name="Last update", when=updated, text=extensions.last_update[:60]))
    if row.odd_dates:
        note = "without a zone and read as UTC, empty or unreadable; the raw JSON has them"
        found.append(Fact(name="Odd dates", text=words.number(row.odd_dates), note=note))
    if record.taken_out:
        text = words.plural(record.taken_out, "value")
        note = "secret or private, before anything was stored; [taken out] or hash: in its place"
        found.append(Fact(name="Taken out", text=text, note=note))
    return tuple(found)


def _took(context: JobContext) -> Fact:
    row = context.entry.row
    if row.start and row.end and row.end < row.start:
        return Fact(name="Took", note="the server says that it ended before it started")
    if context.active_for is not None and row.start:
        said = words.so_far(words.duration(context.active_for))
        return Fact(name="Took", text=said, note=_usual(context))
    lack = _lacks(context)
    return Fact(
        name="Took",
        text=words.duration(row.took),
        note=_usual(context),
        lacks=lack.end if row.start else lack.start,
    )


def _lacks(context: JobContext) -> Lacks:
    return lacks.of(context.entry.row.status, sure=context.last_seen is None)


def _usual(context: JobContext) -> str:
    usual, row = context.usual, context.entry.row
    if usual is None:
        return "no usual duration yet" if row.took and not row.parent else ""
    return f"usually {words.duration(usual.median)}, of {words.plural(usual.runs, 'run')}"


def labels(read: Reading, making: Making) -> Labels:
    """The job's labels as chips, in the server's order."""
    source = read.detail or read.row
    held = source.labels if source else {}
    known = making.facts.labels
    chips = tuple(
        Label(
            words.cut_middle(key, 80),
            words.cut_middle(values.plain(content), 120),
            making.link(addresses.label(key)) if key in known else None,
        )
        for key, content in list(held.items())[:MOST_LABELS]
    )
    return Labels(chips=chips, left_out=len(held) - len(chips))
