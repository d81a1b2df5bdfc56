"""What a job's page says of acting on it: links to the actions server, or commands to copy."""

from urllib.parse import quote

from msgspec import Struct

from jmreport.records import JobRow
from jmreport.render import words
from jmreport.report import JobContext


class Acts(Struct, frozen=True, kw_only=True):
    """`abort` and `labels` are addresses; where there is no server, commands for a shell."""

    abort: str
    labels: str
    linked: bool


def acts(context: JobContext, server: str | None) -> Acts | None:
    """What can be done about a job; None for one that its server has lost.

    `server` is the address of the actions server, None where there is none.
    """
    row = context.entry.row
    if context.last_seen:
        return None
    if server:
        job = quote(row.id, safe="", errors="replace")
        base = f"{server.rstrip('/')}/actions"
        abort = f"{base}/abort?job={job}" if row.active else ""
        return Acts(abort=abort, labels=f"{base}/labels?job={job}", linked=True)
    return _commands(row)


def _commands(row: JobRow) -> Acts | None:
    """Commands, unless the id holds what a page cannot show as it is."""
    if not row.id.isprintable():
        return None
    job = words.shell(row.id)
    # Behind "--" also an id that begins with a dash is no option.
    job = f"-- {job}" if row.id.startswith("-") else job
    label = f"jmreport label {job} flag=follow-up"
    if "=" in row.id:
        # Among the words of `label` that would be a label: such an id comes by the input.
        label = (
            f"printf '%s\\n' {words.shell(row.id)} | jmreport label --from-file - flag=follow-up"
        )
    abort = f"jmreport abort {job}" if row.active else ""
    return Acts(abort=abort, labels=label, linked=False)
