"""The data files: whole, safe in a spreadsheet, and one line a job."""

import csv
import io
import json
import re
from collections.abc import Iterator

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from site_cases import HOSTILE, entries, report, runs

from jmreport.analysis.rows import summarise
from jmreport.gaps import MISFIT, Gap
from jmreport.records import JobRow, Record
from jmreport.render import addresses, data, reportjson
from jmreport.settings import Settings, Slo

OVER = runs(2)
JOBS = entries(80, OVER)
_ANY_TEXT = st.text(max_size=40)
_FORMULAS = st.text("=+-@;\t\r\n\",'x", max_size=12)
#: What a spreadsheet would run, or might.
_RUNS = re.compile(r"(?:^|[;\t\r\n]\"*)[=+\-@]|^[\t\r]")


def test_ndjson_has_a_line_for_each_job() -> None:
    """Each line is JSON by itself, with the address of the job's page."""
    lines = b"".join(data.ndjson(JOBS, addresses.job)).splitlines()
    trees = [json.loads(line) for line in lines]
    assert [tree["id"] for tree in trees] == [entry.row.id for entry in JOBS]
    assert trees[0]["page"] == addresses.job(JOBS[0].row.id)


def test_every_line_of_ndjson_holds_to_its_schema() -> None:
    """Whatever is known of a job, and where next to nothing is."""
    schema = json.loads(data.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    bare = replace(JOBS[0], row=JobRow(id="x", name="", status="Running", readable=False))
    failed = next(entry for entry in JOBS if entry.row.failure)
    for line in b"".join(data.ndjson([*JOBS[:9], bare, failed], addresses.job)).splitlines():
        jsonschema.validate(json.loads(line), schema)
        without = {key: value for key, value in json.loads(line).items() if key != "page"}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(without, schema)


@pytest.mark.parametrize(
    ("why", "counted"), [("server error 500", ""), (f"{MISFIT}: tasks", "0")], ids=["unread", "odd"]
)
def test_what_nobody_counted_is_no_good_news_in_the_csv(why: str, counted: str) -> None:
    """An empty cell, where no detail came; one that does not fit the API was read all the same."""
    row = replace(JOBS[0].row, readable=False, gaps=(Gap(what="job", why=why),))
    text = b"".join(data.table([replace(JOBS[0], row=row)], addresses.job)).decode()
    (told,) = csv.DictReader(io.StringIO(text, newline=""))
    counts = ("tasks", "shards", "retries", "preempted", "cached")
    assert [told[name] for name in counts] == [counted] * 5


def test_what_an_earlier_detail_counted_is_in_both_files() -> None:
    """The job failed since, and its detail did not come: its row keeps what was counted before."""
    task = {"name": "Sort", "shards": [{"shardIndex": 0}, {"shardIndex": 1, "attempts": 2}]}
    job = {"id": "j", "submission": "2026-11-23T12:00:00+00:00"}
    running = job | {"status": "Running", "extensions": {"tasks": [task]}}
    failed = job | {"status": "Failed"}
    record = Record(id="j", row=failed, detail=running, detail_from="20261122T021400Z")
    told = replace(JOBS[0], row=summarise(record))
    (line,) = data.ndjson([told], addresses.job)
    (cells,) = csv.DictReader(io.StringIO(b"".join(data.table([told], addresses.job)).decode()))
    counts = ("tasks", "shards", "retries", "preempted", "cached")
    assert [cells[name] for name in counts] == ["1", "2", "1", "", ""]
    assert [str(json.loads(line).get(name, "")) for name in counts] == [cells[n] for n in counts]


def test_csv_has_a_column_for_each_label() -> None:
    """A label is `label:<key>`; a job without it has an empty cell."""
    text = b"".join(data.table(JOBS, addresses.job)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["id"] for row in rows] == [entry.row.id for entry in JOBS]
    for row, entry in zip(rows, JOBS, strict=True):
        assert row["label:batch"] == entry.row.labels.get("batch", "")
    assert text.count("\r\n") == len(JOBS) + 1


def test_csv_has_columns_for_what_most_jobs_have_and_one_for_the_rest() -> None:
    """Each job's own keys would make the file grow with the square of the jobs."""
    many = [
        replace(entry, row=replace(entry.row, labels=labels, extra={**labels, "x": "y"}))
        for number, entry in enumerate(JOBS[:3])
        for labels in [{f"{number}-{key:03}": "=v;=" for key in range(200)} | {"owner": "ana"}]
    ]
    first = data.named(Settings(slo=(Slo(label="2-199=x", target=0.9),)))
    text = b"".join(data.table(many, addresses.job, first)).decode()
    head, *lines = csv.reader(io.StringIO(text, newline=""))
    assert len(head) == len(data.COLUMNS) + 2 * data.MOST_COLUMNS + 2
    assert head[-2:] == ["more labels", "more fields"]
    assert {len(line) for line in lines} == {len(head)}
    assert "label:2-199" in head
    owners = [dict(zip(head, line, strict=True))["label:owner"] for line in lines]
    assert owners == ["ana"] * 3
    for line, entry in zip(lines, many, strict=True):
        told = dict(zip(head, line, strict=True))
        own = {name.removeprefix("label:"): told[name] for name in head if name[:6] == "label:"}
        rest = json.loads(told["more labels"] or "{}")
        assert {*rest, *filter(own.get, own)} == {*entry.row.labels}
        assert rest.keys().isdisjoint(own)


def test_no_more_of_a_file_is_made_than_may_be_sent() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"ab"
        yield b"c"
        pytest.fail("it was too large already")

    assert data.whole(pieces(), most=2) is None
    assert data.whole([b"ab", b"c"], most=3) == b"abc"


@pytest.mark.parametrize("at_once", [1, 3, 80, 81])
def test_no_job_is_lost_between_two_pieces(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are written some jobs at a time, and are the same however many."""
    made = (data.ndjson, data.table)
    whole = [b"".join(each(JOBS, addresses.job)) for each in made]
    monkeypatch.setattr(data, "_AT_ONCE", at_once)
    assert [b"".join(each(JOBS, addresses.job)) for each in made] == whole


@given(name=_ANY_TEXT | _FORMULAS, value=_ANY_TEXT | _FORMULAS)
@example(name="x;=cmd|' /C calc'!A0;y", value="a\n=HYPERLINK(1)")
@example(name='x;"=1"', value='\t"=1\r@1')
def test_csv_brings_back_any_text_and_starts_no_formula(name: str, value: str) -> None:
    """Every cell reads back as it was, but for the quotes that keep it from being run.

    Nor does one begin where a spreadsheet separates by semicolons or tabs.
    """
    entry = replace(JOBS[0], row=replace(JOBS[0].row, name=name, labels={"x": value}))
    text = b"".join(data.table([entry], addresses.job)).decode()
    _, cells = list(csv.reader(io.StringIO(text, newline="")))
    for shown, was in ((cells[1], name), (cells[-1], value)):
        assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert _without_quotes(shown) == _without_quotes(was)
        assert shown == was or _RUNS.search(was)
    for separator in ";\t":
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            assert not any(cell.lstrip("\t\r").startswith(("=", "+", "-", "@")) for cell in row)


def _without_quotes(text: str) -> str:
    return text.replace("'", "")


def test_report_json_holds_hostile_text_as_text() -> None:
    """JSON needs no more escaping than JSON has."""
    tree = json.loads(reportjson.report_json(report(entries(80, OVER, text=HOSTILE), OVER)))
    assert any("onerror" in cause["title"] for cause in tree["causes"])
    assert tree["previous"] == "2026-11-22T02:14:00Z"
