"""Interrupts runs: recognises the user's Ctrl-C, and ends steps that never return."""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from aldente import _python_compat, _system
from aldente._own_errors import contained, containing
from aldente._rules.blocking_call.caller import is_in_debugger
from aldente._rules.long_runs import describe_stack
from aldente._rules.watchdog import gone_while_forking
from aldente._simulation.loop import SimulatedLoop
from aldente._stacks import frames_of_threads
from aldente._system import monotonic
from aldente.errors import PhaseTimeout

# How long a run may go on after the end of its time, and how often to check it, in seconds.
_ANSWER_LIMIT = 2.0
_LOOK = 0.1


class _Terminating:
    """A handler of SIGTERM that does what Ctrl-C does.

    Attributes:
        has_come: whether the signal has come.
    """

    def __init__(self) -> None:
        self.has_come = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        signal.default_int_handler(number, frame)


@contextlib.contextmanager
def terminating() -> Iterator[Callable[[], bool]]:
    """While entered, SIGTERM does what Ctrl-C does; yields a function: whether it came.

    Only on the main thread and where nothing else handles it; elsewhere always False.
    """
    handler = _Terminating()
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if is_ours:
        signal.signal(signal.SIGTERM, handler)
    try:
        yield lambda: handler.has_come
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def noting_interrupts() -> Iterator[Callable[[], bool]]:
    """While entered, note Ctrl-C besides its usual effect; yields a function: whether it came.

    So is SIGTERM while `terminating` is entered. Only on the main thread and with Python's own
    handler of Ctrl-C; elsewhere always False.
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    is_main = threading.current_thread() is threading.main_thread()

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        handler = before[signal.Signals(number)]
        assert callable(handler)
        handler(number, frame)

    ours = [
        number
        for number, handler in before.items()
        if is_main and (handler is signal.default_int_handler or isinstance(handler, _Terminating))
    ]
    for number in ours:
        signal.signal(number, note)
    try:
        yield lambda: bool(came)
    finally:
        for number in ours:
            signal.signal(number, before[number])


# The loops of the current runs, the innermost last: a program may explore another one.
_current: list[SimulatedLoop] = []


@contextlib.contextmanager
def running(loop: SimulatedLoop) -> Iterator[None]:
    """While entered, a run is current, so that its steps may be interrupted."""
    _current.append(loop)
    try:
        yield
    finally:
        _current.pop()


@contextlib.contextmanager
def ending_steps(on_look: Callable[[], object] | None = None) -> Iterator[None]:
    """While entered, interrupt a step that goes on for long after its run's time is over.

    Args:
        on_look: called from another thread, several times a second, however long a step takes.

    The run then ends with `PhaseTimeout`, whose notes have the stack. Only on the main thread, and
    if SIGINT has a handler in Python or none: it uses that signal, which also ends system calls.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not (
        callable(before) or before == signal.SIG_IGN
    ):
        yield
        return
    ender = _Ender(before, on_look)
    signal.signal(signal.SIGINT, ender.on_signal)
    try:
        with gone_while_forking(ender):
            ender.start_when_needed()
            yield
    finally:
        ender.stop()
        if signal.getsignal(signal.SIGINT) == ender.on_signal:
            signal.signal(signal.SIGINT, before)


class _Ender:
    """Checks from a thread of its own whether a step of the main thread should have ended.

    Args:
        before: the previous handler of SIGINT.
        on_look: called at each check.
    """

    def __init__(
        self,
        before: Callable[[int, FrameType | None], object] | int,
        on_look: Callable[[], object] | None,
    ) -> None:
        self._before = before
        self._on_look = on_look
        # Its thread, and the lock held until that thread has to end; None without a thread.
        self._thread: tuple[_python_compat.HiddenThread, _thread.LockType] | None = None
        # Held while it sends the signal, so that the signal can't arrive after `stop`.
        self._sending = _system.allocate_lock()
        # The run to interrupt, and the error to raise.
        self._reason: tuple[SimulatedLoop, BaseException] | None = None

    def start_when_needed(self) -> None:
        """Start the thread, if it is needed."""
        stopped = _system.allocate_lock()
        stopped.acquire()
        watch = functools.partial(self._watch, stopped)
        self._thread = _python_compat.HiddenThread(watch), stopped

    def stop(self) -> None:
        """Stop the thread."""
        if self._thread is None:
            return
        (thread, stopped), self._thread = self._thread, None
        with self._sending:
            stopped.release()
        thread.join(_ANSWER_LIMIT)

    def forget(self) -> None:
        """Forget the thread in a forked child, which does not have it."""
        self._thread = None

    def _watch(self, stopped: _thread.LockType) -> None:
        """Check until it is stopped."""
        late: SimulatedLoop | None = None
        next_time, is_first = 0.0, True
        while not stopped.acquire(timeout=_LOOK):
            if self._on_look is not None:
                self._on_look()
            loop = _current[-1] if _current else None
            end = None if loop is None else loop.real_time.end
            if loop is None or end is None or monotonic() < end:
                late = None
            elif late is not loop:
                late, next_time, is_first = loop, end + _ANSWER_LIMIT, True
            elif monotonic() >= next_time:
                next_time = monotonic() + _ANSWER_LIMIT
                self._end(loop, stopped, is_first=is_first)
                is_first = False
        stopped.release()

    @containing("ending a step that does not end by itself", None)
    def _end(self, loop: SimulatedLoop, stopped: _thread.LockType, *, is_first: bool) -> None:
        frame = frames_of_threads().get(threading.main_thread().ident or 0)
        if is_in_debugger(frame):
            return
        error = PhaseTimeout(loop.name, loop.real_time.seconds or 0.0, "blocked the loop")
        with contained("recording the stack of a step that does not end"):
            error.add_note(describe_stack(frame))
        # Even if the program catches the error where it is raised.
        loop.fail(error)
        # A loop that tries again after every Exception does not catch the second one.
        self._reason = loop, error if is_first else asyncio.CancelledError()
        with self._sending:
            if stopped.locked():
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Interrupt the step, or else do what the previous handler does."""
        reason, self._reason = self._reason, None
        if reason is not None:
            loop, error = reason
            # The step may have ended just now.
            if _current and _current[-1] is loop and not loop.is_closed():
                raise error
        elif callable(self._before):
            self._before(number, frame)
