"""How options reach commands: those that are settings, those that are not, those all have."""

import inspect
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, get_args

import typer
from msgspec import Struct

from jmreport import flags
from jmreport.console import Console, LogFormat
from jmreport.errors import Exit, UsageError
from jmreport.flags import Flag
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.pipeline import Outcome, Source

# What every command is given


class Given(Struct, frozen=True):
    """The settings of a command, and the console it speaks on."""

    settings: Settings
    console: Console
    #: The settings file that was named.
    config: Path | None = None
    #: Keys that flags were given for.
    by_flag: frozenset[str] = frozenset()
    #: Keys for which the settings file says what holds.
    in_file: frozenset[str] = frozenset()

    def refuse(self, option: str, *needless: Flag, why: str) -> None:
        """Raise UsageError where one of `needless` was given, which `option` leaves no meaning."""
        for flag in needless:
            if flag.key in self.by_flag:
                contradict(option, flag.name, why)

    def end(self, outcome: "Outcome") -> None:
        """Say what came of it, and stop with its exit code."""
        self.console.say(*outcome.summary, wrong=outcome.exit != Exit.DONE)
        self.console.run = outcome.run.id if outcome.run else ""
        raise typer.Exit(outcome.exit)


_KINDS: dict[str, Any] = {
    "text": str | None,
    "number": int | None,
    "switch": bool | None,
    "list": list[str] | None,
    "pairs": list[str] | None,
}


def _parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, annotation=annotation, default=default)


def _option(flag: Flag) -> inspect.Parameter:
    """A flag that stands for a setting, as Typer reads it."""
    if flag.kind == "switch":
        option = typer.Option(flag.name, help=flag.help, show_default=False)
    else:
        option = typer.Option(flag.name, metavar=flag.metavar, help=flag.help)
    return _parameter(flag.parameter, Annotated[_KINDS[flag.kind], option])


_COMMON = (
    _parameter(
        "config",
        Annotated[
            Path | None,
            typer.Option("--config", metavar="FILE", help="Settings. Default: jmreport.toml."),
        ],
    ),
    _parameter(
        "log_format",
        Annotated[
            str,
            typer.Option("--log-format", metavar="FORMAT", help="text, or json: an event a line."),
        ],
        "text",
    ),
    _parameter(
        "quiet",
        Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")],
        False,
    ),
    _parameter(
        "verbose",
        Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv says all.")],
        0,
    ),
)


def command(
    app: typer.Typer, *keyed: Flag, loads: bool = True, name: str | None = None
) -> Callable[[Callable[..., None]], None]:
    """Make a function a command: with flags for settings, and the options every command has.

    The function gets a `Given`, then its own options by name; its docstring is the help, its name
    the command's unless `name` is given. Without `loads` no settings are read: for the command that
    writes them.
    """

    def register(function: Callable[..., None]) -> None:
        @wraps(function)
        def called(context: typer.Context, **options: Any) -> None:
            chosen = {flag.parameter: options.pop(flag.parameter) for flag in keyed}
            config = options.pop("config")
            console = _console(context, options)
            given = flags.values(keyed, chosen)
            settings, in_file = _settings(config, given) if loads else (Settings(), frozenset())
            console.hide = _hider(settings)
            with console.logs():
                function(Given(settings, console, config, frozenset(given), in_file), **options)

        _describe(called, function, tuple(_option(flag) for flag in keyed))
        app.command(name=name or function.__name__)(called)

    return register


def _describe(
    called: Callable[..., None],
    function: Callable[..., None],
    keyed: tuple[inspect.Parameter, ...],
) -> None:
    """Tell Typer which options a command takes: those of settings, its own, and the common ones."""
    context = _parameter("context", typer.Context, inspect.Parameter.empty)
    own = list(inspect.signature(function).parameters.values())[1:]
    signature = inspect.Signature([context, *keyed, *own, *_COMMON])
    called.__signature__ = signature  # type: ignore[attr-defined]  # inspect's documented hook
    called.__annotations__ = {}


def _console(context: typer.Context, options: dict[str, Any]) -> Console:
    """The console of this run of the program, set up as the common options say."""
    console: Console = context.obj
    log_format = options.pop("log_format")
    if log_format not in get_args(LogFormat):
        raise UsageError(f"--log-format {log_format}: no such format", hint="one of text, json")
    console.log_format = log_format
    quiet, verbose = options.pop("quiet"), options.pop("verbose")
    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", hint="give one of the two")
    console.verbosity = -1 if quiet else verbose
    return console


def _hider(settings: Settings) -> Callable[[str], str]:
    """What takes secrets out of what this command says; made when there is something to say."""

    @cache
    def made() -> Callable[[str], str]:
        from jmreport.pipeline.asking import hider

        return hider(settings, os.environ)

    return lambda text: made()(text)


def _settings(config: Path | None, given: dict[str, Any]) -> tuple[Settings, frozenset[str]]:
    from jmreport.settings_loading import load_told

    return load_told(path=config, environ=os.environ, flags=given)


# Options that are no settings


Now = Annotated[
    str | None,
    typer.Option(
        "--now", metavar="DATE", help="The time to work with, with an offset. Default: the clock's."
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers",
        metavar="N",
        min=0,
        help="Processes that render. Default: one a core.",
        show_default=False,
    ),
]
PartOf = Annotated[
    str | None,
    typer.Option(
        "--shard", metavar="I/N", help="Only this part of all jobs, to be merged; needs --now."
    ),
]
OnCluster = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="WHERE",
        help="Whose processes make jobs' pages: dask://HOST:PORT. Default: this machine's.",
        show_default=False,
    ),
]
UseDemo = Annotated[
    bool, typer.Option("--demo", help="Use the built-in server instead of --api-url.")
]
Like = Annotated[
    str | None,
    typer.Option(
        "--like", metavar="SERVER", help="Demo: which server's habits: spec, cromwell, dsub."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=0, help="Demo: how many jobs. Default: 2000."),
]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Demo: same seed, same jobs. Default: 1.")
]
Shards = Annotated[
    int | None,
    typer.Option(
        "--shards",
        metavar="N",
        min=0,
        max=100_000,
        help="Demo: one job a week scatters so widely. Default: 0, none.",
    ),
]
Nights = Annotated[
    int | None,
    typer.Option(
        "--nights",
        metavar="N",
        min=1,
        help="Demo: so many nights with planted stories, a day apart, up to --now; 21 tell all.",
    ),
]


def contradict(one: str, other: str, why: str) -> NoReturn:
    """Raise UsageError: what one of two options asks for leaves the other without a meaning."""
    raise UsageError(
        f"{one} and {other} contradict each other", hint=f"{why}: leave one of the two out"
    )


#: Years that --now can be of: from each a report can look back, and ahead, within the calendar.
YEARS = range(1970, 9999)


def now_from(text: str | None) -> datetime:
    """The clock's time, or the one that was asked for."""
    if text is None:
        return datetime.now(UTC).replace(microsecond=0)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--now {text}: not a date", hint="write it like 2026-11-23T02:14:00+00:00"
        ) from None
    if at.tzinfo is None:
        raise UsageError(
            f"--now {text}: says no offset from UTC",
            hint=f"write {at.isoformat()}Z, or an offset such as +01:00",
        )
    try:
        now = at.astimezone(UTC)
    except OverflowError:
        now = None
    if now is None or now.year not in YEARS:
        raise UsageError(
            f"--now {text}: a time that cannot be reckoned with",
            hint=f"in UTC its year must be one from {YEARS[0]} to {YEARS[-1]}",
        )
    return now


def demo_options(
    like: str | None, jobs: int | None, seed: int | None, shards: int | None, nights: int | None
) -> dict[str, Any]:
    """Those that were given; UsageError where two contradict each other."""
    given = {"like": like, "jobs": jobs, "seed": seed, "shards": shards, "nights": nights}
    found = {name: value for name, value in given.items() if value is not None}
    for name in ("jobs", "shards"):
        if "nights" in found and name in found:
            contradict("--nights", f"--{name}", "every planted night has the same jobs")
    return found


def server_of(given: Given) -> "Source":
    """The server of the settings, for commands that have no built-in one to ask."""
    from jmreport.pipeline import Source

    url = given.settings.api.url
    if url is None:
        raise UsageError(
            "no Job Manager to ask: --api-url is not given",
            hint="give --api-url URL, or set api.url in jmreport.toml",
        )
    return Source(url=url, in_file="api.url" in given.in_file)


def source_from(given: Given, *, demo: bool, options: dict[str, Any]) -> "Source":
    """Whom to ask: the server of the settings or the built-in one, and never one unasked."""
    from jmreport.pipeline import DemoOptions, Source

    if demo and "api.url" in given.by_flag:
        raise UsageError(
            "--demo and --api-url contradict each other",
            hint="--demo asks the built-in server, --api-url a real one: give one of the two",
        )
    if demo:
        return Source(demo=DemoOptions(**options))
    if options:
        raise UsageError(
            f"--{next(iter(options))} is about the built-in server, and --demo was not given",
            hint="give --demo too, or leave it out",
        )
    url = given.settings.api.url
    if url is None:
        raise UsageError(
            "no Job Manager to ask: neither --api-url nor --demo is given",
            hint="give --api-url URL (or set api.url in jmreport.toml), or try --demo for the "
            "built-in server",
        )
    return Source(url=url, in_file="api.url" in given.in_file)
