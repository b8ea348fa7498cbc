"""Random programs that use most of what asyncio has, and note each of their steps.

A program is a list of instructions for each of a few workers. It can be run on any event loop; what
is noted is the same wherever things happen in the same order at the same time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, NamedTuple

WORKERS = 4
THINGS = 2

Main = Callable[[], Coroutine[Any, Any, list[str]]]


class Instruction(NamedTuple):
    """Something a worker does.

    Attributes:
        what: the name of a method of `Machine`.
        number: which worker or thing it is done to.
        seconds: how long it takes.
    """

    what: str
    number: int
    seconds: float


# Of which those that only yield are more frequent, as they make orders differ.
WHATS = (
    *("nap",) * 3,
    *("sleep",) * 2,
    *("lock", "semaphore", "notify", "wait_condition", "set", "clear", "wait", "put", "get"),
    *("call_soon", "call_later", "cancel", "gather", "group", "failing_group", "wait_first"),
    *("completed", "shield", "time_out", "wait_for", "generator", "barrier", "callback", "child"),
)
# These need loop time to pass.
TIMED = {"sleep", "call_later", "time_out", "wait_for", "get", "wait", "wait_condition", "barrier"}


def instructions(draw: Callable[[int], int], *, is_timed: bool) -> list[list[Instruction]]:
    """A program.

    Args:
        draw: gives a number from 0 to less than its argument.
        is_timed: whether loop time may pass in it.
    """
    whats = [what for what in WHATS if is_timed or what not in TIMED]
    return [
        [
            Instruction(whats[draw(len(whats))], draw(WORKERS), (1 + draw(8)) / 4)
            for _ in range(draw(6))
        ]
        for _ in range(WORKERS)
    ]


def random_program(seed: int, *, is_timed: bool = True) -> Main:
    """The program of a seed."""
    source = random.Random(seed)
    program = instructions(source.randrange, is_timed=is_timed)

    async def main() -> list[str]:
        return await Machine(program).run()

    return main


def _complete(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Machine:
    """Runs a program once.

    Attributes:
        notes: what has happened.
    """

    def __init__(self, program: list[list[Instruction]]) -> None:
        self.notes: list[str] = []
        self._program = program
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._locks = [asyncio.Lock() for _ in range(THINGS)]
        self._semaphores = [asyncio.Semaphore(2) for _ in range(THINGS)]
        self._conditions = [asyncio.Condition() for _ in range(THINGS)]
        self._events = [asyncio.Event() for _ in range(THINGS)]
        self._queues: list[asyncio.Queue[int]] = [asyncio.Queue(2) for _ in range(THINGS)]
        self._barrier_itself = asyncio.Barrier(2)
        self._tasks: list[asyncio.Task[None]] = []
        self._left: list[asyncio.Task[Any]] = []

    async def run(self) -> list[str]:
        """Run it, and return what has happened."""
        self._tasks = [asyncio.create_task(self._work(number)) for number in range(WORKERS)]
        await asyncio.wait(self._tasks)
        for task in self._left:
            task.cancel()
        if self._left:
            await asyncio.wait(self._left)
        return self.notes

    def note(self, *what: object) -> None:
        """Something has happened."""
        # On a loop in real time it is rounded to the moment that was meant.
        time = round((self._loop.time() - self._began) * 4) / 4
        self.notes.append(" ".join(map(str, (time, *what))))

    async def _work(self, worker: int) -> None:
        for place, instruction in enumerate(self._program[worker]):
            method = getattr(self, f"_{instruction.what}")
            try:
                await method(worker, instruction.number, instruction.seconds)
                self.note(worker, place, instruction.what)
            except (asyncio.CancelledError, TimeoutError, ValueError) as error:
                self.note(worker, place, instruction.what, type(error).__name__)

    async def _nap(self, worker: int, number: int, seconds: float) -> None:
        await asyncio.sleep(0)

    async def _sleep(self, worker: int, number: int, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _lock(self, worker: int, number: int, seconds: float) -> None:
        async with self._locks[number % THINGS]:
            self.note(worker, "has lock")
            await asyncio.sleep(0)

    async def _semaphore(self, worker: int, number: int, seconds: float) -> None:
        async with self._semaphores[number % THINGS]:
            self.note(worker, "has semaphore")
            await asyncio.sleep(0)

    async def _notify(self, worker: int, number: int, seconds: float) -> None:
        condition = self._conditions[number % THINGS]
        async with condition:
            condition.notify(1 + number)

    async def _wait_condition(self, worker: int, number: int, seconds: float) -> None:
        condition = self._conditions[number % THINGS]
        async with condition:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await condition.wait()

    async def _set(self, worker: int, number: int, seconds: float) -> None:
        self._events[number % THINGS].set()

    async def _clear(self, worker: int, number: int, seconds: float) -> None:
        self._events[number % THINGS].clear()

    async def _wait(self, worker: int, number: int, seconds: float) -> None:
        await asyncio.wait_for(self._events[number % THINGS].wait(), seconds)

    async def _put(self, worker: int, number: int, seconds: float) -> None:
        with suppress(asyncio.QueueFull):
            self._queues[number % THINGS].put_nowait(worker)

    async def _get(self, worker: int, number: int, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            self.note(worker, "got", await self._queues[number % THINGS].get())

    async def _call_soon(self, worker: int, number: int, seconds: float) -> None:
        self._loop.call_soon(self.note, worker, "called soon")

    async def _call_later(self, worker: int, number: int, seconds: float) -> None:
        self._loop.call_later(seconds, self.note, worker, "called later")

    async def _cancel(self, worker: int, number: int, seconds: float) -> None:
        if number < len(self._tasks):
            self._tasks[number].cancel()

    async def _child(self, worker: int, number: int, seconds: float) -> None:
        self._left.append(asyncio.create_task(self._small(worker, number)))

    async def _small(self, worker: int, number: int) -> int:
        """What the workers have others do."""
        try:
            for _ in range(number % 3):
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.note(worker, "small one cancelled", number)
            raise
        self.note(worker, "small one", number)
        return number

    async def _gather(self, worker: int, number: int, seconds: float) -> None:
        small = (self._small(worker, (number + other) % 4) for other in range(3))
        self.note(worker, *await asyncio.gather(*small))

    async def _group(self, worker: int, number: int, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            for other in range(3):
                group.create_task(self._small(worker, number + other))

    async def _failing_group(self, worker: int, number: int, seconds: float) -> None:
        async def fail() -> None:
            await asyncio.sleep(0)
            raise ValueError

        with suppress(BaseExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for _ in range(4):
                    group.create_task(self._small(worker, 2))
                group.create_task(fail())

    async def _wait_first(self, worker: int, number: int, seconds: float) -> None:
        tasks = {asyncio.create_task(self._small(worker, other)) for other in range(4)}
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self.note(worker, len(done), len(pending))
        self._left += sorted(pending, key=asyncio.Task.get_name)

    async def _completed(self, worker: int, number: int, seconds: float) -> None:
        # Tasks, as asyncio begins coroutines in the order of a set of them.
        tasks = [asyncio.create_task(self._small(worker, other)) for other in range(3)]
        for each in asyncio.as_completed(tasks):
            self.note(worker, "completed", await each)

    async def _shield(self, worker: int, number: int, seconds: float) -> None:
        inner = asyncio.create_task(self._small(worker, number))
        self._left.append(inner)
        await asyncio.shield(inner)

    async def _time_out(self, worker: int, number: int, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await asyncio.sleep(number / 2 + 0.125)

    async def _wait_for(self, worker: int, number: int, seconds: float) -> None:
        await asyncio.wait_for(asyncio.sleep(number / 2 + 0.125), seconds)

    async def _generator(self, worker: int, number: int, seconds: float) -> None:
        async def count() -> Any:
            try:
                for each in range(3):
                    await asyncio.sleep(0)
                    yield each
            finally:
                self.note(worker, "generator ends")

        async for each in count():
            if each == number:
                break

    async def _barrier(self, worker: int, number: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._barrier_itself.wait()
        except asyncio.BrokenBarrierError:
            self.note(worker, "broken")

    async def _callback(self, worker: int, number: int, seconds: float) -> None:
        future = self._loop.create_future()
        future.add_done_callback(lambda _: self.note(worker, "done callback"))
        self._loop.call_soon(_complete, future)
        await future
