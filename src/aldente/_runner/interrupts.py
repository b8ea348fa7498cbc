"""Turns Ctrl-C into a cancellation while an event loop runs."""

from __future__ import annotations

import asyncio
import importlib
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

# signal.signal and getsignal without the conversions to and from enums, which cost a third of what
# running a trivial coroutine costs. Checked on CPython 3.11 to 3.13.
_set_handler: Callable[[int, Any], Any] = importlib.import_module("_signal").signal
_get_handler: Callable[[int], Any] = importlib.import_module("_signal").getsignal


# Those that are entered on the main thread, the innermost last.
_entered: list[InterruptGuard] = []

# Held while the signal is sent, so that Python's own handler does not get it.
_breaking_in = threading.Lock()


class InterruptGuard:
    """While entered, the first Ctrl-C cancels a task and the next raises KeyboardInterrupt at once.

    Without a task, the first does so too.

    It does the same as `asyncio.Runner`, and does nothing off the main thread or when other code
    has installed a SIGINT handler. If the parent process had SIGINT ignored (``nohup``, or a
    shell's background job), Ctrl-C stays ignored, but `break_in` works. On exit the guard removes
    its handler. A server in this process, such as uvicorn, may have replaced it meanwhile; if the
    server restores the handler after this guard's exit, Ctrl-C goes to the guard that is entered
    then.

    Args:
        task: the task to cancel, or None.
        loop: the loop that runs it; woken so that it notices.
        before_cancelling: called at Ctrl-C, before anything is cancelled.

    Attributes:
        interrupted: whether Ctrl-C was pressed.
        has_broken_in: whether `break_in` has raised an exception.
    """

    __slots__ = (
        "_before",
        "_before_cancelling",
        "_handler",
        "_loop",
        "_reason",
        "_task",
        "has_broken_in",
        "interrupted",
    )

    _handler: Callable[[int, FrameType | None], None] | None

    def __init__(
        self,
        task: asyncio.Task[Any] | None,
        loop: asyncio.AbstractEventLoop,
        before_cancelling: Callable[[], None] = lambda: None,
    ) -> None:
        self._task = task
        self._loop = loop
        self._before_cancelling = before_cancelling
        self.interrupted = self.has_broken_in = False
        self._handler = None
        # The previous SIGINT handler.
        self._before: object = None
        self._reason: BaseException | None = None

    def __enter__(self) -> InterruptGuard:
        before = _get_handler(signal.SIGINT)
        if _is_of_past_guard(before):
            before = signal.default_int_handler
        if threading.get_ident() == threading.main_thread().ident:
            _entered.append(self)
        if before is signal.default_int_handler or before == signal.SIG_IGN:
            # Kept because each access makes a new bound method, and exit compares identity.
            handler = self._on_interrupt
            try:
                _set_handler(signal.SIGINT, handler)
            except ValueError:
                # Off the main thread, where Ctrl-C does not arrive.
                return self
            self._handler, self._before = handler, before
        return self

    def __exit__(self, *exception: object) -> None:
        # Forgotten because it refers to this object: a cycle would keep loop and task alive.
        handler, self._handler = self._handler, None
        if self in _entered:
            _entered.remove(self)
        if handler is not None and _get_handler(signal.SIGINT) is handler:
            with _breaking_in:
                _set_handler(signal.SIGINT, self._before)

    def break_in(self, reason: BaseException) -> bool:
        """Raise an exception in the code that blocks the loop's thread; called from another thread.

        SIGINT interrupts any system call of that code.

        Returns:
            Whether that is possible.
        """
        with _breaking_in:
            if self._handler is None:
                return False
            self._reason = reason
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return True

    def _on_interrupt(self, signal_number: int, frame: FrameType | None) -> None:
        reason, self._reason = self._reason, None
        if reason is not None:
            self.has_broken_in = True
            raise reason
        if self in _entered:
            self.interrupt()
        elif _entered:
            _entered[-1].interrupt()
        else:
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """Handle Ctrl-C: cancel the task, or raise KeyboardInterrupt."""
        if self._before == signal.SIG_IGN:
            return
        first = not self.interrupted
        self.interrupted = True
        if first and (self._task is None or not self._task.done()):
            self._before_cancelling()
        if first and self._task is not None and not self._task.done():
            self._task.cancel()
            # The loop may be asleep in its selector.
            self._loop.call_soon_threadsafe(_wake_up)
            return
        raise KeyboardInterrupt


def _is_of_past_guard(handler: object) -> bool:
    """Whether a handler of SIGINT belongs to a guard that was exited."""
    guard = getattr(handler, "__self__", None)
    return isinstance(guard, InterruptGuard) and guard not in _entered


def _wake_up() -> None:
    """Do nothing; the scheduling of this callback wakes the loop."""
