"""Tasks that are stopped: none of their code runs any more."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from typing import Any

import pytest

from aldente._asyncio_compat.stopping import _raising, _Stopped, stop, stop_task

NOTES: list[str] = []


@contextlib.contextmanager
def noted(name: str) -> Iterator[None]:
    try:
        yield
    finally:
        NOTES.append(f"left {name}")


@contextlib.asynccontextmanager
async def noted_async(name: str) -> AsyncIterator[None]:
    try:
        yield
    finally:
        NOTES.append(f"left {name}")


class Noted:
    """A context manager that is no generator."""

    def __enter__(self) -> Noted:
        return self

    def __exit__(self, *error: object) -> None:
        NOTES.append("left an object")


async def numbers() -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.Event().wait()
        yield 2
    finally:
        NOTES.append("left a generator")


class Awaited:
    """Awaitable by a method that is a generator."""

    def __await__(self) -> Generator[Any, None, None]:
        try:
            yield from asyncio.Event().wait().__await__()
        finally:
            NOTES.append("left an awaitable")


@types.coroutine
def old_style() -> Generator[Any, None, None]:
    try:
        yield from asyncio.Event().wait().__await__()
    finally:
        NOTES.append("left an old coroutine")


async def in_a_generator() -> None:
    async for _ in numbers():
        pass


async def before_the_next() -> None:
    async for _ in numbers():
        await asyncio.Event().wait()


async def in_a_stack() -> None:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(noted_async("a stack's"))
        stack.enter_context(noted("a stack's, too"))
        await asyncio.sleep(10)


async def in_a_handler() -> None:
    try:
        raise ValueError
    except ValueError:
        while True:
            try:
                await asyncio.sleep(1)
            except BaseException:
                NOTES.append("swallowed")


async def with_a_time_out() -> None:
    async with asyncio.timeout(3):
        await asyncio.sleep(10)


async def holding_a_lock() -> None:
    async with asyncio.Lock():
        await asyncio.sleep(10)


WAITS: list[Callable[[], Awaitable[None]]] = [
    lambda: asyncio.sleep(10),
    in_a_generator,
    before_the_next,
    in_a_stack,
    in_a_handler,
    with_a_time_out,
    holding_a_lock,
    Awaited,
    old_style,
    lambda: asyncio.shield(asyncio.get_running_loop().create_future()),
]


async def inner(wait: Callable[[], Awaitable[None]]) -> None:
    try:
        with noted("a block"), Noted():
            async with noted_async("an async block"):
                await wait()
    except BaseException:
        NOTES.append("except")
        raise
    finally:
        NOTES.append("finally")


async def outer(wait: Callable[[], Awaitable[None]]) -> None:
    try:
        await inner(wait)
    finally:
        NOTES.append("outer")


@pytest.mark.parametrize("wait", WAITS)
def test_a_stopped_task_runs_no_code(wait: Callable[[], Awaitable[None]]) -> None:
    """None of its blocks ends, whatever it waits for, and what awaits it gets the error."""
    NOTES.clear()

    async def main() -> None:
        task = asyncio.create_task(outer(wait))
        await asyncio.sleep(0.01)
        stop_task(task, RuntimeError("crashed"), lambda context: False)
        with pytest.raises(RuntimeError, match="crashed"):
            await task
        del task
        for _ in range(3):
            gc.collect()
        await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    gc.collect()
    assert NOTES == []


def test_code_that_goes_on_is_not_touched() -> None:
    """Other coroutines of the same functions run as before, and end their blocks."""
    NOTES.clear()

    async def main() -> None:
        tasks = [asyncio.create_task(outer(lambda: asyncio.sleep(0.02))) for _ in range(2)]
        await asyncio.sleep(0.01)
        stop_task(tasks[0], RuntimeError("crashed"), lambda context: False)
        await tasks[1]

    asyncio.run(main())
    assert NOTES == [
        "left an async block",
        "left an object",
        "left a block",
        "finally",
        "outer",
    ]


@pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="there is no sys.monitoring")
def test_the_same_code_in_another_thread_goes_on() -> None:
    """A thread may run a function at the same moment at which a coroutine of it is stopped."""
    found: list[int] = []

    def count() -> None:
        found.append(len(found))

    with _raising({count.__code__}):
        thread = threading.Thread(target=count)
        thread.start()
        thread.join()
        with pytest.raises(_Stopped):
            count()
    assert found == [0]


def test_callbacks_of_what_has_crashed_are_not_called() -> None:
    """Done-callbacks are left out by their context."""
    called: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        task.add_done_callback(lambda task: called.append("its own"))
        stop_task(task, RuntimeError("crashed"), lambda context: True)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert called == []


def test_an_error_that_nothing_awaits_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """asyncio does not log that the error of a stopped task was never retrieved."""

    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        stop_task(task, RuntimeError("crashed"), lambda context: False)

    asyncio.run(main())
    gc.collect()
    assert caplog.text == ""


def test_other_objects_are_left_alone() -> None:
    """What is neither coroutine nor generator can't be stopped."""
    future = asyncio.Future[None](loop=asyncio.new_event_loop())
    stop(future)
    assert not future.done()
    future.get_loop().close()


def test_where_all_numbers_of_monitoring_are_taken() -> None:
    """A coroutine is kept for ever then, and runs no code either."""
    NOTES.clear()
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        pytest.skip("there is no sys.monitoring")
    taken = [number for number in range(6) if monitoring.get_tool(number) is None]
    for number in taken:
        monitoring.use_tool_id(number, "another")
    try:

        async def main() -> None:
            task = asyncio.create_task(outer(in_a_stack))
            await asyncio.sleep(0.01)
            stop_task(task, RuntimeError("crashed"), lambda context: False)

        asyncio.run(main())
        gc.collect()
    finally:
        for number in taken:
            monitoring.free_tool_id(number)
    assert NOTES == []
