"""The built-in server: in process for `--demo`, or over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jmreport.errors import UsageError
from jmreport.pipeline.values import DemoOptions

if TYPE_CHECKING:
    from jmreport.collectors.demo import Demo


def demo_server(
    *,
    now: datetime,
    port: int,
    like: str = "spec",
    jobs: int = 2000,
    seed: int = 1,
    shards: int = 0,
    nights: int = 0,
    token: str | None = None,
) -> Any:
    """The built-in server over HTTP on 127.0.0.1: `.url`, `.serve_forever()`, `.close()`.

    Raises UsageError for options that cannot be, and where the port cannot be had.
    """
    from jmreport.collectors.demo import serve

    options = DemoOptions(seed=seed, jobs=jobs, like=like, shards=shards, nights=nights)
    demo = demo_from(options, now=now, token=token)
    try:
        return serve(demo, port=port)
    except OSError as error:
        raise UsageError(
            f"cannot listen on 127.0.0.1 port {port}: {error.strerror or error}",
            hint="give another --port, or 0 for any free one",
        ) from error


def demo_from(options: DemoOptions, *, now: datetime, token: str | None = None) -> Demo:
    """The server of these options. Raises UsageError for one that there is not."""
    from jmreport.collectors.demo import LIKES, MOST_NIGHTS, Demo

    if options.like not in LIKES:
        raise UsageError(
            f"--like {options.like}: no such server", hint=f"one of {', '.join(LIKES)}"
        )
    if options.nights and options.like == "dsub":
        raise UsageError(
            "--nights and --like dsub contradict each other",
            hint="the planted stories are of tasks and attempts, which dsub does not tell of: "
            "leave one of the two out",
        )
    if options.shards and options.like == "dsub":
        raise UsageError(
            "--shards and --like dsub contradict each other",
            hint="dsub's jobs scatter nothing: leave one of the two out",
        )
    if options.nights > MOST_NIGHTS:
        raise UsageError(
            f"--nights {options.nights}: more than {MOST_NIGHTS}", hint="the stories end after 21"
        )
    return Demo(
        now=now,
        seed=options.seed,
        jobs=options.jobs,
        like=options.like,
        shards=options.shards,
        nights=options.nights,
        token=token,
    )
