"""Pages that are planned: of lists, workflows, causes, nights, and the overview.

They wait in a file, and are made in pieces, by as many processes as they are worth: those that
stand near one another together. Of jobs that they show more is asked for when a piece is given, and
let go behind it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice

from jmreport.history import History
from jmreport.progress import Step
from jmreport.render import addresses
from jmreport.render.account import Account
from jmreport.render.crew import Crew
from jmreport.render.files import cannot_write
from jmreport.render.jobcells import Jobs, Lent
from jmreport.render.jobwriting import LOOKED_UP
from jmreport.render.ledger import Ledger
from jmreport.render.making import Done, Maker
from jmreport.render.page import Page
from jmreport.render.waiting import Waiting
from jmreport.render.workers import working

#: Whose pages stay though nothing plans them, beside the jobs'.
KEPT = ("workflows/", "diffs/", "causes/")
#: Pieces of the pages for each worker, and how many pages each is of.
_EACH, _FEWEST, _MOST = 4, 20, 200
#: Jobs that are lent for a piece at most, and those that are kept for the next ones: 1 KB each.
_MOST_LENT, _LENT_LAST = 2_000, 5_000
#: Pages that are worth more than one process: each makes rows again that the others make too.
FEW_PAGES = 1_500


class PlannedPages:
    """Makes pages of the plan of one writing of the site, by their places in `pages`."""

    def __init__(
        self,
        maker: Maker,
        ledger: Ledger,
        account: Account,
        history: History,
        jobs: Jobs,
        *,
        crew: Crew,
    ) -> None:
        self._maker, self._ledger, self._account = maker, ledger, account
        self._history, self._jobs, self._crew = history, jobs, crew
        #: Jobs that were lent, those that were asked for first in front.
        self._lent_last: dict[str, Lent] = {}
        self._waiting: Waiting | None = None

    def wait(self, pages: Iterable[Page]) -> None:
        """These are the pages of the plan. Raises JmreportError where they cannot be kept."""
        path = self._maker.files.spool("planned")
        try:
            self._waiting = Waiting(path, pages)
        except OSError as error:
            raise cannot_write(path, error) from error

    @property
    def pages(self) -> Waiting:
        """The pages of the plan, once there is one."""
        assert self._waiting is not None
        return self._waiting

    def close(self) -> None:
        """No page is made any more."""
        if self._waiting is not None:
            self._waiting.close()

    def make(self, places: Sequence[int], step: Step) -> None:
        """Makes some of the planned pages; those that ask the ledger come last.

        A crew makes lists of jobs. What is made of the whole report is made by this process, which
        has it, between what it gives to the others.
        """
        here = {place for place, page in self.pages.held() if page.here}
        plain = self._by_age([place for place in places if place not in here])
        self._made(plain, step, self._crew if len(plain) > FEW_PAGES else None)
        self._made([place for place in places if place in here], step, None)

    @contextmanager
    def rows_aside(self) -> Iterator[None]:
        """What lists show of jobs is read from a file as long as there are several workers."""
        with ExitStack() as stack:
            if self._crew.workers > 1:
                path = self._maker.files.spool("rows")
                try:
                    stack.enter_context(self._jobs.put_aside(path))
                except OSError as error:
                    raise cannot_write(path, error) from error
            yield

    def _made(self, places: Sequence[int], step: Step, crew: Crew | None) -> None:
        with working(self._maker, crew) as workers:
            given, own = places, list[int]()
            if workers.are_apart:
                given = [place for place in places if self.pages.is_apart(place)]
                own = [place for place in places if not self.pages.is_apart(place)]
            waiting = self._pieces(own, 1)
            for some in self._pieces(given, workers.number):
                self._all_done(workers.others(some, self._lent(some)), step)
                self._made_here(islice(waiting, 1), step)
            self._made_here(waiting, step)
            self._all_done(workers.rest(), step)

    def _made_here(self, pieces: Iterable[Sequence[Page]], step: Step) -> None:
        for some in pieces:
            self._all_done(self._maker.others(some, self._lent(some)), step)

    def _pieces(self, places: Sequence[int], workers: int) -> Iterator[Sequence[Page]]:
        """Pages that are made together: of those that stand near one another no two workers make
        the rows that these share, and yet each has something to do until the end."""
        most = min(max(len(places) // (workers * _EACH), _FEWEST), _MOST)
        start = lent = 0
        for end, place in enumerate(places):
            more = self.pages.lent(place)
            if end - start == most or (lent and lent + more > _MOST_LENT):
                yield [self.pages[each] for each in places[start:end]]
                start, lent = end, 0
            lent += more
        if places:
            yield [self.pages[each] for each in places[start:]]

    def _by_age(self, places: Sequence[int]) -> list[int]:
        """The same pages: those of jobs that have to be lent by the newest of them too, so that
        each job is asked for as seldom as can be."""
        pages = self.pages
        newest = iter({pages.first(place) for place in places} - {""})
        at: dict[str, float] = {}
        while some := [*islice(newest, LOOKED_UP)]:
            at |= {
                job: entry.row.submission.timestamp() if entry.row.submission else 0.0
                for job, entry in self._history.of(some).items()
            }

        def age(place: int) -> tuple[float, float]:
            return pages.order(place), -at.get(pages.first(place), 0.0)

        return sorted(places, key=age)

    def _lent(self, pages: Sequence[Page]) -> dict[str, Lent]:
        """The jobs that some pages show and of which no more than a brief was kept.

        Those that were lent last are not asked for again.
        """
        jobs = dict.fromkeys(job for page in pages for job in page.jobs)
        found = {job: self._lent_last[job] for job in jobs.keys() & self._lent_last.keys()}
        if lacking := [job for job in jobs if job not in found]:
            short = self._history.short_ids(lacking)
            for job, entry in self._history.of(lacking).items():
                found[job] = self._lent_last[job] = Lent(entry, short.get(job, ""))
            for job in [*islice(self._lent_last, max(len(self._lent_last) - _LENT_LAST, 0))]:
                del self._lent_last[job]
        return found

    def _all_done(self, done: Iterable[Done], step: Step) -> None:
        for each in done:
            self._account.done(each, kept=_stays(each.owner))
            step.advance()


def _stays(address: str) -> bool:
    """Whether a page stays though nothing plans it. A list that became shorter loses pages."""
    return address.startswith(KEPT) and not address.startswith(addresses.CAUSES_PAGES)
