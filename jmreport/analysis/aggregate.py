"""Labels over the six time frames: our own counts, and the server's beside them.

Ours count every listed job known by its submission, so they are there for every server; the
server's are there where it offers aggregations.
"""

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

import msgspec

from jmreport import attempts
from jmreport.analysis import beside, fields
from jmreport.analysis.coverage import frame_start
from jmreport.analysis.offered import NOT_LABELS, common_labels, label_key
from jmreport.analysis.rows import label_text
from jmreport.gaps import Gap, does_not_fit, server_counts
from jmreport.models import (
    TIME_FRAMES,
    AggregationResponse,
    CapabilitiesResponse,
    DisplayField,
    StatusCounts,
    TimeFrame,
)
from jmreport.placed import ByValue, Order, Places, added, inserted, joined
from jmreport.records import FRAME_LENGTHS, Entry, JobRow
from jmreport.report import TOP_VALUES
from jmreport.report.counts import StatusSplit
from jmreport.report.labels import FrameDifference, FrameReport, LabelReport, LabelValue, ShownLabel

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
            what = server_counts(frame)
            gaps.append(Gap(what=what, why=does_not_fit(error)))
    return Answers(frames, tuple(gaps), fields.of_aggregations(trees))


class Frame(NamedTuple):
    """A time frame: how many listed jobs it has, and whether all of them are known."""

    name: TimeFrame
    counted: beside.Counted
    covered: bool


class Frames:
    """Listed jobs in the six time frames up to now, told while they stream by, the oldest first.

    Jobs without a submission come first and are in the last frame alone. So a frame's jobs are the
    last of all, and a job is known by its place: nothing else is kept of it for each label.
    """

    def __init__(self, keys: Sequence[str], now: datetime, covered_since: datetime) -> None:
        """`keys` are the labels by which they are counted."""
        self._starts = [frame_start(now, FRAME_LENGTHS[name]) for name in TIME_FRAMES]
        self._covered = [covered_since <= start for start in self._starts]
        #: Places of the report's jobs that are lost, rising.
        self._lost = array("I")
        self.order = Order()
        #: For each label, status -> value -> places; `_ALL` has one value for all jobs.
        self.values: dict[str, _ByStatus] = {key: {} for key in (*keys, _ALL)}
        self._readers = [(reading(key), by_status) for key, by_status in self.values.items()]
        #: For each status, what reads a label and where its values are kept.
        self._reading: dict[str, list[_Reading]] = {}

    def take_kept(self, row: JobRow, place: int, *, reported: bool, lost: bool) -> None:
        """A listed job whose place was kept, before any other is taken."""
        self.order.tell(place, row, reported=reported)
        if lost:
            self._lost.append(place)
        for read, values in self._reading.get(row.counts_as) or self._read_of(row.counts_as):
            value = read(row)
            values[value] = inserted(values.get(value), place)

    def take(self, row: JobRow, *, reported: bool, lost: bool) -> int:
        """One more listed job, and its place.

        `reported` says that it is one of the report's, `lost` that it is one of those and lost.
        """
        place = self.order.add(row, reported=reported)
        if lost:
            self._lost.append(place)
        for read, values in self._reading.get(row.counts_as) or self._read_of(row.counts_as):
            value = read(row)
            if (places := added(values.get(value), place)) is not None:
                values[value] = places
        return place

    def extend(self, key: str, told: Iterable[tuple[str, str | None, Places]]) -> None:
        """More (status, value, places) of a label, all of them behind those that were told."""
        by_status = self.values[key]
        for status, value, places in told:
            values = by_status.get(status)
            if values is None:
                values = by_status[status] = {}
            known = values.get(value)
            values[value] = places if known is None else joined(known, places)

    def _read_of(self, status: str) -> "list[_Reading]":
        """What reads the labels of jobs with a status that was not told before."""
        made = [(read, by_status.setdefault(status, {})) for read, by_status in self._readers]
        self._reading[status] = made
        return made

    def _firsts(self, later: timedelta = timedelta()) -> list[int]:
        """For each frame the place of its first job, or of the first submitted so much later."""
        # Of the last frame, which has no beginning, every job is.
        firsts = [self.order.since((start + later).timestamp()) for start in self._starts[:-1]]
        return [*firsts, 0]

    def frames(self) -> tuple[Frame, ...]:
        """The six frames, the shortest first."""
        firsts, edges = self._firsts(), self._firsts(beside.EDGE)
        return tuple(
            Frame(name, self._counted(first, edge), covered)
            for name, first, edge, covered in zip(
                TIME_FRAMES, firsts, edges, self._covered, strict=True
            )
        )

    def _counted(self, first: int, edge: int) -> beside.Counted:
        """The jobs from a place on; those before the edge were submitted at the frame's edge."""
        counts = {
            status: len(places) - bisect_left(places, first)
            for _, status, places in self.jobs(_ALL).values()
        }
        split = StatusSplit(counts={word: counts[word] for word in sorted(counts) if counts[word]})
        aside, gone = self.order.archived, set(self._lost).difference(self.order.archived)
        return beside.Counted(
            StatusSplit(counts=split.as_server),
            archived=len(aside) - bisect_left(aside, first),
            gone=sum(place >= first for place in gone),
            edge=edge
            - first
            - (bisect_left(aside, edge) - bisect_left(aside, first))
            - sum(first <= place < edge for place in gone),
        )

    def by_value(self, key: str) -> list[dict[str | None, StatusSplit]]:
        """For each frame: value -> the statuses of its jobs; equal ones are one object."""
        firsts = self._firsts()
        counted: dict[str | None, list[tuple[str, Sequence[int]]]] = {}
        for value, status, places in self.jobs(key).values():
            each = [len(places) - bisect_left(places, first) for first in firsts]
            counted.setdefault(value, []).append((status, each))
        found: list[dict[str | None, StatusSplit]] = [{} for _ in TIME_FRAMES]
        splits = dict[tuple[tuple[str, int], ...], StatusSplit]()
        for value, numbers in counted.items():
            numbers.sort()
            for frame, values in enumerate(found):
                told = tuple((status, of[frame]) for status, of in numbers if of[frame])
                if told:
                    if told not in splits:
                        splits[told] = StatusSplit(counts=dict(told))
                    values[value] = splits[told]
        return found

    def jobs(self, key: str) -> ByValue:
        """The jobs of each value of a label."""
        return ByValue(self.order, self.values[key])


#: The key under which all jobs are counted together: whatever a server sends, no label that is
#: counted is called so.
_ALL = ""
#: Labels that the live UI's buttons and text boxes write: most jobs have none.
OF_UI = ("flag", "comment", "label")


def shown(labels: Iterable[LabelReport], timeframe: str) -> ShownLabel | None:
    """What the overview tells of a label: of the first that groups jobs in the time frame.

    The user, and what the live UI puts there itself, only where there is no other; and what tells
    attempts of dsub apart, which groups no work, last of all.
    """
    wanted = [label for label in labels if label.key != "name" and not label.distinct]
    for label in sorted(wanted, key=_last_resort):
        frame = next((frame for frame in label.frames if frame.frame == timeframe), None)
        if frame and sum(value.value is not None for value in frame.values) > 1:
            return ShownLabel(
                key=label.key,
                title=label.title,
                frame=frame.frame,
                values=frame.values[:TOP_VALUES],
                number=len(frame.values),
                split=frame.split,
                counted=frame.counted,
            )
    return None


def _last_resort(label: LabelReport) -> tuple[bool, bool, bool]:
    key = label.key
    return key in attempts.LABELS, key in OF_UI, key == "userId"


#: Status -> value -> places of jobs; and what reads a value, with where those of a status are kept.
_ByStatus: TypeAlias = "dict[str, dict[str | None, Places]]"
_Reading: TypeAlias = "tuple[Callable[[JobRow], str | None], dict[str | None, Places]]"


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
            jobs=found.jobs(key),
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
    if key == _ALL:
        return lambda _row: None
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
    last: dict[str | None, LabelValue] = {}
    for frame, values in zip(frames, by_value, strict=True):
        answer = server.frames.get(frame.name)
        theirs = _theirs(answer, key) if answer else {}
        made.append(
            FrameReport(
                frame=frame.name,
                values=_values(values if known_of else {}, theirs, last),
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
    last: dict[str | None, LabelValue],
) -> tuple[LabelValue, ...]:
    """Most failures first, then most jobs; the jobs without the label last.

    One that is as in a frame before is the same object: `last` holds those that were made last.
    """
    none, made = StatusSplit(), list[LabelValue]()
    for value in dict.fromkeys((*ours, *theirs)):
        one = LabelValue(value=value, split=ours.get(value, none), server=theirs.get(value))
        if last.get(value) != one:
            last[value] = one
        made.append(last[value])
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
