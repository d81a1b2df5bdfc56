"""Lists that go back beyond the report's window: their full pages are written once."""

import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from analysis_cases import DAY, HOUR, job, night, run
from held import Held
from msgspec.structs import replace
from site_cases import contents, write
from site_numbers import jobs_behind
from test_looking import write as remember

from jmreport.records import Entry, Run
from jmreport.render import addresses, listpages, planwriting
from jmreport.render.joblists import list_name
from jmreport.render.linkcheck import check

#: Jobs of a night: two nights fill a page and begin the next.
JOBS = 70


def nightly(count: int) -> tuple[list[Entry], list[Run]]:
    """So many nights of jobs of one workflow, each seen in its own night; a window of a day."""
    jobs = [
        replace(
            job(
                f"{number:02}{place:03}aaa-77aa-4344-b248-13abb73e7a7f",
                night(number) - HOUR - place * timedelta(seconds=1),
                "Failed" if place == 3 else "Succeeded",
                found=number,
                key=f"k{place}",
                labels={"owner": "ana" if place % 2 else "ben"},
            ),
            shard=f"jobs-{number:04}",
            line=place,
        )
        for number in range(count)
        for place in range(JOBS)
    ]
    return jobs, [run(number, window=DAY) for number in range(count)]


def test_one_more_night_leaves_full_pages_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, *nightly(5))
    before = {name: body for name, body in contents(tmp_path).items() if "-older-" in name}
    assert before
    write(tmp_path, *nightly(6))
    after = contents(tmp_path)
    changed = {name for name, body in before.items() if after[name] != body}
    # The newest of the full pages of each list learns of a newer one.
    lists = {name.partition("-older-")[0] for name in before}
    assert len(changed) <= len(lists)
    assert list(check(tmp_path)) == []


class Sliced(tuple[str, ...]):
    """Jobs that know how many of them were handed out."""

    handed = 0

    def __getitem__(self, which: Any) -> Any:
        found = super().__getitem__(which)
        Sliced.handed += len(found) if isinstance(which, slice) else 1
        return found


def test_a_list_is_cut_into_pages_without_copying_what_follows_each() -> None:
    """Of a list of a million jobs each page would be a million steps otherwise."""
    jobs = Sliced(f"job-{number}" for number in range(50 * listpages.ROWS + 7))
    _, full = listpages.by_age(len(jobs))
    order = (0, *range(full, 0, -1))
    assert [job for page in order for job in listpages.of_age(jobs, page)] == list(jobs)
    assert Sliced.handed == len(jobs)


def test_a_job_that_many_pages_show_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of jobs from before the window no more is kept than lists are planned with."""
    asked: list[str] = []
    short_ids = Held.short_ids

    def noted(held: Held, jobs: Iterable[str]) -> dict[str, str]:
        some = [*jobs]
        asked.extend(some)
        return short_ids(held, some)

    monkeypatch.setattr(Held, "short_ids", noted)
    jobs, over = nightly(8)
    write(tmp_path, jobs, over)
    # Once for its own page, and once for all lists.
    assert {*Counter(asked).values()} == {1, 2}


def test_pages_are_the_same_however_few_jobs_are_kept_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, over = nightly(8)
    write(tmp_path / "one", jobs, over)
    monkeypatch.setattr(planwriting, "_LENT_LAST", 1)
    monkeypatch.setattr(planwriting, "_MOST_LENT", 150)
    monkeypatch.setattr(planwriting, "FEW_PAGES", 0)
    write(tmp_path / "two", jobs, over, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_every_job_of_such_a_list_is_on_exactly_one_page(tmp_path: Path) -> None:
    jobs, over = nightly(5)
    write(tmp_path, jobs, over)
    name = list_name("label", "name", "=wf", "", "ALL_TIME")
    pages = {
        address: body
        for address, body in contents(tmp_path).items()
        if address.startswith(f"jobs/{name}")
    }
    assert sorted(pages) == [f"jobs/{name}-older-{page}.html" for page in (1, 2, 3)] + [
        f"jobs/{name}.html"
    ]
    shown = b"".join(pages.values())
    for entry in jobs:
        assert shown.count(f'href="{addresses.job(entry.row.id)[5:]}"'.encode()) == 1, entry.row.id
    front = pages[f"jobs/{name}.html"].decode()
    assert "<h1>350 jobs with Workflow wf</h1>" in front
    assert front.count("<tr") == 1 + 50
    # The filter knows the report's jobs alone.
    assert "Filter and sort these jobs" not in front
    second = pages[f"jobs/{name}-older-2.html"].decode()
    assert "<h1>Jobs with Workflow wf, 101 to 200 counted from the oldest</h1>" in second
    for text, page in (("Newest", ""), ("Newer", "-older-3"), ("Older", "-older-1")):
        assert f"{name}{page}.html" in second.partition(f">{text}<")[0].rpartition("<a ")[2]


def test_below_a_few_jobs_the_way_to_older_ones_stands_once(tmp_path: Path) -> None:
    """Above them it would be in sight of itself; above a screenful it saves the way down."""
    name = list_name("label", "name", "=wf", "", "ALL_TIME")
    for nights, times in ((3, 1), (4, 2)):
        write(tmp_path, *nightly(nights))
        front = (tmp_path / f"jobs/{name}.html").read_text()
        assert front.count(">Older<") == times
        assert front.rindex(">Older<") > front.index("</table>")


def test_the_filter_is_offered_where_it_knows_all_jobs_of_a_list(tmp_path: Path) -> None:
    """It knows those of the report alone, whichever others are told of elsewhere."""
    name = list_name("label", "name", "=wf", "", "ALL_TIME")
    offered = []
    for nights in (1, 2):
        jobs, over = nightly(nights)
        write(tmp_path, [entry for entry in jobs if entry.line < 10], over)
        front = (tmp_path / f"jobs/{name}.html").read_text()
        assert f"<h1>{nights * 10} jobs with Workflow wf</h1>" in front
        offered.append("Filter and sort these jobs" in front)
    assert offered == [True, False]


def test_a_time_frame_shares_the_pages_of_all_time_but_for_its_newest_and_its_oldest_jobs(
    tmp_path: Path,
) -> None:
    jobs, over = nightly(10)
    write(tmp_path, jobs, over)
    made = contents(tmp_path)
    name = list_name("label", "name", "=wf", "", "DAYS_7")
    longer = list_name("label", "name", "=wf", "", "ALL_TIME")
    assert {address for address in made if address.startswith(f"jobs/{name}")} == {
        f"jobs/{name}.html",
        f"jobs/{name}-oldest.html",
    }
    front, last = made[f"jobs/{name}.html"].decode(), made[f"jobs/{name}-oldest.html"].decode()
    # All time has 700 jobs on seven pages; of the last seven nights there are 490.
    frame = '<span class="count">, submitted in the last 7 days</span></h1>'
    assert f"<h1>490 jobs with Workflow wf{frame}" in front
    assert f"<h1>Jobs with Workflow wf: the oldest 90 of 490{frame}" in last
    assert _leads(front, "Older") == f"{longer}-older-6.html"
    assert _leads(front, "Oldest") == f"{name}-oldest.html"
    assert "“Oldest” leads to where this one ends" in front
    assert _leads(last, "Newest") == f"{name}.html"
    assert _leads(last, "Newer") == f"{longer}-older-4.html"
    between = [made[f"jobs/{longer}-older-{page}.html"] for page in (6, 5, 4)]
    shown = b"".join((made[f"jobs/{name}.html"], *between, made[f"jobs/{name}-oldest.html"]))
    for entry in jobs:
        recent = entry.row.submission is not None and entry.row.submission >= night(9) - 7 * DAY
        found = shown.count(f'href="{addresses.job(entry.row.id)[5:]}"'.encode())
        assert found == recent, entry.row.id


def test_one_more_night_changes_two_pages_of_a_time_frame(tmp_path: Path) -> None:
    write(tmp_path, *nightly(10))
    before = contents(tmp_path)
    write(tmp_path, *nightly(11))
    after = contents(tmp_path)
    names = {
        list_name("label", "name", "=wf", status, frame)
        for status in ("", "Succeeded")
        for frame in ("DAYS_7", "ALL_TIME")
    }
    changed = {
        address: name
        for address, body in after.items()
        for name in names
        if address.startswith(f"jobs/{name}") and body != before.get(address)
    }
    own = [address for address in changed if "-older-" not in address]
    assert sorted(own) == sorted(
        f"jobs/{name}{end}.html"
        for name in names
        for end in ("", "-oldest")
        if f"jobs/{name}{end}.html" in after
    )
    # The full page before the newest learns of a newer one; those that are new are the others.
    known = [address for address in changed if "-older-" in address and address in before]
    assert len(known) <= 2
    assert list(check(tmp_path)) == []


def test_archived_jobs_of_a_time_frame_share_the_pages_of_archived_ones(tmp_path: Path) -> None:
    jobs, over = nightly(20)
    put_aside = [
        replace(entry, row=replace(entry.row, labels={**entry.row.labels, "flag": "archive"}))
        if entry.line % 2
        else entry
        for entry in jobs
    ]
    write(tmp_path, put_aside, over)
    made = contents(tmp_path)
    name = list_name("label", "name", "=wf", "", "DAYS_7")
    longer = list_name("label", "name", "=wf", "", "ALL_TIME")
    for suffix in ("", "-archived"):
        front = made[f"jobs/{name}{suffix}.html"].decode()
        assert _leads(front, "Older").startswith(f"{longer}{suffix}-older-")
    assert jobs_behind(tmp_path, f"jobs/{name}.html") == 490
    assert jobs_behind(tmp_path, f"jobs/{longer}.html") == 1400


def test_labels_that_differ_by_what_stands_between_names_have_lists_of_their_own(
    tmp_path: Path,
) -> None:
    """NUL in the names and values of a hostile server's labels: each number leads to its jobs."""
    jobs, over = nightly(4)
    hostile = [
        replace(
            entry,
            row=replace(entry.row, labels={"a": "b\0"} if entry.line % 2 else {"a\0=b": "z"}),
        )
        for entry in jobs
    ]
    write(tmp_path, hostile, over)
    values = {"a": ("=b\0", 1), "a\0=b": ("", 1)}
    for key, (known, odd) in values.items():
        behind = _jobs_of(tmp_path, list_name("label", key, known, "", "ALL_TIME"))
        assert behind == {addresses.job(each.row.id)[5:] for each in jobs if each.line % 2 == odd}
    assert list_name("label", "a", "=b\0", "") != list_name("label", "a\0=b", "", "")
    assert list_name("label", "a", "\1", "") != list_name("label", "a", "\0", "")


def _jobs_of(where: Path, name: str) -> set[str]:
    """The pages of jobs that a list of all time leads to."""
    pages = [where / f"jobs/{name}.html", *where.glob(f"jobs/{name}-older-*.html")]
    hrefs = {href for page in pages for href in re.findall(r'href="([^"/]+)"', page.read_text())}
    return {href for href in hrefs if re.search(r"-[0-9a-f]{8}\.html$", href)}


def _leads(page: str, words: str) -> str:
    return page.partition(f">{words}<")[0].rpartition('href="')[2].partition('"')[0]


def test_a_site_made_night_by_night_is_that_made_at_once(tmp_path: Path) -> None:
    for count in range(3, 7):
        write(tmp_path / "nightly", *nightly(count))
    write(tmp_path / "at once", *nightly(6))
    own = _lists(tmp_path / "nightly")
    assert own == _lists(tmp_path / "at once")
    assert any("-older-" in name for name in own)


def _lists(where: Path) -> dict[str, bytes]:
    return dict(_pages(where))


def _pages(where: Path) -> Iterator[tuple[str, bytes]]:
    for name, body in contents(where).items():
        if name.startswith("jobs/label-"):
            yield name, body


def _pretend_otherwise(where: Path, pages: str = "jobs/label-%-older-%") -> set[str]:
    """Has the ledger say that full pages show something else; whichever is planned is written."""
    with closing(sqlite3.connect(where / ".jmreport" / "pages")) as ledger, ledger:
        full = f"owner LIKE '{pages}'"
        ledger.execute(f"UPDATE pages SET content = 'another' WHERE {full}")  # noqa: S608
        found = {owner for (owner,) in ledger.execute(f"SELECT owner FROM pages WHERE {full}")}  # noqa: S608
    for address in found:
        os.utime(where / address, (0, 0))
    return found


def _written_since(where: Path, addresses: Iterable[str]) -> set[str]:
    return {address for address in addresses if (where / address).stat().st_mtime}


def _numbers(addresses: Iterable[str]) -> set[int]:
    """Of full pages: which they are, counted from the oldest jobs on."""
    return {int(address.rpartition("-")[2].removesuffix(".html")) for address in addresses}


def test_full_pages_older_than_all_that_changed_are_not_planned_again(tmp_path: Path) -> None:
    """Of a year's nights each list would have hundreds of them, each to be compared."""
    remember(tmp_path, *nightly(6))
    full = _pretend_otherwise(tmp_path)
    wf = f"jobs/{list_name('label', 'name', '=wf', '', 'ALL_TIME')}-older-"
    assert _numbers(each for each in full if each.startswith(wf)) == {1, 2, 3, 4}
    remember(tmp_path, *nightly(7))
    again = _written_since(tmp_path, full)
    # The last of the full pages leads to none that is newer, so it is written once more.
    assert _numbers(each for each in again if each.startswith(wf)) == {4}
    assert list(check(tmp_path)) == []


def test_full_pages_of_past_days_stand_unless_a_job_of_theirs_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report tells of the last weeks day by day, each with all of its jobs."""
    monkeypatch.setattr(listpages, "ROWS", 20)
    one, days = tmp_path / "one", "jobs/ended-%-older-%"
    remember(one, *nightly(6))
    full = _pretend_otherwise(one, days)
    remember(one, *nightly(7))
    again = _written_since(one, full)
    # Those of the report's own day had been no list of jobs from before the window.
    assert len(full) > 10
    assert again == set()
    full = _pretend_otherwise(one, days)
    jobs, over = nightly(8)
    place = 2 * JOBS + 40
    old = jobs[place]
    jobs[place] = replace(
        old,
        run=over[-1].id,
        shard="jobs-0099",
        row=replace(old.row, user="cleo@example.org"),
    )
    remember(one, jobs, over)
    again = _written_since(one, full)
    showing = {
        name.partition("-older-")[0]
        for name, body in contents(one).items()
        if name in full and addresses.job(old.row.id)[5:].encode() in body
    }
    assert showing
    assert {address.partition("-older-")[0] for address in again} == showing
    write(tmp_path / "two", jobs, over)
    here, wanted = contents(one), contents(tmp_path / "two")
    lists = {name for name in wanted if name.startswith("jobs/ended-")}
    assert {name: here[name] for name in lists} == {name: wanted[name] for name in lists}


def test_a_full_page_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    remember(tmp_path, *nightly(6))
    wanted = contents(tmp_path)
    for address in [each for each in wanted if "-older-1" in each]:
        (tmp_path / address).unlink()
    remember(tmp_path, *nightly(6))
    assert contents(tmp_path) == wanted


def test_full_pages_change_from_an_older_job_on_that_is_another(tmp_path: Path) -> None:
    jobs, over = nightly(6)
    remember(tmp_path / "one", jobs, over)
    full = _pretend_otherwise(tmp_path / "one")
    more, later = nightly(7)
    of_third_night = next(place for place, each in enumerate(more) if each.run == over[2].id)
    old = more[of_third_night]
    more[of_third_night] = replace(
        old,
        run=later[-1].id,
        shard="jobs-0099",
        row=replace(old.row, labels={"owner": "cleo"}),
    )
    remember(tmp_path / "one", more, later)
    wf = f"jobs/{list_name('label', 'name', '=wf', '', 'ALL_TIME')}-older-"
    again = _written_since(tmp_path / "one", [each for each in full if each.startswith(wf)])
    # It was the newest of its night, so 210 jobs were submitted no later: two pages of others.
    assert _numbers(again) == {3, 4}
    write(tmp_path / "two", more, later)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_job_with_another_short_id_changes_the_page_that_shows_it(tmp_path: Path) -> None:
    """Of a million ids some begin like one of tonight's, and those are of any night."""
    remember(tmp_path / "one", *nightly(6))
    full = _pretend_otherwise(tmp_path / "one")
    jobs, over = nightly(7)
    old = jobs[JOBS + 3]
    alike = f"{old.row.id[:8]}{jobs[-1].row.id[8:].replace('b', 'c')}"
    jobs[-1] = replace(jobs[-1], row=replace(jobs[-1].row, id=alike))
    remember(tmp_path / "one", jobs, over)
    wf = f"jobs/{list_name('label', 'name', '=wf', '', 'ALL_TIME')}-older-"
    again = _written_since(tmp_path / "one", [each for each in full if each.startswith(wf)])
    # It is the 137th from the oldest on.
    assert _numbers(again) == {2, 4}
    write(tmp_path / "two", jobs, over)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
