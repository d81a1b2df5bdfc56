"""`jmreport serve`: what the right people can do, and how it is told and written down."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from shutil import copytree
from typing import Any

import attacks
import pytest
from actions_cases import ANA, EVE, NOW, OMAR, Answer, Bench, bench, path_of, stored
from snapshot_cases import record, write_run

from jmreport import pipeline
from jmreport.collectors.demo import Demo, serve
from jmreport.deeds import Ask, Deed, JobState, Pick, Told, Wish
from jmreport.errors import UsageError
from jmreport.pipeline import Source, serving
from jmreport.pipeline.serving import Snapshots as Known
from jmreport.progress import SilentProgress
from jmreport.render.actionpages import ActionPages
from jmreport.settings import Actions, Allow, Mode, Redact, Settings, Site, Snapshots
from jmreport.snapshots.rules import Rules


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def local(day: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path / "b", day) as at:
        yield at


ALL = Allow(who="*@example.org", actions=("abort", "labels"))


# Local mode


def test_the_start_address_lets_one_browser_in_and_no_second(local: Bench) -> None:
    start = local.server.start.partition(local.host)[2]
    assert local.get("/").status == 200
    again = local.get(start, as_="")
    assert again.status == 403
    assert "set-cookie" not in again.headers
    assert [line["status"] for line in local.audit("refused")] == [403]


def test_who_was_let_in_may_open_the_start_address_again(local: Bench) -> None:
    """A second click on it in the terminal leads where the first did, with no second cookie."""
    again = local.get(local.server.start.partition(local.host)[2])
    # Nothing in this site leads to the actions, so that is where one begins.
    assert (again.status, again.headers["location"]) == (303, "/actions/jobs")
    assert "set-cookie" not in again.headers


def test_a_site_whose_pages_lead_to_the_actions_is_where_one_begins(
    day: Path, tmp_path: Path
) -> None:
    with bench(tmp_path / "b", day, url="http://127.0.0.1:8090") as at:
        again = at.get(at.server.start.partition(at.host)[2])
        assert (again.status, again.headers["location"]) == (303, "/")


def test_the_cookie_is_strict_and_no_script_reads_it(day: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "b", day) as at:
        assert "; HttpOnly" in at.started
        assert "; SameSite=Strict" in at.started


@pytest.mark.parametrize("other", ['prefs={"a":1}', "theme=dark blue", "foo", "=", "a=é", 'b="c'])
def test_a_cookie_of_another_program_on_this_host_keeps_nobody_out(
    local: Bench, other: str
) -> None:
    """Browsers send cookies to every port of a host."""
    for sent in (f"{other}; {local.cookie}", f"{local.cookie};{other}"):
        assert local.get("/", as_="", Cookie=sent).status == 200
    name = local.cookie.partition("=")[0]
    for forged in (f"{name}=x; {other}", name, f"x{local.cookie}", f"a={local.cookie}"):
        assert local.get("/", as_="", Cookie=forged).status == 401


def test_a_link_from_elsewhere_leads_to_a_page_that_leads_on(local: Bench) -> None:
    """It brings no strict cookie; the click on it does."""
    job = local.jobs("Running")[0]
    page = local.get(path_of("abort", job), as_="", Sec_Fetch_Site="cross-site")
    assert page.status == 401
    assert f'href="/actions/abort?job={job}"' in page.text
    assert local.get(path_of("abort", job), Sec_Fetch_Site="same-origin").status == 200


def test_the_site_is_served_without_what_is_hidden(local: Bench) -> None:
    assert "The report" in local.get("/").text
    assert local.get("/index.html").headers["content-type"] == "text/html; charset=utf-8"
    data = local.get("/jobs/a.json")
    assert (data.status, data.headers["content-security-policy"]) == (
        200, "default-src 'none'; sandbox; frame-ancestors 'none'",
    )  # fmt: skip
    assert local.get("/.jmreport/pages").status == 400
    assert local.get("/none.html").status == 404
    (local.folder / "site" / "out.html").symlink_to(local.folder / "audit.jsonl")
    assert local.get("/out.html").status == 404
    same = local.get("/", If_None_Match=local.get("/").headers["etag"])
    assert (same.status, same.body) == (304, b"")


# Abort


def test_a_job_is_aborted_from_its_page_and_the_page_says_what_the_server_answered(
    local: Bench,
) -> None:
    job = local.jobs("Running")[0]
    page = local.get(path_of("abort", job))
    assert "Abort this job?" in page.text
    assert job in page.text
    assert f"You are <b><bdi>{ANA}</bdi></b>" in page.text
    assert "Running</span>" in page.text
    told = local.outcome(local.post(*local.form("abort", [job])))
    assert "the server took it (200); the job is Aborting" in told.text
    assert f"jmreport build --job {job}" in told.text
    assert [(each.target, each.status) for each in local.arrived()] == [
        (f"/api/v1/jobs/{job}/abort", 200)
    ]
    asked, came = local.audit("asked"), local.audit("came")
    assert [(line["who"], line["job"], line["action"]) for line in asked] == [(ANA, job, "abort")]
    assert [(line["came"], line["answer"], line["form"]) for line in came] == [
        ("done", 200, asked[0]["form"])
    ]


def test_what_has_ended_is_not_asked_of_the_server(local: Bench) -> None:
    done, running = local.jobs("Succeeded")[0], local.jobs("Running")[0]
    page = local.get(path_of("abort", done))
    assert "Nothing is left to abort" in page.text
    assert '<form method="post"' not in page.text
    told = local.outcome(local.post(*local.form("abort", [done, running])))
    assert "1 of 2 jobs done" in told.text
    assert "already finished: Succeeded 2026-11-" in told.text
    assert [each.target for each in local.arrived()] == [f"/api/v1/jobs/{running}/abort"]


def test_what_is_asked_is_of_the_jobs_that_it_would_be_done_to(local: Bench) -> None:
    running, ended = local.jobs("Running")[0], local.jobs("Succeeded")[:2]
    some = local.get(path_of("abort", running, *ended))
    assert "<h1>Abort 1 of 3 jobs?</h1>" in some.text
    assert ">Abort 1 job</button>" in some.text
    assert some.text.count("; left out") == 2
    one = local.get(path_of("abort", ended[0]))
    assert "<h1>This job has ended</h1>" in one.text
    assert "<p>It ended " in one.text
    none = local.get(path_of("abort", *ended))
    assert "<h1>These 2 jobs have ended</h1>" in none.text
    assert "<button" not in none.text
    told = local.outcome(local.post(*local.form("abort", [running, ended[0]])))
    assert "already finished: Succeeded" in told.text
    # The audit tells of each job that the form named.
    assert [line["job"] for line in local.audit("asked")] == [running]
    assert [(each["job"], each["came"]) for each in local.audit("left out")] == [
        (ended[0], "refused")
    ]


def test_a_form_counts_once_however_often_it_is_sent(local: Bench) -> None:
    job = local.jobs("Running")[0]
    target, fields = local.form("abort", [job])
    assert local.post(target, fields).status == 303
    again = local.post(target, fields)
    assert again.status == 409
    assert "This form had been sent before" in again.text
    assert "the server took it (200)" in again.text
    assert len(local.arrived()) == 1
    # At the same moment, too.
    other = local.jobs("Running")[1]
    target, fields = local.form("abort", [other])
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(local.post(target, fields).status))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [409] * 7
    assert len(local.arrived()) == 2


# Labels


def test_labels_are_edited_by_the_servers_own_fields(local: Bench) -> None:
    """Before and after are shown, only what was changed is sent."""
    job = local.jobs("Failed")[0]
    page = local.get(path_of("labels", job))
    assert 'name="label.comment"' in page.text
    assert '<option value="follow-up">' in page.text
    assert 'name="label.owner"' not in page.text
    told = local.outcome(
        local.post(
            *local.form("labels", [job], **{"label.comment": "a <b>b</b>", "was.comment": ""})
        )
    )
    assert "<ins>a &lt;b&gt;b&lt;/b&gt;</ins>" in told.text
    assert [json.loads(each.body) for each in local.arrived()] == [
        {"labels": {"comment": "a <b>b</b>"}}
    ]
    [asked] = local.audit("asked")
    assert (asked["labels"], asked["before"]) == ({"comment": "a <b>b</b>"}, {"comment": ""})


def test_many_jobs_are_flagged_in_one_click(local: Bench) -> None:
    jobs = local.jobs("Succeeded")[:20]
    page = local.get(path_of("labels", *jobs))
    assert "Labels of 20 jobs" in page.text
    assert 'name="label.comment"' not in page.text  # not one for several jobs
    told = local.outcome(local.post(*local.form("labels", jobs, set="flag=archive")))
    assert "20 of 20 jobs done" in told.text
    assert [json.loads(each.body)["labels"] for each in local.arrived()] == [
        {"flag": "archive"}
    ] * 20
    assert len(local.audit("asked")) == len(local.audit("came")) == 20


@pytest.mark.parametrize("page", ["chosen", "asked", "told"])
def test_jobs_whose_ids_begin_alike_are_told_apart(page: str) -> None:
    ids = ("0a1b2c3d-0000-4f00-8000-000000000001", "0a1b2c3d-0001-4f00-8000-000000000002")
    pages = ActionPages(Settings(), version="0.1.0")
    jobs = tuple(JobState(id=job, status="Running") for job in ids)
    match page:
        case "chosen":
            made = pages.pick(Pick(who="ana", jobs=jobs))
        case "asked":
            made = pages.ask(Ask(who="ana", action="abort", jobs=jobs))
        case _:
            wish = Wish(action="abort")
            deeds = tuple(Deed(job=job, wish=wish, came="done", said="") for job in ids)
            names = dict.fromkeys(ids, "align")
            told = Told(who="ana", action="abort", at=NOW, key="", deeds=deeds, names=names)
            made = pages.told(told)
    for short in ("0a1b2c3d-0000", "0a1b2c3d-0001"):
        assert f'<code class="id">{short}</code>' in made


def test_a_label_of_many_jobs_can_be_emptied_again(local: Bench) -> None:
    """Also a flag that twenty jobs got by mistake; and what they have now stands beside each."""
    jobs = local.jobs("Succeeded")[:3]
    local.outcome(local.post(*local.form("labels", jobs, set="flag=archive")))
    page = local.get(path_of("labels", *jobs))
    assert page.text.count('<span class="k">flag</span> <bdi>archive</bdi>') == 3
    told = local.outcome(local.post(*local.form("labels", jobs, **{"clear.flag": "yes"})))
    assert "3 of 3 jobs done" in told.text
    assert [json.loads(each.body)["labels"] for each in local.arrived()[3:]] == [{"flag": ""}] * 3
    again = local.outcome(local.post(*local.form("labels", jobs, **{"clear.flag": "yes"})))
    assert again.text.count("as before") == 3
    both = {"label.flag": "archive", "clear.flag": "yes"}
    answer = local.post(*local.form("labels", jobs, **both))
    assert (answer.status, len(local.arrived())) == (409, 9)
    assert "Flag cannot be both set and empty" in answer.text


def test_all_labels_of_one_job_are_shown(local: Bench) -> None:
    job = local.jobs("Failed")[0]
    body = json.dumps({"labels": {f"key-{at}": f"value-{at}" for at in range(12)}}).encode()
    local.demo.respond(
        "POST", f"/api/v1/jobs/{job}/updateLabels", {"Content-Type": "application/json"}, body
    )
    page = local.get(path_of("labels", job))
    assert all(f"<bdi>value-{at}</bdi>" in page.text for at in range(12))


def test_what_was_typed_stands_in_the_form_that_comes_back(local: Bench) -> None:
    job = local.jobs("Failed")[0]
    typed = {"label.comment": "y" * 256, "label.label": "mine"}
    answer = local.post(*local.form("labels", [job], **typed))
    assert answer.status == 409
    assert f'value="{"y" * 256}"' in answer.text
    assert 'value="mine"' in answer.text
    # Somebody else's change is told, and what was typed can be saved in its place.
    local.outcome(local.post(*local.form("labels", [job], **{"label.comment": "theirs"})))
    answer = local.post(
        *local.form("labels", [job], **{"label.comment": "ours", "was.comment": ""})
    )
    assert "Comment has been changed meanwhile, and is “theirs” by now" in answer.text
    assert (answer.hidden("was.comment"), answer.hidden("label.comment")) == ("theirs", "")
    assert 'value="ours"' in answer.text


def test_as_many_as_one_form_takes_are_chosen_at_once_without_javascript(
    day: Path, tmp_path: Path
) -> None:
    with bench(tmp_path / "b", day, bulk=5) as at:
        page = at.get("/actions/jobs?status=Succeeded")
        assert (
            'href="jobs?status=Succeeded&amp;name=&amp;label=&amp;all=yes">Choose the first 5<'
            in (page.text)
        )
        assert " checked" not in page.text
        chosen = at.get("/actions/jobs?status=Succeeded&all=yes")
        assert chosen.text.count(" checked") == 5
        assert "Choose none" in chosen.text


def test_who_is_turned_away_is_led_on(local: Bench) -> None:
    jobs = local.jobs("Succeeded")
    assert 'href="/actions/jobs"' in local.get("/actions/abort").text
    many = local.get(path_of("labels", *(jobs * 2)[:1], *(f"x{at}" for at in range(100))))
    assert "101 are named, and one form takes 100 at most" in many.text
    assert 'href="/actions/jobs"' in many.text
    target, form = local.form("labels", jobs[:1])
    stale = local.post(target, form | {"csrf": "1.2"})
    assert stale.status == 403
    assert f'href="{target}"' in stale.text
    lost = local.post(target, form, as_="")
    assert lost.status == 401
    assert "Nothing was sent." in lost.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"label.comment": "x" * 256}, "has 255 characters at most, not 256"),
        ({"label.flag": "burn"}, "Flag takes archive, follow-up"),
        ({"label.owner": "eve"}, "The label owner may not be changed here"),
        ({"set": "owner=eve"}, "The label owner may not be changed here"),
        ({}, "no label was changed"),
        ({"label.comment": "b", "was.comment": "a"}, "Comment has been changed meanwhile"),
    ],
)
def test_a_form_that_cannot_be_meant_is_shown_again_and_nothing_is_sent(
    local: Bench, fields: dict[str, str], said: str
) -> None:
    job = local.jobs("Failed")[0]
    answer = local.post(*local.form("labels", [job], **fields))
    assert answer.status == 409
    assert said in answer.text
    assert "<title>Not sent: Labels of this job · " in answer.text
    assert local.arrived() == []


def test_a_form_of_several_jobs_leads_back_to_where_they_were_chosen(local: Bench) -> None:
    """And says of jobs without labels that they have none: it has read them just now."""
    jobs = local.jobs("Succeeded")[:2]
    page = local.get(path_of("labels", *jobs)).text
    assert "<title>Labels of 2 jobs · " in page
    assert "autofocus" not in page
    assert '<a href="jobs">Back to the jobs</a>' in page
    labels = re.findall(r'data-label="Labels now">(.*?)</td>', page)
    assert len(labels) == 2
    assert all("not known" not in each for each in labels)
    bare = [each for each in labels if "chip" not in each]
    assert bare
    assert all('<span class="vh">none</span>' in each for each in bare)


def test_labels_that_the_server_is_slow_to_show_are_told_as_such(day: Path, tmp_path: Path) -> None:
    """The page shows what the job shows, and says beside it what the server took."""

    class Slow:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if target.endswith("/updateLabels"):
                return 200, {"Content-Type": "application/json"}, b'{"labels": {"flag": "archive"}}'
            return self.demo.respond(method, target, headers, body)

    with bench(tmp_path / "b", day, behind=Slow) as at:
        job = at.jobs("Failed")[0]
        told = at.outcome(at.post(*at.form("labels", [job], set="flag=archive")))
        assert "the server took it" in told.text
        page = at.get(path_of("labels", job))
        assert "the server took flag=archive; it does not show it yet" in page.text
        assert 'name="was.flag" value=""' in page.text


class Offering:
    """A Job Manager that lets these labels be changed too."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo

    def respond(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        status, sent, answer = self.demo.respond(method, target, headers, body)
        if target.endswith("/capabilities"):
            tree = json.loads(answer)
            tree["displayFields"] += [
                {"field": f"labels.{key}", "display": key, "editable": True, "fieldType": "text"}
                for key in ("db_password", "sample")
            ]
            answer = json.dumps(tree).encode()
            sent = {**sent, "Content-Length": str(len(answer))}
        if target.endswith("/updateLabels") and b"too" in body:
            answer = b'{"detail": "sample NA12878 has a comment"}'
            return 400, {"Content-Type": "application/json"}, answer
        return status, sent, answer


PASSWORD, THEIRS, SAMPLE = "hunter2hunter2", "theirs-and-secret", "NA12878"


@pytest.fixture
def secretive(day: Path, tmp_path: Path) -> Iterator[tuple[Bench, str]]:
    """A server of snapshots that hash samples, and a job with labels that hold secrets."""
    (tmp_path / "b" / "snapshots").mkdir(parents=True)
    (tmp_path / "b" / "snapshots" / "salt").write_text("of these snapshots\n")
    redact = Redact(hash=("sample",))
    with bench(tmp_path / "b", day, behind=Offering, redact=redact) as at:
        job = at.jobs("Failed")[0]
        at.label(job, db_password=PASSWORD, sample=SAMPLE, comment=f"{SAMPLE} failed")
        yield at, job


def test_secrets_in_labels_are_on_no_page_and_in_no_line_of_the_audit(
    secretive: tuple[Bench, str],
) -> None:
    """What is hashed has the hash that the report shows; what nobody typed into stays as it is."""
    at, job = secretive
    hashed = Rules(Redact(hash=("sample",)), salt=b"of these snapshots").hashed(SAMPLE)
    page = at.get(path_of("labels", job))
    assert f"<bdi>{hashed}</bdi>" in page.text
    assert page.text.count("(now [taken out])") == 1
    assert f"(now {hashed} failed)" in page.text
    other = at.get(path_of("abort", job))
    many = at.get(path_of("labels", job, at.jobs("Failed")[1]))
    target = path_of("labels", job)
    told = at.outcome(at.post(target, page.form() | {"label.label": "mine"}))
    typed = {"label.sample": "NA24385", "label.comment": f"too: {SAMPLE}, NA24385"}
    refused = at.outcome(at.post(target, at.get(target).form() | typed))
    assert f"sample {hashed} has a comment" in refused.text
    assert json.loads(at.arrived()[0].body) == {"labels": {"label": "mine"}}
    audit = Path(at.settings.actions.audit).read_text()
    assert [line["labels"].keys() for line in at.audit("asked")] == [
        {"label"}, {"sample", "comment"}
    ]  # fmt: skip
    assert at.audit("asked")[1]["before"]["sample"] == hashed
    for text in (page.text, other.text, many.text, told.text, refused.text, audit):
        assert not [each for each in (PASSWORD, SAMPLE, "NA24385") if each in text]


def test_a_label_whose_value_is_taken_out_can_be_set_and_emptied(
    secretive: tuple[Bench, str],
) -> None:
    """Its field begins empty, and what nobody sees is not put in place of somebody's change."""
    at, job = secretive
    target = path_of("labels", job)
    form = at.get(target).form()
    assert form["label.db_password"] == ""
    assert not form["was.db_password"].isalnum()
    at.label(job, db_password=THEIRS)
    late = at.post(target, form | {"label.db_password": "ours-and-secret"})
    assert late.status == 409
    assert "db_password has been changed meanwhile, and is “[taken out]” by now" in late.text
    assert THEIRS not in late.text
    told = at.outcome(
        at.post(target, at.get(target).form() | {"label.db_password": "ours-and-secret"})
    )
    assert "<del>[taken out]</del>" in told.text
    assert "<ins>[taken out]</ins>" in told.text
    told = at.outcome(at.post(target, at.get(target).form() | {"clear.db_password": "yes"}))
    assert '<span class="muted">none</span></span>' in told.text
    assert [json.loads(each.body)["labels"] for each in at.arrived()] == [
        {"db_password": "ours-and-secret"},
        {"db_password": ""},
    ]
    assert [(line["labels"], line["before"]) for line in at.audit("asked")] == [
        ({"db_password": "[taken out]"}, {"db_password": "[taken out]"}),
        ({"db_password": ""}, {"db_password": "[taken out]"}),
    ]


def test_without_a_salt_that_can_be_read_hashes_still_tell_nothing(
    day: Path, tmp_path: Path
) -> None:
    """It may be another user's; an empty key would let anybody try out names."""
    copytree(day, tmp_path, dirs_exist_ok=True)
    (tmp_path / "snapshots" / "salt").mkdir()
    for folder in (day, tmp_path):
        known = Known(Settings(snapshots=Snapshots(dir=str(folder / "snapshots"))))
        assert len(known.salt()) == 32
        assert known.salt() != known.salt()
        known.close()


def test_a_run_that_ends_meanwhile_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LOOK_AGAIN", 0.0)
    write_run(tmp_path, [record(1)])
    with closing(Known(Settings(snapshots=Snapshots(dir=str(tmp_path))))) as known:
        before = known.jobs()
        assert known.job("job-2") is None
        assert known.jobs() is before
        write_run(tmp_path, [record(1), record(2)], days=1)
        found = known.job("job-2")
        assert found is not None
        assert found.id == "job-2"
        assert known.jobs() is not before


@pytest.mark.parametrize("comment", ["a\nb", "a\r\nb", "a\x1bb", "a\u202eb"])
def test_a_label_that_nobody_touched_stays_though_no_field_can_hold_it(
    local: Bench, comment: str
) -> None:
    """A field of a page has one line; what else no page may hold is shown in another form."""
    job = local.jobs("Failed")[0]
    local.label(job, comment=comment, flag="mine\n", label="x")
    target = path_of("labels", job)
    local.outcome(local.post(target, local.get(target).form() | {"label.label": "y"}))
    assert [json.loads(each.body)["labels"] for each in local.arrived()] == [{"label": "y"}]
    local.outcome(local.post(target, local.get(target).form() | {"label.comment": "c"}))
    assert json.loads(local.arrived()[1].body)["labels"] == {"comment": "c"}


def test_a_server_without_editable_labels_is_told_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "dsub"
    with serve(Demo(now=NOW, jobs=60, like="dsub"), port=0) as server:
        settings = Settings(snapshots=Snapshots(dir=str(folder / "snapshots")))
        pipeline.collect(
            settings, now=NOW, source=Source(url=server.url), environ={}, progress=SilentProgress()
        )
    (folder / "site").mkdir()
    with bench(tmp_path / "b", folder, behind=lambda _: Demo(now=NOW, jobs=60, like="dsub")) as at:
        page = at.get("/actions/jobs")
        job = page.hidden("job")
        assert "+" in job
        assert "names no label that may be changed here" in at.get(path_of("labels", job)).text


# What the Job Manager does


def test_a_timeout_is_told_as_unknown_and_never_sent_again(day: Path, tmp_path: Path) -> None:
    class Silent:
        def __init__(self, demo: Demo) -> None:
            self.demo, self.came = demo, 0

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if target.endswith("/abort"):
                at.came.append(target)
                time.sleep(1)
                return 200, {}, b""
            return self.demo.respond(method, target, headers, body)

    with bench(tmp_path / "b", day, behind=Silent, api={"detail_timeout": 0.4}) as at:
        job = at.jobs("Running")[0]
        told = at.outcome(at.post(*at.form("abort", [job])))
    assert "nobody knows whether it was done: no answer within 0.4 s" in told.text
    assert "it is Running" in told.text
    assert len(at.came) == 1
    assert [line["came"] for line in at.audit("came")] == ["unknown"]


@pytest.mark.parametrize(("status", "said"), [(504, "may still happen"), (403, "access refused")])
def test_what_was_not_done_is_not_shown_as_a_change(
    day: Path, tmp_path: Path, status: int, said: str
) -> None:
    """Nor is it said that the report will show it."""

    class Refusing:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if target.endswith("/updateLabels"):
                return status, {}, b""
            return self.demo.respond(method, target, headers, body)

    with bench(tmp_path / "b", day, behind=Refusing) as at:
        job = at.jobs("Failed")[0]
        told = at.outcome(at.post(*at.form("labels", [job], set="flag=archive")))
    assert "<ins>" not in told.text
    assert "was asked for" in told.text
    assert "The report shows it" not in told.text
    assert said in told.text


def test_a_page_does_not_wait_for_jobs_that_are_not_answered(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so of each, under the name that the snapshot knows, and lets it be tried."""
    go_on = threading.Event()

    class Silent:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if method == "GET" and "/jobs/" in target and target.rsplit("/", 1)[1] in jobs[1:]:
                go_on.wait(30)
            return self.demo.respond(method, target, headers, body)

    monkeypatch.setattr("jmreport.actions.work.READ_WITHIN", 1.0)
    with bench(tmp_path / "b", day, behind=Silent) as at:
        jobs = at.jobs("Succeeded")[:20]
        began = time.monotonic()
        page = at.get(path_of("labels", *jobs))
        assert time.monotonic() - began < 15
        assert page.status == 200
        assert page.text.count("It cannot be read now: no answer within 1 s") == 19
        assert "<bdi>job</bdi>" not in page.text
        go_on.set()


def test_without_a_job_manager_the_site_is_there_and_nothing_is_sent(
    day: Path, tmp_path: Path
) -> None:
    class Down:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(self, *_: Any) -> tuple[int, dict[str, str], bytes]:
            return 503, {}, b""

    with bench(tmp_path / "b", day, behind=Down, api={"tries": 1}) as at:
        assert at.get("/").status == 200
        page = at.get(path_of("abort", at.jobs("Running")[0]))
        assert page.status == 503
        assert "The Job Manager does not answer" in page.text


def test_nothing_is_sent_that_cannot_be_audited(local: Bench) -> None:
    job = local.jobs("Running")[0]
    form = local.form("abort", [job])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    local.server.work.audit._write = full  # type: ignore[method-assign, assignment] # a disk that is full
    told = local.outcome(local.post(*form))
    assert "Not sent<" in told.text
    assert "cannot write the audit" in told.text
    assert local.arrived() == []


def test_what_was_asked_is_on_the_disk_before_the_job_manager_hears_of_it(
    day: Path, tmp_path: Path
) -> None:
    seen: list[list[str]] = []

    class Looking:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if target.endswith("/abort"):
                seen.append([line["event"] for line in at.audit()])
            return self.demo.respond(method, target, headers, body)

    with bench(tmp_path / "b", day, behind=Looking) as at:
        at.post(*at.form("abort", [at.jobs("Running")[0]]))
    assert seen == [["asked"]]


def test_a_server_that_was_killed_in_between_says_so_when_it_starts_again(
    day: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "audit.jsonl").write_text(
        '{"event": "asked", "form": "f", "job": "one"}\n'
        '{"event": "came", "form": "f", "job": "one"}\n'
        '{"event": "asked", "form": "f", "job": "two"}\n{"event": "as'
    )
    with bench(folder, day) as at:
        lines = [line for line in (folder / "audit.jsonl").read_text().splitlines() if line]
    assert json.loads(lines[-1])["job"] == "two"
    assert json.loads(lines[-1])["came"] == "unknown"
    assert at.settings.actions.mode == "local"


def test_a_form_that_takes_long_leads_to_a_page_that_says_how_far_it_is(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in front gives up after half a minute; a hundred aborts take longer."""
    go_on = threading.Event()

    class Late:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if target.endswith("/updateLabels"):
                at.came.append(target)
                if len(at.came) == 2:
                    go_on.wait(30)
            return self.demo.respond(method, target, headers, body)

    monkeypatch.setattr("jmreport.actions.work.WAITED", 0.5)
    with bench(tmp_path / "b", day, behind=Late) as at:
        jobs = at.jobs("Succeeded")[:3]
        form = at.form("labels", jobs, set="flag=archive")
        posted = at.post(*form)
        page = at.outcome(posted)
        assert "Under way: 1 of 3 jobs" in page.text
        assert "The report shows it" not in page.text
        assert page.headers["refresh"] == "2"
        again = at.post(*form)
        assert (again.status, "Under way: 1 of 3 jobs" in again.text) == (409, True)
        go_on.set()
        while "refresh" in (page := at.outcome(posted)).headers:
            time.sleep(0.05)
        assert "3 of 3 jobs done" in page.text
        assert len(at.came) == len(at.audit("asked")) == len(at.audit("came")) == 3


def test_a_form_is_good_for_an_hour(local: Bench) -> None:
    job = local.jobs("Running")[0]
    target, form = local.form("abort", [job])
    now = time.monotonic()
    local.server.work.forms._clock = lambda: now + 3601
    old = local.post(target, form)
    assert (old.status, "the form is more than an hour old" in old.text) == (403, True)
    assert f'href="{target}">Load the page again' in old.text
    assert local.arrived() == []


def test_a_form_under_way_ends_before_the_server_does(day: Path, tmp_path: Path) -> None:
    class Late:
        def __init__(self, demo: Demo) -> None:
            self.demo = demo

        def respond(
            self, method: str, target: str, headers: Mapping[str, str], body: bytes
        ) -> tuple[int, dict[str, str], bytes]:
            if target.endswith("/abort"):
                at.came.append(target)
                time.sleep(0.7)
            return self.demo.respond(method, target, headers, body)

    with bench(tmp_path / "b", day, behind=Late) as at:
        jobs = at.jobs("Running", "OnHold", "Submitted")[:3]
        form = at.form("abort", jobs)
        answers: list[Answer] = []
        sending = threading.Thread(target=lambda: answers.append(at.post(*form)))
        sending.start()
        while not at.came:
            time.sleep(0.01)
        at.server.stop()
        sending.join()
    # What was begun came to its end; what was not begun was not sent, and is told so: to the person
    # at once, since nobody would answer for another address, and in the audit.
    [told] = answers
    assert told.status == 200
    assert "1 of 3 jobs done" in told.text
    assert told.text.count("jmreport was stopped before") == 2
    assert len(at.came) == len(at.audit("asked")) == len(at.audit("came")) == 1
    assert [(line["job"], line["came"]) for line in at.audit("left out")] == [
        (job, "not sent") for job in jobs[1:]
    ]


# Who may do what


def test_only_those_whom_a_rule_names_may_read_or_act(day: Path, tmp_path: Path) -> None:
    rules = (
        Allow(who=ANA, actions=("abort", "labels"), labels={"owner": "ana"}),
        Allow(who=OMAR, actions=("read",)),
    )
    with bench(tmp_path / "b", day, mode="iap", allow=rules) as at:
        mine, other = at.jobs("Succeeded", owner="ana")[0], at.jobs("Succeeded", owner="omar")[0]
        assert [at.get("/", as_=who).status for who in (ANA, OMAR, EVE, "")] == [200, 200, 403, 401]
        assert at.get(path_of("labels", mine)).status == 200
        assert at.get(path_of("labels", other)).status == 403
        assert at.get(path_of("labels", mine, other)).status == 403
        assert at.get(path_of("labels", mine), as_=OMAR).status == 403
        assert "Abort the chosen" not in at.get("/actions/jobs", as_=OMAR).text
        listed = at.get("/actions/jobs").text
        assert mine in listed
        assert other not in listed
        assert at.arrived() == []


def test_labels_by_which_a_rule_decides_stay_as_they_are(day: Path, tmp_path: Path) -> None:
    """Otherwise somebody could hand a job to another team, or take it out of everybody's hands."""
    rule = Allow(who=ANA, actions=("labels",), labels={"flag": "archive"})
    with bench(
        tmp_path / "b", day, mode="iap", allow=(rule, Allow(who=OMAR, actions=("labels",)))
    ) as at:
        allowed = at.server.work.allowed
        held = {"flag": "archive"}
        assert allowed.why_not(ANA, "labels", held, {"comment": "x"}) == ""
        assert allowed.why_not(ANA, "labels", held, {"flag": ""}) == f"{ANA} may not change flag"
        assert allowed.why_not(ANA, "labels", {}, {"comment": "x"}) != ""
        assert allowed.why_not(OMAR, "labels", held, {"flag": ""}) == ""


def test_a_job_that_has_gone_to_another_team_meanwhile_is_refused(
    day: Path, tmp_path: Path
) -> None:
    rule = Allow(who=ANA, actions=("abort", "labels"), labels={"owner": "ana"})
    with bench(tmp_path / "b", day, mode="iap", allow=(rule,)) as at:
        job = at.jobs("Succeeded", owner="ana")[0]
        form = at.form("labels", [job], set="flag=archive")
        at.demo.respond(
            "POST",
            f"/api/v1/jobs/{job}/updateLabels",
            {"Content-Type": "application/json"},
            b'{"labels": {"owner": "omar"}}',
        )
        assert at.post(*form).status == 403
        assert len(at.arrived()) == 1  # the other team's own


def test_more_jobs_a_minute_than_allowed_have_to_wait(day: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "b", day, mode="iap", allow=(ALL,), rate=5) as at:
        jobs = at.jobs("Succeeded")
        assert at.post(*at.form("labels", jobs[:5], set="flag=archive")).status == 303
        late = at.post(*at.form("labels", jobs[5:6], set="flag=archive"))
        assert late.status == 429
        assert 1 <= int(late.headers["retry-after"]) <= 13
        assert at.post(
            *at.form("labels", jobs[5:6], as_=OMAR, set="flag=archive"), as_=OMAR
        ).status == 303  # fmt: skip
        assert len(at.arrived()) == 6


def test_somebody_elses_outcome_is_not_told(day: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "b", day, mode="iap", allow=(ALL,)) as at:
        posted = at.post(*at.form("labels", at.jobs("Failed")[:1], set="flag=archive"))
        assert at.get(posted.headers["location"]).status == 200
        assert at.get(posted.headers["location"], as_=OMAR).status == 404


def test_google_s_id_tokens_let_people_in_as_well(day: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "b", day, mode="google", allow=(ALL,)) as at:
        job = at.jobs("Running")[0]
        assert at.outcome(at.post(*at.form("abort", [job]))).status == 200
        assert at.issuer is not None
        assert at.issuer.fetched == 1  # however many came
        for token in (
            at.issuer.token(ANA, email_verified=False),
            at.issuer.token(ANA, iss="https://accounts.example.com"),
            at.issuer.token(ANA, aud="other"),
            at.issuer.token(ANA, exp=1),
        ):
            assert at.get("/", as_="", Authorization=f"Bearer {token}").status == 401


# Settings that leave something open


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        (Actions(), "it is not said who its readers are"),
        (Actions(mode="local", listen="0.0.0.0"), "local mode is for this machine alone"),  # noqa: S104 - what is refused
        (Actions(mode="iap"), "actions.url is not set"),
        (Actions(mode="iap", url="https://a.example"), "actions.audience is not set"),
        (
            Actions(mode="google", url="https://a.example", audience="x"),
            "nobody may do or read anything",
        ),
        (
            Actions(mode="local", allow=(Allow(who=ANA, labels={"sample": "x"}),)),
            "the label sample is hashed in the snapshots",
        ),
    ],
)
def test_what_would_leave_something_open_is_refused_at_the_start(
    day: Path, tmp_path: Path, actions: Actions, said: str
) -> None:
    settings = Settings(
        site=Site(dir=str(day / "site")),
        snapshots=Snapshots(dir=str(day / "snapshots")),
        redact=Redact(hash=("sample",)),
        actions=actions,
    )
    with pytest.raises(UsageError, match=said):
        pipeline.actions_server(
            settings,
            user=ANA,
            now=lambda: NOW,
            source=Source(url="http://127.0.0.1:1"),
            environ={},
        )
    assert not (tmp_path / "actions-audit.jsonl").exists()


# Attacks


@pytest.mark.parametrize("mode", ["iap", "google", "local"])
def test_attacks_are_refused_and_told_and_the_job_manager_hears_of_none(
    day: Path, tmp_path: Path, mode: Mode
) -> None:
    """A small dose; `python -m tests.campaigns.attacks` sends all of them."""
    with bench(tmp_path / "b", day, mode=mode, allow=attacks.RULES) as at:
        found = list(attacks.attacks(at))
        tally = attacks.run(at, found[:: 4 if mode == "iap" else 9])
    assert tally.wrong == []
    assert tally.actions == 0
    assert tally.refused == tally.told > 30
