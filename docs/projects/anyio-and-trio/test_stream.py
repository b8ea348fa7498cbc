# test_stream.py
import anyio
import pytest


@pytest.fixture
async def kitchen():
    send, receive = anyio.create_memory_object_stream(10)

    async def cook():
        async for dish, done in receive:
            done.append(f"{dish} is done")

    async with anyio.create_task_group() as group, send:
        group.start_soon(cook)
        yield send
        group.cancel_scope.cancel()


async def test_cook(kitchen):
    done = []
    await kitchen.send(("penne", done))
    await anyio.wait_all_tasks_blocked()
    assert done == ["penne is done"]
