"""Nothing from a server runs: a payload in every text, in a real browser, on every kind of page."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from built_sites import build, settings_of
from hostile import PAYLOADS, Hostile

from jmreport import pipeline
from jmreport.collectors.demo import Demo

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report built from a server in which every text is an attack."""
    root = tmp_path_factory.mktemp("hostile")
    settings = settings_of(root)
    build(settings, Hostile(Demo(now=NOW, jobs=40)), now=NOW)
    assert pipeline.check(settings) == ()
    return root / "site"


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_no_id_leaves_the_site_and_every_job_has_its_own_page(site: Path) -> None:
    """Ids such as ../../../etc/passwd, CON and case twins choose no path."""
    found = {page.relative_to(site).as_posix() for page in pages(site)}
    ours = re.compile(r"[a-z0-9/_.-]+|nights/[0-9TZ-]+/index\.html")
    assert {address for address in found if not ours.fullmatch(address)} == set()
    assert {p.parent.name for p in site.parent.iterdir()} == {site.parent.name}


def test_every_link_is_relative_https_or_a_fragment(site: Path) -> None:
    """javascript:, data:, file: and tabs inside schemes never become links."""
    for page in pages(site):
        for link in re.findall(r'(?:href|src|action)="([^"]*)"', page.read_text()):
            assert re.fullmatch(r"https://.*|([A-Za-z0-9._/-]|%[0-9A-F]{2})*(#.*)?", link), (
                page,
                link,
            )


@pytest.mark.parametrize("policy", ["with its policy", "without it"])
def test_no_payload_runs_in_a_browser(site: Path, browser: Any, policy: str) -> None:
    """Opened from disk, scrolled, every details opened, every link hovered: boom() is never met."""
    ran: list[str] = []
    context = browser.new_context()
    context.expose_function("boom", lambda *words: ran.append(repr(words)))
    page = context.new_page()
    page.on("dialog", lambda dialog: ran.append(dialog.message))
    outside: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if not r.url.startswith("file:") else None)
    kinds: dict[str, list[Path]] = {}
    for each in pages(site):
        kinds.setdefault(each.parent.name + each.name[:5], []).append(each)
    # What a policy stops is the same on all pages of a kind; what nothing stops need not be.
    many = 1 if policy == "with its policy" else 2
    for each in [p for some in kinds.values() for p in some[:many]]:
        opened = each
        if policy == "without it":
            text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", each.read_text())
            assert "Content-Security-Policy" not in text
            opened = each.with_name("open-" + each.name)
            opened.write_text(text)
        page.goto(opened.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.evaluate(
            "document.querySelectorAll('a,button,summary').forEach(e => {"
            "e.dispatchEvent(new Event('mouseover')); e.focus()})"
        )
        if opened != each:
            opened.unlink()
    context.close()
    assert ran == []
    assert outside == []


def test_the_payloads_can_run_where_nothing_stops_them(browser: Any) -> None:
    """The net has no hole: on a page that writes them raw, the same payloads do run."""
    ran: list[str] = []
    context = browser.new_context()
    context.expose_function("boom", lambda *words: ran.append(repr(words)))
    page = context.new_page()
    page.set_content("<p>" + "</p><p>".join(PAYLOADS))
    page.wait_for_timeout(300)
    context.close()
    assert ran
