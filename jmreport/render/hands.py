"""Whose hands make a site: that changes the time that it takes, not a byte of it."""

from msgspec import Struct

from jmreport.render.crew import Crew
from jmreport.render.sharing import WHOLE, Share


class Hands(Struct, frozen=True, kw_only=True):
    """Who makes the pages of a site, and which of them.

    The `crew` has the theme of this site, and goes on when it is written. `executor` names a
    cluster that makes the pages of jobs ("dask://10.0.0.5:8786"); all others are made here. `share`
    says that only some pages of jobs are made, into a folder of their own, or where such folders
    are.
    """

    crew: Crew
    executor: str = ""
    share: Share = WHOLE
