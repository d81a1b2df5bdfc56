"""Dates, durations, numbers and statuses read as readers expect: tables of edge cases."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmreport.models import JOB_STATUSES
from jmreport.render import words

AT = datetime(2026, 11, 23, 2, 14, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.4, "under 1 s"),
        (1, "1 s"),
        (45, "45 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (720, "12 min"),
        (3569, "59 min"),
        (3599, "1 h"),
        (3600, "1 h"),
        (8040, "2 h 14 min"),
        (112_800, "31 h 20 min"),
        (71 * 3600 + 59 * 60, "71 h 59 min"),
        (72 * 3600 - 1, "3 days"),
        (72 * 3600, "3 days"),
        (100 * 3600, "4 days 4 h"),
        (2_000 * 86_400, "2\u202f000 days"),
    ],
)
def test_a_duration_names_its_two_largest_units(seconds: float, text: str) -> None:
    """From 72 hours in days; below zero is zero, and nothing ever reads 60 s or 60 min."""
    assert words.duration(timedelta(seconds=seconds)) == text


def test_a_duration_that_is_not_known_is_empty_and_never_zero() -> None:
    assert words.duration(None) == ""


@given(st.integers(0, 10**9))
def test_no_duration_overflows_its_smaller_unit(seconds: int) -> None:
    """60 min, 60 s or 24 h after the comma would be the next larger unit."""
    text = words.duration(timedelta(seconds=seconds))
    assert not text.startswith(("60 s", "60 min"))
    assert not text.endswith((" 60 min", "days 24 h"))


@pytest.mark.parametrize(
    ("fraction", "decimals", "text"),
    [
        (None, 1, ""),
        (0.0, 1, "0 %"),
        (1.0, 1, "100 %"),
        (0.9996, 1, "> 99.9 %"),
        (0.9996, 0, "> 99 %"),
        (0.9996, 2, "99.96 %"),
        (0.0004, 1, "< 0.1 %"),
        (0.0004, 0, "< 1 %"),
        (0.0004, 2, "0.04 %"),
        (0.026, 1, "2.6 %"),
        (0.5, 0, "50 %"),
        (1 / 3, 1, "33.3 %"),
    ],
)
def test_almost_all_is_never_all_and_hardly_any_never_none(
    fraction: float | None, decimals: int, text: str
) -> None:
    assert words.percent(fraction, decimals) == text


@given(st.floats(0, 1, exclude_min=True, exclude_max=True), st.integers(0, 3))
def test_only_all_and_none_read_as_such(fraction: float, decimals: int) -> None:
    text = words.percent(fraction, decimals)
    assert text not in ("0 %", "100 %")
    assert not text.startswith(("100", "0.0 ", "0.00 ", "0.000 "))


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 jobs"), (1, "1 job"), (2, "2 jobs"), (2598, "2\u202f598 jobs")],
)
def test_one_job_is_not_one_jobs(n: int, text: str) -> None:
    assert words.plural(n, "job") == text


def test_a_plural_that_no_s_makes_is_given() -> None:
    assert words.plural(2, "retry", "retries") == "2 retries"


@pytest.mark.parametrize(
    ("zone", "text", "iso"),
    [
        ("UTC", "Mon 23 Nov 2026, 02:14 UTC", "2026-11-23T02:14:59Z"),
        ("Europe/Berlin", "Mon 23 Nov 2026, 03:14 CET", "2026-11-23T03:14:59+01:00"),
        ("America/New_York", "Sun 22 Nov 2026, 21:14 EST", "2026-11-22T21:14:59-05:00"),
        ("Asia/Kathmandu", "Mon 23 Nov 2026, 07:59 UTC+5:45", "2026-11-23T07:59:59+05:45"),
        ("America/Sao_Paulo", "Sun 22 Nov 2026, 23:14 UTC-3", "2026-11-22T23:14:59-03:00"),
    ],
)
def test_a_moment_shows_its_zone(zone: str, text: str, iso: str) -> None:
    """Minutes are cut, never rounded up: a clock does the same."""
    assert words.when(AT, words.zone(zone)) == words.Moment(text, iso)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Asia/Kathmandu", "UTC+5:45"),
        ("Asia/Kolkata", "IST"),
    ],
)
def test_a_page_names_a_zone_so_that_it_holds_for_summer_and_winter(zone: str, said: str) -> None:
    assert words.zone_name(AT, words.zone(zone)) == said


def test_a_zone_nobody_knows_is_utc() -> None:
    assert words.zone("Mars/Olympus") is UTC
    assert words.zone("../etc/passwd") is UTC


@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_have_words(at: datetime) -> None:
    """A server's 9999-12-31 in a zone ahead of UTC would be the year 10000."""
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        assert words.when(at, ZoneInfo(zone)) is not None


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_in_utc_is_told_to_machines_as_iso_8601_has_it(at: datetime) -> None:
    told = words.when(at)
    assert told is not None
    assert told.iso == at.isoformat(timespec="seconds").replace("+00:00", "Z")


def test_the_year_is_left_out_only_next_to_a_date_of_the_same_year() -> None:
    old = datetime(2024, 2, 29, 23, 59, tzinfo=UTC)
    assert words.short_when(old, near=AT) == words.Moment(
        "29 Feb 2024, 23:59", "2024-02-29T23:59:00Z"
    )
    assert words.short_when(AT, near=AT) == words.Moment("23 Nov 02:14", "2026-11-23T02:14:59Z")
    assert words.short_when(None) is None


@pytest.mark.parametrize(
    ("word", "key", "text"),
    [
        ("OnHold", "onhold", "On hold"),
        ("Failed", "failed", "Failed"),
        ("Unknown", "unknown", "Unknown"),
        ("Paused", "unknown", "Unknown (Paused)"),
        ("failed", "unknown", "Unknown (failed)"),
        ("", "unknown", "Unknown"),
        (None, "unknown", "Unknown"),
    ],
)
def test_a_status_no_api_names_keeps_its_own_word(word: str | None, key: str, text: str) -> None:
    assert (words.status(word).key, words.status(word).text) == (key, text)


def test_every_status_of_the_api_has_colours_and_an_icon_of_its_own() -> None:
    found = [words.status(word) for word in JOB_STATUSES]
    assert len({status.key for status in found} - {"unknown"}) == len(JOB_STATUSES)
    assert len({status.icon for status in found}) == len(JOB_STATUSES)


@given(st.text(), st.integers(5, 80))
def test_a_cut_text_keeps_both_ends_and_its_length(text: str, limit: int) -> None:
    cut = words.cut_middle(text, limit)
    assert len(cut) <= limit
    assert cut == text or (cut[0] == text[0] and cut[-1] == text[-1])
