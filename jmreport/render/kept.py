"""What a site remembers beside its pages: the nights as they were told, and differences.

A night is told once. A difference that somebody asked for has a page for good, which goes with the
later of its runs.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from jmreport.compared import Difference, DiffJob
from jmreport.night import Night
from jmreport.records import run_order
from jmreport.remembered import Growing, Works
from jmreport.render import addresses, diffpages, words
from jmreport.render.drawings import Charts
from jmreport.render.files import Files, sum_of
from jmreport.render.ledger import NAME, Ledger
from jmreport.render.making import base_of, put
from jmreport.render.page import digest
from jmreport.render.past import (
    Past,
    diff_bodies,
    diff_pages,
    night_bodies,
    night_body,
    sizes,
    told_nights,
)
from jmreport.render.shapes import shape
from jmreport.render.telling import AsOf
from jmreport.render.theme import Theme
from jmreport.report.nights import NightSummary
from jmreport.settings import Settings
from jmreport.settings_reach import NIGHTS, values

#: Raised when nights must be told anew, since what they keep has changed its meaning: also where a
#: default has, as what equals it is not written. Where it has changed its shape they are without.
NIGHT_FORMAT = 12
#: What is raised by a body that is none.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, TypeError)
_decode_night = msgspec.msgpack.Decoder(Night).decode
_decode_summary = msgspec.msgpack.Decoder(NightSummary).decode
_decode_difference = msgspec.msgpack.Decoder(Difference).decode


def remembered(site_dir: Path, settings: Settings) -> dict[str, NightSummary]:
    """Run -> summary of each night whose page this site has, told under the same settings.

    One that is damaged is left out, so that it is told again from the snapshots.
    """
    found = {}
    for run, summary, body in told_nights(ledger_of(site_dir), told_under(settings)):
        with suppress(*UNREADABLE):
            _decode_night(body)
            found[run] = _decode_summary(summary)
    return found


def told_before(site_dir: Path, run: str) -> Night | None:
    """What the page of a night is made of that this site has; None where it has none."""
    bodies = night_body(ledger_of(site_dir), run)
    return _night(bodies[0]) if bodies else None


def _night(body: bytes) -> Night | None:
    """What the page of a night is made of; None of what is damaged, or of another shape."""
    try:
        return _decode_night(body)
    except UNREADABLE:
        return None


def _difference(body: bytes) -> Difference | None:
    try:
        return _decode_difference(body)
    except UNREADABLE:
        return None


class Settled(NamedTuple):
    """What a site remembers of jobs that settled."""

    past: Past
    history: Growing
    head: bytes
    since: frozenset[str]

    @property
    def works(self) -> Works:
        return self.past.works

    def batches(self) -> Iterator[bytes]:
        return self.past.batches()


@contextmanager
def settled(site_dir: Path, as_of: AsOf, history: Growing) -> Iterator[Settled | None]:
    """What a site remembers of jobs that settled, to be asked while the context lasts.

    None where it is of other code or settings, or of a store to which something else was done than
    adding runs.
    """
    path = ledger_of(site_dir)
    if not path.exists():
        yield None
        return
    with Past(path) as past:
        found = past.settled()
        since = _since(found[0], as_of) if found else None
        yield None if found is None or since is None else Settled(past, history, found[1], since)


def _since(told: bytes, as_of: AsOf) -> frozenset[str] | None:
    """The runs that came behind a state, where nothing else is another."""
    try:
        return as_of.since(_decode_told(told))
    except msgspec.DecodeError:
        return None


def told_as_of(as_of: AsOf) -> bytes:
    """As of which state something is remembered."""
    return msgspec.msgpack.encode(as_of)


_decode_told = msgspec.msgpack.Decoder(AsOf).decode


def is_there(site_dir: Path) -> bool:
    """Whether a site of ours was written there."""
    return (Files(site_dir).own / NAME).is_file()


def ledger_of(site_dir: Path) -> Path:
    """Where the ledger of a site is."""
    return Files(site_dir).own / NAME


def keep_difference(site_dir: Path, found: Difference, *, settings: Settings, version: str) -> str:
    """Makes the page of two runs' difference, and says where. It stays with the site from then on.

    Raises JmreportError naming a file that cannot be written, and LockedError while another run
    writes.
    """
    files = Files(site_dir)
    theme = Theme(settings, version=version)
    zone = words.zone(settings.report.timezone)
    address = addresses.diff(found.before.run, found.after.run)
    with Ledger(files.own / NAME) as ledger:
        files.prepare()
        ledger.put_diff(address, msgspec.msgpack.encode(found))
        for asset, content in sorted(theme.assets().items()):
            if files.size(asset) is None:
                written = (files.write(asset, content),)
                ledger.put(asset, sum_of(content), written, kept=False)
        base = base_of(theme)
        for page in diffpages.pages(differences(ledger), _is_there(files), zone):
            if page.address in (address, addresses.DIFFS):
                made = put(page, page.view(Charts(files.own / "charts")), theme, files)
                ledger.put(
                    page.address, f"{base}{page.content}", made, kept=page.address == address
                )
        ledger.set_seal(b"")  # the next render finds another page to link to
        ledger.commit()
        if files.unsure:  # the next render sees to them
            files.close()
        else:
            files.settled()
    return address


def named(site_dir: Path, runs: Collection[str]) -> frozenset[str]:
    """Ids of jobs that kept pages of these runs lead to: their nights', and those of differences.

    A difference stays while one of its two runs does.
    """
    found: set[str] = set()
    path = ledger_of(site_dir)
    for run, body in night_bodies(path):
        if run in runs and (told := _night(body)):
            found.update(job.id for job in told.jobs)
    for _, body in diff_bodies(path):
        one = _difference(body)
        if one and (one.before.run in runs or one.after.run in runs):
            found.update(job.id for jobs in _jobs_of(one) for job in jobs)
    return frozenset(found)


def nights_beyond(site_dir: Path, runs: Sequence[str]) -> tuple[str, ...]:
    """The runs of nights that have a page, but for these `runs` and those before the oldest.

    What a night told stays kept: should its run come back, it is told as it was.
    """
    files = Files(site_dir)
    known, oldest = frozenset(runs), min(map(run_order, runs))
    return tuple(
        run
        for run, _ in night_bodies(files.own / NAME)
        if run not in known
        and run_order(run) > oldest
        and files.size(addresses.night(run)) is not None
    )


def taken_by(site_dir: Path, jobs: Collection[str], runs: Collection[str]) -> tuple[int, int]:
    """How many files at least go with these jobs and runs, and their bytes.

    The pages of the jobs, the nights of the runs with their lists, and differences of two runs of
    which none is left: of none later than the last of these. Which lists of days, labels and tasks
    lose their last job too, and which causes, only the next report tells.
    """
    path = ledger_of(site_dir)
    owners = {addresses.job(job) for job in jobs}
    nights = tuple(map(addresses.of_night, runs))
    for page in diff_pages(path):
        of = addresses.runs_of(page)
        if of and max(of) <= max(runs, default=""):
            owners.add(page)
    lists = tuple(
        f"{addresses.night_list(run, kind)}{archived}"
        for run in runs
        for kind in addresses.NIGHT_LISTS
        for archived in ("", addresses.ARCHIVED)
    )
    owners |= {addresses.list_page(name) for name in lists}
    further = {f"{addresses.list_page(name).removesuffix('.html')}-page" for name in lists}
    taken = [
        size
        for owner, size in sizes(path)
        if owner in owners or owner.startswith(nights) or owner.rpartition("-")[0] in further
    ]
    return len(taken), sum(taken)


def _jobs_of(one: Difference) -> tuple[tuple[DiffJob, ...], ...]:
    return (
        one.new,
        one.fixed,
        one.still_failing,
        one.lapsed,
        one.not_run,
        one.first_seen,
        one.unknown,
    )


def differences(ledger: Ledger) -> list[Difference]:
    """What is kept of differences that were asked for; those of another shape are left out."""
    return [one for body in ledger.diffs() if (one := _difference(body))]


def unlisted(site_dir: Path) -> list[tuple[str, str]]:
    """The two runs of each difference of which a page is there, and no more can be read."""
    path = ledger_of(site_dir)
    listed = {name for name, body in diff_bodies(path) if _difference(body)}
    of = (addresses.runs_of(page) for page in diff_pages(path) if page not in listed)
    return [runs for runs in of if runs]


def _is_there(files: Files) -> Callable[[str], bool]:
    return lambda address: files.size(address) is not None


def night(ledger: Ledger, run: str) -> Night | None:
    """What the page of a night is made of; None where it is not known."""
    body = ledger.night(run)
    return None if body is None else _night(body)


def told_under(settings: Settings) -> str:
    """What a night depends on beside the snapshots: how work is known again, its days, and how it
    is kept.

    With other settings of promises, prices and known issues it stays as it was told. One that is
    told again, as another jmreport keeps it otherwise, is told with those of today.
    """
    return digest(NIGHT_FORMAT, shape(Night), *values(settings, NIGHTS))
