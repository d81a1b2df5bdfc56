"""Lists of jobs: the pages behind every number.

    jobs/index.html, jobs/page-2.html …     all jobs of the report, and the filter
    jobs/status-failed.html …               by status
    jobs/new.html, jobs/stuck.html …        by the overview's numbers
    jobs/cause-….html, jobs/label-….html …  by cause, workflow, label and time frame

A page that shows a number asks `Lists` for the address of exactly those jobs. The names of lists
never end in a dash and eight hexadecimal digits, as the names of jobs' pages all do.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from jmreport.models import DisplayField
from jmreport.records import Entry, JobRow
from jmreport.render import addresses, words
from jmreport.render.page import Page, digest, digest_of_many
from jmreport.report import Report

#: Rows on a page of a list.
ROWS = 100
#: Jobs whose page is named instead of a list of one; the overview's lists are always lists.
NO_NAME = "(no name)"

Kind = Literal["status", "job", "workflow", "time", "duration", "number", "text"]


class Column(Struct, frozen=True, kw_only=True):
    """A column of every list: how it is called, and which field it shows (the server's words)."""

    key: str
    title: str
    kind: Kind
    look: str = ""


class Cell(Struct, frozen=True, kw_only=True):
    """What a cell says. Exactly one of status, time and text is shown; "" is "not known"."""

    label: str
    kind: Kind
    look: str = ""
    text: str = ""
    href: str = ""
    sub: str = ""
    status: words.StatusWord | None = None
    time: words.Moment | None = None


_STANDARD = (
    Column(key="status", title="Status", kind="status"),
    Column(key="name", title="Workflow", kind="workflow"),
    Column(key="id", title="Job", kind="job"),
    Column(key="submission", title="Submitted", kind="time", look="num"),
    Column(key="start", title="Started", kind="time", look="num"),
    Column(key="end", title="Ended", kind="time", look="num"),
)
_TOOK = Column(key="took", title="Took", kind="duration", look="num")
_BY_KEY = {column.key: column for column in _STANDARD}


def columns(fields: Sequence[DisplayField]) -> tuple[Column, ...]:
    """The columns a server asks for, in its order; status, workflow and job are always there.

    With no wish of a server: what every job has, how long it took, and who ran it.
    """
    wanted: list[Column] = []
    for shown in (each for each in fields if each.primary):
        known = _BY_KEY.get(shown.field)
        column = (
            msgspec.structs.replace(known, title=shown.display or known.title)
            if known
            else Column(key=shown.field, title=shown.display or shown.field, kind="text")
        )
        if column.key not in {each.key for each in wanted}:
            wanted.append(column)
    if not wanted:
        wanted = [*_STANDARD, Column(key="extensions.userId", title="User", kind="text")]
    have = {column.key for column in wanted}
    first = [column for column in _STANDARD[:3] if column.key not in have]
    return tuple(_with_took([*first, *wanted]))


def _with_took(wanted: list[Column]) -> list[Column]:
    """How long a job took stands behind the last of its times."""
    times = [place for place, column in enumerate(wanted) if column.kind == "time"]
    at = times[-1] + 1 if times else len(wanted)
    return [*wanted[:at], _TOOK, *wanted[at:]]


def field_text(row: JobRow, key: str) -> str:
    """A job's own answer for a field that a server names; "" where it has none."""
    if key.startswith("labels."):
        return row.labels.get(key[len("labels.") :], "")
    if key == "extensions.userId":
        return row.user or ""
    if key == "extensions.parentJobId":
        return row.parent or ""
    return row.extra.get(key, "")


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
    note: str
    back: tuple[str, str]
    filter: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    page: int
    pages: tuple["PageLink", ...]
    zone: str


class PageLink(Struct, frozen=True, kw_only=True):
    """A page of a list in its pager; the current one has no link."""

    text: str
    href: str = ""


class Jobs:
    """Every job that lists can show, and what a row of it looks like."""

    def __init__(self, report: Report, *, zone: tzinfo, pages: set[str]) -> None:
        """`pages` are the workflows that have a page of their own."""
        self.columns = columns(report.columns)
        self.entries: dict[str, Entry] = {entry.row.id: entry for entry in report.jobs}
        self.short_ids = report.short_ids
        self.now = report.now
        self.zone = zone
        self._workflows = pages
        self._marks: dict[str, bytes] = {}

    def add(self, entry: Entry) -> None:
        """A job from before the window that a list shows too."""
        self.entries.setdefault(entry.row.id, entry)

    def row(self, job: str) -> JobRow | None:
        """A job's row, None for one that nothing is known of."""
        entry = self.entries.get(job)
        return entry.row if entry else None

    def short(self, job: str) -> str:
        """A job's short id."""
        return self.short_ids.get(job) or job[:8]

    def mark(self, job: str) -> bytes:
        """A digest of what a list shows of a job."""
        known = self._marks.get(job)
        if known is None:
            content = msgspec.msgpack.encode((self.row(job), self.short(job)))
            known = self._marks[job] = hashlib.blake2b(content, digest_size=12).digest()
        return known

    def cells(self, job: str, at: str) -> tuple[Cell, ...]:
        """A job's row of a list on the page `at`."""
        row = self.row(job) or JobRow(id=job, name="", status="", readable=False)
        return tuple(self._cell(column, row, at) for column in self.columns)

    def _cell(self, column: Column, row: JobRow, at: str) -> Cell:
        label, kind, look = column.title, column.kind, column.look
        match kind:
            case "status":
                return Cell(label=label, kind=kind, look=look, status=words.status(row.status))
            case "job":
                href = addresses.relative(at, addresses.job(row.id)) if self.row(row.id) else ""
                return Cell(label=label, kind=kind, look=look, text=self.short(row.id), href=href)
            case "workflow":
                return self._workflow(column, row, at)
            case "time":
                moment = words.short_when(_time(row, column.key), self.zone, near=self.now)
                return Cell(label=label, kind=kind, look=look, time=moment)
            case "duration":
                return Cell(label=label, kind=kind, look=look, text=words.duration(row.took))
            case _:
                text = words.cut_middle(field_text(row, column.key), 120)
                return Cell(label=label, kind=kind, look=look, text=text)

    def _workflow(self, column: Column, row: JobRow, at: str) -> Cell:
        href = self.workflow_href(row.name, at)
        text = words.cut_middle(row.name, 80) or NO_NAME
        sub = failure_words(row)
        return Cell(label=column.title, kind=column.kind, text=text, href=href, sub=sub)

    def workflow_href(self, name: str, at: str) -> str:
        """The link to a workflow's page, "" where it has none."""
        return addresses.relative(at, addresses.workflow(name)) if name in self._workflows else ""


def failure_words(row: JobRow) -> str:
    """Why a job failed, short enough for a list; "" where nothing is known."""
    if row.failure is None or row.status == "Succeeded":
        return ""
    task = f"{words.cut_middle(row.failure.task, 40)}: " if row.failure.task else ""
    return words.cut_end(task + " ".join(row.failure.message.split()), 110)


def _time(row: JobRow, key: str) -> datetime | None:
    found: datetime | None = getattr(row, key)
    return found


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
        if len(ids) == 1 and self.jobs.row(ids[0]):
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
    """The pages of one list, each of a hundred jobs."""
    chunks = chunked(found.jobs)
    for place, chunk in enumerate(chunks):
        yield Page(
            address=_address(found.name, place + 1),
            template="joblist.html",
            content=digest(
                jobs.columns,
                msgspec.structs.replace(found, jobs=()),
                len(found.jobs),
                place,
                digest_of_many(jobs.mark(job) for job in chunk),
            ),
            view=_list_view(found, jobs, chunk, place + 1, len(chunks)),
        )


def _list_view(
    found: JobList, jobs: Jobs, chunk: Sequence[str], page: int, last: int
) -> Callable[[Any], ListView]:
    def view(_charts: Any) -> ListView:
        at = _address(found.name, page)
        return ListView(
            title=headline(len(found.jobs), found.title),
            note=words.listed(list(found.scopes)),
            back=(found.back[0], addresses.relative(at, found.back[1]) if found.back[1] else ""),
            filter=f"{addresses.relative(at, addresses.JOBS)}#{found.filter}"
            if found.filter
            else "",
            columns=jobs.columns,
            rows=tuple(jobs.cells(job, at) for job in chunk),
            page=page,
            pages=pager(page, last, lambda n: addresses.relative(at, _address(found.name, n))),
            zone=words.zone_name(jobs.now, jobs.zone),
        )

    return view


def _address(name: str, page: int) -> str:
    return f"jobs/{name}.html" if page == 1 else f"jobs/{name}-page-{page}.html"


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
    """A page of the list of all jobs; the filter is on the first."""

    title: str
    incomplete: str
    quality: str
    statuses: tuple[StatusLink, ...]
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    page: int
    pages: tuple[PageLink, ...]
    zone: str
    rows_file: str
    every_status: tuple[words.StatusWord, ...] = ()
    ids: tuple[str, ...] = field(default_factory=tuple)


def index_pages(
    report: Report, jobs: Jobs, lists: Lists, *, rows_file: str, incomplete: str, as_of: Any
) -> Iterator[Page]:
    """The pages of all jobs of the report, newest submission first, and the lists by status."""
    ids = [entry.row.id for entry in report.jobs]
    statuses = tuple(_statuses(report, lists))
    chunks = chunked(ids)
    for place, chunk in enumerate(chunks):
        first = place == 0
        yield Page(
            address=addresses.jobs_page(place + 1),
            template="jobs.html",
            content=digest(
                jobs.columns,
                len(ids),
                place,
                statuses if first else (),
                incomplete,
                rows_file if first else "",
                as_of if first else None,
                digest_of_many(jobs.mark(job) for job in chunk),
            ),
            view=_index_view(
                jobs, chunk, place + 1, len(chunks), len(ids), statuses, rows_file, incomplete
            ),
            as_of=as_of if first else None,
        )


def _statuses(report: Report, lists: Lists) -> Iterator[StatusLink]:
    by_status: dict[str, list[str]] = {}
    for entry in report.jobs:
        by_status.setdefault(entry.row.status, []).append(entry.row.id)
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
    rows_file: str,
    incomplete: str,
) -> Callable[[Any], IndexView]:
    def view(_charts: Any) -> IndexView:
        at = addresses.jobs_page(page)
        return IndexView(
            title=words.plural(total, "job"),
            incomplete=incomplete,
            quality=addresses.relative(at, addresses.QUALITY),
            statuses=statuses if page == 1 else (),
            columns=jobs.columns,
            rows=tuple(jobs.cells(job, at) for job in chunk),
            page=page,
            pages=pager(page, last, lambda n: addresses.relative(at, addresses.jobs_page(n))),
            zone=words.zone_name(jobs.now, jobs.zone),
            rows_file=addresses.relative(at, rows_file) if page == 1 else "",
            every_status=tuple(words.status(status) for status in (*_ORDER, "")),
        )

    return view


# --- the rows for tables.js --------------------------------------------------------------------

#: A label with at most this many values is offered in the filter's suggestions.
_OFFERED = 40


def rows_script(report: Report, jobs: Jobs, *, zone: str) -> bytes:
    """The rows as a classic script, since fetch is blocked on file://.

        window.jmreportJobs = {"zone": "UTC", "columns": [{"key": "status", "words": ["Failed"],
          "values": [0, 0, …]}, …], "ids": […], "files": ["+-1f9a3c77", …], "labels": [[0, 4], …]}

    Column by column; a text that several jobs share stands once, in `words`. A file is its job's
    id with what follows it ("+"), or a name of its own ("=").
    """
    rows = [entry.row for entry in report.jobs]
    pairs: dict[tuple[str, str], int] = {}
    labels = [
        [pairs.setdefault(pair, len(pairs)) for pair in sorted(row.labels.items())] for row in rows
    ]
    causes = _Coded()
    failures = [causes.at(failure_words(row)) for row in rows]
    shown = [_values(column, rows, jobs) for column in jobs.columns]
    name = next(place for place, column in enumerate(jobs.columns) if column.key == "name")
    tree = {
        "zone": zone,
        "year": jobs.now.astimezone(jobs.zone).year,
        "columns": shown,
        "ids": [row.id for row in rows],
        "files": [_file(row.id) for row in rows],
        "workflows": [
            jobs.workflow_href("" if text == NO_NAME else text, addresses.JOBS)
            for text in shown[name]["words"]
        ],
        "pairs": list(pairs),
        "labels": labels,
        "offered": _offered(pairs),
        "causes": causes.words,
        "failures": failures,
    }
    return b"window.jmreportJobs = " + _script_json(tree) + b";\n"


def _offered(pairs: Mapping[tuple[str, str], int]) -> list[int]:
    values: dict[str, int] = {}
    for key, _ in pairs:
        values[key] = values.get(key, 0) + 1
    return [place for (key, _), place in sorted(pairs.items()) if values[key] <= _OFFERED]


def _script_json(tree: Any) -> bytes:
    """JSON that is also safe inside a script: no `<` ends it, no line separator breaks it."""
    text = msgspec.json.encode(tree).replace(b"<", b"\\u003c")
    return text.replace("\u2028".encode(), b"\\u2028").replace("\u2029".encode(), b"\\u2029")


class _Coded:
    """Texts, each once."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._places: dict[str, int] = {}

    def at(self, text: str) -> int | None:
        if not text:
            return None
        if text not in self._places:
            self._places[text] = len(self.words)
            self.words.append(text)
        return self._places[text]


def _values(column: Column, rows: Sequence[JobRow], jobs: Jobs) -> dict[str, Any]:
    about = {"key": column.key, "title": column.title, "kind": column.kind, "look": column.look}
    match column.kind:
        case "time":
            times = [_time(row, column.key) for row in rows]
            return {**about, "values": [_seconds(time) for time in times]}
        case "duration":
            lengths = [row.took for row in rows]
            return {
                **about,
                "values": [
                    None if took is None else round(took.total_seconds(), 1) for took in lengths
                ],
            }
        case "job":
            return {**about, "values": [jobs.short(row.id) for row in rows]}
    coded = _Coded()
    texts = [_text(column, row) for row in rows]
    return {**about, "values": [coded.at(text) for text in texts], "words": coded.words}


def _text(column: Column, row: JobRow) -> str:
    match column.kind:
        case "status":
            return row.status or "Unknown"
        case "workflow":
            return row.name or NO_NAME
    return field_text(row, column.key)


def _seconds(at: datetime | None) -> int | None:
    """Seconds since 1970, rounded down as clocks show them."""
    return None if at is None else int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)


def _file(job: str) -> str:
    name = addresses.job(job)[len("jobs/") : -len(".html")]
    return f"+{name[len(job) :]}" if name.startswith(job) else f"={name}"
