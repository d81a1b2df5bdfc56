"""Templates become code of ours, which prints what Jinja's own would; and what no page holds."""

import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined, UndefinedError
from markupsafe import Markup, escape

from jmreport.render import words
from jmreport.render.jobfacts import Link
from jmreport.render.shardpages import ShardsPage
from jmreport.render.theme import TEMPLATES, Templates, Theme, visible
from jmreport.settings import Settings

TEXTS = st.text(st.characters() | st.sampled_from("<>&\"'"))
_PRINTS = Templates(autoescape=True, undefined=StrictUndefined).from_string("{{ view.it }}")


class _View:
    def __init__(self, it: Any) -> None:
        self.it = it


class _Html:
    def __html__(self) -> str:
        return "<b>"


class _Text(str):
    __slots__ = ()


@given(TEXTS)
def test_every_text_is_escaped_as_markupsafe_does(text: str) -> None:
    """The function that does it is not public there, so that it must be watched."""
    assert _PRINTS.render(view=_View(text)) == str(escape(text))
    assert _PRINTS.render(view=_View(_Text(text))) == str(escape(text))
    assert _PRINTS.render(view=_View([text])) == str(escape(str([text])))


@pytest.mark.parametrize("value", [Markup("<b>"), _Html(), 7, 1.5, None, True, ("<",), b"<"])
def test_what_is_no_text_is_printed_as_ever(value: Any) -> None:
    """HTML stays as it is; all else becomes text, which is escaped."""
    assert _PRINTS.render(view=_View(value)) == str(escape(value))


@pytest.mark.parametrize("printed", ["{{ view.gone }}", "{{ gone }}", "{{ view.it.gone }}",
                                     "{% if view.gone %}x{% endif %}"])  # fmt: skip
def test_a_name_that_a_view_lacks_is_an_error(printed: str) -> None:
    template = Templates(autoescape=True, undefined=StrictUndefined).from_string(printed)
    with pytest.raises(Exception, match="gone"):
        template.render(view=_View("x"))


def test_a_template_without_escaping_is_left_to_jinja() -> None:
    """Whether something is escaped is the environment's word, also where it changes half-way."""
    source = "{{ it }}{% autoescape true %}{{ it }}{% endautoescape %}"
    for escapes in (False, True):
        own, plain = (
            kind(autoescape=escapes).from_string(source) for kind in (Templates, Environment)
        )
        assert own.render(it="<") == plain.render(it="<")


SOURCE = """{% macro m(x) %}<i>{{ x }}</i>{% endmacro %}{% block a %}
{% macro called() %}({{ caller() }}){% endmacro %}
{% for x in view.it %}{{ loop.index }}{% if not loop.first %},{% endif %}{{ x }}{{ m(x) }}
{% block b scoped %}[{{ x }}]{% endblock %}{% else %}none{% endfor %}
{% set y %}{{ m("<") }}{% endset %}{{ y }}{{ view.it|length }}{{ view.it|join("<") }}
{% call called() %}{{ y }}{% endcall %}{{ "<" ~ y }}
{% macro two(x, y="<") %}{{ x }}{{ y }}{% endmacro %}{{ two(1) }}{{ two(1, y) }}{{ two(1, y=2) }}
{% macro any(x) %}{{ x }}{{ varargs|join }}{{ kwargs["z"] }}{% endmacro %}{{ any(1, "<", z=">") }}
{% endblock %}
"""
_OWN, _JINJAS = (
    kind(autoescape=True, undefined=StrictUndefined).from_string(SOURCE)
    for kind in (Templates, Environment)
)


@given(st.lists(TEXTS, max_size=4))
def test_blocks_loops_and_macros_print_what_jinjas_own_code_prints(texts: list[str]) -> None:
    assert _OWN.render(view=_View(texts)) == _JINJAS.render(view=_View(texts))


def test_a_macro_takes_no_more_than_it_names() -> None:
    for called in ("m(1, 2)", "m()", "m(1, z=2)"):
        source = "{% macro m(x) %}{{ x }}{% endmacro %}{{ " + called + " }}"
        said = []
        for kind in (Templates, Environment):
            with pytest.raises((TypeError, UndefinedError)) as raised:
                kind(autoescape=True, undefined=StrictUndefined).from_string(source).render()
            said.append(str(raised.value))
        assert said[0] == said[1]


_THEME = Theme(Settings(), version="0.1.0")


def _shards(title: str) -> ShardsPage:
    return ShardsPage(
        address="",
        title=title,
        task="",
        job=Link("", ""),
        rows=(),
        said="",
        groups=(),
        before=None,
        after=None,
    )


@given(st.text(st.characters() | st.sampled_from("\ud800\x00\u202e<—"), max_size=20))
def test_a_file_holds_what_the_page_says(text: str) -> None:
    view = _shards(text)
    page = _THEME.render("shards.html", view, address="jobs/a.html")
    assert _THEME.file("shards.html", view, address="jobs/a.html") == page.encode()


def test_pages_of_one_folder_share_what_stands_above_them_and_no_others_do() -> None:
    """Which page one is on, and when it was read, is still each page's own."""

    def above(address: str, at: str = "") -> str:
        as_of = words.Moment(at, at) if at else None
        page = _THEME.file("shards.html", _shards("x"), address=address, as_of=as_of).decode()
        return page[page.index("<header") : page.index("</header>")]

    assert (
        above("jobs/a.html", "now") == above("jobs/b.html", "now") != above("jobs/a.html", "then")
    )
    assert 'href="index.html" aria-current="page"' in above("jobs/index.html")
    assert 'href="index.html" aria-current="true"' in above("jobs/a.html")
    assert 'href="jobs/index.html">' in above("grid.html")
    assert 'href="grid.html" aria-current="page"' in above("grid.html")
    assert 'href="../../index.html"' in above("nights/20261123T021400Z/index.html")


def test_no_template_names_an_attribute_that_only_a_mapping_has() -> None:
    """Attributes are read directly, so templates use none of Jinja's words for what is lacking."""
    for path in TEMPLATES.glob("*.html"):
        assert not re.search(r"is (not )?(un)?defined|\|\s*default", path.read_text()), path.name


def test_what_no_page_may_hold_is_found_among_all_characters() -> None:
    """What the quick look lets pass, the thorough one, which the null calls for, leaves alone."""
    every = map(chr, range(sys.maxunicode + 1))
    passing = "".join(sign for sign in every if visible(sign) is sign)
    assert len(passing) > 140_000
    assert visible(f"\x00{passing}") == f"␀{passing}"
    assert [visible(sign) for sign in "\x00\r\x7f\x85\u202e\u2066\ud800\ufdd0\U0010ffff"] == [
        "␀", "\n", "␡", *["\ufffd"] * 6
    ]  # fmt: skip
