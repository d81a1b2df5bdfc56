"""The timing diagram shows every attempt that is known, whatever its times are worth."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jmreport.models import ExecutionEvent, IndividualAttempt, Shard, TaskMetadata
from jmreport.records import Record
from jmreport.render import calls, reading
from jmreport.render.calls import Call, Part, regroup
from jmreport.render.timing import MOST_BARS, TaskCalls, Timing, timing

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def call(start: float | None, end: float | None, **more: object) -> Call:
    known = {"shard": None, "attempt": 1, "status": "Succeeded", **more}
    return Call(
        start=None if start is None else at(start),
        end=None if end is None else at(end),
        **known,  # type: ignore[arg-type]  # the keywords are Call's own
    )


def drawn(
    *tasks: TaskCalls, end: float | None = 60, read_at: float = 90, going: bool = False
) -> Timing | None:
    until = None if end is None else at(end)
    return timing(tasks, start=START, end=until, read_at=at(read_at), zone=UTC, going=going)


def task(*own: Call, status: str = "Succeeded") -> TaskCalls:
    return TaskCalls(name="Align", href="#task-1", status=status, calls=own)


def looks(diagram: Timing | None) -> list[str]:
    assert diagram is not None
    return [bar.look for lane in diagram.lanes for bar in lane.bars]


def number(percent: str) -> float:
    assert re.fullmatch(r"\d+\.\d\d%", percent)
    return float(percent[:-1])


def test_a_bar_lies_where_its_attempt_lay() -> None:
    """The middle third of an hour is the middle third of the diagram."""
    diagram = drawn(task(call(20, 40)))
    assert diagram is not None
    (bar,) = diagram.lanes[0].bars
    assert (bar.x, bar.width, bar.look) == ("33.33%", "33.33%", "f-succeeded")
    assert diagram.lanes[0].note == "20 min"


def test_attempts_lie_left_to_right_on_one_row_and_preempted_ones_are_hatched() -> None:
    first = call(0, 10, status="Failed", preempted=True)
    second = call(12, 30, attempt=2)
    diagram = drawn(task(first, second))
    assert diagram is not None
    bars = [bar for bar in diagram.lanes[0].bars if bar.look != "t-critical"]
    assert [bar.look for bar in bars] == ["t-preempted", "f-succeeded"]
    assert number(bars[0].x) < number(bars[1].x)
    assert bars[0].y == bars[1].y


def test_the_parts_of_an_attempt_are_told_apart() -> None:
    parts = (
        Part("waiting", at(0), at(5)),
        Part("preparing", at(5), at(8)),
        Part("running", at(8), at(50)),
        Part("finishing", at(50), at(52)),
    )
    diagram = drawn(task(call(0, 52, parts=parts)))
    assert looks(diagram) == ["t-waiting", "t-preparing", "f-succeeded", "t-finishing"]
    assert diagram is not None
    assert diagram.spells[0].spent == ("5 min", "3 min", "42 min", "2 min")


def test_an_end_before_its_start_is_marked_and_never_dropped() -> None:
    """The Cromwell shim invents an attempt's end; the bar goes to the job's end and says so."""
    diagram = drawn(task(call(20, -400, status="Failed")))
    assert looks(diagram) == ["f-failed t-open"]
    assert diagram is not None
    assert (diagram.lanes[0].note, diagram.spells[0].note) == ("end unknown", "end unknown")


def test_a_running_attempt_goes_on_to_when_it_was_read() -> None:
    diagram = drawn(task(call(0, None, status="Running"), status="Running"), end=None)
    assert looks(diagram) == ["f-running"]
    assert diagram is not None
    assert diagram.lanes[0].bars[0].width == "100.00%"
    assert diagram.lanes[0].note == "still active"


def test_what_goes_on_is_told_so_far_and_ends_the_critical_path() -> None:
    """A job that hangs for a day in its last task does not have a path of two hours."""
    waiting = Part("waiting", at(60), at(70)), Part("running", at(70), None)
    first, late = call(0, 60), call(61, None, status="Running", parts=waiting)
    beside = call(80, None, status="Running")
    diagram = drawn(
        task(first),
        task(late, status="Running"),
        task(beside, status="Running"),
        end=None,
        read_at=1890,
        going=True,
    )
    assert diagram is not None
    assert [lane.note for lane in diagram.lanes] == [
        "1 h", "30 h 29 min so far", "30 h 10 min so far",
    ]  # fmt: skip
    said = "Critical path, by time and not by dependency: 31 h 30 min so far, 1 min of it in gaps."
    assert diagram.caption.endswith(said)
    assert [any(bar.look == "t-critical" for bar in lane.bars) for lane in diagram.lanes] == [
        True, True, False,
    ]  # fmt: skip
    assert [spell.took for spell in diagram.spells] == [
        "1 h", "30 h 29 min so far", "30 h 10 min so far",
    ]  # fmt: skip
    assert diagram.spells[1].spent == ("10 min", "", "30 h 20 min", "")


def test_no_critical_path_is_told_where_nobody_knows_what_goes_on() -> None:
    """Of tasks of an earlier reading; where the job is over, nothing goes on, by whatever word."""
    own = task(call(0, 20)), task(call(20, 60)), task(call(60, None, status="Running"))
    unknown, over = drawn(*own, end=None), drawn(*own, end=90)
    assert unknown is not None
    assert over is not None
    assert "ritical" not in unknown.caption
    assert over.caption.endswith("by dependency: 1 h.")
    assert unknown.lanes[2].note == "still active"
    assert (over.lanes[2].note, over.spells[2].note) == ("end unknown", "end unknown")
    assert looks(over)[-1] == "f-running t-open"


def test_a_tick_at_midnight_says_the_day() -> None:
    diagram = drawn(task(call(0, 60 * 40)), end=60 * 40)
    assert diagram is not None
    assert [tick.text for tick in diagram.ticks] == ["23 Nov", "12:00", "24 Nov", "12:00"]
    short = drawn(task(call(0, 180)), end=180)
    assert short is not None
    assert [tick.text for tick in short.ticks] == ["23:00", "23 Nov", "01:00"]


def test_a_large_scatter_is_a_band_with_its_failed_and_its_five_slowest_shards() -> None:
    shards = [call(n / 10, n / 10 + 5, shard=n) for n in range(200)]
    shards[7] = call(1, 6, shard=7, status="Failed")
    diagram = drawn(task(*shards, status="Failed"))
    assert diagram is not None
    lane = diagram.lanes[0]
    assert lane.band is not None
    assert len([bar for bar in lane.bars if bar.look == "f-failed"]) == 1
    assert len([bar for bar in lane.bars if bar.look == "f-succeeded"]) == 5
    assert "200 shards" in lane.note


def test_twenty_shards_have_a_line_each() -> None:
    diagram = drawn(task(*(call(0, 10, shard=n) for n in range(20))))
    assert diagram is not None
    assert diagram.lanes[0].band is None
    assert len({bar.y for bar in diagram.lanes[0].bars}) == 20


def test_a_task_that_never_started_has_its_row() -> None:
    waiting = TaskCalls(name="Later", href="#task-2", status="Submitted", calls=())
    diagram = drawn(task(call(0, 60)), waiting)
    assert diagram is not None
    assert (diagram.lanes[1].bars, diagram.lanes[1].note) == ((), "not started")


def test_where_not_all_tasks_have_room_failed_ones_come_first_in_their_order() -> None:
    """Then what is active, each with the tasks of the sub-workflows that it started."""
    lanes = [TaskCalls(name=f"T{n}", href="", status="Succeeded", calls=(call(n, n + 1),))
             for n in range(300)]  # fmt: skip
    lanes[250] = replace(lanes[250], status="Failed")
    lanes[251] = replace(lanes[251], below=True)
    lanes[299] = replace(lanes[299], status="Running")
    diagram = drawn(*lanes, end=300)
    assert diagram is not None
    shown = [lane.name for lane in diagram.lanes]
    assert shown == [f"T{n}" for n in (*range(147), 250, 251, 299)]
    assert diagram.lanes_left_out == 150


def test_the_critical_path_is_outlined() -> None:
    """Each of its attempts ends last before the next one starts."""
    quick, slow, last = call(0, 10), call(0, 30), call(30, 60)
    diagram = drawn(task(quick), task(slow), task(last))
    assert diagram is not None
    outlined = [any(bar.look == "t-critical" for bar in lane.bars) for lane in diagram.lanes]
    assert outlined == [False, True, True]


def test_the_gaps_of_the_critical_path_are_named() -> None:
    """In the caption with its length, and in the table where each ends; not those of seconds."""
    first, second, third = call(0, 20), call(46, 80), call(80.2, 100)
    diagram = drawn(task(first), task(second), task(third), end=100)
    assert diagram is not None
    said = "Critical path, by time and not by dependency: 1 h 40 min, 26 min of it in gaps."
    assert diagram.caption.endswith(said)
    assert [spell.note for spell in diagram.spells] == [
        "critical path",
        "critical path, 26 min after what was before",
        "critical path",
    ]
    whole = drawn(task(call(0, 20)), task(call(20, 60)))
    assert whole is not None
    assert whole.caption.endswith("Critical path, by time and not by dependency: 1 h.")
    alone = drawn(task(call(0, 20)))
    assert alone is not None
    assert "ritical" not in alone.caption


def test_without_any_time_there_is_no_diagram() -> None:
    assert drawn(task(call(None, None))) is None
    assert drawn() is None


minutes = st.one_of(st.none(), st.floats(-1e7, 1e7))
words_of_servers = st.sampled_from(["Failed", "Succeeded", "Running", "Submitted", "Paused", ""])
any_call = st.builds(
    call,
    minutes,
    minutes,
    shard=st.one_of(st.none(), st.integers(0, 60)),
    attempt=st.integers(1, 4),
    status=words_of_servers,
    preempted=st.booleans(),
)


@given(st.lists(st.lists(any_call, max_size=60), max_size=12), minutes)
def test_no_bar_leaves_the_diagram_and_there_are_never_too_many(
    tasks: list[list[Call]], end: float | None
) -> None:
    """Positions and widths stay between 0 and 100 percent, whatever a server's clock says."""
    diagram = drawn(*(task(*own) for own in tasks), end=end)
    if diagram is None:
        return
    bars = [bar for lane in diagram.lanes for bar in lane.bars if bar.look != "t-critical"]
    assert len(bars) <= MOST_BARS
    for bar in bars:
        assert 0 <= number(bar.x) <= 100
        assert 0 < number(bar.width) <= 100
        assert bar.height > 0
    assert len(diagram.ticks) <= 8


def attempt(number: int, folder: str = "") -> IndividualAttempt:
    return IndividualAttempt(attempt_number=number, call_root=folder or None)


SHARDS = (Shard(shard_index=0), Shard(shard_index=4))


def test_a_scatters_attempts_are_regrouped_by_their_folder() -> None:
    flat = (attempt(1, "gs://b/call-A/shard-4"), attempt(2, "gs://b/call-A/shard-4/attempt-2"))
    assert regroup(flat, SHARDS) == {4: flat}


def test_without_folders_a_shard_begins_where_the_numbers_restart() -> None:
    flat = (attempt(1), attempt(2), attempt(1))
    assert regroup(flat, SHARDS) == {0: flat[:2], 4: flat[2:]}


def test_attempts_that_fit_no_shard_are_kept() -> None:
    flat = (attempt(1), attempt(1), attempt(1))
    assert regroup(flat, SHARDS) == {None: flat}


def inline(attempts: int, *numbers: int | None) -> list[tuple[int, str, str]]:
    """Attempts that came inline, with these numbers, in a shard that failed after so many."""
    tree = {
        "name": "A", "executionStatus": "Failed",
        "shards": [{
            "shardIndex": 0, "executionStatus": "Failed", "attempts": attempts,
            "start": at(20).isoformat(), "end": at(30).isoformat(), "backendLog": "gs://b/latest",
            "attemptsData": [
                {"executionStatus": "Failed", "end": at(place).isoformat(),
                 **({} if number is None else {"attemptNumber": number})}
                for place, number in enumerate(numbers, 1)
            ],
        }],
    }  # fmt: skip
    found = calls.of_task(msgspec.convert(tree, TaskMetadata), reading.read(Record(id="a")))
    return [(one.attempt, one.status, f"{one.end:%M}" if one.end else "") for one in found]


def test_the_latest_attempt_is_the_shards_own_row_where_only_earlier_ones_came_inline() -> None:
    assert inline(2, 1) == [(1, "Failed", "01"), (2, "Failed", "30")]
    assert inline(2, 1, 2) == [(1, "Failed", "01"), (2, "Failed", "02")]


def test_no_attempt_is_lost_for_its_number() -> None:
    """Counted from 0, without a number, or with one that another has."""
    for numbers in ((0, 1, 2), (None, None, None), (1, 1, 1), (1, 2, None), (None, 1, 2)):
        assert inline(3, *numbers) == [
            (1, "Failed", "01"), (2, "Failed", "02"), (3, "Failed", "03"),
        ]  # fmt: skip


def test_events_of_several_attempts_may_stand_in_any_order() -> None:
    events = [
        {"name": name, "start": at(minute).isoformat(), "end": at(minute + 1).isoformat(),
         "attemptNumber": attempt, "shardIndex": -1}
        for minute, attempt, name in (
            (1, 1, "Pending"), (11, 2, "Pending"), (2, 1, "RunningJob"), (12, 2, "RunningJob"),
        )
    ]  # fmt: skip
    tree = {"name": "A", "executionStatus": "Succeeded", "attempts": 2, "executionEvents": events}
    found = calls.of_task(msgspec.convert(tree, TaskMetadata), reading.read(Record(id="a")))
    assert [[f"{part.start:%M} {part.kind}" for part in one.parts] for one in found] == [
        ["01 waiting", "02 running"], ["11 waiting", "12 running"],
    ]  # fmt: skip


def test_execution_events_tell_of_attempts_that_no_other_answer_names() -> None:
    """Cromwell's events cover all attempts, so a diagram needs no attempts call."""
    read = reading.read(Record(id="a"))
    events = [
        {"name": "RunningJob", "start": "2026-11-22T22:00:00+00:00",
         "end": "2026-11-22T22:10:00+00:00", "attemptNumber": 1, "shardIndex": -1},
        {"name": "RunningJob", "start": "2026-11-22T22:11:00+00:00",
         "end": "2026-11-22T22:30:00+00:00", "attemptNumber": 2, "shardIndex": -1},
    ]  # fmt: skip
    tree = {"name": "A", "executionStatus": "Succeeded", "attempts": 2, "executionEvents": events}
    found = calls.of_task(msgspec.convert(tree, TaskMetadata), read)
    assert [(one.attempt, one.status) for one in found] == [(1, "Failed"), (2, "Succeeded")]


@pytest.mark.parametrize(
    ("day", "begins", "ends", "ticks", "named"),
    [
        # 02:00 is no time of that night, and the hour behind it comes an hour sooner.
        ("2026-03-29", "00:10", "03:50", ["03:00", "04:00", "05:00"], "Europe/Berlin"),
        # 02:00 is shown by clocks twice, at two places.
        ("2026-10-24", "23:30", "03:10", ["02:00", "02:00", "03:00", "04:00"], "Europe/Berlin"),
        # Behind the change there is one, and nothing before the job began.
        ("2026-10-25", "01:10", "01:50", ["02:20", "02:30", "02:40", "02:50"], "CET"),
        ("2026-03-28", "23:10", "00:50", ["00:30", "01:00", "01:30"], "CET"),
        # The job began in the hour that came once more, and ended in the second of the two.
        (
            "2026-10-25",
            "00:40",
            "01:55",
            ["02:45", "02:00", "02:15", "02:30", "02:45"],
            "Europe/Berlin",
        ),
        ("2026-10-25", "00:50", "01:25", ["02:00", "02:10", "02:20"], "Europe/Berlin"),
    ],
)
def test_ticks_are_times_that_clocks_show_where_they_are_changed(
    day: str, begins: str, ends: str, ticks: list[str], named: str
) -> None:
    """And times are in the zone's name where they are not all in its summer or its winter."""
    start, end = (datetime.fromisoformat(f"{day}T{clock}Z") for clock in (begins, ends))
    end += timedelta(days=end < start)
    one = TaskCalls(
        name="Align",
        href="",
        status="Succeeded",
        calls=(Call(start=start, end=end, shard=None, attempt=1, status="Succeeded"),),
    )
    zone = ZoneInfo("Europe/Berlin")
    diagram = timing((one,), start=start, end=end, read_at=end, zone=zone, going=False)
    assert diagram is not None
    assert [tick.text for tick in diagram.ticks] == ticks
    places = [number(tick.x) for tick in diagram.ticks]
    assert places == sorted(set(places))
    assert diagram.caption.endswith(f"times in {named}.")


def scatter_of(*events: str) -> TaskMetadata:
    """A scatter of two shards: the first has these events, and the cache had the other."""
    told = [events, ("Pending", "CallCacheReading", "UpdatingJobStore")]
    return TaskMetadata(
        name="S",
        execution_status="Succeeded",
        shards=tuple(Shard(shard_index=n, execution_status="Succeeded") for n in range(2)),
        execution_events=tuple(
            ExecutionEvent(name=name, shard_index=n, start=f"{at(m)}", end=f"{at(m + 1)}")
            for n, names in enumerate(told)
            for m, name in enumerate(names)
        ),
    )


def test_shards_that_came_from_the_call_cache_by_their_events_are_cached() -> None:
    """As the job's head counts them, for the Cromwell shim says nothing of it with a shard."""
    nothing = reading.read(Record(id="j"))
    ran, hit = scatter_of("CallCacheReading", "RunningJob"), scatter_of("CallCacheReading")
    assert [one.cached for one in calls.of_task(ran, nothing)] == [False, True]
    assert [one.cached for one in calls.of_task(hit, nothing)] == [True, True]
    diagram = drawn(task(*calls.of_task(ran, nothing)))
    assert diagram is not None
    assert ["cached" in one.note for one in diagram.spells] == [False, True]
    assert [calls.cached(one, calls.of_task(one, nothing)) for one in (ran, hit)] == [False, True]
