"""The examples of a night: their settings are settings, their commands are jmreport's."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from jmreport import commands
from jmreport.settings import Settings
from jmreport.settings_loading import checked, from_text, load_told

COMMANDS = {info.callback.__name__ for info in commands.app.registered_commands if info.callback}


def test_the_settings_on_cloud_run_are_settings(root: Path) -> None:
    """A night without a disk needs a mirror, and a deadline below the job's own limit."""
    found, _ = load_told(path=root / "examples/cloud-run/jmreport.toml", environ={})
    assert found.snapshots.mirror
    assert found.publish.to
    assert found.nightly.deadline == "2h"
    assert "--task-timeout 3h" in (root / "examples/cloud-run/deploy").read_text()


def test_the_settings_on_kubernetes_are_settings(root: Path) -> None:
    text = (root / "examples/kubernetes/cronjob.yaml").read_text()
    block = text[text.index("jmreport.toml: |\n") :].partition("\n")[2]
    lines = [line.removeprefix("    ") for line in block.splitlines()]
    found = checked(from_text("\n".join(lines), file=Path("/etc/jmreport/jmreport.toml")))
    assert found != Settings()
    assert found.api.token_file == "/secrets/token"  # noqa: S105 - a file's name
    assert "enableServiceLinks: false" in text


def test_the_deployment_names_every_step_before_it_does_any(root: Path) -> None:
    """With DRY_RUN nothing is run: there is no gcloud on this machine, and it ends with 0."""
    names = {
        "PROJECT": "p",
        "REGION": "r",
        "SITE": "example-reports-site",
        "SNAPSHOTS": "example-reports-snapshots",
        "DRY_RUN": "1",
    }
    done = subprocess.run(  # noqa: S603 - the project's own script
        [root / "examples/cloud-run/deploy"],
        cwd=root,
        env={"PATH": os.environ["PATH"]} | names,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert sum("buckets create" in line for line in lines) == 2
    assert all("--public-access-prevention" in line for line in lines if "buckets create" in line)
    assert sum("roles/storage.objectUser" in line for line in lines) == 2
    assert not any("storage.admin" in line or "roles/owner" in line for line in lines)


@pytest.mark.parametrize("script", ["cloud-run/deploy", "first-report/build", "three-weeks/build"])
def test_scripts_are_scripts(root: Path, script: str) -> None:
    subprocess.run(["/bin/sh", "-n", root / "examples" / script], check=True)  # noqa: S603 - as above


def test_every_command_that_an_example_runs_exists(root: Path) -> None:
    """In crontabs, units, containers and documents alike."""
    found = set()
    for path in sorted((root / "examples").rglob("*")):
        if path.is_file() and path.suffix != ".toml":
            found |= set(re.findall(r"\bjmreport (nightly|[a-z]+) --?[a-z]", path.read_text()))
            found |= set(re.findall(r"^\s*jmreport ([a-z]+)", path.read_text(), re.MULTILINE))
    assert {"nightly", "build"} <= found
    assert found <= COMMANDS | {"snapshots"}


def test_what_is_to_be_filled_in_or_taken_out_is_said_beside_each_example(root: Path) -> None:
    """An address of nobody's would get cron's mails; a unit does not start without its token."""
    for place, line in (
        ("cron/crontab", "MAILTO="),
        ("systemd/jmreport.service", "LoadCredential="),
    ):
        file = root / "examples" / place
        assert line in file.read_text()
        assert f"`{line}`" in (file.parent / "README.md").read_text()


def test_a_crontab_holds_no_percent_sign(root: Path) -> None:
    """cron takes it for the end of the command, and what follows for its input."""
    lines = (root / "examples/cron/crontab").read_text().splitlines()
    assert not any("%" in line for line in lines if not line.startswith("#"))
    [night] = [line for line in lines if "nightly" in line]
    assert night.split()[:5] == ["14", "2", "*", "*", "*"]
