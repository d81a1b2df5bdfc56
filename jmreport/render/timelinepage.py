"""The timeline: how many jobs ran and waited at once, when they came, how long they waited."""

from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from jmreport.render import addresses, charts, words
from jmreport.render.drawings import Charts
from jmreport.render.joblists import NO_NAME, Lists
from jmreport.render.lastnights import day_words
from jmreport.render.leads import Link
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.report.timeline import Timeline, TimelineDay

_BACK = ("Timeline", addresses.TIMELINE)
#: Words below the drawing, on a screen and on a phone.
_TICKS: tuple[tuple[charts.Width, int], ...] = (("wide", 9), ("narrow", 4))


class DayRow(Struct, frozen=True, kw_only=True):
    """A day of the table."""

    day: str
    submitted: Link
    running: Link
    at: words.Moment | None
    wait: str
    wait_p90: str


class WaitRow(Struct, frozen=True, kw_only=True):
    """A job that waited long before it started."""

    job: Link
    workflow: Link
    waited: str
    started: words.Moment | None


class TimelineView(Struct, frozen=True, kw_only=True):
    """What timeline.html prints. `notes` say what the numbers do not hold."""

    title: str
    lede: str
    peak: Link
    peak_at: words.Moment | None
    notes: tuple[str, ...]
    unplaced: Link | None
    said: str
    days: tuple[DayRow, ...]
    older: str
    longest: tuple[WaitRow, ...]
    zone: str
    wide: Markup = Markup()
    narrow: Markup = Markup()


def pages(report: Report, lists: Lists, *, as_of: words.Moment | None) -> Iterator[Page]:
    """The one page, timeline.html."""
    line = report.timeline
    figures = tuple(_figures(line, lists.jobs.zone)) if line else ()
    view = _view(line, lists) if line else _nothing(lists, report.now)

    def drawn(drawings: Charts) -> TimelineView:
        made = [drawings.svg(figure) for figure in figures]
        return replace(view, wide=made[0], narrow=made[1]) if made else view

    yield Page(
        address=addresses.TIMELINE,
        template="timeline.html",
        content=digest(view, figures, as_of),
        view=drawn,
        as_of=as_of,
        figures=figures,
    )


def _nothing(lists: Lists, now: datetime) -> TimelineView:
    return TimelineView(
        title="No job over time",
        peak=Link(text="0"),
        peak_at=None,
        lede="No job of this report has a time that is known.",
        notes=(),
        unplaced=None,
        said="",
        days=(),
        older="",
        longest=(),
        zone=words.zone_name(now, lists.jobs.zone),
    )


def _view(line: Timeline, lists: Lists) -> TimelineView:
    zone = lists.jobs.zone
    first = words.when(line.since, zone)
    notes = []
    if not line.whole:
        notes.append(
            f"Jobs submitted before {first.text if first else 'then'} were not read: those that "
            "still ran or waited at the beginning are not counted."
        )
    days = len(line.days)
    shown = line.days[0].day if line.days else ""
    older = shown and line.since.astimezone(zone).date().isoformat() < shown
    return TimelineView(
        title=f"At most {words.plural(line.most, 'job')} at the same time",
        peak=_link(lists, "most", "jobs that ran when most did at the same time", line.at_peak),
        peak_at=words.short_when(line.peak, zone, near=lists.jobs.now),
        lede=_lede(line),
        notes=tuple(notes),
        unplaced=_link(
            lists,
            "unplaced",
            "jobs whose start or end is not known",
            line.unplaced,
        )
        if line.unplaced
        else None,
        said=_said(line, zone),
        days=tuple(_day(day, lists) for day in reversed(line.days)),
        older=f"The newest {words.plural(days, 'day')}." if older else "",
        longest=tuple(_wait(job, seconds, lists) for job, seconds in line.longest),
        zone=words.zone_name(line.until, zone),
    )


def _lede(line: Timeline) -> str:
    last = next((day for day in reversed(line.days) if day.wait is not None), None)
    if last is None:
        return "No job started in this time."
    return (
        f"Of the jobs that started on {day_words(last.day)}, half had waited at most "
        f"{_seconds(last.wait)} and 90 of 100 at most {_seconds(last.wait_p90)}."
    )


def _said(line: Timeline, zone: tzinfo) -> str:
    """The sentence to take away from the drawing."""
    at = words.short_when(line.peak, zone)
    most = max((slot.waiting for slot in line.slots), default=0)
    peak = f" ({at.text})" if at else ""
    return (
        f"At most {words.number(line.most)} ran at the same time{peak}, and at most "
        f"{words.number(most)} waited. A dot is the median wait of the jobs that started in "
        f"{_article(line.step)}; its line ends where 90 of 100 were done with waiting, "
        "or goes on beyond an arrow."
    )


def _link(lists: Lists, name: str, title: str, jobs: tuple[str, ...]) -> Link:
    href = lists.link_or_job(f"timeline-{name}", title, jobs, back=_BACK)
    return Link(text=words.number(len(jobs)), href=href)


def _day(day: TimelineDay, lists: Lists) -> DayRow:
    name, zone = day_words(day.day), lists.jobs.zone
    at = words.when(day.peak, zone)
    clock = words.clock(day.peak.astimezone(zone)) if day.peak else ""
    return DayRow(
        day=name,
        submitted=_link(lists, f"{day.day}-submitted", f"jobs submitted on {name}", day.submitted),
        running=_link(
            lists,
            f"{day.day}-running",
            f"jobs that ran at the same time on {name} at {clock}",
            day.running,
        ),
        at=words.Moment(iso=at.iso, text=clock) if at else None,
        wait=_seconds(day.wait),
        wait_p90=_seconds(day.wait_p90),
    )


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else words.duration(timedelta(seconds=seconds))


def _wait(job: str, seconds: float, lists: Lists) -> WaitRow:
    row = lists.jobs.row(job)
    name = row.name if row else ""
    return WaitRow(
        job=Link(text=lists.jobs.short(job), href=addresses.job(job) if row else ""),
        workflow=Link(
            text=words.cut_middle(name, 80) or NO_NAME,
            href=lists.jobs.workflow_href(name, addresses.TIMELINE),
        ),
        waited=_seconds(seconds),
        started=words.short_when(row.start if row else None, lists.jobs.zone, near=lists.jobs.now),
    )


# --- the drawing -------------------------------------------------------------------------------


def _figures(line: Timeline, zone: tzinfo) -> Iterator[charts.Flow]:
    for width, most in _TICKS:
        yield charts.Flow(
            title="Jobs over time",
            take_away=_said(line, zone),
            running=tuple(slot.running for slot in line.slots),
            waiting=tuple(slot.waiting for slot in line.slots),
            submitted=tuple(slot.submitted for slot in line.slots),
            waits=tuple(
                None
                if slot.wait is None or slot.wait_p90 is None
                else (round(slot.wait, 1), round(slot.wait_p90, 1))
                for slot in line.slots
            ),
            ticks=tuple(_ticks(line, zone, most)),
            each=_each(line.step),
            width=width,
        )


def _each(step: timedelta) -> str:
    """How long a step is called: "hour", "10 minutes", "6 hours", "week"."""
    minutes = round(step.total_seconds() / 60)
    for size, one in ((10_080, "week"), (1_440, "day"), (60, "hour"), (1, "minute")):
        if minutes % size == 0:
            return one if minutes == size else words.plural(minutes // size, one)
    return "step"


def _article(step: timedelta) -> str:
    each = _each(step)
    if each[0].isdigit():
        return f"a step of {each}"
    return f"an {each}" if each == "hour" else f"a {each}"


def _ticks(line: Timeline, zone: tzinfo, most: int) -> Iterator[tuple[float, str]]:
    """Midnights where the timeline is longer than two days, else round hours or minutes."""
    start, until = line.slots[0].start, line.slots[-1].start + line.step
    for every in _EVERY:
        if (until - start) / every <= most:
            break
    by_day = every >= timedelta(days=1)
    at = line.slots[0].start if not by_day else _next_midnight(start, zone)
    if not by_day:
        at += (-(at - _midnight(at, zone))) % every
    # A name begins at its tick: what would go beyond the edge would be cut.
    margin = (until - start) * (0.1 if most > 5 else 0.24)
    while at <= until - margin:
        if at >= start:
            local = at.astimezone(zone)
            said = day_words(local.date().isoformat()) if by_day else words.clock(local)
            yield round((at - start) / line.step, 3), said
        at += every


_EVERY = (
    *(timedelta(minutes=n) for n in (10, 30, 60, 120, 180, 360, 720)),
    *(timedelta(days=n) for n in (1, 2, 4, 7, 14, 28, 91, 182, 364, 728, 3_640, 36_400, 364_000)),
)


def _midnight(at: datetime, zone: tzinfo) -> datetime:
    return at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)


def _next_midnight(at: datetime, zone: tzinfo) -> datetime:
    midnight = _midnight(at, zone)
    return midnight if midnight >= at else midnight + timedelta(days=1)
