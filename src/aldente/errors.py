"""Every public exception of aldente.

Each takes facts, keeps them as attributes and builds its own message from them: what happened,
where, why it matters and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AldenteError",
    "BlockedEnd",
    "DeadlockError",
    "EndlessTimeError",
    "FixtureCancelled",
    "FixtureEnded",
    "FixtureYieldError",
    "ImpossibleLoopScope",
    "InvalidSetting",
    "InvalidToken",
    "LivelockError",
    "MissingExtra",
    "NeverTrue",
    "OutsideSimulation",
    "PhaseTimeout",
    "RealTimeError",
    "ReplayMismatch",
    "RunningLoopError",
    "StuckShutdown",
    "StuckTasks",
]


class AldenteError(Exception):
    """The base of every exception that aldente raises for a mistake in its use.

    >>> issubclass(RunningLoopError, AldenteError)
    True
    """


class InvalidSetting(AldenteError, ValueError):
    """A setting, mark argument or scope has a value that is not allowed.

    Args:
        name: the name of the setting, as the user writes it.
        value: the value that was given.
        allowed: what is allowed, in words.

    >>> print(InvalidSetting("asyncio_mode", "atuo", "Valid modes: auto, strict."))
    'atuo' is not a valid asyncio_mode. Valid modes: auto, strict.
    It was given as asyncio_mode='atuo' (str).
    """

    def __init__(self, name: str, value: object, allowed: str) -> None:
        self.name = name
        self.value = value
        self.allowed = allowed
        super().__init__(name, value, allowed)

    def __str__(self) -> str:
        return (
            f"{self.value!r} is not a valid {self.name}. {self.allowed}\n"
            f"It was given as {self.name}={self.value!r} ({type(self.value).__name__})."
        )


class RunningLoopError(AldenteError, RuntimeError):
    """An async test or fixture was to run while an event loop is running in this thread.

    Args:
        wanted: what was to run, for example ``"async fixture 'database'"``.
        inside: what is running on the loop, or None when the loop is not one of aldente's.

    >>> RunningLoopError("async fixture 'database'", "test_query").inside
    'test_query'
    """

    def __init__(self, wanted: str, inside: str | None) -> None:
        self.wanted = wanted
        self.inside = inside
        super().__init__(wanted, inside)

    def __str__(self) -> str:
        if self.inside is None:
            return (
                f"Cannot run {self.wanted}: an event loop that aldente did not start is already "
                "running in this thread.\n"
                "A thread runs one event loop at a time, so the test would never get its turn. "
                "Playwright's sync API, for example, leaves its loop running all session.\n"
                "Mend: use that tool's async API in async tests, or run its sync tests in a pytest "
                "run of their own."
            )
        return (
            f"Cannot run {self.wanted} from inside {self.inside}, which is running on its event "
            "loop.\n"
            "The loop is busy with the caller, so it can't run anything else until the caller "
            "returns: request.getfixturevalue() can't wait.\n"
            "Mend: name the fixture as an argument of the test or fixture, so that it is set up "
            "before."
        )


class ImpossibleLoopScope(AldenteError):
    """A fixture is cached for longer than the event loop it runs on lives.

    Args:
        fixture: the name of the fixture.
        place: the fixture's file and line.
        caching_scope: the scope for which its value is cached.
        loop_scope: the scope of the loop it was to run on.
        chosen_by: where the loop scope comes from, as the user writes it.

    >>> error = ImpossibleLoopScope("pool", "conftest.py:3", "session", "function", "loop_scope")
    >>> error.caching_scope
    'session'
    """

    def __init__(
        self, fixture: str, place: str, caching_scope: str, loop_scope: str, chosen_by: str
    ) -> None:
        self.fixture = fixture
        self.place = place
        self.caching_scope = caching_scope
        self.loop_scope = loop_scope
        self.chosen_by = chosen_by
        super().__init__(fixture, place, caching_scope, loop_scope, chosen_by)

    def __str__(self) -> str:
        return (
            f"Async fixture {self.fixture!r} ({self.place}) is cached for the {self.caching_scope} "
            f"but runs on a loop that lives for one {self.loop_scope} ({self.chosen_by}).\n"
            "Its value would outlive the event loop it belongs to: the next test would get "
            "connections and locks of a closed loop.\n"
            f"Mend: either let the loop live as long (loop_scope={self.caching_scope!r}), or cache "
            f"the fixture no longer than its loop (scope={self.loop_scope!r})."
        )


class FixtureYieldError(AldenteError):
    """An async generator fixture yielded no value, or more than one.

    Args:
        fixture: the fixture, with its file and line.
        yields: how often it yielded: 0, or 2 for "more than once".

    >>> print(FixtureYieldError("'database' (conftest.py:7)", 0).yields)
    0
    """

    def __init__(self, fixture: str, yields: int) -> None:
        self.fixture = fixture
        self.yields = yields
        super().__init__(fixture, yields)

    def __str__(self) -> str:
        if self.yields == 0:
            return (
                f"Async fixture {self.fixture} did not yield a value: it returned before its "
                "'yield'.\n"
                "Mend: make every path through its set-up reach the 'yield', or raise."
            )
        return (
            f"Async fixture {self.fixture} has more than one 'yield': it yielded again during "
            "tear-down.\n"
            "The first 'yield' hands over the value; what follows it is tear-down and must end.\n"
            "Mend: yield once. For several values use 'params' or yield a tuple."
        )


class FixtureEnded(AldenteError):
    """An async generator fixture ended by itself while its value was in use.

    Args:
        fixture: the fixture, with its file and line.
        cancelled: whether it ended by a cancellation that it let through.

    >>> FixtureEnded("'server' (conftest.py:7)", cancelled=True).cancelled
    True
    """

    def __init__(self, fixture: str, *, cancelled: bool) -> None:
        self.fixture = fixture
        self.cancelled = cancelled
        super().__init__(fixture, cancelled)

    def __str__(self) -> str:
        how = (
            "was cancelled"
            if self.cancelled
            else "was cancelled at its 'yield', swallowed the cancellation and returned"
        )
        return (
            f"Async fixture {self.fixture} {how} while its value was in use.\n"
            "Whatever the test did with it from then on says nothing about the code under test.\n"
            "Mend: find what cancels the fixture's task: a time-out or cancel scope around its "
            "'yield', or code that cancels tasks that it did not start."
        )


class FixtureCancelled(AldenteError):
    """A CancelledError came out of an async fixture that nobody meant to cancel.

    Args:
        fixture: the fixture, with its file and line.
        phase: ``"set-up"`` or ``"tear-down"``.

    >>> FixtureCancelled("'server' (conftest.py:7)", "tear-down").phase
    'tear-down'
    """

    def __init__(self, fixture: str, phase: str) -> None:
        self.fixture = fixture
        self.phase = phase
        super().__init__(fixture, phase)

    def __str__(self) -> str:
        return (
            f"Async fixture {self.fixture} was cancelled during its {self.phase}.\n"
            "It awaited something that was cancelled, or its own task was, and let the "
            "CancelledError through.\n"
            "Mend: when it awaits a task that it has cancelled itself, catch the CancelledError "
            "there, for example with contextlib.suppress(asyncio.CancelledError)."
        )


class StuckTasks(AldenteError):
    """Tasks went on running after they had been cancelled, and were given up.

    Args:
        tasks: one line for each task: its name, its coroutine and where it waits.
        seconds: how long they were waited for, in seconds of loop time.

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
            f"{len(self.tasks)} task(s) did not end within {self.seconds:g} s of being cancelled "
            f"and were given up:\n{lines}\n"
            "A task that swallows CancelledError cannot be stopped; in production it holds up the "
            "shutdown.\n"
            "Mend: let CancelledError through (re-raise it after cleaning up), and bound what the "
            "task awaits in its 'finally'."
        )


class StuckShutdown(AldenteError):
    """Something that can't be cancelled did not end with the scope that started it.

    Args:
        what: ``"an async generator"`` or ``"an executor job"``.
        seconds: how long it was waited for, in seconds.

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
            f"within {self.seconds:g} s of its scope's end, and was given up.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Mend: end what it waits for before the test ends, or bound the wait; for an executor "
            "job by an event that it looks at, for an async generator by closing it with aclose()."
        )


class BlockedEnd(AldenteError):
    """Something blocked an event loop while what was left on it was being ended.

    Args:
        seconds: how long it may take, in seconds.

    >>> BlockedEnd(30.0).seconds
    30.0
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)

    def __str__(self) -> str:
        return (
            "What was left on the event loop at the end of its scope blocked the loop and had not "
            f"ended after {self.seconds:g} s, so it was interrupted.\n"
            "In production it would hold up the shutdown for ever.\n"
            "Mend: let CancelledError through (re-raise it after cleaning up), and await what "
            "waits, or do it in a thread with asyncio.to_thread()."
        )


class DeadlockError(AldenteError):
    """Every task waits for something that can never happen, so the test was ended.

    Args:
        running: the name of what was running.
        seconds: how long nothing could happen, in seconds.

    >>> DeadlockError("test_it", 1.0).seconds
    1.0
    """

    def __init__(self, running: str, seconds: float) -> None:
        self.running = running
        self.seconds = seconds
        super().__init__(running, seconds)

    def __str__(self) -> str:
        if not self.seconds:
            return (
                f"Deadlock: nothing could happen any more while {self.running!r} was running, so "
                "it was ended."
            )
        return (
            f"Deadlock: for {self.seconds:g} s nothing could happen any more while "
            f"{self.running!r} was running, so it was cancelled."
        )


class PhaseTimeout(AldenteError):
    """A test, or the set-up or tear-down of a fixture, took longer than it may and was ended.

    Args:
        running: the name of what was running.
        seconds: how long it may take, in seconds.
        state: ``"still running"`` when it was waiting, ``"never scheduled"`` when it had not had
            its first turn, ``"blocked the loop"`` when it let nothing else run.

    >>> print(PhaseTimeout("test_it", 5.0, "still running"))
    'test_it' was still running after 5 s, and was cancelled.
    """

    def __init__(self, running: str, seconds: float, state: str) -> None:
        self.running = running
        self.seconds = seconds
        self.state = state
        super().__init__(running, seconds, state)

    def __str__(self) -> str:
        if self.state == "never scheduled":
            return (
                f"{self.running!r} was never scheduled within {self.seconds:g} s, and was "
                "ended: other tasks or callbacks kept the event loop busy."
            )
        if self.state == "blocked the loop":
            return (
                f"{self.running!r} blocked the loop and had not ended after {self.seconds:g} s, so "
                "it was interrupted.\n"
                "Mend: await what waits, or do it in a thread with asyncio.to_thread()."
            )
        return f"{self.running!r} was still running after {self.seconds:g} s, and was cancelled."


class RealTimeError(AldenteError):
    """Something that only virtual time can do was asked of a loop whose time is real.

    Args:
        wanted: what was asked for.
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
            "real: nobody can move it, or know that nothing more will happen.\n"
            "Mend: mark the test with @aldente.virtual_time, or set aldente_clock = virtual; "
            "outside of pytest use aldente.run(main, clock='virtual')."
        )


class EndlessTimeError(AldenteError):
    """Virtual time ran on and on, and nothing came to an end.

    Args:
        seconds: the limit that was passed, in seconds of loop time; None if it is that of jumps.
        jumps: the most jumps from timer to timer that a run may take.
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
            f"Virtual time ran on for more than {how_far}, and was stopped: something sleeps again "
            "and again, or for longer than that, while nothing else happens. These timers kept it "
            f"going:{lines}\n"
            "Mend: cancel what runs for ever when the test no longer needs it, or set a time-out; "
            "aldente_max_virtual_time says how far time may run, in seconds."
        )


class NeverTrue(AldenteError, AssertionError):
    """What `aldente.eventually` was asked never came true.

    Args:
        predicate: its source.
        within: how long it was asked, in seconds of loop time.
        asked: how often.
        last: what came of it the last time, in words.

    >>> print(NeverTrue("is_done()", 5.0, 501, "the last answer was False"))
    is_done() was not true within 5 s. It was asked 501 times; the last answer was False.
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
            f"{self.predicate} was not true within {self.within:g} s. It was asked {times}; "
            f"{self.last}."
        )


class MissingExtra(AldenteError):
    """Something needs a library that is an extra of aldente and is not installed.

    Args:
        wanted: what needs it.
        library: the library.
        extra: the extra of aldente that brings it.

    >>> print(MissingExtra("wall=True", "time-machine", "wall"))
    wall=True needs time-machine, which is not installed.
    Mend: pip install "aldente[wall]"
    """

    def __init__(self, wanted: str, library: str, extra: str) -> None:
        self.wanted = wanted
        self.library = library
        self.extra = extra
        super().__init__(wanted, library, extra)

    def __str__(self) -> str:
        return (
            f"{self.wanted} needs {self.library}, which is not installed.\n"
            f'Mend: pip install "aldente[{self.extra}]"'
        )


class OutsideSimulation(AldenteError, RuntimeError):
    """Simulated code touched the world outside, of which no schedule can tell the timing.

    Args:
        called: the method of the loop that was called.
        touched: what it would have touched, for example ``"a real socket"``.
        place: the user's file and line; empty when none is known.
        mend: what to do instead.

    >>> OutsideSimulation("loop.create_server()", "a real socket", "app.py:3", "...").touched
    'a real socket'
    """

    def __init__(self, called: str, touched: str, place: str, mend: str) -> None:
        self.called = called
        self.touched = touched
        self.place = place
        self.mend = mend
        super().__init__(called, touched, place, mend)

    def __str__(self) -> str:
        where = f" at {self.place}" if self.place else ""
        return (
            f"{self.called} needs {self.touched}, but was called in a simulated run{where}.\n"
            "A simulated run depends on nothing but its schedule, so that it can be run again; the "
            "world outside has timings of its own.\n"
            f"Mend: {self.mend}."
        )


class LivelockError(AldenteError):
    """A simulated run took more steps than it may, and was ended.

    Args:
        steps: how many steps it may take.
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
            "Mend: have what goes round wait for what it needs, or cancel it when nobody needs it "
            "any more; a program that does need more steps may take them with max_steps."
        )


class ReplayMismatch(AldenteError):
    """A run that was to go as recorded met other options, so that it can't be the same run.

    Args:
        choice: the number of the choice, from 0.
        recorded: what was recorded there, in words.
        met: what was met, in words.
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


class InvalidToken(AldenteError, ValueError):
    """A token does not stand for a schedule.

    Args:
        token: what was given.
        reason: what is wrong with it, as a sentence.

    >>> print(InvalidToken("x", "It is too short."))
    'x' is no token of a schedule. It is too short.
    Mend: copy the token as it was printed, all of it.
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
            "Mend: copy the token as it was printed, all of it."
        )
