"""How fast jmreport is: `python -m bench`, or some of it, as in `python -m bench pages cold`.

Figures are medians of runs that take turns with what they are compared with. Goals are those for a
machine with two cores that does nothing else. Ends with 1 where an order of magnitude is lost.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from msgspec import json
from msgspec.structs import replace

from bench.cases import CASES, SMALL, USUAL, WHOLE, Row
from jmreport import __version__


def main() -> int:
    """Measures what was asked for, and prints a row for each figure as it comes."""
    given = _arguments()
    size = {"small": SMALL, "usual": USUAL, "whole": WHOLE}[given.size]
    if given.jobs:
        size = replace(size, jobs=given.jobs)
    if given.runs:
        size = replace(size, runs=given.runs)
    print(
        f"jmreport {__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, {platform.machine()}, {size.runs} runs"
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as own:
        work = Path(given.keep or own)
        work.mkdir(parents=True, exist_ok=True)
        for case in given.cases or CASES:
            for row in CASES[case](size, work):
                rows.append(row)
                print(f"| {row.what} | {row.figure} | {row.goal} | {_word(row)} |", flush=True)
    if given.out:
        Path(given.out).write_bytes(json.format(json.encode(rows), indent=1) + b"\n")
    return 1 if any(row.lost for row in rows) else 0


def _word(row: Row) -> str:
    if row.lost:
        return "lost"
    return {None: "", True: "holds", False: "not yet"}[row.holds]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; or all")
    parser.add_argument("--size", choices=("small", "usual", "whole"), default="usual")
    parser.add_argument("--small", action="store_const", const="small", dest="size")
    parser.add_argument("--jobs", type=int, help="jobs of a site, where there is one size")
    parser.add_argument("--runs", type=int, help="how often each side is measured")
    parser.add_argument("--keep", metavar="DIR", help="work there, and keep what was made")
    parser.add_argument("--out", metavar="FILE", help="the figures as JSON too")
    given = parser.parse_args()
    if unknown := set(given.cases) - CASES.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return given


if __name__ == "__main__":
    sys.exit(main())
