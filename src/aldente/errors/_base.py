"""The exceptions that any run may need.

Exceptions that few runs need are in modules of their own.
"""

from __future__ import annotations

import functools
from typing import Any


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
        allowed: the allowed values, in words.

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
    """An async test or fixture can't run, because an event loop is running the caller.

    Args:
        wanted: what can't run, for example ``"async fixture 'database'"``.
        inside: what is running on the loop, or None when the loop is not one of aldente's.
        is_other_run: whether another run of pytest has started the loop.
        is_tear_down: whether its tear-down can't run, and not its set-up or call.

    >>> RunningLoopError("async fixture 'database'", "test_query").inside
    'test_query'
    """

    def __init__(
        self,
        wanted: str,
        inside: str | None,
        is_other_run: bool = False,
        is_tear_down: bool = False,
    ) -> None:
        self.wanted = wanted
        self.inside = inside
        self.is_other_run = is_other_run
        self.is_tear_down = is_tear_down
        super().__init__(wanted, inside, is_other_run, is_tear_down)

    @property
    def is_foreign(self) -> bool:
        """Whether the loop belongs to another tool, or to another run of pytest."""
        return self.inside is None or self.is_other_run

    def __str__(self) -> str:
        if self.is_foreign:
            loop = (
                "an event loop that aldente did not start"
                if self.inside is None
                else f"the event loop of {self.inside}, in another run of pytest,"
            )
            return (
                f"Cannot run {self.wanted}: {loop} is already running in this thread.\n"
                "A thread runs one event loop at a time, and this one waits until the pytest run "
                "inside it ends.\n"
                "Fix: call pytest.main() from code that is not async, or in a thread: 'await "
                "asyncio.to_thread(pytest.main, arguments)'."
            )
        if self.is_tear_down:
            return (
                f"Cannot tear down {self.wanted} from inside {self.inside}, which is running on "
                "its event loop.\n"
                "The loop is busy with the caller, so it can't run anything else until the caller "
                "returns.\n"
                "Fix: let pytest tear fixtures down, which it does after the test."
            )
        return (
            f"Cannot run {self.wanted} from inside {self.inside}, which is running on its event "
            "loop.\n"
            "The loop is busy with the caller, so it can't run anything else until the caller "
            "returns: request.getfixturevalue() can't wait.\n"
            "Fix: name the fixture as an argument of the test or fixture, so that it is set up "
            "before."
        )


class ImpossibleLoopScope(AldenteError):
    """pytest caches a fixture for longer than the event loop on which it runs lives.

    Args:
        fixture: the name of the fixture.
        place: the fixture's file and line.
        caching_scope: the scope for which pytest caches its value.
        loop_scope: the scope of the loop on which it would run.
        chosen_by: the setting of the loop scope, as the user writes it.

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
            f"Fix: either let the loop live as long (loop_scope={self.caching_scope!r}), or cache "
            f"the fixture no longer than its loop (scope={self.loop_scope!r})."
        )


class FixtureYieldError(AldenteError):
    """A generator fixture yielded no value, or more than one.

    Args:
        fixture: the fixture, with its file and line.
        yields: how often it yielded: 0, or 2 for "more than once".
        is_async: whether it is an async generator.

    >>> print(FixtureYieldError("'database' (conftest.py:7)", 0).yields)
    0
    """

    def __init__(self, fixture: str, yields: int, is_async: bool = True) -> None:
        self.fixture = fixture
        self.yields = yields
        self.is_async = is_async
        super().__init__(fixture, yields, is_async)

    def __str__(self) -> str:
        name = f"{'Async fixture' if self.is_async else 'Fixture'} {self.fixture}"
        if self.yields == 0:
            return (
                f"{name} did not yield a value: it returned before its "
                "'yield'.\n"
                "Fix: make every path through its set-up reach the 'yield', or raise."
            )
        return (
            f"{name} has more than one 'yield': it yielded again during "
            "tear-down.\n"
            "The first 'yield' hands over the value; what follows it is tear-down and must end.\n"
            "Fix: yield once. For several values use 'params' or yield a tuple."
        )


class FixtureEnded(AldenteError):
    """An async generator fixture ended by itself while its value was in use.

    Args:
        fixture: the fixture, with its file and line.
        cancelled: whether it ended by a cancellation that it let through.
        by_group: whether ``TaskGroup.cancel()`` (Python 3.15) has ended it, of a group around its
            ``yield``.

    >>> FixtureEnded("'server' (conftest.py:7)", cancelled=True).cancelled
    True
    """

    def __init__(self, fixture: str, *, cancelled: bool, by_group: bool = False) -> None:
        self.fixture = fixture
        self.cancelled = cancelled
        self.by_group = by_group
        super().__init__(fixture, cancelled, by_group)

    def __reduce__(self) -> tuple[Any, ...]:
        made = {"cancelled": self.cancelled, "by_group": self.by_group}
        return functools.partial(type(self), self.fixture, **made), (), vars(self)

    def __str__(self) -> str:
        if self.by_group:
            return (
                f"Async fixture {self.fixture} was ended by TaskGroup.cancel() while its value was "
                "in use.\n"
                "The task group is around the fixture's 'yield', so cancel() ends the fixture with "
                "the group's tasks: its code between the 'yield' and the end of the group does not "
                "run.\n"
                "Fix: cancel the tasks themselves with task.cancel(), or call cancel() in the "
                "fixture, after its 'yield'. If the test itself ends the group, use 'async with "
                "asyncio.TaskGroup()' in the test."
            )
        how = (
            "was cancelled"
            if self.cancelled
            else "was cancelled at its 'yield', swallowed the cancellation and returned"
        )
        return (
            f"Async fixture {self.fixture} {how} while its value was in use.\n"
            "What the test did with the value after that says nothing about the code under test.\n"
            "Fix: find what cancels the fixture's task: a time-out or cancel scope around its "
            "'yield', or code that cancels tasks that it did not start."
        )


class FixtureCancelled(AldenteError):
    """An async fixture raised a CancelledError although aldente did not cancel it.

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
            "Fix: when it awaits a task that it has cancelled itself, catch the CancelledError "
            "there, for example with contextlib.suppress(asyncio.CancelledError)."
        )


class DeadlockError(AldenteError):
    """Every task waits for something that can never happen, so aldente ended the test.

    Args:
        running: the name of the test, fixture or program.
        seconds: how long no task could go on, in seconds.
        beside_timers: whether timers go on that have no reference to what the tasks wait for.

    >>> DeadlockError("test_it", 1.0).seconds
    1.0
    """

    def __init__(self, running: str, seconds: float, beside_timers: bool = False) -> None:
        self.running = running
        self.seconds = seconds
        self.beside_timers = beside_timers
        super().__init__(running, seconds, beside_timers)

    def __str__(self) -> str:
        if self.beside_timers:
            return (
                f"Deadlock: {self.running!r} waits for an object that no code that still runs, "
                "such as the callback of a timer, can reach, so aldente ended it."
            )
        if not self.seconds:
            return (
                f"Deadlock: nothing could happen any more while {self.running!r} was running, so "
                "aldente ended it."
            )
        return (
            f"Deadlock: for {self.seconds:g} s nothing could happen any more while "
            f"{self.running!r} was running, so aldente cancelled it."
        )


class PhaseTimeout(AldenteError):
    """A test, or the set-up or tear-down of a fixture, exceeded its time limit.

    Args:
        running: the name of the test or fixture.
        seconds: the limit, in seconds.
        state: ``"still running"`` if it was waiting, ``"never scheduled"`` if it had not taken its
            first step, ``"blocked the loop"`` if it was in the middle of a step.

    >>> print(PhaseTimeout("test_it", 5.0, "still running"))
    'test_it' was still running after 5 s, so aldente cancelled it.
    """

    def __init__(self, running: str, seconds: float, state: str) -> None:
        self.running = running
        self.seconds = seconds
        self.state = state
        super().__init__(running, seconds, state)

    def __str__(self) -> str:
        if self.state == "never scheduled":
            return (
                f"{self.running!r} got no turn within {self.seconds:g} s, so aldente ended it: "
                "other tasks or callbacks kept the event loop busy."
            )
        if self.state == "blocked the loop":
            return (
                f"{self.running!r} blocked the loop and had not ended after {self.seconds:g} s, so "
                "aldente interrupted it.\n"
                "Fix: await the async counterpart of the call that blocks, or run the call in a "
                "thread with asyncio.to_thread()."
            )
        return (
            f"{self.running!r} was still running after {self.seconds:g} s, so aldente cancelled it."
        )


for _kind in list(vars().values()):
    if isinstance(_kind, type) and _kind.__module__ == __name__:
        # The module under which users see and catch them.
        _kind.__module__ = "aldente.errors"
