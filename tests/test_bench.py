"""A lost order of magnitude shows: the benchmarks at a small size, which no noise makes fail."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bench import bare, corpus, pages, words
from bench.serving import Limited


def test_the_same_number_makes_the_same_job() -> None:
    """Any part of the corpus can be made alone, and again."""
    encode = msgspec.json.encode
    assert encode(corpus.record(7)) == encode(list(corpus.many(9))[7])
    sizes = [len(encode(corpus.record(number))) for number in range(20)]
    assert 30_000 < sum(sizes) / 20 < 38_000
    assert 1_000 < len(encode(corpus.small(7))) < 2_500


@pytest.mark.parametrize("number", [1, 7])
def test_the_bare_loop_prints_the_words_of_our_page(tmp_path: Path, number: int) -> None:
    """Else it would be fast by leaving something out."""
    corpus.fill(tmp_path, [corpus.record(number)])
    site = pages.Site(tmp_path)
    (record,) = site.records()
    theirs = bare.main(msgspec.json.decode(msgspec.json.encode(record)))
    ours = pages.without_diagram(site.page(record)[1].decode())
    assert words.alike(ours, theirs) > 0.98
    assert (
        words.alike(ours, theirs.replace("<tr>", "<tr><td>one more word in each row</td>")) < 0.98
    )


def test_a_small_run_holds_the_order_of_magnitude(tmp_path: Path) -> None:
    """The command itself, as anybody runs it."""
    out = tmp_path / "figures.json"
    command = (*(sys.executable, "-m", "bench", "--small", "pages", "store", "asking"),
               *("--jobs", "40", "--out", str(out)))  # fmt: skip
    done = subprocess.run(  # noqa: S603 (our own)
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent
    )
    rows = msgspec.json.decode(out.read_bytes())
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rows) == 8
    assert not any(row["lost"] for row in rows)


def test_a_page_that_is_asked_for_in_vain_is_counted() -> None:
    """The fewest requests are those without which something would be unknown."""
    server = Limited(65, rate=1e9)
    assert server.fewest == 2 + 65 + 6 + 2
    for target in ("/api/v1/capabilities", "/api/v1/jobs/gone", "/api/v1/jobs/gone"):
        server.respond("GET", target, {}, b"")
    assert sum(server.asked.values()) == 3
