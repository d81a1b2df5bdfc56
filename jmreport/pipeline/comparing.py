"""Compare: what differs between any two runs of the store, each as it was known then."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jmreport import __version__
from jmreport.errors import JmreportError, LockedError, NothingUsableError, UsageError
from jmreport.pipeline.keeping import open_store
from jmreport.progress import Progress
from jmreport.records import Run
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.analysis.difference import Known
    from jmreport.compared import Difference

#: So many runs are named where none, or several, are meant.
MOST_SHOWN = 8


def diff(settings: Settings, first: str, second: str, *, progress: Progress) -> Difference:
    """What is otherwise after the second run than it was after the first, each as of then.

    Both are named as in `chosen`. Raises UsageError where one is not to be found, or brought
    nothing that could be compared.
    """
    from jmreport import analysis
    from jmreport.snapshots import replay

    with open_store(settings, create=False) as store:
        runs = store.runs()
        names = (chosen(runs, first).id, chosen(runs, second).id)
        with progress.step("compare", None):
            sides: dict[str, Known] = {}
            for then in replay(
                Path(settings.snapshots.dir),
                summarise=analysis.summarise,
                measure=analysis.measure,
                wanted=frozenset(names),
            ):
                run = then.runs[-1].id
                night = analysis.told(
                    then.history,
                    then.runs,
                    store.aggregations(run),
                    settings=settings.report,
                    measures=then.measures,
                )
                sides[run] = analysis.known(
                    night,
                    then.history,
                    then.runs,
                    settings.report.identity_labels,
                    earlier={job for side in sides.values() for job in side.short_ids},
                )
            return analysis.difference(sides[names[0]], sides[names[1]])


def has_site(settings: Settings) -> bool:
    """Whether there is a site of ours in which a page can be kept."""
    from jmreport.render import kept

    return kept.is_there(Path(settings.site.dir))


def keep_diff(settings: Settings, found: Difference) -> Path:
    """Puts the difference among the site's pages for good, and says where.

    Raises UsageError where there is no site yet.
    """
    from jmreport.render import kept

    folder = Path(settings.site.dir)
    if not kept.is_there(folder):
        raise UsageError(
            f"no site in {folder} to keep a page in", hint="run `jmreport render` first"
        )
    try:
        return folder / kept.keep_difference(folder, found, settings=settings, version=__version__)
    except LockedError:
        raise
    except JmreportError as error:
        raise JmreportError(
            error.message, hint="what differs was told whole; `--no-page` keeps no page of it"
        ) from error


#: "latest~2": two usable runs before the latest.
_BACK = re.compile(r"latest~(\d{1,6})")


def chosen(runs: Sequence[Run], name: str) -> Run:
    """The run that is meant by its id, the beginning of it, a date, or how far back it is.

        20261120T021400Z   20261120   2026-11-20   latest   previous   latest~2

    Of a date with several runs, the newest usable one. Raises UsageError that lists what there is,
    and NothingUsableError where there is none.
    """
    usable = [run for run in runs if run.usable]
    if not usable:
        raise NothingUsableError(
            "no run to compare: none brought anything usable", hint="run `jmreport collect` first"
        )
    back = {"latest": 0, "previous": 1}.get(name)
    if back is None and (found := _BACK.fullmatch(name)):
        back = int(found[1])
    if back is not None:
        if back >= len(usable):
            are = "is 1 usable run" if len(usable) == 1 else f"are {len(usable)} usable runs"
            raise UsageError(f"no run {name!r}: there {are}", hint=_what_there_is(usable))
        return usable[-1 - back]
    return _by_id(runs, usable, name)


def _by_id(runs: Sequence[Run], usable: Sequence[Run], name: str) -> Run:
    is_date = len(name) == len("2026-11-20") and name.count("-") == len("--")
    start = name.replace("-", "") if is_date else name
    found = [run for run in usable if start and run.id.startswith(start)]
    exact = [run for run in found if run.id == start]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if found and is_date:
        return found[-1]
    if found:
        raise UsageError(f"{name!r} may be any of several runs", hint=_what_there_is(found))
    failed = [run for run in runs if start and run.id.startswith(start)]
    if failed:
        why = f": {failed[-1].reason}" if failed[-1].reason else f" ({failed[-1].state})"
        raise UsageError(
            f"run {failed[-1].id} brought nothing to compare{why}", hint=_what_there_is(usable)
        )
    raise UsageError(f"no run {name!r}", hint=_what_there_is(usable))


def _what_there_is(runs: Sequence[Run]) -> str:
    named = ", ".join(run.id for run in reversed(runs[-MOST_SHOWN:]))
    more = len(runs) - MOST_SHOWN
    return f"one of {named}" + (f" and {more} more: `jmreport snapshots list`" if more > 0 else "")
