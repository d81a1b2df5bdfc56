"""How far a setting reaches: whoever remembers something asks here whether it holds under others.

A name is a key, or a table with all of its keys: "report.timezone", "report".
"""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from jmreport.settings import Settings

#: They change nothing that is rendered: of whom is asked and for what, and who hears of it. But
#: labels of teams have a column in jobs.csv, as all that settings name.
NO_PAGE = ("api", "collect", "nightly", "mail", "publish", "prune", "teams")
#: Where everything lies, which the page about the report and lines for the console name.
PLACES = ("site.dir", "snapshots")
#: What each page shows, whatever it is of.
EVERY_PAGE = ("site.title", "site.url", "actions.url", "report")
#: What a page of a job is made with: a cluster, which makes them too, is told no others.
PAGES_OF_JOBS = ("site", "report", "actions.url")
#: What a night depends on beside the snapshots: how work is known again, and its days. Whatever
#: else is set, it stays as it was told.
NIGHTS = ("report.identity_labels", "report.timezone")


def values(settings: Settings, names: Iterable[str]) -> tuple[Any, ...]:
    """What settings have under these names, in their order.

    >>> values(Settings(), ("site.title", "report.timezone"))
    ('Batch report', 'UTC')
    """
    return tuple(_value(settings, name) for name in names)


def without(settings: Settings, names: Iterable[str]) -> Settings:
    """The same settings with the defaults under these names.

    >>> from jmreport.settings import ReportSettings
    >>> without(Settings(report=ReportSettings(timezone="CET")), ("report",)) == Settings()
    True
    """
    return exchanged(settings, Settings(), names)


def exchanged(settings: Settings, others: Settings, names: Iterable[str]) -> Settings:
    """The settings, but for these names, under which they have what the others have."""
    for name in names:
        table, _, key = name.partition(".")
        put = _value(others, name)
        if key:
            put = replace(getattr(settings, table), **{key: put})
        settings = replace(settings, **{table: put})
    return settings


def _value(settings: Settings, name: str) -> Any:
    table, _, key = name.partition(".")
    found = getattr(settings, table)
    return getattr(found, key) if key else found
