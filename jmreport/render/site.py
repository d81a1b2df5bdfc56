"""The site: every page, written only where what it shows has changed.

    1  assets                        named by their content, so they disturb nothing
    2  new job pages                 while contexts stream by; nothing links to them yet
    3  other new pages
    4  changed job pages             then other changed pages, the overview last
    5  what nothing plans any more   paged lists past their end, rows of an older build, and pages
                                     of what was pruned
    6  the ledger                    the commit point

Killed at any moment, every file is whole and no page that can be reached links to one that isn't
there; the next run completes. Pages of jobs, workflows, causes and differences stay, also when
nothing plans them any more: they go only once the runs that told of them were pruned.
"""

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jmreport.compared import Difference, DiffJob
from jmreport.errors import JmreportError
from jmreport.guidance import Guidance
from jmreport.history import History
from jmreport.progress import Progress, Step
from jmreport.render import (
    aboutpage,
    addresses,
    causepages,
    charts,
    data,
    diffpages,
    feed,
    gonepages,
    gridpage,
    hostpages,
    joblists,
    labelpages,
    ledger,
    multiqc,
    nightpages,
    overview,
    promises,
    qualitypage,
    reportjson,
    taskpages,
    timelinepage,
    verdict,
    words,
    workflowpages,
)
from jmreport.render.charts import Charts
from jmreport.render.cluster import ClusterWorkers
from jmreport.render.files import Files, WrittenFile, cannot_write, sum_of
from jmreport.render.guides import Guides
from jmreport.render.jobcells import Lent
from jmreport.render.jobfacts import site_facts
from jmreport.render.ledger import Ledger
from jmreport.render.making import Done, JobTask, Maker, ReadRecords, base_of, encoded
from jmreport.render.page import digest
from jmreport.render.sharing import WHOLE, Others, Share
from jmreport.render.theme import Theme
from jmreport.render.workers import MOST_WORKERS, JobWorkers, batched, working
from jmreport.report import JobContext, Night, NightSummary, Report
from jmreport.settings import Settings

_NO_GUIDANCE = Guidance()
#: The ledger's name within the site's own folder.
LEDGER = ledger.NAME
#: Whose pages stay though nothing plans them, beside the jobs'.
KEPT = ("workflows/", "diffs/", "causes/")
#: Drawings that are worth more than one process: each takes a tenth of a second at most.
MANY_DRAWINGS = 24
#: Raised when nights must be told anew, since what they keep has changed its meaning.
NIGHT_FORMAT = 3


class PointerView(Struct, frozen=True, kw_only=True):
    """What pointer.html prints."""

    href: str


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
    contexts: Iterable[JobContext],
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
    progress: Progress,
    compiled: Path | None = None,
) -> Written:
    """Writes the whole site. Who works on it changes the time that it takes, not a byte.

    0 workers is one for each core; 1 is this process. `executor` names a cluster that makes the
    pages of jobs ("dask://10.0.0.5:8786"); all others are made here. `share` says that only some
    pages of jobs are made, into a folder of their own, or where such folders are.
    `contexts` are those of every known job of `history`, read once; `read_records` must be
    picklable; `nights` are those that `remembered` did not know, and the newest. `compiled` is the
    folder for compiled templates, None for none; within the site there is none. Raises
    JmreportError naming the file that cannot be written, and LockedError while another run writes.
    """
    started = time.perf_counter()
    files = Files(share.place or site_dir)
    files.prepare()
    theme = Theme(settings, version=version, compiled=_outside(compiled, site_dir))
    with (
        Ledger(files.own / LEDGER) as ledger,
        Others(share.parts, site_dir if share.place else None) as others,
    ):
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
            version,
            min(workers or os.cpu_count() or 1, MOST_WORKERS),
            executor,
            others,
            progress,
            Guides(guidance, report.now.astimezone(maker.zone).date()),
        )
        try:
            if share.holds is None:
                site.write(contexts)
            else:
                site.write_jobs(each for each in contexts if share.holds(each.entry.row.id))
        finally:
            _clear(files)
    return replace(site.written(), seconds=time.perf_counter() - started)


def _outside(folder: Path | None, site_dir: Path) -> Path | None:
    """A folder, but for one that would be published with the site."""
    inside = folder is not None and folder.resolve().is_relative_to(site_dir.resolve())
    return None if inside else folder


def remembered(site_dir: Path, settings: Settings) -> dict[str, NightSummary]:
    """Run -> summary of each night whose page this site has, told under the same settings."""
    found = ledger.summaries(Files(site_dir).own / LEDGER, _told_under(settings))
    try:
        return {
            run: msgspec.msgpack.decode(summary, type=NightSummary)
            for run, summary in found.items()
        }
    except msgspec.DecodeError:
        # Of another version: then the nights are told again from the snapshots.
        return {}


def is_there(site_dir: Path) -> bool:
    """Whether a site of ours was written there."""
    return (Files(site_dir).own / LEDGER).is_file()


def ledger_of(site_dir: Path) -> Path:
    """Where the ledger of a site is."""
    return Files(site_dir).own / LEDGER


def pointer(settings: Settings, address: str, *, version: str) -> bytes:
    """The page that leads to the overview of a build that lies at `address`."""
    theme = Theme(settings, version=version)
    view = PointerView(href=address)
    return encoded(theme.render("pointer.html", view, address=addresses.OVERVIEW))


def keep_difference(site_dir: Path, found: Difference, *, settings: Settings, version: str) -> str:
    """Makes the page of two runs' difference, and says where. It stays with the site from then on.

    Raises JmreportError naming a file that cannot be written, and LockedError while another run
    writes.
    """
    files = Files(site_dir)
    theme = Theme(settings, version=version)
    zone = words.zone(settings.report.timezone)
    address = addresses.diff(found.before.run, found.after.run)
    with Ledger(files.own / LEDGER) as ledger:
        files.prepare()
        ledger.put_diff(address, msgspec.msgpack.encode(found))
        for asset, content in sorted(theme.assets().items()):
            if files.size(asset) is None:
                written = (files.write(asset, content),)
                ledger.put(asset, sum_of(content), written, kept=False)
        base = base_of(theme)
        for page in diffpages.pages(_differences(ledger), _is_there(files), zone):
            if page.address in (address, addresses.DIFFS):
                text = theme.render(
                    page.template, page.view(Charts(files.own / "charts")), address=page.address
                )
                written = (files.write(page.address, encoded(text)),)
                ledger.put(
                    page.address, f"{base}{page.content}", written, kept=page.address == address
                )
        ledger.commit()
    return address


def named(site_dir: Path, runs: Collection[str]) -> frozenset[str]:
    """Ids of jobs that kept pages of these runs lead to: their nights', and those of differences.

    A difference stays while one of its two runs does.
    """
    found: set[str] = set()
    path = Files(site_dir).own / LEDGER
    for run, body in ledger.night_bodies(path):
        if run in runs:
            with suppress(msgspec.DecodeError):
                found.update(job.id for job in msgspec.msgpack.decode(body, type=Night).jobs)
    for body in ledger.diff_bodies(path):
        with suppress(msgspec.DecodeError):
            one = msgspec.msgpack.decode(body, type=Difference)
            if one.before.run in runs or one.after.run in runs:
                found.update(job.id for jobs in _jobs_of(one) for job in jobs)
    return frozenset(found)


def taken_by(site_dir: Path, jobs: Collection[str], runs: Collection[str]) -> tuple[int, int]:
    """How many files the pages of these jobs and the nights of these runs are, and their bytes."""
    owners = {addresses.job(job) for job in jobs} | {addresses.night(run) for run in runs}
    sizes = [size for owner, size in ledger.sizes(Files(site_dir).own / LEDGER) if owner in owners]
    return len(sizes), sum(sizes)


def _jobs_of(one: Difference) -> tuple[tuple[DiffJob, ...], ...]:
    return (
        one.new,
        one.fixed,
        one.still_failing,
        one.lapsed,
        one.not_run,
        one.first_seen,
        one.unknown,
    )


def _differences(ledger: Ledger) -> list[Difference]:
    """What is kept of differences that were asked for; those of another version are left out."""
    found = []
    for body in ledger.diffs():
        with suppress(msgspec.DecodeError):
            found.append(msgspec.msgpack.decode(body, type=Difference))
    return found


def _is_there(files: Files) -> Callable[[str], bool]:
    return lambda address: files.size(address) is not None


def _remember(path: Path, run: str) -> Night | None:
    body = ledger.night_body(path, run)
    return None if body is None else msgspec.msgpack.decode(body, type=Night)


def _told_under(settings: Settings) -> str:
    """What a night depends on beside the snapshots."""
    return digest(NIGHT_FORMAT, settings.report.identity_labels)


def _clear(files: Files) -> None:
    with suppress(JmreportError):
        files.prepare()


# --- the plan and its order --------------------------------------------------------------------


class _Site:
    """One writing of the site."""

    def __init__(
        self,
        maker: Maker,
        ledger: Ledger,
        report: Report,
        history: History,
        nights: Mapping[str, Night],
        version: str,
        workers: int,
        executor: str,
        others: Others,
        progress: Progress,
        guides: Guides,
    ) -> None:
        self.guides = guides
        self.maker, self.ledger, self.report, self.history = maker, ledger, report, history
        self.nights = nights
        self.files, self.version = maker.files, version
        self.workers, self.executor, self.progress = workers, executor, progress
        self.others = others
        self.rewritten = self.unchanged = self.removed = 0
        self.planned: set[str] = set()
        #: Pages that stay for good, but for what they tell of was pruned.
        self.going: frozenset[str] = frozenset()
        pages = {flow.name for flow in report.workflows}
        self.jobs = joblists.Jobs(report, zone=maker.zone, pages=pages)
        maker.lend = self.jobs.lend

    def written(self) -> Written:
        """What it came to so far."""
        return Written(
            pages_total=self.rewritten + self.unchanged,
            rewritten=self.rewritten,
            unchanged=self.unchanged,
            removed=self.removed,
            seconds=0.0,
        )

    def write(self, contexts: Iterable[JobContext]) -> None:
        for address, content in sorted(self.maker.theme.assets().items()):
            self._file(address, content)
        changed = self.files.spool("changed-jobs")
        if self.report.pruned:
            self.ledger.expect_jobs()
        with self.progress.step("write job pages", None) as step:
            self._new_jobs(contexts, changed, step)
        if self.report.pruned:
            self._forget_pruned()
        self._plan()
        new, old = self._to_make()
        with (
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
        told = _told_under(self.maker.settings)
        for run, night in self.nights.items():
            encode = msgspec.msgpack.encode
            self.ledger.put_night(run, told, encode(night.summary), encode(night))
        self.ledger.commit()

    def write_jobs(self, contexts: Iterable[JobContext]) -> None:
        """The pages of these jobs, and nothing else."""
        if self.report.pruned:
            self.ledger.expect_jobs()
        changed = self.files.spool("changed-jobs")
        with self.progress.step("write job pages", None) as step:
            self._new_jobs(contexts, changed, step)
            self._changed_jobs(changed, step)
        self.ledger.commit()

    # --- job pages ---

    def _new_jobs(self, contexts: Iterable[JobContext], changed: Path, step: Step) -> None:
        """Makes the pages of jobs that have none, and sets aside those whose page has changed."""
        wanted = _told_of(self.report) - self.jobs.entries.keys()
        with _spooling(changed) as spool, self._job_workers() as inner:
            workers = self.others.spare(inner, self.files)
            for done in batched(self._fresh(contexts, wanted, spool, step), workers):
                self._done(done, step, kept=True)

    def _fresh(
        self, contexts: Iterable[JobContext], wanted: set[str], spool: BinaryIO, step: Step
    ) -> Iterator[JobTask]:
        for context in contexts:
            job = context.entry.row.id
            if job in wanted:
                self.jobs.add(context.entry, context.short_id)
            elif context.entry.row.listed and job not in self.jobs.entries:
                self.jobs.meet(context.entry, context.short_id)
            task = JobTask(context, self._job_content(context))
            owner = addresses.job(job)
            if self.report.pruned:
                self.ledger.note_job(owner)
            content, files = self.ledger.files(owner)
            if content == task.content and self._whole(files):
                self.unchanged += len(files)
                step.advance()
            elif self.files.size(owner) is None:
                yield task
            else:
                packed = msgspec.msgpack.encode(task)
                spool.write(len(packed).to_bytes(4, "big") + packed)

    def _changed_jobs(self, changed: Path, step: Step) -> None:
        few = changed.stat().st_size <= 200_000
        with working(self.maker, 1) if few else self._job_workers() as inner:
            workers = self.others.spare(inner, self.files)
            for done in batched(_spooled(changed), workers):
                self._done(done, step, kept=True)

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
            for one in _differences(self.ledger)
            if max(one.before.run, one.after.run) < oldest
        }
        for address in diffs:
            self.ledger.forget_diff(address)
        self.going = self.ledger.jobs_gone().union(lasting, nights.values(), diffs)

    def _is_there(self, address: str) -> bool:
        return address not in self.going and self.files.size(address) is not None

    # --- the other pages ---

    def _plan(self) -> None:
        """Plans every page but the jobs'; lists come after the pages that ask for them."""
        report, jobs, maker = self.report, self.jobs, self.maker
        as_of = words.when(report.now, maker.zone)
        lists = joblists.Lists(jobs)
        front = list(overview.pages(report, lists, maker.settings.prices, self.guides, as_of=as_of))
        middle = [
            *workflowpages.pages(report, lists, maker.settings.prices, self.guides, as_of=as_of),
            *causepages.pages(report, lists, self.guides, as_of=as_of),
            *taskpages.pages(report, lists, maker.settings.prices, as_of=as_of),
            *labelpages.pages(report, lists, as_of=as_of),
            *qualitypage.pages(report, lists, self._mistakes(), as_of=as_of),
            *aboutpage.pages(report, maker.settings, version=self.version, as_of=as_of),
        ]
        middle += gridpage.pages(report, lists, as_of=as_of)
        middle += timelinepage.pages(report, lists, as_of=as_of)
        middle += nightpages.pages(
            report,
            self.nights,
            partial(_remember, maker.files.own / LEDGER),
            lists,
            zone=maker.zone,
            as_of=as_of,
            known=self._is_there,
            going=self.going,
        )
        there = {addresses.night(night.run) for night in report.nights}
        there |= {addresses.cause(cause.id) for cause in report.causes}
        there |= {addresses.workflow(flow.name) for flow in report.workflows}
        theme = maker.theme
        middle += hostpages.pages(
            maker.settings.site.url, css=theme.named("site.css"), icon=theme.named("icon.svg")
        )
        middle += diffpages.pages(
            _differences(self.ledger),
            lambda address: address in there or self._is_there(address),
            maker.zone,
        )
        rows = joblists.rows_script(report, jobs, zone=maker.settings.report.timezone)
        rows_file = f"assets/jobs-{sum_of(rows)[:8]}.js"
        self._file(rows_file, rows)
        index = joblists.index_pages(
            report,
            jobs,
            lists,
            rows_file=rows_file,
            incomplete=verdict.incomplete(report),
            as_of=as_of,
        )
        middle += index
        made = {page.address for page in (*middle, *front)}
        self.going -= made
        stay = set(self.ledger.lasting("workflows/", "causes/")) - self.going
        middle += gonepages.pages(sorted(stay), made)
        maker.pages = sorted([*lists.pages(), *middle, *front], key=lambda page: page.order)
        jobs.planned()

    def _mistakes(self) -> tuple[str, ...]:
        """What is wrong with the notes and the promises of the site's owner."""
        report = self.report
        unused = self.guides.unused(
            {flow.name for flow in report.workflows}, {cause.id for cause in report.causes}
        )
        empty = promises.mistakes(self.maker.settings.slo, report)
        return (*self.guides.mistakes, *unused, *empty)

    def _to_make(self) -> tuple[list[int], list[int]]:
        """Places in the plan of pages that aren't there yet, and of those that have changed."""
        new, old = [], []
        for place, page in enumerate(self.maker.pages):
            self.planned.add(page.address)
            content, files = self.ledger.files(page.address)
            if content == self.maker.content(page) and self._whole(files):
                self.unchanged += 1
            elif self.files.size(page.address) is None:
                new.append(place)
            else:
                old.append(place)
        return new, old

    def _others(self, places: Sequence[int], step: Step) -> None:
        """Makes some of the planned pages; those for which something must be drawn come last.

        What draws takes 45 MB: a few drawings are made here, once the workers are gone, and for
        many it is loaded before they come, so that they share it.
        """
        lacking = {
            place: self.maker.charts.lacking(self.maker.pages[place].charts) for place in places
        }
        plain = [place for place in places if not lacking[place]]
        drawn = [place for place in places if lacking[place]]
        self._made(plain, step, workers=self.workers if len(plain) >= 40 else 1)
        if sum(lacking.values()) < MANY_DRAWINGS or self.workers == 1:
            self._made(drawn, step, workers=1)
        else:
            charts.load()
            self._made(drawn, step, workers=self.workers)

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
            for start in range(0, len(places), 20):
                some = places[start : start + 20]
                self._all_done(pool.others(some, self._lent(some)), step)
            self._all_done(pool.rest(), step)

    def _lent(self, places: Sequence[int]) -> dict[str, Lent]:
        """The jobs that some pages show and of which no more than a brief was kept."""
        jobs = dict.fromkeys(job for place in places for job in self.maker.pages[place].jobs)
        if not jobs:
            return {}
        short = self.history.short_ids(jobs)
        return {
            job: Lent(entry, short.get(job, "")) for job, entry in self.history.of(jobs).items()
        }

    def _all_done(self, done: Iterable[Done], step: Step) -> None:
        for each in done:
            self._done(each, step, kept=each.owner.startswith(KEPT))

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

    def _stream(self, address: str, pieces: Iterable[bytes]) -> None:
        """A file that is never in memory as a whole; moved in only where it differs."""
        self.planned.add(address)
        part = self.files.spool(address.replace("/", "-"))
        total, size = hashlib.blake2b(digest_size=16), 0
        try:
            with part.open("wb") as out:
                for piece in pieces:
                    total.update(piece)
                    size += len(piece)
                    out.write(piece)
            written = WrittenFile(address=address, size=size, sum=total.hexdigest())
            known, files = self.ledger.files(address)
            if known == written.sum and self._whole(files):
                self.unchanged += 1
                return
            (self.files.root / address).parent.mkdir(parents=True, exist_ok=True)
            part.replace(self.files.root / address)
        except OSError as error:
            raise cannot_write(self.files.root / address, error) from error
        self.ledger.put(address, written.sum, (written,), kept=False)
        self.rewritten += 1

    def _clean(self) -> None:
        """Removes what no page links to any more, and drawings that none shows."""
        pruned = [file for owner in self.going for file, _ in self.ledger.files(owner)[1]]
        for address in sorted({*self.ledger.removable(), *pruned} - self.planned):
            self.files.remove(address)
            self.ledger.forget(address)
            self.removed += 1
        self.maker.charts.forget({key for page in self.maker.pages for key in page.charts})


def _told_of(report: Report) -> set[str]:
    """Ids of jobs that pages tell of, also from before the window; others only lists show."""
    found: set[str] = {*report.fixed, *report.missing, *report.unknown}
    found.update(each.job for each in report.stuck)
    for group in report.attention:
        found.update(group.jobs)
    for flows in report.failed_by_night.values():
        found.update(job for jobs in flows.values() for job in jobs)
    for cause in report.causes:
        found.update(cause.jobs[: causepages.JOBS], cause.window, cause.tonight)
    for key in report.flaky:
        found.update(key.jobs)
    for flow in report.workflows:
        found.update(flow.jobs)
        for group in flow.causes:
            found.update(group.jobs)
    if report.timeline:
        found.update(report.timeline.jobs())
    if report.quality:
        found.update(report.quality.unreadable)
        found.update(gap.job for gap in report.quality.gaps if gap.job)
    return found


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
