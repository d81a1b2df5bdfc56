"""A store's twin in a bucket: machines without a disk go on where others stopped."""

import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from snapshot_cases import opened, record, write_run

from jmreport import pipeline
from jmreport.bucket import open_bucket
from jmreport.bucket.folder import Folder
from jmreport.collectors.demo import Demo, serve
from jmreport.errors import DeliveryError, Exit, UsageError
from jmreport.pipeline import mirroring
from jmreport.progress import SilentProgress
from jmreport.records import run_id
from jmreport.settings import Api, Collect, Redact, Settings, Site, Snapshots
from jmreport.settings_loading import Value, checked, from_text
from jmreport.snapshots import mirror

NOW = datetime(2026, 11, 23, 2, 14, tzinfo=UTC)


def settings(machine: Path, twin: Path | str, *, hashed: tuple[str, ...] = ()) -> Settings:
    return Settings(
        api=Api(tries=1),
        site=Site(dir=str(machine / "site")),
        snapshots=Snapshots(dir=str(machine / "snapshots"), mirror=str(twin)),
        collect=Collect(timeframe="ALL_TIME"),
        redact=Redact(hash=hashed),
    )


def night(of: Settings, url: str, *, days: int = 0) -> pipeline.Outcome:
    return pipeline.collect(
        of,
        now=NOW + timedelta(days=days),
        source=pipeline.Source(url=url),
        environ={},
        progress=SilentProgress(),
    )


def store(of: Settings) -> dict[str, bytes]:
    """What a store holds for good: not the caches, nor the locks."""
    root = Path(of.snapshots.dir)
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.name not in ("lock", "index.sqlite")
        and path.parent.name != "summaries"
    }


def a_demo() -> Demo:
    return Demo(now=NOW, jobs=40, like="cromwell", archived=0.0)


def test_each_night_on_a_new_machine_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    """Only what is new is asked for, and the page knows of the nights before."""
    with serve(a_demo(), port=0) as server:
        server.start()
        twin = tmp_path / "mirror"
        first = settings(tmp_path / "one", twin)
        read = night(first, server.url)
        shutil.rmtree(tmp_path / "one")
        second = settings(tmp_path / "two", twin)
        again = night(second, server.url, days=1)
    assert read.exit == again.exit == Exit.DONE
    assert read.run is not None
    assert again.run is not None
    assert again.run.counts.unchanged > 0
    assert again.run.counts.fetched < read.run.counts.fetched / 2
    assert [each.id for each in pipeline.runs(second)[0]] == [read.run.id, again.run.id]
    assert "pulled 1 run" in again.summary[0]
    assert "pushed 1 run" in again.summary[-1]
    assert pipeline.check(second) == ()


def test_the_twin_holds_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not read to know what it holds: a folder of years has many gigabytes."""
    with serve(a_demo(), port=0) as server:
        server.start()
        here = settings(tmp_path / "one", tmp_path / "mirror", hashed=("owner",))
        night(here, server.url)
    there = settings(tmp_path / "two", tmp_path / "mirror")
    outcome = mirroring.pull(there, now=NOW, environ={}, progress=SilentProgress())
    assert outcome.exit == Exit.DONE
    assert store(there) == store(here)
    assert "salt" in store(there)
    assert (tmp_path / "two/snapshots/salt").stat().st_mode & 0o077 == 0
    monkeypatch.setattr(Folder, "look", None)
    nothing = mirroring.pull(there, now=NOW, environ={}, progress=SilentProgress())
    assert nothing.summary == ()


def test_half_a_run_is_never_pulled(tmp_path: Path) -> None:
    """Whoever pushed it was stopped: without its run.json it is not there."""
    with serve(a_demo(), port=0) as server:
        server.start()
        here = settings(tmp_path / "one", tmp_path / "mirror")
        night(here, server.url)
        last = night(here, server.url, days=1)
    assert last.run is not None
    (tmp_path / f"mirror/runs/{last.run.id}/run.json").unlink()
    there = settings(tmp_path / "two", tmp_path / "mirror")
    mirroring.pull(there, now=NOW, environ={}, progress=SilentProgress())
    assert len(pipeline.runs(there)[0]) == 1
    # The next push of the machine that has it makes it whole.
    mirroring.push(here, now=NOW, environ={}, progress=SilentProgress())
    mirroring.pull(there, now=NOW, environ={}, progress=SilentProgress())
    assert store(there) == store(here)


def test_what_was_changed_in_the_bucket_is_refused(tmp_path: Path) -> None:
    with serve(a_demo(), port=0) as server:
        server.start()
        here = settings(tmp_path / "one", tmp_path / "mirror")
        read = night(here, server.url)
    assert read.run is not None
    shard = tmp_path / f"mirror/runs/{read.run.id}/jobs-0000.jsonl.zst"
    shard.write_bytes(shard.read_bytes()[:-7])
    there = settings(tmp_path / "two", tmp_path / "mirror")
    with pytest.raises(DeliveryError, match="is not what was pushed"):
        mirroring.pull(there, now=NOW, environ={}, progress=SilentProgress())
    assert pipeline.runs(there)[0] == ()


@pytest.mark.parametrize(
    ("folder", "run"),
    [
        ("runs/20261123T021400Z", "20261123T021400Z"),
        ("runs/20261123T021400Z-0002", "20261123T021400Z-0002"),
        ("pruned/20251123T021400Z", "20251123T021400Z"),
        ("runs/..", ""),
        ("runs/../evil", ""),
        ("runs/20261123T021400Z/..", ""),
        ("runs//20261123T021400Z", ""),
        ("runs/20261123T021400Z\n", ""),
        ("runs/x", ""),
        ("evil/20261123T021400Z", ""),
        ("", ""),
    ],
)
def test_no_object_of_the_bucket_leads_out_of_the_store(folder: str, run: str) -> None:
    """Whoever may write to the bucket chooses names; only those of runs are looked at."""
    assert mirror.run_of(folder) == run


@pytest.mark.parametrize("file", ["../../evil", "a/b.json", ".hidden", ""])
def test_no_run_of_the_bucket_names_files_elsewhere(tmp_path: Path, file: str) -> None:
    run = tmp_path / "mirror/runs/20261123T021400Z/run.json"
    run.parent.mkdir(parents=True)
    run.write_text(f'{{"files": {{"{file}": {{"lines": 0, "bytes": 0, "sha256": ""}}}}}}')
    there = settings(tmp_path / "two", tmp_path / "mirror")
    with pytest.raises(DeliveryError, match="is not what was pushed"):
        mirroring.pull(there, now=NOW, environ={}, progress=SilentProgress())
    assert not (tmp_path / "two/evil").exists()


def test_a_mirror_that_is_away_stops_an_empty_store_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one would ask for everything again; one with runs goes on, and says so (exit 5)."""
    monkeypatch.setattr("jmreport.bucket.opening.PATIENCE", 0.5)
    with serve(a_demo(), port=0) as server:
        server.start()
        here = settings(tmp_path / "one", tmp_path / "mirror")
        night(here, server.url)
        gone = Snapshots(dir=here.snapshots.dir, mirror="gs://away/jobs")
        environ = {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
        away = Settings(api=here.api, site=here.site, snapshots=gone, collect=here.collect)
        outcome = pipeline.collect(
            away,
            now=NOW + timedelta(days=1),
            source=pipeline.Source(url=server.url),
            environ=environ,
            progress=SilentProgress(),
        )
        assert outcome.exit == Exit.NOT_DELIVERED
        assert outcome.run is not None
        assert "could not be pushed" in " ".join(outcome.summary)
        empty = settings(tmp_path / "two", "gs://away/jobs")
        with pytest.raises(DeliveryError):
            pipeline.collect(
                empty,
                now=NOW,
                source=pipeline.Source(url=server.url),
                environ=environ,
                progress=SilentProgress(),
            )
    # When it is back, both nights go.
    mirroring.push(here, now=NOW, environ={}, progress=SilentProgress())
    names = {held.name for held in open_bucket(str(tmp_path / "mirror"), environ={}).objects()}
    assert len([name for name in names if name.endswith("/run.json")]) == 2


def test_a_mirror_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    """A store without runs would begin anew, and nothing would be known of the nights before."""
    (tmp_path / "mirror").write_text("no folder, but it hides as much as one of another user")
    with pytest.raises(DeliveryError, match="mirror: Not a directory"):
        mirroring.pull(
            settings(tmp_path, tmp_path / "mirror"),
            now=NOW,
            environ={},
            progress=SilentProgress(),
        )


def test_another_stores_mirror_is_refused(tmp_path: Path) -> None:
    """Two stores that made a run in the same second do not get into one, be it whole there or not.

    What each has besides goes, and nothing is put beside what is the other's.
    """
    with serve(a_demo(), port=0) as server:
        server.start()
        twin = tmp_path / "mirror"
        night(settings(tmp_path / "one", twin), server.url)
        alone = settings(tmp_path / "two", tmp_path / "other")
        night(alone, server.url)
        two = replace(alone, snapshots=replace(alone.snapshots, mirror=str(twin)))
        first = twin / "runs/20261123T021400Z"
        assert "could not all be pushed" in refused(two)
        night(alone, server.url, days=1)
    shutil.rmtree(first)
    first.mkdir()
    (first / "query.jsonl.zst").write_bytes(b"another")
    assert "query.jsonl.zst is another one than here" in refused(two)
    assert [path.name for path in first.iterdir()] == ["query.jsonl.zst"]
    assert (twin / "runs/20261124T021400Z/run.json").exists()


def refused(of: Settings) -> str:
    outcome = mirroring.push(of, now=NOW, environ={}, progress=SilentProgress())
    assert outcome.exit == Exit.NOT_DELIVERED
    return outcome.summary[0]


def test_a_prune_takes_the_same_runs_from_the_mirror(tmp_path: Path) -> None:
    """Also on a machine that has nothing of its own; what is left of them is carried there too.

    With them go parts and pages that were never joined.
    """
    twin = tmp_path / "mirror"
    with serve(a_demo(), port=0) as server:
        server.start()
        for day in range(4):
            night(settings(tmp_path / str(day), twin), server.url, days=day)
    gone, stays = (
        [twin / f"{kind}/{run}/1-of-2/{name}" for kind in ("parts", "pages") for name in "ab"]
        for run in ("20261123T021500Z", "20261125T021400Z")
    )
    for path in (*gone, *stays):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of a night that nobody merged")
    last = settings(tmp_path / "3", twin)
    pipeline.prune(
        last, now=NOW + timedelta(days=3), keep=timedelta(days=1), environ={},
        progress=SilentProgress(),
    )  # fmt: skip
    kept = sorted(path.name for path in (twin / "runs").iterdir())
    assert kept == ["20261125T021400Z", "20261126T021400Z"]
    assert [path.name for path in (twin / "pruned").iterdir()] == ["20261124T021400Z"]
    assert ([*filter(Path.exists, gone)], [*filter(Path.exists, stays)]) == ([], stays)
    new = settings(tmp_path / "new", twin)
    mirroring.pull(new, now=NOW, environ={}, progress=SilentProgress())
    assert pipeline.check(new) == ()
    assert {run.id for run in pipeline.runs(new)[0] if not run.pruned} == set(kept)
    assert pipeline.runs(new)[1] == pipeline.runs(last)[1]


def test_a_prune_behind_a_run_from_the_future_leaves_the_parts_of_tonight(tmp_path: Path) -> None:
    """Runs behind it are called as though they were of its time; those that go are of their own."""
    root, twin = tmp_path / "snapshots", tmp_path / "mirror"
    for day in (0, 365, 1, 2):
        write_run(root, [record(day)], days=day)
    gone, stays = (
        twin / f"parts/{run}/1-of-2/run.json" for run in (run_id(NOW), "20261126T021400Z")
    )
    for path in (gone, stays):
        path.parent.mkdir(parents=True)
        path.write_text("a part")
    now = NOW + timedelta(days=3)
    with opened(root) as snapshots:
        snapshots.prune(NOW + timedelta(days=2), now=now, leaning=lambda _: ())
    with closing(Folder(twin)) as bucket:
        mirror.push(root, bucket, now=now)
    assert ([gone.exists(), stays.exists()]) == [False, True]


def test_a_mirror_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    """It holds all that was read, and the key of the hashes; nothing is asked or written then."""
    from gcs_server import BUCKET, served

    with served() as gcs, serve(a_demo(), port=0) as server:
        server.start()
        gcs.members = ["allUsers"]
        with pytest.raises(UsageError, match="can be read by allUsers"):
            pipeline.collect(
                settings(tmp_path, f"gs://{BUCKET}/snapshots"),
                now=NOW,
                source=pipeline.Source(url=server.url),
                environ=gcs.environ,
                progress=SilentProgress(),
            )
        assert gcs.objects() == {}


@pytest.mark.parametrize(
    ("mirror_of", "other"),
    [
        ("gs://b-1/x", 'publish.to "gs://b-1/x"'),
        ("gs://b-1/x/y", 'publish.to "gs://b-1/x/"'),
        ("gs://b-1", 'publish.to "gs://b-1/x"'),
        ("site/mirror", "site.dir"),
        ("snapshots", "snapshots.dir"),
        (".", "site.dir"),
    ],
)
def test_a_mirror_is_never_where_pages_are_or_the_store(
    tmp_path: Path, mirror_of: str, other: str
) -> None:
    key, _, value = other.partition(" ")
    text = f'[snapshots]\nmirror = "{mirror_of}"\n'
    if value:
        text += f"[publish]\nto = {value}\n"
    with pytest.raises(UsageError, match=f"snapshots.mirror .* and {key} "):
        checked(
            from_text(text, file=tmp_path / "jmreport.toml")
            | {
                "site.dir": Value("", str(tmp_path / "site")),
                "snapshots.dir": Value("", str(tmp_path / "snapshots")),
            }
        )


@pytest.mark.parametrize("place", ["", "s3://b/x", "GS://b/x", "gs:/b/x", "gs://B/x"])
@pytest.mark.parametrize("key", ["publish.to", "snapshots.mirror"])
def test_a_place_of_another_scheme_is_no_folder(tmp_path: Path, key: str, place: str) -> None:
    section, _, name = key.partition(".")
    text = f'[{section}]\n{name} = "{place}"\n'
    with pytest.raises(UsageError, match=key):
        checked(from_text(text, file=tmp_path / "jmreport.toml"))
