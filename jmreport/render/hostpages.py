"""What a host shows though no page links to it: 404.html, robots.txt, where the report is, and
where a page is that had another address once.

A host shows 404.html in the place of any page, at any depth, so its links are whole addresses below
`site.url`. Where that isn't set there are none, since no other link would lead to the same place
from everywhere.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from jmreport.render import addresses
from jmreport.render.making import encoded
from jmreport.render.page import Page, digest
from jmreport.render.theme import Theme
from jmreport.settings import Settings

#: Private reports stay out of searches. Robots look for it at the root of a host only; wherever the
#: report lies, each of its pages says noindex too.
ROBOTS = b"User-agent: *\nDisallow: /\n"


class NotFoundView(Struct, frozen=True, kw_only=True):
    """What notfound.html prints; whole addresses, or "" where the site's isn't known."""

    home: str
    ids: str
    css: str
    icon: str


class PointerView(Struct, frozen=True, kw_only=True):
    """What pointer.html prints."""

    href: str


class MovedView(Struct, frozen=True, kw_only=True):
    """What moved.html prints."""

    hrefs: tuple[str, ...]


def pages(url: str | None, *, css: str, icon: str) -> Iterator[Page]:
    """404.html. `url` is where the site is hosted; `css` and `icon` are addresses in it."""
    base = f"{url.rstrip('/')}/" if url else ""
    view = NotFoundView(
        home=f"{base}{addresses.OVERVIEW}" if base else "",
        ids=f"{base}{addresses.IDS}" if base else "",
        css=f"{base}{css}" if base else "",
        icon=f"{base}{icon}" if base else "",
    )
    yield Page(
        address=addresses.NOT_FOUND,
        template="notfound.html",
        content=digest(view),
        view=lambda _: view,
    )


def pointer(settings: Settings, address: str, *, version: str) -> bytes:
    """The page that leads to the overview of a build that lies at `address`."""
    theme = Theme(settings, version=version)
    view = PointerView(href=address)
    return encoded(theme.render("pointer.html", view, address=addresses.OVERVIEW))


def moved(theme: Theme, was: str, now: Sequence[str]) -> bytes:
    """The page at the address that a job's page had; it leads to the one that it has. Those of
    several jobs had one address: they are named, since nobody knows which was meant."""
    view = MovedView(hrefs=tuple(addresses.relative(was, page) for page in now))
    return encoded(theme.render("moved.html", view, address=was))
