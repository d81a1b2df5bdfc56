"""Nights, keys and their states: what is new, fixed, still failing or missing.

A night is the time between two usable runs; a job belongs to the night in which it ended. A key is
one piece of work that is run again and again: a workflow with identity labels, or with the digest
of its inputs. Its state is that of its newest job that Succeeded or Failed. A job that could not
be read is passed over, so it neither breaks nor fixes a key; one that is listed as Failed did fail.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from jmreport.analysis.flaky import RUNS, Flakiness, flakiness
from jmreport.records import Entry, JobRow, Run

#: A key that did not run keeps its state for this long.
KEPT_NIGHTS = 7
KEPT = timedelta(days=7)
#: A key is missing when it ran on so many of the last seven nights, and not tonight.
REGULAR_NIGHTS = 5

Key = tuple[str, ...]
Verdict = Literal["Succeeded", "Failed"]


class Nights:
    """The usable runs, oldest first, and the nights between them. At least one run is usable."""

    def __init__(self, runs: Sequence[Run], now: datetime | None = None) -> None:
        self.runs = [run for run in runs if run.usable]
        self.run = self.runs[-1]
        self.now = now or self.run.now
        self.previous = self.runs[-2] if len(self.runs) > 1 else None
        self._nows = [run.now for run in self.runs]
        self._ids = [run.id for run in self.runs]
        self._now_of = {run.id: run.now for run in self.runs}
        self._now_of_all = {run.id: run.now for run in runs}

    def ended(self, entry: Entry) -> datetime | None:
        """When a finished job ended, None for one that has not.

        Never after the run that recorded it as finished, whatever the server's clock says. A
        server that gives no end is taken to mean its latest other time.
        """
        row = entry.row
        if row.active:
            return None
        recorded = self._now_of.get(entry.run, self.now)
        return min(row.end or row.start or row.submission or recorded, recorded)

    def seen(self, entry: Entry) -> datetime:
        """When a run found this job on the server for the last time, be it one that was stopped."""
        if entry.last_run in self._now_of_all:
            return self._now_of_all[entry.last_run]
        last = bisect_right(self._ids, entry.last_run) - 1
        return self._nows[max(last, 0)]

    def index(self, at: datetime) -> int:
        """The night of an instant: 0 is everything up to the first run."""
        return bisect_left(self._nows, at)

    @property
    def tonight(self) -> int:
        return len(self.runs) - 1

    def keeps(self, ended: datetime, *, back: int = 0) -> bool:
        """Whether a state from then still holds, as seen by the run `back` runs before the newest.

        For seven nights, and for seven days where nights are shorter than that.
        """
        now = self.now if not back else self._nows[-1 - back]
        return self.tonight - back - self.index(ended) <= KEPT_NIGHTS or now - ended <= KEPT

    def known_before(self, entry: Entry, ended: datetime) -> bool:
        """Whether the previous run counted this finished job.

        One that ended before it, though first seen now, was counted unless the previous run should
        have listed it: what that run missed is news tonight. So is what it saw and could not tell:
        a job whose detail it could not read, or that the server's list still had as running.
        """
        previous = self.previous
        if previous is None or ended > previous.now:
            return False
        if entry.first_run <= previous.id:
            return (entry.told_run or entry.first_run) <= previous.id
        asked, submitted = previous.asked, entry.row.submission
        return (
            asked.filters != self.run.asked.filters
            or asked.server != self.run.asked.server
            or (asked.since is not None and (submitted is None or submitted < asked.since))
        )


def key_of(row: JobRow, identity: Sequence[str]) -> Key:
    """What makes runs of the same work the same; a job of which nothing is known is its own."""
    if identity and any(label in row.labels for label in identity):
        return (row.name, *(row.labels.get(label, "") for label in identity))
    return (row.name, row.key) if row.key else (row.name, "", row.id)


def verdict(row: JobRow) -> Verdict | None:
    """Succeeded or Failed where that is known; None is passed over."""
    if row.status == "Failed":
        return "Failed"
    return "Succeeded" if row.status == "Succeeded" and row.readable else None


class KeyState(NamedTuple):
    """A key's newest job that tells, since when it fails without a success, its last success.

    `nights` counts the reports that told of it as failing since then, this one included; 0 for a
    key that succeeded. `runs` are its newest jobs that tell, oldest first, and `flaky` is what they
    say together, None where it is not flaky.
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


class Verdicts(NamedTuple):
    """Keys by what became of them. `new` are some of `failing`, and none on a first run."""

    failing: list[KeyState]
    new: frozenset[Key]
    fixed: list[KeyState]
    missing: list[Entry]
    flaky: list[KeyState]


class _History:
    """A key's jobs: those that tell, as (ended, id, entry, known before); the nights of all."""

    __slots__ = ("active", "latest", "nights", "told")

    def __init__(self) -> None:
        self.told: list[tuple[datetime, str, Entry, bool]] = []
        self.nights: set[int] = set()
        self.active: Entry | None = None
        self.latest: tuple[datetime, str, Entry] | None = None

    def add(self, entry: Entry, ended: datetime, nights: Nights) -> None:
        row = entry.row
        self.nights.add(nights.index(ended))
        if self.latest is None or (ended, row.id) > self.latest[:2]:
            self.latest = (ended, row.id, entry)
        if verdict(row):
            self.told.append((ended, row.id, entry, nights.known_before(entry, ended)))

    def ran(self, nights: Nights) -> Entry | None:
        """The newest job that ended tonight, or one that is active; None where none is."""
        if self.latest and nights.index(self.latest[0]) == nights.tonight:
            return self.latest[2]
        return self.active


def verdicts(entries: Iterable[Entry], nights: Nights, identity: Sequence[str]) -> Verdicts:
    """What became of every key up to now, and compared with the previous run."""
    histories, unkeyed = _histories(entries, nights, identity)
    failing, fixed, new = [], [], set()
    missing, flaky = [], []
    for key, history in histories.items():
        state = _state(key, history, nights)
        before = _before(history, nights)
        if state and state.flaky:
            flaky.append(state)
        if state and state.state == "Failed":
            failing.append(state)
            if nights.previous and before != "Failed":
                new.add(key)
        elif state and before == "Failed":
            fixed.append(state)
        if history.latest and key[0] not in unkeyed and _missing(history, nights):
            missing.append(history.latest[2])
    return Verdicts(
        sorted(failing, key=_newest_first),
        frozenset(new),
        sorted(fixed, key=_newest_first),
        sorted(missing, key=lambda entry: (entry.row.name, entry.row.id)),
        sorted(flaky, key=_flakiest_first),
    )


class Standings(NamedTuple):
    """How keys stand after a run: their states, and the newest job of each that ran in its night.

    `unkeyed` are workflows with a job in that night of which nobody knows the key.
    """

    states: dict[Key, KeyState]
    known: frozenset[Key]
    ran: dict[Key, Entry]
    unkeyed: frozenset[str]


def standings(entries: Iterable[Entry], nights: Nights, identity: Sequence[str]) -> Standings:
    """How every key stands after the newest run, with nothing that it is compared with."""
    histories, unkeyed = _histories(entries, nights, identity)
    found = ((key, _state(key, history, nights)) for key, history in histories.items())
    return Standings(
        {key: state for key, state in found if state},
        frozenset(histories),
        {key: ran for key, history in histories.items() if (ran := history.ran(nights))},
        frozenset(unkeyed),
    )


def _flakiest_first(state: KeyState) -> tuple[float, str, str]:
    found = state.flaky
    share = found.flips / found.runs if found else 0.0
    return -share, state.entry.row.name, state.entry.row.id


def _newest_first(state: KeyState) -> tuple[float, str]:
    return -state.ended.timestamp(), state.entry.row.id


def _histories(
    entries: Iterable[Entry], nights: Nights, identity: Sequence[str]
) -> tuple[dict[Key, _History], set[str]]:
    """Every key's history, and the workflows with a job tonight of which the key is not known."""
    histories: dict[Key, _History] = {}
    unkeyed: set[str] = set()
    for entry in entries:
        row = entry.row
        if not row.listed:
            continue
        key = key_of(row, identity)
        history = histories.get(key)
        if history is None:
            history = histories[key] = _History()
        ended = nights.ended(entry)
        if ended is None:
            if history.active is None or row.id > history.active.row.id:
                history.active = entry
        else:
            history.add(entry, ended, nights)
        if not row.readable and (ended is None or nights.index(ended) == nights.tonight):
            unkeyed.add(row.name)
    for history in histories.values():
        history.told.sort(key=lambda told: told[:2])
    return histories, unkeyed


def _state(key: Key, history: _History, nights: Nights) -> KeyState | None:
    """The state of a key now; None where nothing tells, or it is too long ago."""
    if not history.told or not nights.keeps(history.told[-1][0]):
        return None
    newest = history.told[-1]
    since, last_success = newest[0], None
    for ended, _, entry, _ in reversed(history.told):
        if entry.row.status == "Succeeded":
            last_success = ended
            break
        since = ended
    state: Verdict = "Failed" if newest[2].row.status == "Failed" else "Succeeded"
    rows = tuple(entry.row for _, _, entry, _ in history.told[-RUNS:])
    found = flakiness([row.status for row in rows])
    return KeyState(
        key,
        newest[2],
        state,
        newest[0],
        since,
        last_success,
        nights=nights.tonight - nights.index(since) + 1 if state == "Failed" else 0,
        flaky=found,
        runs=rows if found else (),
    )


def _before(history: _History, nights: Nights) -> Verdict | None:
    """The state of a key as the previous run told it."""
    for ended, _, entry, known in reversed(history.told):
        if known:
            return verdict(entry.row) if nights.keeps(ended, back=1) else None
    return None


def _missing(history: _History, nights: Nights) -> bool:
    """Whether a key that runs on most nights did not run tonight."""
    tonight = nights.tonight
    if history.active or tonight in history.nights:
        return False
    last = range(max(0, tonight - KEPT_NIGHTS), tonight)
    return sum(night in history.nights for night in last) >= REGULAR_NIGHTS
