"""`jmreport abort`, `label` and `serve`: which jobs, whether it is meant, and what came of each."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jmreport.console import is_terminal, plain
from jmreport.deeds import STOPPED, Deed, JobState, Wish, label_mistake
from jmreport.errors import Exit, StoppedError, UsageError
from jmreport.flags import API_URL, SERVING, SNAPSHOTS
from jmreport.options import Given, command, server_of
from jmreport.sizes import counted
from jmreport.snapshots_commands import table

if TYPE_CHECKING:
    from jmreport.pipeline import Source

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID...", help="Jobs by their whole ids.", show_default=False),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="FILE",
        help="More ids, one a line; one that begins with # is a comment; - is the input.",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="WHAT=VALUE",
        help="Jobs of the last snapshot: status, name, user, id, label.KEY. May be given again; "
        "then all must fit.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
Json = Annotated[bool, typer.Option("--json", help="Tell what came of it as JSON.")]


def register(app: typer.Typer) -> None:
    """Make both commands of the program."""

    @command(app, API_URL, SNAPSHOTS)
    def abort(
        given: Given,
        *,
        ids: Ids = None,
        from_file: FromFile = None,
        where: Where = None,
        yes: Yes = False,
        json: Json = False,
    ) -> None:
        """Abort jobs: each is asked for once, and what came of it is told."""
        _needs_no_snapshots(given, where)
        source = server_of(given)
        named = _ids(ids or [], from_file)
        found = _chosen(given, named, where)
        jobs = [*named, *(state.id for state in found)]
        _some(given, jobs, where)
        if not yes:
            _asked("abort", given, (*_read(given, source, named), *found))
        _do(given, source, Wish(action="abort"), jobs, json=json)

    @command(app, API_URL, SNAPSHOTS)
    def label(
        given: Given,
        *,
        words: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="ID... KEY=VALUE...",
                help="Jobs by their whole ids, then labels and their new values.",
                show_default=False,
            ),
        ] = None,
        from_file: FromFile = None,
        where: Where = None,
        yes: Yes = False,
        json: Json = False,
    ) -> None:
        """Change labels of jobs; with --where it shows the jobs and asks."""
        _needs_no_snapshots(given, where)
        source = server_of(given)
        given_ids = [word for word in words or [] if "=" not in word]
        wish = Wish(action="labels", labels=_labels(words or []))
        if where:
            _refuse_conditions(wish.labels)
        named = _ids(given_ids, from_file)
        found = _chosen(given, named, where)
        jobs = [*named, *(state.id for state in found)]
        _some(given, jobs, where)
        if found and not yes:
            _asked(f"set {wish.label_words} on", given, found)
        _do(given, source, wish, jobs, json=json)


def _this_user() -> str:
    """Who runs this, in a word that a rule can name: a container's user id may have no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # the last on Windows; OSError since Python 3.13
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "local"


def register_serve(app: typer.Typer) -> None:
    """Make `serve` a command of the program."""

    @command(app, *SERVING, SNAPSHOTS, API_URL)
    def serve(given: Given) -> None:
        """Serve the site with its actions, until it is stopped."""
        from jmreport import pipeline

        server = pipeline.actions_server(
            given.settings,
            user=_this_user() if given.settings.actions.mode == "local" else "",
            now=lambda: datetime.now(UTC),
            source=server_of(given),
            environ=os.environ,
        )
        with server:
            if not server.has_report:
                place = given.settings.actions.site or given.settings.site.dir
                given.console.note(f"there is no report in {place} yet")
            # Not hidden: it holds the start token, which is for whoever reads this line.
            given.console.hide = str
            given.console.say(f"open {server.start}", wrong=True)
            server.run()


def _labels(words: Sequence[str]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            continue
        if mistake := label_mistake(key, value):
            raise UsageError(f"{word[:80]}: {mistake}", hint="write it like flag=archive")
        if labels.get(key, value) != value:
            raise UsageError(f"{key} is given two values", hint="a job has one value of a label")
        labels[key] = value
    if not labels:
        raise UsageError(
            "no label is given", hint="name jobs and labels: jmreport label ID flag=archive"
        )
    return labels


def _needs_no_snapshots(given: Given, where: Sequence[str] | None) -> None:
    if not where:
        given.refuse(
            "jobs that are named", SNAPSHOTS, why="snapshots are read only to find --where"
        )


def _refuse_conditions(labels: Mapping[str, str]) -> None:
    """Raise UsageError for a label that is called as what --where asks: `--where a=b status=c`."""
    from jmreport import pipeline

    for key, value in labels.items():
        if pipeline.asks(key):
            raise UsageError(
                f"{key}={value[:80]} stands beside --where, and would be set as a label",
                hint=f"for a condition write --where {key}={value[:80]}; to set such a label, name "
                "the jobs by their ids",
            )


def _ids(ids: Sequence[str], file: Path | None) -> list[str]:
    """The jobs that are named, each once and in their order."""
    lines: list[str] = []
    if file is not None:
        text = _text_of(file) if str(file) != "-" else sys.stdin.read() if sys.stdin else ""
        lines = [line.strip() for line in text.splitlines()]
    named = (line for line in lines if not line.startswith("#"))
    return list(dict.fromkeys(job for job in (*ids, *named) if job))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(
            f"--from-file {file}: {why}", hint="name a file with one id a line"
        ) from error


def _chosen(
    given: Given, named: Sequence[str], where: Sequence[str] | None
) -> tuple[JobState, ...]:
    """The jobs that --where means, but for those that are named too."""
    if not where:
        return ()
    from jmreport import pipeline

    already = set(named)
    return tuple(s for s in pipeline.chosen(given.settings, where) if s.id not in already)


def _some(given: Given, jobs: Sequence[str], where: Sequence[str] | None) -> None:
    if jobs:
        return
    if where:
        raise UsageError(
            f"no job in {given.settings.snapshots.dir} fits {' and '.join(where)}",
            hint="`jmreport build` reads the jobs as they are now",
        )
    raise UsageError(
        "no job is named", hint="give ids, --from-file FILE, or --where status=Running"
    )


def _read(given: Given, source: "Source", jobs: Sequence[str]) -> tuple[JobState, ...]:
    """Jobs as their server shows them now, for whoever is asked about them."""
    from jmreport import pipeline

    if not jobs or not _may_ask():
        return tuple(JobState(id=job) for job in jobs)
    return pipeline.states(
        given.settings, jobs, now=datetime.now(UTC), source=source, environ=os.environ
    )


def _may_ask() -> bool:
    return is_terminal(sys.stdin)


def _asked(what: str, given: Given, states: Sequence[JobState]) -> None:
    """Show the jobs, all of them, and go on only where they are meant."""
    rows = [(s.id, s.status or s.why, s.name) for s in states]
    told = 3 if any(status or name for _, status, name in rows) else 1
    given.console.ask_about(table(("job", "status", "name")[:told], [row[:told] for row in rows]))
    count = counted(len(states), "job")
    if not _may_ask():
        raise UsageError(
            f"nobody can be asked whether to {what} {count}: the input is no terminal",
            hint="look at the list, then give --yes",
        )
    try:
        meant = typer.confirm(plain(f"{what} {count}?"), err=True)
    except typer.Abort:
        raise StoppedError("stopped: nothing was sent") from None
    if not meant:
        given.console.say("nothing was sent", wrong=True)
        raise typer.Exit(Exit.DONE)


def _do(given: Given, source: "Source", wish: Wish, jobs: Sequence[str], *, json: bool) -> None:
    """Send it for each job and tell what came of it; exit code 8 where something was not done."""
    from jmreport import pipeline

    deeds: list[Deed] = []

    def tell(deed: Deed) -> None:
        deeds.append(deed)
        if not json:
            given.console.say(_line(deed), wrong=not deed.done)

    stopped = False
    told = pipeline.act(
        given.settings, wish, jobs, now=datetime.now(UTC), source=source, environ=os.environ
    )
    try:
        for deed in told:
            tell(deed)
    except KeyboardInterrupt:
        stopped = True
        # Stopped between two jobs, or before the first: nobody has spoken of the rest yet.
        for job in jobs[len(deeds) :]:
            tell(Deed(job=job, wish=wish, came="not sent", said=STOPPED))
    finally:
        if json:
            given.console.data([_tree(deed) for deed in deeds])
    failed = sum(not deed.done for deed in deeds)
    if len(deeds) > 1 and not json:
        given.console.say(f"{len(deeds) - failed} of {len(deeds)} done", wrong=bool(failed))
    if not json and any(deed.state is not None and deed.state.unknown for deed in deeds):
        given.console.note(
            "jobs are named by their whole ids: `jmreport snapshots show ID` finds one by its "
            "beginning, or by the short form that pages show"
        )
    if stopped:
        unknown = any(deed.came == "unknown" for deed in deeds)
        raise StoppedError(
            "stopped; what came of each job is told above",
            hint="look at the job that is unknown before you try once more" if unknown else "",
        )
    raise typer.Exit(Exit.REFUSED if failed else Exit.DONE)


def _line(deed: Deed) -> str:
    """What came of it, and of labels that were set, which."""
    labels = f" ({deed.wish.label_words})" if deed.done and deed.wish.labels else ""
    return f"{deed.job}: {deed.came}: {deed.said}{labels}"


def _tree(deed: Deed) -> dict[str, Any]:
    """A deed for programs."""
    state = deed.state
    return {
        "job": deed.job,
        "action": deed.wish.action,
        **({"labels": deed.wish.labels} if deed.wish.labels else {}),
        "outcome": deed.came,
        "said": deed.said,
        "answer": deed.status,
        "job_status": (state.status or None) if state and state.read else None,
        "job_labels": state.labels if state and state.read else None,
    }
