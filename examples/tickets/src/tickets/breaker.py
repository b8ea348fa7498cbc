"""A circuit breaker."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tickets.errors import CircuitOpen

T = TypeVar("T")


class CircuitBreaker:
    """Makes no calls for a while when several in a row have failed.

    Then one call is let through, the probe: if it succeeds the circuit is closed again, if it fails
    it stays open for another while.

    Args:
        failures: how many failures in a row open the circuit.
        seconds: how long it stays open.
        counts: whether an exception is a failure of the other side.
    """

    def __init__(
        self, failures: int, seconds: float, counts: Callable[[Exception], bool] = lambda _: True
    ) -> None:
        self._failures = failures
        self._seconds = seconds
        self._counts = counts
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._probing = False
        # Counts how often the circuit was opened or closed.
        self._period = 0

    @property
    def is_open(self) -> bool:
        """Whether no calls are let through, save for a probe."""
        return self._opened_at is not None

    async def call(self, action: Callable[[], Awaitable[T]]) -> T:
        """Return what the action gives.

        Raises:
            CircuitOpen: the action was not called.
        """
        if self._opened_at is None:
            return await self._attempt(action)
        left = self._opened_at + self._seconds - time.monotonic()
        if left > 0 or self._probing:
            raise CircuitOpen(max(left, 1.0))
        self._probing = True
        try:
            return await self._attempt(action)
        finally:
            self._probing = False

    async def _attempt(self, action: Callable[[], Awaitable[T]]) -> T:
        period = self._period
        try:
            result = await action()
        except Exception as error:
            self._note(period, is_failure=self._counts(error))
            raise
        self._note(period, is_failure=False)
        return result

    def _note(self, period: int, *, is_failure: bool) -> None:
        # A call that began before the circuit was opened or closed says nothing of how it is now.
        if period != self._period:
            return
        self._in_a_row = self._in_a_row + 1 if is_failure else 0
        if is_failure and (self.is_open or self._in_a_row >= self._failures):
            self._turn(time.monotonic())
        elif not is_failure and self.is_open:
            self._turn(None)

    def _turn(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._in_a_row = 0
        self._period += 1
