"""What failure messages say: their deepest reason, what in them varies, and whether a machine was
taken away.

One rule for all: analysis counts preemptions, pages show them, and collectors leave out their logs.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

#: No more of a message is read: it may hold a whole log.
READ_LENGTH = 20_000
#: No more of that is masked.
MASKED_LENGTH = 3_000

#: Words of a machine that was taken away. They are looked for in a message whose varying parts are
#: masked: its paths hold any word.
PREEMPTED = re.compile(
    r"preempt|spot (?:vm|instance)|\b50001\b|error code 1[034]\b.{0,40}(?:\b14\b|<n>: VM)"
    r"|(?:vm|instance|worker)\b.{0,60}(?:reclaimed|(?:shut ?down|stopped) unexpectedly)",
    re.IGNORECASE,
)
_REASON = re.compile(r"\(Caused by \[reason \d+ of \d+\]: ?")
_PARENTHESIS = re.compile(r"[()]")
# Never over the end of a line: of many empty ones, each would be read to the last.
_CAUSED_BY = re.compile(r"^[^\S\n]*+Caused by: ", re.MULTILINE)


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


def masked(message: str) -> str:
    """The message with its varying parts replaced, as one line; codes are kept."""
    text = " ".join(message.split())
    for pattern, place in _PLACES:
        text = pattern.sub(place, text)
    return _NUMBERS.sub(_number, text)


def _number(found: re.Match[str]) -> str:
    if found.lastgroup == "kept":
        return found.group()
    return "<id>" if found.lastgroup == "id" else "<n>"


@lru_cache(maxsize=4096)
def is_preemption(message: str) -> bool:
    """Whether a message tells of a machine that was taken away, as its class would.

    A cause is named by the deepest reason alone. That a machine was taken away may stand in an
    outer one, or in another line: what lies beneath is then what broke with the machine. So the
    message counts as well as its deepest reason.
    """
    text = message[:READ_LENGTH]
    # Most messages say nothing of the kind, masked or not.
    if not PREEMPTED.search(text):
        return False
    return any(PREEMPTED.search(masked(part[:MASKED_LENGTH])) for part in (text, deepest(message)))


def was_preempted(status: str | None, messages: Iterable[str]) -> bool:
    """Whether a call or an attempt ended because its machine was taken away."""
    return status == "Preempted" or any(map(is_preemption, messages))
