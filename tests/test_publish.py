"""Publishing: what a reader of the bucket meets, whatever happens on the way."""

import gzip
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from campaigns import publishing
from gcs_server import Gcs, served
from published import (
    NOW,
    PREFIX,
    TO,
    Reader,
    faults_of,
    files_of,
    publish,
    settings_of,
    shown,
)

from jmreport import pipeline
from jmreport.bucket import Bucket, Headers, open_bucket
from jmreport.cli import main
from jmreport.errors import (
    DeliveryError,
    Exit,
    LockedError,
    NothingUsableError,
    UsageError,
)
from jmreport.pipeline import publishing as publisher
from jmreport.progress import SilentProgress, SilentStep, Step
from jmreport.publish import (
    CLAIM,
    MANIFEST,
    MIXED,
    PENDING,
    Claim,
    Laid,
    Manifest,
    Me,
    SiteFile,
    plan,
    take,
)
from jmreport.publish.claim import SURE
from jmreport.publish.manifest import decode, is_name
from jmreport.publish.serving import body
from jmreport.settings import Publish, Settings


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights of one site: `0` and `1`, as small as that three files of the first go."""
    return publishing.sites(tmp_path_factory.mktemp("sites"), jobs=1, seed=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Gcs]:
    with served() as gcs:
        yield gcs


@pytest.fixture
def gcs(server: Gcs) -> Iterator[Gcs]:
    """The server of this module, in good health and empty."""
    yield server
    server.healthy()
    for name in server.objects():
        server.delete(name)


@pytest.fixture(params=["gcs", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Gcs | None, str]:
    """Somewhere to publish to: a bucket, or a folder."""
    if request.param == "folder":
        return None, str(tmp_path / "www")
    return request.getfixturevalue("gcs"), TO


def of(gcs: Gcs) -> Bucket:
    return open_bucket(TO, environ=gcs.environ, patience=5.0)


# --- what is published ---


def test_the_bucket_is_the_site_to_a_byte(gcs: Gcs, sites: Path) -> None:
    outcome = publish(gcs, sites / "0")
    assert outcome.exit == Exit.DONE
    assert list(faults_of(gcs, sites / "0")) == []
    count = len(files_of(sites / "0"))
    assert re.fullmatch(
        rf"published to {TO}: {count} uploaded, 0 skipped, 0 deleted, [\d.]+ KB", outcome.summary[0]
    )


def test_nothing_of_jmreports_own_is_published(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0")
    own = [name for name in gcs.objects() if "/.jmreport/" in name]
    assert own == [f"{PREFIX}/{MANIFEST}", f"{PREFIX}/{PENDING}"]


def test_only_what_changed_is_uploaded(place: tuple[Gcs | None, str], sites: Path) -> None:
    gcs, to = place
    publish(gcs, sites / "0", to=to)
    old, new = files_of(sites / "0"), files_of(sites / "1")
    changed = sum(old.get(name) != data for name, data in new.items())
    # The newest night's page may be kept for ever from the next night on: one more is served anew.
    said = publish(gcs, sites / "1", to=to, hours=24).summary[0]
    uploaded, skipped = (int(n) for n in re.findall(r"(\d+) (?:uploaded|skipped)", said))
    assert uploaded == changed
    assert uploaded + skipped == len(new)
    assert " 0 uploaded," in publish(gcs, sites / "1", to=to, hours=25).summary[0]


def test_a_folder_is_the_site_to_a_byte(sites: Path, tmp_path: Path) -> None:
    www = tmp_path / "www"
    for night in ("0", "1"):
        publish(None, sites / night, to=str(www), hours=24 * int(night))
    publish(None, sites / "1", to=str(www), hours=49)
    there = {
        path.relative_to(www).as_posix(): path.read_bytes()
        for path in www.rglob("*")
        if path.is_file() and ".jmreport" not in path.parts
    }
    assert there == files_of(sites / "1")
    assert {path.name for path in (www / ".jmreport").iterdir()} == {
        "manifest.json",
        "pending.json",
        "parts",
        "lock",
    }
    assert list((www / ".jmreport/parts").iterdir()) == []


def test_what_is_gone_stays_for_a_day(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0")
    publish(gcs, sites / "1", hours=24)
    gone = files_of(sites / "0").keys() - files_of(sites / "1").keys()
    assert gone
    assert gone <= shown(gcs).keys()
    publish(gcs, sites / "1", hours=47.9)
    assert gone <= shown(gcs).keys()
    assert f"{len(gone)} deleted" in publish(gcs, sites / "1", hours=48).summary[0]
    assert list(faults_of(gcs, sites / "1")) == []
    assert " 0 deleted" in publish(gcs, sites / "1", hours=72).summary[0]


def test_what_is_gone_goes_though_it_was_copied_meanwhile_and_what_is_anothers_stays(
    place: tuple[Gcs | None, str], sites: Path
) -> None:
    """A folder or bucket that was copied has all its objects written anew, with what they held."""
    gcs, to = place
    for night in (0, 1):
        publish(gcs, sites / str(night), to=to, hours=24 * night)
    gone = sorted(files_of(sites / "0").keys() - files_of(sites / "1").keys())
    theirs, *copied = gone
    assert copied
    bucket = open_bucket(to, environ=gcs.environ if gcs else {}, patience=5.0)
    for name in copied:
        found = bucket.read(name)
        assert found
        bucket.write(name, found.data, generation=None)
    bucket.write(theirs, b"of somebody else", generation=None)
    said = publish(gcs, sites / "1", to=to, hours=48).summary[0]
    assert f"{len(copied)} deleted (1 left: changed by somebody else)" in said
    assert [name for name in gone if bucket.look(name)] == [theirs]
    assert " 0 deleted, " in publish(gcs, sites / "1", to=to, hours=72).summary[0]


def test_what_comes_back_within_its_day_stays(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0")
    publish(gcs, sites / "1", hours=1)
    publish(gcs, sites / "0", hours=2)
    publish(gcs, sites / "0", hours=30)
    assert list(faults_of(gcs, sites / "0")) == []


def test_the_look_that_frozen_nights_refer_to_stays_for_as_long_as_they_are_kept(
    gcs: Gcs, sites: Path, tmp_path: Path
) -> None:
    """Browsers keep pages of nights for a year: the style sheet of then must still be there."""
    site = tmp_path / "site"
    shutil.copytree(sites / "0", site)
    publish(gcs, site)
    [css] = [name for name in files_of(site) if name.endswith(".css")]
    rows = [name for name in files_of(site) if name.startswith("assets/jobs-")]
    publishing.forget(site, css, *rows)
    publish(gcs, site, hours=1)
    publish(gcs, site, hours=24 * 366)
    assert css in shown(gcs)
    assert not set(rows) & shown(gcs).keys()
    publish(gcs, site, hours=24 * 401)
    assert css not in shown(gcs)


def test_a_dry_run_counts_and_does_nothing(gcs: Gcs, sites: Path) -> None:
    said = publish(gcs, sites / "0", dry_run=True).summary[0]
    count = len(files_of(sites / "0"))
    assert f"{count} objects to upload ({count} new, 0 changed" in said
    assert gcs.objects() == {}
    publish(gcs, sites / "0")
    before = gcs.objects()
    said = publish(gcs, sites / "1", hours=24, dry_run=True).summary[0]
    old, new = files_of(sites / "0").keys(), files_of(sites / "1").keys()
    assert f"({len(new - old)} new, " in said
    assert f"0 to delete, {len(old - new)} to delete later" in said
    assert gcs.objects() == before


# --- how it is served ---


def test_every_object_says_its_type_and_how_long_it_may_be_kept(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "1")
    nights = sorted(name for name in files_of(sites / "1") if re.match(r"nights/\d.*html", name))
    forever, asked = "private, max-age=31536000, immutable", "private, no-cache"
    for name in files_of(sites / "1"):
        item = gcs.objects(f"{PREFIX}/{name}")[f"{PREFIX}/{name}"]
        lasting = name.startswith("assets/") or name in nights[:-1]
        assert item["cacheControl"] == (forever if lasting else asked), name
        kind = item["contentType"]
        if name.endswith((".html", ".css", ".js", ".csv", ".txt")):
            assert kind.startswith("text/"), name
            assert kind.endswith("; charset=utf-8"), name
    assert gcs.objects(f"{PREFIX}/data/report.json")[f"{PREFIX}/data/report.json"][
        "contentType"
    ] == ("application/json")


def test_the_newest_night_is_asked_for_each_time_also_where_two_began_in_one_second() -> None:
    """It still gets its link to the next one."""
    runs = ("20261122T021400Z", "20261123T021400Z", "20261123T021400Z-0002")
    files = [SiteFile(address=f"nights/{run}/index.html", size=1, sum=run) for run in runs]
    laid = [Laid(name=file.address, file=file) for file in files]
    made = plan(laid, Manifest(), build="", now=NOW, public=False)
    assert [put.name for put in made.puts if put.cache == "private, no-cache"] == [laid[-1].name]


def test_a_public_report_may_be_kept_by_anybody(gcs: Gcs, sites: Path) -> None:
    """And every object is served anew when a report becomes public."""
    publish(gcs, sites / "0")
    publish(gcs, sites / "0", public=True)
    caches = {item["cacheControl"] for name, item in gcs.objects().items() if "/.jm" not in name}
    assert caches == {"public, no-cache", "public, max-age=31536000, immutable"}


def test_text_is_packed_where_it_pays_and_comes_unpacked_to_who_cannot(
    gcs: Gcs, sites: Path
) -> None:
    publish(gcs, sites / "0")
    page = (sites / "0/index.html").read_bytes()
    _, headers, packed = gcs.get(f"{PREFIX}/index.html", gzip=True)
    assert headers["content-encoding"] == "gzip"
    assert len(packed) < len(page) / 2
    assert gzip.decompress(packed) == page
    _, headers, plain = gcs.get(f"{PREFIX}/index.html")
    assert "content-encoding" not in headers
    assert plain == page
    assert "contentEncoding" not in gcs.objects(f"{PREFIX}/robots.txt")[f"{PREFIX}/robots.txt"]


def test_the_same_bytes_are_packed_the_same() -> None:
    once, again = (body("a.html", b"<p>page" * 1000, cache="", pack=True) for _ in range(2))
    assert once == again
    assert body("a.html", os.urandom(5000), cache="", pack=True)[1].encoding == ""
    assert body("a.html", b"<p>page" * 1000, cache="", pack=False)[1].encoding == ""


def test_every_link_names_a_file(gcs: Gcs, sites: Path) -> None:
    """A bucket has no folders: what ends with a slash, or names none, leads nowhere."""
    publish(gcs, sites / "1")
    reader = Reader(gcs)
    reader.look()
    assert reader.dead == []
    assert reader.pages > 40


# --- whatever happens on the way ---


def test_stopped_after_any_object_no_page_links_to_one_that_is_not_there(sites: Path) -> None:
    """Two nights, looked at after each single object by who has any page of the first one open."""
    assert publishing.boundaries(sites, atomic=False).faults == []


def test_stopped_after_any_object_no_build_of_its_own_is_half_there(sites: Path) -> None:
    tally = publishing.boundaries(sites, atomic=True)
    assert tally.faults == []
    assert tally.numbers["boundaries"] > 150


def test_another_order_would_be_found(
    gcs: Gcs, sites: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above can fail: with indexes before what they lead to, links are dead."""
    from jmreport.publish import planning

    order = planning._stage
    monkeypatch.setattr(planning, "_stage", lambda put: planning.STAGES - 1 - order(put))
    reader = Reader(gcs)
    gcs.after = reader.look
    publish(gcs, sites / "0")
    assert reader.dead


@pytest.mark.parametrize("changes", [1, 2, 20, 40])
def test_a_network_that_is_gone_ends_with_5_and_the_next_run_goes_on(
    sites: Path, changes: int
) -> None:
    tally = publishing.stops(sites, [changes])
    assert tally.faults == []
    assert tally.numbers["ended with 5"] == 1


def test_a_dry_run_takes_what_a_first_publishing_had_made_for_ours(gcs: Gcs, sites: Path) -> None:
    """As the publishing that goes on does."""
    gcs.fault = lambda _method, _path: 503 if len(gcs.changes) >= 12 else None
    with pytest.raises(DeliveryError):
        publish(gcs, sites / "0")
    # What it leaves behind takes as long as it takes: it says so for five seconds, and goes on.
    for thread in threading.enumerate():
        if thread.name == "leaving":
            thread.join(60)
    gcs.healthy()
    before = len(gcs.changes)
    (said,) = publish(gcs, sites / "0", dry_run=True).summary
    assert said.startswith("would publish to ")
    assert len(gcs.changes) == before
    assert publish(gcs, sites / "0").exit == Exit.DONE


@pytest.mark.parametrize("fault", [429, 503, "reset", "lost"])
def test_what_fails_in_passing_in_the_middle_is_healed(sites: Path, fault: int | str) -> None:
    tally = publishing.faulty(sites, fault, share=0.08)
    assert tally.faults == []
    assert tally.numbers["faults"] >= 3


def test_of_eight_at_once_one_publishes_and_seven_say_so(sites: Path) -> None:
    tally = publishing.race(sites)
    assert tally.faults == []
    assert (tally.numbers["won"], tally.numbers["locked out"]) == (1, 7)


@pytest.mark.parametrize("changes", [3, 30])
def test_a_killed_run_is_taken_over_and_finished(sites: Path, changes: int) -> None:
    tally = publishing.kills(sites, [changes])
    assert tally.faults == []
    assert tally.numbers["found there already"] >= changes // 2


def test_what_a_dead_run_left_that_no_build_has_goes_a_day_later(
    gcs: Gcs, sites: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(sites / "0", site)
    publish(gcs, site)
    gcs.stop_after(20)
    with pytest.raises(DeliveryError):
        publish(gcs, sites / "1", hours=24, patience=0.5)
    gcs.healthy()
    left = shown(gcs).keys() - files_of(site).keys()
    assert left
    publish(gcs, site, hours=25)
    assert left <= shown(gcs).keys()
    publish(gcs, site, hours=50)
    assert list(faults_of(gcs, site)) == []


def test_a_read_only_place_keeps_what_was_there(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0")
    gcs.fault = lambda method, _path: 403 if method in ("POST", "DELETE", "PUT") else None
    with pytest.raises(DeliveryError, match="refused"):
        publish(gcs, sites / "1", hours=24)
    assert list(faults_of(gcs, sites / "0")) == []


def test_objects_that_somebody_changed_or_took_away_are_put_right(gcs: Gcs, sites: Path) -> None:
    """At once where they change anyway, and all of them with --relist."""
    publish(gcs, sites / "0")
    gcs.put(f"{PREFIX}/index.html", b"vandalised")
    gcs.put(f"{PREFIX}/robots.txt", b"Allow: /")
    gcs.delete(f"{PREFIX}/quality.html")
    publish(gcs, sites / "1", hours=24)
    assert shown(gcs)["index.html"] == (sites / "1/index.html").read_bytes()
    publish(gcs, sites / "1", hours=25, relist=True)
    publish(gcs, sites / "1", hours=50)
    assert list(faults_of(gcs, sites / "1")) == []


def test_a_first_publishing_writes_over_nobody_elses_objects(gcs: Gcs, sites: Path) -> None:
    gcs.put(f"{PREFIX}/index.html", b"<p>the lab's home page")
    gcs.put(f"{PREFIX}/notes.txt", b"ours")
    with pytest.raises(UsageError, match=r"index\.html is there already"):
        publish(gcs, sites / "0")
    assert shown(gcs) == {"index.html": b"<p>the lab's home page", "notes.txt": b"ours"}
    assert len(gcs.objects()) == 2
    publish(gcs, sites / "0", relist=True)
    publish(gcs, sites / "0", hours=30)
    assert [*faults_of(gcs, sites / "0")] == ["notes.txt is too much"]


def test_two_prefixes_of_a_bucket_do_not_know_each_other(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0", to=f"{TO}/a")
    publish(gcs, sites / "1", to=f"{TO}/ab")
    publish(gcs, sites / "1", to=f"{TO}/a", hours=1)
    publish(gcs, sites / "1", to=f"{TO}/a", hours=30)
    assert shown(gcs, f"{PREFIX}/a/").keys() - {MANIFEST, PENDING} == files_of(sites / "1").keys()
    reader = Reader(gcs, prefix=f"{PREFIX}/ab")
    reader.look()
    assert reader.dead == []


# --- a build of its own each time ---


def test_atomically_readers_see_one_build_or_the_other(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0", atomic=True)
    [first] = builds(gcs)
    said = publish(gcs, sites / "1", hours=24, atomic=True).summary[0]
    assert int(re.findall(r"(\d+) copied", said)[0]) > 10
    assert list(faults_of(gcs, sites / "0", build=first)) == []
    [second] = builds(gcs) - {first}
    assert list(faults_of(gcs, sites / "1", build=second)) == []
    page = gcs.get(f"{PREFIX}/index.html")[2].decode()
    assert f'url={second}index.html"' in page
    assert len(page) < 1500
    publish(gcs, sites / "1", hours=25, atomic=True)
    publish(gcs, sites / "1", hours=49, atomic=True)
    assert builds(gcs) == {second}
    headers = gcs.get(f"{PREFIX}/{second}jobs/index.html", gzip=True)[1]
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "private, no-cache"


def test_what_was_to_be_copied_and_is_gone_is_uploaded(
    place: tuple[Gcs | None, str], sites: Path
) -> None:
    gcs, to = place
    publish(gcs, sites / "0", to=to, atomic=True)
    bucket = open_bucket(to, environ=gcs.environ if gcs else {}, patience=5.0)
    old, new = files_of(sites / "0"), files_of(sites / "1")
    same = min(name for name in old if name.startswith("jobs/") and old[name] == new.get(name))
    [there] = [name for name in bucket.names("builds/") if name.endswith(same)]
    bucket.delete(there, generation=None)
    assert publish(gcs, sites / "1", to=to, hours=24, atomic=True).exit == Exit.DONE
    assert len([name for name in bucket.names("builds/") if name.endswith(same)]) == 1


def test_atomic_and_not_follow_each_other(gcs: Gcs, sites: Path) -> None:
    publish(gcs, sites / "0")
    reader = Reader(gcs)
    reader.bookmark()
    gcs.after = reader.look
    publish(gcs, sites / "1", hours=24, atomic=True)
    told = publish(gcs, sites / "1", hours=30).summary[0]
    assert re.search("published to .*: 0 uploaded, [1-9][0-9]* copied, ", told)
    assert reader.dead == []
    gcs.healthy()
    publish(gcs, sites / "1", hours=72)
    assert list(faults_of(gcs, sites / "1")) == []


def builds(gcs: Gcs) -> set[str]:
    """The prefixes below which builds lie."""
    found = re.findall(rf"^{PREFIX}/(builds/[^/]+/)", "\n".join(gcs.objects()), re.MULTILINE)
    return set(found)


# --- who may read, and who may publish ---


@pytest.mark.parametrize("who", ["allUsers", "allAuthenticatedUsers"])
def test_a_bucket_that_everybody_can_read_is_refused(gcs: Gcs, sites: Path, who: str) -> None:
    gcs.members = ["projectOwner:genomics", who]
    with pytest.raises(UsageError, match=who) as caught:
        publish(gcs, sites / "0")
    assert "--public" in caught.value.hint
    assert gcs.objects() == {}
    publish(gcs, sites / "0", public=True)
    assert list(faults_of(gcs, sites / "0")) == []


def test_a_policy_that_cannot_be_read_is_a_warning(
    gcs: Gcs, sites: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gcs.members = None
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
    assert main(["publish", TO, "--site", str(sites / "0"), "--now", NOW.isoformat()]) == 0
    said = capsys.readouterr()
    assert "whether everybody can read it is not known" in said.err
    assert said.out.startswith(f"published to {TO}: ")


ME = Me(host="reports-1", machine="m", pid=os.getpid())
OTHER = Me(host="reports-2", machine="n", pid=1)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def claim(gcs: Gcs, me: Me, minutes: float = 0, clock: Clock | None = None) -> Claim:
    now = NOW + timedelta(minutes=minutes)
    return take(of(gcs), me, now=now, elapsed=clock or Clock())


def test_a_claim_that_is_held_locks_others_out_and_says_by_whom(gcs: Gcs) -> None:
    said = "process 1 on reports-2, since 2026-11-23 02:14 UTC"
    with claim(gcs, OTHER), pytest.raises(LockedError, match=said):
        claim(gcs, ME, minutes=9.9)
    with claim(gcs, ME) as mine:
        assert not mine.took_over


@pytest.mark.parametrize("minutes", [10, -11])
def test_a_claim_that_is_not_renewed_is_taken_over(gcs: Gcs, minutes: float) -> None:
    """Also one of a clock that is far ahead, which would hold for ever."""
    claim(gcs, OTHER)
    assert claim(gcs, ME, minutes=minutes).took_over


def test_a_claim_of_a_newer_jmreport_is_never_taken_over(gcs: Gcs) -> None:
    """What its words mean is not known here; one without a format is of the first."""
    claim(gcs, OTHER)
    bucket = of(gcs)
    held = bucket.read(CLAIM)
    assert held is not None
    headers = Headers(content_type="application/json")
    newer = b'{"format":2,"token":["another shape"]}'
    generation = bucket.write(CLAIM, newer, generation=held.generation, headers=headers)
    with pytest.raises(UsageError, match=r"claim.json was written by a newer jmreport \(format 2"):
        claim(gcs, ME, minutes=60)
    left = bucket.read(CLAIM)
    assert left is not None
    assert left.data == newer
    older = {key: said for key, said in msgspec.json.decode(held.data).items() if key != "format"}
    bucket.write(CLAIM, msgspec.json.encode(older), generation=generation, headers=headers)
    assert claim(gcs, ME, minutes=60).took_over


def test_a_claim_of_a_dead_process_of_this_machine_is_taken_over_at_once(gcs: Gcs) -> None:
    dead = os.fork() or os._exit(0)
    os.waitpid(dead, 0)
    claim(gcs, Me(host=ME.host, machine=ME.machine, pid=dead))
    assert claim(gcs, ME).took_over


@pytest.mark.parametrize("machine", ["n", ""])
def test_process_numbers_of_another_machine_say_nothing(gcs: Gcs, machine: str) -> None:
    """A container's are often the same as those of the next one."""
    dead = os.fork() or os._exit(0)
    os.waitpid(dead, 0)
    claim(gcs, Me(host=ME.host, machine=machine, pid=dead))
    with pytest.raises(LockedError):
        claim(gcs, Me(host=ME.host, machine=machine and ME.machine, pid=ME.pid))


def test_a_run_that_slept_while_another_took_over_writes_nothing_more(gcs: Gcs) -> None:
    clock = Clock()
    with claim(gcs, OTHER, clock=clock) as mine:
        mine.check()
        assert claim(gcs, ME, minutes=11).took_over
        clock.seconds = SURE + 1
        with pytest.raises(LockedError, match="has taken over"):
            mine.check()
    assert of(gcs).read(CLAIM) is not None  # the other's, which is not taken away


def test_a_run_that_slept_and_was_not_missed_goes_on(gcs: Gcs) -> None:
    clock = Clock()
    with claim(gcs, OTHER, clock=clock) as mine:
        clock.seconds = SURE + 1
        mine.check()
        with pytest.raises(LockedError):
            claim(gcs, ME, minutes=11)
    assert of(gcs).read(CLAIM) is None


class Meanwhile(SilentStep, SilentProgress):
    """Lets something happen once, when so many objects were sent."""

    def __init__(self, sent: int, happens: Callable[[], object]) -> None:
        self._left, self._happens = sent, happens

    def step(self, name: str, total: int | None) -> AbstractContextManager[Step]:
        return nullcontext(self) if name == "upload" else super().step(name, total)

    def advance(self, n: int = 1) -> None:
        self._left -= n
        if self._left == 0:
            self._happens()


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two publishers know whether they are of one machine."""
    monkeypatch.setattr(publisher, "_machine", lambda: "")


def overtaken(gcs: Gcs, first: Path, *, sent: int, by: Path) -> None:
    """One site is published when another is, by who takes the first one's claim for a dead one's:
    so far apart are their clocks."""
    with pytest.raises(LockedError):
        pipeline.publish(
            settings_of(first, threads=1),
            now=NOW + timedelta(hours=24),
            environ=gcs.environ,
            progress=Meanwhile(sent, lambda: publish(gcs, by, hours=25)),
        )


@pytest.mark.usefixtures("elsewhere")
def test_nothing_of_who_took_over_is_written_over(gcs: Gcs, sites: Path) -> None:
    overtaken(gcs, sites / "0", sent=20, by=sites / "1")
    there = shown(gcs)
    assert {name: there.get(name) for name in files_of(sites / "1")} == files_of(sites / "1")


@pytest.mark.usefixtures("elsewhere")
def test_what_a_run_wrote_that_was_taken_over_is_put_right_by_the_next(
    gcs: Gcs, sites: Path
) -> None:
    """Pages that were as they should be were none of the other's work, until they were changed."""
    publish(gcs, sites / "0")
    overtaken(gcs, sites / "1", sent=1, by=sites / "0")
    assert shown(gcs)["index.html"] != (sites / "0/index.html").read_bytes()
    (would,) = publish(gcs, sites / "0", hours=26, dry_run=True).summary
    said = [publish(gcs, sites / "0", hours=hours).summary[0] for hours in (26, 51)]
    assert re.findall(r"([1-9]\d*) objects? to upload", would) == re.findall(
        r"(\d+) uploaded", said[0]
    )
    assert list(faults_of(gcs, sites / "0")) == []
    assert of(gcs).look(MIXED) is None


def test_a_claim_is_judged_by_the_clock_whatever_time_is_worked_with(
    sites: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    www = str(tmp_path / "www")
    take(open_bucket(www, environ={}), OTHER, now=datetime.now(UTC), elapsed=Clock())
    options = ("--site", str(sites / "0"), "--now", "2026-11-01T02:14:00Z")
    assert main(["publish", www, *options]) == Exit.LOCKED
    assert "process 1 on reports-2" in capsys.readouterr().err


def test_a_claim_that_says_nothing_is_taken_over(gcs: Gcs) -> None:
    gcs.put(f"{PREFIX}/{CLAIM}", b"{")
    assert claim(gcs, ME).took_over


def test_a_manifest_that_another_wrote_meanwhile_is_not_written_over(gcs: Gcs, sites: Path) -> None:
    """Should a claim ever fail: the second publisher stops, and what the first published stands."""
    once = threading.Event()

    def intrude(name: str) -> None:
        if name.endswith("/index.html") and name.count("/") == 1 and not once.is_set():
            once.set()
            gcs.put(f"{PREFIX}/{MANIFEST}", b"{}")

    gcs.after = intrude
    with pytest.raises(LockedError, match="has published to"):
        publish(gcs, sites / "0")
    assert gcs.get(f"{PREFIX}/{MANIFEST}")[2] == b"{}"


# --- what others may have written ---


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "/etc/passwd",
        "a/../b",
        ".jmreport/claim.json",
        "a//b",
        "a\n",
        "",
        "a/.git/b",
        "ü",
        "a b",
    ],
)
def test_a_manifest_that_names_what_no_site_has_is_refused(
    gcs: Gcs, sites: Path, name: str
) -> None:
    assert not is_name(name)
    gone = [NOW.isoformat(), "0", "", 1, 1]
    hostile = {"format": 1, "at": NOW.isoformat(), "files": {}, "gone": {name: gone}}
    gcs.put(f"{PREFIX}/{MANIFEST}", msgspec.json.encode(hostile))
    with pytest.raises(DeliveryError, match="no file of a site"):
        publish(gcs, sites / "0", hours=48)


def test_a_hostile_manifest_deletes_nothing_outside_of_a_folder(
    sites: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("precious")
    www = tmp_path / "www"
    publish(None, sites / "0", to=str(www))
    gone = [NOW.isoformat(), "0", "", 1, (tmp_path / "mine").stat().st_mtime_ns]
    hostile = {"format": 1, "at": NOW.isoformat(), "files": {}, "gone": {"../mine": gone}}
    (www / MANIFEST).write_bytes(msgspec.json.encode(hostile))
    with pytest.raises(DeliveryError):
        publish(None, sites / "0", to=str(www), hours=48)
    publish(None, sites / "0", to=str(www), hours=49, relist=True)
    assert (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b'{"format": "x"}', b'{"format": 1, "files": 3}']
)
def test_a_damaged_manifest_is_said_and_relist_mends_it(gcs: Gcs, sites: Path, data: bytes) -> None:
    publish(gcs, sites / "0")
    gcs.put(f"{PREFIX}/{MANIFEST}", data)
    with pytest.raises(DeliveryError, match="damaged") as caught:
        publish(gcs, sites / "0")
    assert "`jmreport publish --relist`" in caught.value.hint  # `nightly` has no such option
    assert " 0 uploaded," in publish(gcs, sites / "0", relist=True).summary[0]
    assert list(faults_of(gcs, sites / "0")) == []


def test_a_manifest_of_a_newer_version_is_left_alone() -> None:
    with pytest.raises(UsageError, match="newer jmreport"):
        decode(b'{"format": 2, "anything": 1}', place=TO)


# --- from the command line ---


def test_there_must_be_a_place_and_a_site(tmp_path: Path, sites: Path) -> None:
    for settings in (
        settings_of(sites / "0", to=""),
        settings_of(sites / "0", to=str(sites / "0/www")),
        settings_of(sites / "0", to=str(sites)),
    ):
        with pytest.raises(UsageError):
            run(settings)
    with pytest.raises(NothingUsableError, match="no site"):
        run(settings_of(tmp_path / "none"))


def run(settings: Settings) -> None:
    pipeline.publish(settings, now=NOW, environ={}, progress=SilentProgress())


def test_a_ledger_that_is_damaged_is_said(sites: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(sites / "0", site)
    (site / ".jmreport/pages").write_bytes(b"no database at all" * 100)
    with pytest.raises(NothingUsableError, match="cannot be read"):
        run(settings_of(site, to=str(tmp_path / "www")))


def test_no_secret_of_google_is_in_what_is_said(
    sites: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key that Google refuses, by an answer that repeats all it was sent; with -vv."""
    key = publishing.service_account_key()
    with publishing.refusing_tokens() as (address, sent):
        file = tmp_path / "key.json"
        account = {
            "type": "service_account",
            "client_email": "reports@genomics.iam.gserviceaccount.com",
            "private_key": key,
            "private_key_id": "canary-key-id",
            "project_id": "genomics",
            "token_uri": address,
        }
        file.write_bytes(msgspec.json.encode(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
        code = main(["publish", TO, "--site", str(sites / "0"), "-vv"])
    said = capsys.readouterr()
    assert code == Exit.NOT_DELIVERED
    assert "no token from Google" in said.err
    assert sent
    for secret in (*key.splitlines()[1:-1], "canary-key-id", *sent):
        assert secret not in said.err + said.out


def test_a_run_that_is_asked_to_stop_stops_and_the_next_goes_on(sites: Path) -> None:
    tally = publishing.kills(sites, [12], by=signal.SIGTERM)
    assert tally.faults == []
    assert tally.numbers["asked to stop"] == 1
    assert tally.numbers["found there already"] >= 6


def test_a_site_that_changes_under_the_hands_is_not_published(
    gcs: Gcs, sites: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(sites / "0", site)
    (site / "about.html").write_bytes(b"<p>half")
    with pytest.raises(DeliveryError, match="not what was written"):
        publish(gcs, site)
    assert f"{PREFIX}/index.html" not in gcs.objects()


def test_the_settings_say_where_to_and_a_path_there_is_the_files(
    sites: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "etc/jmreport.toml"
    file.parent.mkdir()
    file.write_text(f'[site]\ndir = "{sites / "0"}"\n[publish]\nto = "../www"\n')
    assert main(["publish", "-q", "--config", str(file)]) == 0
    assert (tmp_path / "www/index.html").exists()
    assert main(["publish", "s3://bucket/a", "--config", str(file)]) == Exit.USAGE
    assert "only gs:// and folders" in capsys.readouterr().err


def test_a_bucket_in_the_settings_is_no_path() -> None:
    assert Settings(publish=Publish(to=TO)).publish.to == TO
