"""The shape in which something is kept: whether it is read as it was meant when it was written.

Told in our own words, so that neither a class that moved to another module nor another msgspec
makes it another.
"""

from functools import cache
from typing import TypeAlias

from msgspec import inspect

_Fielded: TypeAlias = (
    inspect.StructType | inspect.DataclassType | inspect.TypedDictType | inspect.NamedTupleType
)


@cache  # of a night it takes some 10 ms
def shape(of: type) -> str:
    """The fields of a noun and of all that is in it: their names, types, and which may lack.

    Of rows without names also their order, which a field in their middle would shift. What a field
    is that lacks, what classes are called, and which texts a Literal takes are left out: a text
    that it takes no more cannot be read, and nothing is read as another.

    >>> shape(tuple[int | None, dict[str, float]])
    'Tuple(Int|None, Dict(Str, Float))'
    """
    return _told(inspect.type_info(of), ())


def _told(kind: inspect.Type, above: tuple[inspect.Type, ...]) -> str:
    name = type(kind).__name__.removesuffix("Type")
    match kind:
        case inspect.Metadata(type=inner):
            return _told(inner, above)
        case inspect.UnionType(types=types):
            return "|".join(sorted(_told(one, above) for one in types))
        case (
            inspect.StructType()
            | inspect.DataclassType()
            | inspect.TypedDictType()
            | inspect.NamedTupleType()
        ):
            # One that is in itself is the same object there: told by how far above it is.
            for up, one in enumerate(reversed(above)):
                if one is kind:
                    return f"^{up}"
            return _fields(kind, (*above, kind))
        case inspect.CollectionType(item_type=item):
            return f"{name}({_told(item, above)})"
        case inspect.TupleType(item_types=items):
            return f"{name}({', '.join(_told(one, above) for one in items)})"
        case inspect.DictType(key_type=key, value_type=value):
            return f"{name}({_told(key, above)}, {_told(value, above)})"
        case inspect.EnumType(cls=of) | inspect.CustomType(cls=of):
            return f"{name}({of.__name__})"
    return name


def _fields(kind: _Fielded, above: tuple[inspect.Type, ...]) -> str:
    told = [
        f"{field.encode_name!r}{'' if field.required else '?'}: {_told(field.type, above)}"
        for field in kind.fields
    ]
    tag = ""
    if isinstance(kind, inspect.StructType) and kind.tag_field is not None:
        tag = f"{kind.tag_field!r}={kind.tag!r} "
    if isinstance(kind, inspect.NamedTupleType) or getattr(kind, "array_like", False):
        return f"{tag}[{', '.join(told)}]"
    return f"{tag}{{{', '.join(sorted(told))}}}"
