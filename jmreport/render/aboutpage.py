"""The about page: what this is, how it was made, and what its words mean."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from jmreport.records import SNAPSHOT_FORMAT, Asked, Filters
from jmreport.render import addresses, jobacts, words
from jmreport.render.page import Page, digest
from jmreport.report import Report
from jmreport.settings import Settings


class Setting(Struct, frozen=True, kw_only=True):
    """A setting as it was."""

    key: str
    value: str


class Definition(Struct, frozen=True, kw_only=True):
    """A word of these pages and what it means."""

    word: str
    meaning: str


class AboutView(Struct, frozen=True, kw_only=True):
    """The about page."""

    version: str
    snapshot_format: str
    server: str
    runs: str
    command: str
    render_command: str
    settings: tuple[Setting, ...]
    definitions: tuple[Definition, ...]
    files: tuple[Setting, ...]
    zone: str
    #: Where jobs are found, with scripts and without.
    jobs: str = addresses.JOBS
    workflows: str = addresses.WORKFLOWS
    labels: str = addresses.LABELS
    ids: str = addresses.IDS


DEFINITIONS = (
    Definition(
        word="Night",
        meaning="The time between two runs of jmreport. A job belongs to the night in which it "
        "ended; on the first run, to the whole time frame. One that was seen active, and of which "
        "the server tells no end, belongs to the night whose run found it ended.",
    ),
    Definition(
        word="Key",
        meaning="What is run again and again: a workflow's name with its identifying labels, or, "
        "where none are configured, with its inputs (with its environment too, where jobs are "
        "dsub's). One that does not run keeps its state for 7 nights.",
    ),
    Definition(
        word="New",
        meaning="The newest job of the key that succeeded or failed has failed, and the key was "
        "not failing at the previous report.",
    ),
    Definition(
        word="Still failing",
        meaning="The key fails now, and did at the previous report. One that has not run since "
        "keeps its state for 7 nights, marked as not run tonight.",
    ),
    Definition(
        word="No longer counted",
        meaning="The key was failing at the previous report, and is not known to have succeeded or "
        "failed again for 7 nights: nobody can say whether it is fixed.",
    ),
    Definition(word="Fixed", meaning="The key failed at the previous report and succeeded since."),
    Definition(
        word="Failing",
        meaning="On a first report nothing is new or fixed, since there is nothing to compare "
        "with: keys whose newest job failed are counted as failing.",
    ),
    Definition(
        word="Missing",
        meaning="A key that ran on at least 5 of the last 7 nights and not in this one. Where a "
        "job of its workflow could not be read that may be this key's, nobody knows.",
    ),
    Definition(
        word="Stuck",
        meaning="Active for longer than the larger of 1.5 times the usual longest (95 of 100 "
        "runs) and that plus one hour, by the last 30 successful runs of the workflow (at least "
        "5); or waiting for over 12 hours. With fewer there is no baseline, and what runs for over "
        "12 hours cannot be judged.",
    ),
    Definition(
        word="Flaky",
        meaning="Of the last 20 runs of a key (at least 5), at least 3 ended otherwise than the "
        "run before. Flakiness is that share of them. Three failures in a row at the "
        "end are broken, not flaky.",
    ),
    Definition(
        word="Promise",
        meaning="Of the jobs with a label that succeeded or failed in so many days, the share that "
        "is to succeed (an SLO). The rest may fail: that is the budget. Aborted and unknown "
        "jobs count on neither side.",
    ),
    Definition(
        word="Slower",
        meaning="A task whose median last night is at least 1.5 times, and at least 5 minutes "
        "above, that of the last 14 nights, with at least 5 successful attempts that did not come "
        "from the cache on both sides. Cromwell’s server does not say which shards came from "
        "there: their events do, and a shard without events counts as one that ran.",
    ),
    Definition(
        word="Waste",
        meaning="Hours in attempts that led to no success: preempted, failed and tried again, "
        "failed, or aborted. What was still running by its word when an aborted job ended is "
        "among the aborted, without hours: nobody knows when it ended.",
    ),
    Definition(
        word="Critical path",
        meaning="The chain of attempts in which each ends last before the next one starts: by "
        "time, not by what depends on what. Between them lie gaps in which a job only waits.",
    ),
    Definition(
        word="Cause",
        meaning="The first line of the deepest failure message with its varying parts (paths, "
        "ids, numbers, times) replaced: of a job that failed in a sub-workflow, of the deepest one "
        "that was read. Jobs with one cause are one row.",
    ),
    Definition(
        word="Retried",
        meaning="An attempt that failed and was followed by another one of the same task, where "
        "each attempt is a job of its own (dsub). The last attempt says how the task stands; those "
        "before it are in no failure rate, cause or promise, and their hours are waste. What "
        "followed has to be known: an attempt that a report told of as failed stays so, and is "
        "fixed once another one has succeeded.",
    ),
    Definition(
        word="Failure rate",
        meaning="Failed jobs among those that failed or succeeded. Retried, aborted and active "
        "jobs are left out.",
    ),
    Definition(
        word="Usual",
        meaning="The middle 80 % of the last 30 successful runs, or of the days shown; at least "
        "5 are needed.",
    ),
    Definition(
        word="Usual night",
        meaning="The median, and the middle 80 %, of the last 14 complete nights before this one "
        "(of weekend nights for a weekend, and of working days for a working day, where 28 nights "
        "are there: by the day, in the report's time zone, on which a night ended); at least 5 are "
        "needed. The first night is never one of them.",
    ),
    Definition(word="Archived", meaning="A job whose label flag is archive."),
    Definition(
        word="Unknown",
        meaning="A job whose status is a word that the API does not name, or that could not be "
        "read. Missing values are shown as a dash, never as zero.",
    ),
)

_FILES = (
    Setting(key="data/report.json", value="the verdict, counts, causes and gaps"),
    Setting(key="data/jobs.csv", value="a line for each job, safe to open in a spreadsheet"),
    Setting(key="data/jobs.ndjson", value="a line of JSON for each job"),
    Setting(key="data/jobs.schema.json", value="what such a line holds, as a JSON Schema"),
    Setting(key="data/report.schema.json", value="what data/report.json holds, as a JSON Schema"),
    Setting(key="data/feed.xml", value="an entry for each night, for a feed reader"),
)


def pages(
    report: Report, settings: Settings, *, version: str, as_of: words.Moment | None
) -> Iterator[Page]:
    """The one page, about.html."""
    view = _view(report, settings, version)
    yield Page(
        address=addresses.ABOUT,
        template="about.html",
        content=digest(view, as_of),
        view=lambda _charts: view,
        as_of=as_of,
    )


def _view(report: Report, settings: Settings, version: str) -> AboutView:
    asked = report.run.asked
    where = (
        f"--site {words.shell(settings.site.dir)} --snapshots {words.shell(settings.snapshots.dir)}"
    )
    usable = [run for run in report.runs if run.usable]
    return AboutView(
        version=version,
        snapshot_format=str(SNAPSHOT_FORMAT),
        server=asked.server,
        runs=words.plural(len(usable), "run"),
        command=_command(asked, where),
        render_command=f"jmreport render {where}",
        settings=tuple(_settings(settings, asked.filters)),
        definitions=DEFINITIONS,
        files=_FILES,
        zone=settings.report.timezone,
    )


def _command(asked: Asked, where: str) -> str:
    """What asks the same again: the window and the filters are the run's own."""
    source = jobacts.server_flag(asked.server) or "--demo"
    return " ".join(
        ("jmreport build", f"--timeframe {asked.timeframe}", source, *_flags(asked.filters), where)
    )


def _flags(filters: Filters) -> Iterator[str]:
    for status in filters.status:
        yield f"--status {words.shell(status)}"
    for key, value in sorted(filters.labels.items()):
        yield f"--label {words.shell(f'{key}={value}')}"
    for flag, text in (
        ("--name", filters.name),
        ("--job-id", filters.job_id),
        ("--project-id", filters.project_id),
        ("--user-id", filters.user_id),
    ):
        if text:
            yield f"{flag} {words.shell(text)}"
    for flag, at in (
        ("--start", filters.start),
        ("--end", filters.end),
        ("--submission", filters.submission),
    ):
        if at:
            yield f"{flag} {at.isoformat()}"
    if filters.hide_archived:
        yield "--hide-archived"


def _settings(settings: Settings, filters: Filters) -> Iterator[Setting]:
    """What shaped the report, by key: the run's own filters, and the settings that pages follow.

    How the server was asked belongs to the run, and pages rendered elsewhere must not differ.
    """
    tree: dict[str, dict[str, Any]] = msgspec.to_builtins(settings)
    shown = {section: tree[section] for section in ("site", "snapshots", "report", "redact")}
    # A pattern may be a secret itself, written out: how many there are is all that a page says.
    shown["redact"] = {**tree["redact"], "patterns": len(settings.redact.patterns)}
    shown["collect"] = msgspec.to_builtins(filters)
    shown["prices"] = tree["prices"]
    for section, values in shown.items():
        for key, value in values.items():
            yield Setting(key=f"{section}.{key}", value=_text(value))
    for promise in settings.slo:
        yield Setting(key="slo", value=_text(msgspec.to_builtins(promise)))


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={each}" for key, each in sorted(value.items())) or "none"
    return _plain(value)


def _plain(value: object) -> str:
    if value is None or value == "":
        return "not set"
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else str(value)
