"""Whether a team hears of a night, and the night in a line: the subject of its mail."""

from datetime import datetime, tzinfo

from jmreport.render import filtered, words
from jmreport.render.mailviews import Night
from jmreport.report import Report
from jmreport.settings import Team


def wanted(night: Night, team: Team) -> bool:
    """Whether a team is told of this night, by how often it wants to hear.

    Always where the run failed or is incomplete, where no job is the team's, and where jobs
    are there whose outcome nobody knows, or the filter leaves out whatever failed, or let none of
    those through that were listed, or is another than before and may have left out some of the
    team's: silence must never look like success.
    """
    report = night.report
    if team.send == "always" or report is None or night.failed or not night.known:
        return True
    counts = report.counts
    if not report.complete or counts.unknown or (report.quality and report.quality.failed_runs):
        return True
    read = report.run.counts
    if filtered.hides_failures(report.run.asked.filters):
        return True
    if read.left_out and not read.listed + read.followed:
        return True
    if filtered.hides_anew(report, team.labels):
        return True
    either = counts.missing + counts.stuck + counts.lapsed + counts.hidden + bool(night.handed)
    if team.send == "on-change":
        first = report.previous is None or tells_what_fails(night, team)
        return bool(counts.new + counts.fixed + either or first)
    return bool(counts.failing + either)


def tells_what_fails(night: Night, team: Team) -> bool:
    """Whether a team that hears of changes alone is told once what failed before it was there."""
    report = night.report
    failing = bool(report and report.previous and report.counts.failing)
    return team.send == "on-change" and night.untold and failing


def subject(night: Night, team: Team, zone: tzinfo) -> str:
    """The verdict in a line: "[jm] germline · Mon 23 Nov: 4 new, 7 still failing of 212"."""
    name = words.cut_end(words.one_line(team.name), 60) or "team"
    date = day(night.at, zone)
    report = night.report
    if night.failed:
        after = f"the report of {day(report.now, zone)} stands" if report else "no report yet"
        if night.failed.unopened:
            after = "the snapshots cannot be read"
        return f"[jm] REPORT FAILED · {name} · {date}: {after}"
    assert report is not None  # a night has one or the other
    first = "" if report.complete else "INCOMPLETE · "
    if report.complete and _is_fine(report):
        first = "ok · "
    return f"[jm] {first}{name} · {date}: {_numbers(report, known=night.known)}"


def _is_fine(report: Report) -> bool:
    counts = report.counts
    bad = counts.failing + counts.missing + counts.stuck + counts.unknown + counts.lapsed
    bad += counts.unjudged + counts.hidden
    hidden = filtered.hides_failures(report.run.asked.filters)
    broken = any(one.broken for one in report.slos)
    return bool(counts.total) and not bad and not hidden and not broken


def _numbers(report: Report, *, known: bool) -> str:
    counts = report.counts
    filters = report.run.asked.filters
    narrowed = " (filtered)" if filtered.narrows(filters) else ""
    if filtered.hides_failures(filters):
        narrowed = ", failed jobs not asked for"
    said = (
        (counts.fixed, "fixed"),
        (counts.still_failing, "still failing"),
        (counts.stuck, "stuck"),
        (counts.missing, "missing"),
        (counts.hidden, "hidden"),
        (counts.unknown, "unknown"),
        (counts.lapsed, "no longer counted"),
        (counts.unjudged, "cannot be judged"),
    )
    others = [f"{words.number(count)} {what}" for count, what in said if count]
    if not counts.total:
        if not known:
            return "no job is this team's"
        return ", ".join((f"no jobs{narrowed}", *others))
    first = report.previous is None
    bad = counts.failing if first else counts.new
    told = [f"{words.number(bad)} {'failing' if first else 'new'}"]
    if (report.complete and _is_fine(report)) or (filtered.hides_failures(filters) and not bad):
        told = []
    told += others
    start = "first report, " if first else ""
    if not told:
        return f"{start}{words.plural(counts.total, 'job')}{narrowed}"
    return f"{start}{', '.join(told)} of {words.number(counts.total)}{narrowed}"


def day(at: datetime, zone: tzinfo) -> str:
    """A day as subjects have it: "Mon 23 Nov"."""
    moment = words.day(at, zone)
    return moment.text.rsplit(" ", 1)[0] if moment else ""
