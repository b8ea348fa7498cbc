"""Turns Ctrl-C into a cancellation while an event loop runs."""

from __future__ import annotations

import asyncio
import importlib
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

# signal.signal and getsignal themselves, without the conversions to and from enums around them.
# Those cost a third of what running a trivial coroutine costs. Checked on CPython 3.11 to 3.13.
_set_handler: Callable[[int, Any], Any] = importlib.import_module("_signal").signal
_get_handler: Callable[[int], Any] = importlib.import_module("_signal").getsignal


class InterruptGuard:
    """While entered, the first Ctrl-C cancels a task and the next raises KeyboardInterrupt at once.

    It does the same as `asyncio.Runner`, and does nothing off the main thread or when somebody else
    has installed a handler of SIGINT. What it installs is removed on exit.

    Args:
        task: the task to cancel.
        loop: the loop that runs it; woken so that it notices.
    """

    __slots__ = ("_handler", "_loop", "_task", "interrupted")

    _handler: Callable[[int, FrameType | None], None] | None

    def __init__(self, task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._task = task
        self._loop = loop
        self.interrupted = False
        self._handler = None

    def __enter__(self) -> InterruptGuard:
        if _get_handler(signal.SIGINT) is signal.default_int_handler:
            # Kept because each access makes a new bound method, and exit compares identity.
            handler = self._on_interrupt
            try:
                _set_handler(signal.SIGINT, handler)
            except ValueError:
                # Off the main thread, where Ctrl-C does not arrive.
                return self
            self._handler = handler
        return self

    def __exit__(self, *exception: object) -> None:
        # Forgotten because it refers to this object: a cycle would keep loop and task alive.
        handler, self._handler = self._handler, None
        if handler is not None and _get_handler(signal.SIGINT) is handler:
            _set_handler(signal.SIGINT, signal.default_int_handler)

    def _on_interrupt(self, signal_number: int, frame: FrameType | None) -> None:
        first = not self.interrupted
        self.interrupted = True
        if first and not self._task.done():
            self._task.cancel()
            # The loop may be asleep in its selector.
            self._loop.call_soon_threadsafe(_wake_up)
            return
        raise KeyboardInterrupt


def _wake_up() -> None:
    """Do nothing: being called is what ends the loop's sleep."""
