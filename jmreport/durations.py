"""How long something may take, as people write it: 90m, 2h, 400d."""

import re
from datetime import timedelta

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_PART = re.compile(r"(\d{1,9})([smhdwy])")
#: What to say of a text that is none.
HOW = "write it like 90m, 2h, 1h30m, 400d or 2y"


def read(text: str) -> timedelta | None:
    """How long a text says; None where it says no time, or none at all.

    >>> read("1h30m")
    datetime.timedelta(seconds=5400)
    >>> read("400d").days
    400
    >>> read("2") is None and read("0d") is None and read("-1h") is None
    True
    """
    parts = _PART.findall(text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower():
        return None
    try:
        length = timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))
    except OverflowError:
        return None
    return length or None


#: Days of the units in which what is kept is told, and how many there may be.
_LONG = {"d": 1, "w": 7, "y": 365}
_MOST_DAYS = 36_500


def long(text: str) -> timedelta | None:
    """So many whole days, weeks or years; None where a text says none, or more than a century.

    >>> long("13w")
    datetime.timedelta(days=91)
    >>> long("0d") is None and long("2h") is None
    True
    """
    found = re.fullmatch(r"([1-9][0-9]{0,4})([dwy])", text, re.ASCII)
    if found is None:
        return None
    days = int(found[1]) * _LONG[found[2]]
    return timedelta(days=days) if days <= _MOST_DAYS else None
