"""A whole night, unattended: build, publish, mail, prune, under one lock, with one exit code.

What one step lacks is told and does not keep the others from their work: a dead server still makes
a mail, a bucket that refuses still makes one, and a mail server that is away leaves its mails in
the spool. A night that was killed after it had built, or of which no mail could be made, is
delivered by the next one, before that asks for anything new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from jmreport.errors import Exit, JmreportError, LockedError, StoppedError, UsageError, first
from jmreport.pipeline.heartbeat import Beating, Heartbeat
from jmreport.pipeline.keeping import open_store
from jmreport.pipeline.rendering import check_executor, early
from jmreport.pipeline.values import Outcome, Source
from jmreport.progress import Progress
from jmreport.settings import Settings

if TYPE_CHECKING:
    from jmreport.records import Run
    from jmreport.render.crew import Crew
    from jmreport.snapshots.unattended import Account


def nightly(
    settings: Settings,
    *,
    now: datetime,
    source: Source,
    environ: Mapping[str, str],
    progress: Progress,
    clock: Callable[[], datetime],
    workers: int = 0,
    executor: str = "",
    within: timedelta | None = None,
) -> Outcome:
    """Everything that a night has to do; the exit code is the first that holds of all its steps'.

    What was not read `within` so much time is not asked for any more, and the report says so.
    Raises LockedError while another night is at work, StoppedError where somebody stops it, and
    UsageError where invented jobs would be told of in place of a real server's.
    """
    from jmreport.snapshots.unattended import account

    check_executor(executor)
    if source.demo:
        _check_demo(settings)
    until = None if within is None else time.monotonic() + within.total_seconds()
    heart = Heartbeat(_path(settings.nightly.heartbeat), clock)
    beating = Beating(progress, heart)
    why = ""
    try:
        with open_store(settings, create=True) as store:
            root = store.root
        with account(root, now) as kept, _told_if_it_stops(heart):
            heart.beat("running", step="begin")
            night = _Night(settings, kept, now, environ, beating, workers, executor, clock)
            outcome = night.whole(source, until)
            if night.told:
                kept.end()
            if kept.trouble:
                outcome = _also(outcome, kept.trouble.message, kept.trouble.hint)
    except (UsageError, LockedError, StoppedError):
        raise
    except JmreportError as error:
        why = error.message
        with _told_if_it_stops(heart):
            outcome = _untold(settings, error, now, environ, beating)
    if outcome.run is None:
        why = why or next(iter(outcome.summary), "")
    more = {"why": why} if why else {"run": outcome.run.id if outcome.run else ""}
    heart.beat("ended", exit=int(outcome.exit), **more)
    if heart.trouble:
        # The watchdog will bark; the report is where it belongs.
        outcome = _also(outcome, f"heartbeat: {heart.trouble}", "nightly.heartbeat names it")
    return outcome


@contextmanager
def _told_if_it_stops(heart: Heartbeat) -> Iterator[None]:
    """A night that somebody stops, or that cannot go on, says so to its watchdog."""
    try:
        yield
    except KeyboardInterrupt as stop:
        heart.beat("ended", exit=int(Exit.INTERRUPTED))
        raise StoppedError(
            "stopped", hint="run it again: what was built is delivered first"
        ) from stop
    except JmreportError as error:
        heart.beat("ended", exit=int(error.code), why=error.message)
        raise


def _untold(
    settings: Settings,
    error: JmreportError,
    now: datetime,
    environ: Mapping[str, str],
    progress: Progress,
) -> Outcome:
    """A night that could not even begin, since the snapshots cannot be opened: teams hear of it."""
    from jmreport.pipeline import mail

    lack = Outcome.lacking("snapshots", error)
    if not settings.teams:
        return lack
    try:
        mailed = mail(
            settings,
            now=now,
            failed=error.message,
            unattended=True,
            environ=environ,
            progress=progress,
        )
    except JmreportError as failed:
        mailed = Outcome.lacking("mail", failed)
    return Outcome.of(lack, mailed, run=None)


def _check_demo(settings: Settings) -> None:
    told = [settings.publish.to] if settings.publish.to else []
    told += [f"team {team.name}" for team in settings.teams]
    if settings.api.url and told:
        raise UsageError(
            f"--demo: invented jobs would go where those of {settings.api.url} do: "
            f"{', '.join(told)}",
            hint="give it a settings file of its own with --config, without api.url",
        )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


class _Night:
    """The steps of one night, and what each came to."""

    def __init__(
        self,
        settings: Settings,
        kept: Account,
        now: datetime,
        environ: Mapping[str, str],
        progress: Progress,
        workers: int,
        executor: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._settings, self._kept, self._now = settings, kept, now
        self._environ, self._progress, self._workers = environ, progress, workers
        self._executor = executor
        #: Whether the mails of this night were sent, or wait in the spool, or nobody gets any.
        self.told = True
        #: Why its pages are not where mails lead to; "" where they are.
        self._pages_lack = ""
        #: Steps that could not be done, as they went the last time.
        self._lacking: set[str] = set()

    def whole(self, source: Source, until: float | None) -> Outcome:
        """What was left over first, then this night's own steps in their order."""
        came = [*self._left_over()]
        self._pages_lack = ""
        self._kept.begin(self._now)
        built = self._built(source, until)
        if built.run is None and built.exit == Exit.USAGE:
            # What was asked for cannot be meant so: nobody is told of a night that never began.
            return replace(built, exit=first(*(each.exit for each in (*came, built))))
        came += [built, *self._delivered(_why(built, self._newest(), self._now))]
        if self._settings.prune.keep:
            came.append(self._step("prune", self._prune))
        return Outcome.of(*came, run=built.run)

    def _left_over(self) -> list[Outcome]:
        """What the night before had built and did not deliver: told before it is news no more."""
        left, newest = self._kept.left, self._newest()
        if left is None or "mail" in left.done or newest is None:
            return []
        if not newest.usable or newest.now < left.begun:
            return []  # it was killed before its jobs were read, and they are still to come
        self._progress.note(f"the night of {left.begun:%Y-%m-%d %H:%M} UTC is delivered first")
        return [self._pages("render", self._render), *self._delivered("")]

    def _built(self, source: Source, until: float | None) -> Outcome:
        """The run and its pages."""
        with early(self._settings, workers=self._workers, environ=self._environ) as crew:
            collected = self._step("collect", lambda: self._collect(source, until))
            if collected.run is None:
                return collected
            self._kept.did("collect")
            rendered = self._pages("render", lambda: self._render(crew))
        return Outcome.of(collected, rendered, run=collected.run)

    def _collect(self, source: Source, until: float | None) -> Outcome:
        from jmreport.pipeline import collect

        return collect(
            self._settings,
            now=self._now,
            source=source,
            environ=self._environ,
            progress=self._progress,
            until=until,
        )

    def _delivered(self, failed: str) -> list[Outcome]:
        """The site to its bucket, then the mails that lead to it; `failed` is why nothing came."""
        came = []
        if self._settings.publish.to and Path(self._settings.site.dir, "index.html").exists():
            came.append(self._pages("publish", self._publish))
        self._kept.did("publish")
        if self._settings.teams:
            mailed = self._step("mail", lambda: self._mail(failed))
            came.append(mailed)
            # Whatever else ends it leaves nothing in the spool: then the next night tells of this.
            self.told = mailed.exit == Exit.NOT_DELIVERED or "mail" not in self._lacking
        if self.told:
            self._kept.did("mail")
        return came

    def _newest(self) -> Run | None:
        with open_store(self._settings, create=False) as store:
            return next(reversed(store.runs()), None)

    def _render(self, crew: Crew | None = None) -> Outcome:
        from jmreport.pipeline import render

        return render(
            self._settings,
            progress=self._progress,
            workers=self._workers,
            crew=crew,
            executor=self._executor,
            environ=self._environ,
        )

    def _publish(self) -> Outcome:
        from jmreport.pipeline import publish

        return publish(
            self._settings,
            now=self._now,
            environ=self._environ,
            progress=self._progress,
            clock=self._clock,
        )

    def _mail(self, failed: str) -> Outcome:
        from jmreport.pipeline import mail

        return mail(
            self._settings,
            now=self._now,
            failed=failed,
            pages_lack=self._pages_lack,
            unattended=True,
            environ=self._environ,
            progress=self._progress,
        )

    def _prune(self) -> Outcome:
        from jmreport.pipeline import prune

        return prune(
            self._settings,
            now=self._now,
            unattended=True,
            environ=self._environ,
            progress=self._progress,
        )

    def _pages(self, name: str, does: Callable[[], Outcome]) -> Outcome:
        """A step without which this night's pages are not where mails lead to."""
        came = self._step(name, does)
        if name in self._lacking:
            self._pages_lack = self._pages_lack or came.summary[0]
        return came

    def _step(self, name: str, does: Callable[[], Outcome]) -> Outcome:
        """What a step came to; one that could not be done is told, and the others go on.

        Somebody who stops the night stops all of it, and so does a run that writes at this moment.
        """
        self._lacking.discard(name)
        try:
            return does()
        except StoppedError:
            raise
        except LockedError as error:
            if name == "collect":
                raise
            lack: JmreportError = error
        except JmreportError as error:
            lack = error
        except OSError as error:
            what = f"{error.filename}: " if error.filename else ""
            lack = JmreportError(f"{what}{error.strerror or error}")
        self._lacking.add(name)
        return Outcome.lacking(name, lack)


def _also(outcome: Outcome, what: str, hint: str) -> Outcome:
    """The same, and something that failed beside it."""
    code = first(outcome.exit, Exit.FAILED)
    return replace(outcome, exit=code, summary=(*outcome.summary, what, f"  hint: {hint}"))


def _why(built: Outcome, newest: Run | None, now: datetime) -> str:
    """Why no run came, where the store does not tell it itself; "" where one did."""
    if built.run is not None or (newest is not None and newest.now == now):
        return ""
    return built.summary[0].removeprefix("collect: ")
