"""The jobs of the demo laboratory: who ran what, when, and how it ended.

Job `k` is a pure function of the seed and `k`; nothing is stored. A `Job` is what a row of the list
needs, and is cheap; `plan` works out the tasks of one job from it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from msgspec import Struct

from . import causes, stories
from .causes import Cause
from .ids import MOST_CHILDREN
from .timeline import DAY, HOUR, MINUTE, SECOND, Timeline, night_of
from .workflows import BY_NAME, TOP, Task, Workflow, reached

OWNERS = ("ana", "li", "omar", "ana", "li", "omar", "ana", "jana", "li", "wei")
PROJECTS = {
    "ana": "rare-disease",
    "li": "methylome",
    "omar": "tumour-atlas",
    "jana": "biobank",
    "wei": "methylome",
}
PANELS = ("hrc1", "topmed-r3", "1kg-30x")

Fate = Literal["Succeeded", "Failed", "Aborted"]
Status = Literal["Submitted", "OnHold", "Running", "Aborting", "Failed", "Succeeded", "Aborted"]
STATUSES: tuple[Status, ...] = (
    "Submitted",
    "OnHold",
    "Running",
    "Aborting",
    "Failed",
    "Succeeded",
    "Aborted",
)
TERMINAL = frozenset({"Failed", "Succeeded", "Aborted"})

NEVER = 1 << 62


class Routine(Struct, frozen=True, kw_only=True, eq=False):
    """A piece of work that is done every night: the n-th job of each night is the same one."""

    workflow: Workflow
    owner: str
    subject: str  # the sample or cohort that it works on
    part: int  # which of the night's two batches it goes with
    panel: str
    speed: float  # how long it takes, against other jobs of its workflow
    phase: int
    labelled: bool  # whether anybody told the server whose it is
    dice: int  # what is the same in all its jobs, its inputs among it
    zone: str = ""  # where all its machines are; "": anywhere


class Job(Struct, frozen=True, kw_only=True, eq=False):
    """One job, from its submission to its end, as it would go if nobody interfered.

    `held` is when it was released from OnHold (0: never held); `aborting` when somebody asked to
    abort it (`NEVER`: nobody). `due` is when it ends by itself, `end` when it does. A failure
    without a `task` is the workflow's own. `stage_factor` stretches one stage.
    """

    k: int
    night: int
    place: int
    dice: bytes
    routine: Routine
    submitted: int
    held: int
    start: int
    due: int
    end: int
    fate: Fate
    cause: Cause | None
    task: Task | None
    aborting: int
    span: int  # how long all of it would take
    stage_factor: tuple[int, float] | None
    shards: int  # the number of shards where it is a particular one, else 0
    lost: int | None = None  # attempts that each call loses its machine in; None: as luck has it

    @property
    def workflow(self) -> Workflow:
        return self.routine.workflow

    def status(self, now: int) -> Status:
        """The job's status at a moment."""
        if now >= self.end:
            return self.fate
        if now >= self.aborting:
            return "Aborting"
        if now >= self.start:
            return "Running"
        return "OnHold" if now < self.held else "Submitted"

    def started(self, now: int) -> bool:
        """Whether it has ever run: one that was aborted while it waited never does."""
        return self.start <= min(now, self.aborting)


def _by_weight() -> tuple[Workflow, ...]:
    """Each workflow as often as its weight says."""
    return tuple(workflow for workflow in TOP for _ in range(workflow.weight))


_WEIGHTED = _by_weight()
# The first jobs of each night make sure that there is one of each rare kind within a few nights.
_HELD, _WIDE, _STUCK, _ABORTED, _NESTED = range(5)
_FIXED = {_WIDE: "wgs_coverage", _STUCK: "sv_merge", _NESTED: "cohort_panel"}
_ROUTINE_PERCENT = 85
_WIDE_NIGHT = 5  # the one that begins on Saturday
#: Of a laboratory with fewer jobs, two nights of a week have a wide scatter: there would be little
#: else in it otherwise.
_SMALL = 1_000
_WIDTHS_OF_SMALL = {_WIDE_NIGHT: 300, _WIDE_NIGHT - 3: 200}
_USUAL_OF_SMALL = 12


class World:
    """All jobs of one seed."""

    def __init__(self, *, seed: int, timeline: Timeline, shards: int = 0) -> None:
        self.timeline = timeline
        self._shards = shards
        self.seed = seed
        self._key = seed.to_bytes(16, "big", signed=True)
        # Beyond its routine a night has jobs of all kinds; their number varies from night to night.
        self._routines = max(8, timeline.jobs * _ROUTINE_PERCENT // 3_500)
        self.routine = lru_cache(maxsize=1 << 15)(self._routine)

    def roll(self, what: bytes, number: int, size: int) -> bytes:
        """Random bytes that belong to a thing and a number, the same ones each time."""
        text = what + number.to_bytes(9, "big", signed=True)
        return blake2b(text, key=self._key, digest_size=size).digest()

    def _routine(self, place: int) -> Routine:
        dice = self.roll(b"routine", place, 12)
        # Steps of the golden ratio spread the workflows evenly over even a few places.
        step = (place * 618_034 + self.seed * 7_919) % 1_000_000 * len(_WEIGHTED) // 1_000_000
        name = _FIXED.get(place)
        workflow = BY_NAME[name] if name else _WEIGHTED[step]
        owner = OWNERS[dice[0] % len(OWNERS)]
        number = int.from_bytes(dice[1:3], "big")
        if workflow.subject == "cohort":
            subject = f"{('adult', 'child', 'trio', 'elder')[dice[3] % 4]}-{number % 400:03}"
        else:
            subject = f"NA{10_000 + (number * 7 + place) % 89_999}"
        return Routine(
            workflow=workflow,
            owner=owner,
            subject=subject,
            part=int(dice[4] > 80),
            panel=PANELS[dice[5] % len(PANELS)],
            speed=0.75 + dice[6] / 400,
            phase=dice[7],
            labelled=dice[8] >= 24,
            dice=int.from_bytes(dice[1:9], "big"),
        )

    def job(self, k: int, *, lead: int | None = None) -> Job:
        """Job `k`; with `lead`, as one more piece of the work that job `lead` began."""
        submitted = self.timeline.time(k)
        night = night_of(submitted)
        place = (k if lead is None else lead) - self.timeline.first_of_night(night)
        dice = self.roll(b"job", k, 28)
        # Work that is not routine has a place of its own, never used again.
        alone = place >= self._routines or place < 0
        routine = self.routine((1 << 40) + (lead or k) if alone else place)
        workflow = routine.workflow
        wait, held = self._wait(submitted, night, place, dice)
        start = held + wait if held else submitted + wait
        factor = stories.slow(workflow.name, night)
        span = int(workflow.minutes * MINUTE * routine.speed * (0.88 + dice[0] / 1_100))
        if factor:
            stage, times = factor
            before = reached(workflow)[stage - 1] if stage else 0.0
            span = int(span * (1 + (reached(workflow)[stage] - before) * (times - 1)))
        cause, task = self._failure(routine, night, place, dice)
        shards = self._width(night, place)
        if place == _WIDE and shards == self._shards > 0:
            cause, task = causes.KILLED, workflow.tasks[1]
        fate: Fate = "Failed" if cause else "Succeeded"
        end, aborting = start + span, NEVER
        if cause is not None:
            end = failing_end(workflow, start, span, cause, task, dice[1])
        stuck = (place == _STUCK and night % 4 == 2) or dice[2:4] == b"\x5a\x5a"
        if stuck:
            # Still going long after its usual end; it gets there in the end.
            factor, cause, task, fate = (workflow.stages - 2, 60.0), None, None, "Succeeded"
            end = start + span * 20
            span = end - start
        due = end
        if cause is None and not stuck and (dice[4] < 3 or (place == _ABORTED and night % 2)):
            fate = "Aborted"
            aborting = start + span * (20 + dice[5] % 70) // 100
            # Most aborts take a minute or two; some hang until somebody looks.
            slowly = place == _ABORTED
            end = aborting + (20 * HOUR if slowly else (15 + dice[6]) * SECOND)
        return Job(
            k=k,
            night=night,
            place=place,
            dice=dice,
            routine=routine,
            submitted=submitted,
            held=held,
            start=start - start % 1_000,
            due=due - due % 1_000,
            end=end - end % 1_000,
            fate=fate,
            cause=cause,
            task=task,
            aborting=aborting,
            span=span,
            stage_factor=factor,
            shards=shards,
        )

    def withheld(self, job: Job, now: int) -> bool:  # noqa: ARG002 - other worlds look at them
        """Whether the server cannot show a job just now."""
        return False

    def _width(self, night: int, place: int) -> int:
        """The number of shards of a scatter that has a particular one, else 0.

        Once a week there is one as wide as was asked for, and one of as many sub-workflows as ids
        have room for.
        """
        if self._shards and night % 7 == _WIDE_NIGHT:
            widths = {_WIDE: self._shards, _NESTED: min(self._shards, MOST_CHILDREN)}
            return widths.get(place, 0)
        if place != _WIDE:
            return 0
        if self.timeline.jobs < _SMALL:
            return _WIDTHS_OF_SMALL.get(night % 7, _USUAL_OF_SMALL)
        return (200, 300, 0)[night % 3]

    def _wait(self, submitted: int, night: int, place: int, dice: bytes) -> tuple[int, int]:
        """How long a job waits before it starts, and until when it is held first (0: it isn't)."""
        wait = (4 + dice[7] % 90 + (dice[8] * dice[8] >> 8)) * SECOND + dice[9] * 3_000
        if place == _HELD and night % 3 == 2:
            return wait, submitted + 62 * HOUR
        if dice[10:12] < b"\x00\x80":
            return wait, submitted + 9 * HOUR
        if place == _STUCK and night % 4 == 3:
            return wait + 30 * HOUR, 0
        return wait, 0

    def _failure(
        self, routine: Routine, night: int, place: int, dice: bytes
    ) -> tuple[Cause | None, Task | None]:
        """Why a job fails and in which task; (None, None) for one that doesn't."""
        workflow = routine.workflow
        story = stories.told(
            workflow.name, night=night, owner=routine.owner, part=routine.part, dice=dice[12]
        )
        if story is not None:
            named = next(task for task in workflow.tasks if task.name == story.task)
            return story.cause, named
        if place < self._routines:
            # What breaks stays broken for some nights, until somebody mends it.
            spell = self.roll(b"spell", (place << 20) + (night + routine.phase) // 5, 3)
            if spell[0] < 5:
                return self._in_task(workflow, stories.everyday(spell[1]), spell[2])
        if dice[13] < 6:
            return self._in_task(workflow, stories.everyday(dice[14]), dice[15])
        return None, None

    @staticmethod
    def _in_task(workflow: Workflow, cause: Cause, dice: int) -> tuple[Cause, Task | None]:
        if cause.whole:
            return cause, None
        task, cause = stories.culprit(workflow, cause, dice)
        return cause, task


def failing_end(
    workflow: Workflow, start: int, span: int, cause: Cause, task: Task | None, dice: int
) -> int:
    """When a job that fails ends."""
    if task is None:
        # Refused at once, or (when no reason is given) after a while.
        return start + ((5 + dice % 40) * SECOND if cause is causes.INPUTS else span // 3)
    before = reached(workflow)[task.stage - 1] if task.stage else 0.0
    within = reached(workflow)[task.stage] - before
    # Most failures come somewhere in the stage; those that use up attempts take longer than it.
    part = 0.3 + dice / 500 + 0.45 * (cause.tries - 1)
    if cause is causes.TIMEOUT:
        return start + int(span * before) + DAY // 2
    return start + int(span * (before + within * part))
