"""What a server is asked, and as whom: the window, the filters, the client, its credentials."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jmreport.errors import UsageError
from jmreport.gaps import Gap
from jmreport.pipeline.demo import demo_from
from jmreport.pipeline.values import Source
from jmreport.records import FRAME_LENGTHS, Asked, Filters, Run, utc_text
from jmreport.settings import Api, Redact, Settings

if TYPE_CHECKING:
    from jmreport.client import Client
    from jmreport.credentials import Credentials

#: Shorter texts of ours would take ordinary words out of answers.
SECRET_LENGTH = 8


def asked_of(settings: Settings, *, now: datetime, source: Source) -> Asked:
    filters = _filters(settings)
    _in_order(filters)
    length = FRAME_LENGTHS[settings.collect.timeframe]
    bounds = [at for at in (now - length if length else None, filters.submission) if at]
    return Asked(
        server=source.name,
        timeframe=settings.collect.timeframe,
        since=max(bounds) if bounds else None,
        filters=filters,
        in_file=source.in_file,
    )


def reaching_back(asked: Asked, before: Sequence[Run], *, as_kept: Asked, now: datetime) -> Asked:
    """The same, asking for all that was submitted since the runs before it had all of their list.

    A time frame is as long as nights are apart but for a minute, or an hour of winter time; a night
    brings nothing, or a list without its last pages: what was submitted in between would be in no
    report. `as_kept` is the same as a store keeps it, by which runs of the same filters are known.
    """
    from jmreport.analysis import coverage

    since = coverage.reach(before, as_kept, now)
    if since is None or asked.since is None or since >= asked.since:
        return asked
    submission = asked.filters.submission
    return replace(asked, since=max(since, submission) if submission else since)


def never_asked(asked: Asked, before: Sequence[Run], *, now: datetime) -> tuple[Gap, ...]:
    """What lies between the runs before and this one, and is too long ago to be asked for."""
    from jmreport.analysis import coverage

    until = coverage.leaves_out(before, asked, now)
    if until is None or asked.since is None:
        return ()
    days = (now - asked.since).days
    return (
        Gap(
            what=f"jobs submitted between {until:%Y-%m-%d %H:%M} and "
            f"{asked.since:%Y-%m-%d %H:%M} UTC",
            why=f"no run listed all of them, and this one asks for {days} days at most",
        ),
    )


def _in_order(filters: Filters) -> None:
    """No job ends before it started or was submitted: nobody means such a list, which is empty.

    A start before the submission says nothing more than the submission, and is no mistake.
    """
    for key, since in (("start", filters.start), ("submission", filters.submission)):
        if since and filters.end and since > filters.end:
            raise UsageError(
                f"collect.{key} ({utc_text(since)}) is after collect.end "
                f"({utc_text(filters.end)}), so no job can be meant",
                hint=f"change --{key} or --end",
            )


def _filters(settings: Settings) -> Filters:
    wish = settings.collect
    return Filters(
        status=wish.status,
        labels=wish.labels,
        name=wish.name,
        job_id=wish.job_id,
        project_id=settings.api.project_id,
        user_id=wish.user_id,
        start=_instant(wish.start),
        end=_instant(wish.end),
        submission=_instant(wish.submission),
        hide_archived=wish.hide_archived,
    )


def _instant(text: str | None) -> datetime | None:
    """A filter's date in UTC, since servers drop or replace an offset; each date has one."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def client_for(
    settings: Settings,
    found: Credentials | None,
    *,
    now: datetime,
    source: Source,
    until: float | None = None,
) -> Client:
    from jmreport.client import Client

    if source.demo is not None:
        demo = demo_from(source.demo, now=now)
        api = replace(settings.api, url="http://built-in.invalid/api/v1")
        return Client(api, respond=demo.respond, until=until)
    return Client(replace(settings.api, url=source.url), credentials=found, until=until)


def credentials_for(
    settings: Settings,
    *,
    source: Source,
    environ: Mapping[str, str],
    until: float | None = None,
) -> Credentials | None:
    """What the server is shown; the built-in one in process asks for nothing.

    From `until` on, as `time.monotonic` tells it, it is not asked which scopes it wants.

    Raises RefusedError where the server names scopes of too much power, or where Google's token
    would be sent in the open.
    """
    from jmreport import credentials

    if source.demo is not None:
        return None
    api = replace(settings.api, url=source.url)
    scopes = _scopes(api, until) if credentials.asks_google(api, environ) else ()
    return credentials.find(api, environ, scopes=scopes)


def without_own_secrets(settings: Settings, found: Credentials | None) -> Redact:
    """What is taken out, and with it what we send: a server may repeat it in any of its answers.

    Google's tokens change while a run goes on, and are known by their shape.
    """
    return _with_own(settings, found.held if found else "")


def hider(
    settings: Settings | None = None, environ: Mapping[str, str] | None = None
) -> Callable[[str], str]:
    """What takes secrets out of a text that is said rather than written: errors, notes, logs."""
    from jmreport.snapshots import Redaction

    settings = settings or Settings()
    redaction = Redaction.of(_with_own(settings, *_own_tokens(settings, environ or {})))
    # What is said may reach a log that many read; without a key of its own, names could be tried.
    salted = redaction.salted(secrets.token_bytes(32))
    return lambda text: salted.text(text)[0]


def cleaner(
    settings: Settings, environ: Mapping[str, str], *, salt: bytes
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What takes secrets out of a job as a server shows it now, as they are out of the snapshots.

    `salt` is theirs, so that what is hashed is hashed alike.
    """
    from jmreport.snapshots import Redaction

    redaction = Redaction.of(_with_own(settings, *_own_tokens(settings, environ)))
    return redaction.salted(salt).row


def _own_tokens(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    from jmreport import credentials

    yield environ.get(credentials.VARIABLE, "").strip()
    for file in (settings.api.token_file, settings.mail.password_file):
        # A file that cannot be read is told of where it is needed.
        with suppress(OSError, ValueError):
            yield Path(file).read_text(encoding="utf-8").strip() if file else ""


def _with_own(settings: Settings, *tokens: str) -> Redact:
    own = set(tokens)
    for value in settings.api.headers.values():
        own |= {value, *value.split()}
    literal = sorted((re.escape(text) for text in own if len(text) >= SECRET_LENGTH), reverse=True)
    return replace(settings.redact, patterns=(*settings.redact.patterns, *literal))


def _scopes(api: Api, until: float | None) -> tuple[str, ...]:
    """The scopes of the settings; else those that the server's capabilities name, which are given
    without a token."""
    if api.google_scopes:
        return api.google_scopes
    from jmreport import credentials
    from jmreport.client import Client
    from jmreport.collectors import capabilities

    with Client(api, until=until) as client:
        client.probe()
        wanted = capabilities.read(client).view.authentication
    return credentials.scopes_of(wanted.scopes if wanted else ())
