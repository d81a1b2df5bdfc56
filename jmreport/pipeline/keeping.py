"""Looking after what there is: the store and the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jmreport.pipeline.values import Checked
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.snapshots import Store


def check(settings: Settings) -> tuple[Checked, ...]:
    """What is wrong with the store and with the site's links; empty when both are whole."""
    from jmreport.render import linkcheck

    with open_store(settings, create=False) as store:
        faults = [Checked(what=fault.what, why=fault.why) for fault in store.check()]
    if Path(settings.site.dir).exists():
        found = linkcheck.check(Path(settings.site.dir))
        faults += [Checked(what=fault.what, why=fault.why) for fault in found]
    return tuple(faults)


def open_store(settings: Settings, *, create: bool) -> Store:
    from jmreport.analysis import summarise
    from jmreport.snapshots import Store

    return Store.open(Path(settings.snapshots.dir), summarise=summarise, create=create)
