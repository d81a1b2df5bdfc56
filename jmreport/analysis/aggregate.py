"""Labels over the six time frames: our own counts, and the server's beside them.

Ours count every listed job known by its submission, so they are there for every server; the
server's are there where it offers aggregations.
"""

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

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


#: Places of jobs among all of them, rising. Many values are of a single job.
_Places: TypeAlias = "int | array[int]"


class Frames:
    """Listed jobs in the six time frames up to now, told while they stream by, newest first.

    Jobs without a submission come last and are in the last frame alone. So a frame's jobs are the
    first of all, and a job is known by its place: nothing else is kept of it for each label.
    """

    def __init__(
        self, keys: Sequence[str], now: datetime, covered_since: datetime, lost: frozenset[str]
    ) -> None:
        """`keys` are the labels by which they are counted, `lost` the report's lost jobs."""
        starts = [frame_start(now, FRAME_LENGTHS[name]) for name in TIME_FRAMES]
        self._covered = [covered_since <= start for start in starts]
        #: Every frame but the last, which holds whatever the others do not.
        self._starts = starts[:-1]
        self._edges = [start + beside.EDGE for start in self._starts]
        #: How many jobs the frames have that are shorter than that of the job told last.
        self._ends: list[int] = []
        self._lost = lost
        self._counted = [beside.Counting() for _ in TIME_FRAMES]
        self._ids: list[str] = []
        self._statuses: list[str] = []
        self._words: dict[str, str] = {}
        self._values: dict[str, dict[str | None, _Places]] = {key: {} for key in keys}
        self._reading = [(reading(key), values) for key, values in self._values.items()]

    def take(self, row: JobRow) -> None:
        """One more listed job."""
        place, submitted = len(self._ids), row.submission
        frame = self._frame(submitted)
        self._ids.append(row.id)
        self._statuses.append(self._words.setdefault(row.status, row.status))
        self._counted[frame].take(
            row,
            lost=row.id in self._lost,
            edge=frame < len(self._edges)
            and submitted is not None
            and submitted < self._edges[frame],
        )
        for read, values in self._reading:
            value = read(row)
            known = values.get(value)
            if known is None:
                values[value] = place
            elif isinstance(known, int):
                values[value] = array("I", (known, place))
            else:
                known.append(place)

    def _frame(self, submitted: datetime | None) -> int:
        """The shortest frame that holds a job submitted then, after all that were told."""
        for start in self._starts[len(self._ends) :]:
            if submitted is not None and submitted >= start:
                break
            self._ends.append(len(self._ids))
        return len(self._ends)

    def frames(self) -> tuple[Frame, ...]:
        """The six frames, the shortest first."""
        made, total = [], beside.Counting()
        for name, counting, covered in zip(TIME_FRAMES, self._counted, self._covered, strict=True):
            total.add(counting)
            # A job at the edge of one frame is well within the next.
            made.append(Frame(name, total.counted(edge=counting.edge), covered))
        return tuple(made)

    def by_value(self, key: str) -> list[dict[str | None, StatusSplit]]:
        """For each frame: value -> the statuses of its jobs; equal ones are one object."""
        found: list[dict[str | None, StatusSplit]] = [{} for _ in TIME_FRAMES]
        all_of_them = [len(self._ids)] * (len(TIME_FRAMES) - len(self._ends))
        splits = dict[tuple[tuple[str, int], ...], StatusSplit]()
        for value, places in self._values[key].items():
            several, number, counts = _several(places), 0, Counter[str]()
            for frame, end in enumerate((*self._ends, *all_of_them)):
                upto = bisect_left(several, end, number)
                if upto > number:
                    counts.update(map(self._statuses.__getitem__, several[number:upto]))
                    number = upto
                    told = tuple(sorted(counts.items()))
                    if told not in splits:
                        splits[told] = StatusSplit(counts=dict(told))
                if number:
                    found[frame][value] = splits[told]
        return found

    def jobs(self, key: str, value: str | None) -> tuple[str, ...]:
        """Ids of the jobs with a value, newest submission first."""
        places = self._values[key].get(value)
        return () if places is None else tuple(map(self._ids.__getitem__, _several(places)))


def _several(places: _Places) -> Sequence[int]:
    return (places,) if isinstance(places, int) else places


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
            jobs=tuple(
                found.jobs(key, each.value) if each.split.total else () for each in made[-1].values
            ),
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


def reading(key: str) -> Callable[[JobRow], str | None]:
    """What reads a job's value of a label or field; None where a job has none."""
    if key == "name":
        return lambda row: row.name or None
    if key == "userId":
        return lambda row: row.user
    if key == "extensions.parentJobId":
        return lambda row: row.parent
    if key.startswith("extensions."):
        return lambda row: row.extra.get(key)
    return lambda row: row.labels.get(key)


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
    ours: Mapping[str | None, StatusSplit],
    theirs: Mapping[str | None, StatusSplit],
) -> tuple[LabelValue, ...]:
    """Most failures first, then most jobs; the jobs without the label last."""
    none = StatusSplit()
    made = (
        LabelValue(value=value, split=ours.get(value, none), server=theirs.get(value))
        for value in dict.fromkeys((*ours, *theirs))
    )
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
