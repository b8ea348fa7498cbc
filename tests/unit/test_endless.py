"""Which tasks end only by an exception from what they call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from typing import Any

import pytest

from aldente._diagnosis.endless import is_endless

Program = Callable[[], Coroutine[Any, Any, object]]


async def sleeping() -> None:
    while True:
        await asyncio.sleep(1)


async def counting() -> None:
    count = 0
    while True:
        await asyncio.sleep(1)
        count += 1
        if count % 2:
            continue
        repr(count)


async def cleaning_up() -> None:
    try:
        while True:
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        return
    finally:
        repr("end")


async def with_a_lock() -> None:
    async with asyncio.Lock():
        while 1:
            await asyncio.sleep(1)


async def calling() -> None:
    while True:
        await one_sleep()


async def with_a_handler_that_goes_on() -> None:
    while True:
        try:
            await asyncio.sleep(1)
        except ValueError:
            continue


async def one_sleep() -> None:
    await asyncio.sleep(1)


async def breaking() -> None:
    count = 0
    while True:
        await asyncio.sleep(1)
        count += 1
        if count > 10:
            break


async def breaking_out_of_two() -> None:
    count = 0
    while True:
        while True:
            await asyncio.sleep(1)
            count += 1
            if count > 10:
                break
        if count > 20:
            return


async def with_a_condition() -> None:
    count = 0
    while count < 10:
        await asyncio.sleep(1)
        count += 1


async def iterating() -> None:
    for _ in range(10):
        await asyncio.sleep(1)


async def iterating_asynchronously() -> None:
    async def numbers() -> AsyncIterator[int]:
        await asyncio.sleep(1)
        yield 1

    async for _ in numbers():
        pass


async def asserting() -> None:
    count = 0
    while True:
        await asyncio.sleep(1)
        count += 1
        assert count < 10


async def raising() -> None:
    count = 0
    while True:
        await asyncio.sleep(1)
        count += 1
        if count > 10:
            raise ValueError


async def calling_what_raises() -> None:
    while True:
        await raising()


async def ending_in_a_handler() -> None:
    numbers = iter(range(10))
    while True:
        await asyncio.sleep(1)
        try:
            next(numbers)
        except StopIteration:
            break


async def suppressing() -> None:
    with contextlib.suppress(ValueError):
        while True:
            await asyncio.sleep(1)


async def cancelling_itself() -> None:
    while True:
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()


class Raising:
    """Raises in the end."""

    def __await__(self) -> Generator[None, None, None]:
        for _ in range(10):
            yield
        raise ValueError


async def awaiting_what_raises() -> None:
    while True:
        await Raising()


async def matching() -> None:
    count = 0
    while True:
        match count:
            case 5:
                return
            case _:
                await asyncio.sleep(1)
                count += 1


async def _found_in(program: Program, *, has_begun: bool) -> bool:
    task = asyncio.create_task(program())
    if has_begun:
        await asyncio.sleep(0)
    found = is_endless(task)
    task.cancel()
    await asyncio.wait([task])
    return found


@pytest.mark.parametrize("has_begun", [True, False])
@pytest.mark.parametrize(
    "program", [sleeping, counting, cleaning_up, with_a_handler_that_goes_on, calling]
)
def test_tasks_that_never_end(program: Program, has_begun: bool) -> None:
    """A loop that nothing leads out of never ends by itself, before its first step or after."""
    assert asyncio.run(_found_in(program, has_begun=has_begun))


@pytest.mark.parametrize("has_begun", [True, False])
@pytest.mark.parametrize(
    "program",
    [
        one_sleep,
        breaking,
        breaking_out_of_two,
        with_a_condition,
        iterating,
        iterating_asynchronously,
        asserting,
        raising,
        matching,
        ending_in_a_handler,
        suppressing,
        cancelling_itself,
        with_a_lock,
    ],
)
def test_tasks_that_may_end(program: Program, has_begun: bool) -> None:
    """A way out of the loop, a return or an exception, may be taken one day."""
    assert not asyncio.run(_found_in(program, has_begun=has_begun))


def test_what_a_task_awaits_may_raise() -> None:
    """The function that a task waits in may raise, and so end the task."""
    assert not asyncio.run(_found_in(calling_what_raises, has_begun=True))
    assert not asyncio.run(_found_in(awaiting_what_raises, has_begun=True))


def test_a_task_that_is_done() -> None:
    """A task that has ended has no code left, and is not endless."""

    async def main() -> bool:
        task = asyncio.create_task(one_sleep())
        await asyncio.wait([task])
        return is_endless(task)

    assert not asyncio.run(main())
