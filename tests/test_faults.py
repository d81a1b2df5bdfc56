"""A wire on which a third of all answers fail, as a small dose of `tests.campaigns.faults`."""

import accounting
import pytest
from campaigns import faults


@pytest.mark.parametrize("kind", faults.KINDS)
def test_a_failing_wire_is_healed_or_told_and_loses_nothing_silently(kind: str) -> None:
    """Refusals, resets, cut and late answers; then the same jobs as over a sound wire."""
    tally = faults.Tally()
    with accounting.hurried():
        found = list(faults.round_of(5, kind, jobs=14, share=0.3, tally=tally))
    assert found == []
    assert sum(n for fault, n in tally.answers.items() if fault) > 10

    assert tally.numbers["builds that healed"] >= 1
