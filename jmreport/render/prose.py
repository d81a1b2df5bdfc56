"""Markdown of the site's owner as HTML that is safe to print. Owner of markdown and nh3."""

import markdown
import nh3
from markupsafe import Markup, escape

_TAGS = {
    "a", "blockquote", "br", "code", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_SCHEMES = ("https://", "mailto:")


def prose(text: str) -> Markup:
    """The text's HTML: plain elements only, links to https and mail only, no images, no scripts.

    Headings begin below those of pages: "# Title" is an h3. Text that nests too deeply for the
    library is shown as it was written.
    """
    try:
        raw = markdown.markdown(
            text,
            extensions=["tables", "fenced_code", "sane_lists", "toc"],
            extension_configs={"toc": {"baselevel": 3, "marker": ""}},
        )
    except RecursionError:
        return Markup("<pre>{}</pre>").format(escape(text))
    clean = nh3.clean(
        raw,
        tags=_TAGS,
        attributes={"a": {"href"}},
        attribute_filter=_https_or_mail,
        url_schemes={"https", "mailto"},
        link_rel="noopener noreferrer",
    )
    return Markup(clean)  # noqa: S704  # nh3 has taken out what is not in the lists above


def _https_or_mail(_tag: str, name: str, value: str) -> str | None:
    """Drops links to places beside the page: a note is shown on pages in several folders."""
    return value if name != "href" or value.lower().startswith(_SCHEMES) else None
