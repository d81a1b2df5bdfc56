"""Where a page leads to from what it tells: exactly the jobs that a number counts, and pages.

A part that several pages show is made once, and asks its leads for every address.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Protocol

from msgspec import Struct

from jmreport.night import NightJob
from jmreport.render import addresses, words
from jmreport.render.joblists import NO_NAME, Lists
from jmreport.render.labellists import Everywhere, Links, ValueLinks
from jmreport.report import Report
from jmreport.report.causes import CauseGroup
from jmreport.report.labels import ShownLabel


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


class Leads(Protocol):
    """Where what a page tells of leads to, from the page itself; "" for nowhere."""

    zone: tzinfo
    #: When what the page tells was known.
    now: datetime
    #: The page.
    at: str

    def jobs(
        self,
        name: str,
        title: str,
        jobs: Sequence[str],
        /,
        *,
        back: tuple[str, str] = _BACK,
        some: tuple[str, str] = ("", ""),
    ) -> str:
        """The list of exactly these jobs. All as in `Lists.link`."""

    def job_or_jobs(
        self, name: str, title: str, jobs: Sequence[str], /, *, back: tuple[str, str] = _BACK
    ) -> str:
        """The same, and for one job its own page."""

    def row(self, job: str) -> NightJob | None:
        """What is known of a job, None where that is nothing."""

    def short(self, job: str) -> str:
        """A job's short id."""

    def job(self, job: str) -> str:
        """A job's page."""

    def workflow(self, name: str) -> str:
        """A workflow's page."""

    def cause(self, cause: str) -> str:
        """A cause's page."""

    def causes(self, first: CauseGroup) -> str:
        """All causes that need attention. `first` is the first of them that the page leaves out."""

    def label(self, key: str) -> str:
        """A label's page."""

    def night(self, run: str) -> str:
        """A night's page."""

    def values(self, label: ShownLabel) -> Sequence[ValueLinks]:
        """The lists of each of a label's values."""

    def newest(self, address: str) -> str:
        """A page that tells of the newest report alone."""


class ToLists:
    """From a page of the newest report, which lies at `at`, to lists and pages of that report."""

    def __init__(self, report: Report, lists: Lists, at: str) -> None:
        self.at, self.zone, self.now = at, lists.jobs.zone, report.now
        self._report, self._lists = report, lists
        self._labels = {label.key: label for label in report.labels}
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
        return self.newest(self._lists.link(name, title, jobs, back=back, some=some))

    def job_or_jobs(
        self, name: str, title: str, jobs: Sequence[str], *, back: tuple[str, str] = _BACK
    ) -> str:
        return self.newest(self._lists.link_or_job(name, title, jobs, back=back))

    def row(self, job: str) -> NightJob | None:
        row = self._lists.jobs.row(job)
        return NightJob.of(row, self.short(job), self._report.whose) if row else None

    def short(self, job: str) -> str:
        return self._lists.jobs.short(job)

    def job(self, job: str) -> str:
        known = self._lists.jobs.row(job) is not None
        return self.newest(addresses.job(job)) if known else ""

    def workflow(self, name: str) -> str:
        return self._lists.jobs.workflow_href(name, self.at)

    def cause(self, cause: str) -> str:
        return self.newest(addresses.cause(cause))

    def causes(self, first: CauseGroup) -> str:  # noqa: ARG002 - its list has another order
        return self.newest(addresses.CAUSES)

    def label(self, key: str) -> str:
        return self.newest(addresses.label(key)) if key in self._labels else ""

    def night(self, run: str) -> str:
        return self.newest(addresses.night(run)) if run in self._nights else ""

    def values(self, label: ShownLabel) -> Sequence[ValueLinks]:
        whole = self._labels[label.key]
        frame = next(frame for frame in whole.frames if frame.frame == label.frame)
        everywhere = Everywhere(whole)
        return [
            Links(whole, frame, value, everywhere, self._lists, self.at) for value in label.values
        ]

    def newest(self, address: str) -> str:
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
