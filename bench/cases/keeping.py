"""What is kept on the disk: records, and their index."""

import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench import corpus
from bench.commands import filled
from bench.measuring import JMREPORT, Side, Spent, alternating, middle, run, yardstick
from bench.rows import Row, mb, runs_of
from bench.sizes import Size

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Records of a year that has 500 new jobs a night.
A_YEAR = 365 * 500


def store(size: Size, work: Path) -> Iterable[Row]:
    """What is kept against one zstd stream of the same records, and the index made anew."""
    root = filled(work / "jobs", size.jobs) / "snapshots"
    stored = (*root.glob("runs/*/jobs-*.jsonl.zst"), *root.glob("summaries/*"))
    kept = sum(path.stat().st_size for path in stored)
    compressor = zstd.ZstdCompressor(level=3)
    stream = sum(
        len(compressor.compress(msgspec.json.encode(each) + b"\n"))
        for each in corpus.many(size.jobs)
    ) + len(compressor.flush())
    yield Row(
        what="the store's records against one zstd stream (level 3)",
        figure=f"{kept / stream:.2f} x ({mb(kept)} to {mb(stream)})",
        goal="1.3 x",
        holds=kept <= 1.3 * stream,
        lost=kept > 3 * stream,
    )
    yield _index(size, root)


def _index(size: Size, root: Path) -> Row:
    index = root / "index.sqlite"
    command = (*JMREPORT, "snapshots", "list", "--snapshots", str(root))

    def anew(_: bool) -> Spent:
        index.unlink()
        return run(command, where=root.parent)

    unit = yardstick()
    sides: dict[str, Side] = {
        "index there": lambda _: run(command, where=root.parent),
        "index made anew": anew,
    }
    found = alternating(sides, size.runs, weigh=False)
    there, made = (middle(found[side]) for side in sides)
    each = (made.wall - there.wall) / size.jobs
    if each <= 0:
        return Row(
            what=f"the index of {size.jobs} records made anew",
            figure="they are too few to tell from the noise of a start",
            runs=runs_of(found),
        )
    return Row(
        what=f"the index of {size.jobs} records of 34 KB made anew",
        figure=f"{each * 1000:.2f} ms a record, CPU "
        f"{(made.cpu - there.cpu) / size.jobs * 1000:.2f} ms: {each * A_YEAR:.0f} s for a year "
        f"of {A_YEAR:,} (500 a night); {mb(index.stat().st_size)}",
        goal="a year in 30 s",
        holds=each * A_YEAR <= 30,
        lost=made.cpu > (150 + size.jobs / 4) * unit,
        runs=runs_of(found),
    )
