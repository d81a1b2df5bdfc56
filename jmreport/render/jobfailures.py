"""A job's failures: each with its message, where it happened, and the end of its log.

As the job reports them, those of tasks before those of the workflow as a whole; else those that its
failed tasks and shards tell of. A row without a log says why there is none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from jmreport.gaps import OPERATIONS
from jmreport.messages import is_preemption
from jmreport.models import (
    FailureMessage,
    IndividualAttempt,
    Shard,
    TaskMetadata,
    is_failure,
)
from jmreport.records import Record, moment
from jmreport.render import addresses, jobtasks, reasons, words
from jmreport.render.jobfacts import Link, Making
from jmreport.render.joblogs import Logs, LogTail
from jmreport.render.reading import Reading
from jmreport.render.reasons import Reason

MOST_FAILURES = 30
#: Logs of other failed calls that are shown after the failures.
MOST_LOGS = 20
#: Characters of a message that stand open, and of the whole one in its box.
OPEN_MESSAGE = 2_000
WHOLE_MESSAGE = 60_000
NONE_REPORTED = "No failure was reported, though the job failed."
#: The same where the server says in another place why: that follows.
_SAID_OF_THE_JOB = "The server lists no failure; it says of the job:"
_OF_TASKS = "These are its failed tasks."
_WORKFLOW = "Workflow Error"
_ATTEMPT = re.compile(r"/attempt-(\d{1,6})(?:/|$)")


class FailureView(Struct, frozen=True, kw_only=True, gc=False):
    """A failure; `whole` is its message where that is longer than what stands open, or in parts."""

    anchor: str
    task: Link | None
    where: str
    at: words.Moment | None
    facts: str
    message: str
    reasons: tuple[Reason, ...]
    whole: str
    log: LogTail
    links: tuple[Link, ...]
    job: Link | None
    #: Why the details of its operation are not on the page; "" where they are, or there is none.
    no_operation: str


class LogView(Struct, frozen=True, kw_only=True, gc=False):
    """The log of a failed call that no failure names, or one of the job's own."""

    task: Link | None
    name: str
    log: LogTail
    links: tuple[Link, ...]


class Failures(Struct, frozen=True, kw_only=True):
    """`said` is what is to be known before them, and `status_detail` what the server says of the
    job where it has no failures; `of_tasks` is said behind that. `logs` belong to none of them."""

    rows: tuple[FailureView, ...]
    count: int
    said: str
    status_detail: str
    of_tasks: str
    logs: tuple[LogView, ...]
    logs_left_out: int
    #: How many logs were not asked for, where a limit kept some out.
    logs_not_asked: str = ""
    #: Why none of the job's own logs is shown, where nothing else would say so.
    no_logs: str = ""


_NONE = Failures(rows=(), count=0, said="", status_detail="", of_tasks="", logs=(), logs_left_out=0)


def read(record: Record, reading: Reading, making: Making) -> Failures:
    """The failures of a job: as it reports them, else those its failed tasks tell of."""
    detail = reading.detail
    source = detail or reading.row
    failed = bool(source and source.status == "Failed")
    tasks = detail.extensions.tasks if detail else ()
    # Logs are read of a job that failed, and of one that goes on or was aborted with failed tasks.
    told_of = failed or any(_of_tasks(tasks))
    reported = detail.failures if detail else ()
    if not (told_of or reported):
        return _NONE
    told = sorted(reported, key=lambda one: one.task_name in (None, _WORKFLOW))
    told = told or list(_of_tasks(tasks))
    page = _Page(record, reading, tasks, making, failed=told_of)
    rows = tuple(page.failure(at, one) for at, one in enumerate(told[:MOST_FAILURES], 1))
    logs = page.other_logs() if told_of else ()
    said, silent = "", bool(failed and detail and not reported)
    status_detail = ""
    if silent and source:
        word = source.extensions.status_detail or ""
        status_detail = making.budget.take(word, OPEN_MESSAGE)
        said = _SAID_OF_THE_JOB if status_detail else NONE_REPORTED
    return Failures(
        rows=rows,
        count=len(told),
        said=said,
        status_detail=status_detail,
        of_tasks=_OF_TASKS if silent and rows else "",
        logs=logs[:MOST_LOGS],
        logs_left_out=len(logs[MOST_LOGS:]),
        logs_not_asked=page.logs_not_asked if told_of else "",
        no_logs=page.no_logs() if silent and not rows and not logs else "",
    )


def _of_tasks(tasks: Iterable[TaskMetadata]) -> Iterator[FailureMessage]:
    """Failed tasks, and of a scattered one its failed shards instead, also without a message."""
    for task in tasks:
        shards = [shard for shard in task.shards if is_failure(shard.execution_status)]
        parts: Sequence[TaskMetadata | Shard] = shards or [task]
        for part in parts:
            if not is_failure(part.execution_status):
                continue
            yield FailureMessage(
                failure=next(iter(part.failure_messages), ""),
                task_name=task.name,
                timestamp=part.end,
                backend_log=part.backend_log,
                call_root=part.call_root,
                operation_id=part.operation_id,
                shard_index=getattr(part, "shard_index", None),
                job_id=part.job_id,
            )


class _Place(Struct, frozen=True):
    """Where a log comes from: a task by its place, a shard, an attempt."""

    task: int
    name: str
    shard: int | None
    attempt: int | None


class _Page:
    """What all failures of one page share: the job's tasks, its logs and its operations."""

    def __init__(
        self,
        record: Record,
        reading: Reading,
        tasks: Sequence[TaskMetadata],
        making: Making,
        *,
        failed: bool,
    ) -> None:
        self._reading = reading
        self._tasks = tasks
        self._making = making
        self._failed = failed
        self._names = {task.name: at for at, task in enumerate(tasks, 1) if task.name}
        self._parts = jobtasks.parts(tasks)
        self._logs = Logs(reading.logs, record.gaps, record.notes)
        self._unread = {gap.of: gap.why for gap in record.gaps if gap.kind == "operation"}
        self._left = next((one.why for one in record.notes if one.what == OPERATIONS), "")

    def failure(self, at: int, failure: FailureMessage) -> FailureView:
        making = self._making
        place = self._place_of(failure.task_name)
        task = self._tasks[place - 1] if place else None
        chain = reasons.chain(failure.failure)
        first = reasons.deepest(chain) if chain else failure.failure
        message = making.budget.take(first, OPEN_MESSAGE)
        name = making.budget.name(failure.task_name or "", 200)
        return FailureView(
            anchor=addresses.anchor("failure", at),
            task=self._task(name, place) if name else None,
            where=_where(failure.shard_index, *_attempt(failure, task)),
            at=words.when(moment(failure.timestamp), making.facts.zone),
            facts=_facts(failure, task),
            message=message,
            reasons=tuple(
                Reason(one.depth, one.label, making.budget.take(one.text, OPEN_MESSAGE))
                for one in chain
            ),
            whole=making.budget.take(failure.failure, WHOLE_MESSAGE)
            if len(message) < len(failure.failure)
            else "",
            log=self._log(failure),
            links=making.places(failure.backend_log, failure.call_root, failure.operation_id),
            job=making.job(failure.job_id),
            no_operation=self._no_operation(failure.operation_id),
        )

    @property
    def logs_not_asked(self) -> str:
        """What a limit kept out, in a sentence."""
        return self._logs.not_asked

    def other_logs(self) -> tuple[LogView, ...]:
        """Logs that were asked for and belong to no failure shown: of calls, and the job's own."""
        wanted = self._logs.unshown()
        if not wanted:
            return ()
        places, names = self._places(), self._own_names()
        found = []
        for address in wanted:
            place = places.get(address)
            task = None
            name = self._making.budget.name(names.get(address) or address, 200)
            if place:
                task = self._task(self._making.budget.name(place.name, 200), place.task)
                name = _where(place.shard, place.attempt, None)
            log = self._logs.of(address, self._making, failed=True)
            links = self._making.places(address, None, None)
            found.append(LogView(task=task, name=name, log=log, links=links))
        return tuple(found)

    def _task(self, name: str, place: int | None) -> Link:
        """A task, linked where it has a part of its own."""
        return Link(name, f"#task-{place}" if place in self._parts else None)

    def no_logs(self) -> str:
        """Why there is nothing of the logs that a job names for itself; "" where it names none."""
        own = self._own_names()
        return self._logs.instead(own).why_not if own else ""

    def _place_of(self, name: str | None) -> int | None:
        """The task a failure names, whole or by its last part; servers match by suffix too."""
        if not name:
            return None
        return self._names.get(name) or self._names.get(name.rpartition(".")[2])

    def _log(self, failure: FailureMessage) -> LogTail:
        if failure.job_id and not failure.backend_log:
            if failure.job_id in self._making.unread:
                return LogTail(why_not="Its log is with the sub-job, which was not read.")
            return LogTail(why_not="Its log is with the sub-job.")
        if not failure.backend_log:
            return self._logs.instead(self._own_names())
        return self._logs.of(failure.backend_log, self._making, failed=self._failed)

    def _no_operation(self, operation: str | None) -> str:
        if not operation or operation in self._making.operations or not self._failed:
            return ""
        why = self._unread.get(operation) or self._left
        return f"Details of its operation were not read ({why})." if why else ""

    def _places(self) -> Mapping[str, _Place]:
        """Whose log an address is, of all calls the answers tell of; the first that names it."""
        found: dict[str, _Place] = {}
        for at, task in enumerate(self._tasks, 1):
            name = task.name or "(no name)"
            asked = self._reading.attempts.get(name)
            tried: list[tuple[int | None, Sequence[IndividualAttempt]]] = [
                (None, task.attempts_data),
                (None, asked.attempts if asked else ()),
            ]
            for shard in task.shards:
                tried.append((shard.shard_index, shard.attempts_data))
                answer = self._reading.shard_attempts.get((name, str(shard.shard_index)))
                tried.append((shard.shard_index, answer.attempts if answer else ()))
            for shard_index, attempts in tried:
                for one in attempts:
                    place = _Place(at, name, _shard(shard_index, one), one.attempt_number)
                    found.setdefault(one.backend_log or "", place)
            for shard in task.shards:
                found.setdefault(shard.backend_log or "", _Place(at, name, shard.shard_index, None))
            found.setdefault(task.backend_log or "", _Place(at, name, None, None))
        return found

    def _own_names(self) -> dict[str, str]:
        """The names that a job gives its own logs."""
        source = self._reading.detail or self._reading.row
        logs = source.extensions.logs if source else {}
        return {address: name for name, address in logs.items() if isinstance(address, str)}


def _shard(index: int | None, attempt: IndividualAttempt) -> int | None:
    """A flattened attempt tells its shard by its folder."""
    if index is not None:
        return index
    found = re.search(r"/shard-(\d{1,9})(?:/|$)", attempt.call_root or attempt.backend_log or "")
    return int(found[1]) if found else None


def _where(shard: int | None, attempt: int | None, attempts: int | None) -> str:
    """The words "shard 7, attempt 2 of 3"; -1 is a task that is not scattered."""
    said = [f"shard {shard}"] if shard is not None and shard >= 0 else []
    if attempt and (attempt > 1 or attempts is None or attempts > 1):
        said.append(f"attempt {attempt}" + (f" of {attempts}" if attempts else ""))
    return ", ".join(said)


def _attempt(failure: FailureMessage, task: TaskMetadata | None) -> tuple[int | None, int | None]:
    """Which attempt a failure tells of, and of how many, as far as its folder and task tell."""
    if task is None:
        return None, None
    shard = next((s for s in task.shards if s.shard_index == failure.shard_index), None)
    part: TaskMetadata | Shard | None = shard or (None if task.shards else task)
    attempts = part.attempts if part else None
    found = _ATTEMPT.search(failure.call_root or failure.backend_log or "")
    if found:
        return int(found[1]), attempts
    if part and failure.call_root and failure.call_root != part.call_root and part.call_root:
        return 1, attempts
    return attempts, attempts


def _facts(failure: FailureMessage, task: TaskMetadata | None) -> str:
    """The return code of the task, and whether its machine was taken away."""
    said = []
    if task is not None and task.return_code is not None:
        said.append(f"return code {task.return_code}")
    if is_preemption(failure.failure):
        said.append("preempted on its last attempt")
    return " · ".join(said)
