"""What a reader's browser takes for pages of a site: measured in the page, by its own clock."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench import programs

#: A browser that asks nobody anything.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)
#: Milliseconds that a page has to show something where its scripts never come.
PATIENCE = 10_000
#: Notes when the filter of the list of jobs says what it found: its rows are shown then.
_WATCH = """
document.addEventListener('readystatechange', () => {
  const said = document.getElementById('found');
  if (!said || window.benchSeen) return;
  window.benchSeen = true;
  new MutationObserver(() => { window.benchUsable ||= performance.now(); })
    .observe(said, {childList: true, attributes: true});
});
"""
#: [name, milliseconds, milliseconds] of each thing that a reader does: until what fills the screen
#: stands and is laid out, and until all of a view's rows, at most a hundred, are.
_ACTS = """
async () => {
  const form = document.getElementById('filter'), said = document.getElementById('found');
  const body = document.querySelector('#jobs tbody');
  const sorted = () => Array.from(document.querySelectorAll('#jobs thead th'))
    .map(head => head.getAttribute('aria-sort')).join();
  const seen = () => said.textContent + sorted();
  const rows = () => document.querySelectorAll('#jobs tbody tr').length;
  const wanted = () => Math.min(100, Number(said.textContent.split(' ')[0].replace(/\\D/g, '')));
  const turn = () => new Promise(done => setTimeout(done));
  const took = [];
  async function act(name, work) {
    const before = seen(), from = performance.now();
    work();
    const until = async (held, what) => {
      while (!held()) {
        if (performance.now() - from > 5000) throw new Error(name + what);
        await turn();
      }
      document.body.offsetHeight;
      return performance.now() - from;
    };
    const first = await until(() => seen() !== before, ' changed nothing');
    if (body.getBoundingClientRect().bottom < innerHeight && rows() < wanted())
      throw new Error(name + ' left the screen half empty');
    took.push([name, first, await until(() => rows() === wanted(), ' lacks rows')]);
  }
  function put(field, text) {
    form.elements[field].value = text;
    form.elements[field].dispatchEvent(new Event('change', {bubbles: true}));
  }
  await act('filter: the first text', () => put('text', 'na101'));
  await act('filter: another text', () => put('text', 'li rna'));
  await act('filter: no text', () => put('text', ''));
  await act('filter: a status', () => put('status', 'Failed'));
  await act('filter: no status', () => put('status', ''));
  await act('filter: a label', () => put('label', 'owner=li'));
  await act('filter: no label', () => put('label', ''));
  for (const button of document.querySelectorAll('#jobs thead button.sort')) {
    await act('sort: ' + button.textContent, () => button.click());
    await act('sort: ' + button.textContent + ', down', () => button.click());
  }
  return took;
}
"""
#: How long this browser takes for the rows as JSON, there and back: what its speed is told by.
_UNIT = """
() => {
  const from = performance.now();
  JSON.parse(JSON.stringify(window.jmreportJobs));
  return performance.now() - from;
}
"""
_PAINTED = "() => (performance.getEntriesByName('first-contentful-paint')[0] || {}).startTime"


class Seen(Struct, frozen=True, kw_only=True):
    """Milliseconds from the beginning of the navigation until usable, and of each act.

    `whole` are those of the acts until all rows of a view stand, and not only those on the screen.
    """

    usable: float
    unit: float
    acts: dict[str, float]
    whole: dict[str, float]
    jobs: str


@contextmanager
def browser() -> Iterator[Any]:
    """A running browser, None where this machine has none or no playwright."""
    path = programs.chromium()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = ""
    if not path:
        yield None
        return
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()


def list_of_jobs(browser: Any, page: Path) -> Seen:
    """Opens the list of jobs anew, filters and sorts it."""
    context = browser.new_context()
    context.add_init_script(_WATCH)
    opened = context.new_page()
    opened.goto(page.as_uri())
    opened.wait_for_function("window.benchUsable")
    jobs = opened.locator("#found").text_content()
    usable, unit = opened.evaluate("window.benchUsable"), opened.evaluate(_UNIT)
    took = opened.evaluate(_ACTS)
    context.close()
    acts = {name: first for name, first, _ in took}
    whole = {name: all_of_it for name, _, all_of_it in took}
    return Seen(usable=usable, unit=unit, acts=acts, whole=whole, jobs=jobs)


def first_paints(browser: Any, pages: Mapping[str, Path]) -> dict[str, float | None]:
    """Milliseconds until each page shows something, where its scripts never answer.

    None for one that shows nothing.
    """
    context = browser.new_context()
    asked: list[Any] = []
    # Not the method itself: the library puts a mark on what it is given.
    context.route("**/*.js", lambda request: asked.append(request))
    found = {name: _first_paint(context, path, asked) for name, path in pages.items()}
    context.close()
    return found


def _first_paint(context: Any, path: Path, asked: list[Any]) -> float | None:
    """`asked` are requests for scripts; they are let go of once something is seen."""
    page = context.new_page()
    page.goto(path.as_uri(), wait_until="commit")
    waited = 0
    while (at := page.evaluate(_PAINTED)) is None and waited < PATIENCE:
        page.wait_for_timeout(20)
        waited += 20
    for request in asked:
        request.abort()
    asked.clear()
    page.close()
    return None if at is None else float(at)
