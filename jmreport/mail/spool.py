"""The spool: each mail on disk before anything is sent, and what became of it.

    snapshots-mail/20261123T021400Z-germline-1a2b3c4d.eml    the mail, as it is sent
    snapshots-mail/20261123T021400Z-germline-1a2b3c4d.json   what became of it:

    {"team": "germline", "night": "20261123T021400Z", "subject": "[jm] germline · …", "tries": 1,
     "recipients": [{"address": "ana@example.org", "state": "sent"},
                    {"address": "bo@example.org", "state": "refused", "why": "550 no such user"}]}

    snapshots-mail/heard    the last runs of which a team got a mail, or that were no news to it:

    {"germline": ["20261122T021400Z", "20261123T021400Z"]}

A recipient's state is `waiting`, `sending` (from the moment at which the server may take the mail
until it has answered), `sent`, `refused` or `dropped`. Who finds `sending` knows that the mail may
have been sent. Files are written beside their place, synced and moved in; the record comes last.

A record without a `format` is of the first. One of a newer jmreport is left as it is, and no mail
is sent from beside it: nobody here can say what became of it.
"""

import os
import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from jmreport.errors import JmreportError, LockedError
from jmreport.records import run_order

State = Literal["waiting", "sending", "sent", "refused", "dropped"]
#: Raised when a record changes its meaning, so that an older jmreport leaves it alone.
FORMAT = 1
LOCK = "lock"
HEARD = "heard"
#: Runs that are kept of each team there. A mail compares with the last before its own; one that is
#: made again, with one before that.
_MOST_HEARD = 10
_TEMPORARY = ".tmp"
#: Bytes of the mails of a night: a few dozen of 20 KB, and what became of them.
_NIGHT = 1_000_000


class NewerError(JmreportError):
    """A newer jmreport kept a mail there: no other is sent from beside it."""


class Recipient(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address, and what became of the mail to it: `why` is the server's answer, or ours."""

    address: str
    state: State = "waiting"
    why: str = ""


class Parcel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail in the spool. `told` says that its end was told of and that nothing more is done;
    `failed` that it tells of no run, since none came or none could be read."""

    team: str
    night: str
    sender: str
    subject: str
    recipients: tuple[Recipient, ...]
    made: datetime
    tries: int = 0
    told: bool = False
    failed: bool = False
    format: int = 1

    @property
    def name(self) -> str:
        return name_of(self.night, self.team)

    def in_state(self, *states: State) -> tuple[Recipient, ...]:
        return tuple(each for each in self.recipients if each.state in states)

    @property
    def waits(self) -> bool:
        """Whether there is somebody left to send it to."""
        return bool(self.in_state("waiting"))

    @property
    def untouched(self) -> bool:
        """Whether no server was ever asked to take it."""
        return not self.in_state("sending", "sent", "refused")

    def turned(self, addresses: Iterable[str], state: State, why: str = "") -> "Parcel":
        """The same with other words on some of its recipients."""
        wanted = frozenset(addresses)
        return replace(
            self,
            recipients=tuple(
                replace(each, state=state, why=why) if each.address in wanted else each
                for each in self.recipients
            ),
        )


class Kept(Struct, frozen=True, kw_only=True):
    """The mails of a spool, oldest night first; and why some, by their names, cannot be read: of
    those that are among the `parcels`, and wait, the mail itself."""

    parcels: tuple[Parcel, ...] = ()
    unread: Mapping[str, JmreportError] = {}

    def anew(self, name: str) -> bool:
        """Whether a mail that cannot be read was given to nobody, so that it may be made anew."""
        return any(parcel.name == name and parcel.untouched for parcel in self.parcels)


def name_of(night: str, team: str) -> str:
    """What a mail's files are called: nothing of a team's name but letters, digits and dashes.

    >>> name_of("20261123T021400Z", "../Ärzte")
    '20261123T021400Z-arzte-47fd4487'
    """
    digest = blake2b(team.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{night}-{slug(team) or 'team'}-{digest}"


def slug(team: str) -> str:
    """A team's name in letters, digits and dashes, for headers and files; "" where none is left.

    >>> slug("../Ärzte der Nacht"), slug("夜")
    ('arzte-der-nacht', '')
    """
    plain = unicodedata.normalize("NFKD", team[:400]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")


class Spool:
    """A spool that is open: nobody else sends from it until it is closed, or this process ends.

    Raises LockedError where somebody does, and JmreportError where it cannot be written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(root / LOCK)
            for left in root.glob(f"*{_TEMPORARY}"):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise _failed(root, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        os.close(self._lock)

    def put(self, parcel: Parcel, mail: bytes) -> None:
        """Keeps a mail; from then on it is sent, or told of."""
        # A record of an earlier making must never stand beside another mail.
        self._remove(parcel.name, ".json")
        self._write(parcel.name, ".eml", mail)
        self.record(parcel)

    def record(self, parcel: Parcel) -> None:
        """Keeps what became of a mail."""
        body = msgspec.json.encode(replace(parcel, format=FORMAT))
        self._write(parcel.name, ".json", body + b"\n")

    def get(self, night: str, team: str) -> Parcel | None:
        """The mail of a team and night; None where there is none."""
        path = self.root / f"{name_of(night, team)}.json"
        return _read(path) if path.exists() else None

    def mail(self, parcel: Parcel) -> bytes:
        """The mail itself."""
        path = self.root / f"{parcel.name}.eml"
        try:
            return path.read_bytes()
        except OSError as error:
            raise _failed(path, error) from error

    def kept(self) -> Kept:
        """All mails that are kept."""
        return kept(self.root)

    def forget(self, parcel: Parcel) -> None:
        """Removes a mail and what became of it."""
        self._remove(parcel.name, ".eml")
        self._remove(parcel.name, ".json")

    def hear(self, teams: Sequence[str], night: str) -> None:
        """Notes that what a run brought was told to these teams, or was no news to them."""
        known = _heard(self.root)
        known.update({team: _last((*known.get(team, ()), night)) for team in teams})
        if known != _heard(self.root):
            write(self.root / HEARD, heard_as(known))

    def _write(self, name: str, suffix: str, body: bytes) -> None:
        write(self.root / f"{name}{suffix}", body)

    def _remove(self, name: str, suffix: str) -> None:
        path = self.root / f"{name}{suffix}"
        try:
            path.unlink(missing_ok=True)
            _sync(self.root)
        except OSError as error:
            raise _failed(path, error) from error


def kept(root: Path) -> Kept:
    """All mails of a spool; none where there is no spool. What cannot be read of one says nothing
    of the others. Raises NewerError where a newer jmreport kept one."""
    found = _kept(root)
    for error in found.unread.values():
        if isinstance(error, NewerError):
            raise error
    return found


def _kept(root: Path) -> Kept:
    parcels: list[Parcel] = []
    unread: dict[str, JmreportError] = {}
    for path in sorted(root.glob("*.json")):
        try:
            parcel = _read(path)
        except JmreportError as error:
            unread[path.stem] = error
            continue
        parcels.append(parcel)
        mail = root / f"{parcel.name}.eml"
        if parcel.waits and (why := _unopened(mail)):
            unread[parcel.name] = JmreportError(
                f"{mail} cannot be read: {why}",
                hint=f"somebody waits for it: make it and {path.name} readable for this user, or "
                "move what is left of both away",
            )
    return Kept(parcels=tuple(parcels), unread=unread)


def heard(root: Path) -> dict[str, tuple[str, ...]]:
    """The last runs of which each team has heard, oldest first, or that were no news to it.

    None of a team that never did, and of no team where that cannot be read: a mail then compares
    with the run before. Where a mail was kept and its maker was killed, the mail itself says so;
    one that tells of no run leaves all news to the next.
    """
    known = _heard(root)
    if not known:
        return known
    # What cannot be read of the mails, or is a newer jmreport's, is for those to say who send them.
    for parcel in _kept(root).parcels:
        before = None if parcel.failed else known.get(parcel.team)
        if before and run_order(parcel.night) > run_order(before[-1]):
            known[parcel.team] = (*before, parcel.night)
    return known


def reached(root: Path) -> dict[str, tuple[str, ...]]:
    """The same without runs whose mail no server was asked to take: it waits in this spool, and
    whoever does not have the spool tells its news. Raises NewerError where a newer jmreport kept
    one: whether that waits, nobody can tell others."""
    known = heard(root)
    for parcel in kept(root).parcels:
        if parcel.untouched and parcel.team in known:
            known[parcel.team] = tuple(run for run in known[parcel.team] if run != parcel.night)
    return {team: runs for team, runs in known.items() if runs}


def together(*known: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """What several know of it, as one that knows it all."""
    teams = dict.fromkeys(team for one in known for team in one)
    return {team: _last(run for one in known for run in one.get(team, ())) for team in teams}


def heard_as(known: dict[str, tuple[str, ...]]) -> bytes:
    """The runs of which teams have heard, as a file or an object holds them."""
    return msgspec.json.encode(known, order="sorted") + b"\n"


def heard_from(body: bytes) -> dict[str, tuple[str, ...]]:
    """The runs of which teams have heard; of no team where that cannot be read."""
    try:
        known = msgspec.json.decode(body, type=dict[str, tuple[str, ...]])
        return {team: _last(runs) for team, runs in known.items()}
    except ValueError:  # as all that msgspec, bytes and digits raise is
        return {}


def _heard(root: Path) -> dict[str, tuple[str, ...]]:
    try:
        return heard_from((root / HEARD).read_bytes())
    except OSError:
        return {}


def _last(heard: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(heard), key=run_order)[-_MOST_HEARD:])


class PassingSpool(Spool):
    """A spool that keeps its mails for as long as this process sends them: for a night of which no
    disk can keep anything."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mails: dict[str, bytes] = {}
        self._parcels: dict[str, Parcel] = {}

    def __exit__(self, *_: object) -> None:
        self._mails.clear()

    def put(self, parcel: Parcel, mail: bytes) -> None:
        """Holds a mail."""
        self._mails[parcel.name] = mail
        self.record(parcel)

    def record(self, parcel: Parcel) -> None:
        """Holds what became of a mail."""
        self._parcels[parcel.name] = parcel

    def get(self, night: str, team: str) -> Parcel | None:
        """The mail of a team and night that is held; None where there is none."""
        return self._parcels.get(name_of(night, team))

    def mail(self, parcel: Parcel) -> bytes:
        """The mail itself."""
        return self._mails[parcel.name]

    def kept(self) -> Kept:
        """All mails that are held."""
        return Kept(parcels=tuple(self._parcels.values()))

    def hear(self, teams: Sequence[str], night: str) -> None:
        """Notes nothing: the next mail tells it once more."""

    def forget(self, parcel: Parcel) -> None:
        """Lets go of a mail and what became of it."""
        self._mails.pop(parcel.name, None)
        self._parcels.pop(parcel.name, None)


def no_room(root: Path) -> str:
    """Why a night's mails cannot be kept in a spool; "" where they can.

    Raises LockedError where somebody else sends from it.
    """
    probe = root / f"room{_TEMPORARY}"
    try:
        with Spool(root):
            write(probe, os.urandom(_NIGHT))
            probe.unlink(missing_ok=True)
    except LockedError:
        raise
    except JmreportError as error:
        return error.message.replace(f"{probe}", f"{root}")
    return ""


def write(path: Path, body: bytes) -> None:
    """Write a whole file that only this user reads, or leave what was there."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise _failed(path, error) from error


class _Head(Struct, frozen=True):
    format: int = 1


def _read(path: Path) -> Parcel:
    try:
        body = path.read_bytes()
        number = msgspec.json.decode(body, type=_Head).format
        if number > FORMAT:
            raise NewerError(
                f"{path} was written by a newer jmreport (format {number}, this one reads "
                f"{FORMAT})",
                hint="update jmreport and run again; until then no mail is sent from there",
            )
        return msgspec.json.decode(body, type=Parcel)
    except OSError as error:
        raise JmreportError(
            f"{path} cannot be read: {error.strerror or error}",
            hint="nobody can say whether this mail was sent: make the file and "
            f"{path.stem}.eml readable for this user",
        ) from error
    except msgspec.DecodeError as error:
        raise JmreportError(
            f"{path} is damaged: {error}",
            hint="nobody can say whether this mail was sent: look at the .eml beside it, then "
            "move both away",
        ) from error


def _unopened(path: Path) -> str:
    """Why a file cannot be read; "" where it can."""
    try:
        path.open("rb").close()
    except OSError as error:
        return error.strerror or f"{error}"
    return ""


def _locked(path: Path) -> int:
    import fcntl  # systems without it can still write mails to files

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise LockedError(
            f"another run is sending mails from {path.parent}",
            hint="wait until it has ended; the lock is freed also when a run is killed",
        ) from error
    return descriptor


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, error: OSError) -> JmreportError:
    return JmreportError(
        f"{path}: {error.strerror or error}",
        hint="mails that were kept before are whole; run again once the cause is mended",
    )
