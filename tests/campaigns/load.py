"""200 readers and 20 actors at once for a minute on the actions server, and its audit afterwards.

    python -m tests.campaigns.load [60] [--readers 200] [--actors 20] [--jobs 1500]

On this machine alone: `jmreport serve` in iap mode, in a process of its own, and the built-in
Job Manager behind it. Readers read the overview, lists and job pages; actors open a confirm page,
send its form, and read what came of it. Prints requests a second and how long they took. Ends with
1 where an answer was not the expected one, or the audit lacks a line.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))

from actions_cases import AUDIENCE, FORM, NOW, PUBLIC, Issuer

from jmreport import pipeline
from jmreport.collectors.demo import Demo, serve
from jmreport.pipeline import Source
from jmreport.progress import SilentProgress
from jmreport.settings import Actions, Api, Collect, Settings, Site, Snapshots

#: Seconds between two requests of one reader, and of one actor: people read what they ask for.
THINK_READING, THINK_ACTING = 1.0, 1.0


class Tally:
    """What everybody saw."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {"read": [], "confirm": [], "send": [], "outcome": []}
        self.wrong: Counter[str] = Counter()
        self.sent: list[tuple[str, str]] = []


class Person:
    """Somebody with a connection that is kept, as a browser keeps it."""

    def __init__(self, port: int, token: str, tally: Tally) -> None:
        self.port, self.token, self.tally = port, token, tally
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(
        self, kind: str, method: str, target: str, body: bytes = b"", *, good: int
    ) -> tuple[dict[str, str], bytes]:
        began = time.monotonic()
        try:
            status, headers, answer = await asyncio.wait_for(
                self._exchange(method, target, body), 30
            )
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.tally.wrong[f"{kind}: {type(error).__name__}"] += 1
            self.close()
            return {}, b""
        self.tally.took[kind].append(time.monotonic() - began)
        if status != good:
            self.tally.wrong[f"{kind}: {status}"] += 1
        return headers, answer

    async def _exchange(
        self, method: str, target: str, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = f"{method} {target} HTTP/1.1\r\nHost: {urlsplit(PUBLIC).netloc}\r\n"
        head += f"x-goog-iap-jwt-assertion: {self.token}\r\n"
        if method == "POST":
            head += f"Origin: {PUBLIC}\r\nContent-Type: {FORM}\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
            if name
        }
        answer = await self._reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), headers, answer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def hidden(page: bytes, name: str) -> str:
    text = page.decode("utf-8", "replace").partition(f'name="{name}" value="')[2]
    return unescape(text.partition('"')[0])


async def read(person: Person, pages: Sequence[str], until: float) -> None:
    """A reader who goes from page to page."""
    await asyncio.sleep(random.random() * THINK_READING)  # noqa: S311 - only when to begin
    while time.monotonic() < until:
        await person.ask("read", "GET", random.choice(pages), good=200)  # noqa: S311 - which page
        await asyncio.sleep(THINK_READING)
    person.close()


async def act(person: Person, jobs: Sequence[str], until: float) -> None:
    """An actor who flags one job after the other, each with a value of its own."""
    await asyncio.sleep(random.random() * THINK_ACTING)  # noqa: S311 - only when to begin
    number = 0
    while time.monotonic() < until:
        job = jobs[number % len(jobs)]
        value = f"seen {number}"
        number += 1
        target = f"/actions/labels?{urlencode({'job': job})}"
        _, page = await person.ask("confirm", "GET", target, good=200)
        form = {
            "csrf": hidden(page, "csrf"),
            "idempotency-key": hidden(page, "idempotency-key"),
            "label.comment": value,
            "was.comment": hidden(page, "was.comment"),
        }
        headers, _ = await person.ask("send", "POST", target, urlencode(form).encode(), good=303)
        if "location" in headers:
            person.tally.sent.append((job, value))
            _, told = await person.ask("outcome", "GET", headers["location"], good=200)
            if b"the server took it" not in told:
                person.tally.wrong["outcome: not told"] += 1
        await asyncio.sleep(THINK_ACTING)
    person.close()


async def everybody(
    port: int,
    issuer: Issuer,
    pages: Sequence[str],
    jobs: Sequence[str],
    options: argparse.Namespace,
) -> Tally:
    tally, until = Tally(), time.monotonic() + options.seconds
    people = [
        read(Person(port, issuer.token(f"r{n}@example.org"), tally), pages, until)
        for n in range(options.readers)
    ]
    for n in range(options.actors):
        token = issuer.token(f"a{n}@example.org")
        people.append(act(Person(port, token, tally), jobs[n :: options.actors], until))
    await asyncio.gather(*people)
    return tally


def main(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as name:
        folder, demo, issuer = Path(name), Demo(now=NOW, jobs=options.jobs), Issuer("iap")
        with serve(demo, port=0) as manager:
            settings = Settings(
                api=Api(url=manager.url),
                site=Site(dir=str(folder / "site")),
                snapshots=Snapshots(dir=str(folder / "snapshots")),
                collect=Collect(timeframe="DAYS_7"),
                actions=Actions(url=PUBLIC),
            )
            pipeline.build(
                settings, now=NOW, source=Source(url=manager.url), environ={},
                progress=SilentProgress(),
            )  # fmt: skip
            pages = [f"/{p.relative_to(folder / 'site')}" for p in (folder / "site").glob("*.html")]
            pages += [f"/jobs/{p.name}" for p in list((folder / "site/jobs").glob("*.html"))[:150]]
            rows = (folder / "site/data/jobs.ndjson").read_text().splitlines()
            jobs = [json.loads(row)["id"] for row in rows][:200]
            return _attend(folder, manager.url, issuer, pages, jobs, demo, options)


def _attend(
    folder: Path, url: str, issuer: Issuer, pages: Sequence[str], jobs: Sequence[str], demo: Demo,
    options: argparse.Namespace,
) -> int:  # fmt: skip
    (folder / "jmreport.toml").write_text(
        f'[api]\nurl = "{url}"\n[actions]\nurl = "{PUBLIC}"\nmode = "iap"\nport = 0\nrate = 1000\n'
        f'audience = "{AUDIENCE}"\nkeys_url = "{issuer.url}"\naudit = "audit.jsonl"\n'
        '[[actions.allow]]\nwho = "*@example.org"\nactions = ["abort", "labels"]\n'
    )
    port = _free()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "jmreport", "serve", "--port", str(port)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("JMREPORT_")},
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        tally = asyncio.run(everybody(port, issuer, pages, jobs, options))
        took = time.monotonic() - began
        memory = Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
    return _tell(folder, tally, took, int(memory), code, demo)


def _tell(folder: Path, tally: Tally, took: float, memory: int, code: int, demo: Demo) -> int:
    lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    asked = Counter((x["job"], x["labels"]["comment"]) for x in lines if x["event"] == "asked")
    came = Counter((x["form"], x["job"]) for x in lines if x["event"] == "came")
    if asked != Counter(tally.sent):
        tally.wrong["audit: not what was sent"] += 1
    if sum(came.values()) != len(tally.sent) or max(came.values(), default=0) > 1:
        tally.wrong["audit: outcomes are missing"] += 1
    if demo.requests.count("UpdateJobLabels") != len(tally.sent):
        tally.wrong["the Job Manager saw another number"] += 1
    if code:
        tally.wrong[f"exit code {code}"] += 1
    for kind, times in tally.took.items():
        cuts = quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
        print(
            f"{kind}: {len(times)} requests, {len(times) / took:.0f} a second, median "
            f"{1000 * cuts[49]:.0f} ms, 95 % within {1000 * cuts[94]:.0f} ms, "
            f"longest {1000 * max(times, default=0):.0f} ms"
        )
    print(
        f"{len(tally.sent)} actions, {sum(asked.values())} lines asked and {sum(came.values())} "
        f"came in the audit, {demo.requests.count('UpdateJobLabels')} at the Job Manager; "
        f"{memory // 1024} MB at most; {sum(tally.wrong.values())} wrong in {took:.0f} s"
    )
    for what, number in tally.wrong.items():
        print(f"  {number} x {what}")
    return 1 if tally.wrong else 0


def _free() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--actors", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1_500)
    sys.exit(main(parser.parse_args()))
