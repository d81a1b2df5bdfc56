"""The jobs of a run: listed, followed and read, each written as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeGuard

from msgspec import Struct

from jmreport.errors import NothingUsableError, ServerError, UnreadableError
from jmreport.gaps import Gap, tell_of_a_detail
from jmreport.pipeline.following import Following, as_row
from jmreport.pipeline.sublisted import Sublisted
from jmreport.progress import Progress
from jmreport.records import Asked, Counts, Entry, Filters, JobRow, Run, newest_usable
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.client import Client
    from jmreport.collectors.query import Listing
    from jmreport.snapshots import RunWriter, Shard, Store

#: How long a run that is stopped waits for the answers that it has asked for.
STOPPING_SECONDS = 10.0


def crawl(
    settings: Settings,
    listing: Listing,
    *,
    client: Client,
    store: Store,
    writer: RunWriter,
    part: PartOf | None = None,
    progress: Progress,
) -> tuple[Counts, tuple[Gap, ...]]:
    """List, follow and read jobs, writing each as it comes; of a part only those that are its.

    `store` says which jobs need not be read again. Gaps of jobs come sorted by job, since answers
    come in any order.
    """
    from jmreport.collectors.crawl import Crawl, Wanted
    from jmreport.collectors.doubts import Settling
    from jmreport.collectors.metadata import parent_of
    from jmreport.collectors.query import job_id

    asked = writer.asked
    last = newest_usable(store.runs())
    followed = 0
    listed: set[str] = set()
    #: Those of other parts.
    others: set[str] = set()
    below = Sublisted()
    resumed = Resumed(part)
    following = Following(store, asked, now=writer.now, shard=part.shard if part else None)

    def expect(total: int) -> None:
        """Tell how many jobs there are: the server's word, until the list has ended."""
        step.expect(total + followed + crawler.sub_workflows)

    def jobs() -> Iterator[Wanted]:
        nonlocal followed
        for at, row in enumerate(listing.rows()):
            job = job_id(row)
            if job is None:
                continue
            if (parent := parent_of(row)) not in (None, job):
                below.take(at, job, row, parent)
            elif part is None or part.shard.holds(job):
                yield one(at, job, row)
            else:
                others.add(job)
            if listing.total is not None:
                expect(max(listing.total, listing.listed))
        for kept in below.rows(
            lambda job: job in listed or job in others, lambda job: store.entry(job) is not None
        ):
            if part is not None and not part.shard.holds(kept.parent or kept.job):
                continue
            if kept.parent is None:
                yield one(kept.at, kept.job, kept.row)
            else:
                yield Wanted(id=kept.job, parent=kept.parent, root=kept.parent, depth=1)
        listing.notes += below.notes()
        expect(listing.listed)
        _refuse_an_emptied_list(store, listing, asked, last)
        for other in following.jobs(listed | below.below):
            followed += 1
            expect(listing.listed)
            yield other

    def one(at: int, job: str, row: Any) -> Wanted:
        """A listed job."""
        listed.add(job)
        writer.list_row(row, at=at if part else None)
        return Wanted(id=job, row=row, root=job)

    def unnamed() -> Iterator[Wanted]:
        """Listed jobs that say to be below another one which knows nothing of them."""
        for kept in below.unnamed(crawler.has_met, crawler.left_out_below):
            yield one(kept.at, kept.job, kept.row)

    def seen(job: str) -> None:
        writer.seen(job)
        step.advance()

    def known(job: str, row: Any) -> tuple[str, ...] | None:
        found = store.entry(job)
        if _is_known(found, row, writer):
            return found.row.children
        again = resumed.entry(job)
        if _is_known(again, row, writer):
            resumed.take(again)
            return again.row.children
        return None

    crawler = Crawl(
        client,
        known=known,
        seen=seen,
        concurrency=settings.api.concurrency,
        limits=settings.collect,
    )
    fetched = unreadable = 0
    gaps: list[Gap] = []
    settling = Settling(client)
    reading = settling.records(crawler.records(jobs(), unnamed))
    with closing(below), progress.step("read jobs", None) as step:
        try:
            for record in reading:
                fetched += 1
                unreadable += tell_of_a_detail(record.gaps)
                gaps.extend(following.untold(record.id, writer.add(record)))
                step.advance()
        except (KeyboardInterrupt, NothingUsableError, UnreadableError) as stop:
            if isinstance(stop, KeyboardInterrupt):
                progress.note("stopping: keeping the answers under way; Ctrl-C again stops at once")
            for record in (*settling.rest(), *crawler.rest(STOPPING_SECONDS)):
                writer.add(record)
            client.close()
            raise
    counts = Counts(
        listed=len(listed),
        fetched=fetched + resumed.fetched,
        unchanged=crawler.unchanged - resumed.listed,
        followed=followed,
        sub_workflows=crawler.sub_workflows,
        unreadable=unreadable + resumed.unreadable,
        stored=writer.stored,
        taken_out=writer.taken_out,
    )
    of_jobs = sorted((*gaps, *resumed.gaps, *crawler.gaps), key=lambda gap: gap.job or "")
    return counts, (*listing.gaps, *of_jobs)


class PartOf(Struct, frozen=True):
    """What is collected is a part of a run; `own` is the part's own store, as it was before."""

    shard: Shard
    own: Store


class Resumed:
    """Jobs that an attempt at the same part had read before it was stopped: they count as read."""

    def __init__(self, part: PartOf | None) -> None:
        self._own = part.own if part else None
        self.fetched = self.listed = self.unreadable = 0
        self.gaps: list[Gap] = []

    def entry(self, job: str) -> Entry | None:
        """A job as that attempt left it."""
        return self._own.entry(job) if self._own else None

    def take(self, entry: Entry) -> None:
        """This one is not read again."""
        self.fetched += 1
        self.listed += entry.row.listed
        self.unreadable += tell_of_a_detail(entry.row.gaps)
        self.gaps.extend(entry.row.gaps)


def _is_known(entry: Entry | None, row: Any, writer: RunWriter) -> TypeGuard[Entry]:
    """Whether a job need not be read again; `row` is None where no list named it."""
    if entry is None or entry.row.active or any(gap.may_come for gap in entry.row.gaps):
        return False
    return row is None or entry.row_digest == writer.row_digest(row)


def _refuse_an_emptied_list(store: Store, listing: Listing, asked: Asked, last: Run | None) -> None:
    """An empty list is no news where the window's jobs are known: the server lies or lost them.

    Only those count that no quiet night takes away: a job that was active may have ended since, one
    from before the window too, and what has another status or label a filter may keep out.
    """
    if not listing.is_empty or last is None or _looks_at_what_changes(asked.filters):
        return
    expected = sum(
        entry.row.listed and entry.last_run >= last.id and _stays_listed(entry.row, asked)
        for entry in store.by_run()
    )
    if expected:
        raise ServerError(
            f"the server lists no job, though {expected} of this window were listed at "
            f"{last.now:%Y-%m-%d %H:%M} UTC",
            hint="it may have lost its database, or the token may see no jobs any more; the old "
            "site is untouched. Use other directories for a server that really is new",
        )


def _looks_at_what_changes(filters: Filters) -> bool:
    """Whether a job that passed these filters may pass them no more, though nothing was lost."""
    return bool(filters.status or filters.labels or filters.end or filters.hide_archived)


def _stays_listed(row: JobRow, asked: Asked) -> bool:
    """Whether a job is in every list that asks so: it was submitted in the window, and ended."""
    from jmreport.collectors.query import wanted

    inside = asked.since is None or (row.submission is not None and row.submission >= asked.since)
    return inside and not row.active and wanted(as_row(row), asked)
