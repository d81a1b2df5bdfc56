"""Nights, keys and their states: what is new, fixed, still failing or missing.

A night is the time between two usable runs; a job belongs to the night in which it ended. What a
run behind the newest usable one told first, as one that read a few jobs again, belongs to the
coming night: until then the job counts as it did. A key is one piece of work that is run again and
again: a workflow with identity labels, or with the digest of its inputs. Its state is that of its
newest job that Succeeded or Failed. A job that could not be read is passed over, so it neither
breaks nor fixes a key; one that is listed as Failed did fail. So is an attempt that another one
followed (jmreport/attempts.py): the last one tells. Tasks of one array that are one piece of work
tell together (siblings.py).
"""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from jmreport.analysis.coverage import leaves_out
from jmreport.analysis.flaky import RUNS, Flakiness, flakiness
from jmreport.analysis.matching import may_match
from jmreport.analysis.siblings import Together, array_of, together
from jmreport.history import History
from jmreport.records import Entry, JobRow, Run
from jmreport.remembered import Before

#: A key that did not run keeps its state for this long.
KEPT_NIGHTS = 7
KEPT = timedelta(days=7)
#: A key is missing when it ran on so many of the last seven nights, and not tonight.
REGULAR_NIGHTS = 5

Key = tuple[str, ...]
_encode = msgspec.msgpack.Encoder().encode
Verdict = Literal["Succeeded", "Failed"]


class Nights:
    """The usable runs, oldest first, and the nights between them. At least one run is usable."""

    def __init__(
        self,
        runs: Sequence[Run],
        now: datetime | None = None,
        *,
        listed: Sequence[Run] | None = None,
    ) -> None:
        """`listed` are all runs, where some that are not to be compared with are none of `runs`."""
        self.runs = [run for run in runs if run.usable]
        #: Those that say what was asked for.
        self.listed = [run for run in listed or runs if run.usable]
        self.run = self.runs[-1]
        self.now = now or self.run.now
        self.previous = self.runs[-2] if len(self.runs) > 1 else None
        #: When each ended. One with a clock that was set back found what it found no earlier than
        #: the run before: else what failed since would be older than a success that it came after.
        self._nows = list(accumulate((run.now for run in self.runs), max))
        self._ids = [run.id for run in self.runs]
        #: When each run's report told of what it found.
        self._told_by = dict(zip(self._ids, self._nows, strict=True))
        self._now_of_all = {run.id: run.now for run in runs}
        self._may_keep: dict[str, bool] = {}
        self.tonight = len(self.runs) - 1
        #: Whether work that is not there did not run: not where a filter may be why. One by status
        #: has work come and go with how it ended, and behind another one others come. Nor where a
        #: part of the list did not come, in the afternoon after a night, or where the window
        #: leaves out what was submitted since the run before.
        filters = self.run.asked.filters
        last = self.runs[-1 - KEPT_NIGHTS :]
        before = [run for run in self.listed if run.id != self.run.id]
        left_out = leaves_out(before, self.run.asked, self.run.now)
        can_tell = not (filters.status or left_out) and self.run.whole_list and _is_long(last)
        self.can_miss = can_tell and all(run.asked.filters == filters for run in last)
        #: The same of tonight alone, of work whose own row passes the filter. Another project's
        #: was not asked for.
        one_project = len({run.asked.filters.project_id for run in last}) == 1
        self.knows_idle = can_tell and one_project

    def ended(self, entry: Entry) -> datetime | None:
        """When a finished job ended, None for one that has not.

        Never after the run that first told how it ended, whatever the server's clock says, and
        however often its record was written since: a night has it for good. A server that gives no
        end is taken to mean its latest other time.
        """
        row = entry.row
        if row.active:
            return None
        told = self._told_at(entry.told_run or entry.run)
        return min(row.end or row.start or row.submission or told, told)

    def _told_at(self, run: str) -> datetime:
        """When a run told of something: one that was stopped, by the first usable one behind it.

        While none has come, by what it said itself.
        """
        known = self._told_by.get(run)
        if known is None:
            later = bisect_left(self._ids, run)
            if later < len(self._nows):
                known = self._nows[later]
            else:
                known = max(self.now, self._now_of_all.get(run, self.now))
            self._told_by[run] = known
        return known

    def is_coming(self, entry: Entry) -> bool:
        """Whether a job's outcome is for the coming night to tell: the newest did not know it.

        A run behind it was the first to tell: one that read a few jobs again, or was stopped.
        """
        return not entry.row.active and (entry.told_run or entry.run) > self._ids[-1]

    def knew(self, entry: Entry) -> bool:
        """Whether the newest usable run, or one before it, saw a job."""
        return entry.first_run <= self._ids[-1]

    def seen(self, entry: Entry) -> datetime:
        """When a run found this job on the server for the last time, be it one that was stopped."""
        if entry.last_run in self._now_of_all:
            return self._now_of_all[entry.last_run]
        last = bisect_right(self._ids, entry.last_run) - 1
        return self._nows[max(last, 0)]

    def index(self, at: datetime) -> int:
        """The night of an instant: 0 is everything up to the first run."""
        return bisect_left(self._nows, at)

    def keeps(self, ended: datetime, *, back: int = 0) -> bool:
        """Whether a state from then still holds, as seen by the run `back` runs before the newest.

        For seven nights, and for seven days where nights are shorter than that.
        """
        now = self.now if not back else self._nows[-1 - back]
        return self.tonight - back - self.index(ended) <= KEPT_NIGHTS or now - ended <= KEPT

    def may_keep(self, entry: Entry) -> bool:
        """Whether a job that ended may still hold tonight, or for the run before.

        Told by the run that wrote its record, before which it ended.
        """
        run = entry.run
        if run not in self._may_keep:
            self._may_keep[run] = self._keeps_from(self._now_of_all.get(run, self.now))
        return self._may_keep[run]

    def keeps_of_run(self, run: Run) -> bool:
        """The same of all jobs whose records a run wrote."""
        return self._keeps_from(run.now)

    def _keeps_from(self, recorded: datetime) -> bool:
        return self.keeps(recorded, back=1 if self.previous else 0)

    def known_before(self, entry: Entry, ended: datetime) -> bool | None:
        """Whether the previous run counted this finished job; None where no run asked for it yet.

        One that ended before it, though first seen now, is news tonight where a run should have
        listed it and missed it, or would have told of it and left it out by its filter: no report
        told of it. So is what a run saw and could not tell: a job whose detail it could not read,
        or that the server's list still had as running.
        """
        previous = self.previous
        if previous is None or ended > self._nows[-2]:
            return False
        if entry.first_run <= previous.id:
            return (entry.told_run or entry.first_run) <= previous.id
        return False if any(self._asked_for(run, entry.row) for run in self._lately()) else None

    def _lately(self) -> Sequence[Run]:
        """The runs before the newest whose states may still hold."""
        return self.runs[-2 - KEPT_NIGHTS : -1]

    def _asked_for(self, run: Run, row: JobRow) -> bool:
        """Whether a run asked for such a job, of which it could not know everything yet."""
        asked, newest, submitted = run.asked, self.run.asked, row.submission
        return (
            asked.server == newest.server
            and asked.filters.project_id in (None, newest.filters.project_id)
            and (asked.since is None or (submitted is not None and submitted >= asked.since))
            and may_match(row, asked.filters)
        )

    def told_in(self, entry: Entry, ended: datetime) -> int:
        """The first night whose report told of a finished job; that in which it ended for those
        that are too old to be asked about."""
        night = self.index(ended)
        if not self.may_keep(entry):
            return night
        found = bisect_left(self._ids, entry.told_run or entry.first_run)
        return max(night, min(found, self.tonight))


def _is_long(runs: Sequence[Run]) -> bool:
    """Whether the last of some nights took at least three quarters as long as those before it."""
    lengths = [(then.now - first.now).total_seconds() for first, then in pairwise(runs)]
    return len(lengths) < 2 or 4 * lengths[-1] >= 3 * median(lengths[:-1])


def key_of(row: JobRow, identity: Sequence[str]) -> Key:
    """What makes runs of the same work the same; a job of which nothing is known is its own."""
    if identity and any(label in row.labels for label in identity):
        return (row.name, *(row.labels.get(label, "") for label in identity))
    return (row.name, row.key) if row.key else (row.name, "", row.id)


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


class Verdicts(NamedTuple):
    """Keys by what became of them. `new` are some of `failing`, and none on a first run.

    `not_run` are those of `failing` that keep their state from before, for nothing of them ran
    tonight. `lapsed` failed as the previous run told, and have no state any more: nobody can say
    that they are mended.
    """

    failing: list[KeyState]
    new: frozenset[Key]
    fixed: list[KeyState]
    missing: list[Entry]
    flaky: list[KeyState]
    not_run: frozenset[Key] = frozenset()
    lapsed: Sequence[Entry] = ()


class Standings(NamedTuple):
    """How keys stand after a run: their states, and the newest job of each that ran in its night.

    `unkeyed` are workflows with a job in that night of which nobody knows the key.
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
        if not row.readable and (ended is None or nights.index(ended) == nights.tonight):
            self._unkeyed.add(row.name)

    def remember(self, before: Before, others: Container[str]) -> None:
        """Tells of the jobs that did the same work and were not taken, as far as they say anything.

        Those of `others` are left out.
        """
        works = {digest_of(key): key for key in self._keys}
        for work in before.done(works, others):
            key = works[work]
            added, success, kept = list[_Told](), False, self._keys[key]
            others_told = 0
            for ended, job, failed in before.told(work):
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
        states, missing, lapsed = [], [], list[str]()
        before: dict[Key, Verdict | None] = {}
        for key, known in self._sorted():
            state, told_before = _state(key, known, nights), _before(known, nights)
            if state and (state.flaky or state.failed or told_before == "Failed"):
                states.append(state)
                before[key] = told_before
            if state is None and _lapsed(known, nights):
                lapsed.append(together(known.told)[-1].newest.id)
            if nights.can_miss and known.latest and key[0] not in self._unkeyed and _missing(known):
                missing.append(known.latest)
        full = _full(states, history)
        failing = [state for state in full if state.state == "Failed"]
        fixed = [
            state for state in full if state.state == "Succeeded" and before[state.key] == "Failed"
        ]
        new = {state.key for state in failing if nights.previous and before[state.key] != "Failed"}
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


def _full(states: Sequence[_State], history: History) -> list[KeyState]:
    """The same states with their jobs."""
    wanted = {job for state in states for job in (state.newest.id, *state.runs)}
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
        nights=nights.tonight - told_in + 1 if newest.failed else 0,
        flaky=found,
        runs=tuple(one.newest.id for one in last) if found else (),
        idle=known.idle(nights),
    )


def _before(known: _Key, nights: Nights) -> Verdict | None:
    """The state of a key as the previous run told it.

    Where it told none, that of jobs which no run had asked for: else a site that asks for more than
    before would call all of it new.
    """
    for asked in (True, None):
        if told := _stands([one for one in known.told if one.known is asked], nights, back=1):
            return "Failed" if told[-1].failed else "Succeeded"
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
