"""Which texts of a server may become links, and where those lead.

https is followed anywhere; http only to addresses from the settings; `gs://` is rewritten here to
the storage console. Everything else (`javascript:`, `data:`, local paths) stays text.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

_CONSOLE = "https://console.cloud.google.com"
#: Printable ASCII only: no space, quote, bracket, backslash, control character or user name.
_WEB = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?(?::\d{1,5})?)"
                  r"(?:[/?#][!#-;=?-Z_a-z~]*)?", re.IGNORECASE)  # fmt: skip
_BUCKET = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221})(?:/(.*))?", re.DOTALL)
#: What nearly all are: printed as it is, it leads where `_BUCKET` would have it lead.
_PLAIN = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,221}/[A-Za-z0-9_~-][A-Za-z0-9_.~/-]*")
_BATCH = re.compile(r"projects/([a-z0-9:.-]+)/locations/([a-z0-9-]+)/jobs/([A-Za-z0-9_-]+)")
#: Longer than any address that leads somewhere.
_LONGEST = 2000


class Links:
    """Turns a server's text into an href, or into None where it must stay text.

    `addresses` are those of the settings (the site's): http is allowed to their hosts only. The
    Job Manager's is not among them: the same snapshots make the same pages wherever they came from.
    """

    def __init__(self, addresses: Iterable[str | None] = ()) -> None:
        found = (_WEB.fullmatch(address) for address in addresses if address)
        self._hosts = frozenset(match[2].lower() for match in found if match)

    def href(self, text: object) -> str | None:
        """Where a value leads: an object or folder in a bucket, or a web page."""
        if not isinstance(text, str) or len(text) > _LONGEST:
            return None
        if text.startswith("gs://"):
            return _object(text)
        match = _WEB.fullmatch(text) if "://" in text else None
        if match is None:
            return None
        secure = match[1].lower() == "https"
        return text if secure or match[2].lower() in self._hosts else None

    def folder(self, text: object) -> str | None:
        """Where a directory leads, which in a bucket is another page than an object."""
        if isinstance(text, str) and text.startswith("gs://"):
            return _object(text.rstrip("/") + "/") if len(text) <= _LONGEST else None
        return self.href(text)

    def operation(self, text: object) -> str | None:
        """The page of an operation where its id names one: a job of Google Batch."""
        match = _BATCH.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            return None
        project, location, name = match.groups()
        place = f"{_CONSOLE}/batch/jobsDetail/regions/{location}/jobs/{name}/details"
        return f"{place}?project={project}"


def _object(address: str) -> str | None:
    if _PLAIN.fullmatch(address) and "/." not in address:
        if address[-1] != "/":
            return f"{_CONSOLE}/storage/browser/_details/{address[5:]}"
        return f"{_CONSOLE}/storage/browser/{address[5:].rstrip('/')}"
    match = _BUCKET.fullmatch(address)
    if match is None:
        return None
    bucket, path = match[1], match[2] or ""
    if "/." in f"/{path}" and any(part in (".", "..") for part in path.split("/")):
        return None  # a browser would resolve it, and arrive at another object
    kind = "browser" if not path or path.endswith("/") else "browser/_details"
    try:
        return f"{_CONSOLE}/storage/{kind}/{bucket}/{quote(path.rstrip('/'))}".rstrip("/")
    except UnicodeEncodeError:  # half of a surrogate pair names no object
        return None
