"""`jmreport snapshots`: the runs, what is stored of a job, and all of it as plain JSON."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE_IDS, PAYLOADS
from hypothesis import given, settings
from hypothesis import strategies as st
from snapshot_cases import record, write_run

from jmreport.analysis import summarise
from jmreport.cli import main
from jmreport.console import json_text
from jmreport.errors import Exit
from jmreport.records import Record
from jmreport.snapshots import Store
from jmreport.snapshots.export import name_of

TAKEN_OUT = "[taken out]"
FIRST, SECOND = "20261123T021400Z", "20261124T021400Z"
DSUB = "+align--root--261123-195941-511590+30+"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of two nights in it: job-1 failed, and succeeded a night later."""
    monkeypatch.chdir(tmp_path)
    write_run(Path("snapshots"), [record(1, "Failed"), record(2), record(12), of(DSUB)])
    write_run(Path("snapshots"), [record(1, "Succeeded")], days=1)
    return tmp_path


def of(job: str, **detail: Any) -> Record:
    row = {"id": job, "name": "align", "status": "Failed", "submission": "2026-11-23T01:00:00Z"}
    return Record(id=job, row=row, detail={**row, **detail})


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert main(["snapshots", "show", *args]) == Exit.DONE
    tree = json.loads(capsys.readouterr().out)
    assert isinstance(tree, dict)
    return tree


# List


@pytest.mark.usefixtures("folder")
def test_runs_are_listed_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshots", "list"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "state", "asked", "listed", "read", "gaps"]
    assert [line.split()[:2] for line in lines[1:3]] == [[FIRST, "complete"], [SECOND, "complete"]]
    assert lines[3] == "2 runs, 4 jobs"


def test_a_run_whose_clock_was_set_back_says_when_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is called by the run before it, whose clock ran ahead."""
    write_run(folder / "snapshots", [record(3)], days=-30)
    assert main(["snapshots", "list"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["run", "now", "state"]
    assert lines[3].startswith(f"{SECOND}-0002  2026-10-24 02:14 UTC  complete")


def test_without_a_subcommand_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshots"]) == Exit.USAGE
    shown = capsys.readouterr().out
    assert "export" in shown
    main(["snapshots", "--help"])
    assert capsys.readouterr().out.strip() == shown.strip()


@pytest.mark.parametrize("name", ["@eaDir", "lost+found", ".snap", "2026", "20261123T021400Z~"])
def test_a_folder_that_is_called_otherwise_is_no_run(
    folder: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Disks and those who look after them put some there; the next run is called by its time."""
    strange = folder / "snapshots/runs" / name
    strange.mkdir()
    (strange / "of-others").touch()
    assert main(["snapshots", "list"]) == Exit.DONE
    assert capsys.readouterr().out.splitlines()[-1] == "2 runs, 4 jobs"
    write_run(Path("snapshots"), [record(3)], days=2)
    assert main(["snapshots", "list"]) == Exit.DONE
    assert capsys.readouterr().out.splitlines()[-2].split()[0] == "20261125T021400Z"
    assert [path.name for path in strange.iterdir()] == ["of-others"]


@pytest.mark.parametrize("words", [["list"], ["show", "x"], ["export", "out"]])
def test_without_snapshots_there_is_nothing_to_show(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    """Exit 4 and a hint; nothing is made on the way."""
    monkeypatch.chdir(tmp_path)
    assert main(["snapshots", *words]) == Exit.NOTHING_USABLE
    assert "run `jmreport collect` first" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# Show


@pytest.mark.usefixtures("folder")
def test_a_job_is_shown_as_it_is_stored(capsys: pytest.CaptureFixture[str]) -> None:
    tree = shown(capsys, "job-1")
    assert tree["run"] == SECOND
    assert (tree["id"], tree["detail"]["status"]) == ("job-1", "Succeeded")
    assert tree["detail"]["inputs"]["db_password"] == TAKEN_OUT


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("wanted", "job"),
    [("job-2", "job-2"), ("JOB-2", "job-2"), ("job-12", "job-12"), (DSUB, DSUB), ("+al", DSUB),
     ("align-", DSUB), ("align--r…1590+30", DSUB), ("align--r...1590+30", DSUB)],
)  # fmt: skip
def test_a_job_is_found_by_its_id_its_beginning_and_its_short_form(
    capsys: pytest.CaptureFixture[str], wanted: str, job: str
) -> None:
    """Also one that another id begins with, and those that pages cut in the middle."""
    assert shown(capsys, wanted)["id"] == job


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["job-"], "'job-' may be any of several jobs", "one of job-1, job-12, job-2"),
        (["nobody"], "no job 'nobody' in snapshots", "the beginning of it"),
        ([""], "no job '' in snapshots", "the beginning of it"),
        (["job-1", "--run", "2025"], "no run '2025' in snapshots", "snapshots list"),
        (["job-3", "--run", FIRST], "no job 'job-3' in snapshots", "the beginning of it"),
    ],
)
def test_what_cannot_be_shown_is_a_line_and_a_hint(
    capsys: pytest.CaptureFixture[str], args: list[str], message: str, hint: str
) -> None:
    assert main(["snapshots", "show", *args]) == Exit.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert hint in err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("run", [FIRST, "20261123", "2026-11-23", "previous", "latest~1"])
def test_an_earlier_state_is_shown_by_its_run(capsys: pytest.CaptureFixture[str], run: str) -> None:
    tree = shown(capsys, "job-1", "--run", run)
    assert (tree["run"], tree["detail"]["status"]) == (FIRST, "Failed")
    assert shown(capsys, "job-2", "--run", SECOND)["run"] == FIRST


def test_a_job_that_a_run_did_not_know_yet_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(folder / "snapshots", [record(77)], days=2)
    assert main(["snapshots", "show", "job-77", "--run", FIRST]) == Exit.USAGE
    assert f"job job-77 was not known yet after run {FIRST}" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_raw_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshots", "show", "job-1", "--raw"]) == Exit.DONE
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_detail_that_is_older_than_its_row_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server still lists the job and answers 500 for it: what was read before is kept."""
    gone = record(2)
    write_run(folder / "snapshots", [Record(id="job-2", row={**gone.row, "z": 1})], days=2)
    assert main(["snapshots", "show", "job-2"]) == Exit.DONE
    out, err = capsys.readouterr()
    assert json.loads(out)["detail"]["inputs"]["sample"] == "NA2"
    assert f"could not read the detail; it is of run {FIRST}" in err


def test_a_reader_that_goes_away_is_no_mistake(folder: Path) -> None:
    """`jmreport snapshots show ID | head -n 1`."""
    write_run(folder / "snapshots", [of("big", noise=["x" * 50] * 20_000)], days=2)
    reading, writing = os.pipe()
    showing = subprocess.Popen(
        [sys.executable, "-m", "jmreport", "snapshots", "show", "big"],
        cwd=folder, stdout=writing, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(writing)
    assert os.read(reading, 2) == b"{\n"
    os.close(reading)
    _, err = showing.communicate(timeout=30)
    assert (showing.returncode, err) == (0, b"")


@given(st.text(), st.text())
@settings(max_examples=200)
def test_no_stored_text_disturbs_a_terminal_and_all_of_it_comes_back(key: str, text: str) -> None:
    """Control characters, bidi marks and line separators are JSON's escapes; the rest is itself."""
    tree = {key + "\x9b\u202e\U000e0001": [text, "\x1b[31m", 1, None]}
    told = json_text(tree)
    assert json.loads(told) == tree
    unseen = {char for char in told if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")}
    assert unseen <= {"\n"}
    assert "é" in json_text("é")


# Export


def exported(folder: Path) -> dict[str, Any]:
    """Id -> the tree of its file, by the export's index."""
    lines = [json.loads(line) for line in (folder / "index.ndjson").read_bytes().splitlines()]
    return {line["id"]: json.loads((folder / line["file"]).read_text()) for line in lines}


def whole(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.usefixtures("folder")
def test_everything_is_exported_as_plain_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A file a job, found through the index; the runs with their lists; all without zstd."""
    assert main(["snapshots", "export", "out"]) == Exit.DONE
    assert "exported 4 jobs to out/index.ndjson" in capsys.readouterr().out
    trees = exported(Path("out"))
    assert trees.keys() == {"job-1", "job-2", "job-12", DSUB}
    with Store.open(Path("snapshots"), summarise=summarise) as store:
        for job, tree in trees.items():
            kept = store.record(job)
            assert (tree["id"], tree["row"], tree["detail"]) == (job, kept.row, kept.detail)
    about = json.loads(Path("out/export.json").read_text())
    assert (about["whole"], about["jobs"], about["runs"]) == (True, 4, [FIRST, SECOND])
    rows = Path(f"out/runs/{FIRST}/list.ndjson").read_text().splitlines()
    assert [json.loads(row)["id"] for row in rows] == ["job-1", "job-2", "job-12", DSUB]
    assert json.loads(Path(f"out/runs/{SECOND}/run.json").read_text())["state"] == "complete"
    assert not list(Path("out").rglob("*.zst"))
    assert not list(Path("out").rglob("*.tmp"))


@pytest.mark.usefixtures("folder")
def test_history_holds_the_earlier_states(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snapshots", "export", "out", "--history"]) == Exit.DONE
    assert "1 earlier state" in capsys.readouterr().out
    [state] = Path("out/history").rglob("*.json")
    assert state == Path(f"out/history/{FIRST}") / name_of("job-1")
    assert json.loads(state.read_text())["detail"]["status"] == "Failed"


def test_an_export_is_brought_up_to_date_by_the_next(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only what changed is written, and an export that was stopped is completed."""
    main(["snapshots", "export", "out"])
    first = whole(Path("out"))
    for name in list(first)[:3]:
        if name.startswith("jobs/"):
            Path("out", name).unlink()
    Path("out/jobs/leftover.tmp").write_bytes(b"{")
    write_run(folder / "snapshots", [record(2, "Failed")], days=2)
    main(["snapshots", "export", "out"])
    again = whole(Path("out"))
    changed = {name for name in first if first[name] != again[name]}
    assert f"jobs/{name_of('job-2')}" in changed
    assert f"jobs/{name_of('job-12')}" not in changed
    assert exported(Path("out"))["job-2"]["detail"]["status"] == "Failed"
    assert "exported 4 jobs" in capsys.readouterr().out
    main(["snapshots", "export", "out"])
    assert capsys.readouterr().out.endswith(": 0 files written\n")


@pytest.mark.usefixtures("folder")
def test_lists_of_runs_that_an_export_has_are_not_read_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A run never changes; but for one that was stopped, or has another run of that name."""
    main(["snapshots", "export", "out"])
    lists = Path(f"snapshots/runs/{FIRST}/query.jsonl.zst")
    there, about = Path(f"out/runs/{FIRST}/list.ndjson"), Path("out/export.json")
    kept, said = lists.read_bytes(), about.read_text()
    lists.write_bytes(b"nothing that can be read")
    assert main(["snapshots", "export", "out"]) == Exit.DONE
    lists.write_bytes(kept)
    for path, text in ((about, said.replace("true", "false")), (there.with_name("run.json"), "{}")):
        path.write_text(text)
        there.write_text("half of it")
        assert main(["snapshots", "export", "out"]) == Exit.DONE
        assert len(there.read_bytes().splitlines()) == 4
    there.unlink()
    capsys.readouterr()
    main(["snapshots", "export", "out"])
    assert capsys.readouterr().out.endswith(": 1 files written\n")


@pytest.mark.usefixtures("folder")
def test_a_folder_with_something_else_in_it_is_left_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("precious")
    for target in ("mine", "mine/thesis.txt", "snapshots", "."):
        assert main(["snapshots", "export", target]) == Exit.USAGE
        assert "name a new or empty" in capsys.readouterr().err
    assert whole(Path("mine")) == {"thesis.txt": b"precious"}


@pytest.mark.usefixtures("folder")
def test_a_folder_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A file stands where a folder is needed, which stops root too; a full disk is told alike."""
    Path("file").write_text("")
    assert main(["snapshots", "export", "file/out"]) == Exit.FAILED
    err = capsys.readouterr().err
    assert "cannot write file/out: Not a directory" in err
    assert "name another folder" in err


def test_no_id_chooses_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that climb, end in dots, differ in case only, or are devices elsewhere."""
    monkeypatch.chdir(tmp_path)
    ids = [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "CON",
        "con",
        "a" * 400,
        "ä",
        "a\nb",
        *HOSTILE_IDS,
        *PAYLOADS,
    ]
    ids = [
        job for job in dict.fromkeys(ids) if job and job == job.encode(errors="replace").decode()
    ]
    write_run(Path("snapshots"), [of(job) for job in ids])
    assert main(["snapshots", "export", "deep/out"]) == Exit.DONE
    assert {path.name for path in tmp_path.iterdir()} == {"snapshots", "deep"}
    assert exported(Path("deep/out")).keys() >= {"../../etc/passwd", "CON", "con", "..", "a\nb"}
    names = [
        path.relative_to("deep/out").as_posix() for path in Path("deep/out/jobs").rglob("*.json")
    ]
    assert len({name.lower() for name in names}) == len(names) == len(ids)
    assert all(name.isascii() and len(name) < 100 for name in names)


def test_many_jobs_are_exported_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies stream: 60 MB of them cost less than 60 MB more than none."""
    monkeypatch.chdir(tmp_path)
    noise = [f"{n:x}" * 40 for n in range(420)]
    write_run(Path("snapshots"), [of(f"job-{n}", noise=noise) for n in range(1_500)])
    program = (
        "from jmreport.cli import main\n"
        "code = main(['-q', 'snapshots', 'export', 'out'])\n"
        # Not ru_maxrss, which begins with the memory of the process that started this one.
        "lines = open('/proc/self/status').read().splitlines()\n"
        "print(code, next(line.split()[1] for line in lines if line.startswith('VmHWM:')))"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    code, peak = map(int, done.stdout.split())
    assert code == Exit.DONE
    assert len(list(Path("out/jobs").rglob("*.json"))) == 1_500
    assert peak < 200_000
