"""What a team is told of work that another team's jobs did too: the same that pages tell."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from analysis_cases import job as one_of
from analysis_cases import night as when
from analysis_cases import runs as nights_of
from held import Held
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st
from mail_cases import (
    ANA,
    Mailboxes,
    collect,
    job,
    one,
    seen,
    send,
    settings,
    store,
    subjects,
    text,
)
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis import OfTeam, analyse, verdicts
from jmreport.progress import SilentProgress
from jmreport.records import JobRow
from jmreport.settings import ReportSettings, Team

LI = replace(ANA, name="li", labels={"owner": "li"})
#: Work of each team that goes well, so that neither is one without jobs.
FINE = [job("a9", 0, owner="ana"), job("l9", 0, owner="li")]
MINE = job("s1", 1, "Failed")


def theirs(status: str) -> JobRow:
    """The same work, run again by the other team."""
    return job("s1", 0, status, owner="li")


def said(folder: Path, before: JobRow, now: JobRow) -> list[str]:
    """The subjects of ana's and li's mails of the second of two nights, after the date."""
    store(folder / "snapshots", [before, *FINE], [before, now, *FINE])
    found = []
    for team in (ANA, LI):
        mail = one(folder, team)
        found.append(mail["Subject"].partition(": ")[2])
    return found


@pytest.mark.parametrize(
    ("before", "now", "of_ana", "of_li"),
    [
        (MINE, theirs("Succeeded"), "1 fixed of 2", "1 fixed of 2"),
        (MINE, theirs("Failed"), "2 jobs", "0 new, 1 still failing of 2"),
        (job("s1", 1), theirs("Failed"), "2 jobs", "1 new of 2"),
        (MINE, theirs("Running"), "0 new, 1 still failing of 2", "2 jobs"),
    ],
    ids=["mended by another", "fails as another's too", "fails as another's", "runs as another's"],
)
def test_work_stands_as_all_its_jobs_say(
    tmp_path: Path, before: JobRow, now: JobRow, of_ana: str, of_li: str
) -> None:
    assert said(tmp_path, before, now) == [of_ana, of_li]
    pipeline.render(settings(tmp_path), progress=SilentProgress(), workers=1)
    counts = json.loads((tmp_path / "site/data/report.json").read_text())["counts"]
    for name, word in (("new", "new"), ("still_failing", "still failing"), ("fixed", "fixed")):
        told = {
            int(each.split(f" {word}")[0].split()[-1]) for each in (of_ana, of_li) if word in each
        }
        assert counts[name] == max(told, default=0), name


@pytest.mark.parametrize(
    ("team", "heading"),
    [(LI, "Now this team’s: 1 job"), (ANA, "No longer this team’s: 1 job")],
)
def test_failing_work_that_runs_again_as_anothers_is_told_to_both(
    tmp_path: Path, team: Team, heading: str
) -> None:
    """It is new to nobody, and would be in no mail of those who hear of what is new."""
    said(tmp_path, MINE, theirs("Failed"))
    mail = one(tmp_path, replace(team, send="on-change"))
    for told in (seen(mail), " ".join(text(mail).split())):
        assert heading.lower() in told.lower()
        assert theirs("Failed").id[:8] in told


def test_what_another_team_mended_is_named_in_the_mail(tmp_path: Path) -> None:
    said(tmp_path, MINE, theirs("Succeeded"))
    assert theirs("Succeeded").id[:8] in text(one(tmp_path, ANA))


def test_a_cause_is_as_old_in_a_mail_as_on_the_pages_it_links_to(tmp_path: Path) -> None:
    """It may have been another team's for weeks."""
    old, new = job("l1", 3, "Failed", owner="li"), job("a1", 0, "Failed")
    store(tmp_path / "snapshots", [old], FINE, [job("l1", 1, owner="li")], [new, *FINE])
    assert "cause first seen 20 Nov 00:14" in " ".join(text(one(tmp_path, ANA)).split())


@trying(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.integers(0, 9),
            st.sampled_from(["Succeeded", "Failed", "Failed", "Aborted"]),
            st.sampled_from(["ana", "li"]),
        ),
        max_size=24,
    )
)
def test_each_piece_of_work_is_counted_by_one_team_and_by_the_report(
    done: Sequence[tuple[int, int, str, str]],
) -> None:
    """Whoever its jobs belong to: only what is fixed is told to both who had it."""
    known = Held(
        one_of(f"j{place}", when(ago), status, found=ago, key=f"k{key}", labels={"owner": who})
        for place, (key, ago, status, who) in enumerate(done)
    )
    over, asked = nights_of(10), ReportSettings()
    whole = analyse(known, over, {}, settings=asked)
    every = verdicts(known, over, asked.identity_labels)
    parts = []
    for who in ("ana", "li"):
        own = OfTeam(known, {"owner": who})
        parts.append(analyse(own, over, {}, settings=asked, verdicts=every.of(own.has)))
    for count in ("new", "still_failing", "failing", "missing", "lapsed", "not_run", "total"):
        told = sum(getattr(part.counts, count) for part in parts)
        assert told == getattr(whole.counts, count), count
    assert len(whole.flaky) == sum(len(part.flaky) for part in parts)
    assert {*whole.fixed} == {job for part in parts for job in part.fixed}


def test_who_hears_once_a_week_is_told_no_longer_than_pages_that_work_fails(tmp_path: Path) -> None:
    """Nights between two mails count: seven of them keep a state, however few the mails were."""
    long_ago = job("a1", 10, "Failed")
    with Mailboxes() as boxes:
        told = settings(tmp_path, ANA, port=boxes.port)
        for ago in range(10, -1, -1):
            collect(tmp_path, ago, long_ago, job("a2", ago))
            if ago in (9, 7, 0):
                send(told)
        assert subjects(boxes) == [
            "0 new, 1 still failing of 3",
            "0 new, 1 still failing of 5",
            "0 new, 1 no longer counted of 8",
        ]


def test_since_how_many_reports_work_fails_is_told_as_pages_tell_it(tmp_path: Path) -> None:
    failed = job("a1", 5, "Failed")
    with Mailboxes() as boxes:
        told = settings(tmp_path, ANA, port=boxes.port)
        for ago in range(6, -1, -1):
            rows = [failed] if ago <= 5 else []
            collect(tmp_path, ago, *rows, job("a2", ago))
            if ago in (6, 5, 0):
                send(told)
        pipeline.render(told, progress=SilentProgress(), workers=1)
        [group] = json.loads((tmp_path / "site/data/report.json").read_text())["causes"]
        assert group["nights"] == 6
        assert "6 nights" in " ".join(text(boxes.arrived[-1].mail).split())
