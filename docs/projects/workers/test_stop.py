# test_stop.py
import asyncio

import aldente

from workers import Broker, Workers


@aldente.explore
async def test_no_job_is_lost():
    broker = Broker("a", "b")
    handle = aldente.Double(name="handle").returns(None).takes(1)
    workers = Workers(broker, handle, count=1)
    await asyncio.sleep(1)
    await workers.stop()
    assert handle.await_count + broker.queue.qsize() == 2
    assert broker.unacknowledged == []
