"""Which pages a site has beside its jobs', in the order in which they are made: the plan."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import chain

from msgspec import Struct

from jmreport.compared import Difference
from jmreport.night import Night
from jmreport.render import (
    aboutpage,
    addresses,
    causepages,
    diffpages,
    filtered,
    gonepages,
    gridpage,
    hostpages,
    idpages,
    joblists,
    labelpages,
    nightcalendar,
    nightpages,
    overview,
    promises,
    qualitypage,
    taskpages,
    timelinepage,
    verdict,
    words,
    workflowlist,
    workflowpages,
)
from jmreport.render.guides import Guides
from jmreport.render.page import Page
from jmreport.render.spelled import Ids
from jmreport.render.standing import Standing
from jmreport.render.theme import Theme
from jmreport.report import Report
from jmreport.settings import Settings


class There(Struct, frozen=True, kw_only=True):
    """What a site has by now, beside the report.

    `nights` are told anew, all others are had by `night`. `lasting` are pages of workflows,
    causes and labels that stay though nothing tells of them; those of `going` go, since what they
    tell of was pruned. `has` says whether a page is there, and stays; `ids` are the jobs that have
    one.
    """

    nights: Mapping[str, Night]
    night: Callable[[str], Night | None]
    differences: Sequence[Difference]
    lasting: frozenset[str]
    going: frozenset[str]
    has: Callable[[str], bool]
    ids: Ids


class Plan(Struct, frozen=True, kw_only=True):
    """The pages, and what goes.

    Those of lists come first, each when it is asked for. Of those that are of one order the later
    ones are made later, the overview last of all.
    """

    pages: Iterator[Page]
    going: frozenset[str]


def plan(
    report: Report,
    jobs: joblists.Jobs,
    there: There,
    *,
    settings: Settings,
    theme: Theme,
    guides: Guides,
    rows_file: str,
    standing: Standing,
) -> Plan:
    """Plans every page but the jobs', and those that stand as they are.

    `rows_file` holds the rows that the list of jobs asks for.
    """
    zone, prices = words.zone(settings.report.timezone), settings.prices
    as_of = _as_of(report, zone)
    lists = joblists.Lists(jobs)
    told = has_pages(report)

    def known(address: str) -> bool:
        # The page of a night that nothing tells of any more goes when all others are written.
        return address in told or (not addresses.is_night(address) and there.has(address))

    front = list(overview.pages(report, lists, prices, guides, as_of=as_of))
    middle = [
        *workflowlist.pages(report, lists, as_of=as_of),
        *workflowpages.pages(report, lists, prices, guides),
        *causepages.pages(report, lists, guides, as_of=as_of),
        *taskpages.pages(report, lists, prices, as_of=as_of),
        *labelpages.pages(report, lists, as_of=as_of),
        *qualitypage.pages(report, lists, _mistakes(report, settings, guides), as_of=as_of),
        *aboutpage.pages(report, settings, version=theme.version, as_of=as_of),
        *gridpage.pages(report, lists, as_of=as_of),
        *timelinepage.pages(report, lists, as_of=as_of),
        *nightcalendar.pages(report, lists, zone=zone, as_of=as_of),
        *nightpages.pages(
            report,
            there.nights,
            there.night,
            zone=zone,
            known=known,
            going=there.going,
        ),
        *idpages.pages(there.ids),
        *hostpages.pages(
            settings.site.url, css=theme.named("site.css"), icon=theme.named("icon.svg")
        ),
    ]
    middle += diffpages.pages(there.differences, known, zone)
    middle += joblists.index_pages(
        report,
        jobs,
        lists,
        rows_file=rows_file,
        incomplete=verdict.incomplete(report),
        none="" if report.jobs else verdict.rest(report),
        as_of=as_of,
    )
    made = {page.address for page in (*middle, *front)}
    going = there.going - made
    middle += gonepages.pages(sorted(there.lasting - going), made)
    return Plan(pages=chain(lists.pages(standing), middle, front), going=going)


def _as_of(report: Report, zone: tzinfo) -> words.Moment | None:
    """When what pages show was read, which stands above each; and that not all was asked for."""
    at = words.when(report.now, zone)
    if at is None or not filtered.narrows(report.run.asked.filters):
        return at
    return words.Moment(text=f"{at.text}, filtered", iso=at.iso)


def _mistakes(report: Report, settings: Settings, guides: Guides) -> tuple[str, ...]:
    """What is wrong with the notes, the promises and the prices of the site's owner."""
    unused = guides.unused(
        {flow.name for flow in report.workflows}, {cause.id for cause in report.causes}
    )
    promised = promises.mistakes(settings.slo, report)
    priced = taskpages.mistakes(settings.prices, report)
    return (*guides.mistakes, *unused, *promised, *priced)


def has_pages(report: Report) -> set[str]:
    """Addresses of the nights, causes and workflows of a report."""
    told = {addresses.night(night.run) for night in report.nights}
    told |= {addresses.cause(cause.id) for cause in report.causes}
    told |= {addresses.workflow(flow.name) for flow in report.workflows}
    return told


def told_of(report: Report) -> set[str]:
    """Ids of jobs that pages tell of, also from before the window; others only lists show."""
    found: set[str] = {*report.fixed, *report.missing, *report.lapsed, *report.unknown}
    found.update(each.job for each in report.stuck)
    found.update(report.hidden.jobs if report.hidden else ())
    for group in report.attention:
        found.update(group.jobs)
    for cause in report.causes:
        found.update(cause.jobs[: causepages.JOBS], cause.window, cause.tonight)
    for key in report.flaky:
        found.update(key.jobs)
    for flow in report.workflows:
        found.update(flow.jobs)
        for group in flow.causes:
            found.update(group.jobs)
    if report.timeline:
        found.update(report.timeline.jobs())
    if report.quality:
        found.update(report.quality.unreadable, report.quality.unreadable_below)
        found.update(gap.job for gap in report.quality.gaps if gap.job)
    return found
