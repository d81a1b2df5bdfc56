"""From what a person writes ("gs://bucket/prefix", or a folder) to a bucket."""

import re
from collections.abc import Mapping
from pathlib import Path

from jmreport.bucket.values import Bucket
from jmreport.errors import UsageError

SCHEME = "gs://"
#: Seconds for which what fails in passing is tried again.
PATIENCE = 60.0
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def open_bucket(
    to: str, *, environ: Mapping[str, str], threads: int = 8, patience: float | None = None
) -> Bucket:
    """The bucket, or the folder, that is meant; `patience` is PATIENCE unless given, in seconds.

    With `STORAGE_EMULATOR_HOST` in the environment it is asked instead of Google, and without
    credentials. Raises UsageError for a name that no bucket has, or where the library for buckets
    is not installed, and DeliveryError where there are no credentials.
    """
    if not to.startswith(SCHEME):
        from jmreport.bucket.folder import Folder

        return Folder(Path(to))
    name, prefix = split(to)
    from jmreport.bucket.gcs import GcsBucket

    waits = PATIENCE if patience is None else patience
    return GcsBucket(name, prefix, environ=environ, threads=threads, patience=waits)


def split(to: str) -> tuple[str, str]:
    """A bucket's name and the prefix in it, which is "" or ends with a slash.

    >>> split("gs://team-reports/nightly//")
    ('team-reports', 'nightly/')
    """
    name, _, path = to.removeprefix(SCHEME).partition("/")
    if not _BUCKET.fullmatch(name):
        raise UsageError(f"{to}: no bucket can be called {name!r}", hint="write gs://bucket/prefix")
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts) or _UNSEEN.search(path):
        raise UsageError(
            f"{to}: no prefix of a bucket", hint="leave out . and .., and what cannot be seen"
        )
    return name, "".join(f"{part}/" for part in parts)
