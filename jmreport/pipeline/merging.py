"""Parts of a run, joined into the run that one machine would have made.

snapshots-parts/20261123T021400Z/1-of-2, 2-of-2  --merge-->  a run in snapshots/
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from jmreport import __version__
from jmreport.errors import NothingUsableError, SnapshotError, UsageError
from jmreport.gaps import PART, Gap
from jmreport.pipeline import mirroring
from jmreport.pipeline.collecting import summary
from jmreport.pipeline.keeping import open_folder, open_store
from jmreport.pipeline.parting import difference, named_as, told_by
from jmreport.pipeline.values import Outcome, exit_of
from jmreport.progress import Progress
from jmreport.records import Counts, Offer, Operation, Record, Run, newest_usable, run_id
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.snapshots import Part, RunWriter, Store

#: Behind every row whose place in the list is not known.
_LAST = 1 << 62

#: What is said of a part that has a usable run.
_COLLECTED = "collected"


class Joined(Struct, frozen=True):
    """A part that takes part: what it is of, its store, and the run that says what it brought.

    Of a part that failed that is the one that read most, be it that a later one read nothing;
    `failed` is why the last one brought no whole part, "" where it did.
    """

    part: Part
    store: Store
    run: Run | None
    failed: str


def merge(
    settings: Settings,
    folders: Sequence[Path],
    *,
    now: datetime | None,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """Join the parts in these folders; without any, those of `now` beside the snapshots.

    With a mirror the parts of `now` are pulled from there first, and dropped there once the run
    that they make is in it.

    A part that failed makes the run incomplete, which says so. Parts that were merged are not
    merged again, and need not be there any more.

    Raises UsageError where a part is missing, there twice, or of another run, and where the
    snapshots are not those on top of which the parts were read; LockedError while one is being
    written; SnapshotError where one lacks a file; NothingUsableError where all of them failed.
    """
    if now is None or folders:
        before, found = None, all_parts(folders)
        at = found[0][0].now
        steps = [mirroring.pull(settings, now=at, environ=environ, progress=progress)]
    else:
        at = now
        steps = [
            mirroring.pull(settings, now=at, environ=environ, progress=progress),
            mirroring.pull_parts(settings, now=at, environ=environ, progress=progress),
        ]
        before, found = _merged_and_dropped(settings, now), []
        if before is None:
            chosen, left_out = _of_one_number(settings, now)
            found, steps = all_parts(chosen), [*steps, left_out]
    return mirroring.handed_on(
        lambda: before or _into_the_store(settings, found, progress),
        pulled=steps,
        push=partial(mirroring.push, settings, now=at, environ=environ, progress=progress),
        then=partial(mirroring.drop_parts, settings, now=at, environ=environ, progress=progress),
        progress=progress,
    )


def all_parts(folders: Sequence[Path]) -> list[tuple[Part, Path]]:
    """Every part of one run, by number, and its folder. Raises UsageError where they are not."""
    from jmreport.snapshots import parts

    if not folders:
        raise UsageError(
            "no parts to merge are named",
            hint="name their folders, or the time of their run: --now",
        )
    found: dict[int, tuple[Part, Path]] = {}
    for folder in folders:
        part = parts.read(folder)
        if part is None:
            raise UsageError(
                f"{folder} is no part of a run", hint="name what `jmreport collect --shard` made"
            )
        if part.shard.number in found and found[part.shard.number][0].shard == part.shard:
            raise UsageError(
                f"{found[part.shard.number][1]} and {folder} are both part {part.shard}",
                hint="name each part once",
            )
        _same_run(*next(iter(found.values()), (part, folder)), part, folder)
        found[part.shard.number] = (part, folder)
    _none_missing([part for part, _ in found.values()])
    return [found[number] for number in sorted(found)]


def _of_one_number(settings: Settings, now: datetime) -> tuple[list[Path], Outcome]:
    """The folders of a run's parts beside the snapshots, and what is said of those left out.

    Where somebody began the run in another number of parts, those that are whole in number are
    taken. Of two such numbers it is the one that was collected on top of the newest run: the other
    was merged before. Of two of these it is the one whose every part brought something. Raises
    UsageError where that tells nothing either.
    """
    found = _beside(settings, now)
    if not found:
        raise UsageError(
            f"no parts in {_place(settings, now)}",
            hint="`jmreport collect --shard 1/4 --now …` makes them",
        )
    whole = [of for of in found if len(found[of]) == of]
    if len(whole) > 1:
        before = _runs_here(settings)
        newest = [of for of in whole if found[of][0][0].base == told_by(before)]
        merged = [of for of in whole if _merged_before(before, found[of][0][0])]
        whole = newest or merged[:1] or whole
    if len(whole) > 1:
        states = {of: Counter(_state(folder) for _, folder in found[of]) for of in whole}
        whole = [of for of in whole if states[of][_COLLECTED] == of] or whole
    if len(whole) > 1:
        places = (f"{_where(settings, now, of)} ({_said_of(of, states[of])})" for of in whole)
        raise UsageError(
            f"run {run_id(now)} is there in {' and in '.join(map(_parts, whole))}",
            hint=f"remove those that are not meant: {'; '.join(places)}",
        )
    if not whole and len(found) > 1:
        nearest = min(found, key=lambda of: (of - len(found[of]), of))
        there = [part for part, _ in found[nearest]]
        one = _collecting(_lacking(nearest, there)[0], there[0])
        all_there = ", ".join(str(part.shard) for of in found for part, _ in found[of])
        raise UsageError(
            f"run {run_id(now)} is whole in no number of parts: {all_there} are there",
            hint=f"`{one}` collects what is missing, with the same options as the others",
        )
    (of,) = whole or found
    others = [str(part.shard) for each in found if each != of for part, _ in found[each]]
    lines = (f"left out, since run {run_id(now)} is whole in {_parts(of)}: {', '.join(others)}",)
    return [folder for _, folder in found[of]], Outcome(summary=lines if others else ())


def _beside(settings: Settings, now: datetime) -> dict[int, list[tuple[Part, Path]]]:
    """The parts of a run beside the snapshots, by the number of parts that they are of."""
    from jmreport.snapshots import parts

    found: dict[int, list[tuple[Part, Path]]] = {}
    for folder in sorted(_place(settings, now).glob("*-of-*")):
        # Of one that was killed before it had begun there is no part.
        if (part := parts.read(folder)) is not None:
            found.setdefault(part.shard.of, []).append((part, folder))
    return dict(sorted(found.items()))


def _place(settings: Settings, now: datetime) -> Path:
    from jmreport.snapshots import parts

    return parts.places(Path(settings.snapshots.dir), now)


def _runs_here(settings: Settings) -> tuple[Run, ...]:
    if not Path(settings.snapshots.dir).is_dir():
        return ()
    with open_store(settings, create=False) as store:
        return store.runs()


def _parts(of: int) -> str:
    return "1 part" if of == 1 else f"{of} parts"


def _state(folder: Path) -> str:
    """What came of a part so far, as the merge of it would find it."""
    try:
        with open_folder(folder, create=False) as store:
            ended = (*store.runs(), *store.killed())
            store.whole()
    except SnapshotError:
        return "damaged"
    if any(run.usable for run in ended):
        return _COLLECTED
    return ended[-1].state if ended else "without a run"


def _said_of(of: int, states: Counter[str]) -> str:
    """How many parts there are, and what came of them: "2 parts: 1 collected, 1 failed"."""
    each = states if len(states) == 1 else [f"{count} {state}" for state, count in states.items()]
    return f"{_parts(of)}: {', '.join(each)}"


def _where(settings: Settings, now: datetime, of: int) -> str:
    """Where all parts of one number lie, as a shell names them."""
    from jmreport.snapshots.mirror import PARTS

    places = [f"{_place(settings, now)}/*-of-{of}"]
    if settings.snapshots.mirror is not None:
        mirror = settings.snapshots.mirror.rstrip("/")
        places.append(f"{mirror}/{PARTS}/{run_id(now)}/*-of-{of}")
    return " and ".join(places)


def _same_run(first_part: Part, first_folder: Path, part: Part, folder: Path) -> None:
    if first_part.shard.of != part.shard.of:
        raise UsageError(
            f"{first_folder} is part {first_part.shard} and {folder} is part {part.shard}",
            hint="merge the parts of one run",
        )
    same = replace(named_as(part, first_part), shard=first_part.shard)
    if same != first_part:
        one, other = difference(same, first_part), difference(first_part, same)
        raise UsageError(
            f"{folder} was collected {one}, and {first_folder} {other}"
            if one != other
            else f"{folder} was collected {one} than {first_folder}",
            hint="merge the parts of one run; one that is to be collected anew is removed first",
        )


def _none_missing(found: list[Part]) -> None:
    some = found[0]
    lacking = _lacking(some.shard.of, found)
    if lacking:
        one = replace(some.shard, number=lacking[0])
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UsageError(
            f"part {one}{more} of run {some.run} is missing",
            hint=f"`{_collecting(lacking[0], some)}` collects it, with the same options as the "
            "others",
        )


def _lacking(of: int, found: list[Part]) -> list[int]:
    """The numbers of parts that are missing."""
    return sorted({*range(1, of + 1)} - {part.shard.number for part in found})


def _collecting(number: int, some: Part) -> str:
    """The command that collects another part of the same run."""
    shard = replace(some.shard, number=number)
    return f"jmreport collect --shard {shard} --now {some.now.isoformat()}"


def _into_the_store(
    settings: Settings, found: list[tuple[Part, Path]], progress: Progress
) -> Outcome:
    from jmreport.snapshots import Nothing

    part = found[0][0]
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings, create=True))
        all_of_them = [_joined(stack, each, folder) for each, folder in found]
        before = store.runs()
        merged = _merged_before(before, part)
        if merged is not None:
            return _as_before(merged)
        if told_by(before) != part.base:
            raise UsageError(
                f"the parts were collected {difference(part, replace(part, base='?'))}, and the "
                f"newest of {settings.snapshots.dir} is {told_by(before) or 'none'}",
                hint="merge parts into the snapshots on top of which they were collected, before "
                "another run",
            )
        _agree_on_hashes(store, all_of_them)
        with store.begin(part.now, Nothing(), asked=part.asked, version=__version__) as writer:
            run = writer.finish(_join(all_of_them, writer, progress))
    did = f"merged {len(found)} parts of {run.asked.timeframe} into run {run.id}"
    failed = tuple(
        f"part {each.part.shard} failed: {each.failed}" for each in all_of_them if each.failed
    )
    return Outcome(exit=exit_of(run), summary=(summary(run, did), *failed), run=run)


def _joined(stack: ExitStack, part: Part, folder: Path) -> Joined:
    """A part whose run has ended, be it that it was killed."""
    try:
        store = stack.enter_context(open_folder(folder, create=False))
        store.settle(part.now)
        store.whole()
        ended = store.runs()
    except SnapshotError as error:
        # No copy of it is needed, and `check` would look at the snapshots.
        raise SnapshotError(
            error.message,
            hint=f"remove {folder}, and collect this part again: --shard {part.shard}",
        ) from error
    usable = newest_usable(ended)
    if usable:
        return Joined(part, store, usable, "")
    most = max(ended, key=lambda run: run.counts.listed + run.counts.fetched, default=None)
    return Joined(part, store, most, ended[-1].reason if ended else "it was never begun")


def _merged_before(before: tuple[Run, ...], part: Part) -> Run | None:
    """The run that these parts were merged into, where it is the newest."""
    newest = next((run for run in reversed(before) if run.id == told_by(before)), None)
    if newest is None or newest.id == part.base:
        return None
    return newest if (newest.now, newest.asked) == (part.now, part.asked) else None


def _merged_and_dropped(settings: Settings, now: datetime) -> Outcome | None:
    """The run of `now` where it is there, and its parts, or some of them, are not any more."""
    found = _beside(settings, now)
    if any(len(each) == of for of, each in found.items()):
        return None
    before = _runs_here(settings)
    for each in found.values():
        if merged := _merged_before(before, each[0][0]):
            return _as_before(merged)
    newest = next((run for run in before if run.id == told_by(before)), None)
    if found or newest is None or newest.now != now:
        return None
    # Whether it ever was in parts nobody can say.
    line = f"run {newest.id} is there, and there are no parts of it to merge"
    return Outcome(exit=exit_of(newest), summary=(line,), run=newest)


def _as_before(merged: Run) -> Outcome:
    line = f"the parts of run {merged.id} were merged before"
    return Outcome(exit=exit_of(merged), summary=(line,), run=merged)


def _agree_on_hashes(store: Store, joined: list[Joined]) -> None:
    for each in joined:
        if each.store.has_salt():
            store.adopt_salt(each.store.salt())


# --- what they hold ----------------------------------------------------------------------------


class _Offers:
    """What the server offers, as all parts together saw it."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations

    def offer(self, operation: str) -> Offer:
        return next((one.offer for one in self.operations if one.name == operation), "not asked")


def _join(joined: list[Joined], writer: RunWriter, progress: Progress) -> Run:
    """Rows, records and all else of the parts, taken in; the run that they are."""
    from jmreport.client.offers import joined as offers
    from jmreport.collectors.doubts import Settling

    ended = [each.run for each in joined if each.run]
    usable = [run for run in ended if run.usable]
    operations = offers([run.operations for run in usable], _doubtful(usable))
    settling = Settling(_Offers(operations))
    gaps = _Gaps(settling)
    with progress.step("merge lists", None):
        for row in _rows(joined):
            writer.list_row(row)
        for each in joined:
            if each.run:
                for job in each.store.unlisted(each.run.id):
                    writer.seen(job)
    twice = _Twice(writer)
    with progress.step("merge jobs", sum(each.store.count() for each in joined)) as step:
        for each in joined:
            for record in settling.records(twice.left_out(each)):
                found = writer.add(record)
                if each.failed:
                    gaps.add(found)
                step.advance()
    if not usable:
        raise NothingUsableError(
            f"all parts failed: {next((each.failed for each in joined), '')}",
            hint="the old site is untouched; collect them again",
        )
    for run in usable:
        gaps.add(run.gaps)
    for each in joined:
        if each.failed:
            why = f"part {each.part.shard} of the collecting failed: {each.failed}"
            gaps.add((Gap(what=PART, why=why),))
    if joined[0].run and not joined[0].failed:  # it asked for all
        writer.aggregations(joined[0].store.aggregations(joined[0].run.id))
    all_gaps = gaps.in_order()
    counts = _counts(ended)
    return Run(
        id=writer.id,
        now=writer.now,
        state="incomplete" if all_gaps else "complete",
        asked=writer.asked,
        version=__version__,
        capabilities=usable[0].capabilities,
        health=usable[0].health,
        own_fields=_first_of(usable),
        operations=operations,
        counts=replace(
            counts,
            fetched=counts.fetched - twice.count,
            sub_workflows=counts.sub_workflows - twice.count,
        ),
        gaps=all_gaps,
        notes=tuple(dict.fromkeys(note for run in usable for note in run.notes)),
        seconds=_seconds(usable),
    )


def _rows(joined: list[Joined]) -> Iterator[Any]:
    """The rows of all parts in the order of the list."""

    def of(each: Joined) -> Iterator[tuple[int, int, int, Any]]:
        if each.run:
            for at, (place, row) in enumerate(each.store.rows(each.run.id)):
                yield (_LAST if place is None else place), each.part.shard.number, at, row

    for _, _, _, row in heapq.merge(*map(of, joined), key=lambda found: found[:3]):
        yield row


class _Twice:
    """Sub-workflows that two parts have read, since a list names them too or two jobs do."""

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._met: set[str] = set()
        self.count = 0

    def left_out(self, each: Joined) -> Iterator[Record]:
        """A part's records but those that are there already, or that another part was listed."""
        for record in each.store.records():
            if record.row is None:
                if record.id in self._met or self._writer.is_listed(record.id):
                    self.count += not each.failed
                    continue
                self._met.add(record.id)
            yield record


class _Gaps:
    """What is lacking, each as often as the part says it that says it most."""

    def __init__(self, settling: Any) -> None:
        self._settling = settling
        self._found: Counter[Gap] = Counter()

    def add(self, gaps: Sequence[Gap]) -> None:
        """Those of one part."""
        self._found |= Counter(gap for gap in gaps if not self._settling.lacks(gap))

    def in_order(self) -> tuple[Gap, ...]:
        """As a run has them: of the list, of jobs by their ids, of the server's own counts."""
        gaps = [*self._found.elements()]
        own = [gap for gap in gaps if gap.job is None]
        counts = [gap for gap in own if gap.kind == "counts"]
        of_jobs = sorted((gap for gap in gaps if gap.job), key=lambda gap: gap.job or "")
        return (*(gap for gap in own if gap not in counts), *of_jobs, *counts)


def _first_of(usable: list[Run]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for run in usable:
        for path, value in run.own_fields.items():
            found.setdefault(path, value)
    return found


def _doubtful(usable: list[Run]) -> Counter[str]:
    """By operation, the answers of which the part that had them did not learn what they mean."""
    from jmreport.client.offers import DOUBTFUL

    found: Counter[str] = Counter()
    for run in usable:
        undecided = {one.name for one in run.operations if one.offer == "not asked"}
        found.update(
            gap.operation
            for gap in run.gaps
            if gap.operation in undecided and gap.status in DOUBTFUL
        )
    return found


def _counts(ended: list[Run]) -> Counts:
    counts = [run.counts for run in ended]
    totals = [one.by_server for one in counts if one.by_server is not None]
    # Each part reads the whole list, and what one of them did not see nobody can count.
    left_out = [one.left_out for one in counts if one.left_out is not None]
    return Counts(
        listed=sum(one.listed for one in counts),
        fetched=sum(one.fetched for one in counts),
        unchanged=sum(one.unchanged for one in counts),
        followed=sum(one.followed for one in counts),
        sub_workflows=sum(one.sub_workflows for one in counts),
        unreadable=sum(one.unreadable for one in counts),
        requests=sum(one.requests for one in counts),
        by_server=max(totals) if totals else None,
        left_out=max(left_out) if left_out and len(left_out) == len(counts) else None,
    )


def _seconds(usable: list[Run]) -> dict[str, float]:
    """How long each step took: the parts went side by side."""
    steps = dict.fromkeys(step for run in usable for step in run.seconds)
    return {step: max(run.seconds.get(step, 0.0) for run in usable) for step in steps}
