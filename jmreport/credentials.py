"""Where a bearer token comes from: the environment, a file, or google-auth's default credentials.

    JMREPORT_API_TOKEN        first, where it is set
    [api] token_file          then; read again when the server refuses what it held
    [api] google_auth = true  then; with [api] google_scopes, or the scopes that the server names

google-auth talks through a callable of whoever needs the token, so nothing here knows an HTTP
library, and a session that is stopped, or whose time is up, asks Google for nothing more.
A token is in no repr, no error and no log.
"""

import ipaddress
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import quote, urlsplit

import msgspec

from jmreport.errors import RefusedError, UnreadableError, UsageError
from jmreport.gaps import NO_HOST, NO_TOKEN
from jmreport.settings import Api

if TYPE_CHECKING:
    from google.auth.credentials import Credentials as GoogleCredentials
    from google.auth.transport import Request

VARIABLE = "JMREPORT_API_TOKEN"
#: Method, URL, headers, body and timeout in seconds to status, headers and body of the answer.
Send = Callable[
    [str, str, Mapping[str, str], bytes | None, float], tuple[int, dict[str, str], bytes]
]
#: Waits for so many seconds, or until there is nothing more to wait for.
Wait = Callable[[float], object]
#: What a bearer token may hold: visible ASCII, as a header can carry it.
_TOKEN = re.compile(r"[\x21-\x7e]+")
#: What the real servers name (Cromwell's the first three; dsub's genomics, storage and projects).
#: Nobody asks for more at a server's word: it is told without proof, and the token is sent there.
NAMED_AT_MOST = frozenset(
    [
        *("openid", "email", "profile"),
        *(
            f"https://www.googleapis.com/auth/{name}"
            for name in (
                "userinfo.email",
                "userinfo.profile",
                "genomics",
                "devstorage.read_only",
                "cloudplatformprojects.readonly",
            )
        ),
    ]
)
#: Asked for where the server names nothing: a machine's account would give all that it may do.
WHO_ALONE = ("openid", "https://www.googleapis.com/auth/userinfo.email")
#: google-auth leaves most of its timeouts to whoever sends, in seconds.
_TIMEOUT = 30.0
#: Seconds after which a file whose token was refused is read a second time: whoever renews it when
#: it expires is as late, and may be writing it.
_WRITING = 1.0


class Credentials(Protocol):
    """A source of bearer tokens. Thread-safe."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What Google's token is asked for; nothing of any other token."""

    @property
    def held(self) -> str:
        """The token that is known without asking anybody; "" of Google's."""

    def token(self, send: Send) -> str:
        """The token to send now; UnreadableError while it cannot be had, RefusedError for good.

        `send` asks for it where that is needed. What it raises but an UnreadableError comes through
        at once.
        """

    def renew(self, send: Send, wait: Wait) -> bool:
        """Look for a better token after a 401; whether there is one.

        Takes a second where whoever writes the token may be at it.
        """


def find(api: Api, environ: Mapping[str, str], *, scopes: Sequence[str]) -> Credentials | None:
    """The credentials that are configured; None where none are.

    `scopes` are what Google's token is good for; nothing else needs them. Raises UsageError naming
    the variable, file or setting that holds no token.
    """
    if held := environ.get(VARIABLE, "").strip():
        return _Fixed(_one_token(held, where=f"the environment variable {VARIABLE}"))
    if api.token_file:
        return _InFile(Path(api.token_file).expanduser())
    if api.google_auth:
        return _Google(tuple(scopes), environ)
    return None


def asks_google(api: Api, environ: Mapping[str, str]) -> bool:
    """Whether the token is Google's, since nothing that goes before it is configured.

    Raises RefusedError where it would be sent for everybody on the way to read, unless the settings
    say what it may do.
    """
    if environ.get(VARIABLE, "").strip() or api.token_file or not api.google_auth:
        return False
    parts = urlsplit((api.url or "").strip())
    open_to_all = parts.scheme == "http" and not _is_here(parts.hostname or "")
    if open_to_all and not api.google_scopes:
        raise RefusedError(
            f"Google's token is not sent to http://{parts.netloc.rpartition('@')[2]}: it could be "
            "read on the way",
            hint="name the server by https:, or, where the way to it is your own, say by "
            "api.google_scopes what the token may do",
        )
    return True


def scopes_of(named: Sequence[str]) -> tuple[str, ...]:
    """What to ask Google for, of a server that names these scopes.

    Raises RefusedError for any beyond what the real servers name.
    """
    beyond = sorted(set(named) - NAMED_AT_MOST)
    if beyond:
        others = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
        raise RefusedError(
            f"Google is asked for no token: the server names the scope {beyond[0][:200]}{others}, "
            "which is more than it needs to know who asks",
            hint="if it may have a token of such power, set api.google_scopes; else ask whoever "
            "runs the server",
        )
    return tuple(dict.fromkeys(named)) or WHO_ALONE


def _is_here(host: str) -> bool:
    """Whether it is this machine, so that nobody is on the way."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Fixed:
    """A token that stays as it is for the whole run."""

    scopes = ()

    def __init__(self, token: str) -> None:
        self._token = token

    @property
    def held(self) -> str:
        return self._token

    def token(self, _send: Send) -> str:
        return self._token

    def renew(self, _send: Send, _wait: Wait) -> bool:
        return False


class _InFile:
    """A token in a file, which something else may rewrite while a run lasts."""

    scopes = ()

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = self._read()

    @property
    def held(self) -> str:
        return self._token

    def token(self, _send: Send) -> str:
        return self._token

    def renew(self, _send: Send, wait: Wait) -> bool:
        """Read the file again, and once more a little later: it may be written only now."""
        if self._is_another():
            return True
        wait(_WRITING)
        return self._is_another()

    def _is_another(self) -> bool:
        """Whether the file holds another token; one that has gone holds nothing better."""
        before = self._token
        try:
            self._token = self._read()
        except UsageError:
            return False
        return self._token != before

    def _read(self) -> str:
        where = f"api.token_file {self._path}"
        try:
            held = self._path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{where} cannot be read: {error.strerror or type(error).__name__}",
                hint="the file must hold the bearer token, on one line",
            ) from error
        return _one_token(held.decode("ascii", "replace"), where=where)


def _one_token(text: str, *, where: str) -> str:
    """The token a text holds. No part of the text is ever in the message: it may be a secret."""
    token = re.sub(r"^Bearer\b", "", text.strip()).strip()
    if not token:
        raise UsageError(f"{where} is empty", hint="it must hold the bearer token, on one line")
    if len(token.splitlines()) > 1:
        raise UsageError(
            f"{where} holds more than one line",
            hint="it must hold the bearer token alone; a service account's key belongs in "
            "GOOGLE_APPLICATION_CREDENTIALS, with [api] google_auth = true",
        )
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            f"{where} holds a character that no header may",
            hint="it must hold the bearer token, on one line",
        )
    return token


class _Google:
    """google-auth's default credentials, refreshed some minutes before they expire."""

    held = ""

    def __init__(self, scopes: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.scopes = scopes
        self._environ = environ
        self._lock = threading.Lock()
        self._found: GoogleCredentials | None = None
        #: How often a token could not be had, and why the last time.
        self._failures = 0
        self._why = ""

    def token(self, send: Send) -> str:
        with self._alone():
            found = self._default(send)
            if not found.valid:  # false from 3 min 45 s before it expires
                self._refresh(found, send)
            return str(found.token)

    def renew(self, send: Send, _wait: Wait) -> bool:
        with self._alone():
            found = self._default(send)
            before = found.token
            self._refresh(found, send)
            return bool(found.token != before)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One thread asks Google; those that waited for it meanwhile share its failure.

        A Google that says nothing would be waited for by each of them, one after another.
        """
        before = self._failures
        with self._lock:
            if self._failures != before:
                raise UnreadableError(self._why)
            try:
                yield
            except UnreadableError as error:
                self._failures, self._why = self._failures + 1, error.message
                raise

    def _default(self, send: Send) -> "GoogleCredentials":
        """The credentials of this machine, looked for once."""
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

        if self._found is not None:
            return self._found
        # It warns that it cannot ask the metadata server without requests: that is asked below.
        logging.getLogger("google.auth").addHandler(logging.NullHandler())
        try:
            self._found, _ = google.auth.default(
                scopes=self.scopes or None, request=_transport(send)
            )
        except DefaultCredentialsError as error:
            self._found = self._machine(send) or _missing(error)
        except GoogleAuthError as error:
            raise UnreadableError(f"{NO_TOKEN}: {_said(error)}") from error
        return self._found

    def _machine(self, send: Send) -> "GoogleCredentials | None":
        """The service account of the machine this runs on; None where it is not Google's.

        Raises UnreadableError while its metadata server is silent, or too busy to answer.
        """
        from google.auth.exceptions import GoogleAuthError

        if self._environ.get("NO_GCE_CHECK", "").lower() == "true":
            return None
        found: GoogleCredentials = _metadata_credentials(
            self._environ.get("GCE_METADATA_HOST", ""), self.scopes
        )
        try:
            found.refresh(_transport(send))  # type: ignore[no-untyped-call] # google-auth's
        except _NoAccountError:
            return None
        except GoogleAuthError as error:
            if isinstance(error.__cause__, UnreadableError) and error.__cause__.message == NO_HOST:
                return None
            raise UnreadableError(f"{NO_TOKEN}: its metadata server: {_said(error)}") from error
        return found

    def _refresh(self, found: "GoogleCredentials", send: Send) -> None:
        from google.auth.exceptions import GoogleAuthError, RefreshError

        try:
            found.refresh(_transport(send))  # type: ignore[no-untyped-call] # google-auth's
        except RefreshError as error:
            if error.retryable or _unreached(error):
                raise UnreadableError(f"{NO_TOKEN}: {_said(error)}") from error
            raise RefusedError(
                f"Google gives no token: {_said(error)}",
                hint="run `gcloud auth application-default login` again, or check the key and "
                f"the scopes {', '.join(self.scopes) or '(none)'}",
            ) from error
        except GoogleAuthError as error:
            raise UnreadableError(f"{NO_TOKEN}: {_said(error)}") from error
        except (TypeError, ValueError) as error:
            # The library reads a 200 without a look at what it is: a proxy may want a sign-in.
            raise UnreadableError(
                f"{NO_TOKEN}: what answers for Google is something else"
            ) from error


def _missing(error: Exception) -> NoReturn:
    raise UsageError(
        f"api.google_auth finds no credentials: {_said(error)}",
        hint="run `gcloud auth application-default login`, or name a key in "
        "GOOGLE_APPLICATION_CREDENTIALS",
    ) from error


def _metadata_credentials(host: str, scopes: tuple[str, ...]) -> Any:
    """Credentials of the machine's own service account, by Google's metadata server.

    google-auth has them too, but loads `requests` for it, which is not installed here.
    https://cloud.google.com/compute/docs/access/authenticate-workloads#applications
    """
    from google.auth.credentials import Credentials as Base

    query = f"?scopes={quote(','.join(scopes), safe='')}" if scopes else ""
    path = "/computeMetadata/v1/instance/service-accounts/default/token"
    url = f"http://{host or 'metadata.google.internal'}{path}{query}"

    class Machine(Base):
        def refresh(self, request: "Request") -> None:
            answer = request(url, headers={"Metadata-Flavor": "Google"}, timeout=3)
            # It says in each answer whose it is; a proxy's page for people does not.
            is_page = answer.status < 400 and "metadata-flavor" not in answer.headers
            if answer.status == 404 or is_page:
                raise _NoAccountError(f"{NO_TOKEN}: this machine has no account there")
            if answer.status != 200:
                raise UnreadableError(f"{NO_TOKEN}: its metadata server answers {answer.status}")
            try:
                grant = msgspec.json.decode(answer.data, type=_Grant)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise UnreadableError(f"{NO_TOKEN}: its metadata server gives none") from error
            self.token = grant.access_token
            # google-auth compares naive instants in UTC.
            now = datetime.now(UTC).replace(tzinfo=None)
            self.expiry = now + timedelta(seconds=grant.expires_in)

    return Machine()  # type: ignore[no-untyped-call] # google-auth's


class _NoAccountError(UnreadableError):
    """Where Google's machines have a metadata server is none, or none that knows an account."""


class _Grant(msgspec.Struct, frozen=True):
    """A token as the metadata server gives it."""

    access_token: str
    expires_in: int


def _said(error: Exception) -> str:
    """The first line of what google-auth says, within what a message can hold."""
    words = str(error.args[0] if error.args else type(error).__name__).split()
    return " ".join(words)[:200]


def _unreached(error: BaseException | None) -> bool:
    """Whether no answer came at all, rather than one that refuses."""
    while error is not None:
        if isinstance(error, UnreadableError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _transport(send: Send) -> "Request":
    """google-auth's idea of a transport, over ours."""
    from google.auth.exceptions import TransportError
    from google.auth.transport import Request, Response

    class Answer(Response):
        def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self._status, self._headers, self._data = status, headers, data

        @property
        def status(self) -> int:
            return self._status

        @property
        def headers(self) -> Mapping[str, str]:
            return self._headers

        @property
        def data(self) -> bytes:
            return self._data

    class Transport(Request):
        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: bytes | str | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: float | None = None,
            **_: Any,
        ) -> Answer:
            raw = body.encode() if isinstance(body, str) else body
            try:
                return Answer(*send(method, url, headers or {}, raw, timeout or _TIMEOUT))
            except UnreadableError as error:
                raise TransportError(error.message) from error  # type: ignore[no-untyped-call] # google-auth's

    return Transport()
