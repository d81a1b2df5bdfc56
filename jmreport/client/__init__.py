"""One polite session with a Job Manager, for collectors and actions alike.

    addresses   where an operation lies: the server's address, ids and tasks percent-encoded
    wire        one request over one connection (the only module that makes anything of httpx)
    lean        httpx, without what it loads for others
    patience    what is tried again, after how long, and how many requests a second
    answers     an answer read by status, content type and length, then parsed
    offers      what the server offers, and how each operation fared
    authority   the headers that say who asks, and the secrets among them
    asking      a request paced, counted and repeated
    session     the Client: the API's eleven operations

Importing this package loads no network library; making a Client, or calling `send`, does.
"""

from jmreport.client.answers import Respond
from jmreport.client.patience import Patience
from jmreport.client.session import Client, send

__all__ = ["Client", "Patience", "Respond", "send"]
