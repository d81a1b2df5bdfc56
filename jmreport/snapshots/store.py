"""The store: what was read of a Job Manager, run by run, kept for good.

    with Store.open(Path("snapshots"), summarise=summarise, create=True) as store:
        with store.begin(now, redaction) as run:
            run.list_row(row)
            run.add(record)
            run.finish(about)
        for entry in store.entries(): ...

The format is told in docs/snapshots.md.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from jmreport.errors import JmreportError, SnapshotError, UsageError
from jmreport.records import SNAPSHOT_FORMAT, Asked, Entry, Measure, Record, Run, RunState, run_id
from jmreport.remembered import StoreState
from jmreport.snapshots import (
    carried,
    contents,
    files,
    filling,
    finding,
    index,
    measured,
    pruning,
    runs,
    summaries,
)
from jmreport.snapshots.check import FORMAT, OF_ROOT, SALT, Fault, Format, check, check_format
from jmreport.snapshots.export import Exported, export
from jmreport.snapshots.indexed import Index
from jmreport.snapshots.lock import WritersLock, is_held
from jmreport.snapshots.measured import Measuring, unmeasured
from jmreport.snapshots.pruning import Leaning, Pruned
from jmreport.snapshots.redaction import Redaction, whole
from jmreport.snapshots.salvage import salvage
from jmreport.snapshots.summaries import Kept, Summarise
from jmreport.snapshots.writing import RunWriter, finish_interrupted, interrupted

T = TypeVar("T")

_ABOUT = (
    "Snapshots of a Job Manager, made by jmreport. runs/*/run.json says what was asked and what "
    "came of it; the *.jsonl.zst are lines of JSON, compressed (zstdcat shows them); index.sqlite "
    "is a cache. docs/snapshots.md of jmreport tells the format."
)


class Store:
    """A store that is open. Readers need no lock and see the runs that ended before they opened.

    `summarise` makes the row of a job from its record, `measure` what its tasks cost; both are kept
    in the index.
    """

    def __init__(self, root: Path, summarise: Summarise, measure: Measuring = unmeasured) -> None:
        self.root = root
        self._summarise, self._measure = summarise, measure
        self._index: Index | None = None
        self._former: list[Index] = []
        self._redaction: Redaction | None = None

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        summarise: Summarise,
        measure: Measuring = unmeasured,
        create: bool = False,
    ) -> Self:
        """The store in a folder, made where it is missing and `create` says so.

        Raises SnapshotError where there is none, where it is damaged or of a newer format, and
        JmreportError where it cannot be made.
        """
        if create:
            _create(root)
        check_format(root)
        return cls(root, summarise, measure)

    def runs(self) -> tuple[Run, ...]:
        """Every run that ended, oldest first; those that failed too, and none that `killed` has."""
        state = self._current()
        try:
            return self._runs_of(state)
        except (sqlite3.DatabaseError, SnapshotError):
            return self._runs_of(self._remade(state))

    def ended(self) -> dict[str, str]:
        """The runs that ended by now, be it since the store was opened, each with a stamp.

        Looks at files and reads none: another answer is another store, to be opened anew.
        """
        return runs.committed(self.root)

    def _runs_of(self, state: Index) -> tuple[Run, ...]:
        return tuple(
            runs.plain(runs.decode(body, self._folder(run) / runs.RUN))
            for run, body in state.runs()
        )

    def killed(self) -> tuple[Run, ...]:
        """The runs that were killed and that no later one has ended yet, oldest first.

        None while somebody writes, for then one of them may go on. Writes nothing: who only reads
        may not be allowed to, and what they had read is known once a run has ended them.
        """
        left = [folder for folder in runs.folders(self.root) if not (folder / runs.RUN).exists()]
        if not left or is_held(self.root):
            return ()
        return tuple(interrupted(each) for each in left if not (each / runs.RUN).exists())

    def entries(self) -> Iterator[Entry]:
        """Every job that is known, sorted by id: one state of the store, streamed.

        Made anew it goes on behind the last id, since a run may have ended and brought more jobs.
        """
        state, last = self._current(), ""
        while True:
            try:
                for entry in state.entries(after=last):
                    last = entry.row.id
                    yield entry
            except (sqlite3.DatabaseError, msgspec.DecodeError):
                state = self._remade(state)
            else:
                return

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        """Every job by the run that wrote its newest record, the newest run's first: streamed.

        From the oldest on it is the order in which records are stored.
        """
        return self._streamed(partial(Index.by_run, oldest_first=oldest_first))

    def by_submission(self) -> Iterator[Entry]:
        """Every job, the oldest submission first and those without one before: streamed."""
        return self._streamed(Index.by_submission)

    def submitted(self, since: float, before: float, *, upto: str | None = None) -> Iterator[Entry]:
        """The jobs submitted from then until before then, the oldest first: streamed.

        Of those alone that no run behind `upto` told of, if it is given.
        """
        return self._streamed(lambda state: state.submitted(since, before, upto=upto))

    def submitted_before(self, at: float) -> int:
        """How many jobs were submitted before then, or do not say when."""
        return self._ask(lambda state: state.submitted_before(at))

    def found_by(self, runs: Iterable[str]) -> int:
        """How many jobs one of these runs was the last to find."""
        some = tuple(runs)
        return self._ask(lambda state: state.found_by(some))

    def unstored(self, run: Run) -> int:
        """How many jobs a run lists of which nothing is stored: what had read them is gone.

        Its list is read only where the run was not the last to find as many as it did.
        """
        folder = self._folder(run.id)
        found = run.counts.listed + sum(1 for _ in runs.unlisted(folder))
        if self.found_by((run.id,)) >= found:
            return 0
        listed = tuple(dict.fromkeys(runs.listed(folder)))
        return self._ask(lambda state: sum(not state.knows(job) for job in listed))

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        """Those of these jobs that are known, by their ids."""
        wanted = tuple(jobs)
        return self._ask(lambda state: state.of(wanted))

    def below(self, jobs: Iterable[str]) -> Iterator[Entry]:
        """The jobs that no list names and whose parent is one of these."""
        wanted = tuple(dict.fromkeys(jobs))
        return self._streamed(lambda state: state.below(wanted))

    def short_ids(self, jobs: Iterable[str]) -> dict[str, str]:
        """Whole id -> as much of it as tells it apart from all that are known."""
        wanted = tuple(jobs)
        return self._ask(lambda state: state.short_ids(wanted))

    def alike(self, jobs: Iterable[str]) -> set[str]:
        """Ids of all jobs that look like one of these at their shortest."""
        wanted = tuple(jobs)
        return self._ask(lambda state: state.alike(wanted))

    def ids_between(self, since: str, before: str) -> list[str]:
        """The ids from one on until before another, sorted."""
        return self._ask(lambda state: state.ids_between(since, before))

    def missed(self, run: str, since: datetime | None) -> Iterator[Entry]:
        """The jobs that were submitted since then, and that this run did not find."""
        return self._streamed(lambda state: state.missed(run, since))

    def told(self) -> StoreState:
        """As of which runs everything is told that is read here."""
        return self._ask(Index.told)

    def _ask(self, question: Callable[[Index], T]) -> T:
        """What the index says; one that is damaged is made anew, and asked the same once more."""
        state = self._current()
        try:
            return question(state)
        except (sqlite3.DatabaseError, msgspec.DecodeError):
            return question(self._remade(state))

    def _streamed(self, read: Callable[[Index], Iterator[Entry]]) -> Iterator[Entry]:
        """What is read of one state; of the same state made anew where it is damaged."""
        state, given = self._current(), 0
        while True:
            try:
                for entry in islice(read(state), given, None):
                    given += 1
                    yield entry
            except (sqlite3.DatabaseError, msgspec.DecodeError):
                state = self._remade(state)
            else:
                return

    def measures(self, jobs: Iterable[str]) -> Iterator[tuple[str, tuple[Measure, ...]]]:
        """(id, what its tasks cost) of those of the jobs that are measured, streamed."""
        state = self._current()
        for some in measured.together(jobs):
            try:
                found = [*state.measures(some)]
            except (sqlite3.DatabaseError, msgspec.DecodeError):
                state = self._remade(state)
                found = [*state.measures(some)]
            yield from found

    def entry(self, job: str) -> Entry | None:
        """A job by its id; None where it is not known. For any thread."""
        return self._ask(lambda state: state.entry(whole(job)))

    def active(self) -> tuple[Entry, ...]:
        """The jobs that were active when they were last read, sorted by id."""
        return tuple(self._ask(Index.active))

    def row_digest(self, row: Any) -> str:
        """The content of a list row, to compare with an Entry's `row_digest`, during a run.

        Secrets are taken out as `begin` was told: only then are two rows compared alike.
        """
        redaction = self._redaction or Redaction()
        return contents.row_digest(redaction.row(row))

    def record(self, job: str) -> Record:
        """The newest record of a job. Raises SnapshotError where it is not known."""
        entry = self.entry(job)
        if entry is None:
            raise SnapshotError(
                f"no job {job} in {self.root}",
                hint="`jmreport snapshots show` finds a job by the beginning of its id",
            )
        return next(runs.read_records(self.root, entry.shard, (entry.line,)))

    def like(self, job: str, *, limit: int = 10) -> tuple[str, ...]:
        """The job of this id; else up to `limit` ids that begin so, or have this short form."""
        return self._ask(lambda state: finding.ids_like(state, whole(job), limit=limit))

    def states(self, job: str) -> Iterator[tuple[str, Record]]:
        """Every stored state of a job, newest first, with the run that wrote it; reads all runs."""
        return finding.states(self.root, whole(job))

    def count(self) -> int:
        """How many jobs are known."""
        return self._ask(Index.count)

    def export(
        self, folder: Path, *, history: bool = False, advance: Callable[[], None] = lambda: None
    ) -> Exported:
        """Everything as plain JSON, one file a job (snapshots/export.py)."""
        return export(self.root, self._sound(), folder, history=history, advance=advance)

    def aggregations(self, run: str) -> dict[str, Any]:
        """The server's own numbers as a run read them, by time frame; empty where it has none."""
        return runs.aggregations(self.root, run)

    def stamp(self) -> str:
        """Changes when anything that a report is made of does: looks at files, reads none.

        "" where files come and go at this moment.
        """
        try:
            killed = "".join(f" {run.id}" for run in self.killed())
            return f"{runs.stamp_of_all(self.root)}{killed}"
        except OSError:
            return ""

    def begin(
        self,
        now: datetime,
        redaction: Redaction,
        *,
        asked: Asked | None = None,
        version: str = "",
        stopped: RunState = "interrupted",
    ) -> RunWriter:
        """A new run, to be written under the one lock.

        Runs that were killed are ended first; what they had read is known from then on. `asked`,
        `version` and the state `stopped` tell of this run if it is killed or stopped itself. Raises
        LockedError where another run is writing, JmreportError where nothing can be written.
        """
        lock = WritersLock(self.root, now.astimezone(UTC))
        try:
            self._tidy()
            self._renew()
            self._redaction = salted = self._salted(redaction)
            taken = [folder.name for folder in runs.folders(self.root)]
            return RunWriter(
                self.root,
                runs.next_id(run_id(now), taken),
                base=self._sound(),
                redaction=salted,
                summarise=self._summarise,
                measure=self._measure,
                begun=runs.Begun(now=now, asked=asked, version=version, state=stopped),
                ended=lambda: self._ended(lock),
            )
        except BaseException:
            lock.release()
            raise

    def settle(self, now: datetime) -> None:
        """End the runs that were killed, and keep what they had read.

        Raises LockedError while somebody writes here.
        """
        lock = WritersLock(self.root, now.astimezone(UTC))
        try:
            self._tidy()
            self._renew()
        finally:
            lock.release()

    def whole(self) -> None:
        """Looks whether each run that ended has all its files, of the size that they had.

        What is lacking is known only to what reads it. Raises SnapshotError.
        """
        for run in runs.committed(self.root):
            runs.ended(self._folder(run))

    def records(self) -> Iterator[Record]:
        """The newest record of every job, in the order of the files: one shard at a time."""
        for shard, places in groupby(self._sound().places(), key=lambda place: place[0]):
            yield from runs.read_records(self.root, shard, [line for _, line, _ in places])

    def rows(self, run: str) -> Iterator[tuple[int | None, Any]]:
        """(place in the list, row) of the rows that a run kept (runs.rows)."""
        return runs.rows(self._folder(run))

    def unlisted(self, run: str) -> Iterator[str]:
        """The ids that a run found on the server though no list named them."""
        return runs.unlisted(self._folder(run))

    def prune(
        self, before: datetime, *, now: datetime, leaning: Leaning, version: str = ""
    ) -> Pruned:
        """Let the runs from before an instant go, and keep what later ones lean on.

        `leaning` says which jobs those are beside the ones that a later run found or stored, that
        are active, and those of one tree with them. Raises LockedError where a run is writing,
        JmreportError where something cannot be written; stopped anywhere the store is whole, and
        the next prune, or run, removes what is left.
        """
        lock = WritersLock(self.root, now.astimezone(UTC))
        try:
            self._tidy()
            self._renew()
            cut = pruning.cut(self._sound(), before, now=now)
            if cut is None:
                return Pruned()
            with pruning.Pruning(self.root, self._current(), cut, leaning, self._kept()) as found:
                done = found.write(now=now, version=version)
            self._tidy()
            self._renew()
            return done
        finally:
            lock.release()

    def would_prune(self, before: datetime, *, now: datetime, leaning: Leaning) -> Pruned:
        """What `prune` would come to. Reads what it reads and writes nothing."""
        cut = pruning.cut(self._sound(), before, now=now)
        if cut is None:
            return Pruned()
        with pruning.Pruning(self.root, self._current(), cut, leaning, self._kept()) as found:
            return found.weigh()

    def pruned(self) -> tuple[Run, ...]:
        """The runs that were pruned, oldest first: when they were, and what they asked for."""
        return carried.gone(self.root)

    def check(self) -> tuple[Fault, ...]:
        """Everything that is wrong with the store; empty where it is whole."""
        return check(self.root, self._summarise, self._measure)

    def close(self) -> None:
        """Let go of the index."""
        for state in (*self._former, *((self._index,) if self._index else ())):
            state.close()
        self._former, self._index = [], None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _folder(self, run: str) -> Path:
        return self.root / runs.RUNS / run

    def _current(self) -> Index:
        if self._index is None:
            self._index = filling.current(self.root, self._summarise, self._measure)
        return self._index

    def _sound(self) -> Index:
        """The same for what would carry on what is damaged, or cannot begin anew in the middle."""
        state = self._current()
        return state if state.is_sound() else self._remade(state)

    def _kept(self) -> Kept:
        return filling.kept_of(self.root, self._summarise, self._measure)

    def _renew(self) -> None:
        """Look at the runs again: what streams from the former state goes on undisturbed."""
        if self._index is not None:
            self._former.append(self._index)
            self._index = None

    def _remade(self, damaged: Index) -> Index:
        """The index made anew from the records, since reading it failed. It is only a cache."""
        if self._index is damaged:
            self._renew()
            files.remove_quietly(self.root / index.NAME)
            self._index = filling.from_records(self.root, self._summarise, self._measure)
        return self._current()

    def _tidy(self) -> None:
        """End what was killed, keep what it read, and remove the rest that it left."""
        folders = runs.folders(self.root)
        for folder in folders:
            if (folder / runs.RUN).exists():
                files.remove(folder / runs.BEGUN)
            else:
                salvage(folder)
                finish_interrupted(folder)
        for left in files.leftovers((self.root, *folders)):
            files.remove(left)
        for folder in runs.outlived(self.root):
            files.remove_folder(folder)
        pruned = runs.pruned_folder(self.root)
        summaries.tidy(self.root, [*folders, *([pruned] if pruned else [])])

    def _salted(self, redaction: Redaction) -> Redaction:
        return redaction.salted(self.salt().strip()) if redaction.hashes else redaction

    def salt(self) -> bytes:
        """The key of the store's hashes, made where there is none; for several processes at once.

        Raises JmreportError where it cannot be written.
        """
        path = self.root / SALT
        if not path.exists():
            files.write_first(path, secrets.token_hex(32).encode() + b"\n")
        return files.read(path)

    def has_salt(self) -> bool:
        """Whether anything was ever hashed here."""
        return (self.root / SALT).exists()

    def adopt_salt(self, salt: bytes) -> None:
        """Hash as another store does. Raises SnapshotError where this one has a key of its own."""
        files.write_first(self.root / SALT, salt)
        if files.read(self.root / SALT) != salt:
            raise SnapshotError(
                f"{self.root} hashes with another key than the snapshots that it belongs to",
                hint="the hashes of the two do not agree: remove the folder and collect it again",
            )

    def _ended(self, lock: WritersLock) -> None:
        self._renew()
        lock.release()


def check_place(root: Path) -> None:
    """Raises UsageError for a folder in which no store can be made, since it holds other files."""
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is not a folder", hint="name a folder with --snapshots")
    if not root.exists() or (root / FORMAT).exists():
        return
    try:
        others = [path for path in root.iterdir() if not _of_a_store(path)]
    except OSError as error:
        raise files.failed(root, error) from error
    if others:
        raise UsageError(
            f"{root} holds other files ({others[0].name}) and no snapshots",
            hint="name a new or empty folder with --snapshots",
        )


def _create(root: Path) -> None:
    """Make a store where there is none, in a folder that is new, empty, or half made."""
    check_place(root)
    files.make_directory(root, parents=True)
    if (root / FORMAT).exists():
        return
    try:
        files.make_directory(root / runs.RUNS)
        files.write(root / FORMAT, msgspec.json.encode(Format(SNAPSHOT_FORMAT, _ABOUT)) + b"\n")
    except JmreportError:
        # Another process that made the same store may have tidied our file away: its own is there.
        if not (root / FORMAT).exists():
            raise


def _of_a_store(path: Path) -> bool:
    return path.name in OF_ROOT or path.name.endswith(files.TEMPORARY)
