"""`jmreport publish`: the site into a bucket, or a folder that a web server serves."""

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from jmreport.flags import PUBLIC, PUBLISHING, SITE
from jmreport.options import Given, Now, command, now_from


def add_to(app: typer.Typer) -> None:
    """Makes it a command of the program."""
    command(app, SITE, *PUBLISHING)(publish)


def publish(
    given: Given,
    *,
    to: Annotated[
        str | None,
        typer.Argument(
            metavar="[TO]", help="gs://bucket/prefix, or a folder. Default: publish.to."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    relist: Annotated[
        bool,
        typer.Option(
            "--relist",
            help="Look at every object instead of believing the manifest; write over others'.",
        ),
    ] = False,
    now: Now = None,
) -> None:
    """Upload what changed to a bucket or a folder; readers never meet a dead link."""
    from jmreport import pipeline
    from jmreport.settings_loading import with_value

    settings = given.settings if to is None else with_value(given.settings, "publish.to", to, "TO")
    if not (settings.publish.to or "gs://").startswith("gs://"):
        given.refuse(
            f"publishing to the folder {settings.publish.to}",
            PUBLIC,
            why="who may read a folder is not for jmreport to say",
        )
    outcome = pipeline.publish(
        settings,
        now=now_from(now),
        environ=os.environ,
        progress=given.console.progress(),
        clock=lambda: datetime.now(UTC),
        dry_run=dry_run,
        relist=relist,
    )
    given.end(outcome)
