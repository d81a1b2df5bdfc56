"""Whether something is kept in the shape in which it was: render/shapes.py."""

from typing import Any

import msgspec
import pytest

from jmreport.night import Night
from jmreport.render.shapes import shape

FIELDS = [("spent", float), ("lost", float | None, None)]


def _shape(fields: Any = FIELDS, *, array_like: bool = True, name: str = "Row", **more: Any) -> str:
    """The shape of something in which rows of these fields are."""
    row = msgspec.defstruct(name, fields, array_like=array_like, **more)
    return shape(msgspec.defstruct("Kept", [("rows", tuple[row, ...])]))  # type: ignore[valid-type]


def test_a_class_that_moved_has_the_shape_that_it_had() -> None:
    """Else all nights would be told again, with the prices, promises and issues of today."""
    moved = _shape(name="Line", module="elsewhere", namespace={"__doc__": "A row."})
    other_default = [("spent", float), ("lost", None | float, 1.0)]
    assert {moved, _shape(other_default)} == {_shape()}
    assert "jmreport" not in shape(Night)


@pytest.mark.parametrize(
    "other",
    [
        [("used", float), ("lost", float | None, None)],
        [("lost", float | None), ("spent", float)],
        [("spent", float), ("much", bool), ("lost", float | None, None)],
        [("spent", float), ("lost", float | None, None), ("much", bool, False)],
        [("spent", int), ("lost", float | None, None)],
        [("spent", float), ("lost", float, 0.0)],
        [("spent", float), ("lost", float | None)],
        [("spent", float, 0.0), ("lost", float | None, None)],
    ],
)
@pytest.mark.parametrize("array_like", [True, False])
def test_what_is_kept_in_another_shape_is_told_apart(other: Any, array_like: bool) -> None:
    """Also where it would be read without an error, as rows of numbers are."""
    assert _shape(other, array_like=array_like) != _shape(array_like=array_like)


def test_the_order_of_fields_counts_in_rows_without_names_alone() -> None:
    there, back = [("a", int), ("b", int)], [("b", int), ("a", int)]
    assert _shape(there) != _shape(back)
    assert _shape(there, array_like=False) == _shape(back, array_like=False)
    assert _shape(there) != _shape(there, array_like=False)


class Tree(msgspec.Struct):
    left: "Tree | None" = None
    name: str = ""


def test_what_is_in_itself_has_a_shape_too() -> None:
    assert shape(Tree) == "{'left'?: None|^0, 'name'?: Str}"
