"""The exceptions of simulated runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aldente.errors._base import AldenteError


class OutsideSimulation(AldenteError, RuntimeError):
    """Simulated code did real I/O, whose timing no schedule controls.

    Args:
        called: the method of the loop that it called.
        touched: what that method needs, for example ``"a real socket"``.
        place: the user's file and line; empty when none is known.
        fix: what to do instead.

    >>> OutsideSimulation("loop.create_server()", "a real socket", "app.py:3", "...").touched
    'a real socket'
    """

    def __init__(self, called: str, touched: str, place: str, fix: str) -> None:
        self.called = called
        self.touched = touched
        self.place = place
        self.fix = fix
        super().__init__(called, touched, place, fix)

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return (
            f"{self.called} needs {self.touched}, but was called in a simulated run{where}.\n"
            "A simulated run depends on nothing but its schedule, so that it can be run again; the "
            "world outside has timings of its own.\n"
            f"Fix: {self.fix}."
        )


class LivelockError(AldenteError):
    """A simulated run exceeded its limit of steps.

    Args:
        steps: the limit.
        busy: a line for each task and callback that kept it going.

    >>> LivelockError(100_000, ["'poller' at app.py:12: 1,000 of the last 1,000 steps"]).steps
    100000
    """

    def __init__(self, steps: int, busy: Sequence[str]) -> None:
        self.steps = steps
        self.busy = list(busy)
        super().__init__(steps, self.busy)

    def __str__(self) -> str:
        lines = "".join(f"\n  {line}" for line in self.busy[:10])
        return (
            f"Livelock: the run had not ended after {self.steps:,} steps. What kept it going:"
            f"{lines}\n"
            "Fix: let the task that goes round wait for what it needs, or cancel it when it is no "
            "longer needed; a program that does need more steps may take them with max_steps."
        )


class ReplayMismatch(AldenteError):
    """A replay met other options than the recorded run, so it can't be the same run.

    Args:
        choice: the number of the choice, from 0.
        recorded: what the recorded run had there, in words.
        met: what the replay met, in words.
        cause: the likely cause, in words.

    >>> ReplayMismatch(3, "2 options", "3 options", "the program has changed").choice
    3
    """

    def __init__(self, choice: int, recorded: str, met: str, cause: str) -> None:
        self.choice = choice
        self.recorded = recorded
        self.met = met
        self.cause = cause
        super().__init__(choice, recorded, met, cause)

    def __str__(self) -> str:
        return (
            f"The run did not go as recorded: at choice {self.choice} there were {self.met}, "
            f"recorded were {self.recorded}.\n"
            f"Likely cause: {self.cause}."
        )


class UnsupportedPython(AldenteError):
    """Choosing schedules does not work on the running Python, which aldente was not tested on.

    Args:
        version: the version of Python.
        what: what went wrong, in words.

    >>> UnsupportedPython((3, 99), "a run ended with AttributeError()").version
    (3, 99)
    """

    def __init__(self, version: tuple[int, int], what: str) -> None:
        self.version = version
        self.what = what
        super().__init__(version, what)

    def __str__(self) -> str:
        return (
            f"aldente can't choose schedules on Python {self.version[0]}.{self.version[1]}: in a "
            f"trial, {self.what}.\n"
            "Exploring tests there would miss the bugs that depend on a schedule.\n"
            "Fix: take a newer aldente, or a Python that this one was checked on. Tests that are "
            "not explored, and virtual time, need none of this."
        )


class InvalidToken(AldenteError, ValueError):
    """A token is malformed.

    Args:
        token: the user's argument.
        reason: what is wrong with it, as a sentence.

    >>> print(InvalidToken("x", "It is too short."))
    'x' is no token of a schedule. It is too short.
    Fix: copy the token as it was printed, all of it.
    """

    def __init__(self, token: object, reason: str) -> None:
        self.token = token
        self.reason = reason
        super().__init__(token, reason)

    def __str__(self) -> str:
        shown = repr(self.token)
        if len(shown) > 100:
            shown = f"{shown[:97]}..."
        return (
            f"{shown} is no token of a schedule. {self.reason}\n"
            "Fix: copy the token as it was printed, all of it."
        )


class FoundInRun(AldenteError):
    """A simulated run fails because of findings, as a test does.

    Args:
        findings: the findings, each with its ``rule``, ``what``, ``fix`` and ``place``.
        texts: their full texts.

    >>> FoundInRun([], ["never-awaited: the coroutine 'fetch' was never awaited."])
    FoundInRun("never-awaited: the coroutine 'fetch' was never awaited.")
    """

    def __init__(self, findings: Sequence[Any], texts: Sequence[str]) -> None:
        self.findings = tuple(findings)
        self.texts = tuple(texts)
        super().__init__(self.findings, self.texts)

    def __str__(self) -> str:
        return "\n\n".join(self.texts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self).splitlines()[0]!r})"


class InvariantBroken(AldenteError, AssertionError):
    """An invariant of a simulated run does not hold any more.

    Args:
        check: the name of the check, which returned False.
        place: its file and line; empty when none is known.
        after: which task or callback took the step before the check, in words.

    >>> InvariantBroken("no_overdraft", "app.py:3", "the task 'pay'").after
    "the task 'pay'"
    """

    def __init__(self, check: str, place: str, after: str) -> None:
        self.check = check
        self.place = place
        self.after = after
        super().__init__(check, place, after)

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        return (
            f"The invariant {self.check}{where} does not hold any more: it returned False after a "
            f"step of {self.after}.\n"
            "The next task to go on sees that state, and so may any task in production.\n"
            "Fix: have the state changed without an await in between, or under a lock that the "
            "invariant asks for too; 'assert' inside the check shows which part of it is broken."
        )


class NotSimulated(AldenteError, RuntimeError):
    """A function of aldente works only in a simulated run.

    Args:
        function: the name of aldente's function.
        needs: what it needs, as a sentence.

    >>> NotSimulated("invariant", "It looks after every step.").function
    'invariant'
    """

    def __init__(self, function: str, needs: str) -> None:
        self.function = function
        self.needs = needs
        super().__init__(function, needs)

    def __str__(self) -> str:
        return (
            f"aldente.{self.function}() was called outside of a simulated run. {self.needs}\n"
            "Fix: call it in an explored test, or in a program that aldente.search(main) or "
            "aldente.run(main, seed=1) runs; elsewhere, assert where it matters."
        )


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
