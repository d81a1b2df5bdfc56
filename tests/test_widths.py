"""Tables of a built site in a browser, where they have least room: on a tablet and on paper."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from built_sites import build, settings_of
from hostile import Hostile

from jmreport.collectors.demo import Demo

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
#: The width of what is printed on A4.
PAPER = 718


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the built-in laboratory."""
    return _site(tmp_path_factory.mktemp("widths"), Demo(now=NOW, jobs=300))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same where every text is an attack, and some are words of 3,000 letters."""
    return _site(tmp_path_factory.mktemp("hostile"), Hostile(Demo(now=NOW, jobs=100)))


def _site(root: Path, api: Demo | Hostile) -> Path:
    build(settings_of(root), api, now=NOW)
    return root / "site"


def most(where: Path, what: bytes) -> Path:
    """Of the jobs' pages the one that holds most of something."""
    return max(sorted(where.glob("jobs/*.html")), key=lambda page: page.read_bytes().count(what))


LISTS = ("jobs/index.html", "jobs/status-failed.html")

#: Durations in tables that stand on several lines, and words that go on in the next line behind no
#: sign. Reasons below a name have three lines at most, and messages their own look.
BROKEN = r"""() => {
  const range = document.createRange(), durations = [], words = [];
  const top = (text, at) => {
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getClientRects()[0]?.top;
  };
  // What stands on one line breaks nowhere; only the rest is looked at sign by sign.
  const oneLine = (text, from, to) => {
    range.setStart(text, from);
    range.setEnd(text, to);
    return range.getClientRects().length < 2;
  };
  const breaks = (text, from, to, behind) => {
    if (oneLine(text, from, to)) return false;
    for (let at = from + 1; at < to; at++)
      if (top(text, at) > top(text, at - 1) + 4 && !behind.test(text.data[at - 1])) return true;
    return false;
  };
  for (const cell of document.querySelectorAll('main td, main th')) {
    const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (text.parentElement.closest('.sub, .vh, pre, details details')) continue;
      if (/^\s*\d+ (s|min|h|days)( \d+ (min|h))?\s*$/.test(text.data)) {
        if (breaks(text, 0, text.length, /^$/)) durations.push(text.data);
      } else for (const word of text.data.matchAll(/\S+/g))
        if (breaks(text, word.index, word.index + word[0].length, /[-\/@_.,:;]/))
          words.push(word[0]);
    }
  }
  return [durations, words];
}"""


def sized(width: int) -> dict[str, int]:
    """A screen. What was opened wide may be made another wide one: the script looks once, when it
    starts, at whether there is less room than on a tablet."""
    return {"width": width, "height": 800}


OPENED = "document.querySelectorAll('details').forEach(each => { each.open = true; })"
WIDE = "document.documentElement.scrollWidth"


@pytest.mark.parametrize("script", [True, False])
def test_names_and_addresses_of_a_list_break_only_behind_a_sign(
    built: Path, browser: Any, script: bool
) -> None:
    """On a tablet held upright and wherever else there is less room than for all columns."""
    context = browser.new_context(viewport=sized(768), java_script_enabled=script)
    page = context.new_page()
    for address in LISTS:
        page.goto((built / address).as_uri())
        for width in (768, 800, 834, 895, 896, 1024):
            page.set_viewport_size(sized(width))
            assert page.evaluate(BROKEN) == [[], []], (address, width)
            assert page.evaluate(WIDE) <= width, (address, width)
    context.close()


def test_names_of_workflows_on_the_overview_break_only_behind_a_sign(
    built: Path, browser: Any
) -> None:
    """Beside a cause in its own words, on a tablet and on paper."""
    for width, media in ((768, "screen"), (800, "screen"), (1024, "screen"), (PAPER, "print")):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.emulate_media(media=media)
        page.goto((built / "index.html").as_uri())
        links = page.locator("td a[href^='workflows/']").all_text_contents()
        pieces = {piece for name in links for piece in (name, *re.split("(?<=_)", name))}
        assert any("_" in name for name in links)
        assert pieces.isdisjoint(page.evaluate(BROKEN)[1]), width
        page.close()


def test_names_of_tasks_and_workflows_break_only_behind_a_sign(built: Path, browser: Any) -> None:
    """Beside causes in their own words, and among hours that were lost."""
    page = browser.new_page()
    for address in ("tasks/index.html", "workflows/index.html"):
        for width, media in ((768, "screen"), (800, "screen"), (1024, "screen"), (PAPER, "print")):
            page.emulate_media(media=media)
            page.set_viewport_size(sized(width))
            if width in (768, PAPER):
                page.goto((built / address).as_uri())
            assert page.locator("th[scope=row]").count() > 3
            assert page.evaluate(BROKEN) == [[], []], (address, width)
            assert page.evaluate(WIDE) <= width, (address, width)
    page.close()


def test_on_a_phone_what_stands_below_a_name_begins_where_it_does(
    built: Path, browser: Any
) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    left = """Array.from(document.querySelectorAll('main td .sub, main th .sub'), each => [
        each.getBoundingClientRect().left - each.parentElement.getBoundingClientRect().left,
        getComputedStyle(each).display])"""
    for path in (built / "workflows/index.html", most(built, b"<tr")):
        page.goto(path.as_uri())
        below = [at for at, display in page.evaluate(left) if display == "block"]
        assert below, path
        assert set(below) == {0}, path
    page.close()


def test_on_a_phone_a_cause_reads_as_text_and_is_a_place_for_a_finger(
    built: Path, browser: Any
) -> None:
    """It stood in blue, its lines 24 pixels apart; a number of one digit was 9 pixels wide."""
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto((built / "causes/index.html").as_uri())
    look = """all => all.map(each => {
        const look = getComputedStyle(each);
        return [look.color === getComputedStyle(each.parentElement).color,
                look.textDecorationLine,
                parseFloat(look.lineHeight) / parseFloat(look.fontSize) < 1.4,
                each.offsetHeight >= 24];
    })"""
    seen = page.locator(".stack a:has(> code)").evaluate_all(look)
    assert seen == [[True, "underline", True, True]] * len(seen) != []
    widths = "all => all.map(each => each.offsetWidth)"
    assert min(page.locator(".stack td.num a").evaluate_all(widths)) >= 24
    page.close()


def test_on_a_wide_screen_each_word_of_since_when_work_fails_stands_on_a_line_of_its_own(
    built: Path, browser: Any
) -> None:
    """They broke before the hour of the last success, and a row was five lines tall."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((built / "index.html").as_uri())
    # As the template has it: nothing fails in this night.
    row = """<table class="stack full attention"><tr><td>New</td><td class="num">1</td>
        <td><b>germline_joint_calling</b></td><td><code>exited with a return code that was not
        declared as one of a success, which says nothing of why it did</code></td>
        <td data-label="Failing since">23 Nov 10:33
        <span class="sub">last success 22 Nov 22:01</span>
        <span class="sub">cause first seen 22 Nov 22:01</span></td></tr></table>"""
    page.evaluate("row => document.querySelector('main').insertAdjacentHTML('beforeend', row)", row)
    said = page.locator(".attention td .sub").evaluate_all("all => all.map(e => e.offsetHeight)")
    assert [height < 24 for height in said] == [True, True]
    assert page.evaluate(WIDE) <= 1280
    page.close()


@pytest.mark.parametrize("script", [True, False])
def test_on_a_phone_the_header_shows_which_section_a_page_is_of(
    built: Path, browser: Any, script: bool
) -> None:
    """Eleven sections are one line there, which fades out where it goes on."""
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, java_script_enabled=script
    )
    page = context.new_page()
    where = """(() => {
        const at = document.querySelector('.top [aria-current]').getBoundingClientRect();
        return [at.left, at.right, document.documentElement.scrollLeft];
    })()"""
    for address in (
        "index",
        "jobs/index",
        "tasks/index",
        "grid",
        "labels/index",
        "quality",
        "about",
    ):
        page.goto((built / f"{address}.html").as_uri())
        left, right, moved = page.evaluate(where)
        assert (left >= 0, right <= 360 - 48 or address == "about", moved) == (True, True, 0), (
            address
        )
    context.close()


def test_what_needs_attention_is_printed_as_large_as_all_else(built: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": PAPER, "height": 800})
    page.emulate_media(media="print")
    page.goto((built / "index.html").as_uri())
    # As the template has it: nothing fails in this night.
    row = '<table class="stack full attention"><tbody><tr><td>New</td></tr></tbody></table>'
    page.evaluate("row => document.querySelector('main').insertAdjacentHTML('beforeend', row)", row)
    sizes = """of =>
        Array.from(document.querySelectorAll(of), each => getComputedStyle(each).fontSize)"""
    (usual,) = set(page.evaluate(sizes, "main table:not(.attention) td"))
    assert set(page.evaluate(sizes, "main table.attention td")) == {usual}
    # Of 96 to the inch: an overview that was pressed on one sheet had 5.8 points.
    zoom = float(page.evaluate("getComputedStyle(document.querySelector('main')).zoom"))
    assert float(usual.removesuffix("px")) * zoom * 72 / 96 >= 8
    page.close()


def test_what_a_shard_said_has_the_width_of_the_paper(built: Path, browser: Any) -> None:
    """In the last column it stood a word a line."""
    page = browser.new_page(viewport={"width": PAPER, "height": 800})
    page.emulate_media(media="print")
    page.goto(most(built, b'<tr class="own">').as_uri())
    page.evaluate(OPENED)
    widths = "Array.from(document.querySelectorAll('.own pre'), each => each.clientWidth)"
    assert min(page.evaluate(widths)) > PAPER * 3 / 4
    page.close()


def test_no_duration_breaks_in_a_table(built: Path, hostile: Path, browser: Any) -> None:
    """Not on any screen, with all that can be opened open, and nothing is too wide for that."""
    page = browser.new_page()
    for where in (built, hostile):
        jobs = most(where, b"<tr"), most(where, b'class="places"')
        for address in (*jobs, where / "tasks/index.html", where / LISTS[0]):
            for width in (320, 768, 895, 1024):
                page.set_viewport_size(sized(width))
                if width <= 768:
                    page.goto(address.as_uri())
                    page.evaluate(OPENED)
                assert page.evaluate(BROKEN)[0] == [], (address, width)
                assert page.evaluate(WIDE) <= width, (address, width)
    page.close()


def test_the_times_of_a_diagram_are_whole_on_paper(
    built: Path, hostile: Path, browser: Any
) -> None:
    """The table of them has ten columns, and none can be moved to."""
    page = browser.new_page(viewport={"width": PAPER, "height": 1046})
    page.emulate_media(media="print")
    for where in (built, hostile):
        page.goto(most(where, b"<tr").as_uri())
        page.evaluate(OPENED)
        wide = page.evaluate(
            "document.querySelector('.timing table').getBoundingClientRect().right"
        )
        assert 0 < wide <= PAPER
        durations, words = page.evaluate(BROKEN)
        assert durations == []
        assert "Succeeded" not in words
        assert page.evaluate(WIDE) <= PAPER
    page.close()


def test_on_paper_a_list_breaks_no_duration_and_names_only_behind_a_sign(
    built: Path, browser: Any
) -> None:
    page = browser.new_page(viewport={"width": PAPER, "height": 1046})
    page.emulate_media(media="print")
    for address in LISTS:
        page.goto((built / address).as_uri())
        assert page.evaluate(BROKEN) == [[], []], address
    page.close()


def test_on_paper_why_a_job_failed_takes_few_lines(tmp_path: Path, browser: Any) -> None:
    """Below its name, in a column that is wider than names alone make it."""
    where = _site(tmp_path, Demo(now=NOW, jobs=300, like="dsub"))
    page = browser.new_page(viewport={"width": PAPER, "height": 1046})
    page.emulate_media(media="print")
    page.goto((where / LISTS[1]).as_uri())
    lines = page.evaluate(
        "Array.from(document.querySelectorAll('.cards .sub'), each => "
        "each.getBoundingClientRect().height / parseFloat(getComputedStyle(each).lineHeight))"
    )
    assert lines
    assert max(lines) < 4.5
    assert page.evaluate(WIDE) <= PAPER
    page.close()


def test_on_paper_nothing_is_left_of_what_a_reader_does(built: Path, browser: Any) -> None:
    """Neither of the filter nor of abort and labels: not even a heading."""
    page = browser.new_page(viewport={"width": PAPER, "height": 1046})
    for address, what in (
        (LISTS[0], "#filters"),
        (most(built, b"<tr").relative_to(built), "details:has(.act) > summary"),
    ):
        page.goto((built / address).as_uri())
        assert page.locator(what).is_visible()
        page.emulate_media(media="print")
        assert not page.locator(what).is_visible()
        page.emulate_media(media="screen")
    page.close()


def test_a_word_that_breaks_is_found(browser: Any) -> None:
    """The tests above can fail: of a narrow table each fault is named, and no more."""
    page = browser.new_page()
    page.set_content(
        "<main><table style='width: 12rem; table-layout: fixed; overflow-wrap: anywhere'>"
        "<tr><td>3 h 32 min<td>NA1234567890<td>ana@<wbr>b.org</table></main>"
    )
    durations, words = page.evaluate(BROKEN)
    assert (durations, words) == (["3 h 32 min"], ["NA1234567890"])
    page.close()
