"""Work that does not come back by its inputs is told of, with labels that would tell it apart."""

import html
from collections.abc import Mapping
from pathlib import Path

import pytest
from analysis_cases import HOUR, night, run
from analysis_cases import job as of_night
from mail_cases import DAY, NOW, job, settings
from msgspec.structs import replace
from site_cases import record
from test_cli import on_a_terminal

from jmreport import pipeline
from jmreport.analysis import measure, summarise
from jmreport.analysis.identity import unrepeated
from jmreport.analysis.nights import Nights
from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.progress import SilentProgress
from jmreport.records import Asked, Counts, Entry, Run
from jmreport.report.quality import Unrepeated
from jmreport.settings import ReportSettings
from jmreport.snapshots import Redaction, Store

SAMPLES = ("s1", "s2", "s3")


def nightly(
    *labels: Mapping[str, str], name: str = "germline", nights: int = 4, inputs: str = ""
) -> list[Entry]:
    """Jobs with these labels every night; the same inputs where `inputs` says them."""
    return [
        of_night(
            f"{name}-{ago}-{number}",
            night(ago) - HOUR,
            found=ago,
            name=name,
            key=inputs or f"{name}-{ago}-{number}",
            labels=dict(some),
        )
        for ago in range(nights)
        for number, some in enumerate(labels)
    ]


def found(jobs: list[Entry], nights: int = 4) -> Unrepeated | None:
    return unrepeated(jobs, Nights([run(n) for n in range(nights)]))


def test_the_label_that_comes_back_and_tells_a_nights_jobs_apart_is_proposed() -> None:
    """Not an owner that several share, and no id that each job has for itself."""
    jobs = [
        replace(one, row=replace(one.row, labels={**one.row.labels, "id": one.row.id}))
        for one in nightly(*({"sample": each, "owner": "ana"} for each in SAMPLES))
    ]
    assert found(jobs) == Unrepeated(labels=("sample",), workflows=("germline",))


def test_two_labels_are_proposed_where_one_does_not_do() -> None:
    both = [{"sample": each, "assay": assay} for each in SAMPLES for assay in ("wgs", "rna")]
    assert found(nightly(*both)) == Unrepeated(labels=("assay", "sample"), workflows=("germline",))


@pytest.mark.parametrize(
    ("jobs", "nights"),
    [
        (nightly({"sample": "s1"}, {"sample": "s2"}, inputs="same"), 4),
        (nightly({"owner": "ana"}, {"owner": "ana"}), 4),
        (nightly({"sample": "s1"}, {}), 4),
        (nightly(*({"sample": each} for each in SAMPLES), nights=2), 2),
        (nightly({"sample": "s1"}), 4),
        ([], 1),
    ],
    ids=["inputs come back", "no label tells", "half have it", "two nights", "few jobs", "none"],
)
def test_nothing_is_proposed_where_inputs_do_or_nobody_can_say(
    jobs: list[Entry], nights: int
) -> None:
    assert found(jobs, nights) is None


def test_labels_that_would_hide_failures_of_another_workflow_are_not_proposed() -> None:
    """They are asked of all: of fifty samples an owner would make one piece of work."""
    samples = [{"owner": "ana", "sample": f"s{number}"} for number in range(10)]
    report_of_owner = nightly({"owner": "ana"}, {"owner": "li"}, name="report")
    known = [
        replace(one, row=replace(one.row, key=one.row.labels["sample"]))
        for one in nightly(*samples)
    ]
    assert found(report_of_owner) == Unrepeated(labels=("owner",), workflows=("report",))
    assert found([*known, *report_of_owner]) is None


def test_dsubs_numbers_of_tasks_and_attempts_are_not_proposed() -> None:
    """They come back every night, for whatever stands in that line of the tasks file then."""
    jobs = [
        replace(
            one,
            row=replace(
                one.row,
                id=f"+germline--ana--26110{place // 3}-200000-000001+{place % 3 + 1}+",
                labels={"task-id": str(place % 3 + 1), "attempt": "1"},
            ),
        )
        for place, one in enumerate(nightly(*({"sample": each} for each in SAMPLES)))
    ]
    assert found(jobs) is None


def test_new_samples_every_night_are_no_work_that_comes_back() -> None:
    jobs = [
        replace(one, row=replace(one.row, labels={"sample": one.row.id}))
        for one in nightly({}, {}, {})
    ]
    assert found(jobs) is None


def test_of_several_workflows_the_labels_of_most_jobs_are_proposed() -> None:
    many = nightly(*({"sample": each} for each in SAMPLES))
    few = nightly({"donor": "d1"}, {"donor": "d2"}, name="joint")
    more = nightly(*({"sample": each} for each in SAMPLES), name="qc")
    assert found([*few, *many, *more]) == Unrepeated(
        labels=("sample",), workflows=("germline", "qc")
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Snapshots of five nights in which the same two samples fail, each with the date as input."""
    monkeypatch.chdir(tmp_path)
    five_nights(days=7)
    return tmp_path


def five_nights(days: int) -> None:
    """As above, each of which asks for so many days."""
    with Store.open(Path("snapshots"), summarise=summarise, measure=measure, create=True) as store:
        for ago in (4, 3, 2, 1, 0):
            asked = Asked(
                server="https://jobs.example.org",
                timeframe="DAYS_7" if days == 7 else "HOURS_24",
                since=NOW - (ago + days) * DAY,
            )
            with store.begin(NOW - ago * DAY, Redaction(), asked=asked, version="1") as writer:
                for sample in ("s1", "s2"):
                    one = record(job(sample, ago, "Failed"))
                    detail = {**one.detail, "inputs": {"folder": f"gs://in/{ago}"}}
                    writer.list_row(one.row)
                    writer.add(replace(one, detail=detail))
                counts = Counts(listed=2)
                now = NOW - ago * DAY
                writer.finish(
                    Run(id=writer.id, now=now, state="complete", asked=asked, counts=counts)
                )


def test_a_report_says_that_work_cannot_be_told_apart_until_labels_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the overview, on the quality page, and to who runs it, also where nothing changed."""
    said = "No work of germline comes back with the same inputs, so each failure counts as new"
    for _ in range(2):
        assert main(["render", "--workers", "1"]) == Exit.DONE
        out = capsys.readouterr().out
        assert said in out
        assert 'hint: report.identity_labels = ["sample"]' in out
    for page in ("index.html", "quality.html"):
        text = html.unescape(" ".join((folder / "site" / page).read_text().split()))
        assert f'{said}: report.identity_labels = ["sample"] would tell it apart.' in text
    told = settings(folder)
    told = replace(told, report=ReportSettings(identity_labels=("sample",)))
    outcome = pipeline.render(told, progress=SilentProgress(), workers=1)
    assert said not in "\n".join(outcome.summary)
    assert said not in (folder / "site/index.html").read_text()


def test_a_report_of_one_day_says_so_by_the_nights_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In its own window no work can come back."""
    monkeypatch.chdir(tmp_path)
    five_nights(days=1)
    assert main(["render", "--workers", "1"]) == Exit.DONE
    assert "No work of germline comes back with the same inputs" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
def test_init_and_doctor_propose_what_the_snapshots_tell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["doctor"])
    assert 'report.identity_labels = ["sample"] would tell it apart' in capsys.readouterr().out
    assert main(["init"]) == Exit.DONE
    assert 'report.identity_labels = ["sample"] would tell work apart' in capsys.readouterr().out
    settings = Path("jmreport.toml").read_text()
    assert '\n#identity_labels = ["sample"]\n' in settings
    Path("jmreport.toml").write_text(settings.replace("#identity_labels", "identity_labels"))
    main(["doctor"])
    assert "identity_labels" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "written"),
    [(b"", '\nidentity_labels = ["sample"]\n'), (b"-", "\nidentity_labels = []\n")],
    ids=["taken", "declined"],
)
def test_on_a_terminal_init_asks_whether_the_labels_shall_do(
    folder: Path, typed: bytes, written: str
) -> None:
    code, shown = on_a_terminal(folder, ["init"], b"\n" * 5 + typed + b"\n", at="Address")
    assert code == 0, shown
    assert "Labels that tell work apart" in shown
    assert written in (folder / "jmreport.toml").read_text()
