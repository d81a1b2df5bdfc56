"""The timing diagram of a job: where each bar lies, in percent across and pixels down.

    name    |  waiting  preparing  running  finishing |  22 min

A row a task, its attempts left to right; up to 20 shards each have a thin line of their own; a
larger scatter is one band as dense as shards were running, with its failed and its slowest shards
below. At most 400 bars; where not all tasks have room, failed ones come before others. A bar with a
bad or missing end is drawn to where the job was last known, and says so. Positions across are
percentages, so the diagram fits any screen and any paper.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

from msgspec import Struct

from jmreport.models import ACTIVE_STATUSES, TERMINAL_STATUSES
from jmreport.render import words
from jmreport.render.calls import Call, Kind, rank
from jmreport.render.timeaxis import Scale, Tick, caption, ticks

MOST_BARS = 400
MOST_LANES = 20
MOST_ROWS = 150
#: A shorter gap on the critical path is not named.
_GAP = timedelta(minutes=1)
_NONE = timedelta(0)
_SLOWEST = 5
_FAILED = 10
_BINS = 60
_KINDS: tuple[Kind, ...] = ("waiting", "preparing", "running", "finishing")


class Bar(Struct, frozen=True, gc=False):
    """A rectangle: `x` and `width` in percent with their sign, `y` and `height` in pixels."""

    x: str
    y: int
    width: str
    height: int
    look: str


class Band(Struct, frozen=True):
    """A scatter's density: a closed path in a box of 60 by 100 from `x`, `width` wide."""

    x: str
    width: str
    path: str


class Lane(Struct, frozen=True, gc=False):
    """A task's row; `note` stands beside it and `said` is the sentence for who cannot see it."""

    name: str
    href: str
    height: int
    bars: tuple[Bar, ...]
    band: Band | None
    note: str
    said: str
    below: bool = False


class Spell(Struct, frozen=True, kw_only=True, gc=False):
    """A row of the table twin: an attempt in words."""

    task: str
    part: str
    status: words.StatusWord
    started: words.Moment | None
    took: str
    spent: tuple[str, ...]
    note: str


class Timing(Struct, frozen=True, kw_only=True):
    """The whole diagram; `legend` holds (look, word)."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    legend: tuple[tuple[str, str], ...]
    caption: str
    spells: tuple[Spell, ...]
    spells_left_out: int
    lanes_left_out: int


class TaskCalls(Struct, frozen=True, kw_only=True, gc=False):
    """A task as the diagram needs it: `until` is where its unfinished bars end."""

    name: str
    href: str
    status: str
    calls: tuple[Call, ...]
    cached: bool = False
    #: A task of a sub-workflow, drawn below the call that started it.
    below: bool = False
    #: Said of it beside its own note.
    more: str = ""


class _Span(Struct, frozen=True, gc=False):
    """A call with both its ends: `sure` is False where the end was not known.

    One that is `active` may go on; one that is `going` ran until its end, and does.
    """

    call: Call
    start: datetime
    end: datetime
    sure: bool
    active: bool
    going: bool

    @property
    def unknown(self) -> bool:
        """Whether it has ended, and nobody knows when."""
        return not self.sure and not self.active


def timing(
    tasks: Sequence[TaskCalls],
    *,
    start: datetime | None,
    end: datetime | None,
    read_at: datetime | None,
    zone: tzinfo,
    going: bool = False,
    most_spells: int = MOST_BARS,
) -> Timing | None:
    """The diagram of a job's tasks from its start to its end (or to when it was read).

    `going`: what was active when it was read is known to have run until then. Its table twin has
    at most `most_spells` rows. None where no task has a time to show.
    """
    starts = [call.start for task in tasks for call in task.calls if call.start]
    if not starts:
        return None
    scale = _window(tasks, starts, start, end, read_at)
    if scale is None:
        return None
    spans = [_spans(task, scale, over=end is not None, going=going) for task in tasks]
    critical = _critical(
        [span for task, own in zip(tasks, spans, strict=True) if not task.below for span in own]
    )
    shown = [(tasks[at], spans[at]) for at in _shown(tasks)]
    split = _split(shown)
    lanes = tuple(_lane(task, own, scale, critical, split) for task, own in shown)
    spells = _spells(tasks, spans, zone, scale.start, critical, most_spells)
    return Timing(
        lanes=lanes,
        ticks=ticks(scale, zone),
        legend=_legend(lanes),
        caption=f"{caption(scale, zone)}{_path(spans, critical, going=going)}",
        spells=tuple(spells),
        spells_left_out=sum(map(len, spans)) - len(spells),
        lanes_left_out=max(0, len(tasks) - MOST_ROWS),
    )


def _shown(tasks: Sequence[TaskCalls]) -> list[int]:
    """The tasks with a row of their own: failed ones before others, in the order that they have.

    Those of sub-workflows stay below the one that started them.
    """
    groups: list[list[int]] = []
    for at, task in enumerate(tasks):
        if task.below and groups:
            groups[-1].append(at)
        else:
            groups.append([at])
    groups.sort(key=lambda group: rank(tasks[group[0]].status))
    return sorted([at for group in groups for at in group][:MOST_ROWS])


def _window(
    tasks: Sequence[TaskCalls],
    starts: list[datetime],
    start: datetime | None,
    end: datetime | None,
    read_at: datetime | None,
) -> Scale | None:
    """From the job's start to its end; where those are lacking or absurd, what the calls say."""
    ends = [call.end for task in tasks for call in task.calls if call.end]
    last = end or max([*ends, *([read_at] if read_at else [])], default=None)
    first = start or min(starts)
    if last is None or last <= first:
        first, last = min(starts), max([*starts, *ends])
    if last <= first:
        last = first + timedelta(seconds=1)
    return Scale(first, last)


def _spans(task: TaskCalls, scale: Scale, *, over: bool, going: bool) -> list[_Span]:
    """The task's calls with both ends inside the window, in the order given.

    Nothing is active where the job is over: Cromwell leaves the word with calls for good.
    """
    found = []
    for call in task.calls:
        if call.start is None:
            continue
        begin = min(max(call.start, scale.start), scale.end)
        sure = call.end is not None and call.end >= call.start
        finish = call.end if call.end is not None and sure else scale.end
        finish = min(max(finish, begin), scale.end)
        active = not sure and not over and call.status in ACTIVE_STATUSES
        found.append(_Span(call, begin, finish, sure, active, active and going))
    return found


def _critical(spans: Sequence[_Span]) -> dict[int, timedelta]:
    """The chain of calls in which each ends last before the next starts, by identity, the first of
    them first; and how long nothing of it ran before each.

    Of those that go on it ends with the one that started first. There is none where one may go on
    of which that is not known.
    """
    if any(span.active and not span.going for span in spans):
        return {}
    ordered = sorted((s for s in spans if s.sure), key=lambda s: s.end)
    ordered += sorted((s for s in spans if s.going), key=lambda s: s.start, reverse=True)
    ends = [span.end for span in ordered]
    chain: list[_Span] = []
    at = len(ordered) - 1
    while at >= 0:
        span = ordered[at]
        chain.append(span)
        at = min(bisect_right(ends, span.start + timedelta(seconds=1)), at) - 1
    if len(chain) < 2:
        return {}
    chain.reverse()
    gaps = {id(chain[0].call): _NONE}
    for before, span in pairwise(chain):
        gaps[id(span.call)] = max(span.start - before.end, _NONE)
    return gaps


def _split(shown: Sequence[tuple[TaskCalls, list[_Span]]]) -> str:
    """How finely calls can be drawn within the limit: by part, by attempt, or by task."""
    drawn = [span for _, own in shown for span in _drawn(own)]
    if sum(max(1, min(len(span.call.parts), 6)) for span in drawn) + len(shown) <= MOST_BARS:
        return "part"
    return "attempt" if len(drawn) + len(shown) <= MOST_BARS else "task"


def _scattered(spans: list[_Span]) -> bool:
    return len({span.call.shard for span in spans}) > MOST_LANES


def _drawn(spans: list[_Span]) -> list[_Span]:
    """The spans with bars of their own: all, or of a large scatter the failed and the slowest."""
    if not _scattered(spans):
        return spans
    failed = [s for s in spans if s.call.status == "Failed" and not s.call.preempted]
    chosen = dict.fromkeys(span.call.shard for span in failed[-_FAILED:])
    longest = sorted(spans, key=lambda s: s.start - s.end)
    for span in longest:
        if len(chosen) >= len(failed[-_FAILED:]) + _SLOWEST:
            break
        chosen[span.call.shard] = None
    shown = [span for span in spans if span.call.shard in chosen]
    return sorted(shown, key=lambda span: span.call.status != "Failed")


def _lane(
    task: TaskCalls,
    spans: list[_Span],
    scale: Scale,
    critical: Mapping[int, timedelta],
    split: str,
) -> Lane:
    band = _band(spans, scale) if _scattered(spans) else None
    drawn = _drawn(spans)
    shards = list(dict.fromkeys(span.call.shard for span in drawn))
    top = 26 if band else 4
    thick = 14 if len(shards) <= 1 and not band else 5
    rows = {shard: top + at * (thick + 1) for at, shard in enumerate(shards)}
    bars: list[Bar] = []
    if split == "task" and spans:
        bars = [_whole(task, spans, scale)]
        band, rows = None, {}
    else:
        for span in drawn:
            bars.extend(_bars(span, scale, rows[span.call.shard], thick, critical, split))
    note = _note(task, spans)
    height = max([y + thick for y in rows.values()], default=22 if band else 18) + 4
    return Lane(
        name=words.cut_middle(task.name, 80),
        href=task.href,
        height=height,
        bars=tuple(bars),
        band=band,
        note=note,
        said=_said(task, spans, note),
        below=task.below,
    )


def _bars(
    span: _Span, scale: Scale, y: int, height: int, critical: Mapping[int, timedelta], split: str
) -> Iterable[Bar]:
    call = span.call
    look = _look(span)
    if split == "part" and len(call.parts) > 1:
        for kind, start, end in _merged(span, scale):
            yield _bar(scale, start, end, y, height, look if kind == "running" else f"t-{kind}")
    else:
        yield _bar(scale, span.start, span.end, y, height, look)
    if id(call) in critical:
        yield _bar(scale, span.start, span.end, y - 1, height + 2, "t-critical")


def _bar(scale: Scale, start: datetime, end: datetime, y: int, height: int, look: str) -> Bar:
    left = scale.at(start)
    width = max(scale.at(end) - left, 0.25)
    return Bar(f"{min(left, 99.75):.2f}%", y, f"{width:.2f}%", height, look)


def _merged(span: _Span, scale: Scale) -> list[tuple[Kind, datetime, datetime]]:
    """The parts of a call without overlaps: neighbours of one kind are one, at most six."""
    cuts: list[tuple[Kind, datetime, datetime]] = []
    reached = span.start
    for part in span.call.parts:
        start = max(min(part.start, span.end), reached)
        end = min(part.end or span.end, span.end, scale.end)
        if end <= start:
            continue
        if cuts and cuts[-1][0] == part.kind:
            cuts[-1] = (part.kind, cuts[-1][1], end)
        else:
            cuts.append((part.kind, start, end))
        reached = end
    if not cuts or len(cuts) > 6:
        return [("running", span.start, span.end)]
    if reached < span.end:
        cuts.append(("running" if not span.sure else "finishing", reached, span.end))
    return cuts


def _look(span: _Span) -> str:
    if span.call.preempted:
        return "t-preempted"
    look = f"f-{words.status(span.call.status).key}"
    return f"{look} t-open" if span.unknown else look


def _whole(task: TaskCalls, spans: list[_Span], scale: Scale) -> Bar:
    look = f"f-{words.status(task.status).key}"
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    return _bar(scale, first, last, 4, 14, look)


def _band(spans: list[_Span], scale: Scale) -> Band:
    """How many shards ran at a time, over sixty steps of the scatter's own length."""
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    step = (last - first).total_seconds() / _BINS or 1.0
    change = [0] * (_BINS + 1)
    for span in spans:
        begin = min(int((span.start - first).total_seconds() / step), _BINS - 1)
        finish = min(int((span.end - first).total_seconds() / step), _BINS - 1)
        change[begin] += 1
        change[finish + 1] -= 1
    running, heights = 0, []
    for at in range(_BINS):
        running += change[at]
        heights.append(running)
    most = max(heights) or 1
    path = "M0 100" + "".join(f"V{100 - 94 * n // most}h1" for n in heights) + "V100Z"
    left = scale.at(first)
    return Band(f"{min(left, 99.5):.2f}%", f"{max(scale.at(last) - left, 0.5):.2f}%", path)


def _note(task: TaskCalls, spans: list[_Span]) -> str:
    if not spans:
        return "not started" if task.status in ("Submitted", "OnHold", "") else "no times"
    first, last = min(s.start for s in spans), max(s.end for s in spans)
    said = []
    # Also shards without a time that can be believed, which have no bar.
    shards = len({call.shard for call in task.calls})
    attempts = max(span.call.attempt for span in spans)
    unknown = any(span.unknown for span in spans)
    if any(span.going for span in spans):
        said.append(words.so_far(words.duration(last - first)))
    elif any(span.active for span in spans):
        said.append("still active")
    elif not unknown:
        said.append(words.duration(last - first))
    if shards > 1:
        said.append(words.plural(shards, "shard"))
    elif attempts > 1:
        said.append(f"attempt {attempts}")
    if task.cached:
        said.append("cached")
    if unknown:
        said.append("end unknown")
    return " · ".join([*said, task.more] if task.more else said)


def _said(task: TaskCalls, spans: list[_Span], note: str) -> str:
    failed = sum(span.call.status == "Failed" and not span.call.preempted for span in spans)
    more = f", {words.plural(failed, 'failed attempt')}" if failed else ""
    return f"{words.status(task.status).text}: {note}{more}"


def _legend(lanes: Sequence[Lane]) -> tuple[tuple[str, str], ...]:
    used = {bar.look for lane in lanes for bar in lane.bars}
    plain = {look.split(" ")[0] for look in used}
    legend = [(f"t-{kind}", kind.capitalize()) for kind in _KINDS if f"t-{kind}" in plain]
    for word in ("Succeeded", "Failed", "Running", "Aborted", "Aborting", "Submitted", "OnHold"):
        look = words.status(word)
        if f"f-{look.key}" in plain:
            ended = word in TERMINAL_STATUSES
            said = f"Ran: {look.text.lower()}" if ended else look.text
            legend.append((f"f-{look.key}", said))
    if "f-unknown" in plain:
        legend.append(("f-unknown", "Unknown"))
    if "t-preempted" in plain:
        legend.append(("t-preempted", "Preempted"))
    if any("t-open" in look for look in used):
        legend.append(("f-submitted t-open", "End unknown"))
    if any(lane.band for lane in lanes):
        legend.append(("t-band", "Shards at a time"))
    if "t-critical" in plain:
        legend.append(("t-critical", "Critical path"))
    return tuple(legend)


def _path(spans: Iterable[list[_Span]], critical: Mapping[int, timedelta], *, going: bool) -> str:
    """How long the critical path is, and how much of it nothing of it ran; "" without one."""
    if not critical:
        return ""
    on_it = [span for own in spans for span in own if id(span.call) in critical]
    whole = max(span.end for span in on_it) - min(span.start for span in on_it)
    idle = sum(critical.values(), _NONE)
    gaps = f", {words.duration(idle)} of it in gaps" if idle >= _GAP else ""
    length = words.duration(whole)
    told = words.so_far(length) if going else length
    return f" Critical path, by time and not by dependency: {told}{gaps}."


def _spells(
    tasks: Sequence[TaskCalls],
    spans: Sequence[list[_Span]],
    zone: tzinfo,
    near: datetime,
    critical: Mapping[int, timedelta],
    most: int,
) -> list[Spell]:
    """Every attempt in words, failed ones first where not all of them can be shown."""
    found = [(task, span) for task, own in zip(tasks, spans, strict=True) for span in own]
    if len(found) > most:
        found.sort(key=lambda pair: pair[1].call.status != "Failed" or pair[1].call.preempted)
    return [_spell(task, span, zone, near, critical) for task, span in found[:most]]


def _spell(
    task: TaskCalls, span: _Span, zone: tzinfo, near: datetime, critical: Mapping[int, timedelta]
) -> Spell:
    call = span.call
    shard = f"shard {call.shard}, " if call.shard is not None else ""
    notes = []
    if call.preempted:
        notes.append("preempted")
    if call.cached:
        notes.append("cached")
    if not span.sure:
        notes.append("still active when read" if span.active else "end unknown")
    if id(call) in critical:
        gap = critical[id(call)]
        after = f", {words.duration(gap)} after what was before" if gap >= _GAP else ""
        notes.append(f"critical path{after}")
    return Spell(
        task=words.cut_middle(task.name, 80),
        part=f"{shard}attempt {call.attempt}",
        status=words.status(call.status),
        started=words.short_when(call.start, zone, near=near),
        took=_took(span),
        spent=_spent(span),
        note=", ".join(notes),
    )


def _took(span: _Span) -> str:
    length = words.duration(span.end - span.start)
    return length if span.sure else words.so_far(length) if span.going else ""


def _spent(span: _Span) -> tuple[str, ...]:
    """Time spent waiting, preparing, running and finishing; "" where nothing tells."""
    totals = dict.fromkeys(_KINDS, _NONE)
    for part in span.call.parts:
        end = part.end or (span.end if span.going else None)
        if end and end > part.start:
            totals[part.kind] += end - part.start
    return tuple(words.duration(totals[kind]) if totals[kind] else "" for kind in _KINDS)
