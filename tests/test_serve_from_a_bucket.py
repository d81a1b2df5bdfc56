"""`jmreport serve --site gs://…`: the site as it was published, and the actions beside it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from actions_cases import ANA, bench, path_of, stored
from gcs_server import BUCKET, Gcs, served

from jmreport.actions.sitefiles import InBucket
from jmreport.bucket import Bucket, open_bucket
from jmreport.publish.serving import body
from jmreport.settings import Allow

TO = f"gs://{BUCKET}/nightly"
PAGE = b"<!doctype html><title>The published report</title>" + b"<p>a line</p>" * 500


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def gcs() -> Iterator[Gcs]:
    with served() as server:
        yield server


def bucket_of(gcs: Gcs) -> Bucket:
    return open_bucket(TO, environ=gcs.environ, patience=5.0)


def put(gcs: Gcs, name: str, data: bytes) -> None:
    """As `jmreport publish` puts it: packed, where that is worth it."""
    packed, headers = body(name, data, cache="private, no-cache", pack=True)
    bucket_of(gcs).write(name, packed, generation=None, headers=headers)


def test_a_published_site_is_served_from_its_bucket_and_acted_on(
    day: Path, tmp_path: Path, gcs: Gcs
) -> None:
    put(gcs, "index.html", PAGE)
    put(gcs, "jobs/a.json", b"{}")
    put(gcs, ".jmreport/manifest.json", b"not for readers")
    with bench(tmp_path / "b", day, site=TO, environ=gcs.environ) as at:
        assert at.server.has_report
        page = at.get("/")
        assert (page.status, page.body) == (200, PAGE)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["content-length"] == str(len(PAGE))
        assert "form-action 'none'" in page.headers["content-security-policy"]
        same = at.get("/index.html", If_None_Match=page.headers["etag"])
        assert (same.status, same.body) == (304, b"")
        assert at.get("/jobs/a.json").body == b"{}"
        assert at.get("/none.html").status == 404
        assert at.get("/.jmreport/manifest.json").status == 400
        job = at.jobs("Running")[0]
        told = at.outcome(at.post(*at.form("abort", [job])))
        assert "the server took it" in told.text


def test_what_is_published_next_is_what_the_next_reader_sees(
    day: Path, tmp_path: Path, gcs: Gcs
) -> None:
    """And what did not change is not fetched again."""
    put(gcs, "index.html", PAGE)
    with bench(tmp_path / "b", day, site=TO, environ=gcs.environ) as at:
        first = at.get("/")
        asked = gcs.requests
        assert at.get("/").body == PAGE
        assert gcs.requests == asked + 1
        put(gcs, "index.html", b"<!doctype html><title>The next night</title>")
        newer = at.get("/", If_None_Match=first.headers["etag"])
        assert (newer.status, b"The next night" in newer.body) == (200, True)
        gcs.delete("nightly/index.html")
        assert at.get("/").status == 404


def test_a_bucket_that_is_away_is_told_and_the_actions_stay(
    day: Path, tmp_path: Path, gcs: Gcs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jmreport.pipeline.serving._READING_PATIENCE", 0.5)
    put(gcs, "index.html", PAGE)
    rules = (Allow(who=ANA, actions=("abort",)),)
    with bench(tmp_path / "b", day, mode="iap", allow=rules, site=TO, environ=gcs.environ) as at:
        gcs.fault = lambda _method, _path: 503
        page = at.get("/")
        assert (page.status, page.headers["retry-after"]) == (503, "30")
        assert "The report cannot be read now" in page.text
        assert at.get(path_of("abort", at.jobs("Running")[0])).status == 200
        gcs.healthy()
        assert at.get("/").status == 200


def test_a_bucket_that_may_not_be_read_ends_it_before_it_listens(
    day: Path, tmp_path: Path, gcs: Gcs
) -> None:
    gcs.fault = lambda _method, _path: 403
    done = subprocess.run(  # noqa: S603 - our own program
        [
            *(sys.executable, "-m", "jmreport", "serve", "--mode", "local", "--port", "0"),
            *("--site", TO, "--snapshots", str(day / "snapshots")),
            *("--api-url", "http://127.0.0.1:9"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("JMREPORT_")} | gcs.environ,
        check=False,
    )
    assert done.returncode == 5
    assert done.stdout == ""
    assert TO in done.stderr
    assert not (tmp_path / "actions-audit.jsonl").exists()


def test_a_place_without_a_report_is_told_when_it_starts(
    day: Path, tmp_path: Path, gcs: Gcs
) -> None:
    with bench(tmp_path / "b", day, site=TO, environ=gcs.environ) as at:
        assert not at.server.has_report
    with bench(tmp_path / "c", day, site=str(tmp_path / "nowhere")) as at:
        assert not at.server.has_report
    with bench(tmp_path / "d", day) as at:
        assert at.server.has_report


def test_bytes_that_are_kept_have_a_limit(gcs: Gcs) -> None:
    for number in range(20):
        put(gcs, f"{number}.html", b"x" * 1000)
    put(gcs, "large.html", b"y" * 5000)
    site = InBucket(bucket_of(gcs), kept=10_000)
    for number in range(20):
        found = site.find(f"{number}.html")
        assert found is not None
        assert b"".join(found.pieces()) == b"x" * 1000
    found = site.find("large.html")
    assert found is not None
    assert found.size == 5000
    assert list(site._kept) == [f"{number}.html" for number in range(10, 20)]
