"""The Client: the API's eleven operations over one polite session.

What one thing lacks is an UnreadableError (or NotOfferedError) that the rest survives; a server
that cannot be spoken with at all is a ServerError or a RefusedError.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from jmreport.client import addresses, answers
from jmreport.client.answers import UNTRUSTED, Answer, Respond, Trouble
from jmreport.client.asking import Asking
from jmreport.client.authority import HOW_TO_SIGN_IN, Authority, Credentials
from jmreport.client.offers import Name
from jmreport.client.patience import Deadline, Patience
from jmreport.errors import ActionError, RefusedError, ServerError, UnreadableError
from jmreport.gaps import NO_TOKEN
from jmreport.models import QueryJobsRequest
from jmreport.records import Offer, Operation
from jmreport.settings import Api

#: What makes an object a Job Manager's capabilities; all of them are optional.
_SAYS_CAPABILITIES = frozenset(
    ("authentication", "displayFields", "commonLabels", "queryExtensions", "aggregationTimeFrames")
)
#: After these an action was not done; after any other failure it may have been.
_NOT_DONE = range(300, 500)
_REFUSALS = {
    # The Cromwell shim answers 404 where the API says 412.
    404: "there is no such job, or it has ended already",
    412: "the job has ended already",
    401: HOW_TO_SIGN_IN,
    403: HOW_TO_SIGN_IN,
}


class Client:
    """A session with one Job Manager. Thread-safe; a context manager that closes it.

    `api.url` may be given with or without /api/v1; `probe` finds out which. `respond` is a server
    in process instead of a socket. From `until` on, as `time.monotonic` tells it, nothing more is
    asked. Raises UsageError for settings no request can be made with.
    """

    def __init__(
        self,
        api: Api,
        *,
        credentials: Credentials | None = None,
        respond: Respond | None = None,
        patience: Patience | None = None,
        until: float | None = None,
    ) -> None:
        self._api = api
        self._address = addresses.read(api.url)
        self._base = self._address.base
        self._authority = Authority(api.headers, basic=self._address.basic, credentials=credentials)
        self._asking = Asking(
            self._authority,
            tries=api.tries,
            rate=api.rate,
            respond=respond,
            patience=patience or Patience(),
            deadline=Deadline(until),
        )
        self._capabilities: dict[str, Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session: waits end at once, answers under way are cut, nothing more is sent."""
        self._asking.close()

    @property
    def address(self) -> str:
        """Where the API lies, as far as is known; never with a password."""
        return self._base

    @property
    def scopes(self) -> tuple[str, ...]:
        """The OAuth scopes that the server asks for, once its capabilities were read."""
        named = self._authentication().get("scopes")
        return tuple(s for s in named if isinstance(s, str)) if isinstance(named, list) else ()

    def _authentication(self) -> dict[str, Any]:
        """What the capabilities say of signing in, as far as they were read."""
        found = (self._capabilities or {}).get("authentication")
        return found if isinstance(found, dict) else {}

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every operation of the API: offered or not, why, requests, failures, seconds."""
        return self._asking.offers.operations

    def offer(self, operation: str) -> Offer:
        """Whether the server offers an operation, as its answers so far show."""
        return self._asking.offers.offer(operation)

    @property
    def requests(self) -> int:
        """Requests sent so far, repeated ones included."""
        return self._asking.offers.requests

    # What a server is

    def probe(self) -> str:
        """Find where the API lies: at the address as given, or below /api/v1. Returns its base.

        Raises RefusedError when the server wants another token, ServerError when no Job Manager
        answers: the message names each address that was tried, and what it answered.
        """
        tried: list[str] = []
        answered: list[str] = []
        refusal: RefusedError | None = None
        tries: int | None = None
        why = ""
        for base in self._address.candidates:
            url = base + "/capabilities"
            try:
                tree = self._at(base, "GetCapabilities", "GET", "/capabilities", tries=tries)
            except Trouble as trouble:
                why = trouble.why
                tried.append(f"{url}: {why}")
                # A server that asks to be left alone was waited for once, which is enough.
                tries = 1 if trouble.after else None
                if trouble.status is None:
                    break  # the same host would say the same
                if trouble.status in (401, 403):
                    refusal = self._refusal(trouble, url)
                answered.append(base)
                continue
            if not _SAYS_CAPABILITIES.isdisjoint(tree) or not tree:
                self._base, self._capabilities = base, tree
                return base
            answered.append(base)
            tried.append(f"{url}: JSON, but not a Job Manager's capabilities")
        if refusal is not None:
            raise refusal
        if base := self._listing(answered):
            self._base = base
            return base
        hint = "check --api-url or [api] url, and whether the server is up"
        if UNTRUSTED in why:
            hint = "name the file of whoever signed it in SSL_CERT_FILE"
        elif why.startswith(NO_TOKEN):
            hint = "see whether Google, or the machine's metadata server, answers"
        elif not answered and (named := addresses.proxy_for(self._address.candidates[0])):
            hint = f"it is asked by the proxy that {named} names, which may be what is down; {hint}"
        raise ServerError(
            "no Job Manager answers: " + "; ".join(tried),
            hint=hint,
        )

    def _listing(self, bases: list[str]) -> str:
        """The base that lists jobs though its capabilities are broken; "" where none does."""
        body = _json(QueryJobsRequest(page_size=1))
        for base in bases:
            try:
                tree = self._at(base, "QueryJobs", "POST", "/jobs/query", body=body, tries=1)
            except Trouble:
                continue
            if isinstance(tree.get("results"), list):
                return base
        return ""

    def capabilities(self) -> dict[str, Any]:
        """What the server says of itself; what `probe` read is not asked for again."""
        if self._capabilities is None:
            self._capabilities = self._essential("GetCapabilities", "GET", "/capabilities")
        return self._capabilities

    def health(self) -> tuple[str, dict[str, Any]]:
        """The word "available", or words for why not, and the answer; bad health is no error."""
        try:
            tree = self._at(self._base, "Health", "GET", "/health", tries=1)
        except Trouble as trouble:
            return trouble.why, {}
        except UnreadableError as error:
            return error.message, {}
        available = tree.get("available")
        if available is True:
            return "available", tree
        if available is False:
            return "not available", tree
        return "it does not say whether it is available", tree

    # Jobs

    def query(self, request: QueryJobsRequest) -> dict[str, Any]:
        """A page of the list. Raises RefusedError for 401 and 403."""
        return self._essential("QueryJobs", "POST", "/jobs/query", body=_json(request))

    def job(self, id: str) -> dict[str, Any]:  # noqa: A002 - the API's own word
        """A job's detail."""
        return self._one("GetJob", addresses.target("jobs", id))

    def task_attempts(self, id: str, task: str) -> dict[str, Any]:  # noqa: A002 - the API's word
        """All attempts of a task; of a scattered one those of its shards, without their index."""
        return self._one("GetTaskAttempts", addresses.target("jobs", id, task, "attempts"))

    def shard_attempts(
        self,
        id: str,  # noqa: A002 - the API's own word
        task: str,
        index: int,
    ) -> dict[str, Any]:
        """All attempts of one shard; -1 is a task that is not scattered."""
        target = addresses.target("jobs", id, task, str(index), "attempts")
        return self._one("GetShardAttempts", target)

    def operation_details(self, id: str, operation: str) -> dict[str, Any]:  # noqa: A002 - as above
        """What the cloud says of an operation: JSON inside the string `details`."""
        target = addresses.target("jobs", "operationDetails", job=id, operation=operation)
        return self._one("GetOperationDetails", target)

    def tail_file(self, bucket: str, object_: str) -> dict[str, Any]:
        """The end of a file in a bucket, as the server reads it."""
        target = addresses.target("jobs", "tailFile", bucket=bucket, object=object_)
        return self._one("TailFileContents", target, timeout=self._api.timeout)

    def aggregations(self, frame: str, project_id: str | None = None) -> dict[str, Any]:
        """The server's own counts for a time frame."""
        # Sent only when configured: dsub's local provider refuses any project.
        project = {"projectId": project_id} if project_id else {}
        return self._one(
            "GetJobAggregations", addresses.target("aggregations", timeFrame=frame, **project)
        )

    # Actions, none of which is ever sent twice

    def abort(self, id: str) -> int:  # noqa: A002 - the API's own word
        """Ask the server to abort a job; the status of its answer, which is 2xx.

        Raises ActionError when it refuses, or nobody knows.
        """
        target = addresses.target("jobs", id, "abort")
        return self._act("AbortJob", target, f"abort {id}", body=None).status

    def update_labels(
        self,
        id: str,  # noqa: A002
        labels: Mapping[str, str],
    ) -> tuple[int, dict[str, Any]]:
        """The answer's status, and all labels of a job after these were merged in.

        ActionError as for `abort`. The labels are {} where the server took them and its answer
        says nothing readable.
        """
        what = f"change labels of {id}"
        body = _json({"labels": dict(labels)})
        answer = self._act(
            "UpdateJobLabels", addresses.target("jobs", id, "updateLabels"), what, body=body
        )
        try:
            found = answers.tree(answer).get("labels")
        except Trouble:
            found = None
        return answer.status, found if isinstance(found, dict) else {}

    # How it is asked

    def _essential(
        self, name: Name, method: str, target: str, *, body: bytes | None = None
    ) -> dict[str, Any]:
        """An operation without which nothing works: a refused token ends the run."""
        try:
            return self._at(self._base, name, method, target, body=body)
        except Trouble as trouble:
            if trouble.status in (401, 403):
                raise self._refusal(trouble, self._base + target) from trouble
            raise self._asking.offers.failure(name, trouble) from trouble

    def _one(self, name: Name, target: str, *, timeout: float | None = None) -> dict[str, Any]:
        """One thing of many: whatever is wrong with it, the rest goes on."""
        self._asking.offers.require(name)
        timeout = timeout or self._api.detail_timeout
        try:
            return self._at(self._base, name, "GET", target, timeout=timeout)
        except Trouble as trouble:
            raise self._asking.offers.failure(name, trouble) from trouble

    def _at(
        self,
        base: str,
        name: Name,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        timeout: float | None = None,
        tries: int | None = None,
    ) -> dict[str, Any]:
        timeout = timeout or self._api.timeout
        return self._asking.read(
            name, method, base + target, timeout=timeout, body=body, tries=tries
        )

    def _act(self, name: Name, target: str, what: str, *, body: bytes | None) -> Answer:
        """An action's answer; an ActionError that says whether it may have been done."""
        url, timeout = self._base + target, self._api.detail_timeout
        try:
            answer = self._asking.once(name, "POST", url, timeout=timeout, body=body)
            # A proxy's login page is a 200 too, and no Job Manager has heard of the action then.
            if "html" in answer.media:
                raise Trouble(f"the answer is a web page ({answer.status})", status=answer.status)
            return answer
        except Trouble as trouble:
            if trouble.status == 501 or (trouble.status or 0) in _NOT_DONE:
                raise ActionError(
                    f"{what}: the server refused: {trouble.why}",
                    hint=_REFUSALS.get(trouble.status or 0, ""),
                    status=trouble.status,
                    why=trouble.why,
                ) from trouble
            raise ActionError(
                f"{what}: nobody knows whether it was done: {trouble.why}",
                hint="read the job again before you try once more",
                status=trouble.status,
                why=trouble.why,
            ) from trouble

    def _refusal(self, trouble: Trouble, url: str) -> RefusedError:
        """Which headers were sent, and which scopes the server asks for."""
        sent = self._authority.sent()
        said = f"{url}: {trouble.why}"
        scopes = f"; the server asks for the scopes {', '.join(self.scopes)}" if self.scopes else ""
        if self._authentication().get("outsideAuth") is True:
            scopes += "; it leaves some of the signing in to a service of its own"
        if not sent:
            hint = HOW_TO_SIGN_IN
            if self._api.google_auth:
                hint = "it says to nobody without a token which scopes it wants: set "
                hint += "api.google_scopes"
            return RefusedError(f"the server asks for a token: {said}{scopes}", hint=hint)
        hint = HOW_TO_SIGN_IN
        if asked := self._authority.scopes():
            scopes += f"; Google was asked for {', '.join(asked)}"
            hint = "ask whoever runs the server which scopes it wants; if it needs more, set "
            hint += "api.google_scopes"
        return RefusedError(
            f"the server refuses the token: {said}; sent in {sent}{scopes}", hint=hint
        )


def _json(body: object) -> bytes:
    """A request's body; text that no JSON can hold is an UnreadableError."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise UnreadableError("the request holds text that is not Unicode") from error


def send(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, timeout: float
) -> tuple[int, dict[str, str], bytes]:
    """One request to any server, without retries and redirects; UnreadableError with why not."""
    from jmreport.client.wire import send as over_the_wire

    return over_the_wire(method, url, headers, body, timeout)
