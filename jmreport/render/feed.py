"""feed.xml: the nights as an Atom feed (RFC 4287), newest first, an entry each.

A night that brought no report has an entry too: else silence would look like success.

    <feed xmlns="http://www.w3.org/2005/Atom">
      <entry><title>4 new failures</title><link href="…/nights/20261123T021400Z/index.html"/>…

An entry's id is made of the run and of the server that it asked, so a reader that was told of a
night is not told again, also where the server has another address since. The feed's own id is the
site's address; without one, the server's with the title. Links are absolute where `site.url` is
set, else relative to the feed.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, uuid5

from jmreport.records import utc_text
from jmreport.render import addresses, verdict
from jmreport.report.nights import FailedNight, NightSummary, in_order

#: Nights that a feed tells of.
NIGHTS = 30
#: What no XML may hold.
_NEVER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATOM = "http://www.w3.org/2005/Atom"


def feed(
    nights: Sequence[NightSummary],
    failed: Sequence[FailedNight] = (),
    *,
    title: str,
    url: str | None,
    server: str,
    servers: Mapping[str, str],
) -> bytes:
    """The feed of the newest nights, of which there is one; `url` is where the site is hosted.

    `servers` are the addresses that runs asked, by their ids; `server` is that of today, which a
    night is of whose run is gone, or does not say whom it asked.
    """
    both = in_order(nights, failed)
    ET.register_namespace("", _ATOM)
    root = ET.Element(f"{{{_ATOM}}}feed")
    base = f"{url.rstrip('/')}/" if url else "../"
    _text(root, "id", _id(base if url else f"{server} {title}"))
    _text(root, "title", title)
    _text(root, "updated", utc_text(both[-1].now))
    _text(ET.SubElement(root, f"{{{_ATOM}}}author"), "name", "jmreport")
    _link(root, f"{base}{addresses.OVERVIEW}", "alternate")
    if url:
        _link(root, f"{base}{addresses.FEED}", "self")
    for night in reversed(both[-NIGHTS:]):
        of = f"{servers.get(night.run, server)}#{night.run}"
        if isinstance(night, FailedNight):
            _failed(root, night, base, of)
        else:
            _entry(root, night, base, of)
    ET.indent(root, " ")
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _entry(root: ET.Element, night: NightSummary, base: str, name: str) -> None:
    entry = ET.SubElement(root, f"{{{_ATOM}}}entry")
    said = verdict.night_words(night)
    _text(entry, "id", _id(name))
    title = verdict.night_headline(night)
    _text(entry, "title", title if night.complete else f"Incomplete: {title}")
    _text(entry, "updated", utc_text(night.now))
    _link(entry, f"{base}{addresses.night(night.run)}", "alternate")
    told = (f"{said}.", verdict.night_rest(night), verdict.night_filter_note(night))
    _text(entry, "summary", " ".join(filter(None, told)))


def _failed(root: ET.Element, night: FailedNight, base: str, name: str) -> None:
    entry = ET.SubElement(root, f"{{{_ATOM}}}entry")
    why = verdict.failed_reason(night, 120)
    _text(entry, "id", _id(name))
    _text(entry, "title", f"REPORT FAILED: {why}" if why else "REPORT FAILED")
    _text(entry, "updated", utc_text(night.now))
    _link(entry, f"{base}{addresses.failed_night(night.run)}", "alternate")
    _text(entry, "summary", verdict.failed_night(night))


def _id(name: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'jmreport {name}')}"


def _text(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}{name}").text = _NEVER.sub("\N{REPLACEMENT CHARACTER}", text)


def _link(parent: ET.Element, href: str, rel: str) -> None:
    ET.SubElement(parent, f"{{{_ATOM}}}link", href=href, rel=rel)
