"""The commands, and the flags of each.

A command gets its settings, hands over to `jmreport.pipeline`, and says what came of it. What a
command needs is imported inside it, so that `--help` loads nothing else.
"""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from jmreport import (
    __version__,
    actions_commands,
    mail_commands,
    nightly_commands,
    publish_commands,
    snapshots_commands,
)
from jmreport.console import is_terminal
from jmreport.errors import Exit, UsageError
from jmreport.flags import ASKING, CHOOSING, KEEP, LIMITS, SITE, SNAPSHOTS
from jmreport.options import (
    Given,
    Jobs,
    Like,
    Nights,
    Now,
    OnCluster,
    PartOf,
    Seed,
    Shards,
    UseDemo,
    Workers,
    command,
    contradict,
    demo_options,
    now_from,
    source_from,
)

app = typer.Typer(
    help="Reports of the Job Manager's batch jobs: snapshots, linked pages and charts.",
    epilog="Every command has a --help of its own. Settings come from jmreport.toml, then "
    "JMREPORT_* in the environment, then flags.",
    # Typer's own help is drawn by rich, which takes longer to load than all the rest.
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
app.add_typer(snapshots_commands.app, name="snapshots")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say the version.")] = False,
) -> None:
    if version:
        context.obj.say(f"jmreport {__version__}")
        raise typer.Exit(Exit.DONE)
    if context.invoked_subcommand is None:
        context.obj.answer(*context.get_help().splitlines())
        raise typer.Exit(Exit.USAGE)


@command(app, *ASKING, SNAPSHOTS, SITE, *LIMITS)
def build(
    given: Given,
    *,
    demo: UseDemo = False,
    like: Like = None,
    jobs: Jobs = None,
    seed: Seed = None,
    shards: Shards = None,
    nights: Nights = None,
    now: Now = None,
    workers: Workers = 0,
    executor: OnCluster = "",
    job: Annotated[
        list[str] | None,
        typer.Option(
            "--job", metavar="ID", help="Read only this known job again. May be given again."
        ),
    ] = None,
) -> None:
    """Collect, then render: pull jobs, keep them, and write the pages."""
    from jmreport import pipeline

    if job:
        given.refuse("--job", *CHOOSING, why="jobs that are named are read without the list")
    outcome = pipeline.build(
        given.settings,
        now=now_from(now),
        source=source_from(
            given, demo=demo, options=demo_options(like, jobs, seed, shards, nights)
        ),
        environ=os.environ,
        progress=given.console.progress(),
        workers=workers,
        executor=executor,
        jobs=job or (),
    )
    given.end(outcome)


@command(app, *ASKING, SNAPSHOTS)
def collect(
    given: Given,
    *,
    demo: UseDemo = False,
    like: Like = None,
    jobs: Jobs = None,
    seed: Seed = None,
    shards: Shards = None,
    nights: Nights = None,
    now: Now = None,
    shard: PartOf = None,
) -> None:
    """Pull jobs from a Job Manager into the snapshots."""
    from jmreport import pipeline

    if shard is None:
        pull = pipeline.collect_nights if nights else pipeline.collect
    else:
        pull = partial(pipeline.collect_part, shard=shard)
        _refuse_what_parts_lack(now, nights)
    outcome = pull(
        given.settings,
        now=now_from(now),
        source=source_from(
            given, demo=demo, options=demo_options(like, jobs, seed, shards, nights)
        ),
        environ=os.environ,
        progress=given.console.progress(),
    )
    given.end(outcome)


@command(app, SNAPSHOTS, SITE, *LIMITS)
def render(
    given: Given,
    *,
    workers: Workers = 0,
    executor: OnCluster = "",
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard", metavar="I/N", help="Only pages of this part of all jobs, beside the site."
        ),
    ] = None,
    parts: Annotated[
        bool, typer.Option("--parts", help="Take pages of jobs that --shard made.")
    ] = False,
) -> None:
    """Write the pages from the snapshots; needs no network."""
    from jmreport import pipeline

    progress = given.console.progress()
    if shard is not None:
        if parts:
            contradict("--shard", "--parts", "one makes a part, the other the site of all parts")
        given.refuse("--shard", *LIMITS, why="a part says nothing of the whole; --parts takes it")
    if parts or shard is not None:
        outcome = pipeline.render_part(
            given.settings,
            now=now_from(None),
            environ=os.environ,
            progress=progress,
            workers=workers,
            executor=executor,
            shard=shard,
        )
    else:
        outcome = pipeline.render(
            given.settings,
            progress=progress,
            workers=workers,
            executor=executor,
            environ=os.environ,
        )
    given.end(outcome)


def _refuse_what_parts_lack(now: str | None, nights: int | None) -> None:
    if nights:
        contradict("--shard", "--nights", "a part is of one run")
    if now is None:
        raise UsageError(
            "--shard needs --now: all parts of a run are of one time",
            hint="set it once, and give the same one to all: --now 2026-11-23T02:14:00Z",
        )


@command(app, SNAPSHOTS)
def merge(
    given: Given,
    *,
    parts: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PART]...",
            help="Folders of all parts. Default: those of --now beside the snapshots.",
            show_default=False,
        ),
    ] = None,
    now: Now = None,
) -> None:
    """Join the parts that `collect --shard` made into one run."""
    from jmreport import pipeline

    if parts and now is not None:
        contradict("PART", "--now", "parts say themselves of which time they are")
    given.end(
        pipeline.merge(
            given.settings,
            parts or (),
            now=None if now is None else now_from(now),
            environ=os.environ,
            progress=given.console.progress(),
        )
    )


# Here, since the help lists commands in the order in which they are made.
publish_commands.add_to(app)
mail_commands.register(app)
nightly_commands.add_to(app)


@command(app, SNAPSHOTS, SITE)
def diff(
    given: Given,
    *,
    first: Annotated[
        str,
        typer.Argument(
            metavar="[A]",
            help="A run: its id or how it begins, a date, latest, previous, latest~2.",
        ),
    ] = "previous",
    second: Annotated[
        str, typer.Argument(metavar="[B]", help="The run that is compared with A.")
    ] = "latest",
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="text, or json: all of it.")
    ] = "text",
    page: Annotated[
        bool | None,
        typer.Option(
            "--page/--no-page",
            help="Keep it as a page. Default: where the site is there.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say what differs between two runs, each as it was known then."""
    from jmreport import differing, pipeline

    if form not in differing.FORMATS:
        raise UsageError(
            f"--format {form}: no such format", hint=f"one of {', '.join(differing.FORMATS)}"
        )
    if page is None:
        page = pipeline.has_site(given.settings) or "site.dir" in given.by_flag
    elif not page:
        given.refuse("--no-page", SITE, why="no page is kept in the site")
    found = pipeline.diff(given.settings, first, second, progress=given.console.progress())
    if form == "json":
        given.console.data(differing.tree(found))
    else:
        given.console.answer(*differing.lines(found))
    if page:
        given.console.note(f"wrote {pipeline.keep_diff(given.settings, found)}")


@command(app, SNAPSHOTS, SITE)
def check(given: Given) -> None:
    """Say whether the snapshots and the links of the pages are whole."""
    from jmreport import pipeline

    site = Path(given.settings.site.dir)
    if "site.dir" in given.by_flag and not site.exists():
        raise UsageError(f"--site {site}: no such folder", hint="`jmreport render` writes a site")
    faults = pipeline.check(given.settings)
    for fault in faults:
        given.console.say(f"{fault.what}: {fault.why}", wrong=True)
    if faults:
        raise typer.Exit(Exit.FAILED)
    given.console.say(
        "snapshots and pages are whole"
        if site.exists()
        else f"snapshots are whole; there is no site in {site} yet"
    )


@command(app, SNAPSHOTS, SITE, KEEP)
def prune(
    given: Given,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    now: Now = None,
) -> None:
    """Let old runs go, but for what later ones lean on."""
    from jmreport import pipeline

    given.end(
        pipeline.prune(
            given.settings,
            now=now_from(now),
            dry_run=dry_run,
            environ=os.environ,
            progress=given.console.progress(),
        )
    )


actions_commands.register(app)
actions_commands.register_serve(app)


@command(app)
def demo(
    given: Given,
    *,
    port: Annotated[
        int,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="Default: 0, any free one.",
            show_default=False,
        ),
    ] = 0,
    like: Like = None,
    jobs: Jobs = None,
    seed: Seed = None,
    shards: Shards = None,
    nights: Nights = None,
    token: Annotated[
        str | None, typer.Option("--token", metavar="TEXT", help="Ask for this bearer token.")
    ] = None,
    now: Now = None,
) -> None:
    """Serve the built-in Job Manager on 127.0.0.1, until interrupted."""
    from jmreport import pipeline

    options = demo_options(like, jobs, seed, shards, nights)
    server = pipeline.demo_server(now=now_from(now), port=port, token=token, **options)
    given.console.say(f"the built-in Job Manager answers on {server.url}")
    try:
        server.serve_forever()
    finally:
        server.close()


@command(app, loads=False)
def init(
    given: Given,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file that is there.")
    ] = False,
) -> None:
    """Write a commented settings file; asks on a terminal."""
    from jmreport.settings_example import commented
    from jmreport.settings_loading import DEFAULT_FILE

    file = given.config or Path(DEFAULT_FILE)
    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint=f"name a file: --config {file}/{DEFAULT_FILE}")
    if not file.parent.is_dir():
        raise UsageError(
            f"cannot write {file}: there is no folder {file.parent}",
            hint="make the folder first, or name another place with --config FILE",
        )
    if file.exists() and not force:
        raise UsageError(f"{file} is there already", hint="--force writes over it")
    asks = is_terminal(sys.stdin) and is_terminal(sys.stdout)
    values: dict[str, Any] = dict(_asked()) if asks else {}
    if (labels := _proposed(file, values)) and asks:
        question = "Labels that tell work apart from night to night"
        answer = typer.prompt(f"{question}, or - for none", default=", ".join(labels))
        named = () if answer.strip() == "-" else map(str.strip, answer.split(","))
        values["report.identity_labels"] = tuple(filter(None, named))
    whole = file.with_name(f".{file.name}.new")
    whole.write_text(commented(values), encoding="utf-8")
    whole.replace(file)
    given.console.say(f"wrote {file}")
    if labels and not asks:
        from jmreport.settings_example import toml

        given.console.say(f"report.identity_labels = {toml(labels)} would tell work apart: set it")


nightly_commands.add_doctor_to(app)


#: What `init` asks: a key, the question, and what an empty answer stands for.
QUESTIONS = (
    ("api.url", "Address of the Job Manager", ""),
    ("site.title", "Title of the report", "Batch report"),
    ("report.timezone", "Time zone to show times in", "UTC"),
    ("site.dir", "Folder for the pages", "site"),
    ("snapshots.dir", "Folder for the snapshots", "snapshots"),
)


def _proposed(file: Path, answers: Mapping[str, str]) -> tuple[str, ...]:
    """Identity labels, where snapshots are there that need some."""
    from jmreport import pipeline
    from jmreport.settings import Settings, Snapshots

    folder = file.parent / answers.get("snapshots.dir", Snapshots().dir)
    found = pipeline.proposed_identity(Settings(snapshots=Snapshots(dir=str(folder))))
    return found.labels if found else ()


def _asked() -> dict[str, str]:
    """Answers by key; asks again until an answer can be a setting."""
    answers: dict[str, str] = {}
    for key, question, default in QUESTIONS:
        answer = typer.prompt(question, default=default, value_proc=_answer_for(key))
        if answer:
            answers[key] = answer
    return answers


def _answer_for(key: str) -> Callable[[str], str]:
    from jmreport.settings_loading import Value, checked

    def read(text: str) -> str:
        text = text.strip()
        if text:
            try:
                checked({key: Value(key, text)})
            except UsageError as error:
                raise typer.BadParameter(error.message) from error
        return text

    return read
