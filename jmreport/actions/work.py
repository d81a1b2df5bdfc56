"""What happens behind the gate: confirm pages, forms that come back, and what came of them.

Everything here is plain and blocking; `server` calls it in threads. A page is a value of
`jmreport.deeds`; a request that is turned away is a `Refusal` or a `Turned`.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from jmreport.actions import acting
from jmreport.actions.allowed import Allowed
from jmreport.actions.audit import Audit
from jmreport.actions.forms import Forms, Person, Rate
from jmreport.client import Client
from jmreport.deeds import (
    ACTIONS,
    Action,
    Ask,
    Deed,
    JobState,
    LabelField,
    Pick,
    Told,
    Turned,
    Wish,
    label_mistake,
    one_line,
)
from jmreport.errors import JmreportError
from jmreport.models import JOB_STATUSES, DisplayField

#: Jobs that are read at once for a page of many, and listed at once to choose from.
AT_ONCE = 6
MOST_LISTED = 200
#: Forms that are worked on at a time, and seconds for which whoever sent one waits for its end
#: before being led to the page that tells how far it is: proxies give up after half a minute.
FORMS_AT_ONCE, WAITED = 32, 5.0
#: Seconds for which a page waits for the jobs that it is about; the rest is told as not read.
READ_WITHIN = 15.0
_LABELS = "labels."
#: How a form names its fields: what was typed, and what is to be emptied.
_TYPED, _CLEAR = "label.", "clear."
FLAG = "flag"
#: What stands for a value that a form does not hold.
_DIGEST = "digest:"
#: Controls, changes of direction, half surrogates: a page shows something else in their place.
_UNSEEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
NO_FIELDS = (
    "This server names no label that may be changed here. `jmreport label` can try any other."
)


class TurnedError(Exception):
    """A person's request that is turned away with a page that says why, and what to do."""

    def __init__(self, page: Turned, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(page.why)
        self.page = page
        self.headers = dict(headers or {})


class Known(Protocol):
    """What the snapshots know."""

    def job(self, job: str) -> JobState | None:
        """A job that some run has seen."""

    def jobs(self) -> Sequence[JobState]:
        """The jobs of the last run, newest first."""


class Upstream:
    """The Job Manager behind the server, looked for when it is first needed. Thread-safe."""

    def __init__(
        self, client: Client, fields: Callable[[Client], tuple[DisplayField, ...]]
    ) -> None:
        self._client, self._read_fields = client, fields
        self._lock = threading.Lock()
        self._found = False
        self._fields: tuple[DisplayField, ...] | None = None

    def client(self) -> Client:
        """The client, once a Job Manager has answered. Raises ServerError or RefusedError."""
        with self._lock:
            if not self._found:
                self._client.probe()
                self._found = True
        return self._client

    def fields(self) -> tuple[DisplayField, ...]:
        """The columns that the server names, read once."""
        client = self.client()
        with self._lock:
            if self._fields is None:
                self._fields = self._read_fields(client)
            return self._fields


class Recent(Struct, frozen=True):
    """Labels that the server took, and when: it may be slow to show them. `shown` are the same
    without secrets."""

    at: datetime
    labels: dict[str, str]
    shown: dict[str, str]


class Work:
    """One server's work. Thread-safe."""

    def __init__(
        self,
        *,
        allowed: Allowed,
        known: Known,
        upstream: Upstream,
        audit: Audit,
        forms: Forms,
        rate: Rate,
        most: int,
        mode: str,
        now: Callable[[], datetime],
        clean: acting.Clean,
    ) -> None:
        self.allowed, self.known, self.upstream = allowed, known, upstream
        self.audit, self.forms, self.rate = audit, forms, rate
        self.most, self.mode, self.now = most, mode, now
        self._clean = clean
        self.stopping = threading.Event()
        self._recent: dict[str, Recent] = {}
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="jmreport-read")
        self._doing = ThreadPoolExecutor(FORMS_AT_ONCE, thread_name_prefix="jmreport-do")

    def close(self) -> None:
        """Nothing more is read or sent; what is under way comes to its end."""
        self.stopping.set()
        self._doing.shutdown(wait=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    # Pages

    def ask(
        self,
        person: Person,
        action: Action,
        jobs: Sequence[str],
        *,
        wrong: str = "",
        sent: Mapping[str, str] | None = None,
    ) -> Ask:
        """The confirm page of some jobs, with what a form held that was `wrong`.

        Raises TurnedError.
        """
        jobs = self._permitted(person, action, jobs)
        states = self._states(person, action, jobs)
        notes = self._notes(action, states)
        fields = self._fields(states) if action == "labels" else ()
        if sent is not None:
            fields = tuple(_as_sent(each, sent) for each in fields)
        cannot = ""
        if action == "abort" and all(state.finished for state in states):
            cannot = "Nothing is left to abort: what has ended cannot be stopped."
        elif action == "labels" and not fields:
            cannot = NO_FIELDS
        csrf, key = ("", "") if cannot else self.forms.new(person, action, jobs)
        return Ask(
            action=action,
            who=person.who,
            jobs=states,
            fields=fields,
            notes=notes,
            csrf=csrf,
            key=key,
            cannot=cannot,
            wrong=wrong,
            flags=next((each.values for each in fields if each.key == FLAG), ()),
        )

    def pick(
        self, person: Person, *, status: str, name: str, label: str, all_: bool = False
    ) -> Pick:
        """The jobs of the last snapshot that fit, to choose from."""
        may = frozenset(each for each in ACTIONS if self.allowed.ever(person.who, each))
        key, _, value = label.partition("=")
        fitting = [
            state
            for state in self.known.jobs()
            if (not status or state.status == status)
            and (not name or name.lower() in state.name.lower())
            and (not label or (key in state.labels and value in ("", state.labels[key])))
            and any(not self.allowed.why_not(person.who, each, state.labels, {}) for each in may)
        ]
        return Pick(
            who=person.who,
            jobs=tuple(fitting[:MOST_LISTED]),
            status=status,
            name=name,
            label=label,
            more=max(0, len(fitting) - MOST_LISTED),
            statuses=JOB_STATUSES,
            may=may,
            most=self.most,
            all=all_,
        )

    def told(self, person: Person, key: str) -> Told:
        """What came of a form. Raises TurnedError where this person sent no such form."""
        told = self.forms.told(key, person)
        if told is None:
            raise _turned(404, "Nothing is known of this form", "It was sent by somebody else, "
                          "long ago, or before the server was started.")  # fmt: skip
        return told

    # Forms

    def send(
        self, person: Person, action: Action, jobs: Sequence[str], form: Mapping[str, str]
    ) -> Told | Ask:
        """Do what a form asks for, once; or the confirm page again where the form was wrong.

        What takes long is told as pending, and goes on.
        Raises TurnedError for a form that is not ours, a person who may not, or too many at once.
        """
        jobs = self._permitted(person, action, jobs)
        key = form.get("idempotency-key", "")
        why = self.forms.why_not(form.get("csrf", ""), key, person, action, jobs)
        if why:
            raise _turned(403, "This form cannot be taken", f"Nothing was sent: {why}.",
                          href=_page_of(action, jobs), link="Load the page again")  # fmt: skip
        if (told := self.forms.told(key, person)) is not None:
            return replace(told, again=True)
        states = self._states(person, action, jobs)
        if action == "labels":
            labels, wrong = self._labels(states, form)
            if wrong:
                return self.ask(person, action, jobs, wrong=wrong, sent=form)
        else:
            labels = {}
        self._may_all(person, action, states, labels)
        if (seconds := self.rate.wait(person.who, len(jobs))) > 0:
            raise _turned(
                429,
                "Too many at a time",
                f"Nothing was sent. Try again in {max(1, round(seconds))} s.",
                href=_page_of(action, jobs),
                link="Back to the form",
                headers={"Retry-After": str(max(1, round(seconds)))},
            )
        told = self._first(person, key, action, states, labels)
        if not self.forms.begin(key):
            return replace(self.forms.told(key, person) or told, again=True)
        self.forms.end(key, told)
        wish = Wish(action=action, labels=labels)
        doing = self._doing.submit(self._do, person, key, states, wish, told)
        wait((doing,), timeout=WAITED)
        if doing.done() or self.stopping.is_set():
            return doing.result()
        return self.forms.told(key, person) or told

    def _first(
        self,
        person: Person,
        key: str,
        action: Action,
        states: Sequence[JobState],
        labels: dict[str, str],
    ) -> Told:
        return Told(
            action=action,
            who=person.who,
            at=self.now(),
            key=key,
            deeds=(),
            names={state.id: state.name for state in states},
            before={s.id: {name: s.labels.get(name, "") for name in labels} for s in states},
            changed={
                s.id: frozenset(
                    name for name, value in labels.items() if s.real_labels.get(name, "") != value
                )
                for s in states
            },
            pending=True,
        )

    def _do(
        self, person: Person, key: str, states: Sequence[JobState], wish: Wish, told: Told
    ) -> Told:
        """Send it for each job, telling the audit before and after."""
        by_id = {state.id: state for state in states}
        shown: dict[str, Wish] = {}
        tried = set()

        def one(job: str) -> Deed:
            tried.add(job)
            return self._one(person, key, by_id[job], wish, shown[job])

        try:
            for state in states:
                shown[state.id] = replace(wish, labels=self._told_of(state, wish.labels)[0])
            for deed in acting.act_on_all(
                [state.id for state in states], wish, one, stopping=self.stopping.is_set
            ):
                deed = replace(deed, wish=shown[deed.job])
                if deed.job not in tried:
                    self._left_out(person, key, deed)
                told = replace(told, deeds=(*told.deeds, deed))
                self.forms.end(key, told)
        finally:
            # Whatever happens, nobody is left looking at a page that says "under way".
            told = replace(told, pending=False)
            self.forms.end(key, told)
        return told

    def _one(self, person: Person, key: str, state: JobState, wish: Wish, shown: Wish) -> Deed:
        """`shown` is the wish without secrets, as it is told."""
        job = state.id
        if wish.action == "abort" and state.finished:
            said = f"already finished: {state.ended}"
            deed = Deed(job=job, wish=wish, came="refused", said=said, state=state)
            return self._left_out(person, key, deed)
        try:
            client = self.upstream.client()
            self.audit.asked(
                form=key,
                who=person.who,
                mode=self.mode,
                job=job,
                action=wish.action,
                status=state.status,
                **(
                    {
                        "labels": shown.labels,
                        "before": {name: state.labels.get(name, "") for name in wish.labels},
                    }
                    if wish.action == "labels"
                    else {}
                ),
            )
        except JmreportError as error:
            deed = Deed(job=job, wish=wish, came="not sent", said=error.message)
            return self._left_out(person, key, deed)
        deed = acting.act(client, job, wish, self._clean)
        if deed.done and wish.action == "labels":
            self._recent[job] = Recent(self.now(), dict(wish.labels), shown.labels)
        # A server may repeat in its answer what was sent.
        deed = replace(deed, said=self._told_of(state, wish.labels, deed.said)[1])
        try:
            self.audit.came(form=key, job=job, came=deed.came, said=deed.said, answer=deed.status)
        except JmreportError as error:
            said = f"{deed.said}; and {error.message}, so this is told nowhere but here"
            return replace(deed, said=said)
        return deed

    def _told_of(
        self, state: JobState, wanted: Mapping[str, str], said: str = ""
    ) -> tuple[dict[str, str], str]:
        """Wanted labels of a job and what a server said, without secrets of either or of the job's
        labels: a value that is hashed under one is hashed in the others too."""
        _, labels, clean = self._clean(
            {
                "held": {key: value for key, value in state.real_labels.items() if value},
                "labels": {key: value for key, value in wanted.items() if value},
                "said": said,
            }
        ).values()
        # Nothing is no secret.
        rest = iter(labels.values())
        return {key: next(rest) if value else "" for key, value in wanted.items()}, clean

    def _left_out(self, person: Person, key: str, deed: Deed) -> Deed:
        """A job of a form of which the Job Manager was not asked; the audit tells of it too."""
        with suppress(JmreportError):  # then nothing can be told there, and nothing was sent
            self.audit.left_out(
                form=key,
                who=person.who,
                job=deed.job,
                action=deed.wish.action,
                came=deed.came,
                said=deed.said,
            )
        return deed

    # What a request may be about

    def _permitted(self, person: Person, action: Action, jobs: Sequence[str]) -> list[str]:
        """The jobs, each once: known to the snapshots, and this person's to act on."""
        jobs = list(dict.fromkeys(jobs))
        if not jobs:
            raise _turned(400, "No job is named", "Choose one, or come here from a job's page.",
                          href=_CHOOSE, link="Choose jobs")  # fmt: skip
        if len(jobs) > self.most:
            command = "abort" if action == "abort" else "label"
            why = f"{len(jobs)} are named, and one form takes {self.most} at most."
            raise _turned(400, "Too many jobs",
                          f"{why} `jmreport {command} --from-file` takes any number.",
                          href=_CHOOSE, link="Choose others")  # fmt: skip
        if not self.allowed.ever(person.who, action):
            raise _turned(403, "You may not do this", f"No rule allows it to {person.who}.")
        for job in jobs:
            state = self.known.job(job)
            if state is None:
                raise _turned(404, "No such job", "No snapshot knows a job of this id.",
                              href=_CHOOSE, link="Choose others")  # fmt: skip
            self._may(person, action, state, {})
        return jobs

    def _states(self, person: Person, action: Action, jobs: Sequence[str]) -> tuple[JobState, ...]:
        """Each job as its server shows it now, which decides too whose it is."""
        client = self.upstream.client()
        reading = [self._pool.submit(acting.read, client, job, self._clean) for job in jobs]
        wait(reading, timeout=READ_WITHIN)
        silent = f"no answer within {READ_WITHIN:g} s"
        states = tuple(
            self._silent(job, silent) if future.cancel() or not future.done() else future.result()
            for job, future in zip(jobs, reading, strict=True)
        )
        self._may_all(person, action, states, {})
        return states

    def _silent(self, job: str, why: str) -> JobState:
        """A job that could not be read in time, under the name that the snapshots know."""
        known = self.known.job(job)
        return JobState(id=job, name=known.name if known else "", why=why)

    def _may_all(
        self, person: Person, action: Action, states: Sequence[JobState], new: Mapping[str, str]
    ) -> None:
        for state in states:
            if state.read:
                self._may(person, action, state, new)
            elif new and (known := self.known.job(state.id)):
                self._may(person, action, known, new)

    def _may(self, person: Person, action: Action, state: JobState, new: Mapping[str, str]) -> None:
        if why := self.allowed.why_not(person.who, action, state.real_labels, new):
            raise _turned(403, "You may not do this", f"{why}: {state.id}.")

    def _notes(self, action: Action, states: Sequence[JobState]) -> dict[str, str]:
        notes = {}
        for state in states:
            if not state.read:
                notes[state.id] = f"it cannot be read now: {state.why}"
            elif action == "abort" and state.finished:
                notes[state.id] = f"already finished: {state.ended}; left out"
            elif action == "abort" and state.status == "Aborting":
                notes[state.id] = "it is being aborted already"
            elif action == "labels" and (late := self._late(state)):
                notes[state.id] = late
        return notes

    def _late(self, state: JobState) -> str:
        """What the server took and does not show yet."""
        recent = self._recent.get(state.id)
        if recent is None:
            return ""
        late = [
            f"{key}={recent.shown[key]}"
            for key, value in recent.labels.items()
            if state.real_labels.get(key, "") != value
        ]
        if not late:
            return ""
        at = recent.at.astimezone(UTC)
        return f"at {at:%H:%M} UTC the server took {', '.join(late)}; it does not show it yet"

    # Labels

    def _fields(self, states: Sequence[JobState]) -> tuple[LabelField, ...]:
        """The labels that may be changed, of one job or of several at once."""
        found = []
        for each in self.upstream.fields():
            may = each.editable if len(states) == 1 else each.bulk_editable
            if not may or not each.field.startswith(_LABELS) or each.field == _LABELS:
                continue
            key = each.field[len(_LABELS) :]
            values = {state.real_labels.get(key, "") for state in states}
            real, shown = values.pop(), states[0].labels.get(key, "")
            write_only = real != shown or not _comes_back(real)
            found.append(
                LabelField(
                    key=key,
                    display=each.display,
                    values=each.valid_field_values if each.field_type == "list" else (),
                    before=None if values else shown,
                    was=f"{_DIGEST}{self.forms.digest(real)}" if write_only else one_line(real),
                    write_only=write_only,
                )
            )
        return tuple(found)

    def _labels(
        self, states: Sequence[JobState], form: Mapping[str, str]
    ) -> tuple[dict[str, str], str]:
        """The labels a form changes, and what is wrong with it."""
        fields = {each.key: each for each in self._fields(states)}
        one = "set" in form
        wanted = _one(form["set"]) if one else _typed(form)
        labels: dict[str, str] = {}
        for key, value in wanted.items():
            offered = fields.get(key)
            if offered is None:
                return {}, f"The label {key} may not be changed here."
            was = form.get(f"was.{key}", "")
            cleared = f"{_CLEAR}{key}" in form
            if not one:
                if cleared and value:
                    return {}, f"Nothing was sent: {offered.display} cannot be both set and empty."
                apart = len(states) > 1 or was.startswith(_DIGEST)
                if not cleared and (not value if apart else one_line(value) == was):
                    continue  # left as it is
            if len(states) == 1 and not one and states[0].read and offered.was != was:
                now = f"“{offered.before}”" if offered.before else "empty"
                return {}, (
                    f"Nothing was sent: {offered.display} has been changed meanwhile, and is "
                    f"{now} by now. Save again to put what stands here in its place."
                )
            if mistake := label_mistake(key, value):
                return {}, f"Nothing was sent: {mistake}."
            if value and offered.values and value not in offered.values:
                return {}, f"Nothing was sent: {offered.display} takes {', '.join(offered.values)}."
            labels[key] = value
        return labels, "" if labels else "Nothing was sent: no label was changed."


_CHOOSE = "/actions/jobs"


def _one(text: str) -> dict[str, str]:
    key, _, value = text.partition("=")
    return {key: value}


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    """What a form says of each label, "" also where it is to be emptied."""
    emptied = {key.removeprefix(_CLEAR): "" for key in form if key.startswith(_CLEAR)}
    typed = {key.removeprefix(_TYPED): form[key] for key in form if key.startswith(_TYPED)}
    return emptied | typed


def _as_sent(field: LabelField, form: Mapping[str, str]) -> LabelField:
    """A field with what a form held, so that nobody has to type it again."""
    return replace(field, typed=form.get(_TYPED + field.key), cleared=_CLEAR + field.key in form)


def _comes_back(text: str) -> bool:
    """Whether a field of a page can send a text back as it is, but for its line ends."""
    return not (text.startswith(_DIGEST) or _UNSEEN.search(text))


def _page_of(action: Action, jobs: Sequence[str]) -> str:
    """Where the form of some jobs is made anew."""
    return f"/actions/{action}?{urlencode([('job', job) for job in jobs])}"


def _turned(
    status: int,
    title: str,
    why: str,
    *,
    href: str = "",
    link: str = "",
    headers: Mapping[str, str] | None = None,
) -> TurnedError:
    page = Turned(status=status, title=title, why=why, href=href, link=link)
    return TurnedError(page, headers)
