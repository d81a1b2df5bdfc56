"""Slower tasks: what is told of a night is the same however many nights came before it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import overload

from hypothesis import example, given
from hypothesis import strategies as st

from jmreport.analysis import slower
from jmreport.analysis.measures import median, merged, sketch
from jmreport.records import Measure, Sketch
from jmreport.report.costs import SlowerTask
from jmreport.report.counts import ReportCounts, StatusSplit
from jmreport.report.nights import NightSummary, NightTask

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)


def _night(at: int, took: Sequence[float]) -> NightSummary:
    """A night in which one task took so long."""
    tasks = (NightTask("germline", Measure("Align", took=sketch(took))),) if took else ()
    return NightSummary(
        run=f"run-{at:04}",
        now=FIRST + timedelta(days=at),
        since=FIRST + timedelta(days=at - 1) if at else None,
        complete=True,
        counts=ReportCounts(),
        split=StatusSplit(),
        tasks=tasks,
    )


def _nights(*took: Sequence[float]) -> list[NightSummary]:
    return [_night(at, each) for at, each in enumerate(took)]


def _by_the_rule(series: Sequence[Sketch]) -> tuple[list[bool], list[Sketch], list[int]]:
    """Every night from the first on, one after the other: whether it was slower than the 14 before.

    And what was usual before it, over how many nights.
    """
    found: list[bool] = []
    usual: list[Sketch] = []
    nights: list[int] = []
    for at, tonight in enumerate(series):
        first = max(0, at - slower.NIGHTS)
        some = [series[n] for n in range(first, at) if not found[n]]
        if merged(some).count < slower.FEWEST:
            some = list(series[first:at])
        usual.append(merged(some))
        nights.append(sum(one.count > 0 for one in some))
        found.append(slower.is_slower(tonight, usual[-1]))
    return found, usual, nights


def _since(found: Sequence[bool], series: Sequence[Sketch]) -> int:
    since, plain = len(found) - 1, 0
    for at in reversed(range(len(found))):
        if found[at]:
            since, plain = at, 0
        elif series[at].count:
            plain += 1
            if plain == slower.OVER:
                break
    return since


def _expected(nights: Sequence[NightSummary]) -> tuple[SlowerTask, ...]:
    series = [each.tasks[0].measure.took if each.tasks else Sketch() for each in nights]
    found, usual, over = _by_the_rule(series)
    if not found or not found[-1]:
        return ()
    since = nights[_since(found, series)]
    return (
        SlowerTask(
            workflow="germline",
            task="Align",
            tonight=median(series[-1]),
            usual=median(usual[-1]),
            attempts=series[-1].count,
            usual_attempts=usual[-1].count,
            nights=over[-1],
            since=since.now,
            since_run=since.run,
        ),
    )


_PLAIN, _SLOW, _SLOWER = [600.0] * 5, [1_200.0] * 5, [4_000.0] * 5
_RAN = st.sampled_from([_PLAIN, _PLAIN, _SLOW, _SLOWER, [600.0, 700.0], [650.0] * 7, []])
_ANY = st.lists(st.floats(0, 5_000, allow_nan=False), max_size=30)


_BEFORE = st.one_of(
    st.lists(st.one_of(_RAN, _ANY), max_size=20), st.lists(_RAN, min_size=30, max_size=60)
)


@given(_BEFORE, st.lists(_RAN, max_size=20))
@example([_PLAIN] * 40, [_SLOW] * 3)
@example([_PLAIN] * 20, [_SLOW] * 20)
@example([_PLAIN] * 16, [_SLOW, _PLAIN] * 10)
# The night before thirteen that cannot be slower might have been, and says what is usual too.
@example([*[_PLAIN] * 5, [100.0] * 5, *[_PLAIN] * 27], [_SLOW])
@example([*[_PLAIN] * 9, *[_SLOW] * 4, *[[]] * 20], [_PLAIN, _SLOW])
def test_a_night_is_judged_as_by_all_nights_before_it(
    before: list[list[float]], lately: list[list[float]]
) -> None:
    """Though of a long history only as many nights are read as matter."""
    nights = _nights(*before, *lately)
    assert slower.slower(nights) == _expected(nights)


def test_the_rule_is_met_by_what_is_tried() -> None:
    """A task that takes twice as long is told of, since the first of those nights."""
    (told,) = slower.slower(_nights(*[_PLAIN] * 40, *[_SLOW] * 3))
    assert (told.tonight, told.usual, told.nights, told.since_run) == (1200, 600, 12, "run-0040")


class _Noted(Sequence[NightSummary]):
    """Nights that say which of them were asked for."""

    def __init__(self, nights: Sequence[NightSummary]) -> None:
        self._nights = nights
        self.read = set[int]()

    def __len__(self) -> int:
        return len(self._nights)

    @overload
    def __getitem__(self, at: int) -> NightSummary: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[NightSummary]: ...

    def __getitem__(self, at: int | slice) -> NightSummary | Sequence[NightSummary]:
        self.read.update(range(len(self))[at] if isinstance(at, slice) else (at % len(self),))
        return self._nights[at]


def test_of_a_year_of_nights_no_more_than_the_last_weeks_are_read() -> None:
    nights = _Noted(_nights(*[_PLAIN] * 364, _SLOW))
    assert slower.slower(nights)
    assert min(nights.read) >= 365 - 3 * slower.NIGHTS


@given(st.lists(st.lists(st.floats(0, 5_000), min_size=1, max_size=40), min_size=1, max_size=20))
def test_together_nights_have_no_lower_median_than_the_fastest_of_them(
    took: list[list[float]],
) -> None:
    several = [sketch(each) for each in took]
    assert median(merged(several)) >= min(map(median, several)) - 0.1
