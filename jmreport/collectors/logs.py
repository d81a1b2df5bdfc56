"""What says why a job failed: the ends of its logs, and the details of its operations.

Logs lie in buckets (`gs://`) that the server reads for us; nothing is ever asked of another host,
and only addresses that the server gave are asked for. What the job calls its failures comes first,
then its failed tasks and shards, then its own logs, then earlier attempts; and there is a limit.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from msgspec import Struct

from jmreport.client import Client
from jmreport.collectors.attempts import shards_of, tasks_of
from jmreport.errors import NotOfferedError, UnreadableError
from jmreport.gaps import LOGS, OPERATIONS, Gap, log_of, not_offered, operation_of
from jmreport.messages import was_preempted
from jmreport.models import is_failure

#: Names under which servers give the files of a call; the two last are no words of the API.
_FILES = ("backendLog", "stderr", "stdout")
#: A bucket's name as Google has it. Whatever follows its slash is the object's name, as it is.
_ADDRESS = re.compile(r"gs://([A-Za-z0-9][A-Za-z0-9._-]{0,221})/(.+)", re.DOTALL)
_KEY_BEGINS = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(rb"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
#: Addresses of one job that are told apart at all: a scatter may have ten thousand failed shards.
_MOST = 20_000


class Found(Struct, frozen=True, kw_only=True):
    """What was read, by address or id; what could not be; and what was left, which is no gap."""

    bodies: dict[str, Any]
    gaps: tuple[Gap, ...]
    notes: tuple[Gap, ...]


def tells_of_failure(detail: Any) -> bool:
    """Whether a job failed, or one of its tasks and shards did: it may still run, or be aborted."""
    if not isinstance(detail, dict):
        return False
    return detail.get("status") == "Failed" or any(True for _ in _latest(detail))


def tails(
    client: Client,
    job: str,
    detail: Any,
    attempts: Iterable[Any] = (),
    *,
    limit: int,
    most_bytes: int,
) -> Found:
    """The ends of the logs that tell of failures, by their addresses.

    `attempts` are the answers of attempts calls. Of each log the last `most_bytes` are kept, and a
    note says how many were not.
    """
    addresses = (one for one in _addresses(detail, attempts) if _ADDRESS.fullmatch(one))

    def ask(address: str) -> Any:
        bucket, _, object_ = address.removeprefix("gs://").partition("/")
        return client.tail_file(bucket, object_)

    found = _read(
        ask,
        addresses,
        job,
        limit=limit,
        one=log_of,
        all_of=LOGS,
        operation="TailFileContents",
        setting="log_tails",
    )
    return _cut(found, job, most_bytes)


def operations(
    client: Client, job: str, detail: Any, attempts: Iterable[Any] = (), *, limit: int
) -> Found:
    """The details of the operations that tell of failures, by their ids."""
    return _read(
        lambda operation: client.operation_details(job, operation),
        _named(("operationId",), detail, attempts, own=()),
        job,
        limit=limit,
        one=operation_of,
        all_of=OPERATIONS,
        operation="GetOperationDetails",
        setting="operation_details",
    )


def _read(
    ask: Callable[[str], Any],
    names: Iterator[str],
    job: str,
    *,
    limit: int,
    one: Callable[[str], str],
    all_of: str,
    operation: str,
    setting: str,
) -> Found:
    """Ask for the first names, each once, until the server proves not to offer it."""
    bodies: dict[str, Any] = {}
    gaps: list[Gap] = []
    notes: list[Gap] = []
    wanted = list(dict.fromkeys(islice(names, _MOST)))
    for name in wanted[:limit]:
        try:
            bodies[name] = ask(name)
        except NotOfferedError as error:
            notes.append(Gap(what=all_of, why=not_offered(error.message), job=job))
            return Found(bodies=bodies, gaps=tuple(gaps), notes=tuple(notes))
        except UnreadableError as error:
            gaps.append(
                Gap(
                    what=one(name),
                    why=error.message,
                    job=job,
                    operation=operation,
                    status=error.status,
                )
            )
    if left := len(wanted) - limit:
        notes += _over(left, limit, job, all_of, setting) if left > 0 else ()
    return Found(bodies=bodies, gaps=tuple(gaps), notes=tuple(notes))


def _over(left: int, limit: int, job: str, all_of: str, setting: str) -> Iterator[Gap]:
    why = f"only {limit} {_was(limit)} asked for, {left} more {_was(left)} not"
    why = f"{why if limit else 'none was asked for'}; [collect] {setting} is the limit"
    yield Gap(what=all_of, why=why, job=job)


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _cut(found: Found, job: str, most_bytes: int) -> Found:
    """The same with each log cut at its front, at a line's beginning where there is one."""
    bodies: dict[str, Any] = {}
    notes = list(found.notes)
    for address, body in found.bodies.items():
        contents = body.get("contents")
        raw = contents.encode("utf-8", "replace") if isinstance(contents, str) else b""
        if len(raw) <= most_bytes:
            bodies[address] = body
            continue
        end = raw[_beginning(raw, most_bytes) :]
        bodies[address] = {**body, "contents": end.decode("utf-8", "ignore"), "truncated": True}
        why = (
            f"{len(raw) - len(end)} bytes at its beginning were not kept; "
            f"[collect] log_bytes = {most_bytes} is the limit"
        )
        notes.append(Gap(what=log_of(address), why=why, job=job))
    return Found(bodies=bodies, gaps=found.gaps, notes=tuple(notes))


def _beginning(raw: bytes, most_bytes: int) -> int:
    """Where the last bytes of a log begin: with a line, and never inside a private key.

    What is taken out later is known by the line that begins it.
    """
    start = len(raw) - most_bytes
    first = raw.find(b"\n", start) + 1
    # A line as long as the limit has no beginning to be cut at.
    start = first if start < first < len(raw) else start
    begun = [found.end() for found in _KEY_BEGINS.finditer(raw, 0, start)]
    if begun and _KEY_ENDS.search(raw, begun[-1], start) is None:
        ends = _KEY_ENDS.search(raw, start)
        return ends.end() if ends else len(raw)
    return start


# Which logs and operations, in which order


def _addresses(detail: Any, attempts: Iterable[Any]) -> Iterator[str]:
    """Addresses of the logs that tell of failures, most telling first, wherever they lie."""
    extensions = detail.get("extensions") if isinstance(detail, dict) else None
    logs = extensions.get("logs") if isinstance(extensions, dict) else None
    own = logs.values() if isinstance(logs, dict) else ()
    return _named(_FILES, detail, attempts, own=own)


def _named(
    keys: tuple[str, ...], detail: Any, attempts: Iterable[Any], *, own: Iterable[Any]
) -> Iterator[str]:
    """A property of the failures, of failed tasks and shards, the job's own, of failed attempts.

    The first key of all parts comes before the second of any: another file of the first failure
    tells less than the first file of the second.
    """
    failures = detail.get("failures") if isinstance(detail, dict) else None
    told = [one for one in failures if isinstance(one, dict)] if isinstance(failures, list) else []
    for key in keys:
        yield from _texts(part.get(key) for part in told)
    latest = list(_latest(detail))
    for key in keys:
        yield from _texts(part.get(key) for part in latest)
    yield from _texts(own)
    earlier = list(_earlier(detail, attempts))
    for key in keys:
        yield from _texts(part.get(key) for part in earlier)


def _latest(detail: Any) -> Iterator[dict[str, Any]]:
    """Failed tasks and shards: their own rows, which are their latest attempts."""
    for task in tasks_of(detail):
        yield from (part for part in (task, *shards_of(task)) if _failed(part))


def _earlier(detail: Any, attempts: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Failed attempts that came inline or were asked for, the later ones of each task first.

    A preempted one is no failure: its machine was taken away, and its log just stops.
    """
    lists = [
        part.get("attemptsData") for task in tasks_of(detail) for part in (task, *shards_of(task))
    ]
    lists += [body.get("attempts") for body in attempts if isinstance(body, dict)]
    for tried in lists:
        known = (one for one in tried if isinstance(one, dict)) if isinstance(tried, list) else ()
        failed = [one for one in known if _failed(one) and not _preempted(one)]
        yield from sorted(failed, key=_number, reverse=True)


def _number(attempt: dict[str, Any]) -> int:
    number = attempt.get("attemptNumber")
    return number if isinstance(number, int) else 0


def _failed(part: dict[str, Any]) -> bool:
    return is_failure(part.get("executionStatus"))


def _preempted(attempt: dict[str, Any]) -> bool:
    status, messages = attempt.get("executionStatus"), attempt.get("failureMessages")
    texts = messages if isinstance(messages, list) else ()
    return was_preempted(status, (text for text in texts if isinstance(text, str)))


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str) and value)
