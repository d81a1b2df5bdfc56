"""Pages of jobs from machines that share no disk: they meet in the snapshots' mirror.

gs://team-snapshots/jobs/pages/20261123T021400Z/2-of-4/jobs/germline-….html, .json
gs://team-snapshots/jobs/pages/20261123T021400Z/2-of-4/ledger      last: it makes the part whole
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jmreport.errors import DeliveryError
from jmreport.pipeline import mirroring
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.rendering import check_executor, parts_of, render
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.records import newest_usable
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.bucket import Bucket
    from jmreport.render.files import WrittenFile

#: Files copied at a time.
THREADS = 16


def render_part(
    settings: Settings,
    *,
    now: datetime,
    environ: Mapping[str, str],
    progress: Progress,
    workers: int = 0,
    executor: str = "",
    shard: str | None = None,
) -> Outcome:
    """Make the pages of one part of the jobs ("2/4"); without `shard`, the site of all parts.

    With a mirror the snapshots are pulled from there first, and pages of parts go there and come
    from there. Raises what `render` and the mirror's `pull` raise.
    """
    from jmreport.snapshots.parts import shard_from

    check_executor(executor)
    part = None if shard is None else shard_from(shard)
    mirrored = settings.snapshots.mirror is not None
    steps = [mirroring.pull(settings, now=now, environ=environ, progress=progress)]
    if mirrored and part is None:
        steps.append(_pull(settings, environ, progress))
    made = render(
        settings,
        progress=progress,
        workers=workers,
        executor=executor,
        shard="" if part is None else str(part),
        parts=part is None,
        environ=environ,
    )
    steps.append(made)
    if mirrored and made.run is not None:
        if part is None:
            steps.append(_drop(settings, made.run.id, environ, progress))
        else:
            place = parts_of(settings, made.run.id) / part.folder
            steps.append(_push(settings, made.run.id, place, environ, progress))
    return Outcome.of(*steps, run=made.run)


def _push(
    settings: Settings, run: str, place: Path, environ: Mapping[str, str], progress: Progress
) -> Outcome:
    """Sends the pages of a part. What the mirror does not take is told (exit 5)."""
    from jmreport.bucket import in_threads
    from jmreport.render.sharing import Made
    from jmreport.snapshots.mirror import LEDGER, PAGES

    below = f"{PAGES}/{run}/{place.name}"
    made = Made(place)
    try:
        with (
            mirroring.bucket_of(settings, environ, progress) as bucket,
            progress.step("push pages", None) as step,
        ):

            def send(file: WrittenFile) -> None:
                try:
                    data = made.place(file).read_bytes()
                except FileNotFoundError:
                    return  # it was moved into a site: who needs another makes it
                bucket.write(f"{below}/{file.address}", data, generation=None)
                step.advance()

            in_threads(made.files(), send, threads=THREADS)
            bucket.write(f"{below}/{LEDGER}", made.ledger.read_bytes(), generation=None)
    except DeliveryError as error:
        return Outcome.lacking("mirror: pages could not be pushed", error)
    finally:
        made.close()
    return Outcome()


def _pull(settings: Settings, environ: Mapping[str, str], progress: Progress) -> Outcome:
    """Brings the pages of all parts of the newest run. What does not come is made (and told)."""
    from jmreport.snapshots.mirror import LEDGER, PAGES

    with open_store(settings, create=False) as store:
        run = newest_usable(store.runs())
    newest = run.id if run else ""
    below, folder = f"{PAGES}/{newest}/", parts_of(settings, newest)
    try:
        with (
            mirroring.bucket_of(settings, environ, progress) as bucket,
            progress.step("pull pages", None) as step,
        ):
            ledgers = [name for name in bucket.names(below) if name.endswith(f"/{LEDGER}")]
            for name in ledgers:
                _part_in(bucket, name, folder, step.advance)
    except DeliveryError as error:
        return Outcome.lacking("mirror: pages could not be pulled, and are made here", error)
    return Outcome()


def _part_in(bucket: Bucket, name: str, folder: Path, advance: Callable[[], None]) -> None:
    from jmreport.bucket import in_threads
    from jmreport.render.files import Files, is_sum_of
    from jmreport.render.sharing import Made
    from jmreport.snapshots.mirror import LEDGER
    from jmreport.snapshots.partmirror import is_part

    *_, part, _ = name.split("/")
    found = bucket.read(name)
    if found is None or not is_part(part):
        return
    files = Files(folder / part)
    files.prepare()
    made = Made(folder / part)
    made.ledger.write_bytes(found.data)
    made.close()
    made = Made(folder / part)

    def fetch(file: WrittenFile) -> None:
        if files.size(file.address) == file.size:
            return
        page = bucket.read(f"{name.removesuffix(LEDGER)}{file.address}")
        # One that is gone, or is not what was pushed, is made.
        if page is not None and is_sum_of(file.sum, page.data):
            files.write(file.address, page.data)
        advance()

    try:
        in_threads(made.files(), fetch, threads=THREADS)
        files.settled()  # each is what the ledger says
    finally:
        files.close()
        made.close()


def _drop(
    settings: Settings,
    run: str,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """Takes the pages that are in the site now from the mirror, and those that no site needs."""
    from jmreport.snapshots import mirror

    try:
        with mirroring.bucket_of(settings, environ, progress) as bucket:
            mirror.drop(bucket, mirror.PAGES, run)
    except DeliveryError as error:
        what = "mirror: pages are in the site, and could not be removed there"
        return Outcome.lacking(what, error)
    return Outcome()
