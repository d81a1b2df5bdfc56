"""Commands for when nobody looks: `nightly` does a whole night, `doctor` says whether it could."""

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from jmreport import durations
from jmreport.errors import Exit
from jmreport.flags import ASKING, LIMITS, NIGHT, SITE, SNAPSHOTS
from jmreport.options import (
    Given,
    Jobs,
    Like,
    Now,
    OnCluster,
    Seed,
    Shards,
    UseDemo,
    Workers,
    command,
    demo_options,
    now_from,
    source_from,
)


def add_to(app: typer.Typer) -> None:
    """Makes `nightly` a command of the program."""
    command(app, *ASKING, SNAPSHOTS, SITE, *LIMITS, *NIGHT)(nightly)


def add_doctor_to(app: typer.Typer) -> None:
    """Makes `doctor` a command of the program."""
    command(app, *ASKING[:1], SNAPSHOTS, SITE)(doctor)


def nightly(
    given: Given,
    *,
    demo: UseDemo = False,
    like: Like = None,
    jobs: Jobs = None,
    seed: Seed = None,
    shards: Shards = None,
    now: Now = None,
    workers: Workers = 0,
    executor: OnCluster = "",
) -> None:
    """Build, publish, mail and prune, as far as each is set up: for cron."""
    from jmreport import pipeline

    deadline = given.settings.nightly.deadline
    outcome = pipeline.nightly(
        given.settings,
        now=now_from(now),
        source=source_from(given, demo=demo, options=demo_options(like, jobs, seed, shards, None)),
        environ=os.environ,
        progress=given.console.progress(),
        clock=lambda: datetime.now(UTC),
        workers=workers,
        executor=executor,
        within=durations.read(deadline) if deadline else None,
    )
    given.end(outcome)


def doctor(
    given: Given,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Say it as JSON: a list of what was looked at.")
    ] = False,
) -> None:
    """Try server, token, folders, bucket and mail server, and send nothing."""
    from jmreport import pipeline

    found = pipeline.doctor(given.settings, environ=os.environ, progress=given.console.progress())
    if as_json:
        given.console.data(
            [
                {"what": one.what, "state": one.state, "said": one.said, "hint": one.hint}
                for one in found
            ]
        )
    else:
        for one in found:
            if one.state == "ok" and given.console.verbosity < 0:
                continue
            given.console.answer(f"{one.state:<7} {one.what}: {one.said}")
            if one.hint:
                given.console.answer(f"          hint: {one.hint}")
    code = pipeline.worst(found)
    if code != Exit.DONE:
        raise typer.Exit(code)
