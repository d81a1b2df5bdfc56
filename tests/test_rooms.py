"""The house: which room may know which, and who owns a library. The picture is in README.md."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: From the top down. A room imports rooms of rows below its own, and nothing else.
ROWS: tuple[tuple[str, ...], ...] = (
    ("cli",),
    ("pipeline",),
    ("collectors", "snapshots", "analysis", "render", "publish", "mail", "actions"),
    ("client", "credentials", "bucket"),
    ("nouns",),
)
#: Rooms of more than one module side by side.
PARTS = {
    "cli": {
        "actions_commands",
        "cli",
        "commands",
        "differing",
        "options",
        "flags",
        "console",
        "estimate",
        "mail_commands",
        "nightly_commands",
        "publish_commands",
        "snapshots_commands",
        "__main__",
    },
    "credentials": {"credentials", "identities"},
    "nouns": {
        "__init__",
        "at_hand",
        "attempts",
        "callcache",
        "calltimes",
        "compared",
        "deeds",
        "durations",
        "errors",
        "gaps",
        "guidance",
        "history",
        "letters",
        "mailboxes",
        "messages",
        "models",
        "night",
        "placed",
        "progress",
        "records",
        "regrouping",
        "remembered",
        "report",
        "settings",
        "settings_checks",
        "settings_example",
        "settings_keys",
        "settings_loading",
        "settings_reach",
        "sharing",
        "short_ids",
        "sizes",
        "spill",
    },
}
#: Who alone imports a library.
OWNERS = {
    "typer": ("cli",),
    "rich": ("cli",),
    "httpx": ("client",),
    "tenacity": ("client",),
    "google": ("credentials", "bucket"),
    "requests": ("bucket",),
    "jinja2": ("render.theme",),
    "dask": ("render.cluster",),
    "distributed": ("render.cluster",),
    "matplotlib": ("render.plotting",),
    "css_inline": ("render.mails",),
    "ahocorasick_rs": ("snapshots",),
    "smtplib": ("mail",),
    "markdown": ("render.prose",),
    "nh3": ("render.prose",),
    "starlette": ("actions",),
    "uvicorn": ("actions",),
    "anyio": ("actions",),
}
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "lib", "base"}


def room_of(module: str) -> str:
    """The room of a module named from the package on: "render.charts" is in render."""
    first = module.partition(".")[0]
    return next((room for room, parts in PARTS.items() if first in parts), first)


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(package.rglob("*.py")):
        parts = list(path.relative_to(package).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        yield ".".join(parts), path


def imports(package: Path, module: str, path: Path) -> Iterator[str]:
    """Whole names of what a module imports, wherever in it; `jmreport.x` for its own package's."""
    is_package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                here = [package.name, *([] if module == "__init__" else module.split("."))]
                up = here[: len(here) - node.level + (1 if is_package else 0)]
                origin = ".".join([*up, *([origin] if origin else [])])
            if origin == package.name:
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            else:
                yield origin


def faults(package: Path) -> list[str]:
    """Every arrow up or sideways, every library in a wrong room, every nameless module."""
    found = []
    rows = {room: row for row, rooms in enumerate(ROWS) for room in rooms}
    for module, path in modules(package):
        room = room_of(module)
        if NAMELESS & set(module.split(".")):
            found.append(f"{module}: what has no home needs a subject found for it")
        if room not in rows:
            found.append(f"{module}: no such room in the picture")
            continue
        for name in imports(package, module, path):
            first, _, rest = name.partition(".")
            if first == package.name:
                other = room_of(rest) if rest and not rest.startswith("__") else "nouns"
                if other != room and rows.get(other, -1) <= rows[room]:
                    found.append(f"{module} imports {name}: {room} may not know {other}")
            elif first in OWNERS and not _owns(module, OWNERS[first]):
                found.append(f"{module} imports {name}: only {', '.join(OWNERS[first])} may")
    return found


def _owns(module: str, owners: tuple[str, ...]) -> bool:
    return any(
        room_of(module) == owner or module == owner or module.startswith(f"{owner}.")
        for owner in owners
    )


def test_the_house_is_as_in_the_picture(root: Path) -> None:
    """Arrows go down only; rooms in one row meet as values in pipeline; one owner per library."""
    assert faults(root / "jmreport") == []


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("render/site.py", "from jmreport.snapshots import Store", "render may not know snapshots"),
        ("render/site.py", "from jmreport import snapshots", "render may not know snapshots"),
        ("render/site.py", "from ..snapshots import Store", "render may not know snapshots"),
        ("client/wire.py", "import jmreport.pipeline", "client may not know pipeline"),
        (
            "client.py",
            "def f():\n    from jmreport.credentials import find",
            "not know credentials",
        ),
        ("records.py", "from jmreport.cli import main", "nouns may not know cli"),
        ("render/page.py", "import jinja2", "only render.theme may"),
        ("collectors/query.py", "from httpx import Client", "only client may"),
        ("pipeline.py", "import typer.main", "only cli may"),
        ("render/utils.py", "", "needs a subject"),
        ("stuff.py", "", "no such room"),
    ],
)
def test_a_reversed_arrow_is_found(tmp_path: Path, module: str, text: str, complaint: str) -> None:
    """The test above can fail: each fault, put into a small house of its own, is named."""
    package = tmp_path / "jmreport"
    (package / module).parent.mkdir(parents=True, exist_ok=True)
    (package / module).write_text(text)
    [fault] = faults(package)
    assert complaint in fault


def test_a_house_in_order_has_no_fault(tmp_path: Path) -> None:
    package = tmp_path / "jmreport"
    (package / "render").mkdir(parents=True)
    (package / "render/theme.py").write_text("import jinja2\nfrom jmreport.records import Run\n")
    (package / "render/site.py").write_text("from jmreport.render import theme\nfrom . import x\n")
    (package / "pipeline.py").write_text("from jmreport.render import site\n")
    (package / "__main__.py").write_text("from jmreport.cli import main\n")
    assert faults(package) == []


def loaded_by(code: str, folder: Path) -> set[str]:
    """The top-level modules that a Python of its own has loaded after some code."""
    code += "\nprint('loaded', *sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", f"import sys\n{code}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_help_loads_nothing_that_takes_long(tmp_path: Path) -> None:
    """So that it is there at once."""
    heavy = {"httpx", "google", "jinja2", "matplotlib", "numpy", "rich", "markdown", "pydantic"}
    code = "from jmreport.cli import main\nassert main(['--help']) == 0"
    assert loaded_by(code, tmp_path) & heavy == set()


def test_render_loads_no_network_library(tmp_path: Path) -> None:
    """Pages are made from disk alone."""
    assert "httpx" in loaded_by("import jmreport.client.wire", tmp_path)
    made = "from jmreport.cli import main\n" + (
        "assert main(['collect', '--demo', '--jobs', '20', '-q', '--now', "
        "'2026-11-23T02:14:00Z']) == 0"
    )
    loaded_by(made, tmp_path)
    rendered = "from jmreport.cli import main\nassert main(['render', '-q', '--workers', '1']) == 0"
    loaded = loaded_by(rendered, tmp_path)
    assert "jinja2" in loaded
    assert loaded & {"httpx", "httpcore", "google", "tenacity", "requests"} == set()
    assert (tmp_path / "site/index.html").exists()
