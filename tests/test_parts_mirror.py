"""Parts of a run from machines that share no disk: they meet in the snapshots' mirror."""

import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock
from typing import Any, cast

import pytest
from counting_server import Counting
from mail_cases import Mailboxes, text
from msgspec.structs import replace
from test_parts import (
    NIGHT,
    NOW,
    a_demo,
    collect,
    folder,
    merge,
    newest,
    pages,
    records,
    rows,
    settings,
    without_costs,
)

from jmreport import pipeline
from jmreport.bucket import Bucket, open_bucket
from jmreport.collectors.demo import serve
from jmreport.errors import ChangedError, DeliveryError, Exit, NothingUsableError, UsageError
from jmreport.pipeline.keeping import open_folder
from jmreport.progress import SilentProgress
from jmreport.settings import Mail, Settings, Team
from jmreport.snapshots import mirror, partmirror


def mirrored(machine: Path, twin: Path | str, *, hashed: tuple[str, ...] = ()) -> Settings:
    of = settings(machine, hashed=hashed)
    return replace(of, snapshots=replace(of.snapshots, mirror=str(twin)))


def names(twin: Path) -> list[str]:
    return sorted(path.relative_to(twin).as_posix() for path in twin.rglob("*") if path.is_file())


def collect_on(
    machine: Path, twin: Path, url: str, shard: str, *, days: int = 0, hashed: tuple[str, ...] = ()
) -> pipeline.Outcome:
    """On a machine that is new, and gone thereafter."""
    outcome = collect(mirrored(machine, twin, hashed=hashed), url, shard, days=days)
    shutil.rmtree(machine)
    return outcome


def test_machines_without_a_disk_make_what_one_machine_makes(tmp_path: Path) -> None:
    """Two nights: each part and each merge on a machine of its own, that sees only the bucket."""
    one, twin = settings(tmp_path / "one"), tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        for days in (0, 1):
            alone = collect(one, server.url, days=days)
            for shard in ("1/3", "2/3", "3/3"):
                came = collect_on(tmp_path / "worker", twin, server.url, shard, days=days)
                assert "pushed 1 run" in came.summary[-1]
            there = mirrored(tmp_path / f"merging-{days}", twin)
            merged = merge(there, days=days)
            assert merged.exit == alone.exit
            assert without_costs(newest(there)) == without_costs(newest(one))
            assert rows(there) == rows(one)
            assert records(there) == records(one)
            assert not [name for name in names(twin) if name.startswith("parts/")]
    assert newest(there).counts.unchanged > 0
    made, expected = pages(there, tmp_path / "merging-1"), pages(one, tmp_path / "one")
    for found in (made, expected):
        del found["about.html"]  # it tells of the mirror
    assert made == expected


def test_machines_agree_on_hashes_before_the_first_night(tmp_path: Path) -> None:
    """The first to come makes the key, and all others take it."""
    twin, hashed = tmp_path / "mirror", ("owner",)
    one = settings(tmp_path / "one", hashed=hashed)
    with serve(a_demo(), port=0) as server:
        server.start()
        for shard in ("1/2", "2/2"):
            collect_on(tmp_path / shard[0], twin, server.url, shard, hashed=hashed)
        there = mirrored(tmp_path / "merging", twin, hashed=hashed)
        merge(there)
        Path(one.snapshots.dir).mkdir(parents=True)
        shutil.copy(twin / "salt", tmp_path / "one/snapshots/salt")
        collect(one, server.url)
    assert records(there) == records(one)
    assert (tmp_path / "merging/snapshots/salt").read_bytes() == (twin / "salt").read_bytes()


def test_two_machines_that_make_a_key_at_once_take_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both saw none; one wrote it first."""
    from jmreport.pipeline import mirroring
    from jmreport.pipeline.keeping import open_store

    twin, made = tmp_path / "mirror", []
    monkeypatch.chdir(tmp_path)
    for machine in ("a", "b"):
        of = mirrored(tmp_path / machine, twin, hashed=("owner",))
        with open_store(of, create=True) as store:
            store.salt()
            mirroring.share_salt(of, store, environ={}, progress=SilentProgress())
            made.append(store.salt())
    assert made[0] == made[1] == (twin / "salt").read_bytes()


def test_a_part_that_failed_elsewhere_is_told(tmp_path: Path) -> None:
    twin = tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        collect_on(tmp_path / "one", twin, server.url, "1/2")
    with pytest.raises(NothingUsableError):
        collect(mirrored(tmp_path / "two", twin), server.url, "2/2")
    merged = merge(mirrored(tmp_path / "merging", twin))
    assert merged.exit == Exit.INCOMPLETE
    assert "part 2/2 failed: no Job Manager answers" in " ".join(merged.summary)


def test_a_machine_that_is_started_again_asks_for_nothing(tmp_path: Path) -> None:
    """Its part is in the bucket."""
    twin, counting = tmp_path / "mirror", Counting(a_demo())
    with serve(counting, port=0) as server:
        server.start()
        collect_on(tmp_path / "one", twin, server.url, "1/2")
        before = dict(counting.details)
        again = collect_on(tmp_path / "one", twin, server.url, "1/2")
    assert dict(counting.details) == before
    assert "was collected before" in " ".join(again.summary)


def test_teams_hear_of_a_night_whose_parts_could_not_be_merged_and_of_its_run(
    tmp_path: Path,
) -> None:
    """The mail says so, and nothing is kept that would make the run another when it comes."""
    twin, there = tmp_path / "mirror", tmp_path / "merging"
    with serve(a_demo(jobs=8), port=0) as server, Mailboxes() as boxes:
        server.start()
        told = replace(
            mirrored(there, twin),
            mail=Mail(smtp=f"127.0.0.1:{boxes.port}", starttls=False, sender="r@example.org"),
            teams=(Team(name="germline", to=("ana@example.org",)),),
        )
        collect_on(tmp_path / "worker", twin, server.url, "1/2")
        with pytest.raises(UsageError, match="part 2/2"):
            merge(told)
        mail(told, failed="a part is missing")
        collect_on(tmp_path / "worker", twin, server.url, "2/2")
        merged = merge(told).run
        mail(told)
        lost, came = (each.mail for each in boxes.arrived)
    assert merged
    assert merged.id == NIGHT
    assert [run.id for run in pipeline.runs(told)[0]] == [NIGHT]
    assert "REPORT FAILED" in lost["Subject"]
    assert "a part is missing" in text(lost)
    assert "REPORT FAILED" not in came["Subject"]


def mail(told: Settings, failed: str = "") -> pipeline.Outcome:
    """As much later as a merge comes behind its parts."""
    now = NOW + timedelta(hours=2)
    return pipeline.mail(told, now=now, failed=failed, environ={}, progress=SilentProgress())


def test_half_a_part_is_missing(tmp_path: Path) -> None:
    """Whoever pushed it was stopped: without part.json it is not there."""
    twin = tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        for shard in ("1/2", "2/2"):
            collect_on(tmp_path / "worker", twin, server.url, shard)
        (twin / f"parts/{NIGHT}/2-of-2/part.json").unlink()
        with pytest.raises(UsageError, match="part 2/2 of run 20261123T021400Z is missing"):
            merge(mirrored(tmp_path / "merging", twin))
        collect_on(tmp_path / "worker", twin, server.url, "2/2")
    assert merge(mirrored(tmp_path / "merging", twin)).run is not None


def test_what_was_pushed_of_another_number_of_parts_is_left_out(tmp_path: Path) -> None:
    """A machine of the first try was lost, and the night was begun again; all goes thereafter."""
    twin = tmp_path / "mirror"
    with serve(a_demo(jobs=8), port=0) as server:
        server.start()
        for shard in ("1/2", "1/1"):
            collect_on(tmp_path / "worker", twin, server.url, shard)
    merged = merge(mirrored(tmp_path / "merging", twin))
    assert f"left out, since run {NIGHT} is whole in 1 part: 1/2" in merged.summary
    assert merged.run is not None
    assert merged.run.counts.listed == 8
    assert not [name for name in names(twin) if name.startswith("parts/")]


def test_what_failed_in_another_number_of_parts_is_left_out(tmp_path: Path) -> None:
    """All of it was pushed, by machines that found no server."""
    twin = tmp_path / "mirror"
    for shard in ("1/2", "2/2"):
        with pytest.raises(NothingUsableError):
            collect(mirrored(tmp_path / shard, twin), "http://127.0.0.1:9", shard)
    with serve(a_demo(jobs=8), port=0) as server:
        server.start()
        collect_on(tmp_path / "worker", twin, server.url, "1/1")
    merged = merge(mirrored(tmp_path / "merging", twin))
    assert f"left out, since run {NIGHT} is whole in 1 part: 1/2, 2/2" in merged.summary
    assert merged.run is not None
    assert merged.run.counts.listed == 8


def test_what_a_killed_machine_pushed_of_its_part_is_replaced(tmp_path: Path) -> None:
    """Started again, on a new disk, it is answered otherwise: jobs have moved on meanwhile."""
    twin = tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        collect_on(tmp_path / "worker", twin, server.url, "1/1")
        part = twin / f"parts/{NIGHT}/1-of-1"
        (part / "part.json").unlink()
        (part / f"runs/{NIGHT}/run.json").unlink()
        for name in ("jobs-0000.jsonl.zst", "jobs-0009.jsonl.zst"):
            (part / f"runs/{NIGHT}/{name}").write_bytes(b"of before")
        again = collect_on(tmp_path / "worker", twin, server.url, "1/1")
    assert again.exit == Exit.DONE, again
    assert not (part / f"runs/{NIGHT}/jobs-0009.jsonl.zst").exists()
    assert merge(mirrored(tmp_path / "merging", twin)).exit == Exit.DONE


class Pausing:
    """A folder in the place of a bucket, in which something happens when all of a run was sent but
    what makes it whole."""

    def __init__(self, twin: Path, part: Path, happens: Callable[[], object]) -> None:
        self._bucket, self._happens, self._lock = (
            open_bucket(str(twin), environ={}),
            happens,
            Lock(),
        )
        self._left = len(mirror.before_last(part, f"runs/{NIGHT}"))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def write(self, name: str, data: bytes, **more: Any) -> int:
        written = self._bucket.write(name, data, **more)
        with self._lock:
            self._left -= "/runs/" in name
            if not self._left:
                self._left = -1
                self._happens()
        return written


def test_of_two_machines_that_push_one_part_at_once_one_does(tmp_path: Path) -> None:
    """The first was taken for dead, and goes on when its files were replaced: it ends there."""
    twin, ready, replaced = tmp_path / "mirror", Event(), Event()
    twin.mkdir()
    places = []
    with serve(a_demo("cromwell", jobs=8), port=0) as server:  # other answers each time
        server.start()
        for machine in ("first", "second"):
            of = settings(tmp_path / machine)
            collect(of, server.url, "1/1")
            places.append(folder(of, "1/1"))

    def wait() -> None:
        ready.set()
        assert replaced.wait(60)

    def pushed(place: Path, happens: Callable[[], object]) -> None:
        partmirror.push(place, cast("Bucket", Pausing(twin, place, happens)), now=NOW)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(pushed, places[0], wait)
        assert ready.wait(60)

        def go_on() -> None:
            replaced.set()
            first.exception(60)

        pushed(places[1], go_on)
        with pytest.raises(ChangedError, match="is being pushed by another machine too"):
            first.result()
    there = mirrored(tmp_path / "merging", twin)
    assert merge(there).exit == Exit.DONE
    with open_folder(places[1], create=False) as store:
        assert {record.id: record for record in store.records()} == records(there)


@pytest.mark.parametrize("left", [0, 1])
def test_a_merge_that_was_killed_when_it_dropped_the_parts_is_completed(
    tmp_path: Path, left: int
) -> None:
    """On a machine that is new: the run is in the bucket, and its parts, or some, are not."""
    twin, kept = tmp_path / "mirror", tmp_path / "kept"
    with serve(a_demo(), port=0) as server:
        server.start()
        for shard in ("1/2", "2/2"):
            collect_on(tmp_path / "worker", twin, server.url, shard)
    shutil.copytree(twin / f"parts/{NIGHT}/2-of-2", kept)
    merged = merge(mirrored(tmp_path / "merging", twin))
    shutil.rmtree(tmp_path / "merging")
    if left:
        shutil.copytree(kept, twin / f"parts/{NIGHT}/2-of-2")
    there = mirrored(tmp_path / "again", twin)
    again = merge(there)
    assert (again.exit, again.run) == (merged.exit, merged.run)
    there_is = f"run {NIGHT} is there, and there are no parts of it to merge"
    assert (f"the parts of run {NIGHT} were merged before" if left else there_is) in again.summary
    assert not [name for name in names(twin) if name.startswith("parts/")]
    with pytest.raises(UsageError, match="no parts in"):
        merge(there, days=1)


def test_a_part_that_was_changed_in_the_bucket_is_refused(tmp_path: Path) -> None:
    twin = tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        collect_on(tmp_path / "worker", twin, server.url, "1/1")
    shard = twin / f"parts/{NIGHT}/1-of-1/runs/{NIGHT}/jobs-0000.jsonl.zst"
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(DeliveryError, match="is not what was pushed"):
        merge(mirrored(tmp_path / "merging", twin))


@pytest.mark.parametrize(
    "name",
    [
        f"parts/{NIGHT}/..-of-1/part.json",
        f"parts/{NIGHT}/1-of-1x/part.json",
        f"parts/{NIGHT}/1-of-1/runs/evil/run.json",
        f"parts/{NIGHT}/1-of-1/evil/part.json",
    ],
)
def test_no_object_of_the_bucket_leads_out_of_the_parts(tmp_path: Path, name: str) -> None:
    """Whoever may write to the bucket chooses names; only those of parts are looked at."""
    twin = tmp_path / "mirror"
    (twin / name).parent.mkdir(parents=True)
    (twin / name).write_text("{}")
    with pytest.raises(UsageError, match="no parts in"):
        merge(mirrored(tmp_path / "merging", twin))
    places = {path.name for path in (tmp_path / "merging").rglob("*") if path.is_dir()}
    assert places <= {"snapshots", "runs"}


def render(of: Settings, machine: Path, shard: str | None = None) -> pipeline.Outcome:
    return pipeline.render_part(
        replace(of, site=replace(of.site, dir=str(machine / "site"))),
        now=NOW,
        environ={},
        progress=SilentProgress(),
        workers=1,
        shard=shard,
    )


@pytest.mark.parametrize("spoilt", [False, True])
def test_pages_of_machines_without_a_disk_meet_in_the_mirror(tmp_path: Path, spoilt: bool) -> None:
    """Each sees only the bucket; what comes from there is not made again, what is spoilt is."""
    one, twin = tmp_path / "one", tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(mirrored(one, twin), server.url)
    expected = pages(mirrored(one, twin), one)
    shutil.rmtree(one)
    for shard in ("1/2", "2/2"):
        worker = tmp_path / "worker"
        done = render(mirrored(worker, twin), worker, shard)
        assert done.exit == Exit.DONE, done
        assert not (worker / "site").exists()
        shutil.rmtree(worker)
    sent = [name for name in names(twin) if name.startswith(f"pages/{NIGHT}/")]
    raw = {name.split("/", 3)[3] for name in sent if name.endswith(".json")}
    assert raw == {name for name in expected if name.startswith("jobs/") and name.endswith(".json")}
    if spoilt:
        (twin / sent[9]).unlink()
        for name in sent[:9]:
            (twin / name).write_bytes((twin / name).read_bytes() + b"x")
    there = tmp_path / "last"
    done = render(mirrored(there, twin), there)
    assert done.exit == Exit.DONE, done
    assert "rendered" in done.summary[-1]
    assert pages(mirrored(there, twin), there).keys() == expected.keys()
    made = pages(mirrored(there, twin), there)
    assert [name for name in made if made[name] != expected[name] and name != "about.html"] == []
    assert not [name for name in names(twin) if name.startswith("pages/")]
    came = list((there / f"site-parts/{NIGHT}").rglob("*.html"))
    assert came == []  # all that came was moved into the site


def test_parts_and_pages_of_nights_that_were_not_merged_go_with_the_next(tmp_path: Path) -> None:
    """What is of later nights stays: others may be making one."""
    here, twin = tmp_path / "one", tmp_path / "mirror"
    with serve(a_demo(jobs=8), port=0) as server:
        server.start()
        collect(mirrored(here, twin), server.url, "1/1")
    for kind, last in (("parts", "part.json"), ("pages", "ledger")):
        for run in ("20261121T021400Z", "20261122T021400Z", "20261124T021400Z", "notes"):
            for name in (last, "runs/a"):
                path = twin / f"{kind}/{run}/1-of-2/{name}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("{}")
    merge(mirrored(here, twin))
    assert left(twin, "parts") == {"20261124T021400Z", "notes"}
    assert len(left(twin, "pages")) == 4
    render(mirrored(here, twin), here)
    assert left(twin, "pages") == {"20261124T021400Z", "notes"}


def test_pages_that_the_site_has_taken_are_pushed_by_no_part(tmp_path: Path) -> None:
    """A part that is told again on the same disk ends well."""
    here, twin = tmp_path / "one", tmp_path / "mirror"
    with serve(a_demo(jobs=8), port=0) as server:
        server.start()
        collect(mirrored(here, twin), server.url)
    for shard in ("1/1", None, "1/1"):
        assert render(mirrored(here, twin), here, shard).exit == Exit.DONE
    assert names(twin / "pages") == [f"{NIGHT}/1-of-1/ledger"]


def left(twin: Path, kind: str) -> set[str]:
    """The runs of which there is something left."""
    return {name.split("/")[1] for name in names(twin) if name.startswith(f"{kind}/")}


def test_pages_are_taken_from_the_mirror_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record is read where all pages of jobs were pushed."""
    from jmreport.render import making

    here, twin = tmp_path / "one", tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        collect(mirrored(here, twin), server.url)
    render(mirrored(here, twin), here, "1/1")
    shutil.rmtree(here / "site-parts")

    def nobody(*_: object) -> None:
        raise AssertionError("a page of a job was made")

    monkeypatch.setattr(making.Maker, "jobs", nobody)
    assert render(mirrored(here, twin), here).exit == Exit.DONE


def test_a_real_bucket_is_a_meeting_place_too(tmp_path: Path) -> None:
    from gcs_server import BUCKET, served

    with serve(a_demo(jobs=20), port=0) as server, served() as gcs:
        server.start()
        twin = f"gs://{BUCKET}/jobs"
        environ: Mapping[str, str] = {"STORAGE_EMULATOR_HOST": gcs.url}
        for shard in ("1/2", "2/2"):
            of = mirrored(tmp_path / shard[0], twin)
            came = pipeline.collect_part(
                of,
                shard,
                now=NOW,
                source=pipeline.Source(url=server.url),
                environ=environ,
                progress=SilentProgress(),
            )
            assert came.exit == Exit.DONE, came
        there = mirrored(tmp_path / "merging", twin)
        merged = pipeline.merge(there, (), now=NOW, environ=environ, progress=SilentProgress())
        assert merged.exit == Exit.DONE, merged
        left = [name for name in gcs.objects() if "/parts/" in name]
        assert left == []
        assert any(name.endswith(f"runs/{NIGHT}/run.json") for name in gcs.objects())
    assert newest(there).counts.listed == 20
