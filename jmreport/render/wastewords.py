"""Lost hours in words: how many, what they went to, and what they cost."""

from datetime import timedelta

from jmreport.night import Told
from jmreport.render import words
from jmreport.report.costs import Cost, Waste
from jmreport.settings import Prices


def tonight_words(told: Told, prices: Prices) -> str:
    """Last night's waste in a line; "" where nobody knows of any, or failed jobs were left out."""
    if told.waste is None:
        return ""
    tonight = told.waste.tonight
    if told.filters.hides_failures and not tonight.lost and not tonight.unread:
        return ""
    return waste_words(tonight, prices)


def waste_words(cost: Cost, prices: Prices) -> str:
    """Waste in a line: "31 h (4 % of all hours), of it 20 h preempted"."""
    said = lost_words(cost, prices)
    if not cost.unread:
        return said
    unread = f"the attempts of {words.plural(cost.unread, 'job')} could not all be read"
    if cost.lost:
        return f"{said}; {unread}"
    return f"{'none that is known' if said else 'not known'}: {unread}"


def lost_words(cost: Cost, prices: Prices) -> str:
    """The same of what was read alone; "" where nothing was."""
    spent = cost.spent
    if not spent.lost:
        untimed = f"{words.plural(cost.lost, 'attempt')} with no time known" if cost.lost else ""
        return untimed or ("none" if spent.total else "")
    split = {
        "preempted": spent.preempted,
        "retried": spent.retried,
        "failed": spent.failed,
        "aborted": spent.aborted,
    }
    kind, most = max(split.items(), key=lambda item: item[1])
    said = f"{hours(spent.lost)} ({words.percent(spent.share)} of all hours)"
    if most < spent.lost:
        said += f", of it {hours(most)} {kind}"
    else:
        said += f", all of it {kind}"
    money = money_words(cost, prices)
    return f"{said}; {money}" if money else said


def usual_words(waste: Waste | None) -> str:
    """What a night usually loses; "" where that is not known."""
    if waste is None or waste.usual is None:
        return ""
    return f"usual night: {hours(waste.usual.median)}"


def money_words(cost: Cost, prices: Prices) -> str:
    """What lost hours cost: "12.40 USD"; "" where no price is known of any."""
    if cost.lost_money is None:
        return ""
    whole = f"{cost.lost_money:,.2f}".replace(",", words.THIN)
    if whole == "0.00" and cost.lost_money > 0:
        whole = "under 0.01"
    return f"{whole} {prices.currency}{' at least' if cost.unpriced else ''}"


def hours(seconds: float) -> str:
    """A number of seconds as readers take it, however large."""
    return words.duration(timedelta(seconds=min(seconds, 1e12)))
