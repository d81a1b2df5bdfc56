"""The verdict: the overview's title, and what report.json and mails say first."""

from collections import Counter

from jmreport.render import words
from jmreport.report import CauseGroup, Report


def title(report: Report) -> str:
    """What the reader should know first, in one line: "110 new failures in 3 workflows"."""
    counts = report.counts
    if not counts.total:
        return "No jobs in this time frame"
    if report.previous is None and counts.failing:
        return f"{words.number(counts.failing)} failing{_in(report.attention, new=False)}"
    if report.previous is not None and counts.new:
        return words.plural(counts.new, "new failure") + _in(report.attention, new=True)
    return "No failures" if report.previous is None else "No new failures"


def _in(groups: tuple[CauseGroup, ...], *, new: bool) -> str:
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
    if counts.new:
        parts = _parts(report)
        return f"{'; '.join(parts)}." if parts else ""
    still = counts.still_failing
    return f"{_finished(split)}, {words.number(still)} still failing."


def _finished(split: dict[str, int]) -> str:
    finished = sum(split.get(status, 0) for status in ("Succeeded", "Failed", "Aborted"))
    return f"{words.plural(finished, 'job')} finished"


def _parts(report: Report) -> list[str]:
    counts = report.counts
    said = (
        (counts.fixed, f"{words.number(counts.fixed)} fixed"),
        (counts.still_failing, f"{words.number(counts.still_failing)} still failing"),
        (counts.stuck, f"{words.number(counts.stuck)} stuck"),
    )
    return [text for count, text in said if count]


def incomplete(report: Report) -> str:
    """What is missing, in a sentence for banners: "" where everything asked for was read."""
    if report.complete:
        return ""
    unreadable = len(report.quality.unreadable) if report.quality else 0
    if unreadable:
        return (
            f"{words.number(unreadable)} of {words.plural(report.counts.total, 'job')} "
            "could not be read whole."
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
