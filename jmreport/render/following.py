"""Work that cannot be followed from night to night, or told apart, and the setting that says so."""

from jmreport.night import Told
from jmreport.render import words
from jmreport.report import Report
from jmreport.report.quality import Hidden, Unrepeated

#: Workflows that are named, and characters of a name.
_NAMED, _LONGEST = 3, 60


def note(told: Told) -> str:
    """What a reader has to know of every verdict then; "" where work can be followed."""
    found = told.unrepeated
    return f"{_matter(found)}: {_setting(found)} would tell it apart." if found else ""


def advice(report: Report) -> tuple[str, ...]:
    """The same for the one who runs it."""
    found, hidden = report.unrepeated, report.hidden
    lines = [] if found is None else [_matter(found), f"  hint: {_setting(found)}"]
    if hidden is not None:
        said, hint = hidden_matter(hidden)
        lines += [said, f"  hint: {hint}"]
    return tuple(lines)


def matter(found: Unrepeated) -> tuple[str, str]:
    """What is the matter, and what to do."""
    return _matter(found), f"{_setting(found)} would tell it apart"


def hidden_words(found: Hidden) -> tuple[str, str]:
    """Failed jobs that other work hides: how many, and how that comes."""
    count = len(found.jobs)
    who = f"{words.plural(count, 'job')} that failed"
    verb, they = ("is", "it is") if count == 1 else ("are", "they are")
    by = words.listed([_cut(label) for label in found.labels])
    return who, (
        f"{verb} not counted: by {by} {they} one piece of work with others that had been submitted "
        "by then, and succeeded since"
    )


def hidden_hint(found: Hidden) -> str:
    """What to do about them."""
    return f"name labels that tell them apart: {_setting(found)} does not"


def hidden_matter(found: Hidden) -> tuple[str, str]:
    """Both, for the one who runs it."""
    return " ".join(hidden_words(found)), hidden_hint(found)


def hidden_note(told: Told) -> str:
    """Both, for a reader; "" where nothing is hidden."""
    found = told.hidden
    if found is None:
        return ""
    said, hint = hidden_matter(found)
    return f"{said}. To be told of each, {hint}."


def _matter(found: Unrepeated) -> str:
    named = [_cut(name) or "no name" for name in found.workflows[:_NAMED]]
    if more := len(found.workflows) - len(named):
        named.append(words.plural(more, "more workflow"))
    flows = words.listed(named)
    return f"No work of {flows} comes back with the same inputs, so each failure counts as new"


def _setting(found: Unrepeated | Hidden) -> str:
    labels = ", ".join(f'"{_cut(label)}"' for label in found.labels)
    return f"report.identity_labels = [{labels}]"


def _cut(text: str) -> str:
    return words.cut_middle(text, _LONGEST)
