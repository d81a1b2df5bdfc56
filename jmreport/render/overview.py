"""The overview: the verdict, what changed, what needs attention."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import replace

from jmreport.models import ACTIVE_STATUSES
from jmreport.render import (
    addresses,
    bands,
    causewords,
    charts,
    filtered,
    flakypages,
    following,
    labellists,
    labelpages,
    promises,
    sparklines,
    taskpages,
    verdict,
    words,
)
from jmreport.render.drawings import Charts
from jmreport.render.guides import Guides
from jmreport.render.joblists import Lists
from jmreport.render.page import Page, digest
from jmreport.report import (
    CauseGroup,
    Day,
    FrameReport,
    LabelReport,
    Report,
    StuckJob,
    WorkflowReport,
)
from jmreport.settings import Prices

#: Values of the top label and workflows with small charts; both say where the others are.
TOP_VALUES = 10
MULTIPLES = 12
#: Rows of the tables of stuck and fixed jobs; the whole lists are a link away.
ROWS = 15


class Link(Struct, frozen=True, kw_only=True):
    """A text and where it leads; no link where there is no page."""

    text: str
    href: str = ""


class Lede(Struct, frozen=True, kw_only=True):
    """A sentence around a link."""

    before: str
    link: Link | None = None
    after: str = ""


class Tile(Struct, frozen=True, kw_only=True):
    """A number of the verdict."""

    n: str
    what: str
    usual: str
    usual_night: str
    kind: str
    href: str = ""


class AttentionRow(Struct, frozen=True, kw_only=True):
    """A cause: how many jobs, where, since when, and what they share."""

    state: str
    state_kind: str
    jobs: Link
    new: Link | None
    not_run: Link | None
    workflows: tuple[Link, ...]
    more_workflows: str
    tasks: str
    title: str
    cause_href: str
    known: str
    cause_class: str
    rule: str
    since: words.Moment | None
    lasting: tuple[str, ...]
    flaky: Link | None
    shared: str
    example: Link


class StuckRow(Struct, frozen=True, kw_only=True):
    """A job that has been active for too long."""

    status: words.StatusWord
    workflow: Link
    job: Link
    active_for: str
    usual: str
    where: str


class FixedRow(Struct, frozen=True, kw_only=True):
    """A job of a key that failed before and succeeded now."""

    workflow: Link
    job: Link
    ended: words.Moment | None
    took: str


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
    quality: str
    tiles: tuple[Tile, ...]
    attention_note: str
    attention_none: str
    attention: tuple[AttentionRow, ...]
    lapsed: Lede | None
    stuck: tuple[StuckRow, ...]
    stuck_more: Link | None
    unjudged: Lede | None
    days_heading: str
    days: tuple[DayRow, ...]
    days_said: str
    multiples: tuple[Multiple, ...]
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
    fixed: tuple[FixedRow, ...]
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
    """One report's overview: its parts share the report and the lists."""

    def __init__(self, report: Report, lists: Lists, prices: Prices, guides: Guides) -> None:
        self.guides = guides
        self.report, self.lists, self.jobs = report, lists, lists.jobs
        self.prices = prices
        self.zone = lists.jobs.zone
        self._told = {night.run for night in report.nights}
        #: Then no day is told apart from others by it.
        self._all_filtered = all(day.filtered for day in report.days)

    def view(self) -> OverviewView:
        report = self.report
        days = report.days
        label = _top_label(report)
        frame = labelpages.main_frame(label, report) if label else None
        day_links = self._day_links()
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
            quality=addresses.QUALITY,
            tiles=tuple(self._tiles()),
            attention_note=self._attention_note(),
            attention_none=verdict.nothing_failing(report),
            attention=tuple(self._attention(group) for group in report.attention),
            lapsed=self._lapsed(),
            stuck=tuple(self._stuck(each) for each in report.stuck[:ROWS]),
            stuck_more=self._all(len(report.stuck), "stuck"),
            unjudged=self._unjudged(),
            days_heading=f"Last {words.plural(len(days), 'night')}"
            if len(days) > 1
            else "Last night",
            days=tuple(self._day_rows(day_links)),
            days_said=_days_said(days),
            multiples=self._multiples(shown[:MULTIPLES]),
            multiples_scale=words.percent(_top_rate(shown[:MULTIPLES]), 0),
            multiples_more=_more(len(shown) - MULTIPLES, "workflow"),
            workflows=addresses.WORKFLOWS,
            label=self._label(label, frame) if label and frame else None,
            label_title=f"By {label.title}" if label else "",
            label_note=_label_note(label, report),
            label_href=addresses.label(label.key) if label else "",
            promises=promises.on_overview(report, self.lists),
            work=taskpages.summary(report, self.lists, self.prices),
            flaky=flakypages.on_overview(report.flaky, self.lists),
            fixed=tuple(self._fixed(job) for job in report.fixed[:ROWS]),
            fixed_more=self._all(len(report.fixed), "fixed"),
            zone=words.zone_name(report.now, self.zone),
            figures=_day_charts(days, day_links) if any(_ended(day) for day in days) else (),
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
                href=self.jobs.workflow_href(flow, addresses.OVERVIEW),
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

    def _tiles(self) -> Iterator[Tile]:
        report, counts = self.report, self.report.counts
        if report.previous is None:
            failing = _ids(group.jobs for group in report.attention)
            yield self._tile(
                counts.failing, "Failing", "", "failed", "failing", "failing jobs", failing
            )
        else:
            new = _ids(group.new_jobs for group in report.attention)
            known = set(new)
            still = [
                job for job in _ids(group.jobs for group in report.attention) if job not in known
            ]
            yield self._tile(
                counts.new,
                "New failures",
                "" if report.usual else _usual_day(report.days),
                "failed",
                "new",
                "newly failing jobs",
                new,
            )
            yield self._tile(
                counts.still_failing,
                "Still failing",
                self._standing() if counts.still_failing else "",
                "aborted",
                "still-failing",
                "jobs still failing",
                still,
                some=self._not_run(),
            )
        longest = max((each.active_for for each in report.stuck), default=None)
        yield self._tile(
            counts.stuck,
            "Stuck",
            " · ".join(
                filter(
                    None,
                    (
                        f"longest: {words.duration(longest)}" if longest else "",
                        verdict.unjudged(counts.unjudged),
                    ),
                )
            ),
            "aborting",
            "stuck",
            "stuck jobs",
            [each.job for each in report.stuck],
        )
        if report.previous is not None:
            yield self._tile(
                counts.fixed,
                "Fixed",
                self._fixed_workflows(),
                "succeeded",
                "fixed",
                "fixed jobs",
                report.fixed,
            )
        if counts.missing:
            yield self._tile(
                counts.missing,
                "Missing",
                "",
                "aborted",
                "missing",
                "last jobs of missing work",
                report.missing,
            )
        if counts.unknown:
            yield self._tile(
                counts.unknown,
                "Unknown",
                "unread, or lost while active",
                "aborted",
                "unknown",
                "jobs of which nobody knows how they stand",
                report.unknown,
            )
        yield self._running()

    def _tile(
        self,
        count: int,
        what: str,
        usual: str,
        kind: str,
        name: str,
        title: str,
        jobs: Sequence[str],
        some: tuple[str, str] = ("", ""),
    ) -> Tile:
        href = self.lists.link(name, title, jobs, back=("Overview", addresses.OVERVIEW), some=some)
        counted = _COUNTED.get(name, name)
        unseen = not count and counted in filtered.unseen(self.report.run.asked.filters)
        return Tile(
            n=words.MISSING if unseen else words.number(count),
            what=what,
            usual=filtered.UNSEEN if unseen else usual,
            usual_night="" if unseen else usual_night(self.report, counted),
            kind=kind if count else f"{kind} zero",
            href=href,
        )

    def _running(self) -> Tile:
        """Every job that may still change, as far as anybody knows: not those that are lost."""
        report = self.report
        lost = set(report.quality.lost) if report.quality else set()
        active = [
            entry.row
            for entry in report.jobs
            if entry.row.status in ACTIVE_STATUSES and entry.row.id not in lost
        ]
        by_status = Counter(row.status for row in active)
        alone = set(by_status) <= {"Running"}
        return self._tile(
            len(active),
            "Running now" if alone else "Active now",
            "" if alone else labelpages.split_words(by_status),
            "running",
            "running",
            "running jobs" if alone else "active jobs",
            [row.id for row in active],
        )

    def _standing(self) -> str:
        """How old the oldest of the failing work is, and how much of it did not run."""
        since, idle = self.report.oldest_failing, self.report.counts.not_run
        oldest = f"oldest: {words.duration(self.report.now - since)}" if since else ""
        return " · ".join(
            filter(None, (oldest, f"{words.number(idle)} not run tonight" if idle else ""))
        )

    def _not_run(self) -> tuple[str, str]:
        """What is said of those that still fail and did not run, and their list."""
        jobs = _ids(group.not_run for group in self.report.attention)
        href = self.lists.link(
            "not-run",
            "jobs still failing whose work did not run tonight",
            jobs,
            back=("Overview", addresses.OVERVIEW),
        )
        return f"{words.number(len(jobs))} not run tonight", href

    def _unjudged(self) -> Lede | None:
        jobs = self.report.unjudged
        if not jobs:
            return None
        href = self.lists.link(
            "unjudged",
            "jobs that cannot be judged: no baseline",
            jobs,
            back=("Overview", addresses.OVERVIEW),
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
        href = self.lists.link(
            "lapsed",
            "jobs that failed and are no longer counted",
            report.lapsed,
            back=("Overview", addresses.OVERVIEW),
        )
        return Lede(before="", link=Link(text=who, href=href), after=f" {why}.")

    def _fixed_workflows(self) -> str:
        names = {row.name for job in self.report.fixed if (row := self.jobs.row(job))}
        return words.plural(len(names), "workflow") if names else ""

    # --- tables ---

    def _attention_note(self) -> str:
        previous = self.report.previous
        if previous is None:
            return "Failing in this report, grouped by cause"
        at = words.when(previous.now, self.zone)
        return f"Compared with the last report ({at.text if at else ''}), grouped by cause"

    def _attention(self, group: CauseGroup) -> AttentionRow:
        example = (group.new_jobs or group.jobs)[0]
        name = f"cause-{group.id}-{group.state.replace(' ', '-')}"
        back = ("Overview", addresses.OVERVIEW)
        title = f"jobs failing with: {words.cut_middle(group.title, 120) or group.rule}"
        href = self.lists.link(name, title, group.jobs, back=back)
        mixed = group.new_jobs and len(group.new_jobs) < len(group.jobs)
        return AttentionRow(
            state={"new": "New", "still failing": "Still failing"}.get(group.state, "Failing"),
            state_kind={"new": "new", "still failing": "still"}.get(group.state, "failed"),
            jobs=Link(text=words.number(len(group.jobs)), href=href),
            new=Link(
                text=f"{words.number(len(group.new_jobs))} new",
                href=self.lists.link(f"{name}-new", f"new {title}", group.new_jobs, back=back),
            )
            if mixed
            else None,
            not_run=Link(
                text=causewords.not_run(group),
                href=self.lists.link(
                    f"{name}-not-run", f"{title}, not run tonight", group.not_run, back=back
                ),
            )
            if group.not_run
            else None,
            workflows=tuple(self._workflow(flow) for flow in group.workflows[:3]),
            more_workflows=_more(len(group.workflows) - 3, "workflow"),
            tasks=causewords.task_words(group.tasks),
            title=words.cut_middle(group.title or group.rule, 200),
            cause_href=addresses.cause(group.id),
            known=self.guides.name(group.title, group.example),
            cause_class=group.cause_class,
            rule=group.rule,
            since=words.short_when(group.since, self.zone, near=self.report.now),
            lasting=tuple(causewords.lasting(group, self.report.now, self.zone)),
            flaky=Link(
                text=f"{words.number(len(group.flaky))} flaky",
                href=self.lists.link(f"{name}-flaky", f"flaky {title}", group.flaky, back=back),
            )
            if group.flaky
            else None,
            shared=causewords.shared_words(group),
            example=self._job(example),
        )

    def _workflow(self, name: str) -> Link:
        href = self.jobs.workflow_href(name, addresses.OVERVIEW)
        text = words.cut_middle(name, 80) or "(no name)"
        return Link(text=words.breakable(text), href=href)

    def _job(self, job: str) -> Link:
        known = self.jobs.row(job) is not None
        return Link(text=self.jobs.short(job), href=addresses.job(job) if known else "")

    def _stuck(self, each: StuckJob) -> StuckRow:
        row = self.jobs.row(each.job)
        usual = each.usual
        return StuckRow(
            status=words.status(row.status if row else ""),
            workflow=self._workflow(row.name if row else ""),
            job=self._job(each.job),
            active_for=words.duration(each.active_for),
            usual=causewords.usual_duration(usual),
            where=each.where or ("waiting" if each.waiting else ""),
        )

    def _fixed(self, job: str) -> FixedRow:
        row = self.jobs.row(job)
        return FixedRow(
            workflow=self._workflow(row.name if row else ""),
            job=self._job(job),
            ended=words.short_when(row.end if row else None, self.zone, near=self.report.now),
            took=words.duration(row.took if row else None),
        )

    def _all(self, count: int, name: str) -> Link | None:
        """The whole list, where a table shows only its first rows."""
        if count <= ROWS:
            return None
        return Link(text=f"All {words.number(count)} {name} jobs", href=f"jobs/{name}.html")

    # --- nights and workflows ---

    def _day_links(self) -> dict[tuple[str, str], str]:
        """(day, "bad", "Failed", "Aborted" or "Succeeded") -> the list of its jobs."""
        back = ("Overview", addresses.OVERVIEW)
        links: dict[tuple[str, str], str] = {}
        for day in self.report.days:
            ended = night_words(day.day)
            for status, noun in (
                ("Failed", "failed jobs"),
                ("Aborted", "aborted jobs"),
                ("Succeeded", "succeeded jobs"),
            ):
                links[day.day, status] = self.lists.link(
                    f"ended-{day.day}-{status.lower()}",
                    f"{noun} {ended}",
                    day.jobs.get(status, ()),
                    back=back,
                )
            links[day.day, "bad"] = self.lists.link(
                f"ended-{day.day}-bad",
                f"failed or aborted jobs {ended}",
                (*day.jobs.get("Failed", ()), *day.jobs.get("Aborted", ())),
                back=back,
            )
        return links

    def _day_rows(self, links: dict[tuple[str, str], str]) -> Iterator[DayRow]:
        """Newest first; a day after the first report that has none itself says so."""
        days = self.report.days
        first = next((place for place, day in enumerate(days) if day.run), len(days))
        for place in range(len(days) - 1, -1, -1):
            yield self._day_row(days[place], links, silent=place > first and not days[place].run)

    def _day_row(self, day: Day, links: dict[tuple[str, str], str], *, silent: bool) -> DayRow:
        def link(count: int, kind: str) -> Link:
            text = day_number(day, kind, count)
            return Link(text=text, href=links.get((day.day, kind), ""))

        failed = "its run failed and " if day.unreported else ""
        notes = [f"no report; {failed}what ended is in the next night"] if silent else []
        notes += ["filtered"] if day.filtered and not self._all_filtered else []
        return DayRow(
            # A night that was pruned still has its bar, and no page.
            day=Link(
                text=day_words(day.day),
                href=addresses.night(day.run) if day.run in self._told else "",
            ),
            note=", ".join(notes),
            failed=link(day.failed, "Failed"),
            aborted=link(day.aborted, "Aborted"),
            succeeded=link(day.succeeded, "Succeeded"),
        )

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

    def _multiples(self, flows: Sequence[WorkflowReport]) -> tuple[Multiple, ...]:
        top = _top_rate(flows)
        return tuple(each for flow in flows if (each := self._multiple(flow, top)) is not None)

    def _multiple(self, flow: WorkflowReport, top: float) -> Multiple | None:
        rates = day_rates(flow.days)
        known = [place for place, rate in enumerate(rates) if rate is not None]
        if not known:
            return None
        last = known[-1]
        rate = words.percent(rates[last])
        line = sparklines.sparkline(rates[: last + 1], bands.usual_band(rates[: last + 1]), top)
        day = day_words(flow.days[last].day)
        return Multiple(
            workflow=self._workflow(flow.name),
            line=line,
            rate=rate,
            outside=line.outside,
            day=day,
            said=f"Failure rate {rate} on {day}"
            + (", above the usual range" if line.outside else ""),
        )


#: Counts that are not called as the list behind their tile.
_COUNTED = {"still-failing": "still_failing"}


def usual_night(report: Report, count: str) -> str:
    """What a count usually is; "" where nobody can say."""
    usual = report.usual.get(count)
    return words.usual_night(usual) if usual else ""


def _more(count: int, noun: str) -> str:
    return f"{words.number(count)} more {noun if count == 1 else noun + 's'}" if count > 0 else ""


def _ids(groups: Any) -> list[str]:
    """Ids of several groups, each once, in order."""
    return list(dict.fromkeys(job for group in groups for job in group))


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


# --- nights ------------------------------------------------------------------------------------


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


def _top_rate(flows: Sequence[WorkflowReport]) -> float:
    rates = [rate for flow in flows for rate in day_rates(flow.days) if rate is not None]
    return max(rates, default=0.0)


def _ended(day: Day) -> int:
    return day.failed + day.aborted + day.succeeded


def _usual_day(days: Sequence[Day]) -> str:
    """The median of failed jobs in the nights before the last; "" below five."""
    before = sorted(day.failed for day in days[:-1] if day.told)
    return (
        f"usually {words.number(before[len(before) // 2])} failed a night"
        if len(before) > 4
        else ""
    )


def unreported(day: Day) -> bool:
    """Whether a bar that is not there would look like a quiet night."""
    return day.unreported and not _ended(day)


def _days_said(days: Sequence[Day]) -> str:
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


def _day_charts(
    days: Sequence[Day], links: dict[tuple[str, str], str]
) -> tuple[charts.Days, charts.Days]:
    bars = tuple(
        charts.Bar(
            day=day.day,
            label=day_words(day.day),
            succeeded=day.succeeded,
            failed=day.failed,
            aborted=day.aborted,
            failed_link=links.get((day.day, "bad"), ""),
            succeeded_link=links.get((day.day, "Succeeded"), ""),
            unreported=unreported(day),
        )
        for day in days
    )
    wide = charts.Days(
        title="Jobs that ended, by night", take_away=_days_said(days), bars=bars, width="wide"
    )
    return wide, replace(wide, width="narrow")
