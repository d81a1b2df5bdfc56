"""A site built from a server of the tests, over a socket, as `jmreport build` does it."""

from datetime import datetime
from pathlib import Path
from typing import Any

from jmreport import pipeline
from jmreport.collectors.demo import serve
from jmreport.pipeline import Outcome
from jmreport.progress import SilentProgress
from jmreport.settings import Settings, Site, Snapshots


def settings_of(root: Path, **sections: Any) -> Settings:
    """Settings of a site and a store below a folder; `sections` are others of them."""
    return Settings(
        site=Site(dir=str(root / "site")),
        snapshots=Snapshots(dir=str(root / "snapshots")),
        **sections,
    )


def build(settings: Settings, api: Any, *, now: datetime) -> Outcome:
    """Builds the report of what a server tells."""
    with serve(api, port=0) as server:
        server.start()
        return pipeline.build(
            settings,
            now=now,
            source=pipeline.Source(url=server.url),
            environ={},
            progress=SilentProgress(),
            workers=1,
        )
