"""Aborts and labels from the shell: which jobs are meant, and what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING

from jmreport.deeds import Deed, JobState, Wish
from jmreport.errors import UsageError
from jmreport.models import JOB_STATUSES
from jmreport.pipeline.asking import client_for, credentials_for
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import Source
from jmreport.records import JobRow, newest_usable
from jmreport.settings import Settings
from jmreport.settings_checks import no_status

if TYPE_CHECKING:
    from jmreport.snapshots import Store

#: What --where can ask of a job, beside its labels.
WHERE: dict[str, Callable[[JobRow], str]] = {
    "status": lambda row: row.status,
    "name": lambda row: row.name,
    "user": lambda row: row.user or "",
    "id": lambda row: row.id,
}
_LABEL = "label."


def act(
    settings: Settings,
    wish: Wish,
    jobs: Sequence[str],
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
) -> Iterator[Deed]:
    """Send a wish for each job, once, and tell what came of each as it comes.

    Ctrl-C is raised only after what it cut short has been told too. Raises ServerError or
    RefusedError where no Job Manager answers: then nothing was sent.
    """
    from jmreport.actions import acting

    found = credentials_for(settings, source=source, environ=environ)
    with client_for(settings, found, now=now, source=source) as client:
        client.probe()
        yield from acting.act_on_all(jobs, wish, lambda job: acting.act(client, job, wish))


def states(
    settings: Settings,
    jobs: Sequence[str],
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
) -> tuple[JobState, ...]:
    """Each of the jobs as its server shows it now."""
    from jmreport.actions import acting

    found = credentials_for(settings, source=source, environ=environ)
    with client_for(settings, found, now=now, source=source) as client:
        client.probe()
        pool = ThreadPoolExecutor(settings.api.concurrency, thread_name_prefix="jmreport-read")
        try:
            return tuple(pool.map(lambda job: acting.read(client, job), jobs))
        except BaseException:
            # Requests under way end at once, so nobody who stops it waits for their answers.
            client.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def chosen(settings: Settings, where: Sequence[str]) -> tuple[JobState, ...]:
    """The jobs of the last snapshot that fit all of `where`, as it knows them, newest first.

    Each is written like status=Running or label.owner=ana. Raises UsageError for what no job can
    be asked, SnapshotError where there is no snapshot.
    """
    wanted = [_condition(text) for text in where]
    with open_store(settings, create=False) as store:
        rows = listed(store)
    refuse_no_status(where, rows)
    return tuple(state(row) for row in rows if all(fits(row) for fits in wanted))


def listed(store: Store) -> list[JobRow]:
    """The jobs of the newest usable run, without sub-workflows, newest first."""
    run = newest_usable(store.runs())
    last = run.id if run else ""
    rows = [e.row for e in store.by_run() if e.row.listed and e.last_run >= last]
    rows.sort(key=_newest_first)
    return rows


def asks(name: str) -> bool:
    """Whether --where can ask a job for it: status, label.owner."""
    return name in WHERE or (name.startswith(_LABEL) and name != _LABEL)


def _newest_first(row: JobRow) -> tuple[float, str]:
    at = row.submission or row.start
    return (-at.timestamp() if at else 0.0, row.id)


def _condition(text: str) -> Callable[[JobRow], bool]:
    name, equals, value = text.partition("=")
    if not equals or not asks(name):
        raise UsageError(
            f"--where {text}: nothing that a job can be asked",
            hint=f"write it like status=Running or label.owner=ana; there are "
            f"{', '.join(WHERE)} and {_LABEL}KEY",
        )
    if name.startswith(_LABEL):
        key = name[len(_LABEL) :]
        return lambda row: row.labels.get(key) == value
    if name == "status":
        # Typed by people: no server has two statuses that differ only so.
        return lambda row: row.status.casefold() == value.casefold()
    ask = WHERE[name]
    return lambda row: ask(row) == value


def refuse_no_status(where: Sequence[str], rows: Iterable[JobRow]) -> None:
    """Refuses a status that neither the API nor any of the jobs has: a server may have its own."""
    for text in where:
        name, _, value = text.partition("=")
        known = {word.casefold() for word in (*JOB_STATUSES, *(row.status for row in rows))}
        if name == "status" and value.casefold() not in known:
            raise UsageError(f"--where {text}: {no_status(value)}")


def state(row: JobRow) -> JobState:
    """A job as the snapshots know it."""
    return JobState(
        id=row.id,
        name=row.name,
        status=row.status,
        submission=row.submission,
        end=row.end,
        user=row.user or "",
        labels=row.labels,
    )
