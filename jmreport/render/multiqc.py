"""Files for MultiQC: `data/*_mqc.json`, which it finds by their names and shows as sections.

    {"id": "jmreport_workflows", "plot_type": "table", "pconfig": {…}, "headers": {…},
     "data": {"germline": {"jobs": 57, "failed": 4, …}}}

MultiQC puts what it reads into its page as it is, so names are made safe for HTML here.
"""

from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec

from jmreport.render import filtered, verdict, words
from jmreport.report import Report
from jmreport.report.causes import CauseGroup

#: MultiQC turns longer tables into drawings.
ROWS = 500
#: Longest name and longest message that a table shows.
_NAME, _MESSAGE = 120, 200


def files(report: Report) -> Iterator[tuple[str, bytes]]:
    """Addresses and bytes of the files: jobs by workflow, by status, and the causes of failures."""
    flows = {_name(flow.name): flow for flow in report.workflows if flow.split.total}
    most = dict(sorted(flows.items(), key=lambda item: (-item[1].split.failed, item[0]))[:ROWS])
    said = f"{verdict.title(report)}. {words.plural(report.counts.total, 'job')}."
    if not report.complete:
        said = f"Incomplete: {said}"
    yield _file(
        "workflows",
        "Jobs by workflow",
        said,
        plot_type="table",
        pconfig={"id": "jmreport_workflows_table", "title": "Batch jobs: workflows"},
        headers={
            "jobs": {"title": "Jobs", "format": "{:,.0f}", "scale": "Blues"},
            "failed": {"title": "Failed", "format": "{:,.0f}", "scale": "Reds"},
            "rate": {"title": "Failure rate", "suffix": "%", "max": 100, "min": 0, "scale": "Reds"},
            "minutes": {"title": "Usual duration", "suffix": " min", "scale": "Greens"},
        },
        data={
            name: _known(
                jobs=flow.split.total,
                failed=flow.split.failed,
                rate=_hundredths(filtered.rate(flow.split, report.run.asked.filters)),
                minutes=flow.usual.median.total_seconds() / 60 if flow.usual else None,
            )
            for name, flow in most.items()
        },
    )
    yield _file(
        "status",
        "Jobs by status",
        "Each workflow's jobs by the status that the server gives them, and attempts that were "
        "followed by another.",
        plot_type="bargraph",
        pconfig={"id": "jmreport_status_plot", "title": "Batch jobs: status", "ylab": "Jobs"},
        data={
            name: {escape(status): count for status, count in flow.split.counts.items()}
            for name, flow in most.items()
        },
    )
    if report.attention:
        yield _file(
            "causes",
            "Causes of failures",
            "Pieces of work that are failing now, by cause.",
            plot_type="table",
            pconfig={"id": "jmreport_causes_table", "title": "Batch jobs: causes"},
            headers={
                "state": {"title": "State"},
                "jobs": {"title": "Failing", "format": "{:,.0f}", "scale": "Reds"},
                "class": {"title": "Class"},
                "message": {"title": "Message"},
            },
            data={f"{group.id} {group.state}": _cause(group) for group in report.attention[:ROWS]},
        )


def _file(name: str, title: str, description: str, **more: Any) -> tuple[str, bytes]:
    tree = {
        "id": f"jmreport_{name}",
        "section_name": title,
        "description": escape(description),
        "parent_id": "jmreport",
        "parent_name": "Batch jobs",
        **more,
    }
    body = msgspec.json.format(msgspec.json.encode(tree), indent=1) + b"\n"
    return f"data/jmreport_{name}_mqc.json", body


def _name(name: str) -> str:
    return escape(words.cut_middle(name, _NAME)) or "(no name)"


def _hundredths(share: float | None) -> float | None:
    return None if share is None else share * 100


def _known(**values: float | None) -> dict[str, float]:
    """What is known: MultiQC leaves a cell empty where a value is not there."""
    return {key: value for key, value in values.items() if value is not None}


def _cause(group: CauseGroup) -> dict[str, Any]:
    return {
        "state": group.state,
        "jobs": len(group.jobs),
        "class": group.cause_class,
        "message": escape(words.cut_middle(group.title or group.rule, _MESSAGE)),
    }
