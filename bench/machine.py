"""What figures were measured on: the machine, its load, and the versions of all that took part."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

from bench import programs
from jmreport import __version__

#: Libraries that speed depends on, or that are measured with.
LIBRARIES = (
    *("msgspec", "jinja2", "markupsafe", "httpx", "matplotlib", "backports.zstd", "ahocorasick-rs"),
    *("distributed", "playwright"),
)


class Machine(Struct, frozen=True, kw_only=True):
    """A machine as it was when measuring began."""

    at: str
    cores: int
    processor: str
    memory: str
    kernel: str
    python: str
    jmreport: str
    programs: dict[str, str]
    libraries: dict[str, str]


def machine() -> Machine:
    """This one, now."""
    return Machine(
        at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        cores=os.cpu_count() or 1,
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        memory=_memory(),
        kernel=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        jmreport=__version__,
        programs={
            "Hugo": programs.version(programs.hugo(), "version") or "none",
            "Allure": programs.version(programs.allure(), "--version") or "none",
            "node": programs.version(["node"], "--version") or "none",
            "browser": programs.version([programs.chromium()], "--version") or "none",
        },
        libraries={name: _library(name) for name in LIBRARIES},
    )


def load() -> str:
    """How many processes wanted a core, over the last minute, 5 and 15 of them."""
    return " ".join(f"{one:.1f}" for one in os.getloadavg())


def _library(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _memory() -> str:
    kilobytes = _field("/proc/meminfo", "MemTotal").partition(" ")[0]
    return f"{int(kilobytes) / (1 << 20):.0f} GB" if kilobytes else "unknown"


def _field(path: str, name: str) -> str:
    """A value of one of the system's files of `name: value` lines, "" where it has none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
