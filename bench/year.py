"""The index of a year made anew: `python -m bench.year DIR [NIGHTS] [JOBS]`.

    DIR/NIGHTSxJOBS/snapshots     a night a run, 2 KB of JSON a job; made where it is missing

Nights are made side by side by all processors. Prints seconds, bytes and memory: from what is kept
beside the runs, from the records alone if asked (`--records`), and what a night's own copy costs.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec

from bench import corpus
from bench.commands import whole
from bench.sizes import number
from jmreport.analysis import measure, summarise
from jmreport.records import Asked, Counts, Run, run_id
from jmreport.snapshots import contents, filling, index, runs, summaries
from jmreport.snapshots.files import LineFile
from jmreport.snapshots.indexed import Index
from jmreport.snapshots.writing import SHARD_RECORDS

_MB = 1e6


def main() -> int:
    """Makes the store where it is missing, and prints a line for each figure."""
    given = _arguments()
    root = Path(given.folder).absolute() / f"{given.nights}x{given.jobs}" / "snapshots"
    records = given.nights * given.jobs
    with whole(root) as making:
        if making:
            _make(making, given.nights, given.jobs)
    kept = sum(path.stat().st_size for path in root.glob(f"{summaries.NAME}/*"))
    stored = sum(path.stat().st_size for path in root.glob("runs/*/*"))
    _say(f"{given.nights} nights of {given.jobs} jobs: {stored / _MB:.1f} MB of runs")
    _say(f"kept beside them: {kept / _MB:.1f} MB, {kept / records:.0f} bytes a record")
    if given.records:
        _alone("made anew from the records", records, partial(_anew, root, records=True))
    _alone("made anew from what is kept", records, partial(_anew, root, records=False))
    size = (root / index.NAME).stat().st_size
    _say(f"the index: {size / _MB:.0f} MB, {size / records:.0f} bytes a record")
    _alone("read in the order of the runs", records, partial(_read, root, Index.by_run))
    _alone("read in the order of ids", records, partial(_read, root, Index.entries))
    _alone("the copy of it that each night makes", records, partial(_copied, root))
    return 0


def _make(root: Path, nights: int, jobs: int) -> None:
    """A store as that many nights would have left it, its index missing."""
    began = time.perf_counter()
    corpus.fill(root, [], now=corpus.NOW - timedelta(days=nights))
    with ProcessPoolExecutor(mp_context=get_context("fork")) as pool:
        for _ in pool.map(partial(_night, root, nights, jobs), range(nights)):
            pass
    (root / index.NAME).unlink()
    _say(f"made in {time.perf_counter() - began:.0f} s")


def _night(root: Path, nights: int, jobs: int, night: int) -> None:
    """A run's files as its writer leaves them; nothing of it holds a secret or was read before."""
    now = corpus.NOW - timedelta(days=nights - 1 - night)
    folder = root / runs.RUNS / run_id(now)
    folder.mkdir()
    told = summaries.Writing(root, folder, index.made_by(summarise, measure))
    query, written = LineFile(folder / runs.QUERY), {}
    for shard_number, first in enumerate(range(0, jobs, SHARD_RECORDS)):
        shard, lines = LineFile(folder / runs.name_of_shard(shard_number)), []
        for at in range(first, min(first + SHARD_RECORDS, jobs)):
            record = corpus.small(night * jobs + at, now=now, spread=corpus.NIGHT)
            query.write(msgspec.json.encode(record.row))
            shard.write(msgspec.json.encode(record))
            digest = contents.digest(record)
            lines.append(summaries.line_of(record, summarise(record), digest, measure(record)))
        written[shard.path.name] = shard.commit()
        told.add(shard.path.name, written[shard.path.name].sha256, lines)
    written[runs.QUERY] = query.commit()
    told.commit()
    asked = Asked(server="https://jobs.example.org/api/v1", timeframe="HOURS_24")
    counts = Counts(listed=jobs, fetched=jobs, stored=jobs)
    run = Run(id=folder.name, now=now, state="complete", asked=asked, counts=counts)
    (folder / runs.RUN).write_bytes(runs.encode(run, written))


def _anew(root: Path, *, records: bool) -> None:
    (root / index.NAME).unlink(missing_ok=True)
    made = filling.from_records if records else filling.current
    made(root, summarise, measure).close()


def _read(root: Path, order: Callable[[Index], object]) -> None:
    known = filling.current(root, summarise, measure)
    for _ in order(known):  # type: ignore[attr-defined]  # either gives entries
        pass
    known.close()


def _copied(root: Path) -> None:
    known = filling.current(root, summarise, measure)
    copy = index.copy(root, known)
    copy.commit(root / index.NAME)
    copy.close()
    known.close()


def _alone(what: str, records: int, work: Callable[[], None]) -> None:
    """Does it in a process of its own, so that its memory is its own too."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    wall, cpu = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
    if status:
        raise SystemExit(f"{what}: ended with {status}")
    _say(
        f"{what}: {wall:.1f} s, {cpu:.1f} s of CPU, {cpu / records * 1e6:.1f} us a record, "
        f"{usage.ru_maxrss / 1024:.0f} MB of memory"
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.year", description=__doc__)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("nights", nargs="?", type=number, default=365)
    parser.add_argument("jobs", nargs="?", type=number, default=2_000)
    parser.add_argument("--records", action="store_true", help="from the records too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
