"""Many callers, one call."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(eq=False)
class _Flight(Generic[V]):
    task: asyncio.Task[V]
    waiting: int = 0


class SingleFlight(Generic[K, V]):
    """Has callers who ask for the same thing at the same time wait for one and the same call.

    A caller who is cancelled leaves alone; when all have left, the call is cancelled. What the call
    raises is raised for all who wait for it, and forgotten.

    Args:
        load: makes the call.
    """

    def __init__(self, load: Callable[[K], Coroutine[object, object, V]]) -> None:
        self._load = load
        self._flights: dict[K, _Flight[V]] = {}

    async def get(self, key: K) -> V:
        """Return what the call gives that is under way for a key, or a new one."""
        flight = self._flights.get(key)
        if flight is None or flight.task.done():
            flight = _Flight(asyncio.create_task(self._load(key), name=f"load {key}"))
            self._flights[key] = flight
        flight.waiting += 1
        try:
            # Unlike `await task`, `wait` does not pass a cancellation on to the task.
            await asyncio.wait([flight.task])
        finally:
            flight.waiting -= 1
            if flight.waiting == 0:
                await self._land(key, flight)
        return flight.task.result()

    async def _land(self, key: K, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.task.done():
            flight.task.cancel()
            await asyncio.wait([flight.task])
        if not flight.task.cancelled():
            flight.task.exception()  # looked at: all who waited for it may be cancelled
