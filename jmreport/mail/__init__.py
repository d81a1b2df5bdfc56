"""Mails: from a letter to an answer of the server, with a spool in between that forgets nothing.

    letter --message--> bytes --put--> spool --deliver--> an SMTP server

Whatever stops the program, the spool knows of each recipient whether the mail waits, was sent, was
refused, or may have been sent.
"""

from jmreport.mail.message import Envelope, message
from jmreport.mail.sending import Delivered, Server, TroubleError, deliver, probe
from jmreport.mail.spool import (
    Kept,
    NewerError,
    Parcel,
    PassingSpool,
    Recipient,
    Spool,
    heard,
    heard_as,
    heard_from,
    kept,
    name_of,
    no_room,
    reached,
    together,
    write,
)

__all__ = [
    "Delivered",
    "Envelope",
    "Kept",
    "NewerError",
    "Parcel",
    "PassingSpool",
    "Recipient",
    "Server",
    "Spool",
    "TroubleError",
    "deliver",
    "heard",
    "heard_as",
    "heard_from",
    "kept",
    "message",
    "name_of",
    "no_room",
    "probe",
    "reached",
    "together",
    "write",
]
