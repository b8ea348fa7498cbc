"""Workers, queues and threads."""

from __future__ import annotations

import asyncio


async def shut_down_too_early(is_fixed: bool) -> None:
    """The workers are stopped when the queue is empty, though one still works on the last item."""
    queue: asyncio.Queue[int] = asyncio.Queue()
    done: list[int] = []

    async def work() -> None:
        while True:
            item = await queue.get()
            await asyncio.sleep(0)
            done.append(item)
            queue.task_done()

    worker = asyncio.create_task(work())
    queue.put_nowait(1)
    if is_fixed:
        await queue.join()
    else:
        while not queue.empty():
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    assert done == [1]


async def sentinel_overtakes(is_fixed: bool) -> None:
    """Two producers share a queue, and the end mark of the one comes before the last item of the other."""
    queue: asyncio.Queue[int | None] = asyncio.Queue()
    found: list[int] = []

    async def produce(number: int, steps: int) -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        queue.put_nowait(number)

    async def end(producers: list[asyncio.Task[None]]) -> None:
        if is_fixed:
            await asyncio.gather(*producers)
        else:
            for _ in range(5):
                await asyncio.sleep(0)
        queue.put_nowait(None)

    producers = [asyncio.create_task(produce(number, 1 + number)) for number in range(2)]
    ending = asyncio.create_task(end(producers))
    while (item := await queue.get()) is not None:
        found.append(item)
    await asyncio.gather(ending, *producers)
    assert sorted(found) == [0, 1]


async def results_by_completion(is_fixed: bool) -> None:
    """Answers are put together in the order in which they came, and taken for that of the questions."""
    answers: list[int] = []

    async def ask(number: int, seconds: float) -> int:
        await asyncio.sleep(seconds)
        if not is_fixed:
            answers.append(number)
        return number

    found = await asyncio.gather(ask(0, 0.10), ask(1, 0.15), ask(2, 0.19))
    assert (found if is_fixed else answers) == [0, 1, 2]


async def thread_against_loop(is_fixed: bool) -> None:
    """A job in a thread and a task on the loop both count with the same variable."""
    count = 0
    loop = asyncio.get_running_loop()

    async def add() -> None:
        nonlocal count
        count += 1

    def job() -> None:
        nonlocal count
        if is_fixed:
            asyncio.run_coroutine_threadsafe(add(), loop).result()
            return
        before = count
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
        count = before + 1

    async def on_loop() -> None:
        for _ in range(12):
            await asyncio.sleep(0)
        await add()

    await asyncio.gather(asyncio.to_thread(job), on_loop())
    assert count == 2


async def started_before_ready(is_fixed: bool) -> None:
    """A request comes in before the start has filled the table of routes."""
    routes: dict[str, str] = {}
    is_ready = asyncio.Event()

    async def start() -> None:
        await asyncio.sleep(0.2)
        routes["/"] = "index"
        is_ready.set()

    async def request() -> str:
        await asyncio.sleep(0.3)
        if is_fixed:
            await is_ready.wait()
        return routes.get("/", "404")

    _, answer = await asyncio.gather(start(), request())
    assert answer == "index"


async def version_overwritten(is_fixed: bool) -> None:
    """Two writers save a document, and the older version is stored last."""
    stored = 0

    async def save(version: int, steps: int) -> None:
        nonlocal stored
        for _ in range(steps):
            await asyncio.sleep(0)
        stored = max(stored, version) if is_fixed else version

    await asyncio.gather(save(1, 2), save(2, 4))
    assert stored == 2
