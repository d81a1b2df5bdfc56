"""The settings: `jmreport.toml`, then `JMREPORT_*` from the environment, then flags.

Every flag has a key, every key is documented in docs/settings.md, and a wrong key is named with
its path. Secrets are never settings: they come from the environment, a file, or google-auth.
"""

from msgspec import Struct, field

from jmreport.models import TimeFrame


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file; a key that it doesn't know is a mistake."""


class Api(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[api]`: which Job Manager, and how to speak with it."""

    #: Address of the server, with or without /api/v1.
    url: str | None = None
    #: More headers for every request, for a proxy in front.
    headers: dict[str, str] = field(default_factory=dict)
    #: A file that holds the bearer token.
    token_file: str | None = None
    #: The project for servers that ask for one.
    project_id: str | None = None
    #: Use google-auth's default credentials.
    google_auth: bool = False
    #: Requests at a time.
    concurrency: int = 6
    #: Requests a second, at most; 0 is no limit.
    rate: float = 0.0
    #: Seconds to wait for a list page and for a job's detail.
    timeout: float = 30.0
    detail_timeout: float = 90.0
    #: How often a request that may be repeated is tried.
    tries: int = 4
    #: Rows a page of the list; kept constant during a walk.
    page_size: int = 256


class Site(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[site]`: where the pages go, and what they are called."""

    dir: str = "site"
    #: The address under which the site is hosted; for mails and feeds.
    url: str | None = None
    title: str = "Batch report"


class Snapshots(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[snapshots]`: where what was read is kept."""

    dir: str = "snapshots"


class Collect(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[collect]`: what a run asks for."""

    timeframe: TimeFrame = "DAYS_7"
    status: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    job_id: str | None = None
    user_id: str | None = None
    start: str | None = None
    end: str | None = None
    submission: str | None = None
    hide_archived: bool = False
    #: Sub-workflows within sub-workflows, at most; and how many of one job.
    max_depth: int = 10
    max_sub_workflows: int = 10_000
    #: Ends of logs, and details of operations, read for each failed job, at most; 0 reads none.
    log_tails: int = 5
    operation_details: int = 2


class ReportSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[report]`: how what was read is understood and shown."""

    #: Labels that make the key of a job, beside its workflow's name.
    identity_labels: tuple[str, ...] = ()
    #: Labels with pages of their own, beside the server's common labels.
    labels: tuple[str, ...] = ()
    #: IANA name of the zone times are shown in.
    timezone: str = "UTC"


class Redact(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[redact]`: what is taken out before anything is written."""

    #: Whole words in key names whose values are taken out, beside the built-in ones.
    keys: tuple[str, ...] = ()
    #: Key names that are kept though a built-in word matches.
    keep: tuple[str, ...] = ()
    #: Key names whose values are replaced by a hash, stable within a site (sample names).
    hash: tuple[str, ...] = ()
    #: Regular expressions whose matches are taken out of every text.
    patterns: tuple[str, ...] = ()


class Settings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. What is not here cannot be set."""

    api: Api = field(default_factory=Api)
    site: Site = field(default_factory=Site)
    snapshots: Snapshots = field(default_factory=Snapshots)
    collect: Collect = field(default_factory=Collect)
    report: ReportSettings = field(default_factory=ReportSettings)
    redact: Redact = field(default_factory=Redact)
