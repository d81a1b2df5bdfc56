"""Contexts of the jobs that a night touched are those among all, and no other job's differs."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from analysis_cases import DAY, HOUR, job, night, run
from growing_cases import Growing, as_told, store_run
from held import Held
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jmreport.analysis import GrowingBeneath, contexts
from jmreport.records import Entry, Run
from jmreport.remembered import Growing as History
from jmreport.remembered import Memory
from jmreport.report.jobs import JobContext
from jmreport.snapshots import Store


def shown(context: JobContext) -> JobContext:
    """As much of it as goes into a page."""
    entry = replace(context.entry, shard="", line=0, last_run="", row_digest="")
    return replace(context, entry=entry)


class Told:
    """What is remembered while a history grows, and what was told of its jobs."""

    def __init__(self, identity: Sequence[str] = ()) -> None:
        self._identity = identity
        self.memory = Memory(sqlite3.connect(":memory:", isolation_level=None))
        self.since: frozenset[str] | None = None
        self._now: datetime | None = None
        self.told: Mapping[str, JobContext] = {}

    def check(self, history: History, runs: Sequence[Run]) -> tuple[int, int]:
        """(how many jobs were touched, how many are known)."""
        asked = contexts(GrowingBeneath(history), runs, identity=self._identity)
        whole = {one.entry.row.id: shown(one) for one in asked}
        found = self._touched(history, runs)
        for name, context in whole.items():
            if name in found:
                assert found[name] == context
            else:
                assert self.told[name] == context
        self.told = whole
        return len(found), len(whole)

    def _touched(self, history: History, runs: Sequence[Run]) -> Mapping[str, JobContext]:
        """As of those that were touched since the last time; at first as of all."""
        asked = contexts(GrowingBeneath(history), runs, identity=self._identity)
        newest = next(run.now for run in reversed(runs) if run.usable)
        known, self.since = self.since, frozenset(run.id for run in runs)
        before, self._now = self._now, newest
        if known is None or before is None or newest < before:
            found = asked.remembered(self.memory)
        else:
            some = asked.touched(self.memory, self.since - known)
            assert some is not None
            found = some
        return {one.entry.row.id: shown(one) for one in found}


def identity(seed: int) -> tuple[str, ...]:
    return ("sample",) if seed % 2 else ()


def grown(seed: int, *, nights: int = 16, jobs: int = 8) -> tuple[int, int]:
    """A history that grows; now and then several runs come before anybody looks."""
    world, told = Growing(seed, jobs=jobs), Told(identity(seed))
    sums = (0, 0)
    for _ in range(nights):
        world.grow()
        if world.random.random() < 0.8:
            touched, known = told.check(world.held(), world.runs)
            sums = sums[0] + touched, sums[1] + known
    return sums


def grown_in_a_store(seed: int, root: Path, *, nights: int = 8) -> tuple[int, int]:
    """The same in a store, from which runs are pruned once: then all are remembered anew."""
    world, told = Growing(seed), Told(identity(seed))
    sums = (0, 0)
    pruned = world.random.choice((None, 4, 6))
    for number in range(nights):
        world.grow()
        store_run(root, world)
        with Store.open(root, summarise=as_told) as store:
            if number == pruned:
                before = world.runs[-1].now - 2 * DAY
                store.prune(before, now=world.runs[-1].now, leaning=lambda _: ())
                told = Told(identity(seed))
            if world.random.random() < 0.8:
                touched, known = told.check(store, (*store.pruned(), *store.runs()))
                sums = sums[0] + touched, sums[1] + known
    return sums


@given(st.integers(0, 2**32))
def test_who_is_not_touched_is_told_of_as_before(seed: int) -> None:
    grown(seed)


@settings(max_examples=8)
@given(st.integers(0, 2**32))
# An attempt that a run told of which was stopped, and the next one when its report came.
@example(554280)
def test_it_is_the_same_in_a_store(seed: int) -> None:
    with TemporaryDirectory() as folder:
        grown_in_a_store(seed, Path(folder) / "snapshots")


def test_work_that_failed_for_longer_than_pages_look_back_still_counts_from_its_success() -> None:
    """Failures in a row, and the success before them, whatever night they are told in."""
    nights, told = 40, Told()
    jobs = [
        job(f"job-{number:02}", night(number), "Failed" if number else "Succeeded", found=number)
        for number in range(nights)
    ]
    for number in range(nights):
        here = [replace(one, last_run=run(number).id) for one in jobs[: number + 1]]
        touched, _ = told.check(Held(here), [run(each) for each in range(number + 1)])
        assert touched == 1
    history = told.told["job-39"].history
    assert history is not None
    assert (history.failures, history.last_success) == (39, "job-00")


@given(st.integers(0, 2**32))
def test_tasks_of_arrays_that_are_one_piece_of_work_are_told_of_as_before(seed: int) -> None:
    """However far apart they end, and whatever else is submitted meanwhile."""
    random, told, jobs = Random(seed), Told(), list[Entry]()  # noqa: S311 - the same for a seed
    for number in range(12):
        for task in range(random.randrange(4)):
            submission = f"+align--ana--2611{max(number - random.randrange(3), 0):02}-200000"
            alone = random.random() < 0.2
            name = f"{submission}{number:02}{task}++" if alone else f"{submission}+{number}{task}+"
            status = random.choice(("Failed", "Succeeded"))
            jobs.append(job(name, night(number) - task * HOUR, status, found=number))
        jobs = [replace(one, last_run=run(number).id) for one in jobs]
        told.check(Held(jobs), [run(each) for each in range(number + 1)])


def test_what_a_page_does_not_tell_of_has_nobody_told_of_again() -> None:
    """An older job that is lost touches itself, and a night's new jobs touch no older ones."""
    jobs = [job(f"job-{number}", night(number), found=number, last=4) for number in range(5)]
    told = Told()
    assert told.check(Held(jobs), [run(each) for each in range(5)]) == (5, 5)
    more = [job("job-5", night(5), found=5), *(replace(one, last_run=run(5).id) for one in jobs)]
    assert told.check(Held(more), [run(each) for each in range(6)]) == (1, 6)
    lost = [*more[:-1], jobs[-1]]
    assert told.check(Held(lost), [run(each) for each in range(7)])[0] == 6


def steps_of_a_night(jobs: int) -> int:
    """Thousands of the database's steps, until it is known whom a night of so many jobs touched.

    All of them are one piece of work, each has ended before the one that comes before it.
    """
    database = sqlite3.connect(":memory:", isolation_level=None)
    memory, steps = Memory(database), [0]
    before = [job("first", night(0), found=0, last=1)]
    assert len(list(contexts(Held(before), [run(0)], identity=()).remembered(memory))) == 1
    new = [
        job(f"job-{number:06}", night(1) - timedelta(seconds=number), "Failed", found=1)
        for number in range(jobs)
    ]

    def step() -> int:
        steps[0] += 1
        return 0

    runs = [run(0), run(1)]
    database.set_progress_handler(step, 1000)
    found = contexts(Held([*before, *new]), runs, identity=()).touched(
        memory, frozenset([runs[-1].id])
    )
    database.set_progress_handler(None, 0)
    assert found is not None
    assert len(list(found)) == jobs
    return steps[0]


def test_twice_as_many_new_jobs_of_one_piece_of_work_take_twice_as_long_to_tell_of() -> None:
    """It was four times, as each of them had all others asked for that ended after it."""
    few, many = steps_of_a_night(600), steps_of_a_night(1200)
    assert many < 3 * few
