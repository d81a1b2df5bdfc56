"""Promises by label (SLO), on the overview and on their label's page: kept or broken, and by how
much."""

from collections.abc import Iterator, Sequence
from math import ceil, floor

from msgspec import Struct

from jmreport.night import Told
from jmreport.render import addresses, filtered, words
from jmreport.render.joblists import list_name
from jmreport.render.leads import Leads, Link
from jmreport.report import FEW, MOST_PROMISES, Report
from jmreport.report.counts import SloReport
from jmreport.settings import Slo

_ARCHIVED = (
    "The filter hides archived jobs: one that was archived before it was read counts in no "
    "promise, also if it failed."
)
#: Behind a number of days of which not all were read.
NOT_WHOLE = " (not all of these days were read)"
#: Broken promises that are named at the top of the overview.
_NAMED = 3
#: More of them nobody reads: the rate is said to be below or above what was promised then.
_MOST_DECIMALS = 6


class PromiseRow(Struct, frozen=True, kw_only=True):
    """A promise for one value of a label; `none` says why there is no rate."""

    label: Link
    state: str
    kind: str
    promised: str
    rate: str
    none: str
    ended: str
    failed: Link
    left: str
    more: str
    whole: bool


class Promises(Struct, frozen=True, kw_only=True):
    """The table, broken ones first; `left_out` says how many are kept and not shown, `archived`
    that a filter hid jobs that they are not about, and `partly` that not all days were read of any:
    rows do not say so then. `broken` are how many are, and `names` the first of them."""

    rows: tuple[PromiseRow, ...]
    left_out: str
    archived: str
    partly: bool
    broken: str
    names: str


def on_overview(slos: Sequence[SloReport], number: int, told: Told, leads: Leads) -> Promises:
    """Every broken promise, and those of the others of which least is left.

    There are so many in all.
    """
    slos = sorted(slos, key=lambda one: one.order)
    most = min(MOST_PROMISES, sum(one.broken for one in slos) + FEW)
    return _table(slos[:most], number, told, leads)


def of_label(key: str, report: Report, leads: Leads) -> Promises:
    """The promises for one label's values."""
    slos = sorted((one for one in report.slos if one.key == key), key=lambda one: one.order)
    return _table(slos[:MOST_PROMISES], len(slos), report, leads)


def mistakes(slos: Sequence[Slo], report: Report) -> tuple[str, ...]:
    """Promises of which nobody can say whether they were kept, since no job has their label.

    A label that is written wrong would else look like a promise that is kept. None behind a filter,
    which may be why.
    """
    if filtered.narrows(report.run.asked.filters):
        return ()
    return tuple(
        f"[[slo]] label = {slo.label!r}: no job that ended in the last "
        f"{words.plural(slo.days, 'day')} has this label: it promises nothing"
        for slo in of_nobody(slos, report)
    )


def of_nobody(slos: Sequence[Slo], report: Report) -> Iterator[Slo]:
    """Promises with whose label no job ended."""
    for slo in slos:
        key, equals, value = slo.label.partition("=")
        if not any(
            one.ended
            for one in report.slos
            if one.key == key and one.days == slo.days and (not equals or one.value == value)
        ):
            yield slo


def _table(slos: Sequence[SloReport], number: int, told: Told, leads: Leads) -> Promises:
    left = number - len(slos)
    partly = bool(slos) and not any(one.whole for one in slos)
    broken = [one for one in slos if one.broken]
    names = [_name(one) for one in broken[:_NAMED]]
    more = len(broken) - len(names)
    # Of so many broken ones that the table holds no other, there may be more.
    least = "at least " if left > 0 and len(broken) == len(slos) else ""
    return Promises(
        rows=tuple(_row(one, leads, whole=one.whole or partly) for one in slos),
        left_out=f"{words.plural(left, 'more promise')} with more left." if left > 0 else "",
        archived=_ARCHIVED if told.filters.hide_archived and told.left_out != 0 else "",
        partly=partly,
        broken=f"{least}{words.plural(len(broken), 'promise')}" if broken else "",
        names=words.listed([*names, f"{words.number(more)} more"] if more else names),
    )


def _name(one: SloReport) -> str:
    return f"{words.cut_middle(one.key, 40)} {words.cut_middle(one.value, 60)}"


def _row(one: SloReport, leads: Leads, *, whole: bool) -> PromiseRow:
    name = _name(one)
    page = addresses.label(one.key)
    linked = leads.label(one.key)
    days = words.plural(one.days, "day")
    href = leads.job_or_jobs(
        list_name("promise", one.key, one.value, str(one.days)),
        f"failed jobs of {words.cut_apart(one.key, 40)} {words.cut_apart(one.value, 60)} in the "
        f"last {days}",
        one.jobs,
        back=(words.cut_middle(one.key, 40), page) if linked else ("Overview", addresses.OVERVIEW),
    )
    state, kind = ("Broken", "failed") if one.broken else ("Kept", "succeeded")
    if one.rate is None:
        state, kind = "No job ended" if one.told else "Not told", ""
    return PromiseRow(
        label=Link(text=name, href=linked if leads.at != page else ""),
        state=state,
        kind=kind,
        promised=f"{promised(one)} in {days}",
        rate=achieved(one),
        none="none ended" if one.told else "not all were asked for",
        ended=words.plural(one.ended, "job"),
        failed=Link(text=words.number(one.failed), href=href),
        left=_left(one),
        more=_more(one),
        whole=whole,
    )


def achieved(one: SloReport) -> str:
    """The share that succeeded, with as many digits as tell it from what was promised; "" where
    nobody can say it.

    Pages, mails and the gate say the same: 99.86 % is below 99.9 %, and 99.9 % is not.
    """
    rate = one.rate
    if rate is None:
        return ""
    fewest = 2 if rate >= 0.99 else 1
    for decimals in range(fewest, _MOST_DECIMALS + 1):
        if _tells(text := words.percent(rate, decimals), rate, one.target):
            return text
    return f"{'<' if rate < one.target else '>'} {promised(one)}"


def _tells(said: str, rate: float, target: float) -> bool:
    """Whether a rate as it is said is on the side of what was promised on which it is."""
    if rate == target:
        return True
    number = float(said.removesuffix("%").lstrip("<> "))
    goal = round(target * 100, 6)
    # "> 99.9 %" is more than that, and "< 0.1 %" is less.
    if said.startswith(">"):
        return number >= goal
    if said.startswith("<"):
        return number <= goal
    return number < goal if rate < target else number > goal


def promised(one: SloReport) -> str:
    """What was promised, to the last digit: 99.95 % is not 100 %."""
    return f"{round(one.target * 100, 6):.10g} %"


def _left(one: SloReport) -> str:
    """What is left of the budget of failures; of less than one job no share is told."""
    if one.rate is None:
        return ""
    if not one.failed and _allowed(one) < 1:
        return "none may fail"
    return "used up" if one.left <= 0 else words.percent(one.left, 0)


def _more(one: SloReport) -> str:
    """How many more may fail of the jobs that have ended, or how many failed too many."""
    if one.rate is None:
        return ""
    allowed = _allowed(one)
    if not one.failed and allowed < 1:
        return "of so few jobs" if allowed else ""
    spare = allowed - one.failed
    if spare < 0:
        return f"{words.number(ceil(-spare))} too many"
    return f"{words.number(floor(spare))} more may fail" if spare >= 1 else "none more may fail"


def _allowed(one: SloReport) -> float:
    """A product of fractions: 5 in 100 of 40 jobs must not be 1.9999999."""
    return round(one.allowed, 6)
