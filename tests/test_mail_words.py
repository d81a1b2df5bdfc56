"""What a mail says: of the team's own jobs alone, the worst first, the same as HTML and as text."""

import csv
import io
import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from hostile import PAYLOADS
from labelled import read as tree_of
from mail_cases import (
    ALL,
    ANA,
    NOW,
    URL,
    Mailboxes,
    fine,
    html,
    job,
    night,
    one,
    page,
    parsed,
    run,
    seen,
    send,
    settings,
    store,
    text,
    usual,
    written,
)
from msgspec.structs import replace

from jmreport import pipeline
from jmreport.analysis import measure, relabelled, summarise
from jmreport.errors import Exit, SnapshotError, UsageError
from jmreport.gaps import Gap
from jmreport.progress import SilentProgress
from jmreport.records import Filters, JobRow
from jmreport.render import addresses, data, reportjson
from jmreport.render.mails import LARGEST
from jmreport.settings import Publish, Settings, Slo, Team
from jmreport.snapshots import Store


def subject(folder: Path, team: Team = ANA) -> str:
    return str(one(folder, team)["Subject"])


def links(mail: Any) -> list[str]:
    return [unescape(href) for href in re.findall(r'href="([^"]*)"', html(mail))]


def causes(mail: Any) -> list[tuple[str, int, int]]:
    """(state, its count, jobs that are named and told of) of each cause."""
    found = []
    for node in tree_of(html(mail)).walk():
        if node.attrs.get("class", "").split()[:1] != ["cause"] or node.tag != "div":
            continue
        said = " ".join(node.own.split())
        state, count = re.match(r"(New|Still failing|Failing) (\d+) jobs?", said).groups()  # type: ignore[union-attr]  # each begins so
        named = sum(each.attrs.get("class") == "id" for each in node.walk())
        more = re.search(r"and (\d+) more job", said)
        found.append((state, int(count), named + (int(more[1]) if more else 0)))
    return found


# numbers


def test_a_team_reads_of_its_own_jobs_alone(tmp_path: Path) -> None:
    """Its numbers are those of a store that never held any others."""
    usual(tmp_path / "all" / "snapshots")
    own = [
        [row for row in rows if row.labels["owner"] == "ana"]
        for rows in (
            [
                job("a1", 1),
                job("a2", 1, "Failed"),
                job("a3", 1, "Failed", message=DENIED),
                job("a4", 1),
            ],
            [
                job("a1", 0, "Failed"),
                job("a2", 0),
                job("a3", 0, "Failed", message=DENIED),
                job("a4", 0),
            ],
        )
    ]
    store(tmp_path / "own" / "snapshots", *own)
    team = replace(ANA, attach=("json",))
    mine = one(tmp_path / "all", team)
    alone = one(tmp_path / "own", replace(team, labels={}))
    assert mine["Subject"] == alone["Subject"]
    assert report_of(mine) == report_of(alone)
    assert "l1" not in seen(mine)


DENIED = "Could not localize gs://b/y.bam: 403 Forbidden"


def report_of(mail: Any) -> Any:
    [part] = [part for part in mail.iter_attachments() if part.get_filename() == "report.json"]
    return json.loads(part.get_content())


def test_every_number_is_that_of_the_jobs_it_lists(tmp_path: Path) -> None:
    """Tiles, causes with what is left out of them, lists, and the jobs of the attached table."""
    rows = [
        [job(f"a{n}", ago, "Failed" if ago == 0 or n % 4 == 0 else "Succeeded",
             message=f"{'abcdefghijklmnop'[n % 16]}went wrong") for n in range(40)]
        for ago in (2, 1, 0)
    ]  # fmt: skip
    rows[-1] += [job("x1", 0), job("x2", 0, owner="li")]
    store(tmp_path / "snapshots", *rows)
    mail = one(tmp_path, replace(ANA, attach=("csv", "json")))
    told = report_of(mail)["counts"]
    listed = causes(mail)
    assert len(listed) == 10
    assert all(count == named for _, count, named in listed)
    rest = re.search(r"(\d+) more causes with (\d+) jobs(?:, (\d+) of them new)?", seen(mail))
    assert rest is not None
    assert len(report_of(mail)["causes"]) == 10 + int(rest[1])
    assert told["failing"] == sum(count for _, count, _ in listed) + int(rest[2])
    new = sum(count for state, count, _ in listed if state == "New") + int(rest[3] or 0)
    assert told["new"] == new == 30
    assert told["still_failing"] == told["failing"] - new
    subject = f"30 new, 10 still failing of {told['total']}"
    assert mail["Subject"].endswith(subject)
    table = list(csv.DictReader(io.StringIO(csv_of(mail))))
    assert len(table) == told["total"]
    assert {row["label:owner"] for row in table} == {"ana"}


def csv_of(mail: Any) -> str:
    [part] = [part for part in mail.iter_attachments() if part.get_filename() == "jobs.csv"]
    content: bytes = part.get_payload(decode=True)
    return content.decode("utf-8-sig")


def test_the_attached_table_says_that_it_is_utf_8_and_the_sites_does_not(tmp_path: Path) -> None:
    """A spreadsheet that opens it from the mail asks nothing; programs that read the site would
    take the mark for a part of the first column's name."""
    store(tmp_path / "snapshots", [job("a", 0)])
    mail = one(tmp_path, replace(ANA, attach=("csv",)))
    (part,) = mail.iter_attachments()
    assert part.get_payload(decode=True).startswith(b"\xef\xbb\xbfid,")
    assert b"".join(data.table([], str)).startswith(b"id,")


def test_the_attached_report_holds_to_its_schema(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    mail = one(tmp_path, replace(ANA, attach=("json", "csv", "json")))
    jsonschema.validate(report_of(mail), json.loads(reportjson.schema()))
    assert [part.get_filename() for part in mail.iter_attachments()] == ["report.json", "jobs.csv"]
    said = "Attached: report.json (this report) and jobs.csv (all jobs of this team)."
    assert said in seen(mail)
    assert said in text(mail)


def test_a_team_without_labels_reads_of_all_jobs(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    assert subject(tmp_path, ALL) == (
        "[jm] everybody · Mon 23 Nov: 2 new, 1 fixed, 1 still failing of 10"
    )


# the worst first


def test_a_night_in_which_all_went_well_says_ok(tmp_path: Path) -> None:
    fine(tmp_path / "snapshots")
    mail = one(tmp_path)
    assert mail["Subject"] == "[jm] ok · germline · Mon 23 Nov: 2 jobs"
    assert "No new failures" in seen(mail)
    assert "All that was asked for about this team’s jobs was read. " in seen(mail)
    assert "Everything that was asked for was read." in seen(one(tmp_path, ALL))


def test_a_first_report_has_nothing_to_compare_with(tmp_path: Path) -> None:
    store(tmp_path / "snapshots", [job("a1", 0, "Failed"), job("a2", 0)])
    mail = one(tmp_path)
    assert mail["Subject"] == "[jm] germline · Mon 23 Nov: first report, 1 failing of 2"
    assert "nothing to compare with yet" in seen(mail)
    assert mail["References"] == mail["In-Reply-To"]


def test_an_incomplete_run_says_so_first(tmp_path: Path) -> None:
    """With the reasons, and not those of other teams' jobs."""
    gaps = (
        Gap(what="page 3 of the list", why="server error 500"),
        Gap(what="job", why="of somebody else", job="germline-l1-0"),
    )
    rows = [job("a1", 0), job("l1", 0, owner="li")]
    store(tmp_path / "snapshots", [job("a1", 1)], rows, state="incomplete", gaps=gaps)
    mail = one(tmp_path)
    assert mail["Subject"] == "[jm] INCOMPLETE · germline · Mon 23 Nov: 0 new of 2"
    assert text(mail).startswith("!! This report is incomplete.")
    assert seen(mail).index("This report is incomplete.") < seen(mail).index("No new failures")
    assert "page 3 of the list: server error 500" in text(mail)
    assert "somebody else" not in text(mail)
    assert "Everything that was asked for was read" not in text(mail)


def test_a_job_of_another_team_that_could_not_be_read_makes_no_mail_of_this_one(
    tmp_path: Path,
) -> None:
    """An archived job can never be read again: the word would be in each subject, every night."""
    gaps = (Gap(what="job", why="server error 500", job="germline-l1-0"),)
    rows = [job("a1", 0), job("l1", 0, owner="li")]
    store(tmp_path / "snapshots", [job("a1", 1)], rows, state="incomplete", gaps=gaps)
    silent = replace(ANA, send="on-failure")
    other = replace(silent, name="li", labels={"owner": "li"})
    mails = written(settings(tmp_path, silent, other), tmp_path / "out")
    [subject] = [mail["Subject"] for mail in mails.values()]
    assert subject.startswith("[jm] INCOMPLETE · li · Mon 23 Nov: ")
    told = "about this team’s jobs was read; something about other jobs was not."
    assert told in seen(one(tmp_path))


def test_a_failed_run_says_so_first_and_that_the_old_report_stands(tmp_path: Path) -> None:
    store(tmp_path / "snapshots", [job("a1", 1, "Failed")], [], state="failed")
    mail = one(tmp_path)
    assert mail["Subject"] == (
        "[jm] REPORT FAILED · germline · Mon 23 Nov: the report of Sun 22 Nov stands"
    )
    said = text(mail)
    assert said.startswith("!! The run failed: there is no new report.")
    assert "Reason: the server does not answer" in said
    assert "The report of Sun 22 Nov 2026, 02:14 UTC still stands" in said
    assert night(0) in mail["Message-ID"]
    assert causes(mail) == []
    assert "\nThe last report was read from http" in said


def test_where_no_run_ever_brought_a_report_the_mail_says_so(tmp_path: Path) -> None:
    store(tmp_path / "snapshots", [], state="failed")
    mail = one(tmp_path)
    assert mail["Subject"] == "[jm] REPORT FAILED · germline · Mon 23 Nov: no report yet"
    assert "No run has brought a report yet." in text(mail)
    assert "The report will be " in text(mail)
    assert "has no page of this night yet" not in text(mail)


def test_a_run_that_never_began_is_a_failed_one(tmp_path: Path) -> None:
    """What calls it says so: the store knows nothing of it."""
    fine(tmp_path / "snapshots")
    told = settings(tmp_path)
    later = NOW + timedelta(days=1)
    pipeline.mail(
        told,
        now=later,
        write=tmp_path / "m",
        failed="the token is refused",
        progress=SilentProgress(),
    )
    [file] = (tmp_path / "m").glob("*.eml")
    mail = parsed(file.read_bytes())
    assert mail["Subject"].startswith(
        "[jm] REPORT FAILED · germline · Tue 24 Nov: the report of Mon"
    )
    assert "Reason: the token is refused" in text(mail)


def test_a_run_that_failed_in_between_is_told(tmp_path: Path) -> None:
    with Store.open(
        tmp_path / "snapshots", summarise=summarise, measure=measure, create=True
    ) as opened:
        run(opened, [job("a1", 2)], 2, "complete", ())
        run(opened, [], 1, "failed", ())
        run(opened, [job("a1", 0)], 0, "complete", ())
    assert "The run of Sun 22 Nov 2026, 02:14 UTC brought no report" in text(one(tmp_path))


def test_a_store_without_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no snapshot"):
        send(settings(tmp_path), dry_run=True)
    with pytest.raises(UsageError, match=r"no \[\[teams\]\]"):
        send(replace(settings(tmp_path), teams=()), dry_run=True)
    fine(tmp_path / "snapshots")
    with pytest.raises(UsageError, match="--team nobody: no such team"):
        send(settings(tmp_path), dry_run=True, teams=("nobody",))


# when


FAILING = [job("a1", 0, "Failed")]
WAITING = replace(job("w1", 0, "Submitted"), start=None, submission=NOW - timedelta(hours=20))


@pytest.mark.parametrize(
    ("before", "now", "sent"),
    [
        ([job("a1", 1)], [job("a1", 0)], {"always"}),
        ([job("a1", 1)], FAILING, {"always", "on-change", "on-failure"}),
        ([job("a1", 1, "Failed")], FAILING, {"always", "on-failure"}),
        ([job("a1", 1, "Failed")], [job("a1", 0)], {"always", "on-change"}),
        ([job("a1", 1)], [job("a1", 0), WAITING], {"always", "on-change", "on-failure"}),
        (None, [job("a1", 0)], {"always", "on-change"}),
        (None, FAILING, {"always", "on-change", "on-failure"}),
    ],
    ids=["well", "new", "still failing", "fixed", "stuck", "first, well", "first, failing"],
)
def test_a_mail_is_sent_when_a_team_wants_to_hear(
    tmp_path: Path, before: list[JobRow] | None, now: list[JobRow], sent: set[str]
) -> None:
    nights = [now] if before is None else [before, [*before, *now]]
    store(tmp_path / "snapshots", *nights)
    assert sent_to(tmp_path, {"owner": "ana"}) == sent


@pytest.mark.parametrize("state", ["failed", "incomplete"])
def test_silence_never_looks_like_success(tmp_path: Path, state: Any) -> None:
    """A team that wants to hear of failures alone hears of a run that failed or lacks something."""
    gaps = (Gap(what="page 3 of the list", why="server error 500"),)
    rows = [job("a1", 0)] if state == "incomplete" else []
    store(tmp_path / "snapshots", [job("a1", 1)], rows, state=state, gaps=gaps)
    assert sent_to(tmp_path, {"owner": "ana"}) == {"always", "on-change", "on-failure"}


def test_a_team_that_never_had_a_job_is_told_that(tmp_path: Path) -> None:
    """A label that is spelt wrongly is not good news every night."""
    fine(tmp_path / "snapshots")
    assert sent_to(tmp_path, {"owner": "anna"}) == {"always", "on-change", "on-failure"}
    mail = one(tmp_path, replace(ANA, labels={"owner": "anna"}))
    assert mail["Subject"] == "[jm] germline · Mon 23 Nov: no job is this team's"
    assert "No job is known with owner = anna." in seen(mail)
    assert "was read" not in seen(mail)


@pytest.mark.parametrize(
    ("team", "heading", "said"),
    [
        ("li", "Now this team’s: 1 job", "has its labels since the last report"),
        ("ana", "No longer this team’s: 1 job", "has other labels since the last report"),
    ],
)
def test_a_failed_job_that_is_handed_over_is_told_to_both_teams(
    tmp_path: Path, team: str, heading: str, said: str
) -> None:
    """Nothing of it is new, so that both would be silent: as if it were nobody's."""
    failed = job("a1", 1, "Failed")
    over = replace(failed, labels={**failed.labels, "owner": "li"})
    fine = [job("a2", 1), job("l2", 1, owner="li", name="other")]
    store(tmp_path / "snapshots", [failed, *fine], [over, *fine])
    assert sent_to(tmp_path, {"owner": team}) == {"always", "on-change", "on-failure"}
    own = settings(tmp_path, replace(ANA, labels={"owner": team}))
    own = replace(own, report=replace(own.report, labels=("owner", "sample")))
    [mail] = written(own, tmp_path / "out").values()
    for told in (seen(mail), " ".join(text(mail).split())):
        assert heading.lower() in told.lower()
        assert said in told
        assert f"{failed.id} ({'owner li, ' if team == 'ana' else ''}sample a1)" in told
    assert mail["Subject"].endswith("1 still failing of 2" if team == "li" else "1 job")


def test_a_job_that_ran_for_long_is_handed_over_too_where_its_server_tells_no_end(
    tmp_path: Path,
) -> None:
    """Its failure is as old as the run that found it, and not as its start."""
    began = job("a1", 10).submission
    failed = replace(job("a1", 1, "Failed"), submission=began, start=began, end=None)
    ran = replace(failed, status="Running", failure=None, failed_tasks=())
    over = replace(failed, labels={**failed.labels, "owner": "li"})
    fine = [job("a2", 2), job("l2", 2, owner="li", name="other")]
    nights = ([*own, *fine] for own in ([ran], [failed], [over]))
    store(tmp_path / "snapshots", *nights, timeframe="ALL_TIME")
    assert "on-change" in sent_to(tmp_path, {"owner": "ana"})
    assert "No longer this team’s: 1 job" in seen(one(tmp_path))


def test_a_job_that_keeps_its_team_is_not_handed_over(tmp_path: Path) -> None:
    """Whatever else is told of it: triage, or a sample's new name."""
    failed = job("a1", 1, "Failed")
    triaged = replace(failed, labels={**failed.labels, "triage": "known"})
    store(tmp_path / "snapshots", [failed], [triaged])
    assert sent_to(tmp_path, {"owner": "ana"}) == {"always", "on-failure"}
    assert "this team’s:" not in seen(one(tmp_path))


def test_lists_without_labels_hand_nothing_over(tmp_path: Path) -> None:
    """Labels that only a job's own detail tells of are no news of the list."""
    store(tmp_path / "snapshots", [], [])
    with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as opened:
        bare = {"id": "x", "status": "Failed"}
        labelled = {**bare, "labels": {"owner": "ana"}}
        assert relabelled([bare], [labelled], opened) == ()
        assert relabelled([labelled, 7], [bare, None], opened) == ()


BATCH = Filters(labels={"batch": "b17"})


def test_a_filter_that_let_nothing_through_is_told_to_all(tmp_path: Path) -> None:
    """However seldom they want to hear: it is no quiet night."""
    store(tmp_path / "snapshots", [], [], filters=BATCH, left_out=12)
    assert sent_to(tmp_path, {}) == {"always", "on-change", "on-failure"}
    mail = one(tmp_path, ALL)
    assert mail["Subject"] == "[jm] everybody · Mon 23 Nov: no jobs (filtered)"
    for said in (seen(mail), " ".join(text(mail).split())):
        assert "No job passed the filter" in said
        assert "The filter (label batch=b17) let none of 12 jobs through." in said


def test_a_mail_without_jobs_says_what_still_fails(tmp_path: Path) -> None:
    """What failed before the time frame, and has not run since, is not mended by a quiet night."""
    failed = job("a1", 9, "Failed")
    store(tmp_path / "snapshots", [failed], [])
    mail = one(tmp_path, ALL)
    assert mail["Subject"] == "[jm] everybody · Mon 23 Nov: no jobs, 1 still failing"
    assert "and none was active. 1 still failing (1 not run tonight)." in seen(mail)


def idle_work(folder: Path, nights: int) -> Settings:
    """Settings of a store of so many nights: a1 and a2 failed in the first and a1 never ran again,
    a2 failed once more in the newest; a3 runs each night."""
    first = [job("a1", nights - 1, "Failed"), job("a2", nights - 1, "Failed")]
    known = [*first, job("a3", nights - 1)]
    rows = [list(known)]
    for ago in range(nights - 2, -1, -1):
        known += [job("a3", ago), *([] if ago else [job("a2", 0, "Failed")])]
        rows.append(list(known))
    store(folder / "snapshots", *rows, timeframe="DAYS_30")
    return settings(folder, replace(ALL, attach=("json",)))


def test_work_that_did_not_run_is_told_apart_from_what_failed_again(tmp_path: Path) -> None:
    """In mails and in each page that counts it, down to the list of just these jobs."""
    told = idle_work(tmp_path, 4)
    mail = rendered(told)
    for said in (seen(mail), " ".join(text(mail).split())):
        assert "2 still failing (1 not run tonight)" in said
        assert " · 1 not run tonight" in said
    (cause,) = report_of(mail)["causes"]
    assert (report_of(mail)["counts"]["not_run"], len(cause["not_run"])) == (1, 1)
    assert cause["not_run"][0].startswith("germline-a1-")
    site = Path(told.site.dir)
    overview = (site / "index.html").read_text()
    assert re.search(r'class="usual">oldest: [^<]+ · 1 not run tonight<', overview)
    (at,) = re.findall(r'<a href="(jobs/cause-[^"]+)">1 not run tonight</a>', overview)
    idle = (site / at).read_text()
    still = (site / "jobs/still-failing.html").read_text()
    assert '<a href="not-run.html">1 not run tonight</a>' in still
    for listed in (idle, (site / "jobs/not-run.html").read_text()):
        assert ("germline-a1" in listed, "germline-a2" in listed) == (True, False)
    night_page = (site / f"nights/{night(0)}/index.html").read_text()
    assert "2 still failing (1 not run tonight)" in night_page
    assert "<span>1 not run tonight</span>" in night_page


def test_work_that_drops_out_of_what_still_fails_is_told_of_once(tmp_path: Path) -> None:
    """Nobody can say that it is mended, and whoever hears of changes hears of this one."""
    told = idle_work(tmp_path, 9)
    mail = rendered(told)
    for said in (seen(mail), " ".join(text(mail).split())):
        assert "1 no longer counted" in said
        assert "no longer counted: 1 job" in said.lower()
        assert "not known to have succeeded or failed again for 7 nights" in said
    counts = report_of(mail)["counts"]
    assert (counts["lapsed"], counts["fixed"], counts["not_run"]) == (1, 0, 0)
    site = Path(told.site.dir)
    overview = (site / "index.html").read_text()
    line = '<a href="jobs/lapsed.html">1 job that failed</a> is no longer counted: its work is not'
    assert line in overview
    assert "germline-a1" in (site / "jobs/lapsed.html").read_text()
    night_page = (site / f"nights/{night(0)}/index.html").read_text()
    assert 'id="lapsed">No longer counted</h3>' in night_page
    assert "germline-a1" in night_page.partition('id="lapsed"')[2]
    before = (site / f"nights/{night(1)}/index.html").read_text()
    assert "o longer counted" not in before
    assert sent_to(tmp_path, {}) == {"always", "on-change", "on-failure"}


def test_silence_is_not_all_that_tells_of_work_that_is_no_longer_counted(tmp_path: Path) -> None:
    """It failed until then, and a team that hears of failures alone would think it mended."""
    first = [job("a1", 8, "Failed"), job("a3", 8)]
    store(tmp_path / "snapshots", *([*first, job("a3", ago)] for ago in range(8, -1, -1)))
    assert sent_to(tmp_path, {}) == {"always", "on-change", "on-failure"}
    told = "[jm] everybody · Mon 23 Nov: 0 new, 1 no longer counted of 9"
    assert subject(tmp_path, ALL) == told


def test_where_nobody_can_say_whether_a_job_is_stuck_0_is_not_all_that_is_said(
    tmp_path: Path,
) -> None:
    """A job that runs for six days in a workflow that succeeded once: it has no baseline."""
    long = replace(job("r1", 6, "Running"), end=None)
    done = [job("a1", 1), job("a2", 1, name="quick")]
    store(tmp_path / "snapshots", done, [*done, long, job("r2", 0, "Running", name="quick")])
    told = settings(tmp_path, replace(ALL, attach=("json",)))
    mail = rendered(told)
    assert "1 cannot be judged: no baseline" in seen(mail)
    assert "Stuck: 0 (1 cannot be judged: no baseline)" in " ".join(text(mail).split())
    counts = report_of(mail)["counts"]
    assert (counts["stuck"], counts["unjudged"], counts["running"]) == (0, 1, 2)
    site = Path(told.site.dir)
    overview = (site / "index.html").read_text()
    tile = r'>0</span> <span class="what">Stuck</span> <span class="usual">1 cannot be judged: no'
    assert re.search(tile, overview)
    line = '<a href="jobs/unjudged.html">1 job</a> runs for over 12 hours and cannot be judged:'
    assert line in overview
    assert "germline-r1" in (site / "jobs/unjudged.html").read_text()
    assert "quick-r2" not in (site / "jobs/unjudged.html").read_text()
    night_page = (site / f"nights/{night(0)}/index.html").read_text()
    assert "1 cannot be judged: no baseline" in night_page
    said = "Nobody can say whether that is long"
    assert said in (site / addresses.job("germline-r1-6")).read_text()
    assert said not in (site / addresses.job("quick-r2-0")).read_text()


@pytest.mark.parametrize("tonight", [[], [job("a2", 0)]], ids=["no job", "others"])
def test_missing_work_has_a_name_also_from_before_the_time_frame(
    tmp_path: Path, tonight: list[JobRow]
) -> None:
    """A night that asks for one day has none of the night before, of whose work it tells."""
    before = [[job("a1", ago)] for ago in range(7, 0, -1)]
    store(tmp_path / "snapshots", *before, tonight, timeframe="HOURS_24")
    mail = one(tmp_path, ALL)
    for said in (seen(mail), " ".join(text(mail).split())):
        _, missing, rest = said.lower().partition("missing: 1 job")
        assert missing
        assert "germline" in rest
        assert "last ended sun 22 nov" in rest
        assert "(no name)" not in rest


def test_a_mail_of_a_filtered_report_says_so(tmp_path: Path) -> None:
    batch = {"batch": "b17"}
    rows = [job("a1", ago, labels=batch) for ago in (1, 0)]
    store(tmp_path / "snapshots", rows[:1], rows, filters=BATCH)
    mail = one(tmp_path, ALL)
    assert mail["Subject"] == "[jm] ok · everybody · Mon 23 Nov: 2 jobs (filtered)"
    note = (
        "Only jobs that the filter let through are in this report (label batch=b17); "
        "how many others there are is not known."
    )
    assert note in seen(mail)
    assert note in " ".join(text(mail).split())


@pytest.mark.parametrize(
    ("labels", "left_out", "heard"),
    [
        ({"owner": "ana"}, 12, {"always", "on-change", "on-failure"}),
        ({"owner": "ana"}, 0, {"always"}),
        ({"batch": "b17"}, 12, {"always"}),
    ],
    ids=["may be left out", "none left out", "all asked for"],
)
def test_silence_of_a_night_with_another_filter_is_only_of_those_that_it_let_through(
    tmp_path: Path, labels: dict[str, str], left_out: int, heard: set[str]
) -> None:
    """A team of which jobs may have been left out hears of it, however seldom it wants to."""
    rows = [job("a1", ago, labels={"batch": "b17"}) for ago in (2, 1, 0)]
    store(tmp_path / "snapshots", rows[:1], rows[:2])
    with Store.open(tmp_path / "snapshots", summarise=summarise, measure=measure) as opened:
        run(opened, rows, -1, "complete", (), BATCH, left_out)
    assert sent_to(tmp_path, labels) == heard


def test_a_team_of_which_nothing_came_through_the_filter_reads_so(tmp_path: Path) -> None:
    rows = [job("a1", ago, labels={"batch": "b17"}) for ago in (1, 0)]
    store(tmp_path / "snapshots", [job("l1", 9, owner="li"), *rows[:1]], rows, filters=BATCH)
    mail = one(tmp_path, replace(ANA, labels={"owner": "li"}))
    for said in (seen(mail), " ".join(text(mail).split())):
        assert "No job with owner = li came through the filter (label batch=b17)." in said
        assert "0 jobs that the filter let through ended in this night." in said


def test_a_broken_promise_is_told_and_no_mail_is_ok_then(tmp_path: Path) -> None:
    """Of a team, as its own jobs keep it or not; and that not all days were read, if so."""
    b17 = {"batch": "b17"}
    rows = [
        job("a1", 1, "Failed", labels=b17),
        *(job(sample, 0, labels=b17) for sample in ("a1", "a2")),
        job("l1", 0, owner="li", labels=b17),
    ]
    li = Team(name="li", to=("li@example.org",), labels={"owner": "li"})
    store(tmp_path / "snapshots", rows[:1], rows)
    of = replace(
        settings(tmp_path, ALL, ANA, li),
        slo=(Slo(label="owner=ana", target=0.667, days=7), Slo(label="batch=b17", target=0.9)),
    )
    mails = {each["Subject"]: each for each in written(of, tmp_path / "mails").values()}
    own = "jobs with owner = ana succeeded in"
    for subject, *promises in (
        (
            "[jm] everybody · Mon 23 Nov: 0 new, 1 fixed of 4",
            "batch b17: 75.0 % of 4 jobs succeeded in 28 days, and 90 % are promised (not all of "
            "these days were read).",
            "owner ana: 66.67 % of 3 jobs succeeded in 7 days, and 66.7 % are promised.",
        ),
        (
            "[jm] germline · Mon 23 Nov: 0 new, 1 fixed of 3",
            f"batch b17: 66.7 % of 3 {own} 28 days, and 90 % are promised (not all of these days "
            "were read).",
            f"owner ana: 66.67 % of 3 {own} 7 days, and 66.7 % are promised.",
        ),
        ("[jm] ok · li · Mon 23 Nov: 1 job",),
    ):
        told = re.findall(r"Promise broken: (.*? promised(?: \(.*?\))?\.)", seen(mails[subject]))
        assert sorted(told) == promises
        assert all(each in " ".join(text(mails[subject]).split()) for each in promises)


def test_a_mail_is_not_ok_where_failed_jobs_were_not_asked_for(tmp_path: Path) -> None:
    rows = [job("a1", 1), job("a1", 0)]
    store(tmp_path / "snapshots", rows[:1], rows, filters=Filters(status=("Succeeded",)))
    mail = one(tmp_path, ALL)
    assert mail["Subject"] == "[jm] everybody · Mon 23 Nov: 2 jobs, failed jobs not asked for"
    assert "Failed jobs were not asked for" in seen(mail)
    assert "New failures: — (not asked for)" in text(mail)
    assert sent_to(tmp_path, {}) == {"always", "on-change", "on-failure"}


def test_a_team_without_jobs_tonight_reads_that_others_may_have_some(tmp_path: Path) -> None:
    store(tmp_path / "snapshots", [job("a1", 9)], [job("l1", 0, owner="li")])
    mail = one(tmp_path)
    said = "No job with owner = ana was submitted in the time frame that was asked for"
    assert said in seen(mail)
    assert "No job was submitted" not in seen(mail)


def sent_to(folder: Path, labels: dict[str, str]) -> set[str]:
    often = ("always", "on-change", "on-failure")
    teams = [Team(name=each, to=("a@example.org",), labels=labels, send=each) for each in often]  # type: ignore[arg-type]  # each is one
    outcome = send(settings(folder, *teams), dry_run=True)
    return {
        team.name
        for team in teams
        if any(line.startswith(f"would send to {team.name} ") for line in outcome.summary)
    }


# the two twins


def every_kind(folder: Path) -> Settings:
    """A store with new, old, stuck, missing and fixed jobs, a known issue, and pages."""
    rows: list[list[JobRow]] = [
        [job(f"a{n}", ago, labels={"batch": "b1"}) for n in range(8)] for ago in range(7, 0, -1)
    ]
    rows[-1][2] = job("a2", 1, "Failed")
    rows[-1][3] = job("a3", 1, "Failed", message=DENIED)
    last = [job(f"a{n}", 0) for n in (1, 2, 4, 5, 6)] + [job("a3", 0, "Failed", message=DENIED)]
    last += [job("a0", 0, "Failed"), WAITING]
    known: list[JobRow] = []
    nights = []
    for each in (*rows, last):
        known = [*known, *each]
        nights.append(known)
    store(folder / "snapshots", *nights)
    issues = folder / "known.toml"
    issues.write_text(
        '[[issue]]\nmatch = "heap"\ntitle = "Too small"\nowner = "platform team"\n'
        'note = "**Wait** until [nine](https://wiki.example.org/9)."\n'
        'link = "https://tracker.example.org/1"\n'
    )
    told = settings(folder, replace(ANA, attach=("csv",)))
    return replace(told, report=replace(told.report, known_issues=str(issues)))


def rendered(told: Settings) -> Any:
    """The mail of a site that is there."""
    pipeline.render(told, progress=SilentProgress(), workers=1)
    [mail] = written(told, Path(told.site.dir).parent / "mails").values()
    return mail


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Any]:
    """Settings of a site that is there, and the mail of its night."""
    told = every_kind(tmp_path_factory.mktemp("kinds"))
    return told, rendered(told)


def test_the_text_says_all_that_the_html_says(kinds: tuple[Settings, Any]) -> None:
    """Every line that is read in one stands in the other, and every link."""
    _, mail = kinds
    plain = " ".join(text(mail).split()).lower()
    for word in ("stuck", "missing", "fixed", "new failures", "still failing", "known", "attached"):
        assert word in plain
        assert word in seen(mail).lower()
    for href in links(mail):
        assert href.lower() in plain or href == "https://wiki.example.org/9", href
    assert "https://wiki.example.org/9" in plain
    letters = set(re.findall(r"[\w'’-]{3,}", seen(mail).lower()))
    lacking = letters - set(re.findall(r"[\w'’-]{3,}", plain)) - {"job", "jobs"}
    assert lacking == set()


def test_a_known_issue_stands_beside_its_cause(kinds: tuple[Settings, Any]) -> None:
    _, mail = kinds
    assert "Known: Too small (platform team)" in seen(mail)
    assert "https://tracker.example.org/1" in links(mail)
    assert "<strong>Wait</strong>" in html(mail).replace(' style=""', "")
    assert "Known: Too small (platform team)" in text(mail)


def test_links_lead_to_that_nights_page_and_to_pages_that_are_there(
    kinds: tuple[Settings, Any],
) -> None:
    told, mail = kinds
    own = [href for href in links(mail) if href.startswith(URL)]
    assert f"{URL}/nights/{night(0)}/index.html" in own
    assert len(own) >= 8
    for href in own:
        assert (Path(told.site.dir) / href[len(URL) + 1 :]).is_file()


def test_without_an_address_of_the_site_there_are_no_links_and_the_mail_says_where_it_is(
    kinds: tuple[Settings, Any], tmp_path: Path
) -> None:
    told = replace(kinds[0], site=replace(kinds[0].site, url=None))
    [mail] = written(told, tmp_path).values()
    assert [href for href in links(mail) if "example.org/jobs" in href or href == ""] == []
    where = (
        f"The report is in {told.site.dir}; this night’s page there is nights/{night(0)}/index.html"
    )
    assert where in seen(mail)
    assert where in " ".join(text(mail).split())


def test_of_builds_below_prefixes_of_their_own_only_the_front_page_is_linked(
    kinds: tuple[Settings, Any], tmp_path: Path
) -> None:
    """Every other address changes with the next build."""
    told = replace(kinds[0], publish=Publish(atomic=True))
    [mail] = written(told, tmp_path).values()
    assert {href for href in links(mail) if href.startswith(URL)} == {f"{URL}/index.html"}


def test_a_page_that_is_not_there_is_not_linked(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    mail = one(tmp_path)
    assert links(mail) == []
    assert f"The report is at {URL}; it has no page of this night yet." in seen(mail)


# sizes, pictures, looks


def test_a_mail_says_whose_a_job_is_without_what_all_jobs_of_the_team_have(tmp_path: Path) -> None:
    """Whom to call is known without a page."""
    waiting = job("s", 1, "Submitted")
    store(tmp_path / "snapshots", [job("a1", 1), waiting], [job("a1", 0, "Failed"), waiting])
    told = settings(tmp_path, ANA, ALL)
    told = replace(told, report=replace(told.report, labels=("owner", "sample")))
    mails = written(told, tmp_path / "out")
    for team, whose in (("germline", ""), ("everybody", "owner ana, ")):
        mail = mails[team]
        for said in (seen(mail), " ".join(text(mail).split())):
            assert f"({whose}sample a1)" in said
            assert f"({whose}sample s)" in said


def test_a_mail_of_150_causes_stays_small(tmp_path: Path) -> None:
    """At most 80 KB of HTML, however long the words, and it says what it leaves out."""
    long = "W" * 300
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [
        job(f"a{n}", 0, "Failed", name=f"{long}{n % 40}", task=long,
            message=f"{letters[n % 26]}{letters[n // 26]}&<>\"' {long * 3}",
            labels={f"k{long}": f"v{long}"})
        for n in range(150)
    ]  # fmt: skip
    store(tmp_path / "snapshots", rows)
    told = settings(tmp_path)
    issues = tmp_path / "known.toml"
    issues.write_text(
        "\n".join(
            f'[[issue]]\nmatch = "^{letters[n]}"\ntitle = "{"&" * 250}"\nnote = "{"<" * 599}"\n'
            f'owner = "{"&" * 290}"\nlink = "https://e.example/{"x" * 1900}"\n'
            for n in range(26)
        )
    )
    told = replace(told, report=replace(told.report, known_issues=str(issues)))
    mail = rendered(told)
    assert len(html(mail).encode()) <= LARGEST == 80_000
    assert re.search(r"\b1\d\d more causes with 1\d\d jobs", seen(mail))
    assert mail["Subject"].endswith("first report, 150 failing of 150")


def test_pictures_come_with_the_mail_and_say_what_they_show(kinds: tuple[Settings, Any]) -> None:
    _, mail = kinds
    named = set(re.findall(r'src="cid:([^"]+)"', html(mail)))
    come = {part["Content-ID"].strip("<>"): part for part in mail.walk() if part["Content-ID"]}
    assert named == set(come)
    assert 1 <= len(named) <= 3
    for part in come.values():
        assert part.get_content().startswith(b"\x89PNG")
    assert len(re.findall(r"<img ", html(mail))) == len(re.findall(r'alt="Bar chart', html(mail)))


def test_a_mail_loads_nothing_and_runs_nothing(kinds: tuple[Settings, Any]) -> None:
    body = html(kinds[1])
    assert not re.search(r"<(script|link|iframe|form|object)", body)
    assert not re.search(r'src="(?!cid:)', body)
    assert "url(" not in body
    assert "@import" not in body


#: As many tiles as a night can have, and on how many lines the words of the last two stand.
SIX_TILES = """() => {
    const row = document.querySelector('.tiles tr');
    while (row.children.length < 6) row.append(row.lastElementChild.cloneNode(true));
    return ['Missing', 'Unknown'].map((word, at) => {
        const text = row.children[at + 4].childNodes[1], range = document.createRange();
        text.data = word;
        range.selectNodeContents(text);
        return range.getClientRects().length;
    });
}"""


GROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 21, 27)"}


@pytest.mark.parametrize("width", [600, 360])
def test_a_mail_reads_on_a_phone_and_in_the_dark(
    kinds: tuple[Settings, Any], browser: Any, width: int
) -> None:
    """Nothing is wider than the window, and axe-core finds nothing wrong."""
    from axe_playwright_python.sync_playwright import Axe

    _, mail = kinds
    shown = browser.new_page(viewport={"width": width, "height": 800})
    wide = "document.documentElement.scrollWidth"
    ground = "getComputedStyle(document.querySelector('.column')).backgroundColor"
    pictures = "[...document.images].filter(i => i.offsetWidth).map(i => i.src.length > 999)"
    shown.set_content(page(mail))
    for scheme in GROUNDS:
        shown.emulate_media(color_scheme=scheme)
        assert shown.evaluate(wide) <= width
        assert shown.evaluate(ground) == GROUNDS[scheme]
        assert shown.evaluate(pictures) == [True]
    assert shown.evaluate(SIX_TILES) == [1, 1]
    for scheme in GROUNDS:
        shown.emulate_media(color_scheme=scheme)
        assert shown.evaluate(wide) <= width
        found = Axe().run(shown).response["violations"]
        ids = {each["id"] for each in found}
        # A mail is no page: it has no landmarks.
        assert ids <= {"region", "landmark-one-main"}, scheme
    shown.close()


# hostile


NAMES = [
    *PAYLOADS,
    "x\r\nBcc: eve@evil.example\r\n\r\nbody",
    "x\n.\nQUIT",
    "\u2028RCPT TO:<eve@evil.example>\u2029",
    "\u202eevil\u2066",
    "B" * 10_000,
    "=?utf-8?q?=0d=0aBcc:_eve@evil.example?=",
    "--=_0\r\nContent-Type: text/html\r\n\r\n<b>",
    "half \ud83d",
]


HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "List-Id",
    "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
]  # fmt: skip
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def hostile(folder: Path) -> None:
    rows = [
        [
            job(
                f"s{n}",
                ago,
                "Failed" if ago == 0 or n % 2 else "Succeeded",
                name=NAMES[n % len(NAMES)],
                message=NAMES[(n + 3) % len(NAMES)],
                task=NAMES[(n + 5) % len(NAMES)],
                labels={NAMES[(n + 7) % len(NAMES)]: NAMES[(n + 9) % len(NAMES)]},
            )
            for n in range(len(NAMES))
        ]
        for ago in (1, 0)
    ]
    store(folder / "snapshots", rows[0], [*rows[0], *rows[1]])


@pytest.mark.parametrize("name", ["germline", *NAMES[-9:]])
def test_no_name_stops_splits_or_redirects_a_mail(tmp_path: Path, name: str) -> None:
    """Of a job, a label, a message or a team: it arrives, once, where the settings say."""
    hostile(tmp_path)
    team = replace(ANA, name=name, attach=("csv", "json"))
    with Mailboxes() as boxes:
        told = settings(tmp_path, team, port=boxes.port)
        outcome = send(replace(told, report=replace(told.report, labels=tuple(NAMES))))
    assert outcome.exit == Exit.DONE
    [arrived] = boxes.arrived
    assert arrived.to == ("ana@example.org", "bo@example.org")
    mail = arrived.mail
    assert mail.defects == []
    assert all(part.defects == [] for part in mail.walk())
    assert mail.keys() == HEADERS
    assert mail["To"] == "ana@example.org, bo@example.org"
    assert len(mail["Subject"]) <= 250
    kinds = [part.get_content_type() for part in mail.walk() if not part.is_multipart()]
    assert kinds == ["text/plain", "text/html", "text/csv", "application/json"]
    assert len(html(mail).encode()) <= LARGEST
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", text(mail).replace("\r", "")
    )


def test_no_name_runs_in_a_mail_or_becomes_a_link(tmp_path: Path, browser: Any) -> None:
    hostile(tmp_path)
    told = settings(tmp_path, replace(ANA, name=PAYLOADS[0]))
    mail = rendered(told)
    context = browser.new_context()
    shown = context.new_page()
    ran: list[Any] = []
    shown.expose_function("boom", lambda *given: ran.append(given))
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.set_content(page(mail))
    shown.wait_for_timeout(200)
    assert ran == []
    assert [url for url in asked if not url.startswith("data:")] == []
    for href in links(mail):
        assert urlsplit(href).netloc == "reports.example.org"
    assert (
        shown.evaluate("document.querySelectorAll('script, iframe, svg, form, base').length") == 0
    )
    context.close()


def test_no_line_of_the_text_begins_as_ours_by_a_name(tmp_path: Path) -> None:
    """A name that ends lines cannot make a line of its own."""
    evil = "x\n!! This report is incomplete.\nOpen this night’s report:\nhttps://evil.example"
    named = job("a1", 0, "Failed", name=evil, message=evil, task=evil, labels={"batch": evil})
    store(tmp_path / "snapshots", [named])
    told = settings(tmp_path)
    told = replace(told, report=replace(told.report, labels=("batch",)))
    [mail] = written(told, tmp_path / "out").values()
    lines = text(mail).splitlines()
    assert any("(batch x " in line for line in lines)
    assert not any(line.startswith(("!!", "https://evil", "Open")) for line in lines)


def test_the_same_night_makes_the_same_mail(tmp_path: Path) -> None:
    usual(tmp_path / "snapshots")
    told = settings(tmp_path)
    first, second = (files(told, tmp_path / folder) for folder in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def files(told: Settings, folder: Path) -> list[Path]:
    written(told, folder)
    return sorted(folder.glob("*.eml"))
