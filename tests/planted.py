"""Stores of planted nights, collected once a session and told to all who render or compare them.

    <base temp>/planted/6/run.json…    the store after the sixth night
    <base temp>/planted/10/…           the same store, four nights later

A store of more nights begins with the same ones, so that each night is collected once.
"""

import fcntl
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jmreport.cli import main
from jmreport.errors import Exit

LAST = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
NIGHTS = 21
OUTAGE, PARTIAL = 6, 12
#: The nights after which a store is kept; the first of them come from one command.
KEPT = (3, OUTAGE, 10, PARTIAL, NIGHTS)


def end_of(night: int) -> datetime:
    return LAST + timedelta(days=night - NIGHTS)


class Planted:
    """Stores below a folder that all workers of a session share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def into(self, snapshots: Path, nights: int) -> None:
        """Puts a copy of the store after so many nights somewhere, in place of what is there."""
        kept = self._folder / str(nights)
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                self._collect(nights)
        shutil.rmtree(snapshots, ignore_errors=True)
        shutil.copytree(kept, snapshots)

    def _collect(self, most: int) -> None:
        store = self._folder / "store"
        for nights in KEPT[: KEPT.index(most) + 1]:
            if (self._folder / str(nights)).exists():
                continue
            args = ["collect", "-q", "--demo", "--nights", str(nights), "--snapshots", str(store)]
            done = main([*args, "--now", end_of(nights).isoformat()])
            assert done == (Exit.INCOMPLETE if nights == PARTIAL else Exit.DONE)
            part = self._folder / "part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(store, part)
            part.rename(self._folder / str(nights))
