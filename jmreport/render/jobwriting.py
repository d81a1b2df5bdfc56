"""Pages of jobs: those that have none are made while the jobs stream by, changed ones afterwards.

Nothing links to a new page yet when it is made, and a changed page waits, in a file, until all that
it may link to is there. What makes them is this process, forked ones, or a cluster.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from jmreport.progress import Step
from jmreport.render import addresses
from jmreport.render.account import Account
from jmreport.render.cluster import ClusterWorkers
from jmreport.render.crew import Crew
from jmreport.render.files import Files, cannot_write
from jmreport.render.jobcells import Jobs
from jmreport.render.ledger import Ledger
from jmreport.render.looking import Looking
from jmreport.render.making import Done, JobTask, Maker
from jmreport.render.page import digest
from jmreport.render.sharing import Others
from jmreport.render.workers import JobWorkers, batched, working
from jmreport.report.jobs import JobContext

#: Jobs whose pages are looked up in the ledger together.
LOOKED_UP = 200
#: Bytes of jobs whose pages have changed that are worth more than one process.
_FEW = 200_000


class JobPages:
    """The pages of jobs of one writing of the site.

    `jobs` are told of each job that streams by, `looking` of each page that stands or was made.
    A `crew` of this machine makes them, or the cluster that `executor` names.
    """

    def __init__(
        self,
        maker: Maker,
        ledger: Ledger,
        account: Account,
        looking: Looking,
        jobs: Jobs,
        others: Others,
        *,
        crew: Crew,
        executor: str,
    ) -> None:
        self._maker, self._ledger, self._account = maker, ledger, account
        self._files: Files = maker.files
        self._looking, self._jobs, self._others = looking, jobs, others
        self._crew, self._executor = crew, executor
        self._ids = ledger.ids()
        self._changed = self._files.spool("changed-jobs")
        #: Whether the folder of jobs' pages was not there, of which each is asked otherwise.
        self._bare = False

    def new(self, contexts: Iterable[JobContext], wanted: set[str], step: Step) -> None:
        """Makes the pages of jobs that have none, and sets aside those whose page has changed.

        `wanted` are ids of jobs of which all is remembered that lists and other pages show.
        """
        self._ledger.expect_jobs()
        self._bare = self._files.size(addresses.JOBS.rpartition("/")[0]) is None
        with _spooling(self._changed) as spool, self._who() as inner:
            workers = self._others.spare(inner, self._files)
            for done in batched(self._fresh(contexts, wanted, spool, step), workers):
                self._done(done, step)
        self._account.stand(self._looking.unchanged)
        step.advance(self._looking.jobs)
        self._looking.meet_others(self._jobs, wanted)

    def changed(self, step: Step) -> None:
        """Makes those that were set aside."""
        few = self._changed.stat().st_size <= _FEW
        with working(self._maker, None) if few else self._who() as inner:
            workers = self._others.spare(inner, self._files)
            for done in batched(_spooled(self._changed), workers):
                self._done(done, step)

    def _who(self) -> AbstractContextManager[JobWorkers]:
        """Who makes them."""
        if self._executor:
            return ClusterWorkers(self._maker, self._executor)
        return working(self._maker, self._crew)

    def _fresh(
        self, contexts: Iterable[JobContext], wanted: set[str], spool: BinaryIO, step: Step
    ) -> Iterator[JobTask]:
        contexts = iter(contexts)
        while some := list(islice(contexts, LOOKED_UP)):
            owners = [addresses.job(context.entry.row.id) for context in some]
            known = self._ledger.known(owners)
            for context, owner in zip(some, owners, strict=True):
                self._meet(context, wanted)
                task = JobTask(context, self._content(context))
                self._ledger.note_job(owner)
                self._ids.put(context.entry.row.id)
                content, files = known.get(owner, ("", ()))
                self._looking.take(owner, len(files))
                if content == task.content and self._account.whole(files):
                    self._account.stand(len(files))
                    self._looking.made(len(files))
                    step.advance()
                elif self._bare or self._files.size(owner) is None:
                    yield task
                else:
                    if not content:  # it has a page, though the ledger was lost that knew of it
                        self._ledger.put(owner, "", (), kept=True)
                    packed = msgspec.msgpack.encode(task)
                    spool.write(len(packed).to_bytes(4, "big") + packed)

    def _meet(self, context: JobContext, wanted: set[str]) -> None:
        """Remembers of a job what lists, and pages that tell of it, will show."""
        row = context.entry.row
        if row.id in wanted:
            self._jobs.add(context.entry, context.short_id)
        elif row.listed and row.id not in self._jobs.entries:
            self._jobs.meet(context.entry, context.short_id)
        self._looking.show(context.entry, self._jobs)

    def _content(self, context: JobContext) -> str:
        """The digest of what a job's page shows: where its record lies, and when, aren't shown."""
        entry = replace(context.entry, shard="", line=0, last_run="", row_digest="")
        needs = self._maker.facts.commands_need
        told = digest(replace(context, entry=entry), self._linked(context), needs)
        return f"{self._maker.base}{told}"

    def _linked(self, context: JobContext) -> tuple[list[str], list[str]]:
        """The labels and workflows that a job's page links to, since not all have a page."""
        row, facts = context.entry.row, self._maker.facts
        near = [row, *context.children, *((context.parent,) if context.parent else ())]
        return (
            sorted(facts.labels & row.labels.keys()),
            sorted(facts.workflows & {each.name for each in near}),
        )

    def _done(self, done: Done, step: Step) -> None:
        self._account.done(done, kept=True)
        step.advance()
        self._looking.made(len(done.files))


@contextmanager
def _spooling(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("wb") as spool:
            yield spool
    except OSError as error:
        raise cannot_write(path, error) from error


def _spooled(path: Path) -> Iterator[JobTask]:
    decoder = msgspec.msgpack.Decoder(JobTask)
    with path.open("rb") as spool:
        while length := spool.read(4):
            yield decoder.decode(spool.read(int.from_bytes(length, "big")))
