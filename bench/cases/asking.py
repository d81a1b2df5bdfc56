"""Collecting from a server that answers 500 requests a second."""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench import corpus
from bench.commands import empty
from bench.measuring import JMREPORT, Spent, middle, run, yardstick
from bench.rows import Row, runs_of
from bench.sizes import Size

RATE = 500


def asking(size: Size, work: Path) -> Iterable[Row]:
    """All jobs, into an empty store each time; then the night after, which has nothing new."""
    spent: list[Spent] = []
    with serving(size.asked, RATE) as (url, fewest):
        unit = yardstick()
        for _ in range(size.runs):
            where = empty(work / "asking")
            spent.append(collect(where, url))
        second = collect(where, url)
    first, again = _requests(where / "snapshots")
    own = middle(spent)
    yield Row(
        what=f"requests for {size.asked} jobs against the fewest",
        figure=f"{first / fewest:.3f} x ({first} of {fewest})",
        goal="1.05 x",
        holds=first <= 1.05 * fewest,
        lost=first > 1.5 * fewest,
    )
    yield Row(
        what=f"requests a second, start-up included, of {RATE} that the server answers",
        figure=f"{first / own.wall:.0f}, {own.cpu / first * 1000:.2f} ms of CPU each",
        goal="keeps up",
        holds=first / own.wall >= 0.9 * RATE,
        lost=own.cpu > (200 + first / 2) * unit,
        runs=runs_of({"collect": spent}),
    )
    listed = fewest - size.asked
    yield Row(
        what="the second night",
        figure=f"{again} requests, {second.wall:.1f} s",
        goal="only the list",
        holds=again <= listed + 10,
        lost=again > listed + 10,
    )


@contextmanager
def serving(jobs: int, rate: float) -> Iterator[tuple[str, int]]:
    """A server of the corpus in a process of its own: its address, and the fewest requests."""
    command = (sys.executable, "-m", "bench.serving", str(jobs), str(rate))
    with subprocess.Popen(  # noqa: S603 (our own)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url, fewest = server.stdout.readline().split()
        try:
            yield url, int(fewest)
        finally:
            server.communicate("")


def collect(where: Path, url: str, *more: str) -> Spent:
    """What it takes to collect all that a server knows."""
    return run(collecting(where, url, *more), where=where)


def collecting(where: Path, url: str, *more: str) -> Sequence[str]:
    """The command that collects all that a server knows."""
    return (
        *(*JMREPORT, "collect", "--api-url", url, "--timeframe", "ALL_TIME"),
        *("--snapshots", str(where / "snapshots"), "--now", corpus.NOW.isoformat(), *more),
    )


def _requests(snapshots: Path) -> list[int]:
    """How many each run took."""
    found = []
    for folder in sorted((snapshots / "runs").iterdir()):
        tree = msgspec.json.decode((folder / "run.json").read_bytes())
        found.append(int(tree["counts"]["requests"]))
    return found
