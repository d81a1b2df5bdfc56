"""The verdict: the overview's title, and what report.json and mails say first."""

from collections import Counter
from collections.abc import Sequence

from jmreport.render import words
from jmreport.report import CauseGroup, Night, NightSummary, Report, ReportCounts, StatusSplit


def title(report: Report) -> str:
    """What the reader should know first, in one line: "110 new failures in 3 workflows"."""
    return _title(report.counts, report.attention, report.split, first=report.previous is None)


def night_title(night: Night) -> str:
    """The same of a night of the past."""
    summary = night.summary
    return _title(summary.counts, night.attention, summary.split, first=summary.since is None)


def night_words(summary: NightSummary) -> str:
    """The same without the workflows, for a row of the calendar."""
    return _title(summary.counts, (), summary.split, first=summary.since is None)


def night_rest(summary: NightSummary) -> str:
    """The sentence after a night's title."""
    counts = summary.counts
    finished = f"{_finished(summary.split.counts)}"
    if summary.since is None:
        return f"First report: nothing to compare with yet. {finished}."
    said = _said(counts)
    return f"{finished}; {'; '.join(said)}." if said else f"{finished}."


def _title(
    counts: ReportCounts, attention: Sequence[CauseGroup], split: StatusSplit, *, first: bool
) -> str:
    if not counts.total:
        return "No jobs in this time frame"
    if first and counts.failing:
        return f"{words.number(counts.failing)} failing{_in(attention, new=False)}"
    if not first and counts.new:
        return words.plural(counts.new, "new failure") + _in(attention, new=True)
    if not first:
        return "No new failures"
    # Jobs may have failed whose work has succeeded since.
    return "Nothing is failing now" if split.failed else "No failures"


def _in(groups: Sequence[CauseGroup], *, new: bool) -> str:
    wanted = [group for group in groups if not new or group.state == "new"]
    workflows = {name for group in wanted for name in group.workflows}
    return f" in {words.plural(len(workflows), 'workflow')}" if workflows else ""


def rest(report: Report) -> str:
    """The sentence after it: what else there is, in numbers."""
    counts, split = report.counts, report.split.counts
    if not counts.total:
        return "No job was submitted in the time frame that was asked for, and none was active."
    if report.previous is None:
        first = "First report: nothing to compare with yet."
        return first if counts.failing else f"{first} {_finished(split)}."
    said = _said(counts)
    if counts.new:
        return f"{'; '.join(said)}." if said else ""
    # That nothing is failing any more is worth a word too.
    still = () if counts.still_failing else ("0 still failing",)
    return f"{', '.join((_finished(split), *still, *said))}."


def _finished(split: dict[str, int]) -> str:
    finished = sum(split.get(status, 0) for status in ("Succeeded", "Failed", "Aborted"))
    return f"{words.plural(finished, 'job')} finished"


def _said(counts: ReportCounts) -> list[str]:
    said = (
        (counts.fixed, f"{words.number(counts.fixed)} fixed"),
        (counts.still_failing, f"{words.number(counts.still_failing)} still failing"),
        (counts.missing, f"{words.number(counts.missing)} missing"),
        (counts.stuck, f"{words.number(counts.stuck)} stuck"),
    )
    return [text for count, text in said if count]


def incomplete(report: Report) -> str:
    """What is missing, in a sentence for banners: "" where everything asked for was read."""
    if report.complete:
        return ""
    return unreadable(len(report.quality.unreadable) if report.quality else 0, report.counts)


def unreadable(jobs: int, counts: ReportCounts) -> str:
    """How much could not be read, in a sentence."""
    if jobs:
        return (
            f"{words.number(jobs)} of {words.plural(counts.total, 'job')} could not be read whole."
        )
    return "Something that was asked for could not be read."


def holes(report: Report) -> tuple[str, ...]:
    """The reasons, each with how often it was met, most frequent first."""
    if report.complete:
        return ()
    gaps = report.quality.gaps if report.quality else report.run.gaps
    counted = Counter((_kind(gap.what), _reason(gap.why)) for gap in gaps)
    return tuple(
        f"{words.cut_middle(what, 80)}: {words.cut_middle(why, 160)}"
        + (f" ({words.plural(count, 'time')})" if count > 1 else "")
        for (what, why), count in counted.most_common(5)
    )


def _kind(what: str) -> str:
    """What of a gap many share: "attempts of AlignBwa" and "attempts of Phase" are one kind."""
    return what.split(" of ", 1)[0] if what.startswith(("attempts of", "log of")) else what


def _reason(why: str) -> str:
    """What of a reason many share: what follows its first colon names the one thing."""
    return why.split(": ", 1)[0]
