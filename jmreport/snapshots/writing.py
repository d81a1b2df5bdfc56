"""One run being written: rows and records stream into files, run.json makes them a run."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import msgspec

from jmreport.errors import JmreportError
from jmreport.gaps import Gap
from jmreport.records import Asked, Counts, Record, Run, RunState
from jmreport.snapshots import contents, files, index, indexed, runs, summaries
from jmreport.snapshots.files import LineFile, Written
from jmreport.snapshots.indexed import Index, Known
from jmreport.snapshots.measured import Measuring, unmeasured
from jmreport.snapshots.redaction import Redaction, whole
from jmreport.snapshots.stopping import Stopping
from jmreport.snapshots.summaries import Line, Summarise

SHARD_RECORDS = 1000
#: A shard also ends here, since whoever reads one record of it reads what stands before it.
SHARD_BYTES = 64 * 1024 * 1024
_encode = msgspec.json.Encoder().encode
NOTHING: Mapping[str, Written] = MappingProxyType({})
_UNKNOWN = Asked(server="", timeframe="ALL_TIME")


class RunWriter:
    """A run while it goes on. `list_row`, `seen` and `add` may be called from any thread.

    End it with `finish` or `fail`; leaving its context otherwise ends it as failed, or as
    interrupted by a signal. Every write that fails raises JmreportError and leaves the store whole.
    """

    def __init__(
        self,
        root: Path,
        run: str,
        *,
        base: Index,
        redaction: Redaction,
        summarise: Summarise,
        measure: Measuring = unmeasured,
        begun: runs.Begun,
        ended: Callable[[], None],
    ) -> None:
        self.id = run
        self.now = begun.now
        #: Records written, and secrets taken out of them, so far.
        self.stored = 0
        self.taken_out = 0
        self._cut: Counter[str] = Counter()
        #: How many jobs the store knew when the run ended early, this run's included.
        self.known = 0
        #: What was asked for, as it is kept: what is kept of jobs is compared with this.
        self.asked = redaction.asked(begun.asked or _UNKNOWN)
        if begun.asked is not None:
            begun = msgspec.structs.replace(begun, asked=self.asked)
        self._root, self._folder = root, root / runs.RUNS / run
        self._redaction, self._begun = redaction, begun
        self._summarise, self._measure = summarise, measure
        self._after = ended
        self._mutex = threading.RLock()
        self._stopping = Stopping()
        self._written: dict[str, Written] = {}
        self._shard: LineFile | None = None
        self._shards = 0
        #: What was made of the records of the shard that is being written.
        self._lines: list[Line] = []
        self._order: LineFile | None = None
        self._over = False
        #: A write failed half-way, so the copy of the index may say more than the files hold.
        self._spoilt = False
        files.make_directory(self._folder, parents=True)
        runs.write_begun(self._folder, begun)
        try:
            self._begin_files(base)
        except (JmreportError, sqlite3.Error) as error:
            self._keep_end("failed", str(error))
            raise

    def _begin_files(self, base: Index) -> None:
        self._index = index.copy(self._root, base)
        try:
            self._index.expect_found()
            self._summaries = summaries.Writing(self._root, self._folder, self._index.made_by())
            self._query: LineFile | None = LineFile(self._folder / runs.QUERY)
        except BaseException:
            self._index.discard()
            raise

    def row_digest(self, row: Any) -> str:
        """The content of a list row, to compare with an Entry's `row_digest`."""
        return contents.row_digest(self._redaction.row(row))

    def list_row(self, row: Any, *, at: int | None = None) -> str:
        """Keep a row of the list, and return its `row_digest`. Its job counts as found.

        `at` is its place in a list of which other rows are not kept here, but in other parts.
        """
        clean = self._redaction.row(row)
        line, job = _encode(clean), runs.id_of(clean)
        with self._writing():
            self._listing().write(line)
            if at is not None:
                if self._order is None:
                    self._order = LineFile(self._folder / runs.ORDER)
                self._order.write(_encode(at))
            if job is not None:
                self._index.note_found(job, listed=True)
        return contents.row_digest(clean)

    def is_listed(self, job: str) -> bool:
        """Whether a row of the list was kept of the job."""
        with self._writing():
            return self._index.is_listed(whole(job))

    def seen(self, job: str) -> None:
        """A job was found on the server, though nothing new is to be kept of it."""
        with self._writing():
            self._index.note_found(whole(job), listed=False)

    def add(self, record: Record) -> tuple[Gap, ...]:
        """Keep a record if its content is new, without its secrets; its gaps, without them too.

        What an earlier record holds and this one lacks is kept (contents.grown). The job counts as
        found unless neither its row nor its detail could be read.
        """
        clean = self._redaction.record(record)
        with self._writing():
            if clean.row is not None or contents.is_read(clean.detail):
                self._index.note_found(clean.id, listed=False)
            known = self._index.known(clean.id)
            if known is not None:
                clean = self._grown(clean, known)
            digest = contents.digest(clean)
            if known is None or known.entry.digest != digest:
                self._store(clean, digest)
        return clean.gaps

    def aggregations(self, trees: dict[str, Any]) -> None:
        """Keep the server's own numbers, by time frame."""
        clean, _ = self._redaction.tree(trees)
        path = self._folder / runs.AGGREGATIONS
        with self._writing():
            self._written[path.name] = files.write(path, _encode(clean) + b"\n")

    def finish(self, run: Run) -> Run:
        """End the run, and return it as it is kept: with its id, its counts, without secrets."""
        with self._writing():
            self._close_files()
            return self._commit(run)

    def fail(self, run: Run) -> Run:
        """End a run that brought nothing usable. What was read of jobs until then stays known."""
        if run.usable:
            run = msgspec.structs.replace(run, state="failed")
        return self.finish(run)

    def __enter__(self) -> Self:
        self._stopping.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if not self._over:
                with self._stopping.undisturbed():
                    self._end_in(error)
        finally:
            self._stopping.end()

    def _end_in(self, error: BaseException | None) -> None:
        try:
            self._end_early(error)
        finally:
            self._release()

    def _end_early(self, error: BaseException | None) -> None:
        # A disk that is full may have room again once the half-written shard is gone, and none
        # for more: then the next run ends this one, and begun.json tells it why.
        state: RunState
        if error is None or not isinstance(error, Exception):
            state, reason = self._begun.state, "stopped before it ended"
        else:
            state, reason = "failed", str(error) or type(error).__name__
        try:
            with self._writing():
                self.known = self._index.count()
                self._close_whole_files()
            listed = _rows_in(self._written)
            stored = _records_in(self._written)
            run = ended(
                self.id, self._begun, state=state, reason=reason, stored=stored, listed=listed
            )
            self._commit(run)
        except JmreportError:
            if error is None:
                raise
            self._keep_end(state, reason)

    def _keep_end(self, state: RunState, reason: str) -> None:
        """What ended the run, where there is no room for its run.json."""
        told = self._redaction.run(ended(self.id, self._begun, state=state, reason=reason))
        with suppress(JmreportError):
            runs.write_end(self._folder, self._begun, state, told.reason)

    def _grown(self, clean: Record, known: Known) -> Record:
        if known.parts <= contents.parts(clean):
            return clean
        entry = known.entry
        if self._shard is not None and entry.shard == self._name(self._shard.path):
            self._close_shard()
        earlier = next(runs.read_records(self._root, entry.shard, (entry.line,)))
        return contents.grown(clean, earlier, earlier_run=entry.run)

    def _store(self, record: Record, digest: str) -> None:
        told = summaries.line_of(record, self._summarise(record), digest, self._measure(record))
        shard = self._open_shard()
        line = shard.write(_encode(record))
        self._index.put(told, run=self.id, shard=self._name(shard.path), line=line)
        self._lines.append(told)
        self.stored += 1
        self.taken_out += record.taken_out
        self._cut.update({note.limit for note in (*record.notes, *record.gaps) if note.limit})
        if shard.lines >= SHARD_RECORDS or shard.text_bytes >= SHARD_BYTES:
            self._close_shard()

    def _open_shard(self) -> LineFile:
        if self._shard is None:
            self._shard = LineFile(self._folder / runs.name_of_shard(self._shards))
            self._shards += 1
        return self._shard

    def _close_shard(self) -> None:
        if self._shard is not None:
            shard, self._shard = self._shard, None
            lines, self._lines = self._lines, []
            self._written[shard.path.name] = written = shard.commit()
            self._summaries.add(shard.path.name, written.sha256, lines)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time, not cut in two, whose failures are told in the store's words."""
        try:
            with self._stopping.undisturbed(), self._mutex:
                yield
        except sqlite3.Error as error:
            self._spoilt = True
            raise indexed.broken(self._root / index.NAME, error) from error
        except Exception:  # whatever broke it off: it goes on to whoever began the run
            self._spoilt = True
            raise

    def _listing(self) -> LineFile:
        if self._query is None:
            raise ValueError(f"run {self.id} is over")  # a caller's mistake, not a user's
        return self._query

    def _close_files(self) -> None:
        self._close_shard()
        query, self._query = self._listing(), None
        self._written[runs.QUERY] = query.commit()
        order, self._order = self._order, None
        if order is not None:
            self._written[runs.ORDER] = order.commit()
        self._write_seen()

    def _write_seen(self) -> None:
        path = self._folder / runs.SEEN
        seen = LineFile(path)
        try:
            for job in self._index.found_unlisted():
                seen.write(_encode(job))
        except BaseException:
            seen.discard()
            raise
        self._written[path.name] = seen.commit()

    def _close_whole_files(self) -> None:
        """After an exception: keep what is whole, leave no trace of the rest."""
        if self._spoilt:
            # Who opens the store next takes the run in from its files.
            self._index.discard()
        if self._shard is not None and self._shard.broken:
            self.known -= self._shard.lines
            self._shard.discard()
            self._shard, self._lines = None, []
        self._close_shard()
        query, self._query = self._query, None
        if query is not None and query.broken:
            query.discard()
        elif query is not None:
            self._written[runs.QUERY] = query.commit()
        if self._spoilt:
            # A file may have come into its place though its commit failed behind that.
            self._written = runs.measured(self._folder)

    def _commit(self, run: Run) -> Run:
        replaced = msgspec.structs.replace(run, id=self.id, counts=self._counted(run))
        kept = self._redaction.run(replaced)
        body = runs.encode(kept, dict(sorted(self._written.items())))
        files.write(self._folder / runs.RUN, body)
        self._over = True
        try:
            files.remove(self._folder / runs.BEGUN)
            self._index.end_run(self.id, runs.stamp(self._folder), body, usable=kept.usable)
            self._index.commit(self._root / index.NAME)
            self._summaries.commit()
        except (JmreportError, sqlite3.Error):
            # The run is kept; its cache is brought up to date by whoever opens the store next.
            self._index.discard()
        finally:
            self._release()
        return kept

    def _counted(self, run: Run) -> Counts:
        kept = _records_in(self._written)
        return msgspec.structs.replace(
            run.counts,
            stored=kept,
            taken_out=self.taken_out,
            cut=dict(sorted(self._cut.items())),
        )

    def _release(self) -> None:
        self._over = True
        if self._shard is not None:
            self._shard.discard()
        for listing in (self._query, self._order):
            if listing is not None:
                listing.discard()
        self._summaries.discard()
        self._index.discard()
        self._after()


def ended(
    run: str, begun: runs.Begun, *, state: Any, reason: str, stored: int = 0, listed: int = 0
) -> Run:
    """A run that did not end by itself, as far as it is known."""
    return Run(
        id=run,
        now=begun.now,
        state=state,
        asked=begun.asked or _UNKNOWN,
        version=begun.version,
        reason=reason,
        counts=Counts(listed=listed, fetched=stored, stored=stored),
    )


def _records_in(written: Mapping[str, Written]) -> int:
    return sum(file.lines for name, file in written.items() if runs.is_shard(name))


def _rows_in(written: Mapping[str, Written]) -> int:
    return written[runs.QUERY].lines if runs.QUERY in written else 0


def interrupted(folder: Path, written: Mapping[str, Written] = NOTHING) -> Run:
    """A run that was killed, or found no room to end, as it is told of: with what it had written,
    where that is known."""
    begun = runs.read_begun(folder)
    return ended(
        folder.name,
        begun,
        state=begun.state,
        reason=begun.reason,
        stored=_records_in(written),
        listed=_rows_in(written),
    )


def finish_interrupted(folder: Path) -> None:
    """End a run that was killed: its shards are kept, and known from then on."""
    written = runs.measured(folder)
    run = interrupted(folder, written)
    files.write(folder / runs.RUN, runs.encode(run, written))
    files.remove(folder / runs.BEGUN)
