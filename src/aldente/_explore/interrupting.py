"""Tells Ctrl-C of the user from a KeyboardInterrupt that a program raises itself."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def noting_interrupts() -> Iterator[Callable[[], bool]]:
    """While entered, Ctrl-C is noted besides what it does; gives what tells whether it came.

    Only on the main thread and where Ctrl-C is as Python has it; elsewhere it never came.
    """
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and before is signal.default_int_handler
    )

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    if is_ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(came)
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, before)
