"""What could not be read, and why: the words in which it is stored, and all that they mean.

Whoever reads a server writes these words, a snapshot keeps them for years, and readers see them as
they are. What follows from a gap (whether to ask again, whether the list is whole) is asked of it
here and nowhere else, so that a word that changes changes in one place.
"""

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

Kind = Literal["job", "attempts", "log", "operation", "list", "counts", "other"]

# --- what ---

#: A job's own detail.
JOB = "job"
#: All of a kind: what is not offered, or was kept out by a limit.
ATTEMPTS, LOGS, OPERATIONS = "attempts", "logs", "operations"
#: The list: all of it, pages of which nobody knows how many are missing, and a part that failed.
LIST, PAGES, PART = "the list of jobs", "pages of the list", "a part of the list of jobs"
_LOG, _OPERATION, _ATTEMPTS, _COUNTS = "log ", "operation ", "attempts of ", "aggregation "
_PAGE, _OF_LIST, _OF_ACTIVE = "page ", "the list", " of active jobs"
_WHAT = re.compile(
    rf"(?:{'|'.join((JOB, ATTEMPTS, LOGS, OPERATIONS, LIST, PAGES, PART))})\Z"
    rf"|(?:{'|'.join((_LOG, _OPERATION, _ATTEMPTS, _COUNTS))})"
    rf"|(?:a row on )?{_PAGE}\d+ of {_OF_LIST}(?:{_OF_ACTIVE})?\Z"
)


def attempts_of(task: str, shard: int | None = None) -> str:
    """The attempts of a task, or of one shard of it."""
    return f"{_ATTEMPTS}{task}" if shard is None else f"{_ATTEMPTS}{task}, shard {shard}"


def log_of(address: str) -> str:
    """One log, by its gs:// address."""
    return f"{_LOG}{address}"


def operation_of(name: str) -> str:
    """One operation, by its id."""
    return f"{_OPERATION}{name}"


def page_of_list(number: int, *, active: bool = False) -> str:
    """A page of the list, counted from 1: of the time frame's, or of that of all active jobs."""
    return f"{_PAGE}{number} of {_OF_LIST}{_OF_ACTIVE if active else ''}"


def row_of_list(number: int) -> str:
    """A row on a page of the list."""
    return f"a row on {page_of_list(number)}"


def server_counts(frame: str) -> str:
    """The server's own counts for a time frame."""
    return f"{_COUNTS}{frame}"


# --- why ---

#: A body that came whole and counts as unread; asking again would bring it again.
MISFIT = "the answer does not fit the API"
#: Nothing more is asked once the time that a run was given is over.
TIME_UP = "time was up"
#: Most requests are not sent while a server is away, or asks to be left alone.
SILENT = "the server has stopped answering"
PUT_OFF = "the server asks to be left alone for longer than is waited"
#: No server there, or none that can be reached; what was cut off begins with "connection" too.
UNREACHED, NO_HOST, CONNECTION = "no connection", "host not found", "connection"
#: Nothing can be asked, since Google gives no token to show.
NO_TOKEN = "no token from Google"  # noqa: S105 - a reason
#: The server does not know the job.
NOT_FOUND, BAD_REQUEST, UNEXPECTED = "not found (404)", "bad request (400)", "unexpected status"
_NOT_OFFERED = "this server does not offer them: "
#: How a note begins that says that a limit kept some out, or all.
LIMITED = ("only ", "none was asked")
_NO_SUCH_JOB = (NOT_FOUND, f"{UNEXPECTED} 410", BAD_REQUEST)
_AWAY = (SILENT, PUT_OFF, UNREACHED, NO_HOST, CONNECTION, NO_TOKEN, TIME_UP)
_LIMIT = re.compile(r"\[collect\] (\w+)(?: = \d+)? is the limit")
_BEGINNINGS = (MISFIT, *_AWAY, *_NO_SUCH_JOB, UNEXPECTED, _NOT_OFFERED, *LIMITED)
_WHY = re.compile(rf"\A(?:{'|'.join(map(re.escape, _BEGINNINGS))})|{_LIMIT.pattern}")
#: Where something stands in a text: from the first character to behind the last.
Spans = tuple[tuple[int, int], ...]


def not_offered(why: str) -> str:
    """Why there is nothing where the server has no such operation."""
    return f"{_NOT_OFFERED}{why}"


def does_not_fit(where: object) -> str:
    """Why a body counts as unread that came whole, and what in it does not fit."""
    return f"{MISFIT}: {where}"


# --- both ---


class Gap(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that could not be read, and why: a report says what it lacks.

    `what` names the thing in the field's words ("job", "attempts of AlignBwa", "page 3 of the
    list", "aggregation DAYS_7"); `why` is a reason for readers ("server error 500"). `operation` is
    the API's that would have brought it and `status` what it answered, where that is known.
    """

    what: str
    why: str
    job: str | None = None
    operation: str = ""
    status: int | None = None

    @property
    def kind(self) -> Kind:
        """What kind of thing it is.

        >>> [Gap(what=what, why="").kind for what in (JOB, log_of("gs://b/out"), page_of_list(3))]
        ['job', 'log', 'list']
        """
        what = self.what
        if what == JOB:
            return "job"
        if what == ATTEMPTS or what.startswith(_ATTEMPTS):
            return "attempts"
        if what == LOGS or what.startswith(_LOG):
            return "log"
        if what == OPERATIONS or what.startswith(_OPERATION):
            return "operation"
        if self.job is None and what.startswith(_COUNTS):
            return "counts"
        if self.job is None and _OF_LIST in what:
            return "list"
        return "other"

    @property
    def of(self) -> str:
        """The address of a log and the id of an operation; "" where it is about no single one."""
        kind, what = self.kind, self.what
        prefix = _LOG if kind == "log" else _OPERATION
        one = kind in ("log", "operation") and what.startswith(prefix)
        return what.removeprefix(prefix) if one else ""

    @property
    def is_misfit(self) -> bool:
        """Whether a job's detail came, and does not fit the API: it is read as far as it goes."""
        return self.what == JOB and self.why.startswith(MISFIT)

    @property
    def is_unread(self) -> bool:
        """Whether nothing that can be read came of a job's detail."""
        return self.what == JOB and not self.why.startswith(MISFIT)

    @property
    def is_silence(self) -> bool:
        """Whether a job was asked for and nothing was said of it: no word that there is none.

        >>> [Gap(what=JOB, why=why).is_silence for why in ("server error 500", NOT_FOUND)]
        [True, False]
        """
        return self.is_unread and not self.why.startswith(_NO_SUCH_JOB)

    @property
    def is_refusal(self) -> bool:
        """Whether the server said that there is no such job, so that nobody need ask again."""
        return self.what == JOB and self.why.startswith(_NO_SUCH_JOB)

    @property
    def is_unasked(self) -> bool:
        """Whether there was no time to ask for it."""
        return self.why.startswith(TIME_UP)

    @property
    def is_cut_short(self) -> bool:
        """Whether the server went away, or Google did, or a page of the list did not come, or time
        was up."""
        return self.what.startswith(_PAGE) or self.why.startswith(_AWAY)

    @property
    def may_come(self) -> bool:
        """Whether it is worth another try: a job or its attempts may come next time, and what there
        was no time for; a log that could not be read stays unread."""
        return self.is_unasked or self.is_unread or self.what.startswith(_ATTEMPTS)

    @property
    def limit(self) -> str:
        """The setting of `[collect]` that left something out; "" where none did.

        >>> Gap(what=LOGS, why="only 1 was asked for; [collect] log_tails is the limit").limit
        'log_tails'
        """
        found = _LIMIT.search(self.why)
        return found[1] if found else ""

    @property
    def own_words(self) -> tuple[Spans, Spans]:
        """Where in `what` and in `why` words of this module stand, on which all of this hangs.

        What stands beside them may name things of others: tasks, files, what a server said.

        >>> Gap(what=log_of("gs://b/out"), why=f"{CONNECTION} lost").own_words
        (((0, 4),), ((0, 10),))
        """
        what = _WHAT.match(self.what)
        return (what.span(),) if what else (), tuple(
            found.span() for found in _WHY.finditer(self.why)
        )


def tell_of_a_detail(gaps: Iterable[Gap]) -> bool:
    """Whether a job's detail is among them, whatever became of it."""
    return any(gap.what == JOB for gap in gaps)
