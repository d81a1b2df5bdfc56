"""Attempts and array tasks of dsub are jobs that know each other: which of them count, and what
their pages say.
"""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from analysis_cases import DAY, HOUR, job, night, run, runs
from held import Held
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from snapshot_cases import NOW, begun, opened, run_of
from snapshot_cases import summarise as in_rows
from test_habits import Built, built

from jmreport import attempts
from jmreport.analysis import analyse, contexts, submissions, summarise
from jmreport.records import RETRIED, Entry, Failure, Measure, Record, Run, RunState, Spent, run_id
from jmreport.report import Report
from jmreport.report.jobs import Attempts, JobContext
from jmreport.settings import ReportSettings, Slo
from jmreport.snapshots import filling, index
from jmreport.snapshots.summaries import Records

ONE = "+align--ana--261101-200000-000001"
FIRST, SECOND, THIRD = (f"{ONE}++{number}" for number in (1, 2, 3))


def failed(name: str, number: int, *, at: int = 2, **more: Any) -> Entry:
    """An attempt that failed so many hours before a night's run, and was found by it."""
    why = Failure(message="2026-11-01 20:00:00 E: Docker exit code 137 (check stderr).")
    ended = night(number) - at * HOUR
    return job(name, ended, "Failed", found=number, told=number, failure=why, **more)


def succeeded(name: str, number: int, **more: Any) -> Entry:
    return job(name, night(number) - HOUR, "Succeeded", found=number, told=number, **more)


def report(entries: list[Entry], of: list[Run], **more: Any) -> Report:
    return analyse(Held(entries), of, {}, settings=ReportSettings(), **more)


def of(name: str, entries: list[Entry], runs: list[Run]) -> JobContext:
    return next(one for one in contexts(Held(entries), runs) if one.entry.row.id == name)


# What counts.


def test_an_attempt_that_another_one_followed_in_its_night_is_no_failure() -> None:
    """Not of the verdict, a rate, a cause or a promise; only the last attempt says how it went."""
    labels = {"owner": "ana"}
    promise = Slo(label="owner", target=0.95, days=7)
    jobs = [failed(FIRST, 1, labels=labels), succeeded(SECOND, 1, labels=labels)]
    found = report(jobs, runs(2), slos=(promise,))
    assert (found.counts.failing, found.counts.new, found.causes) == (0, 0, ())
    assert found.split.counts == {RETRIED: 1, "Succeeded": 1}
    assert found.split.failure_rate == 0
    assert found.days[-1].jobs == {RETRIED: (FIRST,), "Succeeded": (SECOND,)}
    assert (found.slos[0].succeeded, found.slos[0].failed) == (1, 0)


def test_of_attempts_that_all_failed_the_last_one_counts() -> None:
    jobs = [failed(FIRST, 1, at=4), failed(SECOND, 1, at=3), failed(THIRD, 1)]
    found = report(jobs, runs(2))
    assert found.counts.new == 1
    assert found.attention[0].jobs == (THIRD,)
    assert found.split.counts == {"Failed": 1, RETRIED: 2}


@pytest.mark.parametrize(
    "other",
    [
        f"{ONE}+1+2",
        "+align--ana--261101-200000-000002++2",
        "lab+align--ana--261101-200000-000001++2",
    ],
)
def test_jobs_of_another_task_submission_or_project_replace_nothing(other: str) -> None:
    found = report([failed(FIRST, 1), succeeded(other, 1, key="other")], runs(2))
    assert found.counts.new == 1


def test_an_attempt_whose_next_one_was_not_found_has_failed() -> None:
    """A filter or a window may hide it: what is not known is no good news."""
    found = report([failed(FIRST, 1)], runs(2))
    assert (found.counts.new, found.split.counts) == (1, {"Failed": 1})


def test_an_attempt_that_runs_again_is_running_and_not_failing() -> None:
    again = job(SECOND, None, "Running", found=1, start=night(1) - HOUR)
    found = report([failed(FIRST, 1), again], runs(2))
    assert (found.counts.failing, found.counts.running) == (0, 1)


def test_what_failed_tonight_and_is_retried_tomorrow_is_fixed_tomorrow() -> None:
    """A night is told once: its report knew of no later attempt, and its numbers stay."""
    told = [failed(FIRST, 1)]
    before = report(told, runs(2))
    after = report([*told, succeeded(SECOND, 2)], runs(3))
    assert before.counts.new == 1
    assert (after.counts.fixed, after.counts.failing) == (1, 0)
    assert [day.failed for day in after.days] == [1, 0]
    assert after.days[-2].jobs == before.days[-1].jobs


@pytest.mark.parametrize("state", ["refreshed", "interrupted", "failed"])
def test_what_a_run_without_a_report_read_is_told_by_the_next_report(state: RunState) -> None:
    """It tells of it first, so an attempt is retried where that one knows of another."""
    came = [run(0), run(1, state=state), run(2), run(3)]
    for so_far in (came[:3], came):
        last, start = len(so_far) - 1, night(2) - HOUR
        again = job(SECOND, None, "Running", found=2, last=last, start=start)
        known = [failed(FIRST, 1), again]
        found = analyse(Held(known, so_far), so_far, {}, settings=ReportSettings())
        assert (found.counts.new, found.counts.failing, found.counts.running) == (0, 0, 1)


def test_before_any_report_told_of_it_all_that_is_known_is_looked_at() -> None:
    known, came = [failed(FIRST, 1), succeeded(SECOND, 2)], [run(0), run(1, state="refreshed")]
    (first, _) = Held(known, [*came, run(2, state="refreshed")]).by_run(oldest_first=True)
    assert first.row.retried_by == SECOND
    (first, _) = Held(known, runs(3)).by_run(oldest_first=True)
    assert first.row.retried_by == ""


def test_the_hours_of_a_retried_attempt_are_waste_of_retries() -> None:
    jobs = [failed(FIRST, 1), failed(SECOND, 1, at=1)]
    one = Measure("", calls=1, attempts=1, failed=1, spent=Spent(failed=3600.0))
    found = report(jobs, runs(2), measures=lambda ids: ((name, (one,)) for name in ids))
    assert found.waste is not None
    for cost in (found.waste.total, found.waste.tonight):
        assert (cost.retried, cost.failed) == (1, 1)
        assert (cost.spent.retried, cost.spent.failed) == (3600.0, 3600.0)


def test_the_servers_own_counts_take_a_retried_attempt_for_a_failed_job() -> None:
    """Ours beside them differ in no number for that: only what differs is told of."""
    counted = [{"status": "Failed", "count": 1}, {"status": "Succeeded", "count": 1}]
    answer = {"DAYS_7": {"summary": {"counts": counted}, "aggregations": []}}
    jobs = [failed(FIRST, 1), succeeded(SECOND, 1)]
    found = analyse(Held(jobs), runs(2), answer, settings=ReportSettings())
    assert found.quality is not None
    assert found.quality.differences == ()


# What is the same work.


def key(name: str, inputs: dict[str, Any], envs: dict[str, Any]) -> str:
    extensions = {"envs": envs}
    detail = {"id": name, "status": "Failed", "inputs": inputs, "extensions": extensions}
    return summarise(Record(id=name, row={"id": name}, detail=detail)).key


def test_tasks_of_an_array_are_told_apart_by_their_environment_and_not_by_their_number() -> None:
    """The samples of another night have other numbers."""
    one = key(f"{ONE}+1+", {"REF": "gs://a"}, {"SAMPLE": "s1"})
    assert one == key(f"{ONE}+2+2", {"REF": "gs://a"}, {"SAMPLE": "s1"})
    assert one != key(f"{ONE}+1+", {"REF": "gs://a"}, {"SAMPLE": "s2"})


def test_tasks_that_nothing_else_tells_apart_are_told_apart_by_their_number() -> None:
    """Else the success of one would hide the failure of another."""
    one = key(f"{ONE}+1+", {}, {})
    assert one == key(f"{ONE}+1+2", {}, {})
    assert one != key(f"{ONE}+2+", {}, {})


def of_labels(entries: list[Entry], nights: int) -> Report:
    """A report whose work is told apart by a label that all tasks of a submission have."""
    labelled = [replace(one, row=replace(one.row, labels={"sample": "s1"})) for one in entries]
    settings = ReportSettings(identity_labels=("sample",))
    return analyse(Held(labelled), runs(nights), {}, settings=settings)


def test_an_array_that_is_one_piece_of_work_fails_with_any_of_its_tasks() -> None:
    """Whichever ended last: the labels of a submission are those of all its tasks."""
    jobs = [failed(f"{ONE}+1+", 1), succeeded(f"{ONE}+2+", 1), failed(f"{ONE}+3+", 1, at=5)]
    found = of_labels([succeeded(f"{ONE}+4+", 1), *jobs], 2)
    assert (found.counts.new, found.attention[0].jobs) == (1, (f"{ONE}+1+",))
    assert found.flaky == ()


def test_it_is_fixed_when_its_tasks_or_those_of_the_next_submission_succeed() -> None:
    jobs = [failed(f"{ONE}+1+1", 1), succeeded(f"{ONE}+2+1", 1)]
    again = succeeded(f"{ONE}+1+2", 2)
    other = ONE.replace("000001", "000002")
    for mended in ([again], [succeeded(f"{other}+1+1", 2), succeeded(f"{other}+2+1", 2)]):
        found = of_labels([*jobs, *mended], 3)
        assert (found.counts.fixed, found.counts.failing) == (1, 0)


def nightly_array(number: int, *, bad: int | None) -> list[Entry]:
    """A night's submission of five tasks, the bad one ending before the others."""
    name = f"+align--ana--2611{number:02}-200000-000001"
    return [
        failed(f"{name}+{task}+", number) if task == bad else succeeded(f"{name}+{task}+", number)
        for task in range(1, 6)
    ]


def test_an_array_that_fails_each_night_fails_since_the_first_of_them() -> None:
    """The successes of its other tasks are none of the work, nor does it come and go with them."""
    jobs = nightly_array(1, bad=None)
    jobs += [one for number in range(2, 8) for one in nightly_array(number, bad=2)]
    found = of_labels(jobs, 8)
    assert (found.counts.new, found.counts.failing, found.flaky) == (0, 1, ())
    (one,) = found.attention
    assert (one.nights, one.since) == (6, night(2) - 2 * HOUR)
    assert one.last_success == night(1) - HOUR


def test_the_page_of_an_arrays_task_tells_of_other_submissions() -> None:
    jobs = [
        one for number in (1, 2, 3) for one in nightly_array(number, bad=3 if number > 1 else 0)
    ]
    labelled = [replace(one, row=replace(one.row, labels={"sample": "s1"})) for one in jobs]
    found = {
        one.entry.row.id: one.history
        for one in contexts(Held(labelled), runs(4), identity=("sample",))
    }
    first, second, third = (f"+align--ana--26110{number}-200000-000001" for number in (1, 2, 3))
    told = found[f"{third}+3+"]
    assert told is not None
    assert (told.failures, told.since) == (2, night(2) - 2 * HOUR)
    assert (told.last_success, told.before) == (f"{first}+5+", f"{second}+3+")
    beside = found[f"{third}+5+"]
    assert beside is not None
    assert (beside.failures, beside.mended, beside.last_success) == (0, 0, f"{first}+5+")


# Which belong together.


@given(st.text(max_size=40) | st.from_regex(r"[^+]{0,9}(\+[^+]{0,30}){3}", fullmatch=True))
def test_whatever_an_id_is_its_place_has_it_among_its_own(name: str) -> None:
    """Between the bounds of its task, which lie between those of its submission."""
    where = attempts.place(name)
    if where is None:
        return
    task, whole = attempts.ids_of_task(where), attempts.ids_of_submission(where.submission)
    assert whole[0] <= task[0] <= name < task[1] <= whole[1]


@pytest.mark.parametrize(
    "name",
    ["", "a+b+c+d", f"{ONE}++0", f"{ONE}++x", f"{ONE}++-1", f"{ONE}+", f"+a--{'-' * 100_000}+1+1"],
)
def test_ids_that_dsub_does_not_make_belong_nowhere(name: str) -> None:
    assert attempts.place(name) is None


def test_a_page_names_the_other_attempts_and_what_this_one_counts_for() -> None:
    jobs = [failed(FIRST, 1), succeeded(SECOND, 1)]
    told = of(FIRST, jobs, runs(2))
    assert [(one.number, one.status) for one in told.attempts.named] == [
        (1, "Failed"),
        (2, "Succeeded"),
    ]
    assert told.entry.row.retried_by == SECOND
    assert (told.cause, told.cause_class) == (None, "out of memory")
    assert of(SECOND, jobs, runs(2)).attempts == told.attempts


def test_a_page_names_itself_beside_the_last_of_many_attempts() -> None:
    jobs = [failed(f"{ONE}++{number}", 1) for number in range(1, 61)]
    first, last = (of(f"{ONE}++{number}", jobs, runs(2)).attempts for number in (1, 60))
    assert [one.number for one in first.named] == [1, *range(12, 61)]
    assert [one.number for one in last.named] == [*range(11, 61)]
    assert (first.others, last.others) == (10, 10)


class Asked(Held):
    """A history that notes what is asked of it, and how many jobs that was."""

    asked = found = 0

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        found = super().of(jobs)
        self.found += len(found)
        return found

    def ids_between(self, since: str, before: str) -> list[str]:
        self.asked += 1
        return super().ids_between(since, before)


def test_a_task_is_looked_at_once_for_the_pages_of_all_its_attempts() -> None:
    """Of a thousand each would else read the thousand."""
    history = Asked([failed(f"{ONE}++{number}", 1) for number in range(1, 201)])
    before = history.asked
    named = [len(one.attempts.named) for one in contexts(history, runs(2))]
    assert named == [50] * 200
    assert (before, history.asked - before, history.found) == (1, 1, 50)


@pytest.mark.parametrize(("room", "most"), [(600, 20), (300, 150)])
def test_tasks_whose_attempts_come_in_turns_are_looked_at_seldom(
    monkeypatch: pytest.MonkeyPatch, room: int, most: int
) -> None:
    """Once where there is room for all, and for half of them not for each attempt."""
    monkeypatch.setattr(attempts, "_KEPT", room)
    monkeypatch.setattr(submissions, "_KEPT", room // 2)
    tried = [f"{ONE}+{task}+{number}" for number in range(1, 11) for task in range(1, 21)]
    jobs = [failed(name, 1) for name in tried]
    told, asked = attempts.Following(), []

    def between(since: str, before: str) -> list[tuple[str, str]]:
        asked.append(since)
        return [(name, run(1).id) for name in tried if since <= name < before]

    reported = attempts.reported_by([run(1).id])
    followed = [one.row.retried_by for one in told.told(jobs, between, reported)]
    assert followed == [*tried[20:], *[""] * 20]
    history = Asked(jobs)
    before = history.asked
    beside = submissions.Submissions(history)
    assert {len(beside.attempts(one.row).named) for one in jobs} == {10}
    counted = len(asked), history.asked - before
    assert 20 <= min(counted) <= max(counted) <= most, counted


def test_tasks_of_one_attempt_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "_KEPT", 2)
    once = [failed(f"{ONE}+{number}+1", 1) for number in range(2, 9)]
    twice = [failed(f"{ONE}+1+{number}", 1) for number in (1, 2)]
    history = Asked([*once, *twice])
    beside, before = submissions.Submissions(history), history.asked
    assert [len(beside.attempts(one.row).named) for one in (twice[0], *once, twice[1])] == [
        2, *[0] * 7, 2
    ]  # fmt: skip
    assert history.asked - before == 8


def test_an_array_is_counted_by_the_last_attempt_of_each_task_and_failed_ones_come_first() -> None:
    """Of thousands of tasks a page shows a few."""
    jobs = [succeeded(f"{ONE}+{number}+1", 1) for number in range(1, 2_000)]
    jobs[6:8] = [failed(f"{ONE}+7+1", 1), failed(f"{ONE}+8+1", 1)]
    jobs.append(succeeded(f"{ONE}+7+2", 1))
    jobs.append(job(f"{ONE}+2000+1", None, "Running", found=1))
    array = of(f"{ONE}+3+1", jobs, runs(2)).array
    assert array is not None
    assert (array.tasks, array.counts) == (2_000, {"Failed": 1, "Running": 1, "Succeeded": 1_998})
    assert [one.task for one in array.shown][:4] == ["8", "2000", "1", "2"]
    assert [one.attempts for one in array.shown if one.task == "7"] == [2]
    assert len(array.shown) == 20


def test_jobs_of_other_servers_know_of_none() -> None:
    told = of("03a7491c", [failed("03a7491c", 1)], [run(0), run(1, window=DAY)])
    assert (told.attempts, told.array) == (Attempts(), None)


@given(
    st.dictionaries(st.integers(1, 12), st.integers(0, 6), min_size=1),
    st.sets(st.integers(0, 6)),
    st.integers(0, 6),
)
def test_an_attempt_is_followed_by_the_next_that_the_report_knew_which_told_of_it_first(
    seen: dict[int, int], reported: set[int], told: int
) -> None:
    """Whatever runs saw which first, and whichever of them reported."""
    first = {f"{ONE}++{number}": run(each).id for number, each in seen.items()}
    report_of = attempts.reported_by(run(each).id for each in reported)
    report = min((each for each in reported if each >= told), default=6)
    jobs = [job(name, night(1), "Failed", found=1, told=told) for name in first]
    following = attempts.Following()
    for one in following.told(jobs, lambda *_: first.items(), report_of):
        own = int(one.row.id.rpartition("+")[2])
        later = [number for number, each in seen.items() if number > own and each <= report]
        assert one.row.retried_by == (f"{ONE}++{min(later)}" if later else "")


def test_an_index_tells_of_attempts_as_the_runs_do_that_it_has_taken_in(tmp_path: Path) -> None:
    """What it read of a task before tells nothing of what came, or went, since."""
    with opened(tmp_path) as store:
        for days, name in enumerate((FIRST, SECOND)):
            with begun(store, days=days) as writer:
                writer.add(Record(id=name, detail={"id": name, "status": "Failed"}))
                how = "complete" if days else "interrupted"
                last = writer.finish(run_of(writer, state=how)).id
    before, source = run_id(NOW), Records(in_rows)
    state = filling.rebuilt(tmp_path, index.made_by(in_rows), source, [before])
    assert state.of([FIRST])[FIRST].row.retried_by == ""
    state.take_in(tmp_path, last, source)
    assert state.of([FIRST])[FIRST].row.retried_by == SECOND
    state.forget(SECOND)
    assert state.of([FIRST])[FIRST].row.retried_by == ""
    state.discard()


# The pages.


class Hrefs(HTMLParser):
    """The links of a page by their text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._href = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._href = (dict(attrs).get("href") or "") if tag == "a" else ""

    def handle_data(self, data: str) -> None:
        if self._href:
            self.found[data] = self._href


@pytest.fixture(scope="module")
def of_dsub(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A whole report of the server that takes after dsub."""
    return built(tmp_path_factory.mktemp("dsub"), "dsub", jobs=200, timeframe="DAYS_30")


def test_pages_of_attempts_lead_to_one_another(of_dsub: Built) -> None:
    rows = of_dsub.rows
    retried = [row for row in rows.values() if row.get("retried_by")]
    assert retried
    for row in retried:
        there = rows[row["retried_by"]]
        forth, back = of_dsub.page(row["id"]), of_dsub.page(there["id"])
        number, next_number = (each["labels"]["attempt"] for each in (row, there))
        assert Hrefs(forth).found[f"Attempt {next_number}"] == Path(there["page"]).name
        assert Hrefs(back).found[f"Attempt {number}"] == Path(row["page"]).name
        assert "counts as retried and not as failed" in forth


def test_retried_attempts_have_a_list_of_their_own(of_dsub: Built) -> None:
    rows = of_dsub.rows.values()
    listed = (of_dsub.site / "jobs/status-retried.html").read_text(encoding="utf-8")
    others = (of_dsub.site / "jobs/status-failed.html").read_text(encoding="utf-8")
    for row in (row for row in rows if row["status"] == "Failed"):
        name = Path(row["page"]).name
        assert (name in listed, name in others) == (
            (True, False) if row.get("retried_by") else (False, True)
        )


def test_label_pages_say_nothing_of_servers_that_call_a_retried_attempt_failed(
    of_dsub: Built,
) -> None:
    """The server counts the same jobs: only its word for them is another."""
    page = next((of_dsub.site / "labels").glob("attempt-*.html")).read_text(encoding="utf-8")
    assert "Retried" in page
    assert "status by status" in page
    assert not re.search(r"\d \(\d+ \w+, \d+ failed\)", page)


def test_pages_of_array_tasks_lead_to_one_another(of_dsub: Built) -> None:
    tasks = [row for row in of_dsub.rows.values() if "task-id" in row["labels"]]
    together = [row for row in tasks if row["labels"]["job-id"] == tasks[0]["labels"]["job-id"]]
    assert len(together) > 2
    links = Hrefs(of_dsub.page(tasks[0]["id"])).found
    for row in together[1:]:
        assert links[f"Task {row['labels']['task-id']}"] == Path(row["page"]).name
    assert links["Their jobs in the list of jobs"].startswith("index.html#label=job-id%3D")
