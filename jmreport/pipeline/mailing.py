"""Mail: to each team what its own jobs came to, kept in the spool before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from jmreport.errors import DeliveryError, Exit, JmreportError, UsageError, first
from jmreport.mailboxes import Mailbox, mailbox
from jmreport.pipeline.hearing import Hearing
from jmreport.pipeline.keeping import open_store, refuse_in_ours
from jmreport.pipeline.mailmaking import Making
from jmreport.pipeline.mailserver import mail_server, sender_of
from jmreport.pipeline.posting import Sending, held_back, listed, not_due, unread
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.settings import Settings, Team

if TYPE_CHECKING:
    from jmreport import mail as post


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
    environ: Mapping[str, str] | None = None,
    progress: Progress,
) -> Outcome:
    """Send each team its mail on the newest run; with `dry_run` or `write` nothing is sent.

    A team gets one mail a night: with `again` also one that was sent, or may have been. `teams` are
    the names of those that are meant, all where none is. `failed` says why tonight's run brought
    nothing where the store doesn't: of a run that never began. `pages_lack` says why its pages are
    not where mails lead to. `unattended` sends mails that no disk can keep all the same, since
    nobody would run it again (exit 1). `environ` is for the snapshots' mirror, where machines share
    what teams have heard. Raises UsageError for settings that don't say whom to write
    to, SnapshotError where no run ever ended, LockedError while another process sends, and
    DeliveryError where the server took nothing.
    """
    if write:
        refuse_in_ours(settings, write)
    settings = replace(settings, teams=tuple(map(_encodable, settings.teams)))
    chosen = _teams(settings, teams)
    sender = sender_of(settings)
    server = None if dry_run or write else mail_server(settings)
    hearing = Hearing(settings, spool_of(settings), environ or {}, progress)
    with _making(
        settings, chosen, now=now, failed=failed, pages_lack=pages_lack, sender=sender
    ) as making:
        if dry_run:
            return hearing.also(_told(making, hearing, again=again))
        if write:
            return hearing.also(_written(making, hearing, write, progress))
        assert server is not None  # it is needed from here on
        return _sent(making, hearing, server, again=again, unattended=unattended, progress=progress)


@contextmanager
def _making(
    settings: Settings,
    teams: Sequence[Team],
    *,
    now: datetime,
    failed: str,
    pages_lack: str,
    sender: Mailbox,
) -> Iterator[Making]:
    """The night's mails. Where a night failed, snapshots that cannot be read keep none back: teams
    that are told of failures alone take silence for good news."""
    with ExitStack() as stack:
        try:
            store = stack.enter_context(open_store(settings, create=bool(failed)))
            making = Making(
                settings, store, teams, now=now, failed=failed, pages_lack=pages_lack, sender=sender
            )
        except UsageError:
            raise
        except JmreportError:
            if not failed:
                raise
            making = Making(
                settings, None, teams, now=now, failed=failed, pages_lack=pages_lack, sender=sender
            )
        yield making


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


def _told(making: Making, hearing: Hearing, *, again: bool) -> Outcome:
    """What would be sent to whom."""
    from jmreport import mail as post

    place = spool_of(making.settings)
    kept = post.kept(place)
    here = {parcel.team: parcel for parcel in kept.parcels if parcel.night == making.night}
    lines = []
    for each in making.nights({}, hearing.known()):
        parcel = here.get(each.team.name)
        name = post.name_of(making.night, each.team.name)
        if name in kept.unread and not kept.anew(name) and not again:
            lines.append(held_back(each.team))
        elif not each.due:
            lines.append(not_due(each.team))
        elif parcel and not again and not (parcel.untouched and parcel.waits):
            lines.append(f"{each.team.name}: a mail on this run was made already")
        else:
            lines.append(f"would send to {_who(each.team)}: {making.subject(each)}")
    lines += [
        f"{parcel.team}: a mail of run {parcel.night} waits for "
        f"{listed(each.address for each in parcel.in_state('waiting'))}"
        for parcel in kept.parcels
        if parcel.waits and parcel.night != making.night
    ]
    lines += map(unread, kept.unread.values())
    code = Exit.NOT_DELIVERED if kept.unread else Exit.DONE
    return Outcome(exit=code, summary=tuple(lines), run=making.run())


def _written(making: Making, hearing: Hearing, folder: Path, progress: Progress) -> Outcome:
    """Files of the mails that would be sent."""
    from jmreport import mail as post

    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    with progress.step("write mails", None) as step:
        for each in making.nights({}, hearing.known()):
            if not each.due:
                lines.append(not_due(each.team))
                continue
            path = folder / f"{post.name_of(making.night, each.team.name)}.eml"
            post.write(path, making.message(each)[1])
            lines.append(f"wrote {path}: {making.subject(each)}")
            step.advance()
    return Outcome(summary=tuple(lines), run=making.run())


def _sent(
    making: Making,
    hearing: Hearing,
    server: post.Server,
    *,
    again: bool,
    unattended: bool,
    progress: Progress,
) -> Outcome:
    """Everything that waits, tonight's mails among it, given to the server."""
    from jmreport import mail as post

    place = spool_of(making.settings)
    if unattended and (why := post.no_room(place)):
        return _sent_unkept(making, hearing, server, why, progress)
    with post.Spool(place) as spool:
        heard = hearing.known()
        sending = Sending(making, spool, heard=heard, elsewhere=hearing.elsewhere, again=again)
        return _delivered(sending, hearing, spool, server, progress)


def _sent_unkept(
    making: Making, hearing: Hearing, server: post.Server, why: str, progress: Progress
) -> Outcome:
    """Tonight's mails to those of whom the spool has none: nothing of them can be kept.

    What waits there goes on waiting, and is told of. Raises JmreportError where the server
    takes none: they are lost, then.
    """
    from jmreport import mail as post

    place = spool_of(making.settings)
    earlier = post.kept(place)
    kept = {one.team for one in earlier.parcels if one.night == making.night}
    making.teams = [team for team in making.teams if team.name not in kept]
    hint = "nothing of these mails is remembered: make room, or name another mail.spool"
    waits = tuple(
        f"{one.team}: the mail of run {one.night} goes on waiting"
        for one in earlier.parcels
        if one.waits
    )
    with post.PassingSpool(place) as spool:
        try:
            heard = hearing.known()
            sending = Sending(
                making,
                spool,
                heard=heard,
                elsewhere=hearing.elsewhere,
                again=False,
                earlier=earlier,
            )
            done = _delivered(sending, hearing, spool, server, progress)
        except DeliveryError as error:
            raise JmreportError(f"{error.message} ({why})", hint=hint) from None
    told = (*waits, f"mails could not be kept: {why}", f"  hint: {hint}")
    return replace(done, exit=first(Exit.FAILED, done.exit), summary=(*done.summary, *told))


def _delivered(
    sending: Sending, hearing: Hearing, spool: post.Spool, server: post.Server, progress: Progress
) -> Outcome:
    from jmreport import mail as post

    with progress.step("make mails", None) as step:
        sending.make(step.advance)
    wanted = sending.waiting()
    with progress.step("send mails", len(wanted)) as step:
        done = post.deliver(spool, server, wanted, patience=sending.patience, told=progress.note)
        step.advance(sum(not parcel.waits for parcel in done.parcels))
    sending.tidy()
    hearing.share()
    return hearing.also(sending.outcome(done, f"{server.at}"))


def _who(team: Team) -> str:
    return f"{team.name} ({listed(mailbox(each).address for each in team.to)})"
