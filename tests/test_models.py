"""The models against the API's own table of facts: every definition, property, type and default.

A model is wider than the API only where a server is, and each place is an entry below with its
reason. A definition or property that is added to the table and not to the models fails here.
"""

import json
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest

from jmreport import models
from jmreport.client.offers import NAMES

TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "fields.json").read_text())
DEFINITIONS: dict[str, Any] = TABLE["definitions"]
OBJECTS = {name: facts for name, facts in DEFINITIONS.items() if "enum" not in facts}
PROPERTIES = [(name, key) for name, facts in OBJECTS.items() for key in facts]

#: A type of the table -> the type of the model, where both mean the same.
SAME: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "integer:int32": int,
    "number": float,
    "object": dict[str, Any],
}
#: A type of the table that is held wider everywhere, and why.
WIDER_TYPES: dict[str, tuple[Any, str]] = {
    "string:date-time": (str, "text as sent: dates may be naive, and one bad date loses no job"),
    "JobStatus": (str, "open: a word that no enum names must not raise"),
    "FieldType": (str, "open, like every word of a server"),
    "array<TimeFrame>": (tuple[str, ...], "open: a server may name a frame that is not known"),
}
#: A property that is held wider than its type, and why.
WIDER: dict[tuple[str, str], tuple[Any, str]] = {
    ("FileContents", "truncated"): (str | bool, "a boolean from the Cromwell shim"),
    ("AggregationEntry", "label"): (
        str | int | float | bool | None,
        "dsub sends integers beside text",
    ),
}
#: A property that is held narrower, and why.
NARROWER: dict[tuple[str, str], tuple[Any, str]] = {
    ("QueryJobsRequest", "labels"): (dict[str, str], "ours to send: values of labels are text"),
    ("UpdateJobLabelsRequest", "labels"): (
        dict[str, str],
        "ours to send: null and integer values are refused by the Cromwell shim",
    ),
}
#: Containers whose absence is told from emptiness, and why; all others are empty when absent.
ABSENT: dict[tuple[str, str], str] = {
    ("CapabilitiesResponse", "aggregationTimeFrames"): "absent is not saying, not offering none",
    ("QueryJobsRequest", "status"): "unset keys are left out of a request",
    ("QueryJobsRequest", "labels"): "unset keys are left out of a request",
}
#: References whose absence is None; other references that may be absent are empty objects.
NO_OBJECT: dict[tuple[str, str], str] = {
    ("CapabilitiesResponse", "authentication"): "no key where no sign-in is needed",
    ("QueryJobsRequest", "extensions"): "unset keys are left out of a request",
}
#: A default of the table that is written at the referenced definition.
ENUM_DEFAULTS = {
    name: facts["default"] for name, facts in DEFINITIONS.items() if "default" in facts
}


def model(name: str) -> type[msgspec.Struct]:
    found = getattr(models, name, None)
    assert isinstance(found, type), f"models.py has no {name}"
    assert issubclass(found, models.ApiModel), f"models.{name} is no ApiModel"
    return found


def fields_of(name: str) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(model(name))}


def expected(name: str, key: str) -> Any:
    """The type that a property has in the model, without None for absence."""
    for widening in (WIDER, NARROWER):
        if (name, key) in widening:
            return widening[name, key][0]
    return translated(OBJECTS[name][key]["type"])


def translated(word: str) -> Any:
    if word in WIDER_TYPES:
        return WIDER_TYPES[word][0]
    if word.startswith("array<"):
        return types.GenericAlias(tuple, (translated(word[6:-1]), ...))
    if word in SAME:
        return SAME[word]
    return model(word)


def without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        rest = [part for part in get_args(kind) if part is not type(None)]
        return Union[tuple(rest)]  # noqa: UP007 - built from parts
    return kind


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


@pytest.mark.parametrize("name", OBJECTS)
def test_every_definition_has_its_model_with_the_same_properties(name: str) -> None:
    assert set(fields_of(name)) == set(OBJECTS[name])


def test_no_model_is_made_up() -> None:
    ours = {
        name
        for name, found in vars(models).items()
        if isinstance(found, type) and issubclass(found, models.ApiModel)
    }
    assert ours - {"ApiModel"} == set(OBJECTS)


@pytest.mark.parametrize(("name", "key"), PROPERTIES)
def test_every_property_has_its_type(name: str, key: str) -> None:
    field = fields_of(name)[key]
    assert without_none(field.type) == without_none(expected(name, key))


@pytest.mark.parametrize(("name", "key"), PROPERTIES)
def test_a_property_is_required_where_the_api_says_so(name: str, key: str) -> None:
    assert fields_of(name)[key].required is OBJECTS[name][key]["required"]


@pytest.mark.parametrize(("name", "key"), PROPERTIES)
def test_an_absent_property_has_the_apis_default_or_is_empty(name: str, key: str) -> None:
    facts, field = OBJECTS[name][key], fields_of(name)[key]
    if facts["required"]:
        return
    if (name, key) in ABSENT or (name, key) in NO_OBJECT:
        assert field.default is None
    elif "default" in facts or facts["type"] in ENUM_DEFAULTS:
        assert field.default == facts.get("default", ENUM_DEFAULTS.get(facts["type"]))
    elif facts["type"].startswith("array<"):
        assert default_of(field) == ()
    elif facts["type"] == "object":
        assert default_of(field) == {}
    elif facts["type"] in OBJECTS:
        assert default_of(field) == model(facts["type"])()
    else:
        assert field.default is None


def test_the_words_of_the_api_are_those_of_the_models() -> None:
    assert DEFINITIONS["JobStatus"]["enum"] == list(models.JOB_STATUSES)
    assert DEFINITIONS["TimeFrame"]["enum"] == list(models.TIME_FRAMES)
    assert DEFINITIONS["TimeFrame"]["enum"] == list(get_args(models.TimeFrame))
    assert DEFINITIONS["FieldType"]["enum"] == list(models.FIELD_TYPES)
    assert {name for name in DEFINITIONS if name not in OBJECTS} == {
        "JobStatus",
        "TimeFrame",
        "FieldType",
    }


def test_every_status_is_either_active_or_ended() -> None:
    assert set(models.ACTIVE_STATUSES) | set(models.TERMINAL_STATUSES) == set(models.JOB_STATUSES)
    assert not set(models.ACTIVE_STATUSES) & set(models.TERMINAL_STATUSES)


def test_every_operation_is_one_of_the_clients() -> None:
    assert {operation["operationId"] for operation in TABLE["operations"]} == set(NAMES)


@pytest.mark.parametrize("entries", [WIDER, NARROWER, ABSENT, NO_OBJECT])
def test_every_exception_names_a_property_that_exists(entries: dict[tuple[str, str], Any]) -> None:
    """An exception for what is gone would hide what comes in its place."""
    assert set(entries) <= set(PROPERTIES)


@pytest.mark.parametrize(("word", "wider"), WIDER_TYPES.items())
def test_every_wider_type_is_in_the_table(word: str, wider: tuple[Any, str]) -> None:
    assert any(facts[key]["type"] == word for facts in OBJECTS.values() for key in facts)
    assert wider[1]


def smallest(name: str) -> dict[str, Any]:
    """An object with the required properties only."""
    made: dict[str, Any] = {}
    for key, facts in OBJECTS[name].items():
        if facts["required"]:
            kind = facts["type"]
            made[key] = [] if kind.startswith("array<") else "x"
            if kind in OBJECTS:
                made[key] = smallest(kind)
    return made


@pytest.mark.parametrize("name", OBJECTS)
def test_the_smallest_legal_object_is_read(name: str) -> None:
    msgspec.convert(smallest(name), model(name))


@pytest.mark.parametrize("name", OBJECTS)
def test_an_unknown_field_never_stops_a_reader(name: str) -> None:
    msgspec.convert(smallest(name) | {"addedLater": [{"x": None}]}, model(name))


def test_a_request_never_holds_a_null() -> None:
    """Both shims refuse a null for an optional key."""
    request = models.QueryJobsRequest(
        page_size=5, extensions=models.ExtendedQueryFields(project_id="p")
    )
    assert msgspec.json.encode(request) == b'{"pageSize":5,"extensions":{"projectId":"p"}}'
    assert msgspec.json.encode(models.QueryJobsRequest()) == b"{}"


@pytest.mark.parametrize("status", [*models.JOB_STATUSES, "Paused", ""])
def test_any_word_for_a_status_is_read(status: str) -> None:
    row = {"id": "a", "status": status, "submission": "2026-11-23T02:14:00"}
    assert msgspec.convert(row, models.QueryJobsResult).status == status


@pytest.mark.parametrize("truncated", [True, False, "true"])
def test_whether_a_log_is_cut_may_be_a_boolean_or_text(truncated: Any) -> None:
    tail = {"contents": "x", "truncated": truncated}
    assert msgspec.convert(tail, models.FileContents).truncated == truncated
