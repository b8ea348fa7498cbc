"""Makes a program's run depend on its schedule alone.

A seed determines its random numbers, and the order of its tasks and futures in sets does not depend
on their addresses.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from typing import Any, TypeVar

from aldente import _python_compat


@contextlib.contextmanager
def kept_randomness() -> Iterator[None]:
    """Restore the state of `random` on exit, so that code inside may seed it."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def seeded_randomness(seed: int) -> Iterator[None]:
    """While entered, `random`, `secrets`, `uuid.uuid4` and ``os.urandom`` follow from a seed.

    This is for tests, not for security. Code that has imported ``os.urandom`` by name, or draws
    from other sources, still gets real randomness.

    Args:
        seed: the seed.

    >>> import secrets
    >>> with kept_randomness(), seeded_randomness(1):
    ...     random.random(), secrets.token_hex(4)
    (0.13436424411240122, '5d9a1cd3')
    """
    random.seed(seed)
    restore = _python_compat.replace_random_bytes(random.Random(seed ^ _BYTES).randbytes)
    try:
        yield
    finally:
        restore()


# Makes the bytes differ from those of `random`.
_BYTES = 0x62797465


T = TypeVar("T")

# Looked up once, as each new task and future calls them.
_new_task: Any = asyncio.Task.__new__
_new_future: Any = asyncio.Future.__new__


class SimulatedTask(asyncio.Task[T]):
    """A task that hashes by its number in the run, and notifies the loop when it is cancelled.

    Attributes:
        number: its number.
        futures_made: how many futures it has made so far; their numbers follow from it.
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
        """As asyncio's; notifies `ExploredLoop.on_cancel` first."""
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


# Programs and reports show the names Task and Future, as on any loop.
SimulatedTask.__name__ = SimulatedTask.__qualname__ = "Task"
SimulatedTask.cancel.__qualname__ = "Task.cancel"
SimulatedFuture.__name__ = SimulatedFuture.__qualname__ = "Future"
