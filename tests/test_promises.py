"""Promises by label: kept or broken, by how much, and exactly which jobs failed."""

import json
import re
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from site_cases import entries, report, runs, write
from site_numbers import jobs_behind

from jmreport.pipeline.gate import exceeded
from jmreport.records import Filters
from jmreport.render import addresses, promises, reportjson
from jmreport.render.joblists import Jobs, Lists
from jmreport.render.leads import ToLists
from jmreport.render.words import zone
from jmreport.report import FEW, MOST_PROMISES, Report
from jmreport.report.counts import SloReport
from jmreport.settings import Gate, Settings, Slo

OVER = runs()
JOBS = entries(150, OVER)


def promising(*slos: SloReport) -> Report:
    return replace(report(JOBS, OVER), slos=slos)


def shown(*slos: SloReport) -> promises.Promises:
    return table(promising(*slos))


def table(of: Report) -> promises.Promises:
    lists = Lists(Jobs(of, zone=zone("UTC"), pages=set()))
    leads = ToLists(of, lists, addresses.OVERVIEW)
    return promises.on_overview(of.slos, len(of.slos), of, leads)


def slo(succeeded: int, failed: int, target: float = 0.95, value: str = "ana") -> SloReport:
    names = tuple(entry.row.id for entry in JOBS[:failed])
    return SloReport(
        key="owner",
        value=value,
        target=target,
        days=28,
        succeeded=succeeded,
        failed=failed,
        jobs=names,
    )


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (slo(100, 0), ("Kept", "95 % in 28 days", "100 %", "100 %", "5 more may fail")),
        (slo(96, 4), ("Kept", "95 % in 28 days", "96.0 %", "20 %", "1 more may fail")),
        (slo(95, 5), ("Kept", "95 % in 28 days", "95.0 %", "used up", "none more may fail")),
        (slo(38, 2), ("Kept", "95 % in 28 days", "95.0 %", "used up", "none more may fail")),
        (slo(94, 6), ("Broken", "95 % in 28 days", "94.0 %", "used up", "1 too many")),
        (slo(3, 0), ("Kept", "95 % in 28 days", "100 %", "none may fail", "of so few jobs")),
        (slo(20, 0), ("Kept", "95 % in 28 days", "100 %", "100 %", "1 more may fail")),
        (slo(100, 0, 1.0), ("Kept", "100 % in 28 days", "100 %", "none may fail", "")),
        (slo(0, 0), ("No job ended", "95 % in 28 days", "", "", "")),
        (slo(0, 2), ("Broken", "95 % in 28 days", "0 %", "used up", "2 too many")),
        (slo(2499, 1, 0.9995), ("Kept", "99.95 % in 28 days", "99.96 %", "20 %",
                                "none more may fail")),
        (slo(9986, 14, 0.999), ("Broken", "99.9 % in 28 days", "99.86 %", "used up", "4 too many")),
        (slo(3799, 201), ("Broken", "95 % in 28 days", "94.97 %", "used up", "1 too many")),
        (slo(29996, 3, 0.9999), ("Broken", "99.99 % in 28 days", "< 99.99 %", "used up",
                                 "1 too many")),
        (slo(9, 1, 1.0), ("Broken", "100 % in 28 days", "90.0 %", "used up", "1 too many")),
    ],
)  # fmt: skip
def test_a_promise_is_said_with_its_numbers(of: SloReport, expected: tuple[str, ...]) -> None:
    """5 in 100 is 5 in 100, and 99.96 % is never 100 %."""
    (row,) = shown(of).rows
    assert (row.state, row.promised, row.rate, row.left, row.more) == expected


@given(good=st.integers(0, 60), bad=st.integers(0, 60), target=st.integers(1, 1000))
def test_broken_is_what_has_failures_too_many(good: int, bad: int, target: int) -> None:
    """Law: the word, the budget and the number beside it never contradict each other."""
    (row,) = shown(slo(good, bad, target / 1000)).rows
    assert (row.state == "Broken") == ("too many" in row.more)
    assert (row.left == "used up") or (row.state != "Broken")
    assert row.failed.text == str(bad)
    if good + bad:
        kept = good * 1000 >= target * (good + bad)
        assert (float(row.rate.removesuffix(" %")) * 10 >= target) == kept


def test_the_gate_names_the_numbers_of_the_page() -> None:
    """A rate is never said to be below the same number."""
    one = slo(9986, 14, 0.999)
    (said,) = exceeded(promising(one), Gate(fail_on=("slo",)), (Slo(label="owner", target=99.9),))
    assert said == ("gate: owner=ana succeeded in 99.86 % of 10000 jobs, and 99.9 % are promised")
    assert shown(one).rows[0].rate == "99.86 %"


@pytest.mark.parametrize(
    ("whole", "said"), [(True, ""), (False, " (not all of these days were read)")]
)
def test_where_not_all_days_were_read_gate_and_report_json_say_so(
    *, whole: bool, said: str
) -> None:
    report = promising(replace(slo(8, 2), whole=whole))
    (gate,) = exceeded(report, Gate(fail_on=("slo",)), (Slo(label="owner", target=0.95),))
    assert gate.partition(" are promised")[2] == said
    tree = json.loads(reportjson.report_json(report))
    assert [one["whole"] for one in tree["slos"]] == [whole]


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (None, True),
        (3, True),
        (0, False),
    ],
)
def test_promises_say_that_archived_jobs_are_none_of_theirs(
    left_out: int | None, said: bool
) -> None:
    """Whoever archives a failed job before it is read keeps the promise, and the page says so."""
    of = promising(slo(3, 0))
    asked = replace(of.run.asked, filters=Filters(hide_archived=True))
    hidden = replace(of.run, asked=asked, counts=replace(of.run.counts, left_out=left_out))
    assert bool(table(replace(of, run=hidden)).archived) == said
    assert not table(of).archived


def test_what_a_filter_may_have_left_out_is_not_shown() -> None:
    """Any job may have been archived, unless its flag says something else."""
    hidden = Filters(hide_archived=True)
    assert not hidden.shows({"owner": "ana"}, "Succeeded", "Failed")
    assert not hidden.shows({"flag": "archive"})
    assert hidden.shows({"flag": "keep"})


def test_broken_ones_come_first_and_all_of_them_are_shown() -> None:
    """Of the others those of which least is left; the rest is counted."""
    kept = [slo(100 + n, 1, value=f"kept {n}") for n in range(20)]
    broken = [slo(1, 1, value=f"broken {n}") for n in range(9)]
    found = shown(*kept, slo(0, 0, value="none"), *broken)
    assert [row.state for row in found.rows] == ["Broken"] * 9 + ["Kept"] * FEW
    assert found.rows[9].label.text == "owner kept 0"
    assert found.left_out == f"{21 - FEW} more promises with more left."


def test_of_many_broken_promises_three_are_named_and_the_others_counted() -> None:
    found = shown(*(slo(n, 60, value=f"b{n}") for n in range(5)), slo(9, 0))
    assert (found.broken, found.names) == (
        "5 promises",
        "owner b0, owner b1, owner b2 and 2 more",
    )
    most = [slo(n, 60, value=f"b{n}") for n in range(MOST_PROMISES + 1)]
    assert shown(*most).broken == "at least 100 promises"
    assert (shown(slo(9, 0)).broken, shown(slo(9, 0)).names) == ("", "")


def test_that_not_all_days_were_read_is_said_once_where_it_is_so_of_all() -> None:
    """Else beside those promises of which it is so."""
    part, whole = replace(slo(8, 2), whole=False), slo(9, 0, value="bo")
    found = shown(part, replace(whole, whole=False))
    assert (found.partly, [row.whole for row in found.rows]) == (True, [True, True])
    found = shown(part, whole)
    assert (found.partly, [row.whole for row in found.rows]) == (False, [False, True])


def test_the_pages_say_it_and_each_number_leads_to_its_failed_jobs(tmp_path: Path) -> None:
    """On the overview, which names broken ones below its tiles, and on the label's page."""
    settings = Settings(slo=(Slo(label="owner", target=99.9, days=7),))
    write(tmp_path, JOBS, OVER, settings=settings)
    found = {one.value: one for one in report(JOBS, OVER, settings).slos}
    assert sum(one.broken for one in found.values()) > 1
    top = (tmp_path / "index.html").read_text().partition("<h2")[0].partition('class="tiles"')[2]
    (named,) = re.findall('Broken</span> <a href="#promises">(.*?)</p>', top)
    assert named == "3 promises</a>: owner li, owner ana and owner omar"
    rows = [entry.row.id for entry in JOBS]
    for where in (
        "index.html",
        *(str(p.relative_to(tmp_path)) for p in tmp_path.glob("labels/owner-*")),
    ):
        html = (tmp_path / where).read_text()
        table = html.partition('id="promises"')[2].partition("</table>")[0]
        for row in re.findall(r"<tr>(<td.*?)</tr>", table):
            value = unescape(re.sub("<[^>]+>", "", row[row.index("<th") :].partition("</th>")[0]))
            one = (
                found.pop(value.removeprefix("owner "))
                if where != "index.html"
                else found[value.removeprefix("owner ")]
            )
            cell = row[row.index('data-label="Failed"') :].partition("</td>")[0]
            link = re.search(r'href="([^"]+)"', cell)
            assert (link is None) == (not one.failed)
            if link and one.failed > 1:
                told = (tmp_path / where).parent / link[1]
                table_of_jobs = told.read_text().partition("<tbody>")[2]
                ids = {i for i in rows if addresses.job(i).rpartition("/")[2] in table_of_jobs}
                # Archived ones stand on a page of their own, one click away.
                assert ids <= set(one.jobs)
                assert jobs_behind(tmp_path, f"jobs/{told.name}") == one.failed == len(one.jobs)
    assert found == {}
    (batch,) = [p for p in tmp_path.glob("labels/batch-*") if "page" not in p.name]
    assert 'id="promises"' not in batch.read_text()


def test_without_promises_nothing_is_said_of_them(tmp_path: Path) -> None:
    write(tmp_path, JOBS, OVER)
    assert "promises" not in (tmp_path / "index.html").read_text()


def test_a_promise_for_a_label_that_no_job_has_is_a_named_mistake(tmp_path: Path) -> None:
    """Written wrong it would look kept, and `--fail-on slo` would pass for good."""
    slos = (
        Slo(label="owner", target=0.5),
        Slo(label="onwer", target=0.95),
        Slo(label="owner=nobody", target=0.95, days=7),
    )
    found = promises.mistakes(slos, report(JOBS, OVER, Settings(slo=slos)))
    assert found == (
        "[[slo]] label = 'onwer': no job that ended in the last 28 days has this label: "
        "it promises nothing",
        "[[slo]] label = 'owner=nobody': no job that ended in the last 7 days has this label: "
        "it promises nothing",
    )
    write(tmp_path, JOBS, OVER, settings=Settings(slo=slos))
    quality = unescape((tmp_path / addresses.QUALITY).read_text())
    assert all(said in quality for said in found)
