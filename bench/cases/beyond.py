"""Beyond one machine: parts, merged, and a dask cluster, against one machine's two processes.

All of it runs on this machine, so that two parts share what one run has for itself: what comes out
above 1 is what dividing the work costs.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from msgspec.structs import replace

from bench import corpus, daskcluster
from bench.cases.asking import collecting, serving
from bench.commands import cold, empty, filled, folders, put_aside
from bench.measuring import (
    JMREPORT,
    Side,
    Spent,
    alternating,
    cpu_of,
    middle,
    ratio,
    run,
    together,
)
from bench.rows import Row, missing, runs_of, seconds
from bench.sizes import Size

#: Two of them, each with a core.
PARTS = ("1/2", "2/2")
#: Requests a second of a server that is never waited for.
UNHINDERED = 1e9


def parts(size: Size, work: Path) -> Iterable[Row]:
    """Collected and rendered in two parts at once, and joined."""
    yield from _collected(size, work)
    yield from _rendered(size, work)


def _collected(size: Size, work: Path) -> Iterable[Row]:
    merges: list[Spent] = []

    def in_parts(_: bool) -> Spent:
        where = empty(work / "two")
        commands = [collecting(where, url, "--shard", part) for part in PARTS]
        collected = together(commands, where=where)
        merges.append(_merged(where))
        return _sum(collected, merges[-1])

    with serving(size.parts, UNHINDERED) as (url, _):
        sides: dict[str, Side] = {
            "one machine": lambda _: run(collecting(empty(work / "one"), url), where=work / "one"),
            "two parts": in_parts,
        }
        found = alternating(sides, size.runs, weigh=False)
    yield _against(f"`collect --shard` of {size.parts} jobs in two parts, and `merge`", found)
    each = middle(merges).cpu / size.parts * 1000
    yield Row(
        what=f"`merge` of {size.parts} jobs by itself",
        figure=f"{seconds(merges)}, {each:.2f} ms of CPU a job",
        runs=runs_of({"merge": merges}),
    )


def _merged(where: Path) -> Spent:
    options = ("--now", corpus.NOW.isoformat(), "--snapshots", str(where / "snapshots"))
    return run((*JMREPORT, "merge", *options), where=where)


def _rendered(size: Size, work: Path) -> Iterable[Row]:
    where = filled(work / "parts", size.parts)
    joined: list[Spent] = []

    def in_parts(_: bool) -> Spent:
        for folder in ("site", "site-parts"):
            put_aside(where / folder)
        own = (*JMREPORT, "render", *folders(where), "--workers")
        made = together([(*own, "1", "--shard", part) for part in PARTS], where=where)
        joined.append(run((*own, "2", "--parts"), where=where))
        return _sum(made, joined[-1])

    sides: dict[str, Side] = {
        "one machine": lambda _: cold(where, "--workers", "2"),
        "two parts": in_parts,
    }
    found = alternating(sides, size.runs, weigh=False)
    yield _against(f"`render --shard` of {size.parts} jobs in two parts, and `--parts`", found)
    yield Row(
        what="`render --parts` by itself: lists, charts, and pages of jobs moved in",
        figure=seconds(joined),
        runs=runs_of({"render --parts": joined}),
    )


def dask(size: Size, work: Path) -> Iterable[Row]:
    """Pages of jobs made by two workers of a dask cluster, whose CPU is counted with ours."""
    what = f"`--executor dask://` with two workers, {size.parts} jobs"
    if find_spec("distributed") is None:
        yield missing(what, "no dask here; pip install 'jmreport[dask]'")
        return
    where = filled(work / "parts", size.parts)
    with daskcluster.running(empty(work / "dask"), workers=2) as cluster:

        def by_workers(_: bool) -> Spent:
            before = cpu_of(cluster.pids)
            spent = cold(where, "--workers", "2", "--executor", cluster.address)
            return replace(spent, cpu=spent.cpu + cpu_of(cluster.pids) - before)

        sides: dict[str, Side] = {
            "one machine": lambda _: cold(where, "--workers", "2"),
            "dask": by_workers,
        }
        yield _against(what, alternating(sides, size.runs, weigh=False))


def _against(what: str, found: Mapping[str, Sequence[Spent]]) -> Row:
    """The second side against the first."""
    one, other = found.values()
    wall, cpu = (ratio(other, one, kind) for kind in ("wall", "cpu"))
    return Row(
        what=what,
        figure=f"{wall:.2f} x the wall, {cpu:.2f} x the CPU ({seconds(other)}; {seconds(one)})",
        lost=cpu > 10,
        runs=runs_of(found),
    )


def _sum(one: Spent, then: Spent) -> Spent:
    """What two things cost that were done one after the other."""
    return Spent(one.wall + then.wall, one.cpu + then.cpu, max(one.memory, then.memory), then.out)
