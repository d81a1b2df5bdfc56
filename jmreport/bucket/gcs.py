"""A bucket of Google Cloud Storage. Owner of google-cloud-storage, which is the extra `gcs`.

What fails in passing is tried again by the library's own policy. A conditional write that was
carried out though its answer was lost is refused when it is repeated, since the object is new by
then: whoever finds the very bytes there that were to be written has succeeded.
"""

import base64
import hashlib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jmreport.bucket.values import Headers, Held, Read
from jmreport.errors import ChangedError, DeliveryError, UnreadableError, UsageError

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client
    from requests.adapters import HTTPAdapter

_PLAIN = Headers()
EMULATOR = "STORAGE_EMULATOR_HOST"
#: Storage and nothing else; the policy of a bucket cannot be read with less.
_SCOPES = ("https://www.googleapis.com/auth/devstorage.full_control",)
#: Seconds to wait for the next bytes of an answer.
_TIMEOUT = 60.0
#: Seconds for which the policy is asked for: without it there is a warning, and no report is lost.
_POLICY_PATIENCE = 10.0
#: What publishing does to objects.
_NEEDED = (
    "storage.objects.list",
    "storage.objects.get",
    "storage.objects.create",
    "storage.objects.delete",
)
#: Fields of an object that are asked for; the rest is the policy's and the owner's.
_FIELDS = "items(name,size,generation,updated,md5Hash,cacheControl),nextPageToken"


class GcsBucket:
    """Objects of a bucket below a prefix ("" or one that ends with a slash)."""

    encodes = True

    def __init__(
        self,
        name: str,
        prefix: str,
        *,
        environ: Mapping[str, str],
        threads: int,
        patience: float,
    ) -> None:
        self._name, self._prefix = name, prefix
        self._client = _client(environ, threads)
        self._bucket = self._client.bucket(name)
        from google.cloud.storage.retry import DEFAULT_RETRY

        self._patience = patience
        retry = DEFAULT_RETRY.with_delay(initial=0.5, maximum=16.0).with_timeout(patience)
        passes = retry._predicate
        # The library's own policy takes a certificate for one that will be trusted in a minute.
        self._retry = retry.with_predicate(lambda error: not _mistrust(error) and passes(error))

    @property
    def place(self) -> str:
        return f"gs://{self._name}/{self._prefix}".rstrip("/")

    def objects(self, under: str = "") -> Iterator[Held]:
        for blob in self._listed(under, _FIELDS):
            yield self._held(blob)

    def names(self, under: str = "") -> Iterator[str]:
        for blob in self._listed(under, "items(name),nextPageToken"):
            yield str(blob.name)[len(self._prefix) :]

    def look(self, name: str) -> Held | None:
        with self._told(name):
            blob = self._bucket.get_blob(self._prefix + name, retry=self._retry, timeout=_TIMEOUT)
        return None if blob is None else self._held(blob)

    def read(self, name: str) -> Read | None:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        for _ in range(3):
            held = self.look(name)
            if held is None:
                return None
            blob = self._bucket.blob(self._prefix + name)
            with self._told(name):
                try:
                    data = blob.download_as_bytes(
                        if_generation_match=held.generation, retry=self._retry, timeout=_TIMEOUT
                    )
                    return Read(data=data, generation=held.generation)
                except (NotFound, PreconditionFailed):
                    continue  # it was written again between the two questions
        raise ChangedError(f"{self.place}/{name} is written all the time")

    def write(
        self, name: str, data: bytes, *, generation: int | None, headers: Headers = _PLAIN
    ) -> int:
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(self._prefix + name)
        blob.cache_control = headers.cache or None
        blob.content_encoding = headers.encoding or None
        with self._told(name):
            try:
                blob.upload_from_string(
                    data,
                    content_type=headers.content_type,
                    if_generation_match=generation,
                    retry=self._retry,
                    timeout=_TIMEOUT,
                )
            except PreconditionFailed as error:
                md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
                return self._mine(name, md5, headers.cache, error)
            return int(blob.generation)

    def copy(
        self, source: str, name: str, *, source_generation: int | None, generation: int | None
    ) -> int:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with self._told(name):
            try:
                made = self._bucket.copy_blob(
                    self._bucket.blob(self._prefix + source),
                    self._bucket,
                    self._prefix + name,
                    if_source_generation_match=source_generation,
                    if_generation_match=generation,
                    retry=self._retry,
                    timeout=_TIMEOUT,
                )
            except PreconditionFailed as error:
                held = self.look(source)
                if held is None or source_generation not in (None, held.generation):
                    raise ChangedError(f"{self.place}/{source} was changed meanwhile") from error
                return self._mine(name, held.md5, held.cache, error)
            except NotFound as error:
                self._is_there()
                raise ChangedError(f"{self.place}/{source} is gone") from error
            return int(made.generation)

    def delete(self, name: str, *, generation: int | None) -> bool:
        from google.api_core.exceptions import NotFound, PreconditionFailed

        with self._told(name):
            try:
                self._bucket.blob(self._prefix + name).delete(
                    if_generation_match=generation, retry=self._retry, timeout=_TIMEOUT
                )
            except NotFound:
                self._is_there()
                return False
            except PreconditionFailed as error:
                if self.look(name) is None:
                    return False
                raise ChangedError(f"{self.place}/{name} was changed meanwhile") from error
        return True

    def readers(self) -> tuple[str, ...]:
        try:
            with self._told("its policy"):
                policy = self._bucket.get_iam_policy(
                    requested_policy_version=3,
                    retry=self._retry.with_timeout(min(self._patience, _POLICY_PATIENCE)),
                    timeout=_TIMEOUT,
                )
        except DeliveryError as error:
            raise UnreadableError(
                f"the policy of {self.place} cannot be read: {error.message}"
            ) from error
        return tuple(sorted({who for each in policy.bindings for who in each["members"]}))

    def lacking(self) -> tuple[str, ...]:
        with self._told("its permissions"):
            self._is_there()
        try:
            with self._told("its permissions"):
                held = self._bucket.test_iam_permissions(
                    list(_NEEDED),
                    retry=self._retry.with_timeout(min(self._patience, _POLICY_PATIENCE)),
                    timeout=_TIMEOUT,
                )
        except DeliveryError as error:
            raise UnreadableError(
                f"what may be done in {self.place} cannot be told: {error.message}"
            ) from error
        return tuple(need for need in _NEEDED if need not in held)

    def close(self) -> None:
        self._client.close()

    def _mine(self, name: str, md5: str, cache: str, error: Exception) -> int:
        """The generation of an object that is just what was to be written."""
        held = self.look(name)
        if held is not None and held.md5 and held.md5 == md5 and held.cache == cache:
            return held.generation
        raise ChangedError(f"{self.place}/{name} is not what it was expected to be") from error

    def _listed(self, under: str, fields: str) -> Iterator["Blob"]:
        with self._told("listed"):
            yield from self._client.list_blobs(
                self._bucket,
                prefix=self._prefix + under,
                fields=fields,
                retry=self._retry,
                timeout=_TIMEOUT,
            )

    def _is_there(self) -> None:
        """A bucket that isn't there says of each object just that it isn't."""
        next(iter(self.names()), None)

    def _held(self, blob: "Blob") -> Held:
        return Held(
            name=str(blob.name)[len(self._prefix) :],
            size=int(blob.size or 0),
            generation=int(blob.generation),
            updated=blob.updated,
            md5=base64.b64decode(blob.md5_hash or "").hex(),
            cache=blob.cache_control or "",
        )

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What Google's libraries raise, in words: on what, and what to do."""
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
        from requests import RequestException

        foreign = (
            GoogleAPIError,
            GoogleAuthError,
            InvalidResponse,
            DataCorruption,
            RequestException,
            OSError,  # a connection that is gone, or a file of certificates
        )
        try:
            yield
        except foreign as error:
            raise _in_words(error, self.place, what) from error


def _in_words(error: Exception, place: str, what: str) -> DeliveryError:
    from google.auth.exceptions import GoogleAuthError

    code = getattr(error, "code", None)
    said = _mistrust(error) or _first_line(error)
    if _mistrust(error):
        where = "no token from Google" if isinstance(error, GoogleAuthError) else f"{place}/{what}"
        return DeliveryError(f"{where}: {said}", hint=_TRUST)
    if isinstance(error, GoogleAuthError):
        return DeliveryError(f"no token from Google: {said}", hint=_CREDENTIALS)
    if code == 404:
        return DeliveryError(f"{place}: no such bucket", hint="make it, or check its name")
    if code in (401, 403):
        return DeliveryError(
            f"{place}/{what} is refused: {said}",
            hint="the account needs the role roles/storage.objectUser on the bucket",
        )
    return DeliveryError(
        f"{place}/{what}: {said}",
        hint="nothing that was there before is lost; run it again, and it goes on from there",
    )


def _mistrust(error: Exception) -> str:
    """That a certificate is not trusted, and why, however deep beneath an error; else ""."""
    beneath: list[object] = [error]
    seen: set[int] = set()
    while beneath:
        each = beneath.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({each.verify_message})"
        seen.add(id(each))
        # As requests, urllib3 and Google's libraries keep what an error came from.
        beneath += (*each.args, each.__cause__, each.__context__)
        beneath += (getattr(each, "cause", None), getattr(each, "reason", None))
    return ""


def _first_line(error: Exception) -> str:
    """What a library says, within what a message can hold: not the whole body of an answer."""
    cause = getattr(error, "cause", None)  # of a RetryError: what failed the last time
    found = cause or error
    # Of several arguments the first is the reason; the others may be the body of an answer.
    text = getattr(found, "message", None) or (found.args[0] if found.args else "")
    words = str(text).split()
    return " ".join(words)[:200] or type(error).__name__


_TRUST = "name the file of whoever signed it in SSL_CERT_FILE"
_CREDENTIALS = (
    "run `gcloud auth application-default login`, or name a service account's key in "
    "GOOGLE_APPLICATION_CREDENTIALS"
)


def _client(environ: Mapping[str, str], threads: int) -> "Client":
    """The library's client, with a connection for each thread."""
    try:
        from google.cloud import storage
    except ImportError as error:
        raise UsageError(
            "buckets need google-cloud-storage, which is not installed",
            hint="pip install 'jmreport[gcs]'",
        ) from error
    if emulator := environ.get(EMULATOR, ""):
        client = _emulated(emulator)
    else:
        credentials, project = _credentials()
        client = storage.Client(project=project or "unknown", credentials=credentials)
    trust = _trust(environ)
    # The library's own advice for many threads: its session keeps ten connections.
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, _adapter(trust, pool_maxsize=threads + 2))
    if trust is not None:
        # What asks for tokens, as the library has it.
        client._http._auth_request.session.mount("https://", _adapter(trust, max_retries=3))
    return client


def _adapter(trust: ssl.SSLContext | None, **how: Any) -> "HTTPAdapter":
    """Connections of requests that trust those certificates, and the ones it trusts anyway.

    Not in their place, as for the server: that is often one's own, and the bucket is Google's.
    """
    from requests.adapters import HTTPAdapter

    if trust is None:
        return HTTPAdapter(**how)

    class Trusting(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, ssl_context=trust, **more)

        def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=trust, **more)

    return Trusting(**how)


def _trust(environ: Mapping[str, str]) -> ssl.SSLContext | None:
    """The certificates that the environment names for everything; requests passes over them."""
    file = environ.get("SSL_CERT_FILE", "")
    if not file:
        return None
    from urllib3.util import create_urllib3_context

    trust = create_urllib3_context()
    try:
        trust.load_verify_locations(file)
    except OSError as error:
        why = "no certificate is in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise DeliveryError(
            f"the certificates that SSL_CERT_FILE names cannot be read: {file}: {why}",
            hint="it names a file of trusted certificates",
        ) from error
    return trust


def _emulated(address: str) -> "Client":
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    if "://" not in address:
        address = f"http://{address}"
    return storage.Client(
        project="emulated",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call] # google-auth's
        client_options={"api_endpoint": address},
    )


def _credentials() -> tuple[Any, str | None]:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        found: tuple[Any, str | None] = google.auth.default(scopes=_SCOPES)
    except GoogleAuthError as error:
        raise DeliveryError(f"no credentials: {_first_line(error)}", hint=_CREDENTIALS) from error
    return found
