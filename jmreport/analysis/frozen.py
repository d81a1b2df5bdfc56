"""What a night keeps of its report: as much as its overview tells, and no more ids than it must.

It is made once, when the night's run is rendered first, and stands for what was known then.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import msgspec
from msgspec.structs import replace

from jmreport.analysis.days import zone
from jmreport.guidance import Guidance
from jmreport.history import History
from jmreport.night import Night, NightIssue, NightJob
from jmreport.records import run_order
from jmreport.report import FEW, MOST_GAPS, MOST_PROMISES, MULTIPLES, ROWS, Report
from jmreport.report.causes import CauseGroup, FlakyKey
from jmreport.report.costs import SlowerTask, Waste
from jmreport.report.counts import SloReport

_NOTHING_KNOWN = Guidance()


def frozen(
    report: Report,
    history: History,
    *,
    guidance: Guidance = _NOTHING_KNOWN,
    timezone: str = "UTC",
    currency: str = "",
) -> Night:
    """What stays of a report when its night is over. `currency` is that of its prices.

    `guidance` says which failures are known, on the report's day in its `timezone`.
    """
    quality, today = report.quality, report.now.astimezone(zone(timezone)).date()
    whole = Night(
        summary=replace(report.nights[-1], labels=_labels(report), nights=_nights(report)),
        asked=report.asked,
        split=report.split,
        attention=report.attention,
        known=tuple(_known(group, today, guidance) for group in report.attention),
        stuck=report.stuck,
        unjudged=report.unjudged,
        fixed=report.fixed,
        missing=report.missing,
        lapsed=report.lapsed,
        hidden=report.hidden,
        unknown=report.unknown,
        jobs=_kept(named(report, history), report),
        active=report.active,
        not_asked=report.not_asked,
        oldest_failing=report.oldest_failing,
        usual=report.usual,
        days=tuple(replace(day, jobs={}) for day in report.days),
        rates=report.rates[:MULTIPLES],
        label=report.label,
        slos=tuple(replace(one, jobs=()) for one in _promises(report)),
        slower=tuple(replace(one, jobs=()) for one in _slower(report)),
        flaky=tuple(replace(key, jobs=(key.job,)) for key in _flaky(report)),
        waste=_waste(report.waste),
        currency=currency,
        unrepeated=report.unrepeated,
        unreadable=report.unreadable,
        unreadable_below=report.unreadable_below,
        gaps=report.gaps[:MOST_GAPS],
        holes=report.holes,
        # What failed behind it is told of by the next night.
        failed_runs=tuple(
            (run.now, run.reason)
            for run in (quality.failed_runs if quality else ())
            if run_order(run.id) < run_order(report.run.id)
        ),
        totals=report.totals,
    )
    content = hashlib.blake2b(msgspec.msgpack.encode(whole), digest_size=16).hexdigest()
    return replace(whole, summary=replace(whole.summary, content=content))


def as_told(report: Report, night: Night, history: History) -> Report:
    """The report with the verdict that its night told, of which later runs read some jobs again."""
    verdict = {
        name: getattr(night, name)
        for name in (
            "counts",
            "split",
            "attention",
            "stuck",
            "active",
            "unjudged",
            "fixed",
            "missing",
            "lapsed",
            "hidden",
            "unknown",
            "oldest_failing",
            "usual",
        )
    }
    told = replace(report, nights=(*report.nights[:-1], night.summary), **verdict)
    unnamed = sorted(names(told) - report.short_ids.keys())
    return replace(told, short_ids={**report.short_ids, **history.short_ids(unnamed)})


def _known(group: CauseGroup, today: date, guidance: Guidance) -> NightIssue | None:
    """The known issue that a cause is an example of."""
    issue = guidance.known(today, group.title, group.example)
    if issue is None or not issue.holds(today):
        return None
    return NightIssue(name=issue.name, owner=issue.owner, link=issue.link, until=issue.until)


def _kept(jobs: Iterable[NightJob], report: Report) -> tuple[NightJob, ...]:
    """The jobs, with whose they are where a row names one by itself: of others it is not shown."""
    alone = {group.shown for group in report.attention}
    alone.update(each.job for each in report.stuck[:ROWS])
    alone.update(report.fixed[:ROWS])
    return tuple(job if job.id in alone else replace(job, whose=()) for job in jobs)


def _labels(report: Report) -> tuple[str, ...]:
    """The labels whose pages its overview leads to."""
    shown = (report.label.key,) if report.label else ()
    return tuple(dict.fromkeys((*shown, *(one.key for one in _promises(report)))))


def _nights(report: Report) -> tuple[str, ...]:
    """The runs of the nights before it whose pages its overview leads to."""
    named = (*(day.run for day in report.days), *(one.since_run for one in _slower(report)))
    return tuple(dict.fromkeys(run for run in named if run not in ("", report.run.id)))


def _slower(report: Report) -> tuple[SlowerTask, ...]:
    return report.slower[:FEW]


def _promises(report: Report) -> list[SloReport]:
    """Every broken one, and those of the others of which least is left."""
    slos = sorted(report.slos, key=lambda one: one.order)
    return slos[: min(MOST_PROMISES, sum(one.broken for one in slos) + FEW)]


def _flaky(report: Report) -> tuple[FlakyKey, ...]:
    return report.flaky[:FEW]


def _waste(waste: Waste | None) -> Waste | None:
    """The sums alone."""
    if waste is None:
        return None
    return Waste(total=replace(waste.total, jobs=()), tonight=waste.tonight, usual=waste.usual)


def names(report: Report) -> set[str]:
    """Ids of the jobs that the verdict's numbers name, and the newest of flaky work."""
    found = {*report.fixed, *report.missing, *report.lapsed, *report.unknown, *report.unjudged}
    found.update(each.job for each in report.stuck)
    found.update(key.job for key in _flaky(report))
    found.update(report.hidden.jobs if report.hidden else ())
    for group in report.attention:
        found.update(group.jobs)
    return found


def named(report: Report, history: History) -> tuple[NightJob, ...]:
    """The jobs that its overview names, also those from before the report's window."""
    return jobs_named(names(report), history, report.short_ids, whose=report.whose)


def jobs_named(
    jobs: Iterable[str],
    history: History,
    short_ids: Mapping[str, str] | None = None,
    *,
    whose: Sequence[str] = (),
) -> tuple[NightJob, ...]:
    """Some jobs as a night names them. Short ids are looked up where they are not given."""
    wanted = sorted(jobs)
    short = history.short_ids(wanted) if short_ids is None else short_ids
    return tuple(
        NightJob.of(entry.row, short.get(job, job[:8]), whose)
        for job, entry in history.of(wanted).items()
    )
