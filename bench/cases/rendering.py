"""Pages from records: those of jobs beside bare f-strings and Hugo, and a whole cold render."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from bench import pages, peers, programs
from bench.commands import cold as render_cold
from bench.commands import filled, put_aside, remove_aside
from bench.measuring import Side, Spent, alternating, middle, ratio, run, yardstick
from bench.rows import Row, mb, missing, runs_of, seconds
from bench.sizes import Size

#: Processes that make pages, of jmreport and of the bare loop alike.
WORKERS = "2"
#: What Hugo does, and how many times as fast jmreport is to be.
HUGOS = {
    "same-work": ("Hugo, the same work from the records", 8),
    "view": ("Hugo, printing a prepared view", 4),
}


def job_pages(size: Size, work: Path) -> Iterable[Row]:
    """Job pages alone against bare f-strings, both in this process."""
    where = filled(work / "jobs", size.jobs)
    found = pages.compare(where / "snapshots", work / "pages", rounds=size.runs * 8)
    bare = found["bare"]
    for side in ("jmreport", "with diagrams"):
        turns = median(mine / theirs for mine, theirs in zip(found[side], bare, strict=True))
        yield Row(
            what=f"job pages in one process, {side}: CPU against bare f-strings",
            figure=f"{turns:.2f} x ({min(found[side]):.2f} to {min(bare):.2f} ms a page)",
            goal="2 x" if side == "jmreport" else "",
            holds=turns <= 2 if side == "jmreport" else None,
            lost=turns > 12,
            runs={each: tuple(round(ms, 4) for ms in found[each]) for each in (side, "bare")},
        )
    alike = pages.same(pages.Site(where / "snapshots"))
    yield Row(
        what="words that both pages have",
        figure=f"{alike:.1%}",
        goal="98 %",
        holds=alike >= 0.98,
        lost=alike < 0.9,
    )


def cold(size: Size, work: Path) -> Iterable[Row]:
    """Everything anew: the pages of jobs beside others that make the same, then all of it."""
    where = filled(work / "jobs", size.jobs)
    site = pages.Site(where / "snapshots")
    sides: dict[str, Side] = {
        "job pages": partial(_made, where, "onlyjobs", ("--workers", WORKERS)),
        "bare loop": partial(_made, where, "bareloop", (_frame(site, work), WORKERS)),
        "job pages as they are": partial(
            _made, where, "onlyjobs", ("--workers", WORKERS, "--whole")
        ),
        "render": lambda weigh: render_cold(where, "--workers", WORKERS, weigh=weigh),
    }
    hugo = programs.hugo()
    for kind in HUGOS if hugo else ():
        with pages.undrawn():
            peers.prepare(kind, site, work / "hugo" / kind)
        sides[kind] = partial(_hugo, hugo, work / "hugo" / kind)
    unit = yardstick()
    found = alternating(sides, size.runs)
    remove_aside(work)
    yield from _beside_hugo(size, found, site, work)
    yield from _alone(size, found, unit)


def _beside_hugo(
    size: Size, found: Mapping[str, Sequence[Spent]], site: pages.Site, work: Path
) -> Iterable[Row]:
    ours, everything = found["job pages"], found["render"]
    for kind, (what, goal) in HUGOS.items():
        named = f"{what}, {size.jobs} job pages: wall against jmreport's job pages"
        if kind not in found:
            yield missing(named, programs.HUGO_LACKS, f"{goal} x")
            continue
        theirs = found[kind]
        times = ratio(theirs, ours, "wall")
        alike = peers.same(site, work / "hugo" / kind)
        yield Row(
            what=named,
            figure=f"{times:.2f} x (CPU {ratio(theirs, ours, 'cpu'):.2f} x; {seconds(theirs)}, "
            f"{mb(theirs[0].memory)}; {alike:.0%} of the words)",
            goal=f"{goal} x",
            holds=times >= goal,
            runs=runs_of({what: theirs}),
        )
        yield Row(
            what=f"{what}: wall against all that jmreport makes",
            figure=f"{ratio(theirs, everything, 'wall'):.2f} x "
            f"(CPU {ratio(theirs, everything, 'cpu'):.2f} x)",
        )


def _alone(size: Size, found: Mapping[str, Sequence[Spent]], unit: float) -> Iterable[Row]:
    ours, bare = found["job pages"], found["bare loop"]
    as_they_are, everything = found["job pages as they are"], found["render"]
    cpu, one = ratio(ours, bare, "cpu"), middle(ours)
    yield Row(
        what=f"{size.jobs} job pages as a command of two processes: CPU against bare f-strings",
        figure=f"{cpu:.2f} x, wall {ratio(ours, bare, 'wall'):.2f} x "
        f"({seconds(ours)}; bare {seconds(bare)}, {mb(bare[0].memory)})",
        goal="2 x",
        holds=cpu <= 2,
        runs=runs_of({"job pages": ours, "bare loop": bare}),
    )
    yield Row(
        what="cores at work while job pages are made, of 2",
        figure=f"{one.cpu / one.wall:.2f}",
        goal="both",
        holds=one.cpu / one.wall >= 1.6,
    )
    yield Row(
        what="memory of all processes: job pages, all of it",
        figure=f"{mb(ours[0].memory)}, {mb(everything[0].memory)}",
        goal="200 MB",
        holds=max(ours[0].memory, everything[0].memory) < 200e6,
        lost=everything[0].memory > 1e9,
    )
    yield Row(
        what="job pages as they are, with diagrams and what other jobs tell",
        figure=f"{seconds(as_they_are)}: CPU {ratio(as_they_are, ours, 'cpu'):.2f} x",
        runs=runs_of({"job pages as they are": as_they_are}),
    )
    each = middle(everything).cpu / size.jobs * 1000
    yield Row(
        what=f"cold render of {size.jobs} jobs, all of it: lists, charts and raw JSON too",
        figure=f"{seconds(everything)}, {each:.2f} ms of CPU a job",
        lost=middle(everything).cpu > (600 + 2 * size.jobs) * unit,
        runs=runs_of({"render": everything}),
    )


def _frame(site: pages.Site, work: Path) -> str:
    """A file with a page, whose header and footer the bare loop gives to all of its own."""
    path = work / "frame.html"
    path.write_bytes(site.page(next(site.records()))[1])
    return str(path)


def _made(where: Path, script: str, options: Sequence[str], weigh: bool) -> Spent:
    """What one of the commands takes that make the pages of jobs and nothing else."""
    out = where / "only"
    put_aside(out)
    command = (sys.executable, "-m", f"bench.{script}", str(where / "snapshots"), str(out))
    return run((*command, *options), where=where, weigh=weigh)


def _hugo(hugo: list[str], folder: Path, weigh: bool) -> Spent:
    put_aside(folder / "public")
    return run(peers.command(hugo, folder), where=folder, weigh=weigh)
