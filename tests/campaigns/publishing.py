"""Publishing under everything that can happen: `python -m tests.campaigns.publishing [1]`.

With a number only every so-manieth object is one to stop after. Prints the counts of each:
boundaries (two nights looked at after every single object, plain and atomic), stops (the network
gone after so many objects), kills (SIGKILL after so many), faults (429, 503, resets, lost answers
in the middle) and races (8 publishers at once).
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from gcs_server import Gcs, served
from published import NOW, PREFIX, TO, Reader, faults_of, files_of, publish, write_night

from jmreport.errors import DeliveryError, Exit

PUBLISHERS = 8


class Tally:
    """What was done, how often, and what went wrong."""

    def __init__(self) -> None:
        self.numbers: Counter[str] = Counter()
        self.faults: list[str] = []

    def add(self, other: "Tally") -> None:
        self.numbers += other.numbers
        self.faults += other.faults


def sites(folder: Path, *, jobs: int = 4, seed: int = 7) -> Path:
    """A folder with two nights of one site, `0` and `1`; the first is of so many jobs."""
    write_night(folder / "0", 0, jobs=jobs, seed=seed)
    shutil.copytree(folder / "0", folder / "1")
    write_night(folder / "1", 1, jobs=jobs, seed=seed)
    return folder


def forget(site: Path, *addresses: str) -> None:
    """Takes files out of a site, as a later version of jmreport would."""
    database = sqlite3.connect(site / ".jmreport/pages")
    with database:
        database.executemany("DELETE FROM pages WHERE owner = ?", [(each,) for each in addresses])
    database.close()


def boundaries(where: Path, *, atomic: bool) -> Tally:
    """Two nights and the deletions of the third, looked at after each object."""
    tally = Tally()
    with served() as gcs:
        reader = Reader(gcs)
        gcs.after = reader.look
        publish(gcs, where / "0", atomic=atomic)
        reader.bookmark()
        publish(gcs, where / "1", hours=24, atomic=atomic)
        reader.look()
        # Nobody has a page of the first night open for more than a day after it was replaced.
        reader.bookmarks = set()
        publish(gcs, where / "1", hours=49, atomic=atomic)
        tally.numbers.update(boundaries=reader.looks, pages=reader.pages, dead=len(reader.dead))
        tally.faults += reader.dead
        if not atomic:
            tally.faults += faults_of(gcs, where / "1")
    return tally


@contextmanager
def _second_night(where: Path, *, atomic: bool = False) -> Iterator[tuple[Gcs, Reader]]:
    """A bucket with the first night, and a reader who has all of it open."""
    with served() as gcs:
        publish(gcs, where / "0", atomic=atomic)
        reader = Reader(gcs)
        reader.bookmark()
        gcs.changes.clear()
        yield gcs, reader


def stops(where: Path, after: Iterable[int]) -> Tally:
    """The second night while the network goes after so many objects, then once more."""
    tally = Tally()
    for changes in after:
        with _second_night(where) as (gcs, reader):
            gcs.stop_after(changes)
            try:
                publish(gcs, where / "1", hours=24, patience=0.3, threads=3)
                tally.numbers["were done before"] += 1
            except DeliveryError as error:
                tally.numbers["ended with 5"] += error.code == Exit.NOT_DELIVERED
            gcs.healthy()
            _check(gcs, reader, where, tally)
        tally.numbers["stops"] += 1
    return tally


def _check(gcs: Gcs, reader: Reader, where: Path, tally: Tally) -> None:
    """What a stopped run left is whole, and the next one finishes it."""
    reader.look()
    gcs.after = reader.look
    said = publish(gcs, where / "1", hours=24.1).summary[0]
    uploaded, skipped = (int(word.split()[-2]) for word in said.split(", ")[:2])
    old, new = files_of(where / "0"), files_of(where / "1")
    same = sum(old.get(name) == data for name, data in new.items())
    tally.numbers["found there already"] += skipped - same
    tally.numbers["uploaded by the next run"] += uploaded
    reader.bookmarks = set()
    publish(gcs, where / "1", hours=49)
    tally.numbers["looks"] += reader.looks
    tally.faults += [*reader.dead, *faults_of(gcs, where / "1")]
    gcs.healthy()


def kills(where: Path, after: Iterable[int], *, by: signal.Signals = signal.SIGKILL) -> Tally:
    """The second night by a process that is killed after so many objects, then once more."""
    tally = Tally()
    for changes in after:
        with _second_night(where) as (gcs, reader):
            process = _process(gcs, where / "1", hours=24)
            reached = threading.Event()

            def kill(
                _name: str,
                gcs: Gcs = gcs,
                at: int = changes,
                process: "subprocess.Popen[str]" = process,
                reached: threading.Event = reached,
            ) -> None:
                if len(gcs.changes) >= at and not reached.is_set():
                    process.send_signal(by)
                    reached.set()

            gcs.after = kill
            process.communicate()
            tally.numbers["died"] += process.returncode == -by
            tally.numbers["asked to stop"] += process.returncode == Exit.INTERRUPTED
            with gcs.lock:
                gcs.healthy()
            _check(gcs, reader, where, tally)
        tally.numbers["kills"] += 1
    return tally


def faulty(where: Path, fault: int | str, *, share: float, seed: int = 1) -> Tally:
    """Two nights while a share of all requests fails in one way."""
    tally = Tally()
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not secret
    lock = threading.Lock()

    def now_and_then(_method: str, path: str) -> int | str | None:
        with lock:
            if chance.random() >= share or path.endswith("/iam"):
                return None
            tally.numbers["faults"] += 1
            return fault

    with served() as gcs:
        reader = Reader(gcs)
        gcs.fault, gcs.after = now_and_then, reader.look
        for night in (0, 1):
            publish(gcs, where / str(night), hours=24 * night, patience=30.0, threads=8)
            reader.bookmark()
        reader.bookmarks = set()
        publish(gcs, where / "1", hours=49, patience=30.0)
        gcs.healthy()
        tally.numbers["published"] += 2
        tally.faults += [*reader.dead, *faults_of(gcs, where / "1")]
    return tally


def race(where: Path) -> Tally:
    """8 processes that publish two different sites at once."""
    tally = Tally()
    with served() as gcs:
        everybody = threading.Barrier(PUBLISHERS)

        def together(_method: str, path: str) -> None:
            if "/iam" in path:  # what each of them asks first
                everybody.wait(120)

        gcs.fault = together
        gcs.after = lambda _name: time.sleep(0.02)
        ended = _at_once(gcs, [where / str(number % 2) for number in range(PUBLISHERS)])
        gcs.healthy()
        for said, wrong, code in ended:
            if code == Exit.DONE and said.startswith("published to"):
                tally.numbers["won"] += 1
            elif code == Exit.LOCKED and "another run publishes to" in wrong:
                tally.numbers["locked out"] += 1
            else:
                tally.faults.append(f"exit {code}: {wrong}")
        mixed = [sorted(faults_of(gcs, where / str(number))) for number in (0, 1)]
        if all(mixed):
            tally.faults.append(f"neither of the two sites: {mixed[0][:3]} {mixed[1][:3]}")
    tally.numbers["races"] += 1
    return tally


def _process(gcs: Gcs, site: Path, *, hours: int = 0) -> "subprocess.Popen[str]":
    """The program itself."""
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "jmreport", *_command(site, hours=hours)],
        env={**os.environ, **gcs.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _command(site: Path, *, hours: int = 0) -> list[str]:
    day = NOW.replace(day=NOW.day + hours // 24)
    return ["publish", TO, "--site", str(site), "--now", day.isoformat(), "--threads", "4"]


#: Loads jmreport and Google's library, which take most of a start, and is many processes then.
_FORKED = """
import json, os, sys, tempfile
import google.cloud.storage
import jmreport.pipeline.publishing
from jmreport.cli import main
def publish(args):
    told = [tempfile.TemporaryFile() for _ in (1, 2)]
    pid = os.fork()
    if not pid:
        os.dup2(told[0].fileno(), 1)
        os.dup2(told[1].fileno(), 2)
        code = main(args)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return pid, told
started = [publish(args) for args in json.loads(sys.argv[1])]
def ended(pid, told):
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return *(os.pread(file.fileno(), 1 << 20, 0).decode() for file in told), code
print(json.dumps([ended(*one) for one in started]))
"""


def _at_once(gcs: Gcs, sites: list[Path]) -> list[tuple[str, str, int]]:
    """A process for each of these sites: what each says, what went wrong, and its exit code."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _FORKED, json.dumps([_command(site) for site in sites])],
        env={**os.environ, **gcs.environ},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [(said, wrong, code) for said, wrong, code in json.loads(done.stdout)]


def service_account_key() -> str:
    """A private key as Google's key files hold it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@contextmanager
def refusing_tokens() -> Iterator[tuple[str, list[str]]]:
    """A token endpoint that refuses, and repeats what it was sent; its address, and all of that."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            sent.append(parse_qs(asked)["assertion"][0])
            body = json.dumps(
                {"error": "invalid_grant", "error_description": "no such", "asked": sent[-1]}
            ).encode()
            self.send_response(400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token", sent
    finally:
        server.shutdown()
        server.server_close()


def main(step: int) -> int:
    whole = Tally()
    with tempfile.TemporaryDirectory() as folder:
        where = sites(Path(folder))
        old, new = files_of(where / "0"), files_of(where / "1")
        changed = sum(old.get(name) != data for name, data in new.items())
        sys.stdout.write(f"a site of {len(new)} files, of which a night changes {changed}\n")
        for atomic in (False, True):
            name = "boundaries, atomic" if atomic else "boundaries"
            _tell(name, boundaries(where, atomic=atomic), whole)
        # The claim, the list of what is to come, each object, the manifest.
        _tell("network gone", stops(where, range(1, changed + 4, step)), whole)
        _tell("killed", kills(where, range(1, changed + 3, 6 * step)), whole)
        for fault in (429, 503, "reset", "lost"):
            _tell(f"faults: {fault}", faulty(where, fault, share=0.2), whole)
        for _ in range(5):
            _tell("race", race(where), whole)
    for fault in whole.faults:
        sys.stdout.write(f"{PREFIX}: {fault}\n")
    sys.stdout.write(f"{len(whole.faults)} went wrong\n")
    return 1 if whole.faults else 0


def _tell(name: str, tally: Tally, whole: Tally) -> None:
    numbers = ", ".join(f"{count} {what}" for what, count in tally.numbers.items())
    sys.stdout.write(f"{name}: {numbers}, {len(tally.faults)} went wrong\n")
    sys.stdout.flush()
    whole.add(tally)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
