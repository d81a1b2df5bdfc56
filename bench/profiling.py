"""Where the time of job pages goes, by function: `python -m bench.profiling SNAPSHOTS [PAGES]`.

The profiler makes calls look dearer than they are; shares are to be believed more than seconds.
"""

import cProfile
import io
import pstats
import sys
import time
from itertools import islice
from pathlib import Path

from bench.pages import Site

_LINES = 40


def profile(snapshots: Path, pages: int) -> str:
    """The functions that take most of the time themselves, with paths that say nothing of us."""
    site = Site(snapshots)
    records = list(islice(site.records(), pages))
    for record in records[:20]:  # templates are compiled, and caches warm
        site.page(record)
    profiler = cProfile.Profile(time.process_time)  # what else runs does not count
    profiler.enable()
    for record in records:
        site.page(record)
    profiler.disable()
    out = io.StringIO()
    stats = pstats.Stats(profiler, stream=out)
    stats.strip_dirs().sort_stats("tottime").print_stats(_LINES)
    return out.getvalue()


if __name__ == "__main__":
    print(profile(Path(sys.argv[1]), int((sys.argv[2:] or ["300"])[0])))
