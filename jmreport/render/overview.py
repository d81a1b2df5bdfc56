"""The overview: the verdict, what changed, what needs attention."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from jmreport.night import Told
from jmreport.render import (
    addresses,
    causewords,
    charts,
    flakypages,
    following,
    labelpages,
    lastnights,
    overviewrows,
    overviewtiles,
    promises,
    taskpages,
    verdict,
    words,
)
from jmreport.render.drawings import Charts
from jmreport.render.guides import Guides
from jmreport.render.joblists import Lists
from jmreport.render.leads import Leads, Lede, Link, ToLists, more
from jmreport.render.page import Page, digest
from jmreport.report import MULTIPLES, ROWS, Report
from jmreport.report.labels import ShownLabel
from jmreport.settings import Prices


class OverviewView(Struct, frozen=True, kw_only=True):
    """The overview, in the order shown."""

    title: str
    lede: Lede | None
    rest: str
    filtered: str
    unfollowed: str
    hidden: Lede | None
    incomplete: tuple[str, ...]
    incomplete_sentence: str
    failed_run: str
    quality: str
    tiles: tuple[overviewtiles.Tile, ...]
    attention_note: str
    attention_none: str
    attention: tuple[overviewrows.AttentionRow, ...]
    attention_more: Link | None
    lapsed: Lede | None
    stuck: tuple[overviewrows.StuckRow, ...]
    stuck_more: Link | None
    unjudged: Lede | None
    days_heading: str
    days: tuple[lastnights.DayRow, ...]
    days_said: str
    multiples: tuple[lastnights.Multiple, ...]
    multiples_scale: str
    multiples_more: str
    workflows: str
    label: labelpages.SplitTable | None
    label_title: str
    label_note: str
    label_href: str
    promises: promises.Promises
    work: taskpages.Summary
    flaky: flakypages.Flaky
    fixed: tuple[overviewrows.FixedRow, ...]
    fixed_more: Link | None
    zone: str
    #: When the page is old, which its script tells; None where no report comes regularly, and for
    #: a night's own page, which is of that night for good.
    due: words.Moment | None = None
    intro: Markup = Markup("")
    figures: tuple[charts.Days, ...] = ()
    wide: Markup = Markup("")
    narrow: Markup = Markup("")


def pages(
    report: Report, lists: Lists, prices: Prices, guides: Guides, *, as_of: words.Moment | None
) -> Iterator[Page]:
    """The one page, index.html."""
    leads = ToLists(report, lists, addresses.OVERVIEW)
    links = lastnights.day_links(report.days, leads)
    view = replace(
        told_view(
            report,
            leads,
            prices,
            known=[guides.name(group.title, group.example) for group in report.attention],
            failed_run=_failed_run(report, leads.zone),
            days=links,
        ),
        due=words.when(report.due, leads.zone),
        intro=guides.intro,
        figures=lastnights.day_charts(report.days, links),
    )

    def drawn(draw: Charts) -> OverviewView:
        if not view.figures:
            return view
        return replace(view, wide=draw.svg(view.figures[0]), narrow=draw.svg(view.figures[1]))

    yield Page(
        address=addresses.OVERVIEW,
        template="overview.html",
        content=digest(replace(view, wide="", narrow=""), as_of),
        view=drawn,
        as_of=as_of,
        figures=view.figures,
    )


def told_view(
    told: Told,
    leads: Leads,
    prices: Prices,
    *,
    known: Sequence[str],
    failed_run: str,
    days: lastnights.DayLinks,
) -> OverviewView:
    """The overview of the newest report, or of a night of the past, without its chart.

    `days` are the lists of the days' jobs, as far as there are any. `known` names the issue that
    each cause is an example of, `failed_run` tells of runs that brought nothing.
    """
    label, rates = told.label, told.rates[:MULTIPLES]
    shown = told.attention[: overviewrows.CAUSES]
    return OverviewView(
        title=verdict.title(told),
        lede=_lede(told, leads),
        rest=verdict.rest(told),
        # Of a report without jobs the sentence before it says so.
        filtered=verdict.filter_note(told) if told.counts.total else "",
        unfollowed=following.note(told),
        hidden=_hidden(told, leads),
        incomplete=verdict.holes(told),
        incomplete_sentence=verdict.incomplete(told),
        failed_run=failed_run,
        quality=leads.newest(addresses.QUALITY),
        tiles=tuple(overviewtiles.tiles(told, leads)),
        attention_note=_attention_note(told, leads.zone),
        attention_none=verdict.nothing_failing(told),
        attention=tuple(
            overviewrows.attention(group, told.now, leads, name)
            for group, name in zip(shown, known[: len(shown)], strict=True)
        ),
        attention_more=overviewrows.more_causes(told.attention, leads),
        lapsed=_lapsed(told, leads),
        stuck=tuple(overviewrows.stuck(each, leads) for each in told.stuck[:ROWS]),
        stuck_more=_all([each.job for each in told.stuck], "stuck", leads),
        unjudged=_unjudged(told, leads),
        days_heading=lastnights.heading(told.days),
        days=tuple(lastnights.day_rows(told.days, days, leads))
        if any(lastnights.ended(day) for day in told.days)
        else (),
        days_said=lastnights.said(told.days),
        multiples=tuple(lastnights.multiples(rates, told.days, leads)),
        multiples_scale=words.percent(top, 0) if (top := lastnights.top_rate(rates)) else "",
        multiples_more=more(told.totals.workflows - len(rates), "workflow"),
        workflows=leads.newest(addresses.WORKFLOWS),
        label=_label(label, told, leads) if label else None,
        label_title=f"By {label.title}" if label else "",
        label_note=_label_note(label) if label else "",
        label_href=leads.label(label.key) if label else "",
        promises=promises.on_overview(told.slos, told.totals.promises, told, leads),
        work=taskpages.summary(told, leads, prices),
        flaky=flakypages.on_overview(told.flaky, told.totals.flaky, leads),
        fixed=tuple(overviewrows.fixed(job, told.now, leads) for job in told.fixed[:ROWS]),
        fixed_more=_all(told.fixed, "fixed", leads),
        zone=words.zone_name(told.now, leads.zone),
    )


# --- words at the top --------------------------------------------------------------------------


def _lede(told: Told, leads: Leads) -> Lede | None:
    found = causewords.largest(told.attention, told.counts)
    if found is None:
        return None
    start, flow, end = found
    if not flow:
        return Lede(before=start + end)
    where = Link(text=words.cut_middle(flow, 80), href=leads.workflow(flow))
    return Lede(before=f"{start} in ", link=where, after=end)


def _failed_run(report: Report, zone: tzinfo) -> str:
    """What the runs that brought nothing, since the last report or this one, say."""
    quality = report.quality
    later = [run for run in report.runs if run.brought_nothing and run.now > report.now]
    failed = quality.failed_runs if quality else tuple(later)
    said = failed_runs([(run.now, run.reason) for run in failed], zone)
    # Only of those behind it: what failed before it is over.
    return f"{said} This page still shows the last run that could be read." if later else said


def failed_runs(failed: Sequence[tuple[datetime, str]], zone: tzinfo) -> str:
    """What runs that brought nothing say: when each was, and why. "" for none."""
    if not failed:
        return ""
    now, reason = max(failed, key=lambda run: run[0])
    at = words.when(now, zone)
    why = f" ({reason})" if reason else ""
    others = f", as did {words.plural(len(failed) - 1, 'run')} before it" if failed[1:] else ""
    return f"The run of {at.text if at else 'later'} brought no report{why}{others}."


def _attention_note(told: Told, zone: tzinfo) -> str:
    if told.since is None:
        return "Failing in this report, grouped by cause"
    at = words.when(told.since, zone)
    return f"Compared with the last report ({at.text if at else ''}), grouped by cause"


def _unjudged(told: Told, leads: Leads) -> Lede | None:
    jobs = told.unjudged
    if not jobs:
        return None
    href = leads.jobs("unjudged", "jobs that cannot be judged: no baseline", jobs)
    verb, their = (
        ("runs", "its workflow has") if jobs[1:] == () else ("run", "their workflows have")
    )
    return Lede(
        before="",
        link=Link(text=words.plural(len(jobs), "job"), href=href),
        after=f" {verb} for over 12 hours and cannot be judged: {their} too few successful "
        "runs for a baseline.",
    )


def _hidden(told: Told, leads: Leads) -> Lede | None:
    found = told.hidden
    if found is None:
        return None
    who, why = following.hidden_words(found)
    href = leads.jobs("hidden", "failed jobs that other work hides", found.jobs)
    after = f" {why}. To be told of each, {following.hidden_hint(found)}."
    return Lede(before="", link=Link(text=who, href=href), after=after)


def _lapsed(told: Told, leads: Leads) -> Lede | None:
    if not told.lapsed:
        return None
    who, why = verdict.lapsed(len(told.lapsed))
    href = leads.jobs("lapsed", "jobs that failed and are no longer counted", told.lapsed)
    return Lede(before="", link=Link(text=who, href=href), after=f" {why}.")


# --- tables ------------------------------------------------------------------------------------


def _all(jobs: Sequence[str], name: str, leads: Leads) -> Link | None:
    """The whole list, where a table shows only its first rows."""
    if len(jobs) <= ROWS:
        return None
    href = leads.jobs(name, f"{name} jobs", jobs)
    return Link(text=f"All {words.number(len(jobs))} {name} jobs", href=href)


def _label(label: ShownLabel, told: Told, leads: Leads) -> labelpages.SplitTable:
    """The first values of a label."""
    values = zip(label.values, leads.values(label), strict=True)
    return labelpages.table(label, label.split, values, told.filters, counted=label.counted)


def _label_note(label: ShownLabel) -> str:
    shown = len(label.values)
    first = f" The first {shown} of {words.plural(label.number, 'value')}."
    said = words.frame_words(label.frame)
    return f"Jobs submitted in the {said}." + (first if label.number > shown else "")
