"""The jobs of the corpus as results for Allure, as an adapter for batch jobs would write them.

    results/<id>-result.json        a job: status, times, labels, inputs and outputs as parameters,
                                    a step for each task, with a step for each of its events
    results/<id>-log.txt            the end of a failed task's log, attached to its step
    results/<id>-detail.json        the job's JSON, attached (what jmreport has beside its page)

Values are cut as on jmreport's pages. Every job is a test of its own: none counts as a retry.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import md5
from pathlib import Path
from typing import Any

import msgspec

from bench import bare
from bench.commands import empty
from jmreport.records import Record

Tree = dict[str, Any]
_STATUS = {"Succeeded": "passed", "Failed": "failed"}


def write(records: Iterable[Record], where: Path, *, detail: bool) -> None:
    """Results of these jobs in `where`, emptied first; with `detail` their JSON is attached."""
    empty(where)
    for record in records:
        attached = _detail(record, where) if detail else []
        tree = _result(record, where) | {"attachments": attached}
        (where / f"{record.id}-result.json").write_bytes(msgspec.json.encode(tree))


def command(allure: Sequence[str], results: Path, out: Path) -> list[str]:
    """What makes a report anew."""
    return [*allure, "generate", str(results), "--output", str(out)]


def _detail(record: Record, where: Path) -> list[Tree]:
    name = f"{record.id}-detail.json"
    (where / name).write_bytes(msgspec.json.encode(record.detail))
    return [{"name": "Job", "source": name, "type": "application/json"}]


def _result(record: Record, where: Path) -> Tree:
    d: Tree = msgspec.to_builtins(record.detail)
    failures = d["failures"]
    labels = [{"name": name, "value": value} for name, value in d["labels"].items()]
    own = md5(record.id.encode(), usedforsecurity=False).hexdigest()
    return {
        "uuid": record.id,
        "historyId": own,
        "testCaseId": own,
        "fullName": f"{d['name']}#{record.id}",
        "name": f"{d['name']} {record.id[:8]}",
        **_span(d, d["status"]),
        "statusDetails": {"message": failures[0]["failure"]} if failures else {},
        "labels": [*labels, {"name": "suite", "value": d["name"]}],
        "parameters": [*_parameters(d["inputs"]), *_parameters(d["outputs"])],
        "steps": [_step(task, record, where) for task in d["extensions"]["tasks"]],
    }


def _step(task: Tree, record: Record, where: Path) -> Tree:
    told = task.get("failureMessages")
    return {
        "name": task["name"],
        **_span(task, task["executionStatus"]),
        "statusDetails": {"message": told[0]} if told else {},
        "parameters": [
            *_parameters({"return code": task["returnCode"], "log": task["backendLog"]}),
            *_parameters(task["inputs"]),
            *_parameters(task["outputs"]),
        ],
        "steps": [
            {"name": event["name"], **_span(event, "Succeeded")}
            for event in task["executionEvents"]
        ],
        "attachments": _log(task, record, where),
    }


def _log(task: Tree, record: Record, where: Path) -> list[Tree]:
    logs: Tree = msgspec.to_builtins(record.logs)
    if task["backendLog"] not in logs:
        return []
    name = f"{record.id}-log.txt"
    (where / name).write_text(logs[task["backendLog"]]["contents"])
    return [{"name": "End of the log", "source": name, "type": "text/plain"}]


def _span(part: Tree, status: str) -> Tree:
    start, stop = (datetime.fromisoformat(part[at]) for at in ("start", "end"))
    return {
        "status": _STATUS[status],
        "stage": "finished",
        "start": int(start.timestamp() * 1000),
        "stop": int(stop.timestamp() * 1000),
    }


def _parameters(held: Tree) -> list[Tree]:
    return [
        {"name": name, "value": bare.cut(value if isinstance(value, str) else _json(value))}
        for name, value in held.items()
    ]


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
