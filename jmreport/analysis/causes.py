"""Causes: messages that differ only in paths, ids, numbers and times are one cause.

    Job Germline.AlignBwa:17:2 exited with return code 137 which has not been declared …
    Job Germline.AlignBwa:<shard>:<attempt> exited with return code 137 which has not been …

A cause's id is a digest of the second form, so it is the same on every night and on every machine.
Its class is read from the second form too, so that all its jobs have one. Changing a rule of
`normalise` gives the causes it touches new ids; changing a rule of `CLASSES` changes none.
"""

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from jmreport.messages import MASKED_LENGTH, PREEMPTED, READ_LENGTH, deepest, masked
from jmreport.records import Failure, JobRow
from jmreport.report.causes import NO_MESSAGE, NOT_READ, CauseClass

#: Longest message and longest cause that lists show.
MESSAGE_LENGTH = 300
TITLE_LENGTH = 500


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
    Rule("preempted machine", "preempted", PREEMPTED),
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

_E_LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d E: .*$", re.MULTILINE)


def last_error_line(status_detail: str) -> str:
    """The last line that dsub marked as an error in `statusDetail`, "" where there is none."""
    lines = _E_LINE.findall(status_detail[-READ_LENGTH:])
    return lines[-1] if lines else ""


def normalise(message: str) -> str:
    """The message with its varying parts replaced; codes are kept.

    >>> normalise("Job wf.Align:17:2 exited with return code 137: /tmp/x is 12 GB")
    'Job wf.Align:<shard>:<attempt> exited with return code 137: <path> is <n> GB'
    """
    return masked(message)[:TITLE_LENGTH]


def classify(title: str) -> tuple[CauseClass, str]:
    """The class of a message as `normalise` leaves it, and the name of the rule that gave it."""
    for rule in CLASSES:
        if rule.pattern.search(title):
            return rule.cause_class, rule.name
    return "unknown", "no rule matches"


def failure(message: str, *, task: str | None = None, shard: int | None = None) -> Failure:
    """A failure for a row: the deepest message cut for lists, and its cause where the cut hurts.

    A cut message would give a cause that depends on how long its paths are, so the cause of a long
    one is taken before the cut.
    """
    first = deepest(message)
    title = normalise(first[:MASKED_LENGTH]) if len(first) > MESSAGE_LENGTH else ""
    return Failure(message=first[:MESSAGE_LENGTH], task=task, shard=shard, cause=title)


def cause_of(row: JobRow) -> Cause | None:
    """The cause of a failed job; None for one that did not fail, or was only an attempt."""
    return None if row.retried_by else cause_said(row)


def cause_said(row: JobRow) -> Cause | None:
    """The same of what a job says itself, be it an attempt that another one followed."""
    if row.status != "Failed":
        return None
    if row.failure is None:
        return _UNREADABLE if row.unread else _SILENT
    return _cause(row.failure.message, row.failure.cause)


@lru_cache(maxsize=4096)
def _cause(message: str, title: str) -> Cause:
    title = title or normalise(message)
    cause_class, rule = classify(title)
    return Cause(id=_digest(title), title=title, cause_class=cause_class, rule=rule)


def _digest(title: str) -> str:
    return hashlib.sha256(title.encode("utf-8", "replace")).hexdigest()[:12]


_SILENT = Cause(id=_digest(NO_MESSAGE), title="", cause_class="unknown", rule=NO_MESSAGE)
_UNREADABLE = Cause(id=_digest(NOT_READ), title="", cause_class="unknown", rule=NOT_READ)
