"""The store and its twin in a bucket (`[snapshots] mirror`): pulled before a run, pushed after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jmreport.errors import ChangedError, DeliveryError, Exit, NothingUsableError
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.bucket import Bucket
    from jmreport.snapshots import Store
    from jmreport.snapshots.mirror import Mirrored

#: Whose lack is told, and why.
_SNAPSHOTS = "mirror: snapshots"


def around(
    settings: Settings,
    does: Callable[[], Outcome],
    *,
    now: datetime,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """What a run came to that `does` makes on top of what other machines pushed, and that is then
    pushed itself."""
    pulled = pull(settings, now=now, environ=environ, progress=progress)
    push_all = partial(push, settings, now=now, environ=environ, progress=progress)
    return handed_on(does, pulled=[pulled], push=push_all, progress=progress)


def handed_on(
    does: Callable[[], Outcome],
    *,
    pulled: Sequence[Outcome],
    push: Callable[[], Outcome],
    then: Callable[[], Outcome] = Outcome,
    progress: Progress,
) -> Outcome:
    """What a run came to, `pulled` before and pushed behind it; `then` follows once it is pushed.

    One of which nothing usable came is pushed too: why it failed is kept, and other machines' next
    pages and mails tell of it.
    """
    try:
        made = does()
    except NothingUsableError:
        for line in push().summary:
            progress.note(line)
        raise
    pushed = push()
    last = then() if pushed.exit is Exit.DONE else Outcome()
    return Outcome.of(*pulled, made, pushed, last, run=made.run)


def pull(
    settings: Settings, *, now: datetime, environ: Mapping[str, str], progress: Progress
) -> Outcome:
    """Brings what other machines pushed. Nothing where no mirror is set.

    A store that has runs of its own goes on without its mirror, which is told (exit 5). An empty
    one raises DeliveryError: everything would be asked for again, and nothing would be known of the
    nights before.
    """
    from jmreport.snapshots import mirror

    if settings.snapshots.mirror is None:
        return Outcome()
    with open_store(settings, create=True) as store:
        root = store.root
        own = any(run.usable for run in store.runs())
    try:
        with (
            bucket_of(settings, environ, progress) as bucket,
            progress.step("pull snapshots", None) as step,
        ):
            came = mirror.pull(root, bucket, now=now, advance=step.advance)
    except DeliveryError as error:
        if not own:
            raise
        return Outcome.lacking(f"{_SNAPSHOTS} could not be pulled", error)
    return Outcome(summary=(_told("pulled", came, bucket),) if came.runs else ())


def push(
    settings: Settings, *, now: datetime, environ: Mapping[str, str], progress: Progress
) -> Outcome:
    """Sends what the mirror lacks. What it does not take is told (exit 5), and goes next time."""
    from jmreport.snapshots import mirror

    if settings.snapshots.mirror is None:
        return Outcome()
    with open_store(settings, create=False) as store:
        root = store.root
    try:
        with (
            bucket_of(settings, environ, progress) as bucket,
            progress.step("push snapshots", None) as step,
        ):
            went = mirror.push(root, bucket, now=now, advance=step.advance)
    except ChangedError as error:
        return Outcome.lacking(f"{_SNAPSHOTS} could not all be pushed", error)
    except DeliveryError as error:
        return Outcome.lacking(f"{_SNAPSHOTS} could not be pushed", error)
    return Outcome(summary=(_told("pushed", went, bucket),))


def push_part(
    settings: Settings,
    place: Path,
    *,
    now: datetime,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """Sends a part of a run that was collected here. Nothing where no mirror is set."""
    from jmreport.snapshots import partmirror

    if settings.snapshots.mirror is None or not place.exists():
        return Outcome()
    try:
        with (
            bucket_of(settings, environ, progress) as bucket,
            progress.step("push this part", None),
        ):
            went = partmirror.push(place, bucket, now=now)
    except DeliveryError as error:
        return Outcome.lacking(f"{_SNAPSHOTS} could not be pushed", error)
    return Outcome(summary=(_told("pushed", went, bucket),))


def pull_parts(
    settings: Settings,
    *,
    now: datetime,
    environ: Mapping[str, str],
    progress: Progress,
    only: str = "",
) -> Outcome:
    """Brings all parts of the run of `now` that machines pushed, or the one in the folder `only`.

    Raises DeliveryError.
    """
    from jmreport.records import run_id
    from jmreport.snapshots import partmirror, parts

    if settings.snapshots.mirror is None:
        return Outcome()
    place = parts.places(Path(settings.snapshots.dir), now)
    with (
        bucket_of(settings, environ, progress) as bucket,
        progress.step("pull parts", None) as step,
    ):
        came = partmirror.pull(place, bucket, run_id(now), only=only, advance=step.advance)
    return Outcome(summary=(_told("pulled", came, bucket),) if came.runs else ())


def drop_parts(
    settings: Settings, *, now: datetime, environ: Mapping[str, str], progress: Progress
) -> Outcome:
    """Takes away what was merged, and what nobody merges any more.

    What stays there does no harm, and is told (exit 5).
    """
    from jmreport.records import run_id
    from jmreport.snapshots import mirror

    if settings.snapshots.mirror is None:
        return Outcome()
    try:
        with bucket_of(settings, environ, progress) as bucket:
            mirror.drop(bucket, mirror.PARTS, run_id(now))
    except DeliveryError as error:
        what = f"{_SNAPSHOTS} were merged, and their parts could not be removed"
        return Outcome.lacking(what, error)
    return Outcome()


def share_salt(
    settings: Settings, store: Store, *, environ: Mapping[str, str], progress: Progress
) -> None:
    """Agrees on the key of the hashes with machines that see no disk of ours. DeliveryError."""
    from jmreport.snapshots import partmirror

    if settings.snapshots.mirror is None:
        return
    new = not store.runs()
    with bucket_of(settings, environ, progress) as bucket:
        partmirror.share_salt(store.root, bucket, store.salt(), new=new)


@contextmanager
def bucket_of(
    settings: Settings, environ: Mapping[str, str], progress: Progress
) -> Iterator[Bucket]:
    """The mirror. Raises UsageError for one that everybody may read: it holds all that was read."""
    from jmreport.bucket import open_bucket
    from jmreport.pipeline.publishing import refuse_everybody

    bucket = open_bucket(settings.snapshots.mirror or "", environ=environ)
    try:
        refuse_everybody(bucket, progress)
        yield bucket
    finally:
        bucket.close()


def _told(what: str, copied: Mirrored, bucket: Bucket) -> str:
    runs = "1 run" if copied.runs == 1 else f"{copied.runs} runs"
    removed = f", {copied.removed} pruned ones removed" if copied.removed else ""
    return f"mirror {bucket.place}: {what} {runs}, {copied.bytes} bytes{removed}"
