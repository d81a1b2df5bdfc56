"""What the site's owner wrote down, as pages print it: notes, and failures that are known."""

from datetime import UTC, date, datetime

from markupsafe import Markup
from msgspec import Struct

from jmreport.guidance import Guidance, KnownIssue, Note
from jmreport.night import NightIssue
from jmreport.render import words


class Known(Struct, frozen=True, kw_only=True):
    """A known issue. `until` says until when; `over` that this was before the report's day."""

    name: str
    owner: str
    href: str
    until: str
    over: bool
    note: Markup


class Guides:
    """The notes for pages; `today` is the report's day in its zone."""

    def __init__(self, guidance: Guidance, today: date) -> None:
        self.mistakes = guidance.mistakes
        self._guidance, self._today = guidance, today
        self._known: dict[tuple[str, str], KnownIssue | None] = {}

    @property
    def intro(self) -> Markup:
        """The overview's note."""
        return _html(self._guidance.intro)

    def workflow(self, name: str) -> Markup:
        """A workflow's runbook; "" where there is none."""
        return _html(self._guidance.workflows.get(name))

    def cause(self, cause: str) -> Markup:
        """A cause's runbook; "" where there is none."""
        return _html(self._guidance.causes.get(cause))

    def known(self, title: str, example: str) -> Known | None:
        """The known issue that a cause is an example of, also one that is over."""
        issue = self.issue(title, example)
        if issue is None:
            return None
        return Known(
            name=words.cut_middle(issue.name, 300),
            owner=issue.owner,
            href=issue.link,
            until=_day(issue.until),
            over=not issue.holds(self._today),
            note=_made(issue.note),
        )

    def name(self, title: str, example: str) -> str:
        """What lists call the known issue of a cause; "" where none holds."""
        return issue_name(self.holding(title, example))

    def holding(self, title: str, example: str) -> KnownIssue | None:
        """The issue itself, unless it is over."""
        issue = self.issue(title, example)
        return issue if issue and issue.holds(self._today) else None

    def issue(self, title: str, example: str) -> KnownIssue | None:
        """The issue itself, also one that is over; each cause is looked up once."""
        key = (title, example)
        if key not in self._known:
            self._known[key] = self._guidance.known(self._today, title, example)
        return self._known[key]

    def unused(self, workflows: set[str], causes: set[str]) -> tuple[str, ...]:
        """Notes that no page shows, since there is no such workflow or cause."""
        found = [
            *(note for name, note in self._guidance.workflows.items() if name not in workflows),
            *(note for name, note in self._guidance.causes.items() if name not in causes),
        ]
        return tuple(f"{note.path}: no page is about it, so it is shown nowhere" for note in found)


def issue_name(issue: KnownIssue | NightIssue | None) -> str:
    """How lists name a known issue: "title (owner)"; "" for none."""
    if issue is None:
        return ""
    owner = f" ({words.cut_middle(issue.owner, 60)})" if issue.owner else ""
    return f"{words.cut_middle(issue.name, 120)}{owner}"


def _html(note: Note | None) -> Markup:
    return _made(note.text if note else "")


def _made(text: str) -> Markup:
    if not text:
        return Markup("")
    from jmreport.render.prose import prose  # only where there is something to make of it

    return prose(text)


def _day(day: date | None) -> str:
    moment = words.day(datetime(day.year, day.month, day.day, tzinfo=UTC)) if day else None
    return moment.text if moment else ""
