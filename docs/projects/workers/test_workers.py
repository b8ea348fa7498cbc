# test_workers.py
import asyncio

import aldente

from workers import Broker, Workers

pytestmark = aldente.virtual_time


async def test_two_at_once(clock):
    handle = aldente.Double(name="handle").returns(None).takes(5)
    workers = Workers(Broker("a", "b", "c"), handle)
    await aldente.eventually(lambda: handle.await_count == 3 and not handle.pending, within=60)
    await workers.stop()
    assert handle.peak_concurrency == 2


async def test_stop_waits_for_what_has_begun(clock):
    handle = aldente.Double(name="handle").returns(None)
    gate = handle.hold()
    broker = Broker("a", "b", "c")
    workers = Workers(broker, handle)
    await gate.arrived(2)
    stopping = asyncio.create_task(workers.stop())
    await aldente.settle()
    assert not stopping.done()
    gate.release()
    await stopping
    assert broker.unacknowledged == []
    assert broker.queue.qsize() == 1
