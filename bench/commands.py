"""jmreport as a process of its own, over folders of a bench: WHERE/snapshots and WHERE/site."""

import re
import shutil
from pathlib import Path

from bench import corpus
from bench.measuring import JMREPORT, Spent, run


def render(where: Path, *more: str, weigh: bool = False) -> Spent:
    """What a render takes that begins with what is there."""
    return run((*JMREPORT, "render", *folders(where), *more), where=where, weigh=weigh)


def cold(where: Path, *more: str, weigh: bool = False) -> Spent:
    """What a render takes that begins with nothing."""
    shutil.rmtree(where / "site", ignore_errors=True)
    return render(where, *more, weigh=weigh)


def folders(where: Path) -> tuple[str, ...]:
    """The options that name both folders."""
    return ("--snapshots", str(where / "snapshots"), "--site", str(where / "site"))


def filled(where: Path, jobs: int) -> Path:
    """A folder with a store of so many jobs; one that is there already is taken as it is."""
    where.mkdir(parents=True, exist_ok=True)
    if not (where / "snapshots").exists():
        corpus.fill(where / "snapshots", corpus.many(jobs))
    return where


def empty(where: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    return where


def rewritten(spent: Spent) -> int:
    """How many pages a render says it wrote; -1 where it does not say."""
    found = re.search(r"(\d+) rewritten", spent.out)
    return int(found[1]) if found else -1
