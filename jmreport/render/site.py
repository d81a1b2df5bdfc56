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
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from jmreport.guidance import Guidance
from jmreport.history import History
from jmreport.night import Night
from jmreport.progress import Progress
from jmreport.remembered import After, Contexts, StoreState
from jmreport.render import (
    addresses,
    data,
    feed,
    hostpages,
    jobacts,
    joblists,
    kept,
    listpages,
    multiqc,
    reportjson,
    seal,
)
from jmreport.render.account import Account, Written
from jmreport.render.files import Files
from jmreport.render.guides import Guides
from jmreport.render.jobfacts import site_facts
from jmreport.render.jobwriting import JobPages
from jmreport.render.ledger import NAME, Ledger
from jmreport.render.looking import Looking, Seen
from jmreport.render.making import Maker, ReadRecords, base_of
from jmreport.render.page import digest
from jmreport.render.plan import There, has_pages, plan, told_of
from jmreport.render.planwriting import PlannedPages
from jmreport.render.seal import Seal
from jmreport.render.sharing import WHOLE, Others, Share
from jmreport.render.standing import Standing
from jmreport.render.theme import Theme
from jmreport.render.workers import MOST_WORKERS
from jmreport.report import Report
from jmreport.report.jobs import JobContext
from jmreport.settings import Settings

_NO_GUIDANCE = Guidance()
#: Pages of the plan that are looked up in the ledger together.
_LOOKED_UP = 200


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
            commands_need=jobacts.commands_need(report.run.asked),
        )
        base = base_of(theme)
        maker = Maker(files, theme, read_records, settings, facts, base)
        pages = {flow.name for flow in report.workflows}
        jobs = joblists.Jobs(report, zone=maker.zone, pages=pages)
        maker.lend, maker.shown = jobs.lend, partial(listpages.shown, jobs)
        seen = _seen(maker, report, jobs, made_of, store) if share.holds is None else None
        looking = Looking(ledger, files, history, seen)
        account = Account(files, ledger)
        workers = min(workers or os.cpu_count() or 1, MOST_WORKERS)
        job_pages = JobPages(
            maker, ledger, account, looking, jobs, others, workers=workers, executor=executor
        )
        site = _Site(
            maker,
            ledger,
            account,
            report,
            {night.summary.run: night for night in nights},
            jobs,
            looking,
            job_pages,
            PlannedPages(maker, ledger, account, history, jobs, workers=workers),
            progress,
            Guides(guidance, report.now.astimezone(maker.zone).date()),
        )
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
    return account.written(time.perf_counter() - started)


def _seen(
    maker: Maker, report: Report, jobs: joblists.Jobs, made_of: str, store: StoreState | None
) -> Seen | None:
    """What pages of jobs are made of; None where nobody can tell."""
    if store is None:
        return None
    facts = maker.facts
    return Seen(
        made_of=digest(made_of, maker.base, facts.commands_need),
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

    def __init__(
        self,
        maker: Maker,
        ledger: Ledger,
        account: Account,
        report: Report,
        nights: Mapping[str, Night],
        jobs: joblists.Jobs,
        looking: Looking,
        job_pages: JobPages,
        planned: PlannedPages,
        progress: Progress,
        guides: Guides,
    ) -> None:
        self.maker, self.ledger, self.account, self.files = maker, ledger, account, maker.files
        self.report, self.nights, self.jobs, self.guides = report, nights, jobs, guides
        self.looking, self.job_pages, self.planned = looking, job_pages, planned
        self.progress = progress
        #: Pages that stay for good, but for what they tell of was pruned.
        self.going: frozenset[str] = frozenset()

    def write(self, contexts: Contexts, sealed: Seal | None) -> None:
        for address, content in sorted(self.maker.theme.assets().items()):
            self.account.file(address, content)
        wanted = told_of(self.report) - self.jobs.entries.keys()
        with self.progress.step("write job pages", None) as step:
            self.job_pages.new(self.looking.contexts(contexts), wanted, step)
        if self.report.pruned:
            self._forget_pruned()
        self._plan()
        new, old = self._to_make()
        with (
            self.planned.drawn_beside((*new, *old)),
            self.planned.rows_aside(),
            self.progress.step("write other pages", len(new) + len(old)) as step,
        ):
            self.planned.make(new, step)
            self.job_pages.changed(step)
            self._data()
            # The overview is the last of its plan, and is made alone when all others are there.
            last = [place for place in old if self.maker.pages[place].address == addresses.OVERVIEW]
            self.planned.make([place for place in old if place not in last], step)
            self.planned.make(last, step)
        self.account.clean(self.going)
        self.maker.charts.forget({key for page in self.maker.pages for key in page.charts})
        self._commit(sealed)

    def write_jobs(self, contexts: Iterable[JobContext]) -> None:
        """The pages of these jobs, and nothing else."""
        wanted = told_of(self.report) - self.jobs.entries.keys()
        with self.progress.step("write job pages", None) as step:
            self.job_pages.new(contexts, wanted, step)
            self.job_pages.changed(step)
        self.ledger.commit()
        self.files.settled()

    def _commit(self, sealed: Seal | None) -> None:
        told = kept.told_under(self.maker.settings)
        for run, night in self.nights.items():
            encode = msgspec.msgpack.encode
            self.ledger.put_night(run, told, encode(night.summary), encode(night))
        self.looking.done()
        pages = self.account.written().pages
        self.ledger.set_seal(seal.encoded(replace(sealed, pages=pages)) if sealed else b"")
        self.ledger.commit()
        self.files.settled()

    # --- what was pruned ---

    def _forget_pruned(self) -> None:
        """Finds the pages of what only runs told of that are gone, and forgets those runs."""
        report, oldest = self.report, self.report.runs[0].id
        told = has_pages(report)
        for night in report.nights:
            told.update(addresses.cause(cause.id) for cause in night.causes)
            told.update(addresses.workflow(flow.name) for flow in night.flows)
        told |= {addresses.CAUSES, addresses.WORKFLOWS}
        lasting = set(self.ledger.lasting("workflows/", "causes/")) - told
        nights = {run: addresses.night(run) for run in self.ledger.nights() if run < oldest}
        for run in nights:
            self.ledger.forget_night(run)
        # By their names: what they are made of may be of a shape that cannot be read any more.
        diffs = {
            page
            for page in {*self.ledger.lasting("diffs/"), *self.ledger.diff_names()}
            if (of := addresses.runs_of(page)) and max(of) < oldest
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
        rows_file = self.account.stream(lambda total: f"assets/jobs-{total[:8]}.js", rows)
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
                ids=self.ledger.ids(self.going),
            ),
            settings=self.maker.settings,
            theme=self.maker.theme,
            guides=self.guides,
            rows_file=rows_file,
            standing=standing,
        )
        standing.done()
        self.account.planned |= standing.pages
        self.account.stand(len(standing.pages))
        self.going, self.maker.pages = made.going, made.pages
        self.jobs.planned()

    def _to_make(self) -> tuple[list[int], list[int]]:
        """Places in the plan of pages that aren't there yet, and of those that have changed."""
        new, old = [], []
        asked = [page.address for page in self.maker.pages]
        self.account.planned.update(asked)
        for start in range(0, len(asked), _LOOKED_UP):
            known = self.ledger.known(asked[start : start + _LOOKED_UP])
            for place in range(start, min(start + _LOOKED_UP, len(asked))):
                page = self.maker.pages[place]
                content, files = known.get(page.address, ("", ()))
                stands = content == self.maker.content(page) and not page.stale
                if stands and self.account.whole(files):
                    self.account.stand(len(files))
                elif self.files.size(page.address) is None:
                    new.append(place)
                else:
                    old.append(place)
        return new, old

    # --- files that are no pages ---

    def _data(self) -> None:
        report = self.report
        self.account.stream("data/jobs.ndjson", data.ndjson(report.jobs, addresses.job))
        first = data.named(self.maker.settings)
        self.account.stream("data/jobs.csv", data.table(report.jobs, addresses.job, first))
        self.account.file("data/report.json", reportjson.report_json(report, self.guides))
        self.account.file("data/report.schema.json", reportjson.schema())
        settings = self.maker.settings
        feed_xml = feed.feed(
            report.nights,
            report.failed_nights,
            title=settings.site.title,
            url=settings.site.url,
            server=report.run.asked.server,
        )
        self.account.file(addresses.FEED, feed_xml)
        self.account.file(addresses.ROBOTS, hostpages.ROBOTS)
        if "multiqc" in settings.site.formats:
            for address, content in multiqc.files(report):
                self.account.file(address, content)
