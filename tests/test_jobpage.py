"""A job's page says how the job stands and why, and has a place for everything a server tells."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doses import dose
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jmreport import models
from jmreport.analysis.rows import summarise
from jmreport.gaps import Gap
from jmreport.records import Entry, Record
from jmreport.render import addresses, jobpage, reading
from jmreport.render.jobfacts import site_facts
from jmreport.render.links import Links
from jmreport.render.theme import Theme
from jmreport.report.jobs import Attempt, Attempts, JobContext
from jmreport.report.usual import Usual
from jmreport.settings import Settings

THEME = Theme(Settings(), version="0.0.0")
RUN = "20261123T021400Z"
JOB = "a3f9c21e-84d1-4c1b-9b60-0f6a2c4d77e1"


def detail(**more: Any) -> dict[str, Any]:
    """A failed job as a server describes it."""
    return {
        "id": JOB,
        "name": "germline_joint_calling",
        "status": "Failed",
        "submission": "2026-11-22T21:58:00+00:00",
        "start": "2026-11-22T22:05:00+00:00",
        "end": "2026-11-23T00:19:00+00:00",
        "labels": {"owner": "ana", "attempt": 2},
        "failures": [
            {
                "taskName": "MarkDuplicates",
                "shardIndex": 3,
                "failure": "java.lang.OutOfMemoryError: Java heap space",
                "timestamp": "2026-11-23T00:03:00+00:00",
                "backendLog": "gs://bucket/call-MarkDuplicates/shard-3/stderr",
                "callRoot": "gs://bucket/call-MarkDuplicates/shard-3",
                "operationId": "projects/p/operations/7",
            }
        ],
        "extensions": {
            "tasks": [
                {
                    "name": "MarkDuplicates",
                    "executionStatus": "Failed",
                    "start": "2026-11-22T23:23:00+00:00",
                    "end": "2026-11-23T00:03:00+00:00",
                    "attempts": 4,
                    "shards": [
                        {"shardIndex": n, "executionStatus": "Failed" if n == 3 else "Succeeded",
                         "start": "2026-11-22T23:23:00+00:00", "end": "2026-11-22T23:30:00+00:00",
                         "attempts": 3 if n == 3 else 1}
                        for n in range(4)
                    ],
                },
                {"name": "Later", "executionStatus": "Submitted", "start": "2026-01-01T00:00:00"},
            ]
        },
        **more,
    }  # fmt: skip


def record(tree: Any = None, **more: Any) -> Record:
    return Record(id=JOB, detail=detail() if tree is None else tree, **more)


def context(of: Record, **more: Any) -> JobContext:
    entry = Entry(
        row=summarise(of), run=RUN, shard="jobs-0000", line=0, digest="d", row_digest="r",
        first_run=RUN, last_run=RUN,
    )  # fmt: skip
    return JobContext(entry=entry, short_id=JOB[:8], **more)


def files(of: Record, **more: Any) -> dict[str, bytes]:
    facts = site_facts(Settings(), labels={"owner"}, workflows={"germline_joint_calling"})
    ctx = context(of, **more)
    return dict(jobpage.pages(of, ctx, theme=THEME, settings=Settings(), facts=facts))


def page(of: Record, **more: Any) -> str:
    return files(of, **more)[addresses.job(of.id)].decode()


def text(html: str) -> str:
    """What a reader sees: no tags, spaces as one."""
    body = html.partition("<main")[2]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.mark.parametrize(
    ("of", "why", "others"),
    [
        (record(detail(failures=[])), "the server gave no reason", "without a reason"),
        (
            Record(
                id=JOB,
                row={"id": JOB, "status": "Failed"},
                gaps=(Gap(what="job", why="status 500", job=JOB),),
            ),
            "why could not be read",
            "that could not be read",
        ),
    ],
)
def test_a_failed_job_of_which_no_reason_came_says_so_and_that_none_is_the_same_cause(
    of: Record, why: str, others: str
) -> None:
    shown = text(page(of, cause="c0ffee"))
    assert re.search(rf"Failed[^.:]*: {why}\. Others {others} \. ", shown)
    assert "same cause" not in shown
    assert "Jobs with the same cause ." in text(page(record(), cause="c0ffee"))


def test_what_has_not_been_yet_is_heard_as_such() -> None:
    """Of a job that its server has lost, nobody knows whether it is so."""
    going = record(detail(status="Running", end=None, failures=[]))
    assert "Ended — not ended" in text(page(going))
    seen = datetime(2026, 11, 22, 23, tzinfo=UTC)
    assert "Ended — no end known" in text(page(going, last_seen=seen))
    waits = record(detail(status="Submitted", start=None, end=None, failures=[]))
    assert "Started — not started Ended — not ended Took — not started" in text(page(waits))
    lost = text(page(waits, last_seen=seen))
    assert "Started — no start known Ended — no end known Took — no start known" in lost
    odd = text(page(record(detail(start=None, end=None))))
    assert "Started — not known Ended — not known Took — not known" in odd


def test_what_the_server_says_of_a_job_without_a_failure_is_a_reason() -> None:
    tree = detail(failures=[])
    tree["extensions"]["statusDetail"] = "the worker never came back"
    assert "gave no reason" not in text(page(record(tree)))


def test_the_title_is_the_verdict() -> None:
    assert "<title>Failed: germline_joint_calling a3f9c21e · Batch report</title>" in page(record())


def test_the_first_sentence_says_what_failed_why_and_how_often() -> None:
    shown = text(page(record(), cause_class="out of memory"))
    assert (
        "Failed after 2 h 14 min: MarkDuplicates , shard 3, ran out of memory on the last of 3 "
        "attempts." in shown
    )


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (["wf.X:3:{}: out of memory"] * 3, "all 3 attempts"),
        (["wf.X:3:{}: out of memory", "disk full", "wf.X:3:{}: out of memory"], "the last of 3"),
        (["VM was preempted", "VM was preempted", "out of memory"], "the last of 3"),
        (["exit code 1", "exit code 137", "exit code 137"], "the last of 3"),
        ([None, "out of memory", "out of memory"], "the last of 3"),
        (["out of memory", "out of memory"], "the last of 3"),
    ],
)
def test_a_failure_is_of_all_attempts_only_where_each_says_so(
    before: list[str | None], said: str
) -> None:
    """An attempt of which nothing is known, or that was preempted, did not fail so."""
    tree = detail()
    tree["extensions"]["tasks"][0]["shards"][3]["attemptsData"] = [
        {
            "attemptNumber": number,
            "executionStatus": "Failed" if number == 3 else "RetryableFailure",
            "failureMessages": [told.format(number)] if told else [],
        }
        for number, told in enumerate(before, 1)
    ]
    shown = text(page(record(tree), cause_class="out of memory"))
    assert f"shard 3, ran out of memory on {said}" in shown


@pytest.mark.parametrize(
    ("message", "taken"),
    [
        ("PAPI error code 10. 14: VM ggp-1 stopped unexpectedly.", True),
        ("worker was terminated, exit code 50001", True),
        ("return code 1: gs://b/preemptible-scratch/x/stderr", False),
    ],
)
def test_all_of_a_page_agrees_on_which_attempts_were_preempted(message: str, taken: bool) -> None:
    """The verdict, the task, its attempts, the diagram and what is said of the failure."""
    ran = {"start": "2026-11-22T23:23:00+00:00", "end": "2026-11-22T23:30:00+00:00"}
    told = {"executionStatus": "Failed", "failureMessages": [message], "backendLog": "x", **ran}
    tried = [{"attemptNumber": number, **told} for number in (1, 2)]
    tree = detail(failures=[{"taskName": "T", "failure": message}])
    tree["extensions"]["tasks"] = [{"name": "T", "attempts": 2, "attemptsData": tried, **told}]
    html = page(record(tree))
    assert summarise(record(tree)).preempted == (2 if taken else 0)
    places = ("T attempt 2 · 2 preemptions", "preempted on its last attempt", "Preempted attempt 1")
    assert [place in text(html) for place in places] == [taken] * 3
    assert ("t-preempted" in html) == taken


def test_a_cause_that_no_rule_knows_is_quoted() -> None:
    shown = text(page(record()))
    assert (
        "Failed after 2 h 14 min in MarkDuplicates , shard 3, on the last of 3 attempts:" in shown
    )


def test_failures_come_first_and_lead_to_log_folder_and_operation() -> None:
    html = page(record(operations={"projects/p/operations/7": {"details": '{"done": true}'}}))
    assert html.index("Failures") < html.index(">Timing<") < html.index(">Tasks ")
    console = "https://console.cloud.google.com/storage/browser"
    assert f'href="{console}/_details/bucket/call-MarkDuplicates/shard-3/stderr"' in html
    assert f'href="{console}/bucket/call-MarkDuplicates/shard-3"' in html
    assert 'href="#operation-1"' in html
    assert 'id="operation-1"' in html


def test_the_end_of_the_log_stands_open_with_its_telling_line_marked() -> None:
    log = "\n".join([f"line {n}" for n in range(40)] + ["Exception in thread main"])
    address = "gs://bucket/call-MarkDuplicates/shard-3/stderr"
    html = page(record(logs={address: {"contents": log, "truncated": False}}))
    assert "last 12 of 41 lines" in html
    assert "<mark>Exception in thread main</mark>" in html
    assert "29 earlier lines" in html


def test_a_log_that_could_not_be_read_says_why() -> None:
    address = "gs://bucket/call-MarkDuplicates/shard-3/stderr"
    gap = Gap(what=f"log {address}", why="403", job=JOB)
    assert "Log could not be read (403)." in page(record(gaps=(gap,)))


def test_a_failed_job_without_failures_says_so() -> None:
    tree = detail(failures=[], extensions={})
    shown = text(page(record(tree)))
    assert "No failure was reported, though the job failed." in shown
    assert "No tasks: the server's answer names none." in unescape(shown)
    shown = text(page(record(detail(failures=[], extensions={"tasks": []}))))
    assert "No tasks: the server knows of none for this job." in shown


def test_a_job_whose_detail_could_not_be_read_still_has_its_page() -> None:
    row = {key: value for key, value in detail().items() if key != "failures"}
    gone = Record(id=JOB, row=row, gaps=(Gap(what="job", why="server error 500"),))
    shown = text(page(gone))
    assert "could not be read" in shown
    assert "job: server error 500" in shown
    assert "germline_joint_calling" in shown


@pytest.mark.parametrize("word", ["RetryableFailure", "failed", "FAILURE"])
def test_failed_tasks_are_known_by_any_word_for_it(word: str) -> None:
    """The word stays as it came; their messages and logs stand where those of Failed ones do."""
    log = "gs://bucket/stderr"
    task = {"name": "Align", "executionStatus": word, "failureMessages": ["no reads"]}
    tree = detail(failures=[], extensions={"tasks": [{**task, "backendLog": log}]})
    row = summarise(record(tree))
    assert row.failed_tasks == ("Align",)
    assert row.failure is not None
    assert row.failure.message == "no reads"
    assert row.unknown_words == (word,)
    shown = text(page(record(tree, logs={log: {"contents": "its last line"}})))
    assert "These are its failed tasks." in shown
    assert "its last line" in shown
    assert f"Unknown ({word})" in shown


def test_logs_that_the_limit_left_out_are_said() -> None:
    address = "gs://bucket/call-MarkDuplicates/shard-3/stderr"
    why = "only 1 was asked for, 3 more were not; [collect] log_tails is the limit"
    of = record(logs={address: {"contents": "x"}}, notes=(Gap(what="logs", why=why, job=JOB),))
    assert f"Of this job's logs {why}." in unescape(text(page(of)))


def test_operations_that_the_limit_left_out_are_said() -> None:
    """Below those that were read; what a server does not offer is no such limit."""
    why = "only 1 was asked for, 3 more were not; [collect] operation_details is the limit"
    for note, said in ((why, True), ("this server does not offer them: 404", False)):
        notes = (Gap(what="operations", why=note, job=JOB),)
        of = record(operations={"projects/p/operations/7": {"details": "{}"}}, notes=notes)
        shown = unescape(text(page(of)).partition("All details")[2])
        assert (f"Of this job's operations {note}." in shown) == said


def test_an_operation_that_is_answered_with_the_jobs_id_has_no_id_of_its_own() -> None:
    """As by the shim, whatever operation is asked for."""
    for name, shown in ((JOB, False), ("operations/7", True)):
        answer = {"projects/p/operations/7": {"id": name, "details": '{"done": true}'}}
        block = page(record(operations=answer)).partition('id="operation-1"')[2]
        assert ("<dt>ID</dt>" in block.partition("</dl>")[0]) == shown


def test_an_end_before_its_start_gives_no_duration_and_says_so() -> None:
    tree = detail(status="Succeeded", end="2026-11-22T22:04:00+00:00", failures=[])
    assert summarise(record(tree)).took is None
    shown = text(page(record(tree)))
    assert "Succeeded." in shown
    assert "the server says that it ended before it started" in shown
    assert "0 s" not in shown.partition("Tasks")[0]


def test_a_date_without_a_zone_is_read_as_utc_and_noted_on_the_jobs_page() -> None:
    sound = {"submission": "2026-11-22T19:00:00+00:00", "failures": [], "extensions": {}}
    assert "read as UTC" not in text(page(record(detail(**sound))))
    shown = text(page(record(detail(**{**sound, "submission": "2026-11-22T19:00:00"}))))
    assert "Sun 22 Nov 2026, 19:00 UTC" in shown
    assert "Odd dates 1 (without a zone and read as UTC, empty or unreadable" in shown


def test_events_are_told_to_the_second() -> None:
    """Most of what a backend does takes less than a minute."""
    step = {"start": "2026-11-22T22:00:08.010+00:00", "end": "2026-11-22T22:00:21+00:00"}
    task = {"name": "Align", "executionEvents": [{"name": "Pending", **step}]}
    events = [{"time": "2026-11-22T22:00:05.3+00:00", "content": "pulling-image"}]
    shown = text(page(record(detail(extensions={"tasks": [task], "events": events}))))
    assert "22 Nov 22:00:08 22 Nov 22:00:21" in shown
    assert "Sun 22 Nov 2026, 22:00:05 UTC pulling-image" in shown


def test_a_task_that_ended_and_has_no_start_is_not_called_waiting() -> None:
    task = {"name": "Align", "executionStatus": "Succeeded", "end": "2026-11-22T23:00:00+00:00"}
    shown = text(page(record(detail(extensions={"tasks": [task]}))))
    assert "Start unknown, ended" in shown
    del task["end"]
    assert "Succeeded Start unknown" in text(page(record(detail(extensions={"tasks": [task]}))))
    assert "Not started" not in shown


def test_a_sub_job_of_which_nothing_came_is_said_on_both_pages() -> None:
    """On its own: not that it comes from the list, nor that its status is a strange word."""
    gap = Gap(what="job", why="not found (404)", job="child-1")
    lost = Record(id="child-1", parent=JOB, gaps=(gap,))
    tree = detail(status="Succeeded", failures=[{"failure": "x", "jobId": "child-1"}])
    above = text(page(record(tree), children=(summarise(lost),)))
    assert "Not everything could be read. Its sub-job was not read." in above
    assert "Its log is with the sub-job, which was not read." in above
    own = page(lost)
    assert "Nothing is known of it but that its parent job names it." in text(own)
    assert "the server gave no status" in text(own)
    assert "the list" not in text(own)


def test_a_failed_calls_sub_job_that_could_not_be_read_is_named_before_the_failures() -> None:
    gap = Gap(what="job", why="server error 500", job="child-1")
    lost = Record(id="child-1", parent=JOB, gaps=(gap,))
    shards = [
        {"shardIndex": 0, "executionStatus": "Succeeded", "jobId": "child-0"},
        {"shardIndex": 7, "executionStatus": "Failed", "jobId": "child-2"},
    ]
    called = [
        {"name": "CallSub", "executionStatus": "Failed", "jobId": "child-1"},
        {"name": "Scattered", "executionStatus": "Failed", "shards": shards},
    ]
    known = tuple(map(summarise, (lost, Record(id="child-0", detail=detail(id="child-0")))))
    shown = text(page(record(detail(extensions={"tasks": called})), children=known))
    assert "2 of its 3 sub-jobs were not read." in shown
    first = shown.partition("Failed sub-workflows")[2].partition("Failures")[0]
    assert "child-1 CallSub Not read: server error 500" in first
    assert "child-2 Scattered, shard 7 Not read; the data quality page says why." in first
    assert "child-0" not in first


def test_a_sub_job_that_could_not_be_read_again_since_it_ended_was_read() -> None:
    """What an earlier run read of it is shown, on its own page and above it."""
    ended, gap = detail(id="child-1"), Gap(what="job", why="server error 500", job="child-1")
    read = Record(id="child-1", parent=JOB, detail=ended, detail_from=RUN, gaps=(gap,))
    called = [{"name": "CallSub", "executionStatus": "Failed", "jobId": "child-1"}]
    tree = detail(extensions={"tasks": called})
    shown = text(page(record(tree), children=(summarise(read),)))
    assert "not read" not in shown.casefold()
    unread = Record(id="child-1", parent=JOB, gaps=(gap,))
    assert "not read" in text(page(record(tree), children=(summarise(unread),)))


def running() -> dict[str, Any]:
    """A job that goes on in one shard of a scatter, on its second attempt."""
    task = {
        "name": "Sort", "executionStatus": "Running", "start": "2026-11-22T23:05:00+00:00",
        "shards": [
            {"shardIndex": 0, "executionStatus": "Succeeded", "attempts": 1,
             "start": "2026-11-22T23:05:00+00:00", "end": "2026-11-22T23:15:00+00:00"},
            {"shardIndex": 1, "executionStatus": "Running", "attempts": 2,
             "start": "2026-11-22T23:25:00+00:00",
             "attemptsData": [
                 {"attemptNumber": 1, "executionStatus": "Failed",
                  "start": "2026-11-22T23:05:00+00:00", "end": "2026-11-22T23:20:00+00:00"},
                 {"attemptNumber": 2, "executionStatus": "Running",
                  "start": "2026-11-22T23:25:00+00:00"}]},
        ],
    }  # fmt: skip
    return detail(status="Running", end=None, failures=[], extensions={"tasks": [task]})


def test_what_runs_is_told_so_far_as_the_job_itself_is() -> None:
    """Its tasks, shards, attempts and lanes, as of when the job was last seen."""
    shown = text(page(record(running()), active_for=timedelta(hours=3)))
    assert "Took 3 h so far" in shown
    for what in (
        "2 h so far",  # the task, and its second shard from its first attempt on
        "1 h 40 min so far",  # that attempt
        "Sort 2 h so far · 2 shards",
        "took 2 h so far",
    ):
        assert what in shown
    assert shown.count("so far") == 9


def test_a_scatter_goes_on_while_a_shard_runs_though_another_failed() -> None:
    """The Cromwell shim calls it Failed then; its row says so far, as its diagram does."""
    tree = running()
    (task,) = tree["extensions"]["tasks"]
    task["executionStatus"] = task["shards"][0]["executionStatus"] = "Failed"
    shown = text(page(record(tree), active_for=timedelta(hours=3)))
    assert "Sort 2 h so far · 2 shards" in shown
    assert (shown.count("so far"), "end unknown" in shown) == (9, False)


def test_what_runs_by_its_word_in_a_job_that_is_over_has_an_unknown_end() -> None:
    """Cromwell leaves calls so for good that were aborted with their job."""
    tree = running() | {"status": "Aborted", "end": "2026-11-23T00:19:00+00:00"}
    tree["extensions"]["tasks"][0]["executionStatus"] = "Aborting"
    shown = text(page(record(tree)))
    assert "still active" not in shown
    # Its lane, what that says aloud, its row and its part.
    assert shown.count("2 shards · end unknown") == 4
    assert shown.count("end unknown") == 7  # and its shard, that one's attempt and row of times


def heard(shown: str, row: str, column: str) -> list[str]:
    """What is heard where a dash is seen in a column, of the row whose first cells match."""
    cell = rf'<tr[^>]*><td>(?:(?!</t[dr]>).)*</td><th scope="row">[^/]*{row}.*?</tr>'
    [found] = re.findall(cell, shown, re.S)
    return re.findall(rf'"{column}"><span class="none">.*?<span class="vh">([^<]+)', found)


@pytest.mark.parametrize(
    ("job", "earlier", "lost", "goes", "waits"),
    [
        ("Running", "", False, "not ended", ["not started", "not ended"]),
        ("Running", "", True, "no end known", ["no start known", "no end known"]),
        ("Running", RUN, False, "no end known", ["no start known", "no end known"]),
        ("Odd", "", False, "no end known", ["no start known", "no end known"]),
        ("Aborted", "", False, "not known", ["not started", "not ended"]),
    ],
)
def test_rows_of_a_jobs_page_say_what_their_dashes_stand_for(
    job: str, earlier: str, lost: bool, goes: str, waits: list[str]
) -> None:
    """Tasks, shards and attempts: what goes on has not ended, in a job that goes on.

    Of one that is over nobody told the end, and rows that say so are noted so. Of what the server
    has lost, of an earlier reading, or in a job that stands nobody knows how, it is left open.
    What stands below says the same of the start.
    """
    tree = running() | {"status": job}
    tree["extensions"]["tasks"].append({"name": "Later", "executionStatus": "Submitted"})
    seen = {"last_seen": datetime(2026, 11, 23, tzinfo=UTC)} if lost else {}
    shown = page(record(tree, **({"detail_from": earlier} if earlier else {})), **seen)
    for row in ("Sort<", "shard 1<", "shard 1, attempt 2<"):
        assert (heard(shown, row, "Started"), heard(shown, row, "Ended")) == ([], [goes])
    assert [heard(shown, "Later<", key) for key in ("Started", "Ended")] == [[one] for one in waits]
    assert heard(shown, "Later<", "Took") == waits[:1]
    assert f"Submitted {waits[0].capitalize()}" in text(shown)
    rows = [row for row in re.findall(r"<tr.*?</tr>", shown, re.S) if '"Ended"' in row]
    assert sum("end unknown" in row for row in rows) == (3 if goes == "not known" else 0)


def test_rows_of_sub_jobs_and_of_an_array_leave_open_what_lists_leave_open() -> None:
    """Each is a job of its own, which may go on after this one, or be lost."""
    child = context(Record(id="c1", row={"id": "c1", "status": "Submitted", "name": "below"}))
    shown = text(page(record(), children=(child.entry.row,)))
    assert "below c1 — no start known — no start known" in shown


def test_nothing_is_told_so_far_of_tasks_of_an_earlier_reading() -> None:
    """Nobody knows whether they still ran when the job itself was seen."""
    shown = text(page(record(running(), detail_from=RUN), active_for=timedelta(hours=3)))
    assert "Took 3 h so far" in shown
    assert shown.count("so far") == 1


@pytest.mark.parametrize("late", ["Aborted", "Failed"])
def test_a_job_of_more_tasks_than_have_parts_links_to_those_that_do(late: str) -> None:
    """Its diagram, its first sentence and its failures; the others have names all the same."""
    tasks = [
        {"name": f"T{n}", "executionStatus": "Succeeded" if n < 40 else late,
         "start": f"2026-11-22T22:{n // 60:02}:{n % 60:02}+00:00",
         "end": "2026-11-23T00:19:00+00:00", "operationId": str(n)}
        for n in range(260)
    ]  # fmt: skip
    failures = [{"taskName": "T259", "failure": "no disk"}]
    shown = page(record(detail(failures=failures, extensions={"tasks": tasks})))
    led = set(re.findall(r'href="#(task-\d+)"', shown))
    assert led <= set(re.findall(r'id="(task-\d+)"', shown))
    lanes = re.findall(r'class="what"(?: href="#task-\d+")?>(T\d+)<', shown)
    # None that succeeded is drawn, as all that did not have no room.
    assert lanes == [f"T{n}" for n in range(40, 190)]
    assert "T259" in text(shown)


def test_a_task_that_has_not_started_shows_no_invented_start() -> None:
    """The Cromwell shim sends its own start time where there is none."""
    assert "1 Jan" not in text(page(record()))


def test_the_usual_duration_stands_beside_the_jobs_own() -> None:
    hours = [timedelta(hours=n) for n in (3, 2, 4, 5, 6)]
    usual = Usual(
        median=hours[0], p10=hours[1], p90=hours[2], p95=hours[3], longest=hours[4], runs=30
    )
    assert "2 h 14 min (usually 3 h, of 30 runs)" in text(page(record(), usual=usual))


def test_labels_lead_to_their_pages_only_where_there_are_some() -> None:
    html = page(record())
    assert f'class="chip" href="../{addresses.label("owner")}"' in html
    assert addresses.label("attempt") not in html


def test_a_job_that_the_server_lost_says_when_it_was_seen() -> None:
    seen = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
    assert "Last seen Fri 20 Nov 2026, 02:00 UTC." in text(page(record(), last_seen=seen))


def test_sub_jobs_are_linked_where_they_were_read_and_named_where_not() -> None:
    child = summarise(Record(id="child-1", detail=detail(id="child-1", name="sub")))
    tree = detail()
    tree["extensions"]["tasks"][0]["jobId"] = "child-1"
    tree["extensions"]["tasks"][1]["jobId"] = "child-2"
    html = page(record(tree), children=(child,))
    assert f'href="{addresses.job("child-1").removeprefix("jobs/")}"' in html
    assert addresses.job("child-2").removeprefix("jobs/") not in html
    assert "child-2" in html


def scattered(count: int, *failed: int, **of_shard: Any) -> Record:
    """A job with a scatter of so many shards, of which these failed."""
    tree = detail()
    tree["extensions"]["tasks"][0] |= {
        "executionStatus": "Failed",
        "shards": [
            {"shardIndex": n, "executionStatus": "Failed" if n in failed else "Succeeded"}
            | of_shard
            for n in range(count)
        ],
    }
    return record(tree)


def rows_shown(html: str) -> tuple[list[str], list[str]]:
    """Shards of a page that stand open, and those in a part of their own that is closed."""
    part = html[html.index("<h4>Shards</h4>") :].partition("<h4>All")[0]
    first, _, folded = part.partition("<summary>Show ")
    names = re.compile(r">(shard \d+)</th>")
    return names.findall(first), names.findall(folded)


@pytest.mark.parametrize(
    ("count", "failed", "standing"),
    [
        (102, (101,), ["shard 101", "shard 0", "shard 1", "shard 2", "shard 3"]),
        (11, (3,), ["shard 3", "shard 0", "shard 1", "shard 2", "shard 4"]),
        (60, tuple(range(40, 47)), [f"shard {n}" for n in range(40, 47)]),
        (200, tuple(range(100)), [f"shard {n}" for n in range(50)]),
    ],
)
def test_of_a_failed_scatter_those_shards_stand_open_that_did_not_succeed(
    count: int, failed: tuple[int, ...], standing: list[str]
) -> None:
    """Its part of the page is open: one failed shard of a hundred was twenty sheets of paper."""
    first, folded = rows_shown(page(scattered(count, *failed)))
    assert first == standing
    assert len({*first, *folded}) == count == len(first) + len(folded)


def test_few_shards_of_a_failed_scatter_all_stand_open() -> None:
    first, folded = rows_shown(page(scattered(10, 3)))
    assert (len(first), folded) == (10, [])


def test_many_attempts_of_a_task_are_folded_and_none_is_lost() -> None:
    tried: dict[str, Any] = {"attemptsData": [{"attemptNumber": 1, "executionStatus": "Succeeded"}]}
    many, few = (page(scattered(count, 3, **tried)) for count in (11, 10))
    assert '<summary><b>Attempts</b> <span class="muted">11</span></summary>' in many
    assert "<h4>Attempts</h4>" in few
    assert [html.count(">shard 3, attempt 1</th>") for html in (many, few)] == [1, 1]


def test_a_link_to_a_folded_shard_opens_what_it_leads_to(tmp_path: Path, browser: Any) -> None:
    """As one in a mail or a chat does, and one from a failure above to its task."""
    at = tmp_path / "job.html"
    at.write_text(page(scattered(102, 101)))
    shown = browser.new_page()
    for shard, beside in (("task-1-shard-77", True), ("task-1-shard-101", False)):
        shown.goto("about:blank")
        shown.goto(f"{at.as_uri()}#{shard}")
        assert shown.locator(f"#{shard}").is_visible()
        assert shown.locator("#task-1-shard-76").is_visible() == beside
    shown.click("#failures ~ article h3 a")
    assert shown.url.endswith("#task-1")
    assert shown.locator("#task-1-shard-101").is_visible()
    shown.close()


def test_on_paper_what_leads_nowhere_and_what_is_folded_take_few_lines(
    browser: Any, tmp_path: Path
) -> None:
    """Names of operations beside shards took six lines each: a failed job was seven sheets."""
    name = f"projects/138755738452/locations/us-central1/operations/{'1234567890' * 2}"
    of = scattered(4, 3)
    assert isinstance(of.detail, dict)
    for shard in of.detail["extensions"]["tasks"][0]["shards"]:
        shard |= {"operationId": name, "start": "2026-11-22T23:23:00+00:00",
                  "end": "2026-11-22T23:30:00+00:00"}  # fmt: skip
    at = tmp_path / "jobs" / "job.html"
    for file, content in {**THEME.assets(), "jobs/job.html": page(of).encode()}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(content)
    sheet = browser.new_page(viewport={"width": 718, "height": 1046})
    sheet.emulate_media(media="print")
    sheet.goto(at.as_uri())
    high = "all => all.map(one => one.getBoundingClientRect().height)"
    places = sheet.locator(".place").evaluate_all(high)
    assert len(places) >= 4
    assert max(places) < 60
    assert max(sheet.locator("#more ~ details > summary").evaluate_all(high)) < 30
    sheet.close()


def test_a_scatter_beyond_500_shards_has_pages_of_its_own() -> None:
    tree = detail()
    tree["extensions"]["tasks"][0]["shards"] = [
        {"shardIndex": n, "executionStatus": "Failed" if n == 1_100 else "Succeeded"}
        for n in range(1_200)
    ]
    made = files(record(tree))
    shards = [address for address in made if "-shards-" in address]
    assert len(shards) == 6
    assert list(made)[-1] == addresses.job(JOB)
    failed, first = made[shards[0]].decode(), made[shards[1]].decode()
    assert "1 shard of 1\u202f200" in failed
    assert "shard 1100" in failed
    assert "250 shards of 1\u202f200: 1\u202f199 succeeded, 1 failed" in first
    assert first.index("shard 0<") < first.index("shard 249<")
    # Other jobs have the same task.
    assert f"<title>MarkDuplicates: shards 0 to 249 · job {JOB[:8]} " in first
    html = made[addresses.job(JOB)].decode()
    assert all(address.removeprefix("jobs/") in html for address in shards)
    assert "Before:" not in first
    assert first.count(f'href="{shards[2].removeprefix("jobs/")}" rel="next"') == 2
    last = made[shards[-1]].decode()
    assert last.count(f'href="{shards[-2].removeprefix("jobs/")}" rel="prev"') == 2
    assert 'rel="next"' not in last


def test_every_task_leads_to_its_log_whatever_room_the_shards_of_another_take() -> None:
    tree = detail()
    scattered, later = tree["extensions"]["tasks"]
    folder = f"gs://bucket/{'deep/' * 60}call"
    scattered["callRoot"] = folder
    scattered["shards"] = [
        {**scattered["shards"][0], "shardIndex": n, "backendLog": f"{folder}/shard-{n}/stderr"}
        for n in range(480)
    ]
    later |= {"backendLog": "gs://bucket/later/stderr", "callRoot": folder}
    html = page(record(tree))
    table = html[html.index('<h2 id="tasks">') : html.index("<h3>Each task</h3>")]
    assert re.findall(">(log|folder)</a>", table) == ["folder", "log", "folder"]
    assert 'class="small muted place">log gs://' in html  # of shards, for which no room was left


def test_what_leads_nowhere_stands_behind_what_does_without_a_dot_between() -> None:
    """It is a line of its own: a dot before it hung at the end of the line above."""
    tree = detail()
    tree["extensions"]["tasks"][1] |= {
        "backendLog": "/srv/stderr",
        "callRoot": "gs://bucket/x",
        "operationId": "slurm-1387",
    }
    table = page(record(tree)).partition('<h2 id="tasks">')[2]
    cell = table.partition('href="#task-2"')[2].partition('<td class="places">')[2]
    places = unescape(re.sub("<[^>]+>", "|", cell.partition("</td>")[0]))
    assert [each.strip() for each in places.split("|") if each.strip()] == [
        "folder",
        "log /srv/stderr",
        "operation slurm-1387",
    ]


def test_a_place_that_leads_nowhere_is_whole_with_the_task_itself() -> None:
    """In the table it is cut to one line."""
    tree = detail()
    folder = f"/gpfs/projects/{'genomics/' * 20}cromwell-executions/germline/{JOB}/call-Later"
    tree["extensions"]["tasks"][1] |= {"callRoot": folder}
    html = page(record(tree))
    own = html[html.index('<details id="task-2"') :]
    assert f'<p class="small muted">folder {folder}</p>' in own


def test_no_page_is_larger_than_a_megabyte() -> None:
    """Whatever a job holds: the page says what it leaves out, and the raw JSON has it."""
    long = "<&\"'é" * 4_000
    shard = {"executionStatus": "Failed", "failureMessages": [long], "callRoot": "gs://b/" + long,
             "backendLog": f"https://example.org/{'x' * 1_900}", "operationId": long}  # fmt: skip
    attempt = {**shard, "inputs": {long: long}, "outputs": {long: [long]}}
    event = {"name": long, "start": "2026-11-22T23:23:00+00:00", "attemptNumber": 1}
    tasks = [
        {"name": f"{n}{long}", "executionStatus": "Failed", "inputs": {long: long},
         "failureMessages": [long], "executionEvents": [event] * 90,
         "attemptsData": [attempt] * 20 if n % 2 else [],
         "shards": [] if n % 2 else [{**shard, "shardIndex": k} for k in range(120)]}
        for n in range(40)
    ]  # fmt: skip
    whole = detail(
        inputs={str(n): long for n in range(500)},
        failures=[{"failure": long, "backendLog": long}] * 90,
        extensions={"tasks": tasks, "statusDetail": long, "events": [{"content": long}] * 300},
    )
    for content in files(record(whole)).values():
        if content.startswith(b"<!doctype"):
            assert len(content) < 1_000_000
            assert b"left out" in content


def test_raw_json_is_the_record_and_always_the_same_bytes() -> None:
    of = record()
    raw = files(of)[addresses.job_raw(JOB)]
    assert msgspec.json.decode(raw, type=Record) == of
    assert files(of) == files(of)


def test_a_part_that_does_not_fit_hides_only_itself() -> None:
    """One odd shard index, named with its path; the failure around it is shown."""
    tree = detail()
    tree["failures"][0]["shardIndex"] = "three"
    shown = text(page(record(tree)))
    assert "detail: $.failures[0].shardIndex" in shown
    assert "java.lang.OutOfMemoryError" in shown
    assert "MarkDuplicates" in shown


def test_what_is_no_job_at_all_is_shown_as_it_came() -> None:
    assert "proxy says no" in text(page(record(["proxy says no"])))


def test_fields_the_api_does_not_know_are_shown() -> None:
    tree = detail(costCenter="42")
    tree["extensions"]["tasks"][0]["zone"] = "europe-west4-b"
    shown = text(page(record(tree)))
    assert "costCenter 42" in shown
    assert "extensions.tasks[0].zone europe-west4-b" in shown


def _told(model: type[Any], marks: dict[str, str]) -> dict[str, Any]:
    """An instance of a definition in which every text is a mark of its own."""
    tree: dict[str, Any] = {}
    for field in msgspec.structs.fields(model):
        kind = str(field.type)
        name = field.encode_name
        if "status" in name.lower():
            tree[name] = "Failed"
        elif name in ("start", "end", "submission", "timestamp", "time", "lastUpdate"):
            tree[name] = "2026-11-22T22:05:00+00:00"
        elif "dict" in kind:
            marks[name] = f"mark{len(marks)}{name}"
            tree[name] = {"key": marks[name]}
        elif "tuple[str" in kind:
            marks[name] = f"mark{len(marks)}{name}"
            tree[name] = [marks[name]]
        elif "str" in kind and "tuple" not in kind:
            marks[name] = f"mark{len(marks)}{name}"
            tree[name] = marks[name]
    return tree


@pytest.mark.parametrize(
    "model",
    [models.FailureMessage, models.TaskMetadata, models.Shard, models.IndividualAttempt,
     models.ExtendedFields, models.ExecutionEvent, models.EventDetail, models.JobMetadataResponse],
    ids=lambda model: model.__name__,
)  # fmt: skip
def test_every_property_of_the_api_has_its_place(model: type[Any]) -> None:
    """Each text of each definition is found on the page of a job that holds it."""
    marks: dict[str, str] = {}
    part = _told(model, marks)
    task: dict[str, Any] = {"name": "Some", "executionStatus": "Failed", "attempts": 1}
    tree = detail(failures=[], extensions={"tasks": [task]})
    if model is models.JobMetadataResponse:
        tree = {**part, "id": JOB, "extensions": {}, "failures": []}
        marks.pop("id", None)
    elif model is models.FailureMessage:
        tree["failures"] = [part]
    elif model is models.ExtendedFields:
        tree["extensions"] = part
    elif model is models.EventDetail:
        tree["extensions"]["events"] = [part]
    elif model is models.TaskMetadata:
        tree["extensions"]["tasks"] = [part]
    elif model is models.Shard:
        task["shards"] = [{**part, "shardIndex": 0}]
    elif model is models.IndividualAttempt:
        task["attemptsData"] = [{**part, "attemptNumber": 1}, {"attemptNumber": 2}]
    else:
        task["executionEvents"] = [part]
    html = page(record(tree))
    lacking = [name for name, mark in marks.items() if mark not in html]
    assert lacking == []


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)  # fmt: skip
_PLACES = (
    ("status",), ("name",), ("submission",), ("start",), ("end",), ("labels",), ("inputs",),
    ("failures",), ("failures", 0), ("failures", 0, "failure"), ("failures", 0, "shardIndex"),
    ("extensions",), ("extensions", "tasks"), ("extensions", "tasks", 0),
    ("extensions", "tasks", 0, "name"), ("extensions", "tasks", 0, "shards"),
    ("extensions", "tasks", 0, "shards", 0), ("extensions", "tasks", 0, "shards", 0, "start"),
    ("extensions", "tasks", 0, "shards", 0, "shardIndex"), ("extensions", "tasks", 0, "attempts"),
    ("extensions", "tasks", 0, "executionEvents"), ("extensions", "events"),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=dose(150))
@given(st.lists(st.tuples(st.sampled_from(_PLACES), anything), min_size=1, max_size=3))
def test_no_answer_of_a_server_keeps_a_job_from_its_page(
    changes: list[tuple[tuple[str | int, ...], Any]],
) -> None:
    """Any JSON anywhere: the page is made, and nothing unescaped is on it."""
    tree: Any = detail()
    for path, value in changes:
        part = tree
        try:
            for step in path[:-1]:
                part = part[step]
            part[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    assert "</html>" in page(record(tree))


@settings(deadline=None)
@given(anything, anything, anything)
def test_attempts_logs_and_operations_of_any_shape_are_borne(
    attempts: Any, log: Any, operation: Any
) -> None:
    address = "gs://bucket/call-MarkDuplicates/shard-3/stderr"
    of = record(
        attempts={"MarkDuplicates": attempts}, logs={address: log}, operations={"op": operation}
    )
    assert "</html>" in page(of)


@pytest.mark.parametrize(
    ("address", "href"),
    [
        ("https://example.org/a?b=c", "https://example.org/a?b=c"),
        ("http://jobs.example.org:8080/x", "http://jobs.example.org:8080/x"),
        ("gs://bucket/a b/c#d.log", "/_details/bucket/a%20b/c%23d.log"),
        ("gs://bucket/folder/", "/browser/bucket/folder"),
        ("gs://bucket", "/browser/bucket"),
        ("gs://bucket/../../x", None),
        ("http://example.org/", None),
        ("javascript:alert(1)", None),
        ("java\tscript:alert(1)", None),
        ("https:alert(1)", None),
        ("https://user@example.org/", None),
        ("https://example.org/ x", None),
        ("https://example.org/\"onclick=1", None),
        ("https://exаmple.org/", None),
        ("data:text/html,x", None),
        ("file:///etc/passwd", None),
        ("//example.org", None),
        ("gs://BUCKET/x", None),
        ("gs:///x", None),
        ("/var/log/x", None),
        (" https://example.org", None),
        (7, None),
    ],
)  # fmt: skip
def test_only_https_and_buckets_become_links(address: object, href: str | None) -> None:
    """http is for the configured addresses; a bucket's objects open in the storage console."""
    found = Links(["http://jobs.example.org:8080/api/v1", None]).href(address)
    if href is None:
        assert found is None
    else:
        assert found is not None
        assert found.endswith(href)
        assert found.startswith(("https://", "http://jobs.example.org:8080/"))


def test_misfits_end() -> None:
    """A tree in which nothing fits is given up on, not tried for ever."""
    tree = detail(failures=[{"failure": n} for n in range(500)])
    read = reading.read(record(tree))
    assert len(read.misfits) <= reading.MOST_MISFITS


def test_fields_no_api_names_are_shown_at_every_level() -> None:
    """Of attempts, events, logs, operations and the list's row too, each by its path."""
    tree = detail()
    task = tree["extensions"]["tasks"][0]
    task["executionEvents"] = [{"name": "Running", "ownEvent": "e1"}]
    task["shards"][0]["attemptsData"] = [{"attemptNumber": 1, "ownAttempt": "a1"}]
    of = record(
        tree,
        row={"id": JOB, "ownRow": "r1"},
        attempts={"Later": {"attempts": [{"ownAnswer": "w1"}]}},
        operations={"op": {"details": "{}", "ownOperation": "o1"}},
    )
    shown = text(page(of))
    for line in (
        "extensions.tasks[0].executionEvents[0].ownEvent e1",
        "extensions.tasks[0].shards[0].attemptsData[0].ownAttempt a1",
        "list.ownRow r1",
        "attempts[Later].attempts[0].ownAnswer w1",
        "operation[op].ownOperation o1",
    ):
        assert line in shown


def test_what_the_list_repeats_of_a_servers_own_fields_is_told_once() -> None:
    own = {"cost": 1.25, "zone": "eu"}
    tree = detail(extensions=own)
    same = text(page(record(tree, row={"id": JOB, "extensions": own})))
    assert "extensions.cost 1.25" in same
    assert "list.extensions" not in same
    other = text(page(record(tree, row={"id": JOB, "extensions": {**own, "zone": "us"}})))
    assert "list.extensions.zone us" in other
    assert "list.extensions.cost" not in other


def test_what_only_the_list_says_is_told_beside_the_detail() -> None:
    """dsub's rows hold what its details lack; a date cut to its second is the same date."""
    row = {
        "id": JOB,
        "status": "Running",
        "submission": "2026-11-22T21:58:00.999+00:00",
        "labels": {"owner": "bob"},
        "extensions": {"envs": {"MODE": "fast"}, "events": [{"content": "started"}]},
    }
    shown = text(page(record(row=row)))
    assert "Said otherwise by the list" in shown
    for line in (
        "status Running", "labels.owner bob", "extensions.envs.MODE fast",
        "extensions.events[0].content started",
    ):  # fmt: skip
        assert line in shown
    assert "submission 2026" not in shown
    same = {key: value for key, value in detail().items() if key in ("id", "status", "labels")}
    assert "Said otherwise" not in text(page(record(row=same)))


def test_nothing_is_cut_in_silence() -> None:
    """Gaps, labels and sub-jobs beyond what stands open say how many more there are."""
    gaps = tuple(Gap(what=f"log {n}", why="403") for n in range(600))
    tree = detail(labels={f"k{n}": n for n in range(60)})
    tree["extensions"]["tasks"] = [{"name": f"t{n}", "jobId": f"sub-{n}"} for n in range(400)]
    html = page(record(tree, gaps=gaps))
    shown = text(html)
    assert "590 more" in shown
    assert "log 499: 403" in shown
    assert "100 more are in the raw JSON" in shown
    assert '<a class="chip" href="#labels">20 more</a>' in html
    assert "The first 300 of 400 sub-jobs are shown" in shown


def test_messages_and_values_beyond_what_is_shown_are_counted() -> None:
    attempt = {
        "executionStatus": "Failed",
        "failureMessages": [f"message {n}" for n in range(23)],
        "inputs": {f"name-{n}": n for n in range(31)},
    }
    many = [attempt, attempt | {"executionStatus": "Succeeded"}]
    tree = detail(
        extensions={
            "tasks": [
                {
                    "name": "Align",
                    "executionStatus": "Failed",
                    "attempts": 2,
                    "failureMessages": [f"of the task {n}" for n in range(25)],
                }
            ]
        }
    )
    shown = text(page(record(tree, attempts={"Align": {"attempts": many}})))
    assert "… 5 more messages: in the raw JSON" in shown
    assert "… 3 more messages: in the raw JSON" in shown
    assert "11 more inputs" in shown


def test_fields_of_no_api_are_counted_however_many_there_are() -> None:
    shown = text(page(record(detail(**{f"own{n}": n for n in range(450)}))))
    assert "450 values" in shown
    assert "250 more are in the raw JSON" in shown


def test_what_was_taken_out_or_hashed_is_said_beside_the_value() -> None:
    tree = detail(
        inputs={"key": "[taken out]", "sample": "hash:0123456789abcdef", "plain": "hash: none"}
    )
    shown = text(page(record(tree)))
    assert shown.count("A secret was taken out here before anything was stored.") == 1
    assert shown.count("Hashed before anything was stored") == 1


def test_links_have_room_of_their_own_beside_the_text_of_a_page() -> None:
    """Long paths of many shards once turned the later shards' links into text."""
    shards = [
        {
            "shardIndex": n,
            "executionStatus": "Succeeded",
            "backendLog": f"gs://bucket/{'folder/' * 30}shard-{n}/log",
        }
        for n in range(300)
    ]
    tasks = [{"name": "Scatter", "executionStatus": "Succeeded", "shards": shards}]
    html = page(record(detail(extensions={"tasks": tasks}, inputs={"long": "x" * 200_000})))
    assert len(re.findall(r"href=\"https://console[^\"]*shard-\d+/log", html)) == 300
    assert len(html.encode()) < 1_000_000


def test_attempts_that_a_page_does_not_name_are_counted_and_led_to() -> None:
    """A task may be tried a thousand times; the list of what was submitted with it has them all."""
    named = tuple(Attempt(id=each, number=at, status="Failed") for each, at in ((JOB, 1), ("b", 9)))
    known = Attempts(named=named, others=7)
    html = page(record(detail(labels={"job-id": "align--ana"})), attempts=known)
    assert '<a href="index.html#label=job-id%3Dalign--ana">7 more attempts</a>.' in html
    unlabelled = page(record(), attempts=known)
    assert "And 7 more attempts." in text(unlabelled)
    assert "more attempt" not in page(record(), attempts=Attempts(named=named))
