"""How dates, durations, numbers and statuses read: every format a page shows is decided here.

Where a value is not known the text is "" and the template prints a dash with a hidden word
(`ui.known` in macros.html); `MISSING` is the dash for places without markup. Never 0.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from math import ceil, floor
from shlex import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from markupsafe import Markup
from msgspec import Struct

from jmreport.models import TimeFrame
from jmreport.records import FRAME_LENGTHS, RETRIED, instant
from jmreport.report.usual import Range

#: The dash that stands for "not known" in plain text.
MISSING = "—"
#: Between thousands: a narrow space that never breaks.
THIN = "\u202f"

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    "", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class Moment(Struct, frozen=True, gc=False):
    """A point in time: words for the reader, and ISO 8601 for `<time datetime>`."""

    text: str
    iso: str


class StatusWord(Struct, frozen=True, gc=False):
    """A status: `key` names its colours in CSS, `icon` its symbol in the sprite, `text` the word.

    `key` is "" nowhere: a word no API names has the key "unknown" and its own word in the text.
    """

    key: str
    text: str
    icon: str


_STATUSES = {
    word: StatusWord(word.lower(), text, f"i-{word.lower()}")
    for word, text in (
        ("Submitted", "Submitted"),
        ("OnHold", "On hold"),
        ("Running", "Running"),
        ("Aborting", "Aborting"),
        ("Failed", "Failed"),
        (RETRIED, "Retried"),
        ("Succeeded", "Succeeded"),
        ("Aborted", "Aborted"),
    )
}
_UNKNOWN = StatusWord("unknown", "Unknown", "i-unknown")

_FRAMES = {
    "HOURS_1": "last hour",
    "HOURS_8": "last 8 hours",
    "HOURS_24": "last 24 hours",
    "DAYS_7": "last 7 days",
    "DAYS_30": "last 30 days",
    "ALL_TIME": "all time",
}


def status(word: str | None) -> StatusWord:
    """A server's word for a status as the reader sees it; any other word is Unknown, with it.

    >>> status("OnHold").text, status("Paused").text, status(None).text
    ('On hold', 'Unknown (Paused)', 'Unknown')
    """
    known = _STATUSES.get(word or "")
    if known is not None:
        return known
    if not word or word == "Unknown":
        return _UNKNOWN
    return StatusWord("unknown", f"Unknown ({cut_middle(word, 60)})", "i-unknown")


def key_text(key: str) -> str:
    """The word for a status by its key, such as "On hold" for "onhold".

    >>> key_text("failed"), key_text("unknown")
    ('Failed', 'Unknown')
    """
    return next((word.text for word in _STATUSES.values() if word.key == key), _UNKNOWN.text)


def zone(name: str) -> tzinfo:
    """The zone a setting names; UTC where this machine knows no such zone."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def when(at: datetime | None, where: tzinfo = UTC) -> Moment | None:
    """A date and time with its zone; None where none is known.

    >>> when(datetime(2026, 11, 23, 2, 14, tzinfo=UTC)).text
    'Mon 23 Nov 2026, 02:14 UTC'
    """
    return _moment(at, where, _MINUTE)


def when_exactly(at: datetime | None, where: tzinfo = UTC) -> Moment | None:
    """A date and time to the second, for what happens within a minute.

    >>> when_exactly(datetime(2026, 11, 23, 2, 14, 9, tzinfo=UTC)).text
    'Mon 23 Nov 2026, 02:14:09 UTC'
    """
    return _moment(at, where, _SECOND)


#: Where a time of ISO 8601 is cut that is told to the minute, or to the second.
_MINUTE, _SECOND = 16, 19


def _moment(at: datetime | None, where: tzinfo, cut: int) -> Moment | None:
    if at is None:
        return None
    make = _when if at.tzinfo is UTC else _when.__wrapped__
    return make(at, where, cut)


# Most dates stand on a page several times: a step ends where the next one starts. Only those in UTC
# are looked up: in another zone two that count as equal can be an hour apart, in autumn.
@lru_cache(maxsize=4096)
def _when(at: datetime, where: tzinfo, cut: int) -> Moment:
    at = _local(at, where)
    iso = _iso(at)
    text = f"{_DAYS[at.weekday()]} {_date(at)} {at.year}, {iso[11:cut]} {_zone_name(at)}"
    return Moment(text, iso)


def short_when(
    at: datetime | None, where: tzinfo = UTC, *, near: datetime | None = None
) -> Moment | None:
    """A date and time for a table whose heading or page names the zone.

    The year is left out when it is that of `near`, the date the page is about.

    >>> short_when(datetime(2026, 11, 22, 22, 5, tzinfo=UTC)).text
    '22 Nov 2026, 22:05'
    >>> day = datetime(2026, 11, 23, tzinfo=UTC)
    >>> short_when(datetime(2026, 11, 22, 22, 5, tzinfo=UTC), near=day).text
    '22 Nov 22:05'
    """
    if at is None:
        return None
    make = _known_brief if at.tzinfo is UTC else _brief
    return make(at, where, near, _MINUTE)


# By the server's text, since where one step ends the next one starts.
@lru_cache(maxsize=4096)
def told_exactly(date: str | None, where: tzinfo, near: datetime | None) -> Moment | None:
    """A server's own date like `short_when`, to the second: steps of a backend take no minute.

    >>> told_exactly("2026-11-22T22:05:09Z", UTC, datetime(2026, 11, 23, tzinfo=UTC)).text
    '22 Nov 22:05:09'
    """
    at = instant(date)
    return None if at is None else _brief(at, where, near, _SECOND)


def _brief(at: datetime, where: tzinfo, near: datetime | None, cut: int) -> Moment:
    if at.tzinfo is not where:
        at = _local(at, where)
    iso = _iso(at)
    if near is not None and near.tzinfo is not where:
        near = _local(near, where)
    if near is not None and near.year == at.year:
        return Moment(f"{at.day} {_MONTHS[at.month]} {iso[11:cut]}", iso)
    return Moment(f"{_date(at)} {at.year}, {iso[11:cut]}", iso)


_known_brief = lru_cache(maxsize=4096)(_brief)


def day(at: datetime | None, where: tzinfo = UTC) -> Moment | None:
    """A date without its time: "Mon 23 Nov 2026"."""
    if at is None:
        return None
    at = _local(at, where)
    return Moment(f"{_DAYS[at.weekday()]} {_date(at)} {at.year}", at.date().isoformat())


def clock(at: datetime) -> str:
    """Hours and minutes of a time as it is (no zone is applied): "02:14"."""
    return f"{at.hour:02}:{at.minute:02}"


def zone_at(at: datetime | None, where: tzinfo = UTC) -> str:
    """What a zone is called at that time: "UTC", "CET", "UTC+5:30"."""
    return _zone_name(_local(at, where)) if at is not None else "UTC"


def zone_name(at: datetime | None, where: tzinfo = UTC) -> str:
    """What a zone is called around that time: "UTC", "UTC+5:30", and "Europe/Berlin" where a page
    may show times of its summer beside those of its winter."""
    key: str = getattr(where, "key", "")
    return key if at is not None and key and _has_summer(where, at.year) else zone_at(at, where)


@lru_cache(maxsize=64)
def _has_summer(where: tzinfo, year: int) -> bool:
    """Whether clocks are changed in a year, or were in the one before."""
    quarters = [datetime(y, month, 1) for y in (max(year - 1, 1), year) for month in (1, 4, 7, 10)]  # noqa: DTZ001 - by the zone's own clocks
    return len({where.utcoffset(at) for at in quarters}) > 1


def _local(at: datetime, where: tzinfo) -> datetime:
    if at.tzinfo is where:
        return at
    try:
        return at.astimezone(where)
    except (OverflowError, ValueError):  # a date at the edge of what a calendar holds
        return at


def _date(at: datetime) -> str:
    return f"{at.day} {_MONTHS[at.month]}"


def _zone_name(at: datetime) -> str:
    name = at.tzname() or "UTC"
    if name[0] not in "+-":
        return name
    hours, minutes = name[1:3].lstrip("0") or "0", name[3:].lstrip(":")
    return f"UTC{name[0]}{hours}" + (f":{minutes}" if minutes.strip("0") else "")


def _iso(at: datetime) -> str:
    if at.tzinfo is UTC:
        # The same as `isoformat` has it, in a fifth of the time: that asks the zone for its offset.
        return f"{msgspec.to_builtins(at)[:19]}Z"
    text = at.isoformat(timespec="seconds")
    return text[:-6] + "Z" if text.endswith("+00:00") else text


def between(start: datetime | None, end: datetime | None) -> str:
    """How long from one to the other; "" where one is lacking or the end lies before the start."""
    return duration(end - start) if start and end and end >= start else ""


def so_far(length: str) -> str:
    """A duration of what goes on; "" where it is not known.

    >>> so_far("31 h 20 min"), so_far("")
    ('31 h 20 min so far', '')
    """
    return f"{length} so far" if length else ""


def duration(length: timedelta | None) -> str:
    """How long, in the two largest units that matter; "" where it is not known.

    >>> [duration(timedelta(seconds=s)) for s in (45, 720, 8040, 112800, 259200)]
    ['45 s', '12 min', '2 h 14 min', '31 h 20 min', '3 days']
    """
    if length is None:
        return ""
    exact = max(length.total_seconds(), 0.0)
    if 0 < exact < 1:
        return "under 1 s"
    seconds = int(exact + 0.5)
    if seconds < 60:
        return f"{seconds} s"
    minutes = (seconds + 30) // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 72 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = (minutes + 30) // 60
    return _two(hours // 24, "days", hours % 24, "h")


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    text = f"{number(large)} {large_unit}"
    return f"{text} {small} {small_unit}" if small else text


def number(n: int) -> str:
    """A whole number, its thousands apart by a narrow space.

    >>> number(2598) == "2\u202f598"
    True
    """
    if -1_000 < n < 1_000:
        return f"{n:d}"
    return f"{n:,}".replace(",", THIN)


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction (0 to 1) as a percentage; almost all is never 100 %, hardly any never 0 %.

    >>> [percent(x) for x in (0.0, 0.0004, 0.026, 0.9996, 1.0)]
    ['0 %', '< 0.1 %', '2.6 %', '> 99.9 %', '100 %']
    """
    if fraction is None:
        return ""
    if fraction in (0, 1):
        return f"{int(fraction) * 100} %"
    step = 10.0**-decimals
    text = f"{fraction * 100:.{decimals}f}"
    if float(text) >= 100 > fraction * 100:
        return f"> {100 - step:.{decimals}f} %"
    if float(text) <= 0 < fraction:
        return f"< {step:.{decimals}f} %"
    return f"{text} %"


def frame_words(frame: str) -> str:
    """A time frame as it reads inside a sentence."""
    return _FRAMES.get(frame, frame)


def window_words(frame: TimeFrame, length: timedelta | None) -> str:
    """How far back a run asked, inside a sentence: its time frame, or its window where that is
    longer by more than a tenth, as it reached back to the run before.

    >>> window_words("HOURS_24", timedelta(hours=25)), window_words("HOURS_24", timedelta(days=4))
    ('last 24 hours', 'last 4 days')
    >>> window_words("HOURS_8", timedelta(hours=23, minutes=2)), window_words("ALL_TIME", None)
    ('last 24 hours', 'all time')
    """
    usual = FRAME_LENGTHS[frame]
    if length is None or usual is None or length <= 1.1 * usual:
        return frame_words(frame)
    hours = -(-length // timedelta(hours=1))
    return f"last {hours} hours" if hours <= 48 else f"last {-(-hours // 24)} days"


def plural(n: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 job", "2 jobs"; `many` where an s does not make the plural.

    >>> plural(1, "job"), plural(0, "job"), plural(2, "retry", "retries")
    ('1 job', '0 jobs', '2 retries')
    """
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def amount(n: float) -> str:
    """A number that may lie between two whole ones: "2", "1.5", "1 203".

    >>> amount(2.0), amount(1.5)
    ('2', '1.5')
    """
    return number(round(n)) if n == round(n) or n >= 100 else f"{n:.1f}"


def listed(words: list[str]) -> str:
    """Words as a sentence lists them: "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def cut_middle(text: str, limit: int) -> str:
    """Text of at most `limit` characters: both ends stay, since messages end in their reason."""
    if len(text) <= limit:
        return text
    keep = max(limit - 3, 2)
    tail = keep // 2
    return f"{text[: keep - tail]} … {text[-tail:]}"


def cut_apart(text: str, limit: int) -> str:
    """The same for titles, which tell pages apart: what is cut is told from all that looks alike.

    >>> cut_apart("sample", 60), cut_apart("ana" * 30, 30)
    ('sample', 'anaanaan … naanaana (20285179)')
    """
    if len(text) <= limit:
        return text
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{cut_middle(text, limit - len(mark) - 3)} ({mark})"


#: Where a word too long for its column may go on in the next line, and how long it is at least.
_BREAKS = re.compile("(?<=[@_])(?=[^@_])")
_LONG = 12
#: Where the name of a task follows that of a sub-workflow.
_CALLS = re.compile(r"(?<=\.)(?=[^.])")


@lru_cache(maxsize=1024)  # a few names stand in most rows
def breakable(text: str) -> str:
    """A name or an address that breaks behind its signs, where it has to; a short one as it is.

    >>> breakable("ana@example.org"), breakable("ana@a.org")
    (Markup('ana@<wbr>example.org'), 'ana@a.org')
    """
    if len(text) < _LONG:
        return text
    return Markup("<wbr>").join(_BREAKS.split(text))


def breakable_task(text: str) -> str:
    """A task as `breakable` has it, that may break behind the sub-workflow before it too.

    >>> breakable_task("sample_pipeline.CallVariants")
    Markup('sample_<wbr>pipeline.<wbr>CallVariants')
    """
    if len(text) < _LONG:
        return text
    return Markup("<wbr>").join(map(breakable, _CALLS.split(text)))


#: What ends a line somewhere, and what turns the direction of the text behind it.
_ENDS = re.compile("[\\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TURNS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """Text that neither ends a line nor turns one, wherever it is printed.

    >>> one_line("a\\r\\nBcc: b"), one_line("a\\u2028b")
    ('a Bcc: b', 'a b')
    """
    return _TURNS.sub("\ufffd", _ENDS.sub(" ", text)).strip()


def cut_end(text: str, limit: int) -> str:
    """Text of at most `limit` characters for a title or a cell, with an ellipsis where cut."""
    return text if len(text) <= limit else text[: max(limit - 1, 1)].rstrip() + "…"


def usual_night(usual: Range) -> str:
    """A median with its range in whole jobs: "usual night: 8 (2 to 14)"."""
    low, high = floor(usual.p10), ceil(usual.p90)
    middle = f"usual night: {amount(usual.median)}"
    return middle if low == high else f"{middle} ({number(low)} to {number(high)})"


def shell(text: str) -> str:
    """Text as a shell takes it as one word, for commands that are copied from a page.

    >>> shell("0a1b-2c"), shell("a b'c")
    ('0a1b-2c', '\\'a b\\'"\\'"\\'c\\'')
    """
    return quote(text)
