"""The server's counts of a time frame beside ours, and why they differ: in sentences with numbers.

Each side counts by its own clock and from its own records, so a difference has reasons that can be
counted here: filters, jobs from before what was read, archived jobs, jobs that the server has
forgotten, jobs at the frame's edge. What they do not explain is said to be unexplained.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from jmreport.gaps import server_counts
from jmreport.models import ACTIVE_STATUSES
from jmreport.records import FRAME_LENGTHS, Filters, Run
from jmreport.report.counts import StatusSplit

#: How far a server's clock may be from ours, and how long a list takes to be read.
EDGE = timedelta(minutes=10)


class Counted(NamedTuple):
    """Our jobs of a frame: by status, and those that the server may not count, each once.

    `gone` are no longer on the server; `edge` were submitted just behind the frame's beginning.
    """

    split: StatusSplit
    archived: int
    gone: int
    edge: int


class Known(NamedTuple):
    """What else a run knows that bears on the counts."""

    run: Run
    read_since: datetime
    lost: frozenset[str]
    now: datetime


def narrowed(filters: Filters) -> bool:
    """Whether a run wanted fewer jobs than the server counts; it was told of the project."""
    return replace(filters, project_id=None) != Filters()


def why(frame: str, counted: Counted, theirs: StatusSplit, known: Known) -> str:
    """Why the server counts otherwise than we do; "" where it counts the same."""
    ours = counted.split
    if ours.counts == theirs.counts:
        return ""
    difference = theirs.total - ours.total
    said = [_how_many(difference)]
    reasons = _more(frame, known) if difference > 0 else _fewer(counted)
    if difference == 0:
        said += _moved(ours, theirs)
    else:
        said_of = [(count, sentence(count)) for count, sentence in reasons if count]
        unbounded = [sentence(0) for count, sentence in reasons if count is None]
        said += [sentence for _, sentence in said_of] + unbounded
        rest = abs(difference) - sum(count for count, _ in said_of)
        if rest > 0 and not unbounded:
            said.append(_unexplained(rest, counted=bool(said_of)))
    return " ".join(said)


#: A number of jobs (None: some, nobody can count them) and the sentence for it.
_Reason = tuple[int | None, Callable[[int], str]]


def _more(frame: str, known: Known) -> list[_Reason]:
    """What the server may count and we may not."""
    run = known.run
    missing = sum(gap.kind == "list" for gap in run.gaps)
    start = _start(frame, known.now)
    reasons: list[_Reason] = []
    if narrowed(run.asked.filters):
        reasons.append((None, lambda _: "This report reads only jobs that pass its filters."))
    if missing:
        reasons.append(
            (None, lambda _: f"{_count(missing, 'page')} of the list could not be read.")
        )
    elif known.read_since > start:
        reasons.append((None, lambda _: f"Only jobs since {_day(known.read_since)} were read."))
    return reasons


def _fewer(counted: Counted) -> list[_Reason]:
    """What we count and the server may not, no job twice."""
    return [
        (
            counted.archived,
            lambda n: f"{_count(n, 'job')} here {_are(n)} archived; it may not count such.",
        ),
        (counted.gone, lambda n: f"{_count(n, 'job')} here {_are(n)} no longer on the server."),
        (
            counted.edge,
            lambda n: (
                f"{_count(n, 'job')} here {_was(n)} submitted within 10 minutes of the "
                "frame's beginning, which it takes by its own clock."
            ),
        ),
    ]


def _moved(ours: StatusSplit, theirs: StatusSplit) -> list[str]:
    statuses = ours.counts.keys() | theirs.counts.keys()
    moved = sum(
        max(0, ours.counts.get(status, 0) - theirs.counts.get(status, 0)) for status in statuses
    )
    active = sum(ours.counts.get(status, 0) for status in ACTIVE_STATUSES)
    said = f"{_count(moved, 'job')} {_have(moved)} another status there"
    if moved <= active:
        return [f"{said}: jobs went on between the list and its count ({active} active)."]
    return [f"{said}, more than were active when the list was read ({active})."]


def _how_many(difference: int) -> str:
    if difference == 0:
        return "The same number of jobs."
    than = "more" if difference > 0 else "fewer"
    return f"The server counts {_count(abs(difference), 'job')} {than}."


def _unexplained(rest: int, *, counted: bool) -> str:
    others = "The other" if counted else "The"
    return (
        f"{others} {rest} cannot be explained from what was read; jobs may have come or gone since."
    )


def _start(frame: str, now: datetime) -> datetime:
    lengths: Mapping[str, timedelta | None] = FRAME_LENGTHS  # type: ignore[assignment]
    length = lengths.get(frame)
    return datetime.min.replace(tzinfo=UTC) if length is None else now - length


def _day(at: datetime) -> str:
    return at.strftime("%-d %b %Y, %H:%M UTC") if at.year > 1 else "the beginning"


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s".replace(",", "\u202f")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def why_not(frame: str, run: Run, named: tuple[str, ...] | None) -> str:
    """Why a run has no numbers of the server for a frame, in a sentence."""
    gap = next((gap for gap in run.gaps if gap.what == server_counts(frame)), None)
    if gap:
        return f"The server's own numbers could not be read: {gap.why}."
    if named is not None and frame not in named:
        return (
            "The server does not offer this time frame, so these are this report's numbers alone."
        )
    asked = next((each for each in run.operations if each.name == "GetJobAggregations"), None)
    if asked and asked.offer == "not offered":
        reason = f" ({asked.why})" if asked.why else ""
        return f"The server does not count jobs by label{reason}: these are this report's numbers."
    return "The server was not asked for its own numbers."
