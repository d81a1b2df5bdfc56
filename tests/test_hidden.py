"""Failures that a success of other work hides, by identity labels, are told of wherever they count.

Jobs of one owner in the night before the newest run, by hours before it.
"""

import html
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from analysis_cases import HOUR, job, night, runs
from held import Held
from mail_cases import ANA, seen, settings, store, written
from mail_cases import job as of_sample
from msgspec.structs import replace

from jmreport.analysis import known_hidden, verdicts
from jmreport.analysis.hiding import _hidden, _Ran
from jmreport.analysis.rows import NO_INPUTS
from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.records import Entry
from jmreport.settings import ReportSettings, Team

NIGHTS = 3


def failed(name: str, began: float, ended: float, key: str | None = None, **labels: str) -> Entry:
    return ran(name, began, ended, "Failed", name if key is None else key, **labels)


def fine(name: str, began: float, ended: float, key: str | None = None, **labels: str) -> Entry:
    return ran(name, began, ended, "Succeeded", name if key is None else key, **labels)


def ran(name: str, began: float, ended: float, status: str, key: str, **labels: str) -> Entry:
    """A job with inputs of its own; its labels are the owner's, and others of its own."""
    end = night(NIGHTS - 1) - ended * HOUR
    return job(
        name,
        end,
        status,
        found=NIGHTS - 1 if ended < 24 else NIGHTS - 2,
        took=(began - ended) * HOUR,
        key=key,
        labels={"owner": "ana", **labels},
    )


def hidden(*entries: Entry, labels: Sequence[str] = ("owner",)) -> list[str]:
    found = verdicts(Held(entries), runs(NIGHTS), labels)
    told = [entry.row.id for entry in found.hidden]
    assert not {state.entry.row.id for state in found.failing}.intersection(told)
    return told


def test_a_failure_is_hidden_by_what_had_been_submitted_by_then_and_succeeded_since() -> None:
    """Nobody ran it again: an owner makes one piece of work of both, a sample of each its own."""
    both = failed("s1", 9, 7, sample="s1"), fine("s2", 8, 6, sample="s2")
    assert hidden(*both) == ["s1"]
    assert hidden(*both, labels=("sample",)) == []
    assert hidden(*both, labels=()) == []


def test_what_failed_the_night_before_and_is_hidden_now_is_told_now() -> None:
    """It would be told as fixed."""
    assert hidden(failed("s1", 30, 25), fine("s2", 26, 6)) == ["s1"]


def test_what_failed_some_nights_before_is_told_in_the_night_that_knows_its_success_too() -> None:
    """However many runs lie between, while its state is kept; and once."""
    failure = job("s1", night(1), "Failed", found=1, key="s1", labels={"owner": "ana"})
    success = job("s2", night(4), found=4, took=80 * HOUR, key="s2", labels={"owner": "ana"})
    some = Held([failure, success])

    def of(count: int) -> list[str]:
        return [entry.row.id for entry in verdicts(some, runs(count), ("owner",)).hidden]

    assert [of(5), of(6)] == [["s1"], []]
    found = known_hidden(some, runs(6), ("owner",))
    assert found
    assert found.jobs == ("s1",)


@pytest.mark.parametrize(
    "entries",
    [
        (failed("s1", 9, 7), fine("again", 6, 5)),
        (failed("s1", 9, 7, "k"), fine("twice", 8, 6, "k")),
        (failed("s1", 9, 7, "k"), fine("s2", 8, 6), fine("again", 5, 4, "k")),
        (failed("s1", 9, 7, "k"), fine("s2", 8, 6), failed("again", 5, 4, "k")),
        (fine("s2", 9, 7), failed("s1", 9, 6)),
        (failed("s1", 9, 7), fine("li", 8, 6, owner="li")),
        (failed("s1", 40, 35), fine("s2", 38, 33)),
    ],
    ids=[
        "run again with other inputs",
        "asked for twice",
        "mended",
        "failed again",
        "ended last, so it tells",
        "other work by the labels",
        "told the night before",
    ],
)
def test_no_failure_is_hidden_that_was_run_again_or_counts(entries: tuple[Entry, ...]) -> None:
    assert hidden(*entries) == []


def test_tasks_of_an_array_hide_nothing_of_it() -> None:
    """They are told together: it counts as failing."""
    task = "+germline--ana--261102-200000-000001+{}+"
    array = failed(task.format(1), 9, 7), fine(task.format(2), 9, 6)
    assert hidden(*array) == []
    assert hidden(*array, fine("other", 8, 5)) == [task.format(1)]


@pytest.mark.parametrize("key", ["", NO_INPUTS], ids=["not known", "none"])
def test_without_inputs_other_labels_tell_whether_work_is_another(key: str) -> None:
    """One that each job has for itself does not: it names the job."""
    named = {"run": "run-s1"}, {"run": "run-s2"}
    assert hidden(failed("s1", 9, 7, key, sample="1"), fine("s2", 8, 6, key, sample="2")) == ["s1"]
    assert hidden(failed("s1", 9, 7, key), fine("s2", 8, 6, key)) == []
    assert hidden(failed("s1", 9, 7, key, **named[0]), fine("s2", 8, 6, key, **named[1])) == []


@pytest.mark.parametrize("seed", range(20))
def test_as_whoever_compares_every_two_jobs_finds(seed: int) -> None:
    random = Random(seed)  # noqa: S311 (the same jobs in every run)
    some = [one_of(random, number) for number in range(12)]

    def hides(other: _Ran, one: _Ran) -> bool:
        news = max(one.told, other.told) == 2
        return not other.failed and other.began <= one.ended < other.ended and news

    told = {
        one.id
        for one in some
        if one.failed
        and all(other.work != one.work or other[:2] <= one[:2] for other in some)
        and any(hides(other, one) for other in some)
    }
    assert {one.id for one in _hidden(some, 2)} == told


def one_of(random: Random, number: int) -> _Ran:
    began = random.randrange(20)
    ended = began + random.randrange(8) + number / 100

    def at(hours: float) -> datetime:
        return night(0) + hours * HOUR

    return _Ran(
        at(ended), f"j{number}", random.random() < 0.4, at(began), random.randrange(4),
        1 + (ended > 12),
    )  # fmt: skip


def batch(folder: Path) -> None:
    """Two nights of a batch: of ana's sample that failed in the second one, and li's."""
    of_batch = {"batch": "b1"}
    store(
        folder / "snapshots",
        [of_sample(name, 1, labels=of_batch, owner=owner) for name, owner in OWNERS],
        [of_sample(name, 0, status, labels=of_batch, owner=owner)
         for (name, owner), status in zip(OWNERS, ("Failed", "Succeeded"), strict=True)],
    )  # fmt: skip


TOML = '[report]\nidentity_labels = ["{}"]\n[gate]\nfail_on = ["new-failures"]\n'
OWNERS = (("a1", "ana"), ("l1", "li"))
SAID = (
    "is not counted: by batch it is one piece of work with others that had been submitted by "
    "then, and succeeded since"
)


def test_the_gate_passes_the_night_after_it_stopped_at_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was new then; now other work hides it."""
    monkeypatch.chdir(tmp_path)
    labels, root = {"batch": "b1"}, Path("snapshots")
    long = of_sample("l1", 0, labels=labels)
    before = [of_sample("a1", 2, labels=labels)], [of_sample("a1", 1, "Failed", labels=labels)]
    tonight = [replace(long, submission=long.submission and long.submission - 40 * HOUR)]
    Path("jmreport.toml").write_text(TOML.format("batch"))
    store(root, *before, tonight)
    assert main(["render", "--workers", "1"]) == Exit.DONE
    report = json.loads(Path("site/data/report.json").read_text())
    assert report["verdict"] == "No new failures, 1 failure hidden"
    assert "gate:" not in capsys.readouterr().out


@pytest.mark.parametrize("send", ["on-failure", "on-change"])
def test_the_team_whose_job_failed_is_told_and_no_mail_of_it_is_ok(
    tmp_path: Path, send: str
) -> None:
    """The other team's night was fine."""
    batch(tmp_path)
    told = settings(
        tmp_path, replace(ANA, send=send), Team(name="li", to=ANA.to, labels={"owner": "li"})
    )
    told = replace(told, report=ReportSettings(identity_labels=("batch",)))
    mails = written(told, tmp_path / "mails")
    assert mails["germline"]["Subject"] == "[jm] germline · Mon 23 Nov: 0 new, 1 hidden of 2"
    assert mails["li"]["Subject"] == "[jm] ok · li · Mon 23 Nov: 2 jobs"
    assert f"Hidden: 1 job {SAID}" in seen(mails["germline"])


def test_pages_and_whoever_runs_it_are_told_and_the_gate_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With labels that tell work apart it is a new failure, and nothing is hidden."""
    monkeypatch.chdir(tmp_path)
    batch(tmp_path)
    Path("jmreport.toml").write_text(TOML.format("batch"))
    assert main(["render", "--workers", "1"]) == Exit.GATE
    out = capsys.readouterr().out
    assert f"1 job that failed {SAID}\n" in out
    assert 'tell them apart: report.identity_labels = ["batch"] does not' in out
    assert "gate: new failures cannot be told: 1 job that failed is hidden by other work" in out
    report = json.loads(Path("site/data/report.json").read_text())
    assert report["verdict"] == "No new failures, 1 failure hidden"
    assert report["counts"]["hidden"] == 1
    for page in ("index.html", "quality.html", "nights/20261123T021400Z/index.html"):
        text = Path("site", page).read_text()
        assert f" {SAID}." in " ".join(html.unescape(text).replace("</a>", "").split()), page
    assert "germline-a1-0" in Path("site/nights/20261123T021400Z/index.html").read_text()
    main(["doctor"])
    assert f"in the last nights 1 job that failed {SAID}" in capsys.readouterr().out

    Path("jmreport.toml").write_text(TOML.format("sample"))
    assert main(["render", "--workers", "1"]) == Exit.GATE
    assert "gate: 1 new failure" in (out := capsys.readouterr().out)
    assert "not counted" not in out
    assert "are hidden" not in Path("site/index.html").read_text()
    main(["doctor"])
    assert "in the last nights" not in capsys.readouterr().out
