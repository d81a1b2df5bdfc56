"""Compare: what differs between any two runs of the store, each as it was known then."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jmreport import __version__
from jmreport.errors import JmreportError, LockedError, UsageError
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.naming import chosen
from jmreport.progress import Progress
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.analysis.difference import Known
    from jmreport.compared import Difference


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
                run, history = then.runs[-1].id, analysis.Beneath(then.history)
                night = analysis.told(
                    history,
                    then.runs,
                    store.aggregations(run),
                    settings=settings.report,
                    measures=then.measures,
                )
                sides[run] = analysis.known(
                    night,
                    history,
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
