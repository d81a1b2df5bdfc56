"""A job is found by its id: pages of ids by what they begin with, from a disk, without a script."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import pytest
from hostile import HOSTILE_IDS
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from site_cases import contents, entries, runs, write

from jmreport.records import Entry, Run
from jmreport.render import addresses, idpages, linkcheck
from jmreport.render.files import WrittenFile
from jmreport.render.ledger import Ledger
from jmreport.render.spelled import Ids

OVER = runs(2)
SOME = entries(320, OVER)
LONG = "a-workflow-whose-name-is-as-long-as-addresses-are-and-longer"
DSUB = "+align--root--261123-195941-511590+30+"
#: Those that no list names, and ids of all kinds.
BELOW = replace(SOME[0], row=replace(SOME[0].row, listed=False))
ODD = (
    *HOSTILE_IDS,
    "日本",
    "x" * 10_000,
    DSUB,
    "ids",
    "index",
    *(f"{LONG}-{number}" for number in range(3)),
)


def named(ids: Sequence[str]) -> tuple[Entry, ...]:
    """Jobs of these ids."""
    return tuple(
        replace(entry, line=entry.line + len(SOME), row=replace(entry.row, id=job))
        for entry, job in zip(entries(len(ids), OVER, seed=2), ids, strict=True)
    )


JOBS = (BELOW, *SOME[1:], *named(ODD))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that was written once; tests read it."""
    where = tmp_path_factory.mktemp("ids") / "site"
    write(where, JOBS, OVER)
    return where


def links(page: Path) -> dict[str, Path]:
    """What a page of ids leads to, by what its links say."""
    found = re.findall(r'<li><a href="([^"]+)"><code>(.*?)</code></a></li>', page.read_text())
    return {text: (page.parent / href).resolve() for href, text in found}


def ids_of(where: Path) -> dict[str, bytes]:
    """The pages of ids."""
    return {at: data for at, data in contents(where).items() if at.startswith("jobs/ids/")}


def followed(where: Path) -> Iterator[Path]:
    """The pages of jobs that are reached from the first page of ids."""
    waiting = [where / addresses.IDS]
    while waiting:
        for page in links(waiting.pop()).values():
            if page.parent.name == "ids":
                waiting.append(page)
            else:
                yield page


def test_every_job_is_reached_by_what_its_id_begins_with(built: Path) -> None:
    """From the list of jobs on, also those that no list names; each once, with its whole id."""
    assert 'href="ids/index.html"' in (built / addresses.JOBS).read_text()
    pages = [*followed(built)]
    assert len(pages) == len({entry.row.id for entry in JOBS})
    assert {*pages} == {(built / addresses.job(entry.row.id)).resolve() for entry in JOBS}
    assert list(linkcheck.check(built)) == []
    job = BELOW.row.id
    page = built / addresses.IDS
    while job not in links(page):
        (page,) = (to for text, to in links(page).items() if job.startswith(text))
    assert links(page)[job] == (built / addresses.job(job)).resolve()


def test_no_page_has_more_than_some_hundred_ids(built: Path) -> None:
    """More of them have longer beginnings, and a page between still leads on."""
    most = max(len(links(built / at)) for at in ids_of(built))
    assert 0 < most <= idpages.MOST < len(JOBS)


def test_one_more_job_makes_only_the_page_anew_that_its_id_is_on(tmp_path: Path) -> None:
    """Ids lie scattered: were it all pages, each night would write them again."""
    write(tmp_path, SOME[1:], OVER)
    before = ids_of(tmp_path)
    write(tmp_path, SOME, OVER)
    changed = {at for at, data in ids_of(tmp_path).items() if data != before.get(at)}
    assert changed == {addresses.ids(SOME[0].row.id[0])}


def test_a_job_that_nothing_tells_of_any_more_is_found_until_it_is_pruned(tmp_path: Path) -> None:
    """Its page is there as long as its id is, and goes with it."""
    write(tmp_path, SOME[:20], OVER)
    page = (tmp_path / addresses.job(SOME[0].row.id)).resolve()
    write(tmp_path, SOME[1:20], OVER)
    assert page in followed(tmp_path)
    pruned: tuple[Run, ...] = (replace(OVER[0], pruned=True), OVER[1])
    write(tmp_path, SOME[1:20], pruned)
    assert page not in followed(tmp_path)
    assert not page.exists()


def test_without_its_ledger_a_site_has_the_same_pages_of_ids(tmp_path: Path) -> None:
    """Whatever was lost, no job is missing there."""
    write(tmp_path, SOME[:20], OVER)
    before = ids_of(tmp_path)
    (tmp_path / ".jmreport/pages").unlink()
    write(tmp_path, SOME[:20], OVER)
    assert ids_of(tmp_path) == before


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of the browser."""
    made = browser.new_page()
    yield made
    made.close()


def asked(page: Any, where: Path, text: str) -> None:
    """Looks for an id from the first page of ids."""
    page.goto((where / addresses.IDS).as_uri())
    page.get_by_label("Id, or its beginning").fill(text)
    page.get_by_role("button", name="Find").click()


def test_an_id_that_the_list_of_jobs_does_not_have_leads_to_its_page(
    built: Path, page: Any
) -> None:
    """Pasted where jobs are looked for; the way back leads there again."""
    page.goto((built / addresses.JOBS).as_uri())
    page.get_by_label("Text").fill(BELOW.row.id)
    page.get_by_role("link", name="among the ids of all jobs").click()
    page.wait_for_url((built / addresses.job(BELOW.row.id)).as_uri())
    page.go_back()
    assert page.url.startswith((built / addresses.JOBS).as_uri())


def test_the_script_spells_ids_as_addresses_do(built: Path, page: Any) -> None:
    """Whatever signs are in them. Of an id that is too long to be spelled it shows what may be."""
    for job in ("a/b?c#d", "JOB", "日本", DSUB, f"{LONG}-1"):
        asked(page, built, job)
        page.wait_for_url((built / addresses.job(job)).as_uri())
    for job in ("x" * 10_000, "é" * 150):
        asked(page, built, job)
        page.get_by_text("are these.").wait_for()
        near = page.locator("#ids li:visible a").evaluate_all("all => all.map(a => a.href)")
        assert near == [(built / addresses.job(job)).as_uri()]


def test_a_beginning_shows_all_ids_that_it_fits(built: Path, page: Any) -> None:
    """A job's short id leads to its page, and one character to the ids behind it."""
    ids = {entry.row.id for entry in SOME if entry.row.id.startswith("7")}
    asked(page, built, "7")
    page.wait_for_url("**/begin-7.html#id=7")
    assert {*page.locator("#ids li:visible").all_inner_texts()} == ids
    job = min(ids)
    page.get_by_label("Id, or its beginning").fill(job[:8])
    page.get_by_role("button", name="Find").click()
    page.wait_for_url((built / addresses.job(job)).as_uri())


def test_an_id_that_no_page_has_is_said_to_be_none(built: Path, page: Any) -> None:
    """In words, beside the ids that there are."""
    asked(page, built, "7zz</script>")
    told = page.get_by_role("status")
    told.wait_for()
    said = "No job that has a page here has an id that begins with “7zz</script>”."
    assert told.inner_text() == said
    assert page.locator("#ids li:visible").count() == len(links(built / addresses.ids("7")))


# --- of any ids --------------------------------------------------------------------------------

#: As servers make them; some hundred that an address cannot tell apart.
_random = Random(1)  # noqa: S311 - the same in every run
KINDS = {
    "cromwell": [str(UUID(int=_random.getrandbits(128))) for _ in range(6_000)],
    "dsub": [
        f"{name}--{user}--26112{day}-{number:06}-00"
        for name in ("align", "align-2", "call")
        for user in ("ana", "li")
        for day in range(4)
        for number in range(120)
    ],
    "alike": [f"{LONG} {number}" for number in range(1_000)],
}


def filled(where: Path, ids: Sequence[str]) -> Ledger:
    """A ledger that knows the pages of these jobs."""
    ledger = Ledger(where / "pages")
    for job in ids:
        at = addresses.job(job)
        ledger.put(at, "", (WrittenFile(address=at, size=1, sum="00"),), kept=True)
        ledger.ids().put(job)
    return ledger


def shown(ids: Ids) -> dict[str, Any]:
    """What each planned page shows, by its address."""
    return {page.address: page.view(None) for page in idpages.pages(ids)}  # type: ignore[arg-type] # it draws nothing


@pytest.mark.parametrize("kind", KINDS)
def test_ids_of_every_kind_are_shared_out(tmp_path: Path, kind: str) -> None:
    """Each on one page, none of which is long; between there are pages that lead to all of them."""
    ids = KINDS[kind]
    with filled(tmp_path, ids) as ledger:
        views = shown(ledger.ids())
    found = [link.text for view in views.values() if view.of == "jobs" for link in view.links]
    assert sorted(found) == sorted(ids)
    assert max(len(view.links) for view in views.values()) <= idpages.MOST
    for view in views.values():
        assert len({link.href for link in view.links}) == len(view.links) > 0
    to = {f"jobs/ids/{link.href}" for view in views.values() for link in (*view.links, *view.above)}
    assert {*views} - {addresses.IDS} <= to


@settings(max_examples=25)
@given(st.lists(st.text(max_size=60), max_size=6, unique=True))
def test_whatever_an_id_is_it_stands_on_the_page_of_its_beginning(ids: list[str]) -> None:
    """Halves of characters too, of which no file can hold any."""
    with TemporaryDirectory() as where, filled(Path(where), ids) as ledger:
        view = shown(ledger.ids())[addresses.IDS]
    to = {addresses.relative("jobs/index.html", addresses.job(job)) for job in ids}
    assert {link.href for link in view.links} == {f"../{page}" for page in to}
