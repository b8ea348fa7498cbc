"""What else a loop does."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator

from tests.conformance.bodies.table import TICK, Note, after, body, fail_after


@body
async def async_generators(note: Note) -> None:
    async def count() -> AsyncIterator[int]:
        try:
            for number in range(5):
                await asyncio.sleep(TICK / 4)
                yield number
        finally:
            await asyncio.sleep(0)
            note("closed")

    async for number in count():
        note(number)
        if number == 1:
            break
    gc.collect()
    await asyncio.sleep(TICK)
    generator = count()
    note(await anext(generator))
    await asyncio.get_running_loop().shutdown_asyncgens()


@body
async def context_variables(note: Note) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="default")
    loop = asyncio.get_running_loop()
    variable.set("body")
    loop.call_later(TICK, lambda: note("timer", variable.get()))
    other = contextvars.copy_context()
    other.run(variable.set, "other")
    loop.call_later(2 * TICK, lambda: note("timer in a context", variable.get()), context=other)

    async def change() -> None:
        variable.set("task")
        await asyncio.sleep(TICK)
        note("task", variable.get())

    await asyncio.create_task(change())
    note("thread", await asyncio.to_thread(variable.get))
    note("body", variable.get())
    await asyncio.sleep(2 * TICK)


@body
async def errors_in_callbacks(note: Note) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda loop, context: note(context["message"][:30], repr(context.get("exception")))
    )
    loop.call_soon(int, "x")
    loop.call_later(TICK, int, "y")
    loop.call_later(2 * TICK, note, "goes on")
    await asyncio.sleep(3 * TICK)
    task = asyncio.create_task(fail_after(0, ValueError("nobody asks")))
    await asyncio.wait([task])
    del task
    gc.collect()
    loop.set_exception_handler(None)


@body
async def debug_mode(note: Note) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    try:
        await asyncio.gather(after(2, note, "a"), after(1, note, "b"))
        try:
            loop.call_soon(after)  # type: ignore[arg-type]
        except TypeError as error:
            note(str(error)[:40])
        try:
            await asyncio.to_thread(loop.call_later, 1, note)
        except RuntimeError as error:
            note(error)
    finally:
        loop.set_debug(False)


@body
async def wrong_calls(note: Note) -> None:
    loop = asyncio.get_running_loop()
    for call in (
        lambda: loop.call_at(None, note),  # type: ignore[arg-type]
        lambda: loop.call_later(None, note),  # type: ignore[arg-type]
        lambda: loop.run_until_complete(loop.create_future()),
    ):
        try:
            call()
        except (TypeError, RuntimeError) as error:
            note(error)


@body
async def the_names_of_tasks(note: Note) -> None:
    task = asyncio.create_task(after(1, note, "named"), name="a name")
    note(task.get_name(), asyncio.current_task() in asyncio.all_tasks(), len(asyncio.all_tasks()))
    task.add_done_callback(lambda task: note("callback", task.result()))
    await task
    await asyncio.sleep(0)
