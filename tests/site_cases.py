"""A store's worth of jobs for the tests of pages: entries, runs, and records to read."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import msgspec
from held import Held

from jmreport.analysis import GrowingBeneath, analyse, contexts
from jmreport.gaps import Gap
from jmreport.progress import SilentProgress
from jmreport.records import (
    Asked,
    Entry,
    Failure,
    JobRow,
    Operation,
    Record,
    Run,
    run_id,
    utc_text,
)
from jmreport.render import site
from jmreport.render.account import Written
from jmreport.render.crew import Crew
from jmreport.render.hands import Hands
from jmreport.render.ledger import unpacked
from jmreport.render.sharing import WHOLE, Share
from jmreport.render.telling import Telling
from jmreport.report import Report
from jmreport.settings import Settings

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
WORKFLOWS = ("germline_joint_calling", "rna_align_star", "imputation_beagle", "sv_merge")
MESSAGES = (
    "java.lang.OutOfMemoryError: Java heap space",
    "Could not localize gs://bucket/{n}.bam: 403 Forbidden",
    "Job Phase:{n}:1 exited with return code 137",
)
HOSTILE = "</script><img src=x onerror=boom()>\"'&\u2028=1+1{{ 7 * 7 }}"


def runs(count: int = 2, *, gaps: tuple[Gap, ...] = ()) -> tuple[Run, ...]:
    """Complete runs, a night apart, the last one now."""
    return tuple(
        _run(NOW - timedelta(days=ago), gaps if not ago else ()) for ago in range(count)[::-1]
    )


def _run(now: datetime, gaps: tuple[Gap, ...]) -> Run:
    return Run(
        id=run_id(now),
        now=now,
        state="incomplete" if gaps else "complete",
        version="0.1.0",
        asked=Asked(
            server="http://127.0.0.1:8190/api/v1",
            timeframe="DAYS_7",
            since=now - timedelta(days=7),
        ),
        health="available",
        capabilities={"displayFields": [], "commonLabels": ["owner", "batch"]},
        operations=(Operation(name="QueryJobs", offer="offered", requests=9, seconds=1.2),),
        gaps=gaps,
    )


def entries(count: int, over: Sequence[Run], *, seed: int = 1, text: str = "") -> tuple[Entry, ...]:
    """Jobs of the last week, of every status; `text` is appended to whatever a server words."""
    random = Random(seed)  # noqa: S311 (the same jobs in every run)
    return tuple(_entry(number, random, over, text) for number in range(count))


def _entry(number: int, random: Random, over: Sequence[Run], text: str) -> Entry:
    row = _row(number, random, text)
    seen = row.end or row.submission or NOW
    first = next((run for run in over if seen <= run.now), over[-1])
    return Entry(
        row=row,
        run=first.id,
        shard=f"runs/{first.id}/jobs-0000.jsonl.zst",
        line=number,
        digest=sha256(msgspec.json.encode(row)).hexdigest()[:32],
        row_digest="",
        first_run=first.id,
        last_run=over[-1].id,
    )


def _row(number: int, random: Random, text: str) -> JobRow:
    submission = NOW - timedelta(seconds=random.random() * 7 * 86400)
    end: datetime | None = submission + timedelta(minutes=5 + random.random() * 240)
    status = random.choices(
        ("Succeeded", "Failed", "Aborted", "Running", "Submitted", "Paused"), (70, 15, 4, 6, 3, 2)
    )[0]
    if status not in ("Succeeded", "Failed", "Aborted") or (end and end > NOW):
        end = None
        status = status if status in ("Submitted", "Paused") else "Running"
    message = random.choice(MESSAGES).format(n=number) + text
    labels = {"owner": random.choice(("ana", "li", "omar")) + text, "sample": f"NA{number}{text}"}
    if random.random() < 0.8:
        labels["batch"] = f"b{random.randrange(6)}"
    if random.random() < 0.1:
        labels["flag"] = random.choice(("archive", "follow-up"))
    return JobRow(
        id=str(UUID(int=random.getrandbits(128))) + text,
        name=random.choice(WORKFLOWS) + text,
        status=status,
        submission=submission,
        start=submission + timedelta(minutes=5) if status != "Submitted" else None,
        end=end,
        labels=labels,
        user=f"{labels['owner']}@example.org",
        key=str(number % 60),
        failure=Failure(message=message, task="Align" + text) if status == "Failed" else None,
        failed_tasks=("Align" + text,) if status == "Failed" else (),
    )


def record(row: JobRow) -> Record:
    """What a store would hold of such a job."""
    tree: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "submission": utc_text(row.submission or NOW),
        "labels": dict(row.labels),
    }
    if row.start:
        tree["start"] = utc_text(row.start)
    if row.end:
        tree["end"] = utc_text(row.end)
    failures = (
        [{"failure": row.failure.message, "taskName": row.failure.task}] if row.failure else []
    )
    detail = {
        **tree,
        "inputs": {},
        "outputs": {},
        "failures": failures,
        "extensions": {"tasks": []},
    }
    return Record(id=row.id, row=tree, detail=detail)


def read(
    stored: dict[tuple[str, int], JobRow], shard: str, lines: Sequence[int]
) -> Iterator[Record]:
    """The records on these lines of a shard."""
    for line in lines:
        yield record(stored[shard, line])


Reader = Callable[[dict[tuple[str, int], JobRow], str, Sequence[int]], Iterator[Record]]


def report(jobs: Sequence[Entry], over: Sequence[Run], settings: Settings | None = None) -> Report:
    """What the analysis finds."""
    settings = settings or Settings()
    history = GrowingBeneath(Held(jobs))
    return analyse(history, over, {}, settings=settings.report, slos=settings.slo)


def write(
    where: Path,
    jobs: Sequence[Entry],
    over: Sequence[Run],
    *,
    settings: Settings | None = None,
    workers: int = 1,
    crew: Crew | None = None,
    executor: str = "",
    share: Share = WHOLE,
    reader: Reader = read,
    compiled: Path | None = None,
) -> Written:
    """The site of these jobs; `reader` gives the records of some lines of a shard."""
    settings = settings or Settings()
    others = site.crew_of(
        where, settings=settings, version="0.1.0", workers=workers, compiled=compiled
    )
    with others:
        return site.write(
            where,
            Telling(
                report=report(jobs, over, settings),
                contexts=contexts(Held(jobs), over),
                history=Held(jobs),
                read_records=partial(
                    reader, {(entry.shard, entry.line): entry.row for entry in jobs}
                ),
            ),
            settings=settings,
            hands=Hands(crew=crew or others, executor=executor, share=share),
            progress=SilentProgress(),
        )


def contents(where: Path) -> dict[str, bytes]:
    """Every file of a site but jmreport's own."""
    return {
        path.relative_to(where).as_posix(): path.read_bytes()
        for path in sorted(where.rglob("*"))
        if path.is_file() and ".jmreport" not in path.parts
    }


def of_former_times(path: Path) -> None:
    """Makes a ledger one that has a line a file."""
    with closing(sqlite3.connect(path)) as database, database:
        rows = database.execute("SELECT owner, content, kept, files FROM pages").fetchall()
        database.execute("DROP TABLE pages")
        database.execute(
            "CREATE TABLE files (address TEXT PRIMARY KEY, owner TEXT NOT NULL, "
            "content TEXT NOT NULL, size INTEGER NOT NULL, sum TEXT NOT NULL, "
            "kept INTEGER NOT NULL) WITHOUT ROWID"
        )
        for owner, content, put, files in rows:
            for one in unpacked(owner, files):
                line = (one.address, owner, content, one.size, one.sum, put)
                database.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", line)
        database.execute("PRAGMA user_version = 1")
