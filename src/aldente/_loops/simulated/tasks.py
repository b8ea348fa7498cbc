"""Tasks and futures whose order in sets does not depend on addresses.

A set of tasks, as `asyncio.TaskGroup` and `asyncio.wait` keep them, is gone through in the order of
hashes, and asyncio's tasks hash by their address in memory: the same program would cancel its tasks
in another order whenever memory is laid out in another way. Here they hash by a number that they
get when they are made, before the first step of an eager task.

``__new__`` gives the number, because its frame is gone when asyncio notes, in debug mode, where a
task or future was made. Nothing else may give it: asyncio hashes tasks at other moments on each
version of Python, and a strategy or a trace may hash them at any time.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")

# Looked up once, as they are called for all that is made.
_new_task: Any = asyncio.Task.__new__
_new_future: Any = asyncio.Future.__new__


class SimulatedTask(asyncio.Task[T]):
    """A task that hashes by its number in the run, and tells the loop when it is cancelled.

    Attributes:
        number: its number.
        futures_made: how many futures it has made so far, by which those are numbered.
    """

    __slots__ = ("futures_made", "number")
    number: int
    futures_made: int

    def __new__(cls, *args: Any, loop: Any = None, **kwargs: Any) -> SimulatedTask[T]:
        """Number a new task by its loop."""
        task: SimulatedTask[T] = _new_task(cls)
        owner: Any = loop or asyncio.get_event_loop()
        task.number = owner.next_number()
        task.futures_made = 0
        return task

    def __hash__(self) -> int:
        return self.number

    def cancel(self, msg: Any | None = None) -> bool:
        """As asyncio's; it is told who does so."""
        loop: Any = self.get_loop()
        if loop.on_cancel is not None and not self.done():
            loop.on_cancel(self)
        return super().cancel(msg)


class SimulatedFuture(asyncio.Future[T]):
    """A future that hashes by its number in the run."""

    __slots__ = ("_number",)
    _number: int

    def __new__(cls, *, loop: Any = None) -> SimulatedFuture[T]:
        """Number a new future by the task that makes it."""
        future: SimulatedFuture[T] = _new_future(cls)
        owner: Any = loop or asyncio.get_event_loop()
        future._number = owner.next_future_number()
        return future

    def __hash__(self) -> int:
        return self._number


# In what programs and reports show they are tasks and futures, as on any loop.
SimulatedTask.__name__ = SimulatedTask.__qualname__ = "Task"
SimulatedTask.cancel.__qualname__ = "Task.cancel"
SimulatedFuture.__name__ = SimulatedFuture.__qualname__ = "Future"
