"""The outside where objects are kept: a bucket of Google Cloud Storage, or a folder.

    place = open_bucket("gs://team-reports/nightly", environ=os.environ)
    place.write("index.html", page, generation=0, headers=Headers(content_type="text/html"))

Whoever has a `Bucket` cannot tell which it is. Every object carries a generation, a number that
changes with its content: a write or a deletion can be made to hold only for the generation that was
read, which is how two writers that know nothing of each other never undo each other's work.
Whatever fails in passing (429, 5xx, a connection that breaks) is tried again here.
"""

from jmreport.bucket.opening import open_bucket
from jmreport.bucket.threads import in_threads
from jmreport.bucket.values import Bucket, Headers, Held, Read

__all__ = ["Bucket", "Headers", "Held", "Read", "in_threads", "open_bucket"]
