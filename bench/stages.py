"""A render as `jmreport render` does it, told apart.

    python -m bench.stages SNAPSHOTS SITE [WORKERS]

Prints CPU seconds of all processes as JSON: {"analysed": 0.61, "rendered": 1.9}. "analysed" is the
report and what each job's page says of other jobs; "rendered" is all else: pages, lists, charts,
the ledger, and loading the libraries for them.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import msgspec

from jmreport import analysis, pipeline
from jmreport.analysis.contexts import Contexts
from jmreport.progress import SilentProgress, SilentStep, Step
from jmreport.records import Run
from jmreport.remembered import Growing, Memory
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings, Site, Snapshots

#: The name of the step in which the report is worked out.
_ANALYSE = "analyse"


class _Watch(SilentProgress):
    """CPU seconds of each step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str, total: int | None) -> Iterator[Step]:  # noqa: ARG002 (the Protocol's)
        began = _cpu()
        yield SilentStep()
        self.steps[name] = self.steps.get(name, 0.0) + _cpu() - began


class _Timed(Contexts):
    """Contexts, and the CPU seconds that went into all of them."""

    seconds = 0.0

    def __iter__(self) -> Iterator[JobContext]:
        return self._timed(super().__iter__())

    def touched(
        self, memory: Memory, since: frozenset[str], more: Iterable[str] = ()
    ) -> Iterator[JobContext] | None:
        began = _cpu()
        found = super().touched(memory, since, more)
        _Timed.seconds += _cpu() - began
        return None if found is None else self._timed(found)

    def _timed(self, found: Iterator[JobContext]) -> Iterator[JobContext]:
        while True:
            began = _cpu()
            context = next(found, None)
            _Timed.seconds += _cpu() - began
            if context is None:
                return
            yield context


def _timed(history: Growing, runs: Sequence[Run], *, identity: Sequence[str] = ()) -> _Timed:
    """`analysis.contexts`, to be timed."""
    return _Timed(history, runs, identity)


def main(snapshots: str, site: str, workers: str = "0") -> None:
    settings = Settings(snapshots=Snapshots(dir=snapshots), site=Site(dir=site))
    watch = _Watch()
    analysis.contexts = _timed
    began = _cpu()
    pipeline.render(settings, progress=watch, workers=int(workers))
    spent, analysed = _cpu() - began, watch.steps[_ANALYSE] + _Timed.seconds
    told = {"analysed": analysed, "rendered": spent - analysed}
    print(msgspec.json.encode(told).decode())


def _cpu() -> float:
    """CPU seconds of this process and of those it has waited for, finer than the clock's ticks."""
    of = (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in of)


if __name__ == "__main__":
    main(*sys.argv[1:])
