"""What a run's server says of itself: its columns and common labels, each read for itself.

One field that does not fit the API costs that field, not the columns beside it.
"""

from typing import Any

import msgspec

from jmreport.models import CapabilitiesResponse, DisplayField
from jmreport.records import Run

#: Common labels that name no label: fields of the job itself.
NOT_LABELS = {"id", "status", "submission", "start", "end"}


def capabilities(run: Run) -> CapabilitiesResponse:
    """What the run's server names; nothing where it did not answer or not as the API says."""
    tree = run.capabilities
    if not isinstance(tree, dict):
        return CapabilitiesResponse()
    frames = tree.get("aggregationTimeFrames")
    return CapabilitiesResponse(
        display_fields=_fields(tree.get("displayFields")),
        common_labels=_texts(tree.get("commonLabels")),
        query_extensions=_texts(tree.get("queryExtensions")),
        aggregation_time_frames=_texts(frames) if isinstance(frames, list) else None,
    )


def common_labels(offered: CapabilitiesResponse) -> tuple[str, ...]:
    """The labels that the server calls common, each once, without fields of the job."""
    keys = (label_key(each) for each in offered.common_labels)
    return tuple(key for key in dict.fromkeys(keys) if key and key not in NOT_LABELS)


def label_key(field: str) -> str:
    """A label's key as jobs hold it: a server says `labels.owner`, `label.owner` or `owner`.

    >>> [label_key(field) for field in ("labels.owner", "label.owner", "owner", "label")]
    ['owner', 'owner', 'owner', 'label']
    """
    for prefix in ("labels.", "label."):
        if field.startswith(prefix):
            return field[len(prefix) :]
    return "userId" if field == "extensions.userId" else field


def _fields(told: Any) -> tuple[DisplayField, ...]:
    trees = (each for each in told if isinstance(each, dict)) if isinstance(told, list) else ()
    return tuple(
        _field(each) for each in trees if isinstance(each.get("field"), str) and each["field"]
    )


def _field(told: dict[str, Any]) -> DisplayField:
    """A field as far as it fits: what does not is as if it had not been said."""
    try:
        return msgspec.convert({"display": told["field"], **told}, DisplayField)
    except (msgspec.ValidationError, RecursionError, OverflowError):
        display = told.get("display")
        return DisplayField(
            field=told["field"], display=display if isinstance(display, str) else told["field"]
        )


def _texts(told: Any) -> tuple[str, ...]:
    return tuple(each for each in told if isinstance(each, str)) if isinstance(told, list) else ()
