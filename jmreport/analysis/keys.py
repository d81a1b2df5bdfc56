"""Keys and their states: what is new, fixed, still failing or missing.

A key is one piece of work that is run again and again: a workflow with identity labels, or with the
digest of its inputs. Its state is that of its newest job that Succeeded or Failed. A job that could
not be read is passed over, so it neither breaks nor fixes a key; one that is listed as Failed did
fail. So is an attempt that another one followed (jmreport/attempts.py): the last one tells. Tasks
of one array that are one piece of work tell together (siblings.py).
"""

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import takewhile
from typing import Literal, NamedTuple

import msgspec

from jmreport.analysis.causes import cause_of
from jmreport.analysis.flaky import RUNS, Flakiness, flakiness
from jmreport.analysis.hiding import Hiding
from jmreport.analysis.matching import may_match
from jmreport.analysis.nights import KEPT_NIGHTS, Nights
from jmreport.analysis.rows import NO_INPUTS
from jmreport.analysis.seen import first_told
from jmreport.analysis.siblings import Together, array_of, together
from jmreport.history import History
from jmreport.records import Entry, JobRow, Run
from jmreport.remembered import Before
from jmreport.report.nights import NightSummary
from jmreport.report.quality import Hidden

#: A key is missing when it ran on so many of the last seven nights, and not tonight.
REGULAR_NIGHTS = 5

Key = tuple[str, ...]
_NONE: Mapping[Key, str] = {}
_encode = msgspec.msgpack.Encoder().encode
Verdict = Literal["Succeeded", "Failed"]


def key_of(row: JobRow, identity: Sequence[str]) -> Key:
    """What makes runs of the same work the same; a job of which nothing is known is its own."""
    if identity and any(label in row.labels for label in identity):
        return (row.name, *(row.labels.get(label, "") for label in identity))
    return (row.name, row.key) if row.key else (row.name, "", row.id)


def knows_key(row: JobRow, identity: Sequence[str]) -> bool:
    """Whether it is known of which piece of work a job is, be its detail readable or not.

    The labels that its list has may say so, or the inputs that an earlier run read. Where one label
    of several is not in the list the detail may have it.
    """
    if row.readable or (identity and all(label in row.labels for label in identity)):
        return True
    told_by_labels = any(label in row.labels for label in identity)
    return not told_by_labels and row.key not in ("", NO_INPUTS)


def digest_of(key: Key) -> bytes:
    """What a piece of work is remembered by."""
    return hashlib.blake2b(_encode(key), digest_size=12).digest()


def verdict(row: JobRow) -> Verdict | None:
    """Succeeded or Failed where that is known; None is passed over."""
    if row.status == "Failed":
        return None if row.retried_by else "Failed"
    return "Succeeded" if row.status == "Succeeded" and row.readable else None


class KeyState(NamedTuple):
    """A key's newest job that tells, since when it fails without a success, its last success.

    `nights` counts the reports that told of it as failing since then, this one included; 0 for a
    key that succeeded. `runs` are its newest jobs that tell, oldest first, and `flaky` is what they
    say together, None where it is not flaky. `idle` says that nothing of it ran tonight.
    `failed_before` is the job by which the previous run told that the key fails, None where it did
    not.
    """

    key: Key
    entry: Entry
    state: Verdict
    ended: datetime
    since: datetime
    last_success: datetime | None
    nights: int = 0
    flaky: Flakiness | None = None
    runs: tuple[JobRow, ...] = ()
    idle: bool = False
    failed_before: Entry | None = None


class Verdicts(NamedTuple):
    """Keys by what became of them. `new` are some of `failing`, and none on a first run.

    `not_run` are those of `failing` that keep their state from before, for nothing of them ran
    tonight. `lapsed` failed as the previous run told, and have no state any more: nobody can say
    that they are mended. `hidden` are jobs that failed and that a success of other work hides
    (hiding.py). `maybe_missing` would be missing, and a job of their workflow may be theirs of
    which nobody knows the key. `first_failed` is when each cause was first known of all who share
    the work, None where the report itself is of all.
    """

    failing: list[KeyState]
    new: frozenset[Key]
    fixed: list[KeyState]
    missing: list[Entry]
    flaky: list[KeyState]
    not_run: frozenset[Key] = frozenset()
    lapsed: Sequence[Entry] = ()
    hidden: Sequence[Entry] = ()
    maybe_missing: Sequence[Entry] = ()
    first_failed: Mapping[str, datetime] | None = None

    def of(self, has: Callable[[Entry], bool]) -> "Verdicts":
        """The part of those who have some of the jobs: a key is theirs whose newest job is.

        So two who share a store are told the same of it. What is fixed is told to those too who
        were told that it fails.
        """
        failing = [state for state in self.failing if has(state.entry)]
        theirs = frozenset(state.key for state in failing)
        return self._replace(
            failing=failing,
            new=self.new & theirs,
            not_run=self.not_run & theirs,
            fixed=[
                state
                for state in self.fixed
                if has(state.entry) or (state.failed_before and has(state.failed_before))
            ],
            missing=[entry for entry in self.missing if has(entry)],
            flaky=[state for state in self.flaky if has(state.entry)],
            lapsed=[entry for entry in self.lapsed if has(entry)],
            hidden=[entry for entry in self.hidden if has(entry)],
            maybe_missing=[entry for entry in self.maybe_missing if has(entry)],
        )


class Standings(NamedTuple):
    """How keys stand after a run: their states, and the newest job of each that ran in its night.

    `unkeyed` are workflows with a job in that night, or one that may still run, of which nobody
    knows the key.
    """

    states: dict[Key, KeyState]
    known: frozenset[Key]
    ran: dict[Key, Entry]
    unkeyed: frozenset[str]


class _Told(NamedTuple):
    """A job that tells how its key stands, sortable by its end."""

    ended: datetime
    id: str
    failed: bool
    #: Whether the run before the newest knew it; None where no run had asked for it.
    known: bool | None
    #: The first night whose report told of it.
    night: int


#: A key's jobs that are kept before those that say nothing more are dropped.
_MANY = RUNS + 8


def _told(entry: Entry, ended: datetime, nights: Nights) -> _Told | None:
    """What a job that ended tells; None where that is nothing."""
    says = verdict(entry.row)
    if says is None:
        return None
    known, night = nights.known_before(entry, ended), nights.told_in(entry, ended)
    return _Told(ended, entry.row.id, says == "Failed", known, night)


class _Key:
    """What is kept of a key's jobs: those that tell, and in which of the last nights it ran.

    Of nights, counted back from the newest, a bit each.
    """

    __slots__ = ("active", "latest", "latest_ended", "most", "nights", "told")

    def __init__(self) -> None:
        self.told: list[_Told] = []
        self.most = _MANY
        self.nights = 0
        self.active = self.latest = ""
        self.latest_ended: datetime | None = None

    def add(self, entry: Entry, ended: datetime, nights: Nights) -> None:
        """One more job that ended."""
        self._ran(entry.row.id, ended, nights)
        if one := _told(entry, ended, nights):
            self.told.append(one)
            if len(self.told) > self.most:
                self.drop()
                self.most = max(_MANY, 2 * len(self.told))

    def add_told(self, one: _Told, nights: Nights) -> None:
        """A job that ended, of which all else is known."""
        self._ran(one.id, one.ended, nights)
        self.told.append(one)

    def _ran(self, job: str, ended: datetime, nights: Nights) -> None:
        back = nights.tonight - nights.index(ended)
        if 0 <= back <= KEPT_NIGHTS:
            self.nights |= 1 << back
        if self.latest_ended is None or (ended, job) > (self.latest_ended, self.latest):
            self.latest_ended, self.latest = ended, job

    def drop(self) -> None:
        """Lets go of jobs that change nothing, whichever are still to come.

        A key fails since the first failure behind its last success, so failures before a success
        say nothing. None of an array's: whether a success tells is for other tasks to say.
        """
        if any(array_of(one.id) for one in self.told):
            return
        self.told.sort()
        success = max((one for one in self.told if not one.failed), default=None)
        known = max((one for one in self.told if one.known), default=None)
        unasked = max((one for one in self.told if one.known is None), default=None)
        last = len(self.told) - RUNS
        self.told = [
            one
            for place, one in enumerate(self.told)
            if place >= last or success is None or one >= success or one in (known, unasked)
        ]

    def ran(self, nights: Nights) -> str:
        """The newest job that ended tonight, or one that is active; "" where none is."""
        if self.latest_ended and nights.index(self.latest_ended) == nights.tonight:
            return self.latest
        return self.active

    def idle(self, nights: Nights) -> bool:
        """Whether nothing of it ran tonight, or was first told of tonight."""
        heard = any(one.night >= nights.tonight for one in self.told)
        return not (self.active or self.nights & 1 or heard)


class Keys:
    """How keys stand, told while jobs stream by, those of the newest run first.

    A key of which nothing was recorded for as long as its state is kept can be told no more, so it
    is not kept either, unless `every` says so: what matters is bounded by what ran lately.
    """

    def __init__(self, nights: Nights, identity: Sequence[str], *, every: bool = False) -> None:
        self._nights, self._identity, self._every = nights, identity, every
        #: Most keys are of one job, so of those no more is kept than what it tells.
        self._keys: dict[Key, _Key | _Told] = {}
        self._unkeyed: set[str] = set()
        self._hiding = Hiding(nights, identity) if identity else None

    def take(self, entry: Entry, ended: datetime | None) -> None:
        """One more listed job; `ended` is None for one that has not."""
        row, nights = entry.row, self._nights
        key = key_of(row, self._identity)
        known = self._keys.get(key)
        only: _Told | None = None
        if known is None and ended is not None:
            if not self._every and not nights.may_keep(entry):
                return
            only = _told(entry, ended, nights)
        if only:
            self._keys[key] = only
        else:
            whole = self._keys[key] = self._whole(known)
            if ended is not None:
                whole.add(entry, ended, nights)
            elif row.id > whole.active:
                whole.active = row.id
        if self._hiding and ended is not None and (says := verdict(row)):
            self._hiding.take(key, entry, ended, failed=says == "Failed")
        if not knows_key(row, self._identity) and self._may_be_of_tonight(entry, ended):
            self._unkeyed.add(row.name)

    def _may_be_of_tonight(self, entry: Entry, ended: datetime | None) -> bool:
        """Whether a job ended tonight, or may still run: not one that was lost long ago."""
        nights = self._nights
        if ended is None:
            return nights.keeps(nights.seen(entry))
        return nights.index(ended) == nights.tonight

    def remember(self, before: Before, others: Container[str]) -> None:
        """Tells of the jobs that did the same work and were not taken, as far as they say anything.

        Those of `others` are left out.
        """
        works = {digest_of(key): key for key in self._keys}
        for work in before.works.done(works, others):
            key = works[work]
            added, success, kept = list[_Told](), False, self._keys[key]
            others_told = 0
            for ended, job, failed in before.works.told(work):
                if job not in others:
                    # It was counted long before the run before the newest.
                    night = self._nights.index(ended)
                    added.append(_Told(ended, job, failed, known=True, night=night))
                    # Whether a success of an array's task tells is for the others to say.
                    own = array_of(job) is None
                    success, others_told = success or (own and not failed), others_told + own
                if success and others_told >= RUNS:
                    break
            if added:
                whole = self._keys[key] = self._whole(kept)
                for one in added:
                    whole.add_told(one, self._nights)

    def _whole(self, kept: _Key | _Told | None) -> _Key:
        """What is kept of a key, for more of its jobs."""
        if isinstance(kept, _Key):
            return kept
        made = _Key()
        if kept is not None:
            made.add_told(kept, self._nights)
        return made

    def _sorted(self) -> Iterator[tuple[Key, _Key]]:
        """Each key with what is kept of it, its jobs by their ends."""
        for key, kept in self._keys.items():
            known = self._whole(kept)
            known.told.sort()
            yield key, known

    def verdicts(self, history: History) -> Verdicts:
        """What became of every key up to now, and compared with the previous run."""
        nights = self._nights
        states, missing, maybe_missing, lapsed = [], list[str](), list[str](), list[str]()
        before: dict[Key, Together[_Told] | None] = {}
        for key, known in self._sorted():
            state, told_before = _state(key, known, nights), _before(known, nights)
            if state and (state.flaky or state.failed or (told_before and told_before.failed)):
                states.append(state)
                before[key] = told_before
            if state is None and _lapsed(known, nights):
                lapsed.append(together(known.told)[-1].newest.id)
            if nights.can_miss and known.latest and _missing(known):
                (maybe_missing if key[0] in self._unkeyed else missing).append(known.latest)
        failed = {
            key: told.newest.id for key, told in before.items() if told is not None and told.failed
        }
        full = _full(states, history, failed)
        hidden = self._hiding.jobs() if self._hiding else []
        failing = [state for state in full if state.state == "Failed"]
        fixed = [state for state in full if state.state == "Succeeded" and state.failed_before]
        new = {state.key for state in failing if nights.previous and not state.failed_before}
        # What was told of long ago and lapsed since is told of for the first time again.
        failing = [state._replace(nights=1) if state.key in new else state for state in failing]
        return Verdicts(
            sorted(failing, key=_newest_first),
            frozenset(new),
            sorted(fixed, key=_newest_first),
            sorted(history.of(missing).values(), key=_by_workflow),
            sorted((state for state in full if state.flaky), key=_flakiest_first),
            not_run=frozenset(
                state.key for state in failing if state.key not in new and self._not_run(state)
            ),
            lapsed=sorted(history.of(lapsed).values(), key=_by_workflow),
            hidden=sorted(history.of(hidden).values(), key=_by_workflow),
            maybe_missing=sorted(history.of(maybe_missing).values(), key=_by_workflow),
        )

    def _not_run(self, state: KeyState) -> bool:
        """Whether a key is known not to have run tonight.

        Where a job of its workflow could not be read that may have been any key's, and nobody knows
        of what the filter leaves out.
        """
        nights = self._nights
        asked = nights.knows_idle and may_match(state.entry.row, nights.run.asked.filters)
        return asked and state.idle and state.key[0] not in self._unkeyed

    def standings(self, history: History) -> Standings:
        """How every key stands after the newest run, with nothing that it is compared with."""
        nights = self._nights
        found, ran = list[_State](), dict[Key, str]()
        for key, known in self._sorted():
            if state := _state(key, known, nights):
                found.append(state)
            if job := known.ran(nights):
                ran[key] = job
        entries = history.of(ran.values())
        return Standings(
            {state.key: state for state in _full(found, history)},
            frozenset(self._keys),
            {key: entries[job] for key, job in ran.items() if job in entries},
            frozenset(self._unkeyed),
        )


def verdicts(
    history: History,
    runs: Sequence[Run],
    identity: Sequence[str],
    *,
    listed: Sequence[Run] | None = None,
    past: Iterable[NightSummary] = (),
) -> Verdicts:
    """What became of all work that a history knows, by one reading of it; all as in `analyse`."""
    nights = Nights(runs, listed=listed)
    keys, first = Keys(nights, identity), first_told(past)
    for entry in history.by_run():
        if entry.row.listed:
            ended = nights.ended(entry)
            keys.take(entry, None if nights.is_coming(entry) else ended)
            if ended is not None and (cause := cause_of(entry.row)):
                first[cause.id] = min(ended, first.get(cause.id, ended))
    return keys.verdicts(history)._replace(first_failed=first)


def known_hidden(history: History, runs: Sequence[Run], identity: Sequence[str]) -> Hidden | None:
    """Failures of the last nights that identity labels hide, without a report; None for none."""
    if not any(run.usable for run in runs):
        return None
    nights = Nights(runs)
    hiding = Hiding(nights, identity, since=nights.tonight + 1 - KEPT_NIGHTS)
    # Those of the newest run first, so that what comes behind is older still.
    for entry in takewhile(nights.may_keep, history.by_run()):
        says = verdict(entry.row) if entry.row.listed and not nights.is_coming(entry) else None
        if says and (ended := nights.ended(entry)) is not None:
            hiding.take(key_of(entry.row, identity), entry, ended, failed=says == "Failed")
    jobs = tuple(sorted(hiding.jobs()))
    return Hidden(labels=tuple(identity), jobs=jobs) if jobs else None


class _State(NamedTuple):
    """A KeyState before its jobs are read."""

    key: Key
    newest: _Told
    since: datetime
    last_success: datetime | None
    nights: int
    flaky: Flakiness | None
    runs: tuple[str, ...]
    idle: bool

    @property
    def failed(self) -> bool:
        return self.newest.failed


def _full(
    states: Sequence[_State], history: History, failed: Mapping[Key, str] = _NONE
) -> list[KeyState]:
    """The same states with their jobs, also those that `failed` as the previous run told."""
    wanted = {job for state in states for job in (state.newest.id, *state.runs)}
    wanted.update(failed[state.key] for state in states if state.key in failed)
    entries = history.of(sorted(wanted))
    return [
        KeyState(
            state.key,
            entries[state.newest.id],
            "Failed" if state.failed else "Succeeded",
            state.newest.ended,
            state.since,
            state.last_success,
            nights=state.nights,
            flaky=state.flaky,
            runs=tuple(entries[job].row for job in state.runs),
            idle=state.idle,
            failed_before=entries[failed[state.key]] if state.key in failed else None,
        )
        for state in states
    ]


def _flakiest_first(state: KeyState) -> tuple[float, str, str]:
    found = state.flaky
    share = found.flips / found.runs if found else 0.0
    return -share, state.entry.row.name, state.entry.row.id


def _by_workflow(entry: Entry) -> tuple[str, str]:
    return entry.row.name, entry.row.id


def _newest_first(state: KeyState) -> tuple[float, str]:
    return -state.ended.timestamp(), state.entry.row.id


def _state(key: Key, known: _Key, nights: Nights) -> _State | None:
    """The state of a key now; None where nothing tells, or it is too long ago."""
    told = _stands(known.told, nights)
    if not told:
        return None
    newest = told[-1].newest
    since, last_success, told_in = newest.ended, None, nights.tonight
    for one in reversed(told):
        if not one.failed:
            last_success = one.newest.ended
            break
        since = min(since, one.failures[0].ended)
        told_in = min(told_in, *(each.night for each in one.failures))
    last = told[-RUNS:]
    found = flakiness(["Failed" if one.failed else "Succeeded" for one in last])
    return _State(
        key,
        newest,
        since,
        last_success,
        nights=nights.reports_since(told_in) if newest.failed else 0,
        flaky=found,
        runs=tuple(one.newest.id for one in last) if found else (),
        idle=known.idle(nights),
    )


def _before(known: _Key, nights: Nights) -> Together[_Told] | None:
    """What told how a key stood as the previous run told it.

    Where it told none, that of jobs which no run had asked for: else a site that asks for more than
    before would call all of it new.
    """
    for asked in (True, None):
        if told := _stands([one for one in known.told if one.known is asked], nights, back=1):
            return told[-1]
    return None


def _stands(told: Sequence[_Told], nights: Nights, *, back: int = 0) -> Sequence[Together[_Told]]:
    """What a key's jobs say of how it stands; nothing where the newest is too long ago."""
    return together(told) if told and nights.keeps(told[-1].ended, back=back) else ()


def _lapsed(known: _Key, nights: Nights) -> bool:
    """Whether a key failed as the previous run told it, of one that has no state now."""
    told = _stands([one for one in known.told if one.known], nights, back=1)
    if nights.previous is None or not told or not together(known.told)[-1].failed:
        return False
    return told[-1].failed


def _missing(known: _Key) -> bool:
    """Whether a key that runs on most nights did not run tonight."""
    if known.active or known.nights & 1:
        return False
    return known.nights.bit_count() >= REGULAR_NIGHTS
