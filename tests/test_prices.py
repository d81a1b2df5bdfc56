"""Money: what lost hours cost by the prices in the settings, and never where there is none."""

import json
import sqlite3
from contextlib import chdir
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from planted import OUTAGE, Planted
from site_cases import entries, report, runs

from jmreport.cli import main
from jmreport.errors import Exit
from jmreport.records import Measure, Spent
from jmreport.render import taskpages, wastewords
from jmreport.render.jobcells import Jobs
from jmreport.render.joblists import Lists
from jmreport.render.theme import Theme
from jmreport.report.costs import Cost, TaskCost, Waste
from jmreport.settings import Prices, Settings
from jmreport.snapshots import measured


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, planted: Planted) -> Path:
    """Six planted nights: the last is that of the outage, in which many tasks failed."""
    folder = tmp_path_factory.mktemp("prices")
    planted.into(folder / "snapshots", OUTAGE)
    return folder


def rendered(folder: Path, prices: str) -> tuple[dict[str, Any], str]:
    """The waste in report.json, and the page of tasks."""
    (folder / "jmreport.toml").write_text(prices)
    with chdir(folder):
        assert main(["render", "-q", "--workers", "1"]) == Exit.DONE
    report = json.loads((folder / "site/data/report.json").read_text())
    return report["waste"], (folder / "site/tasks/index.html").read_text()


def test_without_prices_no_page_speaks_of_money(folder: Path) -> None:
    waste, page = rendered(folder, "")
    assert waste["night"]["lost_seconds"] > 0
    assert waste["night"]["money"] is None
    assert "USD" not in page


def test_every_lost_hour_costs_the_price_of_an_hour(folder: Path) -> None:
    waste, page = rendered(folder, '[prices]\nhour = 0.5\ncurrency = "EUR"\n')
    for part in ("night", "report"):
        hours = waste[part]["lost_seconds"] / 3600
        assert waste[part]["money"] == pytest.approx(hours * 0.5)
    assert f"{waste['report']['money']:.2f} EUR." in page
    assert "Lost EUR</th>" in page
    assert "without a price" not in page


def test_attempts_without_a_time_that_is_known_cost_no_zero() -> None:
    """Such as were aborted, and of which a server gives no start that can be believed."""
    over = runs(1)
    untimed = Cost(attempts=2, aborted=1, spent=Spent(succeeded=600.0), lost_money=0.0)
    timed = replace(untimed, spent=Spent(succeeded=600.0, aborted=60.0), lost_money=0.5)
    tasks = [TaskCost(workflow="wf", task=name, cost=untimed) for name in ("Gpu", "Cpu")]
    tasks[1] = replace(tasks[1], cost=timed)
    waste = Waste(total=timed, tonight=untimed, tasks=tuple(tasks))
    found = replace(report(entries(4, over), over), waste=waste)
    lists = Lists(Jobs(found, zone=UTC, pages=set()))
    (page,) = taskpages.pages(found, lists, Prices(hour=30.0), as_of=None)
    view = page.view(None)  # type: ignore[arg-type]  # it draws nothing
    gpu, cpu = view.tables[0].rows
    assert (gpu.lost, gpu.share, gpu.money) == ("", "", "")
    assert (cpu.lost, cpu.money) == ("1 min", "0.50")
    made = Theme(Settings(), version="0.1.0").file(
        page.template, view, address=page.address, as_of=None
    )
    assert made.decode().count("no time known") == 5
    assert wastewords.tonight_words(found, Prices()) == "1 attempt with no time known"


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (Cost(unread=2), "not known: {}"),
        (Cost(spent=Spent(succeeded=60.0), unread=2), "none that is known: {}"),
        (Cost(aborted=1, unread=2), "1 attempt with no time known; {}"),
        (
            Cost(failed=1, spent=Spent(failed=60.0), unread=2),
            "1 min (100 % of all hours), all of it failed; {}",
        ),
    ],
)
def test_waste_is_never_none_where_attempts_could_not_be_read(cost: Cost, said: str) -> None:
    unread = "the attempts of 2 jobs could not all be read"
    assert wastewords.waste_words(cost, Prices()) == said.format(unread)


def test_where_only_some_tasks_have_a_price_the_sum_is_at_least_that(folder: Path) -> None:
    waste, page = rendered(folder, "[prices]\ntasks = { StarFusion = 2.0 }\n")
    assert 0 < waste["report"]["money"] < waste["report"]["lost_seconds"] / 3600 * 2
    assert f"{waste['report']['money']:.2f} USD at least." in page
    assert "Tasks without a price are left out of the money." in page


def test_a_price_of_a_task_that_nobody_has_is_named(folder: Path) -> None:
    """Written wrong, its task would cost what every other does, and nothing would say so."""
    prices = "[prices]\ntasks = { StarFusoin = 2.0, StarFusion = 2.0, Nothing_like_it = 1.0 }\n"
    rendered(folder, prices)
    quality = (folder / "site/quality.html").read_text()
    said = "[prices] tasks: {}: no job that ended has such a task"
    assert f"<li>{said.format('StarFusoin')}; did you mean StarFusion?</li>" in quality
    assert f"<li>{said.format('Nothing_like_it')}</li>" in quality
    assert quality.count("[prices] tasks:") == 2


def test_prices_of_tasks_are_no_mistake_where_nobody_has_any() -> None:
    """As on a server of dsub, or before the first job has ended."""
    over = runs(1)
    assert taskpages.mistakes(Prices(tasks={"Align": 1.0}), report(entries(4, over), over)) == ()


def test_what_many_jobs_cost_is_asked_by_the_hundred() -> None:
    """Each by itself would take as long as to add it up; those that cost nothing are left out."""
    asked: list[str] = []
    with sqlite3.connect(":memory:") as index:
        index.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, id TEXT UNIQUE)")
        index.execute(measured.TABLE)
        for number in range(300):
            index.execute("INSERT INTO entries VALUES (?, ?)", (number, f"job {number}"))
            cost = (Measure(f"task {number}"),)
            measured.put(index, number, measured.encode(cost) if number % 3 else b"")
        index.set_trace_callback(asked.append)
        jobs = [f"job {number}" for number in reversed(range(310))]
        found = [*measured.read(index, jobs)]
    numbers = [number for number in reversed(range(300)) if number % 3]
    assert found == [(f"job {number}", (Measure(f"task {number}"),)) for number in numbers]
    assert sum(each.startswith("SELECT") for each in asked) == 2
