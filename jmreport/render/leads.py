"""Where a page leads to from what it tells: exactly the jobs that a number counts, and pages.

A part that several pages show is made once, and asks its leads for every address.
"""

from collections.abc import Sequence

from msgspec import Struct

from jmreport.records import JobRow
from jmreport.render import addresses, words
from jmreport.render.joblists import NO_NAME, Lists
from jmreport.report import Report


class Link(Struct, frozen=True, kw_only=True):
    """A text and where it leads; no link where there is no page."""

    text: str
    href: str = ""


class Lede(Struct, frozen=True, kw_only=True):
    """A sentence around a link."""

    before: str
    link: Link | None = None
    after: str = ""


#: What a list calls the page that it is behind, where nothing else is said.
_BACK = ("Overview", addresses.OVERVIEW)


class Leads:
    """From a page of the newest report, which lies at `at`, to lists and pages of that report."""

    def __init__(self, report: Report, lists: Lists, at: str) -> None:
        self.at, self.zone, self.now = at, lists.jobs.zone, report.now
        self._lists = lists
        self._labels = frozenset(label.key for label in report.labels)
        self._nights = frozenset(night.run for night in report.nights)

    def jobs(
        self,
        name: str,
        title: str,
        jobs: Sequence[str],
        *,
        back: tuple[str, str] = _BACK,
        some: tuple[str, str] = ("", ""),
    ) -> str:
        """The list of exactly these jobs; "" for no jobs. All as in `Lists.link`."""
        return self._to(self._lists.link(name, title, jobs, back=back, some=some))

    def job_or_jobs(
        self, name: str, title: str, jobs: Sequence[str], *, back: tuple[str, str] = _BACK
    ) -> str:
        """The same, and for one job its own page."""
        return self._to(self._lists.link_or_job(name, title, jobs, back=back))

    def row(self, job: str) -> JobRow | None:
        """What is known of a job, None where that is nothing."""
        return self._lists.jobs.row(job)

    def short(self, job: str) -> str:
        """A job's short id."""
        return self._lists.jobs.short(job)

    def job(self, job: str) -> str:
        """A job's page."""
        return self._to(addresses.job(job)) if self.row(job) is not None else ""

    def workflow(self, name: str) -> str:
        """A workflow's page."""
        return self._lists.jobs.workflow_href(name, self.at)

    def cause(self, cause: str) -> str:
        """A cause's page."""
        return self._to(addresses.cause(cause))

    def label(self, key: str) -> str:
        """A label's page."""
        return self._to(addresses.label(key)) if key in self._labels else ""

    def night(self, run: str) -> str:
        """A night's page."""
        return self._to(addresses.night(run)) if run in self._nights else ""

    def _to(self, address: str) -> str:
        return addresses.relative(self.at, address) if address else ""


def job_link(job: str, leads: Leads) -> Link:
    """A job by its short id."""
    return Link(text=leads.short(job), href=leads.job(job))


def workflow_link(name: str, leads: Leads) -> Link:
    """A workflow by its name."""
    return Link(
        text=words.breakable(words.cut_middle(name, 80) or NO_NAME), href=leads.workflow(name)
    )


def more(count: int, noun: str) -> str:
    """What a table leaves out: "3 more workflows"; "" for nothing."""
    return f"{words.number(count)} more {noun if count == 1 else noun + 's'}" if count > 0 else ""
