"""Jobs that settled are counted once, and the report is the same as where all of them are read."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from analysis_cases import DAY, HOUR, job, night, run
from doses import dose
from growing_cases import Growing as World
from growing_cases import as_told, store_run
from held import Held
from msgspec.structs import replace
from site_cases import contents

from bench import corpus
from jmreport import pipeline
from jmreport.analysis import (
    GrowingBeneath,
    Remembering,
    Retelling,
    analyse,
    contexts,
    retold,
)
from jmreport.placed import ByValue
from jmreport.progress import SilentProgress
from jmreport.records import Entry, Failure, JobRow, Run
from jmreport.remembered import After, Growing, Memory, Works
from jmreport.render.past import Past
from jmreport.report.nights import NightSummary
from jmreport.settings import ReportSettings, Settings, Site, Slo, Snapshots
from jmreport.snapshots import Store

encode = partial(msgspec.msgpack.encode, enc_hook=ByValue.told)
SLOS = (Slo(label="sample", target=0.9, days=9), Slo(label="sample=a", target=0.5, days=28))


class Streamed(Held):
    """Jobs in memory, and which of them were read one after the other."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        super().__init__(entries)
        self.read: set[str] = set()

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        return self._told(super().by_run(oldest_first=oldest_first))

    def by_submission(self) -> Iterator[Entry]:
        return self._told(super().by_submission())

    def submitted(self, since: float, before: float, *, upto: str | None = None) -> Iterator[Entry]:
        return self._told(Held(self.entries()).submitted(since, before, upto=upto))

    def entries(self) -> list[Entry]:
        """All of them."""
        return [*super().by_submission()]

    def _told(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.read.add(entry.row.id)
            yield entry


class Left(NamedTuple):
    """What is remembered of jobs that settled; of works it is asked of a ledger."""

    past: Past
    history: Growing
    head: bytes
    bodies: Sequence[bytes]
    since: frozenset[str]

    @property
    def works(self) -> Works:
        return self.past.works

    def batches(self) -> Iterator[bytes]:
        return iter(self.bodies)


class Nightly:
    """Reports of one night after the other, each told with what the one before left."""

    def __init__(self, ledger: Path, identity: tuple[str, ...] = ()) -> None:
        self._ledger = ledger
        self._settings = ReportSettings(identity_labels=identity)
        self._after = After(b"", b"", anew=True)
        self._batches: list[bytes] = []
        self._known: frozenset[str] = frozenset()
        #: Jobs of all reports, and how many of them were not read.
        self.jobs = self.spared = 0

    def report(self, jobs: Sequence[Entry], runs: Sequence[Run]) -> set[str]:
        """The jobs that were read for a report: it is the same as where all of them are."""
        history = Streamed(jobs)
        told = partial(analyse, runs=runs, aggregations={}, settings=self._settings, slos=SLOS)
        with closing(sqlite3.connect(self._ledger)) as database:
            Memory(database)
        since = frozenset(each.id for each in runs) - self._known
        with Past(self._ledger) as past:
            below = GrowingBeneath(history)
            before = Left(past, below, self._after.head, tuple(self._batches), since)
            remembering = Remembering(before if self._after.head else None)
            found = told(below, remembering=remembering)
        wanted = told(GrowingBeneath(Held(jobs)))
        plain = partial(msgspec.to_builtins, enc_hook=ByValue.told)
        assert plain(found) == plain(wanted)
        assert encode(found) == encode(wanted)
        self.jobs, self.spared = self.jobs + len(jobs), self.spared + len(jobs) - len(history.read)
        self._keep(remembering.after, GrowingBeneath(Held(jobs)), runs)
        return history.read

    def _keep(self, after: After, history: Growing, runs: Sequence[Run]) -> None:
        if after.anew:
            self._batches = []
        if after.batch:
            self._batches.append(after.batch)
        self._after, self._known = after, frozenset(each.id for each in runs)
        identity = self._settings.identity_labels
        with closing(sqlite3.connect(self._ledger)) as database, database:
            for _ in contexts(history, runs, identity=identity).remembered(Memory(database)):
                pass


class Calm(World):
    """A world in which every job says when it was submitted, and runs find what they ask for."""

    def grow(self) -> None:
        before = dict(self.entries)
        super().grow()
        since = self.runs[-1].asked.since
        for one, entry in self.entries.items():
            was, submitted = before.get(one), entry.row.submission
            old = since is not None and submitted is not None and submitted < since
            if was and old and not entry.row.active and self.random.random() < 0.997:
                self.entries[one] = was

    def _row(self, job: str, run: Run, before: JobRow | None, *, ends: bool) -> JobRow:
        row = super()._row(job, run, before, ends=ends)
        if row.submission is not None:
            return row
        return replace(row, submission=run.now - timedelta(hours=self.random.randrange(1, 20)))


def grown(seed: int, ledger: Path, *, nights: int = 40) -> tuple[int, int]:
    """How many jobs were not read, of all that were known to the reports."""
    world = (Calm if seed % 4 else World)(seed)
    told = Nightly(ledger, ("sample",) if seed % 2 else ())
    for _ in range(nights):
        world.grow()
        if world.random.random() < 0.9 and any(each.usable for each in world.runs):
            told.report(tuple(world.held().by_run(oldest_first=True)), world.runs)
    return told.spared, told.jobs


@pytest.mark.parametrize("seed", range(1, 1 + dose(12)))
def test_what_settled_is_counted_as_if_it_were_read(seed: int, tmp_path: Path) -> None:
    """Histories that grow in all the ways in which jobs change; some of them never settle."""
    grown(seed, tmp_path / "pages")


class Again:
    """Nights told again one after the other: each is as where all jobs of all nights are read."""

    def __init__(self, identity: tuple[str, ...] = ()) -> None:
        self.nights = Retelling(identity)
        self._how: dict[str, Any] = {
            "aggregations": {},
            "settings": ReportSettings(identity_labels=identity),
            "slos": SLOS,
        }
        self._past: tuple[NightSummary, ...] = ()
        #: Jobs of all nights, and how many of them were not read.
        self.jobs = self.spared = 0

    def night(self, jobs: Sequence[Entry], runs: Sequence[Run]) -> set[str]:
        """The jobs that were read for a night."""
        history = Streamed(jobs)
        below, how = GrowingBeneath(history), {**self._how, "past": self._past}
        remembering = self.nights.begin(below, runs)
        history.read.clear()  # what jobs that settle say of their work is asked of each once
        found = retold(below, runs, remembering=remembering, **how)
        self.nights.keep(remembering)
        assert found == retold(GrowingBeneath(Held(jobs)), runs, **how)
        self._past = (*self._past, found.summary)
        self.jobs, self.spared = self.jobs + len(jobs), self.spared + len(jobs) - len(history.read)
        return history.read


def told_again(seed: int, *, nights: int = 40) -> tuple[int, int]:
    """How many jobs were not read, of all that were known when nights were told again."""
    world = (Calm if seed % 4 else World)(seed)
    told = Again(("sample",) if seed % 2 else ())
    with told.nights:
        for _ in range(nights):
            world.grow()
            if world.random.random() < 0.9 and any(each.usable for each in world.runs):
                told.night(tuple(world.held().by_run(oldest_first=True)), world.runs)
    return told.spared, told.jobs


@pytest.mark.parametrize("seed", range(1, 1 + dose(12)))
def test_nights_that_are_told_again_are_as_if_all_jobs_were_read(seed: int) -> None:
    told_again(seed)


def test_nights_that_are_told_again_read_few_jobs_of_the_nights_before() -> None:
    told = Again()
    with told.nights:
        for number in range(1, 31):
            read = told.night(*nightly(number))
    assert len(read) <= FRESH


MINUTE = timedelta(minutes=1)
#: Jobs of the nights by which the state of any work is told, and of those that settle now.
FRESH = 2 * 12


def nightly(nights: int) -> tuple[list[Entry], list[Run]]:
    """Two pieces of work a night, one of which fails every fifth time; a window of a day."""
    jobs = [
        replace(
            job(
                f"{number:04}{work:04}-77aa-4344-b248-13abb73e7a7f",
                night(number) - HOUR - work * HOUR,
                "Failed" if work and number % 5 == 0 else "Succeeded",
                found=number,
                key=f"k{work}",
                labels={"sample": "ab"[work]},
            ),
            shard=f"jobs-{number:04}",
            line=work,
        )
        for number in range(nights)
        for work in range(2)
    ]
    return jobs, [run(number, window=DAY) for number in range(nights)]


def told_nightly(tmp_path: Path, nights: int) -> Nightly:
    """What is left by the reports of so many nights, one after the other."""
    told = Nightly(tmp_path / "pages")
    for number in range(1, nights + 1):
        told.report(*nightly(number))
    return told


def test_jobs_that_settled_are_read_no_more(tmp_path: Path) -> None:
    told = told_nightly(tmp_path, 30)
    read = told.report(*nightly(31))
    assert len(read) <= FRESH
    first, *_ = nightly(31)
    assert all(entry.row.id in read for entry in first[-2 * 8 :])


def test_a_task_that_failed_and_settled_still_speaks_for_its_array(tmp_path: Path) -> None:
    """However many of the array succeeded since: their successes say nothing of the work."""
    told, last = Nightly(tmp_path / "pages"), 22

    def task(number: int, ended: datetime, found: int) -> Entry:
        status = "Succeeded" if number > 1 else "Failed"
        name = f"+wf--ana--261101-200000-000001+{number}+"
        return job(name, ended, status, found=found, told=found, key="array")

    array = [task(number, night(2) - (40 - number) * MINUTE, 2) for number in range(1, 30)]
    for number in range(3, last + 1):
        jobs, runs = nightly(number)
        read = told.report([*jobs, *array], runs)
    assert not read & {each.row.id for each in array}
    jobs, runs = nightly(last + 1)
    jobs += [*array, task(30, night(last) - HOUR, last)]
    told.report(jobs, runs)
    found = analyse(Held(jobs), runs, {}, settings=ReportSettings())
    assert array[0].row.id in {each for group in found.attention for each in group.jobs}


def test_what_a_settled_job_says_of_its_work_is_remembered(tmp_path: Path) -> None:
    """A key that only ever failed fails since its first failure, however long ago."""
    told = Nightly(tmp_path / "pages")
    for number in range(1, 32):
        jobs, runs = nightly(number)
        failing = [
            replace(each, row=replace(each.row, status="Failed" if each.line else "Succeeded"))
            for each in jobs
        ]
        read = told.report(failing, runs)
    assert len(read) <= FRESH


@pytest.mark.parametrize("again", ["read", "found", "both"])
def test_a_settled_job_that_a_run_came_upon_again_is_counted_again(
    tmp_path: Path, again: str
) -> None:
    told = told_nightly(tmp_path, 30)
    jobs, runs = nightly(31)
    old = jobs[4]
    if again != "found":
        row = replace(old.row, labels={"sample": "c"}, status="Aborted")
        old = replace(old, row=row, run=runs[-1].id, shard="jobs-0099")
    if again != "read":
        old = replace(old, last_run=runs[-1].id)
    jobs[4] = old
    assert told.report(jobs, runs) == {entry.row.id for entry in jobs}
    # And once it has settled again few jobs are read.
    for number in range(32, 44):
        jobs, runs = nightly(number)
        read = told.report([*jobs[:4], old, *jobs[5:]], runs)
    assert len(read) <= FRESH


@pytest.mark.parametrize("late", ["first", "again"])
def test_a_sub_workflow_that_comes_late_has_the_settled_job_above_it_told_with_it(
    tmp_path: Path, late: str
) -> None:
    """Submitted when the job above it had settled; or read again, as old as it is."""
    told = Nightly(tmp_path / "pages")

    def here(number: int, why: str, found: int) -> tuple[list[Entry], list[Run]]:
        jobs, runs = nightly(number)
        row = replace(jobs[1].row, status="Failed", blames=("inner",), children=("inner",))
        jobs[1] = replace(jobs[1], row=row)
        inner = replace(
            job("inner", night(found if late == "first" else 0), "Failed", found=found, key=""),
            first_run=runs[found if late == "first" else 0].id,
        )
        own = {"parent": row.id, "listed": False, "failure": Failure(message=why)}
        return [*jobs, *([told_with(inner, **own)] if why else [])], runs

    for number in range(1, 31):
        told.report(*here(number, "disk full" if late == "again" else "", 0))
    jobs, runs = here(31, "out of memory", 30)
    assert told.report(jobs, runs) == {entry.row.id for entry in jobs}
    for number in range(32, 44):
        read = told.report(*here(number, "out of memory", 30))
    assert len(read) <= FRESH + 1


def told_with(entry: Entry, **own: Any) -> Entry:
    """The same job with other values in its row."""
    return replace(entry, row=replace(entry.row, **own))


def test_a_run_that_asks_for_older_jobs_has_all_of_them_read(tmp_path: Path) -> None:
    told = told_nightly(tmp_path, 30)
    jobs, runs = nightly(31)
    runs[-1] = run(30, window=20 * DAY)
    assert told.report(jobs, runs) == {entry.row.id for entry in jobs}


def test_a_job_that_comes_late_has_all_of_them_read(tmp_path: Path) -> None:
    told = told_nightly(tmp_path, 30)
    jobs, runs = nightly(31)
    late = replace(jobs[0], run=runs[-1].id, first_run=runs[-1].id, shard="jobs-0099")
    jobs.append(replace(late, row=replace(late.row, id="late", name="another")))
    assert told.report(jobs, runs) == {entry.row.id for entry in jobs}


def test_a_site_of_many_nights_is_the_same_as_one_that_is_made_at_once(tmp_path: Path) -> None:
    """From the store to the pages: what settled lies in the site's ledger from night to night."""
    snapshots = tmp_path / "snapshots"
    for number in range(16):
        now = corpus.NOW + number * DAY
        records = [
            corpus.small(number * 8 + place, now=now, spread=corpus.NIGHT) for place in range(8)
        ]
        corpus.fill(snapshots, records, now=now, since=now - DAY)
        if number in (0, *range(13, 16)):  # nights between are told, and render brings them later
            render(snapshots, tmp_path / "grown")
    ledger = tmp_path / "grown" / ".jmreport" / "pages"
    with Past(ledger) as past:
        assert len([*past.batches()]) > 1
    render(snapshots, tmp_path / "whole")
    grown_site, whole = contents(tmp_path / "grown"), contents(tmp_path / "whole")
    for site in (grown_site, whole):
        del site["about.html"]  # it says where the site is
    assert grown_site == whole
    # A ledger of which a part cannot be read costs time, and nothing else.
    for damage in ("DROP TABLE jobs", "UPDATE settled SET body = x'c1' WHERE number > 0"):
        with closing(sqlite3.connect(ledger)) as database, database:
            database.execute(damage)
            database.execute("DELETE FROM seals")
        render(snapshots, tmp_path / "grown")
        again = contents(tmp_path / "grown")
        del again["about.html"]
        assert again == whole


def render(snapshots: Path, where: Path) -> None:
    settings = Settings(snapshots=Snapshots(dir=str(snapshots)), site=Site(dir=str(where)))
    pipeline.render(settings, progress=SilentProgress(), workers=1)


@pytest.mark.parametrize("seed", range(4))
def test_a_store_tells_of_submissions_as_memory_does(seed: int, tmp_path: Path) -> None:
    world = World(seed)
    for _ in range(12):
        world.grow()
        if world.runs[-1].state != "failed":
            store_run(tmp_path, world)
    with Store.open(tmp_path, summarise=as_told) as store:
        held, runs = Held(store.entries()), [each.id for each in store.runs()]
        at = [entry.row.submission.timestamp() for entry in store.entries() if entry.row.submission]
        instants = sorted({-inf, inf, *at, *(each + 0.5 for each in at)})
        for since in instants[::3]:
            assert store.submitted_before(since) == held.submitted_before(since)
            for before in instants[::2]:
                assert [*store.submitted(since, before)] == [*held.submitted(since, before)]
        for some in (runs, runs[-1:], runs[::2], []):
            assert store.found_by(some) == held.found_by(some)
