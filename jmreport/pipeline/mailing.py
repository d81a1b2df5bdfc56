"""Mail: to each team what its own jobs came to, kept in the spool before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jmreport import __version__
from jmreport.errors import DeliveryError, Exit, JmreportError, SnapshotError, UsageError, first
from jmreport.mailboxes import Mailbox, mailbox, server
from jmreport.pipeline import guiding
from jmreport.pipeline.keeping import open_store, refuse_in_ours, told_runs
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.records import Run, run_id, run_order
from jmreport.settings import Settings, Team

if TYPE_CHECKING:
    from jmreport import mail as post
    from jmreport.letters import Letter
    from jmreport.render import mailviews
    from jmreport.report import NightJob, NightSummary, Report
    from jmreport.snapshots import Store

#: What was sent stays in the spool for so long, to be looked at.
KEPT = timedelta(days=30)
#: Port on which TLS begins with the first byte.
SMTPS = 465
AGAIN = "`jmreport mail --again` sends it once more"
#: Why a mail is dropped whose news the next one tells.
REPLACED = "tonight's takes its place, and says so"


def mail(
    settings: Settings,
    *,
    now: datetime,
    dry_run: bool = False,
    write: Path | None = None,
    again: bool = False,
    teams: Sequence[str] = (),
    failed: str = "",
    pages_lack: str = "",
    unattended: bool = False,
    progress: Progress,
) -> Outcome:
    """Send each team its mail on the newest run; with `dry_run` or `write` nothing is sent.

    A team gets one mail a night: with `again` also one that was sent, or may have been. `teams` are
    the names of those that are meant, all where none is. `failed` says why tonight's run brought
    nothing where the store doesn't: of a run that never began. `pages_lack` says why its pages are
    not where mails lead to. `unattended` sends mails that no disk can keep all the same, since
    nobody would run it again (exit 1). Raises UsageError for settings that don't say whom to write
    to, SnapshotError where no run ever ended, LockedError while another process sends, and
    DeliveryError where the server took nothing.
    """
    if write:
        refuse_in_ours(settings, write)
    settings = replace(settings, teams=tuple(map(_encodable, settings.teams)))
    chosen = _teams(settings, teams)
    sender = sender_of(settings)
    server = None if dry_run or write else _server(settings)
    with open_store(settings, create=bool(failed)) as store:
        making = _Making(
            settings, store, chosen, now=now, failed=failed, pages_lack=pages_lack, sender=sender
        )
        if dry_run:
            return making.told(again=again)
        if write:
            return making.written(write, progress)
        assert server is not None  # it is needed from here on
        return making.sent(server, again=again, unattended=unattended, progress=progress)


def try_mailbox(settings: Settings) -> str:
    """What the server of the settings calls itself after TLS and a login; nothing is sent.

    Raises DeliveryError where it cannot be used, UsageError where none is named.
    """
    from jmreport import mail as post

    found = _server(settings)
    try:
        return post.probe(found)
    except DeliveryError as error:
        raise DeliveryError(f"{found.at}: {error.message}", hint=_HINT) from error


_HINT = "check mail.smtp, and whether this machine may reach it"


def spool_of(settings: Settings) -> Path:
    """Where mails wait: as set, else beside the snapshots."""
    if settings.mail.spool:
        return Path(settings.mail.spool)
    snapshots = Path(settings.snapshots.dir)
    return snapshots.with_name(f"{snapshots.resolve().name}-mail")


def _teams(settings: Settings, names: Sequence[str]) -> tuple[Team, ...]:
    if not settings.teams:
        raise UsageError(
            "no [[teams]] to send mails to", hint="`jmreport init` writes a file that shows how"
        )
    known = {team.name: team for team in settings.teams}
    for name in names:
        if name not in known:
            raise UsageError(f"--team {name}: no such team", hint=f"one of {', '.join(known)}")
    return tuple(known[name] for name in names) if names else settings.teams


def _encodable(team: Team) -> Team:
    """A team whose name can be written down: half a character cannot."""
    return replace(team, name=team.name.encode("utf-8", "replace").decode())


def sender_of(settings: Settings) -> Mailbox:
    if not settings.mail.sender:
        raise UsageError("mail.sender is not set", hint="it is the address that mails come from")
    return mailbox(settings.mail.sender)


def _server(settings: Settings) -> post.Server:
    from jmreport import mail as post

    about = settings.mail
    if not about.smtp:
        raise UsageError(
            "mail.smtp is not set",
            hint='name the server that takes mails, as in smtp = "smtp.example.org:587"; '
            "--dry-run and --write DIR need none",
        )
    at = server(about.smtp)
    if (about.user is None) != (about.password_file is None):
        lacking = "mail.password_file" if about.user is not None else "mail.user"
        raise UsageError(f"{lacking} is not set", hint="a user and a password go together")
    if about.user is not None and not about.starttls and not at.here:
        raise UsageError(
            "mail.starttls is false, and the password of mail.user would be sent for all to read",
            hint="leave mail.starttls out, or mail.user and mail.password_file",
        )
    return post.Server(
        at=at,
        tls="none" if not about.starttls else "from the start" if at.port == SMTPS else "starttls",
        user=about.user or "",
        password=_password(about.password_file) if about.password_file else "",
        timeout=about.timeout,
    )


def _password(file: str) -> str:
    try:
        found = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(
            f"mail.password_file {file}: {why}", hint="check its name, and who may read it"
        ) from None
    if not found or not found.isascii() or not found.isprintable():
        raise UsageError(
            f"mail.password_file {file}: holds no password",
            hint="it holds the password alone, on one line, in ASCII",
        )
    return found


class _Told(Struct, frozen=True, kw_only=True):
    """A team, what its night came to, and whether it is to be told."""

    team: Team
    night: mailviews.Night
    due: bool


class _Making:
    """One night's mails: the store is read once for all teams."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
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
        self.runs = tuple(run for run in told_runs(store) if run.state != "refreshed")
        usable = [run for run in self.runs if run.usable]
        self.failed = _failed(self.runs, failed, now)
        if not self.runs and not self.failed:
            raise SnapshotError(
                f"no run in {settings.snapshots.dir}", hint="run `jmreport collect` first"
            )
        self.night = run_id(now) if failed else self.runs[-1].id
        before = self.runs if failed else self.runs[:-1]
        self.previous = before[-1].id if before else ""
        self.zone = words.zone(settings.report.timezone)
        # What was pruned is part of the past all the same: the first night that stays is no first.
        self.reports = _Reports(settings, store, (*store.pruned(), *self.runs)) if usable else None
        self.pages_lack = pages_lack
        self.places = _places(settings, self.runs, lacking=bool(pages_lack))

    def nights(self, unsent: Mapping[str, tuple[mailviews.Unsent, ...]]) -> tuple[_Told, ...]:
        """What each team is told, and whether it is. `unsent` are mails by the team's name."""
        return tuple(self._night(team, unsent.get(team.name, ())) for team in self.teams)

    def _night(self, team: Team, unsent: tuple[mailviews.Unsent, ...]) -> _Told:
        from jmreport.render import mailsubjects, mailviews

        of = self.reports.of(team) if self.reports else _OfTeam()
        night = mailviews.Night(
            report=of.report,
            named=of.named,
            failed=self.failed,
            pages_lack=self.pages_lack,
            unsent=unsent,
            known=of.known,
        )
        return _Told(team=team, night=night, due=mailsubjects.wanted(night, team))

    def letter(self, told: _Told) -> Letter:
        """What the team reads."""
        from jmreport.render import mails
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
        )

    def message(self, told: _Told) -> tuple[Letter, bytes]:
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

    def subject(self, told: _Told) -> str:
        from jmreport.render.mailsubjects import subject

        return subject(told.night, told.team, self.zone)

    # --- without sending ---

    def told(self, *, again: bool) -> Outcome:
        """What would be sent to whom."""
        from jmreport import mail as post

        kept = post.parcels(spool_of(self.settings))
        here = {parcel.team: parcel for parcel in kept if parcel.night == self.night}
        lines = []
        for each in self.nights({}):
            parcel = here.get(each.team.name)
            if not each.due:
                lines.append(_not_due(each.team))
            elif parcel and not again and not (parcel.untouched and parcel.waits):
                lines.append(f"{each.team.name}: a mail on this run was made already")
            else:
                lines.append(f"would send to {_who(each.team)}: {self.subject(each)}")
        lines += [
            f"{parcel.team}: a mail of run {parcel.night} waits for "
            f"{_listed(each.address for each in parcel.in_state('waiting'))}"
            for parcel in kept
            if parcel.waits and parcel.night != self.night
        ]
        return Outcome(summary=tuple(lines), run=self._run())

    def written(self, folder: Path, progress: Progress) -> Outcome:
        """Files of the mails that would be sent."""
        from jmreport import mail as post

        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        with progress.step("write mails", None) as step:
            for each in self.nights({}):
                if not each.due:
                    lines.append(_not_due(each.team))
                    continue
                path = folder / f"{post.name_of(self.night, each.team.name)}.eml"
                post.write(path, self.message(each)[1])
                lines.append(f"wrote {path}: {self.subject(each)}")
                step.advance()
        return Outcome(summary=tuple(lines), run=self._run())

    def _run(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    # --- with the spool ---

    def sent(
        self, server: post.Server, *, again: bool, unattended: bool, progress: Progress
    ) -> Outcome:
        """Everything that waits, tonight's mails among it, given to the server."""
        from jmreport import mail as post

        place = spool_of(self.settings)
        if unattended and (why := post.no_room(place)):
            return self._sent_unkept(server, why, progress)
        with post.Spool(place) as spool:
            return self._sent(spool, server, progress, again=again)

    def _sent_unkept(self, server: post.Server, why: str, progress: Progress) -> Outcome:
        """Tonight's mails to those of whom the spool has none: nothing of them can be kept.

        What waits there goes on waiting, and is told of. Raises JmreportError where the server
        takes none: they are lost, then.
        """
        from jmreport import mail as post

        place = spool_of(self.settings)
        parcels = post.parcels(place)
        kept = {one.team for one in parcels if one.night == self.night}
        self.teams = [team for team in self.teams if team.name not in kept]
        hint = "nothing of these mails is remembered: make room, or name another mail.spool"
        waits = tuple(
            f"{one.team}: the mail of run {one.night} goes on waiting"
            for one in parcels
            if one.waits
        )
        with post.PassingSpool(place) as spool:
            try:
                done = self._sent(spool, server, progress, earlier=parcels)
            except DeliveryError as error:
                raise JmreportError(f"{error.message} ({why})", hint=hint) from None
        told = (*waits, f"mails could not be kept: {why}", f"  hint: {hint}")
        return replace(done, exit=first(Exit.FAILED, done.exit), summary=(*done.summary, *told))

    def _sent(
        self,
        spool: post.Spool,
        server: post.Server,
        progress: Progress,
        *,
        again: bool = False,
        earlier: Sequence[post.Parcel] | None = None,
    ) -> Outcome:
        """`earlier` are mails of a spool in which nothing can be kept any more."""
        from jmreport import mail as post

        sending = _Sending(self, spool, again=again, earlier=earlier)
        with progress.step("make mails", None) as step:
            sending.make(step.advance)
        wanted = sending.waiting()
        with progress.step("send mails", len(wanted)) as step:
            done = post.deliver(
                spool,
                server,
                wanted,
                patience=self.settings.mail.patience,
                told=progress.note,
            )
            step.advance(sum(not parcel.waits for parcel in done.parcels))
        sending.tidy()
        return sending.outcome(done, f"{server.at}")


class _Sending:
    """The spool's part: what is put there, what of earlier nights is sent, and what is told."""

    def __init__(
        self,
        making: _Making,
        spool: post.Spool,
        *,
        again: bool,
        earlier: Sequence[post.Parcel] | None = None,
    ) -> None:
        self._making, self._spool, self._again = making, spool, again
        self._earlier = earlier
        keeps = earlier is None
        self._where = f"in {spool.root}" if keeps else "and cannot be kept"
        #: What becomes of mails that nobody took now.
        self._then = "the next `jmreport mail` sends {}" if keeps else "nothing keeps {}"
        self._lines: list[str] = []
        self._doubts: list[str] = []
        self._before: list[post.Parcel] = []
        self._tonight: list[post.Parcel] = []
        self._settled: list[post.Parcel] = []

    def make(self, made: Callable[[], None]) -> None:
        """Keep tonight's mails, and say of earlier ones what becomes of them."""
        making = self._making
        kept = self._spool.parcels() if self._earlier is None else self._earlier
        earlier = [each for each in kept if each.night != making.night]
        for told in making.nights({team.name: _unsent(team, earlier) for team in making.teams}):
            self._put(told)
            made()
        for parcel in earlier if self._earlier is None else ():
            self._settle(parcel)

    def _put(self, told: _Told) -> None:
        making, team = self._making, told.team
        parcel = self._spool.get(making.night, team.name)
        if parcel and not self._again and not (parcel.untouched and parcel.waits):
            self._tonight.append(self._meant(parcel, team))
            return
        if not told.due and not parcel:
            self._lines.append(_not_due(team))
            return
        from jmreport import mail as post

        letter, body = making.message(told)
        parcel = post.Parcel(
            team=team.name,
            night=making.night,
            sender=making.sender.address,
            subject=letter.subject,
            recipients=tuple(
                post.Recipient(address=address)
                for address in dict.fromkeys(mailbox(each).address for each in team.to)
            ),
            made=making.now,
        )
        self._spool.put(parcel, body)
        self._tonight.append(parcel)

    def _meant(self, parcel: post.Parcel, team: Team | None) -> post.Parcel:
        """A mail that is kept, without those that the settings name no more."""
        now = {mailbox(each).address for each in team.to} if team else set()
        gone = [each.address for each in parcel.in_state("waiting") if each.address not in now]
        return self._drop(parcel, gone, "the settings name no such recipient any more")

    def _drop(self, parcel: post.Parcel, addresses: Sequence[str], why: str) -> post.Parcel:
        if not addresses:
            return parcel
        parcel = parcel.turned(addresses, "dropped", why)
        self._spool.record(parcel)
        return parcel

    def _settle(self, parcel: post.Parcel) -> None:
        """What becomes of a mail of an earlier night: sent, or dropped with a word."""
        if parcel.told:
            return
        making = self._making
        team = next((each for each in making.settings.teams if each.name == parcel.team), None)
        if team is None or team in making.teams:
            parcel = self._meant(parcel, team)
        if parcel.waits and parcel.team in {each.team for each in self._tonight}:
            waiting = [each.address for each in parcel.in_state("waiting")]
            parcel = self._drop(parcel, waiting, REPLACED)
        of = f"{parcel.team}: the mail of run {parcel.night}"
        if doubt := parcel.in_state("sending"):
            who = _listed(each.address for each in doubt)
            self._doubts.append(
                f"{of} may have been sent to {who}: {doubt[0].why}; it is not sent again"
            )
        for why in dict.fromkeys(each.why for each in parcel.in_state("dropped")):
            gone = [each.address for each in parcel.in_state("dropped") if each.why == why]
            self._lines.append(f"{of} was never sent to {_listed(gone)}: {why}")
        if not parcel.waits:
            self._settled.append(parcel)
        elif team in making.teams:
            self._before.append(parcel)

    def waiting(self) -> tuple[post.Parcel, ...]:
        return tuple(each for each in (*self._before, *self._tonight) if each.waits)

    def tidy(self) -> None:
        """Note what is told of now, and forget mails that were done with long ago."""
        for parcel in self._settled:
            self._spool.record(replace(parcel, told=True))
        for parcel in self._spool.parcels():
            old = self._making.now - parcel.made > KEPT and parcel.night != self._making.night
            if old and not parcel.waits:
                self._spool.forget(parcel)

    def outcome(self, done: post.Delivered, at: str) -> Outcome:
        """What came of it, in lines: what was not delivered comes last, with what to do."""
        asked = {parcel.name: parcel for parcel in done.parcels}
        lines, bad = list(self._lines), list(self._doubts)
        for parcel in (*self._before, *self._tonight):
            now = asked.get(parcel.name, parcel)
            lines += _good(parcel, now, new=parcel.name in asked)
            bad += _bad(now, self._then.format("it"))
        waits = sum(parcel.waits for parcel in done.parcels)
        was_sent = any(parcel.in_state("sent") for parcel in done.parcels)
        doubt = any(parcel.in_state("sending", "refused") for parcel in done.parcels)
        nothing_else = not (was_sent or doubt or self._doubts or self._lines)
        if waits and done.trouble and nothing_else:
            mails = "1 mail waits" if waits == 1 else f"{waits} mails wait"
            raise DeliveryError(
                f"{at}: {done.trouble}; {mails} {self._where}", hint=self._then.format("what waits")
            )
        if waits and done.trouble:
            bad.append(f"{at}: {done.trouble}; {self._then.format('what waits')}")
        code = Exit.NOT_DELIVERED if bad else Exit.DONE
        return Outcome(exit=code, summary=(*lines, *bad), run=self._making._run())


def _unsent(team: Team, earlier: Iterable[post.Parcel]) -> tuple[mailviews.Unsent, ...]:
    """The mails of a team that reached nobody since the last that did, oldest first: those that
    wait, and those whose place another took that was not sent either."""
    from jmreport.render.mailviews import Unsent

    found: list[Unsent] = []
    for parcel in sorted(earlier, key=lambda parcel: run_order(parcel.night)):
        if parcel.team != team.name:
            continue
        if parcel.in_state("sent", "sending"):
            found.clear()
        elif parcel.waits or any(each.why == REPLACED for each in parcel.in_state("dropped")):
            found.append(Unsent(_at(parcel.night), parcel.subject))
    return tuple(found)


def _good(before: post.Parcel, now: post.Parcel, *, new: bool) -> Iterator[str]:
    sent = [each.address for each in now.in_state("sent")]
    if sent and new:
        fresh = [each for each in sent if each not in _addresses(before, "sent")]
        yield f"sent to {now.team} ({_listed(fresh)}): {now.subject}"
    elif sent:
        yield f"{now.team}: was sent already to {_listed(sent)} (run {now.night})"
    for each in now.in_state("dropped"):
        yield f"{now.team}: is not sent to {each.address}: {each.why}"


def _addresses(parcel: post.Parcel, state: post.spool.State) -> set[str]:
    return {each.address for each in parcel.in_state(state)}


def _bad(parcel: post.Parcel, then: str) -> Iterator[str]:
    """What was not delivered, and why; `then` says what becomes of what waits."""
    for each in parcel.in_state("refused"):
        yield f"{parcel.team}: {each.address} was refused: {each.why}"
    for each in parcel.in_state("sending"):
        yield f"{parcel.team}: may have been sent to {each.address}: {each.why}; {AGAIN}"
    for each in parcel.in_state("waiting"):
        why = f": {each.why}" if each.why else ""
        yield f"{parcel.team}: waits for {each.address}{why}; {then}"


class _OfTeam(NamedTuple):
    """A team's report, the jobs that it names, and whether any job that is known is the team's."""

    report: Report | None = None
    named: tuple[NightJob, ...] = ()
    known: bool = True


class _Reports:
    """Reports of the newest usable run, one for each choice of labels."""

    def __init__(self, settings: Settings, store: Store, runs: Sequence[Run]) -> None:
        self._settings, self._store = settings, store
        newest = max(at for at, run in enumerate(runs) if run.usable)
        self._runs = tuple(runs[: newest + 1])
        self._made: dict[tuple[tuple[str, str], ...], _OfTeam] = {}

    def of(self, team: Team) -> _OfTeam:
        """What there is of a team's jobs."""
        key = tuple(sorted(team.labels.items()))
        if key not in self._made:
            self._made[key] = self._make(team)
        return self._made[key]

    def _make(self, team: Team) -> _OfTeam:
        from jmreport import analysis

        own = analysis.OfTeam(analysis.Beneath(self._store), team.labels)
        report = analysis.analyse(
            own,
            analysis.runs_of_team(self._runs, self._store, own),
            {},
            settings=self._settings.report,
            past=() if team.labels else self._past(),
            slos=self._settings.slo,
            measures=self._store.measures,
            prices=self._settings.prices,
        )
        return _OfTeam(
            report,
            # Some of them may be from before the report's window.
            analysis.named(report, own),
            # Those are of all time: a team of which no job was ever listed has none.
            bool(report.workflows) or not team.labels,
        )

    def _past(self) -> tuple[NightSummary, ...]:
        """The nights before, where the site told them all: what is usual comes from them."""
        from jmreport.render import kept

        known = kept.remembered(Path(self._settings.site.dir), self._settings)
        before = [run.id for run in self._runs if run.usable and not run.pruned][:-1]
        return tuple(known[run] for run in before) if known.keys() >= set(before) else ()


def _failed(runs: Sequence[Run], failed: str, now: datetime) -> mailviews.Failed | None:
    """The newest run, where it brought nothing."""
    from jmreport.render import mailviews

    if failed:
        return mailviews.Failed(at=now, why=failed)
    if not runs or runs[-1].usable:
        return None
    return mailviews.Failed(at=runs[-1].now, why=runs[-1].reason)


def _places(settings: Settings, runs: Sequence[Run], *, lacking: bool) -> mailviews.Places:
    """Where pages are; `lacking` says that those of tonight are not there."""
    from jmreport.render import addresses, mailviews

    folder = Path(settings.site.dir)
    newest = next((run for run in reversed(runs) if run.usable), None)
    page = addresses.night(newest.id) if newest else addresses.OVERVIEW
    if settings.site.url:
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


def _at(night: str) -> datetime:
    stamp = night.partition("-")[0]  # a second run of the same second has a turn: …Z-0002
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _not_due(team: Team) -> str:
    why = "nothing changed" if team.send == "on-change" else "nothing fails"
    return f"{team.name}: nothing to send ({team.send}, and {why})"


def _who(team: Team) -> str:
    return f"{team.name} ({_listed(mailbox(each).address for each in team.to)})"


def _listed(addresses: Iterable[str]) -> str:
    return ", ".join(addresses)
