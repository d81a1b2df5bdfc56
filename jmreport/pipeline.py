"""The table of contents: collect, render, build, check.

    settings, now, source --collect--> a run in snapshots/ --render--> pages in site/

Each function takes values and returns a value with the exit code it stands for; nothing here prints
or reads the clock. Rooms are imported where they are used, so that `render` loads no network
library and `--help` loads nothing at all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from jmreport import __version__
from jmreport.errors import (
    Exit,
    ServerError,
    UnreadableError,
    UsageError,
    first,
)
from jmreport.progress import Progress
from jmreport.records import (
    FRAME_LENGTHS,
    Asked,
    Counts,
    Filters,
    Gap,
    Run,
)
from jmreport.settings import Api, Redact, Settings

if TYPE_CHECKING:
    from jmreport.client import Client
    from jmreport.collectors.capabilities import Server
    from jmreport.collectors.demo import Demo
    from jmreport.collectors.query import Listing
    from jmreport.credentials import Credentials
    from jmreport.snapshots import RunWriter, Store


#: Shorter texts of ours would take ordinary words out of answers.
SECRET_LENGTH = 8


class DemoOptions(Struct, frozen=True, kw_only=True):
    """Which built-in server: the same options, the same answers."""

    seed: int = 1
    jobs: int = 2000
    like: str = "spec"


class Source(Struct, frozen=True, kw_only=True):
    """Where jobs come from: a server's address, or the built-in server in process."""

    url: str | None = None
    demo: DemoOptions | None = None

    @property
    def name(self) -> str:
        """The server as runs remember it."""
        return self.url or "the built-in demo server"


class Outcome(Struct, frozen=True, kw_only=True):
    """What a command came to: its exit code, and plain lines that say so."""

    exit: Exit = Exit.DONE
    summary: tuple[str, ...] = ()
    run: Run | None = None


class Fault(Protocol):
    """Something `check` found: what is wrong, and why it matters."""

    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...


class Checked(Struct, frozen=True, kw_only=True):
    """A fault of the store or of the site."""

    what: str
    why: str


# Collecting


def collect(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """Pull what the window asks for into a new run of the store.

    Raises NothingUsableError when the list can't be read (the run's reason is kept in the store),
    LockedError when another run writes, UsageError for settings that can't be.
    """
    from jmreport.snapshots import Redaction

    asked = _asked(settings, now=now, source=source)
    with ExitStack() as stack:
        found = _credentials(settings, source=source, environ=environ)
        client = stack.enter_context(_client(settings, found, now=now, source=source))
        redaction = Redaction.of(_without_own_secrets(settings, found))
        store = stack.enter_context(_open(settings, create=True))
        before = store.runs()
        _keep_invented_jobs_apart(before, source, settings)
        writer = stack.enter_context(store.begin(now, redaction, asked=asked, version=__version__))
        notes = _moved(before, asked)
        try:
            run = _collect(
                settings, asked, client=client, store=store, writer=writer, progress=progress
            )
        except UnreadableError as error:
            raise ServerError(
                f"the list of jobs could not be read: {error.message}",
                hint=error.hint or "see what the server answers to POST /jobs/query",
            ) from error
        run = replace(run, notes=(*notes, *run.notes))
        run = writer.finish(run)
    code = Exit.INCOMPLETE if run.gaps else Exit.DONE
    return Outcome(exit=code, summary=(_summary(run),), run=run)


def _collect(
    settings: Settings,
    asked: Asked,
    *,
    client: Client,
    store: Store,
    writer: RunWriter,
    progress: Progress,
) -> Run:
    """The steps of a run, in the order in which a server is asked."""
    from jmreport.collectors import aggregations, capabilities
    from jmreport.collectors.query import Listing

    began = time.monotonic()
    seconds: dict[str, float] = {}

    def lap(step: str) -> None:
        seconds[step] = round(time.monotonic() - began - sum(seconds.values()), 3)

    with progress.step("ask the server what it offers", None):
        client.probe()
        server = capabilities.read(client)
    lap("capabilities")

    listing = Listing(client, asked, server.view, page_size=settings.api.page_size)
    counts, gaps = _crawl(
        settings, listing, client=client, store=store, writer=writer, progress=progress
    )
    lap("jobs")

    with progress.step("ask for the server's own counts", None):
        trees, frame_gaps = aggregations.read(
            client, server.view, project_id=settings.api.project_id
        )
        writer.aggregations(trees)
    lap("aggregations")

    gaps = (*server.gaps, *gaps, *frame_gaps)
    return Run(
        id=writer.id,
        now=writer.now,
        state="incomplete" if gaps else "complete",
        asked=asked,
        version=__version__,
        capabilities=server.tree,
        health=server.health,
        operations=client.operations,
        counts=replace(counts, requests=client.requests),
        gaps=gaps,
        notes=(*_server_notes(server, settings), *listing.notes),
        seconds=seconds,
    )


def _crawl(
    settings: Settings,
    listing: Listing,
    *,
    client: Client,
    store: Store,
    writer: RunWriter,
    progress: Progress,
) -> tuple[Counts, tuple[Gap, ...]]:
    """List, follow and read jobs, writing each as it comes."""
    from jmreport.collectors.crawl import Crawl, Limits, Wanted
    from jmreport.collectors.metadata import Depth
    from jmreport.collectors.query import job_id, wanted

    asked = listing.asked
    last = next((run for run in reversed(store.runs()) if run.usable), None)
    followed = 0
    listed: set[str] = set()

    def jobs() -> Iterator[Wanted]:
        nonlocal followed
        for row in listing.rows():
            job = job_id(row)
            if job is None:
                continue
            listed.add(job)
            writer.list_row(row)
            yield Wanted(id=job, row=row, root=job)
        _refuse_an_emptied_list(store, listing, last)
        for entry in store.active():
            if entry.row.id in listed or (last and entry.last_run < last.id):
                continue
            if not entry.row.listed or not wanted(_as_row(entry.row), replace(asked, since=None)):
                continue
            followed += 1
            yield Wanted(id=entry.row.id, root=entry.row.id)

    def known(job: str, row: Any) -> tuple[str, ...] | None:
        entry = store.entry(job)
        if entry is None or entry.row.active or any(_worth_another_try(g) for g in entry.row.gaps):
            return None
        if row is not None and entry.row_digest != store.row_digest(row):
            return None
        return entry.row.children

    crawl = Crawl(
        client,
        known=known,
        seen=writer.seen,
        concurrency=settings.api.concurrency,
        limits=Limits(
            depth=settings.collect.max_depth, sub_workflows=settings.collect.max_sub_workflows
        ),
        depth=Depth(
            log_tails=settings.collect.log_tails,
            operation_details=settings.collect.operation_details,
        ),
    )
    fetched = unreadable = 0
    gaps: list[Gap] = []
    with progress.step("read jobs", None) as step:
        for record in crawl.records(jobs()):
            fetched += 1
            unreadable += any(gap.what == "job" for gap in record.gaps)
            gaps.extend(record.gaps)
            writer.add(record)
            step.advance()
    counts = Counts(
        listed=listing.listed,
        fetched=fetched,
        unchanged=crawl.unchanged,
        followed=followed,
        sub_workflows=crawl.sub_workflows,
        unreadable=unreadable,
        stored=writer.stored,
        taken_out=writer.taken_out,
    )
    return counts, (*listing.gaps, *gaps, *crawl.gaps)


def _worth_another_try(gap: Gap) -> bool:
    """A log that could not be read stays unread; a job or its attempts may come next time."""
    from jmreport.collectors.metadata import MISFIT

    unread = gap.what == "job" and not gap.why.startswith(MISFIT)
    return unread or gap.what.startswith("attempts of ")


def _as_row(row: Any) -> dict[str, Any]:
    """A JobRow as the list row that filters are applied to."""
    return {
        "id": row.id,
        "name": row.name or None,
        "status": row.status,
        "submission": row.submission.isoformat() if row.submission else None,
        "start": row.start.isoformat() if row.start else None,
        "end": row.end.isoformat() if row.end else None,
        "labels": row.labels,
        "extensions": {"userId": row.user} if row.user else {},
    }


def _refuse_an_emptied_list(store: Store, listing: Listing, last: Run | None) -> None:
    """An empty list is no news where the window's jobs are known: the server lies or lost them."""
    from jmreport.collectors.query import wanted

    if listing.listed or last is None:
        return
    expected = sum(
        entry.row.listed and entry.last_run >= last.id and wanted(_as_row(entry.row), listing.asked)
        for entry in store.entries()
    )
    if expected:
        raise ServerError(
            f"the server lists no job, though {expected} of this window were listed at "
            f"{last.now:%Y-%m-%d %H:%M} UTC",
            hint="it may have lost its database, or the token may see no jobs any more; the old "
            "site is untouched. Use other directories for a server that really is new",
        )


def _asked(settings: Settings, *, now: datetime, source: Source) -> Asked:
    filters = _filters(settings)
    length = FRAME_LENGTHS[settings.collect.timeframe]
    bounds = [at for at in (now - length if length else None, filters.submission) if at]
    return Asked(
        server=source.name,
        timeframe=settings.collect.timeframe,
        since=max(bounds) if bounds else None,
        filters=filters,
    )


def _filters(settings: Settings) -> Filters:
    wish = settings.collect
    return Filters(
        status=wish.status,
        labels=wish.labels,
        name=wish.name,
        job_id=wish.job_id,
        project_id=settings.api.project_id,
        user_id=wish.user_id,
        start=_instant("start", wish.start),
        end=_instant("end", wish.end),
        submission=_instant("submission", wish.submission),
        hide_archived=wish.hide_archived,
    )


def _instant(key: str, text: str | None) -> datetime | None:
    """A filter's date, which must say its offset: servers drop or replace it."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise UsageError(
            f"collect.{key}: {text!r} is not a date with an offset",
            hint="write it like 2026-11-23T02:14:00Z",
        )
    return at.astimezone(UTC)


def _client(
    settings: Settings, found: Credentials | None, *, now: datetime, source: Source
) -> Client:
    from jmreport.client import Client

    if source.demo is not None:
        demo = _demo(source.demo, now=now)
        api = replace(settings.api, url="http://built-in.invalid/api/v1")
        return Client(api, respond=demo.respond)
    return Client(replace(settings.api, url=source.url), credentials=found)


def _credentials(
    settings: Settings, *, source: Source, environ: Mapping[str, str]
) -> Credentials | None:
    """What the server is shown; the built-in one in process asks for nothing."""
    from jmreport import credentials
    from jmreport.client import send

    if source.demo is not None:
        return None
    api = replace(settings.api, url=source.url)
    scopes = _scopes(api) if api.google_auth else ()
    return credentials.find(api, environ, scopes=scopes, send=send)


def _without_own_secrets(settings: Settings, found: Credentials | None) -> Redact:
    """What is taken out, and with it what we send: a server may repeat it in any of its answers.

    Google's tokens change while a run goes on, and are known by their shape.
    """
    own = {found.token()} if found and not settings.api.google_auth else set()
    for value in settings.api.headers.values():
        own |= {value, *value.split()}
    literal = sorted((re.escape(text) for text in own if len(text) >= SECRET_LENGTH), reverse=True)
    return replace(settings.redact, patterns=(*settings.redact.patterns, *literal))


def _scopes(api: Api) -> tuple[str, ...]:
    """The scopes that the server's capabilities name; they are given without a token."""
    from jmreport.client import Client
    from jmreport.collectors import capabilities

    with Client(api) as client:
        client.probe()
        wanted = capabilities.read(client).view.authentication
    return wanted.scopes if wanted else ()


def _keep_invented_jobs_apart(before: tuple[Run, ...], source: Source, settings: Settings) -> None:
    """The built-in server's jobs never go among those of a real one."""
    if source.demo and any(run.usable and run.asked.server != source.name for run in before):
        raise UsageError(
            f"{settings.snapshots.dir} holds the jobs of a real server, and --demo invents some",
            hint="give the demo directories of its own with --snapshots and --site",
        )


def _moved(before: tuple[Run, ...], asked: Asked) -> tuple[str, ...]:
    last = next((run for run in reversed(before) if run.usable), None)
    if last is None or last.asked.server == asked.server:
        return ()
    return (f"The runs before were of {last.asked.server}; this one is of {asked.server}.",)


def _server_notes(server: Server, settings: Settings) -> tuple[str, ...]:
    notes = []
    if server.health != "available":
        notes.append(f"The server's health check: {server.health}.")
    offered = server.view.query_extensions
    if settings.api.project_id and "projectId" not in offered:
        notes.append("A project is configured, and the server does not filter by project.")
    if settings.collect.user_id and "userId" not in offered:
        notes.append("A user was asked for, and the server does not filter by user; applied here.")
    return tuple(notes)


def _summary(run: Run) -> str:
    counts = run.counts
    parts = [
        f"{counts.listed} listed",
        f"{counts.fetched} read",
        f"{counts.unchanged} unchanged",
        f"{counts.requests} requests",
    ]
    if counts.sub_workflows:
        parts.insert(2, f"{counts.sub_workflows} sub-workflows")
    if counts.followed:
        parts.insert(2, f"{counts.followed} followed")
    if run.gaps:
        parts.append(f"{len(run.gaps)} could not be read (see quality.html)")
    return f"collected {run.asked.timeframe} into run {run.id}: " + ", ".join(parts)


# Rendering


def render(settings: Settings, *, progress: Progress, workers: int = 0) -> Outcome:
    """Write the pages of the newest usable run; the same snapshots make the same bytes.

    `workers` is the number of processes that render job pages; 0 is one for each core.
    Raises SnapshotError when there is no run to make pages of.
    """
    from jmreport import analysis
    from jmreport.errors import SnapshotError
    from jmreport.render import site
    from jmreport.snapshots import read_records

    with _open(settings, create=False) as store:
        runs = store.runs()
        newest = next((run for run in reversed(runs) if run.usable), None)
        if newest is None:
            why = f": {runs[-1].reason}" if runs and runs[-1].reason else ""
            raise SnapshotError(
                f"no usable run in {settings.snapshots.dir}{why}",
                hint="run `jmreport collect` first",
            )
        with progress.step("analyse", None):
            entries = tuple(store.entries())
            report = analysis.analyse(
                entries, runs, store.aggregations(newest.id), settings=settings.report
            )
        written = site.write(
            Path(settings.site.dir),
            report,
            analysis.contexts(entries, runs),
            partial(read_records, Path(settings.snapshots.dir)),
            settings=settings,
            version=__version__,
            workers=workers,
            progress=progress,
        )
    line = (
        f"rendered {settings.site.dir}/index.html: {written.pages} pages, "
        f"{written.rewritten} rewritten, {written.unchanged} unchanged"
    )
    code = Exit.DONE if report.complete else Exit.INCOMPLETE
    return Outcome(exit=code, summary=(line,), run=newest)


def build(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
    workers: int = 0,
) -> Outcome:
    """Collect, then render. When nothing usable came the site stays as it was."""
    collected = collect(settings, now=now, source=source, environ=environ, progress=progress)
    rendered = render(settings, progress=progress, workers=workers)
    return Outcome(
        exit=first(collected.exit, rendered.exit),
        summary=(*collected.summary, *rendered.summary),
        run=rendered.run,
    )


# Looking after what there is


def check(settings: Settings) -> tuple[Checked, ...]:
    """What is wrong with the store and with the site's links; empty when both are whole."""
    from jmreport.render import linkcheck

    with _open(settings, create=False) as store:
        faults = [Checked(what=fault.what, why=fault.why) for fault in store.check()]
    if Path(settings.site.dir).exists():
        found = linkcheck.check(Path(settings.site.dir))
        faults += [Checked(what=fault.what, why=fault.why) for fault in found]
    return tuple(faults)


def demo_server(
    *,
    now: datetime,
    port: int,
    like: str = "spec",
    jobs: int = 2000,
    seed: int = 1,
    token: str | None = None,
) -> Any:
    """The built-in server over HTTP on 127.0.0.1: `.url`, `.serve_forever()`, `.close()`."""
    from jmreport.collectors.demo import serve

    options = DemoOptions(seed=seed, jobs=jobs, like=like)
    return serve(_demo(options, now=now, token=token), port=port)


def _demo(options: DemoOptions, *, now: datetime, token: str | None = None) -> Demo:
    from jmreport.collectors.demo import LIKES, Demo

    if options.like not in LIKES:
        raise UsageError(
            f"--like {options.like}: no such server", hint=f"one of {', '.join(LIKES)}"
        )
    return Demo(now=now, seed=options.seed, jobs=options.jobs, like=options.like, token=token)


def _open(settings: Settings, *, create: bool) -> Store:
    from jmreport.analysis import summarise
    from jmreport.snapshots import Store

    return Store.open(Path(settings.snapshots.dir), summarise=summarise, create=create)
