"""The way to a job's page by its id: pages of ids by what they begin with.

    jobs/ids/index.html      beginnings: 0 1 2 … of some jobs, 00 01 02 … of many
    jobs/ids/begin-84.html   the jobs whose ids begin so, or longer beginnings where there are many

Each job that has a page is there: those from before the report's window, sub-workflows, and those
of which no snapshot tells any more. Ids stand as addresses spell them. A page that gets too many
ids has longer beginnings instead, at the same address, so that of one more night only those pages
are others whose beginning a new job has: nothing stands there but ids, which never change.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from msgspec import Struct

from jmreport.render import addresses
from jmreport.render.page import Page, digest
from jmreport.render.spelled import END, Ids
from jmreport.short_ids import common

#: Ids on a page at most. Beginnings too: of more a page shows those of pages between.
MOST = 300


class IdLink(NamedTuple):
    """A job with its id, or a beginning of ids."""

    text: str
    href: str


class IdsView(Struct, frozen=True, kw_only=True):
    """A page of links: `of` "jobs", or of "beginnings" of their ids.

    `top` leads to the first page, "" on it; `above` are the pages between. `respelled` says that
    some ids are not as they are spelled.
    """

    title: str
    jobs_list: str
    top: str
    above: tuple[IdLink, ...]
    links: tuple[IdLink, ...]
    of: str
    respelled: bool


def pages(ids: Ids) -> Iterator[Page]:
    """The first page, those of ids, and those of beginnings between.

    They ask the ledger when they are made, since the ids of all jobs would be much to keep.
    """
    made: list[Page] = []
    _beneath(ids, _Place("", (), ids.respelled), made)
    yield from made


class _Place(NamedTuple):
    """A page of what begins alike: the beginnings that lead there, and whether some id of all is
    spelled in another way than it is."""

    beginning: str
    above: tuple[str, ...]
    respelled: bool


def _beneath(ids: Ids, place: _Place, made: list[Page]) -> tuple[str, ...]:
    """Plans the pages of all that begins so. The beginnings of those that show ids."""
    beginning = place.beginning
    number, told = ids.told(beginning, MOST + 1)
    if number <= MOST:
        made.append(_page(place, told, partial(_of_jobs, place, ids)))
        return (beginning,)
    following = ids.next(beginning, beginning)
    longer = common(following, ids.last(beginning)) + 1
    under = (*place.above, beginning) if beginning else ()
    nexts: list[str] = []
    leaves: list[str] = []
    while following:
        nexts.append(following[:longer])
        leaves += _beneath(ids, _Place(nexts[-1], under, place.respelled), made)
        following = ids.next(beginning, f"{nexts[-1]}{END}")
    shown = leaves if len(leaves) <= MOST else nexts
    made.append(_page(place, shown, partial(_of_beginnings, place, shown)))
    return tuple(leaves)


def _page(place: _Place, shown: object, view: Callable[[], IdsView]) -> Page:
    return Page(
        address=addresses.ids(place.beginning),
        template="ids.html",
        content=digest(place, shown),
        view=lambda _: view(),
        here=True,
    )


def _of_jobs(place: _Place, ids: Ids) -> IdsView:
    # From jobs/ids/ to jobs/.
    links = tuple(IdLink(job.id, f"../{job.stem}.html") for job in ids.first(place.beginning, MOST))
    return _view(place, links, jobs=True)


def _of_beginnings(place: _Place, beginnings: Sequence[str]) -> IdsView:
    return _view(place, tuple(_link(place, each) for each in beginnings), jobs=False)


def _link(place: _Place, beginning: str) -> IdLink:
    at = addresses.ids(place.beginning)
    return IdLink(beginning, addresses.relative(at, addresses.ids(beginning)))


def _view(place: _Place, links: tuple[IdLink, ...], *, jobs: bool) -> IdsView:
    at = addresses.ids(place.beginning)
    top = addresses.relative(at, addresses.ids()) if place.beginning else ""
    return IdsView(
        title=f"Ids that begin with {place.beginning}" if place.beginning else "Jobs by id",
        jobs_list=addresses.relative(at, addresses.JOBS),
        top=top,
        above=tuple(_link(place, each) for each in place.above),
        links=links,
        of="jobs" if jobs else "beginnings",
        respelled=place.respelled,
    )
