"""Prism as a judge between a client and a server: both must keep to the API's definition.

    with judge(prism, definition, upstream=server.url) as url:
        ...  # requests to `url` reach the server; what breaks the definition comes back as an error

`definition` is the API's definition as Prism can read it. `violations` reads the verdict out of an
answer.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

_STARTS_WITHIN = 60.0  # seconds; node on a busy machine
_VERDICT = "https://stoplight.io/prism/errors#"


def definition(root: Path) -> Path | None:
    """The API's definition, which lies beside the project, or None where it isn't there."""
    found = root.parent / "shared" / "spec" / "jobs.prism.yaml"
    return found if found.is_file() else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def judge(prism: str, spec: Path, *, upstream: str) -> Iterator[str]:
    """The address of a proxy that passes requests on to `upstream` and judges both sides."""
    port = free_port()
    command = [prism, "proxy", str(spec), upstream, "-p", str(port), "-h", "127.0.0.1", "--errors"]
    with TemporaryFile() as said:
        # A group of its own: Prism starts workers that outlive a killed parent.
        running = subprocess.Popen(  # noqa: S603 - Prism, as found by the fixture
            command, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait(running, port, said)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(running.pid, signal.SIGTERM)
            try:
                running.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()


def _wait(running: subprocess.Popen[bytes], port: int, said: Any) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until:
        if running.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    said.seek(0)
    raise AssertionError(f"Prism did not start: {said.read().decode(errors='replace')[-2000:]}")


def violations(headers: Mapping[str, str], body: bytes) -> list[str]:
    """What Prism found wrong with a request or its answer; nothing if both keep the definition."""
    lower = {name.lower(): value for name, value in headers.items()}
    found = []
    if "sl-violations" in lower:
        found.append(lower["sl-violations"])
    if "problem+json" in lower.get("content-type", ""):
        try:
            problem = json.loads(body)
        except ValueError:
            return found
        if str(problem.get("type", "")).startswith(_VERDICT):
            found.append(body.decode())
    return found
