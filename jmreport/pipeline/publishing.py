"""Publish: the site's files as objects of a bucket, in an order that never leaves a dead link."""

from __future__ import annotations

import hashlib
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from jmreport import __version__, sizes
from jmreport.errors import (
    ChangedError,
    DeliveryError,
    LockedError,
    NothingUsableError,
    UnreadableError,
    UsageError,
)
from jmreport.pipeline.values import Outcome
from jmreport.progress import Progress
from jmreport.settings import Settings
from jmreport.settings_loading import within

if TYPE_CHECKING:
    from jmreport.bucket import Bucket, Held
    from jmreport.publish import Claim, Manifest, Me, Plan, Sending, Sent, SiteFile

#: Who everybody is, in a bucket's policy.
_EVERYBODY = ("allUsers", "allAuthenticatedUsers")


def publish(
    settings: Settings,
    *,
    now: datetime,
    environ: Mapping[str, str],
    progress: Progress,
    clock: Callable[[], datetime] | None = None,
    dry_run: bool = False,
    relist: bool = False,
) -> Outcome:
    """The site of the settings where `publish.to` says; only what changed, in a safe order.

    Claims go by the `clock`, and by `now` where there is none: a night's `now` is when it began,
    which may be hours ago, and a claim of that age would be nobody's.

    With `relist` every object is looked at instead of believing the manifest. Raises UsageError
    where there is nowhere to publish to or everybody could read it, NothingUsableError where there
    is no site, LockedError while another run publishes, and DeliveryError where the bucket does not
    take it: then what was there stands, and the next run goes on.
    """
    from jmreport.bucket import open_bucket

    to = wanted(settings)
    files = _files(Path(settings.site.dir))
    bucket = open_bucket(
        to,
        environ=environ,
        threads=settings.publish.threads,
        patience=settings.publish.patience,
    )
    try:
        if not settings.publish.public:
            refuse_everybody(
                bucket, progress, or_else=", or give --public where everybody may read the report"
            )
        run = _Publishing(bucket, settings, files, now, progress, clock)
        return run.dry(relist=relist) if dry_run else run.real(relist=relist)
    finally:
        bucket.close()


def wanted(settings: Settings) -> str:
    """Where to publish to, which is not where the site itself is."""
    to = settings.publish.to
    if not to:
        raise UsageError(
            "nowhere to publish to: neither a bucket nor a folder is given",
            hint="`jmreport publish gs://bucket/prefix`, or set publish.to in jmreport.toml",
        )
    for name, other in (("site.dir", settings.site.dir), ("snapshots", settings.snapshots.dir)):
        if within(to, other):
            raise UsageError(
                f"{to} and {name} {other} are one within the other",
                hint="publish to a folder of its own",
            )
    mirror = settings.snapshots.mirror
    if mirror and within(mirror, to):
        raise UsageError(
            f"{to} and snapshots.mirror {mirror} are one within the other",
            hint="all that was read lies in the mirror: publish to a place of its own",
        )
    return to


def _files(site_dir: Path) -> tuple[SiteFile, ...]:
    """The files of the site that the ledger knows."""
    from jmreport.publish import SiteFile
    from jmreport.render import kept
    from jmreport.render.past import all_files

    if not kept.is_there(site_dir):
        raise NothingUsableError(
            f"no site in {site_dir}", hint="`jmreport build` or `jmreport render` writes one"
        )
    try:
        found = tuple(all_files(kept.ledger_of(site_dir)))
    except sqlite3.DatabaseError as error:
        raise NothingUsableError(
            f"what {site_dir} consists of cannot be read: {error}",
            hint="`jmreport render` writes it anew",
        ) from error
    return tuple(SiteFile(address=at, size=size, sum=total) for at, size, total in found)


def refuse_everybody(bucket: Bucket, progress: Progress, *, or_else: str = "") -> None:
    """Raises UsageError for a bucket that everybody may read; of one that does not tell it is
    noted."""
    try:
        refuse_open(bucket, or_else=or_else)
    except UnreadableError as error:
        progress.note(f"{error.message}; whether everybody can read it is not known")


def refuse_open(bucket: Bucket, *, or_else: str = "") -> None:
    """Raises UsageError for a bucket that everybody may read, UnreadableError where it does not
    tell; `or_else` is what else may be done than to close it."""
    open_to = [who for who in bucket.readers() if who in _EVERYBODY]
    if open_to:
        raise UsageError(
            f"{bucket.place} can be read by {' and '.join(open_to)}",
            hint=f"take them out of the bucket's policy{or_else}",
        )


class _Publishing:
    """One publishing to one place."""

    def __init__(
        self,
        bucket: Bucket,
        settings: Settings,
        files: tuple[SiteFile, ...],
        now: datetime,
        progress: Progress,
        clock: Callable[[], datetime] | None,
    ) -> None:
        self._clock = clock
        self.bucket, self.settings, self.files = bucket, settings, files
        self.now, self.progress = now, progress

    def dry(self, *, relist: bool) -> Outcome:
        """What would be done."""
        from jmreport.publish import MIXED

        before, _ = self._before(damaged=relist)
        # What a first publishing that was broken off had made is ours too.
        unsure = before.at is None or self.bucket.look(MIXED) is not None
        left = self._left() if unsure else ()
        listed = self._listed(wanted=relist or unsure)
        plan = self._plan(before, listed, left, over=relist)
        new = sum(not put.there for put in plan.puts)
        size = sum(put.laid.file.size for put in plan.puts)
        return Outcome(
            summary=(
                f"would publish to {self.bucket.place}: {_objects(plan.size)} to upload "
                f"({new} new, {plan.size - new} changed, {sizes.in_words(size)} before packing), "
                f"{len(plan.kept)} unchanged, {len(plan.due)} to delete, "
                f"{len(plan.gone) - len(plan.due)} to delete later",
            )
        )

    def real(self, *, relist: bool) -> Outcome:
        """Publishes, under a claim."""
        from jmreport.publish import MIXED, take

        at = self._clock() if self._clock else self.now
        with take(self.bucket, _me(), now=at, elapsed=_elapsed) as claim:
            before, generation = self._before(damaged=relist)
            mixed = self.bucket.look(MIXED)
            unsure = claim.took_over or mixed is not None
            look = relist or unsure or before.at is None
            left = self._left() if unsure else ()
            plan = self._plan(before, self._listed(wanted=look), left, over=relist)
            self._pend(plan, left)
            sending = self._sending(claim)
            with self.progress.step("upload", plan.size) as step:
                sending.send(plan, step.advance)
            claim.check()
            self._commit(plan, before, generation, sending)
            if mixed is not None:
                with suppress(DeliveryError):  # one more look does no harm
                    self.bucket.delete(MIXED, generation=mixed.generation)
        return Outcome(summary=(_told(self.bucket.place, plan, sending.sent),))

    # --- what is there ---

    def _before(self, *, damaged: bool) -> tuple[Manifest, int]:
        """The manifest and its generation. With `damaged` one that cannot be read is none."""
        from jmreport.publish import MANIFEST, Manifest
        from jmreport.publish.manifest import decode

        found = self.bucket.read(MANIFEST)
        if found is None:
            return Manifest(), 0
        try:
            return decode(found.data, place=self.bucket.place), found.generation
        except DeliveryError:
            if not damaged:
                raise
            return Manifest(at=self.now), found.generation

    def _listed(self, *, wanted: bool) -> dict[str, Held] | None:
        if not wanted:
            return None
        with self.progress.step("look at objects", None) as step:
            found = {}
            for held in self.bucket.objects():
                found[held.name] = held
                step.advance()
            return found

    def _left(self) -> tuple[str, ...]:
        """The objects that a run which died may have made."""
        from jmreport.publish import PENDING

        found = self.bucket.read(PENDING)
        if found is None:
            return ()
        try:
            return msgspec.json.decode(found.data, type=tuple[str, ...])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ()

    # --- what is to be done ---

    def _plan(
        self,
        before: Manifest,
        listed: dict[str, Held] | None,
        left: tuple[str, ...],
        *,
        over: bool,
    ) -> Plan:
        """With `over` also over objects that are of somebody else."""
        from jmreport.publish import lay_out, plan, refuse_foreign

        build, laid = lay_out(
            self.files,
            before,
            now=self.now,
            atomic=self.settings.publish.atomic,
            pointer=self._pointer,
        )
        if before.at is None and listed is not None and not over:
            refuse_foreign(laid, listed, left)
        return plan(
            laid,
            before,
            build=build,
            now=self.now,
            public=self.settings.publish.public,
            listed=listed,
            left=left,
        )

    def _pointer(self, address: str) -> bytes:
        from jmreport.render import hostpages

        return hostpages.pointer(self.settings, address, version=__version__)

    def _pend(self, plan: Plan, left: tuple[str, ...]) -> None:
        """Writes down which objects are about to be there, for whoever takes over."""
        from jmreport.bucket import Headers
        from jmreport.publish import PENDING

        new = {put.name for put in plan.puts if not put.there}
        if new:
            headers = Headers(content_type="application/json", cache="private, no-store")
            names = msgspec.json.encode(sorted(new | set(left)))
            self.bucket.write(PENDING, names, generation=None, headers=headers)

    def _sending(self, claim: Claim) -> Sending:
        from jmreport.publish import Sending
        from jmreport.render.files import is_sum_of

        root = Path(self.settings.site.dir)
        sums = {file.address: file.sum for file in self.files}
        return Sending(
            self.bucket,
            lambda address: _read(root, address, sums[address]),
            threads=self.settings.publish.threads,
            check=claim.check,
            confirm=claim.confirm,
            is_sum_of=is_sum_of,
        )

    def _commit(self, plan: Plan, before: Manifest, generation: int, sending: Sending) -> None:
        """The manifest, then the deletions, then the manifest without what is deleted."""
        from jmreport.publish.planning import manifest

        now_there = manifest(plan, sending.shown, now=self.now)
        if plan.size or now_there != replace(before, at=self.now):
            generation = self._write(now_there, generation)
        if not plan.due:
            return
        with self.progress.step("delete", len(plan.due)) as step:
            over = sending.delete(plan, step.advance)
        gone = {name: was for name, was in now_there.gone.items() if name not in over}
        self._write(replace(now_there, gone=gone), generation)

    def _write(self, manifest: Manifest, generation: int) -> int:
        from jmreport.publish import MANIFEST, body
        from jmreport.publish.manifest import encode

        data, headers = body(
            MANIFEST, encode(manifest), cache="private, no-store", pack=self.bucket.encodes
        )
        try:
            return self.bucket.write(MANIFEST, data, generation=generation, headers=headers)
        except ChangedError as error:
            raise LockedError(
                f"another run has published to {self.bucket.place} meanwhile",
                hint="what it published stands; run again to publish this site",
            ) from error


def _read(root: Path, address: str, total: str) -> bytes:
    """A file's bytes, which must be those that the ledger tells of."""
    from jmreport.render.files import is_sum_of

    try:
        data = (root / address).read_bytes()
    except OSError as error:
        raise DeliveryError(
            f"{root / address}: {error.strerror or error}",
            hint="`jmreport check` says what is wrong with the site; `jmreport render` mends it",
        ) from error
    if not is_sum_of(total, data):
        raise DeliveryError(
            f"{root / address} is not what was written there",
            hint="if another run writes the site just now, publish again when it is done; "
            "else `jmreport check` says what is wrong",
        )
    return data


def _me() -> Me:
    from jmreport.publish import Me

    return Me(host=socket.gethostname(), machine=_machine(), pid=os.getpid())


def _machine() -> str:
    """What tells apart machines and containers, within which process numbers mean something.

    "" where that cannot be told: a container's name and numbers are often those of the next one.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
    return hashlib.sha256(f"{socket.gethostname()} {boot} {numbers}".encode()).hexdigest()[:32]


def _elapsed() -> float:
    """Seconds that pass also while a machine sleeps, where the system counts them."""
    clock: Callable[[], float] = time.monotonic
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return clock() if boot is None else time.clock_gettime(boot)


def _told(place: str, plan: Plan, sent: Sent) -> str:
    copied = f", {sent.copied} copied" if plan.build or sent.copied else ""
    left = f" ({sent.left} left: changed by somebody else)" if sent.left else ""
    return (
        f"published to {place}: {sent.uploaded} uploaded{copied}, "
        f"{len(plan.kept) + sent.skipped} skipped, {sent.deleted} deleted{left}, "
        f"{sizes.in_words(sent.bytes)}"
    )


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
