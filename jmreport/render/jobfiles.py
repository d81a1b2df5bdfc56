"""The files of one job: its page, those of its large scatters, and its raw JSON."""

from collections.abc import Iterator

from jmreport.records import Record
from jmreport.render import jobpage
from jmreport.render.theme import Theme
from jmreport.report import JobContext
from jmreport.settings import Settings


def job_files(
    record: Record, context: JobContext, *, theme: Theme, settings: Settings
) -> Iterator[tuple[str, bytes]]:
    """Addresses and bytes, those that the page links to before the page itself."""
    yield from jobpage.pages(record, context, theme=theme, settings=settings)
