"""Jobs that settled: what was counted of them is remembered, and they are read no more.

    before      1793000000.0      all listed jobs submitted before then have settled,
    next        1793086400.0      and those before then will have the next time
    keys        name, owner …     the labels by which they are counted
    batches     ids, submissions, places by label, failures: what each night added

A job settles once it has ended, or is lost, and is so old that neither the window nor the state of
any work is told by it. From then on only a run that reads it again, or a sub-workflow of it, or
that asks for jobs as old as it, can make another of it. A few that run on while all around them
settled keep their place, and are read every time. Wherever a settled job may be another, and
whenever it is in doubt, what is remembered is let go of and every job is read: the report is the
same.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from math import inf

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from jmreport.analysis import timeline
from jmreport.analysis.causes import Cause
from jmreport.analysis.days import MOST_DAYS
from jmreport.analysis.keys import Keys
from jmreport.analysis.nights import Nights
from jmreport.analysis.overall import Overall
from jmreport.analysis.seen import Causes, Compared, Failed
from jmreport.analysis.slo import Outcome
from jmreport.analysis.tallies import Tallies
from jmreport.analysis.usual import Success
from jmreport.analysis.window import Window
from jmreport.analysis.workflows import Finished
from jmreport.history import History
from jmreport.placed import NEVER
from jmreport.records import Entry, JobRow, Run, run_order
from jmreport.remembered import After, Before, Growing, Unsettled

_Places = bytes | int


class Head(Struct, array_like=True, kw_only=True):
    """What is remembered as a whole: times in seconds since 1970, nights by their number.

    `runs` are the newest that wrote a record of a settled job, and the newest of all; `latest` is
    the last instant that any of their rows tells; `known` counts jobs submitted before, those that
    no list names too; `active` are settled ones that were lost while they ran, and the run that saw
    them last.
    """

    now: float
    next: float
    keys: tuple[str, ...]
    before: float = -inf
    run: str = ""
    latest: float = -inf
    known: int = 0
    night: int = -1
    active: dict[str, str] = field(default_factory=dict)
    #: Jobs among the settled ones that are read every time, by their places.
    apart: dict[str, int] = field(default_factory=dict)
    first_end: datetime | None = None
    lately: dict[str, list[Success]] = field(default_factory=dict)
    newest: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    finished: dict[str, list[Finished]] = field(default_factory=dict)
    days: list[tuple[str, int, str, list[int]]] = field(default_factory=list)
    ended: dict[int, list[int]] = field(default_factory=dict)
    promises: list[list[Outcome]] = field(default_factory=list)
    compared: dict[str, Compared] = field(default_factory=dict)


class Batch(Struct, array_like=True, kw_only=True):
    """What one night added of jobs that settled: places as in jmreport/placed.py."""

    ids: list[str]
    submitted: bytes
    archived: bytes
    #: Label -> (status, value, places), 4 bytes each, or a single place.
    values: dict[str, list[tuple[str, str | None, _Places]]]
    causes: dict[str, Cause]
    failed: dict[str, list[Failed]]
    gone: list[str]
    gone_seen: tuple[datetime, datetime] | None


#: Jobs that are read every time though all around them settled, at most.
_MOST_APART = 500
#: Labels that are counted, at most, beside those of the report.
_MOST_LABELS = 60
_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode
_decode_batch = msgspec.msgpack.Decoder(Batch).decode


def labels_of(before: Before) -> tuple[str, ...]:
    """The labels by which settled jobs were counted."""
    try:
        return _decode_head(before.head).keys
    except msgspec.DecodeError:  # of another version
        return ()


def settling(head: bytes) -> float:
    """Jobs that were submitted before then settle with the next night, in seconds since 1970."""
    return _decode_head(head).next


class Settled:
    """What was counted of settled jobs, and all others to be read; or all of them."""

    def __init__(
        self,
        history: History,
        nights: Nights,
        runs: Sequence[Run],
        tallies: Callable[[Sequence[str]], Tallies],
        before: Before | None,
    ) -> None:
        """`tallies` makes empty ones of some labels; without a `before` every job is read.

        Raises Unsettled.
        """
        self._history, self._nights, self._before = history, nights, before
        self._tallies = tallies
        self.window, self.overall = Window(nights), Overall(nights)
        #: Until when jobs can settle, and when those were submitted that do not all the same.
        self._until = self._settling_until()
        self._stragglers: list[float] = []
        #: Jobs that were read.
        self._read: set[str] = set()
        self._head: Head | None = None
        self._counted: Tallies | None = None
        self._batch: bytes = b""
        if before is not None:
            self._grown = before.history
            self._head = self._begun(before, runs)

    # --- what was remembered ---

    def _begun(self, before: Before, runs: Sequence[Run]) -> Head:
        try:
            head = _decode_head(before.head)
            self._check(head, [run for run in runs if run.id in before.since])
            counted = self._counted = self._tallies(head.keys)
            self._restore(head, counted)
            for body in before.batches():
                self._extend(counted, _decode_batch(body))
        except msgspec.DecodeError as error:  # of another version
            raise Unsettled from error
        former, head = head, self._settle(head, counted)
        still = {
            entry.row.id: entry.last_run
            for entry in self._grown.active()
            if entry.row.listed
            and _submitted(entry.row) < head.before
            and entry.row.id not in head.apart
        }
        if still != head.active:
            raise Unsettled
        self._former = former
        return head

    def _check(self, head: Head, since: Sequence[Run]) -> None:
        """Whether no run that came since can have found a job that had settled."""
        if self._nights.now.timestamp() < head.now:
            raise Unsettled
        for run in since:
            asked = run.asked.since
            if run.state == "failed":
                continue
            if run.state == "refreshed" or asked is None or asked.timestamp() <= head.latest:
                raise Unsettled
        if self._grown.submitted_before(head.before) != head.known:
            raise Unsettled

    def _restore(self, head: Head, counted: Tallies) -> None:
        overall = self.overall
        overall.first_end = head.first_end
        overall.lately.runs.update(head.lately)
        overall.newest.restore(head.newest, head.finished)
        for flow, day, status, places in head.days:
            counted.days.of[flow][date.fromordinal(day)][status] = places
        counted.ended.places.update(head.ended)
        counted.promises.restore(head.promises)

    def _extend(self, counted: Tallies, batch: Batch) -> None:
        """Takes in what one night added."""
        frames, failures = counted.frames, self.overall.failures
        frames.order.extend(batch.ids, _times(batch.submitted), _places(batch.archived))
        for key, told in batch.values.items():
            frames.extend(
                key,
                (
                    (status, value, places if isinstance(places, int) else _places(places))
                    for status, value, places in told
                ),
            )
        failures.known.update(batch.causes)
        for cause, failed in batch.failed.items():
            failures.seen[cause].extend(failed)
        counted.gone.add(batch.gone, batch.gone_seen)

    # --- what settles now ---

    def _settle(self, head: Head, counted: Tallies) -> Head:
        """Counts the jobs that settled since, and remembers what they add."""
        nights, overall = self._nights, self.overall
        part = self._tallies(head.keys)
        part.frames.order.begin(len(counted.frames.order.ids))
        failed_before = {cause: len(seen) for cause, seen in overall.failures.seen.items()}
        since = nights.run.asked.since
        active, apart = dict(head.active), dict(head.apart)
        latest, run, last = head.latest, head.run, head.night
        for entry in self._grown.submitted(head.before, head.next):
            row = entry.row
            if not row.listed:
                continue
            lost, ended = self.window.lost(entry), nights.ended(entry)
            kept = self.window.holds(entry) or timeline.touches(row, since, lost=lost)
            if not self._settles(entry, lost=lost, kept=kept):
                apart[row.id] = part.frames.order.keep(row)
                if len(apart) > _MOST_APART:
                    raise Unsettled
                continue
            overall.take(entry, ended)
            place = part.frames.take(row, reported=False, lost=False)
            counted.days.take(row, place, ended)
            counted.ended.take(place, ended)
            counted.promises.settle(row, place, ended)
            if lost and not row.is_silent:
                part.gone.take(entry)
            if row.active:
                active[row.id] = entry.last_run
            told = (row.submission, row.start, row.end)
            latest = max(latest, *(at.timestamp() for at in told if at is not None), -inf)
            run = max(run, entry.run, key=run_order)
            last = max(last, nights.index(ended)) if ended is not None else last
        batch = Batch(
            ids=part.frames.order.ids,
            submitted=part.frames.order.submitted.tobytes(),
            archived=part.frames.order.archived.tobytes(),
            values={
                key: [
                    (status, value, places if isinstance(places, int) else places.tobytes())
                    for status, of_value in by_status.items()
                    for value, places in of_value.items()
                ]
                for key, by_status in part.frames.values.items()
            },
            causes={},
            failed={},
            gone=part.gone.ids,
            gone_seen=part.gone.seen,
        )
        self._extend(counted, batch)
        batch.failed = {
            cause: seen[failed_before.get(cause, 0) :]
            for cause, seen in overall.failures.seen.items()
            if len(seen) > failed_before.get(cause, 0)
        }
        batch.causes = {cause: overall.failures.known[cause] for cause in batch.failed}
        if batch.ids:
            self._batch = _encode(batch)
        newest, finished = overall.newest.kept()
        return replace(
            head,
            now=nights.now.timestamp(),
            before=head.next,
            run=run,
            latest=latest,
            known=self._grown.submitted_before(head.next),
            night=last,
            active=active,
            apart=apart,
            first_end=overall.first_end,
            lately={name: [*runs] for name, runs in overall.lately.runs.items()},
            newest=newest,
            finished=finished,
            days=[
                (flow, day.toordinal(), status, [*places])
                for flow, by_day in counted.days.of.items()
                for day, by_status in by_day.items()
                if (nights.now.date() - day).days <= MOST_DAYS + 1
                for status, places in by_status.items()
            ],
            ended={night: [*places] for night, places in counted.ended.lately().items()},
            promises=counted.promises.kept(),
        )

    def _settles(self, entry: Entry, *, lost: bool, kept: bool) -> bool:
        """Whether a listed job can only change by being read again; `kept` is one of the report."""
        row, nights = entry.row, self._nights
        if kept or nights.may_keep(entry) or nights.is_coming(entry):
            return False
        if row.active and not lost:
            return False
        return row.end is None or row.end <= nights.now

    # --- what is read all the same ---

    def others(self) -> Iterator[Entry]:
        """All other jobs, and every one that no list names, those of the newest run first.

        Raises Unsettled.
        """
        head, before = self._head, self._before
        if head is None or before is None or head.before == -inf:
            yield from self._history.by_run()
            return
        found, above = 0, set[str]()
        for entry in self._others(head, before.history):
            row = entry.row
            self._read.add(row.id)
            found += entry.last_run in before.since
            if entry.run in before.since and row.parent and not row.listed:
                above.add(row.parent)
            yield entry
        self._check_above(head, above)
        # A run that asked for younger jobs alone may have come upon an older one all the same.
        if found != before.history.found_by(before.since):
            raise Unsettled

    def _others(self, head: Head, history: Growing) -> Iterator[Entry]:
        edge = run_order(head.run)
        for entry in history.by_run():
            if run_order(entry.run) <= edge:
                break
            if entry.row.listed and _submitted(entry.row) < head.before:
                self._check_apart(head, entry)
            yield entry
        yield from history.submitted(head.before, inf, upto=head.run)
        for entry in self._apart(head):
            if run_order(entry.run) <= edge:
                yield entry

    def _check_apart(self, head: Head, entry: Entry) -> None:
        """Raises Unsettled for a job that is not one of those apart, or not where it was."""
        place = head.apart.get(entry.row.id)
        counted = self._counted
        if place is None or counted is None or not entry.row.listed:
            raise Unsettled
        if counted.frames.order.submitted[place] != _submitted(entry.row):
            raise Unsettled

    def _check_above(self, head: Head, jobs: set[str]) -> None:
        """Raises Unsettled where some jobs, or those above them, have settled.

        They were told with what was known below them, of which something is another now.
        """
        met, waiting = set[str](), jobs
        while waiting:
            met |= waiting
            found = [entry.row for entry in self._history.of(sorted(waiting)).values()]
            for row in found:
                if row.listed and row.id not in self._read and _submitted(row) < head.before:
                    raise Unsettled
            waiting = {row.parent for row in found if row.parent and not row.listed} - met

    def _apart(self, head: Head) -> list[Entry]:
        """Jobs among the settled ones that are read every time. Raises Unsettled."""
        found = [*self._history.of(head.apart).values()]
        if len(found) < len(head.apart):
            raise Unsettled
        for entry in found:
            self._check_apart(head, entry)
        return found

    def _settling_until(self) -> float:
        """Submitted before then jobs have settled, unless they went on for long."""
        asked, nights = self._nights.run.asked.since, self._nights
        old = [run.now for run in nights.runs if not nights.keeps_of_run(run)]
        # Those that ran when the last of these came are recorded by the next.
        if asked is None or len(old) < 2:
            return -inf
        return min(asked, old[-2]).timestamp()

    def meet(self, entry: Entry, *, lost: bool, kept: bool) -> None:
        """A listed job was read; `kept` says that the report keeps it."""
        at = _submitted(entry.row)
        if at >= self._until or (self._head and entry.row.id in self._head.apart):
            return
        if not self._settles(entry, lost=lost, kept=kept):
            self._stragglers.append(at)

    def tell(self, keys: Keys) -> None:
        """Tells of the work that runs on what settled jobs say of it."""
        if self._head is None or self._before is None or self._head.before == -inf:
            return
        for entry in self._history.of(self._head.active).values():
            keys.take(entry, None)
        keys.remember(self._before, self._read)

    def tallies(self, keys: Sequence[str]) -> Tallies:
        """Counts of settled jobs by these labels, and maybe by others. Raises Unsettled."""
        if self._counted is None:
            return self._tallies(keys)
        if not set(keys) <= set(self._counted.keys):
            raise Unsettled
        return self._counted

    def by_submission(self) -> Iterator[tuple[Entry, int | None]]:
        """All jobs that are to be counted, the oldest submission first.

        Before them those that stand apart, with the places that were kept for them.
        """
        head = self._head
        if head is None or head.before == -inf:
            yield from ((entry, None) for entry in self._history.by_submission())
            return
        for entry in self._apart(head):
            yield entry, head.apart[entry.row.id]
        for entry in self._grown.submitted(head.before, inf):
            yield entry, None

    def compare(self, causes: Causes) -> None:
        """Tells of causes how many settled jobs had what is common to theirs. Raises Unsettled."""
        head = self._head
        if head is None:
            return
        if not causes.restore(head.compared, self._former.night):
            raise Unsettled
        if causes.reaches(head.night):
            for entry in self._grown.submitted(self._former.before, head.before):
                if entry.row.listed and entry.row.id not in head.apart:
                    causes.take(entry.row, self._nights.ended(entry))
        head.compared = causes.kept(head.night)

    # --- what is remembered from here on ---

    def after(self, keys: Iterable[str], former: Iterable[str]) -> After:
        """What is to be remembered; `keys` are the labels that were counted, `former` once were.

        Those are counted too: a label that few jobs have comes and goes from night to night.
        """
        apart = self._head.apart if self._head else {}
        spare = _MOST_APART - len(apart)
        held_back = sorted(self._stragglers)[spare : spare + 1]
        following = min(self._until, *held_back, inf)
        if self._head is None:
            every = tuple(dict.fromkeys((*keys, *former)))[:_MOST_LABELS]
            head = Head(now=self._nights.now.timestamp(), next=following, keys=every)
            return After(_encode(head), b"", anew=True)
        head = replace(self._head, next=max(following, self._head.before))
        return After(_encode(head), self._batch, anew=False)


def _submitted(row: JobRow) -> float:
    return NEVER if row.submission is None else row.submission.timestamp()


def _times(body: bytes) -> "array[float]":
    made = array("d")
    made.frombytes(body)
    return made


def _places(body: bytes) -> "array[int]":
    made = array("I")
    made.frombytes(body)
    return made
