"""Build a site over HTTP from a server with a very wide scatter, and weigh what comes of it.

    python -m tests.campaigns.scatter [10187] [--keep DIR]

The server is a process of its own. The build's memory is the proportional set size of all its
processes together, sampled while it runs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

NOW = "2026-11-23T02:14:00+00:00"
#: What a page, and a build of all its processes, may weigh in bytes.
MOST_PAGE = 1_000_000
MOST_MEMORY = 300_000_000
_PROGRAM = (sys.executable, "-m", "jmreport")


class Weighed(NamedTuple):
    """A build: its exit code, its peak memory in bytes, seconds, and each page's size."""

    code: int
    memory: int
    seconds: float
    pages: dict[str, int]

    @property
    def shard_pages(self) -> int:
        return sum("-shards-" in name for name in self.pages)

    @property
    def largest(self) -> tuple[str, int]:
        return max(self.pages.items(), key=lambda page: page[1])


def descendants(root: int) -> set[int]:
    """A process and all that it started, by /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[1-9]*/stat"):
        with suppress(OSError):  # it has just ended
            stat = entry.read_text()
            parents[int(entry.parent.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def proportional_set_size(pid: int) -> int:
    """The bytes of a process, with what it shares divided among those that share it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def weigh(
    folder: Path, *, shards: int, jobs: int = 280, like: str = "cromwell", workers: int = 2
) -> Weighed:
    """Serve a week with a scatter of so many shards, and build its site in `folder`."""
    server = subprocess.Popen(  # noqa: S603 - our own program
        [
            *_PROGRAM,
            "demo",
            f"--like={like}",
            f"--jobs={jobs}",
            f"--shards={shards}",
            f"--now={NOW}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().split()[-1]
        return _build(folder, url, workers)
    finally:
        server.terminate()
        server.wait()


def _build(folder: Path, url: str, workers: int) -> Weighed:
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        build = subprocess.Popen(  # noqa: S603 - our own program
            [*_PROGRAM, "build", f"--api-url={url}", f"--site={folder / 'site'}",
             f"--snapshots={folder / 'snapshots'}", f"--now={NOW}", f"--workers={workers}"],
            stdout=log,
            stderr=log,
            cwd=folder,
        )  # fmt: skip
        most = 0
        while build.poll() is None:
            most = max(most, sum(map(proportional_set_size, descendants(build.pid))))
            time.sleep(0.02)
    pages = {
        str(path.relative_to(folder / "site")): path.stat().st_size
        for path in (folder / "site").rglob("*.html")
    }
    return Weighed(build.returncode, most, time.perf_counter() - started, pages)


def main(shards: int, folder: Path) -> int:
    found = weigh(folder, shards=shards)
    sys.stdout.write((folder / "log").read_text())
    if not found.pages:
        return 1
    name, size = found.largest
    wide = sorted(((size, name) for name, size in found.pages.items()), reverse=True)[:5]
    sys.stdout.write(
        f"{shards} shards: exit {found.code} after {found.seconds:.1f} s\n"
        f"{len(found.pages)} pages, {found.shard_pages} of them of shards\n"
        f"largest page {size:,} bytes of {MOST_PAGE:,} allowed: {name}\n"
        + "".join(f"  {size:>10,} {name}\n" for size, name in wide)
        + f"peak memory of all processes {found.memory:,} bytes of {MOST_MEMORY:,} allowed\n"
    )
    good = found.code in (0, 3) and size < MOST_PAGE and found.memory < MOST_MEMORY
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shards", type=int, nargs="?", default=10_187)
    parser.add_argument("--keep", type=Path, help="Build in this folder, and leave it there.")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
        sys.exit(main(given.shards, given.keep.resolve()))
    with tempfile.TemporaryDirectory() as made:
        sys.exit(main(given.shards, Path(made)))
