"""jmreport as a process of its own, over folders of a bench: WHERE/snapshots and WHERE/site."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import corpus
from bench.measuring import JMREPORT, Spent, run


def render(where: Path, *more: str, weigh: bool = False) -> Spent:
    """What a render takes that begins with what is there."""
    return run((*JMREPORT, "render", *folders(where), *more), where=where, weigh=weigh)


def cold(where: Path, *more: str, weigh: bool = False) -> Spent:
    """What a render takes that begins with nothing."""
    put_aside(where / "site")
    return render(where, *more, weigh=weigh)


#: Free bytes of the disk from which on nothing more is put aside.
_ROOM = 15e9


def put_aside(folder: Path) -> None:
    """Makes room for a folder that is to be made anew, without removing what is there.

    A disk from which thousands of files were just removed takes ten times as long for each new one
    (ext4), so the next run would pay for it. `remove_aside` removes them all.
    """
    if not folder.exists():
        return
    if shutil.disk_usage(folder).free < _ROOM:
        shutil.rmtree(folder)
        return
    number = len([*folder.parent.glob(f"{folder.name}.aside-*")])
    folder.rename(folder.with_name(f"{folder.name}.aside-{number}"))


def remove_aside(where: Path) -> None:
    """Removes what was put aside below a folder."""
    for folder in where.rglob("*.aside-*"):
        shutil.rmtree(folder, ignore_errors=True)


def folders(where: Path) -> tuple[str, ...]:
    """The options that name both folders."""
    return ("--snapshots", str(where / "snapshots"), "--site", str(where / "site"))


def filled(where: Path, jobs: int) -> Path:
    """A folder in `where` with a store of so many jobs; one that is there already is taken.

    One of another number has a folder of its own, and one that broke off is made anew.
    """
    where = where / str(jobs)
    with whole(where / "snapshots") as making:
        if making:
            corpus.fill(making, corpus.many(jobs))
    return where


@contextmanager
def whole(folder: Path) -> Iterator[Path | None]:
    """Where a folder is to be made that has its name once it is whole; None where it is there."""
    making = folder.with_name(f"{folder.name}.making")
    if folder.exists():
        yield None
        return
    yield empty(making)
    making.rename(folder)


def empty(where: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    return where


def rewritten(spent: Spent) -> int:
    """How many pages a render says it wrote; -1 where it does not say."""
    found = re.search(r"(\d+) rewritten", spent.out)
    return int(found[1]) if found else -1
