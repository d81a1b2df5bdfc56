"""The pages of jobs and nothing else: what Hugo and a bare loop are measured against.

    python -m bench.onlyjobs SNAPSHOTS OUT [--workers 2] [--whole]

jmreport's own machinery: records from the store, pages made by forked workers and put in their
places, the ledger kept. What the others do not make is left out: raw JSON, lists, charts, and on
each page the timing diagram and what is known of other jobs. With --whole pages are as they are.
"""

import argparse
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bench import corpus, pages
from jmreport import analysis
from jmreport.records import Record
from jmreport.render import addresses, jobpage, ledger
from jmreport.render.crew import Crew
from jmreport.render.files import Files
from jmreport.render.jobfacts import site_facts
from jmreport.render.making import JobTask, Maker, base_of
from jmreport.render.page import digest
from jmreport.render.theme import Theme
from jmreport.render.workers import batched, working
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings
from jmreport.snapshots import Store, read_records

#: Jobs that are looked up in the ledger together, as a site does it.
LOOKED_UP = 200


def make(snapshots: Path, out: Path, *, workers: int, whole: bool) -> int:
    """Makes the page of each job that `out` does not have yet; says how many."""
    settings, files = Settings(), Files(out)
    files.prepare()
    # As `jmreport render` has it: its first run keeps the templates that it compiles.
    theme = Theme(settings, version="bench", compiled=snapshots.with_name("compiled"))
    facts = site_facts(settings, labels=corpus.GROUPS, workflows=corpus.WORKFLOWS)
    reading = partial(read_records, snapshots)
    maker = Maker(files, theme, reading, settings, facts, base_of(theme))
    made = 0
    with (
        Crew(theme, workers) as crew,
        nullcontext() if whole else pages.undrawn(),
        Store.open(snapshots, summarise=analysis.summarise, measure=analysis.measure) as store,
        ledger.Ledger(files.own / ledger.NAME) as book,
    ):
        contexts = analysis.contexts(store, store.runs()) if whole else _alone(store)
        with working(maker, crew) as pool:
            for done in batched(_lacking(iter(contexts), maker, book), pool):
                book.put(done.owner, done.content, done.files, kept=True)
                made += 1
        book.commit()
    return made


def _alone(store: Store) -> Iterator[JobContext]:
    """What the records alone tell, in the order in which they are stored."""
    for entry in store.by_run(oldest_first=True):
        yield JobContext(entry=entry, short_id=entry.row.id[:8])


def _lacking(
    contexts: Iterator[JobContext], maker: Maker, book: ledger.Ledger
) -> Iterator[JobTask]:
    while some := list(islice(contexts, LOOKED_UP)):
        owners = [addresses.job(context.entry.row.id) for context in some]
        known = book.known(owners)
        for context, owner in zip(some, owners, strict=True):
            content = f"{maker.base}{digest(context)}"
            if known.get(owner, ("", ()))[0] != content:
                yield JobTask(context, content)


def leave_out_raw_json() -> None:
    """Pages of jobs without the files beside them, from now on."""
    own = jobpage.pages

    def without(*given: Any, **named: Any) -> Iterator[tuple[str, bytes]]:
        return (file for file in own(*given, **named) if not file[0].endswith(".json"))

    jobpage.pages = without
    jobpage.raw_json = _nothing


def _nothing(record: Record) -> bytes:  # noqa: ARG001 (the name of the one it stands for)
    return b""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.onlyjobs", description=__doc__)
    parser.add_argument("snapshots", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--whole", action="store_true")
    given = parser.parse_args()
    leave_out_raw_json()
    made = make(given.snapshots, given.out, workers=given.workers, whole=given.whole)
    print(f"{made} pages of jobs")


if __name__ == "__main__":
    main()
