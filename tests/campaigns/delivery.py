"""Three unattended nights, from the server to bucket and mailboxes, looked at as readers do.

    python -m tests.campaigns.delivery [FOLDER] [--nights 3]

Starts the built-in server, fake-gcs-server and an SMTP server on this machine and runs
`jmreport nightly` once a night, as cron does. After each night every link of what the bucket serves
is followed, from the overview and from every page of the night before whose address is to last
(jobs, nights, workflows, causes). In FOLDER stay
the mails (.eml, .txt, and as pictures at 600 and 360 pixels, light and dark, where there is a
chromium) and the site's front page as the bucket serves it. Prints the counts; ends with 1 where a
link is dead, an exit code is another, or a mail is missing.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import BROWSER_FLAGS, BROWSERS
from gcs_server import BUCKET, Gcs, served
from mail_cases import Mailboxes, page, text
from published import PREFIX, Reader

from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
#: The stories of the planted nights go on for three weeks; these are their last nights.
LAST = 21
TEAMS = """
[[teams]]
name = "everybody"
to = ["all@example.org"]

[[teams]]
name = "zone a"
to = ["ana@example.org", "bo@example.org"]
labels = { zone = "us-central1-a" }
send = "on-change"
attach = ["csv", "json"]
"""


def settings(folder: Path, url: str, port: int) -> None:
    (folder / "jmreport.toml").write_text(
        f'[api]\nurl = "{url}"\n[collect]\ntimeframe = "DAYS_7"\n'
        f'[site]\nurl = "https://reports.example.org/{PREFIX}/"\n'
        f'[report]\nidentity_labels = ["sample"]\n'
        f'[publish]\nto = "gs://{BUCKET}/{PREFIX}"\n'
        f'[mail]\nsmtp = "127.0.0.1:{port}"\nstarttls = false\n'
        f'sender = "Batch reports <reports@example.org>"\n{TEAMS}'
        f'[nightly]\ndeadline = "30m"\nheartbeat = "heartbeat.json"\n[prune]\nkeep = "400d"\n'
    )


def night(folder: Path, gcs: Gcs, now: datetime) -> "subprocess.CompletedProcess[str]":
    """What cron starts."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "jmreport", "nightly", "--now", now.isoformat()],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)} | gcs.environ,
        capture_output=True,
        text=True,
        check=False,
    )


def main(folder: Path, nights: int) -> int:
    faults: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    pages = looks = 0
    with tempfile.TemporaryDirectory() as name, served() as gcs, Mailboxes() as post:
        machine = Path(name)
        reader = Reader(gcs)
        for ago in reversed(range(nights)):
            now = NOW - timedelta(days=ago)
            before = len(post.arrived)
            with serve(Demo(now=now, nights=LAST - ago), port=0) as server:
                server.start()
                settings(machine, server.url, post.port)
                done = night(machine, gcs, now)
            sys.stdout.write(f"night of {now:%Y-%m-%d}: exit {done.returncode}\n{done.stdout}")
            if done.returncode not in (Exit.DONE, Exit.INCOMPLETE):
                faults.append(f"exit {done.returncode}: {done.stderr[-800:]}")
            reader.look()
            reader.bookmarks = _lasting(machine / "site")
            mails = post.arrived[before:]
            sys.stdout.write(
                f"  {len(mails)} mails: "
                + "; ".join(str(each.mail["Subject"]) for each in mails)
                + "\n"
            )
            if not any("all@example.org" in each.to for each in mails):
                faults.append(f"nobody was told of the night of {now:%Y-%m-%d}")
        pages, looks = reader.pages, reader.looks
        faults += reader.dead
        kept = [_kept(folder, number, each) for number, each in enumerate(post.arrived)]
        (folder / "index.html").write_bytes(gcs.get(reader.front)[2])
    pictures = _pictures(kept)
    sys.stdout.write(
        f"{looks} looks at {pages} pages of the bucket: {len(reader.dead)} dead links\n"
        f"{len(kept)} mails and {pictures} pictures in {folder}\n"
        + "".join(f"FAULT: {fault}\n" for fault in faults)
    )
    return 1 if faults else 0


def _lasting(site: Path) -> set[str]:
    """The objects of pages that are never removed."""
    with sqlite3.connect(site / ".jmreport/pages") as ledger:
        rows = ledger.execute("SELECT owner FROM pages WHERE kept")
        return {f"{PREFIX}/{address}" for (address,) in rows if address.endswith(".html")}


def _kept(folder: Path, number: int, arrived: Any) -> Path:
    """A mail as it came, its text, and its HTML with its pictures in it."""
    place = folder / f"mail-{number:02}-{arrived.to[0].partition('@')[0]}"
    place.with_suffix(".eml").write_bytes(arrived.raw)
    place.with_suffix(".txt").write_text(text(arrived.mail))
    place.with_suffix(".html").write_text(page(arrived.mail))
    return place


def _pictures(mails: list[Path]) -> int:
    """Each mail at 600 and 360 pixels, light and dark; none where there is no browser."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        sys.stderr.write("no chromium here, so no pictures\n")
        return 0
    from playwright.sync_api import sync_playwright

    count = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(BROWSER_FLAGS))
        looks: Any = [(width, scheme) for width in (600, 360) for scheme in ("light", "dark")]
        for width, scheme in looks:
            tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            for mail in mails:
                count += _taken(tab, mail, f"{mail}-{width}-{scheme}.png")
            tab.close()
        browser.close()
    return count


def _taken(tab: Any, mail: Path, picture: str) -> int:
    """One picture; a browser on a busy machine is asked twice."""
    from playwright.sync_api import Error

    for last in (False, True):
        try:
            tab.goto(mail.with_suffix(".html").absolute().as_uri())
            tab.screenshot(path=picture, full_page=True)
        except Error:
            if last:
                raise
        else:
            break
    return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("delivered"))
    parser.add_argument("--nights", type=int, default=3)
    given = parser.parse_args()
    sys.exit(main(given.folder, given.nights))
