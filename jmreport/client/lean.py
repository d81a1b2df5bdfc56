"""httpx without its command line, which nobody calls here.

It would load rich, pygments and click: a tenth of a second before the first request. httpx does
without where it cannot be imported, and what is None among the modules cannot.
"""

import sys

_COMMAND_LINE = "httpx._main"
sys.modules.setdefault(_COMMAND_LINE, None)  # type: ignore[arg-type] # None is no module

import httpx  # noqa: E402 (only now)

if sys.modules[_COMMAND_LINE] is None:
    del sys.modules[_COMMAND_LINE]

__all__ = ["httpx"]
