"""The exceptions of event loops: of loops that do not end, of virtual time, of simulated runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aldente.errors._base import AldenteError


class BlockedEnd(AldenteError):
    """A task blocked an event loop during the shutdown of the loop.

    Args:
        seconds: the limit, in seconds.

    >>> BlockedEnd(30.0).seconds
    30.0
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)

    def __str__(self) -> str:
        return (
            "Code that was left on the event loop at the end of its scope blocked the loop and had "
            f"not ended after {self.seconds:g} s, so aldente interrupted it.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Fix: let CancelledError through (re-raise it after cleaning up), and await the async "
            "counterpart of the call that blocks, or run the call in a thread with "
            "asyncio.to_thread()."
        )


class StuckShutdown(AldenteError):
    """An async generator or executor job, which can't be cancelled, did not end with its scope.

    Args:
        what: ``"an async generator"`` or ``"an executor job"``.
        seconds: how long aldente waited for it, in seconds.

    >>> StuckShutdown("an executor job", 60.0).what
    'an executor job'
    """

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds
        super().__init__(what, seconds)

    def __str__(self) -> str:
        return (
            f"{self.what[0].upper()}{self.what[1:]} that was started on the event loop did not end "
            f"within {self.seconds:g} s of its scope's end, so aldente gave it up.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Fix: before the test ends, end what it waits for, or limit the wait: let an executor "
            "job check an event, and close an async generator with aclose()."
        )


class StuckTasks(AldenteError):
    """Tasks kept running after their cancellation, and aldente gave them up.

    Args:
        tasks: one line for each task: its name, its coroutine and where it waits.
        seconds: how long aldente waited for them, in seconds of loop time.

    >>> StuckTasks(["'worker' at app.py:12"], 10.0).seconds
    10.0
    """

    def __init__(self, tasks: Sequence[str], seconds: float) -> None:
        self.tasks = list(tasks)
        self.seconds = seconds
        super().__init__(self.tasks, seconds)

    def __str__(self) -> str:
        lines = "\n".join(f"  {task}" for task in self.tasks)
        return (
            f"{len(self.tasks)} task(s) did not end within {self.seconds:g} s of being cancelled, "
            "so aldente gave up on them:\n"
            f"{lines}\n"
            "A task that swallows CancelledError cannot be stopped; in production it holds up the "
            "shutdown.\n"
            "Fix: let CancelledError through (re-raise it after cleaning up), and bound what the "
            "task awaits in its 'finally'."
        )


class EndlessTimeError(AldenteError):
    """Virtual time exceeded its limit without an end of the test.

    Args:
        seconds: the limit of loop time, in seconds; None if the limit of jumps was exceeded.
        jumps: the limit of jumps from timer to timer.
        timers: a line for each timer that was still set.

    >>> EndlessTimeError(60.0, 1000, []).seconds
    60.0
    """

    def __init__(self, seconds: float | None, jumps: int, timers: Sequence[str]) -> None:
        self.seconds = seconds
        self.jumps = jumps
        self.timers = list(timers)
        super().__init__(seconds, jumps, self.timers)

    def __str__(self) -> str:
        how_far = (
            f"{self.jumps:,} jumps from timer to timer"
            if self.seconds is None
            else f"{self.seconds:,.0f} s of loop time"
        )
        lines = "".join(f"\n  {timer}" for timer in self.timers[:10])
        return (
            f"Virtual time advanced by more than {how_far}, so aldente stopped it: some code "
            "sleeps again and again, or for longer than that, while nothing else happens. These "
            f"timers kept it going:{lines}\n"
            "Fix: cancel the code that runs for ever when the test no longer needs it, or set a "
            "time-out; aldente_max_virtual_time sets how far virtual time may advance, in seconds."
        )


class MissingExtra(AldenteError):
    """A feature needs a library from an extra of aldente that is not installed.

    Args:
        wanted: what needs it.
        library: the library.
        extra: the extra of aldente that installs it.

    >>> print(MissingExtra("wall=True", "time-machine", "wall"))
    wall=True needs time-machine, which is not installed.
    Fix: pip install "aldente[wall]"
    """

    def __init__(self, wanted: str, library: str, extra: str) -> None:
        self.wanted = wanted
        self.library = library
        self.extra = extra
        super().__init__(wanted, library, extra)

    def __str__(self) -> str:
        return (
            f"{self.wanted} needs {self.library}, which is not installed.\n"
            f'Fix: pip install "aldente[{self.extra}]"'
        )


class NeverTrue(AldenteError, AssertionError):
    """The predicate of `aldente.eventually` never came true.

    Args:
        predicate: its source.
        within: the limit, in seconds of loop time.
        asked: how often it was called.
        last: the result of its last call, in words.

    >>> print(NeverTrue("is_done()", 5.0, 501, "the last result was False"))
    is_done() was not true within 5 s. It was called 501 times; the last result was False.
    """

    def __init__(self, predicate: str, within: float, asked: int, last: str) -> None:
        self.predicate = predicate
        self.within = within
        self.asked = asked
        self.last = last
        super().__init__(predicate, within, asked, last)

    def __str__(self) -> str:
        times = "once" if self.asked == 1 else f"{self.asked} times"
        return (
            f"{self.predicate} was not true within {self.within:g} s. It was called {times}; "
            f"{self.last}."
        )


class RealTimeError(AldenteError):
    """A function of aldente needs virtual time, but the loop's time is real.

    Args:
        wanted: the function.
        loop: the name of the loop's class.

    >>> RealTimeError("aldente.settle()", "_UnixSelectorEventLoop").loop
    '_UnixSelectorEventLoop'
    """

    def __init__(self, wanted: str, loop: str) -> None:
        self.wanted = wanted
        self.loop = loop
        super().__init__(wanted, loop)

    def __str__(self) -> str:
        return (
            f"{self.wanted} needs virtual time, but the time of this event loop ({self.loop}) is "
            "real: aldente can't move it, or know that nothing more will happen.\n"
            "Fix: mark the test with @aldente.virtual_time, or set aldente_clock = virtual; "
            "outside of pytest use aldente.run(main, clock='virtual')."
        )


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
            f"Livelock: the run had not ended after {self.steps:,} steps. What kept it "
            f"going:{lines}\n"
            "Fix: let the task that loops wait for what it needs, or cancel it when the program no "
            "longer needs it; if the program does need more steps, set a higher max_steps."
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
            f"The run differs from the recorded one: at choice {self.choice} it had {self.met}, "
            f"and the recording has {self.recorded}.\n"
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
            "Fix: use a newer aldente, or a Python on which this aldente was checked. Virtual "
            "time, and tests that are not explored, are not affected."
        )


class InvalidToken(AldenteError, ValueError):
    """A token is malformed.

    Args:
        token: the user's argument.
        reason: what is wrong with it, as a sentence.
        fix: what to do, as the rest of a sentence.

    >>> print(InvalidToken("x", "It is too short."))
    'x' is not a token of a schedule. It is too short.
    Fix: copy the token as it was printed, all of it.
    """

    def __init__(
        self, token: object, reason: str, fix: str = "copy the token as it was printed, all of it."
    ) -> None:
        self.token = token
        self.reason = reason
        self.fix = fix
        super().__init__(token, reason, fix)

    def __str__(self) -> str:
        shown = repr(self.token)
        if len(shown) > 100:
            shown = f"{shown[:97]}..."
        return f"{shown} is not a token of a schedule. {self.reason}\nFix: {self.fix}"


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
            "The next task that runs sees that state, and in production any task may see it.\n"
            "Fix: change the state without an await in between, or under a lock that the invariant "
            "checks too; 'assert' inside the check shows which part of it is broken."
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


class HostCrashed(AldenteError, RuntimeError):
    """A task ran on a host that has crashed, so that it never ends.

    Args:
        host: the name of the host.

    >>> HostCrashed("db").host
    'db'
    """

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(host)

    def __str__(self) -> str:
        return (
            f"The host {self.host!r} has crashed, and this task with it: no more of the task's "
            "code runs.\n"
            "Fix: do not await a task of a host that crashes; restart the host with "
            "host.restart(main), and await the task that it returns."
        )


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
