"""Flaky work, and how long work fails already, as numbers."""

from itertools import pairwise

import pytest
from analysis_cases import HOUR, job, night, runs
from held import Held
from hypothesis import given
from hypothesis import strategies as st

from jmreport import analysis
from jmreport.analysis.flaky import Flakiness, flakiness
from jmreport.records import Entry, Run
from jmreport.report import Report
from jmreport.report.jobs import JobHistory
from jmreport.settings import ReportSettings

LETTERS = {"s": "Succeeded", "F": "Failed", "a": "Aborted", "r": "Running"}


def outcomes(letters: str) -> list[str]:
    return [LETTERS[letter] for letter in letters]


@pytest.mark.parametrize(
    ("letters", "told"),
    [
        ("", None),
        ("sFsF", None),  # four runs say nothing
        ("sFsFs", (5, 2, 4)),
        ("ssssF", None),  # broke
        ("ssFss", None),  # broke and was mended: 2 flips
        ("ssFsF", (5, 2, 3)),
        ("sFsFF", (5, 3, 3)),
        ("sFsFFF", None),  # three failures in a row are broken
        ("FFFFFFFF", None),
        ("sFFFFsF", (7, 5, 3)),
        ("sFFFs" + "s" * 20, None),  # long ago
        ("FsFsF" + "s" * 18, None),  # of the last 20 only one flip is left
        ("FsF" + "s" * 18, None),
        ("FsFs" + "s" * 16, (20, 2, 3)),
    ],
)
def test_flaky_is_three_flips_in_twenty_runs_and_no_three_failures_at_the_end(
    letters: str, told: tuple[int, int, int] | None
) -> None:
    assert flakiness(outcomes(letters)) == (Flakiness(*told) if told else None)


@given(st.text("sF", max_size=60))
def test_flips_are_fewer_than_runs_and_only_the_last_twenty_count(letters: str) -> None:
    found = flakiness(outcomes(letters))
    assert found == flakiness(outcomes(letters[-20:]))
    if found:
        assert 3 <= found.flips < found.runs <= 20
        assert 0 < found.failures < found.runs


def report(entries: list[Entry], of: list[Run], *, identity: tuple[str, ...] = ()) -> Report:
    return analysis.analyse(
        Held(entries), of, {}, settings=ReportSettings(identity_labels=identity)
    )


def nightly(letters: str, *, key: str = "k") -> list[Entry]:
    """A key's jobs, one a night, each an hour before its run; a space is a night without."""
    return [
        job(
            f"{key}-{number}",
            None if letter == "r" else night(number) - HOUR,
            LETTERS[letter],
            found=number,
            key=key,
        )
        for number, letter in enumerate(letters)
        if letter != " "
    ]


def test_a_flaky_key_is_told_with_the_runs_that_were_looked_at() -> None:
    found = report(nightly("sFsaFs"), runs(6))
    (key,) = found.flaky
    # The aborted one tells nothing.
    assert key.jobs == ("k-0", "k-1", "k-2", "k-4", "k-5")
    assert key.outcomes == tuple(outcomes("sFsFs"))
    assert (key.flips, key.failures, key.job, key.score) == (4, 2, "k-5", 0.8)
    assert key.last_failed == night(4) - HOUR


def test_the_flakiest_key_comes_first_and_labels_name_it() -> None:
    labelled = [
        job(
            f"{sample}-{number}",
            night(number) - HOUR,
            LETTERS[letter],
            found=number,
            labels={"sample": sample},
        )
        for sample, letters in (("A", "sFssFss"), ("B", "FsFsFss"), ("C", "sssssss"))
        for number, letter in enumerate(letters)
    ]
    found = report(labelled, runs(7), identity=("sample",))
    assert [key.labels for key in found.flaky] == [(("sample", "B"),), (("sample", "A"),)]


@pytest.mark.parametrize(
    ("letters", "nights", "success"),
    [
        ("sF", 1, 0),
        ("sFF", 2, 0),
        ("sFsFFF", 3, 2),
        ("FFF", 3, None),
        ("sFaF", 3, 0),  # an aborted night in between is passed over
        ("sF F", 3, 0),  # so is one in which it did not run
    ],
)
def test_a_failing_key_is_told_with_its_nights_and_its_last_success(
    letters: str, nights: int, success: int | None
) -> None:
    (group,) = report(nightly(letters), runs(len(letters))).attention
    assert group.nights == nights
    assert group.last_success == (None if success is None else night(success) - HOUR)


def test_a_group_tells_of_the_key_that_fails_longest_and_which_are_flaky() -> None:
    entries = [*nightly("sFsFsF", key="a"), *nightly("ssssFF", key="b")]
    groups = {group.state: group for group in report(entries, runs(6)).attention}
    assert groups["new"].flaky == ("a-5",)
    assert groups["still failing"].flaky == ()
    assert groups["still failing"].nights == 2


# A job's own page.


def history(letters: str, number: int, **more: str) -> JobHistory | None:
    contexts = analysis.contexts(Held(nightly(letters, **more)), runs(len(letters)))
    return {context.entry.row.id: context.history for context in contexts}[f"k-{number}"]


def test_a_failed_job_knows_how_often_it_failed_in_a_row_and_when_it_succeeded() -> None:
    told = history("sFFaF", 4)
    assert told
    assert (told.failures, told.since) == (3, night(1) - HOUR)
    assert (told.last_success, told.last_success_at) == ("k-0", night(0) - HOUR)
    assert told.before == "k-2"


def test_the_first_success_after_failures_knows_what_it_mended() -> None:
    told = history("sFFs", 3)
    assert told
    assert (told.failures, told.mended, told.last_success) == (0, 2, "k-0")


def test_what_comes_later_changes_nothing_on_a_jobs_page() -> None:
    assert history("sFsF", 1) == history("sFsFFFFF", 1)


def test_a_job_that_runs_was_aborted_or_cannot_be_recognised_has_no_history() -> None:
    assert history("sFa", 2) is None
    assert history("sFr", 2) is None
    alone = job("alone", night(0) - HOUR, "Failed", found=0, key="")
    (context,) = analysis.contexts(Held([alone]), runs(1))
    assert context.history is None


@given(st.text("sF", min_size=1, max_size=12))
def test_failures_in_a_row_are_those_up_to_the_job_itself(letters: str) -> None:
    contexts = analysis.contexts(Held(nightly(letters)), runs(len(letters)))
    told = {context.entry.row.id: context.history for context in contexts}
    for number, letter in enumerate(letters):
        found = told[f"k-{number}"]
        assert found
        row = len(letters[: number + 1]) - len(letters[: number + 1].rstrip("F"))
        assert found.failures == row
        assert found.before == (f"k-{number - 1}" if number else "")
        assert (found.since is None) == (letter == "s")
    for one, other in pairwise(told[f"k-{n}"] for n in range(len(letters))):
        assert one
        assert other
        assert not (other.mended and other.failures)
        assert other.mended in (0, one.failures)
