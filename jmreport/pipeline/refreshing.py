"""Refresh: a few jobs read again, without a night of their own.

a job was aborted at ten  ->  its record is new, the night's verdict stays that of the night
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from jmreport import __version__
from jmreport.errors import UnreadableError, UsageError
from jmreport.gaps import Gap
from jmreport.pipeline import mirroring
from jmreport.pipeline.asking import client_for, credentials_for, without_own_secrets
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import Outcome, Source, exit_of
from jmreport.progress import Progress
from jmreport.records import Asked, Counts, Filters, Run, newest_usable, plain_address
from jmreport.settings import Settings
from jmreport.sizes import counted

if TYPE_CHECKING:
    from jmreport.client import Client
    from jmreport.snapshots import RunWriter, Store


def refresh(
    settings: Settings,
    jobs: Sequence[str],
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """Read these jobs again, with what is below them, into a run that makes no night.

    Runs that other machines pushed to the store's mirror come first, and this one is pushed.

    Raises UsageError for a job that no snapshot knows, or that is another server's.
    """
    reading = partial(
        _into_the_store,
        settings,
        jobs,
        now=now,
        source=source,
        environ=environ,
        progress=progress,
    )
    return mirroring.around(settings, reading, now=now, environ=environ, progress=progress)


def _into_the_store(
    settings: Settings,
    jobs: Sequence[str],
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """The run itself."""
    from jmreport.snapshots import Redaction

    with ExitStack() as stack:
        found = credentials_for(settings, source=source, environ=environ)
        client = stack.enter_context(client_for(settings, found, now=now, source=source))
        redaction = Redaction.of(without_own_secrets(settings, found))
        store = stack.enter_context(open_store(settings, create=False))
        _known_there(store, jobs, source, settings)
        client.probe()
        asked = Asked(
            server=source.name,
            timeframe=settings.collect.timeframe,
            filters=Filters(job_id=jobs[0] if len(jobs) == 1 else None),
            in_file=source.in_file,
        )
        # Killed or not, it makes no night and takes none away.
        with store.begin(
            now, redaction, asked=asked, version=__version__, stopped="refreshed"
        ) as writer:
            run = writer.finish(
                _read(settings, jobs, client, store=store, writer=writer, progress=progress)
            )
    unread = [gap for gap in run.gaps if gap.kind == "job"]
    count = counted(len(jobs), "job")
    line = f"read {count} again into run {run.id}: {run.counts.stored} changed"
    return Outcome(
        exit=exit_of(run),
        summary=(line, *(f"job {gap.job} could not be read: {gap.why}" for gap in unread)),
        run=run,
    )


def _known_there(store: Store, jobs: Sequence[str], source: Source, settings: Settings) -> None:
    last = newest_usable(store.runs())
    if last is None:
        raise UsageError(
            f"no run in {settings.snapshots.dir} yet, so there is no job to read again",
            hint="run the same command without --job first",
        )
    if last.asked.address != plain_address(source.name):
        raise UsageError(
            f"{settings.snapshots.dir} holds the jobs of {last.asked.server}",
            hint="--job reads a job again where it was read before",
        )
    for job in jobs:
        if store.entry(job) is None:
            raise UsageError(
                f"no job {job!r} in {settings.snapshots.dir}",
                hint="give its whole id; the same command without --job reads new jobs",
            )


def _read(
    settings: Settings,
    jobs: Sequence[str],
    client: Client,
    *,
    store: Store,
    writer: RunWriter,
    progress: Progress,
) -> Run:
    """The jobs, and what is below them and may still change."""
    from jmreport.collectors.crawl import Crawl, Wanted

    began = time.monotonic()

    def known(job: str, row: Any) -> tuple[str, ...] | None:  # noqa: ARG001 - the row decides nothing
        entry = store.entry(job)
        if job in jobs or entry is None or entry.row.active:
            return None
        return entry.row.children

    wanted = []
    for job in jobs:
        before = store.record(job)
        row = (
            _row(client, job, settings.api.project_id) or before.row
            if before.row is not None
            else None
        )
        if row is not None:
            writer.list_row(row)
        wanted.append(Wanted(id=job, row=row, parent=before.parent, root=job))
    crawler = Crawl(
        client,
        known=known,
        seen=writer.seen,
        concurrency=settings.api.concurrency,
        limits=settings.collect,
    )
    gaps: list[Gap] = []
    fetched = 0
    with progress.step("read jobs again", len(jobs)) as step:
        for record in crawler.records(wanted):
            gaps.extend(writer.add(record))
            fetched += 1
            step.advance()
    return Run(
        id=writer.id,
        now=writer.now,
        state="refreshed",
        asked=writer.asked,
        version=__version__,
        operations=client.operations,
        counts=Counts(listed=len(jobs), fetched=fetched, requests=client.requests),
        gaps=(*gaps, *crawler.gaps),
        seconds={"jobs": round(time.monotonic() - began, 3)},
    )


def _row(client: Client, job: str, project: str | None) -> dict[str, Any] | None:
    """The job's row as the list shows it now; None where the server does not find it by its id."""
    from jmreport.models import ExtendedQueryFields, QueryJobsRequest

    among = ExtendedQueryFields(project_id=project) if project else None
    try:
        answer = client.query(QueryJobsRequest(id=job, page_size=1, extensions=among))
    except UnreadableError:
        return None
    rows = answer.get("results")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("id") == job:
            return row
    return None
