"""The index as the runs say: opened, brought up to date, or made anew.

Made anew, states of jobs are appended as the runs have them, and put in order when all are there:
a tree of a million ids is built faster from its end than by a million insertions.

    entries                                      entries
    1  a1b2 …  Running    run 1                  2  77c0 …  Failed     run 1
    2  77c0 …  Failed     run 1       ->         3  a1b2 …  Succeeded  run 2, first seen by run 1
    3  a1b2 …  Succeeded  run 2
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from jmreport.errors import JmreportError
from jmreport.records import run_order
from jmreport.snapshots import carried, files, index, runs
from jmreport.snapshots.indexed import Index, ended_since
from jmreport.snapshots.measured import Measuring, unmeasured
from jmreport.snapshots.summaries import Kept, Line, Records, Source, Summarise

#: Ids of jobs that one run found, and that are held until the next run is known: of more than
#: these each is noted, which takes room on the disk instead.
MOST_FOUND = 200_000


def current(root: Path, summarise: Summarise, measure: Measuring = unmeasured) -> Index:
    """The index as the runs say, brought up to date where it is not.

    Costs what the runs cost that it does not know. Where the folder cannot be written the newer
    state is private to this process. Raises SnapshotError for a run that cannot be read.
    """
    stamps = runs.committed(root)
    kept = kept_of(root, summarise, measure)
    there = index.existing(root, kept.made_by)
    if there is None:
        return _anew(root, stamps, kept.made_by, kept)
    try:
        known = there.stamps()
        if there.prune() != carried.stamp(root) or not _continues(root, there, known, stamps):
            there.close()
            return _anew(root, stamps, kept.made_by, kept)
        missing = [run for run in stamps if run not in known]
        return _forward(root, there, missing, kept) if missing else there
    except (sqlite3.DatabaseError, msgspec.DecodeError):
        there.close()
        return _anew(root, stamps, kept.made_by, kept)


def from_records(root: Path, summarise: Summarise, measure: Measuring = unmeasured) -> Index:
    """The index made anew from the records alone, since what was there could not be read."""
    maker = index.made_by(summarise, measure)
    return _anew(root, runs.committed(root), maker, Records(summarise, measure))


def kept_of(root: Path, summarise: Summarise, measure: Measuring = unmeasured) -> Kept:
    """What is kept of the records, with the records behind it."""
    return Kept(root, index.made_by(summarise, measure), Records(summarise, measure))


def rebuilt(root: Path, made_by: str, source: Source, only: Iterable[str] | None = None) -> Index:
    """A private index of all runs, or only some, and what was pruned before them."""
    wanted = runs.committed(root) if only is None else sorted(only, key=run_order)
    return _filled(root, "", made_by, source, wanted)


def _continues(
    root: Path, there: Index, known: Mapping[str, str], stamps: Mapping[str, str]
) -> bool:
    """Whether the runs on disk begin with those in the index, unchanged.

    A store that was copied has other times and the same contents, so contents decide.
    """
    if list(stamps)[: len(known)] != sorted(known, key=run_order):
        return False
    return all(stamps[run] == known[run] or _same_body(root, there, run) for run in known)


def _same_body(root: Path, there: Index, run: str) -> bool:
    (body,) = there.connection.execute("SELECT body FROM runs WHERE id = ?", (run,)).fetchone()
    return bool(body == files.read(root / runs.RUNS / run / runs.RUN))


def _forward(root: Path, there: Index, missing: list[str], source: Source) -> Index:
    try:
        fresh = index.copy(root, there)
    except JmreportError:
        fresh = Index(index.connect(""))
        there.connection.backup(fresh.connection)
    there.close()
    try:
        for run in missing:
            fresh.take_in(root, run, source)
    except BaseException:
        fresh.discard()
        raise
    return _moved_in(root, fresh)


def _anew(root: Path, stamps: Iterable[str], maker: str, source: Source) -> Index:
    path = files.temporary(root / index.NAME)
    try:
        fresh = _filled(root, str(path), maker, source, stamps)
    except sqlite3.Error:
        files.remove_quietly(path)
        return _filled(root, "", maker, source, stamps)
    return _moved_in(root, fresh)


def _moved_in(root: Path, fresh: Index) -> Index:
    try:
        fresh.commit(root / index.NAME)
    except JmreportError:
        # A cache that cannot be kept is still a cache: this process goes on with it.
        fresh.forget_place()
    return fresh


def _filled(root: Path, path: str, maker: str, source: Source, wanted: Iterable[str]) -> Index:
    """A new index of these runs and of what was pruned before them."""
    fresh = Index(index.fresh(path, maker), Path(path) if path else None)
    try:
        filling = _Filling(root, fresh, source)
        filling.take_in_carried()
        for run in wanted:
            filling.take_in(run)
        filling.end()
        fresh.connection.commit()
    except BaseException:
        fresh.discard()
        raise
    return fresh


class _Filling:
    """An index while it is made anew: every state that was stored, until `end` puts them in order.

    Runs come oldest first, and so their numbers grow. A job was last seen by run 0 until one that
    is usable has found it.
    """

    def __init__(self, root: Path, fresh: Index, source: Source) -> None:
        self._root, self._index, self._source = root, fresh, source
        self._connection = fresh.connection
        self._states = 0
        #: What a run found and did not store, until the next says whether it found it too.
        self._waiting: set[str] = set()
        self._waiting_of = 0
        self._connection.execute("CREATE TEMP TABLE found_by (id TEXT, run INTEGER)")

    def take_in_carried(self) -> None:
        """What is left of the runs that were pruned: before any run."""
        folder = runs.pruned_folder(self._root)
        if folder is None:
            return
        gone = carried.gone(self._root)
        self._index.note_prune(carried.stamp(self._root), gone)
        number = self._index.numbered
        for run in gone:
            number(run.id)  # so that numbers grow from the first of them on
        for shard, lines in carried.beside(folder, self._source.shards(folder)):
            place = number(self._name(shard))
            entries, seen = [], []
            for at, (origin, line) in enumerate(lines):
                told = (number(origin.run), place, at, number(origin.told_run))
                ended = number(origin.ended_run) if origin.ended_run else 0
                entries.append(_entry(line, *told, ended=ended))
                seen.append((number(origin.first_run), number(origin.last_run)))
            self._append(entries, seen, [line for _, line in lines])

    def take_in(self, run: str) -> None:
        """A run from its files."""
        folder = self._root / runs.RUNS / run
        stored, body = runs.ended(folder)
        number = self._index.numbered(run)
        found = self._found(folder, number) if stored.usable else set()
        for shard, lines in self._source.shards(folder):
            place = self._index.numbered(self._name(shard))
            self._append(
                [_entry(line, number, place, at, number) for at, line in enumerate(lines)],
                [(number, number if line.id in found else 0) for line in lines],
                lines,
            )
            found.difference_update([line.id for line in lines])
        if stored.usable:
            self._waiting, self._waiting_of = found, number
        self._index.add_run(run, runs.stamp(folder), body)

    def _found(self, folder: Path, number: int) -> set[str]:
        """What a run found; what only the one before found is noted."""
        found: set[str] = set()
        more = []
        for job in runs.found(folder):
            if len(found) < MOST_FOUND:
                found.add(job)
            else:
                more.append((job, number))
            if len(more) >= MOST_FOUND:
                self._note(more)
                more = []
        self._note(more)
        self._note_waiting(found)
        return found

    def _note_waiting(self, found_again: set[str]) -> None:
        self._note([(job, self._waiting_of) for job in self._waiting - found_again])

    def _note(self, found: Iterable[tuple[str, int]]) -> None:
        self._connection.executemany("INSERT INTO found_by VALUES (?, ?)", found)

    def _name(self, shard: Path) -> str:
        return shard.relative_to(self._root).as_posix()

    def _append(
        self,
        entries: Sequence[tuple[object, ...]],
        seen: Sequence[tuple[int, int]],
        lines: Sequence[Line],
    ) -> None:
        first = self._states + 1
        self._connection.executemany(
            "INSERT INTO entries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            entries,
        )
        self._connection.executemany("INSERT INTO seen VALUES (NULL, ?, ?)", seen)
        self._connection.executemany(
            "INSERT INTO measures VALUES (?, ?)",
            [(number, line.measures) for number, line in enumerate(lines, first) if line.measures],
        )
        self._states += len(entries)

    def end(self) -> None:
        """Of each job the newest state stays, told with what was known before."""
        self._note_waiting(set())
        self._connection.execute(index.BY_ID)
        self._join_states()
        self._connection.execute("UPDATE seen SET last_run = first_run WHERE last_run = 0")
        last = self._connection.execute(
            "SELECT max(found_by.run), number FROM found_by CROSS JOIN entries USING (id) "
            "GROUP BY number"
        )
        self._connection.executemany(
            "UPDATE seen SET last_run = max(last_run, ?) WHERE number = ?", last
        )
        for statement in ("DROP TABLE again", "DROP TABLE found_by", *index.OTHER_INDEXES):
            self._connection.execute(statement)

    def _join_states(self) -> None:
        self._connection.execute(
            "CREATE TEMP TABLE again AS SELECT id FROM entries GROUP BY id HAVING count(*) > 1"
        )
        gone = 0
        for (job,) in self._connection.execute("SELECT id FROM again"):
            states = self._connection.execute(
                "SELECT number, outcome, told_run, first_run, last_run, run, active, ended_run "
                "FROM entries JOIN seen USING (number) WHERE id = ? ORDER BY number",
                (job,),
            ).fetchall()
            self._join(states)
            gone += len(states) - 1
        if 4 * gone > self._states:
            self._connection.commit()
            self._connection.execute("VACUUM")

    def _join(self, states: Sequence[tuple[int, str, int, int, int, int, bool, int]]) -> None:
        _, outcome, since, first, last, _, was_active, ended = states[0]
        for _, then, told, _, found, run, active, _ in states[1:]:
            since = since if then == outcome else told
            ended = ended_since(active, run, was_active=was_active, before=ended)
            outcome, last, was_active = then, max(last, found), active
        *older, (newest, *_) = states
        for table in ("entries", "seen", "measures"):
            self._connection.executemany(
                f"DELETE FROM {table} WHERE number = ?",  # noqa: S608 - names of ours
                [(number,) for number, *_ in older],
            )
        self._connection.execute(
            "UPDATE entries SET told_run = ?, ended_run = ? WHERE number = ?",
            (since, ended, newest),
        )
        self._connection.execute(
            "UPDATE seen SET first_run = ?, last_run = ? WHERE number = ?",
            (first, max(first, last), newest),
        )


def _entry(
    line: Line, run: int, shard: int, at: int, told: int, *, ended: int = 0
) -> tuple[object, ...]:
    return (line.id, run, shard, at, *line[1:7], told, ended, *line[7:10])
