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
nothing plans them any more: they go only once the runs that told of them were pruned. A label's
page, and what an earlier jmreport had pages look by, stay as long as a page of a job does that may
lead there and cannot be made again, since nobody knows the job any more. The page at an address
that a job had once leads to the one that it has.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from jmreport.progress import Progress
from jmreport.render import (
    addresses,
    data,
    feed,
    hostpages,
    jobacts,
    joblists,
    kept,
    multiqc,
    reportjson,
    seal,
)
from jmreport.render.account import Account, Written
from jmreport.render.crew import Crew
from jmreport.render.files import Files
from jmreport.render.guides import Guides
from jmreport.render.hands import Hands
from jmreport.render.jobfacts import site_facts
from jmreport.render.jobwriting import JobPages
from jmreport.render.ledger import NAME, Ledger
from jmreport.render.looking import Looking, Seen
from jmreport.render.making import Maker, base_of
from jmreport.render.page import digest
from jmreport.render.plan import There, has_pages, plan, told_of
from jmreport.render.planwriting import PlannedPages
from jmreport.render.seal import Seal
from jmreport.render.sharing import Others
from jmreport.render.standing import Standing
from jmreport.render.telling import Telling
from jmreport.render.theme import Theme
from jmreport.settings import Settings

#: What the file of all rows is called, for which no page asks but the list of jobs.
_ROWS = "assets/jobs-"
#: Pages of the plan that are looked up in the ledger together.
_LOOKED_UP = 200


def write(
    site_dir: Path,
    telling: Telling,
    *,
    settings: Settings,
    hands: Hands,
    sealed: Seal | None = None,
    progress: Progress,
) -> Written:
    """Writes the whole site, or the share of it that these hands make.

    `sealed` is the seal that the site has afterwards, but for the number of its pages. Raises
    JmreportError naming the file that cannot be written, and LockedError while another run writes.
    """
    started = time.perf_counter()
    report, share, crew = telling.report, hands.share, hands.crew
    files = Files(share.place or site_dir)
    files.reach()
    with (
        Ledger(files.own / NAME) as ledger,
        Others(share.parts, site_dir if share.place else None) as others,
    ):
        files.prepare()
        theme = crew.theme
        facts = site_facts(
            settings,
            labels=(label.key for label in report.labels),
            workflows=(flow.name for flow in report.workflows),
            commands_need=jobacts.commands_need(report.run.asked),
        )
        maker = Maker(files, theme, telling.read_records, settings, facts, base_of(theme))
        pages = {flow.name for flow in report.workflows}
        jobs = joblists.Jobs(report, zone=maker.zone, pages=pages)
        maker.rows = jobs
        seen = _seen(maker, telling, jobs) if share.holds is None else None
        looking = Looking(ledger, files, telling.history, seen)
        account = Account(files, ledger)
        site = _Site(
            maker,
            ledger,
            account,
            telling,
            jobs,
            looking,
            JobPages(
                maker,
                ledger,
                account,
                looking,
                jobs,
                others,
                crew=crew,
                executor=hands.executor,
            ),
            PlannedPages(maker, ledger, account, telling.history, jobs, crew=crew),
            progress,
        )
        try:
            if share.holds is None:
                site.write(sealed)
            else:
                site.write_jobs(share.holds)
        finally:
            site.planned.close()
            files.close()
            files.clear()
    return account.written(time.perf_counter() - started)


def crew_of(
    site_dir: Path, *, settings: Settings, version: str, workers: int, compiled: Path | None = None
) -> Crew:
    """Who makes the pages of a site; forked early, they come to have no copy of its report.

    0 `workers` is one for each core; 1 is this process. `compiled` is the folder for compiled
    templates, None for none; within the site there is none.
    """
    return Crew(Theme(settings, version=version, compiled=_outside(compiled, site_dir)), workers)


def _seen(maker: Maker, telling: Telling, jobs: joblists.Jobs) -> Seen | None:
    """What pages of jobs are made of; None where nobody can tell."""
    as_of, facts = telling.as_of, maker.facts
    if as_of is None:
        return None
    return Seen(
        made_of=digest(as_of.made_of, maker.base, facts.commands_need),
        labels=facts.labels,
        workflows=facts.workflows,
        store=as_of.store,
        now=telling.report.run.now,
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
        telling: Telling,
        jobs: joblists.Jobs,
        looking: Looking,
        job_pages: JobPages,
        planned: PlannedPages,
        progress: Progress,
    ) -> None:
        self.maker, self.ledger, self.account, self.files = maker, ledger, account, maker.files
        self.telling, self.report, self.jobs = telling, telling.report, jobs
        self.looking, self.job_pages, self.planned = looking, job_pages, planned
        self.progress = progress
        self.nights = {night.summary.run: night for night in telling.nights}
        self.guides = Guides(telling.guidance, self.report.now.astimezone(maker.zone).date())
        #: Pages that stay for good, but for what they tell of was pruned.
        self.going: frozenset[str] = frozenset()

    def write(self, sealed: Seal | None) -> None:
        self._remember_settled()
        for address, content in sorted(self.maker.theme.assets().items()):
            self.account.file(address, content)
        wanted = told_of(self.report) - self.jobs.entries.keys()
        with self.progress.step("write job pages", None) as step:
            self.job_pages.new(self.looking.contexts(self.telling.contexts), wanted, step)
        if self.looking.whole:
            self._lead_on()
        if self.report.pruned:
            self._forget_pruned()
        self._plan()
        new, old = self._to_make()
        pages = self.planned.pages
        with (
            self.planned.rows_aside(),
            self.progress.step("write other pages", len(new) + len(old)) as step,
        ):
            self.planned.make(new, step)
            self.job_pages.changed(step)
            self._data()
            # The overview is the last of its plan, and is made alone when all others are there.
            last = {at for at, page in pages.held() if page.address == addresses.OVERVIEW}
            self.planned.make([place for place in old if place not in last], step)
            self.planned.make([place for place in old if place in last], step)
        self.account.clean(self.going, staying=self._assets_staying())
        self.maker.charts.forget({key for _, page in pages.held() for key in page.charts})
        self._commit(sealed)

    def write_jobs(self, holds: Callable[[str], bool]) -> None:
        """The pages of these jobs, and nothing else."""
        contexts = (each for each in self.telling.contexts if holds(each.entry.row.id))
        wanted = told_of(self.report) - self.jobs.entries.keys()
        with self.progress.step("write job pages", None) as step:
            self.job_pages.new(contexts, wanted, step)
            self.job_pages.changed(step)
        self.ledger.commit()
        self.files.settled()

    def _remember_settled(self) -> None:
        """What was counted of jobs that settled; nothing where nobody knows as of what."""
        as_of, settled = self.telling.as_of, self.telling.settled
        if as_of is None or settled is None or not settled.head:
            self.ledger.forget_settled()
        else:
            self.ledger.set_settled(kept.told_as_of(as_of), settled)

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
        led = self.ledger.led_to() if jobs else {}
        jobs |= {was for was, now in led.items() if jobs.issuperset(now)}
        self.going = jobs.union(lasting, nights.values(), diffs)

    def _lead_on(self) -> None:
        """Has pages at addresses that jobs had once lead to those that they have."""
        for was, now in self.ledger.moved().items():
            self.account.lead_on(was, hostpages.moved(self.maker.theme, was, now))

    def _labels_gone(self) -> frozenset[str]:
        """Pages of labels that have none any more, where pages may lead there that cannot be made
        again: of jobs that nobody knows."""
        pages = {page for page, _ in self.ledger.sizes_of("labels/") if addresses.is_label(page)}
        pages -= {addresses.label(label.key) for label in self.report.labels}
        return frozenset(pages if pages and self._strangers_stay() else ())

    def _assets_staying(self) -> frozenset[str]:
        """Assets of an earlier jmreport, where pages stay that ask for them and cannot be made
        again: of jobs that nobody knows, and differences that nobody can read."""
        unread = {*self.ledger.lasting("diffs/")} - self.going - self.account.planned
        if not unread and not self._strangers_stay():
            return frozenset()
        return frozenset(
            owner
            for owner in self.ledger.removable()
            if owner.startswith("assets/") and not owner.startswith(_ROWS)
        )

    def _strangers_stay(self) -> bool:
        """Whether any page stays that cannot be made again."""
        return any(page not in self.going for page in self.looking.strangers())

    def _is_there(self, address: str) -> bool:
        return address not in self.going and self.files.size(address) is not None

    # --- the other pages ---

    def _plan(self) -> None:
        rows = joblists.rows_script(
            self.report, self.jobs, zone=self.maker.settings.report.timezone
        )
        rows_file = self.account.stream(lambda total: f"{_ROWS}{total[:8]}.js", rows)
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
                lasting=self._labels_gone().union(self.ledger.lasting("workflows/", "causes/")),
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
        self.planned.wait(made.pages)
        standing.done()
        self.account.planned |= standing.pages
        self.account.stand(len(standing.pages))
        self.going = made.going
        self.jobs.planned()

    def _to_make(self) -> tuple[list[int], list[int]]:
        """Places in the plan of pages that aren't there yet, and of those that have changed."""
        new, old = [], []
        pages = self.planned.pages
        for start in range(0, len(pages), _LOOKED_UP):
            some = pages[start : start + _LOOKED_UP]
            asked = [page.address for page in some]
            self.account.planned.update(asked)
            known = self.ledger.known(asked)
            for place, page in enumerate(some, start):
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
        self.account.file("data/jobs.schema.json", data.schema())
        settings = self.maker.settings
        feed_xml = feed.feed(
            report.nights,
            report.failed_nights,
            title=settings.site.title,
            url=settings.site.url,
            server=report.run.asked.address,
            # A run that was killed as it began may not say whom it asked.
            servers={run.id: run.asked.address for run in report.runs if run.asked.server},
        )
        self.account.file(addresses.FEED, feed_xml)
        self.account.file(addresses.ROBOTS, hostpages.ROBOTS)
        if "multiqc" in settings.site.formats:
            for address, content in multiqc.files(report):
                self.account.file(address, content)
