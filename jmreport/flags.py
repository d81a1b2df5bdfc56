"""The flags that stand for settings: each has a key, and takes its meaning from there."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from jmreport.errors import UsageError
from jmreport.models import TIME_FRAMES
from jmreport.settings_keys import KEYS
from jmreport.settings_loading import Value

#: How a flag is given: once with text or a number, without a value, or again and again.
Kind = Literal["text", "number", "switch", "list", "pairs"]


class Flag(Struct, frozen=True):
    """A flag, the key it sets, and the word that stands for its value in the help."""

    name: str
    key: str
    metavar: str = ""
    kind: Kind = "text"

    @property
    def parameter(self) -> str:
        """Its name in Python."""
        return self.name.removeprefix("--").replace("-", "_")

    @property
    def help(self) -> str:
        """The key's meaning, with the default where there is one to tell."""
        key = KEYS[self.key]
        told = key.meaning
        if self.kind in ("list", "pairs"):
            told += " May be given again."
        if key.path == "collect.timeframe":
            told += f" One of {', '.join(TIME_FRAMES)}."
        return told + (f" Default: {key.default}." if isinstance(key.default, str) else "")


SNAPSHOTS = Flag("--snapshots", "snapshots.dir", "DIR")
SITE = Flag("--site", "site.dir", "DIR")
KEEP = Flag("--keep", "prune.keep", "LENGTH")
API_URL = Flag("--api-url", "api.url", "URL")
#: Who may act, and where they come in.
SERVING = (
    Flag("--mode", "actions.mode", "MODE"),
    Flag("--listen", "actions.listen", "ADDRESS"),
    Flag("--port", "actions.port", "N", "number"),
    Flag("--site", "actions.site", "PLACE"),
)
#: Which jobs of a server's list.
CHOOSING = (
    Flag("--timeframe", "collect.timeframe", "FRAME"),
    Flag("--status", "collect.status", "STATUS", "list"),
    Flag("--label", "collect.labels", "KEY=VALUE", "pairs"),
    Flag("--name", "collect.name", "NAME"),
    Flag("--job-id", "collect.job_id", "ID"),
    Flag("--user-id", "collect.user_id", "ID"),
    Flag("--start", "collect.start", "DATE"),
    Flag("--end", "collect.end", "DATE"),
    Flag("--submission", "collect.submission", "DATE"),
    Flag("--hide-archived", "collect.hide_archived", kind="switch"),
    Flag("--page-size", "api.page_size", "N", "number"),
)
#: Which jobs, of which server.
ASKING = (API_URL, Flag("--project-id", "api.project_id", "ID"), *CHOOSING)
#: When a report that was written ends with 6 all the same, and what is written beside the pages.
LIMITS = (
    Flag("--fail-on", "gate.fail_on", "WHAT", "list"),
    Flag("--max-new", "gate.max_new", "N", "number"),
    Flag("--format", "site.formats", "FORMAT", "list"),
)
#: How a whole night goes.
NIGHT = (
    Flag("--deadline", "nightly.deadline", "TIME"),
    Flag("--heartbeat", "nightly.heartbeat", "FILE"),
)
#: Where the site is published to, and how.
PUBLIC = Flag("--public", "publish.public", kind="switch")
PUBLISHING = (
    PUBLIC,
    Flag("--atomic", "publish.atomic", kind="switch"),
    Flag("--threads", "publish.threads", "N", "number"),
)


def values(flags: Iterable[Flag], given: Mapping[str, Any]) -> dict[str, Value]:
    """What was given, by key. `given` maps parameters to values; None is not given."""
    found: dict[str, Value] = {}
    for flag in flags:
        value = given.get(flag.parameter)
        if value is None or value == []:
            continue
        found[flag.key] = Value(flag.name, _pairs(flag, value) if flag.kind == "pairs" else value)
    return found


def _pairs(flag: Flag, texts: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UsageError(
                f"{flag.name}: {text!r} is not a label and a value",
                hint=f"write it like {flag.name} owner=ana, once for each label",
            )
        pairs[name] = value
    return pairs
