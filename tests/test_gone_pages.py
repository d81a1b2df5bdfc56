"""Pages of which nothing is known any more: their addresses last, and say so."""

from pathlib import Path

from msgspec.structs import replace
from site_cases import entries, runs, write

from jmreport.render import addresses, linkcheck


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
