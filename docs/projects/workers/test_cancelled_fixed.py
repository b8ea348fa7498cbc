# test_cancelled_fixed.py
import asyncio

import aldente
import pytest

from workers import Broker
from workers_fixed import attempt


@aldente.explore
@pytest.mark.parametrize("answer", [None, ConnectionError()])
async def test_a_job_is_done_or_handed_out_again(answer):
    broker = Broker("resize")
    handle = aldente.Double(name="handle").returns_each(answer).takes(1)
    job = await broker.get()
    worker = aldente.may_be_cancelled(asyncio.create_task(attempt(broker, job, handle)))
    await asyncio.wait([worker])
    is_done = answer is None and not worker.cancelled()
    assert broker.unacknowledged == []
    assert broker.queue.qsize() == (0 if is_done else 1)
