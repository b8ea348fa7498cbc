"""What the tests of the watchdog's watchers share: looks at made-up loops, runs and frames."""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
from collections.abc import Callable
from types import FrameType, SimpleNamespace
from typing import Any

from aldente._rules.watchdog import Look


class MadeUpLoop:
    """A loop on which nothing can happen, and which keeps what it is to call."""

    def __init__(self) -> None:
        self._ready: list[object] = []
        self._scheduled: list[object] = []
        self._selector = SimpleNamespace(get_map=dict)
        self.to_call: list[Callable[[], object]] = []

    def get_debug(self) -> bool:
        """Not in debug mode."""
        return False

    def is_closed(self) -> bool:
        """Never."""
        return False

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Keep what is to be called."""
        self.to_call.append(lambda: callback(*arguments))

    def call_soon_threadsafe(self, callback: Callable[..., object], *arguments: object) -> None:
        """Keep what is to be called."""
        self.to_call.append(lambda: callback(*arguments))

    def call_all(self) -> None:
        """Call what was to be called."""
        while self.to_call:
            self.to_call.pop(0)()


class MadeUpRun:
    """What watchers ask of a `LoopRunner`."""

    def __init__(self, main_task: object = None) -> None:
        self.main_task = main_task
        self.runs = 1
        self.thread = threading.get_ident()
        self.timeout: float | None = 0.1
        self.deadline: float | None = None
        self.end_limit = 0.0
        self.is_virtual = False
        self.handlers_before: tuple[Any, ...] | None = None
        self.broken_in: list[BaseException] = []

    def break_in(self, reason: BaseException) -> bool:
        """Keep the reason."""
        self.broken_in.append(reason)
        return True


def look(run: Any, frame: FrameType | None, now: float, *, loop: Any = None, **others: Any) -> Look:
    """A look at a run whose thread is at a frame, beside threads that are given by number."""
    frames = {int(name.removeprefix("thread")): other for name, other in others.items()}
    if frame is not None:
        frames[run.thread] = frame
    return Look(loop, run, frames.copy, now, lambda: now)


def frame_of(function: str, *, path: str = __file__, module: str = __name__) -> FrameType:
    """A frame of a function with such a name, in such a file and module."""
    namespace: dict[str, Any] = {"__name__": module, "sys": sys}
    exec(compile(f"def {function}():\n    return sys._getframe()\n", path, "exec"), namespace)
    frame: FrameType = namespace[function]()
    return frame


def selecting() -> FrameType:
    """A frame of a thread whose loop waits in its selector."""
    return frame_of("select", path=selectors.__file__, module="selectors")


def in_step(function: Callable[[], FrameType]) -> FrameType:
    """The frame that a function gives when it is called in a step of a loop."""
    frames: list[FrameType] = []
    loop: Any = MadeUpLoop()
    asyncio.Handle(lambda: frames.append(function()), (), loop)._run()
    return frames[0]
