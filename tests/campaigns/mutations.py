"""Feed thousands of spoilt answers through whole builds, and account for every job.

    python -m tests.campaigns.mutations [10000] [--seed N] [--only ROUND] [--keep FOLDER]

Each round is a server (the built-in one after the API, Cromwell or dsub; bodies made from the API's
table; recorded ones) whose answers are spoilt, over HTTP, and three builds over one store: two
spoilt ones, an hour apart, and one of the same server unspoilt. After each: no traceback, a
documented exit code, every job that a readable row named has its page, what could not be read is
named and makes exit 3, and `check` finds store, links and HTML whole. What goes wrong is printed
with the round's number, which `--only` repeats; `--keep` leaves its answers in files.
"""

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import accounting
import mutated
import spec_bodies
from accounting import Built, Pages
from spoiling_server import Spoiling

from jmreport.collectors.demo import Demo, serve
from jmreport.collectors.demo.serve import Responder
from jmreport.records import Record, Run

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
_EARLY = re.compile(r"sent (\d+) jobs? that ended and were submitted before the window")
KINDS = ("cromwell", "table", "dsub", "spec", "recorded")
#: What the process may grow by, in bytes. The server lives in it too, and keeps its spoilt answers
#: (some of 1 MB) until the round is accounted for: one round takes most of this, twenty no more.
MOST_MEMORY = 1_000_000_000


class Tally:
    """What a campaign did, for its last lines."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.numbers: Counter[str] = Counter()
        self.faults: list[str] = []

    @property
    def spoilt(self) -> int:
        return sum(n for how, n in self.answers.items() if how not in ("", "rows"))


def upstream(kind: str, number: int, jobs: int) -> Responder:
    """A sound server of a kind; for one without recorded answers the table's stand in."""
    if kind in ("table", "recorded"):
        made = spec_bodies.corpus(number, 40)
        found = spec_bodies.recorded() if kind == "recorded" else made
        return spec_bodies.Held({name: found[name] or made[name] for name in made}, jobs=jobs)
    like: Any = kind
    return Demo(
        now=NOW, seed=number, jobs=jobs, like=like, outside_auth=kind == "cromwell", odd_logs=0.1,
        archived=0.02, shards=20,
    )  # fmt: skip


class Build(NamedTuple):
    """One build of a round: its server as it was asked by this build."""

    number: str
    server: Spoiling
    built: Built
    folder: Path


def rounds(number: int, folder: Path, *, jobs: int) -> Iterator[Build]:
    """The three builds of a round, one after another."""
    kind = KINDS[number % len(KINDS)]
    sound = upstream(kind, number, jobs)
    for at in range(3):
        quiet = {"shares": {}, "rows": 0.0} if at == 2 else {}
        server = Spoiling(sound, 10 * number + at, **quiet)  # type: ignore[arg-type] # both fit
        with serve(server, port=0) as http:
            config = accounting.configure(folder, http.url, tries=2, page_size=40)
            now = (NOW + timedelta(hours=at)).isoformat()
            frame = "DAYS_30" if number % 2 and kind not in ("table", "recorded") else "ALL_TIME"
            built = accounting.build(config, now=now, timeframe=frame)
        yield Build(f"{number}.{at} ({kind})", server, built, folder)


def faults(build: Build, tally: Tally) -> Iterator[str]:
    """What is wrong with a build, each in a line."""
    tally.numbers["builds"] += 1
    tally.codes[build.built.code] += 1
    tally.answers += build.server.counts
    tally.numbers["spoilt rows of lists"] += build.server.spoilt_rows
    if build.built.traceback:
        tally.numbers["tracebacks"] += 1
        yield build.built.traceback
    if build.built.code not in accounting.DOCUMENTED:
        yield f"exit {build.built.code}: {build.built.said[-500:]}"
        return
    if not (build.folder / "site" / "index.html").exists():
        if build.built.code != 4:
            yield f"exit {build.built.code} and no site"
        return
    yield from accounting.unsound(build.folder)
    if build.built.code == 4:
        yield from _nothing_usable(build)
        return
    yield from _jobs(build, tally)


def _nothing_usable(build: Build) -> Iterator[str]:
    """Exit 4 is for a list or a server that could not be read at all, and is told why."""
    if build.server.number % 10 == 2:
        yield f"exit 4 for a sound server: {build.built.said[-500:]}"
    if "jmreport: " not in build.built.said:
        yield "exit 4 without a word"


def _jobs(build: Build, tally: Tally) -> Iterator[str]:
    pages = Pages(build.folder)
    run, records = accounting.records(build.folder)
    asked = build.server.details()
    listed: dict[str, Any] = {}
    by_question: Counter[str] = Counter()
    for page in build.server.pages:
        by_question[page.question] += len(page.rows) - len(page.ids)
        for row in page.rows:
            if isinstance(row, dict) and isinstance(row.get("id"), str) and row["id"]:
                listed.setdefault(row["id"], row)
    # What is asked again brings the same rows again, and nobody knows them without an id.
    nameless = max(by_question.values(), default=0)
    named = [gap.what for gap in run.gaps]
    rows = sum(what.startswith("a row on page") for what in named)
    if rows < nameless:
        yield f"{nameless} rows without an id, and {rows} gaps for them"
    broken = any(page.tree is None for page in build.server.pages)
    if broken and not any("page" in what for what in named):
        yield "a page of the list was no page, and no gap says so"
    lost = [job for job in listed if not pages.is_shown(job) and not pages.of(job)]
    early = [job for job in lost if _is_early(listed[job], run)]
    if early:
        # A page that broke is read again without its window: what it brings beyond that is left out
        # rightly, and is said.
        tally.numbers["jobs from before the window, told"] += len(early)
        yield from _early(len(early), run)
        listed = {job: row for job, row in listed.items() if job not in early}
        lost = [job for job in lost if job not in early]
    if any(what.startswith("page ") for what in named):
        # What can be read here, the program may not: then it lost all of a page, and says so.
        told = {
            job for page in build.server.pages if set(page.ids) <= set(lost) for job in page.ids
        }
        tally.numbers["jobs on pages told as unreadable"] += len(told)
        listed = {job: row for job, row in listed.items() if job not in told}
        lost = [job for job in lost if job not in told]
    yield from (f"job {job!r:.80} was listed, and is nowhere" for job in lost)
    if len(pages.lines) != len(pages.rows):
        yield "a job is in the list of jobs twice"
    unread = {job for job in listed if _unread(job, pages)}
    tally.numbers["jobs in"] += len(listed)
    tally.numbers["jobs shown whole"] += len(listed.keys() - unread) - len(lost)
    tally.numbers["jobs listed as unreadable"] += len(unread)
    tally.numbers["rows without an id, told"] += nameless
    yield from _admitted(build, pages, run, unread)
    for job, (sent, _) in asked.items():
        if job in records:
            yield from _detail(job, sent, records[job])
        else:
            yield f"job {job!r:.80} was asked for, and is not in the store"


def _is_early(row: dict[str, Any], run: Run) -> bool:
    """Whether a row says that its job had ended and was submitted before the window."""
    if run.asked.since is None or row.get("status") not in ("Succeeded", "Failed", "Aborted"):
        return False
    try:
        return datetime.fromisoformat(row["submission"]) < run.asked.since
    except (TypeError, ValueError):
        return False


def _early(number: int, run: Run) -> Iterator[str]:
    """How many were left out for the window has to be among the notes."""
    told = [int(said) for note in run.notes for said in re.findall(_EARLY, note)]
    if sum(told) < number:
        yield f"{number} jobs from before the window are nowhere, and the notes say {told}"


def _unread(job: str, pages: Pages) -> bool:
    row = pages.rows.get(job)
    return row is None or not row.get("readable", True)


def _admitted(build: Build, pages: Pages, run: Run, unread: set[str]) -> Iterator[str]:
    """What is lacking makes exit 3, and is on the quality page."""
    lacking = bool(run.gaps or unread or pages.gaps)
    if (build.built.code == 3) != lacking:
        yield f"exit {build.built.code} with {len(run.gaps)} gaps and {len(unread)} unread jobs"
    for job in unread:
        if not any(gap["what"] == "job" for gap in pages.of(job)):
            yield f"job {job!r:.80} is unreadable, and no gap says why"
    if build.built.code == 3 and "could not be read" not in pages.quality:
        yield "the quality page names nothing"


def _detail(job: str, sent: mutated.Sent, record: Record) -> Iterator[str]:
    """A detail is either stored as it was sent, or named as unread."""
    tree = mutated.read(sent)
    gap = next((gap for gap in record.gaps if gap.what == "job"), None)
    if tree is None:
        if gap is None:
            yield f"job {job!r:.80}: {sent.how} was read as a job"
        return
    own = tree.get("id")
    if isinstance(own, str) and own.casefold() != job.casefold():
        if record.detail == tree or (gap is None and not record.detail_from):
            yield f"job {job!r:.80} shows the answer of {own!r:.80} ({sent.how})"
        return
    if record.taken_out == 0 and not record.detail_from and record.detail != tree:
        yield f"job {job!r:.80}: what is stored is not what was sent ({sent.how})"
    if not sent.how and gap is not None:
        yield f"job {job!r:.80}: a sound answer is said not to be ({gap.why})"


def campaign(
    wanted: int, *, seed: int, jobs: int, only: int | None = None, keep: Path | None = None
) -> Tally:
    """Rounds until so many answers were spoilt; offenders are left in `keep`, where it is given."""
    tally = Tally()
    number = only if only is not None else 1_000 * seed
    while True:
        with tempfile.TemporaryDirectory() as folder, accounting.hurried():
            for build in rounds(number, Path(folder), jobs=jobs):
                found = [f"round {build.number}: {fault}" for fault in faults(build, tally)]
                if found and keep is not None:
                    _keep(build, found, keep)
                tally.faults += found
        sys.stderr.write(f"round {number}: {tally.spoilt} spoilt\n")
        number += 1
        if only is not None or tally.spoilt >= wanted or len(tally.faults) > 200:
            return tally


def _keep(build: Build, found: list[str], folder: Path) -> None:
    """Leave what was sent where it can be looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{build.server.number}.json"
    sent = [
        {"request": f"{method} {target}"[:500], "how": answer.how, "status": answer.status,
         "body": answer.body.decode("utf-8", "backslashreplace")[:20_000]}
        for (method, target, _), (_, answer, _) in build.server.sent.items()
    ]  # fmt: skip
    path.write_text(json.dumps({"faults": found, "said": build.built.said, "sent": sent}, indent=1))


def main(wanted: int, seed: int, jobs: int, only: int | None, keep: Path | None) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    began = time.monotonic()
    tally = campaign(wanted, seed=seed, jobs=jobs, only=only, keep=keep)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    if grown > MOST_MEMORY:
        tally.faults.append(f"memory grew by {grown:,} bytes, {MOST_MEMORY:,} allowed")
    lines = [*tally.faults[:60], f"{tally.spoilt} answers spoilt (seed {seed}):"]
    every = tally.answers.most_common()
    lines += [f"  {n:>6} {how}" for how, n in every if how not in ("", "rows")]
    lines += [f"{n:>8} {what}" for what, n in tally.numbers.items()]
    lines.append("exit codes: " + ", ".join(f"{c}: {n}" for c, n in sorted(tally.codes.items())))
    lines.append(f"tracebacks: {tally.numbers['tracebacks']}, faults: {len(tally.faults)}")
    lines.append(f"memory grew by {grown / 1e6:.0f} MB, {time.monotonic() - began:.0f} s")
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wanted", type=int, nargs="?", default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=200, help="Jobs of a server.")
    parser.add_argument("--only", type=int, help="Repeat the round of this number.")
    parser.add_argument("--keep", type=Path, help="A folder for answers that went wrong.")
    given = parser.parse_args()
    sys.exit(main(given.wanted, given.seed, given.jobs, given.only, given.keep))
