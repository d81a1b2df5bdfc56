"""What a row of a job list looks like: its cells, made once for all pages of a folder."""

import hashlib
import os
import struct
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import tzinfo
from functools import cached_property
from itertools import filterfalse
from pathlib import Path

import msgspec
from markupsafe import Markup
from msgspec import Struct

from jmreport.calltimes import WAITING_STATUSES
from jmreport.placed import Placed
from jmreport.records import Entry, JobRow
from jmreport.render import addresses, words
from jmreport.render.columns import (
    MOST_UNSAID,
    Column,
    Kind,
    columns,
    duration_words,
    failure_words,
    field_text,
    field_time,
    lacking,
    left_out,
    read_by,
    sparse,
)
from jmreport.render.page import digest
from jmreport.report import Report
from jmreport.short_ids import form

NO_NAME = "(no name)"


class Cell(Struct, frozen=True, kw_only=True):
    """What a cell says. Exactly one of status, time and text is shown, or a dash, which is heard as
    `lacks`."""

    label: str
    kind: Kind
    look: str = ""
    text: str = ""
    href: str = ""
    sub: str = ""
    status: words.StatusWord | None = None
    time: words.Moment | None = None
    lacks: str = ""


#: Characters of a field's text that a cell shows.
CELL_TEXT = 120


class Lent(Struct, frozen=True):
    """A job and its short id, for the time in which pages are made that show it."""

    entry: Entry
    short: str


class Line:
    """A row of a list: printed by the first page that shows it, and the same on all others."""

    __slots__ = ("_cells", "_printed")

    def __init__(self, cells: tuple[Cell, ...]) -> None:
        self._cells = cells
        self._printed: Markup | None = None

    def printed(self, macro: Callable[[tuple[Cell, ...]], Markup]) -> Markup:
        """The row as the template's macro prints it."""
        if self._printed is None:
            self._printed = macro(self._cells)
            self._cells = ()
        return self._printed


class Lines(tuple[Line, ...]):
    """The rows of a page."""

    __slots__ = ()

    def printed(self, macro: Callable[[tuple[Cell, ...]], Markup]) -> Markup:
        """All of them, a line each. In one go: a template's loop takes as long again."""
        # Rows are HTML already, so nothing of them has to be looked at once more.
        return str.__new__(Markup, "\n".join([each.printed(macro) for each in self]))


#: Rows that are kept for the next page: 1 KB each, whatever the number of jobs.
LINES = 4096


class _Aside:
    """Rows of jobs in a file, one behind the other, found by their numbers."""

    _read = msgspec.msgpack.Decoder(tuple[str, JobRow, float | None]).decode
    _between = struct.Struct("=QQ").unpack

    def __init__(self, path: Path, rows: Iterable[tuple[str, JobRow, float | None]]) -> None:
        """Of each its short id, its row, and for how long it runs, in seconds."""
        self._path, ends = path, array("Q", [0])
        at, encode = 0, msgspec.msgpack.Encoder().encode
        with path.open("wb") as out:
            for each in rows:
                at += out.write(encode(each))
                ends.append(at)
            out.write(ends.tobytes())
        #: Where each row begins and the one before it ends lies behind all of them.
        self._behind = at
        self._file = os.open(path, os.O_RDONLY)

    def __getstate__(self) -> tuple[Path, int]:
        return self._path, self._behind

    def __setstate__(self, state: tuple[Path, int]) -> None:
        self._path, self._behind = state
        self._file = os.open(self._path, os.O_RDONLY)

    def row(self, number: int) -> tuple[JobRow, str, float | None]:
        """A job's row, its short id, and for how long it runs."""
        # By its place: processes that were forked share where a file was read last.
        start, end = self._between(os.pread(self._file, 16, self._behind + 8 * number))
        short, row, so_far = self._read(os.pread(self._file, end - start, start))
        return row, short, so_far

    def close(self) -> None:
        os.close(self._file)


def _of_nobody(_jobs: Sequence[str]) -> Mapping[str, bytes]:
    return {}


class Jobs:
    """Every job that lists can show, and what a row of it looks like."""

    def __init__(self, report: Report, *, zone: tzinfo, pages: set[str]) -> None:
        """`pages` are the workflows that have a page of their own."""
        rows = [entry.row for entry in report.jobs]
        self._sparse = sparse(report.columns, rows)
        self.columns = columns(report.columns, {column.key for column in self._sparse})
        #: Titles of fields that a server asks a column for, and of which no job says anything.
        self.unsaid = [
            column.title
            for column in self._sparse
            if not any(field_text(row, column.key) for row in rows)
        ]
        self.left_out = left_out(report.columns, (*self.columns, *self._sparse))
        #: The report's jobs, and others that pages tell of.
        self.entries: dict[str, Entry] = {entry.row.id: entry for entry in report.jobs}
        #: Those of them that are none of the report's.
        self._added: set[str] = set()
        self._lent: Mapping[str, Lent] = {}
        #: Every list of jobs asks this of each of its jobs.
        self._archived = {job for job, entry in self.entries.items() if entry.row.archived}
        self._short_ids, self._shorter = report.short_ids, dict[str, str]()
        self.now = report.now
        #: When each run read what it found.
        self._read_at = {run.id: run.now for run in report.runs} | report.pruned_at
        self.zone = zone
        self._workflows = pages
        #: What lists show of jobs, as digests; no more is kept of those that nothing else shows.
        self._marks: dict[str, bytes] = {}
        self._told: Callable[[Sequence[str]], Mapping[str, bytes]] = _of_nobody
        #: Rows made last, by their job and the number of what they depend on beside it: the folder
        #: that they link from and the column left out.
        self._lines: OrderedDict[tuple[str | int, int], Line] = OrderedDict()
        self._ways: dict[tuple[str, str], int] = {}
        self._aside: _Aside | None = None
        #: Places of the jobs among `entries`, and those in that order, once somebody asks.
        self._numbers: dict[str, int] = {}
        self._in_order: tuple[Entry, ...] = ()

    def add(self, entry: Entry, short: str) -> None:
        """A job from before the window that pages tell of too."""
        self._shorter.setdefault(entry.row.id, short)
        self._numbers, self._in_order = {}, ()
        if self.entries.setdefault(entry.row.id, entry) is entry:
            self._added.add(entry.row.id)
            if entry.row.archived:
                self._archived.add(entry.row.id)

    def meet(self, entry: Entry, short: str) -> None:
        """A job from before the window that only lists show; not one of those that are added."""
        row = entry.row
        self._marks[row.id] = self.mark_of(entry, short)
        if row.archived:
            self._archived.add(row.id)

    def expect(
        self, told: Callable[[Sequence[str]], Mapping[str, bytes]], archived: Iterable[str]
    ) -> None:
        """Others are met when they are asked for: `told` says what lists show of those that are
        known, under the same `marked_by`; those that somebody has put aside are all there."""
        self._told = told
        self._archived.update(archived)

    @property
    def marked_by(self) -> str:
        """Changes when lists show something else of a job that is the same."""
        return digest(self.columns, self._sparse)

    def planned(self) -> None:
        """Lets go of what only planning asks for."""
        self._marks.clear()

    def lend(self, lent: "Mapping[str, Lent]") -> None:
        """Makes jobs known that were met, for as long as pages are made that show them."""
        self._lent = lent

    def apart(self) -> "Jobs | None":
        """The same for another process, which has rows in a file and jobs that it is lent.

        None as long as they lie in no file.
        """
        if self._aside is None:
            return None
        found = copy(self)
        found.entries, found._added, found._archived = {}, set(), set()
        found._short_ids, found._shorter, found._lent = {}, {}, {}
        found._marks, found._told = {}, _of_nobody
        found._lines, found._ways = OrderedDict(), {}
        found._numbers, found._in_order = {}, ()
        return found

    def far(self, jobs: Sequence[str]) -> tuple[str, ...]:
        """Those of the jobs that have to be lent to be shown."""
        # Of most lists none has, which takes no step of Python's for each job.
        lacking = [*filterfalse(self.entries.__contains__, jobs)]
        self._learn(lacking)
        return tuple(filter(self._marks.__contains__, lacking))

    def _learn(self, jobs: Sequence[str]) -> None:
        """Asks for what lists show of jobs, where it was not told yet."""
        if lacking := [*filterfalse(self._marks.__contains__, jobs)]:
            self._marks.update(self._told(lacking))

    def beyond(self, jobs: Sequence[str]) -> bool:
        """Whether any of the jobs is none of the report's."""
        if isinstance(jobs, Placed):
            return jobs.beyond
        return not self._added.isdisjoint(jobs) or not all(map(self.entries.__contains__, jobs))

    def knows(self, job: str) -> bool:
        """Whether anything is known of a job: then it has a page."""
        if job in self.entries or job in self._lent:
            return True
        self._learn((job,))
        return job in self._marks

    def row(self, job: str) -> JobRow | None:
        """A job's row, None for one that nothing is known of."""
        entry = self._entry(job)
        return entry.row if entry else None

    def _entry(self, job: str) -> Entry | None:
        entry = self.entries.get(job)
        if entry is not None:
            return entry
        lent = self._lent.get(job)
        return lent.entry if lent else None

    def so_far(self, entry: Entry) -> float | None:
        """For how long a job that has not ended ran when it was last read, in seconds.

        None for one that ended or has not started, and where that run is not known any more. As of
        what belongs to the job, as on its own page: so lists show the same of it on every night
        in which it is not read.
        """
        row = entry.row
        if not row.active or row.start is None or row.end or row.status in WAITING_STATUSES:
            return None
        at = self._read_at.get(entry.last_run)
        return None if at is None else max((at - row.start).total_seconds(), 0.0)

    def parted(self, jobs: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """The jobs that nobody has put aside, and those whose label flag says archive."""
        if isinstance(jobs, Placed):
            return jobs.parted()
        archived = self._archived
        if archived.isdisjoint(jobs):
            return jobs, ()
        return (
            tuple(job for job in jobs if job not in archived),
            tuple(job for job in jobs if job in archived),
        )

    def short(self, job: str) -> str:
        """A job's short id."""
        lent = self._lent.get(job)
        known = (lent.short if lent else "") or self._short_ids.get(job)
        return known or self._shorter.get(job) or job[:8]

    def mark(self, job: str) -> bytes:
        """A digest of what a list shows of a job."""
        known = self._marks.get(job)
        if known is None:
            known = self._marks[job] = self.mark_of(self._entry(job), self.short(job))
        return known

    def known_mark(self, job: str) -> bytes | None:
        """The same where it was asked for before, else None."""
        return self._marks.get(job)

    def marks(self, jobs: Sequence[str]) -> bytes:
        """The digests of several jobs, one behind the other."""
        try:
            return b"".join(map(self._marks.__getitem__, jobs))
        except KeyError:  # one that nobody has asked for yet
            self._learn([*filterfalse(self.entries.__contains__, jobs)])
            return b"".join(map(self.mark, jobs))

    def mark_of(self, entry: Entry | None, short: str) -> bytes:
        """The same of a job and its short id.

        Of nothing else than its cells: a server tells much of a job that no list shows, and a job
        stands in some twenty lists.
        """
        told: tuple[object, ...] = ()
        if entry is not None:
            row = entry.row
            told = (
                row.id,
                row.counts_as,
                row.name,
                self.below(row),
                [of(row) for of in self._reading],
            )
            if (so_far := self.so_far(entry)) is not None:
                told = *told, duration_words(row, so_far)
        content = msgspec.msgpack.encode((short, told))
        return hashlib.blake2b(content, digest_size=12).digest()

    @cached_property
    def _reading(self) -> tuple[Callable[[JobRow], object], ...]:
        """What cells are made of, beside status, name and id."""
        return tuple(filter(None, map(read_by, self.columns)))

    def numbered(self, jobs: Sequence[str]) -> Sequence[str | int]:
        """The same jobs by their numbers, as pages keep them; ids of those that have no number.

        A number takes 4 bytes. And a worker that looks at an id writes to its count of references,
        by which it comes to have a copy of the memory around it.
        """
        self._number()
        try:
            return array("I", [*map(self._numbers.__getitem__, jobs)])
        except KeyError:  # one that has to be lent
            return tuple([self._numbers.get(job, job) for job in jobs])

    def _number(self) -> None:
        if len(self._numbers) != len(self.entries):
            self._numbers = {job: number for number, job in enumerate(self.entries)}
            self._in_order = tuple(self.entries.values())

    def lines(
        self,
        jobs: Sequence[str | int],
        at: str,
        *,
        without: str = "",
    ) -> Lines:
        """The rows of several jobs, or of their numbers, on the page `at`, less a column.

        Links from pages of one folder are the same, and a job stands in some twenty lists.
        """
        way = self._ways.setdefault((at.rpartition("/")[0], without), len(self._ways))
        known, numbers = self._lines.get, self._numbers.get
        found = []
        for job in jobs:
            place = numbers(job, job) if isinstance(job, str) else job
            found.append(known((place, way)) or self._line(place, way, at, without))
        return Lines(found)

    def _line(self, job: str | int, way: int, at: str, without: str) -> Line:
        row, short, so_far = self._at_hand(job)
        of = row or JobRow(id=str(job), name="", status="", readable=False)
        known = row is not None or self.knows(of.id)
        made = Line(
            tuple(
                [
                    self._cell(each, of, short, so_far, at, known=known)
                    for each in self.columns
                    if each.key != without
                ]
            )
        )
        if row is not None:  # else it may be lent to a later page
            self._lines[job, way] = made
            if len(self._lines) > LINES:
                self._lines.popitem(last=False)
        return made

    @property
    def dated(self) -> str:
        """What all dates of a page have in common, for its digest.

        Those of this year leave it out, and the page names the zone.
        """
        return f"{self.now.astimezone(self.zone).year} {words.zone_name(self.now, self.zone)}"

    @cached_property
    def note(self) -> str:
        """What lists do not show of what the server names; "" where they show all of it."""
        said = []
        if self.unsaid:
            named, left = self.unsaid[:MOST_UNSAID], len(self.unsaid[MOST_UNSAID:])
            more = [words.plural(left, "more field")] if left else []
            said.append(f"No job of this report has {words.listed([*named, *more])}.")
        if self.left_out:
            said.append(f"{words.plural(self.left_out, 'more column')} in data/jobs.csv.")
        return " ".join(said)

    @cached_property
    def look(self) -> str:
        """What all lists show alike, for the digests of their pages."""
        return digest(self.columns, self.note, self.dated)

    def shown(self, jobs: Sequence[str], at: str) -> list[tuple[bytes, str]]:
        """What rows of these jobs come to on the page `at`, for its digest."""
        rows = [(self.mark(job), self.row(job)) for job in jobs]
        linked = [(mark, self.workflow_href(row.name, at) if row else "") for mark, row in rows]
        return [(self.dated.encode(), ""), *linked]

    def order(self, job: str) -> float:
        """Where a job stands among all, the newest submission first; those only met come last."""
        entry = self.entries.get(job)
        at = entry.row.submission if entry else None
        return -at.timestamp() if at else 0.0

    def _at_hand(self, job: str | int) -> tuple[JobRow | None, str, float | None]:
        """A job's row, its short id, and for how long it runs."""
        if isinstance(job, str):
            known = self._entry(job)
            if known is None:
                return None, self.short(job), None
            return known.row, self.short(job), self.so_far(known)
        if self._aside:
            return self._aside.row(job)
        entry = self._in_order[job]
        return entry.row, self.short(entry.row.id), self.so_far(entry)

    @contextmanager
    def put_aside(self, path: Path) -> Iterator[None]:
        """Keeps rows in a file as well, while workers make pages of lists.

        To look at an object is to write to its count of references, and so to have a copy of the
        memory it lies in: each worker would come to hold all of the report's jobs.
        """
        self._number()
        aside = _Aside(
            path,
            ((self.short(job), each.row, self.so_far(each)) for job, each in self.entries.items()),
        )
        self._aside = aside
        try:
            yield
        finally:
            self._aside = None
            aside.close()

    def _cell(
        self,
        column: Column,
        row: JobRow,
        short: str,
        so_far: float | None,
        at: str,
        *,
        known: bool,
    ) -> Cell:
        label, kind, look = column.title, column.kind, column.look
        match kind:
            case "status":
                return Cell(label=label, kind=kind, look=look, status=words.status(row.counts_as))
            case "job":
                href = addresses.relative(at, addresses.job(row.id)) if known else ""
                return Cell(label=label, kind=kind, look=look, text=short, href=href)
            case "workflow":
                return self._workflow(column, row, at)
            case "time":
                when = words.short_when(field_time(row, column.key), self.zone, near=self.now)
                if when:
                    return Cell(label=label, kind=kind, look=look, time=when)
                text = words.cut_middle(field_text(row, column.key), CELL_TEXT)
            case "duration":
                text = duration_words(row, so_far)
                look = look if so_far is None else f"{look} going"
            case _:
                text = words.breakable(words.cut_middle(field_text(row, column.key), CELL_TEXT))
        if text:
            return Cell(label=label, kind=kind, look=look, text=text)
        return Cell(label=label, kind=kind, look=look, lacks=lacking(column.key, row))

    def _workflow(self, column: Column, row: JobRow, at: str) -> Cell:
        href = self.workflow_href(row.name, at)
        text = words.cut_middle(row.name, 80) or NO_NAME
        return Cell(
            label=column.title,
            kind=column.kind,
            look=column.look,
            text=words.breakable(text),
            href=href,
            sub=self.below(row),
        )

    def below(self, row: JobRow) -> str:
        """What stands below a job's name: whose sub-workflow it is, fields that few jobs have, and
        why it failed."""
        above = "" if row.listed or not row.parent else f"sub-workflow of {form(row.parent)}"
        said = [
            f"{column.title}: {words.cut_end(text, 60)}"
            for column in self._sparse
            if (text := " ".join(field_text(row, column.key).split()))
        ]
        return " · ".join(filter(None, [above, *said, failure_words(row)]))

    def workflow_href(self, name: str, at: str) -> str:
        """The link to a workflow's page, "" where it has none."""
        return addresses.relative(at, addresses.workflow(name)) if name in self._workflows else ""
