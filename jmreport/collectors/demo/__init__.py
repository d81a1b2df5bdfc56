"""The built-in server: a Job Manager with a believable laboratory behind it, for demos and tests.

`Demo` is the whole server as a callable, `serve` puts it on a port. It takes after the API's
definition or after one of the two real servers, see `LIKES`. Nothing in here knows the rest of
jmreport: what it sends is written down independently of what reads it.
"""

from .answers import Request, Requests
from .api import BASE, LIKES, MOST_NIGHTS, Demo, Like
from .serve import Responder, Server, serve

__all__ = [
    "BASE",
    "LIKES",
    "MOST_NIGHTS",
    "Demo",
    "Like",
    "Request",
    "Requests",
    "Responder",
    "Server",
    "serve",
]
