"""The snapshot store: what was read of a Job Manager, run by run (docs/snapshots.md)."""

from jmreport.snapshots.check import Fault, check
from jmreport.snapshots.pruning import Pruned
from jmreport.snapshots.redaction import Redaction
from jmreport.snapshots.replay import replay
from jmreport.snapshots.runs import read_records
from jmreport.snapshots.store import Store
from jmreport.snapshots.writing import RunWriter

__all__ = ["Fault", "Pruned", "Redaction", "RunWriter", "Store", "check", "read_records", "replay"]
