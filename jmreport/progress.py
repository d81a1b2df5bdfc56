"""How long work tells that it goes on; who listens is the command line's affair."""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Step(Protocol):
    """A step under way."""

    def advance(self, n: int = 1) -> None:
        """Say that `n` more things are done. May be called from several threads."""

    def expect(self, total: int) -> None:
        """Say how many things there are in all, as far as is known by now: it may grow."""


class Progress(Protocol):
    """Whoever wants to know how far a command is."""

    def step(self, name: str, total: int | None) -> AbstractContextManager[Step]:
        """Begin a step named in words for the reader ("read jobs").

        `total` is how many things there are to do, None where nobody knows. Leaving the context by
        an exception says that the step was not finished.
        """

    def note(self, text: str) -> None:
        """Tell the reader something that is not a step: one plain line."""


class SilentStep:
    """A step that nobody watches."""

    def advance(self, n: int = 1) -> None:
        """Tell nobody."""

    def expect(self, total: int) -> None:
        """Tell nobody."""


class SilentProgress:
    """Tells nobody: for tests, and for callers with no reader."""

    def step(self, name: str, total: int | None) -> AbstractContextManager[Step]:  # noqa: ARG002 - the Protocol's names
        """A step that nobody watches."""
        return nullcontext(SilentStep())

    def note(self, text: str) -> None:
        """Tell nobody."""
