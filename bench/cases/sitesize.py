"""The site as a server sends it, beside Allure's of the same jobs."""

import gzip
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from bench import allure, corpus, programs
from bench.commands import cold, filled, put_aside, remove_aside, render
from bench.measuring import Side, Spent, alternating, ratio, run
from bench.rows import Row, kb, mb, missing, runs_of, seconds
from bench.sizes import Size

_HALF = "half of Allure's"


def beside_allure(size: Size, work: Path) -> Iterable[Row]:
    """Both make a site of the same jobs by turns; each file of it is gzipped by itself.

    With each job's JSON on both sides: jmreport's raw JSON beside the page, Allure's attachment.
    """
    where, folder = filled(work / "jobs", size.jobs), work / "allure"
    sides: dict[str, Side] = {"jmreport": lambda weigh: cold(where, weigh=weigh)}
    command = programs.allure()
    if not command:
        # Nobody asks how long it takes: what another case made is taken.
        sides["jmreport"] = lambda weigh: render(where, weigh=weigh)
    else:
        allure.write(corpus.many(size.jobs), folder / "results", detail=True)
        sides["Allure"] = partial(_allure, command, folder)
    found = alternating(sides, size.runs)
    remove_aside(work)
    ours = packed(where / "site")
    pages = packed(where / "site", lambda path: path.suffix != ".json")
    theirs = packed(folder / "report") if command else 0
    yield _row(size, "the site gzipped, each job's JSON with it", ours, theirs, goal=_HALF)
    if command:
        allure.write(corpus.many(size.jobs), folder / "results", detail=False)
        _allure(command, folder, False)
        theirs = packed(folder / "report")
    yield _row(size, "the site gzipped, without the JSON of jobs", pages, theirs, goal=_HALF)
    if not command:
        yield missing("Allure: wall against a cold render", programs.ALLURE_LACKS)
        return
    other, own = found["Allure"], found["jmreport"]
    yield Row(
        what=f"Allure, {size.jobs} jobs: wall against a cold render, all of it",
        figure=f"{ratio(other, own, 'wall'):.2f} x (CPU {ratio(other, own, 'cpu'):.2f} x; "
        f"{seconds(other)}, {mb(other[0].memory)}; jmreport {seconds(own)}, {mb(own[0].memory)})",
        runs=runs_of(found),
    )


def packed(site: Path, wanted: Callable[[Path], bool] = lambda _: True) -> int:
    """Bytes of all files that a server sends, each gzipped by itself."""
    return sum(
        len(gzip.compress(path.read_bytes(), 6))
        for path in site.rglob("*")
        if path.is_file() and ".jmreport" not in path.parts and wanted(path)
    )


def _row(size: Size, what: str, ours: int, theirs: int, *, goal: str) -> Row:
    own = f"{kb(ours / size.jobs)} a job"
    if not theirs:
        return Row(what=what, figure=f"{own}; {programs.ALLURE_LACKS}", goal=goal)
    return Row(
        what=what,
        figure=f"{own}, Allure {kb(theirs / size.jobs)}: {ours / theirs:.2f} x",
        goal=goal,
        holds=ours <= theirs / 2,
    )


def _allure(command: list[str], folder: Path, weigh: bool) -> Spent:
    put_aside(folder / "report")
    making = allure.command(command, folder / "results", folder / "report")
    return run(making, where=folder, weigh=weigh)
