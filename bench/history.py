"""Analyses a store as `render` does, and writes no page: `python bench/history.py STORE`."""

import sys
from pathlib import Path

from jmreport import analysis
from jmreport.settings import ReportSettings
from jmreport.snapshots import Store


def main() -> None:
    """Prints how many jobs are known, and how many the report is about."""
    with Store.open(
        Path(sys.argv[1]), summarise=analysis.summarise, measure=analysis.measure
    ) as store:
        runs = store.runs()
        report = analysis.analyse(
            store, runs, {}, settings=ReportSettings(), measures=store.measures
        )
        known = sum(1 for _ in analysis.contexts(store, runs))
    print(f"{known} jobs, {report.counts.total} of the report")


if __name__ == "__main__":
    main()
