"""The table of contents: collect, render, build, publish, mail, nightly, check.

    settings, now, source --collect--> a run in snapshots/ --render--> pages in site/
                                                          `--mail--> a spool, an SMTP server

Each function takes values and returns a value with the exit code it stands for; nothing here prints
or reads the clock. Rooms are imported where they are used, so that `render` loads no network
library and `--help` loads nothing at all.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from jmreport.errors import first
from jmreport.pipeline.acting import act, asks, chosen, states
from jmreport.pipeline.collecting import collect
from jmreport.pipeline.comparing import diff, has_site, keep_diff
from jmreport.pipeline.demo import demo_server
from jmreport.pipeline.doctoring import Finding, doctor, worst
from jmreport.pipeline.keeping import check, export, proposed_identity, runs, show
from jmreport.pipeline.mailing import mail
from jmreport.pipeline.mailserver import try_mailbox
from jmreport.pipeline.merging import merge
from jmreport.pipeline.nightly import nightly
from jmreport.pipeline.nights import collect_nights
from jmreport.pipeline.pagesharing import render_part
from jmreport.pipeline.parting import collect_part
from jmreport.pipeline.pruning import prune
from jmreport.pipeline.publishing import publish
from jmreport.pipeline.refreshing import refresh
from jmreport.pipeline.rendering import check_executor, early, render
from jmreport.pipeline.serving import ActionsServer, actions_server
from jmreport.pipeline.values import Checked, DemoOptions, Fault, Outcome, Source, Stored
from jmreport.progress import Progress
from jmreport.settings import Settings

__all__ = [
    "ActionsServer",
    "Checked",
    "DemoOptions",
    "Fault",
    "Finding",
    "Outcome",
    "Source",
    "Stored",
    "act",
    "actions_server",
    "asks",
    "build",
    "check",
    "chosen",
    "collect",
    "collect_nights",
    "collect_part",
    "demo_server",
    "diff",
    "doctor",
    "export",
    "has_site",
    "keep_diff",
    "mail",
    "merge",
    "nightly",
    "proposed_identity",
    "prune",
    "publish",
    "refresh",
    "render",
    "render_part",
    "runs",
    "show",
    "states",
    "try_mailbox",
    "worst",
]


def build(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
    workers: int = 0,
    executor: str = "",
    until: float | None = None,
    jobs: Sequence[str] = (),
) -> Outcome:
    """Collect, then render. When nothing usable came the site stays as it was.

    With `jobs` these alone are read again, and the pages that show them change.
    """
    check_executor(executor)
    if jobs:
        pull = partial(refresh, jobs=jobs)
    elif source.demo and source.demo.nights:
        pull = partial(collect_nights)
    else:
        pull = partial(collect, until=until)
    with early(settings, workers=workers, environ=environ) as crew:
        collected = pull(settings, now=now, source=source, environ=environ, progress=progress)
        rendered = render(
            settings,
            progress=progress,
            workers=workers,
            crew=crew,
            executor=executor,
            environ=environ,
        )
    return Outcome(
        exit=first(collected.exit, rendered.exit),
        summary=(*collected.summary, *rendered.summary),
        run=rendered.run,
    )
