"""A job seen at one moment: what of its plan has happened by then, where its files are, and what
its failed attempts say."""

from __future__ import annotations

from . import causes, places
from .causes import Scene
from .ids import Path, Uuids
from .plan import Attempt, Call, Run, TaskRun, of_child, tasks
from .timeline import iso


class Look:
    """A run seen at one moment, with its plan worked out."""

    def __init__(self, run: Run, *, ids: Uuids, now: int) -> None:
        self.run = run
        self.ids = ids
        self.now = now
        self.cut = run.cut(now)
        self.id = ids.of(run.k, run.path)
        self.root = places.root(run, self.id)
        self.tasks = [task for task in tasks(run) if _begun(task) <= self.cut]
        self.cloud = not run.workflow.local

    def state(self, attempt: Attempt) -> str:
        """An attempt's status. A preempted one is Failed: servers have no word of its own for it
        (backends habit 34)."""
        if attempt.start > self.cut:
            # Nothing is ever Submitted in a job that has stopped.
            return "Aborted" if self.now >= self.run.end else "Submitted"
        if attempt.end <= self.cut:
            return "Failed" if attempt.cause or attempt.preempted else "Succeeded"
        if self.run.aborting <= self.now:
            return "Aborted" if self.now >= self.run.end else "Aborting"
        return "Running"

    def ended(self, attempt: Attempt) -> str | None:
        """When an attempt ended, or None as long as it hasn't."""
        if attempt.end <= self.cut:
            return iso(attempt.end - attempt.end % 1_000)
        if self.now >= self.run.end and attempt.start <= self.cut:
            return iso(self.run.end)
        return None

    @property
    def status(self) -> str:
        """The job's own status; one that is held counts as Submitted here."""
        run = self.run
        if self.now >= run.end:
            return run.fate
        if self.now >= run.aborting:
            return "Aborting"
        return "Running" if self.now >= run.start else "Submitted"

    def shown(self, call: Call) -> list[Attempt]:
        """The attempts that have begun; the first one always counts."""
        return [call.attempts[0]] + [x for x in call.attempts[1:] if x.start <= self.cut]

    def scene(self, task: TaskRun, call: Call, attempt: Attempt) -> Scene:
        """Where an attempt happened, for messages and logs."""
        folder = places.call_root(self.root, task.task.name, call.shard, attempt.number)
        return Scene(
            workflow=self.run.workflow.name,
            task=task.task.name,
            shard=call.shard,
            attempt=attempt.number,
            call_root=folder,
            log=f"{folder}/{places.log_name(task.task.name, call.shard)}",
            sample=self.run.subject,
            image=task.task.image,
            dice=places.mix(self.run, task.place, call.shard, attempt.number),
        )

    def message(self, task: TaskRun, call: Call, attempt: Attempt) -> str | None:
        """Why an attempt failed, or None if it didn't (yet)."""
        if attempt.end > self.cut:
            return None
        if attempt.cause is not None:
            if task.task.sub is not None:
                return self._below(task, call)
            return attempt.cause.message(self.scene(task, call, attempt))
        if attempt.preempted:
            return causes.preemption(self.scene(task, call, attempt))
        return None

    def child(self, task: TaskRun, call: Call) -> Look:
        """The sub-workflow behind a call."""
        return Look(of_child(self.run, task.task, call), ids=self.ids, now=self.now)

    def at(self, path: Path) -> Look | None:
        """The sub-workflow at a path below this job, or None if it doesn't exist (yet)."""
        look = self
        for place in path:
            inner = next((task for task in look.tasks if task.task.sub is not None), None)
            if inner is None or place > len(inner.calls):
                return None
            call = inner.calls[place - 1]
            if call.attempts[0].start > look.cut:
                return None
            look = look.child(inner, call)
        return look

    def _below(self, task: TaskRun, call: Call) -> str:
        """The message of the sub-workflow that failed: the deepest one, as only that says why."""
        child = self.child(task, call)
        for inner in child.tasks:
            for each in inner.calls:
                attempt = each.attempts[-1]
                if attempt.cause is not None:
                    return child.message(inner, each, attempt) or ""
        return f"Sub-workflow {child.run.workflow.name} failed"


def _begun(task: TaskRun) -> int:
    return task.calls[0].attempts[0].start
