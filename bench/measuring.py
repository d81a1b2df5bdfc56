"""What a command costs: wall and CPU seconds with all its processes, and their memory together."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from threading import Event, Thread

from msgspec import Struct

#: Seconds between two looks at the memory of a command.
_EVERY = 0.05
JMREPORT = (sys.executable, "-m", "jmreport")


class Spent(Struct, frozen=True):
    """Seconds, and bytes at the peak of all processes together (0 where nobody looked)."""

    wall: float
    cpu: float
    memory: int
    out: str


class BrokenError(Exception):
    """A command that failed, with what it said."""


def run(command: Sequence[str], *, where: Path, weigh: bool = False, codes: str = "0 3") -> Spent:
    """Run a command to its end; BrokenError where its exit code is none of those."""
    said, complained = where / "out.txt", where / "err.txt"
    with said.open("wb") as out, complained.open("wb") as err:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=err, cwd=where)  # noqa: S603 (our own)
        peak = _Peak(child.pid) if weigh else None
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
    memory = peak.stop() if peak else 0
    if str(child.returncode) not in codes.split():
        told = complained.read_text(errors="replace")[-2_000:]
        raise BrokenError(f"{' '.join(command)} ended with {child.returncode}: {told}")
    return Spent(wall, usage.ru_utime + usage.ru_stime, memory, said.read_text(errors="replace"))


class _Peak:
    """The proportional set size of a process and its descendants, the largest that was seen."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over, self.bytes = pid, Event(), 0
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            now = sum(map(_proportional, _descendants(self._pid)))
            self.bytes = max(self.bytes, now)

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.bytes


def _descendants(root: int) -> set[int]:
    """A process and all that it started, by /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[1-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _proportional(pid: int) -> int:
    """The bytes of a process, with what it shares divided among those that share it."""
    with suppress(OSError):  # it has just ended
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def alternating(sides: Mapping[str, Callable[[], Spent]], runs: int) -> dict[str, list[Spent]]:
    """Each side so many times, taking turns: what else goes on meets all alike."""
    found: dict[str, list[Spent]] = {side: [] for side in sides}
    for _ in range(runs):
        for side, work in sides.items():
            found[side].append(work())
    return found


def middle(spent: Sequence[Spent]) -> Spent:
    """The median of each number."""
    return Spent(
        median(one.wall for one in spent),
        median(one.cpu for one in spent),
        int(median(one.memory for one in spent)),
        spent[-1].out,
    )


def ratio(of: Sequence[Spent], to: Sequence[Spent], what: str) -> float:
    """The median of the ratios of turns."""
    pairs = zip(of, to, strict=True)
    return float(median(getattr(one, what) / getattr(other, what) for one, other in pairs))
