"""Whatever the rules watch, nothing of the user's lives longer for it."""

from __future__ import annotations

from tests.plugin.conftest import RunProject

# Each test lets go of what it has, and looks whether it is gone: at once where nothing refers to it
# in a circle. All rules are on.
PROJECT = """
import asyncio
import gc
import socket
import threading
import weakref
from unittest import mock

import pytest
import aldente
from aldente._rules import watchdog

class Thing:
    def method(self):
        pass

def be_looked_at(times=3):
    '''Have the watchdog look, from a thread as it does, while this one is where it is.'''
    def look():
        for _ in range(times):
            for each in list(watchdog._owners):
                each._look_at_all()
    thread = threading.Thread(target=look)
    with aldente.allow("blocking-call"):
        thread.start()
        thread.join()

async def test_steps():
    # slow-step
    def step(thing):
        be_looked_at()
    thing = Thing()
    gone = weakref.ref(thing)
    asyncio.get_running_loop().call_soon(step, thing)
    del thing
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert gone() is None

async def test_tasks():
    # slow-step, background-error, leaked-task, never-awaited
    async def work(thing):
        be_looked_at()
        await asyncio.sleep(0)
        be_looked_at()
    thing = Thing()
    gone = weakref.ref(thing)
    task = asyncio.create_task(work(thing))
    del thing
    await task
    del task
    be_looked_at()
    await asyncio.sleep(0)
    assert gone() is None

async def test_exceptions():
    # background-error, plain-mock
    things = []
    async def fail():
        thing = Thing()
        things.append(weakref.ref(thing))
        be_looked_at()
        raise ValueError
    await asyncio.gather(*(fail() for _ in range(5)), return_exceptions=True)
    # The loop has the callback that has given the results, until its next turn.
    await asyncio.sleep(0)
    gc.collect()
    assert [each() for each in things] == [None] * 5

async def test_waiting():
    # deadlock
    async def wait(future, thing):
        await future
    future, thing = asyncio.get_running_loop().create_future(), Thing()
    gone = weakref.ref(thing)
    task = asyncio.create_task(wait(future, thing))
    del thing
    def set_later():
        be_looked_at()
        future.get_loop().call_soon_threadsafe(future.set_result, None)
    threading.Thread(target=set_later).start()
    await task
    del task
    assert gone() is None

async def test_generators():
    # leaked-asyncgen
    async def generate(thing):
        yield 1
        yield 2
    thing = Thing()
    gone = weakref.ref(thing)
    generator = generate(thing)
    del thing
    assert await anext(generator) == 1
    be_looked_at()
    await generator.aclose()
    del generator
    assert gone() is None

async def test_coroutines():
    # never-awaited
    async def work(thing):
        pass
    thing = Thing()
    gone = weakref.ref(thing)
    coroutine = work(thing)
    del thing
    gc.collect(0)
    be_looked_at()
    coroutine.close()
    del coroutine
    assert gone() is None

async def test_connections():
    # leaked-resource
    async def serve(reader, writer):
        writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        gone = weakref.ref(writer.transport), weakref.ref(server)
        assert await reader.read() == b""
        be_looked_at()
        writer.close()
        await writer.wait_closed()
        # The transport is closed by a callback of the loop's.
        await asyncio.sleep(0)
    del reader, writer, server
    gc.collect()
    assert [each() for each in gone] == [None, None]

async def test_blocking_calls():
    # blocking-call
    class Bytes(bytearray):
        pass
    here, there = socket.socketpair()
    data = Bytes(b"ping")
    gone = weakref.ref(data), weakref.ref(here), weakref.ref(there)
    with here, there, pytest.raises(TimeoutError):
        here.settimeout(0.001)
        here.sendall(data)
        here.recv(1)
    del data, here, there
    gc.collect()
    assert [each() for each in gone] == [None, None, None]

async def test_nested_loops():
    # nested-loop
    loop = asyncio.new_event_loop()
    gone = weakref.ref(loop)
    loop.close()
    del loop
    gc.collect()
    assert gone() is None

async def test_mocks():
    # plain-mock
    double = mock.Mock()
    gone = weakref.ref(double)
    try:
        await double.fetch()
    except TypeError:
        pass
    del double
    gc.collect()
    assert gone() is None

@aldente.timeout(60)
async def test_time_limits():
    be_looked_at()

@pytest.fixture
def gone_in_the_end():
    gone = []
    yield gone
    gc.collect()
    assert [each() for each in gone] == [None] * len(gone)

async def test_what_a_test_has(gone_in_the_end):
    # All of them: the test itself.
    thing = Thing()
    gone_in_the_end.append(weakref.ref(thing))
    be_looked_at()
"""


def test_nothing_lives_longer(run_project: RunProject) -> None:
    """What a rule has seen is freed when it would be without, whenever the rule has looked."""
    result = run_project("--aldente-rule=nested-loop=warn", subprocess=True, test_it=PROJECT)
    result.assert_outcomes(passed=12)
