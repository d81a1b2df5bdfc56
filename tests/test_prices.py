"""Money: what lost hours cost by the prices in the settings, and never where there is none."""

import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from jmreport.cli import main
from jmreport.errors import Exit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six planted nights: the last is that of the outage, in which many tasks failed."""
    folder = tmp_path_factory.mktemp("prices")
    with chdir(folder):
        args = ["--demo", "--nights", "6", "--now", "2026-11-08T02:14:00Z"]
        assert main(["collect", "-q", *args]) == Exit.DONE
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


def test_where_only_some_tasks_have_a_price_the_sum_is_at_least_that(folder: Path) -> None:
    waste, page = rendered(folder, "[prices]\ntasks = { StarFusion = 2.0 }\n")
    assert 0 < waste["report"]["money"] < waste["report"]["lost_seconds"] / 3600 * 2
    assert f"{waste['report']['money']:.2f} USD at least." in page
    assert "Tasks without a price are left out of the money." in page
