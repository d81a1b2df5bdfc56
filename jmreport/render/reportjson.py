"""data/report.json: the verdict for machines, and the JSON Schema that says what it holds.

    {"format": 1, "verdict": "4 new failures in 2 workflows", "now": "…Z", "previous": "…Z",
     "complete": true, "counts": {"new": 4, …}, "causes": [{"id": …}], "gaps": [{"what": …}]}

The schema, data/report.schema.json, is made from the same Structs as the file.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from jmreport.guidance import KnownIssue
from jmreport.night import Night, NightIssue, Told
from jmreport.records import utc_text
from jmreport.render import filtered, verdict
from jmreport.render.guides import Guides
from jmreport.report import Report
from jmreport.report.causes import CauseGroup, FlakyKey
from jmreport.report.costs import Cost, SlowerTask
from jmreport.report.counts import SloReport

#: The format of report.json; raised when a key changes its meaning or goes.
REPORT_FORMAT = 1

Issue = KnownIssue | NightIssue
Count = Annotated[int, Meta(ge=0)]
Time = Annotated[str, Meta(description="ISO 8601, in UTC.", pattern="Z$")]


class Counts(Struct, frozen=True, kw_only=True):
    """Pieces of work (keys), except stuck, unjudged, hidden, running, unknown and total, which
    are jobs.

    `not_run` are some of still_failing: nothing of them ran in this night. `lapsed` failed in the
    report before, and did not run for so long that nobody can say how they stand. `unjudged` run
    for over 12 hours, and no baseline says whether they are stuck. `hidden` failed, and a success
    of other work with the same identity labels hides them. `maybe_missing` ran on most nights and
    not on this one, but for a job of the same workflow that may be theirs: it could not be read.
    """

    new: Count
    still_failing: Count
    fixed: Count
    failing: Count
    stuck: Count
    missing: Count
    running: Count
    unknown: Count
    total: Count
    not_run: Count = 0
    lapsed: Count = 0
    unjudged: Count = 0
    hidden: Count = 0
    maybe_missing: Count = 0


class KnownJson(Struct, frozen=True, kw_only=True):
    """The known issue that a cause is an example of, where one holds."""

    title: str
    owner: str
    link: str
    until: str | None


class CauseJson(Struct, frozen=True, kw_only=True):
    """Failures with one cause. `jobs` are those of keys failing now, `new_jobs` some of them.

    `not_run` are others of them: their work did not run in this night.

    `first_seen` is when the oldest of them began to fail, or when the first job of the cause
    failed that is known, where that is earlier; `last_seen` is when the newest one ended. `nights`
    counts the reports in a row that told of the oldest of them, and `last_success` is when that one
    last succeeded.
    """

    id: str
    state: str
    title: str
    class_: str = msgspec.field(name="class")
    jobs: tuple[str, ...]
    new_jobs: tuple[str, ...]
    workflows: tuple[str, ...]
    tasks: tuple[str, ...]
    first_seen: Time | None
    last_seen: Time | None
    nights: Count = 0
    last_success: Time | None = None
    not_run: tuple[str, ...] = ()
    known: KnownJson | None = None


class GapJson(Struct, frozen=True, kw_only=True):
    """What could not be read, why, and of which job (null where it is no job's)."""

    what: str
    why: str
    job: str | None


class FilterJson(Struct, frozen=True, kw_only=True):
    """The filter that the run asked with, in words, and how many jobs it left out.

    `left_out` is null where nobody knows, since the server applied it. `unseen` names the counts
    that say nothing where they are 0.
    """

    said: str
    left_out: Count | None
    unseen: tuple[str, ...]


class SloJson(Struct, frozen=True, kw_only=True):
    """A promise for a value of a label: of `ended` jobs in `days`, `failed` did not succeed.

    `left` is the part of its budget that is left: below 0 it is broken; null without a budget.
    `told` is false where a filter may have left out some of its jobs: then nobody knows whether it
    is kept, and `broken` is false. `whole` is false where not all of these days were read: they
    are those of which there is a report.
    """

    label: str
    value: str
    target: float
    days: int
    ended: Count
    failed: Count
    broken: bool
    left: float | None
    told: bool
    whole: bool


class UsualJson(Struct, frozen=True, kw_only=True):
    """What a count usually is, over so many comparable nights: its median, and the middle 80 %."""

    median: float
    p10: float
    p90: float
    nights: Count


class SlowerJson(Struct, frozen=True, kw_only=True):
    """A task whose median tonight is much longer than its usual one, in seconds.

    `since` is the first of the nights in which it was; `attempts` and `usual_attempts` are the
    successful ones that the medians are of; `jobs` are tonight's in which it ran, null in the file
    of a night of the past, which does not keep them.
    """

    workflow: str
    task: str
    tonight_seconds: float
    usual_seconds: float
    ratio: float | None
    attempts: Count
    usual_attempts: Count
    since: Time
    jobs: tuple[str, ...] | None


class FlakyJson(Struct, frozen=True, kw_only=True):
    """Work that fails now and then: of its last `runs`, `failures` failed.

    `flips` ended otherwise than the run before; `job` is the newest of them, `labels` are the
    identity labels that tell it apart.
    """

    workflow: str
    job: str
    labels: dict[str, str]
    runs: Count
    failures: Count
    flips: Count
    score: float


class WasteJson(Struct, frozen=True, kw_only=True):
    """Seconds in attempts that led to no success, by what became of them.

    `all_seconds` are those of all attempts that ended, `share` the part that was lost (0 to 1);
    `money` is null where no price is known. Of `untimed_attempts` no time is known, so that they
    are in no seconds.
    """

    all_seconds: float
    lost_seconds: float
    preempted_seconds: float
    retried_seconds: float
    failed_seconds: float
    aborted_seconds: float
    share: float | None
    money: float | None
    unread_jobs: Count = 0
    untimed_attempts: Count = 0


class WastesJson(Struct, frozen=True, kw_only=True):
    """Waste of the newest night, and of all jobs of the report."""

    night: WasteJson
    report: WasteJson


class LeftOutJson(Struct, frozen=True, kw_only=True):
    """How many more there were of what the file of a night of the past does not list."""

    gaps: Count = 0
    slos: Count = 0
    slower: Count = 0
    flaky: Count = 0


class ReportJson(Struct, frozen=True, kw_only=True):
    """What a report says, the newest one or that of a night of the past.

    `previous` is null on a first run: then new, still_failing and fixed are 0.
    """

    format: Annotated[int, Meta(description="Raised when a key changes its meaning or goes.")]
    verdict: str
    now: Time
    previous: Time | None
    complete: bool
    counts: Counts
    causes: tuple[CauseJson, ...]
    gaps: tuple[GapJson, ...]
    slos: tuple[SloJson, ...] = ()
    slower: tuple[SlowerJson, ...] = ()
    waste: WastesJson | None = None
    flaky: tuple[FlakyJson, ...] = ()
    usual: dict[str, UsualJson] = {}
    filter: FilterJson | None = None
    left_out: LeftOutJson | None = None


def report_json(report: Report, guides: Guides | None = None) -> bytes:
    """report.json; the same report gives the same bytes."""
    known = [guides.holding(one.title, one.example) if guides else None for one in report.attention]
    return _encoded(_tree(report, known))


def night_json(night: Night) -> bytes:
    """The same of a night of the past, as far as it is kept."""
    tree = _tree(night, night.known or [None] * len(night.attention))
    totals = night.totals
    left_out = LeftOutJson(
        gaps=totals.gaps - len(night.gaps),
        slos=totals.promises - len(night.slos),
        slower=totals.slower - len(night.slower),
        flaky=totals.flaky - len(night.flaky),
    )
    return _encoded(replace(tree, left_out=left_out))


def _encoded(tree: ReportJson) -> bytes:
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"


@cache
def schema() -> bytes:
    """report.schema.json: JSON Schema (2020-12)."""
    tree: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    tree |= msgspec.json.schema(ReportJson)
    return msgspec.json.format(msgspec.json.encode(tree), indent=2) + b"\n"


def _tree(told: Told, known: Sequence[Issue | None]) -> ReportJson:
    """`known` is the issue that each cause is an example of."""
    counts = told.counts
    return ReportJson(
        format=REPORT_FORMAT,
        verdict=verdict.title(told),
        now=utc_text(told.now),
        previous=utc_text(told.since) if told.since else None,
        complete=told.complete,
        counts=Counts(**{name: getattr(counts, name) for name in Counts.__struct_fields__}),
        causes=tuple(
            _cause(group, issue) for group, issue in zip(told.attention, known, strict=True)
        ),
        gaps=tuple(GapJson(what=gap.what, why=gap.why, job=gap.job) for gap in told.gaps),
        slos=tuple(_slo(one) for one in told.slos),
        slower=tuple(_slower(one) for one in told.slower),
        usual={
            name: UsualJson(median=one.median, p10=one.p10, p90=one.p90, nights=one.nights)
            for name, one in told.usual.items()
        },
        filter=_filter(told),
        flaky=tuple(_flaky(key) for key in told.flaky),
        waste=WastesJson(night=_waste(told.waste.tonight), report=_waste(told.waste.total))
        if told.waste
        else None,
    )


def _filter(told: Told) -> FilterJson | None:
    if not filtered.narrows(told.filters):
        return None
    return FilterJson(
        said=filtered.named(told.filters),
        left_out=told.left_out,
        unseen=tuple(sorted(filtered.unseen(told.filters))),
    )


def _cause(group: CauseGroup, known: Issue | None) -> CauseJson:
    return CauseJson(
        id=group.id,
        state=group.state,
        title=group.title,
        class_=group.cause_class,
        jobs=group.jobs,
        new_jobs=group.new_jobs,
        workflows=group.workflows,
        tasks=group.tasks,
        first_seen=_time(group.first_seen),
        last_seen=_time(group.last_seen),
        nights=group.nights,
        last_success=_time(group.last_success),
        not_run=group.not_run,
        known=_known(known) if known else None,
    )


def _time(at: datetime | None) -> str | None:
    return utc_text(at) if at else None


def _known(issue: Issue) -> KnownJson:
    return KnownJson(
        title=issue.name,
        owner=issue.owner,
        link=issue.link,
        until=issue.until.isoformat() if issue.until else None,
    )


def _slo(one: SloReport) -> SloJson:
    return SloJson(
        label=one.key,
        value=one.value,
        target=one.target,
        days=one.days,
        ended=one.ended,
        failed=one.failed,
        broken=one.broken,
        left=one.left if one.told and one.left != float("-inf") else None,
        told=one.told,
        whole=one.whole,
    )


def _slower(one: SlowerTask) -> SlowerJson:
    return SlowerJson(
        workflow=one.workflow,
        task=one.task,
        tonight_seconds=one.tonight,
        usual_seconds=one.usual,
        ratio=round(one.ratio, 3) if one.usual else None,
        attempts=one.attempts,
        usual_attempts=one.usual_attempts,
        since=utc_text(one.since),
        jobs=one.jobs if len(one.jobs) == one.ran_in else None,
    )


def _flaky(key: FlakyKey) -> FlakyJson:
    return FlakyJson(
        workflow=key.workflow,
        job=key.job,
        labels=dict(key.labels),
        runs=len(key.outcomes),
        failures=key.failures,
        flips=key.flips,
        score=round(key.score, 3),
    )


def _waste(cost: Cost) -> WasteJson:
    spent = cost.spent
    return WasteJson(
        all_seconds=round(spent.total, 3),
        lost_seconds=round(spent.lost, 3),
        preempted_seconds=spent.preempted,
        retried_seconds=spent.retried,
        failed_seconds=spent.failed,
        aborted_seconds=spent.aborted,
        share=spent.share,
        money=cost.lost_money,
        unread_jobs=cost.unread,
        untimed_attempts=cost.untimed,
    )
