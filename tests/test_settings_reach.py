"""How far settings reach: those said to change no page change none, and no page stays as it was."""

from pathlib import Path
from typing import Any

import msgspec
from site_cases import contents, entries, runs, write

from jmreport.pipeline import sealing
from jmreport.render import kept
from jmreport.settings import Settings
from jmreport.settings_keys import KEYS, LISTS, Key
from jmreport.settings_reach import (
    EVERY_PAGE,
    NIGHTS,
    NO_PAGE,
    PAGES_OF_JOBS,
    PLACES,
    exchanged,
    values,
    without,
)


def _another(key: Key) -> Any:
    """Another value than by default, where one can be made up."""
    if key.path == "report.timezone":
        return "Asia/Kolkata"
    if isinstance(key.default, bool):
        return not key.default
    if isinstance(key.default, int | float) and key.example == key.default:
        return key.default + 1
    if isinstance(key.default, str) and key.is_path:
        return f"{key.default}-elsewhere"
    return f"{key.default} of others" if key.path == "site.title" else key.example


def _others() -> Settings:
    """Settings in which all that can be is another than by default, and each list has something."""
    tree: dict[str, Any] = {}
    for key in KEYS.values():
        if not key.listed:
            tree.setdefault(key.section, {})[key.name] = _another(key)
    for name in LISTS:
        table, _, inner = name.partition(".")
        keys = [key for key in KEYS.values() if key.section == name]
        one = {key.name: key.example for key in keys if key.example is not msgspec.NODEFAULT}
        if inner:
            tree[table][inner] = [one]
        else:
            tree[table] = [one]
    return msgspec.convert(tree, Settings)


OTHERS = _others()
TABLES = tuple(Settings.__struct_fields__)


def test_each_table_can_be_another() -> None:
    """Or the rest of these tests would hold of nothing."""
    defaults = Settings()
    for name in (*TABLES, *EVERY_PAGE, *NIGHTS, *PLACES):
        assert values(OTHERS, (name,)) != values(defaults, (name,)), name
        other = exchanged(defaults, OTHERS, (name,))
        assert values(other, (name,)) == values(OTHERS, (name,))
        assert without(other, (name,)) == defaults


def test_what_changes_no_page_changes_no_byte_of_a_site(tmp_path: Path) -> None:
    over = runs(2)
    known = entries(8, over)
    write(tmp_path / "a", known, over)
    write(tmp_path / "b", known, over, settings=exchanged(Settings(), OTHERS, NO_PAGE))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_all_jobs_are_looked_at_for_any_setting_that_may_change_a_page() -> None:
    """But for where everything lies: a site that was moved is the same site."""
    before = sealing.made_with(Settings())
    for name in (*TABLES, *PLACES):
        made = sealing.made_with(exchanged(Settings(), OTHERS, (name,)))
        assert (made == before) == (name in (*NO_PAGE, *PLACES)), name


def test_pages_of_jobs_show_no_settings_but_those_that_a_cluster_is_told(tmp_path: Path) -> None:
    over = runs(2)
    known = entries(8, over)
    write(tmp_path / "a", known, over, settings=OTHERS)
    only = exchanged(Settings(), OTHERS, PAGES_OF_JOBS)
    write(tmp_path / "b", known, over, settings=only)
    first, second = (
        {name: data for name, data in contents(tmp_path / site).items() if name.startswith("jobs/")}
        for site in "ab"
    )
    assert len(first) > len(known)
    assert first == second


def test_a_site_under_other_settings_is_as_one_that_is_new(tmp_path: Path) -> None:
    """No page stays that shows what was set before, whichever setting is another."""
    over, settings = runs(2), Settings()
    known = entries(3, over)
    write(tmp_path / "a", known, over)
    for name in ("site.title", "site.url", "actions.url", "report", "redact", "prices", "slo"):
        settings = exchanged(settings, OTHERS, (name,))
        write(tmp_path / "a", known, over, settings=settings)
        write(tmp_path / name, known, over, settings=settings)
        assert contents(tmp_path / "a") == contents(tmp_path / name), name


def test_a_night_is_told_again_for_other_identity_labels_and_another_zone_alone() -> None:
    """With other promises, prices and known issues it stays as it was told."""
    keys = [key.path for key in KEYS.values() if not key.listed]
    before = kept.told_under(Settings())
    again = {
        name for name in keys if kept.told_under(exchanged(Settings(), OTHERS, (name,))) != before
    }
    assert again == {"report.identity_labels", "report.timezone"}
