"""What a value of a setting must be beside its type: an address, a zone, a status of the API.

wrong_with(KEYS["report.timezone"], "Berlin")
"no time zone is called 'Berlin'; did you mean Europe/Berlin?"
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from jmreport import durations
from jmreport.mailboxes import mailbox, server
from jmreport.models import JOB_STATUSES
from jmreport.settings import ATTACHMENTS, DEEDS, FORMATS, GATES
from jmreport.settings_keys import KEYS, Key

#: What begins so is in a bucket, and no path.
BUCKETS = "gs://"
#: What looks like an address: of any scheme, also one that is misspelt.
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")

#: What to say of a bucket that a key cannot name.
_NO_BUCKET = "this is a path on this machine"
_NOT_THERE = {
    "snapshots.dir": "snapshots lie in a folder, and snapshots.mirror names their twin in a bucket",
    "site.dir": "pages are written to a folder, and publish.to names where they go in a bucket",
}


# What a type cannot say. Each gives words for what is wrong, or None.


def wrong_with(key: Key, value: Any) -> str | None:
    """What is wrong with a value of a key's type, in words; None for nothing."""
    if key.is_local:
        return _on_this_machine(key, value)
    check = CHECKS.get(key.path)
    return check(value) if check else None


def _on_this_machine(key: Key, path: str) -> str | None:
    """An address would be a folder called `gs:`, on a disk that may go with the machine."""
    if path.startswith(BUCKETS):
        return f"{path} is a bucket; {_NOT_THERE.get(key.path, _NO_BUCKET)}"
    if SCHEME.match(path):
        return f"expected a path, not the address {shown(path)}"
    return None


def _address(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return f"not an address: {error}"
    if parts.username is not None or parts.password is not None:
        return "holds a user or a password; secrets are never settings"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"not an address with http:// or https://: {shown(url)}"
    if parts.query or parts.fragment or re.search(r"\s", url):
        return f"an address without spaces, ? and #, not {shown(url)}"
    return None


def _instant(text: str) -> str | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        return f"{shown(text)} is not a date with an offset, like 2026-11-23T02:14:00Z"
    try:
        at.astimezone(UTC)
    except OverflowError:
        return f"{shown(text)} is out of the calendar's range: its year in UTC is not 1 to 9999"
    return None


def _duration(text: str) -> str | None:
    if durations.read(text) is None:
        return f"{shown(text)} is no length of time; {durations.HOW}"
    return None


def _zone(name: str) -> str | None:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
        return None
    except (KeyError, ValueError, OSError):  # not known, not a name, a folder of zones
        pass
    zones, wanted = sorted(available_timezones()), name.lower()
    near = [zone for zone in zones if zone.lower().rpartition("/")[2] == wanted]
    if not near and "/" in name:  # short names look alike and are hours apart: CEST, EST
        near = get_close_matches(name, zones, n=1)
    guess = f"; did you mean {near[0]}?" if near else ", such as UTC or Europe/Berlin"
    return f"no time zone is called {shown(name)}{guess}"


def _length(text: str) -> str | None:
    if durations.long(text) is None:
        return f"{shown(text)} is no length of time, such as 400d, 13w or 2y (100 years at most)"
    return None


def _patterns(patterns: tuple[str, ...]) -> str | None:
    for pattern in patterns:
        try:
            matches_nothing = re.compile(pattern).match("") is not None
        except re.error as error:
            return f"not a regular expression: {shown(pattern)} ({error})"
        if matches_nothing:
            return f"{shown(pattern)} matches the empty text, so it would match everywhere"
    return None


def _headers(headers: dict[str, str]) -> str | None:
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            return f"{shown(name)} is not a header's name"
        if not re.fullmatch(r"[\t\x20-\x7e]*", value):
            return f"the value of {name} holds characters that a header cannot carry"
    return None


def _bucket(to: str) -> str | None:
    """A folder may be called anything; of other schemes none is known."""
    if to.startswith(BUCKETS):
        name = to.removeprefix(BUCKETS).partition("/")[0]
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", name):
            return f"no bucket can be called {shown(name)}"
    elif not to:
        return "names neither a bucket nor a folder"
    elif SCHEME.match(to):
        return f"only gs:// and folders are known, not {shown(to)}"
    return None


def _one_of(known: tuple[str, ...]) -> Callable[[tuple[str, ...]], str | None]:
    def check(given: tuple[str, ...]) -> str | None:
        wrong = next((word for word in given if word not in known), None)
        return None if wrong is None else f"{shown(wrong)} is not one of {', '.join(known)}"

    return check


def _statuses(given: tuple[str, ...]) -> str | None:
    """A word that the API doesn't have would be an error at the server, or an empty list."""
    wrong = next((word for word in given if word not in JOB_STATUSES), None)
    return None if wrong is None else no_status(wrong)


def no_status(word: str) -> str:
    """What to say of a word that is none of the API's statuses."""
    near = get_close_matches(word.title(), JOB_STATUSES, n=1)
    guess = f"; did you mean {near[0]}?" if near else "."
    return f"{shown(word)} is no status of the API{guess} There are {', '.join(JOB_STATUSES)}"


def _prices(given: dict[str, float]) -> str | None:
    """Each is held to the limits of the price of everybody's hour: no page can tell of nan USD."""
    hour = KEYS["prices.hour"]
    for task, price in given.items():
        try:
            msgspec.convert(price, hour.type)
        except msgspec.ValidationError:
            return f"{shown(task)}: expected {expected(hour)}, not {shown(price)}"
    return None


def _mailbox(text: str) -> str | None:
    try:
        mailbox(text)
    except ValueError as error:
        return str(error)
    return None


def _mailboxes(texts: tuple[str, ...]) -> str | None:
    return next((wrong for text in texts if (wrong := _mailbox(text))), None)


def _server(text: str) -> str | None:
    try:
        server(text)
    except ValueError as error:
        return str(error)
    return None


def _folder_address(url: str) -> str | None:
    """Where a folder of pages is hosted: a page's address would make every link of mails dead."""
    wrong = _address(url)
    page = urlsplit(url).path.rpartition("/")[2] if wrong is None else ""
    if page.lower().endswith((".html", ".htm")):
        return f"the folder's address, without {page}, not {shown(url)}"
    return wrong


def _origin(url: str) -> str | None:
    """An address of a server of ours: nothing behind its host and port."""
    wrong = _address(url)
    if wrong is None and urlsplit(url).path not in ("", "/"):
        return f"an address without a path, not {shown(url)}"
    return wrong


def _keys_address(url: str) -> str | None:
    """Where keys are read that decide who somebody is: nobody on the way may change them."""
    wrong = _address(url)
    parts = urlsplit(url)
    if wrong is None and parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "::1"):
        return f"an https:// address, not {shown(url)}"
    return wrong


def _scopes(given: tuple[str, ...]) -> str | None:
    """Each becomes one word of a request."""
    wrong = next((each for each in given if not re.fullmatch(r"[!#-+\--\[\]-~]+", each)), None)
    return None if wrong is None else f"{shown(wrong)} is no scope: it is one word, without commas"


def _who(given: str) -> str | None:
    if re.fullmatch(r"(\*|[^\s@*]+)@[^\s@*]+|[^\s@*]+", given):
        return None
    return f"{shown(given)} is neither an address nor *@ and a domain"


CHECKS: dict[str, Callable[[Any], str | None]] = {
    "api.url": _address,
    "api.headers": _headers,
    "api.google_scopes": _scopes,
    "site.url": _folder_address,
    "collect.status": _statuses,
    "collect.start": _instant,
    "collect.end": _instant,
    "collect.submission": _instant,
    "report.timezone": _zone,
    "nightly.deadline": _duration,
    "prices.tasks": _prices,
    "redact.patterns": _patterns,
    "gate.fail_on": _one_of(GATES),
    "prune.keep": _length,
    "site.formats": _one_of(FORMATS),
    "mail.reply_to": _mailbox,
    "mail.sender": _mailbox,
    "mail.smtp": _server,
    "publish.to": _bucket,
    "actions.site": _bucket,
    "snapshots.mirror": _bucket,
    "teams.attach": _one_of(ATTACHMENTS),
    "teams.to": _mailboxes,
    "actions.url": _origin,
    "actions.keys_url": _keys_address,
    "actions.allow.who": _who,
    "actions.allow.actions": _one_of(DEEDS),
}


# What stands there, and what was expected, in words.


def expected(key: Key) -> str:
    """A key's type and limits in words: "a whole number from 1 to 64"."""
    base, meta = get_args(key.type)[0], key.meta
    for part in get_args(base):
        if get_origin(part) is Annotated:  # a number that may be left out
            base, meta = get_args(part)
        if get_origin(part) is Literal:  # a word that may be left out
            base = part
    if get_origin(base) is Literal:
        return "one of " + ", ".join(get_args(base))
    words = {int: "a whole number", float: "a number", bool: "true or false"}
    origin = get_origin(base)
    if origin is tuple:
        return "a list of texts" + (f", {meta.min_length} at least" if meta.min_length else "")
    if origin is dict:
        return "a table of numbers" if float in get_args(base) else "a table of texts"
    if base not in words:
        return "text" + (f" of 1 to {meta.max_length} characters" if meta.max_length else "")
    return words[base] + _limits(meta)


def _limits(meta: Meta) -> str:
    if meta.gt is not None:
        return f" above {meta.gt} and up to {meta.le}"
    if meta.ge is None:
        return ""
    return f" of at least {meta.ge}" if meta.le is None else f" from {meta.ge} to {meta.le}"


def shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
