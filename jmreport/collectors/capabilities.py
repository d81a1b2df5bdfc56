"""What a server is: its capabilities and its health."""

from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import fields

from jmreport.client import Client
from jmreport.errors import UnreadableError
from jmreport.gaps import Gap
from jmreport.models import CapabilitiesResponse, HealthResponse


class Server(Struct, frozen=True, kw_only=True):
    """What a server says of itself: the tree as received, a view of it, its health in words.

    A capability that could not be read is a gap; the view then holds the API's defaults, with
    which every collector can go on.
    """

    tree: Any
    view: CapabilitiesResponse
    health: str
    #: What its answer about its health holds beyond the API: path -> value.
    own_fields: dict[str, Any] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


def read(client: Client) -> Server:
    """Ask for capabilities and health; neither stops a run."""
    gaps: list[Gap] = []
    tree: Any = None
    try:
        tree = client.capabilities()
    except UnreadableError as error:
        gaps.append(Gap(what="capabilities", why=error.message))
    view, misfit = _view(tree)
    if misfit and not gaps:
        gaps.append(Gap(what="capabilities", why=misfit))
    health, answer = client.health()
    own = own_fields(answer, HealthResponse, "health.")
    return Server(tree=tree, view=view, health=health, own_fields=own, gaps=tuple(gaps))


def own_fields(tree: dict[str, Any], model: type[Struct], path: str) -> dict[str, Any]:
    """Path -> value of what an answer holds at its top that the API does not name."""
    named = {each.encode_name for each in fields(model)}
    return {f"{path}{name}": tree[name] for name in tree if name not in named}


def _view(tree: Any) -> tuple[CapabilitiesResponse, str]:
    """The view, property by property where the whole doesn't fit, and what did not fit."""
    if tree is None:
        return CapabilitiesResponse(), ""
    try:
        return msgspec.convert(tree, CapabilitiesResponse, strict=False), ""
    except msgspec.ValidationError as error:
        misfit = f"not as the API says: {error}"
    if not isinstance(tree, dict):
        return CapabilitiesResponse(), misfit
    fitting: dict[str, Any] = {}
    for key, value in tree.items():
        try:
            msgspec.convert({key: value}, CapabilitiesResponse, strict=False)
        except msgspec.ValidationError:
            continue
        fitting[key] = value
    return msgspec.convert(fitting, CapabilitiesResponse, strict=False), misfit
