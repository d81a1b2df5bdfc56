"""The keys of the settings: each with its type, its limits, its default and its meaning.

KEYS["site.dir"].meaning      The folder the pages are written to.
KEYS["site.dir"].variable     JMREPORT_SITE_DIR
"""

from typing import Any, get_args, get_origin

from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo, fields

from jmreport.settings import PATH, PLACE, Section, Settings


class Key(Struct, frozen=True, kw_only=True):
    """What is known of one key: `api.url`."""

    path: str
    type: Any
    default: Any
    meta: Meta
    #: Whether it belongs to a table that may be given again: `[[slo]]`, `[[actions.allow]]`.
    listed: bool = False

    @property
    def section(self) -> str:
        """The table it stands in: "api", "actions.allow"."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its own name in that table."""
        return self.path.rpartition(".")[2]

    @property
    def meaning(self) -> str:
        return self.meta.description or ""

    @property
    def example(self) -> Any:
        """A value worth showing: the default, or one made up where that says nothing."""
        return self.meta.examples[0] if self.meta.examples else self.default

    @property
    def is_path(self) -> bool:
        return self.meta.extra in (PATH, PLACE)

    @property
    def is_local(self) -> bool:
        """Whether it is a path, and nothing else."""
        return self.meta.extra == PATH

    @property
    def scalar(self) -> bool:
        """Whether the environment can hold it: text, a number, or true and false."""
        return get_origin(get_args(self.type)[0]) not in (tuple, dict) and not self.listed

    @property
    def variable(self) -> str:
        """Its name in the environment: `JMREPORT_API_URL`."""
        return "JMREPORT_" + self.path.upper().replace(".", "_")


def _key(section: str, info: FieldInfo, *, listed: bool = False) -> Key:
    if info.default is not NODEFAULT:
        default = info.default
    else:
        default = None if info.default_factory is NODEFAULT else info.default_factory()
    meta = next(part for part in info.type.__metadata__ if isinstance(part, Meta))
    path = f"{section}.{info.name}"
    return Key(path=path, type=info.type, default=default, meta=meta, listed=listed)


def _is_list(info: FieldInfo) -> bool:
    """Whether a field holds tables that may be given again, rather than values."""
    item = next(iter(get_args(info.type)), None) if get_origin(info.type) is tuple else None
    return isinstance(item, type) and issubclass(item, Section)


#: The tables by name, in the order in which they are shown.
SECTIONS: dict[str, type[Section]] = {
    info.name: info.type for info in fields(Settings) if get_origin(info.type) is None
}
#: The tables that may be given again: `[[slo]]`, and those within a table: `[[actions.allow]]`.
LISTS: dict[str, type[Section]] = {
    info.name: get_args(info.type)[0] for info in fields(Settings) if _is_list(info)
} | {
    f"{section}.{info.name}": get_args(info.type)[0]
    for section, struct in SECTIONS.items()
    for info in fields(struct)
    if _is_list(info)
}
#: Every key by its path.
KEYS: dict[str, Key] = {
    key.path: key
    for section, struct in (SECTIONS | LISTS).items()
    for key in (
        _key(section, info, listed=section in LISTS)
        for info in fields(struct)
        if not _is_list(info)
    )
}
