"""Job pages alone: jmreport's functions and a bare loop (bare.py) over the same stored records.

    python -m bench.pages SNAPSHOTS OUT [ROUNDS]

Each decodes the same lines of JSON and writes one file a job, both in one process, taking turns of
a few pages, so that what else goes on on the machine meets both alike. The raw JSON beside a page
is left out, and so is the timing diagram, which the bare loop does not draw ("with diagrams" is
jmreport with it). How much of the words is the same on both sides is said, 1 for all.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from bench import bare, corpus, words
from jmreport import analysis
from jmreport.records import Record
from jmreport.render import jobpage
from jmreport.render.files import Files
from jmreport.render.jobfacts import SiteFacts, site_facts
from jmreport.render.theme import Theme
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings
from jmreport.snapshots import Store, read_records

#: Pages whose words are compared.
COMPARED = 20
#: Pages of a turn.
A_ROUND = 10


class Site:
    """What jmreport's pages are made with. Contexts hold what a record alone tells."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = Settings()
        self.theme = Theme(self.settings, version="bench")
        self.facts: SiteFacts = site_facts(
            self.settings, labels=corpus.GROUPS, workflows=corpus.WORKFLOWS
        )
        with Store.open(root, summarise=analysis.summarise, measure=analysis.measure) as store:
            found = (JobContext(entry=e, short_id=e.row.id[:8]) for e in store.entries())
            self.contexts = {context.entry.row.id: context for context in found}
        self.lines: dict[str, list[int]] = {}
        for context in self.contexts.values():
            self.lines.setdefault(context.entry.shard, []).append(context.entry.line)

    def records(self) -> Iterator[Record]:
        for shard in sorted(self.lines):
            yield from read_records(self.root, shard, sorted(self.lines[shard]))

    def page(self, record: Record) -> tuple[str, bytes]:
        context = self.contexts[record.id]
        view = jobpage.view(record, context, self.facts)
        made = self.theme.file("job.html", view, address=view.address, as_of=view.as_of)
        return view.address, made


def same(site: Site) -> float:
    """How much of the words is the same, over some pages; 1 for all."""
    least = 1.0
    for record, _ in zip(site.records(), range(COMPARED), strict=False):
        ours = without_diagram(site.page(record)[1].decode())
        theirs = bare.main(msgspec.json.decode(msgspec.json.encode(record)))
        least = min(least, words.alike(ours, theirs))
    return least


def compare(snapshots: Path, out: Path, *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of CPU a page, of each round, for each side; the sides take turns."""
    site = Site(snapshots)
    lines = [msgspec.json.encode(record) for record in site.records()]
    frame = bare.framed(site.page(_read(lines[0]))[1].decode())
    files = Files(out)
    files.prepare()

    def ours(own: list[bytes]) -> None:
        for line in own:
            files.write(*site.page(_read(line)))

    def theirs(own: list[bytes]) -> None:
        bare.write(own, out, frame)

    found: dict[str, list[float]] = {"bare": [], "jmreport": [], "with diagrams": []}
    for turn in range(rounds + 1):
        part = [lines[(turn * A_ROUND + at) % len(lines)] for at in range(A_ROUND)]
        for side in found:
            with nullcontext() if side == "with diagrams" else undrawn():
                began = time.process_time()
                (theirs if side == "bare" else ours)(part)
                found[side].append((time.process_time() - began) / A_ROUND * 1000)
    return {side: times[1:] for side, times in found.items()}  # the first round compiles


_read = msgspec.json.Decoder(Record).decode


def without_diagram(page: str) -> str:
    """A page's words but for those of its timing diagram."""
    return re.sub(r'<h2 id="timing">.*?</figure>', "", page, flags=re.DOTALL)


def _undrawn(*_: Any) -> None:
    """The bare loop draws none."""


@contextmanager
def undrawn() -> Iterator[None]:
    """Pages without their timing diagram, which others do not draw."""
    drawn = jobpage._timing
    jobpage._timing = _undrawn  # type: ignore[assignment]  # it may always return None
    try:
        yield
    finally:
        jobpage._timing = drawn


def main(snapshots: str, out: str, rounds: str = "50") -> None:
    """Prints both sides, and how they compare."""
    found = compare(Path(snapshots), Path(out), rounds=int(rounds))
    for side, times in found.items():
        ratio = median(mine / bare for mine, bare in zip(times, found["bare"], strict=True))
        print(
            f"{side:14} median {median(times):.2f} least {min(times):.2f} ms a page, "
            f"{min(times) / min(found['bare']):.2f} by the least, {ratio:.2f} by turns"
        )
    print(f"the same words: {same(Site(Path(snapshots))):.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
