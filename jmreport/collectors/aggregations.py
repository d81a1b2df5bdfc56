"""The server's own counts for the six time frames, asked where they are offered."""

from typing import Any

from jmreport.client import Client
from jmreport.errors import NotOfferedError, UnreadableError
from jmreport.gaps import Gap, server_counts
from jmreport.models import TIME_FRAMES, CapabilitiesResponse


def read(
    client: Client, capabilities: CapabilitiesResponse, *, project_id: str | None
) -> tuple[dict[str, Any], tuple[Gap, ...]]:
    """Time frame -> body of the answer, and what was offered and could not be read.

    Neither shim names its frames in the capabilities, though dsub answers; so where none are named
    all are asked, and where some are named only those.
    """
    named = capabilities.aggregation_time_frames
    frames = TIME_FRAMES if named is None else tuple(f for f in TIME_FRAMES if f in named)
    bodies: dict[str, Any] = {}
    gaps: list[Gap] = []
    for frame in frames:
        try:
            bodies[frame] = client.aggregations(frame, project_id)
        except NotOfferedError:
            # What failed on the way to learning this was the same lack, so it is no gap either.
            return bodies, () if not bodies else tuple(gaps)
        except UnreadableError as error:
            gaps.append(Gap(what=server_counts(frame), why=error.message))
    return bodies, tuple(gaps)
