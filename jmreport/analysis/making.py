"""The report of the newest usable run: every number of the pages, from rows alone."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from jmreport.analysis import (
    aggregate,
    attention,
    beside,
    night,
    offered,
    seen,
    slo,
    slower,
    timeline,
    usual,
    waste,
    workflows,
)
from jmreport.analysis.coverage import covered_since
from jmreport.analysis.days import Calendar, zone
from jmreport.analysis.nights import Nights, verdicts
from jmreport.analysis.quality import failed_since, quality
from jmreport.analysis.short_ids import short_ids
from jmreport.analysis.waste import ReadMeasures
from jmreport.analysis.window import Window
from jmreport.errors import SnapshotError
from jmreport.models import ACTIVE_STATUSES
from jmreport.records import Entry, JobRow, Run
from jmreport.report import (
    LabelReport,
    Night,
    NightSummary,
    Quality,
    Report,
    ReportCounts,
    WorkflowReport,
)
from jmreport.settings import Prices, ReportSettings, Slo

_UNPRICED = Prices()


def analyse(
    entries: Sequence[Entry],
    runs: Sequence[Run],
    aggregations: Mapping[str, Any],
    *,
    settings: ReportSettings,
    now: datetime | None = None,
    past: Sequence[NightSummary] = (),
    slos: Sequence[Slo] = (),
    measures: ReadMeasures = waste.nothing,
    prices: Prices = _UNPRICED,
) -> Report:
    """What the newest usable run found, compared with the usable one before it.

    `runs` oldest first, failed and pruned ones too; `aggregations` is the server's answer for each
    time frame that has one; `now` is the run's own unless given; `past` are the nights before this
    one, oldest first; `slos` are the promises of the settings, `prices` those of an attempt's hour;
    `measures` reads what jobs cost by their ids. The order of entries changes nothing. Raises
    SnapshotError when no run is usable, UsageError for a time zone that nobody knows.
    """
    if not any(run.usable for run in runs):
        raise SnapshotError("no run brought anything usable", hint="run `jmreport collect` again")
    making = _Making(entries, runs, aggregations, settings, now, past, measures)
    return making.report(slos, prices)


def told(
    entries: Sequence[Entry],
    runs: Sequence[Run],
    aggregations: Mapping[str, Any],
    *,
    settings: ReportSettings,
    measures: ReadMeasures = waste.nothing,
) -> Night:
    """The night that the newest of `runs` ended, as its page keeps it; all as in `analyse`.

    For nights of the past, when what was known then is read again from the snapshots.
    """
    making = _Making(entries, runs, aggregations, settings, None, (), measures)
    return frozen(making.told(), entries)


def frozen(report: Report, entries: Sequence[Entry]) -> Night:
    """What stays of a report when its night is over."""
    rows = {entry.row.id: entry.row for entry in entries}
    return night.frozen(report, rows.get)


class _Making:
    """What several parts of a report are made from."""

    def __init__(
        self,
        entries: Sequence[Entry],
        runs: Sequence[Run],
        aggregations: Mapping[str, Any],
        settings: ReportSettings,
        now: datetime | None,
        past: Sequence[NightSummary],
        measures: ReadMeasures,
    ) -> None:
        self.settings, self.runs, self.past = settings, runs, tuple(past)
        self.measures = measures
        self.nights = Nights(runs, now)
        self.first = self.nights.previous is None
        self.entries = entries
        self.listed = workflows.newest_first(entry for entry in entries if entry.row.listed)
        window = Window(self.nights)
        self.jobs = tuple(entry for entry in self.listed if window.holds(entry))
        self.lost = frozenset(entry.row.id for entry in self.jobs if window.lost(entry))
        self.gone = tuple(entry for entry in self.listed if window.lost(entry))
        self.verdicts = verdicts(self.listed, self.nights, settings.identity_labels)
        self.usual = usual.as_of(self.listed, self.nights.now)
        self.server = aggregate.answers(aggregations)
        self.offered = offered.capabilities(self.nights.run)
        self.covered = covered_since(self.nights.runs)
        self.calendar = Calendar(
            self.nights, _earliest(self.covered, self.listed), zone(settings.timezone)
        )
        self.frames = aggregate.frames(self.listed, self.nights.now, self.covered)
        self.known = beside.Known(self.nights.run, self.covered, self.lost, self.nights.now)

    def report(self, slos: Sequence[Slo], prices: Prices) -> Report:
        """Everything that pages show."""
        told = self.told()
        slow = slower.slower(told.nights)
        labels = self._labels()
        costs = waste.Costs(self.entries, self.jobs, self.nights, labels, prices)
        costs.read(self.measures)
        return replace(
            told,
            slower=costs.with_jobs(slow),
            waste=costs.waste(told.nights),
            slos=slo.promises(slos, self.listed, self.nights, covered=self.covered),
            days=self.calendar.days(self.listed),
            causes=seen.causes(self.listed, self.jobs, self.nights, told.attention),
            failed_by_night=night.failed_by_night(
                self.listed, self.nights, most=night.NAMED_NIGHTS
            ),
            workflows=self._workflows(),
            labels=labels,
            timeline=timeline.timeline(
                (entry.row for entry in self.listed),
                since=self._since(),
                now=self.nights.now,
                zone=zone(self.settings.timezone),
                lost=frozenset(entry.row.id for entry in self.gone),
                covered=self.covered,
            ),
        )

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
        active = [row for row in (entry.row for entry in self.jobs) if self._runs(row)]
        stuck = attention.stuck(active, self.usual, nights.now)
        unknown = tuple(
            row.id
            for row in (entry.row for entry in self.jobs)
            if attention.is_unknown(row, lost=row.id in self.lost)
        )
        quality = self._quality()
        counts = ReportCounts(
            new=len(verdicts.new),
            still_failing=0 if self.first else len(verdicts.failing) - len(verdicts.new),
            fixed=len(verdicts.fixed),
            failing=len(verdicts.failing),
            missing=len(verdicts.missing),
            stuck=len(stuck),
            running=len(active),
            unknown=len(unknown),
            total=len(self.jobs),
        )
        groups = attention.groups(verdicts.failing, verdicts, self.jobs, first=self.first)
        complete = nights.run.state == "complete" and not quality.unreadable
        tonight = night.summary(
            nights,
            night.ended_in_it(self.listed, nights),
            verdicts,
            groups,
            counts=counts,
            complete=complete,
            tasks=waste.night_tasks(self.entries, nights, self.measures),
        )
        told = (*self.past, tonight)
        usual_then = {
            one.run: night.usual_counts(told[: place + 1]) for place, one in enumerate(told)
        }
        return Report(
            now=nights.now,
            run=nights.run,
            previous=nights.previous,
            runs=tuple(run for run in self.runs if not run.pruned),
            pruned=any(run.pruned for run in self.runs),
            counts=counts,
            jobs=self.jobs,
            split=workflows.split(entry.row for entry in self.jobs),
            attention=groups,
            stuck=stuck,
            fixed=tuple(state.entry.row.id for state in verdicts.fixed),
            missing=tuple(entry.row.id for entry in verdicts.missing),
            unknown=unknown,
            flaky=attention.flaky(verdicts.flaky, self.settings.identity_labels),
            oldest_failing=min((state.since for state in verdicts.failing), default=None),
            quality=quality,
            columns=self.offered.display_fields,
            common_labels=offered.common_labels(self.offered),
            short_ids=short_ids(entry.row.id for entry in self.entries),
            complete=complete,
            nights=(*self.past, tonight),
            usual=usual_then[nights.run.id],
            usual_then=usual_then,
        )

    def _runs(self, row: JobRow) -> bool:
        """Whether a job is active as far as anybody knows: one that is lost is not known to be."""
        return row.status in ACTIVE_STATUSES and row.id not in self.lost

    def _workflows(self) -> tuple[WorkflowReport, ...]:
        return workflows.reports(
            self.listed,
            self.jobs,
            verdicts=self.verdicts,
            usual=self.usual,
            calendar=self.calendar,
            first=self.first,
        )

    def _labels(self) -> tuple[LabelReport, ...]:
        return aggregate.labels(
            self.frames,
            self.jobs,
            self.server,
            offered=self.offered,
            configured=self.settings.labels,
            known=self.known,
        )

    def _quality(self) -> Quality:
        run = self.nights.run
        return quality(
            run,
            jobs=self._with_sub_workflows(),
            lost=self.lost,
            gone={entry.row.id: self.nights.seen(entry) for entry in self.gone},
            failed_runs=failed_since(self.runs, self.nights.previous),
            gaps=self.server.gaps,
            beyond=(*sorted(run.own_fields.items()), *self.server.beyond),
            differences=aggregate.differences(self.frames, self.server, self.known),
        )

    def _with_sub_workflows(self) -> tuple[Entry, ...]:
        """The report's jobs and everything below them, each once."""
        below: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self.entries:
            if entry.row.parent and not entry.row.listed:
                below[entry.row.parent].append(entry)
        found = {entry.row.id: entry for entry in self.jobs}
        waiting = list(self.jobs)
        while waiting:
            for child in below.get(waiting.pop().row.id, ()):
                if child.row.id not in found:
                    found[child.row.id] = child
                    waiting.append(child)
        return tuple(sorted(found.values(), key=lambda entry: entry.row.id))


def _earliest(covered: datetime, listed: Sequence[Entry]) -> datetime | None:
    """Since when days can be shown: as far as was read, and no earlier than the first end."""
    first = min((entry.row.end for entry in listed if entry.row.end), default=None)
    # A window that begins where a night ends is of the next one.
    return max(covered + timedelta.resolution, first) if first else None
