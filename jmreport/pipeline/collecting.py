"""Collect: the steps of a run, in the order in which a server is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from jmreport import __version__
from jmreport.errors import (
    JmreportError,
    ServerError,
    StoppedError,
    UnreadableError,
    UsageError,
)
from jmreport.gaps import Gap
from jmreport.pipeline import mirroring
from jmreport.pipeline.asking import (
    asked_of,
    client_for,
    credentials_for,
    never_asked,
    reaching_back,
    without_own_secrets,
)
from jmreport.pipeline.crawling import PartOf, crawl
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import BUILT_IN, PLANTED, Outcome, Source, exit_of
from jmreport.progress import Progress
from jmreport.records import Asked, Run, newest_usable
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.client import Client
    from jmreport.collectors.capabilities import Server
    from jmreport.snapshots import RunWriter, Store

#: How a run that was cut short is taken up again.
GO_ON = "run the same command again to go on from there"
#: What to do where a real server's jobs would go among invented ones.
APART = "remove it and the site that was made of it, or give --snapshots and --site"


def collect(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
    until: float | None = None,
) -> Outcome:
    """Pull what the window asks for into a new run of the store.

    From `until` on, as `time.monotonic` tells it, nothing more is asked: the run ends with what it
    has, and the rest are gaps.

    Runs that other machines pushed to the store's mirror come first, and this one is pushed.

    Raises NothingUsableError when the list can't be read (the run's reason is kept in the store),
    LockedError when another run writes, UsageError for settings that can't be.
    """
    collecting = partial(
        _into_the_store,
        settings,
        now=now,
        source=source,
        environ=environ,
        progress=progress,
        until=until,
    )
    return mirroring.around(settings, collecting, now=now, environ=environ, progress=progress)


def _into_the_store(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
    until: float | None,
) -> Outcome:
    """The run itself."""
    from jmreport.snapshots import Redaction

    asked = asked_of(settings, now=now, source=source)
    with ExitStack() as stack:
        found = credentials_for(settings, source=source, environ=environ, until=until)
        client = stack.enter_context(
            client_for(settings, found, now=now, source=source, until=until)
        )
        redaction = Redaction.of(without_own_secrets(settings, found))
        store = stack.enter_context(open_store(settings, create=True))
        before = store.runs()
        keep_invented_jobs_apart(before, source, settings)
        notes = moved(before, asked)
        known = (*store.pruned(), *before)
        kept = redaction.salted(store.salt().strip()) if redaction.hashes else redaction
        asked = reaching_back(asked, known, as_kept=kept.asked(asked), now=now)
        with (
            going_on(settings) as going,
            store.begin(now, redaction, asked=asked, version=__version__) as writer,
        ):
            going.append(writer)
            run = read_all(
                settings,
                asked,
                client=client,
                store=store,
                writer=writer,
                gaps=never_asked(writer.asked, known, now=now),
                progress=progress,
            )
            run = writer.finish(replace(run, notes=(*notes, *run.notes)))
    lines = (summary(run), *cut_short(run, settings))
    return Outcome(exit=exit_of(run), summary=lines, run=run)


@contextmanager
def going_on(settings: Settings) -> Iterator[list[RunWriter]]:
    """Tell whoever stopped a run, or saw it fail, what is kept of it and how it goes on."""
    going: list[RunWriter] = []
    try:
        yield going
    except KeyboardInterrupt as stop:
        safe = _safe(settings, going)
        raise StoppedError(f"stopped{safe and ': '}{safe}", hint=GO_ON if safe else "") from stop
    except JmreportError as error:
        if safe := _safe(settings, going):
            error.hint = "; ".join(part for part in (error.hint, f"{safe}: {GO_ON}") if part)
        raise


def _safe(settings: Settings, going: list[RunWriter]) -> str:
    """What a run that did not end left in the store; "" where it left nothing."""
    if not going or not going[0].stored:
        return ""
    return f"{_jobs(going[0].known)} safe in {settings.snapshots.dir}"


def cut_short(run: Run, settings: Settings) -> tuple[str, ...]:
    """What to say of a run during which the server went away, or whose time was up."""
    if not any(gap.is_cut_short for gap in run.gaps):
        return ()
    read = run.counts.fetched - run.counts.unreadable + run.counts.unchanged
    return (f"{_jobs(read)} safe in {settings.snapshots.dir}: {GO_ON}",)


def _why_no_list(server: Server, settings: Settings) -> str:
    """What to do where not even the first page of the list can be read."""
    if "projectId" in server.view.query_extensions and not settings.api.project_id:
        # dsub on Google lists nothing without one, and says so in many ways.
        return "the server lists jobs by project: give --project-id or set api.project_id"
    return "see what the server answers to POST /jobs/query"


def _jobs(number: int) -> str:
    return "1 job is" if number == 1 else f"{number} jobs are"


def read_all(
    settings: Settings,
    asked: Asked,
    *,
    client: Client,
    store: Store,
    writer: RunWriter,
    gaps: tuple[Gap, ...],
    part: PartOf | None = None,
    progress: Progress,
) -> Run:
    """The steps of a run, in the order in which a server is asked. `gaps` are known beforehand.

    Of a run in parts the first one asks for what is of no job.
    """
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
    try:
        counts, unread = crawl(
            settings,
            listing,
            client=client,
            store=store,
            writer=writer,
            part=part,
            progress=progress,
        )
    except UnreadableError as error:
        raise ServerError(
            f"the list of jobs could not be read: {error.message}",
            hint=error.hint or _why_no_list(server, settings),
        ) from error
    lap("jobs")

    frame_gaps: tuple[Gap, ...] = ()
    if part is None or part.shard.number == 1:
        with progress.step("ask for the server's own counts", None):
            trees, frame_gaps = aggregations.read(
                client, server.view, project_id=settings.api.project_id
            )
            writer.aggregations(trees)
    lap("aggregations")

    gaps = (*gaps, *server.gaps, *unread, *frame_gaps)
    return Run(
        id=writer.id,
        now=writer.now,
        state="incomplete" if gaps else "complete",
        asked=asked,
        version=__version__,
        capabilities=server.tree,
        health=server.health,
        own_fields=server.own_fields | listing.own_fields,
        operations=client.operations,
        counts=replace(
            counts,
            requests=client.requests,
            by_server=listing.total,
            left_out=listing.left_out,
        ),
        gaps=gaps,
        notes=(*_server_notes(server), *listing.notes),
        seconds=seconds,
    )


def keep_invented_jobs_apart(before: tuple[Run, ...], source: Source, settings: Settings) -> None:
    """The built-in server's jobs never go among others, a real one's or planted nights', nor a
    real server's among them."""
    # Where none brought anything, runs that failed say whose jobs are to lie there.
    telling = [run for run in before if run.usable] or before
    others = {run.asked.server for run in telling} - {source.name}
    if not source.demo and only_invented(before):
        raise UsageError(
            f"{settings.snapshots.dir} holds invented jobs of --demo, "
            "which would count as this server's nights before",
            hint=APART,
        )
    if source.demo and others:
        whose = "a real server" if any(map(_is_real, others)) else "another invented one"
        raise UsageError(
            f"{settings.snapshots.dir} is for the jobs of {whose}, and --demo invents some",
            hint="give the demo directories of its own with --snapshots and --site",
        )


def only_invented(runs: tuple[Run, ...]) -> bool:
    """Whether runs brought jobs, and all of them are the built-in server's.

    Where a real server's are among them already, its nights go on: they are worth more.
    """
    servers = {run.asked.server for run in runs if run.usable}
    return bool(servers) and not any(map(_is_real, servers))


def _is_real(server: str) -> bool:
    return server not in (BUILT_IN, PLANTED)


def moved(before: tuple[Run, ...], asked: Asked) -> tuple[str, ...]:
    """A note where the runs before were another server's."""
    last = newest_usable(before)
    if last is None or last.asked.address == asked.address:
        return ()
    return (f"The runs before were of {last.asked.server}; this one is of {asked.server}.",)


def _server_notes(server: Server) -> tuple[str, ...]:
    if server.health == "available":
        return ()
    return (f"The server's health check: {server.health}.",)


def summary(run: Run, did: str = "") -> str:
    """What a run came to; `did` are other words than that it was collected.

    What was listed, followed and found below them is as many as what was read and had not changed.
    """
    counts = run.counts
    # Each of them was read, or had not changed: `unchanged` alone is of jobs of the list.
    known = counts.listed + counts.followed + counts.sub_workflows
    parts = [f"{counts.listed} listed"]
    if counts.followed:
        parts.append(f"{counts.followed} followed")
    if counts.sub_workflows:
        parts.append(f"{counts.sub_workflows} sub-workflows")
    parts += [
        f"{counts.read} read",
        f"{max(counts.unchanged, known - counts.fetched)} unchanged",
        f"{counts.requests} requests",
    ]
    if run.gaps:
        parts.append(f"{len(run.gaps)} could not be read (see quality.html)")
    did = did or f"collected {run.asked.timeframe} into run {run.id}"
    return f"{did}: " + ", ".join(parts)
