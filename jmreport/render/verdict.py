"""The verdict: the overview's title, and what report.json and mails say first."""

from collections.abc import Sequence

from msgspec.structs import replace

from jmreport.night import Told
from jmreport.records import RETRIED, Filters
from jmreport.render import filtered, words
from jmreport.report.causes import CauseGroup
from jmreport.report.counts import ReportCounts, StatusSplit
from jmreport.report.nights import FailedNight, NightSummary

#: What work that is no longer counted did not do, so that nobody can say how it stands.
AGAIN = "succeeded or failed again for 7 nights"


def title(told: Told) -> str:
    """What the reader should know first, in one line: "110 new failures in 3 workflows"."""
    return _title(
        told.counts,
        told.attention,
        told.split,
        told.filters,
        told.left_out,
        first=told.since is None,
    )


def night_words(summary: NightSummary) -> str:
    """The same of a night, without the workflows, for a row of the calendar."""
    return _title(
        summary.counts,
        (),
        summary.split,
        summary.filters,
        summary.left_out,
        first=summary.since is None,
    )


def night_headline(summary: NightSummary) -> str:
    """The same for where nothing stands beside it, as in a feed: what is no failure and no good
    news either is told with it."""
    said, counts = night_words(summary), replace(summary.counts, fixed=0, still_failing=0, hidden=0)
    # New failures say enough.
    return said if counts.new else ", ".join((said, *_said(counts)))


def failed_reason(night: FailedNight, limit: int) -> str:
    """Why a night brought no report, on one line and cut; "" where nobody said."""
    return words.cut_middle(words.one_line(night.reason), limit)


def failed_night(night: FailedNight) -> str:
    """What its runs came to, in a sentence: "3 runs brought nothing, the last one: …"."""
    several, why = night.runs > 1, failed_reason(night, 200)
    said = f"{words.plural(night.runs, 'run') if several else 'The run'} brought nothing"
    return f"{said}{', the last one' if several else ''}: {why}" if why else f"{said}."


def night_rest(summary: NightSummary) -> str:
    """The sentence after a night's words."""
    counts = summary.counts
    # What ended in a first night ended whenever it did, as far as was read.
    span = "in this night" if summary.since else "up to this run"
    finished = f"{_finished(summary.split.counts)} {span}"
    if summary.since is None:
        return f"First report: nothing to compare with yet. {finished}."
    said = _said(counts, "in this night")
    return f"{finished}; {'; '.join(said)}." if said else f"{finished}."


def _title(
    counts: ReportCounts,
    attention: Sequence[CauseGroup],
    split: StatusSplit,
    filters: Filters | None,
    left_out: int | None,
    *,
    first: bool,
) -> str:
    narrowed = filtered.narrows(filters)
    if not counts.total:
        # What was listed and left out says that there were jobs; what was not, that nobody knows.
        gone = narrowed and left_out != 0
        return "No job passed the filter" if gone else "No jobs in this time frame"
    if first and counts.failing:
        return f"{words.number(counts.failing)} failing{_in(attention, new=False)}"
    if not first and counts.new:
        return words.plural(counts.new, "new failure") + _in(attention, new=True)
    if filtered.hides_failures(filters):
        return "Failed jobs were not asked for"
    # Jobs may have failed whose work has succeeded since.
    said = "Nothing is failing now" if split.failed else "No failures"
    said = said if first else "No new failures"
    said = f"{said} (filtered)" if narrowed else said
    # A tab, or a link that somebody shares, has no banner.
    said = f"{said}, {words.plural(counts.unknown, 'job')} unknown" if counts.unknown else said
    return f"{said}, {words.plural(counts.hidden, 'failure')} hidden" if counts.hidden else said


def _in(groups: Sequence[CauseGroup], *, new: bool) -> str:
    wanted = [group for group in groups if not new or group.state == "new"]
    workflows = {name for group in wanted for name in group.workflows}
    return f" in {words.plural(len(workflows), 'workflow')}" if workflows else ""


def rest(told: Told) -> str:
    """The sentence after it: what else there is, in numbers."""
    counts, split = told.counts, told.split.counts
    if not counts.total:
        # What failed, or ran on most nights, before is no less true without a job of tonight.
        said = ", ".join(_said(counts))
        return f"{_empty(told)} {said}." if said else _empty(told)
    finished = f"{_finished(split)} {_span(told)}"
    if told.since is None:
        first = "First report: nothing to compare with yet."
        return first if counts.failing else f"{first} {finished}."
    also = _said(counts)
    if counts.new:
        return f"{'; '.join(also)}." if also else ""
    # That nothing is failing any more is worth a word too, where that could be seen.
    hidden = filtered.hides_failures(told.filters)
    still = () if counts.still_failing or hidden else ("0 still failing",)
    return f"{', '.join((finished, *still, *also))}."


def _empty(told: Told) -> str:
    """Why a report may have no job: that nobody had any is only one of the reasons."""
    filters = told.filters
    if filtered.narrows(filters):
        return filtered.nothing(filters, told.left_out)
    of = f" of project {words.cut_middle(filters.project_id, 80)}" if filters.project_id else ""
    return f"No job{of} was submitted in the time frame that was asked for, and none was active."


def lapsed(count: int) -> tuple[str, str]:
    """What dropped out of the failing work without a word of success: how many, and why."""
    who = f"{words.plural(count, 'job')} that failed"
    verb, their = ("is", "its") if count == 1 else ("are", "their")
    return who, (f"{verb} no longer counted: {their} work is not known to have {AGAIN}")


def unjudged(count: int) -> str:
    """How many jobs may be stuck without anybody knowing; "" where none may."""
    return f"{words.number(count)} cannot be judged: no baseline" if count else ""


def filter_note(told: Told) -> str:
    """What the filter left out, in a sentence beside a report; "" where there is no filter."""
    said = filtered.note(told.filters, told.left_out)
    return f"{said} {_not_asked(told.not_asked)}" if said and told.not_asked else said


def _not_asked(failing: int) -> str:
    """What counts as failing though nobody looked, in a sentence."""
    they = "it still does" if failing == 1 else "they still do"
    return f"{words.number(failing)} failed in earlier reports; nobody asked whether {they}."


def night_filter_note(summary: NightSummary) -> str:
    """The same of a night in numbers; "" for one that did not note its filter."""
    return filtered.note(summary.filters, summary.left_out)


def nothing_failing(told: Told) -> str:
    """The sentence where no failing work is to be shown: as much as is known of it."""
    if filtered.hides_failures(told.filters):
        return "Failed jobs were not asked for."
    of = " that the filter let through" if filtered.narrows(told.filters) else ""
    unknown = told.counts.unknown
    if unknown or not told.complete:
        of += f"{' and' if of else ''} that could be read"
    said = f"Nothing{of} {'counts as' if told.counts.hidden else 'is'} failing"
    return (
        f"{said}; of {words.plural(unknown, 'job')} that is not known." if unknown else f"{said}."
    )


def _span(told: Told) -> str:
    """What a report's own jobs are of, after a number of them."""
    asked = told.asked
    if asked.filters.submission and asked.since == asked.filters.submission:
        return "in the time frame that was asked for"
    if asked.since is None:
        return "up to this run"
    return f"in the {words.window_words(asked.timeframe, told.now - asked.since)}"


def _finished(split: dict[str, int]) -> str:
    finished = sum(split.get(status, 0) for status in ("Succeeded", "Failed", RETRIED, "Aborted"))
    return f"{words.plural(finished, 'job')} finished"


def _said(counts: ReportCounts, when: str = "tonight") -> list[str]:
    idle = f" ({words.number(counts.not_run)} not run {when})" if counts.not_run else ""
    said = (
        (counts.fixed, f"{words.number(counts.fixed)} fixed"),
        (counts.still_failing, f"{words.number(counts.still_failing)} still failing{idle}"),
        (counts.lapsed, f"{words.number(counts.lapsed)} no longer counted"),
        (counts.missing, f"{words.number(counts.missing)} missing"),
        (counts.stuck, f"{words.number(counts.stuck)} stuck"),
        (counts.hidden, f"{words.number(counts.hidden)} hidden"),
    )
    return [text for count, text in said if count]


def incomplete(told: Told) -> str:
    """What is missing, in a sentence for banners: "" where everything asked for was read."""
    if told.complete:
        return ""
    return unreadable(told) or "Something that was asked for could not be read."


def unreadable(told: Told) -> str:
    """How many jobs could not be read whole, in a sentence; "" where all could."""
    jobs, below, total = told.unreadable, told.unreadable_below, told.counts.total
    if not jobs and not below:
        return ""
    said = f"{words.number(jobs)} of {words.plural(total, 'job')}"
    if below:
        said += f" and {words.number(below)} of {'its' if total == 1 else 'their'} sub-workflows"
    return f"{said} could not be read whole."


def holes(told: Told) -> tuple[str, ...]:
    """The reasons, each with how often it was met, most frequent first."""
    if told.complete:
        return ()
    return tuple(
        f"{words.cut_middle(hole.what, 80)}: {words.cut_middle(hole.why, 160)}"
        + (f" ({words.plural(hole.times, 'time')})" if hole.times > 1 else "")
        for hole in told.holes
    )
