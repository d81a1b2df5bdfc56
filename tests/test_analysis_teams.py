"""A team's part: its jobs with all below them, and what of a run concerns it."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from analysis_cases import job, night, run
from held import Held
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from msgspec.structs import replace
from site_cases import entries, runs

from jmreport.analysis import OfTeam, Teams, analyse, runs_of_team
from jmreport.gaps import Gap
from jmreport.records import Entry
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


class Counted(Held):
    """A history that counts how often all of it is read, and the jobs that are asked for."""

    whole = asked = 0

    def by_run(self, *, oldest_first: bool = False) -> Iterator[Entry]:
        self.whole += 1
        return super().by_run(oldest_first=oldest_first)

    def by_submission(self) -> Iterator[Entry]:
        self.whole += 1
        return super().by_submission()

    def of(self, jobs: Iterable[str]) -> dict[str, Entry]:
        found = super().of(jobs)
        self.asked += len(found)
        return found


def test_all_is_read_once_for_all_teams_and_each_reads_its_own_jobs() -> None:
    """A year of nights would else be read twice more for each of them."""
    owners = [{"owner": f"o{number}"} for number in range(20)]
    known = Counted(job(f"j{at}", night(0), found=0, labels=owners[at % 20]) for at in range(100))
    teams = Teams(known, owners)
    for labels in owners:
        own = OfTeam(known, labels, teams.jobs(labels))
        assert len([*own.by_run()]) == len([*own.by_submission()]) == 5
    assert (known.whole, known.asked) == (1, 2 * 100)


@trying(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ana", "li", None]),
            st.sampled_from(["x", "y", None]),
            st.integers(0, 3),
            st.integers(0, 2) | st.none(),
            st.none() | st.integers(0, 11),
        ),
        max_size=12,
    )
)
def test_a_team_has_the_same_jobs_in_the_same_order_however_they_are_found(
    told: list[tuple[str | None, str | None, int, int | None, int | None]],
) -> None:
    """Sub-workflows too, whose parents may be unknown, or point at one another."""
    known = []
    for at, (owner, project, found, hours, parent) in enumerate(told):
        labels = {key: value for key, value in (("owner", owner), ("p", project)) if value}
        asked = None if hours is None else night(0) - timedelta(hours=hours)
        more: dict[str, Any] = {} if parent is None else {"listed": False, "parent": f"j{parent}"}
        one = job(f"j{at}", None, found=found, labels=labels, submission=asked, **more)
        known.append(replace(one, line=at))
    history = Held(known)
    wanted = [ANA, {"owner": "li"}, {"p": "x"}, {"p": "x", "owner": "ana"}, {"owner": "nobody"}]
    teams = Teams(history, [*wanted, ANA])
    for labels in wanted:
        looked, own = OfTeam(history, labels), OfTeam(history, labels, teams.jobs(labels))
        assert [*own.by_run()] == [*looked.by_run()]
        assert [*own.by_run(oldest_first=True)] == [*looked.by_run(oldest_first=True)]
        assert [*own.by_submission()] == [*looked.by_submission()]


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
