"""Where a future was made, and by which task."""

from __future__ import annotations

import asyncio
import gc
import re
import weakref
from pathlib import Path

import aldente
from aldente._asyncio_compat import noting_origins, origin_of
from aldente._diagnosis import await_graph
from aldente._diagnosis.deadlock import explain

HERE = Path(__file__)


def line_of(text: str) -> int:
    """The number of the line that has a comment."""
    lines = HERE.read_text(encoding="utf-8").splitlines()
    (found,) = [n for n, line in enumerate(lines, 1) if line.endswith(f"# {text}")]
    return found


async def explained() -> str:
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    task.set_name("maker")
    reply = loop.create_future()  # of main

    async def wait_for_reply() -> None:
        await reply

    async def wait_for_own() -> None:
        own = loop.create_future()  # own
        await own

    tasks = [asyncio.create_task(wait_for_reply(), name="waiting")]
    tasks += [asyncio.create_task(wait_for_own(), name=f"own-{n}") for n in range(2)]
    await asyncio.sleep(0)
    text = explain(await_graph.snapshot(set(tasks)), main=None, folder=HERE.parent)
    for task in tasks:
        task.cancel()
    return text


def test_the_place_and_the_task() -> None:
    """A future has the line and the task that made it; equal ones of equal tasks are told once."""
    with noting_origins():
        text = asyncio.run(explained())
    assert f"It was made at {HERE.name}:{line_of('of main')} by 'maker'." in text
    assert f"It was made at {HERE.name}:{line_of('own')} by the task itself." in text
    assert "1 more like this: 'own-1'" in text


def test_futures_of_asyncio_are_not_noted() -> None:
    """Those that asyncio's own functions make have no origin."""

    async def main() -> None:
        lock = asyncio.Lock()
        await lock.acquire()
        waiting = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        (future,) = vars(lock)["_waiters"]
        assert origin_of(future) is None
        assert origin_of(asyncio.get_running_loop().create_future()) is not None
        waiting.cancel()

    with noting_origins():
        asyncio.run(main())


def test_nothing_is_kept_alive_or_changed() -> None:
    """A noted future is freed like any other, and the method is given back."""
    plain = asyncio.BaseEventLoop.create_future

    async def main() -> weakref.ref[object]:
        return weakref.ref(asyncio.get_running_loop().create_future())

    with noting_origins():
        found = asyncio.run(main())
    gc.collect()
    assert found() is None
    assert asyncio.BaseEventLoop.create_future is plain


def test_the_replaced_method_does_what_is_taken_over() -> None:
    """asyncio's own method makes a future of the loop, and does nothing else."""
    code = asyncio.BaseEventLoop.create_future.__wrapped__.__code__  # type: ignore[attr-defined]
    assert code.co_names == ("futures", "Future")
    assert code.co_varnames == ("self",)


def test_in_an_explored_run() -> None:
    """The report of a deadlock of a simulated run says it too."""

    async def main() -> None:
        reply = asyncio.get_running_loop().create_future()  # simulated
        await reply

    failure = aldente.search(main, runs=5).failure
    assert failure is not None
    place = rf"\S*{re.escape(HERE.name)}:{line_of('simulated')}"
    assert re.search(rf"It was made at {place} by the task itself\.", failure.report())
