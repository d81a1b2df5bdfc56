"""Causes: messages that differ only in paths, ids, numbers and times are one cause.

    Job Germline.AlignBwa:17:2 exited with return code 137 which has not been declared …
    Job Germline.AlignBwa:<shard>:<attempt> exited with return code 137 which has not been …

A cause's id is a digest of the second form, so it is the same on every night and on every machine.
Its class is read from the second form too, so that all its jobs have one. Changing a rule of
`normalise` gives the causes it touches new ids; changing a rule of `CLASSES` changes none.
"""

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from jmreport.records import Failure, JobRow
from jmreport.report.causes import CauseClass

#: Longest message and longest cause that lists show.
MESSAGE_LENGTH = 300
TITLE_LENGTH = 500
#: No more of a message is read: it may hold a whole log.
READ_LENGTH = 20_000
#: No more of that is masked.
_MASKED_LENGTH = 10 * MESSAGE_LENGTH


class Cause(Struct, frozen=True, kw_only=True):
    """Why jobs failed: the message with its varying parts as <path>, <id>, <n> …, and its class.

    `title` is "" where the server gave no message; `rule` names what classed it.
    """

    id: str
    title: str
    cause_class: CauseClass
    rule: str


class Rule(NamedTuple):
    """The first rule whose pattern is found in a message gives its class."""

    name: str
    cause_class: CauseClass
    pattern: re.Pattern[str]


def _rule(name: str, cause_class: CauseClass, pattern: str) -> Rule:
    return Rule(name, cause_class, re.compile(pattern, re.IGNORECASE))


#: An answer's number counts where it is said to be one, or stands before the question that it
#: answers, as Google's clients have it: 403 and 404 are also shards, lines and samples.
_ANSWER = (
    r"(?:(?:code|status|error|http(?:/[\d.]+)?)(?: code)?[:=]? ?{0}\b"
    r"|\b{0} (?-i:GET|HEAD|POST|PUT|PATCH|DELETE)\b)"
)

#: In order: a preempted machine may also say 137, a refused image also "access denied". They are
#: looked for in a message whose varying parts are masked: its paths hold any word.
CLASSES: tuple[Rule, ...] = (
    _rule(
        "preempted machine",
        "preempted",
        r"preempt|spot (?:vm|instance)|\b50001\b|error code 1[034]\b.{0,40}(?:\b14\b|<n>: VM)"
        r"|(?:vm|instance|worker)\b.{0,60}(?:reclaimed|(?:shut ?down|stopped) unexpectedly)",
    ),
    _rule(
        "out of memory",
        "out of memory",
        r"outofmemory|out of memory|\boom\b|oom[- ]?kill|bad_alloc|memoryerror"
        r"|cannot allocate memory|java heap space|gc overhead limit",
    ),
    _rule("exit code 137 (killed)", "out of memory", r"(?:code|status):? 137\b|\bkilled\b"),
    _rule(
        "disk full",
        "disk full",
        r"no space left|disk (?:is )?full|enospc|out of disk|insufficient disk",
    ),
    _rule(
        "quota or capacity",
        "quota",
        r"quota|rate ?limit|too many requests|resource_?exhausted|pool_exhausted"
        r"|insufficient (?:capacity|resources)|does not have enough resources",
    ),
    _rule(
        "container image",
        "image",
        r"manifest unknown|imagepull|pull access denied|invalid reference format"
        r"|(?:pull|fetch|find)\w*\b.{0,40}\bimage|\bimage\b.{0,80}(?:not found|does not exist)",
    ),
    _rule(
        "permission",
        "permission",
        r"permission.{0,5}denied|access.{0,5}denied|forbidden|unauthori[sz]ed"
        r"|does not have .{0,80}(?:access|permission)|invalid credentials|insufficient permission|"
        + _ANSWER.format("40[13]"),
    ),
    _rule(
        "missing input",
        "missing input",
        r"no such (?:file|object|key)|nosuchfile|filenotfound|does not exist|not found"
        r"|required workflow input|not specified|missing (?:required )?(?:input|file)"
        r"|(?:could not|failed to|unable to) (?:locali[sz]e|read|open|import)|"
        + _ANSWER.format("404"),
    ),
    _rule("aborted", "aborted", r"\babort(?:ed|ing)?\b(?! \(core)|\bcancel(?:l?ed|ling)?\b"),
    _rule(
        "return code",
        "return code",
        r"(?:return|exit) ?(?:code|status)|exited with|non-?zero|signal \d+|core dumped",
    ),
)

_REASON = re.compile(r"\(Caused by \[reason \d+ of \d+\]: ?")
_PARENTHESIS = re.compile(r"[()]")
# Never over the end of a line: of many empty ones, each would be read to the last.
_CAUSED_BY = re.compile(r"^[^\S\n]*+Caused by: ", re.MULTILINE)
_E_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d E: .*$", re.MULTILINE)


def deepest(message: str) -> str:
    """The innermost first reason of a message: its first line, whole.

    >>> deepest("Failed (Caused by [reason 1 of 2]: No input (x)) (Caused by [reason 2 of 2]: y)")
    'No input (x)'
    """
    text = message[:READ_LENGTH]
    closed = _closed(text) if _REASON.search(text) else {}
    start, end = 0, len(text)
    # Each round ends within a shorter text, and nobody nests reasons fifty deep.
    for _ in range(50):
        found = _REASON.search(text, start, end)
        until = closed.get(found.start(), end) if found else start
        if not found or not text[found.end() : until].strip():
            break
        start, end = found.end(), until
    text = text[start:end].strip() if start else text
    *_, last = (0, *(found.end() for found in _CAUSED_BY.finditer(text)))
    return next((line.strip() for line in text[last:].splitlines() if line.strip()), "")


def _closed(text: str) -> dict[int, int]:
    """Where each parenthesis closes; one that never does has no place, as what is around it.

    >>> _closed("a) (b (c) (d)")
    {6: 8, 10: 12}
    """
    opened: list[int] = []
    closed = {}
    for found in _PARENTHESIS.finditer(text):
        if found.group() == "(":
            opened.append(found.start())
        elif opened:
            closed[opened.pop()] = found.start()
    return closed


def last_error_line(status_detail: str) -> str:
    """The last line that dsub marked as an error in `statusDetail`, "" where there is none."""
    lines = _E_LINE.findall(status_detail[-READ_LENGTH:])
    return lines[-1] if lines else ""


#: What may begin a name of several parts.
_NAME_BEGINS = re.compile(r"(?:^|\.)[A-Za-z]")


def _address(found: re.Match[str]) -> str:
    name = found[1]
    if not _NAME_BEGINS.search(name[: max(name.rfind("."), 0)]):
        return found[0]
    return f"{name}:<shard>:<attempt>"


_PLACES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    # Cromwell's own address of a call: workflow.task:shard:attempt, NA where it isn't scattered.
    # Whatever is joined to it by points is read with it, once: a text may be points for pages.
    (re.compile(r"(?<![\w.])([\w.]*\w):(?:\d+|NA):\d+\b"), _address),
    (
        re.compile(
            r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?Z\b| ?[+-]\d\d:?\d\d)?)?"
            r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
        ),
        "<time>",
    ),
    (
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>()\[\]]*[^\s'\"<>()\[\].,;:]", re.I),
        "<path>",
    ),
    # Absolute paths, and relative ones of three parts; an image such as quay.io/x/y names its host.
    (re.compile(r"(?<![\w<>./-])/[\w.+@%=~-]*[\w+@%=~-](?:/[\w.+@%=~-]*[\w+@%=~-])*/?"), "<path>"),
    (re.compile(r"(?<![\w./<>-])[\w-]+/[\w.+@%=~-]+/[\w.+@%=~/-]*[\w+@%=~-]"), "<path>"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b(?:sha256:|md5:|0x)[0-9a-f]{4,}\b", re.I), "<id>"),
    (re.compile(r"\b(?=[a-f]{0,40}\d)(?=\d{0,40}[a-f])[0-9a-f]{8,64}\b", re.I), "<id>"),
    (re.compile(r"\b(shard)([-_ :#]?)\d+\b", re.I), r"\1\2<shard>"),
    (re.compile(r"\b(attempt)([-_ :#]?)\d+\b", re.I), r"\1\2<attempt>"),
)
#: Codes say what happened: they stay. Other numbers vary, and so do names with three digits.
_NUMBERS = re.compile(
    r"(?P<kept>(?:code|status|signal|errno|error|HTTP(?:/[\d.]+)?|reason)(?: code)?[:=]? ?\d{1,5}\b"
    r"|\b50001\b"
    r"|\b[45]\d\d (?=(?-i:[A-Z])))"
    r"|(?P<id>\b(?=[A-Za-z_]{1,40}\d)\w{0,40}\d{3}\w*)"
    r"|(?P<n>(?<!\w)\d+(?:[.,]\d+)*)",
    re.IGNORECASE,
)


def normalise(message: str) -> str:
    """The message with its varying parts replaced; codes are kept.

    >>> normalise("Job wf.Align:17:2 exited with return code 137: /tmp/x is 12 GB")
    'Job wf.Align:<shard>:<attempt> exited with return code 137: <path> is <n> GB'
    """
    return _masked(message)[:TITLE_LENGTH]


def _masked(message: str) -> str:
    text = " ".join(message.split())
    for pattern, place in _PLACES:
        text = pattern.sub(place, text)
    return _NUMBERS.sub(_number, text)


def _number(found: re.Match[str]) -> str:
    if found.lastgroup == "kept":
        return found.group()
    return "<id>" if found.lastgroup == "id" else "<n>"


def classify(title: str) -> tuple[CauseClass, str]:
    """The class of a message as `normalise` leaves it, and the name of the rule that gave it."""
    for rule in CLASSES:
        if rule.pattern.search(title):
            return rule.cause_class, rule.name
    return "unknown", "no rule matches"


@lru_cache(maxsize=4096)
def is_preemption(message: str) -> bool:
    """Whether a message tells of a machine that was taken away, as its class would.

    A cause is named by the deepest reason alone. That a machine was taken away may stand in an
    outer one, or in another line: what lies beneath is then what broke with the machine. So the
    message counts as well as its deepest reason.
    """
    rule, text = CLASSES[0].pattern, message[:READ_LENGTH]
    # Most messages say nothing of the kind, masked or not.
    if not rule.search(text):
        return False
    return any(rule.search(_masked(part[:_MASKED_LENGTH])) for part in (text, deepest(message)))


def failure(message: str, *, task: str | None = None, shard: int | None = None) -> Failure:
    """A failure for a row: the deepest message cut for lists, and its cause where the cut hurts.

    A cut message would give a cause that depends on how long its paths are, so the cause of a long
    one is taken before the cut.
    """
    first = deepest(message)
    title = normalise(first[:_MASKED_LENGTH]) if len(first) > MESSAGE_LENGTH else ""
    return Failure(message=first[:MESSAGE_LENGTH], task=task, shard=shard, cause=title)


def cause_of(row: JobRow) -> Cause | None:
    """The cause of a failed job; None for one that did not fail, or was only an attempt."""
    return None if row.retried_by else cause_said(row)


def cause_said(row: JobRow) -> Cause | None:
    """The same of what a job says itself, be it an attempt that another one followed."""
    if row.status != "Failed":
        return None
    if row.failure is None:
        return _UNREADABLE if _is_unread(row) else _SILENT
    return _cause(row.failure.message, row.failure.cause)


def _is_unread(row: JobRow) -> bool:
    """Whether its detail did not come: one that does not fit the API was read all the same."""
    return not row.readable and not any(gap.is_misfit for gap in row.gaps)


@lru_cache(maxsize=4096)
def _cause(message: str, title: str) -> Cause:
    title = title or normalise(message)
    cause_class, rule = classify(title)
    return Cause(id=_digest(title), title=title, cause_class=cause_class, rule=rule)


def _digest(title: str) -> str:
    return hashlib.sha256(title.encode("utf-8", "replace")).hexdigest()[:12]


_SILENT = Cause(id=_digest("no message"), title="", cause_class="unknown", rule="no message")
_UNREADABLE = Cause(
    id=_digest("detail not readable"), title="", cause_class="unknown", rule="detail not readable"
)
