"""Which jobs' pages are looked at: of nearly all of them nothing can have changed since last time.

With the pages of jobs the ledger remembers what all of them were made of: code, settings, and the
runs of the store. Where nothing of that is another, and runs only came behind those that were, the
jobs that these touched are told of again (analysis/touched.py), and those that name a label or a
workflow which got a page; of all others it is only looked whether their files are there. In any
other case, and whenever it is in doubt, every job is looked at.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, islice, takewhile
from math import inf
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jmreport.history import History
from jmreport.placed import NEVER
from jmreport.records import Entry, JobRow, run_order
from jmreport.remembered import Contexts, Memory, StoreState
from jmreport.render import addresses
from jmreport.render.files import Files
from jmreport.render.jobcells import Jobs
from jmreport.render.ledger import Brief, Ledger
from jmreport.report.jobs import JobContext

#: Jobs that are read together.
_AT_ONCE = 500
#: Jobs that are kept as others, 100 bytes each: beyond them any may be one.
MOST_OTHERS = 50_000
#: Files of jobs' pages from which on they are looked at by turns, and how many turns that takes,
#: and one more while there come to be more.
MANY_FILES, TURNS = 100_000, 6
#: The folder in which they lie.
_FOLDER = addresses.JOBS.rpartition("/")[0]


class Seen(Struct, frozen=True, kw_only=True):
    """What all pages of jobs are made of.

    `made_of` is a digest of code and settings; `labels` and `workflows` are those that have pages;
    `now` is that of the newest usable run; `marks` is what lists show of a job by. `files` counts
    those of all jobs' pages, `folder` is when one came to them or went last, `started` says which
    start of the machine that was, behind the page `upto` the next look at some of them begins, and
    `turn` counts such looks since all were looked at.
    """

    made_of: str
    labels: frozenset[str]
    workflows: frozenset[str]
    store: StoreState
    now: datetime
    marks: str
    files: int = 0
    folder: int = 0
    started: str = ""
    upto: str = ""
    turn: int = 0

    def since(self, before: "Seen") -> frozenset[str] | None:
        """The runs that came since, where nothing else is another; else None."""
        if self.made_of != before.made_of or self.now < before.now:
            return None
        return self.store.since(before.store)


class Looking:
    """Chooses the jobs that are looked at, and counts the files of all others.

    `seen` is what pages are made of now, None where nobody can tell: then nothing is remembered.
    """

    def __init__(self, ledger: Ledger, files: Files, history: History, seen: Seen | None) -> None:
        self._ledger, self._files = ledger, files
        self._history, self._seen = history, seen
        self._before = _read(ledger.seen()) if seen else None
        #: Pages of jobs that nobody knows, of which nothing is counted.
        self._strangers = set(ledger.strangers())
        #: Whether every job is looked at.
        self.whole = True
        #: Files of jobs that are not looked at, all of them as they were; and of those that are.
        self.unchanged, self._made = 0, 0
        self._upto, self._next_turn = "", 0
        #: Which of the turns it is, where files are looked at by turns; else None.
        self.turn: int | None = None
        #: The runs that came since.
        self._since = frozenset[str]()
        #: Those jobs.
        self.jobs = 0
        #: Whether what lists show is remembered of every job.
        self._briefs = False
        #: When the first job was submitted that lists show otherwise than they did, in seconds
        #: since 1970; None where all of them may.
        self.since: float | None = None
        #: When jobs were submitted that stand where they did in all lists, under another short id.
        self.renamed: set[float] = set()
        #: The jobs that lists show otherwise than they did, None where all may be, or are too many.
        self.others: set[str] | None = None
        ledger.set_seen(b"")

    def contexts(self, found: Contexts) -> Iterator[JobContext]:
        """Those of the jobs that are looked at."""
        self._briefs = True
        some = self._some(self._seen, found) if self._seen else None
        if some is not None:
            self.whole = False
            return self._others_counted(some)
        self.unchanged, self.since, self.others, self.turn = 0, None, None, None
        self._ledger.begin_briefs()
        return found.remembered(self._ledger.memory()) if self._seen else iter(found)

    def _some(self, seen: Seen, found: Contexts) -> Iterator[JobContext] | None:
        since = seen.since(self._before) if self._before else None
        if since is None or self._before is None:
            return None
        self._since = since
        if self._before.marks == seen.marks:
            self.since, self.others = inf, set()
        else:
            self._ledger.forget_marks()
        memory = self._ledger.memory()
        damaged = self._damaged(self._before)
        again = {job for job in memory.ids() if addresses.job(job) in damaged} if damaged else set()
        again.update(self._linked(self._before, seen, memory))
        return found.touched(memory, since, again)

    def _linked(self, before: Seen, seen: Seen, memory: Memory) -> Iterator[str]:
        """The jobs that name a label or a workflow which got a page, or has none any more.

        A job's page names its own workflow and those of the jobs above and below it.
        """
        labels, workflows = before.labels ^ seen.labels, before.workflows ^ seen.workflows
        if not labels and not workflows:
            return
        for entry in self._history.by_run():
            row = entry.row
            if row.name in workflows:
                yield from (row.id, *memory.naming(row.id, below=True))
                yield from memory.naming(row.id, below=False)
            elif not labels.isdisjoint(row.labels):
                yield row.id

    def _others_counted(self, some: Iterator[JobContext]) -> Iterator[JobContext]:
        self.jobs = self._ledger.memory().count()
        for context in some:
            self.jobs -= 1
            yield context

    def _damaged(self, before: Seen) -> frozenset[str]:
        """The pages of which a file is missing or another; counts the files of all.

        Of very many only some are looked at, in turn, so that each is within a week of nights:
        where none went since the last render ended, and the machine has not been started since, by
        which files that had just been written may be empty.
        """
        size, found = self._files.size, set[str]()
        same = before.folder == self._files.folder(_FOLDER) and before.started == _started() != ""
        some = before.files > MANY_FILES and same and not self._files.unsure
        if some:
            self.turn, self._next_turn = before.turn % TURNS, before.turn + 1
        count = 0
        for owner, files in self._some_sizes(before) if some else self._ledger.sizes_of_jobs():
            if owner not in self._strangers:
                count += len(files)
                for address, known in files:
                    if size(address) != known:
                        found.add(owner)
        self.unchanged = before.files if some else count
        return frozenset(found)

    def _some_sizes(self, before: Seen) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """Those of a part of the pages: from where the last look ended, and on from the first."""
        most, told = before.files // TURNS + 1, 0
        self._upto = before.upto
        for owner, files in chain(
            self._ledger.sizes_of_jobs(before.upto),
            takewhile(lambda one: one[0] <= before.upto, self._ledger.sizes_of_jobs()),
        ):
            yield owner, files
            if owner not in self._strangers:
                told += len(files)
            if told >= most:
                self._upto = owner
                return

    def take(self, owner: str, files: int) -> None:
        """A job's page is looked at that had so many files."""
        if owner in self._strangers:
            self._strangers.remove(owner)
        elif not self.whole:
            self.unchanged -= files

    def made(self, files: int) -> None:
        """A page that is looked at has so many files now."""
        self._made += files

    def show(self, entry: Entry, jobs: Jobs) -> None:
        """Remembers what lists show of a job that is looked at."""
        row = entry.row
        if not self._briefs:
            return
        at = None if row.submission is None else row.submission.timestamp()
        short = jobs.short(row.id)
        # Of this row, and not of the report's, which workers that were forked share with us.
        mark = jobs.known_mark(row.id) or jobs.mark_of(entry, short)
        now = Brief(_digest(row), mark, short, row.archived, at) if row.listed else None
        if not self.whole:
            before = self._brief(entry)
            if now is None or before != now:
                self._note(row.id)
            if before == now:
                return
            if before and now and before.row == now.row:
                self.renamed.add(NEVER if at is None else at)
            else:
                self._moved(before, now)
            if now is None:
                self._ledger.forget_brief(row.id)
        if now is not None:
            self._ledger.put_brief(row.id, now)

    def _brief(self, entry: Entry) -> Brief | None:
        """What was remembered of a job; nothing of one that was never found before."""
        if entry.first_run in self._since:
            return None
        job = entry.row.id
        return self._ledger.briefs((job,)).get(job)

    def _note(self, job: str) -> None:
        """A job is shown otherwise, or nobody knows whether it is."""
        if self.others is not None:
            self.others.add(job)
            if len(self.others) > MOST_OTHERS:
                self.others = None

    def _moved(self, *briefs: Brief | None) -> None:
        """A job stands elsewhere in lists, or is shown otherwise."""
        for brief in briefs:
            if brief is not None and self.since is not None:
                self.since = None if brief.submitted is None else min(self.since, brief.submitted)

    def meet_others(self, jobs: Jobs, wanted: set[str]) -> None:
        """Tells lists of the jobs that were not looked at; of those `wanted` pages tell too."""
        if self.whole:
            return
        for entry, short in _with_short(self._history, sorted(wanted - jobs.entries.keys())):
            jobs.add(entry, short)
        jobs.expect(partial(self._met, jobs), self._ledger.archived())

    def _met(self, jobs: Jobs, wanted: Sequence[str]) -> dict[str, bytes]:
        """What lists show of those of some jobs that are known."""
        found: dict[str, bytes] = {}
        lacking: list[str] = []
        for start in range(0, len(wanted), _AT_ONCE):
            for job, brief in self._ledger.briefs(wanted[start : start + _AT_ONCE]).items():
                if brief.mark is None:
                    lacking.append(job)
                else:
                    found[job] = brief.mark
        for entry, short in _with_short(self._history, lacking):
            mark = found[entry.row.id] = jobs.mark_of(entry, short)
            self._ledger.mark_brief(entry.row.id, mark, short)
        return found

    def strangers(self) -> Collection[str]:
        """Pages of jobs that nobody knows, once all jobs that are looked at were told of."""
        return self._ledger.jobs_gone() if self.whole else self._strangers

    def done(self) -> None:
        """All pages were made: the ledger may be committed."""
        if self.whole:
            self._ledger.end_briefs()
        if self._seen is None:
            return
        self._ledger.set_strangers(self.strangers())
        seen = replace(
            self._seen,
            files=self.unchanged + self._made,
            folder=self._files.folder(_FOLDER),
            started=_started(),
            upto=self._upto,
            turn=self._next_turn,
        )
        self._ledger.set_seen(msgspec.msgpack.encode(seen))


def _started() -> str:
    """What each start of the machine has of its own; "" where nobody can tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _digest(row: JobRow) -> bytes:
    """A job's row as eight bytes."""
    return hashlib.blake2b(msgspec.msgpack.encode(row), digest_size=8).digest()


def _with_short(history: History, jobs: list[str]) -> Iterator[tuple[Entry, str]]:
    """Those of the jobs that are known, with their short ids, in the order of stored records."""
    waiting = iter(jobs)
    while some := list(islice(waiting, _AT_ONCE)):
        found = sorted(
            history.of(some).values(),
            key=lambda entry: (run_order(entry.run), entry.shard, entry.line),
        )
        short = history.short_ids(entry.row.id for entry in found)
        yield from ((entry, short[entry.row.id]) for entry in found)


def _read(body: bytes) -> Seen | None:
    """What was remembered; None where that is nothing, or of another version."""
    try:
        return msgspec.msgpack.decode(body, type=Seen) if body else None
    except msgspec.DecodeError:
        return None
