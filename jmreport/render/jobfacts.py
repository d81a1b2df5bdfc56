"""What every part of a job's page is made with: the zone, the links, and which pages exist."""

from collections.abc import Iterable
from datetime import datetime, tzinfo

from msgspec import Struct

from jmreport.models import ACTIVE_STATUSES
from jmreport.render import addresses, lacks, words
from jmreport.render.lacks import Lacks
from jmreport.render.links import Links
from jmreport.render.values import Budget
from jmreport.settings import Settings


class SiteFacts(Struct, frozen=True, kw_only=True):
    """What job pages know of the site: `labels` and `workflows` are those that have pages."""

    zone: tzinfo
    links: Links
    labels: frozenset[str] = frozenset()
    workflows: frozenset[str] = frozenset()
    #: The address of the actions server; None where there is none.
    actions: str | None = None
    #: What commands on jobs need beside their ids (render/jobacts.py).
    commands_need: str = ""


def site_facts(
    settings: Settings,
    *,
    labels: Iterable[str] = (),
    workflows: Iterable[str] = (),
    commands_need: str = "",
) -> SiteFacts:
    """The facts that hold for all job pages of a site; safe to send to worker processes."""
    return SiteFacts(
        zone=words.zone(settings.report.timezone),
        links=Links((settings.site.url,)),
        labels=frozenset(labels),
        workflows=frozenset(workflows),
        actions=settings.actions.url,
        commands_need=commands_need,
    )


class Link(Struct, frozen=True, gc=False):
    """A link, or plain text where `href` is None."""

    text: str
    href: str | None


class Making(Struct, frozen=True, kw_only=True):
    """One page of the job `id` in the making: where it is, where it may link, how much it takes.

    `near` is the job's own date, so that dates in tables leave out its year. `jobs` maps the ids of
    jobs with pages to their names. `operations` are those whose details stand on the page.
    """

    id: str
    short_id: str
    address: str
    facts: SiteFacts
    budget: Budget
    near: datetime | None
    jobs: dict[str, str]
    operations: dict[str, str]
    #: Ids of sub-jobs that could not be read.
    unread: frozenset[str] = frozenset()
    #: As of when that which runs is told of; None where the job is over, or nobody knows.
    until: datetime | None = None
    #: Whether the job has ended; and whether what is told of its tasks still holds, if it has not.
    over: bool = False
    sure: bool = True

    def link(self, to: str) -> str:
        return addresses.relative(self.address, to)

    def short(self, at: datetime | None) -> words.Moment | None:
        return words.short_when(at, self.facts.zone, near=self.near)

    def took(self, start: datetime | None, end: datetime | None, status: str | None) -> str:
        """How long something took, or takes so far; "" where that is not known."""
        if end is None and self.until and status in ACTIVE_STATUSES:
            return words.so_far(words.between(start, self.until))
        return words.between(start, end)

    def lacks(self, status: str | None) -> Lacks:
        """What is heard where a time of a task, a shard or an attempt is lacking."""
        return lacks.of(status, sure=self.sure, over=self.over)

    def job(self, job_id: str | None) -> Link | None:
        """A sub-job: linked where it has a page."""
        if not job_id:
            return None
        href = self.link(addresses.job(job_id)) if job_id in self.jobs else None
        return Link(self.budget.name(job_id, 80), href)

    def places(
        self, log: str | None, folder: str | None, operation: str | None, *, longest: int = 120
    ) -> tuple[Link, ...]:
        """Log, folder and operation of a task, a shard, an attempt or a failure.

        What leads nowhere is shown itself, behind the others, with at most `longest` characters.
        """
        links = self.facts.links
        found = []
        if log:
            found.append(self._place("log", log, links.href(log), longest))
        if folder:
            found.append(self._place("folder", folder, links.folder(folder), longest))
        if operation:
            anchor = self.operations.get(operation)
            href = f"#{anchor}" if anchor else links.operation(operation)
            found.append(self._place("operation", operation, href, longest))
        return tuple(sorted(found, key=lambda place: place.href is None))

    def _place(self, kind: str, text: str, href: str | None, longest: int) -> Link:
        if href and self.budget.affords(href):
            return Link(kind, href)
        return Link(f"{kind} {self.budget.name(text, longest)}", None)
