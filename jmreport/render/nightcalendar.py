"""The calendar of nights: a row for each, newest first, also for those that brought no report."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from msgspec import Struct

from jmreport.render import addresses, filtered, verdict, words
from jmreport.render.gridpage import EXPECTED
from jmreport.render.joblists import Lists
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.report.nights import FailedNight, NightSummary, in_order


class Counted(Struct, frozen=True):
    """A number of the calendar, and the list of what it counts; "" where there is none.

    The number is "" where the night could not tell it: `why`.
    """

    text: str
    href: str = ""
    why: str = ""


#: What a first night has nothing to say of.
_FIRST = Counted("", why="nothing to compare with")
#: What is said of missing work where it was too early to miss any.
_EARLY = Counted("", why="too few nights before")
#: And where what seems missing may be a job that nobody knows again.
_UNREAD = Counted("", why="a job could not be read")


class Row(Struct, frozen=True, kw_only=True):
    """A night in the calendar. `tries` says how many runs of its day brought nothing before it."""

    when: words.Moment | None
    href: str
    verdict: str
    complete: bool
    tries: str
    ended: Counted
    failed: Counted
    new: Counted
    fixed: Counted
    still_failing: Counted
    stuck: Counted
    missing: Counted


class FailedRow(Struct, frozen=True, kw_only=True):
    """A night in the calendar that brought no report: nothing to lead to, but why."""

    when: words.Moment | None
    anchor: str
    said: str
    href: str = ""


class Month(Struct, frozen=True, kw_only=True):
    """A month of the calendar, newest first."""

    name: str
    rows: tuple[Row | FailedRow, ...]


class CalendarView(Struct, frozen=True, kw_only=True):
    """What nights.html prints."""

    months: tuple[Month, ...]
    count: str
    failed: str
    zone: str
    diffs: str


def pages(
    report: Report, lists: Lists, *, zone: tzinfo, as_of: words.Moment | None
) -> Iterator[Page]:
    """The one page, nights/index.html."""
    view = calendar(report, lists, zone)
    yield Page(
        address=addresses.NIGHTS,
        template="nights.html",
        content=digest(view, as_of),
        view=lambda _charts: view,
        as_of=as_of,
    )


def calendar(report: Report, lists: Lists, zone: tzinfo) -> CalendarView:
    """Every night, newest first, month by month in the report's zone; also without a report."""
    nights, failed = report.nights, report.failed_nights
    months: dict[str, list[Row | FailedRow]] = {}
    # Only a first night tells how many were before; what was pruned is not known.
    early = min(EXPECTED, len(nights)) if nights and nights[0].since is None else 0
    first = frozenset(night.run for night in nights[:early])
    both = in_order(nights, failed)
    for night in reversed(both):
        month = months.setdefault(f"{night.now.astimezone(zone):%B %Y}", [])
        if isinstance(night, FailedNight):
            month.append(_failed_row(night, zone))
        else:
            month.append(_row(night, report, lists, zone, early=night.run in first))
    return CalendarView(
        months=tuple(Month(name=name, rows=tuple(rows)) for name, rows in months.items()),
        count=words.plural(len(nights), "night"),
        failed=f"{words.plural(len(failed), 'more night')} brought no report." if failed else "",
        zone=words.zone_name(both[-1].now, zone) if both else "UTC",
        diffs=addresses.relative(addresses.NIGHTS, addresses.DIFFS),
    )


def _failed_row(night: FailedNight, zone: tzinfo) -> FailedRow:
    return FailedRow(
        when=words.when(night.now, zone),
        anchor=addresses.failed_night(night.run).partition("#")[2],
        said=verdict.failed_night(night),
    )


def _row(summary: NightSummary, report: Report, lists: Lists, zone: tzinfo, *, early: bool) -> Row:
    """A night's row. `early` says that too few nights were before it to miss anything."""
    counts, split = summary.counts, summary.split
    first, tries = summary.since is None, report.tries_before.get(summary.run, 0)
    page = addresses.relative(addresses.NIGHTS, addresses.night(summary.run))

    unseen = filtered.unseen(summary.filters)

    def counted(name: str, count: int, href: str) -> Counted:
        if not count and name in unseen:
            return Counted("", why=filtered.UNSEEN)
        return Counted(words.number(count), href)

    def missing() -> Counted:
        if not counts.missing and (early or counts.maybe_missing):
            return _EARLY if early else _UNREAD
        return on_page("missing")

    def on_page(name: str) -> Counted:
        count = getattr(counts, name)
        return counted(name, count, f"{page}#{name.replace('_', '-')}" if count else "")

    return Row(
        when=words.when(summary.now, zone),
        href=page,
        verdict=verdict.night_words(summary),
        complete=summary.complete,
        tries=f"{words.plural(tries, 'run')} before it brought nothing" if tries else "",
        ended=Counted(words.number(split.total), _ended(summary, report, lists, zone)),
        failed=counted("failing", split.failed, _failed(summary, report, lists, zone)),
        new=_FIRST if first else on_page("new"),
        fixed=_FIRST if first else on_page("fixed"),
        still_failing=_FIRST if first else on_page("still_failing"),
        stuck=on_page("stuck"),
        missing=missing(),
    )


def _ended(summary: NightSummary, report: Report, lists: Lists, zone: tzinfo) -> str:
    jobs = report.ended_by_night.get(summary.run, ())
    return _list("ended", "jobs", jobs, summary.split.total, summary, lists, zone)


def _failed(summary: NightSummary, report: Report, lists: Lists, zone: tzinfo) -> str:
    flows = report.failed_by_night.get(summary.run, {})
    jobs = [job for name in sorted(flows) for job in flows[name]]
    return _list("failed", "failed jobs", jobs, summary.split.failed, summary, lists, zone)


def _list(
    kind: str,
    noun: str,
    jobs: Sequence[str],
    count: int,
    summary: NightSummary,
    lists: Lists,
    zone: tzinfo,
) -> str:
    """The list of a night's jobs that are known now; "" where none is.

    One of fewer or of more jobs than the night counted says so itself.
    """
    if not jobs:
        return ""
    when = words.when(summary.now, zone)
    title = f"{noun} that ended in the night up to {when.text if when else summary.run}"
    address, back = addresses.night_list(summary.run, kind), ("Nights", addresses.NIGHTS)
    if len(jobs) == count:
        found = lists.link_or_job(address, title, jobs, back=back)
    else:
        found = lists.link(address, f"{title}: {_of(len(jobs), count)}", jobs, back=back)
    return addresses.relative(addresses.NIGHTS, found)


def _of(known: int, told: int) -> str:
    """How the jobs that are known of a night stand to those that it counted."""
    if known > told:
        return f"its report counted {words.number(told)}"
    verb = "is" if known == 1 else "are"
    return f"{words.number(known)} of {words.number(told)} {verb} still known"
