"""Plain values that the layers pass to one another."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

# What happens with a finding: it fails the test, it is reported at the end of the run, or the rule
# does not run.
Level = Literal["error", "warn", "off"]

LEVELS: tuple[Level, ...] = ("error", "warn", "off")


class LoopScope(enum.Enum):
    """How long an event loop lives; the members are ordered from narrow to wide.

    The names are pytest's names of fixture scopes, and mean the same nodes.

    >>> LoopScope.FUNCTION < LoopScope.SESSION
    True
    """

    FUNCTION = "function"
    CLASS = "class"
    MODULE = "module"
    PACKAGE = "package"
    SESSION = "session"

    @property
    def width(self) -> int:
        """The rank from narrow (0) to wide (4)."""
        return _WIDTHS[self]

    def __lt__(self, other: LoopScope) -> bool:
        return self.width < other.width


_WIDTHS = {scope: width for width, scope in enumerate(LoopScope)}


class SourcePlace(NamedTuple):
    """A place in the user's code: a file and a line number counted from 1."""

    path: str
    line: int

    @classmethod
    def relative_to(cls, path: str, line: int, folder: Path) -> SourcePlace:
        """A place whose path is relative to a folder if it lies within, else absolute."""
        full = Path(path)
        return cls(str(full.relative_to(folder) if full.is_relative_to(folder) else full), line)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


class Rule(NamedTuple):
    """A pitfall that aldente knows.

    Attributes:
        name: its public name, for example ``"never-awaited"``.
        catches: one line that describes the pitfall.
        why: why it matters, as findings say it; sentences.
        explanation: paragraphs for ``--aldente-explain``: what triggers it, what does not, how to
            fix it.
        is_seen_at_once: whether findings are made where the code runs, so that a block of code can
            allow them.
        is_measured: whether findings at one place differ in a measured time or in arguments of a
            call, so that only the last is kept.
        is_sampled: whether the line and the number of findings are those that the watchdog happens
            to see, so that a known one stands for all of its test.
        is_left_behind: whether a failing test may not have reached the code that avoids it.
        explained_by: the rule whose finding at the same place explains that of this one.
        reported_by: the exceptions that report the finding themselves.
        has_story: whether the details of a finding are a story worth reading at the end of the run.
        explains_failure: whether a finding says why a phase has failed, so that the report of the
            failure has it at any level.
        shows_details: whether the summary shows the details of warnings, as they say how to see
            them happen.
    """

    name: str
    catches: str
    why: str
    explanation: str
    is_seen_at_once: bool = False
    is_measured: bool = False
    is_sampled: bool = False
    is_left_behind: bool = False
    explained_by: str | None = None
    reported_by: type[BaseException] | None = None
    has_story: bool = False
    explains_failure: bool = False
    shows_details: bool = False


class Finding(NamedTuple):
    """One occurrence of a pitfall.

    Attributes:
        rule: the name of the rule.
        what: what happened; one sentence or more.
        fix: what to do; one sentence or more, without the word "Fix".
        place: the place in the user's code, with its full path; None when none is known.
        details: lines that follow the place, such as a stack.
        made_by: the node id of the test that did it; None for the current one.
        is_mild: whether it is a warning unless the user has made its rule an error.
        is_grave: whether it is an error where the user has not set the level of its rule.
        subject: what it is about, in as few words as can be, such as the name of a coroutine; empty
            where the place says it.
        token: the schedule that has it, of a test that passes in asyncio's order; else empty.
    """

    rule: str
    what: str
    fix: str
    place: SourcePlace | None = None
    details: tuple[str, ...] = ()
    made_by: str | None = None
    is_mild: bool = False
    is_grave: bool = False
    subject: str = ""
    token: str = ""


# How findings begin of what is open until it is freed, which may be a finding already.
FREED = "It was freed unclosed"

# Called with findings from below the test runner; only the last one is.
receivers: list[Callable[[Finding], None]] = []


class TestTime(NamedTuple):
    """The kind of time that a test has.

    Attributes:
        is_virtual: whether its loop's time is virtual.
        wall: the first reading of the clocks of the process if they follow loop time, in
            nanoseconds since 1970; None if they don't follow it.
        patience: how long nothing must come from other processes and threads before time jumps, in
            real seconds.
        max_virtual_time: how far virtual time may advance, in seconds of loop time.
    """

    is_virtual: bool
    wall: int | None
    patience: float
    max_virtual_time: float
