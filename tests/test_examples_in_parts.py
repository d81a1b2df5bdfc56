"""The examples of a night in parts, run as they are: their site is the one of a single machine."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import lacking
from site_cases import contents

from jmreport.errors import Exit

NIGHT = "2026-11-23T02:14:00Z"
DEMO = ("--demo", "--jobs", "40")
#: Slurm's own sbatch as far as these scripts use it: it runs a job at once, an array task by task.
SBATCH = """#!/bin/sh
echo "$*" >>"$SBATCH_LOG"
array=
while :; do
  case "$1" in
    --array=1-*) array=${1#--array=1-}; shift ;;
    --*) shift ;;
    *) break ;;
  esac
done
if [ -n "$array" ]; then
  for task in $(seq "$array"); do SLURM_ARRAY_TASK_ID=$task "$@" >&2 || :; done
else
  "$@" >&2
  echo "$?" >"$SBATCH_LOG.code"
fi
echo 4711
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    """As a night would find it: the program on the path, and nothing set but what is named."""
    # Each process would compile all templates, and find all fonts, for itself.
    caches = {"XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]}
    path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "NIGHT": NIGHT, "PARTS": "2", **caches, **more}


def run(folder: Path, *command: object, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - the project's own scripts
        [str(each) for each in command],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The site of one machine."""
    folder = tmp_path_factory.mktemp("one")
    done = run(folder, "jmreport", "build", "-q", *DEMO, "--now", NIGHT, "--workers", "1")
    assert done.returncode in (Exit.DONE, Exit.INCOMPLETE), done.stderr
    return without_costs(folder)


def without_costs(folder: Path) -> dict[str, bytes]:
    """A site without the numbers of requests and their seconds, and what the settings say."""
    found = contents(folder / "site")
    del found["about.html"]
    found["quality.html"] = re.sub(
        rb'data-label="(Requests|Failed|Took)">[^<]*<|<dt>Requests</dt><dd>[^<]*<',
        b"",
        found["quality.html"],
    )
    return found


def test_a_night_with_xargs(tmp_path: Path, root: Path, one: dict[str, bytes]) -> None:
    done = run(tmp_path, root / "examples/parallel/night", *DEMO)
    assert done.returncode in (Exit.DONE, Exit.INCOMPLETE), done.stderr
    assert without_costs(tmp_path) == one
    assert len(list((tmp_path / "site-parts/20261123T021400Z").iterdir())) == 2


def test_a_night_on_slurm(tmp_path: Path, root: Path, one: dict[str, bytes]) -> None:
    """Each step waits for the one before, however that ended; a night without a run fails."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sbatch").write_text(SBATCH)
    (tmp_path / "bin/sbatch").chmod(0o755)
    log = tmp_path / "sbatch.log"
    done = run(tmp_path, root / "examples/slurm/submit", *DEMO, SBATCH_LOG=str(log))
    assert (done.returncode, done.stdout) == (0, "4711\n"), done.stderr
    assert without_costs(tmp_path) == one
    queued = log.read_text().splitlines()
    assert [re.findall(r"(\w+)\.sbatch", line) for line in queued] == [
        ["collect"], ["merge"], ["pages"], ["site"],
    ]  # fmt: skip
    assert ["--array=1-2" in line for line in queued] == [True, False, True, False]
    assert all("--dependency=afterany:4711" in line for line in queued[1:])
    assert int(Path(f"{log}.code").read_text()) in (Exit.DONE, Exit.INCOMPLETE)
    # The next night's parts never ran, and merge was killed in the one after.
    merge, site = (root / f"examples/slurm/{name}.sbatch" for name in ("merge", "site"))
    lost = {"NIGHT": "2026-11-24T02:14:00Z"}
    assert run(tmp_path, "sh", merge, **lost).returncode == Exit.USAGE
    assert run(tmp_path, "sh", site, **lost).returncode == Exit.USAGE
    assert run(tmp_path, "sh", site, NIGHT="2026-11-25T02:14:00Z").returncode == Exit.FAILED
    assert not [*tmp_path.glob("merge-*")]


def test_a_night_on_cloud_run(tmp_path: Path, root: Path, one: dict[str, bytes]) -> None:
    """Each task on a machine of its own: they meet in the mirror."""
    mirror = {"JMREPORT_SNAPSHOTS_MIRROR": str(tmp_path / "mirror")}
    examples = root / "examples/cloud-run"
    for index in range(2):
        (tmp_path / str(index)).mkdir()
        task = {"CLOUD_RUN_TASK_INDEX": str(index), "CLOUD_RUN_TASK_COUNT": "2"}
        done = run(tmp_path / str(index), examples / "part", *DEMO, **mirror, **task)
        assert done.returncode in (Exit.DONE, Exit.INCOMPLETE), done.stderr
    whole = tmp_path / "whole"
    whole.mkdir()
    to = {"JMREPORT_PUBLISH_TO": str(tmp_path / "www")}
    keep = {"JMREPORT_PRUNE_KEEP": "90d"}
    done = run(whole, examples / "whole", "publish", "prune", **mirror, **to, **keep)
    assert done.returncode == Exit.DONE, done.stderr
    assert without_costs(whole) == one
    assert (tmp_path / "www/index.html").is_file()
    assert "nothing to prune" in done.stdout + done.stderr


#: jmreport as far as scripts see it: it notes what it is asked to do, and ends as is said of that.
STUB = """#!/bin/sh
if [ "$1" = snapshots ]; then echo "$RUNS"; exit; fi
case "$*" in *" --failed "*) echo "$1--failed" ;; *) echo "$1" ;; esac >>"$ASKED"
for end in $ENDS; do [ "${end%=*}" != "$1" ] || exit "${end#*=}"; done
"""


def stubbed(
    folder: Path, *command: object, ends: str, runs: str = "20261123T021400Z  failed"
) -> tuple[int, list[str], str]:
    """How a script ended with these ends of jmreport's commands and these runs, what it asked for,
    and said."""
    (folder / "bin").mkdir()
    (folder / "bin/jmreport").write_text(STUB)
    (folder / "bin/jmreport").chmod(0o755)
    done = run(folder, *command, ASKED=str(folder / "asked"), ENDS=ends, RUNS=runs)
    return done.returncode, (folder / "asked").read_text().split(), done.stderr


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("", 0),
        ("merge=3 render=3", 0),
        ("merge=4", 4),
        ("merge=5 mail=1", 5),
        ("render=1 publish=2", 1),
        ("publish=5", 5),
        ("mail=5", 5),
    ],
)
def test_whole_does_every_step_and_ends_with_the_first_bad_code(
    tmp_path: Path, root: Path, ends: str, code: int
) -> None:
    """As a night does: nothing that one step lacks is silence."""
    whole = root / "examples/cloud-run/whole"
    found = stubbed(tmp_path, whole, "publish", "mail", ends=ends)
    assert found == (code, ["merge", "render", "publish", "mail"], "")


def test_a_part_on_cloud_run_that_is_told_to_stop_tells_jmreport(
    tmp_path: Path, root: Path
) -> None:
    """The shell is the task's first process: who it does not tell is killed ten seconds later."""
    (tmp_path / "bin").mkdir()
    stub = """#!/bin/sh
    trap 'sleep 0.2; echo stopped >>told; exit 130' TERM
    echo begun >>told
    while :; do sleep 0.05; done
    """
    (tmp_path / "bin/jmreport").write_text(stub)
    (tmp_path / "bin/jmreport").chmod(0o755)
    task = {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"}
    part = subprocess.Popen(  # noqa: S603 - the project's own script
        [root / "examples/cloud-run/part"], cwd=tmp_path, env=environment(tmp_path, **task)
    )
    told, end = tmp_path / "told", time.monotonic() + 60
    while not told.exists() or "begun" not in told.read_text():
        assert time.monotonic() < end
        time.sleep(0.02)
    part.terminate()
    assert part.wait(60) == 130
    assert told.read_text().split() == ["begun", "stopped"]


def test_a_part_on_cloud_run_that_is_told_to_stop_before_it_began_stops(
    tmp_path: Path, root: Path
) -> None:
    """Nothing is begun that nobody would stop."""
    (tmp_path / "bin").mkdir()
    for name, text in {"date": "kill -TERM $PPID", "jmreport": "echo begun >told"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    task = {"CLOUD_RUN_TASK_INDEX": "0", "CLOUD_RUN_TASK_COUNT": "2"}
    part = run(tmp_path, root / "examples/cloud-run/part", NIGHT="", **task)
    assert part.returncode == 128 + 15
    assert not (tmp_path / "told").exists()


#: Of the night before, and of one that was begun in the same minute.
OTHERS = "20261122T021400Z  complete\n20261123T021459Z  complete"


@pytest.mark.parametrize("merge", [1, 2, 4, 5, 137])
def test_whole_mails_that_a_night_brought_nothing_where_parts_could_not_be_merged(
    tmp_path: Path, root: Path, merge: int
) -> None:
    """Whatever the code: a run of the night is what there would be to tell of."""
    whole = root / "examples/cloud-run/whole"
    steps, ends = ("publish", "mail", "prune"), f"merge={merge} mail=5"
    code, asked, said = stubbed(tmp_path, whole, *steps, ends=ends, runs=OTHERS)
    assert (code, asked) == (merge, ["merge", "mail--failed"])
    assert "nothing is rendered or published" in said
    assert 'jmreport mail --log-format json --failed "the parts of $NIGHT' in whole.read_text()


@pytest.mark.parametrize(
    ("ends", "code", "rendered"),
    [
        ("collect=4 merge=4", 4, True),
        ("merge=5 render=3", 5, True),
        ("merge=3 render=3", 3, True),
        ("merge=1", 1, False),
        ("merge=2", 2, False),
        ("merge=4", 4, False),
        ("merge=5", 5, False),
    ],
)
def test_a_night_with_xargs_tells_of_a_server_that_is_dead(
    tmp_path: Path, root: Path, ends: str, code: int, *, rendered: bool
) -> None:
    """Pages say so too, and the code is that of the merge where it is bad."""
    night = root / "examples/parallel/night"
    there = {} if rendered else {"runs": OTHERS}
    ended, asked, _ = stubbed(tmp_path, night, ends=ends, **there)
    assert (ended, asked.count("render")) == (code, 3 if rendered else 0)


def test_a_night_with_xargs_waits_for_all_parts_where_one_is_killed(
    tmp_path: Path, root: Path
) -> None:
    """xargs ends at once where a signal ends a command: merge would find parts half done."""
    (tmp_path / "bin").mkdir()
    stub = """#!/bin/sh
    if [ "$1" = snapshots ]; then echo 20261123T021400Z; exit; fi
    case "$*" in *"--shard 1/"*) kill -9 $$ ;; *--shard*) sleep 0.5 ;; esac
    echo "$1" >>asked
    """
    (tmp_path / "bin/jmreport").write_text(stub)
    (tmp_path / "bin/jmreport").chmod(0o755)
    assert run(tmp_path, root / "examples/parallel/night", PARTS="3").returncode == 0
    asked = (tmp_path / "asked").read_text().split()
    assert asked == ["collect", "collect", "merge", "render", "render", "render"]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ("publish=5", 5),
        ("render=3", 3),
        ("render=3 mail=1", 1),
        ("render=1 publish=5", 1),
    ],
)
def test_a_night_on_slurm_ends_with_the_code_of_the_first_step_that_failed(
    tmp_path: Path, root: Path, ends: str, code: int
) -> None:
    """Steps that are put where the script says so: Slurm tells its owner of nothing else."""
    text = (root / "examples/slurm/site.sbatch").read_text()
    steps = re.sub(
        "^# Here can follow: (.*)$", lambda line: line[1].replace(", ", "\n"), text, flags=re.M
    )
    (tmp_path / f"merge-{NIGHT}.code").write_text("0\n")
    found = stubbed(tmp_path, "sh", "-c", steps, ends=ends)
    assert found == (code, ["render", "publish", "mail", "prune"], "")


@pytest.mark.parametrize(("ends", "code"), [("collect=3", 0), ("collect=4", 4), ("", 0)])
def test_an_incomplete_part_on_cloud_run_is_no_task_that_failed(
    tmp_path: Path, root: Path, ends: str, code: int
) -> None:
    """Its task would be tried again, and the night's execution fail before it is merged."""
    part = (
        "env",
        "CLOUD_RUN_TASK_INDEX=0",
        "CLOUD_RUN_TASK_COUNT=2",
        root / "examples/cloud-run/part",
    )
    assert stubbed(tmp_path, *part, ends=ends) == (code, ["collect"], "")


@pytest.mark.parametrize("example", ["parallel", "slurm"])
@pytest.mark.parametrize("made", [True, False])
def test_what_readmes_say_mails_of_every_night(
    tmp_path: Path, root: Path, example: str, made: bool
) -> None:
    [text] = re.findall(
        r"^ +at=.*\n(?: +\S.*\n)+", (root / f"examples/{example}/README.md").read_text(), re.M
    )
    runs = {} if made else {"runs": OTHERS}
    # On Slurm it stands in site.sbatch, which has this function.
    found = stubbed(tmp_path, "sh", "-euc", 'step() { "$@"; }\n' + text, ends="", **runs)
    assert found == (0, ["mail" if made else "mail--failed"], "")


def commands(readme: Path) -> str:
    """The commands of a README that are of several steps, as a shell reads them."""
    blocks: list[str] = re.findall(r"(?:^ {4}.*\n)+", readme.read_text(), re.MULTILINE)
    return max(blocks, key=len)


def test_the_jobs_of_a_night_in_parts_on_cloud_run_are_as_large_as_the_one_of_a_whole(
    tmp_path: Path, root: Path
) -> None:
    """The same image, account and memory; what they would be beside is paused, and old jobs go."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gcloud").write_text('#!/bin/sh\necho "gcloud $*"\n')
    (tmp_path / "bin/gcloud").chmod(0o755)
    cloud = root / "examples/cloud-run"
    said = run(tmp_path, "sh", "-euc", commands(cloud / "README.md")).stdout.splitlines()
    names = {"PROJECT": "my-project", "REGION": "europe-west1", "DRY_RUN": "1"}
    names |= {"SITE": "example-reports-site", "SNAPSHOTS": "example-reports-snapshots"}
    deployed = run(root, "examples/cloud-run/deploy", **names).stdout.splitlines()

    def flags(lines: list[str], job: str) -> dict[str, str]:
        [line] = [line for line in lines if f"run jobs deploy {job} " in line]
        return dict(re.findall(r"--(\S+) (\S+)", line))

    wanted = flags(deployed, "jmreport")
    parts, whole = (flags(said, f"jmreport-{name}") for name in ("parts", "whole"))
    for name in ("project", "region", "image", "service-account", "cpu", "memory"):
        assert wanted[name] == parts[name] == whole[name]
    assert whole["args"] == "publish,mail,prune"
    made = " ".join(deployed)
    [paused] = [line for line in said if " pause " in line]
    assert f"scheduler jobs create http {paused.split()[4]} " in made


def test_gnu_parallel_finds_the_settings_on_other_machines(tmp_path: Path, root: Path) -> None:
    """A login there begins elsewhere, with nothing of this environment."""
    gnu_parallel = shutil.which("parallel") or lacking("GNU parallel", "apt-get install parallel")
    (tmp_path / "bin").mkdir()
    (tmp_path / "login").mkdir()
    (tmp_path / "hosts").write_text("1/node-1\n1/node-2\n")
    asked = tmp_path / "asked"
    path = f"{tmp_path / 'bin'}:{Path(gnu_parallel).parent}:/usr/bin:/bin"
    for name, does in (
        (
            "ssh",
            f'shift 2; cd "{tmp_path}/login" && exec env -i SHELL=/bin/sh HOME="$PWD" '
            f'PATH="{path}" sh -c "$*"',
        ),
        ("jmreport", f'echo "$PWD $JMREPORT_CONFIG $*" >>"{asked}"'),
    ):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    text = commands(root / "examples/parallel/README.md").replace("$(date", "$(echo 2026 || date")
    home = {"HOME": str(tmp_path / "login"), "JMREPORT_CONFIG": "here.toml"}
    done = run(tmp_path, "sh", "-euc", text, **home)
    lines = [line.removeprefix(f"{tmp_path} here.toml ") for line in asked.read_text().splitlines()]
    assert sorted(lines[:8]) == [f"collect -q --shard {n}/8 --now 2026" for n in range(1, 9)], done
    assert lines[8] == "merge -q --now 2026"
    assert sorted(lines[9:17]) == [f"render -q --shard {n}/8" for n in range(1, 9)]
    assert lines[17:] == ["render --parts"]


def test_the_image_holds_the_scripts(root: Path) -> None:
    text = (root / "examples/cloud-run/Dockerfile").read_text()
    assert "COPY examples/cloud-run/part examples/cloud-run/whole /usr/local/bin/" in text
    for name in ("part", "whole"):
        assert os.access(root / "examples/cloud-run" / name, os.X_OK)
