# test_trio.py
import asyncio

import pytest
import trio


@pytest.mark.trio
async def test_an_hour(autojump_clock):
    began = trio.current_time()
    await trio.sleep(3600)
    assert trio.current_time() - began == 3600


async def test_ours():
    await asyncio.sleep(0)
