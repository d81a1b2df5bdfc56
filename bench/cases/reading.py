"""Pages in a reader's browser."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from bench import browsing, corpus, programs
from bench.browsing import Seen
from bench.commands import empty, render
from bench.rows import Row, missing
from bench.sizes import Size

_WHATS = ("usable", "filter", "sort", "first paint without scripts")


def browser(size: Size, work: Path) -> Iterable[Row]:
    """The list of many jobs, opened anew each time, and the first paint of each kind of page."""
    with browsing.browser() as running:
        if running is None:
            for what in _WHATS:
                yield missing(f"in the browser: {what}", programs.BROWSER_LACKS)
            return
        where = empty(work / "browser")
        corpus.fill(where / "snapshots", map(corpus.small, range(size.listed)))
        render(where)
        site = where / "site"
        index = site / "jobs/index.html"
        browsing.list_of_jobs(running, index)  # the first page of a browser waits for its caches
        seen = [browsing.list_of_jobs(running, index) for _ in range(size.runs)]
        yield from _listed(size, seen)
        yield _painted([browsing.first_paints(running, _kinds(site)) for _ in range(size.runs)])


def _listed(size: Size, seen: Sequence[Seen]) -> Iterable[Row]:
    unit = min(one.unit for one in seen)
    usable = median(one.usable for one in seen)
    # What it found, and which page of it stands there.
    whole = all(
        one.jobs.replace("\u202f", "").split(", ")[0] == f"{size.listed} jobs" for one in seen
    )
    yield Row(
        what=f"list of {size.listed} jobs: from the beginning of its load until usable",
        figure=f"{usable:.0f} ms ({usable / unit:.1f} x its rows as JSON there and back)",
        goal="300 ms",
        holds=whole and usable <= 300,
        lost=not whole or usable > 1_000 + 120 * unit,
        runs={"usable, ms": tuple(round(one.usable, 1) for one in seen)},
    )
    for kind in ("filter", "sort"):
        acts = {
            name: median(one.acts[name] for one in seen)
            for name in seen[0].acts
            if name.startswith(kind)
        }
        slowest = max(acts, key=acts.__getitem__)
        took = acts[slowest]
        last = max(median(one.whole[name] for one in seen) for name in acts)
        yield Row(
            what=f"list of {size.listed} jobs: {kind}, the slowest of {len(acts)} ways",
            figure=f"{took:.0f} ms ({slowest}), {median(acts.values()):.0f} ms in the middle; "
            f"{last:.0f} ms with the rows below the screen",
            goal="50 ms",
            holds=took <= 50,
            lost=took > 300 + 60 * unit,
            runs={name: tuple(round(one.acts[name], 1) for one in seen) for name in acts},
        )


def _kinds(site: Path) -> dict[str, Path]:
    """A page of each kind: those at the top, and the first two of each folder."""
    pages = sorted(site.glob("*.html"))
    for folder in sorted(path for path in site.iterdir() if path.is_dir()):
        pages += sorted(folder.glob("*.html"))[:1] + sorted(folder.glob("index.html"))
    return {path.relative_to(site).as_posix(): path for path in pages}


def _painted(turns: Sequence[dict[str, float | None]]) -> Row:
    blank = [name for name in turns[0] if any(turn[name] is None for turn in turns)]
    found = {
        name: median(at for turn in turns if (at := turn[name]) is not None)
        for name in turns[0]
        if name not in blank
    }
    slowest = max(found, key=found.__getitem__) if found else ""
    told = f"{found[slowest]:.0f} ms at most ({slowest})" if found else ""
    return Row(
        what=f"first paint of {len(turns[0])} kinds of pages whose scripts never answer",
        figure=f"blank: {', '.join(blank)}" if blank else told,
        goal="without waiting",
        holds=not blank,
        lost=bool(blank),
        runs={name: tuple(round(turn[name] or 0, 1) for turn in turns) for name in found},
    )
