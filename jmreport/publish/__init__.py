"""Publishing: which objects a site needs, in what order, and how two publishers never mix.

    1  assets             named by their content, so they disturb nothing
    2  new pages          nothing links to them yet
    3  changed pages      which may link to the new ones
    4  changed indexes    the overview last
    5  the manifest       conditional on the generation that was read: the commit
    6  deletions          of what no manifest has named for a day

Stopped after any object, no page that can be reached links to one that isn't there, and the next
run goes on from there. A claim keeps two publishers from mixing.
"""

from jmreport.publish.claim import Claim, Me, refuse_newer, take
from jmreport.publish.manifest import CLAIM, MANIFEST, MIXED, PENDING, Manifest
from jmreport.publish.planning import (
    Laid,
    Plan,
    Put,
    SiteFile,
    lay_out,
    plan,
    refuse_foreign,
    refuse_taken,
)
from jmreport.publish.serving import body
from jmreport.publish.uploading import Sending, Sent

__all__ = [
    "CLAIM",
    "MANIFEST",
    "MIXED",
    "PENDING",
    "Claim",
    "Laid",
    "Manifest",
    "Me",
    "Plan",
    "Put",
    "Sending",
    "Sent",
    "SiteFile",
    "body",
    "lay_out",
    "plan",
    "refuse_foreign",
    "refuse_newer",
    "refuse_taken",
    "take",
]
