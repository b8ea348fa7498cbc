# test_cancelled.py
import asyncio

import aldente

from workers import Broker, attempt


@aldente.explore
async def test_a_cancelled_job_is_handed_out_again():
    broker = Broker("resize")
    handle = aldente.Double(name="handle").raises(ConnectionError).takes(1)
    job = await broker.get()
    worker = aldente.may_be_cancelled(asyncio.create_task(attempt(broker, job, handle)))
    await asyncio.wait([worker])
    assert broker.unacknowledged == []
    assert broker.queue.qsize() == 1
