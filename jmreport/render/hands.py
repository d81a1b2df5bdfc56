"""Whose hands make a site: that changes the time that it takes, not a byte of it."""

from pathlib import Path

from msgspec import Struct

from jmreport.render.crew import Crew
from jmreport.render.sharing import WHOLE, Share


class Hands(Struct, frozen=True, kw_only=True):
    """Who makes the pages of a site, and which of them.

    0 `workers` is one for each core; 1 is this process. A `crew` is as many that were forked before
    there was a report, with the theme of this site. `executor` names a cluster that makes the pages
    of jobs ("dask://10.0.0.5:8786"); all others are made here. `share` says that only some pages of
    jobs are made, into a folder of their own, or where such folders are. `compiled` is the folder
    for compiled templates, None for none; within the site there is none.
    """

    workers: int = 0
    crew: Crew | None = None
    executor: str = ""
    share: Share = WHOLE
    compiled: Path | None = None
