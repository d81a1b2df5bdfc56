"""The tiles of an overview: the numbers of its verdict, with what is usual beside each."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from jmreport.night import Told
from jmreport.render import filtered, labelpages, lastnights, verdict, words
from jmreport.render.leads import Leads

#: Counts that are not called as the list behind their tile.
_COUNTED = {"still-failing": "still_failing"}


class Tile(Struct, frozen=True, kw_only=True):
    """A number of the verdict, and the list of what it counts, which is called `name`.

    `anchor` is for what leads to the number itself.
    """

    name: str
    n: str
    what: str
    usual: str
    usual_night: str
    kind: str
    href: str = ""
    anchor: str = ""


def tiles(told: Told, leads: Leads) -> Iterator[Tile]:
    """The tiles in their order; what is rare has one only where there is any."""
    making, counts = _Tiles(told, leads), told.counts
    yield from making.failing()
    yield making.stuck()
    if told.since is not None:
        yield making.fixed()
    if counts.missing:
        what = "last jobs of missing work"
        yield making.tile(counts.missing, "Missing", "", "aborted", "missing", what, told.missing)
    if counts.unknown:
        yield making.tile(
            counts.unknown,
            "Unknown",
            "unread, or lost while active",
            "aborted",
            "unknown",
            "jobs that could not be read, or were lost while active; the status is the one that "
            "the list told",
            told.unknown,
        )
    yield making.running()


class _Tiles:
    """The tiles of one overview."""

    def __init__(self, told: Told, leads: Leads) -> None:
        self.told, self.leads = told, leads

    def failing(self) -> Iterator[Tile]:
        told, counts = self.told, self.told.counts
        every = ids(group.jobs for group in told.attention)
        if told.since is None:
            what = "failing jobs"
            yield self.tile(counts.failing, "Failing", "", "failed", "failing", what, every)
            return
        new = ids(group.new_jobs for group in told.attention)
        known = set(new)
        yield self.tile(
            counts.new,
            "New failures",
            "" if told.usual else lastnights.usual_day(told.days),
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
        told, counts = self.told, self.told.counts
        longest = max((each.active_for for each in told.stuck), default=None)
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
            [each.job for each in told.stuck],
        )

    def fixed(self) -> Tile:
        told = self.told
        names = {row.workflow for job in told.fixed if (row := self.leads.row(job))}
        flows = words.plural(len(names), "workflow") if names else ""
        return self.tile(
            told.counts.fixed, "Fixed", flows, "succeeded", "fixed", "fixed jobs", told.fixed
        )

    def running(self) -> Tile:
        """Every job that may still change, as far as anybody knows: not those that are lost."""
        active = self.told.active.counts
        alone = active.keys() <= {"Running"}
        return self.tile(
            self.told.counts.running,
            "Running now" if alone else "Active now",
            "" if alone else labelpages.split_words(active),
            "running",
            "running",
            # Not those that a status lists, among which are no archived ones.
            "jobs running now" if alone else "jobs active now",
            self.told.running,
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
        unseen = not count and counted in filtered.unseen(self.told.filters)
        usual = self.told.usual.get(counted)
        return Tile(
            name=name,
            n=words.MISSING if unseen else words.number(count),
            what=what,
            usual=filtered.UNSEEN if unseen else said,
            usual_night=words.usual_night(usual) if usual and not unseen else "",
            kind=kind if count else f"{kind} zero",
            href=href,
        )

    def _standing(self) -> str:
        """How old the oldest of the failing work is, and how much of it did not run."""
        since, idle = self.told.oldest_failing, self.told.counts.not_run
        oldest = f"oldest: {words.duration(self.told.now - since)}" if since else ""
        return " · ".join(
            filter(None, (oldest, f"{words.number(idle)} not run tonight" if idle else ""))
        )

    def _not_run(self) -> tuple[str, str]:
        """What is said of those that still fail and did not run, and their list."""
        jobs = ids(group.not_run for group in self.told.attention)
        href = self.leads.jobs("not-run", "jobs still failing whose work did not run tonight", jobs)
        return f"{words.number(len(jobs))} not run tonight", href


def ids(groups: Iterable[Sequence[str]]) -> list[str]:
    """Ids of several groups, each once, in order."""
    return list(dict.fromkeys(job for group in groups for job in group))
