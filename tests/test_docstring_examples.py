"""Examples in docstrings say what the functions really give."""

import doctest
import importlib
from pathlib import Path

import pytest

import jmreport

ROOT = Path(jmreport.__file__).parent
#: Modules that show an example.
MODULES = [
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_docstrings_hold(module: str) -> None:
    """Whoever reads one can rely on it, and each module that shows one has some that run."""
    done = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert done.attempted
    assert done.failed == 0
