"""Who may do what to which jobs: the rules of `[[actions.allow]]`."""

from collections.abc import Mapping, Sequence

from jmreport.deeds import Action
from jmreport.settings import Allow


class Allowed:
    """The rules. Without any, `open_to_all` lets the one reader of local mode do everything."""

    def __init__(self, rules: Sequence[Allow], *, open_to_all: bool) -> None:
        self._rules = tuple(rules)
        self._open = open_to_all and not self._rules

    def read(self, who: str) -> bool:
        """Whether somebody may see the site: whoever a rule names."""
        return self._open or any(_is(rule.who, who) for rule in self._rules)

    def ever(self, who: str, action: Action) -> bool:
        """Whether somebody may do this to any job at all."""
        return self._open or any(self._of(who, action))

    def why_not(
        self, who: str, action: Action, labels: Mapping[str, str], new: Mapping[str, str]
    ) -> str:
        """Why somebody may not do this to a job with these labels; "" where they may.

        Labels by which a rule decides stay as they are for those whom it decides for: changed,
        they would take a job out of its owners' hands.
        """
        if self._open:
            return ""
        fitting = [
            rule
            for rule in self._of(who, action)
            if all(labels.get(key) == value for key, value in rule.labels.items())
        ]
        if not fitting:
            return f"{who} may not do this to this job"
        if not any(rule.labels.keys().isdisjoint(new) for rule in fitting):
            held = sorted({key for rule in fitting for key in rule.labels if key in new})
            return f"{who} may not change {', '.join(held)}"
        return ""

    def _of(self, who: str, action: Action) -> list[Allow]:
        return [rule for rule in self._rules if action in rule.actions and _is(rule.who, who)]


def _is(pattern: str, who: str) -> bool:
    pattern, who = pattern.lower(), who.lower()
    if pattern.startswith("*@"):
        # Behind the last @, which is where a domain begins.
        return "@" in who and who.rpartition("@")[2] == pattern[2:]
    return who == pattern
