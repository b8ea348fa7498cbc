"""Which coroutines only the frames of an exception hold."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aldente._rules.coroutine_origins import look_into_frames

kept: list[Any] = []


@pytest.fixture(autouse=True)
def _unfrozen() -> Iterator[None]:
    """Has the collector see this module, of which it is told nothing otherwise (tests/conftest.py)."""
    gc.unfreeze()
    yield
    gc.freeze()


async def work() -> None:
    pass


def variable() -> None:
    dropped = work()  # noqa: F841
    raise ValueError


def argument() -> None:
    take(work())


def take(coroutine: Any) -> None:
    raise ValueError


def arguments() -> None:
    take_any(work(), 1)


def take_any(*arguments: Any) -> None:
    take(*arguments[:1])


def in_group() -> None:
    try:
        variable()
    except ValueError as error:
        raise ExceptionGroup("several", [error]) from None


def in_list() -> None:
    coroutines = [work()]
    kept.append(coroutines)
    raise ValueError


def in_variable_of_module() -> None:
    kept.append(work())
    take(kept[0])


def task() -> None:
    loop = asyncio.new_event_loop()
    try:
        coroutine = work()
        kept.append(loop.create_task(coroutine))
        raise ValueError
    finally:
        kept.append(loop)


def started() -> None:
    coroutine = waiting()
    coroutine.send(None)
    kept.append(coroutine)
    raise ValueError


async def waiting() -> None:
    await asyncio.sleep(0)


def found_in(function: Callable[[], None]) -> int:
    """How many coroutines are found in the frames of what a function raises."""
    found: list[str] = []
    with pytest.raises((ValueError, ExceptionGroup)) as excinfo:
        function()
    look_into_frames(excinfo.value, lambda coroutine: found.append(coroutine.__name__))
    look_into_frames(excinfo.value, lambda coroutine: found.append(coroutine.__name__))
    return len(found)


def in_frozen_list() -> None:
    kept.append(None)
    gc.freeze()
    kept[0] = work()
    take(kept[0])


def in_arguments_in_frozen_list() -> None:
    kept.append(None)
    gc.freeze()
    kept[0] = (work(),)
    take_any(*kept[0])


@pytest.mark.parametrize("function", [variable, argument, arguments, in_group])
def test_what_only_frames_hold(function: Callable[[], None]) -> None:
    """A coroutine in variables and arguments of what has failed is found, once, and closed."""
    assert found_in(function) == 1


@pytest.mark.parametrize(
    "function",
    [
        in_list,
        in_variable_of_module,
        in_frozen_list,
        in_arguments_in_frozen_list,
        task,
        started,
    ],
)
def test_what_others_hold(function: Callable[[], None]) -> None:
    """A coroutine that a list, a module or a task holds, or that has started, may be awaited still."""
    try:
        assert found_in(function) == 0
    finally:
        for each in kept:
            if isinstance(each, asyncio.AbstractEventLoop):
                each.run_until_complete(asyncio.sleep(0))
            for one in each if isinstance(each, list | tuple) else [each]:
                if not isinstance(one, asyncio.Task):
                    one.close()
        kept.clear()


def test_what_a_running_function_holds() -> None:
    """A coroutine in a variable of a function that still runs, as in a thread, may be awaited by it."""
    box, running, go_on = [work()], threading.Event(), threading.Event()

    def run_later() -> None:
        coroutine = box.pop()
        other.append(coroutine)
        running.set()
        go_on.wait()
        asyncio.run(coroutine)

    other: list[Any] = []
    thread = threading.Thread(target=run_later)
    thread.start()
    try:
        running.wait()
        assert found_in(lambda: take(other.pop())) == 0
    finally:
        go_on.set()
        thread.join()
