"""A render as `jmreport render` does it, told apart.

    python -m bench.stages SNAPSHOTS SITE [WORKERS]

Prints CPU seconds of all processes as JSON: {"analysed": 0.61, "rendered": 1.9}. "analysed" is the
report and what each job's page says of other jobs; "rendered" is all else: pages, lists, charts,
the ledger, and loading the libraries for them.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from jmreport import analysis, pipeline
from jmreport.progress import SilentProgress, SilentStep, Step
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


class _Timed:
    """`analysis.contexts`, and the CPU seconds that went into them."""

    def __init__(self) -> None:
        self.seconds, self._own = 0.0, analysis.contexts

    def __call__(self, *given: Any, **named: Any) -> Iterator[Any]:
        found = self._own(*given, **named)
        while True:
            began = _cpu()
            context = next(found, None)
            self.seconds += _cpu() - began
            if context is None:
                return
            yield context


def main(snapshots: str, site: str, workers: str = "0") -> None:
    settings = Settings(snapshots=Snapshots(dir=snapshots), site=Site(dir=site))
    watch, timed = _Watch(), _Timed()
    analysis.contexts = timed
    began = _cpu()
    pipeline.render(settings, progress=watch, workers=int(workers))
    spent, analysed = _cpu() - began, watch.steps[_ANALYSE] + timed.seconds
    told = {"analysed": analysed, "rendered": spent - analysed}
    print(msgspec.json.encode(told).decode())


def _cpu() -> float:
    """CPU seconds of this process and of those it has waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(*sys.argv[1:])
