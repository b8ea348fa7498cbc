"""How many seats are left, told to all who listen."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager


class Subscription:
    """The newest number of seats, as often as it changes.

    A slow listener misses some, but not the last.

    Attributes:
        concert: the concert of which it tells.
    """

    def __init__(self, concert: int) -> None:
        self.concert = concert
        self._newest: int | None = None
        self._told: int | None = None
        self._closed = False
        self._changed = asyncio.Event()

    def tell(self, left: int) -> None:
        """Have the listener see a number, unless it is the one that it was told last."""
        if left == self._told:
            return
        self._newest = self._told = left
        self._changed.set()

    def close(self) -> None:
        """End the iteration, once the newest number has been seen."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        while self._newest is None:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        left, self._newest = self._newest, None
        return left


class SeatsFeed:
    """Tells listeners how many seats are left."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._subscriptions)

    def publish(self, concert: int, left: int) -> None:
        """Tell all listeners of a concert."""
        for subscription in self._subscriptions:
            if subscription.concert == concert:
                subscription.tell(left)

    @contextmanager
    def subscribe(self, concert: int) -> Iterator[Subscription]:
        """Listen to a concert, until the end of the block."""
        subscription = Subscription(concert)
        if self._closed:
            subscription.close()
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)

    def close(self) -> None:
        """End all iterations, those to come too."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
