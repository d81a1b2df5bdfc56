"""Short ids: as much of an id as tells it apart, and still looks like it.

    03a7491c-76c1-40f4-93d5-222d0ac2be70      03a7491c
    +align--root--261123-195941-511590+30+    align--r…1590+30

An id of the first kind is told apart by its beginning. The ids of a backend that begins them with
the workflow's and the user's name are alike for long, so those are cut in the middle.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

#: How many characters are kept of each end.
LENGTH = 8
_RANDOM = re.compile(r"[0-9a-fA-F]{8}(?:-|[0-9a-fA-F]*$)")
#: What marks the empty parts at both ends of a dsub id.
_EDGES = "+"


def form(job: str) -> str:
    """How an id looks at its shortest. Only ids of one form can be taken for one another.

    >>> form("03a7491c-76c1-40f4-93d5-222d0ac2be70")
    '03a7491c'
    """
    return job[:LENGTH] if _RANDOM.match(job) else _middle_cut(job, LENGTH)


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Whole id -> its short form; no two forms are alike.

    `ids` are all that there are, or all of some forms.
    """
    ordered = sorted(set(ids))
    random = [one for one in ordered if _RANDOM.match(one)]
    named = [one for one in ordered if not _RANDOM.match(one)]
    return _apart(_beginnings(random) | _cut(named))


def _beginnings(ordered: Sequence[str]) -> dict[str, str]:
    """The first characters, as many as the neighbours in the alphabet make necessary."""
    needed = dict.fromkeys(ordered, LENGTH)
    for one, other in pairwise(ordered):
        more = common(one, other) + 1
        needed[one] = max(needed[one], more)
        needed[other] = max(needed[other], more)
    return {one: one[:length] for one, length in needed.items()}


def _cut(ordered: Sequence[str]) -> dict[str, str]:
    """Both ends, with the end lengthened among those that would look alike."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for one in ordered:
        alike[_middle_cut(one, LENGTH)].append(one)
    forms: dict[str, str] = {}
    for group in alike.values():
        backwards = sorted((_plain(one)[::-1], one) for one in group)
        lengths = dict.fromkeys(group, LENGTH)
        for (text, one), (other_text, other) in pairwise(backwards):
            more = common(text, other_text) + 1
            lengths[one] = max(lengths[one], more)
            lengths[other] = max(lengths[other], more)
        forms.update((one, _middle_cut(one, length)) for one, length in lengths.items())
    return forms


def _plain(one: str) -> str:
    return one.strip(_EDGES) or one


def _middle_cut(one: str, tail: int) -> str:
    """An id with at most its first eight and its last `tail` characters; whole where short."""
    plain = _plain(one)
    if len(plain) <= LENGTH + tail + 1:
        return plain
    return f"{plain[:LENGTH]}…{plain[-tail:]}"


def common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _apart(forms: dict[str, str]) -> dict[str, str]:
    """Whole ids for those whose forms are alike all the same, until none are."""
    while len(set(forms.values())) < len(forms):
        times = Counter(forms.values())
        forms = {one: one if times[form] > 1 else form for one, form in forms.items()}
    return forms
