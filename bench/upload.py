"""How fast `jmreport publish` uploads, beside a bare loop of the same client library.

    python bench/upload.py [SITE] [--threads 16] [--rounds 5]

Needs the versions of requirements/dev.txt. Both upload the same files to fake-gcs-server on this
machine, by turns, each time below a new prefix and with the same number of threads. The bare loop
reads each file and calls `upload_from_string`; publish also packs, makes its claim, keeps its order
and writes its manifest. Without SITE one of 400 demo jobs is built first. Prints each round, and
the ratio of the medians: of files a second, and of the processor's time, which is steadier where a
machine has other work to do.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from gcs_server import BUCKET, fake

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


def built(folder: Path) -> Path:
    """A site to upload."""
    options = ("-q", "--demo", "--jobs", "400", "--now", NOW.isoformat())
    subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "jmreport", "build", *options],
        cwd=folder,
        check=False,  # a demo night may lack something, and says so by 3
    )
    return folder / "site"


def files_of(site: Path) -> list[Path]:
    return [
        path for path in sorted(site.rglob("*")) if path.is_file() and ".jmreport" not in path.parts
    ]


def bare(site: Path, address: str, prefix: str, threads: int) -> float:
    """Seconds that the library takes for these files by itself."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage
    from requests.adapters import HTTPAdapter

    client = storage.Client(
        project="bench",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]  # google-auth has no types
        client_options={"api_endpoint": address},
    )
    client._http.mount("http://", HTTPAdapter(pool_maxsize=threads))
    bucket = client.bucket(BUCKET)

    def upload(path: Path) -> None:
        blob = bucket.blob(f"{prefix}/{path.relative_to(site).as_posix()}")
        blob.upload_from_string(path.read_bytes(), content_type="text/html; charset=utf-8")

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(upload, files_of(site)))
    return time.perf_counter() - started


def ours(site: Path, address: str, prefix: str, threads: int) -> float:
    """Seconds that publish takes for all of it."""
    from jmreport import pipeline
    from jmreport.progress import SilentProgress
    from jmreport.settings import Publish, Settings, Site

    settings = Settings(
        site=Site(dir=str(site)),
        publish=Publish(to=f"gs://{BUCKET}/{prefix}", threads=threads, public=True),
    )
    started = time.perf_counter()
    pipeline.publish(
        settings,
        now=NOW,
        environ={"STORAGE_EMULATOR_HOST": address},
        progress=SilentProgress(),
    )
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("site", nargs="?", type=Path)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, fake(None) as address:
        site = given.site or built(Path(folder))
        files = files_of(site)
        size = sum(path.stat().st_size for path in files)
        print(f"{len(files)} files, {size / 1e6:.1f} MB, {given.threads} threads, ", end="")
        print(f"{os.cpu_count()} cores")
        taken: dict[str, list[float]] = {"publish": [], "bare loop": []}
        spent: dict[str, list[float]] = {"publish": [], "bare loop": []}
        for number in range(given.rounds + 1):
            for name, run in (("publish", ours), ("bare loop", bare)):
                before = time.process_time()
                seconds = run(site, address, f"{number}-{name[0]}", given.threads)
                if number:  # the first round warms both up
                    taken[name].append(len(files) / seconds)
                    spent[name].append(1000 * (time.process_time() - before) / len(files))
                    print(f"{name:10} {len(files) / seconds:7.1f} files/s", flush=True)
    rates = {name: statistics.median(found) for name, found in taken.items()}
    costs = {name: statistics.median(found) for name, found in spent.items()}
    for name, rate in rates.items():
        print(f"{name:10} {rate:7.1f} files/s, {costs[name]:.2f} ms of processor a file (medians)")
    print(f"ratio of rates {rates['publish'] / rates['bare loop']:.2f}, ", end="")
    print(f"of processor's time {costs['bare loop'] / costs['publish']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
