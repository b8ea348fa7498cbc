"""Runs that `aldente.serializable` does not judge, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

import aldente
from aldente._explore import serial_orders
from tests.unit.test_serializable import error_of, passes

Main = Callable[[], Coroutine[Any, Any, object]]


def _not_judged(main: Main) -> set[str]:
    found = passes(main, runs=50)
    assert all(0 < count <= found.runs for count in found.unjudged.values())
    return set(found.unjudged)


class Slow:
    """Operations that overlap give what they never give one at a time, for many reasons."""

    def __init__(self) -> None:
        self.running = 0
        self.task: asyncio.Task[None] | None = None

    async def _overlap(self) -> int:
        self.running += 1
        seen = self.running
        try:
            await asyncio.sleep(1)
        finally:
            self.running -= 1
        return seen

    async def plain(self) -> int:
        return await self._overlap()

    async def clock(self) -> tuple[int, float]:
        return await self._overlap(), asyncio.get_running_loop().time()

    async def timer(self) -> int:
        asyncio.get_running_loop().call_later(5, int)
        return await self._overlap()

    async def limit(self) -> int:
        try:
            async with asyncio.timeout(0.5):
                return await self._overlap()
        except TimeoutError:
            return -self.running

    async def background(self) -> int:
        self.task = asyncio.create_task(asyncio.sleep(10))
        return await self._overlap()

    async def huge(self) -> list[int]:
        return [await self._overlap()] * 20_000

    async def poll(self) -> int:
        self.running += 1
        while self.running < 2:
            await asyncio.sleep(1)
        return self.running


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("clock", "operations read a clock"),
        ("timer", "operations set timers"),
        ("limit", "time-outs ended operations"),
        ("background", "tasks that the operations do not await did some of their work"),
        ("huge", "values are too large to be compared"),
        ("poll", "operations fail, or wait for ever, one at a time"),
    ],
)
def test_not_judged(name: str, reason: str) -> None:
    """A run that may be right although no serial run explains it counts as not judged."""

    async def main() -> None:
        slow = aldente.serializable(Slow())
        await asyncio.gather(getattr(slow, name)(), getattr(slow, name)())

    assert _not_judged(main) == {reason}


def test_the_same_without_a_reason() -> None:
    """The same overlap fails where nothing makes it doubtful."""

    async def main() -> None:
        slow = aldente.serializable(Slow())
        await asyncio.gather(slow.plain(), slow.plain())

    error_of(main)


def test_cancelled_operations_are_not_judged() -> None:
    """A run in which an operation was cancelled is not judged, unless a serial run explains it."""

    async def main() -> None:
        slow = aldente.serializable(Slow())
        task = asyncio.create_task(slow.plain())
        other = asyncio.create_task(slow.plain())
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task, other])

    assert _not_judged(main) == {"operations were cancelled"}


def test_operations_that_have_not_ended_are_not_judged() -> None:
    """A run that ends while operations run is not judged, unless a serial run explains it."""

    async def main() -> None:
        slow = aldente.serializable(Slow())
        tasks = [asyncio.create_task(slow.plain()) for _ in range(2)]
        await asyncio.sleep(0.5)
        del tasks

    assert _not_judged(main) == {"operations had not ended"}


def test_too_many_orders_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing fails where the serial runs could not be tried to the end."""
    monkeypatch.setattr(serial_orders, "_QUICK_RUNS", 10)
    monkeypatch.setattr(serial_orders, "_MOST_RUNS", 50)

    async def main() -> None:
        slow = aldente.serializable(Slow())

        async def work() -> None:
            await asyncio.sleep(0)
            await slow.plain()

        await asyncio.gather(*(work() for _ in range(5)))

    found = passes(main, runs=2)
    assert set(found.unjudged) == {"operations have more serial orders than could be tried"}


def test_a_use_by_the_program_is_not_judged() -> None:
    """Nothing fails where the program has set an attribute while operations overlapped."""

    class Worker:
        is_stopped = False

        async def work(self) -> int:
            for part in range(2):
                if self.is_stopped:
                    return part
                await asyncio.sleep(1)
            return 2

        def stop(self) -> None:
            self.is_stopped = True

    async def main(calls: bool) -> None:
        worker = aldente.serializable(Worker())

        async def stop() -> None:
            await asyncio.sleep(0.5)
            if calls:
                worker.stop()
            else:
                worker.is_stopped = True

        await asyncio.gather(worker.work(), worker.work(), stop())

    reason = {"the program used the object while operations overlapped"}
    assert _not_judged(partial(main, True)) == reason
    assert _not_judged(partial(main, False)) == reason
