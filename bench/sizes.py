"""How much is measured: `--size small`, `usual` or `whole`."""

import argparse

from msgspec import Struct


class Size(Struct, frozen=True, kw_only=True):
    """Jobs of a site, of the smaller and the larger one, of a list, of a demo; nights; runs.

    `asked` are jobs of a server of 500 requests a second, `parts` those that several machines
    share. `runs` is how often each side is measured.
    """

    jobs: int
    few: int
    many: int
    nights: int
    a_night: int
    asked: int
    parts: int
    listed: int
    million: int
    runs: int


SMALL = Size(
    jobs=60,
    few=30,
    many=120,
    nights=11,
    a_night=10,
    asked=40,
    parts=40,
    listed=150,
    million=60,
    runs=1,
)
USUAL = Size(
    jobs=2_000,
    few=2_000,
    many=20_000,
    nights=60,
    a_night=200,
    asked=2_000,
    parts=2_000,
    listed=20_000,
    million=30_000,
    runs=5,
)
WHOLE = Size(
    jobs=10_000,
    few=10_000,
    many=100_000,
    nights=365,
    a_night=1_000,
    asked=10_000,
    parts=10_000,
    listed=20_000,
    million=1_000_000,
    runs=5,
)
SIZES = {"small": SMALL, "usual": USUAL, "whole": WHOLE}


def number(text: str) -> int:
    """A number of jobs, nights or runs that somebody gives: 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 or more")
    return int(text)
