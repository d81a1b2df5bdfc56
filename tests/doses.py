"""How much is searched: a part in every run of the tests, and all where it is asked for.

JMREPORT_TESTS_WHOLE=1 .venv/bin/pytest -q -n auto
"""

import os

_WHOLE = os.environ.get("JMREPORT_TESTS_WHOLE") == "1"


def dose(many: int) -> int:
    """How many of so many examples are tried."""
    return many if _WHOLE else max(many // 3, 1)


def each(many: int, *, first: int = 1) -> range:
    """The numbers up to so many; a third of them is those from `first`, which is 1, 2 or 3."""
    return range(1, many + 1) if _WHOLE else range(first, many + 1, 3)
