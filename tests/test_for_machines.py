"""What other programs read: report.json and its schema, the feed, MultiQC's files, the gate."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace
from site_cases import HOSTILE, entries, report, runs, write

from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.records import run_id, utc_text
from jmreport.render import feed, multiqc, reportjson
from jmreport.report.counts import ReportCounts
from jmreport.report.nights import FailedNight, NightSummary

ATOM = "{http://www.w3.org/2005/Atom}"
FIRST = datetime(2026, 11, 22, 2, 14, tzinfo=UTC)


def _build(folder: Path, number: int, *more: str) -> int:
    now = (FIRST + timedelta(days=number)).isoformat()
    places = ["--site", str(folder / "site"), "--snapshots", str(folder / "snapshots")]
    return main(["build", "--demo", "--jobs", "400", "--now", now, "-q", *places, *more])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder after its first night, and one after its second."""
    first, second = (tmp_path_factory.mktemp(f"nights-{number}") for number in (1, 2))
    assert _build(first, 0) == 0
    shutil.copytree(first, second, dirs_exist_ok=True)
    assert _build(second, 1) == 0
    return first, second


@pytest.fixture(scope="module")
def site(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machines")
    shutil.copytree(built[1], folder, dirs_exist_ok=True)
    assert _render(folder, "--format", "multiqc") == 0
    return folder / "site"


@pytest.fixture
def one_night(built: tuple[Path, Path], tmp_path: Path) -> Path:
    shutil.copytree(built[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def two_nights(built: tuple[Path, Path], tmp_path: Path) -> Path:
    shutil.copytree(built[1], tmp_path, dirs_exist_ok=True)
    return tmp_path


def _render(folder: Path, *more: str) -> int:
    places = ["--site", str(folder / "site"), "--snapshots", str(folder / "snapshots")]
    return main(["render", "-q", *places, *more])


# report.json


def _schema() -> Any:
    return json.loads(reportjson.schema())


def test_a_real_report_holds_to_the_schema_beside_it(site: Path) -> None:
    schema = json.loads((site / "data/report.schema.json").read_text())
    jsonschema.validate(json.loads((site / "data/report.json").read_text()), schema)


@pytest.mark.parametrize("nights", [1, 2])
def test_hostile_reports_hold_to_the_schema_too(nights: int) -> None:
    over = runs(nights)
    tree = json.loads(reportjson.report_json(report(entries(80, over, text=HOSTILE), over)))
    jsonschema.validate(tree, _schema())
    assert (tree["previous"] is None) == (nights == 1)


def test_the_schema_refuses_what_is_no_report(site: Path) -> None:
    tree = json.loads((site / "data/report.json").read_text())
    for broken in (
        {key: held for key, held in tree.items() if key != "verdict"},
        tree | {"counts": tree["counts"] | {"new": -1}},
        tree | {"causes": [{"id": "a"}]},
        tree | {"now": "yesterday"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, _schema())


def test_on_a_first_run_nothing_is_new_fixed_or_still_failing(one_night: Path) -> None:
    tree = json.loads((one_night / "site/data/report.json").read_text())
    assert tree["previous"] is None
    assert {tree["counts"][name] for name in ("new", "fixed", "still_failing")} == {0}
    assert tree["counts"]["failing"] > 0


def test_keys_failing_now_are_those_of_the_causes(site: Path) -> None:
    tree = json.loads((site / "data/report.json").read_text())
    counts, causes = tree["counts"], tree["causes"]
    assert sum(len(cause["jobs"]) for cause in causes) == counts["failing"]
    assert sum(len(cause["new_jobs"]) for cause in causes) == counts["new"]
    assert counts["new"] + counts["still_failing"] == counts["failing"]


# The feed


def _fed(
    nights: Sequence[NightSummary],
    failed: Sequence[FailedNight] = (),
    *,
    title: str = "Nightly",
    url: str | None = None,
    server: str = "",
) -> bytes:
    """The feed of nights that all asked one server."""
    return feed.feed(nights, failed, title=title, url=url, server=server, servers={})


def _entries(content: bytes) -> list[ET.Element]:
    return ET.fromstring(content).findall(f"{ATOM}entry")  # noqa: S314 - our own file


def _of(entry: ET.Element, name: str) -> str:
    return entry.findtext(f"{ATOM}{name}") or ""


def test_the_feed_has_an_entry_a_night_newest_first_that_leads_to_its_page(site: Path) -> None:
    content = (site / "data/feed.xml").read_bytes()
    found = _entries(content)
    assert [_of(entry, "updated") for entry in found] == [
        "2026-11-23T02:14:00Z",
        "2026-11-22T02:14:00Z",
    ]
    for entry in found:
        link = entry.find(f"{ATOM}link")
        assert link is not None
        assert (site / "data" / link.get("href", "")).resolve().is_file()


def test_the_feeds_links_are_absolute_where_the_sites_address_is_known() -> None:
    nights = report(entries(20, runs(2)), runs(2)).nights
    url = "https://reports.example.org/jobs"
    content = _fed(nights, title="Nightly", url=url, server="https://jobs.example.org")
    link = _entries(content)[0].find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == f"{url}/nights/{nights[-1].run}/index.html"


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"missing": 2, "stuck": 1, "fixed": 4}, "No new failures, 2 missing, 1 stuck"),
        ({"still_failing": 3}, "No new failures"),
        ({"new": 1, "missing": 2}, "1 new failure"),
    ],
)
def test_a_title_without_new_failures_tells_what_is_no_good_news(
    counts: dict[str, int], said: str
) -> None:
    """A feed's reader shows nothing else of an entry."""
    *_, night = report(entries(20, runs(2)), runs(2)).nights
    night = replace(night, counts=ReportCounts(total=20, **counts))
    content = _fed((night,))
    assert _of(_entries(content)[0], "title") == said


def test_an_entry_keeps_its_id_and_two_servers_never_share_one() -> None:
    nights = report(entries(20, runs(2)), runs(2)).nights
    ids = {
        _of(_entries(_fed(nights, title=title, server=server))[0], "id")
        for title in ("a", "b")
        for server in ("one", "two")
    }
    assert len(ids) == 2


def test_an_entry_is_of_the_server_that_its_run_asked() -> None:
    """Wherever that is today: no reader is told of a night again."""
    nights = report(entries(20, runs(2)), runs(2)).nights
    before = _of(_entries(_fed(nights, server="old"))[0], "id")
    later = replace(nights[-1], run=run_id(nights[-1].now + timedelta(days=1)))
    asked = {nights[-1].run: "old", later.run: "new"}
    both = (*nights, later)
    content = feed.feed(both, title="Nightly", url=None, server="new", servers=asked)
    assert [_of(entry, "id") for entry in _entries(content)][1] == before


def test_an_entry_is_the_same_however_the_servers_address_is_written(tmp_path: Path) -> None:
    over, told = runs(1), set()
    for server in ("https://jobs.example.org/api/v1", "https://jobs.example.org/"):
        asked = replace(over[0].asked, server=server)
        write(tmp_path, entries(4, over), (replace(over[0], asked=asked),))
        told.add((tmp_path / "data/feed.xml").read_bytes())
    assert len(told) == 1


def test_a_night_that_does_not_say_whom_it_asked_is_of_todays_server(one_night: Path) -> None:
    """Else such nights of two servers were one to who reads both feeds."""
    store, now = one_night / "snapshots/runs", FIRST + timedelta(days=1)
    (store / run_id(now)).mkdir()
    assert _render(one_night) == 0
    told = _entries((one_night / "site/data/feed.xml").read_bytes())[0]
    assert _of(told, "title").startswith("REPORT FAILED")
    server = json.loads((store / run_id(FIRST) / "run.json").read_bytes())["asked"]["server"]
    night = FailedNight(run=run_id(now), day=f"{now:%Y-%m-%d}", now=now, reason="")
    assert _of(told, "id") == _of(_entries(_fed((), [night], server=server))[0], "id")


def test_two_sites_of_one_server_are_two_feeds() -> None:
    """By their addresses, or else by their titles; the same site is the same at a new server."""
    nights = report(entries(20, runs(2)), runs(2)).nights

    def feed_id(url: str | None, title: str, server: str) -> str:
        root = ET.fromstring(_fed(nights, url=url, title=title, server=server))  # noqa: S314 - ours
        return root.findtext(f"{ATOM}id") or ""

    hosted = {feed_id(f"https://{at}.example", "Jobs", "s") for at in "ab"}
    assert len(hosted) == 2
    assert feed_id("https://a.example/", "Nightly", "t") in hosted
    assert len({feed_id(None, title, at) for title in "ab" for at in "st"}) == 4


def test_a_title_with_markup_and_controls_stays_text() -> None:
    nights = report(entries(20, runs(2)), runs(2)).nights
    title = f"{HOSTILE}\x00\x1b<b>&"
    content = _fed(nights, title=title, url=None, server=title)
    said = ET.fromstring(content).findtext(f"{ATOM}title")  # noqa: S314 - our own file
    assert said is not None
    assert "<b>&" in said
    assert "\x1b" not in said


def _failed(nights: Sequence[NightSummary], reason: str = "gone") -> FailedNight:
    """A night behind these that brought no report."""
    now = nights[-1].now + timedelta(days=1)
    return FailedNight(run=run_id(now), day=f"{now:%Y-%m-%d}", now=now, reason=reason)


def test_a_night_without_a_report_is_an_entry_that_stays_where_its_run_was() -> None:
    """Silence would look like success. The same id however often it was tried, or nights follow."""
    nights = report(entries(20, runs(2)), runs(2)).nights
    failed = _failed(nights)
    again = replace(failed, now=failed.now + timedelta(hours=1), runs=2)
    later = replace(nights[-1], run=run_id(failed.now + timedelta(days=1)))

    def told(*over: Any) -> list[ET.Element]:
        return _entries(_fed(*over, title="Nightly", url="https://a.example", server="s"))

    first, second, third = (
        told(nights, [failed])[0],
        told(nights, [again])[0],
        told((*nights, later), [failed])[1],
    )
    assert {_of(entry, "title") for entry in (first, second, third)} == {"REPORT FAILED: gone"}
    assert _of(first, "summary") == "The run brought nothing: gone"
    assert _of(second, "summary") == "2 runs brought nothing, the last one: gone"
    assert len({_of(entry, "id") for entry in (first, second, third)}) == 1
    assert _of(first, "updated") == _of(third, "updated") == utc_text(failed.now)
    link = first.find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == f"https://a.example/nights/index.html#failed-{failed.run}"


@pytest.mark.parametrize("reason", ["", f"{HOSTILE}\x00\x1b\ud800<b>&" + "x" * 5000])
def test_a_feed_of_nights_without_a_report_alone_is_one(reason: str) -> None:
    failed = _failed(report(entries(20, runs(2)), runs(2)).nights, reason)
    content = _fed((), [failed])
    root = ET.fromstring(content)  # noqa: S314 - our own file
    assert root.findtext(f"{ATOM}updated") == utc_text(failed.now)
    (entry,) = _entries(content)
    assert _of(entry, "title").startswith("REPORT FAILED")
    assert len(content) < 3000


# The gate


def test_the_gate_ends_with_6_after_everything_is_written(
    two_nights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    new = _new(two_nights)
    assert new > 0
    shutil.rmtree(two_nights / "site")
    assert _render(two_nights, "--fail-on", "new-failures") == Exit.GATE
    assert (two_nights / "site/index.html").exists()
    assert f"gate: {new} new failure" in capfd.readouterr().out


@pytest.mark.parametrize("limit", [("--fail-on", "new-failures"), ("--max-new", "900")])
def test_a_limit_on_new_failures_does_not_pass_where_they_were_not_asked_for(
    one_night: Path, limit: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    """That none was seen says nothing."""
    assert _build(one_night, 1, "--status", "Succeeded", *limit) == Exit.GATE
    said = capfd.readouterr().out
    assert "gate: new failures cannot be told: status Succeeded leaves out Failed" in said


def test_as_many_new_failures_as_are_allowed_pass(two_nights: Path) -> None:
    new = _new(two_nights)
    assert _render(two_nights, "--max-new", str(new)) == 0
    assert _render(two_nights, "--max-new", str(new - 1)) == Exit.GATE


def _new(folder: Path) -> int:
    tree = json.loads((folder / "site/data/report.json").read_text())
    return int(tree["counts"]["new"])


def test_a_broken_promise_is_named_with_its_numbers(
    two_nights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = two_nights / "jmreport.toml"
    config.write_text('[[slo]]\nlabel = "owner"\ntarget = 99.99\ndays = 7\n')
    assert _render(two_nights, "--fail-on", "slo", "--config", str(config)) == Exit.GATE
    assert "jobs, and 99.99 % are promised" in capfd.readouterr().out
    config.write_text(
        '[[slo]]\nlabel = "owner"\ntarget = 1\ndays = 7\n'.replace("1\n", "0.01\n", 1)
    )
    assert _render(two_nights, "--fail-on", "slo", "--config", str(config)) == 0


def test_a_gate_on_promises_passes_nobody_without_one(
    two_nights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _render(two_nights, "--fail-on", "slo") == Exit.GATE
    assert "gate: there is no promise to keep" in capfd.readouterr().out


@pytest.mark.parametrize("label", ["ownr", "owner=nobody", "ownr=li"])
def test_a_gate_on_promises_does_not_pass_where_no_job_has_the_label(
    two_nights: Path, label: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Written wrong, it would pass for good."""
    config = two_nights / "jmreport.toml"
    config.write_text(
        f'[[slo]]\nlabel = "{label}"\ntarget = 0.01\n[[slo]]\nlabel = "owner"\ntarget = 0.01\n'
    )
    assert _render(two_nights, "--fail-on", "slo", "--config", str(config)) == Exit.GATE
    said = capfd.readouterr().out
    assert f"gate: the promise of {label} cannot be told: no job that ended has this label" in said
    assert said.count("gate: ") == 1


def test_a_gate_on_promises_does_not_pass_where_a_filter_hid_all_values_of_a_label(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "jmreport.toml"
    config.write_text('[[slo]]\nlabel = "owner"\ntarget = 0.01\n')
    options = ("--name", "nobody", "--fail-on", "slo", "--config", str(config))
    assert _build(tmp_path, 0, *options) == Exit.GATE
    said = capfd.readouterr().out
    assert "gate: the promise of owner cannot be told: a filter may have left out jobs" in said


def test_a_gate_that_nobody_knows_is_a_usage_error(tmp_path: Path) -> None:
    assert _build(tmp_path, 0, "--fail-on", "everything") == Exit.USAGE


# MultiQC


def test_names_in_multiqcs_files_are_safe_in_its_page() -> None:
    """MultiQC prints names as they come, so markup in them must be text before."""
    over = runs(2)
    made = dict(multiqc.files(report(entries(80, over, text=HOSTILE), over)))
    assert made
    assert all(b"<script" not in content and b"<img" not in content for content in made.values())


def test_without_being_asked_nothing_is_written_for_multiqc(one_night: Path) -> None:
    assert not list((one_night / "site/data").glob("*_mqc.json"))


def test_multiqc_reads_the_files_and_shows_the_tables(site: Path, tmp_path: Path) -> None:
    program = os.environ.get("JMREPORT_MULTIQC") or shutil.which("multiqc")
    if program is None:
        wanted = os.environ.get("JMREPORT_TESTS_COMPLETE")
        (pytest.fail if wanted else pytest.skip)("no multiqc; `pip install multiqc` gives it")
    done = subprocess.run(  # noqa: S603 - the program that was asked for
        [program, str(site / "data"), "-o", str(tmp_path), "--no-ansi", "--no-version-check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "multiqc_report.html").read_text()
    assert "Jobs by workflow" in page
    assert "Causes of failures" in page
    written = "".join(path.read_text() for path in (tmp_path / "multiqc_data").glob("*.txt"))
    assert "germline_joint_calling" in written
