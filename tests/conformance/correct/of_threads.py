"""What asyncio promises of executors and of calls from threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading

from tests.conformance.correct.table import correct_but_slow


@correct_but_slow
async def a_job_gives_its_result() -> None:
    assert await asyncio.gather(*(asyncio.to_thread(pow, 2, n) for n in range(4))) == [1, 2, 4, 8]


@correct_but_slow
async def a_job_raises_where_it_is_awaited() -> None:
    def fail() -> None:
        raise LookupError("fails")

    try:
        await asyncio.to_thread(fail)
    except LookupError:
        return
    raise AssertionError


@correct_but_slow
async def a_job_has_the_context_of_its_caller() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("caller")
    assert await asyncio.to_thread(variable.get) == "caller"


@correct_but_slow
async def calls_from_a_thread_keep_their_order() -> None:
    loop = asyncio.get_running_loop()
    called: list[int] = []

    def call() -> None:
        for number in range(5):
            loop.call_soon_threadsafe(called.append, number)

    await asyncio.to_thread(call)
    await asyncio.sleep(1)
    assert called == list(range(5))


@correct_but_slow
async def a_thread_can_run_a_coroutine_on_the_loop() -> None:
    loop = asyncio.get_running_loop()

    async def add(one: int, other: int) -> int:
        await asyncio.sleep(1)
        return one + other

    def work() -> int:
        return asyncio.run_coroutine_threadsafe(add(1, 2), loop).result(timeout=60)

    assert await asyncio.to_thread(work) == 3


@correct_but_slow
async def a_lock_of_threads_protects_what_threads_and_loop_share() -> None:
    lock = threading.Lock()
    counter = 0

    def add() -> None:
        nonlocal counter
        for _ in range(10):
            with lock:
                counter += 1

    await asyncio.gather(*(asyncio.to_thread(add) for _ in range(3)))
    assert counter == 30


@correct_but_slow
async def a_small_pool_does_its_jobs_one_after_the_other() -> None:
    loop = asyncio.get_running_loop()
    order: list[int] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        await asyncio.gather(*(loop.run_in_executor(pool, order.append, n) for n in range(4)))
    assert order == [0, 1, 2, 3]


@correct_but_slow
async def a_job_can_be_told_to_stop() -> None:
    stop = threading.Event()
    job = asyncio.create_task(asyncio.to_thread(stop.wait, 60))
    await asyncio.sleep(1)
    stop.set()
    assert await job
