"""Pages of which nothing is known any more: their addresses last, and say so."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import rmtree

import mail_cases
from held import Held
from msgspec.structs import replace
from site_cases import entries, read, report, runs, write

from jmreport import pipeline
from jmreport.analysis import contexts, frozen, measure, summarise
from jmreport.night import Night
from jmreport.progress import SilentProgress
from jmreport.records import Entry, JobRow, Run
from jmreport.render import addresses, linkcheck, site
from jmreport.render.account import Written
from jmreport.render.files import WrittenFile, sum_of
from jmreport.render.hands import Hands
from jmreport.render.ledger import Ledger
from jmreport.render.telling import Telling
from jmreport.report.counts import StatusSplit
from jmreport.report.nights import NightFlow
from jmreport.settings import ReportSettings, Settings
from jmreport.snapshots import Store


def test_a_workflow_that_no_job_has_any_more_says_so_and_leads_on(tmp_path: Path) -> None:
    """Its lists are gone, so nothing of the old page may stay; it comes back with its jobs."""
    over = runs(2)
    before = entries(40, over)
    gone = before[0].row.name
    after = [
        replace(entry, row=replace(entry.row, name="other")) if entry.row.name == gone else entry
        for entry in before
    ]
    page = tmp_path / addresses.workflow(gone)
    write(tmp_path, before, over)
    assert "No job of this workflow" not in page.read_text()
    for _ in range(2):
        write(tmp_path, after, over)
        assert "No job of this workflow is known any more" in page.read_text()
        assert 'href="index.html"' in page.read_text()
        assert list(linkcheck.check(tmp_path)) == []
    write(tmp_path, before, over)
    assert "No job of this workflow" not in page.read_text()


def test_a_page_of_which_nothing_is_known_names_all_that_may_be_why(tmp_path: Path) -> None:
    """That its jobs belong elsewhere is not known where only a run's folder went."""
    told, store = mail_cases.settings(tmp_path), tmp_path / "snapshots"
    failed = mail_cases.job("f", 1, "Failed", name="gone")
    mail_cases.store(store, [failed], [mail_cases.job("a", 0)])
    pipeline.render(told, progress=SilentProgress(), workers=1)
    [cause] = [*(tmp_path / "site" / "causes").glob("*[0-9a-f].html")]
    rmtree(store / "runs" / mail_cases.night(1))
    pipeline.render(told, progress=SilentProgress(), workers=1)
    for what, page in (
        ("workflow", tmp_path / "site" / addresses.workflow("gone")),
        ("cause", cause),
    ):
        said = page.read_text()
        assert f"<title>No longer known: {page.stem} " in said
        assert (
            f"Its jobs were read again since and belong to another {what} now, or the runs that "
            "told of them are no longer among the snapshots."
        ) in said


def test_a_label_keeps_a_place_while_pages_lead_there_that_cannot_be_made_again(
    tmp_path: Path,
) -> None:
    """Those of jobs that nobody knows any more; it goes with them, and without any at once."""
    over = runs(2)
    before = entries(40, over)
    asked = Settings(report=ReportSettings(labels=("sample",)))
    page = tmp_path / addresses.label("sample")
    write(tmp_path, before, over, settings=asked)
    first = page.read_bytes()
    write(tmp_path, before, over)
    assert not page.exists()
    write(tmp_path, before, over, settings=asked)
    write(tmp_path, before[1:], over)
    assert "<h1>This label has no page any more</h1>" in page.read_text()
    assert 'href="index.html">All labels' in page.read_text()
    assert list(linkcheck.check(tmp_path)) == []
    assert write(tmp_path, before[1:], over).rewritten == 0
    write(tmp_path, before, over, settings=asked)
    assert page.read_bytes() == first
    write(tmp_path, before[1:], over)
    write(tmp_path, before[1:], _pruned(over))
    assert not page.exists()
    assert list(linkcheck.check(tmp_path)) == []


def test_a_label_keeps_it_also_where_few_jobs_are_looked_at(tmp_path: Path) -> None:
    """A night of many jobs without it, behind jobs of which nothing is known since the last one."""
    told, store = mail_cases.settings(tmp_path), tmp_path / "snapshots"

    def jobs(ago: int, count: int, **labels: str) -> list[JobRow]:
        return [mail_cases.job(f"{each}", ago, labels=labels) for each in range(count)]

    def rendered() -> None:
        pipeline.render(told, progress=SilentProgress(), workers=1)

    mail_cases.store(store, jobs(1, 4, batch="b"), jobs(0, 4, batch="b"))
    rendered()
    rmtree(store / "runs" / mail_cases.night(0))
    rendered()
    page = tmp_path / "site" / addresses.label("batch")
    assert "no page any more" not in page.read_text()
    with Store.open(store, summarise=summarise, measure=measure) as opened:
        mail_cases.run(opened, jobs(-1, 50), -1, "complete", ())
    rendered()
    assert "no page any more" in page.read_text()
    assert list(linkcheck.check(tmp_path / "site")) == []


def _pruned(over: Sequence[Run]) -> tuple[Run, ...]:
    """The same runs, all but the newest pruned."""
    return (*(replace(run, pruned=True) for run in over[:-1]), over[-1])


def _written(
    where: Path,
    jobs: Sequence[Entry],
    over: Sequence[Run],
    *,
    nights: Sequence[Night] = (),
    flows: tuple[str, ...] = (),
) -> Written:
    """As `site_cases.write`; tonight is said to have told of these workflows."""
    settings = Settings()
    found = report(jobs, over)
    told = tuple(NightFlow(name=name, split=StatusSplit(), failing=0, missing=0) for name in flows)
    return site.write(
        where,
        Telling(
            report=replace(found, nights=(replace(found.nights[-1], flows=told),)),
            contexts=contexts(Held(jobs), over),
            history=Held(jobs),
            read_records=partial(read, {(entry.shard, entry.line): entry.row for entry in jobs}),
            nights=nights,
        ),
        settings=settings,
        hands=Hands(crew=site.crew_of(where, settings=settings, version="0.1.0", workers=1)),
        progress=SilentProgress(),
    )


def test_once_runs_were_pruned_pages_of_which_nothing_is_known_go(tmp_path: Path) -> None:
    """A workflow's stays, and says so, while a night that stays told of it."""
    over = runs(3)
    before = entries(40, over)
    gone = before[0].row.name
    after = [entry for entry in before if entry.row.name != gone]
    page = tmp_path / addresses.workflow(gone)
    _written(tmp_path, before, over)
    _written(tmp_path, after, _pruned(over), flows=(gone,))
    assert "No job of this workflow is known any more" in page.read_text()
    assert list(linkcheck.check(tmp_path)) == []
    _written(tmp_path, after, _pruned(over))
    assert not page.exists()
    for entry in before:
        assert (tmp_path / addresses.job(entry.row.id)).exists() == (entry.row.name != gone)
    assert list(linkcheck.check(tmp_path)) == []
    assert _written(tmp_path, after, _pruned(over)).rewritten == 0


def test_where_nothing_was_pruned_a_jobs_page_stays_without_its_job(tmp_path: Path) -> None:
    """As when the snapshots were lost: whoever has the link can still read it."""
    over = runs(2)
    before = entries(40, over)
    write(tmp_path, before, over)
    write(tmp_path, before[1:], over)
    assert (tmp_path / addresses.job(before[0].row.id)).exists()


def test_a_job_that_is_known_again_has_its_page_again(tmp_path: Path) -> None:
    over = _pruned(runs(2))
    before = entries(40, over)
    page = tmp_path / addresses.job(before[0].row.id)
    write(tmp_path, before, over)
    first = page.read_bytes()
    write(tmp_path, before[1:], over)
    assert not page.exists()
    write(tmp_path, before, over)
    assert page.read_bytes() == first
    assert list(linkcheck.check(tmp_path)) == []


def _moved_back(where: Path, job: str) -> Path:
    """A job's page as it was when its address had eight digits fewer, with another style sheet."""
    page, style = addresses.job(job), "assets/site-00000000.css"
    was = page.replace(page[-len("00000000.html") :], ".html")
    text = re.sub(r"assets/site-\w+\.css", style, (where / page).read_text())
    _put(where, was, text.encode(), kept=True)
    _put(where, style, b"", kept=False)
    with Ledger(where / ".jmreport/pages") as ledger:
        ledger.forget(page)
        ledger.commit()
    (where / page).unlink()
    return where / was


def _put(where: Path, owner: str, body: bytes, *, kept: bool) -> None:
    """A file of the site as an earlier jmreport left it."""
    (where / owner).write_bytes(body)
    with Ledger(where / ".jmreport/pages") as ledger:
        written = WrittenFile(address=owner, size=len(body), sum=sum_of(body))
        ledger.put(owner, "x", [written], kept=kept)
        ledger.commit()


def test_a_page_at_an_address_that_a_job_had_once_leads_to_the_one_that_it_has(
    tmp_path: Path,
) -> None:
    """Mails lead there. It goes when that one does, and is told of nowhere."""
    over = runs(2)
    jobs = [
        replace(job, row=replace(job.row, id="x" * 60 + job.row.id)) for job in entries(9, over)
    ]
    write(tmp_path, jobs, over)
    was = _moved_back(tmp_path, jobs[0].row.id)
    page = tmp_path / addresses.job(jobs[0].row.id)
    for rewritten in (2, 0):  # the page with its JSON
        assert write(tmp_path, jobs, over).rewritten == rewritten
        assert f'content="0; url={page.name}"' in was.read_text()
        assert page.exists()
        assert was.name not in (tmp_path / addresses.IDS).read_text()
        assert not (tmp_path / "assets/site-00000000.css").exists()
        assert list(linkcheck.check(tmp_path)) == []
    write(tmp_path, jobs, _pruned(over))
    assert was.exists()
    write(tmp_path, jobs[1:], _pruned(over))
    assert not page.exists()
    assert not was.exists()
    assert list(linkcheck.check(tmp_path)) == []


def test_what_the_page_of_a_job_that_nobody_knows_looks_by_stays_with_it(tmp_path: Path) -> None:
    """An upgrade brings another style sheet, and such a page cannot be made again."""
    over = runs(2)
    jobs = entries(9, over)
    write(tmp_path, jobs, over)
    page, style = addresses.job(jobs[0].row.id), "assets/site-00000000.css"
    text = re.sub(r"assets/site-\w+\.css", style, (tmp_path / page).read_text())
    _put(tmp_path, page, text.encode(), kept=True)
    _put(tmp_path, style, b"", kept=False)
    for _ in range(2):
        write(tmp_path, jobs[1:], over)
        assert list(linkcheck.check(tmp_path)) == []
    assert (tmp_path / style).exists()
    write(tmp_path, jobs[1:], _pruned(over))
    assert not (tmp_path / page).exists()
    assert not (tmp_path / style).exists()


def test_a_page_that_several_jobs_shared_names_those_that_they_have(tmp_path: Path) -> None:
    over, alike = runs(2), (34081, 123317)
    jobs = [
        replace(
            job,
            row=replace(
                job.row,
                id=f"genomics-prod-1234+joint-call--maria--261123-195959-120034+{number}+",
            ),
        )
        for job, number in zip(entries(2, over), alike, strict=True)
    ]
    write(tmp_path, jobs[:1], over)
    was = _moved_back(tmp_path, jobs[0].row.id)
    write(tmp_path, jobs, over)
    text = was.read_text()
    assert "refresh" not in text
    for job in jobs:
        assert f'href="{Path(addresses.job(job.row.id)).name}"' in text
    assert list(linkcheck.check(tmp_path)) == []


def test_a_nights_page_names_a_job_that_went_without_leading_to_it(tmp_path: Path) -> None:
    over = runs(2)
    before = entries(60, over)
    told = frozen(report(before, over), Held(before))
    gone = next(job for group in told.attention for job in group.jobs)
    after = [entry for entry in before if entry.row.id != gone]
    page = tmp_path / addresses.night(over[-1].id)
    link = addresses.relative(addresses.night(over[-1].id), addresses.job(gone))
    short = next(job.short_id for job in told.jobs if job.id == gone)
    _written(tmp_path, before, over, nights=(told,))
    assert f'href="{link}"' in page.read_text()
    made = []
    for _ in range(3):
        _written(tmp_path, after, _pruned(over))
        made.append(page.read_bytes())
        assert list(linkcheck.check(tmp_path)) == []
    assert len(set(made)) == 1
    assert f'<span class="id mono">{short}</span>' in page.read_text()
    assert link not in page.read_text()
