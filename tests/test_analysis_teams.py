"""A team's part: its jobs with all below them, and what of a run concerns it."""

from analysis_cases import job, night, run
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from site_cases import entries, runs

from jmreport.analysis import OfTeam, analyse, runs_of_team
from jmreport.gaps import Gap
from jmreport.history import Held
from jmreport.settings import ReportSettings

ANA = {"owner": "ana"}


def test_a_team_has_its_jobs_and_all_below_them() -> None:
    """Sub-workflows have no labels of their own that count."""
    known = [
        job("a", night(0), found=0, labels={"owner": "ana", "x": "1"}),
        job("b", night(0), found=0, labels={"owner": "li"}),
        job("below", night(0), found=0, listed=False, parent="a"),
        job("deeper", night(0), found=0, listed=False, parent="below", labels={"owner": "li"}),
        job("other", night(0), found=0, listed=False, parent="b", labels=ANA),
    ]

    def ids(labels: dict[str, str]) -> list[str]:
        return sorted(entry.row.id for entry in OfTeam(Held(known), labels).by_run())

    assert ids(ANA) == ["a", "below", "deeper"]
    assert ids({"owner": "ana", "x": "2"}) == []
    assert len(ids({})) == 5
    of_ana = OfTeam(Held(known), ANA)
    assert list(of_ana.of(["a", "b", "deeper"])) == ["a", "deeper"]
    assert [entry.row.id for entry in of_ana.below(["a", "b"])] == ["below"]


def test_gaps_of_others_jobs_concern_nobody_else() -> None:
    """Those of no job, or of one that nobody knows, concern all; the run stays incomplete."""
    known = [
        job("a", night(0), found=0, labels=ANA),
        job("b", night(0), found=0, labels={"owner": "li"}),
    ]
    gaps = tuple(Gap(what="job", why="gone", job=each) for each in ("a", "b", "c", None))
    history = Held(known)
    incomplete = run(0, gaps=gaps, state="incomplete")
    [of_ana] = runs_of_team([incomplete], history, OfTeam(history, ANA))
    assert [gap.job for gap in of_ana.gaps] == ["a", "c", None]
    assert of_ana.state == "incomplete"
    of_another = run(0, gaps=gaps[1:2], state="incomplete")
    [of_ana] = runs_of_team([of_another], history, OfTeam(history, ANA))
    assert (of_ana.gaps, of_ana.state) == ((), "complete")
    [of_li] = runs_of_team([of_another], history, OfTeam(history, {"owner": "li"}))
    assert of_li.state == "incomplete"


@trying(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_the_counts_of_teams_add_up(seed: int) -> None:
    """Each job has one owner: what the owners' reports count together is what the whole counts."""
    over = runs(3)
    known = entries(60, over, seed=seed)
    settings = ReportSettings(identity_labels=("sample",))
    whole = analyse(Held(known), over, {}, settings=settings)
    parts = [
        analyse(OfTeam(Held(known), {"owner": who}), over, {}, settings=settings)
        for who in ("ana", "li", "omar")
    ]
    for count in ("new", "still_failing", "fixed", "failing", "missing", "running", "total"):
        told = sum(getattr(part.counts, count) for part in parts)
        assert told == getattr(whole.counts, count), count
