"""What commands hand over, and what they get back."""

from typing import Protocol, Self

from msgspec import Struct

from jmreport.errors import Exit, JmreportError, first
from jmreport.records import Record, Run


class DemoOptions(Struct, frozen=True, kw_only=True):
    """Which built-in server: the same options, the same answers."""

    seed: int = 1
    jobs: int = 2000
    like: str = "spec"
    #: Of the widest scatter, once a week; 0: no wider than others.
    shards: int = 0
    #: Nights with planted stories instead of the ordinary jobs; 0: the ordinary ones.
    nights: int = 0


#: The built-in server, and its planted nights, as runs remember them.
BUILT_IN = "the built-in demo server"
PLANTED = f"{BUILT_IN}'s planted nights"


class Source(Struct, frozen=True, kw_only=True):
    """Where jobs come from: a server's address, or the built-in server in process.

    `in_file` says that `jmreport.toml` names that address.
    """

    url: str | None = None
    in_file: bool = False
    demo: DemoOptions | None = None

    @property
    def name(self) -> str:
        """The server as runs remember it."""
        if self.demo and self.demo.nights:
            return PLANTED
        return self.url or BUILT_IN


class Outcome(Struct, frozen=True, kw_only=True):
    """What a command came to: its exit code, and plain lines that say so."""

    exit: Exit = Exit.DONE
    summary: tuple[str, ...] = ()
    run: Run | None = None

    @classmethod
    def of(cls, *steps: "Outcome", run: Run | None) -> Self:
        """What several steps came to, in their order; `run` is the one that they were about."""
        return cls(
            exit=first(*(step.exit for step in steps)),
            summary=tuple(line for step in steps for line in step.summary),
            run=run,
        )

    @classmethod
    def lacking(cls, what: str, error: JmreportError, *, code: Exit | None = None) -> Self:
        """Something that could not be done, and why: it is told, and what else there is to do goes
        on. It ends with the error's code, unless another is given."""
        hint = (f"  hint: {error.hint}",) if error.hint else ()
        return cls(
            exit=error.code if code is None else code, summary=(f"{what}: {error.message}", *hint)
        )


def exit_of(run: Run) -> Exit:
    """What a command ends with that made a run: whether anything is lacking in it."""
    return Exit.INCOMPLETE if run.gaps else Exit.DONE


class Stored(Struct, frozen=True, kw_only=True):
    """A job's record, and the run that stored it."""

    record: Record
    run: str


class Fault(Protocol):
    """Something `check` found: what is wrong, and why it matters."""

    @property
    def what(self) -> str: ...
    @property
    def why(self) -> str: ...


class Checked(Struct, frozen=True, kw_only=True):
    """A fault of the store or of the site."""

    what: str
    why: str
