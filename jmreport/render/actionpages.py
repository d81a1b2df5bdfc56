"""The pages of the actions server: what is asked, what came of it, and jobs to choose from.

They carry the site's look and nothing of its scripts, and lie beside its pages, so the links lead
from one to the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from jmreport.deeds import Action, Ask, Deed, JobState, LabelField, Pick, Told, Turned, one_line
from jmreport.render import addresses, words
from jmreport.render.theme import Theme
from jmreport.settings import Settings
from jmreport.short_ids import short_ids

#: Labels of a job that its row names, where there are many jobs to choose from.
MOST_LABELS = 6
_CAME = {
    "done": ("succeeded", "Done"),
    "refused": ("failed", "Refused"),
    "not offered": ("failed", "Not offered"),
    "unknown": ("unknown", "Unknown"),
    "not sent": ("aborted", "Not sent"),
}


class JobLine(Struct, frozen=True, kw_only=True):
    """A job in a table; `note` is what is to be said of it."""

    id: str
    short_id: str
    name: str
    href: str
    status: words.StatusWord
    submitted: words.Moment | None
    user: str
    labels: tuple[tuple[str, str], ...]
    #: How many it has beside those.
    more_labels: int = 0
    note: str = ""
    #: Chosen.
    marked: bool = False


class FieldView(Struct, frozen=True, kw_only=True):
    """A label in the editor. `choices` are values with whether they are chosen; () is free text."""

    key: str
    display: str
    before: str
    #: What it was, for the form of one job to bring back.
    was: str
    #: What stands in it: what it is now, or what was typed into a form that came back.
    value: str
    cleared: bool
    differs: bool
    #: Left empty, it changes nothing: of several jobs, or where it cannot hold what there is.
    apart: bool
    choices: tuple[tuple[str, bool], ...]
    dom: str


class AskView(Struct, frozen=True, kw_only=True):
    title: str
    action: str
    who: str
    jobs: tuple[JobLine, ...]
    count: int
    target: str
    back: str
    csrf: str
    key: str
    fields: tuple[FieldView, ...]
    flags: tuple[tuple[str, str], ...]
    single: bool
    cannot: str
    wrong: str
    button: str
    #: Whether there is anything to say of a job.
    noted: bool


class DeedLine(Struct, frozen=True, kw_only=True):
    id: str
    short_id: str
    name: str
    href: str
    came: str
    key: str
    icon: str
    said: str
    done: bool
    #: Labels with what they were, what was asked for, and whether that is something else.
    changes: tuple[tuple[str, str, str, bool], ...]


class ToldView(Struct, frozen=True, kw_only=True):
    title: str
    who: str
    at: words.Moment | None
    deeds: tuple[DeedLine, ...]
    pending: int
    #: Where this page is shown again, as long as not all is known.
    here: str
    again: bool
    command: str
    any_done: bool
    any_unknown: bool
    #: Whether it was about labels.
    labels: bool


class PickView(Struct, frozen=True, kw_only=True):
    title: str
    who: str
    jobs: tuple[JobLine, ...]
    more: int
    statuses: tuple[tuple[str, str, bool], ...]
    name: str
    label: str
    may_abort: bool
    may_label: bool
    most: int
    #: How many are chosen; else how many can be, and the addresses that do so and undo it.
    marked: int
    choosable: str
    all: str
    none: str


class TurnedView(Struct, frozen=True, kw_only=True):
    title: str
    why: str
    href: str
    link: str


class ActionPages:
    """Makes the pages. `address` is where each lies below the site, so that its links hold."""

    def __init__(self, settings: Settings, *, version: str) -> None:
        self._theme = Theme(settings, version=version)
        self._zone = words.zone(settings.report.timezone)

    def assets(self) -> Mapping[str, bytes]:
        """The files that the pages refer to, by their addresses."""
        return self._theme.assets()

    def ask(self, page: Ask) -> str:
        """The confirm page, or the editor of labels."""
        single = len(page.jobs) == 1
        count = len(page.jobs)
        left = sum(not state.finished for state in page.jobs)
        here = f"actions/{page.action}"
        short = _short(state.id for state in page.jobs)
        view = AskView(
            title=_asked(page.action, count, left),
            action=page.action,
            who=page.who,
            jobs=tuple(self._asked_of(state, here, page, short) for state in page.jobs),
            count=count,
            target=f"{page.action}?{urlencode([('job', state.id) for state in page.jobs])}",
            back=_href(here, addresses.job(page.jobs[0].id)) if single else "jobs",
            csrf=page.csrf,
            key=page.key,
            fields=tuple(_field(each, at, single=single) for at, each in enumerate(page.fields, 1)),
            flags=tuple((value, f"flag={value}") for value in page.flags),
            single=single,
            cannot=page.cannot,
            wrong=page.wrong,
            button=_button(page.action, left, single=single),
            noted=bool(page.notes),
        )
        return self._theme.render("action.html", view, address=here)

    def told(self, page: Told) -> str:
        """What came of a form, job by job."""
        here = "actions/outcome"
        done = sum(deed.done for deed in page.deeds)
        what = "abort" if page.action == "abort" else "change of labels"
        whole = len(page.names) or len(page.deeds)
        if page.pending:
            title = f"Under way: {words.number(len(page.deeds))} of {words.plural(whole, 'job')}"
        elif whole == 1:
            came = _CAME[page.deeds[0].came][1] if page.deeds else "Under way"
            title = f"{came}: {what}"
        else:
            title = f"{words.number(done)} of {words.plural(whole, 'job')} done: {what}"
        only = page.deeds[0].job if len(page.deeds) == 1 else ""
        short = _short((*page.names, *(deed.job for deed in page.deeds)))
        view = ToldView(
            title=title,
            who=page.who,
            at=words.when(page.at, self._zone),
            deeds=tuple(self._deed(deed, here, page, short) for deed in page.deeds),
            pending=whole - len(page.deeds) if page.pending else 0,
            here=f"outcome?{urlencode({'key': page.key})}",
            again=page.again,
            command=f"jmreport build --job {words.shell(only)}" if only else "",
            any_done=done > 0,
            labels=page.action == "labels",
            any_unknown=any(deed.came == "unknown" for deed in page.deeds),
        )
        return self._theme.render("actiontold.html", view, address=here)

    def pick(self, page: Pick) -> str:
        """Jobs to choose from."""
        here = "actions/jobs"
        looked = [("status", page.status), ("name", page.name), ("label", page.label)]
        short = _short(state.id for state in page.jobs)
        view = PickView(
            title="Act on jobs",
            who=page.who,
            jobs=tuple(
                self._line(state, here, short, marked=page.all and at < page.most)
                for at, state in enumerate(page.jobs)
            ),
            more=page.more,
            statuses=tuple(
                (word, words.status(word).text, word == page.status) for word in page.statuses
            ),
            name=page.name,
            label=page.label,
            may_abort="abort" in page.may,
            may_label="labels" in page.may,
            most=page.most,
            marked=min(len(page.jobs), page.most) if page.all else 0,
            choosable=_choosable(len(page.jobs), page.most),
            all=f"jobs?{urlencode([*looked, ('all', 'yes')])}",
            none=f"jobs?{urlencode(looked)}",
        )
        return self._theme.render("actionpick.html", view, address=here)

    def turned(self, page: Turned) -> str:
        """A request that was turned away."""
        view = TurnedView(title=page.title, why=page.why, href=page.href, link=page.link)
        return self._theme.render("actionturned.html", view, address="actions/turned")

    def _asked_of(self, state: JobState, here: str, page: Ask, short: Mapping[str, str]) -> JobLine:
        """A job on a confirm page: all its labels where it is alone, else those that can change."""
        note = page.notes.get(state.id, "")
        if page.action == "abort" and state.finished:
            ended = words.when(state.end, self._zone)
            left_out = "; left out" if len(page.jobs) > 1 else ""
            note = f"It ended{f' {ended.text}' if ended else ''}{left_out}"
        shown = dict(state.labels)
        if len(page.jobs) > 1:
            shown = {each.key: shown[each.key] for each in page.fields if shown.get(each.key)}
        return self._line(
            replace(state, labels=shown),
            here,
            short,
            note=note[:1].upper() + note[1:],
            most=len(shown),
        )

    def _line(
        self,
        state: JobState,
        here: str,
        short: Mapping[str, str],
        *,
        note: str = "",
        most: int = MOST_LABELS,
        marked: bool = False,
    ) -> JobLine:
        labels = tuple(
            (words.cut_middle(key, 40), words.cut_middle(value, 60))
            for key, value in list(state.labels.items())[:most]
        )
        return JobLine(
            id=state.id,
            short_id=short[state.id],
            name=words.cut_middle(state.name or "job", 80),
            href=_href(here, addresses.job(state.id)),
            status=words.status(state.status or None),
            submitted=words.when(state.submission, self._zone),
            user=words.cut_middle(state.user, 60),
            labels=labels,
            more_labels=len(state.labels) - len(labels),
            note=note,
            marked=marked,
        )

    def _deed(self, deed: Deed, here: str, page: Told, short: Mapping[str, str]) -> DeedLine:
        key, text = _CAME[deed.came]
        before = page.before.get(deed.job, {})
        changed = page.changed.get(deed.job, frozenset())
        changes = tuple(
            (name, before.get(name, ""), value, name in changed)
            for name, value in deed.wish.labels.items()
        )
        return DeedLine(
            id=deed.job,
            short_id=short[deed.job],
            name=words.cut_middle(page.names.get(deed.job, "") or "job", 80),
            href=_href(here, addresses.job(deed.job)),
            came=text,
            key=key,
            icon=f"i-{key}",
            said=words.cut_middle(deed.said, 600),
            done=deed.done,
            changes=changes,
        )


def _href(here: str, to: str) -> str:
    return addresses.relative(here, to)


def _short(jobs: Iterable[str]) -> dict[str, str]:
    """What tells the jobs of a page apart, and still looks like their ids."""
    return {job: words.cut_middle(short, 60) for job, short in short_ids(jobs).items()}


def _asked(action: Action, count: int, left: int) -> str:
    """What is asked, of as many jobs as it would be done to.

    >>> _asked("abort", 3, 1), _asked("abort", 1, 0)
    ('Abort 1 of 3 jobs?', 'This job has ended')
    """
    if action == "labels":
        return "Labels of this job" if count == 1 else f"Labels of {words.plural(count, 'job')}"
    if left == 0:
        return (
            "This job has ended" if count == 1 else f"These {words.number(count)} jobs have ended"
        )
    if count == 1:
        return "Abort this job?"
    of = "" if left == count else f"{words.number(left)} of "
    return f"Abort {of}{words.plural(count, 'job')}?"


def _choosable(there: int, most: int) -> str:
    """How many can be chosen at once: "all 20", "the first 100"."""
    if there > most:
        return f"the first {words.number(most)}"
    return f"all {words.number(there)}"


def _button(action: Action, left: int, *, single: bool) -> str:
    if action == "labels":
        return "Save labels" if single else "Set labels"
    return "Abort it" if single else f"Abort {words.plural(left, 'job')}"


def _field(each: LabelField, at: int, *, single: bool) -> FieldView:
    before = each.before or ""
    apart = not single or each.write_only
    value = each.typed if each.typed is not None else ("" if apart else each.was)
    known: Sequence[str] = each.values
    if known and before and before not in known and not each.write_only:
        known = (before, *known)
    return FieldView(
        key=each.key,
        display=each.display or each.key,
        before=before,
        was=each.was,
        value=value,
        cleared=each.cleared,
        apart=apart,
        differs=each.before is None,
        choices=tuple((choice, one_line(choice) == one_line(value)) for choice in known),
        dom=addresses.anchor("label", at),
    )
