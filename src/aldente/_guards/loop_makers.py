"""Remembers which test made a loop, or left a task, so that late errors are charged to it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from aldente._loops import recycling


class LoopMakers:
    """The makers of loops and tasks that may outlive a test.

    Args:
        current_test: gives the node id of the test that runs now; None between tests.
    """

    def __init__(self, current_test: Callable[[], str | None]) -> None:
        self._current_test = current_test
        self._makers: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
        # Weak references to a task are gone when the garbage collector ends it and asyncio tells
        # what became of it. Its number and name together are nobody else's.
        self._tasks: dict[tuple[int, str], str] = {}

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """While entered, loops are noted as they are made."""
        owner: Any = asyncio.BaseEventLoop
        original = owner.__init__
        makers = self

        def __init__(self: asyncio.BaseEventLoop, *args: Any, **kwargs: Any) -> None:  # noqa: N807
            original(self, *args, **kwargs)
            # Those that aldente makes are not the test's: they may be used again, or be wider.
            test = makers._current_test()
            if test is not None and not _is_made_by_pool():
                makers.note(self, test)

        owner.__init__ = __init__
        try:
            yield
        finally:
            owner.__init__ = original

    def note(self, loop_or_task: object, test: str) -> None:
        """Remember which test a loop or task belongs to."""
        if isinstance(loop_or_task, asyncio.Task):
            self._tasks[id(loop_or_task), loop_or_task.get_name()] = test
            return
        with contextlib.suppress(TypeError):
            # Loops of other kinds may not be weakly referable.
            self._makers[loop_or_task] = test

    def is_noted(self, loop_or_task: object) -> bool:
        """Whether it is known which test a loop or task belongs to."""
        if isinstance(loop_or_task, asyncio.Task):
            return (id(loop_or_task), loop_or_task.get_name()) in self._tasks
        return loop_or_task in self._makers

    def maker_of(self, future: object) -> str | None:
        """The node id of the test that a future or task belongs to, by itself or by its loop."""
        if isinstance(future, asyncio.Task):
            test = self._tasks.get((id(future), future.get_name()))
            if test is not None:
                return test
        return self._makers.get(future.get_loop()) if isinstance(future, asyncio.Future) else None


def _is_made_by_pool() -> bool:
    frame = inspect.currentframe()
    # From here through the constructors of asyncio's classes.
    for _ in range(8):
        frame = frame.f_back if frame is not None else None
        if frame is not None and frame.f_code.co_filename == recycling.__file__:
            return True
    return False
