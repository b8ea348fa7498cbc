"""The classic mistakes of async code and async tests, each beside its fix.

Some are made in full: there `aldente.allow` names the rule that reports them. Take it away, and the
test's finding says what happened, where, and what to do instead.
"""

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator
from unittest.mock import AsyncMock, Mock

import aldente
import pytest

from fetcher import SourceUnreachable, fetch_data
from loopback import LoopbackServer


async def test_a_forgotten_await_gives_a_coroutine(server: LoopbackServer) -> None:
    """Without `await` nothing is fetched: the call only makes a coroutine object."""
    numbers = server.json_route("/numbers", [1, 2])

    forgotten = fetch_data(numbers.url)

    assert inspect.iscoroutine(forgotten)
    assert numbers.arrived == 0
    forgotten.close()  # says that it is dropped on purpose

    fetched = await fetch_data(numbers.url)
    assert fetched["data"] == [1, 2]


async def test_raises_needs_the_await_inside(unreachable_url: str) -> None:
    """A coroutine raises when it is awaited, not when it is made."""
    not_raised_yet = fetch_data(unreachable_url)

    with pytest.raises(SourceUnreachable):
        await not_raised_yet


async def test_a_mock_cannot_be_awaited_but_an_async_mock_can() -> None:
    """A double for a coroutine function must be an `AsyncMock`."""
    wrong = Mock(return_value={"data": 1})
    with pytest.raises(TypeError, match="await"):
        await wrong("http://a")

    right = AsyncMock(return_value={"data": 1})
    assert await right("http://a") == {"data": 1}


async def test_called_is_not_awaited() -> None:
    """`assert_called` passes for a call nobody awaited; `assert_awaited` does not."""
    fetch = AsyncMock(return_value={"data": 1})

    forgotten = fetch("http://a")

    fetch.assert_called_once_with("http://a")
    with pytest.raises(AssertionError):
        fetch.assert_awaited()

    await forgotten
    fetch.assert_awaited_once_with("http://a")


async def test_a_blocking_call_stops_every_task() -> None:
    """While a plain function runs, no other task does; in a thread it leaves the loop free."""
    steps: list[str] = []
    done = threading.Event()

    def work_and_look() -> list[str]:
        return list(steps)

    def work_until_done() -> None:
        done.wait()

    async def other_task() -> None:
        steps.append("other task")
        done.set()

    other = asyncio.create_task(other_task())
    assert work_and_look() == []  # `other` was ready, but had to wait

    # This call could never return on the loop's own thread: it waits for `other`.
    await asyncio.to_thread(work_until_done)
    await other
    assert steps == ["other task"]


async def test_a_blocking_call_is_reported() -> None:
    """`time.sleep` on the loop's thread is a finding; `asyncio.sleep`, and a thread, are none."""
    with aldente.allow("blocking-call"):
        time.sleep(0.001)  # noqa: ASYNC251

    await asyncio.sleep(0.001)
    await asyncio.to_thread(time.sleep, 0.001)


@aldente.allow("nested-loop")
async def test_a_loop_cannot_run_inside_another() -> None:
    """`asyncio.run` is refused while a loop runs: await instead, or run it in a thread."""

    async def answer() -> int:
        return 42

    unused = answer()
    with pytest.raises(RuntimeError, match="running event loop"):
        asyncio.run(unused)
    unused.close()

    assert await answer() == 42
    assert await asyncio.to_thread(lambda: asyncio.run(answer())) == 42


@aldente.allow("leaked-task")
async def test_a_task_left_behind_is_cancelled() -> None:
    """Nobody waits for a task that a test leaves running: it never gets to its end."""
    left = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    assert not left.done()

    ended = asyncio.create_task(asyncio.sleep(60))
    ended.cancel()
    await asyncio.wait([ended])
    assert ended.cancelled()


async def test_fire_and_forget_has_not_happened_yet(server: LoopbackServer) -> None:
    """`create_task` only plans a task: keep it and await it before looking at its effect."""
    numbers = server.json_route("/numbers", [1, 2])

    task = asyncio.create_task(fetch_data(numbers.url))

    assert numbers.arrived == 0
    await task
    assert numbers.arrived == 1


async def test_an_error_in_a_forgotten_task_stays_in_it(unreachable_url: str) -> None:
    """Nobody hears of a task's error unless somebody awaits it; a task group always does."""
    forgotten = asyncio.create_task(fetch_data(unreachable_url))
    await asyncio.wait([forgotten])  # it has failed by now, and this test goes on
    assert isinstance(forgotten.exception(), SourceUnreachable)

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch_data(unreachable_url))
    assert caught.group_contains(SourceUnreachable)


async def test_gather_leaves_the_others_running_after_a_failure(
    server: LoopbackServer, unreachable_url: str
) -> None:
    """When one awaitable of `gather` fails the rest go on unwatched; they still need awaiting."""
    slow = server.json_route("/slow", "done")
    slow.hold()
    survivor = asyncio.create_task(fetch_data(slow.url))
    await slow.wait_arrived(1)

    with pytest.raises(SourceUnreachable):
        await asyncio.gather(survivor, fetch_data(unreachable_url))

    assert not survivor.done()
    slow.release()
    assert (await survivor)["data"] == "done"


async def test_a_task_group_cancels_the_others_after_a_failure(
    server: LoopbackServer, unreachable_url: str
) -> None:
    """When one task of a group fails the rest are cancelled, and all are over when it is left."""
    slow = server.json_route("/slow", "done")
    slow.hold()

    async def fetch_both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fetch_data(slow.url))
            await slow.wait_arrived(1)
            group.create_task(fetch_data(unreachable_url))

    with pytest.raises(ExceptionGroup) as caught:
        await fetch_both()

    assert caught.group_contains(SourceUnreachable)
    await slow.wait_dropped(1)
    assert slow.in_flight == 0


async def test_a_check_before_an_await_is_stale_after_it(server: LoopbackServer) -> None:
    """Two tasks that check, await, then act both act; sharing the task makes them act once."""
    page = server.json_route("/page", "text")
    pages: dict[str, object] = {}
    fetches: dict[str, asyncio.Task[object]] = {}

    async def data_of(url: str) -> object:
        return (await fetch_data(url))["data"]

    async def racy(url: str) -> object:
        if url not in pages:
            pages[url] = await data_of(url)
        return pages[url]

    async def right(url: str) -> object:
        if url not in fetches:
            fetches[url] = asyncio.create_task(data_of(url))
        return await fetches[url]

    assert [*await asyncio.gather(racy(page.url), racy(page.url))] == ["text", "text"]
    assert page.arrived == 2

    assert [*await asyncio.gather(right(page.url), right(page.url))] == ["text", "text"]
    assert page.arrived == 3


async def test_swallowing_cancellation_keeps_a_task_alive() -> None:
    """`except BaseException` swallows a cancellation; `except Exception` lets it through."""
    started = asyncio.Queue[None]()

    async def stubborn() -> str:
        try:
            started.put_nowait(None)
            await asyncio.Event().wait()
        except BaseException:
            return "still here"
        return "woken"

    async def polite() -> str:
        try:
            started.put_nowait(None)
            await asyncio.Event().wait()
        except Exception:
            return "still here"
        return "woken"

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(polite())]
    for task in tasks:
        await started.get()
        task.cancel()
    await asyncio.wait(tasks)

    assert tasks[0].result() == "still here"
    assert tasks[1].cancelled()


async def test_leaving_an_async_generator_early_leaves_it_open() -> None:
    """`break` does not run a generator's `finally`; `aclosing` does."""
    closed: list[str] = []

    async def pages(name: str) -> AsyncGenerator[int, None]:
        try:
            for number in range(10):
                yield number
        finally:
            closed.append(name)

    left_open = pages("left open")
    async for _ in left_open:
        break
    assert closed == []
    await left_open.aclose()

    async with contextlib.aclosing(pages("closed at once")) as safe:
        async for _ in safe:
            break
    assert closed == ["left open", "closed at once"]


@pytest.fixture
async def mailbox() -> AsyncIterator[asyncio.Queue[str]]:
    """Return a queue which a task of the fixture fills, on the fixture's loop."""
    queue = asyncio.Queue[str](maxsize=1)

    async def fill() -> None:
        for word in ("first", "second", "third"):
            await queue.put(word)

    filling = asyncio.create_task(fill())
    yield queue
    await filling


async def test_fixture_and_test_share_one_loop(mailbox: asyncio.Queue[str]) -> None:
    """A queue of a fixture works in the test; on two loops it would fail or wait forever."""
    assert [await mailbox.get() for _ in range(3)] == ["first", "second", "third"]
