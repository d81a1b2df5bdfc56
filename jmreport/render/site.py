"""The site: every page, written only where what it shows has changed.

    1  assets                        named by their content, so they disturb nothing
    2  new job pages                 while contexts stream by, those that may be others
                                     (render/looking.py); nothing links to them yet
    3  other new pages
    4  changed job pages             then other changed pages, the overview last
    5  what nothing plans any more   paged lists past their end, rows of an older build, and pages
                                     of what was pruned
    6  the ledger                    the commit point

Killed at any moment, every file is whole and no page that can be reached links to one that isn't
there; the next run completes. Pages of jobs, workflows, causes and differences stay, also when
nothing plans them any more: they go only once the runs that told of them were pruned.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jmreport.guidance import Guidance
from jmreport.history import History
from jmreport.progress import Progress, Step
from jmreport.remembered import After, Contexts, StoreState
from jmreport.render import (
    addresses,
    charts,
    data,
    feed,
    hostpages,
    joblists,
    kept,
    listpages,
    multiqc,
    plotting,
    reportjson,
    seal,
)
from jmreport.render.cluster import ClusterWorkers
from jmreport.render.drawnbeside import Beside, drawn_beside
from jmreport.render.files import Files, Sum, WrittenFile, cannot_write, sum_of
from jmreport.render.guides import Guides
from jmreport.render.jobcells import Lent
from jmreport.render.jobfacts import site_facts
from jmreport.render.ledger import NAME, Ledger
from jmreport.render.looking import Looking, Seen
from jmreport.render.making import Done, JobTask, Maker, ReadRecords, base_of
from jmreport.render.page import digest
from jmreport.render.plan import There, plan, told_of
from jmreport.render.seal import Seal
from jmreport.render.sharing import WHOLE, Others, Share
from jmreport.render.standing import Standing
from jmreport.render.theme import Theme
from jmreport.render.workers import MOST_WORKERS, JobWorkers, batched, working
from jmreport.report import JobContext, Night, Report
from jmreport.settings import Settings

_NO_GUIDANCE = Guidance()
#: Whose pages stay though nothing plans them, beside the jobs'.
KEPT = ("workflows/", "diffs/", "causes/")
#: Jobs whose pages are looked up in the ledger together.
_LOOKED_UP = 200
#: Pieces of the pages for each worker, and how many pages each is of.
_EACH, _FEWEST, _MOST = 4, 20, 200
#: Jobs that are lent for a piece at most, and those that are kept for the next ones: 1 KB each.
_MOST_LENT, _LENT_LAST = 2_000, 5_000
#: Drawings that are worth more than one process: each takes a tenth of a second at most.
MANY_DRAWINGS = 24
#: Pages that are worth more than one process: each makes rows again that the others make too.
FEW_PAGES = 1_500
#: Jobs beside which there is memory for a process that draws.
BESIDE = 20_000


class Written(Struct, frozen=True, kw_only=True):
    """What writing the site came to. Pages are counted with the files beside them."""

    pages_total: int
    rewritten: int
    unchanged: int
    removed: int
    seconds: float

    @property
    def pages(self) -> int:
        """The same as `pages_total`."""
        return self.pages_total


def write(
    site_dir: Path,
    report: Report,
    contexts: Contexts,
    read_records: ReadRecords,
    *,
    history: History,
    nights: Sequence[Night] = (),
    guidance: Guidance = _NO_GUIDANCE,
    settings: Settings,
    version: str,
    workers: int,
    executor: str = "",
    share: Share = WHOLE,
    sealed: Seal | None = None,
    made_of: str = "",
    store: StoreState | None = None,
    settled: After | None = None,
    progress: Progress,
    compiled: Path | None = None,
) -> Written:
    """Writes the whole site. Who works on it changes the time that it takes, not a byte.

    0 workers is one for each core; 1 is this process. `executor` names a cluster that makes the
    pages of jobs ("dask://10.0.0.5:8786"); all others are made here. `share` says that only some
    pages of jobs are made, into a folder of their own, or where such folders are. `sealed` is the
    seal that the site has afterwards, but for the number of its pages.
    `contexts` are those of every known job of `history`; `store` is the state that they are told
    as of, and `made_of` changes with the code and the settings: by these few jobs are looked at
    after one more night (render/looking.py), and without them each is; with them what was counted
    of `settled` jobs is remembered. `read_records` must be
    picklable; `nights` are those that `remembered` did not know, and the newest. `compiled` is the
    folder for compiled templates, None for none; within the site there is none. Raises
    JmreportError naming the file that cannot be written, and LockedError while another run writes.
    """
    started = time.perf_counter()
    files = Files(share.place or site_dir)
    files.reach()
    theme = Theme(settings, version=version, compiled=_outside(compiled, site_dir))
    with (
        Ledger(files.own / NAME) as ledger,
        Others(share.parts, site_dir if share.place else None) as others,
    ):
        files.prepare()
        facts = site_facts(
            settings,
            labels=(label.key for label in report.labels),
            workflows=(flow.name for flow in report.workflows),
        )
        base = base_of(theme)
        maker = Maker(files, theme, read_records, settings, facts, base)
        site = _Site(
            maker,
            ledger,
            report,
            history,
            {night.summary.run: night for night in nights},
            min(workers or os.cpu_count() or 1, MOST_WORKERS),
            executor,
            others,
            progress,
            Guides(guidance, report.now.astimezone(maker.zone).date()),
        )
        seen = _seen(maker, report, site.jobs, made_of, store) if share.holds is None else None
        site.looking = Looking(ledger, files, history, seen)
        try:
            if share.holds is None:
                if store is None or settled is None or not settled.head:
                    ledger.forget_settled()
                else:
                    ledger.set_settled(kept.told_as_of(made_of, store), settled)
                site.write(contexts, sealed)
            else:
                site.write_jobs(each for each in contexts if share.holds(each.entry.row.id))
        finally:
            files.close()
            files.clear()
    return replace(site.written(), seconds=time.perf_counter() - started)


def _seen(
    maker: Maker, report: Report, jobs: joblists.Jobs, made_of: str, store: StoreState | None
) -> Seen | None:
    """What pages of jobs are made of; None where nobody can tell."""
    if store is None:
        return None
    facts = maker.facts
    return Seen(
        made_of=digest(made_of, maker.base),
        labels=facts.labels,
        workflows=facts.workflows,
        store=store,
        now=report.run.now,
        marks=jobs.marked_by,
    )


def _outside(folder: Path | None, site_dir: Path) -> Path | None:
    """A folder, but for one that would be published with the site."""
    inside = folder is not None and folder.resolve().is_relative_to(site_dir.resolve())
    return None if inside else folder


# --- the plan and its order --------------------------------------------------------------------


class _Site:
    """One writing of the site."""

    looking: Looking
    #: Who draws while pages are made.
    beside: Beside

    def __init__(
        self,
        maker: Maker,
        ledger: Ledger,
        report: Report,
        history: History,
        nights: Mapping[str, Night],
        workers: int,
        executor: str,
        others: Others,
        progress: Progress,
        guides: Guides,
    ) -> None:
        self.guides = guides
        self.maker, self.ledger, self.report, self.history = maker, ledger, report, history
        self.nights = nights
        self.files = maker.files
        self.workers, self.executor, self.progress = workers, executor, progress
        self.others = others
        self.rewritten = self.unchanged = self.removed = 0
        self.planned: set[str] = set()
        #: Jobs that were lent, those that were asked for first in front.
        self.lent_last: dict[str, Lent] = {}
        #: Whether the folder of jobs' pages was not there, of which each is asked otherwise.
        self.bare = False
        #: Pages that stay for good, but for what they tell of was pruned.
        self.going: frozenset[str] = frozenset()
        pages = {flow.name for flow in report.workflows}
        self.jobs = joblists.Jobs(report, zone=maker.zone, pages=pages)
        maker.lend, maker.shown = self.jobs.lend, partial(listpages.shown, self.jobs)

    def written(self) -> Written:
        """What it came to so far."""
        return Written(
            pages_total=self.rewritten + self.unchanged,
            rewritten=self.rewritten,
            unchanged=self.unchanged,
            removed=self.removed,
            seconds=0.0,
        )

    def write(self, contexts: Contexts, sealed: Seal | None) -> None:
        for address, content in sorted(self.maker.theme.assets().items()):
            self._file(address, content)
        changed = self.files.spool("changed-jobs")
        with self.progress.step("write job pages", None) as step:
            self._new_jobs(self.looking.contexts(contexts), changed, step)
        if self.report.pruned:
            self._forget_pruned()
        self._plan()
        new, old = self._to_make()
        with (
            self._drawn_beside((*new, *old)),
            self._rows_aside(),
            self.progress.step("write other pages", len(new) + len(old)) as step,
        ):
            self._others(new, step)
            self._changed_jobs(changed, step)
            self._data()
            # The overview is the last of its plan, and is made alone when all others are there.
            last = [place for place in old if self.maker.pages[place].address == addresses.OVERVIEW]
            self._others([place for place in old if place not in last], step)
            self._others(last, step)
        self._clean()
        told = kept.told_under(self.maker.settings)
        for run, night in self.nights.items():
            encode = msgspec.msgpack.encode
            self.ledger.put_night(run, told, encode(night.summary), encode(night))
        pages = self.rewritten + self.unchanged
        self.looking.done()
        self.ledger.set_seal(seal.encoded(replace(sealed, pages=pages)) if sealed else b"")
        self.ledger.commit()
        self.files.settled()

    def write_jobs(self, contexts: Iterable[JobContext]) -> None:
        """The pages of these jobs, and nothing else."""
        changed = self.files.spool("changed-jobs")
        with self.progress.step("write job pages", None) as step:
            self._new_jobs(contexts, changed, step)
            self._changed_jobs(changed, step)
        self.ledger.commit()
        self.files.settled()

    # --- job pages ---

    def _new_jobs(self, contexts: Iterable[JobContext], changed: Path, step: Step) -> None:
        """Makes the pages of jobs that have none, and sets aside those whose page has changed."""
        self.ledger.expect_jobs()
        self.bare = self.files.size(addresses.JOBS.rpartition("/")[0]) is None
        wanted = told_of(self.report) - self.jobs.entries.keys()
        with _spooling(changed) as spool, self._job_workers() as inner:
            workers = self.others.spare(inner, self.files)
            for done in batched(self._fresh(contexts, wanted, spool, step), workers):
                self._done_job(done, step)
        self.unchanged += self.looking.unchanged
        step.advance(self.looking.jobs)
        self.looking.meet_others(self.jobs, wanted)

    def _fresh(
        self, contexts: Iterable[JobContext], wanted: set[str], spool: BinaryIO, step: Step
    ) -> Iterator[JobTask]:
        contexts = iter(contexts)
        while some := list(islice(contexts, _LOOKED_UP)):
            owners = [addresses.job(context.entry.row.id) for context in some]
            known = self.ledger.known(owners)
            for context, owner in zip(some, owners, strict=True):
                self._meet(context, wanted)
                task = JobTask(context, self._job_content(context))
                self.ledger.note_job(owner)
                content, files = known.get(owner, ("", ()))
                self.looking.take(owner, len(files))
                if content == task.content and self._whole(files):
                    self.unchanged += len(files)
                    self.looking.made(len(files))
                    step.advance()
                elif self.bare or self.files.size(owner) is None:
                    yield task
                else:
                    packed = msgspec.msgpack.encode(task)
                    spool.write(len(packed).to_bytes(4, "big") + packed)

    def _meet(self, context: JobContext, wanted: set[str]) -> None:
        """Remembers of a job what lists, and pages that tell of it, will show."""
        row = context.entry.row
        if row.id in wanted:
            self.jobs.add(context.entry, context.short_id)
        elif row.listed and row.id not in self.jobs.entries:
            self.jobs.meet(context.entry, context.short_id)
        self.looking.show(context.entry, self.jobs)

    def _changed_jobs(self, changed: Path, step: Step) -> None:
        few = changed.stat().st_size <= 200_000
        with working(self.maker, 1) if few else self._job_workers() as inner:
            workers = self.others.spare(inner, self.files)
            for done in batched(_spooled(changed), workers):
                self._done_job(done, step)

    def _job_workers(self) -> AbstractContextManager[JobWorkers]:
        """Who makes the pages of jobs."""
        if self.executor:
            return ClusterWorkers(self.maker, self.executor)
        return working(self.maker, self.workers)

    def _job_content(self, context: JobContext) -> str:
        """The digest of what a job's page shows: where its record lies, and when, aren't shown."""
        entry = replace(context.entry, shard="", line=0, last_run="", row_digest="")
        return f"{self.maker.base}{digest(replace(context, entry=entry), self._linked(context))}"

    def _linked(self, context: JobContext) -> tuple[list[str], list[str]]:
        """The labels and workflows that a job's page links to, since not all have a page."""
        row, facts = context.entry.row, self.maker.facts
        near = [row, *context.children, *((context.parent,) if context.parent else ())]
        return (
            sorted(facts.labels & row.labels.keys()),
            sorted(facts.workflows & {each.name for each in near}),
        )

    def _whole(self, files: Sequence[tuple[str, int]]) -> bool:
        return all(self.files.size(address) == size for address, size in files)

    # --- what was pruned ---

    def _forget_pruned(self) -> None:
        """Finds the pages of what only runs told of that are gone, and forgets those runs."""
        report, oldest = self.report, self.report.runs[0].id
        told = {addresses.night(night.run) for night in report.nights}
        told |= {addresses.cause(cause.id) for cause in report.causes}
        told |= {addresses.workflow(flow.name) for flow in report.workflows}
        for night in report.nights:
            told.update(addresses.cause(cause.id) for cause in night.causes)
            told.update(addresses.workflow(flow.name) for flow in night.flows)
        told |= {addresses.CAUSES, addresses.WORKFLOWS}
        lasting = set(self.ledger.lasting("workflows/", "causes/")) - told
        nights = {run: addresses.night(run) for run in self.ledger.nights() if run < oldest}
        for run in nights:
            self.ledger.forget_night(run)
        diffs = {
            addresses.diff(one.before.run, one.after.run)
            for one in kept.differences(self.ledger)
            if max(one.before.run, one.after.run) < oldest
        }
        for address in diffs:
            self.ledger.forget_diff(address)
        # Jobs go with a prune, behind which each is looked at.
        jobs = self.ledger.jobs_gone() if self.looking.whole else frozenset[str]()
        self.going = jobs.union(lasting, nights.values(), diffs)

    def _is_there(self, address: str) -> bool:
        return address not in self.going and self.files.size(address) is not None

    # --- the other pages ---

    def _plan(self) -> None:
        rows = joblists.rows_script(
            self.report, self.jobs, zone=self.maker.settings.report.timezone
        )
        rows_file = self._stream(lambda total: f"assets/jobs-{total[:8]}.js", rows)
        looked = self.looking
        standing = Standing(
            self.ledger,
            self.files,
            looked.since,
            looked.renamed,
            looked.others,
            turn=looked.turn,
        )
        made = plan(
            self.report,
            self.jobs,
            There(
                nights=self.nights,
                night=partial(kept.night, self.ledger),
                differences=kept.differences(self.ledger),
                lasting=frozenset(self.ledger.lasting("workflows/", "causes/")),
                going=self.going,
                has=self._is_there,
            ),
            settings=self.maker.settings,
            theme=self.maker.theme,
            guides=self.guides,
            rows_file=rows_file,
            standing=standing,
        )
        standing.done()
        self.planned |= standing.pages
        self.unchanged += len(standing.pages)
        self.going, self.maker.pages = made.going, made.pages
        self.jobs.planned()

    def _to_make(self) -> tuple[list[int], list[int]]:
        """Places in the plan of pages that aren't there yet, and of those that have changed."""
        new, old = [], []
        asked = [page.address for page in self.maker.pages]
        self.planned.update(asked)
        for start in range(0, len(asked), _LOOKED_UP):
            known = self.ledger.known(asked[start : start + _LOOKED_UP])
            for place in range(start, min(start + _LOOKED_UP, len(asked))):
                page = self.maker.pages[place]
                content, files = known.get(page.address, ("", ()))
                if content == self.maker.content(page) and self._whole(files):
                    self.unchanged += 1
                elif self.files.size(page.address) is None:
                    new.append(place)
                else:
                    old.append(place)
        return new, old

    def _others(self, places: Sequence[int], step: Step) -> None:
        """Makes some of the planned pages; those for which something must be drawn come last.

        What draws takes 45 MB: where it is not at work beside, a few drawings are made here, once
        the workers are gone, and for many it is loaded before they come, so that they share it.
        """
        lacking = {
            place: self.maker.charts.lacking(self.maker.pages[place].charts) for place in places
        }
        plain = [place for place in places if not lacking[place]]
        drawn = [place for place in places if lacking[place]]
        here = [place for place in plain if self.maker.pages[place].here]
        plain = self._by_age([place for place in plain if not self.maker.pages[place].here])
        self._made(plain, step, workers=self.workers if len(plain) > FEW_PAGES else 1)
        self._made(here, step, workers=1)
        if self.beside.at_work:
            self.beside.wait_for([key for place in drawn for key in self.maker.pages[place].charts])
            self._made(drawn, step, workers=1)
        elif sum(lacking.values()) < MANY_DRAWINGS or self.workers == 1:
            self._made(drawn, step, workers=1)
        else:
            plotting.load()
            self._made(drawn, step, workers=self.workers)

    @contextmanager
    def _drawn_beside(self, places: Sequence[int]) -> Iterator[None]:
        """A few drawings are made by a process of their own, where no workers take memory too."""
        figures = [each for place in places for each in self.maker.pages[place].figures]
        lacking = [each for each in figures if self.maker.charts.lacking((charts.key(each),))]
        few = len(places) <= FEW_PAGES and len(lacking) < MANY_DRAWINGS
        fits = self.workers > 1 and self.ledger.listed() <= BESIDE
        with drawn_beside(self.maker.charts, lacking if few and fits else ()) as self.beside:
            yield

    @contextmanager
    def _rows_aside(self) -> Iterator[None]:
        """What lists show of jobs is read from a file as long as there are several workers."""
        with ExitStack() as stack:
            if self.workers > 1:
                path = self.files.spool("rows")
                try:
                    stack.enter_context(self.jobs.put_aside(path))
                except OSError as error:
                    raise cannot_write(path, error) from error
            yield

    def _made(self, places: Sequence[int], step: Step, *, workers: int) -> None:
        with working(self.maker, workers) as pool:
            for some in self._pieces(places, workers):
                self._all_done(pool.others(some, self._lent(some)), step)
            self._all_done(pool.rest(), step)

    def _pieces(self, places: Sequence[int], workers: int) -> Iterator[Sequence[int]]:
        """Pages that are made together: of those that stand near one another no two workers make
        the rows that these share, and yet each has something to do until the end."""
        most = min(max(len(places) // (workers * _EACH), _FEWEST), _MOST)
        start = lent = 0
        for end, place in enumerate(places):
            more = len(self.maker.pages[place].jobs)
            if end - start == most or (lent and lent + more > _MOST_LENT):
                yield places[start:end]
                start, lent = end, 0
            lent += more
        if places:
            yield places[start:]

    def _by_age(self, places: Sequence[int]) -> list[int]:
        """The same pages: those of jobs that have to be lent by the newest of them too, so that
        each job is asked for as seldom as can be."""
        pages = self.maker.pages
        newest = iter({pages[place].jobs[0] for place in places if pages[place].jobs})
        at: dict[str, float] = {}
        while some := [*islice(newest, _LOOKED_UP)]:
            at |= {
                job: entry.row.submission.timestamp() if entry.row.submission else 0.0
                for job, entry in self.history.of(some).items()
            }

        def age(place: int) -> tuple[float, float]:
            page = pages[place]
            return page.order, -at.get(page.jobs[0], 0.0) if page.jobs else 0.0

        return sorted(places, key=age)

    def _lent(self, places: Sequence[int]) -> dict[str, Lent]:
        """The jobs that some pages show and of which no more than a brief was kept.

        Those that were lent last are not asked for again.
        """
        jobs = dict.fromkeys(job for place in places for job in self.maker.pages[place].jobs)
        found = {job: self.lent_last[job] for job in jobs.keys() & self.lent_last.keys()}
        if lacking := [job for job in jobs if job not in found]:
            short = self.history.short_ids(lacking)
            for job, entry in self.history.of(lacking).items():
                found[job] = self.lent_last[job] = Lent(entry, short.get(job, ""))
            for job in [*islice(self.lent_last, max(len(self.lent_last) - _LENT_LAST, 0))]:
                del self.lent_last[job]
        return found

    def _all_done(self, done: Iterable[Done], step: Step) -> None:
        for each in done:
            self._done(each, step, kept=each.owner.startswith(KEPT))

    def _done_job(self, done: Done, step: Step) -> None:
        self._done(done, step, kept=True)
        self.looking.made(len(done.files))

    def _done(self, done: Done, step: Step, *, kept: bool) -> None:
        self.ledger.put(done.owner, done.content, done.files, kept=kept)
        self.rewritten += len(done.files)
        step.advance()

    # --- files that are no pages ---

    def _file(self, address: str, content: bytes) -> None:
        """A file named by its content, or one that is cheap to compare by it."""
        self.planned.add(address)
        total = sum_of(content)
        known, files = self.ledger.files(address)
        if known == total and self._whole(files):
            self.unchanged += 1
            return
        self.ledger.put(address, total, (self.files.write(address, content),), kept=False)
        self.rewritten += 1

    def _data(self) -> None:
        report = self.report
        self._stream("data/jobs.ndjson", data.ndjson(report.jobs, addresses.job))
        self._stream("data/jobs.csv", data.table(report.jobs, addresses.job))
        self._file("data/report.json", reportjson.report_json(report, self.guides))
        self._file("data/report.schema.json", reportjson.schema())
        settings = self.maker.settings
        feed_xml = feed.feed(
            report.nights,
            title=settings.site.title,
            url=settings.site.url,
            server=report.run.asked.server,
        )
        self._file(addresses.FEED, feed_xml)
        self._file(addresses.ROBOTS, hostpages.ROBOTS)
        if "multiqc" in settings.site.formats:
            for address, content in multiqc.files(report):
                self._file(address, content)

    def _stream(self, address: str | Callable[[str], str], pieces: Iterable[bytes]) -> str:
        """A file that is never in memory as a whole, and may be named by the digest of its bytes.

        It is moved in only where it differs. Returns its address.
        """
        part = self.files.spool("stream")
        whole = Sum()
        try:
            with part.open("wb") as out:
                for piece in pieces:
                    whole.add(piece)
                    out.write(piece)
        except OSError as error:
            place = self.files.root / address if isinstance(address, str) else part
            raise cannot_write(place, error) from error
        name = address if isinstance(address, str) else address(whole.total)
        self.planned.add(name)
        written = WrittenFile(address=name, size=whole.size, sum=whole.total)
        known, files = self.ledger.files(name)
        if known == written.sum and self._whole(files):
            self.unchanged += 1
            return name
        self.files.take(name, part)
        self.ledger.put(name, written.sum, (written,), kept=False)
        self.rewritten += 1
        return name

    def _clean(self) -> None:
        """Removes what no page links to any more, and drawings that none shows."""
        for owner in sorted({*self.ledger.removable(), *self.going} - self.planned):
            for address, _ in self.ledger.files(owner)[1]:
                if address not in self.planned:
                    self.files.remove(address)
                    self.removed += 1
            self.ledger.forget(owner)
        # What a run that was killed had made of a state that never came to be.
        if unsure := self.files.unsure - self.planned:
            for address in sorted(unsure.difference(each for each, _ in self.ledger.all_sizes())):
                self.files.remove(address)
                self.removed += 1
        self.maker.charts.forget({key for page in self.maker.pages for key in page.charts})


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
