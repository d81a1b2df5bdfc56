"""What a command costs: wall and CPU seconds with all its processes, and their memory together."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from threading import Event, Thread

import msgspec
from msgspec import Struct
from msgspec.structs import replace

#: Seconds between two looks at the memory of a command.
_EVERY = 0.05
#: What a command may end with: done, or built but incomplete.
_FINE = (0, 3)
JMREPORT = (sys.executable, "-m", "jmreport")
#: What commands are run in. Modules are kept compiled, as pip leaves those that it installs: where
#: that is switched off, each start of a program in its own folder compiles all of it.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
#: What costs something. It is told whether it is to be weighed, which takes time of its own.
Side = Callable[[bool], "Spent"]


class Spent(Struct, frozen=True):
    """Seconds, and bytes at the peak of all processes together (0 where nobody looked)."""

    wall: float
    cpu: float
    memory: int
    out: str


class BrokenError(Exception):
    """A command that failed, with what it said."""


def run(command: Sequence[str], *, where: Path, weigh: bool = False) -> Spent:
    """Run a command to its end; BrokenError where it fails."""
    return together([command], where=where, weigh=weigh)


def together(commands: Iterable[Sequence[str]], *, where: Path, weigh: bool = False) -> Spent:
    """Run commands at once, until the last has ended; the sum of what they cost."""
    began = time.perf_counter()
    started = [_Started(command, where / f"out-{at}.txt") for at, command in enumerate(commands)]
    peak = _Peak([each.child.pid for each in started]) if weigh else None
    cpu = sum(each.wait() for each in started)
    wall = time.perf_counter() - began
    memory = peak.stop() if peak else 0
    return Spent(wall, cpu, memory, "".join(each.said() for each in started))


class _Started:
    """A command under way."""

    def __init__(self, command: Sequence[str], out: Path) -> None:
        self._command, self._out, self._err = command, out, out.with_suffix(".err")
        with out.open("wb") as said, self._err.open("wb") as complained:
            self.child = subprocess.Popen(  # noqa: S603 (our own, or a program asked for)
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                cwd=out.parent,
                env=ENVIRONMENT,
            )

    def wait(self) -> float:
        """CPU seconds, with those of the processes that it waited for."""
        _, status, usage = os.wait4(self.child.pid, 0)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        if self.child.returncode not in _FINE:
            told = self._err.read_text(errors="replace")[-2_000:]
            ended = f"{' '.join(self._command)} ended with {self.child.returncode}"
            raise BrokenError(f"{ended}: {told}{self.said()[-2_000:]}")
        return usage.ru_utime + usage.ru_stime

    def said(self) -> str:
        return self._out.read_text(errors="replace")


class _Peak:
    """The proportional set size of processes and their descendants, the largest that was seen."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids, self._over, self.bytes = pids, Event(), 0
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_EVERY):
            now = sum(map(_proportional, _descendants(self._pids)))
            self.bytes = max(self.bytes, now)

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self.bytes


def _descendants(roots: Sequence[int]) -> set[int]:
    """Processes and all that they started, by /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[1-9]*/stat"):
        with suppress(OSError):  # it has just ended
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found = set(roots)
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


def cpu_of(pids: Iterable[int]) -> float:
    """CPU seconds that processes which still live have taken so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def alternating(
    sides: Mapping[str, Side], runs: int, *, weigh: bool = True
) -> dict[str, list[Spent]]:
    """Each side so many times, taking turns: what else goes on meets all alike.

    A round before them, whose times do not count, fills the caches and weighs each side: who looks
    at the memory of processes takes time from them. Where each is run once, that is this round.
    """
    if runs == 1:
        return {side: [work(weigh)] for side, work in sides.items()}
    weights = {side: work(True).memory if weigh else 0 for side, work in sides.items()}
    found: dict[str, list[Spent]] = {side: [] for side in sides}
    for _ in range(runs):
        for side, work in sides.items():
            found[side].append(replace(work(False), memory=weights[side]))
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


def yardstick() -> float:
    """Seconds of CPU that this machine takes now for a fixed piece of Python's work, some 20 ms.

    What costs many times what it used to cost, counted in these, has lost its order of magnitude,
    whatever the machine is and has to do.
    """
    return min(_piece() for _ in range(5))


def _piece() -> float:
    began = time.process_time()
    for at in range(20):
        tree = {f"key {n}": [n, str(n * at), {"a": n / 7}] for n in range(500)}
        for name, value in msgspec.json.decode(msgspec.json.encode(tree)).items():
            f"<li>{name}: {value[1]!s:>8} {value[2]['a']:.2f}</li>".replace("&", "&amp;").encode()
    return time.process_time() - began
