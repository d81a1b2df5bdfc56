"""The tiles of an overview: the numbers of its verdict, with what is usual beside each."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from jmreport.models import ACTIVE_STATUSES
from jmreport.render import filtered, labelpages, lastnights, verdict, words
from jmreport.render.leads import Leads
from jmreport.report import Report

#: Counts that are not called as the list behind their tile.
_COUNTED = {"still-failing": "still_failing"}


class Tile(Struct, frozen=True, kw_only=True):
    """A number of the verdict."""

    n: str
    what: str
    usual: str
    usual_night: str
    kind: str
    href: str = ""


def tiles(report: Report, leads: Leads) -> Iterator[Tile]:
    """The tiles in their order; what is rare has one only where there is any."""
    making, counts = _Tiles(report, leads), report.counts
    yield from making.failing()
    yield making.stuck()
    if report.previous is not None:
        yield making.fixed()
    if counts.missing:
        what = "last jobs of missing work"
        yield making.tile(counts.missing, "Missing", "", "aborted", "missing", what, report.missing)
    if counts.unknown:
        yield making.tile(
            counts.unknown,
            "Unknown",
            "unread, or lost while active",
            "aborted",
            "unknown",
            "jobs of which nobody knows how they stand",
            report.unknown,
        )
    yield making.running()


class _Tiles:
    """One report's tiles."""

    def __init__(self, report: Report, leads: Leads) -> None:
        self.report, self.leads = report, leads

    def failing(self) -> Iterator[Tile]:
        report, counts = self.report, self.report.counts
        every = ids(group.jobs for group in report.attention)
        if report.previous is None:
            what = "failing jobs"
            yield self.tile(counts.failing, "Failing", "", "failed", "failing", what, every)
            return
        new = ids(group.new_jobs for group in report.attention)
        known = set(new)
        yield self.tile(
            counts.new,
            "New failures",
            "" if report.usual else lastnights.usual_day(report.days),
            "failed",
            "new",
            "newly failing jobs",
            new,
        )
        yield self.tile(
            counts.still_failing,
            "Still failing",
            self._standing() if counts.still_failing else "",
            "aborted",
            "still-failing",
            "jobs still failing",
            [job for job in every if job not in known],
            some=self._not_run(),
        )

    def stuck(self) -> Tile:
        report, counts = self.report, self.report.counts
        longest = max((each.active_for for each in report.stuck), default=None)
        said = (
            f"longest: {words.duration(longest)}" if longest else "",
            verdict.unjudged(counts.unjudged),
        )
        return self.tile(
            counts.stuck,
            "Stuck",
            " · ".join(filter(None, said)),
            "aborting",
            "stuck",
            "stuck jobs",
            [each.job for each in report.stuck],
        )

    def fixed(self) -> Tile:
        report = self.report
        names = {row.name for job in report.fixed if (row := self.leads.row(job))}
        flows = words.plural(len(names), "workflow") if names else ""
        return self.tile(
            report.counts.fixed, "Fixed", flows, "succeeded", "fixed", "fixed jobs", report.fixed
        )

    def running(self) -> Tile:
        """Every job that may still change, as far as anybody knows: not those that are lost."""
        report = self.report
        lost = set(report.quality.lost) if report.quality else set()
        active = [
            entry.row
            for entry in report.jobs
            if entry.row.status in ACTIVE_STATUSES and entry.row.id not in lost
        ]
        by_status = Counter(row.status for row in active)
        alone = set(by_status) <= {"Running"}
        return self.tile(
            len(active),
            "Running now" if alone else "Active now",
            "" if alone else labelpages.split_words(by_status),
            "running",
            "running",
            "running jobs" if alone else "active jobs",
            [row.id for row in active],
        )

    def tile(
        self,
        count: int,
        what: str,
        said: str,
        kind: str,
        name: str,
        title: str,
        jobs: Sequence[str],
        some: tuple[str, str] = ("", ""),
    ) -> Tile:
        href = self.leads.jobs(name, title, jobs, some=some)
        counted = _COUNTED.get(name, name)
        unseen = not count and counted in filtered.unseen(self.report.run.asked.filters)
        usual = self.report.usual.get(counted)
        return Tile(
            n=words.MISSING if unseen else words.number(count),
            what=what,
            usual=filtered.UNSEEN if unseen else said,
            usual_night=words.usual_night(usual) if usual and not unseen else "",
            kind=kind if count else f"{kind} zero",
            href=href,
        )

    def _standing(self) -> str:
        """How old the oldest of the failing work is, and how much of it did not run."""
        since, idle = self.report.oldest_failing, self.report.counts.not_run
        oldest = f"oldest: {words.duration(self.report.now - since)}" if since else ""
        return " · ".join(
            filter(None, (oldest, f"{words.number(idle)} not run tonight" if idle else ""))
        )

    def _not_run(self) -> tuple[str, str]:
        """What is said of those that still fail and did not run, and their list."""
        jobs = ids(group.not_run for group in self.report.attention)
        href = self.leads.jobs("not-run", "jobs still failing whose work did not run tonight", jobs)
        return f"{words.number(len(jobs))} not run tonight", href


def ids(groups: Iterable[Sequence[str]]) -> list[str]:
    """Ids of several groups, each once, in order."""
    return list(dict.fromkeys(job for group in groups for job in group))
