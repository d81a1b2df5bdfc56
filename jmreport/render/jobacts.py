"""What a job's page says of acting on it: links to the actions server, or commands to copy."""

import re
from urllib.parse import quote

from msgspec import Struct

from jmreport.records import Asked, JobRow
from jmreport.render import words
from jmreport.report.jobs import JobContext

#: Scheme, host with what stands before it, and the rest.
_ADDRESS = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class Acts(Struct, frozen=True, kw_only=True):
    """`abort` and `labels` are addresses; where there is no server, commands for a shell."""

    abort: str
    labels: str
    linked: bool


def server_flag(server: str) -> str:
    """What makes a command ask a server; "" for one that has no address, as the built-in one.

    >>> server_flag("http://[taken out]@127.0.0.1:8190/api/v1")
    '--api-url http://127.0.0.1:8190/api/v1'
    >>> server_flag("HTTPS://ana:x@jobs.example.org?team=a@b"), server_flag("built-in")
    ("--api-url 'HTTPS://jobs.example.org?team=a@b'", '')
    """
    # No `urlsplit`: it takes what redaction puts in a password's place for half an IPv6 address.
    parts = _ADDRESS.fullmatch(server)
    if parts is None:
        return ""
    scheme, host, rest = parts.groups()
    host = host.rpartition("@")[2]  # whoever copies it has a password of his own
    return f"--api-url {words.shell(f'{scheme}://{host}{rest}')}"


def commands_need(asked: Asked) -> str:
    """What commands on jobs of a run need beside their ids; "" where the settings file does."""
    return "" if asked.in_file else server_flag(asked.server)


def acts(context: JobContext, server: str | None, needs: str = "") -> Acts | None:
    """What can be done about a job; None for one that its server has lost.

    `server` is the address of the actions server, None where there is none; `needs` is what
    commands need beside the job.
    """
    row = context.entry.row
    if context.last_seen:
        return None
    if server:
        job = quote(row.id, safe="", errors="replace")
        base = f"{server.rstrip('/')}/actions"
        abort = f"{base}/abort?job={job}" if row.active else ""
        return Acts(abort=abort, labels=f"{base}/labels?job={job}", linked=True)
    return _commands(row, needs)


def _commands(row: JobRow, needs: str) -> Acts | None:
    """Commands, unless they hold what a page cannot show as it is."""
    if not row.id.isprintable() or not needs.isprintable():
        return None
    abort, label = (f"jmreport {does} {needs}".rstrip() for does in ("abort", "label"))
    job = words.shell(row.id)
    # Behind "--" also an id that begins with a dash is no option.
    job = f"-- {job}" if row.id.startswith("-") else job
    labels = f"{label} {job} flag=follow-up"
    if "=" in row.id:
        # Among the words of `label` that would be a label: such an id comes by the input.
        labels = f"printf '%s\\n' {words.shell(row.id)} | {label} --from-file - flag=follow-up"
    return Acts(abort=f"{abort} {job}" if row.active else "", labels=labels, linked=False)
