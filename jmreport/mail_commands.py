"""`jmreport mail`: to each team what changed about its jobs."""

import os
from pathlib import Path
from typing import Annotated

import typer

from jmreport.errors import UsageError
from jmreport.flags import SITE, SNAPSHOTS
from jmreport.options import Given, Now, command, contradict, now_from


def register(app: typer.Typer) -> None:
    """Make it a command of the program."""

    @command(app, SNAPSHOTS, SITE)
    def mail(
        given: Given,
        *,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", help="Say what would be sent to whom, and send nothing."),
        ] = False,
        write: Annotated[
            Path | None,
            typer.Option(
                "--write", metavar="DIR", help="Write .eml files there, and send nothing."
            ),
        ] = None,
        again: Annotated[
            bool,
            typer.Option("--again", help="Send also what was sent already, or may have been."),
        ] = False,
        team: Annotated[
            list[str] | None,
            typer.Option("--team", metavar="NAME", help="Only to this one. May be given again."),
        ] = None,
        failed: Annotated[
            str | None,
            typer.Option(
                "--failed",
                metavar="WHY",
                help="Say that tonight brought no run, and why, in place of the newest.",
            ),
        ] = None,
        now: Now = None,
    ) -> None:
        """Send each team a mail on the newest run: what changed, why, and what is missing."""
        from jmreport import pipeline

        if dry_run and write:
            contradict("--dry-run", "--write", "one writes nothing, the other .eml files")
        if again and write:
            contradict("--again", "--write", "all mails are written, also those that were sent")
        if failed is not None and not failed.strip():
            raise UsageError(
                "--failed: no reason is given", hint="say it to the teams in a few words"
            )
        outcome = pipeline.mail(
            given.settings,
            now=now_from(now),
            dry_run=dry_run,
            write=write,
            again=again,
            teams=tuple(team or ()),
            failed=failed or "",
            environ=os.environ,
            progress=given.console.progress(),
        )
        given.end(outcome)
