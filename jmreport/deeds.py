"""What people do to jobs, and what came of it: nouns for the shell, the server and its pages.

Wish (abort, or these labels)  --asked of a server for each job-->  Deed (what came of it)
"""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct, field

from jmreport.models import TERMINAL_STATUSES

Action = Literal["abort", "labels"]
ACTIONS: tuple[Action, ...] = ("abort", "labels")

#: done; refused: certainly not done; not offered: this server never does it; unknown: nobody knows;
#: not sent: the server was not asked.
Came = Literal["done", "refused", "not offered", "unknown", "not sent"]

#: Why the rest of several jobs is not sent.
STOPPED = "jmreport was stopped before"

#: Characters of a label's key and of its value, as the API and the servers limit them.
LONGEST_LABEL = 255


class Wish(Struct, frozen=True, kw_only=True):
    """What is asked for: an abort, or labels to be merged into a job's."""

    action: Action
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The wish as one line: "abort", "labels flag=archive"."""
        return f"{self.action} {self.label_words}" if self.labels else self.action

    @property
    def label_words(self) -> str:
        """The labels as they are typed: "flag=archive comment=ok"."""
        return " ".join(f"{key}={value}" for key, value in self.labels.items())


class JobState(Struct, frozen=True, kw_only=True):
    """A job as its server showed it when it was read; `why` says why it could not be read.

    `labels` are as they may be shown. `held` are the same as the server holds them, where secrets
    were taken out of `labels`: to compare with and to decide by, never to be shown or written.
    """

    id: str
    name: str = ""
    status: str = ""
    submission: datetime | None = None
    end: datetime | None = None
    user: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] | None = None
    why: str = ""
    #: The server knows no such job.
    unknown: bool = False

    @property
    def read(self) -> bool:
        return not self.why

    @property
    def real_labels(self) -> dict[str, str]:
        """Its labels as they are, as far as that is known."""
        return self.labels if self.held is None else self.held

    @property
    def finished(self) -> bool:
        """Whether it was read and had ended."""
        return self.read and self.status in TERMINAL_STATUSES

    @property
    def ended(self) -> str:
        """How it ended: "Succeeded 2026-11-23 02:14 UTC"."""
        at = self.end.astimezone(UTC).strftime(" %Y-%m-%d %H:%M UTC") if self.end else ""
        return f"{self.status}{at}"


class Deed(Struct, frozen=True, kw_only=True):
    """What came of a wish for one job, in words for the person who asked.

    `status` is the status of the server's answer, None where no whole answer came. `state` is the
    job as it was read afterwards, where it was.
    """

    job: str
    wish: Wish
    came: Came
    said: str
    status: int | None = None
    state: JobState | None = None

    @property
    def done(self) -> bool:
        return self.came == "done"


def label_mistake(key: str, value: str) -> str:
    """Why a label cannot be sent, in words; "" where it can.

    >>> label_mistake("flag", "archive"), label_mistake("", "x")
    ('', 'a label needs a name')
    """
    if not key:
        return "a label needs a name"
    for what, text in (("name", key), ("value", value)):
        if len(text) > LONGEST_LABEL:
            return f"a label's {what} has {LONGEST_LABEL} characters at most, not {len(text)}"
        if any("\ud800" <= char <= "\udfff" or char == "\0" for char in text):
            return f"a label's {what} holds a character that no label can"
    return ""


def one_line(text: str) -> str:
    """A text as a field of a page holds it and sends it back: without its line ends.

    >>> one_line("looked at\\r\\nby ana")
    'looked atby ana'
    """
    return text.replace("\r", "").replace("\n", "")


# What the pages of the actions server show


class LabelField(Struct, frozen=True, kw_only=True):
    """A label that the server lets people change: `values` where it takes only those.

    `before` is what it is now, of one job; None where several jobs have different values. `was`
    goes with the form of one job, to know whether somebody else changed it meanwhile.
    """

    key: str
    display: str
    values: tuple[str, ...] = ()
    before: str | None = ""
    was: str = ""
    #: No field can hold what it is now: a secret was taken out of `before`, or a page cannot hold
    #: it. Such a field begins empty, and left empty it changes nothing.
    write_only: bool = False
    #: What a form that is shown again held; None where none was sent. `cleared` is an "empty it".
    typed: str | None = None
    cleared: bool = False


class Ask(Struct, frozen=True, kw_only=True):
    """A confirm page: what is asked for, of which jobs, as they are now, and who is asking.

    `csrf` and `key` go with the form; "" where nothing can be sent, and `cannot` says why.
    `notes` are per job: why it is left out, or what its server does not show yet.
    """

    action: Action
    who: str
    jobs: tuple[JobState, ...]
    fields: tuple[LabelField, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    csrf: str = ""
    key: str = ""
    cannot: str = ""
    #: What was wrong with the form that was sent.
    wrong: str = ""
    #: Values of the label `flag`, each a button of its own.
    flags: tuple[str, ...] = ()


class Told(Struct, frozen=True, kw_only=True):
    """What came of a form: a Deed a job. `before` are the labels as they were, by job."""

    action: Action
    who: str
    at: datetime
    key: str
    deeds: tuple[Deed, ...]
    names: dict[str, str] = field(default_factory=dict)
    before: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Labels that were something else before, by job, though both may be shown alike.
    changed: dict[str, frozenset[str]] = field(default_factory=dict)
    #: Still under way: some deeds are not known yet.
    pending: bool = False
    #: The same form had been sent before: nothing was sent again.
    again: bool = False


class Turned(Struct, frozen=True, kw_only=True):
    """A request that was turned away, and what a person can do."""

    status: int
    title: str
    why: str
    #: Where to go on, as an address within the server, and what that is called.
    href: str = ""
    link: str = ""


class Pick(Struct, frozen=True, kw_only=True):
    """Jobs of the last snapshot to choose from, by what was looked for."""

    who: str
    jobs: tuple[JobState, ...]
    status: str = ""
    name: str = ""
    label: str = ""
    #: How many fit beside those that are shown.
    more: int = 0
    statuses: tuple[str, ...] = ()
    may: frozenset[Action] = frozenset()
    most: int = 100
    #: Whether as many as one form takes are chosen already.
    all: bool = False
