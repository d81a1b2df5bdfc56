"""Flaky keys: those that fail now and then, and succeed in between.

    flakiness = 100 x flips / runs looked at

A flip is a run that ended otherwise than the one before it. A key is flaky where its last 20 runs
(at least 5) hold 3 flips or more: one failure that was mended is 2. Three failures in a row at the
end are broken, not flaky.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

#: Runs that are looked at, and the fewest that say anything.
RUNS = 20
FEWEST_RUNS = 5
FEWEST_FLIPS = 3
#: So many failures in a row are broken.
BROKEN = 3


class Flakiness(NamedTuple):
    """What the last runs of a key say."""

    runs: int
    failures: int
    flips: int


def flakiness(outcomes: Sequence[str]) -> Flakiness | None:
    """How flaky a key is by its runs that Succeeded or Failed, oldest first; None where it isn't.

    >>> flakiness(["Succeeded", "Failed", "Succeeded", "Succeeded", "Failed"])
    Flakiness(runs=5, failures=2, flips=3)
    """
    last = outcomes[-RUNS:]
    flips = sum(before != after for before, after in pairwise(last))
    if len(last) < FEWEST_RUNS or flips < FEWEST_FLIPS:
        return None
    if all(outcome == "Failed" for outcome in last[-BROKEN:]):
        return None
    return Flakiness(len(last), sum(outcome == "Failed" for outcome in last), flips)
