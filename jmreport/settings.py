"""The settings: every key, its type, its limits, its default and its meaning.

`jmreport.settings_loading` reads them from `jmreport.toml`, `JMREPORT_*` and flags. The help, the
file that `jmreport init` writes and the test of docs/settings.md all take a key's meaning from
here, by the table of `jmreport.settings_keys`. Secrets are never settings: they come from the
environment, a file, or google-auth.
"""

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from jmreport import durations
from jmreport.models import TimeFrame

#: What `gate.fail_on` can name, and what `site.formats` can.
GATES = ("new-failures", "incomplete", "slo")
FORMATS = ("multiqc",)
#: When a team gets a mail, and what can be attached to it.
Send = Literal["always", "on-change", "on-failure"]
ATTACHMENTS = ("csv", "json")
#: Who the readers of `jmreport serve` are, and what they can be allowed.
Mode = Literal["local", "iap", "google"]
DEEDS = ("read", "abort", "labels")
#: A path: one in a settings file is relative to that file. A place is one, or is in a bucket.
PATH = {"path": True}
PLACE = {"path": True, "bucket": True}


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the settings file; a key that it doesn't know is a mistake."""


class Api(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which Job Manager, and how to speak with it."""

    url: Annotated[
        str | None,
        Meta(
            description="Address of the Job Manager, with or without /api/v1.",
            examples=["https://jobs.example.org"],
        ),
    ] = None
    headers: Annotated[
        dict[str, str],
        Meta(
            description="More headers for every request, for a proxy in front.",
            examples=[{"X-Proxy-Team": "genomics"}],
        ),
    ] = field(default_factory=dict)
    token_file: Annotated[
        str | None,
        Meta(
            description="A file that holds the bearer token.",
            examples=["/run/secrets/jobs-token"],
            extra=PATH,
        ),
    ] = None
    project_id: Annotated[
        str | None,
        Meta(description="The project, for servers that ask for one.", examples=["my-project"]),
    ] = None
    google_auth: Annotated[bool, Meta(description="Use google-auth's default credentials.")] = False
    google_scopes: Annotated[
        tuple[str, ...],
        Meta(
            description="What google-auth's token is good for, whatever the server names.",
            examples=[["openid", "https://www.googleapis.com/auth/userinfo.email"]],
        ),
    ] = ()
    concurrency: Annotated[int, Meta(ge=1, le=64, description="Requests at a time.")] = 6
    rate: Annotated[
        float, Meta(ge=0, le=10_000, description="Requests a second, at most; 0 is no limit.")
    ] = 0.0
    timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds to wait for a page of the list.")
    ] = 30.0
    detail_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="Seconds to wait for a job's detail; large scatters take their time.",
        ),
    ] = 90.0
    tries: Annotated[
        int, Meta(ge=1, le=20, description="How often a request that may be repeated is tried.")
    ] = 4
    page_size: Annotated[
        int, Meta(ge=1, le=10_000, description="Rows a page of the list; some servers cap it.")
    ] = 256


class Site(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the pages go, and what they are called."""

    dir: Annotated[
        str, Meta(min_length=1, description="The folder the pages are written to.", extra=PATH)
    ] = "site"
    url: Annotated[
        str | None,
        Meta(
            description="The address under which the site's folder is hosted, without index.html.",
            examples=["https://reports.example.org/jobs/"],
        ),
    ] = None
    title: Annotated[
        str, Meta(min_length=1, max_length=200, description="What the report is called.")
    ] = "Batch report"
    formats: Annotated[
        tuple[str, ...],
        Meta(
            description="What is written beside the pages: multiqc (files that MultiQC reads).",
            examples=[["multiqc"]],
        ),
    ] = ()


class Snapshots(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where what was read is kept."""

    dir: Annotated[
        str, Meta(min_length=1, description="The folder that keeps what was read.", extra=PATH)
    ] = "snapshots"
    mirror: Annotated[
        str | None,
        Meta(
            description="A bucket that the snapshots are pulled from before a run, and pushed to.",
            examples=["gs://team-snapshots/jobs"],
            extra=PLACE,
        ),
    ] = None


class Collect(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs a run asks for."""

    timeframe: Annotated[
        TimeFrame, Meta(description="How far back to look, by time of submission.")
    ] = "DAYS_7"
    status: Annotated[
        tuple[str, ...],
        Meta(description="Only jobs of these statuses.", examples=[["Failed", "Aborted"]]),
    ] = ()
    labels: Annotated[
        dict[str, str],
        Meta(description="Only jobs with all of these labels.", examples=[{"owner": "ana"}]),
    ] = field(default_factory=dict)
    name: Annotated[
        str | None, Meta(description="Only jobs of this name.", examples=["germline"])
    ] = None
    job_id: Annotated[
        str | None, Meta(description="Only the job of this id.", examples=["0a1b2c3d"])
    ] = None
    user_id: Annotated[
        str | None, Meta(description="Only jobs of this user.", examples=["ana"])
    ] = None
    start: Annotated[
        str | None,
        Meta(
            description="Only jobs that started at or after this date.",
            examples=["2026-11-16T00:00:00Z"],
        ),
    ] = None
    end: Annotated[
        str | None,
        Meta(
            description="Only jobs that ended at or before this date; hides what still runs.",
            examples=["2026-11-23T00:00:00Z"],
        ),
    ] = None
    submission: Annotated[
        str | None,
        Meta(
            description="Only jobs submitted at or after this date.",
            examples=["2026-11-16T00:00:00Z"],
        ),
    ] = None
    hide_archived: Annotated[
        bool, Meta(description="Leave out jobs flagged as archived, of promises too.")
    ] = False
    max_depth: Annotated[
        int, Meta(ge=0, le=100, description="Sub-workflows within sub-workflows, at most.")
    ] = 10
    max_sub_workflows: Annotated[
        int, Meta(ge=0, description="Sub-workflows of one job, at most.")
    ] = 10_000
    log_tails: Annotated[
        int,
        Meta(ge=0, description="Ends of logs read for a failed job, at most; 0 reads none."),
    ] = 5
    log_bytes: Annotated[
        int,
        Meta(
            ge=1_000,
            le=10_000_000,
            description="Bytes kept of the end of each log, at most; its beginning is cut.",
        ),
    ] = 100_000
    operation_details: Annotated[
        int,
        Meta(ge=0, description="Details of operations read for a failed job, at most."),
    ] = 2
    shard_attempts: Annotated[
        int,
        Meta(
            ge=0,
            description="Shards of a job asked one by one where a server muddles their attempts.",
        ),
    ] = 20


class ReportSettings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How what was read is understood and shown."""

    identity_labels: Annotated[
        tuple[str, ...],
        Meta(
            description="Labels that tell runs of a workflow apart, night after night; "
            "without any its inputs do.",
            examples=[["sample"]],
        ),
    ] = ()
    labels: Annotated[
        tuple[str, ...],
        Meta(
            description="Labels with pages of their own, beside the server's common labels. "
            "Rows of single jobs tell the first two.",
            examples=[["owner", "batch"]],
        ),
    ] = ()
    timezone: Annotated[
        str, Meta(min_length=1, description="The zone times are shown in, by its IANA name.")
    ] = "UTC"
    notes: Annotated[
        str | None,
        Meta(
            description="A folder of Markdown notes that pages show: intro, workflows, causes.",
            examples=["notes"],
            extra=PATH,
        ),
    ] = None
    known_issues: Annotated[
        str | None,
        Meta(
            description="A file of failures that are known: who owns them, and what to do.",
            examples=["known_issues.toml"],
            extra=PATH,
        ),
    ] = None


class Redact(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken out before anything is written."""

    keys: Annotated[
        tuple[str, ...],
        Meta(
            description="Words in key names whose values are taken out, beside the built-in ones.",
            examples=[["passphrase"]],
        ),
    ] = ()
    keep: Annotated[
        tuple[str, ...],
        Meta(
            description="Key names that are kept though a built-in word matches.",
            examples=[["token_count"]],
        ),
    ] = ()
    hash: Annotated[
        tuple[str, ...],
        Meta(
            description="Key names whose values are replaced by a hash, such as sample names.",
            examples=[["sample_name"]],
        ),
    ] = ()
    patterns: Annotated[
        tuple[str, ...],
        Meta(
            description="Regular expressions whose matches are taken out of every text.",
            examples=[["MRN[0-9]{8}"]],
        ),
    ] = ()


class Gate(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a report that was written all the same ends with exit code 6."""

    fail_on: Annotated[
        tuple[str, ...],
        Meta(
            description="What must not be: new-failures, incomplete, slo.",
            examples=[["new-failures", "incomplete"]],
        ),
    ] = ()
    max_new: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(description="New failures that are let pass, at most.", examples=[10]),
    ] = None


class Prices(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an hour of an attempt costs, so that waste is told in money too."""

    hour: Annotated[
        Annotated[float, Meta(ge=0, le=1_000_000)] | None,
        Meta(description="Price of an attempt's hour.", examples=[0.12]),
    ] = None
    tasks: Annotated[
        dict[str, float],
        Meta(
            description="Prices of an hour for tasks that differ, by the task's name.",
            examples=[{"MarkDuplicates": 0.48}],
        ),
    ] = field(default_factory=dict)
    currency: Annotated[
        str, Meta(min_length=1, max_length=10, description="What the prices are in.")
    ] = "USD"


class Slo(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A promise: of the jobs with a label that ended, how many succeed. Given again for each."""

    label: Annotated[
        str,
        Meta(
            min_length=1,
            description='A label (each of its values is held to it), or one value: "tier=gold".',
            examples=["tier=gold"],
        ),
    ]
    target: Annotated[
        float,
        Meta(
            gt=0,
            le=100,
            description="Share that must succeed: 0.95 or, in percent, 95.",
            examples=[0.95],
        ),
    ]
    days: Annotated[
        int, Meta(ge=1, le=366, description="Days up to now that are looked at together.")
    ] = 28

    @property
    def share(self) -> float:
        """The target as a share: 0.95, whichever way it was written."""
        return self.target if self.target <= 1 else self.target / 100


class Nightly(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a whole night goes when nobody looks."""

    deadline: Annotated[
        str | None,
        Meta(
            description="How long a night may ask the server; then it delivers what it has.",
            examples=["2h"],
        ),
    ] = None
    heartbeat: Annotated[
        str | None,
        Meta(
            description="A file that is written anew while a night works, for a watchdog.",
            examples=["heartbeat.json"],
            extra=PATH,
        ),
    ] = None


class Mail(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How mails are sent. Who gets one stands below, in [[teams]]."""

    smtp: Annotated[
        str | None,
        Meta(
            description="The server that takes mails: a host and a port (465: TLS from the start).",
            examples=["smtp.example.org:587"],
        ),
    ] = None
    starttls: Annotated[
        bool, Meta(description="Speak TLS, and with nobody whose certificate is not right.")
    ] = True
    user: Annotated[str | None, Meta(description="Whom to log in as.", examples=["jmreport"])] = (
        None
    )
    password_file: Annotated[
        str | None,
        Meta(
            description="A file that holds the password of mail.user.",
            examples=["/run/secrets/smtp-password"],
            extra=PATH,
        ),
    ] = None
    sender: Annotated[
        str | None,
        Meta(
            description="The address that mails come from, with or without a name.",
            examples=["Batch reports <reports@example.org>"],
        ),
    ] = None
    reply_to: Annotated[
        str | None,
        Meta(description="Where answers go.", examples=["workflows@example.org"]),
    ] = None
    spool: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(
            description="Where mails wait, and what was sent is known. Default: snapshots-mail, "
            "beside the snapshots.",
            examples=["snapshots-mail"],
            extra=PATH,
        ),
    ] = None
    timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Seconds to wait for each answer of the server.")
    ] = 30.0
    patience: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="Seconds for which a server that is not ready is tried again.",
        ),
    ] = 120.0


class Team(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who gets a mail about which jobs. Given again for each."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="What the team is called, in the subject too.",
            examples=["germline"],
        ),
    ]
    to: Annotated[
        tuple[str, ...],
        Meta(min_length=1, description="Its addresses.", examples=[["ana@example.org"]]),
    ]
    labels: Annotated[
        dict[str, str],
        Meta(
            description="Its jobs: those with all of these labels. Without any, all jobs.",
            examples=[{"owner": "ana"}],
        ),
    ] = field(default_factory=dict)
    send: Annotated[
        Send,
        Meta(
            description="always, on-change or on-failure; where a run failed or is incomplete, "
            "always."
        ),
    ] = "always"
    attach: Annotated[
        tuple[str, ...],
        Meta(
            description="What comes with the mail: csv (the team's jobs), json (its report.json).",
            examples=[["csv"]],
        ),
    ] = ()


class Publish(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the site is published to, and for whom."""

    to: Annotated[
        str | None,
        Meta(
            description="A bucket and a prefix in it, or a folder.",
            examples=["gs://team-reports/nightly"],
            extra=PLACE,
        ),
    ] = None
    public: Annotated[
        bool,
        Meta(description="Everybody may read it: a bucket that is open to all is not refused."),
    ] = False
    atomic: Annotated[
        bool,
        Meta(
            description="Each build below a prefix of its own, and a page that leads to the newest."
        ),
    ] = False
    threads: Annotated[int, Meta(ge=1, le=64, description="Uploads at a time.")] = 16
    patience: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="Seconds for which a request that fails in passing is tried again.",
        ),
    ] = 60.0


class Prune(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `jmreport prune` lets go."""

    keep: Annotated[
        str | None,
        Meta(
            description="How long runs and their nights are kept: so many days, weeks or years.",
            examples=["400d"],
        ),
    ] = None

    @property
    def kept(self) -> timedelta | None:
        """The same as a length of time; None where nothing is said."""
        return None if self.keep is None else durations.long(self.keep)


class Allow(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may do what to which jobs by `jmreport serve`. Given again for each."""

    who: Annotated[
        str,
        Meta(
            min_length=1,
            description='An address: "ana@example.org", or all of a domain: "*@example.org".',
            examples=["ana@example.org"],
        ),
    ]
    actions: Annotated[
        tuple[str, ...],
        Meta(
            description="What is allowed: abort, labels; read is the site alone.",
            examples=[["abort", "labels"]],
        ),
    ] = ("read",)
    labels: Annotated[
        dict[str, str],
        Meta(
            description="Only for jobs with all of these labels; those cannot be changed then.",
            examples=[{"team": "germline"}],
        ),
    ] = field(default_factory=dict)


class Actions(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Aborts and labels from pages: the server of `jmreport serve`, and links to it."""

    url: Annotated[
        str | None,
        Meta(
            description="Where the actions server is reached; job pages then link to it.",
            examples=["https://reports.example.org"],
        ),
    ] = None
    mode: Annotated[
        Mode | None,
        Meta(description="Who its readers are: local (you alone), iap, google.", examples=["iap"]),
    ] = None
    listen: Annotated[
        str,
        Meta(min_length=1, description="The address it listens on; local mode takes no other."),
    ] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, description="The port it listens on; 0 is any free one.")
    ] = 8090
    audience: Annotated[
        str | None,
        Meta(
            description="For whom readers' tokens are made: IAP's audience, or a client's id.",
            examples=["/projects/123/global/backendServices/456"],
        ),
    ] = None
    keys_url: Annotated[
        str | None,
        Meta(
            description="Where the keys of readers' tokens are. Default: Google's.",
            examples=["https://www.gstatic.com/iap/verify/public_key"],
        ),
    ] = None
    site: Annotated[
        str | None,
        Meta(
            description="Where its pages lie: a folder or a bucket. Default: site.dir.",
            examples=["gs://team-reports/nightly"],
            extra=PLACE,
        ),
    ] = None
    audit: Annotated[
        str,
        Meta(
            min_length=1,
            description="The file that tells of every action, a line each.",
            extra=PATH,
        ),
    ] = "actions-audit.jsonl"
    rate: Annotated[
        int, Meta(ge=1, le=100_000, description="Jobs a person may act on in a minute.")
    ] = 60
    bulk: Annotated[int, Meta(ge=1, le=200, description="Jobs of one form, at most.")] = 100
    allow: tuple[Allow, ...] = ()


class Settings(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. What is not here cannot be set."""

    api: Api = field(default_factory=Api)
    site: Site = field(default_factory=Site)
    snapshots: Snapshots = field(default_factory=Snapshots)
    collect: Collect = field(default_factory=Collect)
    report: ReportSettings = field(default_factory=ReportSettings)
    redact: Redact = field(default_factory=Redact)
    gate: Gate = field(default_factory=Gate)
    prices: Prices = field(default_factory=Prices)
    nightly: Nightly = field(default_factory=Nightly)
    mail: Mail = field(default_factory=Mail)
    publish: Publish = field(default_factory=Publish)
    prune: Prune = field(default_factory=Prune)
    actions: Actions = field(default_factory=Actions)
    slo: tuple[Slo, ...] = ()
    teams: tuple[Team, ...] = ()
