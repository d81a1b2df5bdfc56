"""Spoilt answers, as a small dose of `python -m tests.campaigns.mutations`."""

import pytest
from campaigns import mutations


@pytest.mark.parametrize("number", [1001, 1003])
def test_no_spoilt_answer_ends_a_build_or_loses_a_job(number: int) -> None:
    """No traceback; jobs in are jobs shown and jobs listed as unreadable, but for unread pages."""
    tally = mutations.campaign(1, seed=1, jobs=16, only=number, keep=None)
    assert tally.faults == []
    assert tally.spoilt > 30
    numbers = tally.numbers
    assert numbers["tracebacks"] == 0
    assert numbers["jobs in"] == (
        numbers["jobs shown whole"] + numbers["jobs listed as unreadable"]
    )
    assert numbers["jobs listed as unreadable"] > 0
