"""Settings from where people put them: `jmreport.toml`, then `JMREPORT_*`, then flags.

    [api]
    url = "https://jobs.example.org"

Every mistake names the place it was made in (`jmreport.toml: api.url`, `JMREPORT_API_URL`,
`--api-url`) and what was expected there.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import fields, replace

from jmreport.errors import UsageError
from jmreport.settings import (
    Settings,
)
from jmreport.settings_checks import BUCKETS, SCHEME, expected, shown, wrong_with
from jmreport.settings_keys import KEYS, LISTS, SECTIONS, Key

#: The file that is read where no other is named.
DEFAULT_FILE = "jmreport.toml"

#: How all variables begin that say something to us.
_OURS = "JMREPORT_"
#: Variables that are no setting, and that a misspelt one may stand for.
_MEANT = ("JMREPORT_API_TOKEN", "JMREPORT_CONFIG")
#: Variables that are no settings: a secret, where the settings are, and the tests' own.
OTHER_VARIABLES = (
    *_MEANT,
    "JMREPORT_MULTIQC",
    "JMREPORT_PRISM",
    "JMREPORT_SCHEMATHESIS",
    "JMREPORT_TESTS_COMPLETE",
)

#: What Kubernetes puts into each pod for a Service that is called jmreport, or jmreport-web.
_OF_A_SERVICE = tuple(
    (re.compile(rf"JMREPORT(_\w+)?_({name})"), re.compile(value))
    for name, value in (
        (r"SERVICE_HOST|PORT_\d+_(TCP|UDP|SCTP)_ADDR", r"[0-9a-fA-F.:]+"),
        (r"SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_PORT", r"\d+"),
        (r"PORT(_\d+_(TCP|UDP|SCTP))?", r"(tcp|udp|sctp)://\S+:\d+"),
        (r"PORT_\d+_(TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
    )
)

#: What no UTF-8 can hold.
_SURROGATES = re.compile("[\ud800-\udfff]")

#: Names under which people look for a place to write a secret down.
SECRETS = ("token", "password", "secret", "bearer", "authorization")


class Value(Struct, frozen=True):
    """A value and the place it was written in, as a message names that place."""

    place: str
    value: Any


def load_told(
    *,
    path: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, Value] | None = None,
) -> tuple[Settings, frozenset[str]]:
    """The settings of a command, file < environment < flags, all of them checked; and the keys for
    which `jmreport.toml` says what holds, whoever else says so too.

    `path` is the file that was asked for; without one `jmreport.toml` is read where it exists. No
    other file says what holds: who copies a command knows of none, and it would not be read.
    `flags` maps a key's path to what was given. Raises UsageError for the first mistake found.
    """
    if path is None and (named := environ.get("JMREPORT_CONFIG")):
        path = Path(_at_home(named, "JMREPORT_CONFIG"))
    elif path is not None:
        path = Path(_at_home(str(path), "--config"))
    values: dict[str, Value] = {}
    if path is not None or Path(DEFAULT_FILE).exists():
        file = path or Path(DEFAULT_FILE)
        values |= from_text(_read(file), file=file)
    file_says = {} if path else {key: given.value for key, given in values.items()}
    for key, given in {**from_environment(environ), **(flags or {})}.items():
        values[key] = _not_from_a_file(KEYS[key], given)
    settings = checked(values)
    return settings, frozenset(key for key, said in file_says.items() if values[key].value == said)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")  # some editors put a mark before it
    except FileNotFoundError:
        raise UsageError(
            f"no settings file {file}", hint=f"`jmreport init --config {file}` writes one"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file}: not UTF-8 text (byte {error.start})",
            hint="save it as UTF-8, as TOML wants it",
        ) from error
    except IsADirectoryError as error:
        raise UsageError(
            f"{file}: is a folder", hint=f"name the file in it, such as {file / DEFAULT_FILE}"
        ) from error
    except OSError as error:
        raise UsageError(
            f"{file}: {error.strerror}", hint="check its name, and that this user may read it"
        ) from error


def from_text(text: str, *, file: Path) -> dict[str, Value]:
    """What a settings file says, by key. Paths in it are relative to the file."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{file}: {error}", hint='it is TOML: text in quotes, as in url = "https://…"'
        ) from error
    values: dict[str, Value] = {}
    for section, table in tree.items():
        if section in LISTS:
            values[section] = Value(f"{file}: {section}", _tables(file, section, table))
            continue
        if section not in SECTIONS:
            raise _unknown(file, section, table)
        if not isinstance(table, dict):
            raise UsageError(
                f"{file}: {section}: expected a table, as in [{section}]",
                hint=f"write [{section}] on a line of its own, and its keys below it",
            )
        for name, value in table.items():
            path = f"{section}.{name}"
            if path in LISTS:
                values[path] = Value(f"{file}: {path}", _tables(file, path, value))
                continue
            key = KEYS.get(path)
            if key is None:
                raise _unknown(file, f"{section}.{name}", value)
            place = f"{file}: {key.path}"
            values[key.path] = Value(place, _in_file(key, value, file.parent, place))
    return values


def _tables(file: Path, name: str, tables: object) -> list[dict[str, Any]]:
    """The tables of a list such as [[slo]], each with keys that exist, and those it needs."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(
            f"{file}: {name}: expected tables, as in [[{name}]]",
            hint=LISTS[name].__doc__ or "",
        )
    found = []
    for number, table in enumerate(tables, 1):
        for key in table:
            if f"{name}.{key}" not in KEYS:
                raise _unknown(file, f"{name}.{key}", table[key])
        for info in fields(LISTS[name]):
            if info.required and info.name not in table:
                raise UsageError(
                    f"{file}: {name}: table {number} has no {info.name}",
                    hint=KEYS[f"{name}.{info.name}"].meaning,
                )
        place = f"{file}: {name}: table {number}"
        found.append(
            {
                key: _in_file(KEYS[f"{name}.{key}"], held, file.parent, place)
                for key, held in table.items()
            }
        )
    return found


def _unknown(file: Path, path: str, value: object) -> UsageError:
    """What to say of a key, or a table, that there isn't."""
    is_table = isinstance(value, dict) and "." not in path
    name = path.rpartition(".")[2]
    if any(word in name.lower() for word in SECRETS):
        return UsageError(
            f"{file}: {path}: no such key, and secrets are never settings",
            hint="put the password into a file that mail.password_file names"
            if path.startswith("mail.")
            else "put the token into JMREPORT_API_TOKEN, or into a file named by api.token_file",
        )
    if is_table:
        near = [f"[{match}]" for match in get_close_matches(path, (*SECTIONS, *LISTS), n=1)]
    else:
        near = [key for key in KEYS if key.endswith(f".{name}")][:1]
        near = get_close_matches(path, KEYS, n=1) or near
    guess = f"; did you mean {near[0]}?" if near else ""
    return UsageError(
        f"{file}: {path}: no such {'table' if is_table else 'key'}{guess}",
        hint="`jmreport init` writes a file that has every key",
    )


def _in_file(key: Key, value: Any, folder: Path, place: str) -> Any:
    if key.is_path and isinstance(value, str) and value and not SCHEME.match(value):
        return str(folder / _at_home(value, place))
    if isinstance(value, datetime | date):  # TOML has dates of its own; the API wants text
        return value.isoformat()
    return value


def _at_home(path: str, place: str) -> str:
    """A path that begins with ~ or ~ana, from the root on: where no shell did it, we do."""
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise UsageError(
            f"{place}: nobody knows the home folder that {shown(path)} begins with",
            hint="write the path from the root on; a folder of that name is ./~name",
        ) from error


def _not_from_a_file(key: Key, given: Value) -> Value:
    if key.is_path and isinstance(given.value, str):
        return replace(given, value=_at_home(given.value, given.place))
    return given


def from_environment(environ: Mapping[str, str]) -> dict[str, Value]:
    """What `JMREPORT_<SECTION>_<KEY>` variables say, by key. An empty one counts as not set."""
    known = {key.variable: key for key in KEYS.values() if not key.listed}
    values: dict[str, Value] = {}
    for name, text in sorted(environ.items()):
        if not name.startswith(_OURS) or name in OTHER_VARIABLES or _of_a_service(name, text):
            continue
        key = known.get(name)
        if key is None:
            near = _nearest(name, (*known, *_MEANT))
            raise UsageError(
                f"{name}: no such setting" + (f"; did you mean {near}?" if near else ""),
                hint="unset it, or see docs/settings.md for what the environment can set",
            )
        if not key.scalar:
            raise UsageError(
                f"{name}: lists and tables are not read from the environment",
                hint=f"set {key.path} in {DEFAULT_FILE}",
            )
        if text:
            values[key.path] = Value(name, _typed(key, text))
    return values


def _of_a_service(name: str, text: str) -> bool:
    """Whether a variable is an address that nobody wrote: of a Service in the same namespace.

    >>> _of_a_service("JMREPORT_PORT", "tcp://10.96.0.7:80")
    True
    >>> _of_a_service("JMREPORT_PORT", "80")
    False
    """
    return any(names.fullmatch(name) and values.fullmatch(text) for names, values in _OF_A_SERVICE)


def _nearest(name: str, known: Iterable[str]) -> str:
    """The variable that was meant, "" where none is near: what all begin with makes none so.

    >>> _nearest("JMREPORT_TIMEFRAME", ("JMREPORT_SITE_TITLE", "JMREPORT_COLLECT_TIMEFRAME"))
    'JMREPORT_COLLECT_TIMEFRAME'
    >>> _nearest("JMREPORT_TOKN", ("JMREPORT_SITE_TITLE", "JMREPORT_API_TOKEN"))
    'JMREPORT_API_TOKEN'
    >>> _nearest("JMREPORT_FOO", ("JMREPORT_MAIL_SPOOL", "JMREPORT_API_URL"))
    ''
    """
    own = {each.removeprefix(_OURS): each for each in known}
    given = name.removeprefix(_OURS)
    ends = [
        own[end] for end in own if given and (end == f"{given}_DIR" or end.endswith(f"_{given}"))
    ]
    ends.sort(key=lambda each: not each.endswith("_DIR"))
    near = [own[end] for end in get_close_matches(given, own, n=1, cutoff=0.7)]
    keys = {end.partition("_")[2]: each for end, each in own.items() if "_" in end}  # no section
    near += [keys[key] for key in get_close_matches(given, keys, n=1, cutoff=0.8)]
    return next(iter((*ends, *near)), "")


def _typed(key: Key, text: str) -> Any:
    """The number, or true and false, that a variable's text stands for; else the text itself."""
    if text == "null":  # text here as everywhere; msgspec would read None
        return text
    try:
        return msgspec.convert(text, get_args(key.type)[0], strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return text  # of the wrong type, or no text at all, which `checked` says in words


def checked(values: Mapping[str, Value]) -> Settings:
    """Settings of these values, each one of its type, within its limits and making sense."""
    tree: dict[str, Any] = {}
    for path, given in values.items():
        if path in LISTS:
            _put(tree, path, given.value)
            for number, table in enumerate(given.value, 1):
                for name, value in table.items():
                    place = f"{given.place}: {name} of table {number}"
                    _check(KEYS[f"{path}.{name}"], Value(place, value))
            continue
        _check(KEYS[path], given)
        _put(tree, path, given.value)
    settings = msgspec.convert(tree, Settings)
    if Path(settings.site.dir).resolve() == Path(settings.snapshots.dir).resolve():
        raise UsageError(
            f"site.dir and snapshots.dir are both {settings.site.dir}",
            hint="pages and snapshots need a folder each",
        )
    site = Path(settings.site.dir).resolve()
    if site in (Path(settings.snapshots.dir).resolve().parents) or site == Path(site.anchor):
        raise UsageError(
            f"site.dir is {settings.site.dir}, which holds more than pages",
            hint="give the pages a folder of their own: whoever publishes it publishes all of it",
        )
    _refuse_in_store(settings, "site.dir", settings.site.dir)
    _refuse_in_store(settings, "mail.spool", settings.mail.spool)
    _check_mail(settings, site)
    _check_mirror(settings)
    return settings


def _refuse_in_store(settings: Settings, key: str, folder: str | None) -> None:
    """What lay there would be taken for a part of the store, or removed with a run."""
    store = Path(settings.snapshots.dir).resolve()
    if folder and Path(folder).resolve().is_relative_to(store):
        raise UsageError(
            f"{key} is {folder}, in the folder of the snapshots ({settings.snapshots.dir})",
            hint="give it a folder beside the snapshots: what lies in theirs belongs to the runs",
        )


def _check_mirror(settings: Settings) -> None:
    """All that was read lies in the mirror: never where pages are, nor in the store itself."""
    mirror = settings.snapshots.mirror
    if mirror is None:
        return
    for key, other in (
        ("publish.to", settings.publish.to),
        ("site.dir", settings.site.dir),
        ("snapshots.dir", settings.snapshots.dir),
    ):
        if other and within(mirror, other):
            raise UsageError(
                f"snapshots.mirror {mirror} and {key} {other} are one within the other",
                hint="give the mirror a place of its own, which readers of the pages cannot read",
            )


def within(one: str, other: str) -> bool:
    """Whether two places, folders or buckets, are the same or one within the other."""
    if one.startswith(BUCKETS) != other.startswith(BUCKETS):
        return False
    if one.startswith(BUCKETS):
        first, second = (f"{'/'.join(filter(None, each.split('/')))}/" for each in (one, other))
        return first.startswith(second) or second.startswith(first)
    here, there = Path(one).resolve(), Path(other).resolve()
    return here == there or here in there.parents or there in here.parents


def _check_mail(settings: Settings, site: Path) -> None:
    """What keys of mails and teams must be to each other."""
    mail = settings.mail
    spool = Path(mail.spool).resolve() if mail.spool else None
    if spool and (spool == site or site in spool.parents):
        raise UsageError(
            f"mail.spool is {mail.spool}, in the folder of the pages",
            hint="keep mails elsewhere: whoever publishes the pages publishes all that is there",
        )
    names = [team.name for team in settings.teams]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(
            f"teams: two are called {shown(twice)}", hint="give each a name of its own"
        )


def with_value(settings: Settings, path: str, value: Any, place: str) -> Settings:
    """Settings with one value in place of theirs, checked as one from a file is."""
    given = _not_from_a_file(KEYS[path], Value(place, value))
    _check(KEYS[path], given)
    section, name = path.split(".")
    changed = replace(getattr(settings, section), **{name: given.value})
    return replace(settings, **{section: changed})


def _put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set a key, or the tables of a list: "slo" at the top, "api.url" and others in a table."""
    section, _, name = path.rpartition(".")
    (tree.setdefault(section, {}) if section else tree)[name] = value


def _check(key: Key, given: Value) -> None:
    # Names of files are whatever bytes they are. Python holds those that are no text as surrogates.
    if not key.is_path and any(map(_SURROGATES.search, _texts(given.value))):
        raise UsageError(f"{given.place}: not UTF-8 text", hint=key.meaning)
    try:
        value = msgspec.convert(given.value, key.type)
    except msgspec.ValidationError as error:
        # A header may carry a password, so its value is never shown.
        found = "" if key.path == "api.headers" else f", not {shown(given.value)}"
        raise UsageError(
            f"{given.place}: expected {expected(key)}{found}", hint=key.meaning
        ) from error
    for text in _texts(value):
        if "\0" in text:
            raise UsageError(f"{given.place}: holds a NUL character", hint=key.meaning)
    wrong = wrong_with(key, value) if value is not None else None
    if wrong:
        raise UsageError(f"{given.place}: {wrong}", hint=key.meaning)


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, dict):
        held = (*value.keys(), *value.values())
        return tuple(each for each in held if isinstance(each, str))
    items = value if isinstance(value, tuple | list) else ()
    return tuple(item for item in items if isinstance(item, str))
