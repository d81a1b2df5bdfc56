"""The rows of the table, a module a subject: what is measured, how, and what is aimed at.

`CASES` has them by the names that the command line knows, in the order in which they are measured.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from bench.cases import (
    again,
    asking,
    beyond,
    growing,
    keeping,
    nights,
    reading,
    rendering,
    sitesize,
    starting,
)
from bench.rows import Row
from bench.sizes import Size

CASES: dict[str, Callable[[Size, Path], Iterable[Row]]] = {
    "start": starting.start,
    "pages": rendering.job_pages,
    "cold": rendering.cold,
    "again": again.again,
    "nights": nights.nights,
    "history": nights.history,
    "asking": asking.asking,
    "store": keeping.store,
    "size": sitesize.beside_allure,
    "browser": reading.browser,
    "parts": beyond.parts,
    "dask": beyond.dask,
    "memory": growing.memory,
    "million": growing.million,
}
