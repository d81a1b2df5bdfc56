"""How fast jmreport is: `python -m bench`, or some of it, as in `python -m bench pages cold`.

Figures are medians of runs that take turns with what they are compared with. Goals are those for a
machine with two cores that does nothing else. Ends with 1 where an order of magnitude is lost.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import json
from msgspec.structs import replace

from bench import profiling, tables
from bench.cases import CASES
from bench.machine import load, machine
from bench.measuring import BrokenError
from bench.rows import Row
from bench.sizes import SIZES, Size, number
from jmreport.errors import JmreportError

#: Not a figure: asked for by its name only.
PROFILES = "profiles"
_PROFILES_AT = Path(__file__).parent / "profiles"


def main() -> int:
    """Measures what was asked for, and prints a row for each figure as it comes."""
    given = _arguments()
    size, before, began, here = _size(given), load(), time.monotonic(), machine()
    print(
        f"jmreport {here.jmreport}, {here.python}, {here.cores} cores of {here.processor}, "
        f"load {before}, {size.runs} runs of each side",
        flush=True,
    )
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as own:
        work = Path(given.keep or own).resolve()
        work.mkdir(parents=True, exist_ok=True)
        for case in given.cases or CASES:
            if case == PROFILES:
                for path in profiling.write(size.jobs, work, given.profiles):
                    print(path, flush=True)
                continue
            for row in _measured(case, size, work):
                rows.append(row)
                print(tables.line(row), flush=True)
            found = tables.Figures(
                machine=here,
                size=given.size,
                load_before=before,
                load_after=load(),
                seconds=round(time.monotonic() - began, 1),
                rows=tuple(rows),
            )
            if (
                given.out
            ):  # after each case: a run of hours that is stopped has not been for nothing
                given.out.write_bytes(json.format(json.encode(found), indent=1) + b"\n")
                given.out.with_suffix(".md").write_text(tables.markdown(found))
    if rows:
        print(f"{tables.progress(rows)}; load {load()}; {time.monotonic() - began:.0f} s")
    return 1 if any(row.lost for row in rows) else 0


def _measured(case: str, size: Size, work: Path) -> Iterator[Row]:
    """The rows of a case; where it fails, as on a disk that is full, one that says so ends them."""
    try:
        yield from CASES[case](size, work)
    except (BrokenError, JmreportError, OSError) as error:
        yield Row(what=case, figure=f"broke off: {' '.join(str(error).split())[:400]}", lost=True)


def _size(given: argparse.Namespace) -> Size:
    """The named size, but for numbers that were given."""
    size = SIZES[given.size]
    own = {name: getattr(given, name) for name in size.__struct_fields__ if hasattr(given, name)}
    return replace(size, **{name: value for name, value in own.items() if value is not None})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = f"{', '.join(CASES)}; all of them by default; or {PROFILES}"
    parser.add_argument("cases", nargs="*", metavar="CASE", help=names)
    parser.add_argument("--size", choices=tuple(SIZES), default="usual")
    parser.add_argument("--small", action="store_const", const="small", dest="size")
    parser.add_argument("--jobs", type=number, help="jobs of a site, where there is one size")
    parser.add_argument("--few", type=number, help="jobs of the smaller of two sites")
    parser.add_argument("--many", type=number, help="jobs of the larger one")
    parser.add_argument("--nights", type=number, help="nights of a history")
    parser.add_argument("--a-night", type=number, help="jobs of each of them")
    parser.add_argument("--million", type=number, help="jobs of the built-in server, at most")
    parser.add_argument("--runs", type=number, help="how often each side is measured")
    parser.add_argument("--keep", metavar="DIR", help="work there, and keep what was made")
    parser.add_argument(
        "--out", metavar="FILE", type=Path, help="the figures as JSON, and as a table in FILE.md"
    )
    parser.add_argument(
        "--profiles", metavar="DIR", type=Path, default=_PROFILES_AT, help="where profiles go"
    )
    given = parser.parse_args()
    if unknown := set(given.cases) - CASES.keys() - {PROFILES}:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if given.out and not given.out.parent.is_dir():
        parser.error(f"--out: there is no folder {given.out.parent}")
    return given


if __name__ == "__main__":
    sys.exit(main())
