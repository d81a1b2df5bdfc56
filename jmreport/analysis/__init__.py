"""Numbers and rules: from rows to everything the pages say. Pure functions, no disk, no clock."""

from jmreport.analysis.beneath import Beneath, GrowingBeneath
from jmreport.analysis.contexts import contexts
from jmreport.analysis.difference import difference, known
from jmreport.analysis.frozen import as_told, frozen, jobs_named, named
from jmreport.analysis.handed import Relabelled, handed, relabelled
from jmreport.analysis.identity import known_unrepeated
from jmreport.analysis.keys import Verdicts, known_hidden, verdicts
from jmreport.analysis.leaning import leaned_on
from jmreport.analysis.making import Remembering, analyse, retold, told
from jmreport.analysis.measures import measure
from jmreport.analysis.retelling import Retelling
from jmreport.analysis.rows import summarise
from jmreport.analysis.teams import OfTeam, Teams, runs_of_team

__all__ = [
    "Beneath",
    "GrowingBeneath",
    "OfTeam",
    "Relabelled",
    "Remembering",
    "Retelling",
    "Teams",
    "Verdicts",
    "analyse",
    "as_told",
    "contexts",
    "difference",
    "frozen",
    "handed",
    "jobs_named",
    "known",
    "known_hidden",
    "known_unrepeated",
    "leaned_on",
    "measure",
    "named",
    "relabelled",
    "retold",
    "runs_of_team",
    "summarise",
    "told",
    "verdicts",
]
