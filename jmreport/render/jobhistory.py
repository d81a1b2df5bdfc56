"""A job among the runs of the same work: failures in a row, the last success, the run before."""

from msgspec import Struct

from jmreport.render import addresses, words
from jmreport.render.jobfacts import Making
from jmreport.report.jobs import JobContext, JobHistory


class Earlier(Struct, frozen=True, kw_only=True):
    """An earlier run of the same work: when, and its page."""

    href: str
    when: words.Moment | None = None


class History(Struct, frozen=True, kw_only=True):
    """Sentences about the runs before, the last success and the run before where they are known."""

    said: tuple[str, ...]
    since: words.Moment | None
    success: Earlier | None
    before: Earlier | None


def history(context: JobContext, making: Making) -> History | None:
    """None for a job that is the only one of its work, or that has not ended."""
    told = context.history
    if told is None or not (told.before or told.failures):
        return None
    zone = making.facts.zone
    return History(
        said=tuple(_said(told)),
        since=words.when(told.since, zone) if told.failures > 1 else None,
        success=Earlier(
            href=making.link(addresses.job(told.last_success)),
            when=words.when(told.last_success_at, zone),
        )
        if told.last_success and told.failures
        else None,
        before=Earlier(href=making.link(addresses.job(told.before))) if told.before else None,
    )


def _said(told: JobHistory) -> list[str]:
    said = []
    if told.failures > 1:
        said.append(f"{words.number(told.failures)} failures in a row")
    elif told.failures and told.before:
        said.append("The run before succeeded")
    elif told.failures:
        said.append("No earlier run of this work is known")
    if told.mended:
        runs = "The run" if told.mended == 1 else f"The {words.number(told.mended)} runs"
        said.append(f"{runs} before failed: this one is the first success since")
    if told.flips:
        said.append(
            f"Flaky: of the last {words.plural(told.runs, 'run')}, "
            f"{words.number(told.flips)} ended otherwise than the one before"
        )
    return said
