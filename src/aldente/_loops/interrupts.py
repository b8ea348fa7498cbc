"""Turns Ctrl-C into a cancellation while an event loop runs."""

from __future__ import annotations

import asyncio
import signal
import threading
from types import FrameType
from typing import Any


class InterruptGuard:
    """While entered, the first Ctrl-C cancels a task and the next raises KeyboardInterrupt at once.

    It does the same as `asyncio.Runner`, and does nothing off the main thread or when somebody else
    has installed a handler of SIGINT. What it installs is removed on exit.

    Args:
        task: the task to cancel.
        loop: the loop that runs it; woken so that it notices.
    """

    __slots__ = ("_handler", "_loop", "_task", "interrupted")

    def __init__(self, task: asyncio.Task[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._task = task
        self._loop = loop
        self.interrupted = False
        # The bound method is kept because each access makes a new one, and exit compares identity.
        self._handler = self._on_interrupt

    def __enter__(self) -> InterruptGuard:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._handler)
        return self

    def __exit__(self, *exception: object) -> None:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is self._handler
        ):
            signal.signal(signal.SIGINT, signal.default_int_handler)

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
