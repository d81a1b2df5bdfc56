"""Lists of jobs: the pages behind every number.

    jobs/index.html, jobs/page-2.html …     all jobs of the report, and the filter
    jobs/status-failed.html …               by status
    jobs/new.html, jobs/stuck.html …        by the overview's numbers
    jobs/cause-….html, jobs/label-….html …  by cause, workflow, label and time frame

A page that shows a number asks `Lists` for the address of exactly those jobs. The names of lists
never end in a dash and eight hexadecimal digits, as the names of jobs' pages all do.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from jmreport.placed import Placed
from jmreport.records import RETRIED
from jmreport.render import addresses, words
from jmreport.render.columns import Column
from jmreport.render.jobcells import NO_NAME, Cell, Jobs, Lines
from jmreport.render.jobrows import rows_script
from jmreport.render.listpages import (
    OF_ALL_TIME,
    JobList,
    PageLink,
    chunked,
    list_pages,
    pager,
)
from jmreport.render.page import LAST, Page, digest
from jmreport.render.standing import Standing
from jmreport.report import Report

__all__ = [
    "NO_NAME",
    "OF_ALL_TIME",
    "Cell",
    "Column",
    "Jobs",
    "Lines",
    "Lists",
    "PageLink",
    "pager",
    "rows_script",
]

#: Statuses beside each other; of more, those that nobody knows are counted together.
MOST_STATUSES = 12


class Lists:
    """The lists that the pages of a report link to: asked for while pages are planned."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self._found: dict[str, JobList] = {}
        self._same: dict[tuple[str, int], str] = {}

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
        some: tuple[str, str] = ("", ""),
    ) -> str:
        """The address of the list of exactly these jobs, which is made; "" for no jobs.

        `title` reads behind a count ("failed jobs with owner ana"). Lists of one kind (`same`) are
        those of longer and longer time frames: each is the beginning of the longest, whose pages it
        shares. Those that are as long are one list, whose scopes are all named on it. `some` is a
        remark on some of the jobs, and the address of their list.
        """
        ids = jobs if isinstance(jobs, Placed) else tuple(jobs)
        if not ids:
            return ""
        found = self._same.setdefault((same, len(ids)), name) if same else name
        old = self._found.get(found)
        scopes = (*(old.scopes if old else ()), *((scope,) if scope else ()))
        self._found[found] = JobList(
            name=found,
            title=old.title if old else title,
            jobs=ids,
            scopes=tuple(dict.fromkeys(scopes)),
            back=back,
            filter=old.filter if old else filtered,
            kind=same,
            some=old.some if old and not some[1] else some,
        )
        return f"jobs/{found}.html"

    def link_or_job(self, name: str, title: str, jobs: Iterable[str], **how: Any) -> str:
        """The same, and for one job its own page: a label of a thousand samples needs no lists."""
        ids = jobs if isinstance(jobs, Placed) else tuple(jobs)
        return self.only(ids) or self.link(name, title, ids, **how)

    def only(self, ids: Sequence[str]) -> str:
        """The page of the only one of some jobs; "" of several, or where it has none."""
        return addresses.job(ids[0]) if len(ids) == 1 and self.jobs.knows(ids[0]) else ""

    def pages(self, standing: Standing | None = None) -> Iterator[Page]:
        """Every page of every list that was asked for, but for those that stand.

        It lets go of a list when its pages are planned.
        """
        kinds: dict[str, list[JobList]] = {}
        for found in self._found.values():
            kinds.setdefault(found.kind or found.name, []).append(found)
        self._found.clear()
        for kind in [*kinds]:
            yield from list_pages(kinds.pop(kind), self.jobs, standing)


def list_name(kind: str, text: str, *parts: str) -> str:
    """A list's name: a slug of the text, and ten digits of what it is about.

    >>> list_name("label", "owner", "ana", "Failed")
    'label-owner-8cd88e595b'
    """
    # What stands between parts is in none of them, whatever a server calls its labels.
    whole = [
        part.replace("\x01", "\x01\x01").replace("\x00", "\x01\x02") for part in (text, *parts)
    ]
    exact = "\x00".join(whole).encode("utf-8", "surrogatepass")
    slug = addresses.slug(text) or kind
    return f"{kind}-{slug}-{hashlib.sha256(exact).hexdigest()[:10]}"


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
    ids: str
    #: Where fewer jobs are listed, for who has no filter.
    workflows: str
    labels: str
    statuses: tuple[StatusLink, ...]
    columns: tuple[Column, ...]
    columns_note: str
    rows: Lines
    page: int
    pages: tuple[PageLink, ...]
    zone: str
    rows_file: str
    #: Why there is no job; "" where there are some.
    none: str
    #: How far back it looks, and where older jobs are; "" where it looks back to the beginning.
    window: str = ""
    older: tuple[PageLink, ...] = ()
    every_status: tuple[words.StatusWord, ...] = ()


#: Where jobs from before the report's window are.
_OLDER = (("nights", addresses.NIGHTS), ("labels", addresses.LABELS))


def index_pages(
    report: Report,
    jobs: Jobs,
    lists: Lists,
    *,
    rows_file: str,
    incomplete: str,
    none: str,
    as_of: Any,
) -> Iterator[Page]:
    """The pages of all jobs of the report, newest submission first, and the lists by status.

    `none` says why there is no job, where there is none.
    Archived jobs have a list of their own; where there are no others, they are shown at once.
    """
    ids = [entry.row.id for entry in report.jobs if not entry.row.archived]
    archived = [entry.row.id for entry in report.jobs if entry.row.archived]
    if not ids:
        ids, archived = archived, []
    asked = report.run.asked
    length = report.now - asked.since if asked.since else None
    window = words.window_words(asked.timeframe, length) if asked.since else ""
    statuses = tuple(_statuses(ids, jobs, lists))
    beside = _archived(archived, lists)
    chunks = chunked(ids)
    for place, chunk in enumerate(chunks):
        first = place == 0
        yield Page(
            address=addresses.jobs_page(place + 1),
            template="jobs.html",
            content=digest(
                jobs.look,
                len(ids),
                place,
                statuses if first else (),
                beside,
                incomplete,
                none,
                window if first else "",
                rows_file if first else "",
                as_of if first else None,
                digest(jobs.marks(chunk)),
            ),
            sheet=IndexSheet(
                jobs.numbered(chunk),
                place + 1,
                len(chunks),
                len(ids),
                statuses,
                beside,
                rows_file,
                incomplete,
                none,
                window,
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
        by_status.setdefault(jobs.entries[job].row.counts_as, []).append(job)
    said = by_status
    if len(said) > MOST_STATUSES:
        by_status = {status: jobs for status, jobs in said.items() if not unknown(status)}
        by_status["Unknown"] = [
            job for status in sorted(said) if unknown(status) for job in said[status]
        ]
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
                    # No word stands for several.
                    filtered=filter_state(status=status)
                    if by_status[status] == said.get(status)
                    else "",
                ),
            ),
        )


def unknown(status: str) -> bool:
    """Whether nobody but the server knows a status."""
    return words.status(status).key == "unknown"


def together(counts: Mapping[str, int]) -> dict[str, int]:
    """The same jobs, those of unknown statuses under one word."""
    found = Counter[str]()
    for status, count in counts.items():
        found["Unknown" if unknown(status) else status] += count
    return dict(sorted(found.items()))


def few(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Jobs by status, those of unknown ones together where they have too many words."""
    return together(counts) if sum(map(bool, counts.values())) > MOST_STATUSES else counts


_ORDER = (
    "Succeeded", "Failed", RETRIED, "Aborted", "Running", "Submitted", "OnHold", "Aborting",
)  # fmt: skip


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


class IndexSheet(NamedTuple):
    """What a page of the list of all jobs is made of; `last` is its last page."""

    chunk: Sequence[str | int]
    page: int
    last: int
    total: int
    statuses: tuple[StatusLink, ...]
    archived: PageLink | None
    rows_file: str
    incomplete: str
    none: str
    window: str

    def shown(self, jobs: Jobs) -> IndexView:
        """What the page shows."""
        page = self.page
        at = addresses.jobs_page(page)
        return IndexView(
            title=words.plural(self.total, "job"),
            archived=self.archived,
            incomplete=self.incomplete,
            quality=addresses.relative(at, addresses.QUALITY),
            ids=addresses.relative(at, addresses.IDS),
            workflows=addresses.relative(at, addresses.WORKFLOWS),
            labels=addresses.relative(at, addresses.LABELS),
            statuses=self.statuses if page == 1 else (),
            columns=jobs.columns,
            columns_note=jobs.note,
            rows=jobs.lines(self.chunk, at),
            page=page,
            pages=pager(page, self.last, lambda n: addresses.relative(at, addresses.jobs_page(n))),
            zone=words.zone_name(jobs.now, jobs.zone),
            rows_file=addresses.relative(at, self.rows_file) if page == 1 else "",
            none=self.none,
            window=self.window if page == 1 else "",
            older=tuple(
                PageLink(text=text, href=addresses.relative(at, href)) for text, href in _OLDER
            ),
            every_status=tuple(words.status(status) for status in (*_ORDER, "")),
        )
