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
    token: str | None = None,
) -> Any:
    """The built-in server over HTTP on 127.0.0.1: `.url`, `.serve_forever()`, `.close()`."""
    from jmreport.collectors.demo import serve

    options = DemoOptions(seed=seed, jobs=jobs, like=like, shards=shards)
    return serve(demo_from(options, now=now, token=token), port=port)


def demo_from(options: DemoOptions, *, now: datetime, token: str | None = None) -> Demo:
    from jmreport.collectors.demo import LIKES, Demo

    if options.like not in LIKES:
        raise UsageError(
            f"--like {options.like}: no such server", hint=f"one of {', '.join(LIKES)}"
        )
    return Demo(
        now=now,
        seed=options.seed,
        jobs=options.jobs,
        like=options.like,
        shards=options.shards,
        token=token,
    )
