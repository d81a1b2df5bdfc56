"""What could not be read: the words in which it is stored, and what follows from them."""

import pytest

from jmreport import gaps
from jmreport.client.answers import Answer, refused
from jmreport.gaps import Gap
from jmreport.report.quality import holes_of


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (gaps.JOB, "job"),
        (gaps.ATTEMPTS, "attempts"),
        (gaps.attempts_of("AlignBwa"), "attempts"),
        (gaps.attempts_of("AlignBwa", 3), "attempts"),
        (gaps.LOGS, "log"),
        (gaps.log_of("gs://logs/the list/page 3"), "log"),
        (gaps.OPERATIONS, "operation"),
        (gaps.operation_of("projects/p/operations/7"), "operation"),
        (gaps.LIST, "list"),
        (gaps.PAGES, "list"),
        (gaps.PART, "list"),
        (gaps.page_of_list(3), "list"),
        (gaps.row_of_list(3), "list"),
        (gaps.server_counts("DAYS_7"), "counts"),
        ("capabilities", "other"),
        ("jobs submitted between 2026-11-01 00:00 and 2026-11-02 00:00 UTC", "other"),
    ],
)
def test_what_was_not_read_says_of_what_kind_it_is(what: str, kind: str) -> None:
    """Whatever a server calls its tasks and logs."""
    of_a_job = kind in ("job", "attempts", "log", "operation")
    assert Gap(what=what, why="server error 500", job="a" if of_a_job else None).kind == kind


def test_a_task_that_is_called_like_a_list_is_none() -> None:
    gap = Gap(what=gaps.attempts_of("page 3 of the list"), why="server error 500", job="a")
    assert (gap.kind, gap.is_cut_short) == ("attempts", False)


def test_a_log_and_an_operation_are_named() -> None:
    assert Gap(what=gaps.log_of("gs://b/stderr"), why="").of == "gs://b/stderr"
    assert Gap(what=gaps.operation_of("operations/7"), why="").of == "operations/7"
    assert [Gap(what=what, why="").of for what in (gaps.LOGS, gaps.OPERATIONS, gaps.JOB)] == [
        ""
    ] * 3


@pytest.mark.parametrize("status", [404, 410, 400])
def test_a_job_that_its_server_does_not_know_is_not_asked_for_again(status: int) -> None:
    trouble = refused(Answer(status=status, headers={}, body=b""))
    gap = Gap(what=gaps.JOB, why=trouble.why, job="a")
    assert gap.is_refusal
    assert not gap.is_silence


@pytest.mark.parametrize("status", [401, 403, 429, 500, 502, 503, 504])
def test_a_job_of_which_nothing_was_said_is_asked_for_again(status: int) -> None:
    trouble = refused(Answer(status=status, headers={}, body=b""))
    gap = Gap(what=gaps.JOB, why=trouble.why, job="a")
    assert gap.is_silence
    assert gap.may_come


def test_what_does_not_fit_the_api_would_come_again_as_it_is() -> None:
    gap = Gap(what=gaps.JOB, why=gaps.does_not_fit("Expected `object` - at `$.tasks`"), job="a")
    assert gap.is_misfit
    assert not gap.is_unread
    assert not gap.may_come


@pytest.mark.parametrize("why", [gaps.SILENT, gaps.PUT_OFF, gaps.NO_HOST, gaps.TIME_UP])
def test_a_server_that_goes_away_cuts_a_run_short(why: str) -> None:
    assert Gap(what=gaps.JOB, why=why, job="a").is_cut_short


def test_logs_that_could_not_be_read_are_counted_together() -> None:
    """Each log has an address of its own, and ten of them one reason."""
    unread = [
        Gap(what=gaps.log_of(f"gs://logs/{job}/stderr"), why="not found (404)", job=str(job))
        for job in range(10)
    ]
    (hole,) = holes_of(unread)
    assert (hole.what, hole.times) == ("log", 10)


@pytest.mark.parametrize("active", [False, True])
def test_the_name_of_a_page_of_the_list_is_ours_from_end_to_end(active: bool) -> None:
    """So that no label with such a word for a value has a part of it hashed."""
    what = gaps.page_of_list(1, active=active)
    assert Gap(what=what, why="").own_words[0] == ((0, len(what)),)
