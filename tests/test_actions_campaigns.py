"""Small doses of the actions server's long campaigns: many at once, and one who reads closely."""

from argparse import Namespace

import pytest
from campaigns import load, schema


def test_readers_and_actors_at_once_meet_no_error_and_the_audit_is_complete(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert load.main(Namespace(seconds=3.0, readers=20, actors=4, jobs=150)) == 0
    said = capsys.readouterr().out
    # A dose in which nobody did anything would find nothing.
    actions = int(said.partition(" actions, ")[0].rpartition("\n")[2])
    assert actions >= 4
    assert f"{actions} lines asked and {actions} came in the audit, {actions} at the Job" in said


def test_schemathesis_finds_nothing_in_the_servers_description(
    schemathesis: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """And no action of it reaches the Job Manager."""
    assert schema.run(schemathesis, 2) == 0
    said = capfd.readouterr().out
    assert "Tested: 7" in said
    assert " and 0 actions at the Job Manager" in said
