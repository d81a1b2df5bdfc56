"""cron itself starts `jmreport nightly` twice, and the second meets the first's lock.

    python -m tests.campaigns.cron [--seconds 150]

Needs Debian's cron (`apt-get install cron`) and root, since cron reads /etc/cron.d: a file of its
own is put there and taken away again. The built-in server answers slowly, so that a night lasts
longer than a minute, and cron starts one each minute. Prints what each of them said and its exit
code; ends with 1 unless one built a report (0) and one met the lock (7), and both in cron's bare
environment.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from counting_server import Counting

from jmreport.collectors.demo import Demo, serve

CRONTAB = Path("/etc/cron.d/jmreport-campaign")


def main(seconds: float) -> int:
    cron = shutil.which("cron")
    if cron is None or os.geteuid() != 0:
        sys.stderr.write("needs root and Debian's cron: apt-get install cron\n")
        return 2
    now = datetime.now(UTC).replace(microsecond=0)
    slow = Counting(Demo(now=now, jobs=60, like="cromwell", archived=0.0), seconds=3.0)
    with tempfile.TemporaryDirectory() as name, serve(slow, port=0) as server:
        server.start()
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "jmreport.toml").write_text(
            f'[api]\nurl = "{server.url}"\nconcurrency = 4\n'
            '[collect]\ntimeframe = "ALL_TIME"\n[nightly]\nheartbeat = "heartbeat.json"\n'
        )
        log = folder / "log"
        run = f"{sys.executable} -m jmreport nightly -q --config {folder}/jmreport.toml"
        # A percent sign would end the command in a crontab: there is none.
        CRONTAB.write_text(
            f"* * * * * root cd {folder} && {{ {run}; echo exit $?; }} >>{log} 2>&1\n"
        )
        CRONTAB.chmod(0o644)
        daemon = subprocess.Popen([cron, "-f"])  # noqa: S603 - found by name, no shell
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until and _codes(log) < {"0", "7"}:
                time.sleep(1)
        finally:
            CRONTAB.unlink(missing_ok=True)
            daemon.terminate()
            daemon.wait()
        said = log.read_text() if log.exists() else ""
        sys.stdout.write(said)
        beat = folder / "heartbeat.json"
        sys.stdout.write(f"heartbeat: {beat.read_text() if beat.exists() else 'none'}\n")
        fine = _codes(log) >= {"0", "7"} and "another night is at work" in said
        fine = fine and (folder / "site/index.html").exists()
        sys.stdout.write("as it should be\n" if fine else "NOT as it should be\n")
        return 0 if fine else 1


def _codes(log: Path) -> set[str]:
    lines = log.read_text().splitlines() if log.exists() else []
    return {line.removeprefix("exit ") for line in lines if line.startswith("exit ")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=240, help="Wait so long at most.")
    sys.exit(main(parser.parse_args().seconds))
