"""Threads and executors."""

from __future__ import annotations

import asyncio
import threading
import time

from tests.conformance.bodies.table import TICK, Note, after, body


@body
async def executor(note: Note) -> None:
    def work(ticks: float) -> float:
        time.sleep(ticks * TICK)
        return ticks

    loop = asyncio.get_running_loop()
    job = loop.run_in_executor(None, work, 2)
    beside = asyncio.create_task(after(1, note, "during the job"))
    note(await job)
    await beside
    note(await asyncio.to_thread(work, 1))
    try:
        await asyncio.wait_for(asyncio.to_thread(work, 5), TICK)
    except TimeoutError:
        note("timed out")
    try:
        await asyncio.to_thread(int, "x")
    except ValueError as error:
        note(error)


@body
async def a_long_job_within_a_timeout(note: Note) -> None:
    async with asyncio.timeout(1000 * TICK):
        # Longer than a loop on virtual time listens for what it knows nothing of.
        note(await asyncio.to_thread(threading.Event().wait, 8 * TICK))


@body
async def a_thread_that_calls_in(note: Note) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        for number in range(3):
            time.sleep(TICK / 4)
            loop.call_soon_threadsafe(note, number)
        loop.call_soon_threadsafe(event.set)

    thread = threading.Thread(target=run)
    thread.start()
    await event.wait()
    thread.join()


@body
async def a_coroutine_from_a_thread(note: Note) -> None:
    loop = asyncio.get_running_loop()

    def run() -> object:
        return asyncio.run_coroutine_threadsafe(after(1, note, "in the loop"), loop).result()

    note(await asyncio.to_thread(run))
