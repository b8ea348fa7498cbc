# test_back_off.py
import asyncio

import aldente
from hypothesis import given, settings
from hypothesis import strategies as st


async def connect(server, attempts):
    for attempt in range(attempts):
        try:
            return await server()
        except ConnectionError:
            await asyncio.sleep(2**attempt)
    raise TimeoutError


@aldente.virtual_time
@settings(max_examples=20)
@given(st.integers(0, 9))
async def test_back_off(failures):
    clock = aldente.Clock(asyncio.get_running_loop)
    left = failures

    async def server():
        nonlocal left
        if left:
            left -= 1
            raise ConnectionError
        return "connected"

    assert await connect(server, attempts=10) == "connected"
    assert clock.elapsed == 2**failures - 1
