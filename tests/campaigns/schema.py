"""Schemathesis against the actions server, by the OpenAPI description beside this.

    JMREPORT_SCHEMATHESIS=/path/to/schemathesis python -m tests.campaigns.schema [100]

It is a program of its own (`pip install schemathesis`, in an environment of its own). It makes
requests that fit the description and requests that do not, and holds every answer to it: no 500, no
status and no type that is not described, nothing wrong accepted. The Job Manager behind must see no
action. Ends with 1 where anything was found.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from actions_cases import ANA, PUBLIC, bench, stored

from campaigns.description import description
from jmreport.settings import Allow

RULES = (Allow(who=ANA, actions=("abort", "labels")),)


def main(examples: int) -> int:
    program = os.environ.get("JMREPORT_SCHEMATHESIS") or shutil.which("schemathesis")
    if program is None:
        print("Schemathesis is not here: pip install schemathesis, and set JMREPORT_SCHEMATHESIS")
        return 1
    return run(program, examples)


#: What refuses data that are wrong: its own list, and 414 for a query that is no address any more.
_SETTINGS = """
[checks.negative_data_rejection]
expected-statuses = [
  "400", "401", "403", "404", "405", "406", "409", "414", "415", "422", "428", "429", "5xx",
]
"""


def run(program: str, examples: int) -> int:
    """What came of it, 0 or 1, so many requests of each kind later."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        day = stored(folder / "day")
        with bench(folder / "b", day, mode="iap", allow=RULES, rate=100_000) as at:
            described = folder / "openapi.json"
            tree = description()
            # Jobs that are there, so that pages of them are among what is asked for.
            for page in ("/actions/abort", "/actions/labels"):
                for operation in tree["paths"][page].values():
                    [job] = operation["parameters"]
                    job["examples"] = {"two": {"value": at.jobs("Running")[:2]}}
            described.write_text(json.dumps(tree))
            assert at.issuer is not None
            token = at.issuer.token(ANA, exp=4_000_000_000)
            headers = {"Host": at.host, "Origin": PUBLIC, "x-goog-iap-jwt-assertion": token}
            settings = folder / "schemathesis.toml"
            settings.write_text(_SETTINGS)
            command = [program, "--config-file", str(settings), "run", str(described)]
            command += ["--url", f"http://127.0.0.1:{at.port}"]
            command += [f"--header={key}: {value}" for key, value in headers.items()]
            command += ["--max-examples", str(examples), "--no-color", "--continue-on-failure"]
            # Which readers there are is not Schemathesis' to try: the attacks do.
            command += ["--exclude-checks", "ignored_auth"]
            done = subprocess.run(command, cwd=folder, check=False)  # noqa: S603 - named by the user
            print(
                f"{at.demo.requests.total} reads and {len(at.arrived())} actions at the Job Manager"
            )
            return 1 if done.returncode or at.arrived() else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("examples", type=int, nargs="?", default=100)
    sys.exit(main(parser.parse_args().examples))
