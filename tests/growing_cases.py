"""Histories that grow run by run in all the ways in which jobs change, chosen by a seed.

new jobs, also such that ended long ago, or have not ended; jobs that end, are lost, are found
again; records that are another: another key, workflow, end, status; sub-workflows in levels,
whose ids are named before they are known, and such that say why the job above them failed, at
last; ids that begin alike; runs that failed, were stopped, asked for other jobs or of another
server
"""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import msgspec
from analysis_cases import DAY, HOUR, night
from held import Held
from msgspec.structs import replace

from jmreport.gaps import Gap
from jmreport.records import (
    Asked,
    Entry,
    Failure,
    Filters,
    JobRow,
    Record,
    Run,
    RunState,
    run_id,
)
from jmreport.snapshots import Redaction, Store
from jmreport.snapshots.summaries import outcome

_STATES: tuple[RunState, ...] = (
    ("complete",) * 6
    + ("incomplete",) * 2
    + (
        "failed",
        "interrupted",
        "refreshed",
    )
)
_STATUSES = ("Succeeded",) * 9 + ("Failed",) * 6 + ("Aborted", "Running", "Odd")
_GOING = ("Running", "Odd", "Submitted")
_NAMES = ("one", "one", "one", "two", "")
#: Of so many jobs one fails in sub-workflows of its own, these.
_BLAMING = 5
_BLAMED = ("left", "right")
_WHY = ("No space left on device", "java.lang.OutOfMemoryError")


class Growing:
    """Runs, and the jobs that are known after the last of them."""

    def __init__(self, seed: int, *, jobs: int = 8) -> None:
        self.random = Random(seed)  # noqa: S311 - the same whenever it is asked for
        self.runs: list[Run] = []
        self.entries: dict[str, Entry] = {}
        #: Sub-workflows that are blamed; chosen apart, so that all else is as it were without them.
        self.blamed: dict[str, Entry] = {}
        self._apart = Random(seed)  # noqa: S311 - the same whenever it is asked for
        #: What the last run read, and found.
        self.rows: list[JobRow] = []
        self.found: list[str] = []
        self._jobs, self._number = jobs, 0
        self._window = self.random.choice((2 * DAY, 7 * DAY, None))
        #: Jobs end in the order in which they are told of, as nearly all do.
        self._orderly = self.random.random() < 0.5
        self._linked = self.random.choice((0.0, 0.05, 0.2))
        self._look_alike = self.random.choice((5, 50, 5000))
        #: So much of it fails, or goes on.
        self._statuses = self.random.choice((_STATUSES, ("Failed",) * 30 + _STATUSES))
        self._goes_on = self.random.choice((0.5, 0.95))

    def grow(self) -> None:
        """One more run, and what it brings."""
        run = self._run(self.random.choice(_STATES) if self.runs else "complete")
        self.runs.append(run)
        self.rows, self.found = [], []
        if run.state == "failed":
            return
        some = self.random.randrange(self._jobs)
        for _ in range(some):
            known = sorted(self.entries)
            again = known and self.random.random() < (0.1 if self._orderly else 0.3)
            job = self.random.choice(known) if again else self._new_id()
            self._put(job, run)
        for job, entry in sorted(self.entries.items()):
            if entry.row.active and self.random.random() > self._goes_on:
                self._put(job, run, ends=True)
            if run.usable and self.random.random() < 0.8:
                self.entries[job] = replace(self.entries[job], last_run=run.id)
                self.found.append(job)
        self._blame(run)

    def held(self) -> Held:
        """All that is known now."""
        return Held((*self.entries.values(), *self.blamed.values()))

    def _blame(self, run: Run) -> None:
        """Some sub-workflows that are blamed become known, or are read again."""
        random = self._apart
        waiting = [entry.row for _, entry in sorted(self.entries.items())]
        for row in waiting:
            for job in row.blames:
                before = self.blamed.get(job)
                if random.random() > (0.3 if before is None else 0.01):
                    continue
                told = self._blamed_row(job, row)
                self.rows.append(told)
                self.blamed[job] = self._entry(told, run, before)
                if run.usable:
                    self.found.append(job)
                waiting.append(told)

    def _blamed_row(self, job: str, above: JobRow) -> JobRow:
        random = self._apart
        blames = _below(job) if random.random() < 0.3 else ()
        return JobRow(
            id=job,
            name="inner",
            status=random.choice(("Failed", "Failed", "Succeeded")),
            submission=above.submission,
            end=above.end,
            parent=above.id,
            listed=False,
            children=blames,
            failure=Failure(message=random.choice(_WHY), task=random.choice((None, "t"))),
            blames=blames,
        )

    def _run(self, state: RunState) -> Run:
        now = night(len(self.runs)) + self.random.choice((0, 0, 1, -3)) * HOUR
        window = self._window if self.random.random() < 0.9 else DAY
        gap = Gap(what="page 3 of the list", why="server error 500")
        asked = Asked(
            server=self.random.choice(("http://jm",) * 9 + ("http://other",)),
            timeframe="DAYS_7" if window else "ALL_TIME",
            since=now - window if window else None,
            filters=self.random.choice(
                (Filters(),) * 9 + (Filters(name="one"), Filters(hide_archived=True))
            ),
        )
        gaps = (gap,) if state == "incomplete" and self.random.random() < 0.5 else ()
        return Run(id=run_id(night(len(self.runs))), now=now, state=state, asked=asked, gaps=gaps)

    def _new_id(self) -> str:
        self._number += 1
        return self._id(self._number)

    def _id(self, number: int) -> str:
        """Many begin alike, some look alike in the middle, and some are attempts of one task."""
        if number % 8 == 0:
            task, attempt = divmod(number // 8, 3)
            return (
                f"+align{task % 3}--root--261123-{task % self._look_alike}-5+{task}+{attempt + 1}"
            )
        if number % 4 == 0:
            return f"+align{number % 3}--root--261123-{number % self._look_alike}-511590+{number}+"
        return f"{number % self._look_alike:08x}-76c1-40f4-93d5-{number:012x}"

    def _some_id(self) -> str:
        """One that is known, or will be, or never."""
        return self._id(1 + self.random.randrange(self._number + 4))

    def _put(self, job: str, run: Run, *, ends: bool = False) -> None:
        before = self.entries.get(job)
        row = self._row(job, run, before.row if before else None, ends=ends)
        self.rows.append(row)
        self.entries[job] = self._entry(row, run, before)

    def _entry(self, row: JobRow, run: Run, before: Entry | None) -> Entry:
        told = run.id
        if before is not None and outcome(before.row) == outcome(row):
            told = before.told_run
        ended = before.ended_run if before is not None else ""
        if row.active or (before is not None and before.row.active):
            ended = "" if row.active else run.id
        return Entry(
            row=row,
            run=run.id,
            shard=f"runs/{run.id}/jobs-0000",
            line=len(self.rows),
            digest=f"{self.random.getrandbits(64):x}",
            row_digest="",
            first_run=before.first_run if before else run.id,
            last_run=run.id if before is None or run.usable else before.last_run,
            told_run=told,
            ended_run=ended,
        )

    def _row(self, job: str, run: Run, before: JobRow | None, *, ends: bool) -> JobRow:
        random = self.random
        same = before is not None and random.random() < 0.5
        row = before if before is not None and same else self._any_row(job)
        status = random.choice(self._statuses)
        if ends and status in _GOING:
            status = "Failed"
        took = timedelta(minutes=random.choice((5, 5, 10, 20, 500)))
        end: datetime | None = run.now - timedelta(hours=random.randrange(0, 24))
        if not self._orderly and random.random() < 0.5:
            end = run.now + timedelta(hours=random.choice((-300, -70, -30, -1, 0, 1, 30)))
        start = end - took if end and random.random() < 0.9 else None
        submitted = end - took - HOUR if end and random.random() < 0.9 else None
        if status in _GOING or random.random() < 0.05:
            end = None
        blamed = _below(job) if status == "Failed" and row.children[-2:] == _below(job) else ()
        return replace(
            row,
            failure=Failure(message="Workflow failed") if blamed else None,
            blames=blamed,
            status=status,
            submission=submitted,
            start=start,
            end=end,
            readable=random.random() < 0.95,
        )

    def _any_row(self, job: str) -> JobRow:
        random = self.random
        linked = [random.random() < self._linked for _ in range(3)]
        parent = self._some_id() if linked[0] else None
        children = tuple(self._some_id() for each in linked[1:] if each)
        blamed = _below(job) if self._apart.random() * _BLAMING < 1 else ()
        labels = {"sample": random.choice("ab")} if random.random() < 0.5 else {}
        if random.random() < 0.1:
            labels["flag"] = "archive"
        return JobRow(
            id=job,
            name=random.choice(_NAMES),
            status="",
            labels=labels,
            key=random.choice(("k", "k", "l", "")),
            parent=parent,
            children=(*children, *blamed),
            listed=parent is None or random.random() < 0.2,
        )


def _below(job: str) -> tuple[str, ...]:
    """Ids of the sub-workflows that a job blames."""
    return tuple(f"{job}-{name}" for name in _BLAMED)


def as_told(record: Record) -> JobRow:
    """The row that a record was made of."""
    return msgspec.convert(record.detail["told"], JobRow)


def store_run(root: Path, world: Growing) -> None:
    """The last run of a world, into a store, which may name it otherwise."""
    run = world.runs[-1]
    with (
        Store.open(root, summarise=as_told, create=True) as store,
        store.begin(run.now, Redaction(), asked=run.asked, version="1") as writer,
    ):
        for row in world.rows:
            tree = msgspec.to_builtins(row)
            listed = {"id": row.id, "told": tree} if row.listed else None
            if listed:
                writer.list_row(listed)
            writer.add(Record(id=row.id, row=listed, detail={"told": tree}, parent=row.parent))
        for job in world.found:
            writer.seen(job)
        writer.finish(replace(run, id=writer.id))
