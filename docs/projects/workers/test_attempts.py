# test_attempts.py
import aldente
import pytest

from workers import Broker, attempt

pytestmark = aldente.virtual_time


@pytest.fixture
def handle():
    return aldente.Double(name="handle")


async def test_it_is_acknowledged(handle):
    broker = Broker("resize")
    handle.returns(None)
    await attempt(broker, await broker.get(), handle)
    assert broker.unacknowledged == []
    handle.assert_awaited_once_with("resize")


async def test_it_is_tried_again(handle, clock):
    broker = Broker("resize")
    handle.returns_each(ConnectionError(), ConnectionError(), None)
    while not broker.queue.empty():
        await attempt(broker, await broker.get(), handle)
    assert handle.await_count == 3
    assert clock.elapsed == 10 + 20
    assert broker.dead == []


async def test_it_is_given_up(handle):
    broker = Broker("resize")
    handle.raises(ValueError)
    while not broker.queue.empty():
        await attempt(broker, await broker.get(), handle)
    assert [job.name for job in broker.dead] == ["resize"]
    assert broker.unacknowledged == []


async def test_it_takes_too_long(handle, clock):
    broker = Broker("resize")
    handle.never_returns()
    await attempt(broker, await broker.get(), handle)
    assert clock.elapsed == 60 + 10
    assert handle.cancelled_count == 1
