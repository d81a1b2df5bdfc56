"""Where the time of a render goes, by function: `python -m bench profiles` keeps it in profiles/.

    cold.txt              a render that begins with nothing
    nothing-changed.txt   a render after which no page is written
    5-percent-changed.txt a render after another night told of a twentieth of the jobs

Each is a command of one process under cProfile, imports included. The profiler makes calls look
dearer than they are; shares are to be believed more than seconds.

    python -m bench.profiling SNAPSHOTS [PAGES]    job pages alone, printed
"""

import cProfile
import io
import pstats
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.cases.again import change
from bench.commands import empty, filled, folders
from bench.measuring import run
from bench.pages import Site

_LINES = 40
#: jmreport from its imports on, by the processor's time: what else runs does not count.
_PROFILED = """
import cProfile, sys, time
profiler = cProfile.Profile(time.process_time)
profiler.enable()
from jmreport.cli import main
code = main(sys.argv[2:])
profiler.disable()
profiler.dump_stats(sys.argv[1])
sys.exit(code)
"""


def write(jobs: int, work: Path, into: Path) -> Iterator[Path]:
    """Profiles of renders of so many jobs, written into a folder; gives each when it is there."""
    into.mkdir(parents=True, exist_ok=True)
    where = filled(empty(work / "profiles"), jobs)
    for name, turn in (("cold", 0), ("nothing-changed", 0), ("5-percent-changed", 1)):
        if turn:
            change(where / "snapshots", jobs, turn)
        path = into / f"{name}.txt"
        path.write_text(f"{name.replace('-', ' ')}, {jobs} jobs\n{_render(where)}")
        yield path


def _render(where: Path) -> str:
    stats = where / "stats"
    command = (sys.executable, "-c", _PROFILED, str(stats), "render", "--workers", "1")
    run((*command, *folders(where)), where=where)
    return _told(pstats.Stats(str(stats), stream=io.StringIO()))


def profile(snapshots: Path, pages: int) -> str:
    """The functions that take most of the time of job pages."""
    site = Site(snapshots)
    records = list(islice(site.records(), pages))
    for record in records[:20]:  # templates are compiled, and caches warm
        site.page(record)
    profiler = cProfile.Profile(time.process_time)  # what else runs does not count
    profiler.enable()
    for record in records:
        site.page(record)
    profiler.disable()
    return _told(pstats.Stats(profiler, stream=io.StringIO()))


def _told(stats: pstats.Stats) -> str:
    """The functions that take most of the time themselves, with paths that say nothing of us."""
    stats.strip_dirs().sort_stats("tottime").print_stats(_LINES)
    out: io.StringIO = stats.stream  # type: ignore[attr-defined]  # its stubs leave it out
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if _is_ours(line)) + "\n"


def _is_ours(line: str) -> bool:
    """Not the file that the profile came from, nor when."""
    return not line.endswith("/stats") and "/stats" not in line


if __name__ == "__main__":
    print(profile(Path(sys.argv[1]), int((sys.argv[2:] or ["300"])[0])))
