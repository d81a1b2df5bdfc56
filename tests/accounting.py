"""Whether a build lost anything: what a server said is held against what the store and pages hold.

found = run(folder, url, now=…)      a whole build by the program itself, and what it said
faults(site, …)                      what is wrong with it, in plain lines
"""

import contextlib
import hashlib
import io
import json
import logging
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import tenacity

from jmreport import cli, pipeline
from jmreport.pipeline.keeping import open_store
from jmreport.records import Record, Run
from jmreport.settings import Settings, Site, Snapshots

#: The exit codes that a build has for what a server does; 1 would be a bug.
DOCUMENTED = (0, 3, 4)
#: Waits between tries pass this much faster.
HURRY = 2_000.0
_VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
#: What no HTML may hold: controls, and halves of characters.
_FORBIDDEN = {*map(chr, range(32)), *map(chr, range(127, 160)), "\ufffe", "\uffff"} - {"\n", "\t"}


class Built(NamedTuple):
    """A command of the program: its exit code, and what it and its threads said."""

    code: int
    said: str

    @property
    def traceback(self) -> str:
        """What a bug left, "" where there is none."""
        wrong = ("Traceback (most recent", "this is a bug")
        return self.said[-4_000:] if any(word in self.said for word in wrong) else ""


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """While it lasts, what would be waited before another try passes quickly."""

    def quickly(event: threading.Event) -> Any:
        return lambda seconds: event.wait(seconds / HURRY)

    with mock.patch.object(tenacity, "sleep_using_event", quickly):
        yield


def configure(folder: Path, url: str, **api: float) -> Path:
    """A settings file whose store and site are in the folder."""
    numbers = "".join(f"{key} = {value}\n" for key, value in api.items())
    path = folder / "jmreport.toml"
    path.write_text(
        f'[api]\nurl = "{url}"\n{numbers}'
        f'[snapshots]\ndir = "{folder / "snapshots"}"\n[site]\ndir = "{folder / "site"}"\n'
    )
    return path


def settings_of(folder: Path) -> Settings:
    return Settings(
        snapshots=Snapshots(dir=str(folder / "snapshots")), site=Site(dir=str(folder / "site"))
    )


def command(*args: str) -> Built:
    """The program with these arguments, in this process; also what its threads died of."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setLevel(logging.WARNING)

    def died(args: Any) -> None:
        said.write(f"Traceback (most recent call last) of {args.thread}: {args.exc_value!r}\n")

    logging.getLogger().addHandler(handler)
    try:
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(said),
            mock.patch.object(threading, "excepthook", died),
        ):
            code = cli.main([*args])
    finally:
        logging.getLogger().removeHandler(handler)
    return Built(code, said.getvalue())


def build(config: Path, *, now: str, timeframe: str = "ALL_TIME") -> Built:
    """A whole build: collect and render."""
    return command(
        "build", "-v", f"--config={config}", f"--now={now}", f"--timeframe={timeframe}",
        "--workers=1",
    )  # fmt: skip


class Pages:
    """What a built site says of jobs."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        # Not by splitlines, which also splits at separators that a text in JSON may hold.
        lines = (self.site / "data/jobs.ndjson").read_text("utf-8").split("\n")
        self.lines = [json.loads(line) for line in lines if line]
        self.rows = {row["id"]: row for row in self.lines}
        self.report = json.loads((self.site / "data/report.json").read_text("utf-8"))
        self.gaps = self.report["gaps"]
        self.quality = (self.site / "quality.html").read_text("utf-8")

    def of(self, job: str) -> list[dict[str, Any]]:
        """What is said to be lacking of a job."""
        return [gap for gap in self.gaps if gap["job"] == job]

    def is_shown(self, job: str) -> bool:
        return job in self.rows and (self.site / str(self.rows[job]["page"])).is_file()


def records(folder: Path) -> tuple[Run, dict[str, Record]]:
    """The newest usable run, and the newest record of every job."""
    with open_store(settings_of(folder), create=False) as store:
        run = next(run for run in reversed(store.runs()) if run.usable)
        return run, {entry.row.id: store.record(entry.row.id) for entry in store.entries()}


def unsound(folder: Path) -> list[str]:
    """What is wrong with the store, the links and the HTML."""
    faults = [f"check: {fault.what}: {fault.why}" for fault in pipeline.check(settings_of(folder))]
    for path in sorted((folder / "site").rglob("*.html")):
        faults += [f"{path.name}: {why}" for why in _malformed(path.read_bytes())]
    return faults


#: Digests of pages that are well formed: most of a round's second build are those of its first.
_SOUND: set[bytes] = set()


def _malformed(page: bytes) -> list[str]:
    mark = hashlib.blake2b(page, digest_size=16).digest()
    if mark in _SOUND:
        return []
    faults = malformed(page)
    if not faults:
        _SOUND.add(mark)
    return faults


def malformed(page: bytes) -> list[str]:
    """Why a page is not well formed; empty when it is."""
    try:
        text = page.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"is not UTF-8: {error}"]
    nesting = _Nesting()
    nesting.feed(text)
    nesting.close()
    faults = nesting.faults
    if nesting.open:
        faults.append(f"<{nesting.open[-1]}> is never closed")
    if not text.startswith("<!DOCTYPE html>") and not text.startswith("<!doctype html>"):
        faults.append(f"begins with {text[:20]!r}")
    if found := _FORBIDDEN.intersection(text):
        faults.append(f"holds {sorted(found)!r}")
    if nesting.headings != 1:
        faults.append(f"has {nesting.headings} headings of the first order")
    return faults[:5]


class _Nesting(HTMLParser):
    """Every element closed, in order; every id once."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.headings = 0
        self._ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.headings += tag == "h1"
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        for name, value in attrs:
            if name == "id" and value is not None:
                if value in self._ids:
                    self.faults.append(f"id {value!r} is there twice")
                self._ids.add(value)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-3:]} at {self.getpos()}")
            if tag not in self.open:
                return
            while self.open[-1] != tag:
                self.open.pop()
        self.open.pop()
