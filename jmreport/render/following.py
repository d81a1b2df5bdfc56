"""Work that cannot be followed from night to night, and the setting by which it could be."""

from jmreport.night import Told
from jmreport.render import words
from jmreport.report import Report
from jmreport.report.quality import Unrepeated

#: Workflows that are named, and characters of a name.
_NAMED, _LONGEST = 3, 60


def note(told: Told) -> str:
    """What a reader has to know of every verdict then; "" where work can be followed."""
    found = told.unrepeated
    return f"{_matter(found)}: {_setting(found)} would tell it apart." if found else ""


def advice(report: Report) -> tuple[str, ...]:
    """The same for the one who runs it."""
    found = report.unrepeated
    return () if found is None else (_matter(found), f"  hint: {_setting(found)}")


def matter(found: Unrepeated) -> tuple[str, str]:
    """What is the matter, and what to do."""
    return _matter(found), f"{_setting(found)} would tell it apart"


def _matter(found: Unrepeated) -> str:
    named = [_cut(name) or "no name" for name in found.workflows[:_NAMED]]
    if more := len(found.workflows) - len(named):
        named.append(words.plural(more, "more workflow"))
    flows = words.listed(named)
    return f"No work of {flows} comes back with the same inputs, so each failure counts as new"


def _setting(found: Unrepeated) -> str:
    labels = ", ".join(f'"{_cut(label)}"' for label in found.labels)
    return f"report.identity_labels = [{labels}]"


def _cut(text: str) -> str:
    return words.cut_middle(text, _LONGEST)
