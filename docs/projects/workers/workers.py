# workers.py
import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass
class Job:
    name: str
    attempts: int = 0


class Broker:
    """Hands jobs out; one that is handed out and not acknowledged is handed out again."""

    def __init__(self, *names: str) -> None:
        self.queue: asyncio.Queue[Job] = asyncio.Queue()
        self.unacknowledged: list[Job] = []
        self.dead: list[Job] = []
        for name in names:
            self.queue.put_nowait(Job(name))

    async def get(self) -> Job:
        job = await self.queue.get()
        self.unacknowledged.append(job)
        return job

    def acknowledge(self, job: Job) -> None:
        self.unacknowledged.remove(job)

    def return_to_queue(self, job: Job) -> None:
        self.unacknowledged.remove(job)
        self.queue.put_nowait(job)


Handler = Callable[[str], Awaitable[None]]


async def attempt(broker: Broker, job: Job, handle: Handler) -> None:
    job.attempts += 1
    try:
        async with asyncio.timeout(60):
            await handle(job.name)
    except Exception:
        if job.attempts == 3:
            broker.dead.append(job)
            broker.acknowledge(job)
        else:
            await asyncio.sleep(10 * job.attempts)
            broker.return_to_queue(job)
    else:
        broker.acknowledge(job)


class Workers:
    def __init__(self, broker: Broker, handle: Handler, count: int = 2) -> None:
        self.is_stopping = asyncio.Event()
        self.tasks = [asyncio.create_task(self.work(broker, handle)) for _ in range(count)]

    async def work(self, broker: Broker, handle: Handler) -> None:
        stopping = asyncio.create_task(self.is_stopping.wait())
        while not self.is_stopping.is_set():
            getting = asyncio.create_task(broker.get())
            await asyncio.wait([getting, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                break
            await attempt(broker, getting.result(), handle)
        stopping.cancel()

    async def stop(self) -> None:
        """Take no more jobs, and end what has begun."""
        self.is_stopping.set()
        await asyncio.gather(*self.tasks)
