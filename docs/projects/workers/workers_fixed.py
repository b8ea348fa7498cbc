# workers_fixed.py
import asyncio

from workers import Broker, Handler, Job


async def attempt(broker: Broker, job: Job, handle: Handler) -> None:
    job.attempts += 1
    is_over = False
    try:
        async with asyncio.timeout(60):
            await handle(job.name)
        is_over = True
    except Exception:
        if job.attempts == 3:
            broker.dead.append(job)
            is_over = True
        else:
            await asyncio.sleep(10 * job.attempts)
    finally:
        if is_over:
            broker.acknowledge(job)
        else:
            broker.return_to_queue(job)
