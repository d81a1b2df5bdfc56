"""The ends of a job's logs: what was read of them, and why there is nothing of the others."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from jmreport.gaps import LIMITED, LOGS, OPERATIONS, Gap
from jmreport.models import FileContents
from jmreport.render import words
from jmreport.render.jobfacts import Making

#: Lines of a log that stand open, and characters of it that a page holds.
LINES = 12
CHARACTERS = 20_000
#: Lines at its end that are shown whole wherever they are read: why a program died is told last.
_LAST = 3
_TELLING = re.compile(
    r"\berror\b|exception|fatal|\bkilled\b|out of memory|no space left|denied|traceback", re.I
)


class LogLine(Struct, frozen=True, gc=False):
    """Lines of a log; `marked` for those that tell of an error, `far` for others long before the
    end, of which a narrow page shows the beginnings."""

    text: str
    marked: bool
    far: bool


class LogTail(Struct, frozen=True, kw_only=True, gc=False):
    """The end of a log, the lines before it (closed), or `why_not`. `note`: what was cut off it."""

    said: str = ""
    lines: tuple[LogLine, ...] = ()
    earlier: str = ""
    earlier_said: str = ""
    why_not: str = ""
    note: str = ""


class Logs:
    """What is known of a job's logs, by address; each is shown once on a page."""

    def __init__(
        self, read: Mapping[str, FileContents], gaps: Iterable[Gap], notes: Sequence[Gap]
    ) -> None:
        self._read = read
        self._gaps = {gap.of: gap.why for gap in gaps if gap.kind == "log"}
        self._notes = {note.of: note.why for note in notes if note.kind == "log"}
        self._left = next((note.why for note in notes if note.what == LOGS), "")
        self._shown: set[str] = set()
        self._told: set[str] = set()

    def of(self, address: str | None, making: Making, *, failed: bool) -> LogTail:
        """The end of a log, or why there is none; `failed`: whether the job's logs were wanted."""
        if not address:
            return LogTail(why_not="The server names no log for it.")
        if address in self._shown:
            return LogTail(why_not="Its log is the one shown above.")
        body = self._read.get(address)
        if body is None:
            self._told.add(address)
            return LogTail(why_not=self._why_not(address, failed=failed))
        self._shown.add(address)
        return tail(body, making, self._notes.get(address, ""))

    @property
    def not_asked(self) -> str:
        """How many logs were not asked for, in a sentence, where a limit kept some out."""
        return _not_asked("logs", self._left)

    def unshown(self) -> tuple[str, ...]:
        """Addresses of logs that were read, or asked for in vain, and are not shown yet."""
        known = dict.fromkeys((*self._read, *self._gaps))
        return tuple(one for one in known if one not in self._shown and one not in self._told)

    def instead(self, own: Mapping[str, str]) -> LogTail:
        """Why a failure that names no log has none: `own` are the job's own logs, name by address.

        dsub has no tasks, and names its logs for the job as a whole.
        """
        if not own:
            return LogTail(why_not="The server names no log for it.")
        if any(address in self._read for address in own):
            return LogTail(why_not="The server names no log for it; the job's own are below.")
        names = ", ".join(words.cut_middle(name, 60) for name in list(own.values())[:5])
        if not any(address.startswith("gs://") for address in own):
            why = "only logs in buckets (gs://) can be asked for"
        else:
            gap = next((self._gaps[address] for address in own if address in self._gaps), "")
            why = gap or self._left or "they were not asked for"
        return LogTail(why_not=f"The job's own logs ({names}) could not be read: {why}.")

    def _why_not(self, address: str, *, failed: bool) -> str:
        if why := self._gaps.get(address):
            return f"Log could not be read ({why})."
        if not address.startswith("gs://"):
            return "Log could not be read: only logs in buckets (gs://) can be asked for."
        if self._left:
            return f"Log was not read ({self._left})."
        return "Log was not asked for." if failed else "Only logs of failures are asked for."


def operations_not_asked(notes: Iterable[Gap]) -> str:
    """The same of a job's operations."""
    return _not_asked("operations", next((n.why for n in notes if n.what == OPERATIONS), ""))


def _not_asked(what: str, left: str) -> str:
    return f"Of this job's {what} {left}." if left.startswith(LIMITED) else ""


def tail(body: FileContents, making: Making, note: str = "") -> LogTail:
    """The last lines of a log that was read."""
    lines = body.contents[-CHARACTERS:].rstrip("\n").splitlines()
    shown = lines[-LINES:]
    if not any(line.strip() for line in shown):
        return LogTail(why_not="The log is empty.")
    earlier = lines[:-LINES]
    return LogTail(
        said=_said(body, len(shown), len(lines)),
        lines=tuple(_lines(shown, making)),
        earlier=making.budget.take("\n".join(earlier), CHARACTERS) if earlier else "",
        earlier_said=words.plural(len(earlier), "earlier line"),
        note=note,
    )


def _said(body: FileContents, shown: int, lines: int) -> str:
    """How much of the log that is; `truncated` comes as a boolean or as a word."""
    whole = str(body.truncated).lower() == "false" and len(body.contents) <= CHARACTERS
    if whole and shown == lines:
        return f"whole log, {words.plural(lines, 'line')}"
    if whole:
        return f"last {words.number(shown)} of {words.number(lines)} lines"
    return f"last {words.plural(shown, 'line')}"


def _lines(lines: Sequence[str], making: Making) -> Iterator[LogLine]:
    """Neighbouring lines of one kind together, so that a log is a handful of pieces."""
    pieces: list[tuple[tuple[bool, bool], list[str]]] = []
    for place, line in enumerate(lines):
        marked = _TELLING.search(line[:2_000]) is not None
        kind = (marked, not marked and place < len(lines) - _LAST)
        if not pieces or pieces[-1][0] != kind:
            pieces.append((kind, []))
        pieces[-1][1].append(making.budget.take(line, 2_000))
    for (marked, far), piece in pieces:
        yield LogLine("\n".join(piece), marked, far)
