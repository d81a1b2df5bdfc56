"""What is usual of failure rates: the band that charts shade, and what lies above it."""

from collections.abc import Sequence


def usual_band(rates: Sequence[float | None]) -> tuple[float, float] | None:
    """The middle 80 % of what is known, the newest left out; None below five known days."""
    known = sorted(rate for rate in rates[:-1] if rate is not None)
    if len(known) < 5:
        return None
    last = len(known) - 1
    return known[round(0.1 * last)], known[round(0.9 * last)]


def outside(rate: float | None, band: tuple[float, float] | None) -> bool:
    """Whether a rate is higher than usual; not where either is unknown."""
    return rate is not None and band is not None and rate > band[1]
