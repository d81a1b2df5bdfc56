"""Documents, examples and locked versions: what they say is what the program does."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from settings_table import table

from jmreport import commands
from jmreport.errors import PRECEDENCE, Exit
from jmreport.flags import ASKING, PUBLISHING, SITE, SNAPSHOTS
from jmreport.gaps import Gap
from jmreport.models import TIME_FRAMES
from jmreport.records import Record
from jmreport.render import data
from jmreport.render.reportjson import REPORT_FORMAT
from jmreport.settings_example import commented
from jmreport.settings_keys import LISTS, SECTIONS
from jmreport.settings_loading import OTHER_VARIABLES, load_told

HERE = Path(__file__).parent.parent
SKIPPED = {".git", ".venv", "node_modules", ".pytest_cache", ".hypothesis"}
DOCUMENTS = sorted(
    path
    for path in HERE.rglob("*.md")
    if not any(part in SKIPPED or part.startswith(".venv") for part in path.parts)
)
COMMANDS = {
    *(info.callback.__name__ for info in commands.app.registered_commands if info.callback),
    *(str(info.name) for info in commands.app.registered_groups),
}


def read(path: str) -> str:
    return (HERE / path).read_text(encoding="utf-8")


def named(path: Path) -> str:
    return path.relative_to(HERE).as_posix()


def anchors(text: str) -> set[str]:
    """The fragments that a document's headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        path, _, fragment = link.partition("#")
        target = (document.parent / path) if path else document
        assert target.exists(), link
        if fragment:
            assert fragment in anchors(target.read_text(encoding="utf-8")), link


def test_the_readme_begins_with_a_picture_and_two_commands() -> None:
    """Each on one line, and shown before everything else."""
    text = read("README.md")
    first = text.index("## ")
    assert text.index("![") < text.index("    python3") < first
    lines = [line for line in text[:first].splitlines() if line.startswith("    ")]
    assert len(lines) == 2
    apart = "--snapshots demo/snapshots --site demo/site"
    assert lines[0].endswith(f"jmreport build --demo --timeframe DAYS_7 {apart}")
    assert "(then open `demo/site/index.html`)" in text[:first]
    assert lines[1].endswith("pytest -q -n auto")


def test_ci_runs_the_tests_as_the_readme_does_with_nothing_skipped() -> None:
    line = re.findall(r"^    (python3 .*pytest.*)$", read("README.md"), re.MULTILINE)[0]
    script = read(".ci/run")
    assert f"\n{line} || exit 1\n" in script
    assert "\nexport JMREPORT_TESTS_COMPLETE=1\n" in script
    assert os.access(HERE / ".ci/run", os.X_OK)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    used = set(re.findall(r"(?:`|^ {4}|/bin/|\* {2})jmreport ([a-z]+)", text, re.MULTILINE))
    assert used <= COMMANDS


def test_the_readme_names_every_command_and_time_frame() -> None:
    text = read("README.md")
    assert set(re.findall(r"^\| `jmreport ([a-z]+)` \|", text, re.MULTILINE)) == COMMANDS
    assert all(f"`{frame}`" in text for frame in TIME_FRAMES)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_flag_that_a_document_names_exists(document: Path) -> None:
    """Of jmreport's commands, or the benchmarks'; lines that run other programs are left out."""
    known = {flag.name for flag in (*ASKING, *PUBLISHING, SITE, SNAPSHOTS)}
    own = [*Path(HERE / "jmreport").glob("*.py")]
    if document.parent.name == "bench" or document.name == "performance.md":
        own.append(HERE / "bench/__main__.py")
    found = [f for path in own for f in re.findall(r'"(--[a-z/-]+)"', path.read_text())]
    known |= {name for flag in found for name in flag.split("/")}
    known |= {"--help"}
    # A command that goes on in the next line is one.
    for line in document.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not re.search(
            r"\b(pip|uv|npm|apt-get|sha256sum|gcloud|kubectl|useradd|systemctl|parallel|SBATCH)\b",
            line,
        ):
            assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)) - ARROWS <= known, line


#: What looks like a flag in the picture of the flow.
ARROWS = {"--collect--", "--analyse--", "--render--", "--deliver--"}


@pytest.mark.parametrize("section", SECTIONS | LISTS)
def test_every_setting_is_documented(section: str) -> None:
    """`python tests/settings_table.py` prints what belongs there."""
    assert table(section) in read("docs/settings.md")


def test_every_exit_code_is_documented_in_its_order() -> None:
    text = read("docs/exit-codes.md")
    rows = re.findall(r"^\| (\d+) \| ([a-z ]+) \|", text, re.MULTILINE)
    words = {code.name.lower().replace("_", " "): int(code) for code in Exit}
    assert {name: int(code) for code, name in rows} == words
    assert ", ".join(str(int(code)) for code in PRECEDENCE) in text


def test_variables_that_are_no_settings_are_documented() -> None:
    texts = read("docs/settings.md") + read("tests/README.md")
    assert all(name in texts for name in OTHER_VARIABLES)


def test_the_format_of_report_json_is_the_documented_one() -> None:
    assert f'"format": {REPORT_FORMAT},' in read("docs/report-json.md")
    assert f"`format` is {REPORT_FORMAT};" in read("docs/report-json.md")


def test_every_field_of_a_record_and_of_a_gap_is_documented() -> None:
    runs, text = read("docs/snapshots.md").split("**`jobs-0000.jsonl.zst`**")
    fields = {*re.findall(r"^\| `(\w+)` \|", text.partition("\n## ")[0], re.MULTILINE)}
    assert {*Record.__struct_fields__} == fields
    (told,) = re.findall(r"^\| `gaps` \| (.+)$", runs, re.MULTILINE)
    assert {*Gap.__struct_fields__} <= {*re.findall(r"\w+", told)}


def test_every_field_and_column_of_jobs_is_documented() -> None:
    _, text = read("docs/report-json.md").split("## data/jobs.ndjson and data/jobs.csv\n")
    line = msgspec.json.decode(data.schema())["$defs"]["JobRow"]["properties"]
    assert {*line, *data.COLUMNS} <= {*re.findall(r"`(\w+)`", text)}


def test_the_example_of_settings_is_the_one_that_init_writes() -> None:
    """`jmreport init --force --config examples/jmreport.toml` writes it anew."""
    assert read("examples/jmreport.toml") == commented({})
    assert load_told(path=HERE / "examples/jmreport.toml", environ={})


def test_the_first_report_of_the_examples_is_built(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "jmreport"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jmreport "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - our own example
        [HERE / "examples/first-report/build", tmp_path / "out"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}", "JOBS": "25"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "snapshots and pages are whole" in done.stdout
    assert (tmp_path / "out/site/index.html").exists()


def test_the_three_weeks_of_the_examples_are_built(tmp_path: Path) -> None:
    """As many of its nights, and jobs of them, as are enough to know that it runs."""
    program = tmp_path / "bin" / "jmreport"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m jmreport "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - our own example
        [HERE / "examples/three-weeks/build", tmp_path / "out"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "NIGHTS": "1",
            "JMREPORT_COLLECT_TIMEFRAME": "HOURS_24",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "snapshots and pages are whole" in done.stdout


def names(requirements: list[str]) -> set[str]:
    """The projects that requirements name, as an index spells them."""
    found = (re.match(r"[A-Za-z0-9._-]+", line) for line in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}


@pytest.mark.parametrize("lock", ["run", "gcs", "serve", "dask", "dev"])
def test_every_dependency_is_locked_with_hashes(lock: str) -> None:
    """requirements/README.md says how to lock again."""
    project = tomllib.loads(read("pyproject.toml"))
    wanted = project["project"]["dependencies"]
    extras = {"run": (), "gcs": ("gcs",), "serve": ("gcs", "serve"), "dask": ("dask",)}
    for extra in extras.get(lock, ("gcs", "serve", "dask")):
        wanted = wanted + project["project"]["optional-dependencies"][extra]
    if lock == "dev":
        wanted = wanted + project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    entries = re.split(r"^(?=[a-z0-9])", read(f"requirements/{lock}.txt"), flags=re.MULTILINE)
    locked = [entry for entry in entries if "==" in entry]
    assert names(wanted) <= names(locked)
    assert all("--hash=sha256:" in entry for entry in locked)


def test_no_document_names_a_machine() -> None:
    """The project speaks of itself alone: no home folder, no temporary one."""
    for document in DOCUMENTS:
        assert not re.search(r"/(root|home|tmp|work)/", document.read_text(encoding="utf-8")), (
            document
        )
