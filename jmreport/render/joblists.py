"""Lists of jobs: the pages behind every number.

    jobs/index.html, jobs/page-2.html …     all jobs of the report, and the filter
    jobs/status-failed.html …               by status
    jobs/new.html, jobs/stuck.html …        by the overview's numbers
    jobs/cause-….html, jobs/label-….html …  by cause, workflow, label and time frame

A page that shows a number asks `Lists` for the address of exactly those jobs. The names of lists
never end in a dash and eight hexadecimal digits, as the names of jobs' pages all do.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from jmreport.render import addresses, words
from jmreport.render.jobcells import NO_NAME, Cell, Column, Jobs, Line
from jmreport.render.jobrows import rows_script
from jmreport.render.page import LAST, Page, digest
from jmreport.report import Report

__all__ = ["NO_NAME", "Cell", "Column", "Jobs", "Line", "Lists", "rows_script"]

#: Rows on a page of a list.
ROWS = 100
#: Fields named in a list's note of those that no job has.
MOST_UNSAID = 3


class JobList(Struct, frozen=True, kw_only=True):
    """A list: its name below jobs/, what it holds in words, and its jobs in the order shown.

    `scopes` are the time frames in which it is the same list; `filter` is the filter's state that
    shows the same jobs, "" where none does.
    """

    name: str
    title: str
    jobs: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    back: tuple[str, str] = ("", "")
    filter: str = ""


class ListView(Struct, frozen=True, kw_only=True):
    """A page of a list."""

    title: str
    other: "PageLink | None"
    note: str
    back: tuple[str, str]
    filter: str
    columns: tuple[Column, ...]
    columns_note: str
    rows: tuple[Line, ...]
    page: int
    pages: tuple["PageLink", ...]
    zone: str


class PageLink(Struct, frozen=True, kw_only=True):
    """A page of a list in its pager; the current one has no link."""

    text: str
    href: str = ""


class Lists:
    """The lists that the pages of a report link to: asked for while pages are planned."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self._found: dict[str, JobList] = {}
        self._same: dict[tuple[str, tuple[str, ...]], str] = {}

    def link(
        self,
        name: str,
        title: str,
        jobs: Iterable[str],
        *,
        scope: str = "",
        back: tuple[str, str] = ("", ""),
        filtered: str = "",
        same: str = "",
    ) -> str:
        """The address of the list of exactly these jobs, which is made; "" for no jobs.

        `title` reads behind a count ("failed jobs with owner ana"). Lists of one kind (`same`) with
        the same jobs are one page, whose scopes are all named on it.
        """
        ids = tuple(jobs)
        if not ids:
            return ""
        found = self._same.setdefault((same, ids), name) if same else name
        old = self._found.get(found)
        scopes = (*(old.scopes if old else ()), *((scope,) if scope else ()))
        self._found[found] = JobList(
            name=found,
            title=old.title if old else title,
            jobs=ids,
            scopes=tuple(dict.fromkeys(scopes)),
            back=back,
            filter=old.filter if old else filtered,
        )
        return f"jobs/{found}.html"

    def link_or_job(self, name: str, title: str, jobs: Iterable[str], **how: Any) -> str:
        """The same, and for one job its own page: a label of a thousand samples needs no lists."""
        ids = tuple(jobs)
        if len(ids) == 1 and self.jobs.knows(ids[0]):
            return addresses.job(ids[0])
        return self.link(name, title, ids, **how)

    def pages(self) -> Iterator[Page]:
        """Every page of every list that was asked for."""
        for found in self._found.values():
            yield from list_pages(found, self.jobs)


def list_name(kind: str, text: str, *parts: str) -> str:
    """A list's name: a slug of the text, and ten digits of what it is about.

    >>> list_name("label", "owner", "ana", "Failed")
    'label-owner-a157d2d6b4'
    """
    exact = "\x00".join((text, *parts)).encode("utf-8", "surrogatepass")
    slug = addresses.slug(text) or kind
    return f"{kind}-{slug}-{hashlib.sha256(exact).hexdigest()[:10]}"


def list_pages(found: JobList, jobs: Jobs) -> Iterator[Page]:
    """The pages of one list, each of a hundred jobs; archived ones have pages of their own.

    A list of nothing but archived jobs shows them at once.
    """
    beyond = bool(jobs.far(found.jobs))
    kept, archived = jobs.parted(found.jobs)
    if not kept or not archived:
        yield from _part(_Part(found, found.jobs, beyond=beyond), jobs)
        return
    yield from _part(_Part(found, kept, beside=len(archived), beyond=beyond), jobs)
    part = _Part(found, archived, beside=len(kept), suffix=ARCHIVED, beyond=beyond)
    yield from _part(part, jobs)


#: The scope of lists that jobs never leave for their age.
OF_ALL_TIME = "of all time"
#: What the name of a list ends in where only its archived jobs are shown.
ARCHIVED = "-archived"


class _Part(Struct, frozen=True):
    """The jobs of a list that are shown together; `beside` counts those that are not.

    `beyond` says that some are from before the report's window, which the filter does not know.
    """

    found: JobList
    jobs: tuple[str, ...]
    beside: int = 0
    suffix: str = ""
    beyond: bool = False

    @property
    def of_all_time(self) -> bool:
        """Whether no job ever leaves the list for its age."""
        return not self.found.scopes or OF_ALL_TIME in self.found.scopes

    def address(self, page: int = 1, suffix: str | None = None) -> str:
        name = self.found.name + (self.suffix if suffix is None else suffix)
        return f"jobs/{name}.html" if page == 1 else f"jobs/{name}-page-{page}.html"

    def older(self, page: int) -> str:
        """Where a full page is, counted from the oldest jobs on."""
        return f"jobs/{self.found.name}{self.suffix}-older-{page}.html"

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
            href=addresses.relative(self.address(), self.address(suffix=ARCHIVED)),
        )


def _part(part: _Part, jobs: Jobs) -> Iterator[Page]:
    """The pages of what is shown together: the newest jobs first.

    A list of all time grows from one night to the next, so its pages are counted from the oldest
    job on: those that are full never change. One of a time frame loses its oldest jobs each night.
    """
    if part.beyond and part.of_all_time and len(part.jobs) > ROWS:
        chunks = by_age(part.jobs)
        for page, chunk in enumerate(chunks):
            yield _list_page(part, jobs, chunk, _Place(page, len(chunks) - 1, aged=True))
        return
    chunks = chunked(part.jobs)
    for place, chunk in enumerate(chunks):
        yield _list_page(part, jobs, chunk, _Place(place, len(chunks)))


class _Place(NamedTuple):
    """Which page of a list it is.

    By age, page 0 shows the newest jobs, 1 the oldest, and `last` those just before the newest.
    """

    page: int
    last: int
    aged: bool = False

    @property
    def full(self) -> bool:
        """Whether nothing will ever be added to it."""
        return self.aged and self.page > 0


def _list_page(part: _Part, jobs: Jobs, chunk: Sequence[str], place: _Place) -> Page:
    # A full page says nothing of how many others there are.
    around = place.page < place.last if place.full else (place, len(part.jobs), part.beside)
    return Page(
        address=_address(part, place),
        template="joblist.html",
        content=digest(
            jobs.columns,
            columns_note(jobs),
            jobs.dated,
            replace(part.found, jobs=(), scopes=() if place.full else part.found.scopes),
            part.suffix,
            part.beyond,
            around,
            place.page,
            digest(jobs.marks(chunk)),
        ),
        view=_list_view(part, jobs, chunk, place),
        jobs=jobs.far(chunk),
        order=jobs.order(chunk[0]),
    )


def _address(part: _Part, place: _Place) -> str:
    if place.full:
        return part.older(place.page)
    return part.address(1 if place.aged else place.page + 1)


def _list_view(
    part: _Part, jobs: Jobs, chunk: Sequence[str], place: _Place
) -> Callable[[Any], ListView]:
    found = part.found

    def view(_charts: Any) -> ListView:
        at = _address(part, place)
        title = f"archived {found.title}" if part.suffix else found.title
        if place.aged:
            pages = _ages(part, place, at)
        else:
            pages = pager(
                place.page + 1, place.last, lambda n: addresses.relative(at, part.address(n))
            )
        return ListView(
            title=_span(place.page, title) if place.full else headline(len(part.jobs), title),
            other=None if place.full else part.other(),
            note="" if place.full else words.listed(list(found.scopes)),
            back=(found.back[0], addresses.relative(at, found.back[1]) if found.back[1] else ""),
            filter=_filter_href(part, at),
            columns=jobs.columns,
            columns_note=columns_note(jobs),
            rows=tuple(jobs.line(job, at) for job in chunk),
            page=1 if place.aged else place.page + 1,
            pages=pages,
            zone=words.zone_name(jobs.now, jobs.zone),
        )

    return view


def by_age(jobs: Sequence[str]) -> list[Sequence[str]]:
    """A list's jobs, newest first, by page: the newest, then full pages from the oldest on.

    >>> [len(page) for page in by_age(["job"] * 250)]
    [50, 100, 100]
    """
    full = (len(jobs) - 1) // ROWS
    newest = len(jobs) - full * ROWS
    older = [jobs[newest + place * ROWS :][:ROWS] for place in range(full)]
    return [jobs[:newest], *reversed(older)]


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


def columns_note(jobs: Jobs) -> str:
    """What the lists do not show of what the server names; "" where they show all of it."""
    said = []
    if jobs.unsaid:
        named, left = jobs.unsaid[:MOST_UNSAID], len(jobs.unsaid[MOST_UNSAID:])
        more = [words.plural(left, "more field")] if left else []
        said.append(f"No job of this report has {words.listed([*named, *more])}.")
    if jobs.left_out:
        said.append(f"{words.plural(jobs.left_out, 'more column')} in data/jobs.csv.")
    return " ".join(said)


def chunked(jobs: Sequence[str]) -> list[Sequence[str]]:
    """A list's jobs by page; an empty list has one empty page."""
    return [jobs[start : start + ROWS] for start in range(0, len(jobs), ROWS)] or [()]


def headline(count: int, title: str) -> str:
    """A list's heading: "12 failed jobs", "1 failed job".

    >>> headline(1, "failed jobs with owner ana")
    '1 failed job with owner ana'
    """
    if count == 1:
        title = title.replace("jobs", "job", 1)
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


# --- all jobs, and the filter ------------------------------------------------------------------


class StatusLink(Struct, frozen=True, kw_only=True):
    """A status with its number of jobs and their list."""

    status: words.StatusWord
    jobs: int
    href: str


class IndexView(Struct, frozen=True, kw_only=True):
    """A page of the list of all jobs; the filter is on the first. `archived` leads to the others.

    `total` counts all jobs of the report, those that are archived too.
    """

    title: str
    archived: PageLink | None
    incomplete: str
    quality: str
    statuses: tuple[StatusLink, ...]
    columns: tuple[Column, ...]
    columns_note: str
    rows: tuple[Line, ...]
    page: int
    pages: tuple[PageLink, ...]
    zone: str
    rows_file: str
    every_status: tuple[words.StatusWord, ...] = ()


def index_pages(
    report: Report, jobs: Jobs, lists: Lists, *, rows_file: str, incomplete: str, as_of: Any
) -> Iterator[Page]:
    """The pages of all jobs of the report, newest submission first, and the lists by status.

    Archived jobs have a list of their own; where there are no others, they are shown at once.
    """
    ids = [entry.row.id for entry in report.jobs if not entry.row.archived]
    archived = [entry.row.id for entry in report.jobs if entry.row.archived]
    if not ids:
        ids, archived = archived, []
    statuses = tuple(_statuses(ids, jobs, lists))
    beside = _archived(archived, lists)
    chunks = chunked(ids)
    for place, chunk in enumerate(chunks):
        first = place == 0
        yield Page(
            address=addresses.jobs_page(place + 1),
            template="jobs.html",
            content=digest(
                jobs.columns,
                columns_note(jobs),
                jobs.dated,
                len(ids),
                place,
                statuses if first else (),
                beside,
                incomplete,
                rows_file if first else "",
                as_of if first else None,
                digest(jobs.marks(chunk)),
            ),
            view=_index_view(
                jobs,
                chunk,
                place + 1,
                len(chunks),
                len(ids),
                statuses,
                beside,
                rows_file,
                incomplete,
            ),
            as_of=as_of if first else None,
            order=LAST if first else jobs.order(chunk[0]),
        )


def _archived(archived: Sequence[str], lists: Lists) -> PageLink | None:
    href = lists.link("archived", "archived jobs", archived, back=("Jobs", addresses.JOBS))
    if not href:
        return None
    return PageLink(
        text=f"+ {words.number(len(archived))} archived",
        href=addresses.relative(addresses.JOBS, href),
    )


def _statuses(ids: Sequence[str], jobs: Jobs, lists: Lists) -> Iterator[StatusLink]:
    by_status: dict[str, list[str]] = {}
    for job in ids:
        by_status.setdefault(jobs.entries[job].row.status, []).append(job)
    for status in sorted(by_status, key=status_order):
        word = words.status(status)
        name = (
            f"status-{word.key}"
            if word.key != "unknown"
            else list_name("status", status, "unknown")
        )
        yield StatusLink(
            status=word,
            jobs=len(by_status[status]),
            href=addresses.relative(
                addresses.JOBS,
                lists.link(
                    name,
                    f"{status_adjective(word)} jobs",
                    by_status[status],
                    back=("Jobs", addresses.JOBS),
                    filtered=filter_state(status=status),
                ),
            ),
        )


_ORDER = ("Succeeded", "Failed", "Aborted", "Running", "Submitted", "OnHold", "Aborting")


def status_order(status: str) -> tuple[int, str]:
    """Where a status stands beside others: in bars, columns and lists alike."""
    return (_ORDER.index(status) if status in _ORDER else len(_ORDER), status)


def status_adjective(word: words.StatusWord) -> str:
    """A status before a noun: "failed", "on hold"; a server's own word as it is."""
    return word.text.lower() if word.key != "unknown" else word.text[0].lower() + word.text[1:]


def filter_state(**fields: str) -> str:
    """The hash of jobs/index.html that shows the same jobs, as tables.js reads it.

    >>> filter_state(label="owner=ana b", status="Failed")
    'label=owner%3Dana+b&status=Failed'
    """
    from urllib.parse import urlencode

    return urlencode(fields, encoding="utf-8", errors="replace")


def _index_view(
    jobs: Jobs,
    chunk: Sequence[str],
    page: int,
    last: int,
    total: int,
    statuses: tuple[StatusLink, ...],
    archived: PageLink | None,
    rows_file: str,
    incomplete: str,
) -> Callable[[Any], IndexView]:
    def view(_charts: Any) -> IndexView:
        at = addresses.jobs_page(page)
        return IndexView(
            title=words.plural(total, "job"),
            archived=archived,
            incomplete=incomplete,
            quality=addresses.relative(at, addresses.QUALITY),
            statuses=statuses if page == 1 else (),
            columns=jobs.columns,
            columns_note=columns_note(jobs),
            rows=tuple(jobs.line(job, at) for job in chunk),
            page=page,
            pages=pager(page, last, lambda n: addresses.relative(at, addresses.jobs_page(n))),
            zone=words.zone_name(jobs.now, jobs.zone),
            rows_file=addresses.relative(at, rows_file) if page == 1 else "",
            every_status=tuple(words.status(status) for status in (*_ORDER, "")),
        )

    return view
