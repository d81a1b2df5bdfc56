"""A server's `displayFields` lead: columns, names and order, dates, filters, and archived jobs.

As static pages, in the table that the script makes, and in jobs.csv.
"""

import csv
import io
import re
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from site_cases import entries, report, runs, write

from jmreport.models import DisplayField
from jmreport.records import Entry, Run
from jmreport.render import addresses, data
from jmreport.render.columns import MOST_COLUMNS, columns
from jmreport.render.jobcells import Jobs
from jmreport.render.jobrows import filters
from jmreport.render.words import zone


def told(*fields: dict[str, Any], common: tuple[str, ...] = ()) -> tuple[Run, ...]:
    """Runs of a server that names these fields and common labels."""
    tree = {"displayFields": list(fields), "commonLabels": list(common)}
    return tuple(replace(run, capabilities=tree) for run in runs(2))


def shown(*fields: DisplayField) -> list[tuple[str, str]]:
    return [(column.key, column.title) for column in columns(fields)]


def test_columns_have_the_servers_names_and_order() -> None:
    """Primary ones first; what every row needs is added where the server forgets it."""
    assert shown(
        DisplayField(field="labels.sample", display="Sample", primary=False),
        DisplayField(field="id", display="Workflow ID"),
        DisplayField(field="name", display="Name"),
        DisplayField(field="status", display="State"),
        DisplayField(field="extensions.userId", display="Who"),
    ) == [
        ("id", "Workflow ID"),
        ("name", "Name"),
        ("status", "State"),
        ("extensions.userId", "Who"),
        ("labels.sample", "Sample"),
        ("took", "Took"),
    ]


def test_what_the_api_calls_a_date_is_one_without_a_type() -> None:
    kinds = {
        column.key: column.kind
        for column in columns(
            [
                DisplayField(field="extensions.lastUpdate", display="Updated"),
                DisplayField(field="extensions.userId", display="Who"),
            ]
        )
    }
    assert (kinds["extensions.lastUpdate"], kinds["extensions.userId"]) == ("time", "text")


def test_without_fields_there_are_sensible_columns() -> None:
    titles = [column.title for column in columns(())]
    assert titles == ["Status", "Workflow", "Job", "Submitted", "Started", "Ended", "Took", "User"]


def test_a_field_named_twice_or_in_both_spellings_is_one_column() -> None:
    """`label.x` is how the API's own text writes it."""
    assert [
        key
        for key, _ in shown(
            DisplayField(field="label.owner", display="Owner"),
            DisplayField(field="labels.owner", display="Other"),
            DisplayField(field="label.owner", display="Third"),
        )
    ] == ["status", "name", "id", "labels.owner", "took"]


def test_forty_fields_fit_a_screen_and_fewer_a_phone() -> None:
    """What a row needs is kept; the others are said, and stand in jobs.csv."""
    many = [DisplayField(field=f"labels.x{n}", display=f"X {n}") for n in range(40)]
    made = columns(many)
    assert len(made) == MOST_COLUMNS
    assert {"status", "name", "id", "took"} <= {column.key for column in made}
    assert sum("minor" not in column.look for column in made) == 8


def test_a_field_that_does_not_fit_costs_no_other() -> None:
    """Wrong types, no name, no display: the columns beside it stay."""
    over = told(
        {"field": "labels.a", "display": 7},
        {"display": "nothing"},
        "text",  # type: ignore[arg-type]
        {"field": "labels.b", "display": "B", "primary": "yes"},
        {"field": "labels.c"},
    )
    found = report(entries(5, over), over)
    assert [field.field for field in found.columns] == ["labels.a", "labels.b", "labels.c"]
    assert found.columns[1].display == "B"


DATES = ("2026-11-20T10:00:00Z", "2026-11-21T08:30:00+02:00", "soon", "")


def dated(over: tuple[Run, ...]) -> tuple[Entry, ...]:
    """Jobs with a label `due` and a field of the server's own."""
    return tuple(
        replace(
            entry,
            row=replace(
                entry.row,
                labels={**entry.row.labels, "due": DATES[place % 4]},
                extra={"extensions.zone": f"z{place % 3}", "priority": str(place % 2)},
            ),
        )
        for place, entry in enumerate(entries(12, over))
    )


#: Called as a box that every list has.
OURS = {"field": "labels.label", "display": "Flag", "filterable": True}
FIELDS = (
    {"field": "id", "display": "Workflow ID"},
    {"field": "labels.due", "display": "Due", "fieldType": "date"},
    {"field": "extensions.zone", "display": "Zone", "filterable": True},
    {"field": "nowhere.to.be.found", "display": "Nowhere"},
    {
        "field": "labels.flag",
        "display": "Flag",
        "fieldType": "list",
        "validFieldValues": ["archive", "follow-up", "never-used"],
    },
    {
        "field": "labels.priority",
        "display": "Priority",
        "fieldType": "list",
        "validFieldValues": ["low", "high"],
    },
)


def test_dates_are_dates_and_a_field_that_no_job_has_is_said_once(tmp_path: Path) -> None:
    """A text that is no date stays the server's text."""
    over = told(*FIELDS)
    write(tmp_path, dated(over), over)
    text = (tmp_path / addresses.JOBS).read_text()
    due = re.findall(r'data-label="Due"[^>]*>(.*?)</td>', text)
    assert any(">20 Nov 10:00</time>" in cell for cell in due)
    assert any(">21 Nov 06:30</time>" in cell for cell in due)
    assert any(cell == "soon" for cell in due)
    assert any(">none</span>" in cell for cell in due)
    assert 'data-label="Nowhere"' not in text
    assert "No job of this report has Nowhere, Flag and Priority." in text


def test_a_field_of_few_jobs_stands_below_their_names(tmp_path: Path, browser: Any) -> None:
    """One of thirty jobs has a comment: a line there, no column of dashes; by page and script."""
    over = told(
        {"field": "labels.comment", "display": "Comment"},
        {"field": "labels.owner", "display": "Owner"},
    )
    jobs = [
        replace(entry, row=replace(entry.row, labels=labels))
        for place, entry in enumerate(entries(30, over))
        for labels in [{"owner": "ana", **({"comment": "call Li <first>"} if place == 7 else {})}]
    ]
    write(tmp_path, jobs, over)
    text = (tmp_path / addresses.JOBS).read_text()
    assert 'data-label="Comment"' not in text
    assert text.count("Comment: call Li &lt;first&gt;") == 1
    assert "No job of this report" not in text
    page = browser.new_page()
    page.goto((tmp_path / addresses.JOBS).as_uri())
    page.get_by_label("Text").fill("<first>")
    page.locator("#jobs tbody tr:nth-child(2)").wait_for(state="detached")
    assert page.locator("#jobs tbody tr").count() == 1
    assert "Comment: call Li <first>" in page.locator("#jobs tbody").inner_text()
    page.close()


def test_a_phone_shows_jobs_first_and_the_filter_on_demand(tmp_path: Path, browser: Any) -> None:
    """Nothing that is not known takes a line; a filter that is set stays open."""
    write(tmp_path, entries(60, runs(2)), runs(2))
    page = browser.new_page(viewport={"width": 360, "height": 800})
    page.goto((tmp_path / addresses.JOBS).as_uri())
    assert not page.get_by_label("Text").is_visible()
    assert page.locator("#found").is_visible()
    first = page.locator("#jobs tbody tr").first
    assert first.bounding_box()["height"] < 130
    assert not any(cell.is_visible() for cell in page.locator("#jobs .none").all()[:20])
    page.goto((tmp_path / addresses.JOBS).as_uri() + "#status=Failed")
    page.reload()
    assert page.get_by_label("Text").is_visible()
    page.close()


def test_the_script_shows_and_sorts_the_servers_columns(tmp_path: Path, browser: Any) -> None:
    """The same cells as the page had, and a box for each field that the server marks."""
    over = told(*FIELDS, OURS, common=("owner", "id", "name", "Owner"))
    jobs = dated(over)
    write(tmp_path, jobs, over)
    page = browser.new_page()
    page.goto((tmp_path / addresses.JOBS).as_uri())
    boxes = page.locator("#filter label").all_inner_texts()
    assert boxes[:5] == ["Text", "Status", "Workflow", "Any label", "Flag"]
    assert {"owner", "Owner (labels.Owner)", "Flag (labels.label)"} < {*boxes}
    assert len({box.lower() for box in boxes}) == len(boxes)
    titles = page.locator("#jobs thead th").all_inner_texts()
    assert titles == ["Status", "Workflow", "Workflow ID", "Due", "Zone", "Took"]
    assert page.get_by_label("Zone").locator("option").all_inner_texts() == [
        "Any",
        "z0",
        "z1",
        "z2",
    ]
    assert page.get_by_label("owner", exact=True).count() == 1
    assert page.get_by_label("Priority").locator("option").all_inner_texts() == [
        "Any",
        "low",
        "high",
    ]
    assert "never-used" in page.locator("#f-flag option").all_inner_texts()
    page.get_by_label("Zone").select_option("z1")
    assert page.evaluate("location.hash") == "#by.extensions.zone=z1"
    here = [e.row for e in jobs if e.row.extra["extensions.zone"] == "z1" and not e.row.archived]
    assert page.locator("#jobs tbody tr").count() == len(here)
    page.locator("#clear").click()
    page.get_by_role("button", name="Due").click()
    cells = page.locator('#jobs td[data-label="Due"]').all_inner_texts()
    known = [cell for cell in cells if re.match(r"\d", cell)]
    assert known == sorted(known)
    assert known == cells[: len(known)]
    page.close()


def test_common_labels_come_first_among_the_filters() -> None:
    over = told(*FIELDS, common=("status", "batch", "flag", "label.owner"))
    found = filters(report(entries(5, over), over))
    assert [field.field for field in found] == [
        "labels.batch",
        "labels.owner",
        "extensions.zone",
        "labels.priority",
    ]


def test_jobs_csv_holds_every_field_of_the_server() -> None:
    over = told(*FIELDS)
    jobs = dated(over)
    text = b"".join(data.table(jobs, addresses.job)).decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [line["field:extensions.zone"] for line in lines] == [f"z{n % 3}" for n in range(12)]
    assert lines[1]["field:priority"] == "1"
    assert lines[0]["label:due"] == DATES[0]


# --- archived jobs -----------------------------------------------------------------------------


def test_archived_jobs_are_one_click_away_without_the_script(tmp_path: Path) -> None:
    """The list says how many there are, hides them, and links to them."""
    over = runs(2)
    jobs = entries(260, over)
    write(tmp_path, jobs, over)
    archived = [entry.row for entry in jobs if entry.row.archived]
    assert archived
    text = (tmp_path / addresses.JOBS).read_text()
    assert f"<h1>{260 - len(archived)} jobs</h1>" in text
    assert f'<a href="archived.html">+ {len(archived)} archived</a>' in text
    put_aside = (tmp_path / "jobs/archived.html").read_text()
    for row in archived:
        name = addresses.job(row.id).rpartition("/")[2]
        assert name in put_aside
        assert name not in text


def test_a_list_of_archived_jobs_alone_shows_them(tmp_path: Path) -> None:
    over = runs(2)
    jobs = tuple(
        replace(entry, row=replace(entry.row, labels={"flag": "archive"}))
        for entry in entries(5, over)
    )
    write(tmp_path, jobs, over)
    text = (tmp_path / addresses.JOBS).read_text()
    assert "<h1>5 jobs</h1>" in text
    assert text.count("<tr><td") == 5
    assert not (tmp_path / "jobs/archived.html").exists()


def test_the_script_puts_archived_jobs_aside_and_says_how_many(
    tmp_path: Path, browser: Any
) -> None:
    over = runs(2)
    jobs = entries(60, over)
    write(tmp_path, jobs, over)
    archived = sum(entry.row.archived for entry in jobs)
    assert archived
    page = browser.new_page()
    page.goto((tmp_path / addresses.JOBS).as_uri())
    found = page.locator("#found").inner_text()  # its first half is for those who hear it
    assert " ".join(found.split()) == f"{60 - archived} jobs, + {archived} archived"
    page.get_by_label("Show archived").check()
    assert page.locator("#found").inner_text() == "60 jobs"
    assert page.evaluate("location.hash") == "#archived=on"
    page.close()


def test_jobs_know_what_is_left_out() -> None:
    over = told(*({"field": f"labels.x{n}", "display": f"X {n}"} for n in range(40)))
    labels = {f"x{n}": "y" for n in range(30)}
    all_have = [replace(entry, row=replace(entry.row, labels=labels)) for entry in entries(3, over)]
    jobs = Jobs(report(all_have, over), zone=zone("UTC"), pages=set())
    assert jobs.left_out == 30 - (MOST_COLUMNS - 4)
    assert jobs.unsaid == [f"X {n}" for n in range(30, 40)]
