"""Serve: the site and the actions of the right people, put together from every room's part."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from jmreport import __version__
from jmreport.deeds import JobState
from jmreport.errors import JmreportError, UsageError
from jmreport.pipeline.acting import listed, state
from jmreport.pipeline.asking import cleaner, client_for, credentials_for
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.values import Source
from jmreport.settings import Actions, Settings

if TYPE_CHECKING:
    from jmreport.actions.serving import Serving
    from jmreport.actions.sitefiles import SiteFiles
    from jmreport.actions.work import Work
    from jmreport.client import Client
    from jmreport.models import DisplayField

#: Seconds after which it is looked whether there is a newer run.
LOOK_AGAIN = 5.0
_LOOPBACK = ("127.0.0.1", "::1")
#: Requests of a bucket at a time, and seconds for which one that fails in passing is tried again:
#: somebody waits for the page.
_AT_ONCE, _READING_PATIENCE = 8, 10.0
#: Seconds beyond the patience for one answer that forms under way have when the server is stopped.
_MORE_PATIENCE = 10.0


class ActionsServer:
    """A server that is ready: `start` is the address to open; `run` answers until it is stopped.

    `has_report` says whether there is a first page to open.
    """

    def __init__(
        self,
        start: str,
        port: int,
        serving: Serving,
        work: Work,
        close: Callable[[], None],
        *,
        has_report: bool,
    ) -> None:
        self.start, self.port, self.work, self.has_report = start, port, work, has_report
        self.run, self.stop = serving.run, serving.stop
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()


def actions_server(
    settings: Settings,
    *,
    user: str,
    now: Callable[[], datetime],
    source: Source,
    environ: Mapping[str, str],
) -> ActionsServer:
    """The site and its actions, listening.

    `user` is who the one reader of local mode is. Raises UsageError for settings that contradict
    each other or leave something open, SnapshotError where there are no snapshots, DeliveryError
    where the pages lie in a bucket that cannot be read.
    """
    _installed()
    from jmreport.actions import readers, server, serving, work
    from jmreport.actions.allowed import Allowed
    from jmreport.actions.audit import Audit
    from jmreport.actions.forms import Forms, Rate
    from jmreport.actions.gate import Gate
    from jmreport.render.actionpages import ActionPages

    actions = settings.actions
    _consistent(settings)
    site, let_go = _site(settings, environ)
    has_report = site.find("index.html") is not None
    known = Snapshots(settings)
    clean = cleaner(settings, environ, salt=known.salt())
    listening = serving.bound(actions.listen, actions.port)
    port = listening.getsockname()[1]
    client = client_for(
        settings,
        credentials_for(settings, source=source, environ=environ),
        now=now(),
        source=source,
    )
    audit = Audit(Path(actions.audit), now=now, clean=clean)
    local = readers.Local(user) if actions.mode == "local" else None
    does = work.Work(
        allowed=Allowed(actions.allow, open_to_all=local is not None),
        known=known,
        upstream=work.Upstream(client, _fields),
        audit=audit,
        forms=Forms(),
        rate=Rate(actions.rate),
        most=actions.bulk,
        mode=actions.mode or "",
        now=now,
        clean=clean,
    )
    origins = _origins(actions, port)
    app = server.App(
        gate=Gate(hosts=tuple(urlsplit(each).netloc for each in origins), origins=origins),
        readers=local or _proven(actions),
        work=does,
        pages=ActionPages(settings, version=__version__),
        site=site,
        # Pages that were made without its address do not lead to it: then it begins where one acts.
        first="/" if actions.url else "/actions/jobs",
    )

    serves = serving.Serving(
        app,
        listening,
        refused=lambda why, peer: audit.refused(status=400, why=why, peer=peer),
        stopping=does.stopping.set,
        patience=settings.api.detail_timeout + _MORE_PATIENCE,
    )

    def close() -> None:
        does.close()
        client.close()
        known.close()
        audit.close()
        listening.close()
        let_go()

    start = f"{origins[0]}/start?token={local.token}" if local else f"{origins[0]}/"
    return ActionsServer(start, port, serves, does, close, has_report=has_report)


def _site(settings: Settings, environ: Mapping[str, str]) -> tuple[SiteFiles, Callable[[], None]]:
    """Where the pages lie, and how to let go of it."""
    from jmreport.actions import sitefiles
    from jmreport.bucket import open_bucket
    from jmreport.bucket.opening import SCHEME

    place = settings.actions.site or settings.site.dir
    if not place.startswith(SCHEME):
        return sitefiles.OnDisk(Path(place)), lambda: None
    bucket = open_bucket(place, environ=environ, threads=_AT_ONCE, patience=_READING_PATIENCE)
    return sitefiles.InBucket(bucket), bucket.close


def _installed() -> None:
    for name in ("anyio", "starlette", "uvicorn"):
        if find_spec(name) is None:
            raise UsageError(
                f"`jmreport serve` needs {name}, which is not installed",
                hint="pip install 'jmreport[serve]'",
            )


def _consistent(settings: Settings) -> None:
    """Whether a mode has all that it needs, and nothing that would open it further than meant."""
    actions = settings.actions
    if actions.mode is None:
        raise UsageError(
            "serve: it is not said who its readers are",
            hint="give --mode local for you alone, or --mode iap or google; or set actions.mode",
        )
    hashed = sorted(
        key for rule in actions.allow for key in rule.labels if key in settings.redact.hash
    )
    if hashed:
        raise UsageError(
            f"actions.allow: the label {hashed[0]} is hashed in the snapshots, so nothing can be "
            "decided by it",
            hint="take it out of redact.hash, or decide by another label",
        )
    if actions.mode == "local":
        if actions.listen not in _LOOPBACK:
            raise UsageError(
                f"actions.listen is {actions.listen}, and local mode is for this machine alone",
                hint="leave it out, or choose --mode iap or google",
            )
        return
    if not actions.url or not actions.audience:
        lacking = "actions.url" if not actions.url else "actions.audience"
        raise UsageError(
            f"serve --mode {actions.mode}: {lacking} is not set",
            hint="it needs its own public address, and the audience that tokens are made for",
        )
    if not actions.allow:
        raise UsageError(
            f"serve --mode {actions.mode}: nobody may do or read anything",
            hint='write [[actions.allow]] with who = "*@example.org" and actions = ["read"]',
        )


def _origins(actions: Actions, port: int) -> tuple[str, ...]:
    """Under which addresses it is reached, the one that is told first."""
    if actions.mode == "local":
        host = f"[{actions.listen}]" if ":" in actions.listen else actions.listen
        return (f"http://{host}:{port}", f"http://localhost:{port}")
    parts = urlsplit(actions.url or "")
    usual = {"http": 80, "https": 443}
    at = f":{parts.port}" if parts.port and parts.port != usual.get(parts.scheme) else ""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return (f"{parts.scheme}://{host}{at}",)


def _proven(actions: Actions) -> Any:
    from jmreport.actions import readers
    from jmreport.client import send
    from jmreport.identities import Identities

    mode = actions.mode or ""
    identities = Identities(
        mode, audience=actions.audience or "", send=send, keys_url=actions.keys_url
    )
    return readers.Proven(identities, readers.of_iap if mode == "iap" else readers.of_bearer)


def _fields(client: Client) -> tuple[DisplayField, ...]:
    from jmreport.collectors import capabilities

    return capabilities.read(client).view.display_fields


class Snapshots:
    """What the newest runs know of jobs, for many threads; a newer run is seen within seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._store = open_store(settings, create=False)
        self._ended = self._store.ended()
        self._looked = 0.0
        self._listed: tuple[JobState, ...] | None = None

    def close(self) -> None:
        with self._lock:
            self._store.close()

    def salt(self) -> bytes:
        """The key of their hashes; where there is none, or it is somebody else's to read, another
        one, with which what is hashed tells as little."""
        with self._lock, suppress(JmreportError):
            if self._store.has_salt():
                return self._store.salt().strip()
        return secrets.token_bytes(32)

    def job(self, job: str) -> JobState | None:
        with self._lock:
            self._renew()
            entry = self._store.entry(job)
        # An id is looked for as it is: its other spellings are other jobs, or none.
        return state(entry.row) if entry is not None and entry.row.id == job else None

    def jobs(self) -> Sequence[JobState]:
        with self._lock:
            self._renew()
            if self._listed is None:
                self._listed = tuple(state(row) for row in listed(self._store))
            return self._listed

    def _renew(self) -> None:
        at = time.monotonic()
        if at - self._looked < LOOK_AGAIN:
            return
        self._looked = at
        ended = self._store.ended()
        if ended != self._ended:
            # Opened before the other is let go: one that cannot be had leaves what there is.
            newer = open_store(self._settings, create=False)
            self._store.close()
            self._store, self._ended, self._listed = newer, ended, None
