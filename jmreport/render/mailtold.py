"""What a mail tells, first what nobody may overlook: a team's night as the view of its mail."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from markupsafe import Markup

from jmreport.night import kept
from jmreport.records import RETRIED
from jmreport.render import (
    addresses,
    causewords,
    charts,
    filtered,
    following,
    lastnights,
    promises,
    verdict,
    wastewords,
    words,
)
from jmreport.render.guides import Guides
from jmreport.render.mailsubjects import day, tells_what_fails
from jmreport.render.mailviews import (
    Cause,
    Chart,
    Link,
    MailView,
    Night,
    Part,
    Places,
    Row,
    Size,
    Tile,
)
from jmreport.report import Report
from jmreport.report.causes import CauseGroup
from jmreport.report.counts import Day
from jmreport.report.jobs import StuckJob
from jmreport.report.quality import Hidden
from jmreport.settings import Prices, Team

#: Notes of known issues up to this length are shown as they are meant; longer ones are cut.
_NOTE = 600
#: Broken promises that are told one by one.
_PROMISES = 5
#: Days that are worth a chart.
_FEWEST_DAYS = 3
#: Counts that a first report does not have.
_COMPARED = ("still_failing", "fixed")
_NONE_HIDDEN = Hidden(labels=(), jobs=())


class Telling:
    """One team's mail: its parts share the night and where pages are."""

    def __init__(
        self,
        night: Night,
        team: Team,
        guides: Guides,
        prices: Prices,
        places: Places,
        title: str,
        zone: tzinfo,
        version: str,
        left_out: Sequence[str],
    ) -> None:
        self.night, self.team, self.guides, self.prices = night, team, guides, prices
        self.places, self.title, self.zone, self.version = places, title, zone, version
        self.left_out = left_out
        self.report = night.report
        self.named = {job.id: job for job in night.named}

    def view(self, size: Size) -> MailView:
        report, night = self.report, self.night
        failed = night.failed is not None
        shown = None if failed else report
        at = words.when(night.at, self.zone)
        return MailView(
            css=_css(),
            site=self.title,
            team=words.cut_end(self.team.name, 80),
            when=at.text if at else "",
            banner=self._banner(),
            banner_kind="failed" if failed else "incomplete",
            banner_lines=tuple(self._banner_lines()),
            title=self._title(),
            lede=self._lede(),
            tiles=tuple(_tiles(shown)) if shown else (),
            total=self._total(shown) if shown else "",
            night=self._night(),
            where="" if self._night().href else self.places.where,
            notices=tuple(self._notices()),
            causes_heading="Needs attention, by cause",
            causes=tuple(self._cause(group, size) for group in self._groups(shown)[: size.causes]),
            more=self._more_causes(shown, size.causes),
            parts=tuple(self._parts(shown, size.rows)) if shown else (),
            waste=self._waste(shown) if shown else "",
            complete=self._complete(shown) if shown else "",
            holes=verdict.holes(shown) if shown else (),
            attached=self._attached(),
            foot=tuple(self._foot()),
        )

    # --- words at the top ---

    def _banner(self) -> str:
        if self.night.failed:
            return "The run failed: there is no new report."
        return "" if self.report is None or self.report.complete else "This report is incomplete."

    def _banner_lines(self) -> Iterator[str]:
        failed, report = self.night.failed, self.report
        if failed:
            yield f"Reason: {words.cut_middle(failed.why, 300) or 'not known'}"
            if failed.unopened:
                yield (
                    "What was reported before cannot be read now; pages that are there still "
                    "stand. What happened since then is not known."
                )
            elif report is None:
                yield "No run has brought a report yet."
            else:
                yield (
                    f"The report of {_when(report.now, self.zone)} still stands; what happened "
                    "since then is not known."
                )
        elif report and not report.complete:
            if lacking := verdict.unreadable(report):
                yield lacking
            elif report.quality and any(gap.job for gap in report.quality.gaps):
                yield "Something that was asked for about these jobs could not be read."
            elif self.team.labels:
                yield (
                    "Something that was asked for could not be read; all jobs of this team that "
                    "were listed could."
                )
            else:
                yield "Something that was asked for could not be read."
            yield "What could not be read is unknown; it is neither fixed nor fine."

    def _title(self) -> str:
        report = self.report
        if self.night.failed:
            return f"No report of {day(self.night.failed.at, self.zone)}"
        assert report is not None  # a night has one or the other
        if not self.night.known:
            return "No job is this team’s"
        if not report.counts.total and self.team.labels:
            return "No jobs of this team in this time frame"
        return verdict.title(report)

    def _lede(self) -> str:
        report = self.report
        if report is None:
            return ""
        if self.night.failed:
            rest = verdict.rest(report)
            return f"The last report said: {verdict.title(report)}. {rest}".strip()
        if not self.night.known:
            return f"No job is known{_with(self.team)}. Is that what was meant?"
        if not report.counts.total and self.team.labels:
            told, filters = f"No job{_with(self.team)}", report.run.asked.filters
            if filtered.narrows(filters):
                return f"{told} came through the filter ({filtered.named(filters)})."
            return (
                f"{told} was submitted in the time frame that was asked for, and none was active."
            )
        found = causewords.largest(report.attention, report.counts)
        start, flow, end = found or ("", "", "")
        sentence = f"{start} in {words.cut_middle(flow, 80)}{end}" if flow else start + end
        return f"{sentence} {verdict.rest(report)}".strip()

    def _complete(self, report: Report) -> str:
        """That all was read; "" where something was not, or where no job is the team's."""
        if not report.complete or not self.night.known:
            return ""
        if not self.team.labels:
            return "Everything that was asked for was read."
        more = "; something about other jobs was not" if self.night.others_lack else ""
        return f"All that was asked for about this team’s jobs was read{more}."

    def _total(self, report: Report) -> str:
        """What ended in the night, and how many jobs the report is about."""
        count = report.counts.total
        verb = "is" if count == 1 else "are"
        said = f"{_ended(report)} {_whose(count, self.team)} {verb} in this report"
        return f"{said}; its pages show all jobs." if self.team.labels else f"{said}."

    def _night(self) -> Link:
        report = self.report
        if report is None:
            return Link("The pages", self.places.href(addresses.OVERVIEW))
        night = addresses.night(report.run.id)
        of = "the last report" if self.night.failed else "this night’s report"
        if href := self.places.href(night):
            return Link(f"Open {of}", href)
        before = "the pages of before" if self.night.pages_lack else of
        return Link(f"Open {before}", self.places.href(addresses.OVERVIEW))

    def _notices(self) -> Iterator[str]:
        quality = self.report.quality if self.report else None
        if not self.night.failed and quality:
            for run in quality.failed_runs[-3:]:
                why = f": {words.cut_middle(run.reason, 160)}" if run.reason else ""
                yield f"The run of {_when(run.now, self.zone)} brought no report{why}"
        report = self.report
        # Of a report without jobs the sentence below the title says so, unless it is of a team.
        if report and not self.night.failed and (report.counts.total or self.team.labels):
            yield from filter(None, (verdict.filter_note(report),))
        if self.night.pages_lack and not self.night.failed:
            why = words.cut_middle(self.night.pages_lack, 200)
            yield f"This night’s pages are not there yet ({why}); what was there before still is."
        if report and not self.night.failed:
            yield from _broken(report, self.team)
        if not self.night.failed and tells_what_fails(self.night, self.team):
            yield (
                "This is the first mail to this team, so that it knows what fails already. "
                "The next comes when something changes."
            )
        unheard = None if self.night.failed else self.night.unheard
        if report and report.previous and unheard:
            yield (
                f"New, fixed and missing are meant since {_when(report.previous.now, self.zone)}: "
                "the last report of which this team was told, if it was news. The page of this one "
                f"compares with that of {_when(unheard.now, self.zone)}, of which this team was "
                "not told."
            )
        if self.night.unhanded and not self.night.failed:
            why = words.cut_middle(self.night.unhanded, 200)
            yield f"Which failed jobs were handed to other teams is not known ({why})."
        for mail in self.night.unsent:
            # What was new then is new to whoever reads this.
            said = words.cut_end(mail.subject.partition(": ")[2], 160)
            of = f"The mail of {day(mail.at, self.zone)} could not be sent"
            yield f"{of}; it said: {said}." if said else f"{of}."

    # --- causes ---

    def _groups(self, report: Report | None) -> tuple[CauseGroup, ...]:
        return report.attention if report else ()

    def _cause(self, group: CauseGroup, size: Size) -> Cause:
        assert self.report is not None  # whose group it is
        issue = self.guides.holding(group.title, group.example)
        flows = words.listed(
            [words.cut_middle(flow, 60) or "(no name)" for flow in group.workflows[:3]]
        )
        more_flows = len(group.workflows) - 3
        if more_flows > 0:
            flows += f" and {words.plural(more_flows, 'more workflow')}"
        where = [flows, causewords.task_words(group.tasks)]
        return Cause(
            state={"new": "New", "still failing": "Still failing"}.get(group.state, "Failing"),
            kind={"new": "new", "still failing": "still"}.get(group.state, "new"),
            count=words.plural(len(group.jobs), "job"),
            where=", ".join(part for part in where if part),
            title=words.cut_middle(group.title or group.rule, 200),
            href=self.places.href(addresses.cause(group.id)),
            facts=tuple(self._facts(group)),
            known=self.guides.name(group.title, group.example),
            known_href=issue.link if issue else "",
            note=self._note(group) if issue and size.jobs else "",
            note_text=words.cut_end(words.one_line(issue.note), _NOTE)
            if issue and size.jobs
            else "",
            jobs=tuple(self._job(job) for job in group.jobs[: size.jobs]),
            more=_more(len(group.jobs) - size.jobs, "job", first=not size.jobs),
        )

    def _facts(self, group: CauseGroup) -> Iterator[str]:
        assert self.report is not None  # whose group it is
        if group.cause_class != "unknown":
            yield group.cause_class
        since = words.short_when(group.since, self.zone, near=self.report.now)
        if since:
            yield f"since {since.text}"
        yield from causewords.lasting(group, self.report.now, self.zone)
        if idle := causewords.not_run(group):
            yield idle
        shared = causewords.shared_words(group)
        if shared:
            yield f"all with {shared}"
        if group.flaky:
            yield f"{words.number(len(group.flaky))} flaky"

    def _note(self, group: CauseGroup) -> Markup | str:
        issue = self.guides.issue(group.title, group.example)
        if issue is None:
            return ""
        if len(issue.note) > _NOTE:
            return words.cut_end(words.one_line(issue.note), _NOTE)
        known = self.guides.known(group.title, group.example)
        return known.note if known else ""

    def _more_causes(self, report: Report | None, shown: int) -> str:
        groups = self._groups(report)
        return causewords.left_out(groups[:shown], groups[shown:])

    # --- lists ---

    def _parts(self, report: Report, rows: int) -> Iterator[Part]:
        handed, hidden = self.night.handed, report.hidden or _NONE_HIDDEN
        lists = (
            (
                "Now this team’s",
                "failed before, and has its labels since the last report",
                handed.came,
                {job: self._ended(job) for job in handed.came[:rows]},
            ),
            (
                "No longer this team’s",
                "failed before, and has other labels since the last report; not counted here",
                handed.went,
                {job: self._ended(job) for job in handed.went[:rows]},
            ),
            (
                "Stuck",
                "active for much longer than usual, or waiting for over 12 hours",
                [each.job for each in report.stuck],
                {each.job: self._stuck(each) for each in report.stuck[:rows]},
            ),
            (
                "Hidden",
                f"{following.hidden_words(hidden)[1]}; {following.hidden_hint(hidden)}",
                hidden.jobs,
                {job: self._ended(job) for job in hidden.jobs[:rows]},
            ),
            (
                "Missing",
                "ran on most nights, and not on this one; these are their last jobs",
                report.missing,
                {job: self._ended(job) for job in report.missing[:rows]},
            ),
            (
                "No longer counted",
                f"failed, and not known to have {verdict.AGAIN}",
                report.lapsed,
                {job: self._ended(job) for job in report.lapsed[:rows]},
            ),
            (
                "Fixed",
                "failed before, and succeeded now",
                report.fixed,
                {job: self._took(job) for job in report.fixed[:rows]},
            ),
            (
                "Unknown",
                "could not be read, or were lost while active; the status is the one that the list "
                "told",
                report.unknown,
                {job: self._status(job) for job in report.unknown[:rows]},
            ),
        )
        for heading, note, jobs, said in lists:
            if jobs:
                yield Part(
                    heading=f"{heading}: {words.plural(len(jobs), 'job')}",
                    note=note,
                    rows=tuple(self._row(job, said[job]) for job in jobs[:rows]),
                    more=_more(len(jobs) - rows, "job", first=not rows),
                )

    def _row(self, job: str, said: str) -> Row:
        name = known.workflow if (known := self.named.get(job)) else ""
        return Row(
            workflow=words.cut_middle(name, 60) or "(no name)", job=self._job(job), said=said
        )

    def _whose(self, job: str) -> str:
        """Whose a job is, without what all jobs of the team have; one handed away has another's."""
        own = {kept(key, value) for key, value in self.team.labels.items()}
        return causewords.whose_words(self.named.get(job), own)

    def _stuck(self, each: StuckJob) -> str:
        where = words.cut_middle(each.where, 60) or ("waiting" if each.waiting else "")
        said = f"for {words.duration(each.active_for)}, {causewords.usual_duration(each.usual)}"
        return f"{said}; {where}" if where else said

    def _ended(self, job: str) -> str:
        known = self.named.get(job)
        at = words.when(known.ended if known else None, self.zone)
        return f"last ended {at.text}" if at else "no end known"

    def _took(self, job: str) -> str:
        known = self.named.get(job)
        if known is None or known.took is None:
            return ""
        return f"took {words.duration(timedelta(seconds=known.took))}"

    def _status(self, job: str) -> str:
        known = self.named.get(job)
        return f"listed as {words.status(known.status if known else None).text}"

    def _job(self, job: str) -> Link:
        assert self.report is not None  # whose job it is
        named = self.named.get(job)
        known = self.report.short_ids.get(job) or (named.short_id if named else job[:8])
        short = words.cut_end(known, 60)
        return Link(short, self.places.href(addresses.job(job)), self._whose(job))

    # --- the rest ---

    def _waste(self, report: Report) -> str:
        if report.waste is None:
            return ""
        said = wastewords.tonight_words(report, self.prices)
        usual = wastewords.usual_words(report.waste) if said else ""
        return " · ".join(part for part in (said, usual) if part)

    def _attached(self) -> str:
        there = [name for name in dict.fromkeys(self.team.attach) if self.report]
        which = "the last report" if self.night.failed else "this report"
        jobs = "all jobs of this team" + (" as of then" if self.night.failed else "")
        names = {"csv": f"jobs.csv ({jobs})", "json": f"report.json ({which})"}
        said = [names[name] for name in there if name not in self.left_out]
        lines = [f"Attached: {words.listed(said)}."] if said else []
        lines += [f"{names[name].split(' ')[0]} is too large to attach." for name in self.left_out]
        return " ".join(lines)

    def _foot(self) -> Iterator[str]:
        often = {
            "always": "Sent every night",
            "on-change": "Sent when something is new, fixed, missing, stuck, hidden, no longer "
            "counted or handed over",
            "on-failure": "Sent when something fails, is missing, stuck, hidden, no longer "
            "counted or handed over",
        }[self.team.send]
        more = "" if self.team.send == "always" else ", and whenever a run fails or is incomplete"
        yield f"{often}{more}, to {words.cut_end(self.team.name, 80)}: {_about(self.team)}."
        report = self.report
        if report:
            read = "The last report was read" if self.night.failed else "Read"
            server = words.cut_middle(report.run.asked.server, 100)
            compared = (
                f", compared with {_when(report.previous.now, self.zone)}"
                if report.previous
                else ", with nothing to compare with yet"
            )
            yield f"{read} from {server}, run {report.run.id}{compared}."
        yield f"Made by jmreport {self.version}."

    def chart(self) -> tuple[charts.Days, Chart] | None:
        report = self.report
        if report is None or self.night.failed:
            return None
        days = report.days
        ended = sum(bool(day.failed + day.aborted + day.succeeded) for day in days)
        if ended < _FEWEST_DAYS or not any(day.failed + day.aborted for day in days):
            return None
        return lastnights.mail_chart(days), Chart(
            light="chart-light@jmreport", dark="chart-dark@jmreport", said=_chart_said(days)
        )


def _tiles(report: Report) -> Iterator[Tile]:
    counts = report.counts
    first = report.previous is None
    told = (
        ("failing", "Failing", "failed") if first else ("new", "New failures", "failed"),
        ("still_failing", "Still failing", "aborted"),
        ("stuck", "Stuck", "aborting"),
        ("fixed", "Fixed", "succeeded"),
        ("missing", "Missing", "aborted"),
        ("unknown", "Unknown", "aborted"),
    )
    for name, what, kind in told:
        count = getattr(counts, name)
        needed = name not in ("missing", "unknown") and not (first and name in _COMPARED)
        if not count and name in filtered.unseen(report.run.asked.filters):
            if needed:
                yield Tile(words.MISSING, what, "zero", filtered.UNSEEN)
        elif count or needed:
            usual = report.usual.get(name)
            said = f"usually {words.amount(usual.median)}" if usual else ""
            if name == "stuck" and counts.unjudged:
                said = " · ".join(filter(None, (said, verdict.unjudged(counts.unjudged))))
            yield Tile(words.number(count), what, kind if count else "zero", said)


def _broken(report: Report, team: Team) -> Iterator[str]:
    """The promises that are not kept to a team, those that are missed by most first."""
    broken = sorted((one for one in report.slos if one.broken), key=lambda one: one.left)
    for one in broken[:_PROMISES]:
        name = f"{words.cut_middle(one.key, 40)} {words.cut_middle(one.value, 60)}"
        yield (
            f"Promise broken: {name}: {promises.achieved(one)} of "
            f"{_whose(one.ended, team)} succeeded in {words.plural(one.days, 'day')}, and "
            f"{promises.promised(one)} are promised{'' if one.whole else promises.NOT_WHOLE}."
        )
    if len(broken) > _PROMISES:
        yield f"{words.plural(len(broken) - _PROMISES, 'more promise')} broken."


def _about(team: Team) -> str:
    """Whose jobs: "jobs with owner = ana and batch = b17"."""
    return f"jobs{_with(team)}" if team.labels else "all jobs"


def _whose(count: int, team: Team) -> str:
    """So many of them: "1 job with owner = ana"."""
    return f"{words.plural(count, 'job')}{_with(team)}"


def _with(team: Team) -> str:
    pairs = [
        f"{words.cut_middle(key, 40)} = {words.cut_middle(value, 40)}"
        for key, value in team.labels.items()
    ]
    return f" with {words.listed(pairs)}" if pairs else ""


def _more(count: int, noun: str, *, first: bool) -> str:
    """What a list leaves out; "" where it leaves nothing out."""
    if count <= 0:
        return ""
    return words.plural(count, noun) if first else f"and {words.plural(count, f'more {noun}')}"


def _ended(report: Report) -> str:
    """What ended in the night: "63 jobs ended in this night: 2 failed and 61 succeeded."."""
    counts = report.nights[-1].split.counts
    told = [
        f"{words.number(counts[status])} {status.lower()}"
        for status in ("Failed", RETRIED, "Aborted", "Succeeded")
        if counts.get(status)
    ]
    when = "in this night" if report.previous else "up to this run"
    of = " that the filter let through" if filtered.narrows(report.run.asked.filters) else ""
    start = f"{words.plural(sum(counts.values()), 'job')}{of} ended {when}"
    return f"{start}: {words.listed(told)}." if told else f"{start}."


def _chart_said(days: Sequence[Day]) -> str:
    """What the chart shows, for those who do not see it."""
    worst = max(days, key=lambda day: day.failed + day.aborted)
    bad = sum(day.failed + day.aborted for day in days)
    most = words.number(worst.failed + worst.aborted)
    said = (
        f"Last {words.plural(len(days), 'day')}: {words.number(bad)} failed or aborted, "
        f"the most on {lastnights.day_words(worst.day)} ({most})."
    )
    if unseen := sum("Failed" in day.unseen for day in days):
        said += f" Of {words.plural(unseen, 'day')} failed jobs were not asked for."
    if without := sum(map(lastnights.unreported, days)):
        said += f" Of {words.plural(without, 'day')} there is no report."
    return said


def _when(at: datetime, zone: tzinfo) -> str:
    moment = words.when(at, zone)
    return moment.text if moment else ""


def _css() -> Markup:
    from jmreport.render.theme import TEMPLATES

    return Markup((TEMPLATES / "mail" / "mail.css").read_text("utf-8"))  # noqa: S704 (our own)
