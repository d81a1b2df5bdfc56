"""The whole server as one callable, without a socket: which operation a request is for, and who
answers it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args
from urllib.parse import unquote

from .answers import Answer, Call, Refusal, Request, Requests
from .cromwell import Cromwell
from .dsub import Dsub
from .holdings import Options
from .spec import Spec
from .timeline import micros, moment

BASE = "/api/v1"

Like = Literal["spec", "cromwell", "dsub"]
LIKES: tuple[Like, ...] = get_args(Like)

_KINDS: dict[str, type[Spec]] = {"spec": Spec, "cromwell": Cromwell, "dsub": Dsub}
#: Seconds that real servers took: 16 ms for 64 rows, 52 ms for 74 KB, 3 to 10 s for 6 MB.
_FIRST_BYTE, _A_BYTE = 0.005, 0.7e-6
#: More planted nights than this nobody waits for.
MOST_NIGHTS = 366
_ARCHIVED = {"spec": 0.0, "cromwell": 0.005, "dsub": 0.0}

# Narrow paths before wide ones: `operationDetails` is no job's id.
_ROUTES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("GET", ("capabilities",), "GetCapabilities"),
    ("GET", ("health",), "Health"),
    ("GET", ("aggregations",), "GetJobAggregations"),
    ("GET", ("jobs", "operationDetails"), "GetOperationDetails"),
    ("GET", ("jobs", "tailFile"), "TailFileContents"),
    ("POST", ("jobs", "query"), "QueryJobs"),
    ("POST", ("jobs", "{id}", "abort"), "AbortJob"),
    ("POST", ("jobs", "{id}", "updateLabels"), "UpdateJobLabels"),
    ("GET", ("jobs", "{id}"), "GetJob"),
    ("GET", ("jobs", "{id}", "{task}", "attempts"), "GetTaskAttempts"),
    ("GET", ("jobs", "{id}", "{task}", "{index}", "attempts"), "GetShardAttempts"),
)


class Demo:
    """A Job Manager with a believable laboratory behind it.

    Pure but for aborts, label updates and the record of `requests`: the same seed and `now` give
    the same answers. Job numbers and their moments belong to the seed and the number of `jobs`,
    so a later `now` shows the same jobs further along. Safe to use from several threads.

    `like` chooses whom it takes after: the API's definition (`spec`), or one of the two servers
    that exist with all their habits. `jobs` are spread over the last 35 days. `token`: the bearer
    token that it wants; a dsub server with one is on Google Cloud, one without local. `archived`:
    the part of ended jobs that stay in the list and answer 500 in detail (0.5 % like cromwell, else
    none). `same_second`: so many neighbours share a second, which breaks dsub's paging.
    `outside_auth`: a Cromwell server that has the service which operation details and logs need;
    without it they answer 204. `shards`: once a week one job scatters so widely, and fails in some
    of them, and one runs as many sub-workflows (63 at most); 0: none does. `most_rows`: a Cromwell
    server answers 500 for jobs whose metadata has more rows. `bare_failures`: the part of workflows
    refused as a whole whose failure names no cause, which is a 500 too. `odd_logs`: the part of
    logs that are empty or no UTF-8. `slow`: how much of the time that real servers take an answer
    takes: 1 is as observed, 0 none. `nights`: instead of the ordinary laboratory, so many nights of
    the planted one (`planted_stories`), the last of which ends at `now`; `jobs` and `shards` then
    say nothing, and dsub has none.

    `healthy` may be set to False at any time: an engine that is down, as /health tells.
    """

    def __init__(
        self,
        *,
        now: datetime,
        seed: int = 1,
        jobs: int = 2000,
        like: Like = "spec",
        token: str | None = None,
        archived: float | None = None,
        same_second: int = 1,
        outside_auth: bool = False,
        shards: int = 0,
        most_rows: int = 1_000_000,
        bare_failures: float = 0.0,
        odd_logs: float = 0.0,
        slow: float = 0.0,
        nights: int = 0,
    ) -> None:
        if like not in LIKES:
            raise ValueError(f"like={like!r}: not one of {', '.join(LIKES)}")
        if not 0 <= jobs <= 10_000_000:
            raise ValueError(f"jobs={jobs}: not between 0 and 10 000 000")
        if not 1 <= same_second <= 100_000:
            raise ValueError(f"same_second={same_second}: not between 1 and 100 000")
        if not 0 <= shards <= 100_000:
            raise ValueError(f"shards={shards}: not between 0 and 100 000")
        if not 0 <= nights <= MOST_NIGHTS:
            raise ValueError(f"nights={nights}: not between 0 and {MOST_NIGHTS}")
        if nights and like == "dsub":
            raise ValueError("nights: dsub has no planted ones")
        self.like = like
        self.requests = Requests()
        self.healthy = True
        self._now = micros(now)
        self._server = _KINDS[like](
            Options(
                seed=seed,
                jobs=jobs,
                token=token,
                archived=(0.0 if nights else _ARCHIVED[like]) if archived is None else archived,
                same_second=same_second,
                outside_auth=outside_auth,
                born=self._now,
                shards=shards,
                most_rows=most_rows,
                bare_failures=bare_failures,
                odd_logs=odd_logs,
                nights=nights,
            )
        )
        self._slow = slow

    @property
    def now(self) -> datetime:
        """The moment at which the server looks at its jobs; set it to move on."""
        return moment(self._now)

    @now.setter
    def now(self, to: datetime) -> None:
        self._now = micros(to)

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """The answer to a request: status, headers, body. `target` is the raw path and query."""
        lower = {name.lower(): value for name, value in headers.items()}
        path, _, query = target.partition("?")
        operation, answer = self._answer(method.upper(), path, query, lower, body)
        self.requests.add(
            Request(
                operation=operation,
                method=method,
                target=target,
                headers=dict(headers),
                body=body,
                status=answer[0],
            )
        )
        if self._slow:
            time.sleep(self._slow * (_FIRST_BYTE + len(answer[2]) * _A_BYTE))
        return answer

    def _answer(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[str, Answer]:
        server = self._server
        operation, params, allowed = _route(method, path)
        try:
            if self._redirects(path):
                return "", server.redirect(_without_slash(path, query, headers))
            if not allowed:
                raise Refusal(404, f"No such path: {path:.200}")
            if operation is None:
                raise Refusal(405, f"{method:.20} is not allowed here, {allowed} is")
            server.authorize(operation, headers)
            call = Call(
                params=params,
                query=query,
                headers=headers,
                body=body,
                now=self._now,
                healthy=self.healthy,
            )
            return operation, server.operations[operation](call)
        except Refusal as refusal:
            return operation or "", server.refuse(refusal)

    def _redirects(self, path: str) -> bool:
        return self._server.slash_redirects and path.endswith("/") and path.startswith(f"{BASE}/")


def _route(method: str, path: str) -> tuple[str | None, dict[str, str], str]:
    """The operation (None if there is none with this method), the path's parameters, and the
    methods that the path has (empty: no such path)."""
    if not path.startswith(f"{BASE}/"):
        return None, {}, ""
    parts = path[len(BASE) + 1 :].split("/")
    allowed = []
    for wanted, pattern, operation in _ROUTES:
        if len(parts) != len(pattern):
            continue
        params = {}
        for part, name in zip(parts, pattern, strict=True):
            if name.startswith("{"):
                params[name[1:-1]] = unquote(part)
            elif part != name:
                break
        else:
            if all(params.values()):
                if wanted == method:
                    return operation, params, wanted
                allowed.append(wanted)
    return None, {}, ", ".join(dict.fromkeys(allowed))


def _without_slash(path: str, query: str, headers: Mapping[str, str]) -> str:
    """Where a path with a slash too many is sent: absolute, and always http (backends habit 15)."""
    host = headers.get("host", "127.0.0.1")
    return f"http://{host}{path.rstrip('/')}" + (f"?{query}" if query else "")
