"""Whether two pages say the same: their words, without what stands in tags."""

import difflib
import html
import re

_WORD = re.compile(r"\w+|[^\w\s]")


def alike(one: str, other: str) -> float:
    """How much of the words between header and footer is the same in the same order; 1 is all."""
    return difflib.SequenceMatcher(None, _of(one), _of(other), autojunk=False).ratio()


def _of(page: str) -> list[str]:
    page = page[page.index("<main") : page.index("</main>")]
    return _WORD.findall(html.unescape(re.sub(r"<[^>]*>", " ", page)))
