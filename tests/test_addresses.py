"""A page's address is made of plain characters whatever a job is called, and is its own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmreport.render import addresses

PLAIN = re.compile(r"jobs/[a-z0-9-]{1,57}\.html")


@pytest.mark.parametrize(
    "job",
    [
        "../../etc/passwd",
        "%2e%2e%2fpasswd",
        "a\x00b",
        "CON",
        "x" * 300,
        "",
        "…",
        "+scatter--root--1+30+",
        "\ud800",
        "/",
        "a.html",
    ],
)
def test_no_id_chooses_a_path(job: str) -> None:
    assert PLAIN.fullmatch(addresses.job(job))


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_ids_never_share_a_page(one: str, other: str) -> None:
    assert (addresses.job(one) == addresses.job(other)) == (one == other)


def test_ids_that_differ_in_case_only_have_pages_that_differ_on_any_disk() -> None:
    assert addresses.job("Job-A").lower() != addresses.job("job-a").lower()


def test_an_address_never_changes() -> None:
    """Links to a job last: this digest is a promise."""
    job = "a3f9c21e-84d1-4c1b-9b60-0f6a2c4d77e1"
    assert addresses.job(job) == "jobs/a3f9c21e-84d1-4c1b-9b60-0f6a2c4d77e1-863e8d20.html"
    assert addresses.job_raw(job) == "jobs/a3f9c21e-84d1-4c1b-9b60-0f6a2c4d77e1-863e8d20.json"


#: Of dsub on Google Cloud; eight digits do not tell the digests of the first two apart.
ALIKE = [
    f"genomics-prod-1234+joint-call--maria--261123-195959-120034+{number}+"
    for number in (34081, 123317, 7)
]


def test_jobs_whose_ids_are_too_long_to_be_spelled_have_a_longer_digest() -> None:
    """Of 100,000 such jobs two shared a page. It goes on from the shorter one that it once was."""
    pages = [addresses.job(job) for job in ALIKE]
    assert len({*pages}) == len(ALIKE)
    assert pages[0] == "jobs/genomics-prod-1234-joint-call-maria-2611-ea0351d20525f602.html"
    assert pages[1] == "jobs/genomics-prod-1234-joint-call-maria-2611-ea0351d2e521799e.html"


@pytest.mark.parametrize(("job", "digits"), [("x" * 40, 8), ("x" * 41, 16), ("é" * 401, 16)])
def test_an_id_that_is_spelled_to_its_end_keeps_the_shorter_digest(job: str, digits: int) -> None:
    assert re.search(rf"-[0-9a-f]{{{digits}}}\.html$", addresses.job(job))


@given(st.text(max_size=60), st.text(max_size=30), st.integers(1, 9_000), st.integers(1, 99))
def test_pages_of_a_scatter_are_no_jobs_page(job: str, task: str, position: int, page: int) -> None:
    address = addresses.job_shards(job, position, task, page)
    assert re.fullmatch(r"jobs/[a-z0-9-]+-shards-\d+\.html", address)
    assert not re.search(r"-[0-9a-f]{8,16}\.html$", address)


@pytest.mark.parametrize(
    ("here", "to", "link"),
    [
        ("index.html", "jobs/index.html", "jobs/index.html"),
        ("jobs/index.html", "index.html", "../index.html"),
        ("jobs/a.html", "jobs/b.html", "b.html"),
        ("jobs/a.html", "labels/b.html", "../labels/b.html"),
        ("nights/20261123T021400Z/index.html", "assets/site.css", "../../assets/site.css"),
        ("jobs/a.html", "jobs/b.html#task-1", "b.html#task-1"),
        ("job/a.html", "jobs/b.html", "../jobs/b.html"),
    ],
)
def test_links_are_relative_so_that_they_hold_from_disk(here: str, to: str, link: str) -> None:
    assert addresses.relative(here, to) == link
