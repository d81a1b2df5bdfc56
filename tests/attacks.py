"""Requests that the actions server must turn away, each with the statuses that do so.

An attack knows everything but the readers' tokens: it holds a form that was really given out, and
spoils one thing of what a browser would send.
"""

import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from actions_cases import ANA, AUDIENCE, EVE, FORM, OMAR, Bench, Issuer, encoded, path_of, segment
from msgspec import Struct, field

from jmreport.settings import Allow

#: Ana and Omar, each for the jobs of their own.
RULES = (
    Allow(who=ANA, actions=("abort", "labels"), labels={"owner": "ana"}),
    Allow(who=OMAR, actions=("abort", "labels"), labels={"owner": "omar"}),
)


class Attack(Struct, frozen=True, kw_only=True):
    """One request: what it tries, how it is sent, and what may answer it."""

    name: str
    send: Callable[[], int]
    good: tuple[int, ...]


class Means(Struct, frozen=True, kw_only=True):
    """What an attacker works with: a form of Ana's, her jobs, and another team's."""

    at: Bench
    target: str
    fields: dict[str, str]
    mine: tuple[str, ...]
    others: str


def means(at: Bench) -> Means:
    mine = at.jobs("Running", owner="ana") + at.jobs("Succeeded", owner="ana")
    target, fields = at.form("labels", mine[:1], set="flag=archive")
    return Means(
        at=at,
        target=target,
        fields=fields,
        mine=tuple(mine),
        others=at.jobs("Running", owner="omar")[0],
    )


def attacks(at: Bench) -> Iterator[Attack]:
    """All of them."""
    has = means(at)
    yield from _tokens(has)
    yield from _origins(has)
    yield from _hosts(has)
    yield from _bodies(has)
    yield from _methods(has)
    yield from _paths(has)
    yield from _forms(has)
    yield from _jobs(has)
    yield from _frames(has)
    yield from _raw(has)


def _post(
    has: Means,
    name: str,
    good: tuple[int, ...],
    *,
    target: str | None = None,
    fields: Mapping[str, str] | None = None,
    body: bytes | None = None,
    as_: str = ANA,
    method: str = "POST",
    **headers: str | None,
) -> Attack:
    """A form that is right but for what is given."""
    sent = urlencode(has.fields if fields is None else fields).encode() if body is None else body

    def send() -> int:
        return has.at.send(method, target or has.target, as_=as_, body=sent, headers=headers).status

    return Attack(name=name, send=send, good=good)


def _any(name: str, value: str | None) -> dict[str, Any]:
    """A header as keyword arguments."""
    return {name: value}


def _get(
    has: Means, name: str, good: tuple[int, ...], target: str, *, as_: str = ANA, **h: str | None
) -> Attack:
    return Attack(name=name, send=lambda: has.at.get(target, as_=as_, **h).status, good=good)


# Who asks


def _tokens(has: Means) -> Iterator[Attack]:
    """Every defect a signed token can have, on forms and on pages."""
    issuer = has.at.issuer
    if issuer is None:
        yield from _cookies(has)
        return
    header = "x-goog-iap-jwt-assertion" if issuer.kind == "iap" else "authorization"
    scheme = "" if issuer.kind == "iap" else "Bearer "
    for name, token in _spoilt(issuer):
        sent: dict[str, Any] = {header: f"{scheme}{token}"}
        yield _post(has, f"form, token {name}", (401, 400), as_="", **sent)
        yield _get(has, f"page, token {name}", (401, 400), path_of("abort", has.mine[0]),
                   as_="", **sent)  # fmt: skip
        yield _get(has, f"site, token {name}", (401, 400), "/", as_="", **sent)
    plain = {
        "x-goog-authenticated-user-email": f"accounts.google.com:{ANA}",
        "x-forwarded-user": ANA,
        "x-forwarded-email": ANA,
        "remote-user": ANA,
        "authorization": f"Bearer {ANA}",
        "cookie": f"jmreport={ANA}",
    }
    for name, value in plain.items():
        yield _post(has, f"plain header {name}", (401,), as_="", **_any(name, value))
    yield _post(has, "no token", (401,), as_="")
    yield _post(has, "a reader without a rule", (403,), as_=EVE)
    yield _get(has, "the site without a rule", (403,), "/", as_=EVE)
    yield _post(has, "a reader's own form, sent by another", (403,), as_=OMAR)


def _spoilt(issuer: Issuer) -> Iterator[tuple[str, str]]:
    now = int(time.time())
    good = issuer.token(ANA)
    head, claims, signature = good.split(".")
    other = Issuer(issuer.kind)
    try:
        yield "of another key", other.token(ANA)
    finally:
        other.close()
    yield "without a signature", f"{head}.{claims}."
    yield "with an empty signature and none", f"{segment({'alg': 'none'})}.{claims}."
    for alg in ("none", "None", "NONE", "HS256", "HS512", "ES384", "RS512", "PS256", ""):
        yield f"alg {alg!r}", issuer.token(ANA, head={"alg": alg})
    yield "without alg", issuer.token(ANA, head={"alg": None})
    yield "without kid", issuer.token(ANA, head={"kid": None})
    for kid in ("key-2", "", "../../../etc/passwd", "key-1\x00", 1, ["key-1"], {"a": 1}):
        yield f"kid {kid!r}", issuer.token(ANA, head={"kid": kid})
    # The public key as a password: old libraries took it.
    confused = f"{segment({'alg': 'HS256', 'kid': 'key-1'})}.{claims}"
    mac = hmac.new(issuer.public.encode(), confused.encode(), hashlib.sha256).digest()
    yield "HS256 with the public key", f"{confused}.{encoded(mac)}"
    yield "own key in the head", issuer.token(ANA, head={"jwk": {"kty": "EC"}, "kid": "own"})
    yield (
        "another's keys in the head",
        issuer.token(ANA, head={"jku": "http://127.0.0.1:9/keys", "kid": "x"}),
    )
    for name, spoilt in (
        ("expired", {"exp": now - 60}),
        ("of the future", {"iat": now + 3600}),
        ("without exp", {"exp": None}),
        ("without iat", {"iat": None}),
        ("exp as text", {"exp": "9999999999"}),
        ("exp beyond all", {"exp": "Infinity"}),
        ("exp true", {"exp": True}),
        ("another audience", {"aud": "/projects/9/global/backendServices/9"}),
        ("audience with a tail", {"aud": f"{AUDIENCE}x"}),
        ("audience in a list", {"aud": [AUDIENCE]}),
        ("no audience", {"aud": None}),
        ("another issuer", {"iss": "https://cloud.google.com/iap.evil.example"}),
        ("issuer of the other mode", {"iss": _other_issuer(issuer)}),
        ("no issuer", {"iss": None}),
        ("no address", {"email": None}),
        ("an empty address", {"email": ""}),
        ("addresses in a list", {"email": [ANA]}),
        ("two addresses", {"email": f"{EVE} {ANA}"}),
        ("a line break", {"email": f"{EVE}\n{ANA}"}),
    ):
        yield name, issuer.token(ANA, **spoilt)
    if issuer.kind == "google":
        for value in (False, None, "true", 1):
            yield f"email_verified {value!r}", issuer.token(ANA, email_verified=value)
    yield "with a changed address", f"{head}.{segment(issuer.claims(EVE))}.{signature}"
    for position in (0, len(signature) // 2):
        wrong = "A" if signature[position] != "A" else "B"
        spoilt_one = signature[:position] + wrong + signature[position + 1 :]
        yield f"with another sign at {position}", f"{head}.{claims}.{spoilt_one}"
    yield "cut short", good[:-20]
    yield "twice", f"{good}.{good}"
    yield "of two parts", f"{head}.{claims}"
    yield "of five parts", f"{good}.a.b"
    yield "no JSON", f"{encoded(b'not json')}.{claims}.{signature}"
    yield "a list as claims", f"{head}.{segment([1])}.{signature}"
    yield "a list as head", f"{segment(['alg'])}.{claims}.{signature}"
    yield "of megabytes", f"{head}.{'A' * 20_000}.{signature}"
    yield "with spaces", good.replace(".", ". ")
    yield "in quotes", f'"{good}"'
    yield "nothing", ""
    if issuer.kind == "iap":
        # Whole numbers r and s of 0: the mistake of 2022 in another language's library.
        yield "signed with zeros", f"{head}.{claims}.{encoded(bytes(64))}"
        yield "signed in DER", f"{head}.{claims}.{encoded(_der(signature))}"


def _other_issuer(issuer: Issuer) -> str:
    return "accounts.google.com" if issuer.kind == "iap" else "https://cloud.google.com/iap"


def _der(signature: str) -> bytes:
    raw = base64.urlsafe_b64decode(signature + "==")
    parts = [part.lstrip(b"\0") or b"\0" for part in (raw[:32], raw[32:])]
    parts = [b"\0" + part if part[0] & 0x80 else part for part in parts]
    inner = b"".join(b"\x02" + bytes((len(part),)) + part for part in parts)
    return b"\x30" + bytes((len(inner),)) + inner


def _cookies(has: Means) -> Iterator[Attack]:
    """Local mode: everything but the cookie that was given out."""
    name, _, value = has.at.cookie.partition("=")
    for what, cookie in (
        ("none", None),
        ("another value", f"{name}=AAAA"),
        ("an empty value", f"{name}="),
        ("a shorter one", f"{name}={value[:-1]}"),
        ("a longer one", f"{name}={value}A"),
        ("another name", f"jmreport={value}"),
        ("in capitals", f"{name.upper()}={value}"),
        ("a good one and a bad one behind", f"{name}={value}; {name}=AAAA"),
        ("no cookie at all", "=;=;;;"),
    ):
        yield _post(has, f"form, cookie {what}", (401, 403), as_="", Cookie=cookie)
        yield _get(has, f"page, cookie {what}", (401,), path_of("abort", has.mine[0]),
                   as_="", Cookie=cookie)  # fmt: skip
    for token in ("", "x", "A" * 43, has.at.server.start.rpartition("=")[2]):
        target = f"/start?token={token}"
        yield _get(has, f"start token {token[:4]!r} again", (403,), target, as_="")
    yield _get(has, "no start token", (403,), "/start", as_="")


# Where it comes from


def _origins(has: Means) -> Iterator[Attack]:
    own = has.at.origin
    scheme, _, host = own.partition("://")
    bare = host.partition(":")[0]
    for origin in (
        None, "", "null", "NULL", "file://", "https://evil.example", f"{own}.evil.example",
        f"https://evil.{host}", f"{own}:444", f"{own}/", f"{own}/x", f"{own}@evil.example",
        f"https://evil.example/{own}", f"https://evil.example#{own}", f"{own} ",
        f" {own}, https://evil.example", f"{own},{own}", f"ftp://{host}", f"//{host}", host,
        f"{'http' if scheme == 'https' else 'https'}://{host}", f"{scheme}://x{host}",
        f"{scheme}://{bare}.", f"{scheme}://{bare}%00", "https://storage.googleapis.com",
        "https://storage.cloud.google.com", "chrome-extension://abc", "data:", "about:blank",
        "http://127.0.0.1", "http://localhost", "http://[::1]",
    ):  # fmt: skip
        if origin is not None and origin.strip() == own:
            continue
        yield _post(has, f"Origin {origin!r}", (403,), Origin=origin)
    yield _post(has, "no Origin but a Referer", (403,), Origin=None, Referer=f"{own}/")
    for name, values in (
        ("Sec-Fetch-Site", ("cross-site", "same-site", "none", "x", "")),
        ("Sec-Fetch-Mode", ("cors", "no-cors", "same-origin", "websocket")),
        ("Sec-Fetch-Dest", ("iframe", "frame", "empty", "object", "embed", "image", "script")),
    ):
        for value in values:
            yield _post(has, f"form, {name} {value!r}", (403,), **_any(name, value))
    page = path_of("abort", has.mine[0])
    for dest in ("iframe", "frame", "object", "embed", "image", "script", "style", "empty"):
        cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": dest}
        mode = "navigate" if dest in ("iframe", "frame", "object", "embed") else "no-cors"
        yield _get(has, f"page as {dest} elsewhere", (403,), page,
                   **{**cross, "Sec-Fetch-Mode": mode})  # fmt: skip
        yield _get(has, f"site as {dest} elsewhere", (403,), "/",
                   **{**cross, "Sec-Fetch-Mode": mode})  # fmt: skip
    for origin in ("https://evil.example", "null"):
        yield _get(has, f"page by a script of {origin}", (403,), page, Origin=origin,
                   **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"})  # fmt: skip


def _hosts(has: Means) -> Iterator[Attack]:
    own = has.at.host
    for host in (
        "", "evil.example", f"{own}.evil.example", f"evil.{own}", f"{own}:1", f"{own}@evil.example",
        "169.254.169.254", "0.0.0.0", f"{own}/", f"{own}#", "localhost.evil.example",  # noqa: S104 - as a name
        f"x{own}", f"{own}x", "[::1]", "127.0.0.1.nip.io", f"{own}%00", f"{own},{own}",
    ):  # fmt: skip
        yield _post(has, f"form for Host {host!r}", (421, 400), Host=host)
        yield _get(has, f"site of Host {host!r}", (421, 400), "/", Host=host)
    yield _get(has, "forwarded Host", (421,), "/", Host="evil.example",
               **{"X-Forwarded-Host": own})  # fmt: skip


# What it is


def _bodies(has: Means) -> Iterator[Attack]:
    good = urlencode(has.fields).encode()
    tree = json.dumps(has.fields).encode()
    for media in (
        "text/plain", "application/json", "multipart/form-data; boundary=x", "", None,
        "text/plain; application/x-www-form-urlencoded", f"{FORM}, text/plain", "text/html",
        f"{FORM}; charset=utf-16", f"{FORM}; boundary=x", "application/x-www-form-urlencode",
        "text/xml", "application/csp-report", "application/octet-stream",
    ):  # fmt: skip
        body = tree if media and "json" in media else good
        yield _post(has, f"body as {media!r}", (415,), body=body, Content_Type=media)
    plain = "\r\n".join(f"{key}={value}" for key, value in has.fields.items()).encode()
    yield _post(has, "fields as plain text", (415,), body=plain, Content_Type="text/plain")
    for coding in ("gzip", "deflate", "br"):
        yield _post(has, f"body packed by {coding}", (415,), Content_Encoding=coding)
    yield _post(has, "a body too large", (413,), body=good + b"&x=" + b"a" * 300_000)
    yield _post(has, "too many fields", (400,), body=good + b"&a=1" * 1_000)
    yield _post(has, "no UTF-8 in a field", (400,), body=good + b"&label.comment=%ff%fe")
    yield _post(has, "an empty body", (403,), body=b"")
    yield _post(has, "another Idempotency-Key", (400,), Idempotency_Key="a" * 32)
    yield _get(has, "a page with a body", (400,), "/", Content_Length="5")


def _methods(has: Means) -> Iterator[Attack]:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post",
                   "POSTX", "QUERY"):  # fmt: skip
        for target in ("/", has.target):
            yield _post(has, f"{method} {target[:8]}", (405,), target=target, method=method)
    for target in ("/", "/index.html", "/actions/jobs", "/actions/outcome?key=x", "/start",
                   "/actions/nothing", "/healthz", "/actions", "/actions/abort/"):  # fmt: skip
        yield _post(has, f"POST {target}", (405,), target=target)
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        yield _get(has, f"GET with {name}", (200,), path_of("abort", has.mine[0]), **{name: "POST"})


def _paths(has: Means) -> Iterator[Attack]:
    job = has.mine[0]
    for path in (
        "/../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/jobs/../../x",
        "/jobs/..%5c..%5cx", "/jobs\\..\\x", "//etc/passwd", "/./index.html", "/jobs/./a.json",
        "/.jmreport/pages", "/jobs/.hidden", "/%00", "/index.html%00.png", "/index.html;x",
        "/actions%2fabort", "/actions/abort%3fjob", "/ACTIONS/../actions/abort", "/~root",
        "/actions/abort/../labels", "/actions//abort", "/index.html#x", "/a b", "/é",
        "/%c0%ae%c0%ae/x", "/jobs/%252e%252e/x", "/jobs/a.json/", "/snapshots/format.json",
        "/audit.jsonl", "http://evil.example/", "/jobs/\u202eq", "/" + "a" * 40_000,
        "/CON", "/jobs/nul", "/actions/", "/actions/unknown", "/api/v1/jobs", "/jobs",
        f"/api/v1/jobs/{job}/abort", f"/jobs/{job}/abort", "/-rf", "/index.html.", "/*",
    ):  # fmt: skip
        sent = path if path.isascii() else quote(path, safe="/")
        if " " in sent:
            sent = sent.replace(" ", "\t")
        yield _raw_get(has, f"path {path[:40]!r}", sent)
    yield _post(has, "an action on a path of the API", (405,),
                target=f"/api/v1/jobs/{job}/abort")  # fmt: skip


def _forms(has: Means) -> Iterator[Attack]:
    fields, csrf, key = has.fields, has.fields["csrf"], has.fields["idempotency-key"]
    at, _, mark = csrf.partition(".")
    for name, spoilt in (
        ("no csrf", {"csrf": ""}),
        ("another csrf", {"csrf": f"{at}.{'0' * 64}"}),
        ("csrf of another time", {"csrf": f"{int(at) + 1}.{mark}"}),
        ("csrf without time", {"csrf": mark}),
        ("csrf with a negative time", {"csrf": f"-{at}.{mark}"}),
        ("csrf with a long time", {"csrf": f"{'9' * 30}.{mark}"}),
        ("csrf in capitals", {"csrf": csrf.upper()}),
        ("csrf cut short", {"csrf": csrf[:-1]}),
        ("csrf of megabytes", {"csrf": "a" * 100_000}),
        ("csrf not ASCII", {"csrf": f"{at}.é"}),
        ("no key", {"idempotency-key": ""}),
        ("another key", {"idempotency-key": "A" * 32}),
        ("a longer key", {"idempotency-key": key + "A"}),
        ("another's key", {"idempotency-key": key[::-1]}),
    ):
        yield _post(has, name, (403,), fields={**fields, **spoilt})
    for lost in ("csrf", "idempotency-key"):
        rest = {name: value for name, value in fields.items() if name != lost}
        yield _post(has, f"without {lost}", (403,), fields=rest)
    yield _post(has, "a form for labels as an abort", (403,),
                target=path_of("abort", has.mine[0]))  # fmt: skip
    yield _post(has, "a form for one job with another", (403,),
                target=path_of("labels", has.mine[1]))  # fmt: skip
    yield _post(has, "a form for one job with two", (403,),
                target=path_of("labels", *has.mine[:2]))  # fmt: skip
    for name, more in (
        ("a label that may not be edited", {"set": "owner=eve"}),
        ("a value that is not offered", {"set": "flag=burn"}),
        ("a label of a field that is none", {"set": "status=Failed"}),
        ("a label without a name", {"set": "=x"}),
    ):
        yield _post(has, name, (409,), fields={**fields, **more})
    typed = {key: value for key, value in fields.items() if key != "set"}
    for name, more in (
        ("a value too long", {"label.comment": "x" * 256}),
        ("a NUL in a value", {"label.comment": "a\0b"}),
        ("an owner in the editor", {"label.owner": "eve"}),
        ("nothing changed", {}),
    ):
        yield _post(has, name, (409,), fields={**typed, **more})


def _jobs(has: Means) -> Iterator[Attack]:
    job = has.mine[0]
    other = has.others
    for action in ("abort", "labels"):
        yield _get(has, f"{action} another team's job", (403,), path_of(action, other))
        yield _get(has, f"{action} another team's among one's own", (403,),
                   path_of(action, job, other))  # fmt: skip
        yield _post(has, f"{action} form for another team's", (403,),
                    target=path_of(action, other))  # fmt: skip
        for unknown in (
            "11111111-1111-4111-8111-111111111111", "", "*", "%", job.upper(), f"{job} ",
            f"{job}/../{other}", f"{job}/abort", f"{job}?x", "../../capabilities", "query",
            "tailFile", "\u202e", "' OR 1=1 --", "a" * 5_000, f"{job}\n", f"\u00a0{job}",
        ):  # fmt: skip
            yield _get(has, f"{action} of job {unknown[:30]!r}", (404,), path_of(action, unknown))
        yield _get(has, f"{action} of a job with NUL", (404,), f"/actions/{action}?job={job}%00")
        yield _get(has, f"{action} of too many", (400, 414),
                   path_of(action, *(f"{n}" for n in range(300))))  # fmt: skip
        yield _get(has, f"{action} of none", (400,), f"/actions/{action}")
    yield _get(has, "somebody's outcome", (404,), f"/actions/outcome?key={'A' * 32}")


def _frames(has: Means) -> Iterator[Attack]:
    """What a page in a frame would ask with; the browser's own refusal is tried in a browser."""
    for page in (path_of("abort", has.mine[0]), "/actions/jobs", "/"):
        for site in ("cross-site", "same-site", "same-origin"):
            sent = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate",
                    "Sec-Fetch-Dest": "iframe"}  # fmt: skip
            yield _get(has, f"{page[:14]} framed by {site}", (403,), page, **sent)


# What no client library sends


def _raw_get(has: Means, name: str, target: str) -> Attack:
    return Attack(
        name=name,
        send=lambda: raw(has, f"GET {target} HTTP/1.1\r\nHost: {has.at.host}\r\n"
                         + _head(has) + "\r\n"),
        good=(400, 403, 404, 405, 414, 421),
    )  # fmt: skip


def _head(has: Means, as_: str = ANA) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in has.at.who(as_).items())


def raw(has: Means, text: str, *, slowly: float = 0.0) -> int:
    """The status that answers these bytes; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", has.at.port), timeout=30) as connection:
        data = text.encode("utf-8", "surrogateescape")
        try:
            for piece in (data,) if not slowly else (data[:-1], b""):
                connection.sendall(piece)
                time.sleep(slowly)
            answer = b""
            while b"\r\n" not in answer and (more := connection.recv(4096)):
                answer += more
        except (ConnectionError, TimeoutError):
            return 0
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else 0


def _raw(has: Means) -> Iterator[Attack]:
    body = urlencode(has.fields)
    post = f"POST {has.target} HTTP/1.1\r\n"
    host = f"Host: {has.at.host}\r\n"
    rest = f"Origin: {has.at.origin}\r\nContent-Type: {FORM}\r\n{_head(has)}"
    length = f"Content-Length: {len(body)}\r\n"
    texts = {
        "two Hosts": f"{post}{host}Host: evil.example\r\n{rest}{length}\r\n{body}",
        "two Origins": f"{post}{host}{rest}Origin: https://evil.example\r\n{length}\r\n{body}",
        "two lengths": f"{post}{host}{rest}{length}Content-Length: 1\r\n\r\n{body}",
        "two types": f"{post}{host}{rest}{length}Content-Type: text/plain\r\n\r\n{body}",
        "no Host": f"{post}{rest}{length}\r\n{body}",
        "no length": f"{post}{host}{rest}\r\n",
        "in pieces": f"{post}{host}{rest}Transfer-Encoding: chunked\r\n\r\n"
        f"{len(body):x}\r\n{body}\r\n0\r\n\r\n",
        "in pieces and with a length": f"{post}{host}{rest}{length}Transfer-Encoding: chunked\r\n"
        f"\r\n{len(body):x}\r\n{body}\r\n0\r\n\r\n",
        "a length that is negative": f"{post}{host}{rest}Content-Length: -1\r\n\r\n{body}",
        "a length that is none": f"{post}{host}{rest}Content-Length: ten\r\n\r\n{body}",
        "a folded header": f"{post}{host}{rest}X: a\r\n b: c\r\nOrigin: null\r\n{length}\r\n{body}",
        "a header without a colon": f"{post}{host}{rest}nothing\r\n{length}\r\n{body}",
        "a space before the colon": f"{post}{host}Origin : null\r\n{rest}{length}\r\n{body}",
        "a NUL in a header": f"{post}{host}{rest}X: a\0b\r\n{length}\r\n{body}",
        "HTTP/0.9": "GET /\r\n\r\n",
        "HTTP/3.0": f"GET / HTTP/3.0\r\n{host}\r\n",
        "nothing but text": "hello\r\n\r\n",
        "TLS": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
        "an endless head": f"GET / HTTP/1.1\r\n{host}X: {'a' * 100_000}\r\n\r\n",
        "a whole address": f"GET http://evil.example/ HTTP/1.1\r\n{host}\r\n",
        "another's whole address": f"GET http://{has.at.host}/ HTTP/1.1\r\n{host}\r\n",
        "two tokens": f"{post}{host}{rest}{_head(has, EVE) or _head(has)}{length}\r\n{body}",
    }
    for name, text in texts.items():
        yield Attack(
            name=f"raw: {name}",
            send=lambda text=text: raw(has, text),  # type: ignore[misc] # bound here
            good=(400, 401, 403, 405, 411, 414, 415, 421, 431),
        )


class Tally(Struct, kw_only=True):
    """What came of attacks: `reads` are those of pages that a person is shown again."""

    sent: int = 0
    refused: int = 0
    told: int = 0
    actions: int = 0
    reads: int = 0
    wrong: list[str] = field(default_factory=list)


def run(at: Bench, found: Sequence[Attack]) -> Tally:
    """Send every attack; then the form that they spoilt, as it is, which must be taken."""
    tally, control = Tally(), at.form("labels", at.jobs("Succeeded", owner="ana")[:1])
    for attack in found:
        told, seen = len(at.audit("refused")), at.demo.requests.total
        status = attack.send()
        tally.sent += 1
        if status not in attack.good:
            tally.wrong.append(f"{attack.name}: answered {status}, not one of {attack.good}")
        if status >= 400:
            tally.refused += 1
            told_of = len(at.audit("refused")) > told
            tally.told += told_of
            if not told_of:
                tally.wrong.append(f"{attack.name}: refused with {status}, not told in the audit")
        reads = at.demo.requests.total - seen
        tally.reads += reads
        if reads and not {200, 409} & set(attack.good):
            last = at.demo.requests.last[-1]
            tally.wrong.append(f"{attack.name}: the Job Manager saw {last.method} {last.target}")
    tally.actions = len(at.arrived())
    target, fields = control
    taken = at.post(target, {**fields, "set": "flag=archive"}).status
    if taken != 303 or len(at.arrived()) != tally.actions + 1:
        tally.wrong.append(f"the form as it is was answered with {taken}: the attacks say nothing")
    return tally
