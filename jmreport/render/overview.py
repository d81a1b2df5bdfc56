"""The overview: the verdict, what changed, what needs attention."""

from collections.abc import Iterator

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from jmreport.render import (
    addresses,
    causewords,
    charts,
    flakypages,
    following,
    labellists,
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
from jmreport.render.leads import Leads, Lede, Link, more
from jmreport.render.page import Page, digest
from jmreport.report import FrameReport, LabelReport, Report
from jmreport.settings import Prices

#: Values of the top label and workflows with small charts; both say where the others are.
TOP_VALUES = 10
MULTIPLES = 12
#: Rows of the tables of stuck and fixed jobs; the whole lists are a link away.
ROWS = 15


class OverviewView(Struct, frozen=True, kw_only=True):
    """The overview, in the order shown."""

    title: str
    intro: Markup
    lede: Lede | None
    rest: str
    filtered: str
    unfollowed: str
    incomplete: tuple[str, ...]
    incomplete_sentence: str
    failed_run: str
    #: When the page is old, which its script tells; None where no report comes regularly.
    due: words.Moment | None
    quality: str
    tiles: tuple[overviewtiles.Tile, ...]
    attention_note: str
    attention_none: str
    attention: tuple[overviewrows.AttentionRow, ...]
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
    figures: tuple[charts.Days, ...] = ()
    wide: Markup = Markup("")
    narrow: Markup = Markup("")


def pages(
    report: Report, lists: Lists, prices: Prices, guides: Guides, *, as_of: words.Moment | None
) -> Iterator[Page]:
    """The one page, index.html."""
    view = _Overview(report, lists, prices, guides).view()

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


class _Overview:
    """One report's overview: its parts share the report and what they lead to."""

    def __init__(self, report: Report, lists: Lists, prices: Prices, guides: Guides) -> None:
        self.report, self.lists = report, lists
        self.prices, self.guides = prices, guides
        self.leads = Leads(report, lists, addresses.OVERVIEW)
        self.zone = self.leads.zone

    def view(self) -> OverviewView:
        report, leads = self.report, self.leads
        days = report.days
        label = _top_label(report)
        frame = labelpages.main_frame(label, report) if label else None
        day_links = lastnights.day_links(days, leads)
        shown = [flow for flow in report.workflows if flow.split.total]
        return OverviewView(
            title=verdict.title(report),
            intro=self.guides.intro,
            lede=self._lede(),
            rest=verdict.rest(report),
            # Of a report without jobs the sentence before it says so.
            filtered=verdict.filter_note(report) if report.counts.total else "",
            unfollowed=following.note(report),
            incomplete=verdict.holes(report),
            incomplete_sentence=verdict.incomplete(report),
            failed_run=self._failed_run(),
            due=words.when(report.due, self.zone),
            quality=addresses.QUALITY,
            tiles=tuple(overviewtiles.tiles(report, leads)),
            attention_note=self._attention_note(),
            attention_none=verdict.nothing_failing(report),
            attention=tuple(
                overviewrows.attention(group, report.now, leads, self.guides.name)
                for group in report.attention
            ),
            lapsed=self._lapsed(),
            stuck=tuple(overviewrows.stuck(each, leads) for each in report.stuck[:ROWS]),
            stuck_more=self._all(len(report.stuck), "stuck"),
            unjudged=self._unjudged(),
            days_heading=lastnights.heading(days),
            days=tuple(lastnights.day_rows(days, day_links, leads)),
            days_said=lastnights.said(days),
            multiples=tuple(lastnights.multiples(shown[:MULTIPLES], leads)),
            multiples_scale=words.percent(lastnights.top_rate(shown[:MULTIPLES]), 0),
            multiples_more=more(len(shown) - MULTIPLES, "workflow"),
            workflows=addresses.WORKFLOWS,
            label=self._label(label, frame) if label and frame else None,
            label_title=f"By {label.title}" if label else "",
            label_note=_label_note(label, report),
            label_href=addresses.label(label.key) if label else "",
            promises=promises.on_overview(report, leads),
            work=taskpages.summary(report, leads, self.prices),
            flaky=flakypages.on_overview(report.flaky, leads),
            fixed=tuple(overviewrows.fixed(job, report.now, leads) for job in report.fixed[:ROWS]),
            fixed_more=self._all(len(report.fixed), "fixed"),
            zone=words.zone_name(report.now, self.zone),
            figures=lastnights.day_charts(days, day_links),
        )

    # --- words at the top ---

    def _lede(self) -> Lede | None:
        found = causewords.largest(self.report.attention, self.report.counts)
        if found is None:
            return None
        start, flow, end = found
        where = (
            Link(
                text=words.cut_middle(flow, 80),
                href=self.leads.workflow(flow),
            )
            if flow
            else None
        )
        return Lede(before=f"{start} in " if where else start + end, link=where, after=end)

    def _failed_run(self) -> str:
        """What the runs that brought nothing, since the last report or this one, say."""
        quality = self.report.quality
        later = [
            run for run in self.report.runs if run.brought_nothing and run.now > self.report.now
        ]
        failed = quality.failed_runs if quality else tuple(later)
        if not failed:
            return ""
        newest = max(failed, key=lambda run: run.now)
        at = words.when(newest.now, self.zone)
        why = f" ({newest.reason})" if newest.reason else ""
        others = f", as did {words.plural(len(failed) - 1, 'run')} before it" if failed[1:] else ""
        said = f"The run of {at.text if at else 'later'} brought no report{why}{others}."
        if later:
            said += " This page still shows the last run that could be read."
        return said

    def _unjudged(self) -> Lede | None:
        jobs = self.report.unjudged
        if not jobs:
            return None
        href = self.leads.jobs(
            "unjudged",
            "jobs that cannot be judged: no baseline",
            jobs,
        )
        verb, their = (
            ("runs", "its workflow has") if jobs[1:] == () else ("run", "their workflows have")
        )
        return Lede(
            before="",
            link=Link(text=words.plural(len(jobs), "job"), href=href),
            after=f" {verb} for over 12 hours and cannot be judged: {their} too few successful "
            "runs for a baseline.",
        )

    def _lapsed(self) -> Lede | None:
        report = self.report
        if not report.lapsed:
            return None
        who, why = verdict.lapsed(len(report.lapsed))
        href = self.leads.jobs(
            "lapsed",
            "jobs that failed and are no longer counted",
            report.lapsed,
        )
        return Lede(before="", link=Link(text=who, href=href), after=f" {why}.")

    # --- tables ---

    def _attention_note(self) -> str:
        previous = self.report.previous
        if previous is None:
            return "Failing in this report, grouped by cause"
        at = words.when(previous.now, self.zone)
        return f"Compared with the last report ({at.text if at else ''}), grouped by cause"

    def _all(self, count: int, name: str) -> Link | None:
        """The whole list, where a table shows only its first rows."""
        if count <= ROWS:
            return None
        return Link(text=f"All {words.number(count)} {name} jobs", href=f"jobs/{name}.html")

    def _label(self, label: LabelReport, frame: FrameReport) -> labelpages.SplitTable:
        """The first values of a label."""
        everywhere = labellists.Everywhere(label)
        values = frame.values[:TOP_VALUES]
        return labelpages.table(
            label,
            frame,
            values,
            everywhere,
            self.lists,
            addresses.OVERVIEW,
            self.report.run.asked.filters,
        )


#: Labels that the live UI's buttons and text boxes write: most jobs have none.
OF_UI = ("flag", "comment", "label")


def _top_label(report: Report) -> LabelReport | None:
    """The label on the overview: the first that groups jobs; the user, and what the live UI puts
    there itself, only where there is no other."""
    wanted = [label for label in report.labels if label.key != "name" and not label.distinct]
    for label in sorted(wanted, key=lambda label: (label.key in OF_UI, label.key == "userId")):
        frame = labelpages.main_frame(label, report)
        if frame and sum(value.value is not None for value in frame.values) > 1:
            return label
    return None


def _label_note(label: LabelReport | None, report: Report) -> str:
    frame = labelpages.main_frame(label, report) if label else None
    if label is None or frame is None:
        return ""
    more = len(frame.values) - TOP_VALUES
    first = f" The first {TOP_VALUES} of {words.plural(len(frame.values), 'value')}."
    said = words.frame_words(frame.frame)
    return f"Jobs submitted in the {said}." + (first if more > 0 else "")
