"""What the site's owner wrote down: notes for pages, and failures that are known.

notes/intro.md                  on the overview
notes/workflows/<name>.md       the runbook on a workflow's page
notes/causes/<id>.md            the runbook on a cause's page

# known_issues.toml
[[issue]]
match = "does not have enough resources"
title = "us-central1-b is full at night"
owner = "platform team"
note = "Jobs are tried again in another zone; **nothing to do** before 9:00."
link = "https://tracker.example.org/1234"
until = 2026-12-31
"""

import re
from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

#: Words from the files' owner are cut nowhere, so a file may not be endless.
LARGEST_NOTE = 100_000


class Note(Struct, frozen=True, kw_only=True):
    """A note: the file that it is from, and its Markdown."""

    path: str
    text: str


class KnownIssue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failure that is known. `match` is a regular expression that is looked for in messages.

    `note` is Markdown; after the day `until` nothing is known any more.
    """

    match: Annotated[str, Meta(min_length=1, max_length=1000)]
    title: Annotated[str, Meta(max_length=300)] = ""
    owner: Annotated[str, Meta(max_length=300)] = ""
    note: Annotated[str, Meta(max_length=LARGEST_NOTE)] = ""
    link: Annotated[str, Meta(max_length=2000, pattern="^https://")] = ""
    until: date | None = None

    @property
    def name(self) -> str:
        """What to call it: its title, or what it looks for."""
        return self.title or self.match

    def holds(self, today: date) -> bool:
        return self.until is None or today <= self.until

    def meets(self, *messages: str) -> bool:
        """Whether it is about a failure with one of these messages; upper and lower case alike."""
        return any(re.search(self.match, message, re.IGNORECASE) for message in messages)


class Guidance(Struct, frozen=True, kw_only=True):
    """All of it. `workflows` are notes by the workflow's name, `causes` by the cause's id.

    `mistakes` say which files could not be used, and why: a report is made all the same.
    """

    intro: Note | None = None
    workflows: dict[str, Note] = {}
    causes: dict[str, Note] = {}
    issues: tuple[KnownIssue, ...] = ()
    mistakes: tuple[str, ...] = ()

    def known(self, today: date, *messages: str) -> KnownIssue | None:
        """The first issue that is about such a failure: one that holds before one that did."""
        met = [issue for issue in self.issues if issue.meets(*messages)]
        return next((issue for issue in met if issue.holds(today)), met[0] if met else None)
