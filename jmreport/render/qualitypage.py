"""The page of data quality: what was asked, what failed, and what is odd about what came."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from jmreport.gaps import Gap
from jmreport.records import Operation, Run
from jmreport.render import addresses, filtered, following, serverfacts, verdict, words
from jmreport.render.joblists import Lists
from jmreport.render.leads import Link
from jmreport.render.page import Page, digest
from jmreport.render.serverfacts import ServerFacts
from jmreport.report import Report
from jmreport.report.counts import StatusSplit
from jmreport.report.labels import FrameDifference, LabelReport
from jmreport.report.quality import Quality

#: Gaps shown in the table; all of them are in data/report.json, which the page says.
GAPS = 1000
#: Runs that brought nothing shown, the newest: cron may try again every few minutes.
FAILED_RUNS = 100
#: Values shown of each label in each time frame as the server counts them.
SERVER_COUNTS = 50


class OperationRow(Struct, frozen=True, kw_only=True):
    """An operation of the API and how it fared."""

    name: str
    offer: str
    why: str
    requests: str
    failed: str
    took: str


class GapRow(Struct, frozen=True, kw_only=True):
    """Something that could not be read."""

    what: str
    why: str
    job: Link | None


class RunRow(Struct, frozen=True, kw_only=True):
    """A run that brought nothing."""

    at: words.Moment | None
    state: str
    why: str


class DifferenceRow(Struct, frozen=True, kw_only=True):
    """A status in a time frame in which the server's aggregation and ours differ.

    `why` stands in the first row of its frame, `status` is None in the row of all jobs.
    """

    frame: str
    status: words.StatusWord | None
    ours: str
    server: str
    why: str


class ServerCount(Struct, frozen=True):
    """A value of a label as the server counts its jobs: "3 failed, 7 succeeded"."""

    value: str
    counts: str


class FrameCounts(Struct, frozen=True, kw_only=True):
    """The server's counts in one time frame."""

    frame: str
    rows: tuple[ServerCount, ...]
    left_out: int


class ServerCounts(Struct, frozen=True, kw_only=True):
    """The server's counts by one label; `href` is the label's own page."""

    title: str
    key: str
    href: str
    frames: tuple[FrameCounts, ...]


class Fact(Struct, frozen=True, kw_only=True):
    """A fact with its name; `href` leads to a list, where one exists."""

    name: str
    text: str
    href: str = ""
    at: words.Moment | None = None


class QualityView(Struct, frozen=True, kw_only=True):
    """The page of data quality."""

    title: str
    lede: str
    facts: tuple[Fact, ...]
    gaps: tuple[GapRow, ...]
    gaps_count: str
    gaps_more: str
    data: str
    operations: tuple[OperationRow, ...]
    odd: tuple[Fact, ...]
    fields: tuple[Fact, ...]
    statuses: tuple[Fact, ...]
    words: tuple[Fact, ...]
    notes: tuple[str, ...]
    failed_runs: tuple[RunRow, ...]
    failed_more: str
    server: ServerFacts
    counts: tuple[ServerCounts, ...]
    differences: tuple[DifferenceRow, ...]
    #: What is wrong with the notes of the site's owner.
    mistakes: tuple[str, ...] = ()


def pages(
    report: Report, lists: Lists, mistakes: tuple[str, ...] = (), *, as_of: words.Moment | None
) -> Iterator[Page]:
    """The one page, quality.html. `mistakes` are those in the owner's notes."""
    quality = report.quality or Quality(run=report.run, gaps=report.run.gaps)
    view = replace(_view(report, quality, lists), mistakes=mistakes)
    yield Page(
        address=addresses.QUALITY,
        template="quality.html",
        content=digest(view, as_of),
        view=lambda _charts: view,
        as_of=as_of,
    )


def _view(report: Report, quality: Quality, lists: Lists) -> QualityView:
    gaps, failed = quality.gaps, quality.failed_lately
    return QualityView(
        title="Everything asked for was read" if report.complete else "Data is incomplete",
        lede=verdict.incomplete(report)
        or "Every page of the list, every job and everything else the server offers was answered.",
        facts=tuple(_facts(report, quality.run, lists)),
        gaps=tuple(_gap(gap, lists) for gap in gaps[:GAPS]),
        gaps_count=words.number(len(gaps)),
        gaps_more=f"The first {words.number(GAPS)} of {words.number(len(gaps))} are shown."
        if len(gaps) > GAPS
        else "",
        data="data/report.json",
        operations=tuple(_operation(each) for each in quality.operations or quality.run.operations),
        odd=tuple(_odd(quality, lists)),
        fields=tuple(
            Fact(name=words.cut_middle(name, 120), text=words.plural(count, "time"))
            for name, count in quality.unknown_fields
        ),
        statuses=tuple(
            Fact(name=words.status(name).text, text=words.plural(count, "job"))
            for name, count in quality.unknown_statuses
        ),
        words=tuple(
            Fact(name=words.cut_middle(name, 100), text=words.plural(count, "job"))
            for name, count in quality.unknown_words
        ),
        notes=tuple(
            dict.fromkeys(
                filter(
                    None,
                    (
                        following.note(report),
                        following.hidden_note(report),
                        *quality.notes,
                        *quality.run.notes,
                    ),
                )
            )
        ),
        failed_runs=tuple(_run(run, lists) for run in failed[: -1 - FAILED_RUNS : -1]),
        failed_more=f"The newest {words.number(FAILED_RUNS)} of {words.number(len(failed))} "
        "are shown."
        if len(failed) > FAILED_RUNS
        else "",
        server=serverfacts.read(quality.run.capabilities, quality.beyond),
        counts=tuple(_server_counts(report)),
        differences=tuple(row for each in quality.differences for row in _difference(each)),
    )


def _facts(report: Report, run: Run, lists: Lists) -> Iterator[Fact]:
    zone, counts = lists.jobs.zone, run.counts
    yield Fact(name="Server", text=run.asked.server)
    yield Fact(name="Read", text="", at=words.when(run.now, zone))
    yield Fact(
        name="Time frame", text=f"{run.asked.timeframe}, {words.frame_words(run.asked.timeframe)}"
    )
    if run.asked.since:
        yield Fact(name="Submitted since", text="", at=words.when(run.asked.since, zone))
    yield Fact(name="Filters", text=filtered.named(run.asked.filters) or "none")
    if filtered.narrows(run.asked.filters):
        known = counts.left_out is not None
        yield Fact(
            name="Jobs that the filters left out",
            text=words.number(counts.left_out or 0) if known else "not known",
        )
    yield Fact(name="Health", text=run.health or "not asked")
    yield Fact(name="Jobs listed", text=words.number(counts.listed))
    if counts.by_server is not None:
        yield Fact(name="Jobs by the server’s count", text=words.number(counts.by_server))
    yield Fact(name="Details read", text=words.number(counts.read))
    yield Fact(name="Unchanged since the last run", text=words.number(counts.unchanged))
    yield Fact(name="Followed from earlier runs", text=words.number(counts.followed))
    yield Fact(name="Sub-workflows", text=words.number(counts.sub_workflows))
    yield Fact(name="Requests", text=words.number(counts.requests))
    yield Fact(name="Secrets taken out", text=words.number(counts.taken_out))
    if counts.cut:
        yield Fact(name="Limits that cut", text="; ".join(map(_cut, counts.cut.items())))
    yield Fact(name="Jobs in this report", text=words.number(len(report.jobs)), href=addresses.JOBS)


def _cut(of: tuple[str, int]) -> str:
    """A limit, and of how many jobs of the run it left something out."""
    limit, jobs = of
    return f"{words.cut_middle(limit, 60)}, of {words.plural(jobs, 'job')}"


def _gap(gap: Gap, lists: Lists) -> GapRow:
    job = None
    if gap.job:
        known = lists.jobs.row(gap.job) is not None
        job = Link(text=lists.jobs.short(gap.job), href=addresses.job(gap.job) if known else "")
    return GapRow(what=words.cut_middle(gap.what, 160), why=words.cut_middle(gap.why, 400), job=job)


def _operation(each: Operation) -> OperationRow:
    return OperationRow(
        name=each.name,
        offer=_offer(each),
        why=words.cut_middle(each.why, 200),
        requests=words.number(each.requests),
        failed=words.number(each.failed),
        took=f"{each.seconds:.1f} s",
    )


def _offer(each: Operation) -> str:
    """Whether it is offered, as far as its answers show: one that only ever failed is in doubt."""
    if each.offer == "not asked" and each.requests:
        return "In doubt: no answer was usable"
    return each.offer[0].upper() + each.offer[1:]


def _odd(quality: Quality, lists: Lists) -> Iterator[Fact]:
    back = ("Data quality", addresses.QUALITY)
    yield Fact(
        name="Jobs that could not be read whole",
        text=words.number(len(quality.unreadable)),
        href=lists.link(
            "unreadable", "jobs that could not be read whole", quality.unreadable, back=back
        ),
    )
    if below := quality.unreadable_below:
        what = "sub-workflows that could not be read whole"
        yield Fact(
            name=f"Their {what}",
            text=words.number(len(below)),
            href=lists.link("unreadable-below", what, below, back=back),
        )
    yield Fact(
        name="Jobs that the server no longer has",
        text=words.number(len(quality.gone)),
        href=lists.link("lost", "jobs that the server no longer has", quality.gone, back=back),
    )
    if quality.gone_seen is not None:
        first, last = (words.when(at, lists.jobs.zone) for at in quality.gone_seen)
        if first != last:
            yield Fact(name="The first of them was last seen there", text="", at=first)
        yield Fact(name="Last seen there", text="", at=last)
    yield Fact(
        name="Dates without a zone, empty or unreadable",
        text=words.number(quality.odd_dates),
    )
    for name, what, jobs in (
        ("backwards", "that ended before they started", quality.backwards),
        ("ahead", "with a time that is still to come", quality.ahead),
    ):
        if jobs:
            yield Fact(
                name=f"Jobs {what}",
                text=words.number(len(jobs)),
                href=lists.link(name, f"jobs {what}", jobs, back=back),
            )


def _run(run: Run, lists: Lists) -> RunRow:
    return RunRow(
        at=words.when(run.now, lists.jobs.zone),
        state=run.state,
        why=words.cut_middle(run.reason, 400),
    )


def _server_counts(report: Report) -> Iterator[ServerCounts]:
    """What the server's own aggregations say, as it says it: our numbers are on the label pages."""
    for label in report.labels:
        frames = tuple(_frame_counts(label))
        if frames:
            yield ServerCounts(
                title=words.cut_middle(label.title, 80),
                key=words.cut_middle(label.key, 120),
                href=addresses.label(label.key),
                frames=frames,
            )


def _frame_counts(label: LabelReport) -> Iterator[FrameCounts]:
    for frame in label.frames:
        told = [value for value in frame.values if value.server is not None]
        if not told:
            continue
        yield FrameCounts(
            frame=words.frame_words(frame.frame),
            rows=tuple(
                ServerCount(
                    words.cut_middle("(none)" if each.value is None else each.value, 120),
                    _split(each.server),
                )
                for each in told[:SERVER_COUNTS]
            ),
            left_out=max(0, len(told) - SERVER_COUNTS),
        )


def _split(split: StatusSplit | None) -> str:
    counts = sorted(split.counts.items()) if split else []
    return ", ".join(f"{words.number(n)} {_word(status)}" for status, n in counts) or "0"


def _word(status: str) -> str:
    known = words.status(status)
    return known.text if known.key == "unknown" else known.text.lower()


def _difference(each: FrameDifference) -> Iterator[DifferenceRow]:
    """All jobs of the frame, then each status in which the two differ."""
    frame = words.frame_words(each.frame)
    yield DifferenceRow(
        frame=frame,
        status=None,
        ours=words.number(each.ours.total),
        server=words.number(each.server.total),
        why=each.why,
    )
    for status in sorted(each.ours.counts.keys() | each.server.counts.keys()):
        ours, theirs = each.ours.counts.get(status, 0), each.server.counts.get(status, 0)
        if ours != theirs:
            yield DifferenceRow(
                frame=frame,
                status=words.status(status),
                ours=words.number(ours),
                server=words.number(theirs),
                why="",
            )
