"""The pages of one list of jobs: a hundred on each, the newest first.

jobs/failed.html, jobs/failed-page-2.html …          as many as there are
jobs/label-….html, jobs/label-…-older-7.html …       of all time: counted from the oldest on
jobs/label-….html, jobs/label-…-oldest.html          of a time frame: its newest and its oldest,
                                                     all between are on pages of all time
jobs/label-…-archived.html …                         those that somebody has put aside
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jmreport.render import addresses, words
from jmreport.render.columns import Column
from jmreport.render.jobcells import Jobs, Lines
from jmreport.render.page import Page, digest
from jmreport.render.standing import Standing

#: Rows on a page of a list.
ROWS = 100
#: Rows that are seen at once, with what stands below them.
_IN_SIGHT = 20
#: The scope of lists that jobs never leave for their age.
OF_ALL_TIME = "of all time"


class JobList(Struct, frozen=True, kw_only=True):
    """A list: its name below jobs/, what it holds in words, and its jobs in the order shown.

    `scopes` are the time frames in which it is the same list; `filter` is the filter's state that
    shows the same jobs, "" where none does. Of lists of one `kind` each is the beginning of the
    longest, "" is a list by itself. `some` says something of some of its jobs, and has
    the address of their list.
    """

    name: str
    title: str
    jobs: Sequence[str]
    scopes: tuple[str, ...] = ()
    back: tuple[str, str] = ("", "")
    filter: str = ""
    kind: str = ""
    some: tuple[str, str] = ("", "")


class ListView(Struct, frozen=True, kw_only=True):
    """A page of a list.

    `frame` is a time frame that it is of, which sets it apart from lists of others, and `note`
    tells of all of them where there are more. `goes_on` says that its jobs go on among those of a
    longer list, `above` that the way to other pages stands above its jobs too.
    """

    title: str
    frame: str
    other: "PageLink | None"
    some: "PageLink | None"
    note: str
    back: tuple[str, str]
    filter: str
    columns: tuple[Column, ...]
    columns_note: str
    rows: Lines
    page: int
    pages: tuple["PageLink", ...]
    zone: str
    goes_on: bool = False
    above: bool = True


class PageLink(Struct, frozen=True, kw_only=True):
    """A page of a list in its pager; the current one has no link."""

    text: str
    href: str = ""


def list_pages(
    lists: Sequence[JobList], jobs: Jobs, standing: Standing | None = None
) -> Iterator[Page]:
    """The pages of the lists of one kind, each of a hundred jobs, but for those that stand.

    Archived jobs have pages of their own; a list of nothing else shows them at once.
    """
    longest = max(lists, key=lambda found: len(found.jobs))
    whole = dict(_parts(longest, jobs))
    for found in lists:
        for archived, part in _parts(found, jobs):
            longer = None if found is longest else whole.get(archived)
            yield from _part(part, longer, jobs, standing)


def _parts(found: JobList, jobs: Jobs) -> Iterator[tuple[bool, "_Part"]]:
    """What is shown together of a list, and whether it is archived."""
    beyond = jobs.beyond(found.jobs)
    kept, archived = jobs.parted(found.jobs)
    if not kept or not archived:
        yield not kept, _Part(found, found.jobs, beyond=beyond)
        return
    yield False, _Part(found, kept, beside=len(archived), beyond=beyond)
    yield True, _Part(found, archived, beside=len(kept), suffix=addresses.ARCHIVED, beyond=beyond)


class _Part(Struct, frozen=True):
    """The jobs of a list that are shown together; `beside` counts those that are not.

    `beyond` says that some are from before the report's window, which the filter does not know.
    `number` counts them, where they are not there themselves.
    """

    found: JobList
    jobs: Sequence[str]
    beside: int = 0
    suffix: str = ""
    beyond: bool = False
    number: int = 0

    @property
    def sheet(self) -> "_Part":
        """What its pages keep of it: the number of its jobs, and not all of their ids."""
        return replace(self, jobs=(), found=replace(self.found, jobs=()), number=len(self.jobs))

    @property
    def aged(self) -> bool:
        """Whether its pages are counted from the oldest job on.

        Where no job ever leaves it for its age, and jobs from before the window are there, or
        shorter lists share its pages.
        """
        found = self.found
        of_all_time = not found.scopes or OF_ALL_TIME in found.scopes
        return len(self.jobs) > ROWS and of_all_time and bool(self.beyond or found.kind)

    def address(self, page: int = 1, suffix: str | None = None) -> str:
        name = self.found.name + (self.suffix if suffix is None else suffix)
        return addresses.list_page(name, page)

    def older(self, page: int) -> str:
        """Where a full page is, counted from the oldest jobs on."""
        return f"{self.full}{page}.html"

    @property
    def full(self) -> str:
        """What the addresses of full pages begin with."""
        return f"jobs/{self.found.name}{self.suffix}-older-"

    @property
    def oldest(self) -> str:
        """Where the last jobs are of a list that shares the pages before."""
        return f"jobs/{self.found.name}{self.suffix}-oldest.html"

    def other(self) -> "PageLink | None":
        """The way to those that are not shown here."""
        if not self.beside:
            return None
        if self.suffix:
            return PageLink(
                text=f"Back to the {words.number(self.beside)} not archived",
                href=addresses.relative(self.address(), self.address(suffix="")),
            )
        return PageLink(
            text=f"+ {words.number(self.beside)} archived",
            href=addresses.relative(self.address(), self.address(suffix=addresses.ARCHIVED)),
        )


def _part(
    part: _Part, whole: _Part | None, jobs: Jobs, standing: Standing | None
) -> Iterator[Page]:
    """The pages of what is shown together, the newest jobs first.

    A list of all time grows from one night to the next, so its pages are counted from the oldest
    job on: those that are full never change. `whole` is such a list that begins with this one: all
    but its first and its last page are the other's, so that a time frame, which loses its oldest
    jobs each night, has two pages that change and not hundreds.
    """
    sheets = _Sheets(part.sheet, jobs)
    if part.aged:
        _, full = by_age(len(part.jobs))
        there = standing.of(part.full, sheets.of_full, part.jobs, full, ROWS) if standing else ()
        for page in range(full + 1):
            if part.older(page) not in there:
                yield sheets.page(of_age(part.jobs, page), _Place(page, full, aged=True))
    elif whole and whole.aged and len(part.jobs) > ROWS:
        newest, shared, oldest = _shared(part, whole)
        yield sheets.page(newest, _Place(0, 1, shared=shared))
        if oldest:
            yield sheets.page(oldest, _Place(1, 1, shared=shared))
    else:
        chunks = chunked(part.jobs)
        for place, chunk in enumerate(chunks):
            yield sheets.page(chunk, _Place(place, len(chunks)))


class _Shared(NamedTuple):
    """The full pages between a list's first and last jobs, by number: from `newest` down to
    `oldest` of the part that they belong to, none where both are 0; `rest` jobs are behind them."""

    name: str
    newest: int
    oldest: int
    rest: int

    def page(self, number: int) -> str:
        return f"jobs/{self.name}-older-{number}.html"


def _shared(part: _Part, whole: _Part) -> tuple[Sequence[str], _Shared, Sequence[str]]:
    """A list's newest jobs, the pages of a longer one that show the next, and its oldest jobs."""
    first, full = by_age(len(whole.jobs))
    between = (len(part.jobs) - first) // ROWS
    rest = part.jobs[first + between * ROWS :]
    newest, oldest = (full, full - between + 1) if between else (0, 0)
    name = f"{whole.found.name}{whole.suffix}"
    return part.jobs[:first], _Shared(name, newest, oldest, len(rest)), rest


class _Place(NamedTuple):
    """Which page of a list it is.

    By age, page 0 shows the newest jobs, 1 the oldest, and `last` those just before the newest.
    Where a longer list shows those between, page 0 shows the newest jobs and 1 the oldest.
    """

    page: int
    last: int
    aged: bool = False
    shared: _Shared | None = None

    @property
    def full(self) -> bool:
        """Whether nothing will ever be added to it."""
        return self.aged and self.page > 0


class _Sheets:
    """The pages of what is shown together. What they have in common is digested once."""

    def __init__(self, part: _Part, jobs: Jobs) -> None:
        self._part, self._jobs = part, jobs

    def page(self, chunk: Sequence[str], place: _Place) -> Page:
        jobs = self._jobs
        # A full page says nothing of how many others there are.
        around = (self.of_full, place.page < place.last) if place.full else (self._of_others, place)
        return Page(
            address=_address(self._part, place),
            template="joblist.html",
            content=digest(*around, place.page, jobs.marks(chunk)),
            sheet=Sheet(self._part, jobs.numbered(chunk), place),
            jobs=jobs.far(chunk),
            order=jobs.order(chunk[0]),
        )

    @cached_property
    def of_full(self) -> str:
        """What all full pages have in common, as a digest."""
        part = self._part
        alone = replace(part.found, scopes=(), some=("", ""))
        return digest(self._jobs.look, alone, part.suffix)

    @cached_property
    def _of_others(self) -> str:
        part = self._part
        counts = part.number, part.beside
        return digest(self._jobs.look, part.found, part.suffix, part.beyond, counts)


def _address(part: _Part, place: _Place) -> str:
    if place.full:
        return part.older(place.page)
    if place.shared:
        return part.oldest if place.page else part.address()
    return part.address(1 if place.aged else place.page + 1)


class Sheet(NamedTuple):
    """What a page of a list is made of, beside the jobs: `chunk` are those that it shows."""

    part: _Part
    chunk: Sequence[str | int]
    place: _Place

    def shown(self, jobs: Jobs) -> ListView:
        """What the page shows."""
        return _shown(jobs, *self)


def _shown(jobs: Jobs, part: _Part, chunk: Sequence[str | int], place: _Place) -> ListView:
    found = part.found
    at = _address(part, place)
    title = f"archived {found.title}" if part.suffix else found.title
    last = bool(place.shared and place.page)
    # Lists of all time are as long as no other, or are the same.
    frame = () if place.full or OF_ALL_TIME in found.scopes else found.scopes[-1:]
    return ListView(
        title=_heading(part, place, title),
        other=None if place.full or last else part.other(),
        some=None if place.full or last or part.suffix else _some(found, at),
        frame="".join(frame),
        note="" if place.full or frame == found.scopes else words.listed(list(found.scopes)),
        back=(found.back[0], addresses.relative(at, found.back[1]) if found.back[1] else ""),
        filter="" if place.full else _filter_href(part, at),
        columns=jobs.columns,
        columns_note=jobs.note,
        rows=jobs.lines(chunk, at),
        page=1 if place.aged or place.shared else place.page + 1,
        pages=_links(part, place, at),
        zone=words.zone_name(jobs.now, jobs.zone),
        goes_on=bool(place.shared and place.shared.newest and not last),
        above=len(chunk) > _IN_SIGHT or not (place.aged or place.shared),
    )


def _some(found: JobList, at: str) -> PageLink | None:
    text, address = found.some
    return PageLink(text=text, href=addresses.relative(at, address)) if address else None


def _heading(part: _Part, place: _Place, title: str) -> str:
    """What stands above a page: how many jobs the list has, or which of them a page shows."""
    if place.full:
        return _span(place.page, title)
    if place.shared and place.page:
        rest, number = words.number(place.shared.rest), words.number(part.number)
        return f"{title[:1].upper()}{title[1:]}: the oldest {rest} of {number}"
    return headline(part.number, title)


def _links(part: _Part, place: _Place, at: str) -> tuple[PageLink, ...]:
    """The way to a list's other pages."""
    if place.aged:
        return _ages(part, place, at)
    if place.shared:
        return tuple(_around(part, place.shared, at, last=bool(place.page)))
    return pager(place.page + 1, place.last, lambda n: addresses.relative(at, part.address(n)))


def _around(part: _Part, shared: _Shared, at: str, *, last: bool) -> Iterator[PageLink]:
    """The way from a list's newest jobs to its oldest, or back."""
    if last:
        newer = shared.page(shared.oldest) if shared.oldest else ""
        yield PageLink(text="Newest", href=addresses.relative(at, part.address()))
        if newer:
            yield PageLink(text="Newer", href=addresses.relative(at, newer))
        return
    end = part.oldest if shared.rest else shared.page(shared.oldest)
    older = shared.page(shared.newest) if shared.newest else end
    yield PageLink(text="Older", href=addresses.relative(at, older))
    if end != older:
        yield PageLink(text="Oldest", href=addresses.relative(at, end))


def by_age(jobs: int) -> tuple[int, int]:
    """How many of so many jobs are on the newest page, and how many full pages are behind it.

    >>> by_age(250), by_age(100)
    ((50, 2), (100, 0))
    """
    full = max(jobs - 1, 0) // ROWS
    return jobs - full * ROWS, full


def of_age(jobs: Sequence[str], page: int) -> Sequence[str]:
    """The jobs of a page of a list, newest first: 0 is the newest, 1 the full page of the oldest.

    >>> [len(of_age(["job"] * 250, page)) for page in range(3)]
    [50, 100, 100]
    """
    newest, full = by_age(len(jobs))
    start = newest + (full - page) * ROWS
    return jobs[start : start + ROWS] if page else jobs[:newest]


def _span(page: int, title: str) -> str:
    """The heading of a full page.

    >>> _span(2, "failed jobs")
    'Failed jobs, 101 to 200 counted from the oldest'
    """
    first, last = words.number((page - 1) * ROWS + 1), words.number(page * ROWS)
    return f"{title[:1].upper()}{title[1:]}, {first} to {last} counted from the oldest"


#: How far back links of a full page lead, in pages.
_STEPS = (1, 10, 100)


def _ages(part: _Part, place: _Place, at: str) -> tuple[PageLink, ...]:
    """The way to newer and older jobs: from a full page only to what is there for good."""

    def older(text: str, page: int) -> PageLink:
        return PageLink(text=text, href=addresses.relative(at, part.older(page)))

    if not place.full:
        return older("Older", place.last), *((older("Oldest", 1),) if place.last > 1 else ())
    links = [PageLink(text="Newest", href=addresses.relative(at, part.address()))]
    if place.page < place.last:
        links.append(older("Newer", place.page + 1))
    links += [
        older("Older" if step == 1 else f"Back {step} pages", place.page - step)
        for step in _STEPS
        if place.page > step
    ]
    if place.page > 1:
        links.append(older("Oldest", 1))
    return tuple(links)


def _filter_href(part: _Part, at: str) -> str:
    """The filter that shows the same jobs; where some are archived, with the archived ones."""
    if not part.found.filter or part.beyond:
        return ""
    shown = "&archived=on" if part.suffix or part.beside else ""
    return f"{addresses.relative(at, addresses.JOBS)}#{part.found.filter}{shown}"


#: What a list is of, with the letter that one of them lacks.
_MANY = re.compile("jobs|sub-workflows")


def chunked(jobs: Sequence[str]) -> list[Sequence[str]]:
    """A list's jobs by page; an empty list has one empty page."""
    return [jobs[start : start + ROWS] for start in range(0, len(jobs), ROWS)] or [()]


def headline(count: int, title: str) -> str:
    """A list's heading: "12 failed jobs", "1 failed job".

    >>> headline(1, "failed jobs with owner ana")
    '1 failed job with owner ana'
    """
    if count == 1:
        title = _MANY.sub(lambda many: many[0][:-1], title, count=1)
    return f"{words.number(count)} {title}"


def pager(page: int, last: int, href: Callable[[int], str]) -> tuple[PageLink, ...]:
    """Links to the pages around this one, the first and the last; nothing for a single page."""
    if last < 2:
        return ()
    near = {1, last, *range(max(1, page - 2), min(last, page + 2) + 1)}
    links: list[PageLink] = []
    before = 0
    for n in sorted(near):
        if n > before + 1:
            links.append(PageLink(text="…"))
        links.append(PageLink(text=words.number(n), href="" if n == page else href(n)))
        before = n
    return tuple(links)
