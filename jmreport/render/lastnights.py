"""The last nights on an overview: what ended in each, and how workflows failed over them."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from msgspec import Struct
from msgspec.structs import replace

from jmreport.render import bands, charts, sparklines, words
from jmreport.render.leads import Leads, Link, workflow_link
from jmreport.report.counts import Day, FlowRates

#: Address of the list of a day's jobs by (day, "Failed", "Aborted" or "Succeeded").
DayLinks = Mapping[tuple[str, str], str]


class DayRow(Struct, frozen=True, kw_only=True):
    """A night's numbers, each with the list of its jobs, and the night's own page.

    `note` is for a day without a report.
    """

    day: Link
    note: str
    failed: Link
    aborted: Link
    succeeded: Link


class Multiple(Struct, frozen=True, kw_only=True):
    """A workflow's failure rate as a small chart, with its newest value in words."""

    workflow: Link
    line: sparklines.Sparkline
    rate: str
    outside: bool
    day: str
    said: str


# --- days --------------------------------------------------------------------------------------


def day_words(day: str) -> str:
    """A calendar day as it reads on pages: "Mon 23 Nov"."""
    try:
        at = date.fromisoformat(day)
    except ValueError:
        return day
    moment = words.day(datetime(at.year, at.month, at.day, tzinfo=UTC))
    return moment.text.rsplit(" ", 1)[0] if moment else day


def day_number(day: Day, status: str, count: int) -> str:
    """How many jobs of a status ended in a night; none is no number where nobody asked for them."""
    return words.MISSING if not count and status in day.unseen else words.number(count)


def night_words(day: str) -> str:
    """Which jobs a list is of, after a noun: "of the night to Mon 23 Nov"."""
    return f"of the night to {day_words(day)}"


def day_rates(days: Sequence[Day]) -> tuple[float | None, ...]:
    """The failure rate of each night; None where nothing ended by itself, or not all was seen."""
    return tuple(day.failure_rate for day in days)


def ended(day: Day) -> int:
    """How many jobs ended in a night."""
    return day.failed + day.aborted + day.succeeded


def unreported(day: Day) -> bool:
    """Whether a bar that is not there would look like a quiet night."""
    return day.unreported and not ended(day)


def usual_day(days: Sequence[Day]) -> str:
    """The median of failed jobs in the nights before the last; "" below five."""
    before = sorted(day.failed for day in days[:-1] if day.told and not unreported(day))
    return (
        f"usually {words.number(before[len(before) // 2])} failed a night"
        if len(before) > 4
        else ""
    )


def heading(days: Sequence[Day]) -> str:
    """What the chart of the days is called."""
    return f"Last {words.plural(len(days), 'night')}" if len(days) > 1 else "Last night"


def said(days: Sequence[Day]) -> str:
    """The newest of the days in numbers."""
    if not days:
        return ""
    last = days[-1]
    numbers = (
        ("Failed", last.failed),
        ("Aborted", last.aborted),
        ("Succeeded", last.succeeded),
    )
    told = [f"{words.number(n)} {of.lower()}" for of, n in numbers if n or of not in last.unseen]
    hidden = [of.lower() for of, n in numbers if not n and of in last.unseen]
    if hidden:
        told.append(f"{words.listed(hidden)} jobs not asked for")
    return f"{day_words(last.day)}: {', '.join(told)}."


def day_links(days: Sequence[Day], leads: Leads) -> DayLinks:
    """The lists of the days' jobs."""
    links: dict[tuple[str, str], str] = {}
    for day in days:
        of_night = night_words(day.day)
        for status, noun in (
            ("Failed", "failed jobs"),
            ("Aborted", "aborted jobs"),
            ("Succeeded", "succeeded jobs"),
        ):
            links[day.day, status] = leads.jobs(
                f"ended-{day.day}-{status.lower()}",
                f"{noun} {of_night}",
                day.jobs.get(status, ()),
            )
    return links


def day_rows(days: Sequence[Day], links: DayLinks, leads: Leads) -> Iterator[DayRow]:
    """Newest first; a day after the first report that has none itself says so."""
    first = next((place for place, day in enumerate(days) if day.run), len(days))
    # Where all of them are, no day is told apart from others by its filter.
    alike = all(day.filtered for day in days)
    for place in range(len(days) - 1, -1, -1):
        day = days[place]
        yield DayRow(
            # A night that was pruned still has its bar, and no page.
            day=Link(text=day_words(day.day), href=leads.night(day.run)),
            note=", ".join(_notes(day, silent=place > first and not day.run, alike=alike)),
            failed=_count(day, "Failed", day.failed, links),
            aborted=_count(day, "Aborted", day.aborted, links),
            succeeded=_count(day, "Succeeded", day.succeeded, links),
        )


def _notes(day: Day, *, silent: bool, alike: bool) -> Iterator[str]:
    if silent:
        failed = "its run failed and " if day.unreported else ""
        yield f"no report; {failed}what ended is in the next night"
    if day.filtered and not alike:
        yield "filtered"


def _count(day: Day, status: str, count: int, links: DayLinks) -> Link:
    return Link(text=day_number(day, status, count), href=links.get((day.day, status), ""))


def day_charts(days: Sequence[Day], links: DayLinks) -> tuple[charts.Days, ...]:
    """The chart for wide and for narrow pages; none where nothing ended."""
    if not any(ended(day) for day in days):
        return ()
    bars = tuple(_bar(day, links) for day in days)
    wide = charts.Days(
        title="Jobs that ended, by night", take_away=said(days), bars=bars, width="wide"
    )
    return wide, replace(wide, width="narrow")


def mail_chart(days: Sequence[Day]) -> charts.Days:
    """The same for a mail, where nothing leads anywhere."""
    bars = tuple(_bar(day, {}) for day in days)
    return charts.Days(title="Jobs that ended, by day", take_away="", bars=bars, width="mail")


def _bar(day: Day, links: DayLinks) -> charts.Bar:
    silent = unreported(day)
    return charts.Bar(
        day=day.day,
        label=day_words(day.day),
        succeeded=day.succeeded,
        failed=day.failed,
        aborted=day.aborted,
        failed_link=links.get((day.day, "Failed"), ""),
        aborted_link=links.get((day.day, "Aborted"), ""),
        succeeded_link=links.get((day.day, "Succeeded"), ""),
        unreported=silent,
        told=not silent and not {"Failed", "Aborted"}.intersection(day.unseen),
    )


# --- workflows ---------------------------------------------------------------------------------


def top_rate(flows: Sequence[FlowRates]) -> float:
    """The highest failure rate of all their nights: the scale that small charts share."""
    return max((rate for flow in flows for rate in flow.rates if rate is not None), default=0.0)


def multiples(flows: Sequence[FlowRates], days: Sequence[Day], leads: Leads) -> Iterator[Multiple]:
    """A small chart for each workflow of which any rate is known."""
    top = top_rate(flows)
    for flow in flows:
        known = [place for place, rate in enumerate(flow.rates) if rate is not None]
        if known:
            yield _multiple(flow, known[-1], day_words(days[known[-1]].day), top, leads)


def _multiple(flow: FlowRates, last: int, day: str, top: float, leads: Leads) -> Multiple:
    """Its rates; the newest that is known is of that day, and is judged by those before it."""
    rate = words.percent(flow.rates[last])
    # Nights without a rate have their room too: all of these charts are of the same nights.
    band = bands.usual_band(flow.rates[: last + 1])
    line = sparklines.sparkline(flow.rates, band, top)
    return Multiple(
        workflow=workflow_link(flow.name, leads),
        line=line,
        rate=rate,
        outside=line.outside,
        day=day,
        said=f"Failure rate {rate} on {day}" + (", above the usual range" if line.outside else ""),
    )
