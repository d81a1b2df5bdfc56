"""The least that Python can do for a job's page: decode, f-strings, write. What others are held to.

It prints what jmreport's page of the same job says, the timing diagram apart, and knows only jobs
of the corpus: no missing dates, no shards, no limits, no odd types. `bench.pages` compares the two.
"""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from markupsafe._speedups import _escape_inner as e

#: Texts longer than this are cut in the middle.
LONGEST = 4_000
_CONSOLE = "https://console.cloud.google.com/storage/browser"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_THIN = "\u202f"
_CHIPS = ("owner", "project", "batch")
_TASK_HEAD = "".join(
    f'<th scope="col">{name}</th>'
    for name in ("Status", "Task", "Started", "Ended", "Took", "Attempts", "Return code", "Links")
)


def write(lines: Iterable[bytes], folder: Path, frame: tuple[str, str]) -> int:
    """A page for each line of JSON, within a frame that they share; returns their bytes."""
    decode, total = msgspec.json.decode, 0
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    for line in lines:
        record = decode(line)
        page = f"{frame[0]}{main(record)}{frame[1]}".encode()
        (folder / address(record["id"])).write_bytes(page)
        total += len(page)
    return total


def address(job: str) -> str:
    return f"jobs/{job}-{_hash(job)}.html"


def main(record: dict[str, Any]) -> str:
    """What stands between header and footer."""
    d, job = record["detail"], record["id"]
    name, short, status = d["name"], job[:8], d["status"]
    submitted, start, end = _at(d["submission"]), _at(d["start"]), _at(d["end"])
    tasks = d["extensions"]["tasks"]
    spans = [(_at(task["start"]), _at(task["end"])) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda at: tasks[at]["executionStatus"] != "Failed")
    chips = "".join(_chip(key, value) for key, value in d["labels"].items())
    workflow = f"../workflows/{name.replace('_', '-')}-{_hash(name)}.html"
    return f"""<main id="main" class="wrap" tabindex="-1">
<nav class="crumbs" aria-label="Where you are"><ol><li><a href="../index.html">Overview</a></li>
<li><a href="{workflow}">{e(name)}</a></li>
<li aria-current="page"><code class="id">{short}</code></li></ol></nav>
<div class="verdict"><h1><bdi>{e(name)}</bdi> <code class="id">{short}</code></h1>
{_tag(status)}</div>
<p class="lede">{_lede(d, start, end)}</p>
<dl class="facts short">
<div><dt>Submitted</dt><dd>{_when(submitted)}</dd></div>
<div><dt>Started</dt><dd>{_when(start)} <span class="muted">
({_took(submitted, start)} after submission)</span></dd></div>
<div><dt>Ended</dt><dd>{_when(end)}</dd></div>
<div><dt>Took</dt><dd>{_took(start, end)}
<span class="muted">(no usual duration yet)</span></dd></div>
<div><dt>User</dt><dd>{e(d["extensions"]["userId"])}</dd></div>
<div><dt>Job ID</dt><dd><code class="id">{e(job)}</code></dd></div>
<div class="wide"><dt>Labels</dt><dd><ul class="chips">{chips}</ul></dd></div>
</dl>
{_failures(record)}
<h2 id="tasks">Tasks <span class="count">({len(tasks)})</span></h2>
<table class="stack"><thead><tr>{_TASK_HEAD}</tr></thead><tbody>
{"".join(_row(at + 1, tasks[at], *spans[at]) for at in order)}</tbody></table>
<h3>Each task</h3>
{"".join(_task(at + 1, tasks[at], *spans[at]) for at in order)}
<h2 id="more">All details</h2>
{_table("inputs", "Inputs", d["inputs"])}{_table("outputs", "Outputs", d["outputs"])}
{_table("labels", "Labels", d["labels"])}
{_table("environment", "Environment", d["extensions"]["envs"])}
<p class="after"><a href="{job}-{_hash(job)}.json">Raw JSON of this job</a></p>
</main>"""


def _lede(d: dict[str, Any], start: datetime, end: datetime) -> str:
    took = _took(start, end)
    if d["status"] != "Failed":
        return f"Succeeded in {took}."
    failure = d["failures"][0]
    return (
        f'Failed after {took} in <a href="#task-3">{e(failure["taskName"])}</a>: '
        f'<q class="mono quote">{e(failure["failure"])}</q>'
    )


def _failures(record: dict[str, Any]) -> str:
    failures = record["detail"]["failures"]
    if not failures:
        return ""
    one = failures[0]
    lines = record["logs"][one["backendLog"]]["contents"].splitlines()
    last, earlier = "\n".join(lines[-12:]), "\n".join(lines[:-12])
    return f"""<h2 id="failures">Failures <span class="count">(1)</span></h2>
<article class="card failed" id="failure-1"><h3><a href="#task-3">{e(one["taskName"])}</a></h3>
<p class="meta">{_when(_at(one["timestamp"]))} · return code 137</p><pre>{e(one["failure"])}</pre>
<details class="plain" open><summary><b>End of the log</b> <span class="muted">last 12 lines</span>
</summary><pre>{e(last)}
</pre><details class="plain"><summary>{len(lines) - 12} earlier lines</summary>
<div class="box" tabindex="0" role="region" aria-label="Earlier lines of the log of failure 1">
<pre>{e(earlier)}</pre></div></details></details><p class="small">{_places(one)}</p></article>
"""


def _row(at: int, task: dict[str, Any], start: datetime, end: datetime) -> str:
    return f"""<tr><td>{_tag(task["executionStatus"])}</td>
<th scope="row"><a href="#task-{at}">{e(task["name"])}</a></th>
<td class="num" data-label="Started">{_short(start)}</td>
<td class="num" data-label="Ended">{_short(end)}</td>
<td class="num" data-label="Took">{_took(start, end)}</td>
<td class="num" data-label="Attempts">{task["attempts"]}</td>
<td class="num" data-label="Return code">{task["returnCode"]}</td>
<td>{_places(task)} · <span class="small muted">operation {e(task["operationId"])}</span></td></tr>
"""


def _task(at: int, task: dict[str, Any], start: datetime, end: datetime) -> str:
    status = task["executionStatus"]
    told = task.get("failureMessages")
    messages = f"<h4>Messages</h4>{''.join(f'<pre>{e(m)}</pre>' for m in told)}" if told else ""
    events = "".join(map(_event, task["executionEvents"]))
    return f"""<details id="task-{at}"{" open" if status == "Failed" else ""}>
<summary><b>{e(task["name"])}</b> <span class="muted">{status}</span></summary>
<p class="meta">Started {_short(start)}, ended {_short(end)} · took {_took(start, end)} ·
return code {task["returnCode"]}</p>
<p class="small muted">operation {e(task["operationId"])}</p>{messages}
{_table(f"task-{at}-inputs", "Inputs", task["inputs"], " class=plain")}
{_table(f"task-{at}-outputs", "Outputs", task["outputs"], " class=plain")}
<details class="plain"><summary><b>Execution events</b>
<span class="muted">{len(task["executionEvents"])}</span></summary>
<table class="stack"><thead><tr><th scope="col">Event</th><th scope="col">Of</th>
<th scope="col" class="num">Start</th><th scope="col" class="num">End</th></tr></thead><tbody>
{events}</tbody></table></details></details>
"""


def _event(event: dict[str, Any]) -> str:
    start, end = _short(_at(event["start"])), _short(_at(event["end"]))
    return (
        f'<tr><td>{e(event["name"])}</td><td data-label="Of">attempt {event["attemptNumber"]}</td>'
        f'<td class="num" data-label="Start">{start}</td>'
        f'<td class="num" data-label="End">{end}</td></tr>\n'
    )


def _table(anchor: str, title: str, held: dict[str, Any], look: str = "") -> str:
    if not held:
        return ""
    count = "1 value" if len(held) == 1 else f"{len(held)} values"
    rows = "".join(_value(name, value) for name, value in held.items())
    return f"""<details id="{anchor}"{look}><summary><b>{title}</b>
<span class="muted">{count}</span></summary><table class="kv stack"><tbody>
{rows}</tbody></table></details>
"""


def _value(name: str, value: Any) -> str:
    if isinstance(value, str):
        text = value
        if text.startswith("gs://"):
            shown = f'<a href="{_object(text)}">{e(cut(text))}</a>'
            return f'<tr><th scope="row">{e(name)}</th><td>{shown}</td></tr>\n'
    else:
        text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    text = cut(text)
    if len(text) > 160 or "\n" in text:
        return f'<tr><th scope="row">{e(name)}</th><td><pre>{e(text)}</pre></td></tr>\n'
    shown = f'<span class="mono id">{e(text)}</span>'
    return f'<tr><th scope="row">{e(name)}</th><td>{shown}</td></tr>\n'


def cut(text: str) -> str:
    """A long text without its middle."""
    if len(text) <= LONGEST:
        return text
    gone = f"{len(text) - LONGEST:,}".replace(",", _THIN)
    half = LONGEST // 2
    return f"{text[:half]}\n… {gone} characters left out …\n{text[-half:]}"


def _chip(key: str, value: str) -> str:
    said = f'<span class="k">{e(key)}</span> <bdi>{e(value)}</bdi>'
    if key in _CHIPS:
        return f'<li><a class="chip" href="../labels/{key}-{_hash(key)}.html">{said}</a></li>'
    return f'<li><span class="chip">{said}</span></li>'


def _tag(status: str) -> str:
    key = status.lower()
    icon = f'<svg width="12" height="12" aria-hidden="true"><use href="#i-{key}"/></svg>'
    return f'<span class="tag {key}">{icon}{status}</span>'


def _places(part: dict[str, Any]) -> str:
    log, folder = _object(part["backendLog"]), part["callRoot"]
    return f'<a href="{log}">log</a> · <a href="{_CONSOLE}/{quote(folder[5:])}">folder</a>'


def _object(text: str) -> str:
    return f"{_CONSOLE}/_details/{quote(text[5:])}"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _iso(at: datetime) -> str:
    return f"{at.isoformat()[:19]}Z"


def _when(at: datetime) -> str:
    day = f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}"
    return f'<time datetime="{_iso(at)}">{day}, {at.hour:02}:{at.minute:02} UTC</time>'


def _short(at: datetime) -> str:
    day = f"{at.day} {_MONTHS[at.month - 1]}"
    return f'<time datetime="{_iso(at)}">{day} {at.hour:02}:{at.minute:02}</time>'


def _took(start: datetime, end: datetime) -> str:
    seconds = int((end - start).total_seconds() + 0.5)
    if seconds < 60:
        return f"{seconds} s"
    minutes = (seconds + 30) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def framed(page: str) -> tuple[str, str]:
    """What stands before and behind the main part of a page, the same on all pages of jobs."""
    return page[: page.index("<main")], page[page.index("</main>") + len("</main>") :]
