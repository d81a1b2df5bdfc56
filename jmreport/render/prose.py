"""Markdown of the site's owner as HTML that is safe to print. Owner of markdown and nh3."""

import markdown
import nh3
from markupsafe import Markup

_TAGS = {
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "hr", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


def prose(text: str) -> Markup:
    """The text's HTML: plain elements only, links to https and mail only, no images, no scripts."""
    raw = markdown.markdown(text, extensions=["tables", "fenced_code", "sane_lists"])
    clean = nh3.clean(
        raw,
        tags=_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"https", "mailto"},
        link_rel="noopener noreferrer",
    )
    return Markup(clean)  # noqa: S704  # nh3 has taken out what is not in the lists above
