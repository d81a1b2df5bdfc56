"""What stands where a page was of which nothing is known any more.

A workflow's or a cause's page is linked from mails and chats, so its address lasts. A cause goes
when its jobs turn out to have failed of something else, as when a job that could not be read is
read at last: what the page said would be wrong, and its lists are no longer there. A label's page
is linked from those of jobs: of jobs that nobody knows any more they cannot be made again.
"""

from collections.abc import Collection, Iterable, Iterator

from msgspec import Struct

from jmreport.render import addresses
from jmreport.render.page import Page, digest

#: What had a page below a folder, and where all of its kind are listed.
_KINDS = {
    "causes": ("cause", addresses.CAUSES),
    "labels": ("label", addresses.LABELS),
    "workflows": ("workflow", addresses.WORKFLOWS),
}


class GoneView(Struct, frozen=True, kw_only=True):
    """A page's place: what was there, and where to look instead.

    Of what it is called its address has a piece, the `name`.
    """

    what: str
    name: str
    text: str
    href: str


def pages(known: Iterable[str], planned: Collection[str]) -> Iterator[Page]:
    """A page for each address that the site had and that this report has no page for."""
    for address in known:
        if address not in planned:
            yield _page(address)


def _page(address: str) -> Page:
    kind, _, name = address.removesuffix(".html").partition("/")
    what, to = _KINDS[kind]
    view = GoneView(what=what, name=name, text=f"All {kind}", href=addresses.relative(address, to))
    return Page(address=address, template="gone.html", content=digest(view), view=lambda _: view)
