"""The spool's part of a night's mails: what is kept there, what is sent, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from jmreport.errors import DeliveryError, Exit, JmreportError
from jmreport.mailboxes import mailbox
from jmreport.pipeline import clocks
from jmreport.pipeline.mailmaking import Making, Told
from jmreport.pipeline.values import Outcome
from jmreport.records import run_order
from jmreport.settings import Team

if TYPE_CHECKING:
    from jmreport import mail as post
    from jmreport.render import mailviews

#: What was sent stays in the spool for so long, to be looked at.
KEPT = timedelta(days=30)
AGAIN = "`jmreport mail --again` sends it once more"
#: Why a mail is dropped whose news the next one tells.
REPLACED = "tonight's takes its place, and says so"


class Sending:
    """The spool's part: what is put there, what of earlier nights is sent, and what is told."""

    def __init__(
        self,
        making: Making,
        spool: post.Spool,
        *,
        heard: Mapping[str, Sequence[str]],
        elsewhere: Mapping[str, Sequence[str]],
        again: bool,
        earlier: post.Kept | None = None,
    ) -> None:
        """`heard` are the runs of which each team heard, `elsewhere` what only others know;
        `earlier` is what waits where nothing of tonight's mails can be kept."""
        self._making, self._spool, self._again = making, spool, again
        self._heard, self._elsewhere = heard, elsewhere
        self._earlier = earlier
        #: Seconds for which a server that puts mails off is asked again.
        self.patience = making.settings.mail.patience
        keeps = earlier is None
        self._where = f"in {spool.root}" if keeps else "and cannot be kept"
        #: What becomes of mails that nobody took now.
        self._then = "the next `jmreport mail` sends {}" if keeps else "nothing keeps {}"
        self._lines: list[str] = []
        self._doubts: list[str] = []
        self._before: list[post.Parcel] = []
        self._unread: Mapping[str, JmreportError] = {}
        self._tonight: list[post.Parcel] = []
        self._settled: list[post.Parcel] = []

    def make(self, made: Callable[[], None]) -> None:
        """Keep tonight's mails, and say of earlier ones what becomes of them."""
        from jmreport import mail as post

        making = self._making
        kept = self._spool.kept() if self._earlier is None else self._earlier
        earlier = [each for each in kept.parcels if each.night != making.night]
        self._unread = kept.unread
        anew = {
            name
            for team in making.teams
            if kept.anew(name := post.name_of(making.night, team.name))
        }
        self._doubts += (unread(why) for name, why in kept.unread.items() if name not in anew)
        unsent = {team.name: _unsent(team, earlier) for team in making.teams}
        for told in making.nights(unsent, self._heard):
            name = post.name_of(making.night, told.team.name)
            bad = name in kept.unread and name not in anew
            if bad and not self._again:
                self._doubts.append(held_back(told.team))
            else:
                self._put(told, anew=bad)
            made()
        if not making.failed:
            # One that brought nothing tells of no job: what the report before it said is still due.
            # It only remembers, and a mail that was kept says the same: none is held back for it.
            with suppress(JmreportError):
                self._spool.hear([team.name for team in making.teams], making.night)
        for parcel in earlier if self._earlier is None else ():
            self._settle(parcel)

    def _put(self, told: Told, *, anew: bool) -> None:
        """Keep a mail where it is due; `anew`, whatever became of it before."""
        making, team = self._making, told.team
        parcel = None if anew else self._spool.get(making.night, team.name)
        if parcel and not self._again and not (parcel.untouched and parcel.waits):
            self._tonight.append(self._meant(parcel, team))
            return
        if not told.due and not parcel:
            self._lines.append(not_due(team))
            return
        if not (parcel or self._again or making.failed) and making.night in self._elsewhere.get(
            team.name, ()
        ):
            # A task that was started again, or behind a night that came to nothing.
            self._lines.append(
                f"{team.name}: nothing to send (another machine told it of run {making.night})"
            )
            return
        from jmreport import mail as post

        letter, body = making.message(told)
        parcel = post.Parcel(
            team=team.name,
            night=making.night,
            failed=making.failed is not None,
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
            who = listed(each.address for each in doubt)
            self._doubts.append(
                f"{of} may have been sent to {who}: {doubt[0].why}; it is not sent again"
            )
        for why in dict.fromkeys(each.why for each in parcel.in_state("dropped")):
            gone = [each.address for each in parcel.in_state("dropped") if each.why == why]
            self._lines.append(f"{of} was never sent to {listed(gone)}: {why}")
        if not parcel.waits:
            self._settled.append(parcel)
        elif team in making.teams and parcel.name not in self._unread:
            self._before.append(parcel)

    def waiting(self) -> tuple[post.Parcel, ...]:
        return tuple(each for each in (*self._before, *self._tonight) if each.waits)

    def tidy(self) -> None:
        """Note what is told of now, and forget mails that were done with long ago."""
        for parcel in self._settled:
            self._spool.record(replace(parcel, told=True))
        now = clocks.proven(self._making.runs, self._making.now)
        for parcel in self._spool.kept().parcels:
            old = now - parcel.made > KEPT and parcel.night != self._making.night
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
        return Outcome(exit=code, summary=(*lines, *bad), run=self._making.run())


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
        yield f"sent to {now.team} ({listed(fresh)}): {now.subject}"
    elif sent:
        yield f"{now.team}: was sent already to {listed(sent)} (run {now.night})"
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


def _at(night: str) -> datetime:
    stamp = night.partition("-")[0]  # a second run of the same second has a turn: …Z-0002
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def unread(error: JmreportError) -> str:
    """A mail of which nobody can say what became of it."""
    return f"{error.message}; {error.hint}"


def held_back(team: Team) -> str:
    """A mail that may have been sent, for all that its record says."""
    return f"{team.name}: its mail on this run is held back; {AGAIN}"


def not_due(team: Team) -> str:
    """Why a team gets no mail."""
    why = "nothing changed" if team.send == "on-change" else "nothing fails"
    return f"{team.name}: nothing to send ({team.send}, and {why})"


def listed(addresses: Iterable[str]) -> str:
    """Addresses in a line."""
    return ", ".join(addresses)
