"""The pages of labels: each label's values by status, in each of the six time frames."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from itertools import accumulate
from typing import Any

import msgspec
from msgspec import Struct

from jmreport.records import Filters
from jmreport.render import addresses, filtered, promises, sparklines, words
from jmreport.render.joblists import (
    MOST_STATUSES,
    Lists,
    PageLink,
    few,
    pager,
    status_adjective,
    status_order,
    together,
    unknown,
)
from jmreport.render.labellists import Everywhere, Links, ValueLinks
from jmreport.render.leads import ToLists
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.report.counts import StatusSplit
from jmreport.report.labels import FrameReport, LabelReport, LabelValue, ShownLabel

#: Values on a page; a label of samples can have as many values as there are jobs.
VALUES = 100


class Count(Struct, frozen=True, kw_only=True):
    """A number and the list of what it counts; no link for none."""

    label: str
    text: str
    href: str = ""


class ValueRow(Struct, frozen=True, kw_only=True):
    """A value of a label: its jobs by status. `server` is the server's total where it differs."""

    text: str
    absent: bool
    href: str
    total: Count
    counts: tuple[Count, ...]
    rate: str
    segments: tuple[sparklines.Segment, ...]
    split: str
    server: str = ""


class SplitTable(Struct, frozen=True, kw_only=True):
    """Values by status. `server_asked` says whether the server's own numbers were read."""

    heading: str
    statuses: tuple[words.StatusWord, ...]
    rows: tuple[ValueRow, ...]
    server_asked: bool = False
    no_rate: str = "none ended"


class FrameView(Struct, frozen=True, kw_only=True):
    """A time frame of a label's page: its table, or what stands in its place."""

    anchor: str
    title: str
    total: str
    table: SplitTable
    empty: str
    note: str
    server: str
    more: PageLink | None
    open: bool


class LabelView(Struct, frozen=True, kw_only=True):
    """A label's page."""

    title: str
    lede: str
    about: tuple[str, ...]
    frames: tuple[FrameView, ...]
    page: int
    pages: tuple[PageLink, ...]
    labels: str
    promises: promises.Promises


class LabelLine(Struct, frozen=True, kw_only=True):
    """A label on the list of labels."""

    title: str
    key: str
    href: str
    values: str
    jobs: str
    failed: str
    rate: str
    segments: tuple[sparklines.Segment, ...]
    split: str


class LabelsView(Struct, frozen=True, kw_only=True):
    """The list of labels, in the time frame that was asked for."""

    frame: str
    lines: tuple[LabelLine, ...]
    beside: tuple[tuple[str, str], ...]
    none: str
    no_rate: str


def pages(report: Report, lists: Lists, *, as_of: words.Moment | None) -> Iterator[Page]:
    """The list of labels and every label's pages."""
    view = _index(report)
    yield Page(
        address=addresses.LABELS,
        template="labels.html",
        content=digest(view, as_of),
        view=lambda _charts: view,
        as_of=as_of,
    )
    for label in report.labels:
        yield from _label_pages(label, report, lists, as_of)


def main_frame(label: LabelReport, report: Report) -> FrameReport | None:
    """A label's frame that the run asked for."""
    wanted = report.run.asked.timeframe
    return next((frame for frame in label.frames if frame.frame == wanted), None)


def whole(splits: Sequence[StatusSplit]) -> StatusSplit:
    """Several splits added up."""
    counts: dict[str, int] = {}
    for split in splits:
        for status, count in split.counts.items():
            counts[status] = counts.get(status, 0) + count
    return StatusSplit(counts=counts)


def split_words(counts: Mapping[str, int]) -> str:
    """A split bar in words: "12 succeeded, 1 failed".

    >>> split_words({"Failed": 1, "Succeeded": 12})
    '12 succeeded, 1 failed'
    """
    counts = few(counts)
    present = sorted((status for status in counts if counts[status]), key=status_order)
    return ", ".join(
        f"{words.number(counts[status])} {status_adjective(words.status(status))}"
        for status in present
    )


def bar(split: StatusSplit) -> tuple[sparklines.Segment, ...]:
    """A split bar's parts, each named by its status' key."""
    counts = few(split.counts)
    order = sorted(counts, key=status_order)
    return tuple(
        sparklines.Segment(status=words.status(part.status).key, x=part.x, width=part.width)
        for part in sparklines.segments(counts, order)
    )


def _index(report: Report) -> LabelsView:
    return LabelsView(
        frame=words.frame_words(report.run.asked.timeframe),
        lines=tuple(_line(label, report) for label in report.labels),
        beside=_beside(report.labels[0].frames if report.labels else ()),
        none=f"No job has a label in this time frame.{filtered.maybe(report.run.asked.filters)}",
        no_rate=filtered.no_rate(report.run.asked.filters),
    )


def _beside(frames: Sequence[FrameReport]) -> tuple[tuple[str, str], ...]:
    """What is said of each time frame's numbers; once, where it is the same of all."""
    said = [(_sentence(words.frame_words(frame.frame)), _server_note(frame)) for frame in frames]
    if len({note for _, note in said}) == 1:
        return (("All time frames", said[0][1]),)
    return tuple(said)


def _line(label: LabelReport, report: Report) -> LabelLine:
    frame = main_frame(label, report)
    with_it = [value for value in (frame.values if frame else ()) if value.value is not None]
    split = whole([value.split for value in with_it])
    return LabelLine(
        title=label.title,
        key=label.key,
        href=addresses.relative(addresses.LABELS, addresses.label(label.key)),
        values=words.number(len(with_it)),
        jobs=words.number(split.total),
        failed=words.MISSING
        if report.run.asked.filters.hides_failures and not split.failed
        else words.number(split.failed),
        rate=words.percent(filtered.rate(split, report.run.asked.filters)),
        segments=bar(split),
        split=split_words(split.counts),
    )


def page_address(key: str, page: int) -> str:
    """A page of a label's values, counted from 1."""
    first = addresses.label(key)
    return first if page == 1 else f"{first[: -len('.html')]}-page-{page}.html"


class _Whole(Struct, frozen=True, kw_only=True):
    """A frame with what all of its values come to.

    Each hundred of them has a page, so they are gone through once and not for each page. `before`
    are the jobs of the values on the pages before each, and at last of all of them.
    """

    frame: FrameReport
    split: StatusSplit
    with_it: int
    counted: bool
    before: tuple[int, ...]


def _whole(frame: FrameReport) -> _Whole:
    totals = [value.split.total for value in frame.values]
    by_page = (sum(totals[at : at + VALUES]) for at in range(0, len(totals), VALUES))
    return _Whole(
        frame=frame,
        split=frame.split,
        with_it=sum(value.value is not None for value in frame.values),
        counted=frame.counted,
        before=tuple(accumulate(by_page, initial=0)),
    )


class _Told(Struct, frozen=True, kw_only=True):
    """What all pages of a label tell or are made of."""

    label: LabelReport
    lede: str
    about: tuple[str, ...]
    frames: tuple[_Whole, ...]
    everywhere: Everywhere
    last: int
    #: The promises of all pages but the first: none.
    beyond: promises.Promises


def _told(label: LabelReport, report: Report, lists: Lists) -> _Told:
    longest = max((len(frame.values) for frame in label.frames), default=0)
    return _Told(
        label=label,
        lede=_lede(label, report),
        about=tuple(_about(label, report)),
        frames=tuple(map(_whole, label.frames)),
        everywhere=Everywhere(label),
        last=max(1, -(-longest // VALUES)),
        beyond=promises.of_label("", report, ToLists(report, lists, addresses.label(label.key))),
    )


def _label_pages(
    label: LabelReport, report: Report, lists: Lists, as_of: words.Moment | None
) -> Iterator[Page]:
    told = _told(label, report, lists)
    for page in range(1, told.last + 1):
        view = _label_view(told, report, lists, page)
        yield Page(
            address=page_address(label.key, page),
            template="label.html",
            content=digest(view, as_of),
            view=_kept(view),
            as_of=as_of,
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LabelView).decode


def _kept(view: LabelView) -> Callable[[Any], LabelView]:
    """The view, packed until its page is made: of a label with a value for each job all pages
    together would take 1.7 KB of memory a job, once more in each process that looks at them."""
    packed = zlib.compress(_encode(view), 1)
    return lambda _charts: _decode(zlib.decompress(packed))


def _label_view(told: _Told, report: Report, lists: Lists, page: int) -> LabelView:
    label = told.label
    at = page_address(label.key, page)
    main = report.run.asked.timeframe
    return LabelView(
        title=label.title,
        lede=told.lede,
        about=told.about,
        page=page,
        frames=tuple(
            _frame(told, whole, report, lists, page, is_open=whole.frame.frame == main)
            for whole in told.frames
        ),
        pages=pager(page, told.last, lambda n: addresses.relative(at, page_address(label.key, n))),
        labels=addresses.relative(at, addresses.LABELS),
        promises=promises.of_label(label.key, report, ToLists(report, lists, at))
        if page == 1
        else told.beyond,
    )


def _lede(label: LabelReport, report: Report) -> str:
    frame = main_frame(label, report)
    if frame is None:
        return ""
    with_it = [value for value in frame.values if value.value is not None]
    filters = report.run.asked.filters
    # The server may count jobs with it that were not read.
    if not whole([value.split for value in with_it]).total:
        none = f"No job has {label.title} in this time frame ({words.frame_words(frame.frame)})."
        return none + filtered.maybe(filters)
    worst = max(with_it, key=lambda value: value.split.failed)
    start = (
        f"{words.plural(len(with_it), 'value')} in the time frame of the report "
        f"({words.frame_words(frame.frame)})"
    )
    if not worst.split.failed and filtered.hides_failures(filters):
        return f"{start}. Failed jobs were not asked for."
    if not worst.split.failed:
        others = whole([value.split for value in frame.values if value.value is None]).failed
        but = f", but {words.number(others)} without {label.title} did" if others else ""
        return f"{start}; none of their jobs failed{but}."
    return (
        f"{start}. Most failures: {words.cut_middle(worst.value or '', 80)} with "
        f"{words.number(worst.split.failed)} of {words.plural(worst.split.total, 'job')}."
    )


def _about(label: LabelReport, report: Report) -> Iterator[str]:
    """What else to know of a label: whose it is, who changes it, and which jobs were asked for."""
    field = label.shown_as
    if label.distinct:
        yield "Every job has a value of its own."
    if field and field.valid_field_values:
        values = [words.cut_middle(each, 40) for each in field.valid_field_values[:12]]
        yield f"The server allows the values {words.listed(values)}."
    if field and (field.editable or field.bulk_editable):
        yield (
            "People can change it on the server, so a job counts under the value that it had when "
            "it was last read."
        )
    if project := report.run.asked.filters.project_id:
        yield f"Only jobs of project {words.cut_middle(project, 80)} were asked for."


def _frame(
    told: _Told, whole: _Whole, report: Report, lists: Lists, page: int, *, is_open: bool
) -> FrameView:
    label, frame, at = told.label, whole.frame, page_address(told.label.key, page)
    values = frame.values[(page - 1) * VALUES : page * VALUES]
    return FrameView(
        anchor=frame_anchor(frame.frame),
        title=_sentence(words.frame_words(frame.frame)),
        total=f"{words.plural(whole.before[-1], 'job')}, {words.plural(whole.with_it, 'value')}"
        f"{_part(frame)}"
        if frame.values
        else "no job",
        table=table(
            label,
            whole.split,
            [(value, Links(label, frame, value, told.everywhere, lists, at)) for value in values],
            report.run.asked.filters,
            counted=whole.counted,
        ),
        empty=_empty(label, frame, page),
        note=_note(frame, report.now, lists.jobs.zone),
        server=" ".join(filter(None, (_server_note(frame), _uncounted(label, whole)))),
        more=_more(label, whole, at, page),
        open=is_open,
    )


def frame_anchor(frame: str) -> str:
    """Where a label's page tells of a time frame.

    >>> frame_anchor("DAYS_7")
    'frame-days-7'
    """
    return f"frame-{frame.lower().replace('_', '-')}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _empty(label: LabelReport, frame: FrameReport, page: int) -> str:
    if not frame.values:
        return f"No job has {label.title} in this time frame."
    return "All values of this time frame are on the pages before." if page > 1 else ""


def _more(label: LabelReport, whole: _Whole, at: str, page: int) -> PageLink | None:
    """The values of this frame that are on the next page, how many they are, and their jobs."""
    rest = len(whole.frame.values) - page * VALUES
    if rest <= 0:
        return None
    jobs = whole.before[-1] - whole.before[page]
    return PageLink(
        text=f"{words.plural(rest, 'more value')} with {words.plural(jobs, 'job')}",
        href=addresses.relative(at, page_address(label.key, page + 1)),
    )


def _note(frame: FrameReport, now: datetime, zone: tzinfo) -> str:
    """What of a frame was read, where that is not all of it."""
    if frame.covered:
        return ""
    since = frame.read_since
    if since is None or since >= now:
        return (
            "Pages of the list could not be read, so jobs of this time frame may be missing here."
        )
    at = words.when(since, zone)
    return (
        f"Only the last {words.duration(now - since)} were read (since {at.text if at else ''}). "
        "Older jobs are counted as far as earlier runs found them."
    )


def _part(frame: FrameReport) -> str:
    """What a closed frame must say of what it lacks."""
    return "" if frame.covered else "; not all was read"


def _server_note(frame: FrameReport) -> str:
    """The server's number of jobs in a frame beside ours, and why they differ."""
    if frame.beside is None:
        return frame.why_not
    ours, theirs = frame.beside.ours, frame.beside.server
    if not ours.total and not theirs.total:
        return "The server counts no jobs either."
    if not frame.beside.why:
        return f"The server counts the same {words.plural(ours.total, 'job')}, status by status."
    return (
        f"Server: {words.plural(theirs.total, 'job')} ({split_words(theirs.counts) or 'none'}). "
        f"Here: {words.plural(ours.total, 'job')} ({split_words(ours.counts) or 'none'}). "
        f"{frame.beside.why}"
    )


def _uncounted(label: LabelReport, whole: _Whole) -> str:
    """That the server, which was asked for its numbers, has none of a label."""
    if not whole.frame.values or not whole.frame.server_asked or whole.counted:
        return ""
    return f"It does not count jobs by {label.title}."


def table(
    label: LabelReport | ShownLabel,
    split: StatusSplit,
    values: Iterable[tuple[LabelValue, ValueLinks]],
    filters: Filters,
    *,
    counted: bool,
) -> SplitTable:
    """Values of a label by status, every number linked to its jobs.

    `split` is of all its values; `counted` says that the server counts jobs by it too. Of more than
    `MOST_STATUSES` those that nobody knows are one, "Unknown".
    """
    if sum(map(bool, split.counts.values())) > MOST_STATUSES:
        split = _together(split)
        values = [_told_together(value, links) for value, links in values]
    statuses = sorted((s for s in split.counts if split.counts[s]), key=status_order)
    return SplitTable(
        heading=label.title,
        statuses=tuple(words.status(status) for status in statuses),
        rows=tuple(_row(links, value, statuses, filters) for value, links in values),
        server_asked=counted,
        no_rate=filtered.no_rate(filters),
    )


class _Together:
    """Where the numbers of a value lead to whose unknown statuses are counted together.

    There is a list of those where they have one word.
    """

    def __init__(self, value: LabelValue, links: ValueLinks) -> None:
        self._links = links
        self._unknown = [
            word for word, count in value.split.counts.items() if count and unknown(word)
        ]

    def to(self, status: str) -> str:
        if not status or not unknown(status):
            return self._links.to(status)
        return self._links.to(self._unknown[0]) if len(self._unknown) == 1 else ""

    def workflow(self) -> str:
        return self._links.workflow()


def _told_together(value: LabelValue, links: ValueLinks) -> tuple[LabelValue, ValueLinks]:
    server = _together(value.server) if value.server else None
    told = LabelValue(value=value.value, split=_together(value.split), server=server)
    return told, _Together(value, links)


def _together(split: StatusSplit) -> StatusSplit:
    return StatusSplit(counts=together(split.counts))


def _row(
    links: ValueLinks, value: LabelValue, statuses: Sequence[str], filters: Filters
) -> ValueRow:
    total = Count(label="Jobs", text=words.number(value.split.total), href=links.to(""))
    return ValueRow(
        text=words.cut_middle(value.value or "", 100),
        absent=value.value is None,
        href=links.workflow(),
        total=total,
        counts=tuple(_count(links, value, status) for status in statuses),
        rate=words.percent(filtered.rate(value.split, filters)),
        segments=bar(value.split),
        split=split_words(value.split.counts),
        server=_server(value),
    )


def _count(links: ValueLinks, value: LabelValue, status: str) -> Count:
    count = value.split.counts.get(status, 0)
    return Count(
        label=words.status(status).text,
        text=words.number(count),
        href=links.to(status) if count else "",
    )


def _server(value: LabelValue) -> str:
    """The server's total beside ours with the difference, "14 (+2)"; its split where only that is
    another."""
    if value.server is None:
        return ""
    difference = value.server.total - value.split.total
    beside = f" ({difference:+,})".replace(",", words.THIN).replace("-", "−") if difference else ""
    if not beside and value.server.counts != value.split.as_server:
        beside = f" ({split_words(value.server.counts)})"
    return f"{words.number(value.server.total)}{beside}"
