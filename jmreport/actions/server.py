"""The application: the gate, who is asking, and the routes behind them.

    GET       /...                     the site
    GET       /start?token=            local mode: the start token becomes a cookie
    GET       /actions/jobs            jobs to choose from
    GET POST  /actions/abort?job=      confirm and do; several `job` for several jobs
    GET POST  /actions/labels?job=
    GET       /actions/outcome?key=    what came of a form
    GET       /healthz                 nothing but that it is there

Pages are made by whoever is handed in as `pages`; nothing here knows HTML.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jmreport.actions.forms import Person
from jmreport.actions.gate import HEALTH, Gate, Refusal, plain_headers
from jmreport.actions.readers import Local, Readers
from jmreport.actions.sitefiles import File, SiteFiles, media_of
from jmreport.actions.work import TurnedError, Work
from jmreport.deeds import Action, Ask, Pick, Told, Turned
from jmreport.errors import JmreportError
from jmreport.identities import UnprovenError

#: Seconds within which a form must have come.
BODY_SECONDS = 10.0
#: Fields of a form at most.
MOST_FIELDS = 400
#: Characters of what is looked for among jobs.
_LONGEST_ASKED = {"status": 300, "name": 300, "label": 300, "all": 3}
#: Larger files are sent piece by piece.
_LARGE = 1024 * 1024
#: Requests under way: those that may wait for a Job Manager never keep readers of the site waiting.
_ACTORS, _READERS = 32, 8
#: Bytes and seconds of a refused body that are let pass before its answer.
_DRAINED, _DRAIN_SECONDS = 1024 * 1024, 2.0
T = TypeVar("T")

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"server", b"jmreport"),
)
_ACTION_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
#: The site's pages show what servers said, so they may do less than ours: send no form, and ask
#: nobody, not even this server.
_SITE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; form-action 'none'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_DATA_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


class Pages(Protocol):
    """Who turns what a page shows into HTML."""

    def ask(self, page: Ask) -> str: ...
    def told(self, page: Told) -> str: ...
    def pick(self, page: Pick) -> str: ...
    def turned(self, page: Turned) -> str: ...
    def assets(self) -> Mapping[str, bytes]: ...


class App:
    """The ASGI application."""

    def __init__(
        self,
        *,
        gate: Gate,
        readers: Readers,
        work: Work,
        pages: Pages,
        site: SiteFiles,
        first: str,
    ) -> None:
        #: Where a reader begins.
        self._first = first
        self._gate, self._readers, self._work = gate, readers, work
        self._pages, self._site = pages, site
        self._assets = dict(pages.assets())
        self._actors = anyio.CapacityLimiter(_ACTORS)
        self._looking = anyio.CapacityLimiter(_READERS)
        form = ["GET", "POST"]
        self._app: ASGIApp = Starlette(
            routes=[
                Route(HEALTH, self._health),
                Route("/start", self._start),
                Route("/actions/abort", partial(self._form_page, action="abort"), methods=form),
                Route("/actions/labels", partial(self._form_page, action="labels"), methods=form),
                Route("/actions/outcome", self._outcome),
                Route("/actions/jobs", self._pick),
                Route("/{address:path}", self._file),
            ],
            exception_handlers={
                Refusal: self._refused,
                TurnedError: self._turned,
                ClientDisconnect: self._gone,
            },
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        receive, send = _guarded(scope, receive, send)
        try:
            raw = scope.get("raw_path") or scope["path"].encode()
            self._gate.check(scope["method"], raw, scope["query_string"], scope["headers"])
        except Refusal as refusal:
            await self._refused(Request(scope), refusal)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, request: Request, refusal: Exception) -> Response:
        """A request that is not plainly one of ours: a line of text, and the connection's end."""
        assert isinstance(refusal, Refusal)
        self._log(request, refusal.status, refusal.why)
        return Response(
            f"{refusal.why}\n",
            status_code=refusal.status,
            media_type="text/plain",
            headers={**_ours(_DATA_POLICY), **refusal.headers, "Connection": "close"},
        )

    async def _turned(self, request: Request, turned: Exception) -> Response:
        """A person's request that is turned away with a page."""
        assert isinstance(turned, TurnedError)
        self._log(request, turned.page.status, f"{turned.page.title}: {turned.page.why}")
        page = await self._in_thread(self._looking, self._pages.turned, turned.page)
        return _html(page, turned.page.status, turned.headers)

    def _gone(self, request: Request, error: Exception) -> Response:  # noqa: ARG002 - nobody hears it
        return Response(status_code=400)

    # Who is asking

    async def _reader(self, request: Request) -> Person:
        """Who is asking, and may at least read. Raises TurnedError."""
        headers = plain_headers(request.scope["headers"])
        try:
            person = await self._in_thread(self._looking, self._readers.person, headers)
        except UnprovenError as error:
            raise self._unproven(request, error) from None
        request.scope["jmreport.who"] = person.who
        if not self._work.allowed.read(person.who):
            page = Turned(status=403, title="You may not read this", why="No rule names you.")
            raise TurnedError(page)
        return person

    def _unproven(self, request: Request, error: UnprovenError) -> TurnedError:
        if not isinstance(self._readers, Local):
            why = f"It is not known who you are: {error.why}."
            return TurnedError(Turned(status=401, title="Sign in first", why=why))
        # A link from another site brings no strict cookie; a click on a page of ours does.
        query = request.url.query
        here = request.url.path + (f"?{query}" if query and request.url.path != "/start" else "")
        lost = "" if request.method in ("GET", "HEAD") else "Nothing was sent. "
        page = Turned(
            status=401,
            title="Go on from here",
            why=f"{lost}Your browser sends this server's cookie only from its own pages. If this "
            "page comes again, open the address that `jmreport serve` printed when it started "
            "last.",
            href=here,
            link="Go on",
        )
        return TurnedError(page)

    # Routes

    async def _health(self, request: Request) -> Response:  # noqa: ARG002 - it learns nothing
        return Response("ok\n", media_type="text/plain", headers=_ours(_DATA_POLICY))

    async def _start(self, request: Request) -> Response:
        cookie = self._readers.start(request.query_params.get("token", ""))
        headers = {**_ours(_DATA_POLICY), **({"Set-Cookie": cookie} if cookie else {})}
        if not cookie and not self._let_in(request):
            why = (
                "The start token is good once, and this one is not. Start `jmreport serve` again "
                "for a new one; a browser that has been let in goes on without."
            )
            raise TurnedError(
                Turned(
                    status=403,
                    title="This address was used already",
                    why=why,
                    href="/",
                    link="To the report",
                )
            )
        return RedirectResponse(self._first, status_code=303, headers=headers)

    def _let_in(self, request: Request) -> bool:
        """Whether this browser was let in by the start address before, and opens it once more."""
        try:
            return bool(self._readers.person(plain_headers(request.scope["headers"])).session)
        except UnprovenError:
            return False

    async def _form_page(self, request: Request, action: Action) -> Response:
        person = await self._reader(request)
        query = _fields(request.url.query)
        jobs = [value for name, value in query if name == "job"]
        if request.method != "POST":
            ask = partial(self._work.ask, person, action, jobs)
            return await self._shown(request, ask, self._pages.ask)
        form = dict(_fields((await _body(request)).decode("utf-8", "replace")))
        key = request.headers.get("idempotency-key", form.get("idempotency-key", ""))
        if key != form.get("idempotency-key", ""):
            raise Refusal(400, "the Idempotency-Key is not the form's")
        found = await self._act(request, partial(self._work.send, person, action, jobs, form))
        if isinstance(found, Ask):
            self._log(request, 409, found.wrong)
            return await self._page(self._pages.ask, found, 409)
        if found.again:
            self._log(request, 409, "the form was sent before")
            return await self._page(self._pages.told, found, 409)
        if self._work.stopping.is_set():
            # Nobody will be here to answer for the address that it would lead to.
            return await self._page(self._pages.told, found, 200)
        where = f"/actions/outcome?{urlencode({'key': key})}"
        return RedirectResponse(where, status_code=303, headers=_ours(_ACTION_POLICY))

    async def _outcome(self, request: Request) -> Response:
        person = await self._reader(request)
        told = self._work.told(person, request.query_params.get("key", ""))
        answer = await self._page(self._pages.told, told, 200)
        if told.pending:
            answer.headers["Refresh"] = "2"
        return answer

    async def _pick(self, request: Request) -> Response:
        person = await self._reader(request)
        asked = dict(_fields(request.url.query))
        if any(len(asked.get(name, "")) > longest for name, longest in _LONGEST_ASKED.items()):
            raise Refusal(400, "what is looked for is too long")
        looked = partial(
            self._work.pick,
            person,
            status=asked.get("status", ""),
            name=asked.get("name", ""),
            label=asked.get("label", ""),
            all_=asked.get("all") == "yes",
        )
        return await self._shown(request, looked, self._pages.pick)

    async def _file(self, request: Request) -> Response:
        await self._reader(request)
        address = request.path_params["address"]
        if not address or address.endswith("/"):
            address += "index.html"
        if (asset := self._assets.get(address)) is not None:
            return Response(asset, headers=_kept(media_of(address), lasting=True))
        try:
            found = await self._in_thread(self._looking, self._site.find, address)
        except JmreportError as error:
            page = Turned(
                status=503,
                title="The report cannot be read now",
                why=f"{error.message}.",
                href=request.url.path,
                link="Try again",
            )
            raise TurnedError(page, {"Retry-After": "30"}) from error
        if found is None:
            page = Turned(status=404, title="No such page", why="The report has no page here.",
                          href="/", link="To the report")  # fmt: skip
            raise TurnedError(page)
        return await self._sent(request, address, found)

    async def _sent(self, request: Request, address: str, found: File) -> Response:
        headers = _kept(found.media, lasting=address.startswith("assets/"))
        headers["ETag"] = f'"{found.mark}"'
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        if found.size <= _LARGE:
            body = await self._in_thread(self._looking, b"".join, _iterated(found))
            return Response(body, headers=headers)
        headers["Content-Length"] = str(found.size)
        if request.method == "HEAD":
            return Response(headers=headers)
        return StreamingResponse(iterate_in_threadpool(found.pieces()), headers=headers)

    # In threads

    async def _shown(
        self, request: Request, make: Callable[[], T], page: Callable[[T], str]
    ) -> Response:
        return await self._page(page, await self._act(request, make), 200)

    async def _act(self, request: Request, do: Callable[[], T]) -> T:
        """What may have to wait for the Job Manager."""
        try:
            return await self._in_thread(self._actors, do)
        except JmreportError as error:
            page = Turned(
                status=503, title="The Job Manager does not answer",
                why=f"Nothing was sent: {error.message}.",
                href=f"{request.url.path}?{request.url.query}", link="Try again",
            )  # fmt: skip
            raise TurnedError(page, {"Retry-After": "30"}) from error

    async def _page(self, make: Callable[[T], str], page: T, status: int) -> Response:
        return _html(await self._in_thread(self._looking, make, page), status)

    async def _in_thread(
        self, limiter: anyio.CapacityLimiter, do: Callable[..., T], *args: Any
    ) -> T:
        return await anyio.to_thread.run_sync(partial(do, *args), limiter=limiter)

    def _log(self, request: Request, status: int, why: str) -> None:
        client = request.client
        self._work.audit.refused(
            status=status,
            why=why,
            method=request.method[:20],
            path=request.scope["path"][:200],
            who=request.scope.get("jmreport.who", ""),
            peer=client.host if client else "",
        )


def _iterated(found: File) -> Iterator[bytes]:
    """The pieces of a file that is opened only when the first is asked for."""
    yield from found.pieces()


async def _body(request: Request) -> bytes:
    """A form's bytes, which must all have come within BODY_SECONDS."""
    pieces = []
    try:
        with anyio.fail_after(BODY_SECONDS):
            async for piece in request.stream():
                pieces.append(piece)  # noqa: PERF401 - what came before a timeout is given up
    except TimeoutError:
        raise Refusal(408, "the body did not come in time") from None
    return b"".join(pieces)


def _fields(text: str) -> list[tuple[str, str]]:
    """Names and values of a form or a query. Raises Refusal for what is none."""
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS,
                          errors="strict")  # fmt: skip
    except (ValueError, UnicodeError):
        raise Refusal(400, "the fields cannot be read") from None
    return found


def _ours(policy: str) -> dict[str, str]:
    """Headers of what is made for one person now."""
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        # Not no-referrer: then a browser says "Origin: null" of our own forms.
        "Referrer-Policy": "same-origin",
    }


def _kept(media: str, *, lasting: bool) -> dict[str, str]:
    """Headers of the site's files: for this reader, and looked at again unless named by content."""
    page = media.startswith(("text/html", "text/css", "text/javascript", "image/"))
    return {
        "Content-Type": media,
        "Content-Security-Policy": _SITE_POLICY if page else _DATA_POLICY,
        "Cache-Control": f"private, {'max-age=31536000, immutable' if lasting else 'no-cache'}",
        "Referrer-Policy": "same-origin",
    }


def _html(page: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        page.encode("utf-8", "replace"),
        status_code=status,
        media_type="text/html",
        headers={**_ours(_ACTION_POLICY), **(headers or {})},
    )


def _guarded(scope: Scope, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Every answer carries what protects it, whoever made it, and comes behind the request's end.

    A connection that is closed on a body that was not read is reset, and its answer lost.
    """
    ended = scope["method"] in ("GET", "HEAD")

    async def receiving() -> Message:
        nonlocal ended
        message = await receive()
        ended = ended or not message.get("more_body", False)
        return message

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            left = _DRAINED
            with anyio.move_on_after(_DRAIN_SECONDS):
                while not ended and left > 0:
                    left -= len((await receiving()).get("body", b""))
            message["headers"] = [*message.get("headers", ()), *_ALWAYS]
        await send(message)

    return receiving, sending
