"""The look: templates and assets, and the one function that turns a view into a page.

Owner of jinja2. A template sees `view` (one frozen value a page, all text plain) and `site` (what
every page carries); nothing else. Everything printed is escaped, and a name that a view lacks is
an error. Assets are named by their content, so that a browser may keep them for ever:

    assets/site-3f0c9a51.css    assets/icon-0b7d42aa.svg    assets/tables-91ee0c37.js
"""

import re
import sys
from collections.abc import Iterable, MutableMapping
from functools import cache, lru_cache
from hashlib import sha256
from importlib.util import MAGIC_NUMBER
from keyword import iskeyword
from pathlib import Path, PurePosixPath
from types import CodeType
from typing import Any

import jinja2
from jinja2 import (
    BytecodeCache,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    nodes,
    select_autoescape,
)
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame, MacroRef, optimizeconst
from jinja2.runtime import Macro
from jinja2.utils import missing
from markupsafe import Markup
from msgspec import Struct

from jmreport.render import addresses, words
from jmreport.render.compiled import Compiled
from jmreport.render.page import digest
from jmreport.settings import Settings
from jmreport.settings_reach import EVERY_PAGE, values

TEMPLATES = Path(__file__).parent.parent / "templates"

#: What the header links to: the words, the page, and the addresses that count as "here".
_NAV = (
    ("Overview", addresses.OVERVIEW, "index.html"),
    ("Jobs", addresses.JOBS, "jobs/"),
    ("Workflows", addresses.WORKFLOWS, "workflows/"),
    ("Causes", addresses.CAUSES, "causes/"),
    ("Tasks", addresses.TASKS, "tasks/"),
    ("Nights", addresses.NIGHTS, "nights/"),
    ("Grid", addresses.GRID, "grid.html"),
    ("Timeline", addresses.TIMELINE, "timeline.html"),
    ("By label", addresses.LABELS, "labels/"),
    ("Data quality", addresses.QUALITY, "quality.html"),
    ("About", addresses.ABOUT, "about.html"),
)

#: Pages that the header leads to, and how many headers are kept: of folders, and of times read.
_NAMED = frozenset(to for _, to, _ in _NAV)
_TOPS = 64

#: Characters that no page may hold as they are: controls (a carriage return is a line's end to
#: every reader, so it need not be there), half surrogates, what is no character, and those that
#: turn the direction of all text that follows.
_PLANES = range(0x10000, 0x110000, 0x10000)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(chr(at + 0xFFFE) + chr(at + 0xFFFF) for at in _PLANES)
    + "]"
)
#: What nearly all of a page is made of: printable ASCII, tabs and line ends.
_PLAIN = bytes([9, 10, *range(0x20, 0x7F)])


class _Code(CodeGenerator):
    """Templates as Python that prints the same in half the time.

    Most of what is printed is text, which goes to MarkupSafe's own function with no call in
    between; what is HTML already is left as it is, and whole numbers hold nothing to be escaped;
    all else is escaped as ever. Attributes are read and macros called directly (none here asks for
    the context), and the pieces of a block become one text where they are made.
    """

    def macro_def(self, macro_ref: MacroRef, frame: Frame) -> None:
        self.write("environment.")  # which names a class of ours: `environment.Macro(…)`
        super().macro_def(macro_ref, frame)

    def visit_Template(  # noqa: N802 (Jinja's name)
        self, node: nodes.Template, frame: Frame | None = None
    ) -> None:
        # Not public in MarkupSafe: tests/test_theme.py holds that it escapes as `escape` does.
        self.writeline("from markupsafe import _escape_inner as escaped")
        super().visit_Template(node, frame)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if _escapes(frame):
            self.write("(escaped(_v) if (_c := type(_v := ")
        else:
            super()._output_child_pre(node, frame, finalize)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if _escapes(frame):
            self.write(")) is str else _v if _c is Markup else ")
            self.write("str(_v) if _c is int else escape(_v))")
        else:
            super()._output_child_post(node, frame, finalize)

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 (Jinja's name)
        # `self.part()` prints a block once more: blocks are no attributes of `self`.
        of_blocks = isinstance(node.node, nodes.Name) and node.node.name == "self"
        if of_blocks or iskeyword(node.attr):
            super().visit_Getattr(node, frame)
            return
        self.visit(node.node, frame)
        self.write(f".{node.attr}")

    @optimizeconst
    def visit_Call(  # noqa: N802 (Jinja's name)
        self, node: nodes.Call, frame: Frame, forward_caller: bool = False
    ) -> None:
        if forward_caller or node.kwargs or node.dyn_args or node.dyn_kwargs:
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.visit(node.node, frame)
        self.write("(")
        for argument in node.args:
            self.visit(argument, frame)
            self.write(", ")
        self.write(")")

    def enter_frame(self, frame: Frame) -> None:
        super().enter_frame(frame)
        if frame.block_frame and frame.buffer is None:
            self.buffer(frame)

    def leave_frame(self, frame: Frame, with_python_scope: bool = False) -> None:
        if frame.block_frame and with_python_scope:
            self.writeline(f"yield concat({frame.buffer})")
        super().leave_frame(frame, with_python_scope)


def _escapes(frame: Frame) -> bool:
    """Whether it is settled that what is printed there is escaped."""
    return frame.eval_ctx.autoescape and not frame.eval_ctx.volatile


class _Macro(Macro):
    """A macro that takes its arguments by position, as ours do, in a fifth of the time.

    What is called in any other way goes through Jinja's own steps.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        special = self.caller or self.catch_kwargs or self.catch_varargs
        self._most = -1 if special or not self._default_autoescape else self._argument_count

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        lacking = self._most - len(args)
        if kwargs or lacking < 0:
            return super().__call__(*args, **kwargs)
        if lacking:
            args += (missing,) * lacking
        # Not Markup(…), which first asks every text whether it has a method for HTML.
        return str.__new__(Markup, self._func(*args))


class Templates(Environment):
    """Jinja's environment; its templates become other code that prints the same."""

    code_generator_class = _Code
    Macro = _Macro

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._at_hand: dict[str, Template] = {}

    def get_template(
        self,
        name: str | Template,
        parent: str | None = None,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 (Jinja's name)
    ) -> Template:
        """A template: a page asks for eight, which were made for the page before it."""
        if not isinstance(name, str) or globals:
            return super().get_template(name, parent, globals)
        found = self._at_hand.get(name)
        if found is None:
            found = self._at_hand[name] = super().get_template(name, parent)
        return found

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """One mapping: of Jinja's chain of two, every page and every import made a copy, slowly."""
        return {**self.globals, **(d or {})}


class _Kept(BytecodeCache):
    """Jinja's way to compiled templates that are kept."""

    def __init__(self, folder: Compiled) -> None:
        self._folder = folder

    def get_source_checksum(self, source: str) -> str:
        return source  # all of it: the folder's files say by themselves what they were made from

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._folder.read(bucket.key, bucket.checksum)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._folder.write(bucket.key, bucket.checksum, bucket.code)


class _AtHand(BytecodeCache):
    """What this process has compiled, where no folder keeps it for the next one."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType | None] = {}

    def get_source_checksum(self, source: str) -> str:
        return source

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._codes[bucket.key, bucket.checksum] = bucket.code


@cache
def _at_hand() -> _AtHand:
    """One for all themes: to compile what a site takes is a fifth of making a small one."""
    return _AtHand()


def _kept(folder: Path, version: str) -> _Kept | None:
    """Templates compiled by this jmreport, Jinja and Python, and by the code above."""
    made_by = "\0".join((version, jinja2.__version__, sys.version)).encode() + MAGIC_NUMBER
    found = Compiled.of(folder, made_by + Path(__file__).read_bytes())
    return _Kept(found) if found else None


class NavEntry(Struct, frozen=True):
    """A link of the header; `current` is "page", "true" (a page below it) or ""."""

    text: str
    href: str
    current: str


class Top(Struct, frozen=True, kw_only=True):
    """What stands above every page: where it leads, and when what the page shows was read."""

    title: str
    home: str
    nav: tuple[NavEntry, ...]
    as_of: words.Moment | None
    #: Where several jobs can be acted on; "" where there is no actions server.
    act: str = ""


class SiteView(Struct, frozen=True, kw_only=True):
    """What every page carries: hrefs are relative to the page's own address, `top` is HTML."""

    title: str
    top: Markup
    css: str
    js: str
    ids: str
    keys: str
    late: str
    feed: str
    icon: str
    version: str


class Theme:
    """Templates, assets and the settings that show. Making one reads every file it needs.

    `compiled` is where compiled templates are kept for the next start; None keeps them for this
    process only.
    """

    def __init__(self, settings: Settings, *, version: str, compiled: Path | None = None) -> None:
        self._title = settings.site.title
        self._version = version
        url = settings.actions.url
        self._act = f"{url.rstrip('/')}/actions/jobs" if url else ""
        self._assets = {
            _named(path.name, data): data
            for path in sorted((TEMPLATES / "assets").iterdir())
            if path.is_file() and (data := path.read_bytes()) is not None
        }
        self._names = {_plain(name): name for name in self._assets}
        self._digest = _digest_of(settings, version)
        self._environment = Templates(
            loader=FileSystemLoader(TEMPLATES),
            # All but the plain text of a mail, in which no character means anything.
            autoescape=select_autoescape(
                disabled_extensions=("txt",), default=True, default_for_string=True
            ),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,  # all are kept: there are few, and to look one up takes no lock
            bytecode_cache=_kept(compiled, version) if compiled else _at_hand(),
        )
        self._site_of = lru_cache(maxsize=_TOPS)(self._made_site)

    @property
    def version(self) -> str:
        """Of jmreport, as pages say it."""
        return self._version

    @property
    def digest(self) -> str:
        """Changes when a template, an asset, a setting that shows, or the version changes."""
        return self._digest

    def assets(self) -> dict[str, bytes]:
        """Every file that pages refer to: its address and its bytes."""
        return dict(self._assets)

    def named(self, name: str) -> str:
        """The address of an asset: "site.css" is assets/site-3f0c9a51.css."""
        return self._names[name]

    def load(self, templates: Iterable[str]) -> None:
        """Has these templates at hand, for processes that are forked afterwards."""
        for name in templates:
            self._environment.get_template(name)

    def render(self, template: str, view: object, *, address: str) -> str:
        """The page at `address`."""
        return visible(self._printed(template, view, address, None))

    def file(
        self, template: str, view: object, *, address: str, as_of: words.Moment | None = None
    ) -> bytes:
        """The same as a file holds it; `as_of` is when what it shows was read, where it says so."""
        page = self._printed(template, view, address, as_of)
        data = page.encode("utf-8", "surrogatepass")
        return data if _is_visible(data) else _UNSEEN.sub(_visible, page).encode()

    def _printed(
        self, template: str, view: object, address: str, as_of: words.Moment | None
    ) -> str:
        site = self._site(address, as_of)
        return self._environment.get_template(template).render(view=view, site=site)

    def mail(self, view: object) -> tuple[str, str]:
        """A mail as HTML, with the rules of its style sheet in a `<style>`, and as plain text."""
        made = (
            self._environment.get_template(name).render(view=view)
            for name in ("mail/body.html", "mail/body.txt")
        )
        html, text = map(visible, made)
        return html, text

    def _site(self, address: str, as_of: words.Moment | None) -> SiteView:
        """What a page carries, which most pages of a folder have in common."""
        folder = address.rpartition("/")[0]
        named = not folder or address in _NAMED
        return self._site_of(address if named else f"{folder}/", as_of)

    def _made_site(self, place: str, as_of: words.Moment | None) -> SiteView:
        """What a page carries, by its address or, where nothing leads to it by name, its folder."""

        def href(to: str) -> str:
            return addresses.relative(place, to)

        top = Top(
            title=self._title,
            home=href(addresses.OVERVIEW),
            nav=tuple(NavEntry(text, href(to), _here(place, to, at)) for text, to, at in _NAV),
            as_of=as_of,
            act=self._act,
        )
        return SiteView(
            title=self._title,
            top=Markup(self._environment.get_template("top.html").render(top=top)),  # noqa: S704 (escaped there)
            css=href(self._names["site.css"]),
            js=href(self._names["tables.js"]),
            ids=href(self._names["ids.js"]),
            keys=href(self._names["keys.js"]),
            late=href(self._names["late.js"]),
            feed=href(addresses.FEED),
            icon=href(self._names["icon.svg"]),
            version=self._version,
        )


def visible(page: str) -> str:
    """A page in which whatever no page may hold has become something that can be seen."""
    if _is_visible(page.encode("utf-8", "surrogatepass")):
        return page
    return _UNSEEN.sub(_visible, page)


def _is_visible(page: bytes) -> bool:
    """Whether it holds nothing that no page may hold.

    Hardly any page holds any, and to look for it among all characters takes twenty times as long
    as to leave out the plain ones first.
    """
    rest = page.translate(None, _PLAIN).decode("utf-8", "surrogatepass")
    return _UNSEEN.search(rest) is None


def _visible(found: re.Match[str]) -> str:
    """A control character as its picture (␛), anything else unseen as a replacement mark."""
    code = ord(found[0])
    if found[0] == "\r":
        return "" if found.string[found.end() : found.end() + 1] == "\n" else "\n"
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else "\ufffd"


def _here(address: str, to: str, at: str) -> str:
    if address == to:
        return "page"
    return "true" if address.startswith(at) else ""


def _named(name: str, data: bytes) -> str:
    path = PurePosixPath(name)
    return f"assets/{path.stem}-{sha256(data).hexdigest()[:8]}{path.suffix}"


def _plain(address: str) -> str:
    path = PurePosixPath(address)
    return path.stem[: -len("-00000000")] + path.suffix


def _digest_of(settings: Settings, version: str) -> str:
    shown = values(settings, EVERY_PAGE)
    whole = sha256(digest(version, shown).encode())
    for path in sorted(TEMPLATES.rglob("*")):
        if path.is_file():
            whole.update(path.relative_to(TEMPLATES).as_posix().encode())
            whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
