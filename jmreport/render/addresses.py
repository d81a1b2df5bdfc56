"""Where each page lies below the site's directory, and how one page links to another.

Addresses are made of ASCII letters, digits, `-`, `.` and `/` only, whatever a server calls its
jobs: a slug to be recognised by, and a digest of the exact name so that no two share a page.
They never change: a link to a job lasts.
"""

import re
import unicodedata
from functools import lru_cache
from hashlib import sha256

OVERVIEW = "index.html"
JOBS = "jobs/index.html"
#: Where a job is found by its id.
IDS = "jobs/ids/index.html"
WORKFLOWS = "workflows/index.html"
LABELS = "labels/index.html"
NIGHTS = "nights/index.html"
#: Of which jobs of a night there are lists.
NIGHT_LISTS = ("ended", "failed")
#: What the name of a list ends with that holds archived jobs alone.
ARCHIVED = "-archived"
CAUSES = "causes/index.html"
#: What further pages of that list begin with: a cause's id is hexadecimal.
CAUSES_PAGES = "causes/page-"
GRID = "grid.html"
TIMELINE = "timeline.html"
DIFFS = "diffs/index.html"
TASKS = "tasks/index.html"
QUALITY = "quality.html"
ABOUT = "about.html"
FEED = "data/feed.xml"
NOT_FOUND = "404.html"
ROBOTS = "robots.txt"
#: The folders of a site that hold all others of its pages and files.
FOLDERS = frozenset(
    ("assets", "causes", "data", "diffs", "jobs", "labels", "nights", "tasks", "workflows")
)

#: How much of a text is recalled at most, and how much of it is looked at.
_LONGEST, _LOOKED_AT = 40, 400
#: Digits of a digest, and of that of a job whose id the slug does not tell to its end: dsub's jobs
#: of one name and user in one month have one slug, and of 100,000 two would share a page.
_DIGITS, _MORE_DIGITS = 8, 16
_OTHERS = re.compile(r"[^a-z0-9]+")
_RUN = r"[0-9]{8}T[0-9]{6}Z(?:-[0-9]+)?"
_LABEL = re.compile(r"labels/.+-[0-9a-f]{8}\.html")
_DIFF = re.compile(rf"diffs/({_RUN})-({_RUN})\.html")


def slug(text: str, longest: int = _LONGEST) -> str:
    """Lower-case ASCII letters, digits and single dashes that recall the text; "" if none do."""
    return _spelled(text)[:longest].strip("-")


def _spelled(text: str) -> str:
    plain = text[:_LOOKED_AT]
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return _OTHERS.sub("-", plain.lower()).strip("-")


def _digest(text: str, digits: int) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


def _stem(text: str, without: str) -> str:
    return f"{slug(text) or without}-{_digest(text, _DIGITS)}"


@lru_cache(maxsize=4096)  # a job's is asked for again and again while its page is made; 310 bytes
def job(job_id: str) -> str:
    """The page of a job.

    >>> job("../etc/passwd").startswith("jobs/etc-passwd-")
    True
    """
    spelled = _spelled(job_id)
    cut = len(spelled) > _LONGEST or len(job_id) > _LOOKED_AT
    digest = _digest(job_id, _MORE_DIGITS if cut else _DIGITS)
    return f"jobs/{spelled[:_LONGEST].strip('-') or 'job'}-{digest}.html"


def job_raw(job_id: str) -> str:
    """The JSON of a job as it was stored, beside its page."""
    return job(job_id)[: -len("html")] + "json"


def job_shards(job_id: str, position: int, task: str, page: int, *, status: str = "") -> str:
    """A page of a large scatter: `position` is the task's place in the job, pages count from 1.

    With a status's key in `words.status` it is one of the shards of that status.
    """
    name = slug(task, 24) or "task"
    which = f"{status}-{page}" if status else f"{page}"
    return f"{job(job_id)[: -len('.html')]}-{name}-{position}-shards-{which}.html"


def jobs_page(page: int) -> str:
    """A page of the list of all jobs, counted from 1."""
    return JOBS if page == 1 else f"jobs/page-{page}.html"


@lru_cache(maxsize=4096)
def workflow(name: str) -> str:
    """The page of a workflow, by its name; "" is the jobs without one."""
    return f"workflows/{_stem(name, 'workflow')}.html"


def cause(cause_id: str) -> str:
    """The page of a cause, by its id (hexadecimal digits)."""
    return f"causes/{cause_id}.html"


def causes_page(page: int) -> str:
    """A page of the list of causes, counted from 1.

    >>> causes_page(1), causes_page(2)
    ('causes/index.html', 'causes/page-2.html')
    """
    return CAUSES if page == 1 else f"{CAUSES_PAGES}{page}.html"


def of_night(run: str) -> str:
    """What all addresses of a night's own pages and files begin with."""
    return f"nights/{run}/"


def night(run: str) -> str:
    """A night's frozen page, by the run that ended it."""
    return f"{of_night(run)}index.html"


def night_causes(run: str, page: int = 1) -> str:
    """A page of all causes of a night of many, counted from 1.

    >>> night_causes("20261123T021400Z", 2)
    'nights/20261123T021400Z/causes-page-2.html'
    """
    return f"{of_night(run)}causes{'' if page == 1 else f'-page-{page}'}.html"


def is_night(address: str) -> bool:
    """Whether it is a night's page.

    >>> is_night(night("20261123T021400Z")), is_night(NIGHTS)
    (True, False)
    """
    return address.startswith("nights/") and address != NIGHTS


def night_data(run: str) -> str:
    """A night's own report.json, beside its page."""
    return f"{of_night(run)}report.json"


def failed_night(run: str) -> str:
    """Where the calendar tells of a night that brought no report, by its first run.

    >>> failed_night("20261121T021400Z")
    'nights/index.html#failed-20261121T021400Z'
    """
    return f"{NIGHTS}#failed-{run}"


def night_list(run: str, kind: str) -> str:
    """What a list of a night's jobs is called, by the night's run: kind is one of `NIGHT_LISTS`.

    >>> night_list("20261123T021400Z", "failed")
    'night-20261123t021400z-failed'
    """
    return f"night-{slug(run)}-{kind}"


def ids(beginning: str = "") -> str:
    """The page of the jobs whose ids begin so, as their addresses spell them; "" is the first.

    >>> ids("84"), ids()
    ('jobs/ids/begin-84.html', 'jobs/ids/index.html')
    """
    return f"jobs/ids/begin-{beginning}.html" if beginning else IDS


def list_page(name: str, page: int = 1) -> str:
    """A page of a list that has a name, counted from 1."""
    return f"jobs/{name}.html" if page == 1 else f"jobs/{name}-page-{page}.html"


def diff(before: str, after: str) -> str:
    """The page of what differs between two runs, by their ids."""
    return f"diffs/{before}-{after}.html"


def runs_of(diff: str) -> tuple[str, str] | None:
    """The two runs by which the page of a difference is named; None of what is none.

    >>> runs_of(diff("20261122T021400Z", "20261123T021400Z-0002"))
    ('20261122T021400Z', '20261123T021400Z-0002')
    """
    found = _DIFF.fullmatch(diff)
    return (found[1], found[2]) if found else None


@lru_cache(maxsize=4096)
def label(key: str) -> str:
    """The page of a label, by its key."""
    return f"labels/{_stem(key, 'label')}.html"


def is_label(address: str) -> bool:
    """Whether it is the first page of a label, to which others lead.

    >>> is_label(label("page-2")), is_label(LABELS)
    (True, False)
    >>> is_label(label("owner").replace(".html", "-page-2.html"))
    False
    """
    return _LABEL.fullmatch(address) is not None


def anchor(kind: str, position: int) -> str:
    """The id of a part of a page: by position, since names can hold anything."""
    return f"{kind}-{position}"


def relative(from_: str, to: str) -> str:
    """The link from one page to another, so that it holds from disk and under any prefix.

    >>> relative("jobs/a.html", "assets/site.css")
    '../assets/site.css'
    >>> relative("jobs/a.html", "jobs/b.html#task-1")
    'b.html#task-1'
    """
    here = from_.rpartition("/")[0]
    if not here:
        return to
    if to.startswith(here + "/"):
        return to[len(here) + 1 :]
    return "../" * (here.count("/") + 1) + to
