"""Messages that differ only in what varies have one cause, and a class with its rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jmreport import messages
from jmreport.analysis.causes import cause_of, classify, failure, normalise
from jmreport.gaps import Gap
from jmreport.messages import deepest, is_preemption
from jmreport.records import JobRow
from jmreport.report.causes import CauseClass


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "Job X.Task:17:2 exited with return code 137",
            "Job X.Task:<shard>:<attempt> exited with return code 137",
        ),
        ("Job X.Task:NA:1 failed", "Job X.Task:<shard>:<attempt> failed"),
        ("...2.X.Task:0:1, X..Y:0:1", "...<n>.X.Task:<shard>:<attempt>, X..Y:<shard>:<attempt>"),
        ("Task:17:2 of 1.2:17:2 and X.:1:2", "Task:<n>:<n> of <n>:<n>:<n> and X.:<n>:<n>"),
        ("Could not read gs://b/o/x.bam: gone", "Could not read <path>: gone"),
        ("mv /tmp/a.bam failed", "mv <path> failed"),
        ("wf 03a7491c-76c1-40f4-93d5-222d0ac2be70 died", "wf <id> died"),
        ("2026-11-23 19:59:43 E: Docker exit code 1", "<time> E: Docker exit code 1"),
        ("at 2026-11-23T19:59:43.638Z", "at <time>"),
        ("needs 12 GB, has 3.5GB", "needs <n> GB, has <n>GB"),
        ("call-Align/shard-17/x lost", "<path> lost"),
        ("shard 17 of attempt 2", "shard <shard> of attempt <attempt>"),
        ("sample NA12878 unknown", "sample <id> unknown"),
        ("read and/or write hg38", "read and/or write hg38"),
        ("image quay.io/x/y not found", "image quay.io/x/y not found"),
        ("Block 512 of chunk 7 lost", "Block <n> of chunk <n> lost"),
        ("Answer: 503 Service Unavailable", "Answer: 503 Service Unavailable"),
    ],
)
def test_varying_parts_are_replaced_and_codes_are_kept(message: str, expected: str) -> None:
    assert normalise(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("a (Caused by [reason 1 of 2]: b (c)) (Caused by [reason 2 of 2]: d)", "b (c)"),
        ("a (Caused by [reason 1 of 1]: b (Caused by [reason 1 of 1]: c))", "c"),
        ("a (Caused by [reason 1 of 1]: never closed", "never closed"),
        ("a (Caused by [reason 1 of 1]: )", "a (Caused by [reason 1 of 1]: )"),
        ("java.X: a\n  at b\nCaused by: java.io: No space\n  at c", "java.io: No space"),
        ("\n\n first\nsecond", "first"),
        ("a\n\n \t Caused by: b", "b"),
        ("a) (Caused by [reason 1 of 1]: b (c", "b (c"),
        ("", ""),
    ],
)
def test_the_deepest_first_reason_is_the_message(message: str, expected: str) -> None:
    assert deepest(message) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("The assigned VM was preempted, code 137", "preempted"),
        ("Docker exit code 137 (check stderr).", "out of memory"),
        ("java.lang.OutOfMemoryError: Java heap space", "out of memory"),
        ("write failed: No space left on device", "disk full"),
        ("Quota CPUS exceeded", "quota"),
        ("pull access denied for x/y", "image"),
        ("403 Forbidden: caller does not have storage access", "permission"),
        ("Required workflow input 'wf.sample' not specified", "missing input"),
        ("No such file or directory", "missing input"),
        ("The job was aborted from outside", "aborted"),
        ("Job a.b:1:1 exited with return code 1 which", "return code"),
        ("no end", "unknown"),
        ("HttpError 403 when asking", "permission"),
        ("The URL returned error: 404", "missing input"),
        ("401 POST https://x.org/v1: try again", "permission"),
        ("PAPI error code 10. Message: 14: VM x1 stopped unexpectedly.", "preempted"),
        ("Task wf.Align:403:1 failed, see gs://b/forbidden/shard-404/stderr", "unknown"),
        ("Sample 403 failed: tool exited with code 2", "return code"),
        ("failure at line 404 after 401 reads, exit code 1", "return code"),
    ],
)
def test_a_message_is_classed_by_the_first_rule_that_fits(
    message: str, expected: CauseClass
) -> None:
    """A number is no answer of a server unless it is said to be one."""
    cause = cause_of(_failed(message))
    assert cause is not None
    assert cause.cause_class == expected


def _failed(message: str | None, **more: object) -> JobRow:
    told = failure(message) if message is not None else None
    return JobRow(id="j", name="wf", status="Failed", failure=told, **more)  # type: ignore[arg-type] # any field


def test_a_cause_has_the_same_id_in_every_year() -> None:
    """The id is an address and a link: written down here so that it never drifts."""
    cause = cause_of(_failed("Job X.Task:17:2 exited with return code 137"))
    other = cause_of(_failed("Job X.Task:3:1 exited with return code 137"))
    assert cause is not None
    assert cause == other
    assert cause.id == "08eec185b9c0"


def test_all_jobs_of_a_cause_have_its_class() -> None:
    """Whichever of them is asked for it: a cause has one class on all pages."""
    shards = (
        _failed(f"Task wf.Align:{n}:1 failed. See gs://b/shard-{n}/stderr") for n in (403, 17, 404)
    )
    assert len({cause_of(one) for one in shards}) == 1


def test_a_long_message_is_cut_and_its_cause_is_not() -> None:
    """Else the cause would depend on how long the path in it is."""
    one, other = (_failed(f"lost gs://{'x' * length} in the store") for length in (10, 2_000))
    assert other.failure is not None
    assert len(other.failure.message) == 300
    assert cause_of(one) == cause_of(other)


def test_a_silent_failure_and_an_unreadable_one_have_causes_of_their_own() -> None:
    silent, unreadable = cause_of(_failed(None)), cause_of(_failed(None, readable=False))
    assert silent is not None
    assert unreadable is not None
    assert silent.id != unreadable.id
    assert silent.title == unreadable.title == ""
    misfit = Gap(what="job", why="the answer does not fit the API: Expected `str`", job="x")
    assert cause_of(_failed(None, readable=False, gaps=(misfit,))) == silent


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400))
def test_any_text_has_a_cause(message: str) -> None:
    cause = cause_of(_failed(message))
    assert cause is not None
    assert cause == cause_of(_failed(message))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "a/" * 3_000,
        "1" * 20_000,
        "a1" * 9_000,
        "f" * 9_000,
        "(Caused by [reason 1 of 1]: " * 700,
    ],
)
def test_hostile_text_is_read_quickly(text: str) -> None:
    """No pattern backtracks without end: the suite itself would hang here."""
    assert cause_of(_failed(text)) is not None
    assert is_preemption(f"preempted {text}")


def test_a_text_twice_as_long_takes_twice_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts so long would take for ever if each letter were read once for each before it."""
    monkeypatch.setattr(messages, "READ_LENGTH", 1_000_000)
    assert deepest("\n" * 1_000_000) == ""
    assert normalise("a." * 75_000).startswith("a.a.")


@pytest.mark.parametrize(
    ("message", "cause_class"),
    [
        ("Execution failed: worker was terminated (50001)", "preempted"),
        ("PAPI error code 10. 14: VM x has been shut down", "preempted"),
        ("No such file: gs://b/preemptible-study/s.bam", "missing input"),
        ("Request failed with code=403", "permission"),
        ("StatusCode=404 for the object", "missing input"),
        ("sample 403 of 404 has 14 reads", "unknown"),
    ],
)
def test_a_preemption_is_counted_where_its_cause_is_one(
    message: str, cause_class: CauseClass
) -> None:
    """A job's attempts and what they cost go by the same words as its cause."""
    assert classify(normalise(message))[0] == cause_class
    assert is_preemption(message) == (cause_class == "preempted")


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("VM was preempted (Caused by [reason 1 of 1]: Connection reset)", "Connection reset"),
        ("Connection reset\nThe worker was preempted", "Connection reset"),
        ("x" * 4_000 + " (Caused by [reason 1 of 1]: preempted)", "preempted"),
    ],
)
def test_an_attempt_was_preempted_whichever_reason_says_so(message: str, title: str) -> None:
    """What lies beneath broke with the machine."""
    told = failure(message)
    assert told.message == title
    assert is_preemption(message)
