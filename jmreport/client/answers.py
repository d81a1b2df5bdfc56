"""An answer, read by its status, content type and length before anything is parsed.

Job Managers answer errors as problem+json, text, nothing, or a proxy's HTML; and a 200 can be a
login page. Either there is a JSON object, or a Trouble that says why not in words for readers.
"""

import json
import math
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from jmreport.gaps import BAD_REQUEST, NOT_FOUND, UNEXPECTED

#: A tree nested deeper is refused: nothing of the API is, and readers of trees recurse.
DEEPEST = 100
#: At most this much of a server's own text is repeated.
_LONGEST_TEXT = 200
#: Asking again brings the same certificate.
UNTRUSTED = "its certificate is not trusted"

Again = Literal["never", "once", "as often as allowed"]


#: An in-process server: method, target, headers and body to status, headers and body.
Respond = Callable[[str, str, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]


class Answer(Struct, frozen=True, kw_only=True):
    """What came back: names of headers in lower case, the body unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media(self) -> str:
        """The content type without its parameters: "application/json", "" where none was sent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Trouble(Exception):  # noqa: N818 - never leaves this package: it is turned into an error
    """A request that brought nothing usable: why, and whether asking again may help.

    `why` ends with the server's own reason where it gave one, `short` does not. `status` is None
    when no whole answer came; `after` is the server's own Retry-After in seconds.
    """

    def __init__(
        self,
        why: str,
        *,
        status: int | None = None,
        again: Again = "never",
        after: float | None = None,
        text: str = "",
    ) -> None:
        super().__init__(why)
        self.why = f"{why}: {text}" if text else why
        self.text = text
        self.short = why
        self.status = status
        self.again = again
        self.after = after


_WORDS = {
    204: "the server answered nothing (204)",
    400: BAD_REQUEST,
    401: "token refused (401)",
    403: "access refused (403)",
    404: NOT_FOUND,
    405: "method not allowed (405)",
    408: "request timed out at the server (408)",
    412: "precondition failed (412)",
    429: "too many requests (429)",
    500: "server error 500",
    501: "not implemented (501)",
    502: "bad gateway (502)",
    503: "server unavailable (503)",
    504: "gateway timed out (504)",
}
_AGAIN: dict[int, Again] = {
    429: "as often as allowed",
    # 500 stands for clients' mistakes and for outages alike, so it is tried once more at most.
    500: "once",
    502: "as often as allowed",
    503: "as often as allowed",
    504: "as often as allowed",
}
#: Texts that say no more than the status does.
_USELESS = re.compile(
    r"<Response \[\d+\]>|The server encountered an internal error.*|about:blank|null|none",
    re.IGNORECASE | re.DOTALL,
)
_SURROGATES = re.compile(r"[\ud800-\udfff]")
#: An escape in a JSON text; the group is half a character by itself.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_OFFSET = re.compile(r"\(byte (\d+)\)")


def tree(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer that succeeded; a Trouble for every other answer."""
    if not 200 <= answer.status < 300:
        raise refused(answer)
    if answer.status in (204, 205):
        raise Trouble(_WORDS[204], status=answer.status)
    if not answer.body.strip():
        raise Trouble(f"the answer is empty ({answer.status})", status=answer.status)
    if "html" in answer.media:
        raise Trouble(f"answer is not JSON ({answer.media})", status=answer.status)
    return _object(answer)


def refused(answer: Answer) -> Trouble:
    """Why a status other than 2xx is no success, with the server's own reason if it gave one."""
    status = answer.status
    if 300 <= status < 400:
        return Trouble(f"redirected ({status})", status=status, text=_location(answer))
    why = _WORDS.get(status) or (
        f"server error {status}" if status >= 500 else f"{UNEXPECTED} {status}"
    )
    return Trouble(
        why,
        status=status,
        again=_AGAIN.get(status, "never"),
        after=retry_after(answer.headers),
        text=_reason(answer),
    )


def plain(text: str) -> str:
    """A server's text fit for one line: at most 200 characters, no controls, nothing invisible."""
    whole = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text[: 10 * _LONGEST_TEXT])
    # Controls, what turns the direction of text, and the invisible: nothing of them is shown.
    seen = "".join(each if each.isprintable() else " " for each in whole)
    line = " ".join(seen.split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1].rstrip() + "…"


def _object(answer: Answer) -> dict[str, Any]:
    found = _decoded(answer)
    if not isinstance(found, dict):
        raise Trouble("answer is JSON, but not an object", status=answer.status)
    if not _is_shallow(answer.body) and _depth(found) > DEEPEST:
        raise Trouble(f"answer is nested more than {DEEPEST} deep", status=answer.status)
    return found


def _decoded(answer: Answer) -> Any:
    """What the body holds. msgspec's messages name a byte or a path; they are kept."""
    try:
        return _parsed(answer.body)
    except UnicodeDecodeError:
        raise Trouble(
            f"answer is not UTF-8 ({_misfit(answer.body)})", status=answer.status
        ) from None
    except RecursionError:
        why = f"answer is nested more than {DEEPEST} deep"
        raise Trouble(why, status=answer.status) from None
    except msgspec.ValidationError as error:
        why = f"answer is not usable JSON: {plain(str(error)).lower()}"
        raise Trouble(why, status=answer.status) from None
    except msgspec.DecodeError as error:
        raise _not_json(answer, str(error)) from None


def _parsed(body: bytes) -> Any:
    """A body's tree; half a character becomes a replacement mark, and an odd number a text or null.

    Python's servers cut texts in the middle of an emoji and send the first half as an escape, and
    they write NaN; neither is taken by a strict reader, nor is a number that no computer's holds:
    the jobs beside it on the page would be lost with it.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], body)
    try:
        return msgspec.json.decode(mended)
    except msgspec.DecodeError as error:
        try:
            return json.loads(
                mended.decode(), parse_constant=_none, parse_float=_float, parse_int=_int
            )
        except ValueError:
            raise error from None


def _none(_constant: str) -> None:
    """What NaN and Infinity are: JSON's own word for no number."""


def _float(text: str) -> float | str:
    """A number that is too large is kept as the server wrote it."""
    return number if math.isfinite(number := float(text)) else text


def _int(text: str) -> int | str:
    """The same of a whole one: Python reads none of more than 4,300 digits."""
    try:
        return int(text)
    except ValueError:
        return text


def _not_json(answer: Answer, message: str) -> Trouble:
    if "json" not in answer.media:
        return Trouble(f"answer is not JSON ({answer.media or 'no type'})", status=answer.status)
    if "truncated" in message and not answer.body.rstrip().endswith(b"}"):
        why = "answer was cut short"
        return Trouble(why, status=answer.status, again="as often as allowed")
    where = _OFFSET.search(message)
    at = f" at byte {where[1]}" if where else ""
    return Trouble(f"answer is not valid JSON{at}", status=answer.status)


def _misfit(body: bytes) -> str:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start}"
    return "no byte of it"


def _is_shallow(body: bytes) -> bool:
    """Whether no JSON in it can be too deep: sure only of its yes, at a third of a walk's cost.

    Brackets are taken away from the inside out; those in texts can only make it seem deeper.
    """
    brackets = body.translate(None, _NO_BRACKETS)
    for _ in range(DEEPEST):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return False


def _depth(found: Any) -> int:
    """How deep containers lie in each other, by levels: nothing here recurses."""
    depth, level = 0, [found]
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            part
            for whole in level
            for part in (whole.values() if isinstance(whole, dict) else whole)
            if isinstance(part, (dict, list))
        ]
    return depth


def _reason(answer: Answer) -> str:
    """The server's own reason: a problem's detail or title, or a short plain text."""
    if "json" in answer.media:
        return _problem(answer.body)
    if "html" in answer.media or answer.body.lstrip()[:1] == b"<":
        return ""
    return _worth(answer.body[: 4 * _LONGEST_TEXT].decode("utf-8", "replace"))


def _problem(body: bytes) -> str:
    try:
        problem = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if isinstance(problem, str):
        return _worth(problem)
    texts = [problem.get(key) for key in ("detail", "message")] if isinstance(problem, dict) else []
    return next((_worth(text) for text in texts if isinstance(text, str) and _worth(text)), "")


def _worth(text: str) -> str:
    line = plain(text)
    return "" if _USELESS.fullmatch(line) else line


def _location(answer: Answer) -> str:
    """Where a redirect points: never followed, and shown without what may be secret in it."""
    location = re.split("[?#]", answer.headers.get("location", ""))[0]
    scheme, slashes, rest = location.partition("//")
    host, slash, path = rest.partition("/")
    return plain(f"to {scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}") if location else ""


def retry_after(headers: dict[str, str]) -> float | None:
    """Seconds that a Retry-After asks for, given in seconds or as a date; None where unreadable.

    A date is compared with the server's own Date, so that no clock of ours is in it.

    >>> retry_after({"retry-after": "7"})
    7.0
    >>> date, after = "Mon, 23 Nov 2026 02:14:00 GMT", "Mon, 23 Nov 2026 02:14:30 GMT"
    >>> retry_after({"retry-after": after, "date": date})
    30.0
    >>> retry_after({"retry-after": "soon"}) is None
    True
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        until, now = (parsedate_to_datetime(date) for date in (text, headers.get("date", "")))
        return max(until.timestamp() - now.timestamp(), 0.0)
    except (ValueError, OverflowError):
        return None
