"""What all tests share: no network but loopback, a browser and Prism where there are some.

A test that needs what this machine lacks says so in a plain line and is skipped. With
JMREPORT_TESTS_COMPLETE=1, as in CI, it fails instead.
"""

import fcntl
import gc
import ipaddress
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from doses import dose
from hypothesis import settings
from planted import Planted

# Single times are noise: on a busy machine a law that holds must not fail for being slow.
settings.register_profile("jmreport", deadline=None, max_examples=dose(100))
settings.load_profile("jmreport")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: A browser that asks nobody anything by itself, and finds no host but this one.
BROWSER_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


#: Bytes of memory with which tests may keep their files there: all of them need a fifth of it.
ENOUGH = 8 << 30


# A shell without job control starts what it sends to the background with Ctrl-C ignored, and nohup
# ignores that the terminal was closed. Programs inherit what is ignored and could not be stopped by
# the tests that start them; what is only caught they do not inherit.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


class OutsideError(AssertionError):
    """A test tried to leave this machine."""


def is_here(host: object) -> bool:
    """Whether a host is this machine: loopback by number, localhost by name, or nothing."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def guard(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what leaves this machine: names to be looked up, connections, datagrams."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        allowed = is_here(args[0])
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = args[1]
        inet = args[0].family in (socket.AF_INET, socket.AF_INET6)
        allowed = not inet or not address or is_here(address[0])
    else:
        return
    if not allowed:
        raise OutsideError(f"{event} {args[1:] or args}: tests stay on this machine")


# An audit hook, since nothing in the process can go around it; it cannot be taken away again.
sys.addaudithook(guard)


def in_memory() -> None:
    """Has temporary files lie in memory where there is plenty: stores sync each file that they
    write, and sites are thousands of files.
    """
    place = Path("/dev/shm")  # noqa: S108 - what it is for
    try:
        room = os.statvfs(place)
        free = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    except OSError:
        return
    memory = int(free.get("MemAvailable", "0 kB").split()[0]) * 1024
    if min(room.f_bavail * room.f_frsize, memory) > ENOUGH and os.access(place, os.W_OK | os.X_OK):
        os.environ["TMPDIR"] = str(place)
        tempfile.tempdir = None  # another was found by now


if "TMPDIR" not in os.environ:
    in_memory()

# Modules are kept compiled, as they are for who installs jmreport: where that is switched off, each
# start of the program compiles all of it, and each worker all tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """One worker compiles the tests, which the others then find compiled: all would begin at once
    with the same. What is there from then on is garbage never, and is not looked through for it.
    """
    gc.disable()
    folder = os.open(Path(__file__).parent, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(folder, fcntl.LOCK_SH)
        return (yield)
    finally:
        os.close(folder)
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Workers take tests that stand together, and then from one another: what tests of a module
    share is made once."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait, for servers that are gone or a browser."""
    return (os.cpu_count() or 1) + 1


def lacking(what: str, how: str) -> NoReturn:
    """Skip with a plain line, or fail where everything must be there."""
    if os.environ.get("JMREPORT_TESTS_COMPLETE") == "1":
        pytest.fail(f"{what} is not here, and JMREPORT_TESTS_COMPLETE=1: {how}")
    pytest.skip(f"needs {what}: {how}")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the settings or the token of the person who runs it."""
    for name in os.environ:
        if name.startswith("JMREPORT_") and name not in (
            "JMREPORT_TESTS_COMPLETE",
            "JMREPORT_PRISM",
            "JMREPORT_MULTIQC",
            "JMREPORT_SCHEMATHESIS",
        ):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session that all workers of xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session", autouse=True)
def own_caches(session_folder: Path) -> Iterator[None]:
    """Templates are compiled, and fonts found, once and not in the cache of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(session_folder / "caches"))
        yield


@pytest.fixture(scope="session", autouse=True)
def drawings(session_folder: Path) -> Iterator[None]:
    """Pictures of mails are drawn once."""
    from drawn_once import drawn_once

    with drawn_once(session_folder / "drawings"):
        yield


@pytest.fixture(scope="session")
def planted(session_folder: Path) -> Planted:
    """Stores of planted nights."""
    return Planted(session_folder / "planted")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a browser."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return found or lacking("chromium", "apt-get install chromium")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A running chromium, for playwright; take a context of its own for each test."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lacking("playwright", "pip install playwright")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER_FLAGS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def prism() -> str:
    """The path of Prism, an independent reading of the API's definition."""
    found = os.environ.get("JMREPORT_PRISM") or shutil.which("prism")
    return found or lacking("Prism", "npm install @stoplight/prism-cli, and set JMREPORT_PRISM")


@pytest.fixture(scope="session")
def schemathesis() -> str:
    """The path of Schemathesis, which tries a server by its OpenAPI description."""
    found = os.environ.get("JMREPORT_SCHEMATHESIS") or shutil.which("schemathesis")
    how = "pip install schemathesis in an environment of its own, and set JMREPORT_SCHEMATHESIS"
    return found or lacking("Schemathesis", how)


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parent.parent
