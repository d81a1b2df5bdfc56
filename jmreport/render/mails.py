"""A team's mail: the verdict of its own jobs, first what nobody may overlook. Owner of css_inline.

    report of the team's jobs, night, places  ->  letter(...)  ->  subject, HTML, text, pictures

HTML and text are made of one view (mailtold.py), so that neither says what the other doesn't.
Whatever a server calls its jobs stands on one line, and the HTML stays below `LARGEST` bytes.
"""

import codecs
from collections.abc import Callable, Collection
from datetime import tzinfo
from itertools import chain
from typing import Any, TypeVar

import css_inline
from markupsafe import Markup
from msgspec import Struct
from msgspec.structs import asdict, replace

from jmreport.letters import Attachment, Letter, Picture
from jmreport.render import addresses, data, plotting, reportjson, words
from jmreport.render.guides import Guides
from jmreport.render.mailsubjects import subject
from jmreport.render.mailtold import Telling
from jmreport.render.mailviews import SIZES, Night, Places
from jmreport.render.theme import Theme
from jmreport.settings import Prices, Team

#: Bytes of a mail's HTML, at most: above 100 KB some mailboxes cut mails short.
LARGEST = 80_000
#: What does not fit into any mailbox is left out, and the mail says so.
LARGEST_FILE = 7_000_000
T = TypeVar("T")


def letter(
    night: Night,
    team: Team,
    *,
    theme: Theme,
    guides: Guides,
    prices: Prices,
    places: Places,
    title: str,
    zone: tzinfo,
    version: str,
    labels: Collection[str] = (),
) -> Letter:
    """What a team is told of a night; `labels` have a column of their own in its jobs.csv."""
    attachments, left_out = _attachments(night, team, guides, places, labels)
    making = Telling(night, team, guides, prices, places, title, zone, version, left_out)
    pictures: tuple[Picture, ...] = ()
    chart = making.chart()
    if chart:
        pictures = tuple(
            Picture(name=name, data=plotting.picture(chart[0], dark=name == chart[1].dark))
            for name in (chart[1].light, chart[1].dark)
        )
    for size in SIZES:
        view = cleaned(replace(making.view(size), chart=chart[1] if chart else None))
        html, text = theme.mail(view)
        html = _inlined(html)
        if len(html.encode("utf-8", "replace")) <= LARGEST:
            break
    return Letter(
        subject=words.cut_end(words.one_line(subject(night, team, zone)), 240),
        text=text,
        html=html,
        pictures=pictures,
        attachments=attachments,
    )


def cleaned(value: T) -> T:
    """The same with every text in it on one line; HTML that is ours stays as it is."""
    made: Any = value
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        made = words.one_line(value)
    elif isinstance(value, tuple):
        made = tuple(map(cleaned, value))
    elif isinstance(value, Struct):
        made = type(value)(**{name: cleaned(held) for name, held in asdict(value).items()})
    return made  # type: ignore[no-any-return]  # of the type that came in


#: By which Excel opens it as UTF-8, as it is clicked in a mail. The site's own is read by programs.
_MARK = codecs.BOM_UTF8


def _attachments(
    night: Night, team: Team, guides: Guides, places: Places, labels: Collection[str]
) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    """The files that a team asked for, and which of them are too large."""
    report = night.report
    if report is None:
        return (), ()
    made, left_out = [], []
    for what in dict.fromkeys(team.attach):
        name, kind, pieces = (
            ("jobs.csv", "text/csv", chain([_MARK], data.table(report.jobs, _page(places), labels)))
            if what == "csv"
            else ("report.json", "application/json", [reportjson.report_json(report, guides)])
        )
        body = data.whole(pieces, most=LARGEST_FILE)
        if body is None:
            left_out.append(what)
        else:
            made.append(Attachment(name=name, type=kind, data=body))
    return tuple(made), tuple(left_out)


def _page(places: Places) -> Callable[[str], str]:
    """A job's page in a file: its whole address where it has one, else its place in the site."""
    return lambda job: places.href(addresses.job(job)) or addresses.job(job)


def _inlined(html: str) -> str:
    """Rules as style attributes, for mailboxes that know no style sheets; media queries stay."""
    inliner = css_inline.CSSInliner(
        keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False
    )
    return inliner.inline(html)
