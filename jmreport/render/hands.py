"""Whose hands make a site: that changes the time that it takes, not a byte of it."""

import os
from pathlib import Path

from msgspec import Struct

from jmreport.render.sharing import WHOLE, Share
from jmreport.render.workers import MOST_WORKERS


class Hands(Struct, frozen=True, kw_only=True):
    """Who makes the pages of a site, and which of them.

    0 `workers` is one for each core; 1 is this process. `executor` names a cluster that makes the
    pages of jobs ("dask://10.0.0.5:8786"); all others are made here. `share` says that only some
    pages of jobs are made, into a folder of their own, or where such folders are. `compiled` is
    the folder for compiled templates, None for none; within the site there is none.
    """

    workers: int = 0
    executor: str = ""
    share: Share = WHOLE
    compiled: Path | None = None

    @property
    def processes(self) -> int:
        """How many of this machine work at once."""
        return min(self.workers or os.cpu_count() or 1, MOST_WORKERS)
