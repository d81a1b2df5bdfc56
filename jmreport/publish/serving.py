"""How a file is served: its type, how it is packed, and how long who may keep it."""

import gzip

from jmreport.bucket import Headers

#: Raised when files must be uploaded anew since they are served in another way.
RULES = 1
_YEAR = 31_536_000
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "ndjson": "application/x-ndjson; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "yaml": "text/plain; charset=utf-8",
    "xml": "application/atom+xml; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
}
#: Those that are packed already, or are nothing that packing makes smaller.
_DENSE = ("image/png", "application/octet-stream")
#: Shorter files are a packet anyway, and packing must save a tenth.
_SHORTEST = 1_000
_SAVING = 0.9
#: Measured on pages of 70 KB: 8 % larger than by the usual 6, in two thirds of the time.
_LEVEL = 4
ASSETS = "assets/"
NIGHTS, PAGE = "nights/", "/index.html"


def cache_of(address: str, *, newest: str, public: bool) -> str:
    """Cache-Control of a file: a year where it never changes, else asked for each time.

    `newest` is the address of the newest night's page, which still gets a link to the next night.

    >>> cache_of("nights/20261122T021400Z/index.html", newest="", public=False)
    'private, max-age=31536000, immutable'
    >>> cache_of("nights/20261122T021400Z/report.json", newest="", public=False)
    'private, no-cache'
    >>> cache_of("nights/20261122T021400Z/causes.html", newest="", public=False)
    'private, no-cache'
    >>> cache_of("index.html", newest="", public=True)
    'public, no-cache'
    """
    who = "public" if public else "private"
    lasting = address.startswith(ASSETS) or (is_night(address) and address != newest)
    return f"{who}, max-age={_YEAR}, immutable" if lasting else f"{who}, no-cache"


def is_night(address: str) -> bool:
    """Whether it is a night's own page: `nights/<run>/index.html`."""
    return address.startswith(NIGHTS) and address.count("/") == 2 and address.endswith(PAGE)


def type_of(name: str) -> str:
    """Content-Type by a name's ending."""
    return _TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def body(name: str, data: bytes, *, cache: str, pack: bool) -> tuple[bytes, Headers]:
    """A file's bytes as they are kept, and its headers; the same bytes whenever it is done."""
    kind = type_of(name)
    if pack and len(data) >= _SHORTEST and kind not in _DENSE:
        packed = gzip.compress(data, _LEVEL, mtime=0)
        if len(packed) <= _SAVING * len(data):
            return packed, Headers(content_type=kind, encoding="gzip", cache=cache)
    return data, Headers(content_type=kind, cache=cache)
