"""The plan: which objects are made, of what, in which order, and which go."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from jmreport.bucket import Bucket, Held
from jmreport.errors import DeliveryError, UsageError
from jmreport.publish.manifest import MANIFEST, PENDING, Gone, Manifest, Shown, is_name
from jmreport.publish.serving import ASSETS, RULES, cache_of, is_night
from jmreport.records import run_order

#: Pages that every site has at its root.
_EVERY_SITE = ("index.html", "404.html", "robots.txt")
#: Nobody has a page open for longer that links to what is gone.
KEPT = timedelta(days=1)
#: Browsers keep pages of nights for a year, and with them the look that those refer to.
KEPT_LOOK = timedelta(days=400)
#: The rows of the jobs' list: the one asset that is large, and that no frozen page refers to.
_ROWS = f"{ASSETS}jobs-"
_INDEX = "index.html"
BUILDS = "builds/"
STAGES = 5


class SiteFile(Struct, frozen=True, kw_only=True):
    """A file of the site: its address, its size and the digest of its bytes."""

    address: str
    size: int
    sum: str


class Laid(Struct, frozen=True, kw_only=True):
    """A file and the object it becomes. `data` is there where no file of the site holds it."""

    name: str
    file: SiteFile
    data: bytes | None = None


class Put(Struct, frozen=True, kw_only=True):
    """An object to be made, in place of the one of generation `there` (0: none)."""

    laid: Laid
    cache: str
    there: int = 0
    #: What is known of the object that is there, by having looked.
    held: Held | None = None
    #: An object with the same content, to be copied, and its generation.
    source: str = ""
    source_generation: int = 0

    @property
    def name(self) -> str:
        return self.laid.name


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be done, from the first stage to the last."""

    stages: tuple[tuple[Put, ...], ...]
    build: str
    #: Objects that stay as they are.
    kept: Mapping[str, Shown]
    #: Objects that stay though no page links to them, and those of them that go after the commit.
    gone: Mapping[str, Gone]
    due: tuple[str, ...]

    @property
    def puts(self) -> Iterator[Put]:
        for stage in self.stages:
            yield from stage

    @property
    def size(self) -> int:
        """How many objects are made."""
        return sum(map(len, self.stages))


def lay_out(
    files: Iterable[SiteFile],
    before: Manifest,
    *,
    now: datetime,
    atomic: bool,
    pointer: Callable[[str], bytes],
) -> tuple[str, tuple[Laid, ...]]:
    """Where each file goes: at the root, or each build below a prefix of its own.

    `pointer` makes the page at the root that leads to a build's overview. Raises DeliveryError for
    a file that no object can be called after.
    """
    known = tuple(files)
    wrong = next((file.address for file in known if not is_name(file.address)), None)
    if wrong is not None:
        raise DeliveryError(
            f"the site has a file called {wrong!r}, which is none of jmreport's",
            hint="build the site anew into an empty folder",
        )
    if not atomic:
        return "", tuple(Laid(name=file.address, file=file) for file in known)
    build = before.build
    if not build or not _same(known, before):
        build = _new_build(before, now)
    page = pointer(f"{build}{_INDEX}")
    digest = hashlib.blake2b(page, digest_size=16).hexdigest()
    at_root = SiteFile(address=_INDEX, size=len(page), sum=digest)
    return build, (
        *(Laid(name=build + file.address, file=file) for file in known),
        *(Laid(name=file.address, file=file) for file in known if _is_for_root(file.address)),
        Laid(name=_INDEX, file=at_root, data=page),
    )


def _same(files: Collection[SiteFile], before: Manifest) -> bool:
    there = {
        name.removeprefix(before.build): shown.sum
        for name, shown in before.files.items()
        if name.startswith(before.build)
    }
    return there == {file.address: file.sum for file in files}


def _new_build(before: Manifest, now: datetime) -> str:
    stem = f"{BUILDS}{now:%Y%m%dT%H%M%SZ}"
    taken = {"/".join(name.split("/", 2)[:2]) for name in (*before.files, *before.gone)}
    number, build = 1, stem
    while build in taken:
        number += 1
        build = f"{stem}-{number}"
    return f"{build}/"


def _is_for_root(address: str) -> bool:
    """What is looked for at the root of a host whatever build stands: and the look of the 404."""
    return address in ("404.html", "robots.txt") or (
        address.startswith(ASSETS) and not address.startswith(_ROWS)
    )


def refuse_foreign(laid: Iterable[Laid], listed: Mapping[str, Held], left: Collection[str]) -> None:
    """Raises UsageError where a first publishing would write over objects of somebody else."""
    for each in laid:
        if each.name in listed and each.name not in left:
            raise _foreign(each.name)


def refuse_taken(bucket: Bucket) -> None:
    """The same where nothing is to be published yet: of the pages that every site has. Asks for
    these few, and writes nothing."""
    if any(bucket.read(name) for name in (MANIFEST, PENDING)):
        return
    for name in _EVERY_SITE:
        if bucket.read(name) is not None:
            raise _foreign(name)


def _foreign(name: str) -> UsageError:
    return UsageError(
        f"{name} is there already, and was not published by jmreport",
        hint="give a prefix or folder of its own; `jmreport publish --relist` writes over "
        "what is there",
    )


def plan(
    laid: Collection[Laid],
    before: Manifest,
    *,
    build: str,
    now: datetime,
    public: bool,
    listed: Mapping[str, Held] | None = None,
    left: Collection[str] = (),
) -> Plan:
    """What makes a bucket that holds `before` hold this.

    `listed` is every object that is there, where somebody looked; `left` names those of them that a
    run that died may have made.
    """
    nights = (each.file.address for each in laid if is_night(each.file.address))
    newest = max(nights, key=_night_order, default="")
    stages: tuple[list[Put], ...] = tuple([] for _ in range(STAGES))
    kept: dict[str, Shown] = {}
    sources = _sources(before, listed)
    for each in laid:
        cache = cache_of(each.file.address, newest=newest, public=public)
        if each.data is not None:
            cache = cache_of(_INDEX, newest="", public=public)
        shown = _stands(each, cache, before, listed)
        if shown is not None:
            kept[each.name] = shown
            continue
        put = _put(each, cache, before, listed, sources)
        stages[_stage(put)].append(put)
    gone = _gone({each.name for each in laid}, before, listed, left, now)
    due = tuple(
        name
        for name, was in gone.items()
        if name in before.gone and now - was.since >= _keeping(name)
    )
    return Plan(stages=tuple(map(tuple, stages)), build=build, kept=kept, gone=gone, due=due)


def _night_order(address: str) -> tuple[str, int]:
    """When a night's page was made: the second run of a time is newer than the first."""
    return run_order(address.split("/")[1])


def _stands(
    laid: Laid, cache: str, before: Manifest, listed: Mapping[str, Held] | None
) -> Shown | None:
    """The object where it is there and is right."""
    shown = before.files.get(laid.name)
    if shown is None and (was := before.gone.get(laid.name)):
        shown = was.shown()
    if shown is None or before.rules != RULES:
        return None
    if shown.sum != laid.file.sum or shown.cache != cache:
        return None
    if listed is not None:
        held = listed.get(laid.name)
        if held is None or held.generation != shown.generation:
            return None
    return shown


def _put(
    laid: Laid,
    cache: str,
    before: Manifest,
    listed: Mapping[str, Held] | None,
    sources: Mapping[tuple[str, str], tuple[str, int]],
) -> Put:
    held = listed.get(laid.name) if listed is not None else None
    if listed is not None:
        there = held.generation if held else 0
    else:
        shown = before.files.get(laid.name) or before.gone.get(laid.name)
        there = shown.generation if shown else 0
    source, generation = sources.get((laid.file.sum, cache), ("", 0))
    if source.rpartition(".")[2] != laid.name.rpartition(".")[2]:
        source, generation = "", 0  # of another type
    return Put(
        laid=laid,
        cache=cache,
        there=there,
        held=held,
        source=source,
        source_generation=generation,
    )


def _sources(
    before: Manifest, listed: Mapping[str, Held] | None
) -> dict[tuple[str, str], tuple[str, int]]:
    """Objects of the build before that can be copied, by content and Cache-Control."""
    if not before.build or before.rules != RULES:
        return {}
    return {
        (shown.sum, shown.cache): (name, shown.generation)
        for name, shown in before.files.items()
        if listed is None or (name in listed and listed[name].generation == shown.generation)
    }


def _stage(put: Put) -> int:
    """Assets, what is new, what is changed, indexes, and last the overview at the root."""
    name, address = put.name, put.laid.file.address
    if name == _INDEX:
        return 4
    if address.startswith(ASSETS):
        return 0
    if not put.there:
        return 1
    return 3 if address.endswith(_INDEX) and not is_night(address) else 2


def _gone(
    names: Collection[str],
    before: Manifest,
    listed: Mapping[str, Held] | None,
    left: Collection[str],
    now: datetime,
) -> dict[str, Gone]:
    found = {
        name: Gone(now, shown.sum, shown.cache, shown.size, shown.generation)
        for name, shown in before.files.items()
        if name not in names
    }
    found |= {name: was for name, was in before.gone.items() if name not in names}
    if listed is None:
        return found
    for name in left:
        held = listed.get(name)
        if held is not None and name not in names and is_name(name):
            found.setdefault(name, Gone(now, "", held.cache, held.size, held.generation))
    return {name: was for name, was in found.items() if name in listed}


def _keeping(name: str) -> timedelta:
    """For how long an object stays that no page links to any more."""
    look = name.startswith(ASSETS) and not name.startswith(_ROWS)
    return KEPT_LOOK if look else KEPT


def manifest(plan: Plan, sent: Mapping[str, Shown], *, now: datetime) -> Manifest:
    """The manifest that says that all of it was done, but for what is still to be deleted."""
    return Manifest(
        at=now,
        build=plan.build,
        files=dict(sorted({**plan.kept, **sent}.items())),
        gone=dict(sorted(plan.gone.items())),
    )
