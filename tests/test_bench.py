"""A lost order of magnitude shows: the benchmarks at a small size, which no noise makes fail."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from bench import __main__ as program
from bench import allure, bare, bareloop, browsing, corpus, onlyjobs, pages, words
from bench.cases import CASES, nights, rendering
from bench.cases.sitesize import packed
from bench.commands import filled
from bench.machine import machine
from bench.measuring import Spent, alternating, run, yardstick
from bench.rows import Row
from bench.serving import Limited
from bench.sizes import SMALL, Size
from bench.tables import Figures, markdown
from jmreport.errors import JmreportError
from jmreport.render import jobpage

#: What each group of cases has to say at the small size, where no program of others is.
GROUPS: dict[tuple[str, ...], int] = {
    ("start", "pages", "store", "asking", "history"): 11,
    ("cold", "size"): 10,
    ("again", "nights"): 7,
    ("parts", "dask"): 5,
    ("memory", "million"): 3,
}
#: Burns nine times the processor's time that a command of jmreport has taken, when it ends. What
#: makes the site with which a render has nothing to do is not measured, and let go.
TENFOLD = """
import atexit, os, sys, time
def slow():
    end = time.process_time() * 10
    while time.process_time() < end:
        pass
measured = "--help" in sys.orig_argv or os.path.exists(sys.orig_argv[-1])
if "jmreport" in sys.orig_argv and measured:
    atexit.register(slow)
"""


def command(
    out: Path, *options: str, programs: str = "/nothing", modules: str = ""
) -> tuple[int, str, list[dict[str, Any]]]:
    """The bench as anybody runs it, at the small size: exit code, words and rows.

    `programs` are folders with programs of others, `modules` where Python looks for modules first.
    """
    done = subprocess.run(  # noqa: S603 (our own)
        (sys.executable, "-m", "bench", "--small", "--out", str(out), *options),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PATH": programs, "PYTHONPATH": modules},
    )
    rows = msgspec.json.decode(out.read_bytes())["rows"] if out.exists() else []
    return done.returncode, done.stdout + done.stderr, rows


# --- the jobs, and what others make of them ------------------------------------------------------


def test_the_same_number_makes_the_same_job() -> None:
    """Any part of the corpus can be made alone, and again."""
    encode = msgspec.json.encode
    assert encode(corpus.record(7)) == encode(list(corpus.many(9))[7])
    sizes = [len(encode(corpus.record(number))) for number in range(20)]
    assert 30_000 < sum(sizes) / 20 < 38_000
    assert 1_000 < len(encode(corpus.small(7))) < 2_500


@pytest.mark.parametrize("number", [1, 7])
def test_the_bare_loop_prints_the_words_of_our_page(tmp_path: Path, number: int) -> None:
    """Else it would be fast by leaving something out."""
    corpus.fill(tmp_path, [corpus.record(number)])
    site = pages.Site(tmp_path)
    (record,) = site.records()
    theirs = bare.main(msgspec.json.decode(msgspec.json.encode(record)))
    ours = pages.without_diagram(site.page(record)[1].decode())
    assert words.alike(ours, theirs) > 0.98
    assert (
        words.alike(ours, theirs.replace("<tr>", "<tr><td>one more word in each row</td>")) < 0.98
    )


def test_commands_of_job_pages_make_a_page_of_the_same_words_for_each_job(tmp_path: Path) -> None:
    """Nothing else: no raw JSON, no list. The bare loop's two processes leave no job out either."""
    corpus.fill(tmp_path / "snapshots", corpus.many(9))
    site = pages.Site(tmp_path / "snapshots")
    frame = tmp_path / "frame.html"
    frame.write_bytes(site.page(next(site.records()))[1])
    options = {"onlyjobs": (), "bareloop": (str(frame), "2")}
    for script in options:
        subprocess.run(  # noqa: S603 (our own)
            (
                *(sys.executable, "-m", f"bench.{script}"),
                *(str(tmp_path / "snapshots"), str(tmp_path / script), *options[script]),
            ),
            check=True,
            cwd=Path(__file__).parent.parent,
            capture_output=True,
        )
    made = sorted(path.name for path in (tmp_path / "onlyjobs/jobs").iterdir())
    assert len(made) == 9
    assert made == sorted(path.name for path in (tmp_path / "bareloop/jobs").iterdir())
    for name in made:
        ours, theirs = (
            (tmp_path / script / "jobs" / name).read_text() for script in ("onlyjobs", "bareloop")
        )
        assert "<figure" not in ours
        assert words.alike(ours, theirs) > 0.98


def test_pages_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    """The ledger is kept as jmreport keeps it."""
    corpus.fill(tmp_path / "snapshots", corpus.many(3))
    make = partial(onlyjobs.make, tmp_path / "snapshots", tmp_path / "out", workers=1, whole=True)
    assert [make(), make()] == [3, 0]


@pytest.mark.parametrize("files", [1, 2, 3])
def test_every_process_of_the_bare_loop_has_its_share(tmp_path: Path, files: int) -> None:
    """Of the files, or of the lines where one file is all there is."""
    for night in range(files):
        now = corpus.NOW.replace(day=night + 1)
        corpus.fill(tmp_path, corpus.many(4, first=4 * night), now=now)
    shares = [list(bareloop.lines(tmp_path, at, 2)) for at in range(2)]
    ids = {msgspec.json.decode(line)["id"] for share in shares for line in share}
    assert ids == {each.id for each in corpus.many(4 * files)}
    assert sum(map(len, shares)) == 4 * files
    assert all(shares)


def test_allure_is_given_all_that_our_page_says_of_a_job(tmp_path: Path) -> None:
    """Tasks, times, labels, values, the failure and its log; the JSON only where both have it."""
    allure.write([corpus.record(7)], tmp_path, detail=True)
    record = corpus.record(7)
    (result,) = tmp_path.glob("*-result.json")
    tree = msgspec.json.decode(result.read_bytes())
    assert tree["status"] == "failed"
    assert "return code 137" in tree["statusDetails"]["message"]
    assert [step["name"] for step in tree["steps"]] == list(corpus.TASKS)
    assert [len(step["steps"]) for step in tree["steps"]] == [len(corpus.EVENTS)] * 3
    assert {"name": "sample", "value": "NA10007"} in tree["labels"]
    assert {"name": "reference", "value": "gs://reference/hg38/Homo_sapiens_assembly38.fasta"} in (
        tree["parameters"]
    )
    (log,) = tree["steps"][2]["attachments"]
    assert "chunk" in (tmp_path / log["source"]).read_text()
    (detail,) = tree["attachments"]
    assert msgspec.json.decode((tmp_path / detail["source"]).read_bytes()) == record.detail
    allure.write([record], tmp_path, detail=False)
    assert not list(tmp_path.glob("*-detail.json"))


def test_a_site_is_as_large_as_its_files_are_when_they_are_sent(tmp_path: Path) -> None:
    """Each gzipped by itself; what jmreport keeps for itself is not sent."""
    (tmp_path / ".jmreport").mkdir()
    (tmp_path / ".jmreport/pages").write_bytes(os.urandom(5_000))
    (tmp_path / "a.html").write_bytes(b"a" * 100_000)
    assert packed(tmp_path) < 1_000
    (tmp_path / "b.json").write_bytes(os.urandom(5_000))
    assert packed(tmp_path) > 5_000
    assert packed(tmp_path, lambda path: path.suffix != ".json") < 1_000


def test_a_page_that_is_asked_for_in_vain_is_counted() -> None:
    """The fewest requests are those without which something would be unknown."""
    server = Limited(65, rate=1e9)
    assert server.fewest == 2 + 65 + 2 * 6 + 2
    for target in ("/api/v1/capabilities", "/api/v1/jobs/gone", "/api/v1/jobs/gone"):
        server.respond("GET", target, {}, b"")
    assert sum(server.asked.values()) == 3


# --- measuring -----------------------------------------------------------------------------------


def test_sides_take_turns_and_are_weighed_in_a_round_that_does_not_count() -> None:
    came: list[tuple[str, bool]] = []

    def side(name: str, weigh: bool) -> Spent:
        came.append((name, weigh))
        return Spent(1.0, 1.0, 7 if weigh else 0, "")

    found = alternating({name: partial(side, name) for name in "ab"}, 2)
    assert came == [("a", True), ("b", True), *[("a", False), ("b", False)] * 2]
    assert [one.memory for one in found["a"]] == [7, 7]


def test_where_each_side_is_run_once_the_round_that_weighs_counts() -> None:
    """A small run is to take seconds."""
    found = alternating({"a": lambda weigh: Spent(1.0, 1.0, 7 if weigh else 0, "")}, 1)
    assert found == {"a": [Spent(1.0, 1.0, 7, "")]}


def test_a_page_that_waits_for_its_script_is_found_blank(
    tmp_path: Path, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browsing, "PATIENCE", 1_000)
    kinds = {"waits": "", "does not": "defer "}
    for name, how in kinds.items():
        page = f"<!doctype html><title>a</title><script {how}src=x.js></script><p>hello</p>"
        (tmp_path / f"{name}.html").write_text(page)
    (tmp_path / "x.js").write_text("")
    places = {name: tmp_path / f"{name}.html" for name in kinds}
    found = browsing.first_paints(browser, places)
    assert found["waits"] is None
    assert (found["does not"] or 0) > 0


# --- a small run ---------------------------------------------------------------------------------


def test_every_case_is_run_here() -> None:
    assert {*sum(GROUPS, ()), "browser"} == CASES.keys()


@pytest.mark.parametrize("cases", GROUPS, ids=" ".join)
def test_a_small_run_holds_the_order_of_magnitude(tmp_path: Path, cases: tuple[str, ...]) -> None:
    """The command itself, as anybody runs it; what is missing here has a row that says so."""
    code, said, rows = command(tmp_path / "figures.json", *cases)
    assert code == 0, said
    assert len(rows) == GROUPS[cases], said
    assert not any(row["lost"] for row in rows)
    told = [row["figure"] for row in rows if "not measured" in row["figure"]]
    assert len(told) == (3 if "cold" in cases else 0)


def test_a_browser_shows_a_small_list(tmp_path: Path, chromium: str) -> None:
    folders = f"{Path(chromium).parent}:/usr/bin:/bin"
    code, said, rows = command(tmp_path / "figures.json", "browser", programs=folders)
    assert code == 0, said
    assert len(rows) == 4
    assert not any("not measured" in row["figure"] for row in rows), said


def test_a_start_that_takes_ten_times_as_long_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TENFOLD)
    code, said, rows = command(tmp_path / "figures.json", "start", modules=str(tmp_path))
    assert code == 1, said
    assert [row["lost"] for row in rows] == [True, True], said


def test_job_pages_that_take_ten_times_as_long_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = jobpage.view

    def slow(*given: Any) -> jobpage.JobPage:
        began = time.process_time()
        found = own(*given)
        end = began + (time.process_time() - began) * 25  # the view is a part of the work
        while time.process_time() < end:
            pass
        return found

    monkeypatch.setattr(jobpage, "view", slow)
    monkeypatch.setattr(pages, "A_ROUND", 2)
    first, *_ = rendering.job_pages(replace(SMALL, jobs=4), tmp_path)
    assert first.lost, first


def test_nights_that_cost_more_the_more_there_are_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the goal already; an order of magnitude fails the run."""
    told: dict[int, dict[str, float]] = {}

    def stages(_where: Path) -> dict[str, float]:
        return told.setdefault(len(told), {"analysed": 0.1 * 2 ** len(told), "rendered": 0.1})

    monkeypatch.setattr(nights, "_stages", stages)
    rows = {row.what.rpartition(": ")[2]: row for row in nights.nights(SMALL, tmp_path)}
    assert rows["analysed"].holds is False
    assert rows["rendered"].holds is True


def test_what_is_kept_of_another_size_or_half_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of 60 jobs that passed for 2,000 held each goal."""
    where = filled(tmp_path, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(JmreportError):
            filled(tmp_path, 2)
    assert [len(records(filled(tmp_path, jobs))) for jobs in (1, 2)] == [1, 2]
    assert filled(tmp_path, 1) == where


def records(where: Path) -> list[object]:
    return [*pages.Site(where / "snapshots").records()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--jobs", "0"), "'0' is not 1 or more"),
        (("--runs", "-1"), "'-1' is not 1 or more"),
        (("--out", "nowhere/figures.json"), "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(
    options: tuple[str, str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "start", *options])
    with pytest.raises(SystemExit, match="2"):
        program.main()
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("in_process", [True, False])
def test_a_case_that_fails_ends_and_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    in_process: bool,
) -> None:
    """A run of hours keeps what it had measured, and says what broke."""

    def broken(size: Size, work: Path) -> Iterable[Row]:
        yield Row(what=f"{size.jobs} jobs", figure="1 s")
        if in_process:
            raise JmreportError("no disk left")
        run((sys.executable, "-c", "raise SystemExit('no disk left')"), where=work)

    def whole(_size: Size, _work: Path) -> Iterable[Row]:
        yield Row(what="whole", figure="2 s", goal="3 s", holds=True)

    out = tmp_path / "figures.json"
    for case, rows in (("start", broken), ("again", whole)):
        monkeypatch.setitem(CASES, case, rows)
    options = ("start", "again", "--jobs", "7", "--out", str(out))
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    assert program.main() == 1
    assert "1 of 1 goals reached" in capsys.readouterr().out
    found = msgspec.json.decode(out.read_bytes(), type=Figures)
    assert [row.what for row in found.rows] == ["7 jobs", "start", "whole"]
    assert "no disk left" in found.rows[1].figure
    assert "| whole | 2 s | 3 s | holds |" in out.with_suffix(".md").read_text()


def test_the_table_says_on_what_and_of_what() -> None:
    """What docs/performance.md shows can be read without the JSON."""
    figures = Figures(
        machine=machine(),
        size="small",
        load_before="0.1 0.2 0.3",
        load_after="1.1 1.2 1.3",
        seconds=61.0,
        rows=(Row(what="a | b", figure="1 s", goal="2 s", holds=True), Row(what="c", figure="d")),
    )
    text = markdown(figures)
    assert "| a / b | 1 s | 2 s | holds |" in text
    assert "| c | d | | |" in text
    for said in (figures.machine.processor, "0.1 0.2 0.3", "1.1 1.2 1.3", "msgspec", "Hugo"):
        assert said in text
    assert markdown(figures, figures).count("| c | d | | |") == 2
    back = msgspec.json.decode(msgspec.json.encode(figures), type=Figures)
    assert back == figures


def test_the_yardstick_is_no_nothing() -> None:
    assert 0.001 < yardstick() < 0.5
