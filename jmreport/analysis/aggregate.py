"""Labels over the six time frames: our own counts, and the server's beside them.

Ours count every listed job known by its submission, so they are there for every server; the
server's are there where it offers aggregations.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from jmreport.analysis import beside, fields
from jmreport.analysis.coverage import frame_start
from jmreport.analysis.offered import NOT_LABELS, common_labels, label_key
from jmreport.analysis.rows import label_text
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
    """A time frame: how many listed jobs it has, and whether all of them are known."""

    name: TimeFrame
    counted: beside.Counted
    covered: bool


class _Value:
    """The jobs with one value of a label, newest submission first, and the number of each frame.

    A frame lies within the next longer one, so its jobs are the first of them.
    """

    __slots__ = ("jobs", "statuses", "upto")

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.upto = [0] * len(TIME_FRAMES)
        self.statuses: list[Counter[str] | None] = [None] * len(TIME_FRAMES)

    def add(self, row: JobRow, frame: int) -> None:
        self.jobs.append(row.id)
        self.upto[frame] += 1
        counted = self.statuses[frame]
        if counted is None:
            counted = self.statuses[frame] = Counter()
        counted[row.status] += 1

    def ours(self) -> Iterator[tuple[int, tuple[str, ...], StatusSplit]]:
        """(frame, jobs, statuses) of each frame that has any; equal ones are one object."""
        number, counts = 0, Counter[str]()
        jobs: tuple[str, ...] = ()
        told = StatusSplit()
        for frame in range(len(TIME_FRAMES)):
            if self.upto[frame]:
                number += self.upto[frame]
                counts += self.statuses[frame] or Counter()
                jobs = tuple(self.jobs[:number])
                told = StatusSplit(counts=dict(sorted(counts.items())))
            if number:
                yield frame, jobs, told


class Frames:
    """Listed jobs in the six time frames up to now, told while they stream by, newest first.

    Jobs without a submission come last and are in the last frame alone.
    """

    def __init__(
        self, keys: Sequence[str], now: datetime, covered_since: datetime, lost: frozenset[str]
    ) -> None:
        """`keys` are the labels by which they are counted, `lost` the report's lost jobs."""
        self._keys = keys
        self._starts = [frame_start(now, FRAME_LENGTHS[name]) for name in TIME_FRAMES]
        self._covered = [covered_since <= start for start in self._starts]
        self._lost = lost
        self._counted = [beside.Counting() for _ in TIME_FRAMES]
        self._values: dict[str, dict[str | None, _Value]] = {key: {} for key in keys}
        self._last = len(TIME_FRAMES) - 1

    def take(self, row: JobRow) -> None:
        """One more listed job."""
        frame = self._frame(row.submission)
        self._counted[frame].take(
            row,
            lost=row.id in self._lost,
            edge=frame != self._last
            and row.submission is not None
            and row.submission < self._starts[frame] + beside.EDGE,
        )
        for key in self._keys:
            values, value = self._values[key], value_of(row, key)
            known = values.get(value)
            if known is None:
                known = values[value] = _Value()
            known.add(row, frame)

    def _frame(self, submitted: datetime | None) -> int:
        """The shortest frame that holds a job submitted then."""
        if submitted is None:
            return self._last
        return next(
            (place for place, start in enumerate(self._starts) if submitted >= start), self._last
        )

    def frames(self) -> tuple[Frame, ...]:
        """The six frames, the shortest first."""
        made, total = [], beside.Counting()
        for name, counting, covered in zip(TIME_FRAMES, self._counted, self._covered, strict=True):
            total.add(counting)
            # A job at the edge of one frame is well within the next.
            made.append(Frame(name, total.counted(edge=counting.edge), covered))
        return tuple(made)

    def by_value(self, key: str) -> list[dict[str | None, tuple[tuple[str, ...], StatusSplit]]]:
        """For each frame: value -> its jobs, newest first, and their statuses."""
        found: list[dict[str | None, tuple[tuple[str, ...], StatusSplit]]] = [
            {} for _ in TIME_FRAMES
        ]
        for value, known in self._values[key].items():
            for frame, jobs, told in known.ours():
                found[frame][value] = (jobs, told)
        return found


def labels(
    keys: Sequence[str],
    found: Frames,
    server: Answers,
    *,
    offered: CapabilitiesResponse,
    known: beside.Known,
) -> tuple[LabelReport, ...]:
    """A report for each of the labels by which jobs were counted."""
    titles = _titles(offered.display_fields, server)
    fields = {label_key(each.field): each for each in reversed(offered.display_fields)}
    frames = found.frames()
    told = {each.frame: each for each in counts(frames, server, known)}
    return tuple(
        LabelReport(
            key=key,
            title=titles.get(key, key),
            frames=(made := _frames(key, frames, found, server, told, offered, known)),
            distinct=_distinct(made[-1]),
            shown_as=fields.get(key),
        )
        for key in keys
    )


def label_keys(
    window: Sequence[Entry],
    server: Answers,
    offered: CapabilitiesResponse,
    configured: Sequence[str],
) -> tuple[str, ...]:
    """The labels that the server, the settings or the window's jobs bring up, in this order.

    `name` always, `userId` if any job has one.
    """
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
    found: Frames,
    server: Answers,
    told: Mapping[str, FrameDifference],
    offered: CapabilitiesResponse,
    known: beside.Known,
) -> tuple[FrameReport, ...]:
    made: list[FrameReport] = []
    by_value = found.by_value(key)
    # Jobs without a label are counted in every frame where any job has it.
    known_of = any(value is not None for value in by_value[-1])
    named = offered.aggregation_time_frames
    for frame, values in zip(frames, by_value, strict=True):
        answer = server.frames.get(frame.name)
        theirs = _theirs(answer, key) if answer else {}
        made.append(
            FrameReport(
                frame=frame.name,
                values=_values(values if known_of else {}, theirs),
                covered=frame.covered,
                server_asked=answer is not None,
                read_since=None if frame.covered else known.read_since,
                beside=told.get(frame.name),
                why_not="" if answer else beside.why_not(frame.name, known.run, named),
            )
        )
    return tuple(made)


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
    ours: Mapping[str | None, tuple[tuple[str, ...], StatusSplit]],
    theirs: Mapping[str | None, StatusSplit],
) -> tuple[LabelValue, ...]:
    """Most failures first, then most jobs; the jobs without the label last."""
    made = []
    for value in dict.fromkeys((*ours, *theirs)):
        jobs, told = ours.get(value, ((), StatusSplit()))
        made.append(LabelValue(value=value, split=told, jobs=jobs, server=theirs.get(value)))
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
        theirs = _split(server.frames[frame.name].summary)
        made.append(
            FrameDifference(
                frame=frame.name,
                ours=frame.counted.split,
                server=theirs,
                why=beside.why(frame.name, frame.counted, theirs, known),
            )
        )
    return tuple(made)


def differences(
    frames: Sequence[Frame], server: Answers, known: beside.Known
) -> tuple[FrameDifference, ...]:
    """The time frames in which the server counts otherwise than we do."""
    return tuple(each for each in counts(frames, server, known) if each.why)
