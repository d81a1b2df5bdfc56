"""A job's page on failures, their logs and their operations: top to bottom, without clicking."""

import json
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_jobpage import JOB, detail, page, record, text

from jmreport import pipeline
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import Exit
from jmreport.gaps import Gap
from jmreport.progress import SilentProgress
from jmreport.render import reasons
from jmreport.render.links import Links
from jmreport.settings import Collect, Settings, Site, Snapshots

BUCKET = "gs://bucket"
ENDED = "2026-11-23T00:03:00+00:00"


def failed(*failures: dict[str, Any], tasks: Any = (), **extensions: Any) -> dict[str, Any]:
    return detail(
        failures=[{"failure": "it broke", **one} for one in failures],
        extensions={"tasks": list(tasks), **extensions},
    )


def tail(contents: str = "the end\n", *, truncated: Any = False) -> dict[str, Any]:
    return {"contents": contents, "truncated": truncated}


def cards(html: str) -> list[str]:
    """What stands in each failure's card, as a reader sees it."""
    found = re.findall(r'<article class="card failed".*?</article>', html, re.DOTALL)
    return [unescape(" ".join(re.sub(r"<[^>]+>", " ", card).split())) for card in found]


# Reasons


def test_a_chain_of_reasons_is_a_line_each_with_the_innermost_first() -> None:
    """Cromwell nests them in one line; the innermost first one is what it all began with."""
    message = (
        "Workflow input processing failed (Caused by [reason 1 of 2]: Required input 'x (y)' not "
        "specified) (Caused by [reason 2 of 2]: Failed to import 'a.wdl' (Caused by [reason 1 of "
        "1]: 404 Not Found))"
    )
    html = page(record(failed({"failure": message, "taskName": "Workflow Error"})))
    (card,) = cards(html)
    assert card.startswith("Workflow Error Required input 'x (y)' not specified")
    lines = re.findall(r'<li class="depth-(\d)">(.*?)</li>', html)
    assert [(depth, unescape(re.sub(r"<[^>]+>", "", line))) for depth, line in lines] == [
        ("0", "Workflow input processing failed"),
        ("1", "reason 1 of 2: Required input 'x (y)' not specified"),
        ("1", "reason 2 of 2: Failed to import 'a.wdl'"),
        ("2", "reason 1 of 1: 404 Not Found"),
    ]
    assert message in unescape(html), "the whole message is reachable as it came"


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ("plain (with a part)", []),
        ("(Caused by [reason 1 of 1]: x)", ["", "x"]),
        ("a (Caused by [reason 1 of 1]: b (c", ["a", "b (c"]),
        ("a) (Caused by [reason 1 of 1]: b)) c", ["a)  ) c".replace("  ", ""), "b"]),
        ("a (Caused by [reason 1 of 2]: b) c (Caused by [reason 2 of 2]: d)", ["a c", "b", "d"]),
    ],
)
def test_a_message_is_split_where_its_parentheses_say(message: str, parts: list[str]) -> None:
    assert [reason.text for reason in reasons.chain(message)] == parts


@given(st.text(alphabet="a() ", max_size=40), st.integers(0, 90))
def test_no_letter_of_a_chain_is_lost(text: str, depth: int) -> None:
    """However deep, and however its parentheses lie."""
    message = text + "".join(f"(Caused by [reason 1 of 1]: {text}x" for _ in range(depth))
    found = reasons.chain(message)
    if found:
        assert "".join(one.text for one in found).count("x") == depth
        assert reasons.deepest(found) in [one.text for one in found]
    else:
        assert depth == 0 or depth >= reasons.MOST


# Where and in which order


def test_a_failure_names_task_shard_and_attempt_and_leads_to_its_task() -> None:
    tree = failed(
        {"taskName": "wf.Align", "shardIndex": 7, "callRoot": "gs://b/shard-7/attempt-3"},
        {"taskName": "Align", "shardIndex": 8, "callRoot": "gs://b/shard-8"},
        {"taskName": "Merge", "shardIndex": -1},
        tasks=[
            {"name": "Merge", "executionStatus": "Failed", "attempts": 2, "returnCode": 137},
            {"name": "Align", "executionStatus": "Failed", "attempts": 9, "shards": [
                {"shardIndex": 7, "attempts": 3, "executionStatus": "Failed"},
                {"shardIndex": 8, "attempts": 2, "executionStatus": "Failed",
                 "callRoot": "gs://b/shard-8/attempt-2"},
            ]},
        ],
    )  # fmt: skip
    html = page(record(tree))
    assert [card.partition(" it broke")[0] for card in cards(html)] == [
        "wf.Align , shard 7, attempt 3 of 3",
        "Align , shard 8, attempt 1 of 2",
        "Merge , attempt 2 of 2 return code 137",
    ]
    assert '<h3><a href="#task-2">wf.Align</a>' in html
    assert '<h3><a href="#task-1">Merge</a>' in html


def test_what_tasks_tell_comes_before_what_the_workflow_tells() -> None:
    """ "Workflow Error" repeats what a task said, or says less."""
    tree = failed({"taskName": "Workflow Error"}, {"taskName": "Align"}, {}, {"taskName": "Merge"})
    shown = [card.split(" ")[0] for card in cards(page(record(tree)))]
    assert shown == ["Align", "Merge", "Workflow", "Workflow"]


def test_a_job_without_failures_shows_its_failed_tasks_and_shards() -> None:
    """Also those without a message; a scatter's failed shards stand for it."""
    tree = failed(
        tasks=[
            {"name": "Fine", "executionStatus": "Succeeded", "failureMessages": ["old news"]},
            {"name": "Mute", "executionStatus": "Failed", "end": ENDED},
            {"name": "Wide", "executionStatus": "Failed", "failureMessages": ["of all"], "shards": [
                {"shardIndex": 0, "executionStatus": "Succeeded"},
                {"shardIndex": 1, "executionStatus": "Failed", "failureMessages": ["no disk"]},
            ]},
        ],
    )  # fmt: skip
    html = page(record(tree))
    assert "No failure was reported, though the job failed. These are its failed tasks." in text(
        html
    )
    mute, wide = cards(html)
    assert mute.startswith("Mute Mon 23 Nov 2026, 00:03 UTC No message was given.")
    assert wide.startswith("Wide , shard 1 no disk")


def test_a_job_that_tells_nothing_shows_its_own_logs_and_the_servers_word() -> None:
    """The first of them stands open."""
    address = f"{BUCKET}/a b#1?.log"
    tree = failed(logs={"stderr": address, "log": "/local"}, statusDetail="E: it was killed")
    html = page(record(tree, logs={address: tail("first\nKilled\n")}))
    shown = text(html)
    assert "The server lists no failure; it says of the job: E: it was killed" in shown
    assert "No failure was reported" not in shown
    assert "could not be read" not in shown
    assert "stderr whole log, 2 lines" in shown
    assert re.search(r'<details class="plain" open><summary><b>stderr</b>', html)
    assert "<mark>Killed</mark>" in html
    assert "bucket/a%20b%231%3F.log" in html


def test_the_servers_word_stands_before_the_failed_tasks() -> None:
    tree = failed(tasks=[{"name": "Mute", "executionStatus": "Failed"}], statusDetail="E: killed")
    said = text(page(record(tree)))
    assert "it says of the job: E: killed These are its failed tasks. Mute" in said


def test_a_job_that_tells_nothing_says_why_its_own_logs_are_not_there_and_where_they_lie() -> None:
    """As dsub's on a disk: their table, else closed below all others, stands open."""
    html = page(record(failed(logs={"stderr": "/srv/x-stderr.log"}, statusDetail="E: killed")))
    shown = unescape(text(html))
    assert "it says of the job: E: killed The job's own logs (stderr) could not be read: " in shown
    assert 'only logs in buckets (gs://) can be asked for. <a href="#logs">' in html
    assert '<details id="logs" open>' in html
    assert ">/srv/x-stderr.log<" in html
    silent = page(record(failed(statusDetail="E: killed")))
    assert 'href="#logs"' not in silent


def test_a_job_that_did_not_fail_has_no_such_words() -> None:
    html = page(record({**failed(), "status": "Succeeded"}))
    assert "No failure was reported" not in html
    assert 'id="failures"' not in html


# Logs


def test_the_first_log_stands_open_and_the_others_are_closed() -> None:
    names = [f"{BUCKET}/{n}" for n in range(3)]
    tree = failed(*({"taskName": f"T{n}", "backendLog": name} for n, name in enumerate(names)))
    html = page(record(tree, logs={name: tail() for name in names}))
    opened = re.findall(r'<details class="plain"( open)?><summary><b>End of the log', html)
    assert opened == [" open", "", ""]


LOST = [
    ({}, (), (), "The server names no log for it."),
    ({"backendLog": "/srv/stderr"}, (), (), "only logs in buckets (gs://) can be asked for"),
    ({"backendLog": "s3://b/x"}, (), (), "only logs in buckets (gs://) can be asked for"),
    ({"jobId": "other"}, (), (), "Its log is with the sub-job."),
    ({"backendLog": f"{BUCKET}/x"}, ("access refused (403)",), (),
     "Log could not be read (access refused (403))."),
    ({"backendLog": f"{BUCKET}/x"}, ("not found (404)",), (), "(not found (404))."),
    ({"backendLog": f"{BUCKET}/x"}, (), ("this server does not offer them: 204",),
     "Log was not read (this server does not offer them: 204)."),
    ({"backendLog": f"{BUCKET}/x"}, (), ("only 5 were asked for, 2 more were not",),
     "Log was not read (only 5 were asked for, 2 more were not)."),
    ({"backendLog": f"{BUCKET}/x"}, (), (), "Log was not asked for."),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "gaps", "notes", "words"), LOST)
def test_a_failure_without_a_log_says_why(
    failure: dict[str, Any], gaps: tuple[str, ...], notes: tuple[str, ...], words: str
) -> None:
    html = page(
        record(
            failed(failure),
            gaps=tuple(Gap(what=f"log {BUCKET}/x", why=why, job=JOB) for why in gaps),
            notes=tuple(Gap(what="logs", why=why, job=JOB) for why in notes),
        )
    )
    assert words in cards(html)[0]


@pytest.mark.parametrize(
    ("address", "read", "gap", "words"),
    [
        (f"{BUCKET}/x", True, "", "The server names no log for it; the job's own are below."),
        (
            "/srv/x",
            False,
            "",
            "The job's own logs (stderr) could not be read: only logs in buckets",
        ),
        (
            f"{BUCKET}/x",
            False,
            "not found (404)",
            "logs (stderr) could not be read: not found (404).",
        ),
        (f"{BUCKET}/x", False, "", "The job's own logs (stderr) could not be read: they were not"),
    ],
)
def test_a_failure_without_a_log_of_its_own_speaks_of_the_jobs(
    address: str, read: bool, gap: str, words: str
) -> None:
    """dsub has no tasks: its logs are the job's."""
    of = record(
        failed({}, logs={"stderr": address}),
        logs={address: tail()} if read else {},
        gaps=(Gap(what=f"log {address}", why=gap, job=JOB),) if gap else (),
    )
    html = page(of)
    assert words in cards(html)[0]
    assert ("stderr whole log" in text(html)) == read


def test_a_log_that_its_failure_told_of_is_not_told_of_again() -> None:
    of = record(
        failed({"backendLog": f"{BUCKET}/x"}),
        gaps=(Gap(what=f"log {BUCKET}/x", why="server error 500", job=JOB),),
    )
    html = page(of)
    assert "Log could not be read (server error 500)." in cards(html)[0]
    assert "Other logs" not in html


def test_two_failures_with_one_log_show_it_once_and_say_so() -> None:
    tree = failed({"backendLog": f"{BUCKET}/x"}, {"backendLog": f"{BUCKET}/x"})
    first, second = cards(page(record(tree, logs={f"{BUCKET}/x": tail()})))
    assert "End of the log" in first
    assert "Its log is the one shown above." in second


@pytest.mark.parametrize("contents", ["", "\n\n", "  \n"])
def test_an_empty_log_is_said_to_be_empty(contents: str) -> None:
    tree = failed({"backendLog": f"{BUCKET}/x"})
    assert "The log is empty." in cards(page(record(tree, logs={f"{BUCKET}/x": tail(contents)})))[0]


@pytest.mark.parametrize(
    ("truncated", "words"),
    [(False, "whole log, 2 lines"), ("false", "whole log, 2 lines"), ("False", "whole log"),
     (True, "last 2 lines"), ("true", "last 2 lines"), ("?", "last 2 lines")],
)  # fmt: skip
def test_whether_it_is_the_whole_log_may_be_said_by_a_word(truncated: Any, words: str) -> None:
    tree = failed({"backendLog": f"{BUCKET}/x"})
    log = {f"{BUCKET}/x": tail("a\nb\n", truncated=truncated)}
    assert words in cards(page(record(tree, logs=log)))[0]


def test_lines_that_may_tell_why_are_told_from_those_that_a_phone_shows_the_beginnings_of() -> None:
    """The last three, and those that tell of an error."""
    lines = [*"abcd", "Error: e", *"fghij"]
    html = page(
        record(failed({"backendLog": f"{BUCKET}/x"}), logs={f"{BUCKET}/x": tail("\n".join(lines))})
    )
    shown = re.search(r'<pre class="log"[^>]*>(.*?)</pre>', html, re.DOTALL)
    assert shown
    assert shown[1] == (
        '<span class="far">a\nb\nc\nd</span>\n<mark>Error: e</mark>\n'
        '<span class="far">f\ng</span>\nh\ni\nj\n'
    )


def test_a_log_that_was_cut_says_so() -> None:
    note = Gap(what=f"log {BUCKET}/x", why="70 bytes at its beginning were not kept", job=JOB)
    tree = failed({"backendLog": f"{BUCKET}/x"})
    of = record(tree, logs={f"{BUCKET}/x": tail(truncated=True)}, notes=(note,))
    assert "70 bytes at its beginning were not kept" in cards(page(of))[0]


def test_logs_of_attempts_that_no_failure_names_are_shown_with_their_place() -> None:
    """Of shards by their index, of flattened attempts by their folder; the refused ones too."""
    names = {n: f"{BUCKET}/{n}" for n in ("inline", "flat/shard-4/x", "task", "lost", "own")}
    tree = failed(
        {"taskName": "Wide"},
        tasks=[
            {"name": "Wide", "executionStatus": "Failed", "shards": [
                {"shardIndex": 2, "executionStatus": "Failed", "attemptsData": [
                    {"attemptNumber": 1, "backendLog": names["inline"]},
                    {"attemptNumber": 2, "backendLog": names["lost"]}]},
            ]},
            {"name": "Alone", "executionStatus": "Failed", "backendLog": names["task"]},
        ],
        logs={"engine": names["own"]},
    )  # fmt: skip
    flat = {"attempts": [{"attemptNumber": 3, "backendLog": names["flat/shard-4/x"]}]}
    of = record(
        tree,
        attempts={"Wide": flat},
        logs={name: tail() for key, name in names.items() if key != "lost"},
        gaps=(Gap(what=f"log {names['lost']}", why="server error 500", job=JOB),),
    )
    shown = text(page(of))
    assert "Other logs (5)" in shown
    for words in (
        "Wide, shard 2, attempt 1 whole log",
        "Wide, shard 4, attempt 3 whole log",
        "Alone whole log",
        "engine whole log",
        "Wide , shard 2, attempt 2: Log could not be read (server error 500).",
    ):
        assert words in shown, words


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.fixed_dictionaries(
            {"failure": st.text(max_size=30)},
            optional={
                "taskName": st.sampled_from(["Align", "Workflow Error", ""]),
                "backendLog": st.sampled_from([f"{BUCKET}/x", f"{BUCKET}/y", "/x", "", "gs://"]),
                "jobId": st.just("other"),
            },
        ),
        min_size=1,
        max_size=6,
    ),
    st.dictionaries(st.sampled_from([f"{BUCKET}/x", f"{BUCKET}/y"]), st.just(tail())),
)
def test_no_failure_is_without_a_log_or_a_reason(failures: list[Any], logs: Any) -> None:
    """Whatever the server names, and whatever came of it."""
    shown = cards(page(record(failed(*failures), logs=logs)))
    assert len(shown) == len(failures)
    assert all(re.search(r"End of the log|\blog\b", card) for card in shown)


# Operations


def operation(details: Any, **more: Any) -> str:
    tree = failed({"operationId": "projects/p/operations/7"})
    html = page(record(tree, operations={"projects/p/operations/7": {"details": details, **more}}))
    found = re.search(r'<details id="operation-1">.*', html, re.DOTALL)
    assert found
    return text("<main>" + found[0].partition("Raw JSON")[0])


def test_an_operation_shows_error_and_events_first_and_then_all_it_holds() -> None:
    """As Google's older Pipelines tell it."""
    shown = operation(
        json.dumps(
            {
                "name": "n",
                "done": True,
                "metadata": {
                    "startTime": "2026-11-22T22:05:00Z",
                    "events": [{"timestamp": ENDED, "description": "Worker released"}],
                    "pipeline": {"resources": {"zones": ["us-central1-f"], "more": {"deep": [1]}}},
                },
                "error": {"code": 9, "message": "Execution failed"},
            }
        ),
        id="op-7",
    )
    order = ("error 9: Execution failed", "ID op-7", "Sun 22 Nov 2026, 22:05 UTC", "State done",
             "Zone us-central1-f", "Mon 23 Nov 2026, 00:03 UTC Worker released", "All it holds",
             "events (1 event, shown above)", "deep (1 item) #1 1", "code 9")  # fmt: skip
    places = [shown.index(words) for words in order]
    assert places == sorted(places)


def test_an_operation_of_batch_shows_its_state_and_events() -> None:
    events = [{"type": "STATUS_CHANGED", "description": "to FAILED", "eventTime": ENDED}]
    shown = operation(json.dumps({"status": {"state": "FAILED", "statusEvents": events}}))
    assert "State FAILED" in shown
    assert "00:03 UTC to FAILED" in shown
    assert "type STATUS_CHANGED" in shown, "what the table leaves out is in the tree"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ("", "The server gave no details."),
        (None, "The server gave no details."),
        ("not <json>", "The details are no JSON; this is what came. not &lt;json&gt;"),
        ('{"a": ', "The details are no JSON"),
        ("[" * 5_000, "The details are no JSON"),
        ("7", "All it holds 7"),
        ("null", "All it holds null"),
        ('"{\\"state\\": 1}"', "All it holds state 1"),
        ('{"a": ' * 40 + "1" + "}" * 40, "All it holds a (1 value) a (1 value)"),
    ],
)
def test_details_of_any_kind_have_a_place(details: Any, words: str) -> None:
    assert words in operation(details)


def test_a_large_operation_stays_small_and_says_what_is_left_out() -> None:
    shown = operation(json.dumps({f"k{n}": n for n in range(5_000)}))
    assert "4 750 more are in the raw JSON." in shown.replace("\u202f", " ") or (
        "4750 more are in the raw JSON." in shown
    )


@pytest.mark.parametrize(
    ("gap", "note", "words"),
    [
        ("not found (404)", "", "Details of its operation were not read (not found (404))."),
        ("", "this server does not offer them", "(this server does not offer them)."),
    ],
)
def test_an_operation_that_was_not_read_says_why(gap: str, note: str, words: str) -> None:
    gaps = (Gap(what="operation o/1", why=gap, job=JOB),) if gap else ()
    notes = (Gap(what="operations", why=note, job=JOB),) if note else ()
    of = record(failed({"operationId": "o/1"}), gaps=gaps, notes=notes)
    assert words in cards(page(of))[0]


@pytest.mark.parametrize("name", ["..", "a/../../b", "./x", "a/.", "../../../browser/other/x"])
def test_an_address_that_a_browser_would_resolve_stays_text(name: str) -> None:
    """The console's page of another object is no link to this one."""
    assert Links().href(f"{BUCKET}/{name}") is None
    assert Links().folder(f"{BUCKET}/{name}") is None


# From a server to the page


def built(root: Path, **server: Any) -> tuple[pipeline.Outcome, list[str]]:
    """A week of the failed jobs of a built-in server, over HTTP: the outcome, and their pages."""
    settings = Settings(
        site=Site(dir=str(root / "site")),
        snapshots=Snapshots(dir=str(root / "snapshots")),
        collect=Collect(status=("Failed",), log_bytes=1_000),
    )
    now = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)
    with serve(Demo(now=now, jobs=400, **server), port=0) as running:
        running.start()
        outcome = pipeline.build(
            settings, now=now, source=pipeline.Source(url=running.url), environ={},
            progress=SilentProgress(), workers=1,
        )  # fmt: skip
    found = [path.read_text() for path in (root / "site" / "jobs").glob("*.html")]
    return outcome, [html for html in found if 'class="card failed"' in html]


def test_a_real_run_shows_logs_and_says_which_the_server_stumbled_over(tmp_path: Path) -> None:
    outcome, shown = built(tmp_path, like="cromwell", archived=0.0, outside_auth=True, odd_logs=0.5)
    assert outcome.exit is Exit.INCOMPLETE
    said = "".join("".join(cards(html)) for html in shown)
    assert "End of the log" in said
    assert "Log could not be read (server error 500)." in said
    assert "bytes at its beginning were not kept; [collect] log_bytes = 1000 is the limit" in said
    every = [card for html in shown for card in cards(html)]
    assert all(re.search(r"End of the log|[Ll]og (could|was)|no log|sub-job", c) for c in every)


def test_a_real_run_without_logs_is_complete_and_every_failure_says_so(tmp_path: Path) -> None:
    """The Cromwell shim without its service: not offered, so nothing is lacking."""
    outcome, shown = built(tmp_path, like="cromwell", archived=0.0)
    assert outcome.exit is Exit.DONE
    said = "".join("".join(cards(html)) for html in shown)
    assert "Log was not read (this server does not offer them: the server answered nothing" in said
    assert "Details of its operation were not read (this server does not offer them" in said
