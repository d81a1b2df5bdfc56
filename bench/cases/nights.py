"""One more night on many: what it costs, and what it takes in memory."""

import shutil
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from bench import corpus
from bench.commands import empty
from bench.measuring import run, yardstick
from bench.rows import Row, mb
from bench.sizes import Size
from jmreport.records import Record

#: The nights that the last ones are held against, counted from 1: the 10th and those beside it.
EARLY = (9, 10, 11)
_STAGES = ("stored", "analysed", "rendered")


class Night(Struct, frozen=True):
    """CPU seconds of one night."""

    stored: float
    analysed: float
    rendered: float


def nights(size: Size, work: Path) -> Iterable[Row]:
    """The last three nights against the 9th, 10th and 11th, each told and then rendered.

    Nights between are told and not rendered one by one: a site that is made of all of them at once
    is the same to the byte. Where each side is run once, it is the last night against the 10th.
    """
    where = empty(work / "nights")
    once = size.runs == 1
    of_early = EARLY[1:2] if once else EARLY
    of_late = tuple(range(size.nights + 1 - len(of_early), size.nights + 1))
    # What a night leaves to the next is there after two of them, and most of it after one.
    before = {of[0] - 1 for of in (of_early, of_late)}
    before |= set() if once else {of[0] - 2 for of in (of_early, of_late)}
    unit, spent = yardstick(), dict[int, Night]()
    for night in range(1, size.nights + 1):
        stored = _tell(where / "snapshots", night, size.a_night)
        if night in (*of_early, *of_late):
            told = _stages(where)
            spent[night] = Night(stored, told["analysed"], told["rendered"])
        elif night in before:
            _stages(where)
    shutil.rmtree(where)
    for stage in _STAGES:
        early, last = (tuple(getattr(spent[n], stage) for n in of) for of in (of_early, of_late))
        yield _row(size, stage, early, last)
    sums = [
        median(sum(msgspec.structs.astuple(spent[n])) for n in of) for of in (of_early, of_late)
    ]
    yield Row(
        what=f"night {size.nights} of {size.a_night} jobs against the 10th: all of it",
        figure=f"{sums[1] / sums[0]:.2f} x the CPU ({sums[0]:.2f} s, then {sums[1]:.2f} s)",
        goal="1.2 x",
        holds=sums[1] <= 1.2 * sums[0],
        lost=sums[1] > 10 * sums[0] or sums[0] > (700 + size.a_night) * unit,
    )


def _row(size: Size, stage: str, early: tuple[float, ...], late: tuple[float, ...]) -> Row:
    before, after = median(early), median(late)
    return Row(
        what=f"night {size.nights} of {size.a_night} jobs against the 10th: {stage}",
        figure=f"{after / before:.2f} x the CPU ({before:.2f} s, then {after:.2f} s)",
        goal="1.2 x",
        holds=after <= 1.2 * before,
        runs={"the 10th and those beside it": early, "the last ones": late},
    )


def _tell(snapshots: Path, night: int, jobs: int) -> float:
    """CPU seconds that it takes to store a night's jobs."""
    records = list(_jobs_of(night, jobs))
    now = corpus.NOW + timedelta(days=night)
    began = time.process_time()
    corpus.fill(snapshots, records, now=now, since=now - timedelta(days=1))
    return time.process_time() - began


def _jobs_of(night: int, jobs: int) -> Iterable[Record]:
    now = corpus.NOW + timedelta(days=night)
    for number in range(night * jobs, (night + 1) * jobs):
        yield corpus.small(number, now=now, spread=corpus.NIGHT)


def _stages(where: Path) -> dict[str, float]:
    command = ("-m", "bench.stages", str(where / "snapshots"), str(where / "site"))
    spent = run((sys.executable, *command), where=where)
    return dict(msgspec.json.decode(spent.out))


def history(size: Size, work: Path) -> Iterable[Row]:
    """Memory while many nights are analysed, with the contexts of all jobs, against ten of them."""
    where = empty(work / "history")
    few, spent = 10, {}
    for night in range(1, size.nights + 1):
        _tell(where / "snapshots", night, size.a_night)
        if night in (few, size.nights):
            script = Path(__file__).parents[1] / "history.py"
            command = (sys.executable, str(script), str(where / "snapshots"))
            spent[night] = run(command, where=where, weigh=True)
    shutil.rmtree(where)
    more = spent[size.nights].memory - spent[few].memory
    each = more / ((size.nights - few) * size.a_night)
    yield Row(
        what=f"memory of analysing {size.nights} nights of {size.a_night} jobs, and of {few}",
        figure=f"{mb(spent[size.nights].memory)}, {mb(spent[few].memory)}: "
        f"{each:.0f} bytes for each job of the others",
        goal="500 bytes",
        holds=each <= 500,
        lost=each > 5_000 and more > 100e6,
    )
