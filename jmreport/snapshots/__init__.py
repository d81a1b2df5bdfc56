"""The snapshot store: what was read of a Job Manager, run by run (docs/snapshots.md)."""

from jmreport.snapshots import parts
from jmreport.snapshots.check import FORMAT, OF_ROOT, Fault, check
from jmreport.snapshots.parts import Part, Shard
from jmreport.snapshots.pruning import Pruned
from jmreport.snapshots.redaction import Nothing, Redaction
from jmreport.snapshots.replay import replay
from jmreport.snapshots.runs import read_records
from jmreport.snapshots.store import Store, check_place
from jmreport.snapshots.writing import RunWriter

__all__ = [
    "FORMAT",
    "OF_ROOT",
    "Fault",
    "Nothing",
    "Part",
    "Pruned",
    "Redaction",
    "RunWriter",
    "Shard",
    "Store",
    "check",
    "check_place",
    "parts",
    "read_records",
    "replay",
]
