"""One part of a run: what one of several machines reads, into a folder of its own.

every machine lists all jobs, and reads those whose ids fall to it; `merging` joins the parts
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from jmreport import __version__
from jmreport.errors import UsageError
from jmreport.pipeline import mirroring
from jmreport.pipeline.asking import (
    asked_of,
    client_for,
    credentials_for,
    never_asked,
    reaching_back,
    without_own_secrets,
)
from jmreport.pipeline.collecting import (
    cut_short,
    going_on,
    keep_invented_jobs_apart,
    moved,
    read_all,
    summary,
)
from jmreport.pipeline.crawling import PartOf
from jmreport.pipeline.keeping import open_folder, open_store
from jmreport.pipeline.values import Outcome, Source, exit_of
from jmreport.progress import Progress
from jmreport.records import Run, newest_usable, utc_text
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.snapshots import Part, Redaction, Shard, Store

#: States of runs that say what need not be read again.
_TELLING = ("complete", "incomplete", "refreshed")


def collect_part(
    settings: Settings,
    shard: str,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """Pull one part of what the window asks for ("2/4") into a folder beside the snapshots.

    The snapshots say what need not be read again, and get no run; with a mirror they come from
    there, and the part goes there. All parts of a run are of one
    `now`. One that was stopped goes on where it ended; one that is there is not read again.

    Raises what `collect` raises, and UsageError where the folder holds another part, or one that
    was read on top of other snapshots.
    """
    from jmreport.snapshots import parts

    found = parts.shard_from(shard)
    place = parts.place(Path(settings.snapshots.dir), now, found)
    pulled = mirroring.pull(settings, now=now, environ=environ, progress=progress)
    # One that was pushed and is collected again, since its machine was, is not read again.
    mirroring.pull_parts(settings, now=now, environ=environ, progress=progress, only=found.folder)
    collecting = partial(
        _into_its_folder,
        settings,
        found,
        now=now,
        source=source,
        environ=environ,
        progress=progress,
    )
    push = partial(
        mirroring.push_part, settings, place, now=now, environ=environ, progress=progress
    )
    return mirroring.handed_on(collecting, pulled=[pulled], push=push, progress=progress)


def _into_its_folder(
    settings: Settings,
    shard: Shard,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    from jmreport.snapshots import Part, Redaction, parts

    place = parts.place(Path(settings.snapshots.dir), now, shard)
    at_home = replace(settings, snapshots=replace(settings.snapshots, dir=str(place)))
    asked = asked_of(settings, now=now, source=source)
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings, create=True))
        before = store.runs()
        keep_invented_jobs_apart(before, source, settings)
        found = credentials_for(settings, source=source, environ=environ)
        redaction = Redaction.of(without_own_secrets(settings, found))
        if redaction.hashes:
            mirroring.share_salt(settings, store, environ=environ, progress=progress)
        own = stack.enter_context(open_folder(place, create=True))
        known, kept = (*store.pruned(), *before), _salted(redaction, store, own)
        asked = reaching_back(asked, known, as_kept=kept.asked(asked), now=now)
        part = Part(
            shard=shard,
            now=now,
            asked=kept.asked(asked),
            base=told_by(before),
            settings=digest(settings),
            version=__version__,
        )
        _claim(own, part)
        done = newest_usable(own.runs())
        if done is not None:
            line = f"part {shard} of run {part.run} was collected before, into {place}"
            return Outcome(exit=exit_of(done), summary=(line,), run=done)
        client = stack.enter_context(client_for(settings, found, now=now, source=source))
        with (
            going_on(at_home) as going,
            own.begin(now, redaction, asked=asked, version=__version__) as writer,
        ):
            going.append(writer)
            run = read_all(
                settings,
                asked,
                client=client,
                store=store,
                writer=writer,
                gaps=never_asked(part.asked, known, now=now),
                part=PartOf(shard, own),
                progress=progress,
            )
            run = writer.finish(replace(run, notes=(*moved(before, asked), *run.notes)))
    did = f"collected part {shard} of {run.asked.timeframe} into {place}"
    return Outcome(
        exit=exit_of(run), summary=(summary(run, did), *cut_short(run, at_home)), run=run
    )


def told_by(runs: tuple[Run, ...]) -> str:
    """The newest run that says what need not be read again; "" where there is none."""
    return next((run.id for run in reversed(runs) if run.state in _TELLING), "")


def digest(settings: Settings) -> str:
    """Of the settings that decide what is read of a job, and what of it is kept."""
    told = msgspec.json.encode((settings.collect, settings.redact), order="sorted")
    return hashlib.blake2b(told, digest_size=16).hexdigest()


def _salted(redaction: Redaction, store: Store, own: Store) -> Redaction:
    """Hashes with the key of the snapshots, so that all parts agree on them."""
    if not redaction.hashes:
        return redaction
    own.adopt_salt(store.salt())
    return redaction.salted(own.salt().strip())


def _claim(own: Store, part: Part) -> None:
    """Says which part the folder is of. Raises UsageError where it is of another."""
    from jmreport.snapshots import parts

    there = parts.read(own.root)
    if there is None:
        if own.runs():
            raise UsageError(
                f"{own.root} holds runs and is no part of one", hint="move it out of the way"
            )
        parts.write(own.root, part)
    elif named_as(there, part) != part:
        was, would = difference(there, part), difference(part, there)
        now = f"; now it would be {would}" if would != was else ""
        raise UsageError(
            f"{own.root} was collected {was}{now}",
            hint="remove the folder to collect this part anew",
        )


def named_as(part: Part, other: Part) -> Part:
    """A part as though it had learnt as another did which server to ask: that tells none apart."""
    return replace(part, asked=replace(part.asked, in_file=other.asked.in_file))


def difference(one: Part, other: Part) -> str:
    """How one part was collected otherwise than another: the first thing that tells them apart."""
    pairs = zip(_told(one), _told(other), strict=True)
    return next(words for (value, words), (theirs, _) in pairs if value != theirs)


def _told(part: Part) -> Iterator[tuple[Any, str]]:
    """All that may tell a part from another, each with how it is said."""
    asked = part.asked
    yield part.now, f"for {part.now.isoformat()}"
    yield part.shard, f"as part {part.shard}"
    yield asked.server, f"from {asked.server}"
    yield asked.timeframe, f"with --timeframe {asked.timeframe}"
    for name in asked.filters.__struct_fields__:
        value = getattr(asked.filters, name)
        yield value, _flag(name, value)
    # What was there before moves the window too, so it is said first.
    yield part.base, f"on top of run {part.base}" if part.base else "on top of no run"
    since = f"from {utc_text(asked.since)} on" if asked.since else "of any time"
    yield asked.since, f"for jobs {since}"
    yield part.settings, "with other settings of [collect] or [redact]"
    yield part.version, f"by jmreport {part.version}"
    yield part.format, f"in format {part.format}"


def _flag(name: str, value: Any) -> str:
    """A filter as its flag, for settings are named alike."""
    flag = "--label" if name == "labels" else f"--{name.replace('_', '-')}"
    if not value:
        return f"without {flag}"
    if value is True:
        return f"with {flag}"
    if isinstance(value, dict):
        value = [f"{key}={each}" for key, each in sorted(value.items())]
    elif isinstance(value, datetime):
        value = utc_text(value)
    values = value if isinstance(value, list | tuple) else (value,)
    return f"with {' '.join(f'{flag} {each}' for each in values)}"
