"""The pages in a browser: readable for everybody, on every screen, with and without the script."""

import re
from collections.abc import Iterator
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from conftest import lacking
from msgspec.structs import replace
from site_cases import HOSTILE, entries, report, runs, write
from site_numbers import jobs_behind, numbers_checked
from targets import TOO_SMALL

from jmreport.gaps import Gap
from jmreport.records import Entry
from jmreport.render import addresses, listpages
from jmreport.render.labelpages import whole

OVER = runs(3, gaps=(Gap(what="page 3 of the list", why="server error 500"),))
JOBS = entries(260, OVER)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of jobs of every status, with a hole in its data."""
    where = tmp_path_factory.mktemp("pages") / "site"
    write(where, JOBS, OVER)
    return where


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with fewer jobs in shorter lists: all kinds of pages and rows, quickly laid out."""
    return _short(tmp_path_factory.mktemp("short") / "site", "")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short lists with an attack in whatever a server words."""
    return _short(tmp_path_factory.mktemp("hostile") / "site", HOSTILE)


def _short(where: Path, text: str) -> Path:
    with patch.object(listpages, "ROWS", 8):
        write(where, entries(24, OVER, seed=3, text=text), OVER)
    return where


@cache  # all jobs' pages are read for one of them
def kinds(where: Path) -> dict[str, str]:
    """A page of each kind."""
    return {
        "overview": addresses.OVERVIEW,
        "jobs": addresses.JOBS,
        "second page": "jobs/page-2.html",
        "list": "jobs/status-failed.html",
        "ids": addresses.IDS,
        "workflows": addresses.WORKFLOWS,
        "workflow": _first(where, "workflows/germline*.html"),
        "labels": addresses.LABELS,
        "label": _first(where, "labels/owner-*.html"),
        "causes": addresses.CAUSES,
        "cause": _first(where, "causes/*[0-9a-f].html"),
        "tasks": addresses.TASKS,
        "nights": addresses.NIGHTS,
        "night": _first(where, "nights/*/index.html"),
        "grid": addresses.GRID,
        "timeline": addresses.TIMELINE,
        "job": _first(where, "jobs/*-[0-9a-f]*[0-9a-f].html"),
        "job of many calls": _most_calls(where),
        "quality": addresses.QUALITY,
        "about": addresses.ABOUT,
    }


def _first(where: Path, pattern: str) -> str:
    return sorted(where.glob(pattern))[0].relative_to(where).as_posix()


def _most_calls(where: Path) -> str:
    """Of the jobs' pages the one with most operations that have no link: the widest tables."""

    def operations(page: Path) -> int:
        return page.read_bytes().count(b'<span class="small muted place">operation')

    pages = sorted(where.glob("jobs/*-[0-9a-f]*[0-9a-f].html"))
    return max(pages, key=operations).relative_to(where).as_posix()


class Walk(NamedTuple):
    """What one walk through a page of each kind met, of words that are plain and hostile."""

    #: (kind, width of the screen, width that the page has, width of what is on it)
    widths: list[tuple[str, int, int, int]]
    #: (kind, what is too small for a finger)
    too_small: list[tuple[str, list[str]]]
    #: What the browser's console said.
    said: list[str]


@pytest.fixture(scope="module")
def walk(short: Path, hostile: Path, browser: Any) -> Walk:
    """Each page opened on a phone and on a tablet."""
    found = Walk([], [], [])
    page = browser.new_page()
    page.on("console", lambda message: found.said.append(message.text))
    page.on("pageerror", lambda error: found.said.append(str(error)))
    for where in (short, hostile):
        for kind, address in kinds(where).items():
            # The script looks at the width once, when it starts, for whether it is below 768.
            for first, then in ((360, 320), (768, 800)):
                page.set_viewport_size({"width": first, "height": 800})
                page.goto((where / address).as_uri())
                if first == 360:
                    found.too_small.append((kind, page.evaluate(TOO_SMALL)))
                for width in (first, then):
                    page.set_viewport_size({"width": width, "height": 800})
                    found.widths.append((kind, width, *page.evaluate(SIZED)))
    page.close()
    return found


SIZED = "[innerWidth, document.documentElement.scrollWidth]"


def test_no_page_is_wider_than_a_phone(walk: Walk) -> None:
    """On a phone and a tablet nothing has to be moved sideways, with hostile words too."""
    assert len(walk.widths) > 100
    for kind, width, inner, wide in walk.widths:
        assert inner == width
        assert wide <= width, (kind, width, wide)


def test_a_finger_finds_each_link_of_a_phone(walk: Walk) -> None:
    """Of WCAG 2.2 what is asked of the size of targets, or of the room between small ones."""
    assert len(walk.too_small) > 30
    for kind, found in walk.too_small:
        assert found == [], kind


def test_numbers_that_a_bar_sums_up_share_lines_on_a_phone(built: Path, browser: Any) -> None:
    """A line each would make a label of ten values three screens."""
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto((built / "labels" / "index.html").as_uri())
    rows = page.eval_on_selector_all(
        "tr:has(.split)",
        "rows => rows.map(row => [...row.querySelectorAll('td.num')].map(cell => cell.offsetTop))",
    )
    page.close()
    assert [len(set(tops)) < len(tops) for tops in rows] == [True] * len(rows) != []


def test_two_numbers_too_close_for_a_finger_are_found(browser: Any) -> None:
    """The test above can fail: neither a sentence nor room around a link is told of."""
    page = browser.new_page()
    page.set_content(
        "<ul style='line-height: 20px'><li><a href='#a'>1</a>/<a href='#b'>6</a></ul>"
        "<p>Read <a href='#c'>a</a> or <a href='#d'>b</a></p><p><a href='#e'>7</a></p>"
    )
    assert [found.split(" ")[1] for found in page.evaluate(TOO_SMALL)] == ['"1"', '"6"']
    page.close()


def test_no_list_of_jobs_is_cut_on_a_tablet(short: Path, browser: Any) -> None:
    """All columns that a server usually names stand beside one another, in both directions."""
    page = browser.new_page(viewport={"width": 768, "height": 800})
    for kind in ("jobs", "second page", "list"):
        page.goto((short / kinds(short)[kind]).as_uri())
        for width in (768, 800, 834, 900, 1024, 1180, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            wide, room = page.evaluate(
                "(f => [f.scrollWidth, f.clientWidth])(document.querySelector('.cards').parentNode)"
            )
            assert wide <= room, (kind, width, wide, room)
    page.close()


def test_no_list_of_jobs_is_cut_on_paper(short: Path, hostile: Path, browser: Any) -> None:
    """All columns stand on a sheet of A4, whatever words are in them: none can be moved to."""
    page = browser.new_page(viewport={"width": 718, "height": 1046})
    page.emulate_media(media="print")
    for where in (short, hostile):
        for kind in ("jobs", "second page", "list"):
            page.goto((where / kinds(where)[kind]).as_uri())
            wide = page.evaluate("document.querySelector('.cards').getBoundingClientRect().right")
            assert wide <= 718, (kind, wide)
    page.close()


#: What axe-core is asked; dark differs from light in colours only.
AXE: dict[str, dict[str, Any]] = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast", "link-in-text-block"]},
}


def test_no_kind_of_page_breaks_an_accessibility_rule(short: Path, browser: Any) -> None:
    """axe-core finds nothing in light, and in dark nothing of what depends on colours."""
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        lacking("axe-playwright-python", "pip install axe-playwright-python")
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    for kind, address in kinds(short).items():
        page.goto((short / address).as_uri())
        grounds = set()
        for scheme, asked in AXE.items():
            page.emulate_media(color_scheme=scheme)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            found = Axe().run(page, options=asked)
            assert found.violations_count == 0, f"{kind}, {scheme}: {found.generate_report()}"
        assert len(grounds) == len(AXE), kind
    context.close()


def test_no_page_breaks_its_own_policy(walk: Walk) -> None:
    """The browser's console stays silent: no blocked style, no error of the script."""
    assert walk.said == []


def test_nothing_a_server_wrote_runs_or_leads_out(hostile: Path, browser: Any) -> None:
    """Without the page's policy, with the script on: no handler runs, nothing is requested."""
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script("window.ran = 0; window.boom = function () { window.ran += 1; };")
    for address in kinds(hostile).values():
        page.goto((hostile / address).as_uri())
        assert page.evaluate("window.ran") == 0
        assert page.evaluate("document.querySelectorAll('img, iframe, object').length") == 0
    context.close()
    assert all(url.startswith(hostile.as_uri()) for url in asked)


# --- hosts that are strict ---------------------------------------------------------------------


class Strict(SimpleHTTPRequestHandler):
    """A host that trusts no page: no script, no form, no frame, an origin that is nobody's."""

    def end_headers(self) -> None:
        self.send_header(
            "Content-Security-Policy",
            "sandbox; default-src 'none'; img-src 'self'; style-src 'self'",
        )
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name above
        """A test's output is for what fails."""


@pytest.fixture
def strict(short: Path) -> Iterator[str]:
    """The site as such a host gives it out; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Strict, directory=str(short))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_host_that_forbids_nearly_all_shows_the_same_pages(
    short: Path, browser: Any, strict: str
) -> None:
    """Word for word, and as tall: the style sheet and the pictures are there."""
    still = browser.new_context(java_script_enabled=False).new_page()
    failed: list[tuple[str, str]] = []
    still.on("requestfailed", lambda request: failed.append((request.url, request.failure)))
    for kind, address in kinds(short).items():
        still.goto((short / address).as_uri())
        was = still.evaluate(LOOKS)
        still.goto(f"{strict}/{address}")
        assert still.evaluate(LOOKS) == was, kind
    # An icon that is still under way when the page is left is nobody's refusal.
    refused = [url for url, why in failed if why != "net::ERR_ABORTED"]
    assert [url for url in refused if not url.endswith(".js")] == []
    still.context.close()


LOOKS = "[document.body.innerText, document.documentElement.scrollHeight]"


def test_the_overview_of_two_thousand_jobs_is_small(tmp_path: Path) -> None:
    """It is what a phone loads at 7:00, wherever the phone is."""
    write(tmp_path, entries(2_000, OVER), OVER)
    assert (tmp_path / "index.html").stat().st_size < 150_000


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Jobs that each have a twin, of which all texts are told apart only in their middle."""
    where = tmp_path_factory.mktemp("alike") / "site"

    def of(text: str, twin: str) -> str:
        return f"{text}{' long' * 25} {twin}{' long' * 25}" if text else ""

    def row(entry: Entry, twin: str) -> Entry:
        row, failure = entry.row, entry.row.failure
        changed = replace(
            row,
            id=f"{row.id}-{twin}",
            name=of(row.name, twin),
            labels={key: of(text, twin) for key, text in row.labels.items()},
            failed_tasks=tuple(of(task, twin) for task in row.failed_tasks),
            failure=failure
            and replace(
                failure, message=of(failure.message, twin), task=of(failure.task or "", twin)
            ),
        )
        return replace(entry, row=changed)

    with patch.object(listpages, "ROWS", 15):
        jobs = [row(each, twin) for each in JOBS[:80] for twin in ("left", "right")]
        write(where, jobs, OVER)
    return where


@pytest.mark.parametrize("which", ["built", "alike"])
def test_no_two_pages_share_a_title(which: str, request: pytest.FixtureRequest) -> None:
    """It is what tabs, bookmarks and those who hear a page are told of it, and headings are alike:
    lists of time frames were called the same, and so were running jobs and those of the status;
    and lists of values that look the same where they are cut."""
    built: Path = request.getfixturevalue(which)
    titles: dict[str, list[str]] = {}
    headings: dict[str, list[str]] = {}
    for path in sorted(built.rglob("*.html")):
        text, name = path.read_text(), path.relative_to(built).as_posix()
        for pattern, found in (("<title>(.*?)</title>", titles), ("<h1>(.*?)</h1>", headings)):
            for said in re.findall(pattern, text)[:1]:
                found.setdefault(said, []).append(name)
    assert len(titles) > 300
    assert {said: names for said, names in titles.items() if len(names) > 1} == {}
    lists = {
        said: [each for each in names if each.startswith("jobs/label-")]
        for said, names in headings.items()
    }
    assert {said: names for said, names in lists.items() if len(names) > 1} == {}


# --- the keyboard ------------------------------------------------------------------------------

FOCUS = "document.activeElement.closest('tr, li, summary')?.innerText ?? ''"


def test_j_and_k_go_from_row_to_row_and_enter_opens_one(built: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((built / addresses.WORKFLOWS).as_uri())
    rows = page.locator("main tbody tr").evaluate_all("all => all.map(row => row.innerText)")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    for key, at in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        assert page.evaluate(FOCUS) == rows[at], key
    href = page.evaluate("document.activeElement.href")
    page.keyboard.press("Enter")
    page.wait_for_url(href)
    page.close()


def test_every_stop_of_a_page_is_reached_once(built: Path, browser: Any) -> None:
    """Tiles, tables and what folds, in their order; what is folded away is no stop."""
    page = browser.new_page()
    page.goto((built / addresses.OVERVIEW).as_uri())
    stops: list[float] = []
    for _ in range(400):
        page.keyboard.press("j")
        here = page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY")
        if stops and here == stops[-1] and page.evaluate("window.last === document.activeElement"):
            break
        page.evaluate("window.last = document.activeElement")
        stops.append(here)
    assert len(stops) > 20
    assert stops == sorted(stops)
    page.close()


def test_a_slash_goes_to_the_field_of_a_page_that_has_one(built: Path, browser: Any) -> None:
    """Also where it is folded away; in it, it is text. Elsewhere nothing happens."""
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto((built / addresses.QUALITY).as_uri())
    page.keyboard.press("/")
    assert page.url.endswith(addresses.QUALITY)
    for address, field in ((addresses.JOBS, "#f-text"), (addresses.IDS, "#f-id")):
        page.goto((built / address).as_uri())
        page.keyboard.press("/")
        page.locator(f"{field}:focus").wait_for()
        page.keyboard.type("j/k")
        assert page.locator(field).input_value() == "j/k"
    page.close()


def test_keys_are_switched_off_on_the_page_about_the_report(built: Path, browser: Any) -> None:
    """On every page of a browser that keeps the choice, until they are switched on again."""
    context = browser.new_context()
    page = context.new_page()
    acts = "document.activeElement.closest('main tr') !== null"
    for choose, acting in (("uncheck", False), ("check", True)):
        page.goto((built / addresses.ABOUT).as_uri())
        choice = page.get_by_role("checkbox", name="Have these keys act")
        assert choice.is_checked() is not acting
        getattr(choice, choose)()
        for address in (addresses.WORKFLOWS, addresses.JOBS):
            page.goto((built / address).as_uri())
            page.keyboard.press("j")
            assert page.evaluate(acts) is acting
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id === 'f-text'") is acting
    # Over HTTP all pages have one store; of files some browsers keep one for each.
    page.route("http://pages/**", lambda at: at.fulfill(path=built / at.request.url[13:]))
    alone = page.get_by_text("(opened from a disk, some browsers keep it for this page alone)")
    for address, said in (("http://pages/", 0), (built.as_uri() + "/", 1)):
        page.goto(address + addresses.ABOUT)
        choice.wait_for()
        assert alone.count() == said
    # Where there is no room for the choice, it is not made.
    page.evaluate("() => { Storage.prototype.setItem = () => { throw Error('full'); }; }")
    choice.click()
    assert choice.is_checked()
    # A browser that lets nobody ask has nothing to choose, and keys that act.
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no'); }})"
    )
    page.goto((built / addresses.ABOUT).as_uri())
    assert page.get_by_role("checkbox").count() == 0
    page.goto((built / addresses.WORKFLOWS).as_uri())
    page.keyboard.press("j")
    assert page.evaluate(acts)
    context.close()


def test_a_finger_finds_the_choice_of_keys(built: Path, browser: Any) -> None:
    """As large as the box of a list, and its words stand beside it."""
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto((built / addresses.ABOUT).as_uri())
    box = page.locator("#keys input").bounding_box()
    assert (box["width"], box["height"]) == (24, 24)
    assert page.locator("#keys label").bounding_box()["x"] >= box["x"] + 24
    page.close()


def test_without_scripts_a_page_says_what_it_lacks_and_leads_to_shorter_lists(
    built: Path, browser: Any
) -> None:
    """As links to the filter end there with the whole list."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / addresses.JOBS).as_uri() + "#label=Flag%3Darchive")
    page.set_viewport_size({"width": 360, "height": 800})
    short, said = page.locator("noscript summary"), page.locator("noscript p")
    assert short.inner_text() == "Not filtered: that needs JavaScript"
    # A line, and what is behind it takes no room until it is asked for.
    assert short.bounding_box()["height"] < 40
    assert not said.is_visible()
    short.click()
    lacks = "This list has no archived jobs and none that ended before the last 7 days. Fewer"
    assert lacks in said.inner_text()
    where = [link.get_attribute("href") for link in said.locator("a").all()]
    assert where == ["#statuses", "../workflows/index.html", "../labels/index.html"]
    assert page.locator(where[0]).is_visible()
    page.goto((built / addresses.ABOUT).as_uri())
    assert page.get_by_role("checkbox").count() == 0
    about = page.get_by_text("Everything is read without it.").inner_text()
    for what in ("filter and sort", "by its id", "these keys", "a report is old"):
        assert what in about
    context.close()
    page = browser.new_page()
    page.goto((built / addresses.JOBS).as_uri())
    assert not page.get_by_text("needs JavaScript").is_visible()
    page.close()


# --- the filter --------------------------------------------------------------------------------


@pytest.fixture
def list_page(built: Path, browser: Any) -> Iterator[Any]:
    """The list of all jobs, with the script running under the page's own policy."""
    page = browser.new_page()
    page.goto((built / addresses.JOBS).as_uri())
    yield page
    page.close()


ROWS = "[...document.querySelectorAll('#jobs tbody tr')].map(row => row.outerHTML)"


def test_the_script_shows_the_rows_that_the_page_had(built: Path, browser: Any) -> None:
    """Word for word and tag for tag: dates, durations, links and icons are the page's own."""
    still = browser.new_context(java_script_enabled=False).new_page()
    still.goto((built / addresses.JOBS).as_uri())
    was = still.locator("#jobs tbody").inner_html()
    still.context.close()
    page = browser.new_page()
    page.goto((built / addresses.JOBS).as_uri())
    first = page.locator("#jobs tbody tr").first
    first.evaluate("row => { row.dataset.came = ''; }")
    page.locator("#f-text").fill("nothing has this in it")
    page.locator("#none").wait_for(state="visible")
    page.locator("#clear").click()
    page.locator("#jobs tbody tr:nth-child(100)").wait_for()
    assert page.locator("[data-came]").count() == 0
    assert _plain(page.locator("#jobs tbody").inner_html()) == _plain(was)
    page.close()


def test_the_rows_that_the_page_came_with_are_not_made_again(built: Path, browser: Any) -> None:
    """Unless its address asks for others."""
    page = browser.new_page()
    page.add_init_script(
        """document.addEventListener('readystatechange', () => {
            document.querySelectorAll('#jobs tbody tr').forEach(row => { row.came = true; });
        }, {once: true});"""
    )
    came = "[...document.querySelectorAll('#jobs tbody tr')].filter(row => row.came).length"
    page.goto((built / addresses.JOBS).as_uri())
    assert page.locator("#found").is_visible()
    assert page.evaluate(came) == 100
    page.goto((built / addresses.JOBS).as_uri() + "#sort=-took")
    page.reload()
    page.locator("th[aria-sort]").wait_for()
    assert page.evaluate(came) == 0
    page.close()


def test_what_fills_the_screen_comes_first(list_page: Any) -> None:
    """The rows below it follow when that is painted, or before it is printed, in their order."""
    show = """state => {
        history.replaceState(null, '', state);
        window.dispatchEvent(new Event('hashchange'));
        const bottom = document.querySelector('#jobs tbody').getBoundingClientRect().bottom;
        return [document.querySelectorAll('#jobs tbody tr').length, bottom > innerHeight];
    }"""
    count, filled = list_page.evaluate(show, "#sort=took")
    assert filled
    assert count < 100
    list_page.locator("#jobs tbody tr:nth-child(100)").wait_for()
    whole = list_page.evaluate(ROWS)
    assert len(whole) == 100
    list_page.evaluate(show, "#sort=name")
    list_page.evaluate(show, "#sort=took")
    list_page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert list_page.evaluate(ROWS) == whole
    list_page.wait_for_timeout(100)
    assert list_page.evaluate(ROWS) == whole


def _plain(html: str) -> str:
    """Whitespace between tags and the precision of a `datetime` aside."""
    html = re.sub(r'datetime="[^"]*"', "", html)
    return re.sub(r"\s*(<[^>]+>)\s*", r"\1", html).replace("<svg ", "\n<svg ")


def test_the_script_shows_hostile_rows_as_text(hostile: Path, browser: Any) -> None:
    """The filter shows a workflow whose name is markup, letter for letter."""
    page = browser.new_page()
    page.goto((hostile / addresses.JOBS).as_uri())
    assert page.locator("#found").text_content().startswith("22 jobs, + 2 archived")
    assert "onerror=boom()" in page.locator("#jobs tbody").inner_text()
    page.close()


def test_each_filter_shows_exactly_its_jobs(list_page: Any) -> None:
    """Status, workflow, label, flag, archived and text, alone and together."""
    rows = [entry.row for entry in report(JOBS, OVER).jobs]
    here = [row for row in rows if not row.archived]
    assert len(here) < len(rows)
    page = list_page
    wanted = {
        "status=Failed&archived=on": [row for row in rows if row.status == "Failed"],
        "status=Paused": [row for row in here if row.status == "Paused"],
        "workflow=sv_merge": [row for row in here if row.name == "sv_merge"],
        "label=owner%3Dana": [row for row in here if row.labels["owner"] == "ana"],
        "by.labels.owner=ana": [row for row in here if row.labels["owner"] == "ana"],
        "label=Owner%3DANA": [row for row in here if row.labels["owner"] == "ana"],
        "label=owner%3Dana%20batch%3Db1": [
            row for row in here if (row.labels["owner"], row.labels.get("batch")) == ("ana", "b1")
        ],
        "label=owner%3Dana%2C%20batch": [
            row for row in here if row.labels["owner"] == "ana" and "batch" in row.labels
        ],
        "label=batch&archived=on": [row for row in rows if "batch" in row.labels],
        "flag=follow-up": [row for row in rows if row.labels.get("flag") == "follow-up"],
        "flag=archive": [row for row in rows if row.archived],
        "label=flag%3Darchive": [row for row in rows if row.archived],
        "label=owner%3Dana%2C": [row for row in here if row.labels["owner"] == "ana"],
        "label=Flag%3Darchive%20owner%3Dana": [
            row for row in rows if row.archived and row.labels["owner"] == "ana"
        ],
        "": here,
        "archived=on": rows,
        "text=na17": [row for row in here if "NA17" in row.labels["sample"]],
        "status=Failed&label=owner%3Dli": [
            row for row in here if row.status == "Failed" and row.labels["owner"] == "li"
        ],
    }
    for state, expected in wanted.items():
        page.evaluate("state => { location.hash = state; }", state)
        page.wait_for_function("() => new Promise(done => setTimeout(() => done(true), 20))")
        said = page.locator("#found").inner_text().replace("\u202f", "")
        assert said.split(" ")[0] == str(len(expected)), (state, said)
        shown = min(len(expected), 100)
        count = "most => document.querySelectorAll('#jobs tbody tr').length === most"
        page.wait_for_function(count, arg=shown)
        links = page.locator("#jobs tbody td a.id").evaluate_all("all => all.map(a => a.href)")
        pages = {addresses.job(row.id).rpartition("/")[2] for row in expected}
        assert {link.rpartition("/")[2] for link in links} <= pages
        assert len(links) == shown


def test_the_form_writes_its_state_into_the_address(list_page: Any) -> None:
    """What is chosen, sorted and turned to can be linked, and is there again after a reload."""
    page = list_page
    page.locator("#f-status").select_option("Succeeded")
    page.get_by_role("button", name="Took").click()
    page.get_by_role("button", name="Took").click()
    page.get_by_role("button", name="Next").click()
    assert page.evaluate("location.hash") == "#status=Succeeded&sort=-took&page=2"
    rows = [entry.row for entry in report(JOBS, OVER).jobs]
    left = sum(row.status == "Succeeded" and not row.archived for row in rows) - 100
    # The first rows are there at once, the others once those are painted.
    whole = f"document.querySelectorAll('#jobs tbody tr').length === {left}"
    page.wait_for_function(whole)
    first = page.evaluate(ROWS)
    page.reload()
    page.wait_for_function(whole)
    assert page.evaluate(ROWS) == first
    assert page.locator("#f-status").input_value() == "Succeeded"
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="Clear").click()
    archived = sum(entry.row.archived for entry in JOBS)
    said = f"{len(JOBS) - archived} jobs, + {archived} archived"
    assert page.locator("#found").text_content() == f"{said}, page 1 of 3"
    # The heading says the number: it is told again to those alone who hear the page.
    heard = page.locator("#found .vh").all_text_contents()
    assert heard == [said.partition("+")[0], ", page 1 of 3"]
    page.locator("#f-status").select_option("Succeeded")
    assert page.locator("#found .vh").all_text_contents() == [", page 1 of 2"]
    page.locator("#f-status").select_option("Failed")
    assert page.locator("#found .vh").count() == 0


def test_who_turns_the_pages_by_keyboard_stays_there_and_hears_which_it_is(list_page: Any) -> None:
    """At the button of the same name; where that leads nowhere any more, at the rows."""
    page = list_page
    here = "document.activeElement.id || document.activeElement.textContent"
    page.get_by_role("button", name="Next").focus()
    for key, at, focused in (
        ("Enter", 2, "Next"),
        ("Enter", 3, "jobs"),
        ("Tab", 3, None),
        ("Previous", 2, "Previous"),
        ("Enter", 1, "jobs"),
    ):
        if key == "Previous":
            page.get_by_role("button", name=key).focus()
        page.keyboard.press("Enter" if key == "Previous" else key)
        assert page.locator("#found").text_content().endswith(f", page {at} of 3")
        if focused:
            assert page.evaluate(here) == focused, (key, at)
        else:
            assert page.evaluate("document.activeElement.closest('#jobs') !== null")
    assert page.locator("#found").evaluate("each => getComputedStyle(each).fontSize") == "14px"


@pytest.mark.parametrize("script", [True, False])
def test_a_phone_shows_jobs_soon_below_what_the_list_counts(
    built: Path, browser: Any, script: bool
) -> None:
    """What the list is of stands below it, for every screen."""
    context = browser.new_context(
        viewport={"width": 360, "height": 800}, java_script_enabled=script
    )
    page = context.new_page()
    page.goto((built / addresses.JOBS).as_uri())
    top = "one => document.querySelector(one).getBoundingClientRect().top"
    assert page.evaluate(top, "#jobs tbody tr") - page.evaluate(top, ".statuses") < 270
    rows = page.locator("#jobs").bounding_box()
    note = page.get_by_text("Submitted in the last 7 days, or active since.").bounding_box()
    assert note["y"] >= rows["y"] + rows["height"]
    context.close()


def test_a_phone_sorts_by_a_choice_as_other_screens_by_the_headings(
    built: Path, browser: Any
) -> None:
    """It says how the rows are sorted where the address says so, and no key leads out of sight."""
    page = browser.new_page(viewport={"width": 360, "height": 800})
    address = (built / addresses.JOBS).as_uri()
    page.goto(address)
    page.get_by_text("Filter and sort").click()
    sort = page.get_by_label("Sort by")
    assert sort.input_value() == ""
    offered = sort.locator("option").all_text_contents()
    assert offered[0] == "Newest first"
    assert len(offered) == 1 + 2 * page.locator("#jobs thead th").count()
    sort.select_option("Took, longest first")
    assert page.evaluate("location.hash") == "#sort=-took"
    assert not page.get_by_text("Newest first. ").is_visible()
    page.locator("#jobs tbody tr:nth-child(100)").wait_for()
    chosen = page.evaluate(ROWS)
    page.get_by_label("Text").fill("na")
    page.wait_for_function("() => location.hash === '#text=na&sort=-took'")
    page.get_by_label("Text").fill("")
    page.wait_for_function("() => location.hash === '#sort=-took'")
    for _ in range(30):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('thead')") is None
    # What is out of sight names the cells to those who hear the page.
    titles = page.locator("#jobs thead th").all_inner_texts()
    assert titles[:3] == ["Status", "Workflow", "Job"]
    for title in titles:
        assert page.get_by_role("columnheader", name=title).count() >= 1
    page.goto(address + "#sort=name")
    page.reload()
    assert sort.input_value() == "name"
    assert sort.evaluate("one => one.selectedOptions[0].textContent") == "Workflow, A to Z"
    page.goto(address + "#sort=no-column")
    assert sort.input_value() == ""
    page.set_viewport_size({"width": 1024, "height": 800})
    page.goto(address)
    assert not sort.is_visible()
    took = page.get_by_role("button", name="Took")
    took.click()
    took.click()
    page.locator("#jobs tbody tr:nth-child(100)").wait_for()
    assert page.evaluate(ROWS) == chosen
    page.locator("#f-archived").check()
    assert page.evaluate("location.hash") == "#archived=on&sort=-took"
    page.close()


def test_no_match_is_said_in_words(list_page: Any) -> None:
    """An empty table would look like a broken one."""
    list_page.locator("#f-text").fill("nothing has this in it")
    list_page.locator("#none").wait_for(state="visible")
    said = "No job of the last 7 days matches. Clear the filter."
    assert list_page.locator("#none").inner_text() == said
    older = list_page.locator("main .note a").evaluate_all("all => all.map(a => a.textContent)")
    assert older == ["Find any job by its id", "nights", "labels"]
    below = list_page.get_by_text("Submitted in the last 7 days, or active since.")
    assert below.is_visible()
    assert not list_page.locator("#jobs").is_visible()


def test_twenty_thousand_rows_are_quick(tmp_path: Path, browser: Any) -> None:
    """Measured by how long the browser takes to write the rows as JSON and read them again."""
    from jmreport.render.joblists import Jobs, rows_script
    from jmreport.render.words import zone

    over = runs(1)
    many = report(entries(20_000, over), over)
    write(tmp_path, entries(20, over), over)
    data = next(tmp_path.glob("assets/jobs-*.js"))
    jobs_of = Jobs(many, zone=zone("UTC"), pages=set())
    data.write_bytes(b"".join(rows_script(many, jobs_of, zone="UTC")))
    loads, units, tooks = [], [], []
    for _ in range(3):
        page = browser.new_page()
        page.goto((tmp_path / addresses.JOBS).as_uri())
        page.locator("#f-archived").check()
        assert page.locator("#found").inner_text().startswith("20\u202f000 jobs")
        loads.append(
            page.evaluate(
                "performance.timing.domContentLoadedEventEnd - performance.timing.responseEnd"
            )
        )
        units.append(
            page.evaluate(
                """() => {
                    const from = performance.now();
                    JSON.parse(JSON.stringify(window.jmreportJobs));
                    return performance.now() - from;
                }"""
            )
        )
        tooks.append(
            page.evaluate(
                """states => states.map(state => {
                    const from = performance.now();
                    history.replaceState(null, '', state);
                    window.dispatchEvent(new Event('hashchange'));
                    return performance.now() - from;
                })""",
                ["#sort=-took", "#sort=name", "#text=na17", "#text=ana&status=Failed"],
            )
        )
        page.close()
    # What else the machine does makes single times long, and the shortest of three hardly.
    unit, loaded, took = min(units), min(loads), max(map(min, zip(*tooks, strict=True)))
    print(f"20,000 rows: {data.stat().st_size} bytes, {unit} ms, usable in {loaded}, {took} ms")
    assert loaded < 25 * unit
    assert took < 10 * unit


# --- numbers and the lists behind them ---------------------------------------------------------


def test_every_number_leads_to_a_list_of_as_many_jobs(built: Path) -> None:
    """On the overview, workflows, labels, quality and by status: count and list are equal."""
    pages = [
        address
        for address in kinds(built).values()
        if not address.startswith("jobs/") or address == addresses.JOBS
    ]
    assert numbers_checked(built, pages) > 100


def test_the_verdict_counts_what_its_tiles_show(built: Path) -> None:
    """Title, tile, list and data file agree."""
    counts = report(JOBS, OVER).counts
    page = (built / addresses.OVERVIEW).read_text()
    assert f"<h1>{counts.new} new failures in " in page
    assert jobs_behind(built, "jobs/new.html") == counts.new
    assert jobs_behind(built, "jobs/still-failing.html") == counts.still_failing
    assert jobs_behind(built, "jobs/running.html") == counts.running
    assert f'<span class="n">{counts.running}</span> <span class="what">Active now</span>' in page
    assert "Data is incomplete" in page
    assert "page 3 of the list: server error 500" in page


def test_label_totals_add_up() -> None:
    """In each frame the values' jobs are the jobs of that frame."""
    found = report(JOBS, OVER)
    owner = next(label for label in found.labels if label.key == "owner")
    for frame in owner.frames:
        if frame.frame in ("DAYS_7", "ALL_TIME"):
            assert whole([value.split for value in frame.values]).total == len(JOBS)
