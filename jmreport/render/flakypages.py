"""Flaky work: keys that fail now and then, on the overview and on their workflow's page."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from jmreport.render import addresses, words
from jmreport.render.joblists import NO_NAME, list_name
from jmreport.render.leads import Leads, Link, job_link
from jmreport.report import FEW
from jmreport.report.causes import FlakyKey

#: Rows on a workflow's page.
ROWS = 25
#: The strip's height and the width of a run in it, in pixels of its own.
_HEIGHT, _STEP = 16, 8


class Mark(Struct, frozen=True):
    """A run in the strip: failed ones are tall, successful ones short."""

    x: int
    y: int
    height: int
    status: str


class FlakyRow(Struct, frozen=True, kw_only=True):
    """A key that fails now and then."""

    workflow: Link
    job: Link
    labels: str
    score: str
    failed: Link
    runs: Link
    flips: str
    last_failed: words.Moment | None
    width: int
    marks: tuple[Mark, ...]
    said: str


class Flaky(Struct, frozen=True, kw_only=True):
    """The table. `more` leads to the newest jobs of all flaky keys."""

    rows: tuple[FlakyRow, ...]
    more: Link | None
    flows: bool


def on_overview(keys: Sequence[FlakyKey], number: int, leads: Leads) -> Flaky:
    """The flakiest keys of an overview; there are so many in all."""
    more = None
    if number > FEW:
        href = leads.jobs(
            "flaky", "jobs that are the newest of flaky work", [key.job for key in keys]
        )
        more = Link(text=f"All {words.number(number)} flaky", href=href)
    return Flaky(rows=tuple(_row(key, leads) for key in keys[:FEW]), more=more, flows=True)


def of_flow(flow: str, keys: Sequence[FlakyKey], leads: Leads) -> Flaky:
    """The flakiest keys of a workflow."""
    own = [key for key in keys if key.workflow == flow]
    more = None
    if len(own) > ROWS:
        href = leads.jobs(
            list_name("flaky-of", flow),
            f"jobs that are the newest of flaky work of {words.cut_apart(flow, 60) or NO_NAME}",
            [key.job for key in own],
            back=(words.cut_middle(flow, 60) or NO_NAME, leads.at),
        )
        more = Link(text=f"All {words.number(len(own))} flaky", href=href)
    return Flaky(rows=tuple(_row(key, leads) for key in own[:ROWS]), more=more, flows=False)


def _row(key: FlakyKey, leads: Leads) -> FlakyRow:
    name = words.cut_middle(key.workflow, 60) or NO_NAME
    back = (name, addresses.workflow(key.workflow))
    exact = (key.workflow, key.job)
    job = job_link(key.job, leads)

    def link(kind: str, what: str, jobs: Sequence[str]) -> str:
        title = f"{what} of the work of {words.cut_apart(key.workflow, 60) or NO_NAME} {job.text}"
        return leads.job_or_jobs(list_name(kind, *exact), title, jobs, back=back)

    return FlakyRow(
        workflow=Link(
            text=words.cut_middle(key.workflow, 80) or NO_NAME,
            href=leads.workflow(key.workflow),
        ),
        job=job,
        labels=", ".join(
            f"{words.cut_middle(label, 40)} {words.cut_middle(value, 40)}"
            for label, value in key.labels
        ),
        score=words.percent(key.score, 0),
        failed=Link(
            text=words.number(key.failures), href=link("flaky-failed", "failed jobs", key.failed)
        ),
        runs=Link(text=words.number(len(key.outcomes)), href=link("flaky-runs", "jobs", key.jobs)),
        flips=words.plural(key.flips, "change"),
        last_failed=words.short_when(key.last_failed, leads.zone, near=leads.now),
        width=len(key.outcomes) * _STEP,
        marks=tuple(_marks(key.outcomes)),
        said=f"Failed {words.number(key.failures)} of the last "
        f"{words.plural(len(key.outcomes), 'run')}, oldest first: {_spelt(key.outcomes)}",
    )


def _marks(outcomes: Sequence[str]) -> Iterator[Mark]:
    for place, outcome in enumerate(outcomes):
        height = _HEIGHT if outcome == "Failed" else _HEIGHT // 2
        yield Mark(place * _STEP, _HEIGHT - height, height, outcome.lower())


def _spelt(outcomes: Sequence[str]) -> str:
    """Runs of the same outcome as words: "3 succeeded, 1 failed, 2 succeeded"."""
    spells: list[tuple[str, int]] = []
    for outcome in outcomes:
        if spells and spells[-1][0] == outcome:
            spells[-1] = (outcome, spells[-1][1] + 1)
        else:
            spells.append((outcome, 1))
    return ", ".join(f"{count} {outcome.lower()}" for outcome, count in spells)
