"""What is usual: of a workflow's durations, and of a number over nights."""

from datetime import timedelta

from msgspec import Struct


class Usual(Struct, frozen=True, kw_only=True):
    """How long a workflow's successful runs usually take: the last `runs` of them, at most 30."""

    median: timedelta
    p10: timedelta
    p90: timedelta
    p95: timedelta
    longest: timedelta
    runs: int


class Range(Struct, frozen=True, kw_only=True):
    """What a number usually is: over `nights` comparable nights, at most 14."""

    median: float
    p10: float
    p90: float
    nights: int
