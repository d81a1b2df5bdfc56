"""A wish brought to the server, once, and what came of it in plain words.

Nothing here is ever sent twice. Where it is not known whether something was done, the job is read
again: only what it then shows counts as done. What servers answer differs: the Cromwell shim aborts
with 204 and says 404 of a job that has ended; dsub's says 412 without a body, and answers 500 to
every change of labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from jmreport.client import Client
from jmreport.deeds import STOPPED, Came, Deed, JobState, Wish
from jmreport.errors import ActionError, UnreadableError
from jmreport.records import moment

#: After so many jobs in a row that were in vain, no more are sent: a server that answers nothing
#: would be waited for a hundred times, and one that does not do it would say so as often.
GIVE_UP = 3
_ABORTED = ("Aborting", "Aborted")
#: Answers that say nothing about the job: the next one would be answered alike. A 403 can be about
#: one job: servers with access rules of their own let people act on some and not on others.
_FOR_ALL = (401, 405, 429, 501)
#: A tree of JSON without the secrets that it holds, in its order: names of keys may be secrets too.
Clean = Callable[[dict[str, Any]], dict[str, Any]]


def as_it_is(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree, for whoever asks with a token of their own."""
    return tree


def read(client: Client, job: str, clean: Clean = as_it_is) -> JobState:
    """A job as the server shows it now, and may be shown; never raises for it."""
    try:
        tree = client.job(job)
    except UnreadableError as error:
        [why] = clean({"why": error.message}).values()
        return JobState(id=job, why=why, unknown=error.status in (400, 404))
    return replace(
        _shown(job, tree, clean),
        status=_text(tree, "status") or "Unknown",
        submission=moment(tree.get("submission")),
        end=moment(tree.get("end")),
    )


def _shown(job: str, tree: Mapping[str, Any], clean: Clean) -> JobState:
    """What people called a job. Values of its inputs may be secrets that its name repeats."""
    extensions, labels = tree.get("extensions"), tree.get("labels")
    held = _plain(labels) if isinstance(labels, dict) else {}
    clean_tree = clean(
        {
            "id": job,
            "name": _text(tree, "name"),
            "userId": _text(extensions, "userId") if isinstance(extensions, dict) else "",
            # Nothing is no secret, and would have a hash like any other text.
            "labels": {key: value for key, value in held.items() if value},
            "inputs": tree.get("inputs"),
        }
    )
    _, name, user, telling, _ = clean_tree.values()
    rest = iter(telling.items())
    shown = dict(next(rest) if value else (key, "") for key, value in held.items())
    return JobState(id=job, name=name, user=user, labels=shown, held=held)


def act(client: Client, job: str, wish: Wish, clean: Clean = as_it_is) -> Deed:
    """Send a wish for one job, once. Never raises for what the server answers."""
    if wish.action == "abort":
        return _abort(client, job, wish, clean)
    return _label(client, job, wish, clean)


def act_on_all(
    jobs: Sequence[str],
    wish: Wish,
    one: Callable[[str], Deed],
    *,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Deed]:
    """A wish for each job in turn by `one`; the rest is not sent where that would be in vain.

    Ctrl-C leaves nothing untold: the job under way is unknown, the rest was not sent, and only then
    is KeyboardInterrupt raised.
    """
    in_vain, why = 0, ""
    stopped: KeyboardInterrupt | None = None
    for job in jobs:
        if not why and stopping():
            why = STOPPED
        if why:
            yield Deed(job=job, wish=wish, came="not sent", said=why)
            continue
        try:
            deed = one(job)
        except KeyboardInterrupt as error:
            stopped, why = error, STOPPED
            said = "nobody knows whether it was done: jmreport was stopped before it was told"
            yield Deed(job=job, wish=wish, came="unknown", said=said)
            continue
        alike = deed.came in ("not offered", "unknown") or deed.status == 403
        in_vain = in_vain + 1 if alike else 0
        if deed.status in _FOR_ALL or in_vain >= GIVE_UP:
            why = _why_no_more(deed)
        yield deed
    if stopped is not None:
        raise stopped


def _why_no_more(last: Deed) -> str:
    if last.came == "unknown":
        return f"nobody knows what came of the {GIVE_UP} jobs before"
    return f"what the server answered before holds for every job ({last.said})"


def _abort(client: Client, job: str, wish: Wish, clean: Clean) -> Deed:
    try:
        status = client.abort(job)
    except ActionError as error:
        state = read(client, job, clean)
        return _judged(error, state, wish, is_there=lambda now: now.status in _ABORTED)
    state = read(client, job, clean)
    if not state.read:
        said = f"the server took it ({status}); the job cannot be read now: {state.why}"
    elif state.finished and state.status != "Aborted":
        said = f"the server took it ({status}), and the job had ended by then: {state.ended}"
    elif state.status in _ABORTED:
        said = f"the server took it ({status}); the job is {state.status}"
    else:
        said = f"the server took it ({status}); it still shows the job as {state.status}"
    return Deed(job=job, wish=wish, came="done", said=said, status=status, state=state)


def _label(client: Client, job: str, wish: Wish, clean: Clean) -> Deed:
    def is_there(now: JobState) -> bool:
        return _holds(now.real_labels, wish.labels)

    try:
        status, answered = client.update_labels(job, wish.labels)
    except ActionError as error:
        return _judged(error, read(client, job, clean), wish, is_there=is_there)
    except UnreadableError as error:
        return Deed(job=job, wish=wish, came="not sent", said=error.message)
    merged = _shown(job, {"labels": answered}, clean)
    came: Came = "done"
    if is_there(merged):
        state, said = merged, "the server took it"
    else:
        state = read(client, job, clean)
        if state.read and is_there(state):
            said = "the server took it, and the job shows it"
        elif answered:
            answer = _pairs(merged.labels, wish)
            said, came = f"the server answered well, but with {answer}", "unknown"
        else:
            said = "the server took it; the job does not show it yet"
    return Deed(job=job, wish=wish, came=came, said=said, status=status, state=state)


def _judged(
    error: ActionError, state: JobState, wish: Wish, *, is_there: Callable[[JobState], bool]
) -> Deed:
    """What an action that did not succeed came to, by the job as it was read afterwards."""
    came, said = _came(error.status, error.why, state, wish, is_there)
    return Deed(job=state.id, wish=wish, came=came, said=said, status=error.status, state=state)


def _came(
    status: int | None, why: str, state: JobState, wish: Wish, is_there: Callable[[JobState], bool]
) -> tuple[Came, str]:
    if status in (405, 501):
        return "not offered", f"this server does not offer it: {why}"
    if status is not None and 300 <= status < 500:
        return "refused", _refused(state, wish, status, why)
    if state.read and is_there(state):
        shown = f"is {state.status}" if wish.action == "abort" else "has these labels"
        return "done", f"{why}; but the job was read again, and {shown}"
    if wish.action == "abort" and state.finished:
        return "refused", f"already finished: {state.ended} ({why})"
    # To dsub's users: it has no labels. Of an abort a 500 may be a time-out behind the shim.
    if status == 500 and state.read and wish.action == "labels":
        return "not offered", f"this server does not offer it: {why}; {_as_before(state, wish)}"
    if status == 500 and state.unknown:
        return "refused", f"the server knows no such job: {state.why}"
    again = (
        f"was read again: {_as_before(state, wish)}"
        if state.read
        else f"cannot be read either: {state.why}"
    )
    return "unknown", f"nobody knows whether it was done: {why}; the job {again}"


def _refused(state: JobState, wish: Wish, status: int, why: str) -> str:
    """Why a server said no, as far as the job tells it."""
    if status in (404, 412) and wish.action == "abort" and state.finished:
        return f"already finished: {state.ended}"
    if status == 404 and state.unknown:
        return "the server knows no such job (404)"
    if status == 412 and not state.read:
        return "already finished, as the server says (412)"
    now = f"; the job is {state.status}" if state.read else ""
    return f"the server refused: {why}{now}"


def _as_before(state: JobState, wish: Wish) -> str:
    if wish.action == "abort":
        return f"it is {state.status}"
    return f"it shows {_pairs(state.labels, wish)}"


def _pairs(labels: Mapping[str, str], wish: Wish) -> str:
    """The labels that a wish is about, as they are: "flag=archive, no comment"."""
    found = ((key, labels.get(key, "")) for key in wish.labels)
    return ", ".join(f"{key}={value}" if value else f"no {key}" for key, value in found)


def _holds(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key, "") == value for key, value in wanted.items())


def _plain(labels: Mapping[Any, Any]) -> dict[str, str]:
    """Labels as text: servers send numbers too."""
    return {
        str(key): value if isinstance(value, str) else _json(value) for key, value in labels.items()
    }


def _json(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def _text(tree: Mapping[str, Any], key: str) -> str:
    value = tree.get(key)
    return value if isinstance(value, str) else ""
