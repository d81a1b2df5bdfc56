"""What a mail is about and what it shows: a team's night, and the view that its HTML and text are
made of."""

from collections.abc import Callable
from datetime import datetime

from markupsafe import Markup
from msgspec import Struct

from jmreport.night import NightJob
from jmreport.records import Run
from jmreport.report import Report
from jmreport.report.jobs import Handed


class Size(Struct, frozen=True):
    """How many causes a mail shows, jobs of each, and rows of other lists; the rest is counted."""

    causes: int
    jobs: int
    rows: int


#: Tried one after the other until the mail is small enough.
SIZES = (Size(10, 5, 5), Size(10, 2, 3), Size(3, 0, 0))


class Failed(Struct, frozen=True, kw_only=True):
    """A run that brought nothing, after the last one that did: when, and why."""

    at: datetime
    why: str
    #: Whether the snapshots cannot be read either, so that nobody knows what was reported before.
    unopened: bool = False


class Unsent(Struct, frozen=True):
    """A mail of an earlier night that did not reach the team, and what its subject said."""

    at: datetime
    subject: str


class Night(Struct, frozen=True, kw_only=True):
    """What a mail is about. `report` is that of the team's jobs as of the newest usable run.

    It is None where no run ever brought one, or none can be read now. `named` are the jobs that its
    numbers name, also those from before its window. `failed` is the newest run, where it brought
    nothing; `pages_lack` says why its pages are not where the mail leads to, "" where they are.
    `unsent` are mails of nights before that did not reach the team. `known` says whether any job
    that is known is the team's, and `handed` which were handed to it, or to others. `unheard` is
    the run with which the page of this night compares, where no mail told the team of it: the
    report compares with one before it. `others_lack` says that something could not be read, be it
    of other teams' jobs alone. `untold` says that the team heard of no night before, while
    others did, and `unhanded` why nobody knows which jobs were handed to other teams.
    """

    report: Report | None
    named: tuple[NightJob, ...] = ()
    failed: Failed | None = None
    pages_lack: str = ""
    unsent: tuple[Unsent, ...] = ()
    known: bool = True
    handed: Handed = Handed()
    unheard: Run | None = None
    others_lack: bool = False
    untold: bool = False
    unhanded: str = ""

    @property
    def at(self) -> datetime:
        if self.failed:
            return self.failed.at
        assert self.report is not None  # a night has one or the other
        return self.report.now


class Places(Struct, frozen=True, kw_only=True):
    """Where pages are: `url` is the site's address, "" where it is not hosted.

    `where` says then where it is; `there` tells whether the site has a page.
    """

    url: str
    where: str
    there: Callable[[str], bool]

    def href(self, address: str) -> str:
        """A page's whole address; "" where nobody could open it."""
        page = address.partition("#")[0]
        return f"{self.url.rstrip('/')}/{address}" if self.url and self.there(page) else ""


class Link(Struct, frozen=True):
    """A text, and where it leads ("" nowhere); of a job, `note` says whose it is."""

    text: str
    href: str = ""
    note: str = ""


class Tile(Struct, frozen=True):
    """A number of the verdict. `kind` names its colour; `usual` is what it usually is."""

    n: str
    what: str
    kind: str
    usual: str = ""


class Cause(Struct, frozen=True, kw_only=True):
    """A cause with its jobs: those shown, and how many more there are."""

    state: str
    kind: str
    count: str
    where: str
    title: str
    href: str
    facts: tuple[str, ...]
    known: str
    known_href: str
    note: Markup | str
    note_text: str
    jobs: tuple[Link, ...]
    more: str


class Row(Struct, frozen=True, kw_only=True):
    """A job of a list."""

    workflow: str
    job: Link
    said: str


class Part(Struct, frozen=True, kw_only=True):
    """A list of jobs: its rows, and how many more there are."""

    heading: str
    note: str
    rows: tuple[Row, ...]
    more: str


class Chart(Struct, frozen=True, kw_only=True):
    """A chart that nobody needs in order to read the mail: its pictures, and what they say."""

    light: str
    dark: str
    said: str


class MailView(Struct, frozen=True, kw_only=True):
    """What both templates print. `css` is the style sheet."""

    css: Markup
    site: str
    team: str
    when: str
    banner: str
    banner_kind: str
    banner_lines: tuple[str, ...]
    title: str
    lede: str
    tiles: tuple[Tile, ...]
    total: str
    night: Link
    where: str
    notices: tuple[str, ...]
    causes_heading: str
    causes: tuple[Cause, ...]
    more: str
    parts: tuple[Part, ...]
    waste: str
    complete: str
    holes: tuple[str, ...]
    attached: str
    foot: tuple[str, ...]
    chart: Chart | None = None
