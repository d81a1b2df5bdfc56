"""Drawings for pages, each made once and kept for all later runs.

    .jmreport/charts/e680c2….svg    <svg … viewBox="0 0 835.2 237.6" class="chart" role="group" …>

A drawing is kept under the digest of its data.
"""

import os
from pathlib import Path

from markupsafe import Markup

from jmreport.render import svgs
from jmreport.render.charts import Chart, key


class Charts:
    """Drawings, kept in a folder as `<key>.svg` so that each is only made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def svg(self, chart: Chart) -> Markup:
        """The chart as an `<svg>` element; read where it was drawn before, else drawn and kept."""
        kept = self.folder / f"{key(chart)}.svg"
        try:
            return Markup(kept.read_text("utf-8"))  # noqa: S704 (our own drawing)
        except (FileNotFoundError, UnicodeDecodeError):
            drawn = svgs.draw(chart)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Two workers may draw the same numbers at once, for pages of two workflows.
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_text(drawn, "utf-8")
        part.replace(kept)
        return Markup(drawn)  # noqa: S704

    def forget(self, wanted: set[str]) -> None:
        """Removes the drawings whose keys no page needs."""
        for kept in sorted(self.folder.glob("*.*")):
            if kept.stem not in wanted:
                kept.unlink(missing_ok=True)
