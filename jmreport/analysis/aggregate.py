"""Labels over the six time frames: our own counts, and the server's beside them.

Ours count every listed job known by its submission, so they are there for every server; the
server's are there where it offers aggregations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from jmreport.analysis import beside, fields
from jmreport.analysis.coverage import frame_start
from jmreport.analysis.offered import NOT_LABELS, common_labels, label_key
from jmreport.analysis.rows import label_text
from jmreport.analysis.workflows import split
from jmreport.models import (
    TIME_FRAMES,
    AggregationResponse,
    CapabilitiesResponse,
    DisplayField,
    StatusCounts,
    TimeFrame,
)
from jmreport.records import FRAME_LENGTHS, Entry, Gap, JobRow
from jmreport.report import FrameDifference, FrameReport, LabelReport, LabelValue, StatusSplit

#: Labels of the jobs themselves that get a page without being named by anybody.
MOST_PROPOSED = 12
#: Fields of a job that are aggregated like labels, and what they are called.
_FIELDS = {"name": "Workflow", "userId": "User"}


class Answers(NamedTuple):
    """The server's aggregations as far as they could be read, and what could not be."""

    frames: dict[TimeFrame, AggregationResponse]
    gaps: tuple[Gap, ...]
    #: Path and value of what the API does not name.
    beyond: tuple[tuple[str, Any], ...] = ()


def answers(trees: Mapping[str, Any]) -> Answers:
    """The server's answers by time frame; one that does not fit the API is a Gap."""
    frames: dict[TimeFrame, AggregationResponse] = {}
    gaps = []
    for frame in TIME_FRAMES:
        if frame not in trees:
            continue
        try:
            frames[frame] = msgspec.convert(trees[frame], AggregationResponse)
        except (msgspec.ValidationError, RecursionError, OverflowError) as error:
            why = f"the answer does not fit the API: {error}"
            gaps.append(Gap(what=f"aggregation {frame}", why=why))
    return Answers(frames, tuple(gaps), fields.of_aggregations(trees))


class Frame(NamedTuple):
    """A time frame's listed jobs, newest submission first; whether all of them are known."""

    name: TimeFrame
    entries: Sequence[Entry]
    covered: bool


def frames(
    newest_first: Sequence[Entry], now: datetime, covered_since: datetime
) -> tuple[Frame, ...]:
    """The six time frames up to now, the shortest first. Jobs without a submission are in the last.

    `newest_first` are all listed jobs.
    """
    made = []
    for name in TIME_FRAMES:
        start = frame_start(now, FRAME_LENGTHS[name])
        if FRAME_LENGTHS[name] is None:
            inside = list(newest_first)
        else:
            inside = [
                entry
                for entry in newest_first
                if entry.row.submission is not None and entry.row.submission >= start
            ]
        made.append(Frame(name, inside, covered_since <= start))
    return tuple(made)


def labels(
    frames: Sequence[Frame],
    window: Sequence[Entry],
    server: Answers,
    *,
    offered: CapabilitiesResponse,
    configured: Sequence[str],
    known: beside.Known,
) -> tuple[LabelReport, ...]:
    """A report for each label that the server, the settings or the jobs themselves bring up."""
    titles = _titles(offered.display_fields, server)
    fields = {label_key(each.field): each for each in reversed(offered.display_fields)}
    told = {each.frame: each for each in counts(frames, server, known)}
    return tuple(
        LabelReport(
            key=key,
            title=titles.get(key, key),
            frames=(made := _frames(key, frames, server, told, offered, known)),
            distinct=_distinct(made[-1]),
            shown_as=fields.get(key),
        )
        for key in _keys(window, server, offered, configured)
    )


def _keys(
    window: Sequence[Entry],
    server: Answers,
    offered: CapabilitiesResponse,
    configured: Sequence[str],
) -> tuple[str, ...]:
    """Which labels, in order: settings, server, the jobs' own. `name` always, `userId` if any."""
    named = [
        label_key(field.field)
        for field in offered.display_fields
        if field.field.startswith(("labels.", "label."))
    ]
    asked = [
        label_key(item.key)
        for answer in server.frames.values()
        for item in answer.aggregations
        if item.key
    ]
    users = ["userId"] if any(entry.row.user for entry in window) else []
    own = map(label_key, configured)
    keys = ["name", *users, *own, *common_labels(offered), *named, *asked, *_proposed(window)]
    return tuple(key for key in dict.fromkeys(keys) if key and key not in NOT_LABELS)


def _proposed(window: Sequence[Entry]) -> list[str]:
    """Labels that sort jobs: a value stands for two of them on average, in a tenth of the jobs."""
    jobs: Counter[str] = Counter()
    values: defaultdict[str, set[str]] = defaultdict(set)
    for entry in window:
        for key, value in entry.row.labels.items():
            jobs[key] += 1
            values[key].add(value)
    fit = [
        key
        for key, count in jobs.items()
        if 2 * len(values[key]) <= count and 10 * count >= len(window)
    ]
    return sorted(fit, key=lambda key: (-jobs[key], key))[:MOST_PROPOSED]


def _titles(display: Iterable[DisplayField], server: Answers) -> dict[str, str]:
    """What the server calls a label or field, else what we call it."""
    told = {
        label_key(item.key): item.name
        for answer in server.frames.values()
        for item in answer.aggregations
        if item.key and item.name
    }
    shown = {
        label_key(field.field): field.display for field in reversed(tuple(display)) if field.display
    }
    return told | shown | _FIELDS


def value_of(row: JobRow, key: str) -> str | None:
    """A job's value of a label or field; None where it has none."""
    if key == "name":
        return row.name or None
    if key == "userId":
        return row.user
    if key == "extensions.parentJobId":
        return row.parent
    if key.startswith("extensions."):
        return row.extra.get(key)
    return row.labels.get(key)


def _frames(
    key: str,
    frames: Sequence[Frame],
    server: Answers,
    told: Mapping[str, FrameDifference],
    offered: CapabilitiesResponse,
    known: beside.Known,
) -> tuple[FrameReport, ...]:
    made: list[FrameReport] = []
    shared: dict[str | None, tuple[str, ...]] = {}
    # Jobs without a label are counted in every frame where any job has it.
    known_of = any(value_of(entry.row, key) is not None for entry in frames[-1].entries)
    for frame in frames:
        answer = server.frames.get(frame.name)
        theirs = _theirs(answer, key) if answer else {}
        ours = _ours(frame.entries, key) if known_of else {}
        for value, rows in ours.items():
            ids = tuple(row.id for row in rows)
            # Frames lie within each other, so most of them share their jobs.
            if shared.get(value) != ids:
                shared[value] = ids
        named = offered.aggregation_time_frames
        made.append(
            FrameReport(
                frame=frame.name,
                values=_values(ours, shared, theirs),
                covered=frame.covered,
                server_asked=answer is not None,
                read_since=None if frame.covered else known.read_since,
                beside=told.get(frame.name),
                why_not="" if answer else beside.why_not(frame.name, known.run, named),
            )
        )
    return tuple(made)


def _ours(entries: Iterable[Entry], key: str) -> dict[str | None, list[JobRow]]:
    """Jobs by value, None for those without."""
    rows: defaultdict[str | None, list[JobRow]] = defaultdict(list)
    for entry in entries:
        rows[value_of(entry.row, key)].append(entry.row)
    return dict(rows)


def _theirs(answer: AggregationResponse, key: str) -> dict[str | None, StatusSplit]:
    return {
        None if entry.label is None else label_text(entry.label): _split(entry.status_counts)
        for item in answer.aggregations
        if label_key(item.key or "") == key
        for entry in item.entries
    }


def _split(counts: StatusCounts) -> StatusSplit:
    told = ((one.status or "Unknown", one.count or 0) for one in counts.counts)
    return StatusSplit(counts={status: count for status, count in sorted(told) if count})


def _values(
    ours: Mapping[str | None, Sequence[JobRow]],
    ids: Mapping[str | None, tuple[str, ...]],
    theirs: Mapping[str | None, StatusSplit],
) -> tuple[LabelValue, ...]:
    """Most failures first, then most jobs; the jobs without the label last."""
    made = [
        LabelValue(
            value=value,
            split=split(ours.get(value, ())),
            jobs=ids[value] if value in ours else (),
            server=theirs.get(value),
        )
        for value in dict.fromkeys((*ours, *theirs))
    ]
    return tuple(sorted(made, key=_order))


def _order(made: LabelValue) -> tuple[bool, int, int, str]:
    return made.value is None, -made.split.failed, -made.split.total, made.value or ""


def _distinct(frame: FrameReport) -> bool:
    """Whether no two jobs have the same value."""
    told = [value.split.total for value in frame.values if value.value is not None]
    return len(told) > 1 and max(told) == 1


def counts(
    frames: Sequence[Frame], server: Answers, known: beside.Known
) -> tuple[FrameDifference, ...]:
    """The server's jobs and ours in each frame that it answered for, and why they differ."""
    made = []
    for frame in frames:
        if frame.name not in server.frames:
            continue
        ours = split(entry.row for entry in frame.entries)
        theirs = _split(server.frames[frame.name].summary)
        why = beside.why(frame.name, frame.entries, ours, theirs, known)
        made.append(FrameDifference(frame=frame.name, ours=ours, server=theirs, why=why))
    return tuple(made)


def differences(
    frames: Sequence[Frame], server: Answers, known: beside.Known
) -> tuple[FrameDifference, ...]:
    """The time frames in which the server counts otherwise than we do."""
    return tuple(each for each in counts(frames, server, known) if each.why)
