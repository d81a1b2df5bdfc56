"""Histories that grow run by run: of whom pages are told anew, and of whom they stay.

    python -m tests.campaigns.growing [3000] [--seed N]

So many histories in memory, a fifth as many in a store that is pruned, and a thirtieth as many as
sites: each run's contexts against those of all jobs, each site against one that remembers nothing.
And a third as many whose reports count settled jobs once, and whose nights are told again one after
the other, against those that read every job.
What goes wrong is printed with its seed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))

import test_looking
import test_settled
import test_touched

#: (what, how many of them are as much as one history in memory, what is done with a seed, what it
#: says the numbers of)
Try = tuple[str, int, Callable[[int], tuple[int, int]], str]


def in_memory(seed: int) -> tuple[int, int]:
    return test_touched.grown(seed, nights=24)


def in_folder(grown: Callable[[int, Path], tuple[int, int]], seed: int) -> tuple[int, int]:
    with TemporaryDirectory() as folder:
        return grown(seed, Path(folder) / "own")


TRIES: tuple[Try, ...] = (
    ("histories in memory", 1, in_memory, "jobs looked at"),
    (
        "histories in a store",
        5,
        partial(in_folder, test_touched.grown_in_a_store),
        "jobs looked at",
    ),
    ("histories that settle", 3, partial(in_folder, test_settled.grown), "jobs not read"),
    ("histories told again", 3, test_settled.told_again, "jobs not read"),
    ("sites", 30, partial(in_folder, test_looking.grown), "jobs looked at"),
)


def main(wanted: int, first: int) -> int:
    faults = 0
    for what, share, grown, numbers in TRIES:
        began, looked, known, many = time.monotonic(), 0, 0, wanted // share
        for seed in range(first, first + many):
            try:
                some, of = grown(seed)
            except AssertionError as error:
                faults += 1
                sys.stdout.write(f"{what}, seed {seed}: {str(error)[:2000]}\n")
                continue
            looked, known = looked + some, known + of
        took = time.monotonic() - began
        sys.stdout.write(f"{many} {what}: {looked} of {known} {numbers}, {took:.0f} s\n")
    sys.stdout.write(f"faults: {faults}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wanted", type=int, nargs="?", default=3000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(main(given.wanted, given.seed))
