"""The doctor: looks at everything that a night needs, in its order, and sends nothing to anybody.

ok      server: https://jobs.example.org/api/v1 answers as a Job Manager
wrong   bucket: gs://reports: 403, this account may not write objects there
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from jmreport.errors import Exit, JmreportError, UnreadableError, first
from jmreport.pipeline.asking import client_for, credentials_for
from jmreport.pipeline.collecting import keep_invented_jobs_apart
from jmreport.pipeline.values import Source
from jmreport.progress import Progress
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.client import Client

State = Literal["ok", "warning", "wrong"]
#: Less room than this, in bytes, is worth a word.
LITTLE_ROOM = 1_000_000_000


class Finding(Struct, frozen=True, kw_only=True):
    """What was looked at, and how it is; `code` is how a night would end for it."""

    what: str
    said: str
    state: State = "ok"
    hint: str = ""
    code: Exit = Exit.DONE


def doctor(
    settings: Settings, *, environ: Mapping[str, str], progress: Progress
) -> tuple[Finding, ...]:
    """Everything that a night needs, looked at. Never raises for what is wrong with it."""
    found: list[Finding] = []
    looks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("server", lambda: _server(settings, environ)),
        ("folders", lambda: _folders(settings)),
        ("memory", lambda: _memory(settings, environ)),
        ("bucket", lambda: _buckets(settings, environ)),
        ("mail", lambda: _mail(settings)),
        ("watchdog", lambda: _watchdog(settings)),
        ("notes", lambda: _notes(settings)),
        ("snapshots", lambda: _snapshots(settings)),
        ("snapshots", lambda: _identity(settings)),
    )
    for name, look in looks:
        with progress.step(f"look at the {name}", None):
            found += look()
    return tuple(found)


def worst(found: tuple[Finding, ...]) -> Exit:
    """The exit code that stands for all of them; warnings end no night."""
    return first(*(each.code for each in found if each.state == "wrong"))


def _wrong(what: str, error: JmreportError) -> Finding:
    return Finding(what=what, state="wrong", said=error.message, hint=error.hint, code=error.code)


# The Job Manager


def _server(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    if settings.api.url is None:
        yield Finding(
            what="server",
            state="wrong",
            said="none is named",
            hint="set api.url in jmreport.toml, or give --api-url",
            code=Exit.USAGE,
        )
        return
    source = Source(url=settings.api.url)
    try:
        found = credentials_for(settings, source=source, environ=environ)
        with client_for(settings, found, now=datetime.now(UTC), source=source) as client:
            yield Finding(what="server", said=f"{client.probe()} answers as a Job Manager")
            yield from _session(settings, client, token=found is not None)
    except JmreportError as error:
        yield _wrong("server", error)


def _session(settings: Settings, client: Client, *, token: bool) -> Iterator[Finding]:
    from jmreport.collectors import capabilities
    from jmreport.models import ExtendedQueryFields, QueryJobsRequest

    server = capabilities.read(client)
    if server.health != "available":
        yield Finding(what="health", state="warning", said=server.health)
    for gap in server.gaps:
        yield Finding(what=gap.what, state="warning", said=gap.why)
    project = settings.api.project_id
    if "projectId" in server.view.query_extensions and not project:
        yield Finding(
            what="project",
            state="warning",
            said="the server lists jobs by project, and none is named",
            hint="set api.project_id, or give --project-id",
        )
    asked = ExtendedQueryFields(project_id=project) if project else None
    try:
        client.query(QueryJobsRequest(page_size=1, extensions=asked))
    except UnreadableError as error:
        yield Finding(
            what="list",
            state="wrong",
            said=f"the list of jobs cannot be read: {error.message}",
            hint=error.hint,
            code=Exit.NOTHING_USABLE,
        )
        return
    except JmreportError as error:
        yield _wrong("token", error)
        return
    who = "with the token" if token else "without a token"
    yield Finding(what="list", said=f"jobs are listed {who}")


# Where it is delivered


def _buckets(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether objects may be written there and who may read them; nothing is written."""
    for what, to in (("bucket", settings.publish.to), ("mirror", settings.snapshots.mirror)):
        if to is not None:
            yield from _bucket(what, to, settings, environ)


def _bucket(
    what: str, to: str, settings: Settings, environ: Mapping[str, str]
) -> Iterator[Finding]:
    from jmreport.bucket import open_bucket
    from jmreport.pipeline.publishing import refuse_open, wanted
    from jmreport.publish import refuse_newer, refuse_taken

    try:
        if what == "bucket":
            wanted(settings)
        bucket = open_bucket(to, environ=environ, patience=min(settings.publish.patience, 15.0))
    except JmreportError as error:
        yield _wrong(what, error)
        return
    try:
        if lacking := bucket.lacking():
            yield Finding(
                what=what,
                state="wrong",
                said=f"{bucket.place}: this account may not {', '.join(lacking)}",
                hint="in a bucket the role roles/storage.objectUser has it all",
                code=Exit.NOT_DELIVERED,
            )
        else:
            if what == "bucket":
                refuse_taken(bucket)
                refuse_newer(bucket)
            yield Finding(what=what, said=f"{bucket.place} can be read and written")
    except UnreadableError as error:
        yield Finding(what=what, state="warning", said=error.message, hint=error.hint)
    except JmreportError as error:
        yield _wrong(what, error)
        bucket.close()
        return
    try:
        if what == "mirror":
            refuse_open(bucket)
        elif not settings.publish.public:
            refuse_open(bucket, or_else=", or set publish.public")
    except UnreadableError as error:
        yield Finding(what=what, state="warning", said=error.message, hint=error.hint)
    except JmreportError as error:
        yield _wrong(what, error)
    finally:
        bucket.close()


def _mail(settings: Settings) -> Iterator[Finding]:
    """The mail server, as far as a login; nothing is said of anybody to whom a mail would go."""
    from jmreport.pipeline.mailing import spool_of
    from jmreport.pipeline.mailserver import sender_of, try_mailbox

    if not settings.teams:
        if settings.mail.smtp:
            said = "nobody gets one: there are no [[teams]]"
            yield Finding(what="mail", state="warning", said=said)
        return
    spool = spool_of(settings)
    try:
        sender_of(settings)
        if (spool.exists() and not spool.is_dir()) or not _may_write(_nearest(spool)):
            raise JmreportError(
                f"mails cannot wait in {spool}", hint="name a folder with mail.spool"
            )
        said = try_mailbox(settings)
        found = [*_spool(spool)]
    except JmreportError as error:
        yield _wrong("mail", error)
        return
    yield from found
    if all(each.state != "wrong" for each in found):
        teams = "1 team" if len(settings.teams) == 1 else f"{len(settings.teams)} teams"
        yield Finding(what="mail", said=f"{settings.mail.smtp} takes mails for {teams} ({said})")


def _spool(spool: Path) -> Iterator[Finding]:
    """What is wrong within a spool. Raises JmreportError where no mail is sent for it."""
    from jmreport.mail import kept
    from jmreport.mail.spool import HEARD, LOCK

    if (spool / LOCK).exists() and not _may(spool / LOCK, os.R_OK | os.W_OK):
        raise JmreportError(
            f"mails cannot wait in {spool}: {spool / LOCK} may not be opened by this user",
            hint="change the owner of all that is in there: somebody else ran jmreport there",
        )
    # It is told each night, and holds back what is of its own team and run.
    for each in kept(spool).unread.values():
        yield replace(_wrong("mail", each), code=Exit.NOT_DELIVERED)
    if (spool / HEARD).exists() and not _may(spool / HEARD, os.R_OK):
        yield Finding(
            what="mail",
            state="warning",
            said=f"{spool / HEARD} may not be read by this user: mails compare with the run "
            "before, whatever their teams heard of last",
            hint="change the owner of all that is in there: somebody else ran jmreport there",
        )


# This machine


def _folders(settings: Settings) -> Iterator[Finding]:
    for what, folder in (
        ("snapshots", Path(settings.snapshots.dir)),
        ("site", Path(settings.site.dir)),
    ):
        there = _nearest(folder)
        if folder.exists() and not folder.is_dir():
            said, hint = f"{folder} is no folder", f"name another with --{what}"
        elif not _may_write(there):
            said = f"{there} may not be written by this user"
            hint = f"change its owner, or name another folder with --{what}"
        elif inside := next(_of_others(folder), None):
            said = f"{inside} may not be written by this user"
            hint = "change the owner of all that is in there: somebody else ran jmreport there"
        else:
            yield _room(what, folder, there)
            continue
        yield Finding(what=what, state="wrong", said=said, hint=hint, code=Exit.FAILED)


def _may_write(there: Path) -> bool:
    """Whether this user may write a file, or make files in a folder."""
    return _may(there, os.W_OK | os.X_OK if there.is_dir() else os.W_OK)


def _may(there: Path, mode: int) -> bool:
    return os.access(there, mode, effective_ids=os.access in os.supports_effective_ids)


def _of_others(folder: Path) -> Iterator[Path]:
    """What a night writes to in a folder of snapshots or a site, and this user may not.

    What else is in there is no concern of ours, as the `lost+found` of a disk.
    """
    from jmreport.render.addresses import FOLDERS
    from jmreport.render.files import OWN
    from jmreport.snapshots import OF_ROOT

    ours = {OWN, *FOLDERS, *OF_ROOT}
    within = [each for each in _folders_in(folder) if each.name in ours]
    within += [deeper for each in within for deeper in _folders_in(each)]
    # Other files are replaced, for which their folder counts.
    in_place = sorted((*folder.glob("*lock"), *(folder / OWN).glob("*")))
    yield from (each for each in (*within, *in_place) if not _may_write(each))


def _folders_in(folder: Path) -> Iterator[Path]:
    with suppress(OSError), os.scandir(folder) as found:
        yield from sorted(Path(each) for each in found if each.is_dir(follow_symlinks=False))


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _room(what: str, folder: Path, there: Path) -> Finding:
    free = shutil.disk_usage(there).free
    room = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_ROOM:
        return Finding(
            what=what,
            state="warning",
            said=f"{folder} can be written, with {room}",
            hint="a full disk ends a night with exit code 1; what was written before stays",
        )
    return Finding(what=what, said=f"{folder} can be written, {room}")


def _memory(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Folders that take memory for what is written: once it is full, a night is killed at once."""
    folders = dict.fromkeys((settings.snapshots.dir, settings.site.dir))
    held = [folder for folder in folders if _in_memory(_nearest(Path(folder)), environ)]
    if held:
        yield Finding(
            what="memory",
            state="warning",
            said=f"{' and '.join(held)}: what is written there takes memory, some 50 KB for each "
            "job that is known, and is gone with the machine",
            hint="size the memory and prune.keep by that, or mount a disk",
        )


def _in_memory(folder: Path, environ: Mapping[str, str]) -> bool:
    device = folder.stat().st_dev
    # Whatever its file system calls itself, that of a Cloud Run job is its memory, but for volumes:
    # https://docs.cloud.google.com/run/docs/container-contract#filesystem
    if "CLOUD_RUN_JOB" in environ and device == Path("/").stat().st_dev:
        return True
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:  # a system without it
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    # "25 24 0:23 / /dev/shm rw,relatime - tmpfs tmpfs rw": behind the dash is the kind.
    for line in mounts.splitlines():
        about, _, kind = line.partition(" - ")
        if about.split()[2:3] == [number]:
            return kind.split(" ")[0] in ("tmpfs", "ramfs")
    return False


def _notes(settings: Settings) -> Iterator[Finding]:
    from jmreport.pipeline import guiding

    for mistake in guiding.read(settings.report).mistakes:
        yield Finding(what="notes", state="warning", said=mistake)


def _snapshots(settings: Settings) -> Iterator[Finding]:
    """Whether they can be read, where there are any, and hold nothing that --demo left there, nor
    a newer jmreport's account: on neither a real night goes on."""
    from jmreport.pipeline import keeping
    from jmreport.snapshots import FORMAT, check_place
    from jmreport.snapshots.unattended import left_by

    place = Path(settings.snapshots.dir)
    if place.exists() and not place.is_dir():
        return  # said of its folder
    try:
        check_place(place)
        left_by(place)
        if not (place / FORMAT).exists():
            return  # the next run makes it
        with keeping.open_store(settings, create=False) as store:
            store.whole()
            if settings.api.url is not None:
                keep_invented_jobs_apart(store.runs(), Source(url=settings.api.url), settings)
    except JmreportError as error:
        yield _wrong("snapshots", error)


def _identity(settings: Settings) -> Iterator[Finding]:
    """Whether work can be followed from night to night, and told apart, where there are nights."""
    from jmreport.pipeline.keeping import hidden_lately, proposed_identity

    if found := proposed_identity(settings):
        from jmreport.render import following

        said, hint = following.matter(found)
        yield Finding(what="identity", state="warning", said=said, hint=hint)
    if hidden := hidden_lately(settings):
        from jmreport.render import following

        said, hint = following.hidden_matter(hidden)
        said = f"in the last nights {said}"
        yield Finding(what="identity", state="warning", said=said, hint=hint)


def _watchdog(settings: Settings) -> Iterator[Finding]:
    if settings.nightly.heartbeat is None:
        return
    file = Path(settings.nightly.heartbeat)
    there = _nearest(file.parent)
    if not file.is_dir() and os.access(there, os.W_OK | os.X_OK):
        yield Finding(what="heartbeat", said=f"{file} can be written")
    else:
        yield Finding(
            what="heartbeat",
            state="wrong",
            said=f"{file} cannot be written by this user",
            hint="name another file with nightly.heartbeat",
            code=Exit.FAILED,
        )
