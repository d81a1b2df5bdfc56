"""A night's mails as they are made: what each team's own jobs came to, from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jmreport import __version__
from jmreport.errors import SnapshotError
from jmreport.mailboxes import Mailbox, mailbox
from jmreport.pipeline import guiding
from jmreport.pipeline.keeping import told_runs
from jmreport.records import Run, newest_usable, run_id
from jmreport.report.jobs import Handed
from jmreport.settings import Settings, Team

if TYPE_CHECKING:
    from jmreport.analysis import Relabelled, Teams, Verdicts
    from jmreport.letters import Letter
    from jmreport.night import NightJob
    from jmreport.render import mailviews
    from jmreport.report import Report
    from jmreport.report.nights import NightSummary
    from jmreport.snapshots import Store


#: For so long a team's mail may compare with what it heard last: a week, and a late cron.
_THIS_WEEK = timedelta(days=7, hours=12)


class Told(Struct, frozen=True, kw_only=True):
    """A team, what its night came to, and whether it is to be told."""

    team: Team
    night: mailviews.Night
    due: bool


class Making:
    """One night's mails. The store is read once for what became of all work, and once for whose
    its jobs are; each team reads its own.

    All are made before any is sent: a server that is asked for minutes holds up none of them, and
    what was made is kept, whatever becomes of the rest.

    None is one that cannot be opened: of a night that failed each team is told all the same.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store | None,
        teams: Sequence[Team],
        *,
        now: datetime,
        failed: str,
        pages_lack: str,
        sender: Mailbox,
    ) -> None:
        from jmreport.render import words

        self.settings, self.teams, self.now, self.sender = settings, teams, now, sender
        # One that read a few jobs again made no night, and nobody waits for its mail.
        told = told_runs(store) if store else ()
        self.runs = tuple(run for run in told if run.state != "refreshed")
        usable = [run for run in self.runs if run.usable]
        self.failed = _failed(self.runs, failed, now, unopened=store is None)
        if not self.runs and not self.failed:
            raise SnapshotError(
                f"no run in {settings.snapshots.dir}", hint="run `jmreport collect` first"
            )
        # A run of this very moment may still come, tried once more: its mail is another.
        self.night = f"{run_id(now)}-failed" if failed else self.runs[-1].id
        # A night that failed has a run where it was begun, and only its end could not be kept.
        before = [run for run in self.runs if run.id != self.night]
        self.previous = before[-1].id if before else ""
        self.zone = words.zone(settings.report.timezone)
        # What was pruned is part of the past all the same: the first night that stays is no first.
        self.reports = (
            _Reports(settings, store, (*store.pruned(), *self.runs), teams)
            if store and usable
            else None
        )
        self.pages_lack = pages_lack
        self.places = _places(settings, self.runs, lacking=bool(pages_lack), unopened=store is None)

    def nights(
        self,
        unsent: Mapping[str, tuple[mailviews.Unsent, ...]],
        heard: Mapping[str, Sequence[str]],
    ) -> tuple[Told, ...]:
        """What each team is told, and whether it is. By the team's name, `unsent` are mails, and
        `heard` the last runs of which it heard."""
        before = {name for name, runs in heard.items() if {*runs} - {self.night}}
        return tuple(
            self._night(
                team,
                unsent.get(team.name, ()),
                heard.get(team.name, ()),
                # Where nobody is known to have heard of anything, what they heard is not known.
                untold=bool(before) and team.name not in before,
            )
            for team in self.teams
        )

    def _night(
        self,
        team: Team,
        unsent: tuple[mailviews.Unsent, ...],
        heard: Sequence[str],
        *,
        untold: bool,
    ) -> Told:
        from jmreport.render import mailsubjects, mailviews

        of = self._of(team, heard)
        night = mailviews.Night(
            report=of.report,
            named=of.named,
            failed=self.failed,
            pages_lack=self.pages_lack,
            unsent=unsent,
            known=of.known,
            handed=of.handed,
            unheard=of.unheard,
            others_lack=of.others_lack,
            untold=untold,
            unhanded=self.reports.damaged if self.reports else "",
        )
        return Told(team=team, night=night, due=mailsubjects.wanted(night, team))

    def _of(self, team: Team, heard: Sequence[str]) -> _OfTeam:
        """What there is of a team's jobs; nothing where a night failed and that cannot be read."""
        try:
            return self.reports.of(team, heard) if self.reports else _OfTeam()
        except SnapshotError:
            if self.failed is None:
                raise
            self.reports, self.failed = None, replace(self.failed, unopened=True)
            return _OfTeam()

    def letter(self, told: Told) -> Letter:
        """What the team reads."""
        from jmreport.render import data, mails
        from jmreport.render.guides import Guides
        from jmreport.render.theme import Theme

        settings = self.settings
        guidance = guiding.read(settings.report)
        return mails.letter(
            told.night,
            told.team,
            theme=Theme(settings, version=__version__),
            guides=Guides(guidance, told.night.at.astimezone(self.zone).date()),
            prices=settings.prices,
            places=self.places,
            title=settings.site.title,
            zone=self.zone,
            version=__version__,
            labels=data.named(settings),
        )

    def message(self, told: Told) -> tuple[Letter, bytes]:
        """The letter, and the mail."""
        from jmreport import mail as post

        letter = self.letter(told)
        settings = self.settings
        envelope = post.Envelope(
            team=told.team.name,
            night=self.night,
            previous=self.previous,
            origin=f"{settings.site.url or ''}\n{settings.site.title}",
            sender=self.sender,
            to=tuple(map(mailbox, told.team.to)),
            reply_to=mailbox(settings.mail.reply_to) if settings.mail.reply_to else None,
        )
        return letter, post.message(letter, envelope, now=self.now)

    def subject(self, told: Told) -> str:
        from jmreport.render.mailsubjects import subject

        return subject(told.night, told.team, self.zone)

    def run(self) -> Run | None:
        """The newest run, None where there is none."""
        return self.runs[-1] if self.runs else None


class _OfTeam(NamedTuple):
    """A team's report, the jobs that are named, whether any job that is known is the team's, what
    was handed to it or to others, the run with which pages compare where the report does not, and
    whether something could not be read, be it of others' jobs alone.
    """

    report: Report | None = None
    named: tuple[NightJob, ...] = ()
    known: bool = True
    handed: Handed = Handed()
    unheard: Run | None = None
    others_lack: bool = False


class _Reports:
    """Reports of the newest usable run, one for each choice of labels and of runs to compare with.

    A report is compared with the last one of which the team heard. Of another run that came
    between, as one by hand at noon, no mail told: what was new in it would be news to nobody.
    """

    def __init__(
        self, settings: Settings, store: Store, runs: Sequence[Run], teams: Sequence[Team]
    ) -> None:
        self._settings, self._store = settings, store
        newest = max(at for at, run in enumerate(runs) if run.usable)
        self._runs = tuple(runs[: newest + 1])
        self._made: dict[tuple[frozenset[str], tuple[tuple[str, str], ...]], _OfTeam] = {}
        self._handed: dict[tuple[str, str], tuple[Relabelled, ...]] = {}
        #: Why nobody knows which jobs were handed to other teams; "" where that is known.
        self.damaged = ""
        self._verdicts: dict[frozenset[str], Verdicts] = {}
        self._labels = [team.labels for team in teams if team.labels]

    def of(self, team: Team, heard: Sequence[str]) -> _OfTeam:
        """What there is of a team's jobs, for one that heard of these runs."""
        unheard = _unheard(self._runs, heard)
        key = (unheard, tuple(sorted(team.labels.items())))
        if key not in self._made:
            self._made[key] = self._make(team, unheard)
        return self._made[key]

    def _make(self, team: Team, unheard: frozenset[str]) -> _OfTeam:
        from jmreport import analysis

        runs = tuple(run for run in self._runs if run.id not in unheard)
        everything = analysis.Beneath(self._store)
        own = analysis.OfTeam(
            everything, team.labels, self._teams.jobs(team.labels) if team.labels else None
        )
        # A piece of work stands as all its jobs say, be some of them another team's.
        if unheard not in self._verdicts:
            self._verdicts[unheard] = analysis.verdicts(
                everything,
                runs,
                self._settings.report.identity_labels,
                listed=self._runs,
                past=self._past(runs),
            )
        whole = self._verdicts[unheard]
        report = analysis.analyse(
            own,
            analysis.runs_of_team(runs, self._store, own),
            {},
            settings=self._settings.report,
            past=() if team.labels else self._past(runs),
            slos=self._settings.slo,
            measures=self._store.measures,
            prices=self._settings.prices,
            listed=self._runs,
            verdicts=whole.of(own.has),
        )
        handed = analysis.handed(self._relabelled(runs), report, team.labels, whole)
        before = [run for run in self._runs if run.usable][-2:-1]
        return _OfTeam(
            report,
            # Some of them may be from before the report's window, and some are others' by now.
            (
                *analysis.named(report, everything),
                *analysis.jobs_named(handed.went, everything, whose=report.whose),
            ),
            # Those are of all time: a team of which no job was ever listed has none.
            bool(report.workflows) or not team.labels,
            handed,
            next((run for run in before if run.id in unheard), None),
            others_lack=self._runs[-1].state == "incomplete",
        )

    @cached_property
    def _teams(self) -> Teams:
        """Whose all jobs are: what fails in sub-workflows does not matter to that."""
        from jmreport import analysis

        return analysis.Teams(self._store, self._labels)

    def _relabelled(self, runs: Sequence[Run]) -> tuple[Relabelled, ...]:
        """The failed jobs that have other labels in the newest list than in the one before."""
        from jmreport import analysis

        usable = [run for run in runs if run.usable][-2:]
        if len(usable) < 2 or usable[0].pruned:
            return ()
        before, now = (run.id for run in usable)
        if (before, now) not in self._handed:
            try:
                self._handed[before, now] = analysis.relabelled(
                    (row for _, row in self._store.rows(before)),
                    (row for _, row in self._store.rows(now)),
                    self._store,
                )
            except SnapshotError as error:  # a list is damaged, and only this is told by it
                self._handed[before, now], self.damaged = (), error.message
        return self._handed[before, now]

    def _past(self, runs: Sequence[Run]) -> tuple[NightSummary, ...]:
        """The nights before, where the site told them all: what is usual comes from them."""
        from jmreport.render import kept

        known = kept.remembered(Path(self._settings.site.dir), self._settings)
        before = [run.id for run in runs if run.usable and not run.pruned][:-1]
        return tuple(known[run] for run in before) if known.keys() >= set(before) else ()


def _unheard(runs: Sequence[Run], heard: Sequence[str]) -> frozenset[str]:
    """The runs before the newest of which a team has not heard, since it last heard of one.

    None where it is not known to have heard of one this week: work that failed before that has no
    state any more, and there is nothing else to compare with.
    """
    usable = [run for run in runs if run.usable]
    # The newest too, where its mail is made again.
    last = next((at for at in range(len(usable) - 2, -1, -1) if usable[at].id in heard), None)
    if last is None or usable[-1].now - usable[last].now > _THIS_WEEK:
        return frozenset()
    return frozenset(run.id for run in usable[last + 1 : -1])


def _failed(
    runs: Sequence[Run], failed: str, now: datetime, *, unopened: bool
) -> mailviews.Failed | None:
    """The newest run, where it brought nothing."""
    from jmreport.render import mailviews

    if failed:
        return mailviews.Failed(at=now, why=failed, unopened=unopened)
    if not runs or runs[-1].usable:
        return None
    return mailviews.Failed(at=runs[-1].now, why=runs[-1].reason)


def _places(
    settings: Settings, runs: Sequence[Run], *, lacking: bool, unopened: bool
) -> mailviews.Places:
    """Where pages are; `lacking` says that those of tonight are not there, and `unopened` that
    nobody knows which there were before."""
    from jmreport.render import addresses, mailviews

    folder = Path(settings.site.dir)
    newest = newest_usable(runs)
    page = addresses.night(newest.id) if newest else addresses.OVERVIEW
    if newest is None and not unopened:
        where = f"The report will be {'at' if settings.site.url else 'in'} "
        where += f"{settings.site.url or folder.absolute()}."
    elif settings.site.url:
        where = f"The report is at {settings.site.url}; it has no page of this night yet."
    else:
        where = f"The report is in {folder.absolute()}; this night’s page there is {page}."
    return mailviews.Places(
        url=settings.site.url or "",
        where=where,
        # Of builds with prefixes of their own only the front page keeps its address.
        there=lambda address: (
            (address == addresses.OVERVIEW or not (settings.publish.atomic or lacking))
            and (folder / address).is_file()
        ),
    )
