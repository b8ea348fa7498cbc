"""Tasks and futures whose order in sets does not depend on addresses.

A set of tasks, as `asyncio.TaskGroup` and `asyncio.wait` keep them, is gone through in the order of
hashes, and asyncio's tasks hash by their address in memory: the same program would cancel its tasks
in another order whenever memory is laid out in another way. Here they hash by a number.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedTask(asyncio.Task[T]):
    """A task that hashes by its number in the run, and tells the loop when it is cancelled."""

    __slots__ = ("_number",)
    _number: int

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            self._number = number = _next_number(self)
            return number

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

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            self._number = number = _next_number(self)
            return number


# In what programs and reports show they are tasks and futures, as on any loop.
SimulatedTask.__name__ = SimulatedTask.__qualname__ = "Task"
SimulatedTask.cancel.__qualname__ = "Task.cancel"
SimulatedFuture.__name__ = SimulatedFuture.__qualname__ = "Future"


def _next_number(future: asyncio.Future[Any]) -> int:
    """A number that nothing else on the loop has.

    It is given when it is first asked for, which for a task is when it is made, because asyncio
    keeps a set of them. That is at the same point in every run that goes the same way.
    """
    loop: Any = future.get_loop()
    number: int = loop.next_number()
    return number
