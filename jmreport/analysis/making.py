"""The report of the newest usable run: every number of the pages, from rows alone."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from functools import cached_property, partial
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from jmreport import attempts
from jmreport.analysis import (
    aggregate,
    attention,
    beside,
    identity,
    night,
    offered,
    rhythm,
    slower,
    timeline,
    waste,
    workflows,
)
from jmreport.analysis.coverage import covered_since, reached_since
from jmreport.analysis.days import Calendar, zone
from jmreport.analysis.failednights import failed_nights, marked
from jmreport.analysis.frozen import frozen, names
from jmreport.analysis.keys import Verdicts
from jmreport.analysis.matching import may_match
from jmreport.analysis.nights import Nights
from jmreport.analysis.quality import failed_lately, failed_since, quality
from jmreport.analysis.scope import Scope
from jmreport.analysis.seen import Causes
from jmreport.analysis.settled import Settled, labels_of
from jmreport.analysis.tallies import Tallies
from jmreport.analysis.waste import ReadMeasures
from jmreport.errors import SnapshotError
from jmreport.guidance import Guidance
from jmreport.history import History
from jmreport.models import ACTIVE_STATUSES
from jmreport.night import Night
from jmreport.records import Entry, JobRow, Run
from jmreport.remembered import After, Before, Unsettled
from jmreport.report import Report
from jmreport.report.counts import Day, ReportCounts
from jmreport.report.nights import NightSummary
from jmreport.report.quality import Hidden, Quality
from jmreport.settings import Prices, ReportSettings, Slo

_UNPRICED = Prices()
_NO_GUIDANCE = Guidance()


class Remembering:
    """What was remembered of jobs that settled, None for nothing, and what is to be next."""

    def __init__(self, before: Before | None = None) -> None:
        self.before, self.after = before, After(b"", b"", anew=True)
        #: Labels by which settled jobs were counted.
        self.labels = labels_of(before) if before else ()


class _Question(Struct, frozen=True, kw_only=True):
    """What a report is asked of; all as in `analyse`."""

    history: History
    runs: Sequence[Run]
    aggregations: Mapping[str, Any]
    settings: ReportSettings
    past: Sequence[NightSummary] = ()
    slos: Sequence[Slo] = ()
    measures: ReadMeasures = waste.nothing
    prices: Prices = _UNPRICED
    listed: Sequence[Run] | None = None
    verdicts: Verdicts | None = None


def analyse(
    history: History,
    runs: Sequence[Run],
    aggregations: Mapping[str, Any],
    *,
    settings: ReportSettings,
    past: Sequence[NightSummary] = (),
    slos: Sequence[Slo] = (),
    measures: ReadMeasures = waste.nothing,
    prices: Prices = _UNPRICED,
    remembering: Remembering | None = None,
    listed: Sequence[Run] | None = None,
    verdicts: Verdicts | None = None,
) -> Report:
    """What the newest usable run found, compared with the usable one before it.

    `runs` oldest first, failed and pruned ones too; `aggregations` is the server's answer for each
    time frame that has one; `past` are the nights before this one, oldest first; `slos` are the
    promises of the settings, `prices` those of an attempt's hour; `measures` reads what jobs cost
    by their ids; `listed` are all runs, where `runs` are those that are compared with; `verdicts`
    say what became of the work, where it has jobs that are not of this history. The history is
    read twice, and of what lies before the report's window little more is kept than ids; with what
    is remembered of jobs that settled, and what is to be remembered then, these are not read at
    all. Raises SnapshotError when no run is usable, UsageError for a time zone that nobody knows.
    """
    if not any(run.usable for run in runs):
        raise SnapshotError("no run brought anything usable", hint="run `jmreport collect` again")
    question = _Question(
        history=history,
        runs=runs,
        aggregations=aggregations,
        settings=settings,
        past=past,
        slos=slos,
        measures=measures,
        prices=prices,
        listed=listed,
        verdicts=verdicts,
    )
    return _answered(question, remembering, _Making.report)


def told(
    history: History,
    runs: Sequence[Run],
    aggregations: Mapping[str, Any],
    *,
    settings: ReportSettings,
    measures: ReadMeasures = waste.nothing,
) -> Night:
    """The verdict of the night that the newest of `runs` ended; all as in `analyse`.

    For nights of the past, when what was known then is read again from the snapshots.
    """
    question = _Question(
        history=history,
        runs=runs,
        aggregations=aggregations,
        settings=settings,
        measures=measures,
    )
    return frozen(_answered(question, None, _Making.told), history)


def retold(
    history: History,
    runs: Sequence[Run],
    aggregations: Mapping[str, Any],
    *,
    settings: ReportSettings,
    past: Sequence[NightSummary],
    slos: Sequence[Slo] = (),
    measures: ReadMeasures = waste.nothing,
    prices: Prices = _UNPRICED,
    guidance: Guidance = _NO_GUIDANCE,
    remembering: Remembering | None = None,
) -> Night:
    """The same with all that its overview told: the night that a report of these would leave.

    With what the night before left of jobs that settled these are not read again.
    """
    question = _Question(
        history=history,
        runs=runs,
        aggregations=aggregations,
        settings=settings,
        past=past,
        slos=slos,
        measures=measures,
        prices=prices,
    )
    return frozen(
        _answered(question, remembering, _Making.overview),
        history,
        guidance=guidance,
        timezone=settings.timezone,
        currency=prices.currency,
    )


def _answered(
    question: _Question,
    remembering: Remembering | None,
    asked: "Callable[[_Making], Report]",
) -> Report:
    """What is asked for, with what was remembered; and without it where it does not hold."""
    if remembering is not None:
        with suppress(Unsettled):
            return asked(_Making(question, remembering))
        remembering.before = None
    return asked(_Making(question, remembering))


class _Making:
    """What several parts of a report are made from."""

    def __init__(self, question: _Question, remembering: Remembering | None) -> None:
        runs, slos = question.runs, question.slos
        self.question, self.remembering = question, remembering
        self.settings, self.runs, self.past = question.settings, runs, tuple(question.past)
        self.history, self.measures = question.history, question.measures
        self.nights = Nights(runs, listed=question.listed)
        self.first = self.nights.previous is None
        self.zone = zone(self.settings.timezone)
        self.covered = covered_since(self.nights.listed)
        self.settled = Settled(
            self.history,
            self.nights,
            runs,
            partial(_empty, self.covered, self.nights, self.zone, slos),
            remembering.before if remembering else None,
        )
        self.scope = Scope(
            self.history,
            self.nights,
            self.settings.identity_labels,
            self.settled,
            question.verdicts,
        )
        self.jobs = self.scope.jobs
        self.lost = frozenset(
            entry.row.id for entry in self.jobs if entry.row.id in self.scope.lost
        )
        self.verdicts = self.scope.verdicts
        self.overall = self.scope.overall
        self.usual = self.overall.lately.usual()
        self.server = aggregate.answers(question.aggregations)
        self.offered = offered.capabilities(self.nights.run)
        self.known = beside.Known(self.nights.run, self.covered, self.lost, self.nights.now)

    def report(self) -> Report:
        """Everything that pages show."""
        scope, causes = self.scope, self.overall.failures.causes(self.history)
        tallies = self._tallies(causes)
        frames = tallies.frames.frames()
        # Before costs are, for both take memory while they are made.
        over_time = timeline.timeline(
            scope.touching,
            since=self._since(),
            now=self.nights.now,
            zone=self.zone,
            lost=frozenset(scope.lost),
            covered=self.covered,
        )
        flows = workflows.reports(
            self.overall.newest,
            self.jobs,
            verdicts=self.verdicts,
            usual=self.usual,
            days=tallies.days.days,
            first=self.first,
        )
        told = self._overview(tallies, {flow.name: flow.days for flow in flows}.__getitem__)
        return replace(
            told,
            quality=replace(
                told.quality or self._quality(),
                gone=tallies.gone.jobs(),
                gone_seen=tallies.gone.seen,
                differences=aggregate.differences(frames, self.server, self.known),
            ),
            causes=causes.reports(self.jobs, told.attention),
            failed_by_night=self.overall.failures.by_night(night.NAMED_NIGHTS),
            ended_by_night=tallies.ended.by_night(),
            workflows=flows,
            timeline=over_time,
        )

    def overview(self) -> Report:
        """What its overview shows, and nothing that only other pages do."""
        tallies = self._tallies(None)
        return self._overview(tallies, tallies.days.days)

    def _overview(self, tallies: Tallies, days: Callable[[str], tuple[Day, ...]]) -> Report:
        """The same of what was counted. `days` gives those of a workflow."""
        told, scope = self.told(), self.scope
        labels = aggregate.labels(
            self.keys, tallies.frames, self.server, offered=self.offered, known=self.known
        )
        costs = waste.Costs(
            self.jobs,
            scope.below,
            scope.tonight,
            scope.above,
            labels,
            self.question.prices,
            unrecorded=scope.unrecorded,
        )
        costs.read(self.measures)
        failed, tries = failed_nights(self.runs, self.zone)
        return replace(
            told,
            quality=replace(
                told.quality or self._quality(),
                unrepeated=None
                if self.settings.identity_labels
                else identity.of_report(self.jobs, self.history, self.nights),
            ),
            slower=costs.with_jobs(slower.slower(told.nights)),
            waste=costs.waste(told.nights, self.zone),
            slos=tallies.promises.reports(
                self.covered,
                reached=reached_since(self.nights.listed),
                filters=self.nights.run.asked.filters,
            ),
            days=marked(tallies.days.days(), failed),
            rates=workflows.rates(self.jobs, days),
            failed_nights=failed,
            tries_before=tries,
            due=rhythm.due(self.nights.runs, self.nights.now),
            labels=labels,
            label=aggregate.shown(labels, told.asked.timeframe),
        )

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The labels by which jobs are counted."""
        return aggregate.label_keys(self.jobs, self.server, self.offered, self.settings.labels)

    def _tallies(self, causes: Causes | None) -> Tallies:
        """Counts of all that is known: its second reading, the oldest submission first."""
        tallies = self.settled.tallies(self.keys)
        tallies.days.begin(_earliest(self.covered, self.overall.first_end))
        if causes:
            self.settled.compare(causes)
        # Those that the report keeps are counted as they are kept, so that no id is there twice.
        kept = {entry.row.id: entry for entry in self.jobs}
        for read, place in self.settled.by_submission():
            entry = kept.get(read.row.id, read)
            if entry.row.listed:
                ended = self.nights.ended(entry)
                tallies.take(
                    entry,
                    None if self.nights.is_coming(entry) else ended,
                    place=place,
                    gone=self.scope.is_lost(entry) and not entry.row.is_silent,
                    reported=entry is not read,
                    lost=entry.row.id in self.lost,
                )
                if causes:
                    causes.take(entry.row, ended)
        if self.remembering is not None:
            self.remembering.after = self.settled.after(tallies.keys, self.remembering.labels)
        return tallies

    def _since(self) -> datetime | None:
        """The beginning of the report's window; that of its first job where it has none."""
        asked = self.nights.run.asked.since
        known = [
            at for entry in self.jobs if (at := entry.row.submission or entry.row.start) is not None
        ]
        return asked if asked or not known else min(known)

    def told(self) -> Report:
        """What the verdict and the night need, without days, workflows and labels."""
        nights, verdicts = self.nights, self.verdicts
        rows = [self._as_told(entry) for entry in self.jobs]
        active = [row for row in rows if self._runs(row)]
        stuck = attention.stuck(active, self.usual, nights.now)
        unjudged = attention.unjudged(active, self.usual, nights.now)
        flow_of = {row.id: row.name for row in active}
        unknown = tuple(
            row.id for row in rows if attention.is_unknown(row, lost=row.id in self.lost)
        )
        quality = self._quality()
        scope = self.scope
        counts = ReportCounts(
            new=len(verdicts.new),
            still_failing=0 if self.first else len(verdicts.failing) - len(verdicts.new),
            fixed=len(verdicts.fixed),
            failing=len(verdicts.failing),
            missing=len(verdicts.missing),
            maybe_missing=len(verdicts.maybe_missing),
            not_run=len(verdicts.not_run),
            lapsed=len(verdicts.lapsed),
            unjudged=len(unjudged),
            hidden=len(verdicts.hidden),
            stuck=len(stuck),
            running=len(active),
            unknown=len(unknown),
            total=len(self.jobs),
        )
        found = attention.groups(verdicts.failing, verdicts, self.jobs, first=self.first)
        failed = verdicts.first_failed
        if failed is None:
            failed = self.overall.failures.since({group.id for group in found})
        groups = attention.told_before(found, self.past, failed)
        unread = quality.unreadable or quality.unreadable_below
        complete = nights.run.state == "complete" and not unread
        tonight = night.summary(
            nights,
            (entry.row for entry in scope.tonight if entry.row.listed),
            verdicts,
            groups,
            stuck=[flow_of[each.job] for each in stuck],
            counts=counts,
            complete=complete,
            tasks=waste.night_tasks(scope.tonight, scope.above, self.measures),
        )
        nights_told = (*self.past, tonight)
        report = Report(
            now=nights.now,
            run=nights.run,
            previous=nights.previous,
            runs=tuple(run for run in self.runs if not run.pruned),
            pruned=any(run.pruned for run in self.runs),
            pruned_at={run.id: run.now for run in self.runs if run.pruned},
            counts=counts,
            jobs=self.jobs,
            split=workflows.split(rows),
            attention=groups,
            active=workflows.split(active),
            running=tuple(row.id for row in active),
            stuck=stuck,
            unjudged=tuple(row.id for row in unjudged),
            fixed=tuple(state.entry.row.id for state in verdicts.fixed),
            missing=tuple(entry.row.id for entry in verdicts.missing),
            lapsed=tuple(entry.row.id for entry in verdicts.lapsed),
            hidden=self._hidden(),
            unknown=unknown,
            unasked=tuple(
                state.entry.row.id
                for state in verdicts.failing
                if not may_match(state.entry.row, nights.run.asked.filters)
            ),
            flaky=attention.flaky(verdicts.flaky, self.settings.identity_labels),
            oldest_failing=min(
                (state.since for state in verdicts.failing if state.key not in verdicts.new),
                default=None,
            ),
            quality=quality,
            columns=self.offered.display_fields,
            common_labels=offered.common_labels(self.offered),
            whose=self._whose(),
            complete=complete,
            nights=nights_told,
            usual=night.usual_counts(nights_told, self.zone),
        )
        shown = {*names(report), *(entry.row.id for entry in self.jobs)}
        return replace(report, short_ids=self.history.short_ids(sorted(shown)))

    def _whose(self) -> tuple[str, ...]:
        """Labels that say whose a job is: dsub's own, which its server calls common, do not."""
        common = offered.common_labels(self.offered)
        keys = tuple(map(offered.label_key, self.settings.labels)) or (
            key for key in common if key not in attempts.LABELS
        )
        return tuple(dict.fromkeys((*keys, "userId")))

    def _hidden(self) -> Hidden | None:
        found, nights = self.verdicts.hidden, self.nights
        if not found:
            return None
        ended = [(entry, nights.ended(entry)) for entry in found]
        return Hidden(
            labels=self.settings.identity_labels,
            jobs=tuple(entry.row.id for entry in found),
            news=sum(
                at is not None and nights.told_in(one, at) >= nights.tonight for one, at in ended
            ),
        )

    def _as_told(self, entry: Entry) -> JobRow:
        """A job as the newest run knew it, of which a later one told how it ended: still active."""
        row = entry.row
        if not (self.nights.is_coming(entry) and self.nights.knew(entry)):
            return row
        return replace(row, status="Running" if row.start else "Submitted", end=None, failure=None)

    def _runs(self, row: JobRow) -> bool:
        """Whether a job is active as far as anybody knows: one that is lost is not known to be."""
        return row.status in ACTIVE_STATUSES and row.id not in self.lost

    def _quality(self) -> Quality:
        run = self.nights.run
        jobs = sorted((*self.jobs, *self.scope.below), key=lambda entry: entry.row.id)
        return quality(
            run,
            jobs=jobs,
            lost=(
                entry.row.id
                for entry in self.jobs
                if entry.row.id in self.lost and not entry.row.is_silent
            ),
            failed_runs=failed_since(self.runs, self.nights.previous),
            failed_lately=failed_lately(self.runs),
            gaps=self.server.gaps,
            beyond=(*sorted(run.own_fields.items()), *self.server.beyond),
        )


def _empty(
    covered: datetime, nights: Nights, zone: tzinfo, slos: Sequence[Slo], keys: Sequence[str]
) -> Tallies:
    """Tallies by these labels, of no jobs. No method, or all that a report is made from would wait
    for the collector."""
    return Tallies(keys, covered, nights, Calendar(nights, zone), slos)


def _earliest(covered: datetime, first_end: datetime | None) -> datetime | None:
    """Since when days can be shown: as far as was read, and no earlier than the first end."""
    # A window that begins where a night ends is of the next one.
    return max(covered + timedelta.resolution, first_end) if first_end else None
