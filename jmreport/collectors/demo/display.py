"""The columns that each kind of server proposes in its capabilities."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]


def _plain(field: str, display: str, **more: Any) -> JSON:
    return {"field": field, "display": display, **more}


SPEC = [
    _plain("id", "Workflow ID", primary=True),
    _plain("name", "Name", primary=True, filterable=True),
    _plain("status", "Status", primary=True),
    _plain("submission", "Submitted", fieldType="date", primary=True),
    _plain("labels.owner", "Owner", primary=True, filterable=True),
    _plain("labels.batch", "Batch", primary=True, filterable=True),
    _plain("labels.sample", "Sample", primary=False, filterable=True),
    _plain("extensions.userId", "User", primary=False),
    _plain("labels.label", "Label", editable=True, bulkEditable=True, fieldType="text"),
    _plain(
        "labels.flag",
        "Flag",
        editable=True,
        bulkEditable=True,
        fieldType="list",
        validFieldValues=["archive", "follow-up"],
    ),
    _plain("labels.comment", "Comment", editable=True, fieldType="text"),
]


def _cromwell(
    field: str,
    display: str,
    *,
    edit: bool = False,
    bulk: bool = False,
    find: bool = False,
    **more: Any,
) -> JSON:
    return {
        "field": field,
        "display": display,
        "editable": edit,
        "bulkEditable": bulk,
        **more,
        "primary": True,
        "filterable": find,
    }


CROMWELL = [
    _cromwell("id", "Workflow ID"),
    _cromwell("name", "Name", find=True),
    _cromwell("status", "Status"),
    _cromwell("submission", "Submitted", fieldType="date"),
    _cromwell("labels.label", "Label", edit=True, bulk=True, fieldType="text"),
    _cromwell(
        "labels.flag",
        "Flag",
        edit=True,
        bulk=True,
        fieldType="list",
        validFieldValues=["archive", "follow-up"],
    ),
    _cromwell("labels.comment", "Comment", edit=True, fieldType="text"),
]


def _dsub(field: str, display: str, *, find: bool = False, **more: Any) -> JSON:
    return {
        "bulkEditable": False,
        "display": display,
        "editable": False,
        "field": field,
        **more,
        "filterable": find,
        "primary": True,
    }


DSUB = [
    _dsub("name", "Name", find=True),
    _dsub("status", "Status"),
    _dsub("submission", "Submitted", fieldType="date"),
    _dsub("labels.job-id", "Job ID"),
    _dsub("labels.task-id", "Task ID"),
    _dsub("labels.attempt", "Attempt"),
    _dsub("extensions.userId", "User ID"),
    _dsub("extensions.statusDetail", "Status Detail"),
]
